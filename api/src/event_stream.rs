//! A job's events as they happen, as server-sent events (WHATWG HTML §9.2).
//!
//! The stream is pulled: hyper asks for the next piece when there is room for it, so a reader that is slow holds back
//! nothing but itself. What waits for it is bounded: one page of events, and a short queue of live messages that loses the
//! oldest. A reader that takes nothing at all is cut off by the server's limit on writes, and resumes by `Last-Event-ID`.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;
use jobs::{Job, JobEvent, LiveEvent, News, StoreError, Watch};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::auth::Credentials;
use crate::wire::{EventBody, LiveEventBody};

/// Tells nginx to pass each event on at once.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// The first line: how long a client waits before it connects again, in milliseconds.
const RETRY: &str = "retry: 2000\n\n";
/// Says nothing, but keeps proxies from closing a silent connection.
const PING: &str = ": ping\n\n";
/// Between two tries to read events while the database is away.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// A stream of one job's events to one client.
pub(crate) struct EventStream {
    /// As it was found: only what never changes of it is used.
    pub(crate) job: Job,
    pub(crate) watch: Watch,
    /// The number of the last event that the client has.
    pub(crate) after: u64,
    /// Longest silence.
    pub(crate) ping: Duration,
    /// Ends the stream: the client comes back, to another server perhaps.
    pub(crate) closing: CancellationToken,
    /// By which the client may see the job; looked at again as often as a silent stream pings.
    pub(crate) credentials: Credentials,
}

impl EventStream {
    /// The answer that is the stream. The slot, one of those that the server has room for, is free again at its end.
    pub(crate) fn respond(self, slot: OwnedSemaphorePermit) -> Response {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
        ];
        let now = Instant::now();
        let reader = Reader { stream: self, phase: Phase::Beginning, has_ended: false, spoke_at: now, checked_at: now };
        let pieces = stream::unfold((reader, slot), async |(mut reader, slot)| {
            let piece = reader.next().await?;
            reader.spoke_at = Instant::now();
            Some((Ok::<_, Infallible>(piece), (reader, slot)))
        });
        (headers, Body::from_stream(pieces)).into_response()
    }
}

struct Reader {
    stream: EventStream,
    phase: Phase,
    /// Whether the last event sent was the job's end.
    has_ended: bool,
    spoke_at: Instant,
    checked_at: Instant,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Beginning,
    /// There may be events to read.
    Reading,
    /// There is nothing to read until there is news.
    Waiting,
    /// The database was away.
    Failed,
}

impl Reader {
    /// The next piece of the stream; none at its end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.checked_at.elapsed() >= self.stream.ping {
                if !self.stream.credentials.are_good().await {
                    return None;
                }
                self.checked_at = Instant::now();
            }
            match self.phase {
                Phase::Beginning => {
                    self.phase = Phase::Reading;
                    return Some(RETRY.to_owned());
                }
                Phase::Reading => match self.stream.watch.events(self.stream.after).await {
                    Ok(events) if !events.is_empty() => return self.show(&events),
                    // A job that was run again has gone on after its end.
                    Ok(_) if self.has_ended || self.stream.watch.is_gone() => return None,
                    Ok(_) => self.phase = Phase::Waiting,
                    Err(error) => self.fail(&error)?,
                },
                Phase::Waiting | Phase::Failed => {
                    if let Some(piece) = self.wait().await? {
                        return Some(piece);
                    }
                }
            }
        }
    }

    /// Waits for news, or until a ping or another try is due. None at the end of the server.
    async fn wait(&mut self) -> Option<Option<String>> {
        let ping_at = self.spoke_at + self.stream.ping;
        let has_failed = self.phase == Phase::Failed;
        let wake_at = if has_failed { ping_at.min(Instant::now() + PAUSE_AFTER_ERROR) } else { ping_at };
        let news = timeout_at(wake_at, self.stream.watch.next());
        match self.stream.closing.run_until_cancelled(news).await? {
            Ok(News::Live(live)) => return Some(Some(self.show_live(&live))),
            Err(_) if Instant::now() >= ping_at => return Some(Some(PING.to_owned())),
            Ok(News::Changed) | Err(_) => self.phase = Phase::Reading,
        }
        Some(None)
    }

    /// Writes events; what comes before one that cannot be written is not lost with it.
    fn show(&mut self, events: &[Arc<JobEvent>]) -> Option<String> {
        let mut piece = String::new();
        for event in events {
            let body = match EventBody::new(&self.stream.job, event) {
                Ok(body) => body,
                Err(_) if !piece.is_empty() => break,
                Err(error) => return self.fail(&error).map(|()| piece),
            };
            write_event(&mut piece, Some(event.seq), body.kind, &body);
            self.stream.after = event.seq;
            self.has_ended = event.kind.is_terminal();
        }
        Some(piece)
    }

    fn show_live(&self, live: &LiveEvent) -> String {
        let body = LiveEventBody::new(self.stream.job.id, live);
        let mut piece = String::new();
        write_event(&mut piece, None, body.kind, &body);
        piece
    }

    /// Waits for a database that is away, as everybody does; ends the stream, by None, over anything else.
    fn fail(&mut self, error: &StoreError) -> Option<()> {
        if matches!(error, StoreError::Unavailable(_)) {
            self.phase = Phase::Failed;
            tracing::debug!(error = error as &dyn Error, "Cannot read events; trying again");
            return Some(());
        }
        tracing::error!(job.id = %self.stream.job.id, error = error as &dyn Error, "Cannot show the job's events");
        None
    }
}

/// Writes one event. JSON has no line breaks but between tokens, where none are written: the data is one line.
fn write_event(piece: &mut String, id: Option<u64>, kind: &str, body: &impl Serialize) {
    let data = serde_json::to_string(body).expect("a body has string keys and no failing serialisers");
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    write!(piece, "{id}event: {kind}\ndata: {data}\n\n").expect("writing to a string does not fail");
}
