//! The HTTP API over a real listener, a real store (SQLite unless a test says so) and a real client; no worker: the tests
//! drive the jobs.

mod cancel_job;
mod connections;
mod contract;
mod create_job;
#[path = "../../../jobs/tests/it/database.rs"]
#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    clippy::unwrap_used,
    reason = "the tests of the store use more of it"
)]
mod database;
mod delete_job;
mod error_codes;
mod event_cuts;
mod event_load;
mod every_route;
mod get_diff;
mod get_events;
mod get_job;
mod get_stage;
mod health;
mod idempotency;
mod keys;
mod limits;
mod list_jobs;
mod metrics;
mod openapi;
mod origins;
mod other_owners;
mod problems;
#[path = "../../../jobs/tests/it/redis_server.rs"]
#[expect(dead_code, reason = "the tests of the store use more of it")]
mod redis_server;
mod retry_job;
mod server;
mod sse;
mod waiting;
mod webhooks;
mod work;
