//! Two thousand connections that never finish the headers of a request: what others see of it meanwhile, and when the server
//! has cut them all.
//!
//! Half of them are silent, half send a byte of a header each second.

#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::rig::app::{World, diligent};
use crate::rig::database::Database;
use crate::rig::http::Connection;
use crate::rig::service::Service;
use crate::rig::{median, ms, percentile, print_table};

const CONNECTIONS: usize = 2_000;
/// How long `/healthz` is asked before.
const CALM: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(5);
const TRICKLE_EVERY: Duration = Duration::from_secs(1);
/// Longest wait until all are cut.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::main]
async fn main() {
    rlimit::increase_nofile_limit(4 * CONNECTIONS as u64).expect("a limit");
    let world = World::new(diligent).await;
    let database = Database::embedded().await;
    let service = Service::start(&world, &database).await;
    let address = service.address();

    let before = ask_health(address, sleep(CALM)).await.0;
    let mut half_open = JoinSet::new();
    for number in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await.expect("it listens");
        half_open.spawn(until_cut(stream, number % 2 == 1));
    }
    let all_cut = timeout(PATIENCE, half_open.join_all());
    let (meanwhile, lives) = ask_health(address, all_cut).await;
    service.terminate().await;

    let rows = [("before", before), ("with them open", meanwhile)].map(|(when, mut times)| {
        times.sort_unstable();
        let figures = [50, 99, 100].map(|percent| ms(percentile(&times, percent)));
        [vec![when.to_owned(), times.len().to_string()], figures.to_vec()].concat()
    });
    let title = format!("`/healthz` on new connections beside {CONNECTIONS} half-open ones, ms");
    print_table(&title, &["when", "requests", "p50", "p99", "max"], &rows);

    let lives = lives.expect("all are cut");
    let rows = [("silent", false), ("a byte each second", true)].map(|(name, kind)| {
        let times: Vec<Duration> = lives.iter().filter(|(trickles, _)| *trickles == kind).map(|life| life.1).collect();
        let (first, last) = (times.iter().min().expect("some"), times.iter().max().expect("some"));
        let figures = [*first, median(times.clone()), *last].map(|time| format!("{:.2}", time.as_secs_f64()));
        [vec![name.to_owned(), times.len().to_string()], figures.to_vec()].concat()
    });
    let title = "From opening a half-open connection to its end by the server, s";
    print_table(title, &["kind", "connections", "first", "median", "last"], &rows);
}

/// Asks for `/healthz` on a new connection each time, until something else is over.
async fn ask_health<T>(address: &str, end: impl Future<Output = T>) -> (Vec<Duration>, T) {
    let mut times = Vec::new();
    let asking = async {
        loop {
            let begun = Instant::now();
            let mut connection = Connection::open(address).await;
            assert_eq!(
                connection.ask(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await,
                200
            );
            times.push(begun.elapsed());
            sleep(ASK_EVERY).await;
        }
    };
    let end = tokio::select! {
        end = end => end,
        () = asking => unreachable!("it never ends"),
    };
    (times, end)
}

/// Keeps a request unfinished until the server ends the connection. Gives whether it trickles, and how long that took.
async fn until_cut(mut stream: TcpStream, trickles: bool) -> (bool, Duration) {
    let opened = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let trickle = async {
        if !trickles {
            return std::future::pending().await;
        }
        let _ = writer.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
        let mut seconds = interval(TRICKLE_EVERY);
        loop {
            seconds.tick().await;
            // When it was cut, reading says so.
            let _ = writer.write_all(b"x").await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = reader.read_to_end(&mut answer) => {}
        () = trickle => {}
    }
    (trickles, opened.elapsed())
}
