//! Finding jobs.

use std::collections::BTreeMap;

use domain::{JobId, JobSpec, JobStatus, RepoUrl};
use jobs::{JobPlace, JobQuery, Jobs, NewJob};

use crate::database::{Database, on_every_database};
use crate::sample::{spec, worker};

on_every_database![
    the_newest_comes_first_and_pages_are_stable,
    each_filter_narrows_the_list,
    an_owner_sees_only_its_own,
    what_was_forgotten_is_not_listed,
];

fn all() -> JobQuery {
    JobQuery { limit: 100, ..JobQuery::default() }
}

async fn ids(jobs: &Jobs, query: JobQuery) -> Vec<JobId> {
    jobs.list(&query).await.unwrap().jobs.into_iter().map(|job| job.id).collect()
}

async fn submit(jobs: &Jobs) -> JobId {
    jobs.submit(spec()).await.unwrap().id
}

async fn the_newest_comes_first_and_pages_are_stable(database: &Database) {
    let jobs = &database.jobs;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.insert(0, submit(jobs).await);
    }
    let (mut seen, mut after): (Vec<JobId>, Option<JobPlace>) = (Vec::new(), None);
    loop {
        let page = jobs.list(&JobQuery { limit: 3, after, ..JobQuery::default() }).await.unwrap();
        assert!(page.jobs.len() <= 3);
        seen.extend(page.jobs.iter().map(|job| job.id));
        // What comes meanwhile moves nothing.
        submit(jobs).await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
    let page = jobs.list(&JobQuery { limit: 10, ..JobQuery::default() }).await.unwrap();
    assert_eq!((page.jobs.len(), page.next), (10, None));
    assert_eq!(jobs.get(page.jobs[0].id).await.unwrap().as_ref(), Some(&page.jobs[0]));
}

async fn each_filter_narrows_the_list(database: &Database) {
    let jobs = &database.jobs;
    let other_url = RepoUrl::parse("https://example.com/c/d").unwrap();
    let metadata = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let first = submit(jobs).await;
    jobs.claim(&worker()).await.unwrap().unwrap();
    let elsewhere = jobs.submit(JobSpec { repo_url: other_url.clone(), ..spec() }).await.unwrap();
    let tagged = JobSpec { metadata: metadata(&[("team", "blue"), ("ticket", "a\"b, größe")]), ..spec() };
    let tagged = jobs.submit(tagged).await.unwrap();
    let half_tagged = jobs.submit(JobSpec { metadata: metadata(&[("team", "blue")]), ..spec() }).await.unwrap();
    jobs.cancel(half_tagged.id).await.unwrap();

    let statuses = |statuses: &[JobStatus]| JobQuery { statuses: statuses.to_vec(), ..all() };
    assert_eq!(ids(jobs, statuses(&[JobStatus::Running])).await, [first]);
    assert_eq!(ids(jobs, statuses(&[JobStatus::Canceled, JobStatus::Running])).await, [half_tagged.id, first]);
    assert_eq!(ids(jobs, statuses(&[JobStatus::Failed])).await, []);
    assert_eq!(ids(jobs, JobQuery { repo_url: Some(other_url), ..all() }).await, [elsewhere.id]);
    let (after, before) = (Some(elsewhere.created_at), Some(tagged.created_at));
    assert_eq!(ids(jobs, JobQuery { created_after: after, ..all() }).await, [half_tagged.id, tagged.id]);
    assert_eq!(ids(jobs, JobQuery { created_before: before, ..all() }).await, [elsewhere.id, first]);
    let having = |pairs: &[(&str, &str)]| JobQuery { metadata: metadata(pairs).into_iter().collect(), ..all() };
    assert_eq!(ids(jobs, having(&[("team", "blue")])).await, [half_tagged.id, tagged.id]);
    assert_eq!(ids(jobs, having(&[("team", "blue"), ("ticket", "a\"b, größe")])).await, [tagged.id]);
    assert_eq!(ids(jobs, having(&[("team", "red")])).await, []);
    let together = JobQuery { created_after: after, ..statuses(&[JobStatus::Queued]) };
    assert_eq!(ids(jobs, together).await, [tagged.id]);
}

async fn an_owner_sees_only_its_own(database: &Database) {
    let jobs = &database.jobs;
    let submit_for = async |owner: &str| {
        jobs.submit(NewJob { owner: Some(owner.to_owned()), ..NewJob::from(spec()) }).await.unwrap().id
    };
    let (annas, bens, nobodys) = (submit_for("anna").await, submit_for("ben").await, submit(jobs).await);
    assert_eq!(ids(jobs, JobQuery { owner: Some("anna".to_owned()), ..all() }).await, [annas]);
    assert_eq!(ids(jobs, all()).await, [nobodys, bens, annas]);
}

async fn what_was_forgotten_is_not_listed(database: &Database) {
    let (kept, forgotten) = (submit(&database.jobs).await, submit(&database.jobs).await);
    database.jobs.purge(None, forgotten).await.unwrap();
    assert_eq!(ids(&database.jobs, all()).await, [kept]);
}
