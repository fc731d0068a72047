//! A database, workers on it, and work that does what a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use domain::{CommitId, Failure, FailureCode, JobId, JobResult, JobSpec, JobStatus, Outcome, Receipt, RepoUrl};
use futures::FutureExt;
use jobs::{Job, Jobs};
use pipeline::{Journal, Progress};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use worker::{Work, WorkError, WorkerConfig, WorkerError};

/// Longest that anything a test waits for may take: only a broken test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A migrated SQLite file, removed at the end of the test.
pub(crate) struct Database {
    _folder: TempDir,
    pub(crate) url: String,
    pub(crate) jobs: Jobs,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        let jobs = Jobs::open(&url).await.unwrap();
        jobs.migrate().await.unwrap();
        Self { _folder: folder, url, jobs }
    }

    pub(crate) async fn submit(&self) -> JobId {
        self.jobs.submit(spec()).await.unwrap().id
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.jobs.get(id).await.unwrap().unwrap()
    }

    /// Waits until the job is in `status`.
    pub(crate) async fn until(&self, id: JobId, status: JobStatus) -> Job {
        self.until_job(id, |job| job.status == status).await
    }

    /// Waits until the job is as told.
    pub(crate) async fn until_job(&self, id: JobId, is_there: impl Fn(&Job) -> bool) -> Job {
        let arrival = async {
            loop {
                let job = self.job(id).await;
                if is_there(&job) {
                    return job;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, arrival).await.expect("the job gets there")
    }

    pub(crate) fn start_worker(&self, work: Work, config: WorkerConfig) -> RunningWorker {
        RunningWorker::start(self.jobs.clone(), work, config)
    }
}

/// A worker on a task of its own.
pub(crate) struct RunningWorker {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl RunningWorker {
    pub(crate) fn start(jobs: Jobs, work: Work, config: WorkerConfig) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(worker::run(jobs, work, config, shutdown.clone()));
        Self { shutdown, task }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("the worker stops").unwrap().unwrap();
    }
}

/// A worker that retries at once.
pub(crate) fn quick() -> WorkerConfig {
    WorkerConfig {
        first_backoff: Duration::ZERO,
        max_backoff: Duration::ZERO,
        sweep: Duration::from_millis(50),
        ..WorkerConfig::default()
    }
}

pub(crate) fn spec() -> JobSpec {
    JobSpec::new(RepoUrl::parse("https://example.com/a/b.git").unwrap(), "add a flag")
}

/// Work that is one async function.
pub(crate) fn work<F, Fut>(function: F) -> Work
where
    F: Fn(Arc<dyn Journal>, Progress) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<JobResult, WorkError>> + Send + 'static,
{
    Work::new(move |_, journal, progress| function(journal, progress).boxed())
}

/// Work that never ends by itself, and says when it is dropped.
pub(crate) fn endless_work() -> (Work, Arc<Endless>) {
    let endless = Arc::new(Endless::default());
    let seen = endless.clone();
    let work = work(move |_, _| {
        let running = Running(seen.clone());
        async move {
            running.0.started.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    });
    (work, endless)
}

#[derive(Default)]
pub(crate) struct Endless {
    pub(crate) started: AtomicUsize,
    dropped: AtomicBool,
}

impl Endless {
    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) async fn until_dropped(&self) {
        let dropped = async {
            while !self.is_dropped() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, dropped).await.expect("the work is dropped");
    }
}

/// Lives as long as the work's future.
struct Running(Arc<Endless>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn result() -> JobResult {
    JobResult {
        outcome: Outcome::Changed,
        diff: b"a diff".to_vec(),
        receipt: Receipt {
            base_commit: CommitId::parse(&"a".repeat(40)).unwrap(),
            base_tree: "b".repeat(40),
            result_tree: "c".repeat(40),
            patch_sha256: "d".repeat(64),
        },
        files: vec![],
        summary: "Adds the flag.".to_owned(),
        suggested_commit_message: "Add the flag".to_owned(),
        flags: vec![],
        verified: true,
    }
}

pub(crate) fn failed(code: FailureCode) -> WorkError {
    WorkError::Failed { failure: Failure::new(code, "it did not work"), retry_after: None }
}
