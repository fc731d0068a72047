//! What stands before every route that is not for everybody: who asks, and whether they ask too often.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jobs::Limits;

use crate::ApiState;
use crate::auth::Identity;
use crate::error::ApiError;
use crate::limits::{RatePolicy, Standing};
use crate::own_host;

/// Lets a request through that comes from somebody, for the [`Caller`](crate::caller::Caller) of the handler to find,
/// and says in the answer how they stand with their rate.
pub(crate) async fn guard(
    State(state): State<ApiState>,
    route: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let standing = match admit(&state, &route, &mut request).await {
        Ok(standing) => standing,
        Err(error) => return error.into_response(),
    };
    let mut response = next.run(request).await;
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
    response
}

async fn admit(state: &ApiState, route: &MatchedPath, request: &mut Request) -> Result<Option<Standing>, ApiError> {
    let identity = state.keys.identify(request.headers()).await?;
    let standing = match &identity {
        Identity::Anyone if state.is_for_this_machine && !own_host::is_own(request.headers()) => {
            return Err(ApiError::ForeignHost);
        }
        Identity::Anyone => None,
        Identity::Holder(key) => {
            let limits: Limits = state.limits.with(&key.limits);
            state.rates.count(key, &limits, RatePolicy::of(request.method(), route.as_str()))?
        }
    };
    request.extensions_mut().insert(identity);
    Ok(standing)
}
