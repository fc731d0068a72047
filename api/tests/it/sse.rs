//! Clients of event streams, and a parser that accepts nothing but what the server promises to write.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::contract;
use crate::server::Server;

/// Longest wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One event as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// What it would send as `Last-Event-ID`; absent: the event has no number.
    pub(crate) id: Option<u64>,
    pub(crate) kind: String,
    /// As it was sent, byte for byte.
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("the data is JSON")
    }

    pub(crate) fn is_end(&self) -> bool {
        ["job.succeeded", "job.failed", "job.canceled"].contains(&&*self.kind)
    }
}

/// Bytes in, whole events out. What is cut off in the middle is no event (WHATWG HTML §9.2.6).
#[derive(Default)]
pub(crate) struct Parser {
    rest: Vec<u8>,
    has_begun: bool,
    pub(crate) pings: usize,
}

impl Parser {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let block = std::str::from_utf8(&block).expect("UTF-8").trim_end_matches('\n');
            events.extend(self.block(block));
        }
        events
    }

    fn block(&mut self, block: &str) -> Option<Event> {
        assert!(!block.contains('\r'), "{block}");
        if !self.has_begun {
            assert_eq!(block, "retry: 2000", "the first line");
            self.has_begun = true;
            return None;
        }
        if block == ": ping" {
            self.pings += 1;
            return None;
        }
        let mut lines = block.split('\n').peekable();
        let id = lines.next_if(|line| line.starts_with("id: "));
        let id = id.map(|line| line["id: ".len()..].parse().expect("a number"));
        let mut field = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {block}")).to_owned()
        };
        let (kind, data) = (field("event: "), field("data: "));
        assert_eq!(lines.next(), None, "{block}");
        let event = Event { id, kind, data };
        let json = event.json();
        assert_eq!((json["type"].as_str(), json["seq"].as_u64()), (Some(&*event.kind), event.id), "{json}");
        assert!(json["jobId"].is_string() && json["at"].is_string(), "{json}");
        Some(event)
    }
}

/// An open stream.
pub(crate) struct Stream {
    pub(crate) response: Response,
    pub(crate) parser: Parser,
    waiting: std::collections::VecDeque<Event>,
}

impl Stream {
    /// Asks for a job's events, as a browser does.
    pub(crate) async fn open(server: &Server, path: &str, last_event_id: Option<u64>) -> Self {
        let mut request = server.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        Self { response, parser: Parser::default(), waiting: std::collections::VecDeque::new() }
    }

    /// The next event, which is one that the API is said to tell; none when the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        while self.waiting.is_empty() {
            let bytes = self.next_bytes().await?;
            self.waiting.extend(self.parser.push(&bytes));
        }
        let event = self.waiting.pop_front();
        event.iter().for_each(contract::check_message);
        event
    }

    pub(crate) async fn next_bytes(&mut self) -> Option<Vec<u8>> {
        let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("something comes").expect("a whole stream");
        chunk.map(|chunk| chunk.to_vec())
    }

    /// Every event until the server ends the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        assert!(self.parser.rest.is_empty(), "nothing is cut off at the end");
        events
    }
}

/// Asks for a stream over a bare connection (HTTP/1.0, so that the body is the stream itself).
pub(crate) async fn connect(address: SocketAddr, path: &str, last_event_id: Option<u64>) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let resume = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\nAccept: text/event-stream\r\n{resume}\r\n");
    stream.write_all(request.as_bytes()).await.expect("send");
    stream
}

/// Reads `most` bytes of an answer, or all there are, and closes the connection. Gives the events, and whether it was the
/// client that ended it.
pub(crate) async fn read_some(mut stream: TcpStream, most: usize) -> (Vec<Event>, bool) {
    let mut bytes = vec![0; most];
    let mut length = 0;
    while length < most {
        let read = timeout(PATIENCE, stream.read(&mut bytes[length..])).await.expect("something comes").expect("read");
        if read == 0 {
            break;
        }
        length += read;
    }
    bytes.truncate(length);
    let events = match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        Some(end) => {
            assert!(bytes.starts_with(b"HTTP/1.0 200 "), "{}", String::from_utf8_lossy(&bytes));
            Parser::default().push(&bytes[end + 4..])
        }
        None => Vec::new(),
    };
    (events, length == most)
}
