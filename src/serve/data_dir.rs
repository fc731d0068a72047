//! The data directory of a process that has its database to itself.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use jobs::Jobs;
use tracing::info;

/// Makes sure that no other process uses the data directory, and takes over what an earlier one left behind: its jobs
/// need not wait until their leases run out. The lock holds as long as the file is open.
///
/// # Errors
/// When another process has the directory, or the database does not answer.
pub(crate) async fn take_over(jobs: &Jobs, data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("tinygen.lock");
    let lock = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    if lock.try_lock().is_err() {
        bail!(
            "another tinygen uses the data directory {}: stop it, or set TINYGEN_DATA_DIR to another folder",
            data_dir.display()
        );
    }
    let unfinished = jobs.expire_leases().await?;
    if unfinished > 0 {
        info!(unfinished, "Going on with the jobs of an earlier process");
    }
    Ok(lock)
}

/// A folder for the repositories of running jobs. What is in it was left by a process that was killed.
///
/// # Errors
/// When it cannot be emptied or made.
pub(crate) fn make_empty(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot empty the folder {}", folder.display());
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(cannot),
        _ => {}
    }
    std::fs::create_dir_all(folder).with_context(cannot)
}
