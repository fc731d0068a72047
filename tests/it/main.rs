//! The system as a whole, and what holds for the code as a whole.

mod app;
mod architecture;
mod chaos;
mod cluster;
mod compose;
mod demo;
mod health;
mod keys;
mod local_topology;
mod logging;
mod metrics;
#[path = "../../jobs/tests/it/redis_server.rs"]
mod redis_server;
mod run;
mod scale_out;
mod serve;
mod silence;
mod traces;
mod webhooks;
