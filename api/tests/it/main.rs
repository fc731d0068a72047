//! The HTTP API over a real listener, a real SQLite store and a real client; no worker: the tests drive the jobs.

mod cancel_job;
mod connections;
mod create_job;
mod get_diff;
mod get_job;
mod get_stage;
mod health;
mod openapi;
mod problems;
mod retry_job;
mod server;
mod work;
