//! The traces of a job's requests and attempts are kept for whoever goes on with it.

use std::time::Duration;

use jobs::{ClaimedJob, NewJob, Retrial, Retry};

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, result, spec, worker};

on_every_database![
    the_first_attempt_learns_the_trace_of_the_request,
    later_attempts_learn_the_trace_of_the_one_before,
    who_takes_over_learns_the_trace_of_the_lost_attempt,
    a_retry_is_a_request_of_its_own,
];

fn request() -> NewJob {
    NewJob { trace_context: Some("request".to_owned()), ..NewJob::from(spec()) }
}

fn traces(job: &ClaimedJob) -> (Option<&str>, Option<&str>) {
    (job.trace_context.as_deref(), job.last_attempt_trace_context.as_deref())
}

async fn the_first_attempt_learns_the_trace_of_the_request(database: &Database) {
    let jobs = &database.jobs;
    let job = jobs.submit(request()).await.unwrap();
    assert_eq!(job.trace_context.as_deref(), Some("request"));
    assert_eq!(jobs.get(job.id).await.unwrap().unwrap(), job);
    let attempt = jobs.claim(&worker()).await.unwrap().unwrap();
    assert_eq!(traces(&attempt), (Some("request"), None));
    jobs.succeed(&attempt.lease, &result()).await.unwrap();
    assert_eq!(traces(&claimed(jobs).await), (None, None), "nobody traces it");
}

async fn later_attempts_learn_the_trace_of_the_one_before(database: &Database) {
    let jobs = &database.jobs;
    let id = jobs.submit(request()).await.unwrap().id;
    let version = jobs.get(id).await.unwrap().unwrap().version;
    for (before, attempt) in [(None, "first"), (Some("first"), "second")] {
        let claim = jobs.claim(&worker()).await.unwrap().unwrap();
        assert_eq!(traces(&claim), (Some("request"), before));
        jobs.note_attempt_trace(&claim.lease, attempt).await.unwrap();
        jobs.requeue(&claim.lease, &failure(), Duration::ZERO).await.unwrap();
    }
    let events = u64::try_from(jobs.events(id, version).await.unwrap().len()).unwrap();
    assert_eq!(jobs.get(id).await.unwrap().unwrap().version, version + events, "a note is no event");
}

async fn who_takes_over_learns_the_trace_of_the_lost_attempt(database: &Database) {
    let jobs = database.where_leases_expire_at_once();
    jobs.submit(request()).await.unwrap();
    let lost = jobs.claim(&worker()).await.unwrap().unwrap();
    jobs.note_attempt_trace(&lost.lease, "lost").await.unwrap();
    let rescue = jobs.claim(&worker()).await.unwrap().expect("the lease has run out");
    assert_eq!((rescue.attempt, traces(&rescue)), (1, (Some("request"), Some("lost"))));
}

async fn a_retry_is_a_request_of_its_own(database: &Database) {
    let jobs = &database.jobs;
    let id = jobs.submit(request()).await.unwrap().id;
    let attempt = jobs.claim(&worker()).await.unwrap().unwrap();
    jobs.note_attempt_trace(&attempt.lease, "attempt").await.unwrap();
    jobs.fail(&attempt.lease, &failure()).await.unwrap();
    let traced = |trace_context| Retry { trace_context: Some(trace_context), ..Retry::default() };
    assert_eq!(jobs.retry(id, traced("retry")).await.unwrap(), Retrial::Queued);
    assert_eq!(jobs.retry(id, traced("again")).await.unwrap(), Retrial::AlreadyRetried);
    assert_eq!(jobs.get(id).await.unwrap().unwrap().trace_context.as_deref(), Some("retry"));
    assert_eq!(traces(&jobs.claim(&worker()).await.unwrap().unwrap()), (Some("retry"), None));
}
