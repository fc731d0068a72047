//! A way from one process to one server that sees what goes by, kills the process at an exact place, and fails as
//! networks do.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How long the end of an answer may take that its reader did not wait for.
const REST: Duration = Duration::from_millis(200);

/// Where a process is killed. The numbers count from 1 in the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// When it asks Postgres for its n-th commit, which Postgres never hears of. Heartbeats don't count.
    BeforeCommit(usize),
    /// When Postgres has answered its n-th commit, which the process never hears of.
    AfterCommit(usize),
    /// When it makes its n-th call to the model, of which the model never hears.
    BeforeCall(usize),
    /// When the last byte of the n-th answer of the model has been handed to it.
    AfterAnswer(usize),
}

/// What a tap saw in some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    CommitAsked,
    CommitAnswered,
    CallBegan,
    AnswerEnded,
}

/// Reads one connection, piece by piece. A piece may end anywhere.
pub(crate) trait Reader: Send + Default + 'static {
    /// What the process says to the server.
    fn asked(&mut self, bytes: &[u8]) -> Option<Sight>;
    /// What the server says to the process.
    fn answered(&mut self, bytes: &[u8]) -> Option<Sight>;
    /// Whether this is where the process asks about its leases.
    fn is_heart(&self) -> bool {
        false
    }
}

/// What all taps of one process share: its id, where it is to be killed, and how far it has come.
#[derive(Debug, Default)]
pub(crate) struct Aim {
    pid: AtomicU32,
    point: Mutex<Option<Point>>,
    commits_asked: AtomicUsize,
    commits_answered: AtomicUsize,
    calls: AtomicUsize,
    answers: AtomicUsize,
}

impl Aim {
    pub(crate) fn at(point: Option<Point>) -> Arc<Self> {
        Arc::new(Self { point: Mutex::new(point), ..Self::default() })
    }

    /// Who is to be killed.
    pub(crate) fn is_process(&self, pid: u32) {
        self.pid.store(pid, Ordering::SeqCst);
    }

    /// Commits that were answered so far.
    pub(crate) fn commits(&self) -> usize {
        self.commits_answered.load(Ordering::SeqCst)
    }

    /// Calls to the model that were answered to the end so far.
    pub(crate) fn answers(&self) -> usize {
        self.answers.load(Ordering::SeqCst)
    }

    /// Counts what was seen. Whether this is the place.
    fn hits(&self, sight: Sight) -> bool {
        let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::SeqCst) + 1;
        let here = match sight {
            Sight::CommitAsked => Point::BeforeCommit(count(&self.commits_asked)),
            Sight::CommitAnswered => Point::AfterCommit(count(&self.commits_answered)),
            Sight::CallBegan => Point::BeforeCall(count(&self.calls)),
            Sight::AnswerEnded => Point::AfterAnswer(count(&self.answers)),
        };
        self.point.lock().unwrap_or_else(PoisonError::into_inner).take_if(|point| *point == here).is_some()
    }

    async fn kill(&self) {
        let pid = self.pid.load(Ordering::SeqCst).to_string();
        // It may be dead already: killed at random.
        let _ = Command::new("kill").args(["-KILL", &pid]).status().await;
    }
}

/// What a network does to the connections on a way, to old ones and to new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Every piece takes so long.
    Delay(Duration),
    /// Nothing arrives until the trouble is over; then everything does.
    Stall,
    /// The same for what the process is told about its leases, and for nothing else: it writes before it can know better.
    Deaf,
    /// Nothing arrives any more, and nobody is told: connections stay dead when the trouble is over.
    Blackhole,
    /// Connections are reset.
    Reset,
    /// Connections end in the middle of what is being said.
    Cut,
    /// The server's side of connections is closed, and the process may go on speaking to it.
    HalfClose,
}

/// A port of 127.0.0.1 that leads to a server. It closes when dropped.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) port: u16,
    connections: watch::Receiver<usize>,
    trouble: watch::Sender<Option<Trouble>>,
    task: AbortHandle,
}

impl Tap {
    pub(crate) async fn open<R: Reader>(target: String, aim: Arc<Aim>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (count, counted) = watch::channel(0);
        let (trouble, troubled) = watch::channel(None);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (near, _) = accepted.expect("a connection");
                        connections.spawn(forward::<R>(near, target.clone(), aim.clone(), troubled.clone()));
                    }
                    Some(_) = connections.join_next() => {}
                }
                count.send_replace(connections.len());
            }
        });
        Self { port, connections: counted, trouble, task: task.abort_handle() }
    }

    /// Waits until the process has so many connections open.
    pub(crate) async fn has_connections(&self, number: usize) {
        let mut connections = self.connections.clone();
        connections.wait_for(|count| *count == number).await.expect("the tap lives");
    }

    /// The network has this trouble from now on, or none.
    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        self.trouble.send_replace(trouble);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries one connection, until either side ends it, the network does, or the process is killed.
async fn forward<R: Reader>(
    mut near: TcpStream,
    target: String,
    aim: Arc<Aim>,
    mut trouble: watch::Receiver<Option<Trouble>>,
) {
    // A server that is away closes the connection: the process sees what it would see without a tap.
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let (_, _) = (near.set_nodelay(true), far.set_nodelay(true));
    let mut reader = R::default();
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let now = *trouble.borrow_and_update();
        match now {
            Some(Trouble::Deaf) if !reader.is_heart() => {}
            Some(Trouble::Stall | Trouble::Deaf) => {
                // The tap is gone: so is the connection.
                let Ok(()) = trouble.changed().await else { return };
                continue;
            }
            Some(Trouble::Blackhole) => return swallow(near).await,
            Some(Trouble::Reset) => {
                let (_, _) = (near.set_zero_linger(), far.set_zero_linger());
                return;
            }
            Some(Trouble::HalfClose) => {
                let _ = near.shutdown().await;
                return swallow(near).await;
            }
            Some(Trouble::Delay(_) | Trouble::Cut) | None => {}
        }
        tokio::select! {
            changed = trouble.changed() => {
                let Ok(()) = changed else { return };
            }
            read = near.read(&mut asked) => {
                let Ok(bytes @ 1..) = read else { return see_the_rest(&mut far, &mut reader, &aim).await };
                let Some(bytes) = carry(&asked[..bytes], now, &mut far).await else { return };
                if reader.asked(bytes).is_some_and(|sight| aim.hits(sight)) {
                    return aim.kill().await;
                }
                if far.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = far.read(&mut answered) => {
                let Ok(bytes @ 1..) = read else { return };
                let Some(bytes) = carry(&answered[..bytes], now, &mut near).await else { return };
                let sight = reader.answered(bytes);
                // The process has the answer of the model, but not the one of Postgres, when it is killed.
                if sight == Some(Sight::AnswerEnded) && near.write_all(bytes).await.is_err() {
                    return;
                }
                if sight.is_some_and(|sight| aim.hits(sight)) {
                    return aim.kill().await;
                }
                if sight != Some(Sight::AnswerEnded) && near.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Who has all of an answer need not wait for the chunk that ends it; the answer counts all the same.
async fn see_the_rest(far: &mut TcpStream, reader: &mut impl Reader, aim: &Aim) {
    let mut rest = vec![0; 64 << 10];
    while let Ok(Ok(bytes @ 1..)) = timeout(REST, far.read(&mut rest)).await {
        if reader.answered(&rest[..bytes]).is_some_and(|sight| aim.hits(sight)) {
            return aim.kill().await;
        }
    }
}

/// Takes a piece on its way. Gives it when it may arrive; nothing when the connection is at its end.
async fn carry<'a>(bytes: &'a [u8], trouble: Option<Trouble>, to: &mut TcpStream) -> Option<&'a [u8]> {
    match trouble {
        Some(Trouble::Delay(time)) => sleep(time).await,
        Some(Trouble::Cut) => {
            let _ = to.write_all(&bytes[..bytes.len() / 2]).await;
            return None;
        }
        _ => {}
    }
    Some(bytes)
}

/// Takes what the process says, until it gives the connection up.
async fn swallow(mut near: TcpStream) {
    let mut lost = vec![0; 64 << 10];
    while let Ok(1..) = near.read(&mut lost).await {}
}
