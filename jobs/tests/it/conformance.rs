//! One suite, run on SQLite always and on Postgres when `TINYGEN_TEST_POSTGRES_URL` names a server.

mod calls;
mod cancel;
mod claims;
mod ends;
mod events;
mod fence;
mod leases;
mod limits;
mod reopen;
mod retries;
mod stages;
mod traces;
mod turns;
mod webhooks;
