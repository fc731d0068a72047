//! Clients that take too long or send too much, and the end of a server.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::server::Server;

const BODY: &str = r#"{"repoUrl":"https://github.com/a/b","prompt":"x"}"#;

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.expect("connect")
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends the headers of a request that waits for the server's word before it sends the body, and waits for that word:
/// from then on, the request is under way.
async fn begin_request(server: &Server) -> TcpStream {
    let mut stream = connect(server).await;
    let headers = format!(
        "POST /analyze/ HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        server.address,
        BODY.len()
    );
    stream.write_all(headers.as_bytes()).await.expect("send");
    let mut word = [0; 25];
    stream.read_exact(&mut word).await.expect("read");
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_a_new_one_not_begun() {
    let server = Server::start().await;
    let mut idle = connect(&server).await;
    let mut stream = begin_request(&server).await;
    server.shutdown.cancel();
    assert_eq!(read_to_end(&mut idle).await, "", "an idle connection is closed");
    stream.write_all(BODY.as_bytes()).await.expect("send");
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    server.task.await.expect("the server ends");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_the_server() {
    let server = Server::start().await;
    let _stream = begin_request(&server).await;
    tokio::time::pause();
    let began = Instant::now();
    server.shutdown.cancel();
    server.task.await.expect("the server ends");
    assert!((9..=11).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn headers_that_do_not_end_and_silence_are_cut_off() {
    let server = Server::start().await;
    let mut silent = connect(&server).await;
    let mut slow = connect(&server).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.expect("send");
    tokio::time::pause();
    let began = Instant::now();
    for stream in [&mut silent, &mut slow] {
        let answer = read_to_end(stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert!((9..=20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_body_that_does_not_end_is_refused() {
    let server = Server::start().await;
    let mut stream = begin_request(&server).await;
    tokio::time::pause();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("read");
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_client_that_sends_everything_before_it_reads_sees_the_refusal() {
    const BODY_BYTES: usize = 4 * 1024 * 1024;
    let server = Server::start().await;
    let mut stream = connect(&server).await;
    let headers = format!("POST /analyze/ HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
    stream.write_all(headers.as_bytes()).await.expect("send");
    stream.write_all(&vec![b' '; BODY_BYTES]).await.expect("send");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("read");
    assert_eq!(&answer, b"HTTP/1.1 413");
}
