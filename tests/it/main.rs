//! The system as a whole, and what holds for the code as a whole.

mod app;
mod architecture;
mod cluster;
mod demo;
#[path = "../../jobs/tests/it/redis_server.rs"]
mod redis_server;
mod run;
mod scale_out;
mod serve;
