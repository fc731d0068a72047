//! `GET /openapi.json`, and `GET /docs`: the description of the API, for programs and for people.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::ApiState;
use crate::openapi::to_json;

/// The page is part of the program: it loads nothing from elsewhere.
pub(super) fn routes(description: &OpenApi) -> Router<ApiState> {
    let json = to_json(description);
    let page = SwaggerUi::new("/docs").config(Config::from("/openapi.json").try_it_out_enabled(true));
    Router::new()
        .route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], json.clone())))
        .merge(page)
}
