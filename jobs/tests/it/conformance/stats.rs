//! What is counted of the queue and of the workers.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use domain::{JobSpec, Priority};
use jobs::{EventKind, Jobs, QueueState, QueueStats, WebhookChange, WebhookStats, WorkerId};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::database::{Database, on_every_database};
use crate::hooks::{RETRY_LATER, claim_one, finish, register};
use crate::sample::{claimed, failure, result, spec, worker};

on_every_database![
    an_empty_queue_is_counted_too,
    jobs_are_counted_by_where_they_stand,
    jobs_are_counted_by_priority,
    the_oldest_is_the_one_that_could_have_been_started_first,
    jobs_that_were_given_up_count_until_they_are_run_again_or_deleted,
    workers_count_while_they_live,
    a_message_that_can_be_sent_wants_a_worker,
    the_last_worker_is_remembered,
];

async fn stats(jobs: &Jobs) -> QueueStats {
    jobs.queue_stats().await.unwrap()
}

async fn counts(jobs: &Jobs) -> [u64; 4] {
    let stats = stats(jobs).await;
    QueueState::ALL.map(|state| stats.count(state))
}

async fn an_empty_queue_is_counted_too(database: &Database) {
    assert_eq!(stats(&database.jobs).await, QueueStats::default());
    assert_eq!(database.jobs.webhook_stats().await.unwrap(), WebhookStats::default());
}

async fn jobs_are_counted_by_where_they_stand(database: &Database) {
    let jobs = &database.jobs;
    let (running, delayed, due) = (claimed(jobs).await, claimed(jobs).await, claimed(jobs).await);
    jobs.requeue(&delayed.lease, &failure(), Duration::from_hours(1)).await.unwrap();
    jobs.requeue(&due.lease, &failure(), Duration::ZERO).await.unwrap();
    jobs.submit(spec()).await.unwrap();
    let ended = jobs.submit(spec()).await.unwrap();
    jobs.cancel(ended.id).await.unwrap();
    assert_eq!(counts(jobs).await, [2, 1, 1, 0], "ready, delayed, running, dead");
    jobs.succeed(&running.lease, &result()).await.unwrap();
    assert_eq!(counts(jobs).await, [2, 1, 0, 0]);
    // A job whose worker was lost needs one again: it counts as running until another one has it.
    database.where_leases_expire_at_once().claim(&worker()).await.unwrap().expect("one is due");
    assert_eq!(counts(jobs).await, [1, 1, 1, 0]);
}

async fn jobs_are_counted_by_priority(database: &Database) {
    let jobs = &database.jobs;
    for (priority, count) in [(Priority::Low, 1), (Priority::High, 2)] {
        for _ in 0..count {
            jobs.submit(JobSpec { priority, ..spec() }).await.unwrap();
        }
    }
    jobs.claim(&worker()).await.unwrap().expect("one is due");
    let stats = stats(jobs).await;
    let of = |state| Priority::ALL.map(|priority| stats.count_of(state, priority));
    assert_eq!((of(QueueState::Ready), of(QueueState::Running)), ([1, 0, 1], [0, 0, 1]));
}

async fn the_oldest_is_the_one_that_could_have_been_started_first(database: &Database) {
    let jobs = &database.jobs;
    let asked = Instant::now();
    let first = claimed(jobs).await;
    assert_eq!(stats(jobs).await.oldest_ready, Duration::ZERO, "none waits");
    jobs.succeed(&first.lease, &result()).await.unwrap();

    let before_retry = Instant::now();
    jobs.retry(first.id, None).await.unwrap();
    let retried = stats(jobs).await.oldest_ready;
    assert!(retried > Duration::ZERO && retried <= before_retry.elapsed(), "{retried:?}");

    let lease = jobs.claim(&worker()).await.unwrap().expect("due").lease;
    jobs.requeue(&lease, &failure(), Duration::from_hours(1)).await.unwrap();
    assert_eq!(stats(jobs).await.oldest_ready, Duration::ZERO, "it could not be started yet");
    jobs.submit(spec()).await.unwrap();
    let second = stats(jobs).await.oldest_ready;
    assert!(second > Duration::ZERO && second < asked.elapsed(), "{second:?}");
}

async fn jobs_that_were_given_up_count_until_they_are_run_again_or_deleted(database: &Database) {
    let (jobs, losing) = (&database.jobs, database.where_leases_expire_at_once());
    let mut given_up = Vec::new();
    for _ in 0..2 {
        given_up.push(claimed(&losing).await.id);
        for _ in 1..3 {
            losing.claim(&worker()).await.unwrap().expect("another worker may try");
        }
        losing.sweep().await.unwrap();
    }
    // Other failures end jobs, too; nobody gave those up.
    let failed = claimed(jobs).await.lease;
    jobs.fail(&failed, &failure()).await.unwrap();
    assert_eq!(counts(jobs).await, [0, 0, 0, 2]);
    jobs.retry(given_up[0], None).await.unwrap();
    assert_eq!(counts(jobs).await, [1, 0, 0, 1]);
    jobs.purge(None, given_up[1]).await.unwrap();
    assert_eq!(counts(jobs).await, [1, 0, 0, 0]);
}

async fn workers_count_while_they_live(database: &Database) {
    let (jobs, dying) = (&database.jobs, database.where_leases_expire_at_once());
    let workers = async || {
        let stats = stats(jobs).await;
        (stats.workers, stats.slots)
    };
    let (first, second) = (WorkerId::new("first"), WorkerId::new("second"));
    jobs.note_worker(&first, 3).await.unwrap();
    jobs.note_worker(&second, 5).await.unwrap();
    assert_eq!(workers().await, (2, 8));
    jobs.note_worker(&first, 4).await.unwrap();
    assert_eq!(workers().await, (2, 9), "seen again, with another number of slots");
    jobs.note_worker_gone(&second).await.unwrap();
    jobs.note_worker_gone(&WorkerId::new("unknown")).await.unwrap();
    assert_eq!(workers().await, (1, 4));
    dying.note_worker(&first, 4).await.unwrap();
    assert_eq!(workers().await, (0, 0), "its time has run out");
    jobs.note_worker(&first, 4).await.unwrap();
    assert_eq!(workers().await, (1, 4), "it was only silent");
}

async fn a_message_that_can_be_sent_wants_a_worker(database: &Database) {
    let jobs = &database.jobs;
    let (webhook, _) = register(jobs, &[EventKind::JobCanceled]).await;
    let wanted = async || stats(jobs).await.desired_workers();
    assert_eq!(wanted().await, 0);
    jobs.test_webhook(None, webhook.id).await.unwrap();
    assert_eq!(wanted().await, 1);
    let sent = claim_one(jobs).await;
    finish(jobs, &sent, RETRY_LATER).await.unwrap();
    assert_eq!(wanted().await, 0, "it is not due");
    jobs.redeliver(None, sent.lease.delivery_id()).await.unwrap();
    assert_eq!(wanted().await, 1);
    let change = WebhookChange { is_enabled: Some(false), ..WebhookChange::default() };
    jobs.change_webhook(None, webhook.id, &change).await.unwrap();
    assert_eq!(wanted().await, 0, "nobody wants it now");
}

async fn the_last_worker_is_remembered(database: &Database) {
    let jobs = &database.jobs;
    for _ in 0..6 {
        jobs.submit(spec()).await.unwrap();
    }
    assert_eq!(stats(jobs).await.desired_workers(), 2, "no worker was ever seen: four slots each");
    for (name, slots, hours) in [("first", 1, 3), ("second", 2, 2)] {
        jobs.note_worker(&WorkerId::new(name), slots).await.unwrap();
        ended(database, name, hours).await;
    }
    assert_eq!(stats(jobs).await.desired_workers(), 3, "the last one had two slots");
    jobs.sweep().await.unwrap();
    assert_eq!(known(database).await, ["second"], "another one was there after the first");
    assert_eq!(stats(jobs).await.desired_workers(), 3);
    jobs.note_worker(&WorkerId::new("third"), 6).await.unwrap();
    jobs.sweep().await.unwrap();
    assert_eq!((known(database).await, stats(jobs).await.desired_workers()), (vec!["third".to_owned()], 1));
}

/// Makes a worker one that ended hours ago.
async fn ended(database: &Database, name: &str, hours: i64) {
    let (sql, at) = ("UPDATE workers SET alive_until = $1 WHERE id = $2", Utc::now() - TimeDelta::hours(hours));
    if database.url().starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(database.url()).await.unwrap();
        sqlx::query(sql).bind(at).bind(name).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        sqlx::query(sql).bind(at).bind(name).execute(&mut connection).await.unwrap();
    }
}

/// The workers that are not forgotten.
async fn known(database: &Database) -> Vec<String> {
    let sql = "SELECT id FROM workers ORDER BY id";
    if database.url().starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(database.url()).await.unwrap();
        sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
    } else {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
    }
}
