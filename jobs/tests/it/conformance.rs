//! One suite, run on SQLite always and on Postgres when `TINYGEN_TEST_POSTGRES_URL` names a server.

mod calls;
mod cancel;
mod claims;
mod ends;
mod events;
mod fence;
mod idempotency;
mod keys;
mod leases;
mod limits;
mod list;
mod purge;
mod quotas;
mod receivers;
mod reopen;
mod retention;
mod retries;
mod running;
mod stages;
mod stats;
mod traces;
mod turns;
mod webhooks;
