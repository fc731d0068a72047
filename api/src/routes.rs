//! Every route, and what is wrapped around all of them.

mod cancel_job;
mod create_job;
mod delete_job;
mod docs;
mod get_diff;
mod get_events;
mod get_health;
mod get_job;
mod get_metrics;
mod get_queue_stats;
mod get_stage;
mod keys;
mod list_jobs;
mod retry_job;
mod webhooks;

use std::any::Any;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use domain::{JobId, StageKey};
use jobs::Job;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;
use crate::caller::Caller;
use crate::cross_origin::refuse_cross_origin;
use crate::error::ApiError;
use crate::guard::guard;
use crate::observe::observe;
use crate::openapi;
use crate::origins::AllowedOrigins;
use crate::wire::{JobBody, ResultBody, poll_after_seconds};

/// The path of [`create_job`](create_job::create_job) without its last slash: `curl -d` does not follow a redirect.
const ANALYZE: &str = "/analyze";

/// Where what is counted is read, of a worker too.
const METRICS: &str = "/metrics";

/// The whole API.
pub fn router(state: ApiState) -> Router {
    let guarded = guarded_routes()
        .route(ANALYZE, post(create_job::create_job))
        .route_layer(from_fn_with_state(state.clone(), guard));
    let (routes, description) = describe(guarded).split_for_parts();
    wrap(routes.merge(docs::routes(&description)), &state.origins).with_state(state)
}

/// The description of the API: `OpenAPI` 3.1, as JSON.
pub fn description() -> String {
    openapi::to_json(describe(guarded_routes()).get_openapi())
}

/// The paths for which a key is needed, with `{…}` where something is to be filled in.
pub fn guarded_paths() -> Vec<String> {
    let description = guarded_routes().into_openapi();
    description.paths.paths.into_keys().chain([ANALYZE.to_owned()]).collect()
}

/// The guarded routes and all others, with their description.
fn describe(mut guarded: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    openapi::describe_guard(guarded.get_openapi_mut());
    let mut routes = OpenApiRouter::with_openapi(openapi::base()).merge(guarded).merge(health_routes());
    openapi::complete(routes.get_openapi_mut());
    routes
}

/// The routes for which a key is needed as soon as there is one; each handler names its [`Caller`].
fn guarded_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(create_job::create_job))
        .routes(routes!(list_jobs::list_jobs))
        .routes(routes!(get_job::get_job))
        .routes(routes!(delete_job::delete_job))
        .routes(routes!(cancel_job::cancel_job))
        .routes(routes!(retry_job::retry_job))
        .routes(routes!(get_diff::get_diff))
        .routes(routes!(get_events::get_events))
        .routes(routes!(get_stage::get_stage))
        .routes(routes!(keys::list_keys::list_keys))
        .routes(routes!(keys::create_key::create_key))
        .routes(routes!(keys::revoke_key::revoke_key))
        .merge(webhooks::routes())
        .routes(routes!(get_queue_stats::get_queue_stats))
        .routes(routes!(get_metrics::get_metrics))
}

/// Only what a health check and a scraper ask: for a process that works on jobs and serves no API.
pub fn health_router(state: ApiState) -> Router {
    let routes = Router::from(health_routes()).route(METRICS, get(get_metrics::get_worker_metrics));
    wrap(routes, &state.origins).with_state(state)
}

fn health_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(get_health::get_liveness)).routes(routes!(get_health::get_readiness))
}

/// Puts around the routes what every request goes through; the last layer is the first to see a request.
fn wrap<S: Clone + Send + Sync + 'static>(routes: Router<S>, origins: &AllowedOrigins) -> Router<S> {
    routes
        .fallback(async || ApiError::NotFound("there is no such address"))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn_with_state(origins.clone(), refuse_cross_origin))
        .layer(option_layer(origins.layer()))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn(observe))
}

/// The panic's message stays in the log: it may hold anything.
#[expect(clippy::needless_pass_by_value, reason = "the signature the layer asks for")]
fn answer_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    tracing::error!(message = message.unwrap_or("(not a text)"), "A handler panicked");
    ApiError::Panicked.into_response()
}

/// The caller's job of this id. Each handler begins here: what hangs on a job is read and changed by id afterwards.
async fn find_job<S>(state: &ApiState, caller: &Caller<S>, id: JobId) -> Result<Job, ApiError> {
    state.jobs.get_of(caller.owner(), id).await?.ok_or(ApiError::NO_SUCH_JOB)
}

/// Reads what belongs to the job after the job itself: the body is then never older than its version says.
async fn read_body(state: &ApiState, job: &Job) -> Result<JobBody, ApiError> {
    let stages = state.jobs.stages(job.id).await?;
    let result = match &job.result {
        Some(result) => Some(ResultBody::from_result(result, &state.jobs.diff(job.id).await?.unwrap_or_default())),
        None => None,
    };
    Ok(JobBody::new(job, &stages, result))
}

/// The header that says when to look at the job again.
fn retry_after(job: &Job) -> (HeaderName, String) {
    (header::RETRY_AFTER, poll_after_seconds(job).to_string())
}

/// Reads what [`StageKey`] displays: `plan`, or `edit:src/main.rs`.
fn read_stage_key(name: &str) -> Option<StageKey> {
    let (kind, item) = name.split_once(':').unwrap_or((name, ""));
    // PostgreSQL compares no text with it.
    let is_text = !item.contains('\0');
    is_text.then_some(StageKey { kind: kind.parse().ok()?, item: item.to_owned() })
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use domain::StageKind;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn reads_the_names_that_jobs_show() {
        let keys = [StageKey::from(StageKind::Plan), StageKey { kind: StageKind::Edit, item: "a:b/c.rs".to_owned() }];
        for key in keys {
            assert_eq!(read_stage_key(&key.to_string()), Some(key));
        }
        assert_eq!(read_stage_key("plans"), None);
        assert_eq!(read_stage_key(""), None);
        assert_eq!(read_stage_key("edit:a\0b"), None);
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_that_does_not_quote_it() {
        let routes = Router::new().route("/bomb", get(async || -> () { panic!("the key is 123") }));
        let request = Request::get("/bomb").header("x-request-id", "r-1").body(Body::empty()).expect("request");
        let response = wrap(routes, &AllowedOrigins::default()).oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = to_bytes(response.into_body(), 10_000).await.expect("body");
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(problem["code"], "internal");
        assert_eq!(problem["requestId"], "r-1");
        assert!(!String::from_utf8_lossy(&body).contains("123"));
    }
}
