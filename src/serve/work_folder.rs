//! A folder for the repositories of running jobs, in a place that other processes use too.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;
use tracing::{info, warn};

const PREFIX: &str = "tinygen-worker-";
/// Locked as long as the process lives that the folder belongs to. It appears in the folder when it is locked already.
const LOCK: &str = "lock";

/// A folder of this process alone, removed with everything in it when dropped; when the process is killed, by the next
/// one that starts.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    folder: TempDir,
    _lock: File,
}

impl WorkFolder {
    /// Removes what killed processes left in `parent`, then makes a folder there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create_in(parent: &Path) -> anyhow::Result<Self> {
        remove_leftovers(parent);
        let cannot = || format!("cannot make a folder in {} (TMPDIR)", parent.display());
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).with_context(cannot)?;
        let lock = lock(folder.path()).with_context(cannot)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn lock(folder: &Path) -> std::io::Result<File> {
    let not_yet = folder.join("lock.new");
    let lock = File::create(&not_yet)?;
    lock.lock()?;
    fs::rename(not_yet, folder.join(LOCK))?;
    Ok(lock)
}

/// Removes the folders whose processes have ended. Those of other users stay.
fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let folders = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for folder in folders.map(|entry| entry.path()) {
        let Ok(lock) = File::open(folder.join(LOCK)) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        match fs::remove_dir_all(&folder) {
            Ok(()) => info!(folder = %folder.display(), "Removed what a killed process left"),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, folder = %folder.display(), "Cannot remove a folder");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_dead_processes_left_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a folder");
        let alive = WorkFolder::create_in(parent.path()).expect("made");
        let dead = parent.path().join(format!("{PREFIX}dead"));
        let foreign = parent.path().join("other");
        let unlocked_yet = parent.path().join(format!("{PREFIX}starting"));
        for folder in [&dead, &foreign, &unlocked_yet] {
            fs::create_dir_all(folder.join("tinygen-repo-1")).expect("made");
        }
        drop(lock(&dead).expect("locked, then let go"));

        let next = WorkFolder::create_in(parent.path()).expect("made");
        assert!(!dead.exists());
        assert!(alive.path().exists() && foreign.exists() && unlocked_yet.exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
