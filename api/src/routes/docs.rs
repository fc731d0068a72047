//! `GET /openapi.json`, and `GET /docs`: the description of the API, for programs and for people.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::ApiState;
use crate::openapi::to_json;

/// The page is part of the program: it loads nothing from elsewhere, has no other host check the description, and is shown
/// in no page of others, which could have people click on it unawares.
pub(super) fn routes(description: &OpenApi) -> Router<ApiState> {
    let json = to_json(description);
    let config = Config::from("/openapi.json").try_it_out_enabled(true).validator_url("none");
    let page = Router::from(SwaggerUi::new("/docs").config(config)).layer(map_response(forbid_frames));
    Router::new()
        .route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], json.clone())))
        .merge(page)
}

async fn forbid_frames(mut page: Response) -> Response {
    let policy = HeaderValue::from_static("frame-ancestors 'none'");
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    page
}
