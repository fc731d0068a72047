//! A lost worker's job goes to another one, but not for ever.

use std::time::Duration;

use domain::{FailureCode, JobStatus};
use jobs::{Cancellation, Heartbeat, Swept};
use sqlx::{Connection, PgConnection};

use crate::database::{Database, on_every_database, on_postgres};
use crate::sample::{claimed, failure, spec, worker};

on_every_database![
    an_expired_lease_is_claimed_again_with_a_higher_epoch,
    a_held_lease_is_not_claimed,
    a_late_heartbeat_keeps_a_job_that_nobody_took,
    many_leases_are_kept_at_once,
    gives_a_job_up_after_three_lost_workers,
    only_workers_lost_in_a_row_count,
    ends_a_canceled_job_whose_worker_was_lost,
    rings_for_what_waits,
    a_process_that_is_alone_takes_over_at_once,
];

async fn an_expired_lease_is_claimed_again_with_a_higher_epoch(database: &Database) {
    let jobs = database.where_leases_expire_at_once();
    let first = claimed(&jobs).await;
    let second = jobs.claim(&worker()).await.unwrap().expect("the lease has run out");
    assert_eq!(second.id, first.id);
    assert!(second.lease.epoch() > first.lease.epoch());
    assert_eq!((second.attempt, second.rescues), (1, 1), "a lost worker is not a failed attempt");
    assert_eq!(jobs.check(&[first.lease]).await.unwrap(), [Heartbeat::Lost]);
}

async fn a_held_lease_is_not_claimed(database: &Database) {
    let jobs = &database.jobs;
    let held = claimed(jobs).await;
    assert!(jobs.claim(&worker()).await.unwrap().is_none());
    assert_eq!(jobs.sweep().await.unwrap(), Swept::default());
    assert_eq!(jobs.heartbeat(&[held.lease]).await.unwrap(), [Heartbeat::Held]);
}

async fn a_late_heartbeat_keeps_a_job_that_nobody_took(database: &Database) {
    let late = claimed(&database.where_leases_expire_at_once()).await;
    assert_eq!(database.jobs.heartbeat(&[late.lease]).await.unwrap(), [Heartbeat::Held]);
    assert!(database.jobs.claim(&worker()).await.unwrap().is_none());
}

async fn many_leases_are_kept_at_once(database: &Database) {
    let expiring = database.where_leases_expire_at_once();
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(claimed(&database.jobs).await.lease);
    }
    let [ended, canceled, ..] = leases[..] else { unreachable!() };
    database.jobs.release(&ended).await.unwrap();
    database.jobs.cancel(canceled.job_id()).await.unwrap();
    let answers = [Heartbeat::Lost, Heartbeat::CancelRequested, Heartbeat::Held, Heartbeat::Held, Heartbeat::Held];
    assert_eq!(database.jobs.check(&leases).await.unwrap(), answers);
    assert_eq!(expiring.heartbeat(&leases).await.unwrap(), answers);
    assert_eq!(expiring.heartbeat(&[]).await.unwrap(), []);
    // Now the three have run out; one is taken by another worker, and kept all the same by nobody else.
    let taken = database.jobs.claim(&worker()).await.unwrap().expect("a lease has run out").lease;
    let old = leases.iter().position(|lease| lease.job_id() == taken.job_id()).expect("one of them");
    let answers = database.jobs.heartbeat(&[leases[old], taken]).await.unwrap();
    assert_eq!(answers, [Heartbeat::Lost, Heartbeat::Held]);
}

async fn gives_a_job_up_after_three_lost_workers(database: &Database) {
    let jobs = database.where_leases_expire_at_once();
    let first = claimed(&jobs).await;
    for lost in 1..3 {
        let next = jobs.claim(&worker()).await.unwrap().expect("another worker may try");
        assert_eq!((next.id, next.rescues), (first.id, lost));
    }
    assert!(jobs.claim(&worker()).await.unwrap().is_none(), "three workers were lost");
    assert_eq!(jobs.sweep().await.unwrap(), Swept { poisoned: 1, ..Swept::default() });
    let job = jobs.get(first.id).await.unwrap().unwrap();
    assert_eq!((job.status, job.failure.unwrap().code), (JobStatus::Failed, FailureCode::Poisoned));
    assert_eq!(jobs.sweep().await.unwrap(), Swept::default());
}

async fn only_workers_lost_in_a_row_count(database: &Database) {
    let jobs = database.where_leases_expire_at_once();
    let first = claimed(&jobs).await.id;
    for handed_back in [true, false] {
        for lost in 1..3 {
            let next = jobs.claim(&worker()).await.unwrap().expect("another worker may try");
            assert_eq!((next.id, next.rescues), (first, lost));
            if lost == 2 && handed_back {
                jobs.release(&next.lease).await.unwrap();
            } else if lost == 2 {
                jobs.requeue(&next.lease, &failure(), Duration::ZERO).await.unwrap();
            }
        }
        assert_eq!(jobs.claim(&worker()).await.unwrap().expect("it waits").rescues, 0, "a worker that lived had it");
    }
}

async fn ends_a_canceled_job_whose_worker_was_lost(database: &Database) {
    let jobs = database.where_leases_expire_at_once();
    let lost = claimed(&jobs).await;
    assert_eq!(jobs.cancel(lost.id).await.unwrap(), Cancellation::Requested);
    assert!(jobs.claim(&worker()).await.unwrap().is_none());
    assert_eq!(jobs.sweep().await.unwrap(), Swept { canceled: 1, ..Swept::default() });
    assert_eq!(jobs.get(lost.id).await.unwrap().unwrap().status, JobStatus::Canceled);
}

async fn rings_for_what_waits(database: &Database) {
    let jobs = database.where_leases_expire_at_once();
    claimed(&jobs).await;
    jobs.submit(spec()).await.unwrap();
    assert_eq!(jobs.sweep().await.unwrap(), Swept { due: 2, ..Swept::default() });
}

async fn a_process_that_is_alone_takes_over_at_once(database: &Database) {
    let jobs = &database.jobs;
    let left = claimed(jobs).await;
    assert_eq!(jobs.expire_leases().await.unwrap(), 1);
    assert_eq!(jobs.expire_leases().await.unwrap(), 0);
    let taken = jobs.claim(&worker()).await.unwrap().expect("its lease has run out");
    assert_eq!((taken.id, taken.rescues), (left.id, 1));
}

/// On Postgres, where rows can be locked.
#[tokio::test]
async fn a_locked_job_does_not_hold_up_the_heartbeats_of_others() {
    on_postgres(async |database: &Database| {
        let (locked, free) = (claimed(&database.jobs).await.lease, claimed(&database.jobs).await.lease);
        let mut other = PgConnection::connect(database.url()).await.unwrap();
        let mut tx = other.begin().await.unwrap();
        let lock = sqlx::query("SELECT 1 FROM jobs WHERE id = $1 FOR UPDATE").bind(locked.job_id().as_uuid());
        lock.execute(&mut *tx).await.unwrap();
        let answers = database.jobs.heartbeat(&[locked, free]).await.unwrap();
        assert_eq!(answers, [Heartbeat::Delayed, Heartbeat::Held]);
        tx.rollback().await.unwrap();
        assert_eq!(database.jobs.heartbeat(&[locked]).await.unwrap(), [Heartbeat::Held]);
    })
    .await;
}

/// While the database was away nobody could renew a lease: who has just found it lets the others do so first.
#[tokio::test]
async fn who_has_just_found_the_database_takes_no_job_for_lost() {
    on_postgres(async |database: &Database| {
        let silent = claimed(&database.where_leases_expire_at_once()).await;
        let found_just_now = database.reopen().await;
        assert!(found_just_now.claim(&worker()).await.unwrap().is_none());
        assert_eq!(found_just_now.sweep().await.unwrap(), Swept::default());
        assert_eq!(database.jobs.heartbeat(&[silent.lease]).await.unwrap(), [Heartbeat::Held], "it lived");
        let other = database.jobs.submit(spec()).await.unwrap();
        assert_eq!(found_just_now.claim(&worker()).await.unwrap().unwrap().id, other.id, "what waits is taken at once");
    })
    .await;
}
