//! A Git server: bare repositories over real smart HTTP, on loopback, with faults on demand.
//!
//! The protocol is spoken by `git upload-pack` itself; this is what `git http-backend` does, with a ledger of every
//! request and a switch for each way in which a server can fail.

mod backend;
mod behaviour;
mod ledger;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::serve::ListenerExt;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use behaviour::{Behaviour, Fault};
pub use ledger::{Exchange, Stage};

use crate::repo::{BuiltRepo, RepoBuilder};
use crate::without_delay;

/// A Git server on `127.0.0.1`. It ends, and its repositories go away, when the value is dropped.
pub struct GitServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    folder: TempDir,
}

#[derive(Default)]
struct Shared {
    repositories: Mutex<HashMap<String, PathBuf>>,
    behaviour: Mutex<Behaviour>,
    ledger: ledger::Ledger,
}

impl GitServer {
    /// Starts a server without repositories on a free port.
    ///
    /// # Errors
    /// When no port or no temporary folder is to be had.
    pub async fn start() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("git-server-").tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(backend::answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Serving ends with the task; an error here is a listener that went away, which clients notice.
            let _ = axum::serve(listener.tap_io(without_delay), router).await;
        });
        Ok(Self { address, shared, task, folder })
    }

    /// Builds a repository and serves it as `name`, which may have slashes.
    ///
    /// # Errors
    /// As [`RepoBuilder::build`].
    pub fn add(&self, name: &str, repository: &RepoBuilder) -> Result<BuiltRepo, git2::Error> {
        let path = self.new_folder(name);
        let built = repository.build(&path)?;
        self.serve(name, path);
        Ok(built)
    }

    /// Serves the bare repository in `folder` as `name`.
    pub fn serve(&self, name: &str, folder: impl Into<PathBuf>) {
        lock(&self.shared.repositories).insert(name.to_owned(), folder.into());
    }

    /// A place for a repository that goes away with the server. Nothing is created.
    pub fn new_folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name.replace('/', "-")).with_added_extension("git")
    }

    /// Where a repository added by [`GitServer::add`] is.
    pub fn folder(&self, name: &str) -> Option<PathBuf> {
        lock(&self.shared.repositories).get(name).cloned()
    }

    /// The address a client uses for `name`.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}.git", self.origin())
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how the server behaves from the next request on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.shared.behaviour));
    }

    /// Every request so far, in the order of arrival.
    pub fn ledger(&self) -> Vec<Exchange> {
        self.shared.ledger.read()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// The repository that a path names, with or without `.git`.
    fn repository(&self, name: &str) -> Option<PathBuf> {
        let repositories = lock(&self.repositories);
        let plain = name.strip_suffix(".git").unwrap_or(name);
        repositories.get(plain).or_else(|| repositories.get(name)).filter(|path| Path::exists(path)).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
