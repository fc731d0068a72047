//! A request that is sent twice makes one job.

use std::time::Duration;

use domain::JobSpec;
use futures::future::join_all;
use jobs::{Idempotency, Job, Jobs, NewJob, Policy, StoreError, Submission};

use crate::database::{Database, on_every_database};
use crate::sample::{spec, worker};

on_every_database![
    the_same_request_again_is_the_job_as_it_stands,
    the_same_name_for_another_request_is_refused,
    names_of_different_owners_are_different,
    requests_at_the_same_moment_make_one_job,
    a_name_is_free_after_a_day,
    the_sweep_forgets_old_names,
    a_forgotten_job_is_not_made_anew,
];

fn name(key: &str, body: &str) -> Idempotency {
    Idempotency { key: key.to_owned(), body_sha256: body.repeat(64) }
}

async fn submit(jobs: &Jobs, key: &str, body: &str) -> Submission {
    jobs.submit_once(spec(), &name(key, body)).await.unwrap()
}

fn accepted(submission: Submission) -> Job {
    match submission {
        Submission::Accepted(job) => job,
        other => panic!("{other:?}"),
    }
}

async fn the_same_request_again_is_the_job_as_it_stands(database: &Database) {
    let jobs = &database.jobs;
    let job = accepted(submit(jobs, "k", "a").await);
    assert_eq!(jobs.get(job.id).await.unwrap(), Some(job.clone()));
    assert_eq!(submit(jobs, "k", "a").await, Submission::Replayed(job.clone()));
    jobs.claim(&worker()).await.unwrap().unwrap();
    let now = jobs.get(job.id).await.unwrap().unwrap();
    assert_eq!(submit(&database.reopen().await, "k", "a").await, Submission::Replayed(now));
    assert!(jobs.claim(&worker()).await.unwrap().is_none());
}

async fn the_same_name_for_another_request_is_refused(database: &Database) {
    let job = accepted(submit(&database.jobs, "k", "a").await);
    assert_eq!(submit(&database.jobs, "k", "b").await, Submission::KeyReused);
    assert_ne!(accepted(submit(&database.jobs, "other", "b").await).id, job.id);
    database.jobs.submit(spec()).await.unwrap();
    database.jobs.submit(spec()).await.unwrap();
}

async fn names_of_different_owners_are_different(database: &Database) {
    let jobs = &database.jobs;
    let of = async |owner: Option<&str>| {
        let job = NewJob { owner: owner.map(str::to_owned), ..NewJob::from(spec()) };
        jobs.submit_once(job, &name("k", "a")).await.unwrap()
    };
    let nobodys = accepted(of(None).await);
    let annas = accepted(of(Some("anna")).await);
    assert_ne!(nobodys.id, annas.id);
    assert_eq!(of(None).await, Submission::Replayed(nobodys));
    assert_eq!(of(Some("anna")).await, Submission::Replayed(annas));
}

async fn requests_at_the_same_moment_make_one_job(database: &Database) {
    let processes = [database.reopen().await, database.reopen().await, database.jobs.clone()];
    for round in 0..10 {
        let key = format!("round {round}");
        let submissions = join_all(processes.iter().cycle().take(9).map(|jobs| submit(jobs, &key, "a"))).await;
        let accepted: Vec<_> =
            submissions.iter().filter(|submission| matches!(submission, Submission::Accepted(_))).collect();
        assert_eq!(accepted.len(), 1, "{submissions:?}");
        let ids = submissions.iter().map(|submission| match submission {
            Submission::Accepted(job) | Submission::Replayed(job) => job.id,
            Submission::KeyReused => panic!("the request was the same"),
        });
        assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 1);
    }
}

async fn a_name_is_free_after_a_day(database: &Database) {
    let first = accepted(submit(&database.jobs, "k", "a").await);
    let a_day_later = database.jobs.clone().with_policy(Policy { idempotency: Duration::ZERO, ..Policy::default() });
    let second = accepted(submit(&a_day_later, "k", "b").await);
    assert_ne!(first.id, second.id);
    assert_eq!(submit(&database.jobs, "k", "b").await, Submission::Replayed(second));
    assert!(database.jobs.get(first.id).await.unwrap().is_some());
}

async fn the_sweep_forgets_old_names(database: &Database) {
    let first = accepted(submit(&database.jobs, "k", "a").await);
    database.jobs.sweep().await.unwrap();
    assert_eq!(submit(&database.jobs, "k", "a").await, Submission::Replayed(first.clone()));
    let a_day_later = database.jobs.clone().with_policy(Policy { idempotency: Duration::ZERO, ..Policy::default() });
    a_day_later.sweep().await.unwrap();
    assert_ne!(accepted(submit(&database.jobs, "k", "a").await).id, first.id);
}

async fn a_forgotten_job_is_not_made_anew(database: &Database) {
    let job = JobSpec { max_attempts: Some(7), ..spec() };
    let job = accepted(database.jobs.submit_once(job, &name("k", "a")).await.unwrap());
    assert_eq!(job.max_attempts, 7);
    database.jobs.purge(None, job.id).await.unwrap();
    let again = database.jobs.submit_once(spec(), &name("k", "a")).await;
    assert!(matches!(again, Err(StoreError::Purged)), "{again:?}");
}
