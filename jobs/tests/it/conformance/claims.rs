//! A job has one worker at a time.

use std::collections::HashSet;
use std::time::Duration;

use domain::{JobId, JobStatus};
use jobs::{EventKind, Requeued, WorkerId};

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, spec, worker};

on_every_database![
    sixteen_workers_claim_each_of_a_thousand_jobs_once,
    claims_the_job_that_waited_longest,
    counts_the_attempt_before_any_work,
    leaves_a_retry_alone_until_it_is_due,
    a_ring_ends_the_wait,
];

async fn sixteen_workers_claim_each_of_a_thousand_jobs_once(database: &Database) {
    const JOBS: usize = 1_000;
    let mut submitted = HashSet::new();
    for _ in 0..JOBS {
        submitted.insert(database.jobs.submit(spec()).await.unwrap().id);
    }
    let workers = (0..16).map(|number| {
        let jobs = database.jobs.clone();
        tokio::spawn(async move {
            let worker = WorkerId::new(format!("worker-{number}"));
            let mut mine: Vec<JobId> = Vec::new();
            while let Some(job) = jobs.claim(&worker).await.unwrap() {
                mine.push(job.id);
            }
            mine
        })
    });
    let claimed: Vec<JobId> = futures::future::join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(claimed.len(), JOBS);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), submitted);
}

async fn claims_the_job_that_waited_longest(database: &Database) {
    let first = database.jobs.submit(spec()).await.unwrap();
    let second = database.jobs.submit(spec()).await.unwrap();
    assert_eq!(database.jobs.claim(&worker()).await.unwrap().unwrap().id, first.id);
    assert_eq!(database.jobs.claim(&worker()).await.unwrap().unwrap().id, second.id);
    assert!(database.jobs.claim(&worker()).await.unwrap().is_none());
}

async fn counts_the_attempt_before_any_work(database: &Database) {
    let claimed = claimed(&database.jobs).await;
    assert_eq!((claimed.attempt, claimed.lease.epoch(), claimed.spec), (1, 1, spec()));
    let job = database.jobs.get(claimed.id).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempt, job.max_attempts), (JobStatus::Running, 1, 3));
    assert!(job.started_at.unwrap() >= job.created_at);
    let events = database.jobs.events(claimed.id, 1).await.unwrap();
    assert_eq!(events[0].kind, EventKind::JobStarted);
    assert_eq!(events[0].data["worker"], worker().as_str());
}

async fn leaves_a_retry_alone_until_it_is_due(database: &Database) {
    let jobs = &database.jobs;
    let first = claimed(jobs).await;
    let requeued = jobs.requeue(&first.lease, &failure(), Duration::from_hours(1)).await.unwrap();
    assert_eq!(requeued, Requeued::Retrying);
    assert!(jobs.claim(&worker()).await.unwrap().is_none());
    let job = jobs.get(first.id).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempt), (JobStatus::Queued, 1));
    assert!(job.next_attempt_at.unwrap() > job.started_at.unwrap() + Duration::from_secs(3_500));

    let second = claimed(jobs).await;
    jobs.requeue(&second.lease, &failure(), Duration::ZERO).await.unwrap();
    let again = jobs.claim(&worker()).await.unwrap().unwrap();
    assert_eq!((again.id, again.attempt, again.lease.epoch()), (second.id, 2, 2));
}

async fn a_ring_ends_the_wait(database: &Database) {
    let hour = Duration::from_hours(1);
    let (waiting, ringing) = (database.jobs.clone(), database.jobs.clone());
    let wait = tokio::spawn(async move { waiting.wait(hour).await });
    ringing.submit(spec()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the submission rings").unwrap();
}
