//! A client that is cut off a thousand times, at any byte, by two servers in turn, gets what an undisturbed one gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::Pace;
use chrono::Utc;
use domain::{Outcome, StageKey, StageKind};
use jobs::{ClaimedJob, Jobs, LiveEvent, LiveNews};

use crate::database::{Database, on_postgres, on_sqlite};
use crate::redis_server::RedisServer;
use crate::server::Server;
use crate::sse::{Event, Stream, connect, read_some};
use crate::work;

const CUTS: usize = 1000;
/// The job runs on while the client is cut off so often; the rest hits its finished log.
const CUTS_WHILE_RUNNING: usize = 500;
/// Most bytes of an answer, its headers included, before the client is cut off: while the job runs, and after that, when the
/// last event with its whole job is to be read too.
const MOST_BYTES: [u64; 2] = [4_000, 30_000];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_postgres_and_redis() {
    let Some(redis) = RedisServer::start().await else { return };
    on_postgres(async |database: &Database| {
        let open = async || database.reopen().await.with_redis(&redis.url()).expect("an address");
        let (worker, apis) = (open().await, [open().await, open().await]);
        Box::pin(cut_off(worker, apis)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_of_one_process_on_sqlite() {
    on_sqlite(async |database: &Database| {
        let jobs = &database.jobs;
        Box::pin(cut_off(jobs.clone(), [jobs.clone(), jobs.clone()])).await;
    })
    .await;
}

async fn cut_off(worker: Jobs, apis: [Jobs; 2]) {
    let [first, second] = apis;
    let servers = [Server::over(first, Pace::default()).await, Server::over(second, Pace::default()).await];
    let job = work::running(&worker).await;
    let path = format!("/jobs/{}/events", job.id);
    let mut undisturbed = Stream::open(&servers[0], &path, None).await;
    let undisturbed = tokio::spawn(async move { undisturbed.rest().await });
    let cuts = Arc::new(AtomicUsize::new(0));
    let life = tokio::spawn(live(worker, job, cuts.clone()));

    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut whole, mut part, mut texts) = (Vec::new(), Vec::<Event>::new(), 0);
    while cuts.load(Ordering::SeqCst) < CUTS {
        let server = &servers[usize::try_from(dice.roll(2)).expect("small")];
        let last = part.last().and_then(|event| event.id);
        let connection = connect(server.address, &path, last).await;
        let most = usize::try_from(dice.roll(MOST_BYTES[usize::from(life.is_finished())])).expect("small");
        let (events, is_cut) = read_some(connection, most).await;
        cuts.fetch_add(usize::from(is_cut), Ordering::SeqCst);
        texts += events.iter().filter(|event| event.id.is_none()).count();
        part.extend(events.into_iter().filter(|event| event.id.is_some()));
        if part.last().is_some_and(Event::is_end) {
            whole.push(std::mem::take(&mut part));
        }
    }
    life.await.expect("the job ends");
    let undisturbed = undisturbed.await.expect("it is read");
    let undisturbed: Vec<Event> = undisturbed.into_iter().filter(|event| event.id.is_some()).collect();
    assert!(undisturbed.len() > 100, "{}", undisturbed.len());
    assert!(texts > 0, "the client hears what is not stored too");
    assert!(!whole.is_empty(), "the client gets to the end");
    for events in &whole {
        assert_eq!(events, &undisturbed);
    }
    assert_eq!(part, undisturbed[..part.len()]);
}

/// Works on the job until the client was cut off often enough.
async fn live(jobs: Jobs, job: ClaimedJob, cuts: Arc<AtomicUsize>) {
    let mut number = 0;
    while cuts.load(Ordering::SeqCst) < CUTS_WHILE_RUNNING {
        let key = StageKey { kind: StageKind::Edit, item: format!("src/größe_{}.rs", number % 20) };
        let news = LiveNews::Text { offset: 0, text: format!("Now file {number}.\n\nIt is {{\"long\"}}.") };
        jobs.tell(job.id, LiveEvent { stage: key.clone(), at: Utc::now(), news });
        work::call(&jobs, &job.lease, key).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"diff\n")).await.expect("succeed");
}

/// The same numbers in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
