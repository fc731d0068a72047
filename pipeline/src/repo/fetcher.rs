//! One fetch, from an address and a name to a snapshot.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use domain::{CommitId, GitRef, RepoUrl};
use egress::Egress;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, info_span};

use super::advertisement::{self, Advertisement};
use super::object_store::{Arrival, ObjectStore};
use super::packet::PacketReader;
use super::ref_search::Wanted;
use super::remote::Remote;
use super::sideband::PackStream;
use super::{FetchError, HostTokens, Snapshot, SnapshotLimits, protocol_v0, protocol_v2, settings};

/// Packets between the network and the disk: about 2 MiB.
const QUEUED_PACKETS: usize = 32;

/// Bounds on one fetch.
#[derive(Debug, Clone)]
pub struct FetchLimits {
    /// Bytes of all answers together.
    pub max_bytes: u64,
    /// Time for everything, from the first request to the list of files.
    pub deadline: Duration,
    /// Blobs above this many bytes are left at the host, if it can do that.
    pub max_fetched_blob_bytes: u64,
    /// Bounds on what the commit may hold.
    pub snapshot: SnapshotLimits,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            deadline: Duration::from_mins(5),
            max_fetched_blob_bytes: 1 << 20,
            snapshot: SnapshotLimits::default(),
        }
    }
}

/// Fetches repositories. Clones share their connections.
#[derive(Clone)]
pub struct Fetcher {
    egress: Egress,
    limits: FetchLimits,
    tokens: HostTokens,
    parent_folder: PathBuf,
}

impl Fetcher {
    /// A fetcher that stores what it fetches in the system's folder for temporary files.
    pub fn new(egress: Egress, limits: FetchLimits, tokens: HostTokens) -> Self {
        settings::apply();
        Self { egress, limits, tokens, parent_folder: std::env::temp_dir() }
    }

    /// Stores what it fetches below `parent_folder`, which must exist.
    #[must_use]
    pub fn in_folder(mut self, parent_folder: impl Into<PathBuf>) -> Self {
        self.parent_folder = parent_folder.into();
        self
    }

    /// Fetches the commit `at`, or else the one that `git_ref` names, or else the default branch's.
    ///
    /// Dropping the future stops the fetch and removes what it stored.
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::code`] says which kind of failure it is for the job.
    pub async fn fetch(
        &self,
        url: &RepoUrl,
        git_ref: Option<&GitRef>,
        at: Option<&CommitId>,
    ) -> Result<Snapshot, FetchError> {
        let span = fetch_span(url);
        let fetch = self.fetch_in_time(url, Wanted::new(git_ref, at)).instrument(span.clone());
        let result = tokio::time::timeout(self.limits.deadline, fetch).await;
        let result = result.unwrap_or(Err(FetchError::TimedOut(self.limits.deadline)));
        if let Err(error) = &result {
            span.record("error.type", error.code().as_str());
            span.record("otel.status_code", "ERROR");
        }
        result
    }

    async fn fetch_in_time(&self, url: &RepoUrl, wanted: Wanted) -> Result<Snapshot, FetchError> {
        let started = Instant::now();
        let limits = &self.limits;
        let credential = self.tokens.credential(url.as_url());
        let mut remote = Remote::new(self.egress.clone(), url.as_url(), credential, limits.max_bytes, limits.deadline);
        let fetch = async {
            let (commit, pack) = self.ask(&mut remote, wanted).await?;
            self.store(commit, pack).await
        };
        let result = fetch.await;
        let span = Span::current();
        span.record("repo.bytes", remote.received_bytes());
        let snapshot = result?;
        span.record("repo.commit", snapshot.commit().as_str());
        span.record("repo.files", snapshot.entries().len());
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        debug!(duration_ms, "Received the repository");
        Ok(snapshot)
    }

    /// Agrees with the host on a protocol and a commit, up to the start of the pack.
    async fn ask(&self, remote: &mut Remote, mut wanted: Wanted) -> Result<(CommitId, PackStream), FetchError> {
        let max_blob_bytes = self.limits.max_fetched_blob_bytes;
        let mut packets = PacketReader::new(remote.advertisement().await?);
        let offer = advertisement::read(&mut packets, &mut wanted).await?;
        packets.finish().await;
        let commit = match (wanted, &offer) {
            (Wanted::Commit(commit), _) => commit,
            (Wanted::Ref(mut search), Advertisement::V2 { .. }) => protocol_v2::resolve(remote, &mut search).await?,
            (Wanted::Ref(search), Advertisement::V0(_)) => search.conclude()?,
        };
        let pack = match offer {
            Advertisement::V2 { has_filter } => {
                protocol_v2::request_pack(remote, &commit, has_filter.then_some(max_blob_bytes)).await?
            }
            Advertisement::V0(capabilities) => {
                protocol_v0::request_pack(remote, capabilities, &commit, max_blob_bytes).await?
            }
        };
        Ok((commit, pack))
    }

    /// Stores the pack while it comes in. When this future is dropped, the blocking side stops by itself.
    async fn store(&self, commit: CommitId, mut pack: PackStream) -> Result<Snapshot, FetchError> {
        let stop = CancellationToken::new();
        let _stop_on_drop = stop.clone().drop_guard();
        let (sender, arrivals) = mpsc::channel(QUEUED_PACKETS);
        let is_shallow = pack.is_shallow();
        let writer = self.spawn_writer(commit, is_shallow, arrivals, stop);
        while let Some(bytes) = pack.next().await? {
            if sender.send(Arrival::Piece(bytes)).await.is_err() {
                break;
            }
        }
        // A closed channel means that the writer has ended; it says why.
        let _ = sender.send(Arrival::End).await;
        // libgit2 can panic on objects that Git itself would refuse; that is the repository's fault, not ours.
        writer.await.map_err(FetchError::damaged)?
    }

    fn spawn_writer(
        &self,
        commit: CommitId,
        is_shallow: bool,
        arrivals: mpsc::Receiver<Arrival>,
        stop: CancellationToken,
    ) -> JoinHandle<Result<Snapshot, FetchError>> {
        let parent_folder = self.parent_folder.clone();
        let limits = self.limits.snapshot;
        let span = Span::current();
        tokio::task::spawn_blocking(move || {
            let _entered = span.entered();
            let store = ObjectStore::create(&parent_folder, stop)?;
            store.receive(arrivals)?;
            store.into_snapshot(&commit, is_shallow, limits)
        })
    }
}

/// The span of one fetch. An address holds no credentials: [`RepoUrl`] has no place for them.
fn fetch_span(url: &RepoUrl) -> Span {
    let address = url.as_url();
    info_span!(
        "repo.fetch",
        otel.kind = "client",
        otel.status_code = Empty,
        server.address = address.host_str(),
        server.port = address.port_or_known_default(),
        repo.url = %url,
        repo.commit = Empty,
        repo.bytes = Empty,
        repo.objects = Empty,
        repo.files = Empty,
        error.type = Empty,
    )
}
