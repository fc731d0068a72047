//! No owner gets more than its quota, whichever processes count.

use domain::{Cost, JobStatus, StageKind};
use futures::future::join_all;
use jobs::{Job, NewJob, Policy, Quota, QuotaBound, Retrial, Retry, StoreError};

use crate::database::{Database, on_every_database};
use crate::sample::{reservation, result, settlement, spec, worker};

on_every_database![
    jobs_of_a_day_are_counted_for_each_owner,
    two_processes_do_not_both_take_the_last_place,
    only_waiting_jobs_count_as_queued,
    what_jobs_cost_counts_against_the_day,
    a_retry_is_no_new_job_but_needs_room,
    what_was_refused_is_not_there_and_not_counted,
    there_is_a_bound_for_all_owners_together,
];

const UNBOUNDED: Quota = Quota { queued_jobs: 0, running_jobs: 0, jobs_per_day: 0, cost_per_day: Cost::ZERO };

fn job(owner: &str, quota: Quota) -> NewJob {
    NewJob { owner: Some(owner.to_owned()), quota: Some(quota), ..NewJob::from(spec()) }
}

/// The bound that kept a job out.
fn bound(submitted: Result<Job, StoreError>) -> Option<QuotaBound> {
    match submitted {
        Ok(_) => None,
        Err(StoreError::QuotaExceeded(exceeded)) => {
            assert!(exceeded.retry_after.as_secs() > 0);
            Some(exceeded.bound)
        }
        Err(error) => panic!("{error}"),
    }
}

async fn jobs_of_a_day_are_counted_for_each_owner(database: &Database) {
    let jobs = &database.jobs;
    let quota = Quota { jobs_per_day: 2, ..UNBOUNDED };
    for expected in [None, None, Some(QuotaBound::JobsPerDay(2)), Some(QuotaBound::JobsPerDay(2))] {
        assert_eq!(bound(jobs.submit(job("a", quota)).await), expected);
    }
    assert_eq!(bound(jobs.submit(job("b", quota)).await), None);
    assert_eq!(bound(jobs.submit(job("a", Quota { jobs_per_day: 3, ..quota })).await), None, "a key may have more");
    assert_eq!(bound(jobs.submit(job("a", UNBOUNDED)).await), None);
}

async fn two_processes_do_not_both_take_the_last_place(database: &Database) {
    for quota in [Quota { jobs_per_day: 10, ..UNBOUNDED }, Quota { queued_jobs: 10, ..UNBOUNDED }] {
        let owner = format!("{quota:?}");
        let processes = [database.jobs.clone(), database.reopen().await];
        let submissions = (0..40).map(|number| {
            let (jobs, job) = (processes[number % 2].clone(), job(&owner, quota));
            tokio::spawn(async move { jobs.submit(job).await })
        });
        let submitted = join_all(submissions).await.into_iter().map(|joined| bound(joined.unwrap()));
        assert_eq!(submitted.filter(Option::is_none).count(), 10, "{owner}");
    }
}

async fn only_waiting_jobs_count_as_queued(database: &Database) {
    let jobs = &database.jobs;
    let quota = Quota { queued_jobs: 1, ..UNBOUNDED };
    assert_eq!(bound(jobs.submit(job("a", quota)).await), None);
    assert_eq!(bound(jobs.submit(job("a", quota)).await), Some(QuotaBound::QueuedJobs(1)));
    jobs.claim(&worker()).await.unwrap().unwrap();
    assert_eq!(bound(jobs.submit(job("a", quota)).await), None);
}

async fn what_jobs_cost_counts_against_the_day(database: &Database) {
    let jobs = &database.jobs;
    let quota = Quota { cost_per_day: Cost::from_nanos(1_000), ..UNBOUNDED };
    assert_eq!(bound(jobs.submit(job("a", quota)).await), None);
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    for (turn, cost_nanos, expected) in [(0, 999, None), (1, 1, Some(QuotaBound::CostPerDay(quota.cost_per_day)))] {
        let call = reservation(StageKind::Plan, turn, 5_000);
        jobs.reserve_call(&lease, &call).await.unwrap();
        jobs.settle_call(&lease, &settlement(&call, cost_nanos)).await.unwrap();
        jobs.settle_call(&lease, &settlement(&call, cost_nanos)).await.unwrap();
        assert_eq!(bound(jobs.submit(job("a", quota)).await), expected, "a second settlement adds nothing");
    }
    assert_eq!(bound(jobs.submit(job("b", quota)).await), None);
}

async fn a_retry_is_no_new_job_but_needs_room(database: &Database) {
    let jobs = &database.jobs;
    let quota = Quota { queued_jobs: 1, jobs_per_day: 1, ..UNBOUNDED };
    let id = jobs.submit(job("a", quota)).await.unwrap().id;
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    jobs.succeed(&lease, &result()).await.unwrap();
    let waiting = jobs.submit(job("a", UNBOUNDED)).await.unwrap();
    let refused = jobs.retry(id, Retry { quota: Some(&quota), ..Retry::default() }).await;
    assert!(matches!(refused, Err(StoreError::QuotaExceeded(_))), "{refused:?}");
    assert_eq!(jobs.get(id).await.unwrap().unwrap().status, JobStatus::Succeeded);
    jobs.cancel(waiting.id).await.unwrap();
    assert_eq!(jobs.retry(id, Retry { quota: Some(&quota), ..Retry::default() }).await.unwrap(), Retrial::Queued);
    assert_eq!(
        jobs.retry(id, Retry { quota: Some(&quota), ..Retry::default() }).await.unwrap(),
        Retrial::AlreadyRetried
    );
}

async fn what_was_refused_is_not_there_and_not_counted(database: &Database) {
    let jobs = &database.jobs;
    let quota = Quota { queued_jobs: 1, jobs_per_day: 2, ..UNBOUNDED };
    let first = jobs.submit(job("a", quota)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(bound(jobs.submit(job("a", quota)).await), Some(QuotaBound::QueuedJobs(1)));
    }
    assert_eq!(jobs.claim(&worker()).await.unwrap().unwrap().id, first.id);
    assert!(jobs.claim(&worker()).await.unwrap().is_none());
    assert_eq!(bound(jobs.submit(job("a", quota)).await), None, "the refused ones were no jobs of the day");
}

async fn there_is_a_bound_for_all_owners_together(database: &Database) {
    let jobs = database.jobs.clone().with_policy(Policy { max_waiting_jobs: 3, ..Policy::default() });
    for owner in ["a", "b", "c"] {
        assert_eq!(bound(jobs.submit(job(owner, UNBOUNDED)).await), None);
    }
    assert_eq!(bound(jobs.submit(spec()).await), Some(QuotaBound::WaitingJobs(3)));
    let ended = jobs.claim(&worker()).await.unwrap().unwrap();
    jobs.succeed(&ended.lease, &result()).await.unwrap();
    let next = database.reopen().await.with_policy(jobs.policy());
    assert_eq!(bound(next.submit(job("d", UNBOUNDED)).await), None, "there is room again");
    let refused = jobs.retry(ended.id, None).await;
    assert!(matches!(refused, Err(StoreError::QuotaExceeded(_))), "{refused:?}");
    assert_eq!(bound(database.reopen().await.submit(spec()).await), None, "it is the policy's");
}
