//! Whose job is next: owners take turns, and an owner's most urgent job takes its turn.

use std::collections::HashSet;
use std::time::Duration;

use domain::{JobId, JobSpec, Priority};
use futures::future::join_all;
use jobs::{Jobs, NewJob, Policy, Requeued};

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, spec, worker};

on_every_database![
    owners_take_turns,
    a_first_job_waits_for_one_of_an_owner_with_many,
    so_it_does_when_the_many_came_at_the_same_moment,
    an_owner_saves_no_turns_up,
    an_urgent_job_of_many_passes_its_owners_others_but_nobody_elses,
    high_goes_before_normal_before_low,
    a_job_rises_as_it_waits,
    a_retry_takes_a_turn_of_its_owner,
    retries_that_are_due_count_as_waiting,
    a_job_of_a_lost_worker_goes_first,
    workers_at_the_same_time_claim_each_job_of_every_owner_once,
];

async fn submit(jobs: &Jobs, owner: &str, priority: Priority) -> JobId {
    let job = NewJob { owner: Some(owner.to_owned()), ..NewJob::from(JobSpec { priority, ..spec() }) };
    jobs.submit(job).await.unwrap().id
}

async fn next(jobs: &Jobs) -> JobId {
    jobs.claim(&worker()).await.unwrap().unwrap().id
}

async fn owners_take_turns(database: &Database) {
    let jobs = &database.jobs;
    let mut ids = Vec::new();
    for owner in ["a", "a", "a", "b", "b", "c"] {
        ids.push(submit(jobs, owner, Priority::Normal).await);
    }
    ids.push(jobs.submit(spec()).await.unwrap().id);
    let mut order = Vec::new();
    for _ in 0..ids.len() {
        let id = next(jobs).await;
        order.push(ids.iter().position(|known| *known == id).unwrap());
    }
    assert_eq!(order, [0, 3, 5, 6, 1, 4, 2], "nobody in particular is an owner too");
}

async fn a_first_job_waits_for_one_of_an_owner_with_many(database: &Database) {
    let jobs = &database.jobs;
    for _ in 0..200 {
        submit(jobs, "many", Priority::High).await;
    }
    for _ in 0..50 {
        next(jobs).await;
    }
    let first = submit(jobs, "one", Priority::Low).await;
    next(jobs).await;
    assert_eq!(next(jobs).await, first);
}

/// Each of the submissions must see the one before.
async fn so_it_does_when_the_many_came_at_the_same_moment(database: &Database) {
    let processes = [database.jobs.clone(), database.reopen().await];
    let submissions = (0..60).map(|number| {
        let jobs = processes[number % 2].clone();
        tokio::spawn(async move { submit(&jobs, "many", Priority::High).await })
    });
    for submitted in join_all(submissions).await {
        submitted.unwrap();
    }
    let jobs = &database.jobs;
    let first = submit(jobs, "one", Priority::Low).await;
    next(jobs).await;
    assert_eq!(next(jobs).await, first);
}

async fn an_owner_saves_no_turns_up(database: &Database) {
    let jobs = &database.jobs;
    for _ in 0..20 {
        submit(jobs, "busy", Priority::Normal).await;
    }
    for _ in 0..10 {
        next(jobs).await;
    }
    let (first, second) = (submit(jobs, "late", Priority::Normal).await, submit(jobs, "late", Priority::Normal).await);
    let order = [next(jobs).await, next(jobs).await, next(jobs).await, next(jobs).await];
    assert_eq!((order[1], order[3]), (first, second));
    assert!(order[0] != second && order[2] != second);
}

async fn an_urgent_job_of_many_passes_its_owners_others_but_nobody_elses(database: &Database) {
    let jobs = &database.jobs;
    let mut a = Vec::new();
    for _ in 0..3 {
        a.push(submit(jobs, "a", Priority::Normal).await);
    }
    let b = [submit(jobs, "b", Priority::Normal).await, submit(jobs, "b", Priority::Normal).await];
    let urgent = submit(jobs, "a", Priority::High).await;
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(next(jobs).await);
    }
    assert_eq!(order, [urgent, b[0], a[0], b[1], a[1], a[2]]);
}

async fn high_goes_before_normal_before_low(database: &Database) {
    let jobs = &database.jobs;
    let mut ids = Vec::new();
    for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::Low, Priority::High] {
        ids.push(submit(jobs, "a", priority).await);
    }
    for expected in [2, 4, 1, 0, 3] {
        assert_eq!(next(jobs).await, ids[expected]);
    }
}

async fn a_job_rises_as_it_waits(database: &Database) {
    let ageing = Duration::from_micros(1);
    let jobs = database.jobs.clone().with_policy(Policy { ageing, ..Policy::default() });
    let (low, high) = (submit(&jobs, "a", Priority::Low).await, submit(&jobs, "a", Priority::High).await);
    assert_eq!([next(&jobs).await, next(&jobs).await], [low, high], "two periods have passed between them");
}

async fn a_retry_takes_a_turn_of_its_owner(database: &Database) {
    let jobs = &database.jobs;
    let first = submit(jobs, "a", Priority::Normal).await;
    let second = submit(jobs, "a", Priority::Normal).await;
    let other = submit(jobs, "b", Priority::Normal).await;
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    assert_eq!(lease.job_id(), first);
    assert_eq!(jobs.requeue(&lease, &failure(), Duration::ZERO).await.unwrap(), Requeued::Retrying);
    assert_eq!([next(jobs).await, next(jobs).await, next(jobs).await], [other, first, second]);
}

async fn retries_that_are_due_count_as_waiting(database: &Database) {
    let jobs = &database.jobs;
    let mut retried = Vec::new();
    for _ in 0..6 {
        submit(jobs, "a", Priority::Normal).await;
    }
    for _ in 0..6 {
        retried.push(jobs.claim(&worker()).await.unwrap().unwrap().lease);
    }
    for lease in &retried {
        jobs.requeue(lease, &failure(), Duration::ZERO).await.unwrap();
    }
    for _ in 0..3 {
        next(jobs).await;
    }
    let late = [submit(jobs, "b", Priority::Normal).await, submit(jobs, "b", Priority::Normal).await];
    let order = [next(jobs).await, next(jobs).await, next(jobs).await, next(jobs).await];
    assert_eq!(order, [retried[3].job_id(), late[0], retried[4].job_id(), late[1]]);
}

async fn a_job_of_a_lost_worker_goes_first(database: &Database) {
    let jobs = database.where_leases_expire_at_once();
    let lost = claimed(&jobs).await;
    submit(&jobs, "a", Priority::High).await;
    let again = jobs.claim(&worker()).await.unwrap().unwrap();
    assert_eq!((again.id, again.rescues), (lost.id, 1));
}

async fn workers_at_the_same_time_claim_each_job_of_every_owner_once(database: &Database) {
    const JOBS: usize = 300;
    let mut submitted = HashSet::new();
    for number in 0..JOBS {
        let priority = Priority::ALL[number % Priority::ALL.len()];
        submitted.insert(submit(&database.jobs, ["a", "a", "a", "b", "c"][number % 5], priority).await);
    }
    let workers = (0..8).map(|_| {
        let jobs = database.jobs.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            while let Some(job) = jobs.claim(&worker()).await.unwrap() {
                mine.push(job.id);
            }
            mine
        })
    });
    let claimed: Vec<JobId> = futures::future::join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(claimed.len(), JOBS);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), submitted);
}
