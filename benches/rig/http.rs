//! A client that costs little: it shares the processors with what it measures.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A connection that is kept.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// To the server at an address such as `127.0.0.1:8000`.
    pub(crate) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// Sends a request, as it is, and reads the answer to its end. Gives the status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> u16 {
        self.0.write_all(request).await.expect("sent");
        let status = self.line().await;
        let status = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let mut body_bytes = 0;
        loop {
            let line = self.line().await;
            match line.split_once(": ") {
                Some((name, length)) if name.eq_ignore_ascii_case("content-length") => {
                    body_bytes = length.parse().expect("a number");
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; body_bytes];
        self.0.read_exact(&mut body).await.expect("the body");
        status.expect("a status")
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("an answer");
        line.truncate(line.trim_end().len());
        line
    }
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    format!("{head}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}
