//! The HTTP API: takes jobs, shows where they stand, hands out their diffs.
//!
//! [`router`] is the whole API over a [`ApiState`]; [`serve`] puts it on a listener. Each route is one file of
//! `routes/`, named like what it does; what several of them say is in [`wire`]. Whatever goes wrong is answered with
//! problem details (RFC 9457) and the request's id.

mod accept;
mod auth;
mod caller;
mod cross_origin;
mod cursor;
mod error;
mod etag;
mod event_stream;
mod field;
mod figures;
mod guard;
mod idempotency;
mod json_body;
mod limits;
mod observe;
mod openapi;
mod origins;
mod own_host;
mod path_of;
mod routes;
mod server;
mod state;
mod tally;
mod wait;
pub mod wire;

pub use origins::{Origin, ParseOriginError};
pub use routes::{description, guarded_paths, health_router, router};
pub use server::{serve, serve_health};
pub use state::{ApiState, Pace, WorkerHealth};
