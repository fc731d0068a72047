//! Changes between processes: one channel of Redis per job, published to without waiting and subscribed to by the
//! processes that watch the job.
//!
//! Redis may be stopped, replaced or locked at any time. What is published meanwhile is lost, and the poll finds it. As
//! with the bell, a connection that gave any error is dropped.

use std::collections::HashSet;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::JobId;
use futures::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink};
use redis::{Client, Msg, RedisError, RedisResult};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use super::watch::News;
use super::watched::Watched;
use crate::live::LiveEvent;

/// The channel of a job, before its id.
const CHANNEL: &str = "tinygen:job:";
/// Messages that wait to be published. More are lost: Redis is away, or much too slow.
const MAX_WAITING: usize = 1024;
/// Messages that are published together.
const BATCH: usize = 64;
/// Longest time for a command, and for a new connection.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Between two tries while Redis is away.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// How often the connection that only listens is tried.
const PING_EVERY: Duration = Duration::from_secs(10);

/// What goes through a channel.
#[derive(Serialize, Deserialize)]
struct Message {
    /// The process that tells it: it has told those who watch in it already.
    from: Uuid,
    /// Absent: the job may have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live: Option<Arc<LiveEvent>>,
}

type Letter = (JobId, Option<Arc<LiveEvent>>);

pub(super) struct Remote {
    client: Client,
    process: Uuid,
    outbox: mpsc::Sender<Letter>,
    /// Taken when the first message is sent, by the task that publishes.
    unpublished: Mutex<Option<mpsc::Receiver<Letter>>>,
    /// Only for the log, which tells of changes.
    is_away: AtomicBool,
}

impl Remote {
    pub(super) fn new(url: &str) -> RedisResult<Self> {
        let (outbox, unpublished) = mpsc::channel(MAX_WAITING);
        Ok(Self {
            client: Client::open(url)?,
            process: Uuid::now_v7(),
            outbox,
            unpublished: Mutex::new(Some(unpublished)),
            is_away: AtomicBool::new(false),
        })
    }

    /// Hands a message to the task that publishes, in order; drops it when too many wait.
    pub(super) fn send(self: &Arc<Self>, id: JobId, live: Option<Arc<LiveEvent>>) {
        if let Some(unpublished) = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tokio::spawn(publish(self.client.clone(), self.process, unpublished));
        }
        let _dropped_when_full = self.outbox.try_send((id, live));
    }

    /// Listens for ever to the channels of all jobs that are watched.
    pub(super) async fn listen(self: Arc<Self>, watched: Arc<Watched>) {
        loop {
            let Err(error) = self.listen_until_error(&watched).await;
            if !self.is_away.swap(true, Ordering::Relaxed) {
                warn!(error = &error as &dyn Error, "Redis does not answer; changes of jobs are seen a second later");
            }
            sleep(PAUSE_AFTER_ERROR).await;
        }
    }

    async fn listen_until_error(&self, watched: &Watched) -> RedisResult<Infallible> {
        let (mut sink, mut messages) = in_time(self.client.get_async_pubsub()).await?.split();
        if self.is_away.swap(false, Ordering::Relaxed) {
            info!("Redis answers again: changes of jobs are seen at once");
        }
        let mut subscribed = HashSet::new();
        let mut turns = watched.turns();
        turns.mark_changed();
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turns.changed() => follow(watched, &mut sink, &mut subscribed).await?,
                message = messages.next() => self.hear(watched, &message.ok_or_else(closed)?),
                _ = pings.tick() => in_time(sink.ping()).await?,
            }
        }
    }

    /// Passes a message on. One that does not read, from a newer release perhaps, still says that something happened.
    fn hear(&self, watched: &Watched, message: &Msg) {
        let Some(id) = message.get_channel_name().strip_prefix(CHANNEL).and_then(|id| id.parse().ok()) else { return };
        let news = match serde_json::from_slice(message.get_payload_bytes()) {
            Ok(Message { from, .. }) if from == self.process => return,
            Ok(Message { live: Some(live), .. }) => News::Live(live),
            Ok(Message { live: None, .. }) | Err(_) => News::Changed,
        };
        watched.tell(id, &news);
    }
}

/// Subscribes to the channels of the jobs that are watched now, and to no others.
async fn follow(watched: &Watched, sink: &mut PubSubSink, subscribed: &mut HashSet<JobId>) -> RedisResult<()> {
    let jobs = watched.jobs();
    let wanted: HashSet<JobId> = jobs.iter().map(|job| job.id).collect();
    let left: Vec<String> = subscribed.difference(&wanted).map(channel).collect();
    if !left.is_empty() {
        in_time(sink.unsubscribe(left)).await?;
    }
    let new: Vec<String> = wanted.difference(subscribed).map(channel).collect();
    if !new.is_empty() {
        in_time(sink.subscribe(new)).await?;
        // What happened before was not heard.
        jobs.iter().filter(|job| !subscribed.contains(&job.id)).for_each(|job| job.tell(News::Changed));
    }
    *subscribed = wanted;
    Ok(())
}

/// Publishes what is sent, until nobody can send any more.
async fn publish(client: Client, process: Uuid, mut unpublished: mpsc::Receiver<Letter>) {
    let mut connection = None;
    let mut letters = Vec::new();
    while unpublished.recv_many(&mut letters, BATCH).await > 0 {
        let published = in_time(publish_batch(&client, process, &mut connection, &letters)).await;
        letters.clear();
        if published.is_err() {
            // The bell and whoever listens tell of it.
            connection = None;
            sleep(PAUSE_AFTER_ERROR).await;
        }
    }
}

async fn publish_batch(
    client: &Client,
    from: Uuid,
    connection: &mut Option<MultiplexedConnection>,
    letters: &[Letter],
) -> RedisResult<()> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(client.get_multiplexed_async_connection().await?),
    };
    let mut pipeline = redis::pipe();
    for (id, live) in letters {
        let message = Message { from, live: live.clone() };
        let payload = serde_json::to_vec(&message).expect("a message has string keys and no failing serialisers");
        pipeline.cmd("PUBLISH").arg(channel(id)).arg(payload).ignore();
    }
    pipeline.query_async(connection).await
}

fn channel(id: &JobId) -> String {
    format!("{CHANNEL}{id}")
}

async fn in_time<T>(command: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = |late| RedisError::from(io::Error::new(io::ErrorKind::TimedOut, late));
    timeout(TIMEOUT, command).await.map_err(late)?
}

fn closed() -> RedisError {
    io::Error::from(io::ErrorKind::ConnectionAborted).into()
}

/// Never shows the address, which may hold a password.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}
