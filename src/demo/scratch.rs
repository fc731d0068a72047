//! The proof of the demo: the sample's own tests, before and after the diff is applied to a scratch clone.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The sample is a Python program, and the demo shows that `git apply` takes the diff.
///
/// # Errors
/// When one of the two is missing, with what to install.
pub(crate) fn require_programs() -> anyhow::Result<()> {
    for (program, package) in [("git", "git"), ("python3", "python3")] {
        let answer = std::process::Command::new(program).arg("--version").stdout(Stdio::null()).status();
        ensure!(
            answer.is_ok_and(|status| status.success()),
            "the demo needs `{program}` to try the diff out: install it (apt-get install {package}), or use `make demo`"
        );
    }
    Ok(())
}

/// Clones the sample, runs its tests, applies the diff and runs them again. Gives whether they failed before and pass
/// now.
///
/// # Errors
/// When the diff does not apply, or a program cannot be run.
pub(crate) async fn try_out(repo_url: &str, diff: &[u8], folder: &Path) -> anyhow::Result<bool> {
    let clone = folder.join("clone");
    println!("\n$ git clone {repo_url} clone && cd clone");
    let status = git().args(["clone", "--quiet", repo_url]).arg(&clone).status().await?;
    ensure!(status.success(), "git clone failed");

    let passes_before = run_tests(&clone).await?;
    println!("\n$ git apply < the diff");
    apply(&clone, diff).await?;
    let status = git().args(["diff", "--stat"]).current_dir(&clone).status().await?;
    ensure!(status.success(), "git diff failed");
    let passes_after = run_tests(&clone).await?;
    Ok(!passes_before && passes_after)
}

async fn apply(clone: &Path, diff: &[u8]) -> anyhow::Result<()> {
    let mut child = git().args(["apply", "-"]).current_dir(clone).stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("git takes no input")?;
    stdin.write_all(diff).await?;
    drop(stdin);
    if !child.wait().await?.success() {
        bail!("git apply refused the diff");
    }
    Ok(())
}

/// Runs the sample's tests and shows how they end.
async fn run_tests(clone: &Path) -> anyhow::Result<bool> {
    println!("\n$ python3 -m unittest");
    let output = Command::new("python3").args(["-B", "-m", "unittest"]).current_dir(clone).output().await?;
    let text = String::from_utf8_lossy(&output.stderr);
    let telling = text.lines().filter(|line| {
        ["FAIL:", "AssertionError:", "Ran ", "OK", "FAILED"].iter().any(|start| line.starts_with(start))
    });
    telling.for_each(|line| println!("  {line}"));
    Ok(output.status.success())
}

/// Git with nothing of the user's configuration, on loopback only.
fn git() -> Command {
    let mut git = Command::new("git");
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
    git.env_remove("http_proxy").env_remove("HTTP_PROXY").env_remove("all_proxy").env_remove("ALL_PROXY");
    git
}
