//! Workers over a real SQLite file; only the pipeline's work is scripted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod blocking;
mod cancel;
mod concurrency;
mod courier;
mod fixture;
mod leases;
mod live;
mod presence;
mod progress;
mod refusal;
mod shutdown;
mod webhook_calls;
mod webhook_storm;
mod webhooks;
