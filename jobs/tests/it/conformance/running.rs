//! No owner runs more jobs at a time than its limit, nobody waits for one who is at it, and nobody gains by it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::{Cost, JobId, JobSpec, JobStatus, Priority};
use futures::future::join_all;
use jobs::{JobQuery, Jobs, Lease, NewJob, Policy, Quota, Requeued, Retrial, Retry};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::database::{Database, on_every_database, on_postgres};
use crate::sample::{failure, result, spec, worker};

on_every_database![
    what_is_beyond_the_limit_waits_for_an_end,
    every_way_out_of_running_makes_room,
    others_pass_an_owner_that_is_at_its_limit,
    the_most_urgent_job_gets_the_room,
    a_job_goes_by_the_limit_it_came_with,
    a_retry_goes_by_the_limit_it_comes_with,
    a_job_of_a_lost_worker_needs_no_room,
    who_comes_new_does_not_pass_those_who_waited,
    an_owner_at_its_limit_is_not_put_behind_all_who_come_new,
    nobody_is_woken_for_what_has_no_room,
    claims_at_the_same_moment_keep_to_the_limit,
];

fn job(owner: &str, running_jobs: u64) -> NewJob {
    NewJob { owner: Some(owner.to_owned()), quota: Some(quota(running_jobs)), ..NewJob::from(spec()) }
}

fn quota(running_jobs: u64) -> Quota {
    Quota { queued_jobs: 0, running_jobs, jobs_per_day: 0, cost_per_day: Cost::ZERO }
}

async fn submit(jobs: &Jobs, owner: &str, running_jobs: u64) -> JobId {
    jobs.submit(job(owner, running_jobs)).await.unwrap().id
}

async fn submit_many<const COUNT: usize>(jobs: &Jobs, owner: &str, running_jobs: u64) -> [JobId; COUNT] {
    let mut ids = Vec::new();
    for _ in 0..COUNT {
        ids.push(submit(jobs, owner, running_jobs).await);
    }
    ids.try_into().unwrap()
}

async fn next(jobs: &Jobs) -> Option<Lease> {
    jobs.claim(&worker()).await.unwrap().map(|claimed| claimed.lease)
}

async fn next_id(jobs: &Jobs) -> Option<JobId> {
    next(jobs).await.map(|lease| lease.job_id())
}

async fn end(jobs: &Jobs, lease: &Lease) {
    jobs.succeed(lease, &result()).await.unwrap();
}

async fn what_is_beyond_the_limit_waits_for_an_end(database: &Database) {
    let jobs = &database.jobs;
    let ids: [_; 4] = submit_many(jobs, "a", 2).await;
    let (first, second) = (next(jobs).await.unwrap(), next(jobs).await.unwrap());
    assert_eq!(next_id(jobs).await, None);
    assert_eq!(next_id(&database.reopen().await).await, None, "it holds for all processes");
    assert_eq!(jobs.get(ids[2]).await.unwrap().unwrap().status, JobStatus::Queued);
    end(jobs, &second).await;
    assert_eq!(next_id(jobs).await, Some(ids[2]));
    assert_eq!(next_id(jobs).await, None);
    end(jobs, &first).await;
    assert_eq!(next_id(jobs).await, Some(ids[3]));
}

async fn every_way_out_of_running_makes_room(database: &Database) {
    let jobs = &database.jobs;
    let [first, second, third, fourth, fifth, last] = submit_many(jobs, "a", 1).await;
    let lease = next(jobs).await.unwrap();
    jobs.release(&lease).await.unwrap();
    let lease = next(jobs).await.unwrap();
    assert_eq!(lease.job_id(), first, "one that was handed back goes on");
    jobs.requeue(&lease, &failure(), Duration::from_hours(1)).await.unwrap();
    let lease = next(jobs).await.unwrap();
    assert_eq!(lease.job_id(), second);
    jobs.postpone(&lease, &failure(), Duration::from_hours(1)).await.unwrap();
    let lease = next(jobs).await.unwrap();
    assert_eq!(lease.job_id(), third);
    jobs.fail(&lease, &failure()).await.unwrap();
    let lease = next(jobs).await.unwrap();
    assert_eq!(lease.job_id(), fourth);
    jobs.cancel(fourth).await.unwrap();
    assert_eq!(next_id(jobs).await, None, "it runs until its worker has stopped");
    jobs.confirm_cancel(&lease).await.unwrap();
    assert_eq!(next_id(jobs).await, Some(fifth));
    jobs.purge(Some("a"), fifth).await.unwrap();
    assert_eq!(next_id(jobs).await, Some(last));
    assert_eq!(next_id(jobs).await, None);
}

async fn others_pass_an_owner_that_is_at_its_limit(database: &Database) {
    let jobs = &database.jobs;
    let many: [_; 200] = submit_many(jobs, "many", 1).await;
    let others: [_; 3] = [submit(jobs, "b", 0).await, submit(jobs, "c", 1).await, submit(jobs, "b", 0).await];
    let lease = next(jobs).await.unwrap();
    assert_eq!(lease.job_id(), many[0]);
    assert_eq!([next_id(jobs).await, next_id(jobs).await, next_id(jobs).await], others.map(Some));
    assert_eq!(next_id(jobs).await, None);
    end(jobs, &lease).await;
    assert_eq!(next_id(jobs).await, Some(many[1]));
}

async fn the_most_urgent_job_gets_the_room(database: &Database) {
    let jobs = &database.jobs;
    let [_, second, third] = submit_many(jobs, "a", 1).await;
    let lease = next(jobs).await.unwrap();
    let spec = JobSpec { priority: Priority::High, ..spec() };
    let urgent = jobs.submit(NewJob { spec, ..job("a", 1) }).await.unwrap().id;
    let other = submit(jobs, "b", 0).await;
    end(jobs, &lease).await;
    let lease = next(jobs).await.unwrap();
    assert_eq!((lease.job_id(), next_id(jobs).await), (urgent, Some(other)));
    end(jobs, &lease).await;
    let lease = next(jobs).await.unwrap();
    end(jobs, &lease).await;
    assert_eq!((lease.job_id(), next_id(jobs).await), (second, Some(third)));
}

async fn a_job_goes_by_the_limit_it_came_with(database: &Database) {
    let jobs = &database.jobs;
    let [first, last] = submit_many(jobs, "a", 1).await;
    let two: [_; 2] = submit_many(jobs, "a", 2).await;
    let unbounded = submit(jobs, "a", 0).await;
    let mut leases = HashMap::new();
    for expected in [first, two[0], unbounded] {
        let lease = next(jobs).await.unwrap();
        assert_eq!(lease.job_id(), expected);
        leases.insert(expected, lease);
    }
    for (ended, expected) in [(first, None), (unbounded, Some(two[1])), (two[0], None)] {
        end(jobs, &leases[&ended]).await;
        assert_eq!(next_id(jobs).await, expected, "all the owner's running jobs count, whatever they came with");
    }
    jobs.purge(Some("a"), two[1]).await.unwrap();
    assert_eq!(next_id(jobs).await, Some(last));
}

async fn a_retry_goes_by_the_limit_it_comes_with(database: &Database) {
    let jobs = &database.jobs;
    let [first, second] = submit_many(jobs, "a", 1).await;
    for id in [first, second] {
        let lease = next(jobs).await.unwrap();
        assert_eq!(lease.job_id(), id);
        end(jobs, &lease).await;
    }
    for (id, quota) in [(first, None), (second, Some(&quota(1)))] {
        assert_eq!(jobs.retry(id, Retry { quota, ..Retry::default() }).await.unwrap(), Retrial::Queued);
    }
    let third = submit(jobs, "a", 2).await;
    assert_eq!([next_id(jobs).await, next_id(jobs).await, next_id(jobs).await], [Some(first), Some(third), None]);
    let fourth = submit(jobs, "a", 1).await;
    jobs.cancel(fourth).await.unwrap();
    jobs.retry(fourth, Retry::default()).await.unwrap();
    assert_eq!(next_id(jobs).await, Some(fourth), "without a quota there is no limit");
}

async fn a_job_of_a_lost_worker_needs_no_room(database: &Database) {
    let jobs = &database.jobs.clone().with_policy(Policy { contact: Duration::ZERO, ..Policy::default() });
    let (bounded, unbounded) = (submit(jobs, "a", 1).await, submit(jobs, "a", 0).await);
    assert_eq!([next_id(jobs).await, next_id(jobs).await], [Some(bounded), Some(unbounded)]);
    submit(jobs, "a", 1).await;
    assert_eq!(next_id(jobs).await, None);
    jobs.expire_leases().await.unwrap();
    let mut again = Vec::new();
    while let Some(claimed) = jobs.claim(&worker()).await.unwrap() {
        again.push((claimed.id, claimed.rescues));
    }
    again.sort_unstable();
    assert_eq!(again, [(bounded, 1), (unbounded, 1)], "one more than the limit ran before, and runs on");
}

async fn who_comes_new_does_not_pass_those_who_waited(database: &Database) {
    let jobs = &database.jobs;
    submit_many::<5>(jobs, "full", 1).await;
    next(jobs).await.unwrap();
    let waiting: [_; 20] = submit_many(jobs, "waiting", 0).await;
    for id in &waiting[..10] {
        assert_eq!(next_id(jobs).await, Some(*id));
    }
    let new: [_; 2] = submit_many(jobs, "new", 0).await;
    for id in [waiting[10], new[0], waiting[11], new[1], waiting[12]] {
        assert_eq!(next_id(jobs).await, Some(id));
    }
}

async fn an_owner_at_its_limit_is_not_put_behind_all_who_come_new(database: &Database) {
    let jobs = &database.jobs;
    let ids: [_; 12] = submit_many(jobs, "a", 1).await;
    for _ in &ids[..6] {
        end(jobs, &next(jobs).await.unwrap()).await;
    }
    let lease = next(jobs).await.unwrap();
    let new: [_; 12] = submit_many(jobs, "b", 0).await;
    assert_eq!(next_id(jobs).await, Some(new[0]));
    end(jobs, &lease).await;
    assert_eq!([next_id(jobs).await, next_id(jobs).await], [Some(ids[7]), Some(new[1])]);
}

async fn nobody_is_woken_for_what_has_no_room(database: &Database) {
    let jobs = &database.jobs;
    submit_many::<3>(jobs, "a", 1).await;
    assert_eq!(jobs.sweep().await.unwrap().due, 3);
    let lease = next(jobs).await.unwrap();
    submit(jobs, "b", 0).await;
    assert_eq!(jobs.sweep().await.unwrap().due, 1);
    assert_eq!(jobs.requeue(&lease, &failure(), Duration::from_hours(1)).await.unwrap(), Requeued::Retrying);
    assert_eq!(jobs.sweep().await.unwrap().due, 3, "the others of the owner are due again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_waits_for_another_one_only_when_there_is_nothing_else() {
    on_postgres(async |database| {
        let (jobs, owner) = (&database.jobs, Uuid::now_v7().to_string());
        let [first, second] = submit_many(jobs, &owner, 2).await;
        let other = submit(jobs, "b", 0).await;
        assert_eq!(next_id(jobs).await, Some(first));
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        let mut claiming = connection.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('running ' || $1, 0))")
            .bind(&owner)
            .execute(&mut *claiming)
            .await
            .unwrap();
        assert_eq!(next_id(jobs).await, Some(other));
        let release = async {
            while !is_waited_for(&mut claiming, &owner).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            claiming.rollback().await.unwrap();
        };
        let (claimed, ()) = tokio::join!(next_id(jobs), release);
        assert_eq!(claimed, Some(second));
    })
    .await;
}

/// Whether somebody waits for the right to count the owner's running jobs.
async fn is_waited_for(connection: &mut PgConnection, owner: &str) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM pg_locks
             WHERE locktype = 'advisory' AND NOT granted
               AND (classid::bigint << 32) | objid::bigint = hashtextextended('running ' || $1, 0))",
    )
    .bind(owner)
    .fetch_one(connection)
    .await
    .unwrap()
}

/// Owners with the most that each may run at a time. The last one has no limit.
const OWNERS: [(&str, usize); 4] = [("one", 1), ("two", 2), ("five", 5), ("unbounded", 0)];

async fn claims_at_the_same_moment_keep_to_the_limit(database: &Database) {
    const JOBS: usize = 160;
    const CLAIMERS: usize = 12;
    for number in 0..JOBS {
        let (owner, limit) = OWNERS[number % OWNERS.len()];
        submit(&database.jobs, owner, limit.try_into().unwrap()).await;
    }
    let processes = [database.jobs.clone(), database.reopen().await];
    let ended = AtomicUsize::new(0);
    let work = async |jobs: &Jobs| {
        while ended.load(Ordering::SeqCst) < JOBS {
            let Some(lease) = next(jobs).await else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            check_running(jobs).await;
            end(jobs, &lease).await;
            ended.fetch_add(1, Ordering::SeqCst);
        }
    };
    let workers = (0..CLAIMERS).map(|number| work(&processes[number % processes.len()]));
    tokio::time::timeout(Duration::from_mins(1), join_all(workers)).await.expect("all jobs end");
    assert_eq!(ended.into_inner(), JOBS);
}

/// Reads at one moment how many jobs of each owner run.
async fn check_running(jobs: &Jobs) {
    let running = JobQuery { statuses: vec![JobStatus::Running], limit: 100, ..JobQuery::default() };
    for (owner, limit) in OWNERS {
        let page = jobs.list(&JobQuery { owner: Some(owner.to_owned()), ..running.clone() }).await.unwrap();
        assert!(limit == 0 || page.jobs.len() <= limit, "{} jobs of {owner} run", page.jobs.len());
    }
}
