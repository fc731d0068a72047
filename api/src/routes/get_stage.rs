//! `GET /jobs/{id}/stages/{name}`: what one stage made, as it is stored.

use axum::Json;
use axum::extract::State;
use domain::{JobId, StageKey};
use serde_json::Value;

use crate::ApiState;
use crate::error::ApiError;
use crate::path_of::PathOf;

/// Answers with the stored output; 404 also while the stage is not finished.
pub(crate) async fn get_stage(
    State(state): State<ApiState>,
    PathOf((id, name)): PathOf<(JobId, String)>,
) -> Result<Json<Value>, ApiError> {
    let key = read_key(&name).ok_or(NO_SUCH_STAGE)?;
    let output = state.jobs.stage_output(id, &key).await?.ok_or(NO_SUCH_STAGE)?;
    Ok(Json(output))
}

const NO_SUCH_STAGE: ApiError = ApiError::NotFound("there is no such job, or it has no output of such a stage");

/// Reads what [`StageKey`] displays: `plan`, or `edit:src/main.rs`.
fn read_key(name: &str) -> Option<StageKey> {
    let (kind, item) = name.split_once(':').unwrap_or((name, ""));
    Some(StageKey { kind: kind.parse().ok()?, item: item.to_owned() })
}

#[cfg(test)]
mod tests {
    use domain::StageKind;

    use super::*;

    #[test]
    fn reads_the_names_that_jobs_show() {
        let keys = [StageKey::from(StageKind::Plan), StageKey { kind: StageKind::Edit, item: "a:b/c.rs".to_owned() }];
        for key in keys {
            assert_eq!(read_key(&key.to_string()), Some(key));
        }
        assert_eq!(read_key("plans"), None);
        assert_eq!(read_key(""), None);
    }
}
