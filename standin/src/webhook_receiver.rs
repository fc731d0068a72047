//! A receiver of webhooks on loopback: it notes what comes, and answers, or fails to, as a test says.
//!
//! It speaks just enough HTTP/1.1 over bare sockets to be able to break the protocol anywhere. It verifies nothing.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::without_delay;

/// Largest head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// A receiver on `127.0.0.1`. It ends when the value is dropped.
pub struct WebhookReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// A message that arrived in full.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its place among all messages, from 0.
    pub number: usize,
    /// When its last byte came.
    pub at: Instant,
    /// Path and query.
    pub target: String,
    /// Headers, their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What the receiver does with a message.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Answers with this status and an empty body.
    Status(u16),
    /// Answers with this status, these headers and this body.
    Answer {
        /// The status.
        status: u16,
        /// Further headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Does something after a while.
    After(Duration, Box<Reaction>),
    /// Never answers, and keeps the connection.
    Hang,
    /// Sends the head of a 200, and then nothing more.
    HangInBody,
    /// Closes its side without an answer, and goes on reading.
    HalfClose,
    /// Breaks the connection with a TCP reset, after the message was taken.
    Reset,
    /// Answers 200 with a body of this many bytes.
    Flood(usize),
    /// Sends a 200 one byte at a time, this long apart, for ever.
    Dribble(Duration),
}

type Script = dyn Fn(&Received) -> Reaction + Send + Sync;

struct Shared {
    script: Box<Script>,
    received: Mutex<Vec<Received>>,
    connections: Mutex<usize>,
    arrival: Notify,
}

impl WebhookReceiver {
    /// Starts a receiver that does with each message what `script` says.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(script: impl Fn(&Received) -> Reaction + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// The same at an address where one was, or will be, asked for.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Box::new(script),
            received: Mutex::default(),
            connections: Mutex::default(),
            arrival: Notify::new(),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Starts a receiver that takes every message.
    ///
    /// # Errors
    /// As [`WebhookReceiver::start`].
    pub async fn obliging() -> io::Result<Self> {
        Self::start(|_| Reaction::Status(204)).await
    }

    /// The address of a path on it, which begins with a slash.
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// Every message so far, in the order of arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *lock(&self.shared.connections)
    }

    /// Waits until there are `count` messages, and gives them all. The caller sets the deadline.
    pub async fn arrived(&self, count: usize) -> Vec<Received> {
        loop {
            let arrival = self.shared.arrival.notified();
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            arrival.await;
        }
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    /// A header's value; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        without_delay(&mut stream);
        *lock(&shared.connections) += 1;
        let shared = Arc::clone(&shared);
        // A client that goes away in the middle is the client's business.
        connections.spawn(async move { converse(stream, &shared).await });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    while let Some(mut message) = read(&mut stream).await? {
        {
            let mut received = lock(&shared.received);
            message.number = received.len();
            received.push(message.clone());
        }
        // Before the reaction: a test waits for what never is answered, too.
        shared.arrival.notify_waiters();
        let mut reaction = (shared.script)(&message);
        while let Reaction::After(delay, next) = reaction {
            sleep(delay).await;
            reaction = *next;
        }
        if !react(&mut stream, reaction).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads a message, unless the client closes the connection instead.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Received>> {
    let mut bytes = Vec::new();
    let head_bytes = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > MAX_HEAD_BYTES || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_bytes]).into_owned();
    let mut lines = head.split("\r\n");
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body_bytes: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(head_bytes + 4);
    while body.len() < body_bytes {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Received { number: 0, at: Instant::now(), target, headers, body }))
}

/// Answers. Gives whether the connection may go on.
async fn react(stream: &mut TcpStream, reaction: Reaction) -> io::Result<bool> {
    match reaction {
        Reaction::Status(status) => answer(stream, status, &[], b"").await.map(|()| true),
        Reaction::Answer { status, headers, body } => answer(stream, status, &headers, &body).await.map(|()| true),
        Reaction::Flood(bytes) => answer(stream, 200, &[], &vec![b'x'; bytes]).await.map(|()| true),
        // The caller has waited already.
        Reaction::After(..) => Ok(true),
        Reaction::Hang => std::future::pending().await,
        Reaction::HangInBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok").await?;
            std::future::pending().await
        }
        Reaction::HalfClose => {
            stream.shutdown().await?;
            let mut ignored = [0; 1024];
            while stream.read(&mut ignored).await? > 0 {}
            Ok(false)
        }
        Reaction::Reset => {
            stream.set_zero_linger()?;
            Ok(false)
        }
        Reaction::Dribble(pause) => {
            for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
                stream.write_all(&[*byte]).await?;
                sleep(pause).await;
            }
            Ok(false)
        }
    }
}

async fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> io::Result<()> {
    let status = format!("HTTP/1.1 {status} Scripted\r\n");
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let head: Vec<String> = std::iter::once(status).chain(headers).chain([length]).collect();
    stream.write_all(head.concat().as_bytes()).await?;
    stream.write_all(body).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
