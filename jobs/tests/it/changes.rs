//! Whoever watches a job is told of every change, wherever it was made and whatever becomes of the hints.

use std::time::Duration;

use chrono::Utc;
use domain::{JobId, StageKey, StageKind};
use jobs::{LiveEvent, LiveNews, News, Watch};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::database::{Database, on_every_database};
use crate::pair::Pair;
use crate::redis_server::RedisServer;
use crate::sample::{claimed, failure, reservation, result, settlement, spec, stage, worker};

on_every_database![
    every_change_is_told,
    a_change_by_another_process_is_found,
    everybody_reads_every_event_in_order,
    the_last_event_holds_the_job_as_it_ended,
];

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// A change that no hint told of is found by then: a period of the poll, and what a busy machine takes.
const WITHOUT_HINTS: Duration = Duration::from_secs(3);

async fn every_change_is_told(database: &Database) {
    let jobs = &database.jobs;
    let id = jobs.submit(spec()).await.unwrap().id;
    let mut watch = jobs.watch(id);
    let mut seen = watch.events(0).await.unwrap().len() as u64;
    let mut told = async |what: &str| {
        let change = async {
            loop {
                let events = watch.events(seen).await.unwrap();
                if let Some(last) = events.last() {
                    seen = last.seq;
                    return;
                }
                watch.changed(Instant::now() + PATIENCE).await;
            }
        };
        timeout(PATIENCE, change).await.unwrap_or_else(|_| panic!("{what} is not told"));
    };
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    told("a claim").await;
    jobs.requeue(&lease, &failure(), Duration::ZERO).await.unwrap();
    told("a retry").await;
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    told("a second claim").await;
    jobs.start_stage(&lease, &StageKind::Plan.into()).await.unwrap();
    told("the start of a stage").await;
    let call = reservation(StageKind::Plan, 0, 9);
    jobs.reserve_call(&lease, &call).await.unwrap();
    jobs.settle_call(&lease, &settlement(&call, 4)).await.unwrap();
    told("a call").await;
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!(1))).await.unwrap();
    told("a stage").await;
    jobs.release(&lease).await.unwrap();
    told("a release").await;
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    told("a third claim").await;
    jobs.cancel(id).await.unwrap();
    told("a request to cancel").await;
    jobs.confirm_cancel(&lease).await.unwrap();
    told("the end").await;
    jobs.retry(id, None).await.unwrap();
    told("another run").await;
}

async fn a_change_by_another_process_is_found(database: &Database) {
    let other = database.reopen().await;
    let id = other.submit(spec()).await.unwrap().id;
    let mut watch = database.jobs.watch(id);
    assert_eq!(watch.events(0).await.unwrap().len(), 1);
    // The first look at the job may count as news: it raced with the reading.
    watch.changed(Instant::now() + Duration::from_millis(10)).await;
    other.cancel(id).await.unwrap();
    assert!(watch.changed(Instant::now() + WITHOUT_HINTS).await, "found in time");
    assert_eq!(watch.events(1).await.unwrap().len(), 1);
    assert!(!watch.is_gone());
    assert!(database.jobs.watch(JobId::new()).changed(Instant::now() + WITHOUT_HINTS).await, "a job that is not there");
}

async fn everybody_reads_every_event_in_order(database: &Database) {
    let lease = claimed(&database.jobs).await.lease;
    let (jobs, id) = (&database.jobs, lease.job_id());
    let watchers: Vec<_> = (0..20).map(|number| tokio::spawn(follow(jobs.watch(id), number % 3))).collect();
    for number in 0..400 {
        let key = StageKey { kind: StageKind::Edit, item: number.to_string() };
        jobs.save_stage(&lease, &domain::StageRecord { key, ..stage(StageKind::Edit, json!(number)) }).await.unwrap();
    }
    jobs.succeed(&lease, &result()).await.unwrap();
    let late = tokio::spawn(follow(jobs.watch(id), 0));
    for (number, watcher) in watchers.into_iter().chain([late]).enumerate() {
        let after = if number == 20 { 0 } else { number as u64 % 3 };
        let seen = timeout(PATIENCE, watcher).await.expect("it gets to the end").unwrap();
        assert!(seen.iter().copied().eq(after + 1..=403), "{seen:?}");
    }
}

/// The numbers of the events after `after` until the job has ended.
async fn follow(mut watch: Watch, mut after: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        let events = watch.events(after).await.unwrap();
        seen.extend(events.iter().map(|event| event.seq));
        match events.last() {
            Some(last) if last.kind.is_terminal() => return seen,
            Some(last) => after = last.seq,
            None => drop(watch.changed(Instant::now() + PATIENCE).await),
        }
    }
}

async fn the_last_event_holds_the_job_as_it_ended(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let call = reservation(StageKind::Plan, 0, 9);
    jobs.start_stage(&lease, &call.stage).await.unwrap();
    jobs.reserve_call(&lease, &call).await.unwrap();
    jobs.settle_call(&lease, &settlement(&call, 4)).await.unwrap();
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!("plan"))).await.unwrap();
    jobs.succeed(&lease, &result()).await.unwrap();
    // When it will be forgotten is no part of how it ended.
    let ended = jobs::Job { expires_at: None, ..jobs.get(lease.job_id()).await.unwrap().unwrap() };
    let stages = jobs.stages(lease.job_id()).await.unwrap();
    jobs.retry(lease.job_id(), Some(&StageKind::Plan.into())).await.unwrap();

    let now = jobs.get(lease.job_id()).await.unwrap().unwrap();
    assert_ne!(now, ended);
    let events = jobs.events(lease.job_id(), 0).await.unwrap();
    let stored: jobs::EndedJob = serde_json::from_value(events[5].data["job"].clone()).unwrap();
    assert_eq!(stored.of(&now), (ended, stages));
    assert_eq!(events[4].data["costNanos"], 4);
}

impl Pair {
    /// Speaks until it is heard: what goes through Redis only says that Redis carries it.
    async fn must_hear(&self, watch: &mut Watch, id: JobId) {
        let news = LiveNews::Text { offset: 3, text: "größe\n".to_owned() };
        let live = LiveEvent { stage: StageKind::Plan.into(), at: Utc::now(), news };
        let heard = async {
            loop {
                self.worker.tell(id, live.clone());
                match timeout(Duration::from_millis(100), watch.next()).await {
                    Ok(News::Live(heard)) => return heard,
                    Ok(News::Changed) | Err(_) => {}
                }
            }
        };
        // It may be what was said the time before.
        let heard = timeout(PATIENCE, heard).await.expect("it is heard");
        assert_eq!((&heard.stage, &heard.news), (&live.stage, &live.news));
    }
}

#[tokio::test]
async fn what_a_worker_says_is_heard_in_other_processes() {
    let Some(redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    let id = pair.api.submit(spec()).await.unwrap().id;
    let mut watch = pair.api.watch(id);
    pair.must_hear(&mut watch, id).await;
    // Nobody listens any more when nobody watches.
    let channel = format!("tinygen:job:{id}");
    assert_eq!(redis.command(&["PUBSUB", "NUMSUB", &channel]).await, format!("{channel}\n1"));
    drop(watch);
    let left = async {
        while redis.command(&["PUBSUB", "NUMSUB", &channel]).await.ends_with('1') {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, left).await.expect("the channel is left");
}

#[tokio::test]
async fn a_redis_that_is_killed_or_hangs_costs_a_period_of_the_poll() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    let lease = claimed(&pair.worker).await.lease;
    let id = lease.job_id();
    let mut watch = pair.api.watch(id);
    pair.must_hear(&mut watch, id).await;
    let mut seen = watch.events(0).await.unwrap().len() as u64;
    let mut must_be_found = async |watch: &mut Watch, item: &str| {
        let key = StageKey { kind: StageKind::Edit, item: item.to_owned() };
        let began = Instant::now();
        pair.worker.start_stage(&lease, &key).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1), "the worker does not wait: {:?}", began.elapsed());
        while watch.events(seen).await.unwrap().is_empty() {
            assert!(watch.changed(began + WITHOUT_HINTS).await, "{item}");
        }
        seen += 1;
    };
    must_be_found(&mut watch, "while Redis is there").await;
    redis.kill().await;
    must_be_found(&mut watch, "while Redis is away").await;
    redis.restart().await;
    pair.must_hear(&mut watch, id).await;
    redis.stop().await;
    must_be_found(&mut watch, "while Redis hangs").await;
    redis.go_on().await;
    pair.must_hear(&mut watch, id).await;
}
