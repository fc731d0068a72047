//! `POST /keys`: makes a key and shows it, this once.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use domain::{Cost, KeyScope};
use jobs::{KeyDraft, KeyDraftError, LimitOverrides, NewKey};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::ApiState;
use crate::caller::{Admin, Caller};
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::wire::{FieldError, NewKeyBody};

/// What a client asks for. Everything but the name is optional.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({ "name": "ci", "expiresInSeconds": 86_400 }))]
pub(crate) struct CreateKey {
    /// What the key is for.
    #[schema(
        value_type = String,
        required,
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: Option<String>,
    /// Whose jobs it reaches; nobody else's when absent.
    #[schema(pattern = "^[A-Za-z0-9._:@/-]{1,100}$")]
    owner: Option<String>,
    /// What it may do; everything but `metrics:read` and `admin` when absent.
    #[schema(value_type = Option<Vec<KeyScope>>, min_items = 1)]
    scopes: Option<Vec<String>>,
    /// How long it lives; until it is revoked when absent.
    #[schema(minimum = 1, maximum = 315_619_200)]
    expires_in_seconds: Option<u64>,
    /// The limits that differ from the server's.
    #[serde(default)]
    limits: KeyLimits,
}

/// Limits of one key; 0 is no bound.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyLimits {
    /// Requests for work, a minute.
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_i64)]
    creations_per_minute: Option<u32>,
    /// All other requests, a minute.
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_i64)]
    requests_per_minute: Option<u32>,
    /// Jobs that wait for a worker.
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_i64)]
    queued_jobs: Option<u32>,
    /// Jobs of the owner that run at the same time. Nothing is refused for it: more of them wait.
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_i64)]
    running_jobs: Option<u32>,
    /// New jobs on one day (UTC).
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_i64)]
    jobs_per_day: Option<u32>,
    /// Cost of the owner's jobs on one day (UTC), in US dollars.
    #[schema(minimum = 0, maximum = 9_223_372_036.0)]
    usd_per_day: Option<f64>,
}

/// Answers 201 with the key. Nothing on the way may keep it.
#[utoipa::path(
    post,
    path = "/keys",
    tag = "keys",
    summary = "Make an API key",
    request_body = CreateKey,
    responses(
        (
            status = 201,
            description = "The key. Its text is shown this once.",
            body = NewKeyBody,
            headers(("Cache-Control" = String, description = "`no-store`.")),
        ),
    ),
    security(("key" = ["admin"]))
)]
pub(crate) async fn create_key(
    State(state): State<ApiState>,
    _caller: Caller<Admin>,
    JsonBody(request): JsonBody<CreateKey>,
) -> Result<impl IntoResponse, ApiError> {
    let new = request.into_new_key().map_err(ApiError::Invalid)?;
    let (key, token) = state.jobs.create_key(new).await?;
    state.keys.close();
    tracing::info!(key.id = %key.id, key.owner = key.owner, "Made key {}", key.id);
    let body = NewKeyBody::new(key, &token);
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(body)))
}

impl CreateKey {
    /// Reads every field, and reports all that are wrong at once.
    fn into_new_key(self) -> Result<NewKey, Vec<FieldError>> {
        let mut errors = Vec::new();
        let scopes = self.scopes.map_or_else(|| KeyScope::DEFAULT.to_vec(), |names| read_scopes(&names, &mut errors));
        let limits = self.limits.read().unwrap_or_else(|error| {
            errors.push(error);
            LimitOverrides::default()
        });
        let is_misread = |error: &KeyDraftError, errors: &[FieldError]| {
            *error == KeyDraftError::Scopes && errors.iter().any(|error| error.is_within("/scopes"))
        };
        let draft = KeyDraft {
            name: self.name.unwrap_or_default(),
            owner: self.owner,
            scopes,
            limits,
            lifetime: self.expires_in_seconds.map(Duration::from_secs),
        };
        match NewKey::try_from(draft) {
            Ok(key) if errors.is_empty() => Ok(key),
            Ok(_) => Err(errors),
            Err(wrong) => {
                let wrong: Vec<_> = wrong.into_iter().filter(|error| !is_misread(error, &errors)).collect();
                errors.extend(wrong.into_iter().map(|error| FieldError::new(pointer(error), error)));
                Err(errors)
            }
        }
    }
}

impl KeyLimits {
    fn read(self) -> Result<LimitOverrides, FieldError> {
        let read_usd = |usd| Cost::try_from_usd(usd).map_err(|error| FieldError::new("/limits/usdPerDay", error));
        Ok(LimitOverrides {
            creations_per_minute: self.creations_per_minute,
            requests_per_minute: self.requests_per_minute,
            queued_jobs: self.queued_jobs.map(u64::from),
            running_jobs: self.running_jobs.map(u64::from),
            jobs_per_day: self.jobs_per_day.map(u64::from),
            cost_per_day: self.usd_per_day.map(read_usd).transpose()?,
        })
    }
}

fn read_scopes(names: &[String], errors: &mut Vec<FieldError>) -> Vec<KeyScope> {
    let mut scopes = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match name.parse() {
            Ok(scope) => scopes.push(scope),
            Err(error) => errors.push(FieldError::new(format!("/scopes/{index}"), error)),
        }
    }
    scopes
}

fn pointer(error: KeyDraftError) -> &'static str {
    match error {
        KeyDraftError::Name => "/name",
        KeyDraftError::Owner => "/owner",
        KeyDraftError::Scopes => "/scopes",
        KeyDraftError::Lifetime => "/expiresInSeconds",
    }
}
