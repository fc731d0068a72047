//! Fetching a repository against `git clone --depth 1`: wall time, CPU time, bytes and disk, over loopback.
//!
//! The server runs in this process, each client in one of its own, so that their CPU times are apart. Rounds are
//! interleaved and medians printed. Our own start-up is not counted: a worker starts once and fetches many times.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use domain::RepoUrl;
use egress::{Egress, EgressPolicy};
use pipeline::repo::{FetchLimits, Fetcher, HostTokens};
use standin::git::GitServer;
use standin::repo::RepoBuilder;
use tokio::runtime::Runtime;

const ROUNDS: usize = 5;
const FILES: u32 = 3000;

/// Linux counts CPU time in these, on every architecture that Rust's tier 1 has.
const TICKS_PER_SECOND: f64 = 100.0;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One client.
#[derive(Clone, Copy)]
enum Client {
    Fetch,
    Clone,
    CloneBare,
}

/// What one run took.
struct Run {
    wall_seconds: f64,
    cpu_seconds: f64,
    disk_bytes: u64,
    disk_files: u64,
    received_bytes: u64,
}

impl Client {
    const ALL: [Self; 3] = [Self::Fetch, Self::Clone, Self::CloneBare];

    fn name(self) -> &'static str {
        match self {
            Self::Fetch => "tinygen fetch",
            Self::Clone => "git clone --depth 1",
            Self::CloneBare => "git clone --depth 1 --bare",
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let outcome = match arguments.get(1..) {
        Some([client, url, folder]) => run_client(client, url, Path::new(folder)),
        _ => compare(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The parent: serves the repository and starts the clients.
fn compare() -> Outcome<()> {
    let runtime = Runtime::new()?;
    let server = runtime.block_on(GitServer::start())?;
    server.add("bench", &repository())?;
    let folder = server.folder("bench").ok_or("the repository was added")?;
    let packed = Command::new("git").arg("-C").arg(folder).args(["gc", "--quiet"]).status()?;
    if !packed.success() {
        return Err("git gc failed".into());
    }
    let mut runs = Client::ALL.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (client, runs) in Client::ALL.into_iter().zip(&mut runs) {
            runs.push(start_client(client, &server)?);
        }
    }
    println!("{FILES} files, {ROUNDS} interleaved rounds, medians");
    println!("{:<28} {:>8} {:>8} {:>10} {:>10} {:>7}", "client", "wall ms", "CPU ms", "bytes", "disk", "files");
    for (client, runs) in Client::ALL.into_iter().zip(&runs) {
        let median = |of: fn(&Run) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "{:<28} {:>8.0} {:>8.0} {:>10.0} {:>10.0} {:>7.0}",
            client.name(),
            median(|run| run.wall_seconds * 1000.0),
            median(|run| run.cpu_seconds * 1000.0),
            median(|run| as_float(run.received_bytes)),
            median(|run| as_float(run.disk_bytes)),
            median(|run| as_float(run.disk_files)),
        );
    }
    Ok(())
}

/// Starts this program again as one client.
fn start_client(client: Client, server: &GitServer) -> Outcome<Run> {
    let folder = tempfile::tempdir()?;
    let count_bytes = || server.ledger().iter().map(|exchange| exchange.response_bytes).sum::<u64>();
    let bytes_before = count_bytes();
    let mode = match client {
        Client::Fetch => "fetch",
        Client::Clone => "clone",
        Client::CloneBare => "clone-bare",
    };
    let output =
        Command::new(std::env::current_exe()?).args([mode, &server.url("bench")]).arg(folder.path()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [wall_seconds, cpu_seconds, disk_bytes, disk_files] = figures[..] else {
        return Err(format!("{}: {}", client.name(), String::from_utf8_lossy(&output.stderr)).into());
    };
    let whole = |figure: f64| format!("{figure:.0}").parse::<u64>();
    Ok(Run {
        wall_seconds,
        cpu_seconds,
        disk_bytes: whole(disk_bytes)?,
        disk_files: whole(disk_files)?,
        received_bytes: count_bytes() - bytes_before,
    })
}

/// The child: one client, one run; prints its figures.
fn run_client(client: &str, url: &str, folder: &Path) -> Outcome<()> {
    let (wall_seconds, cpu_seconds, disk) = match client {
        "fetch" => fetch(url, folder)?,
        "clone" => clone(url, folder, &[])?,
        "clone-bare" => clone(url, folder, &["--bare"])?,
        _ => return Err("usage: fetch | clone | clone-bare, URL, folder".into()),
    };
    println!("{wall_seconds} {cpu_seconds} {} {}", disk.0, disk.1);
    Ok(())
}

fn fetch(url: &str, folder: &Path) -> Outcome<(f64, f64, (u64, u64))> {
    let runtime = Runtime::new()?;
    let allow_networks = vec!["127.0.0.0/8".parse()?];
    let egress = Egress::new(EgressPolicy { allow_networks, allow_plain_http: true, ..EgressPolicy::default() })?;
    let fetcher = Fetcher::new(egress, FetchLimits::default(), HostTokens::new()).in_folder(folder);
    let url = RepoUrl::parse(url)?;
    let (cpu_before, started) = (cpu_seconds(Own)?, Instant::now());
    let snapshot = runtime.block_on(fetcher.fetch(&url, None, None))?;
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds(Own)? - cpu_before);
    if snapshot.entries().len() != FILES as usize {
        return Err("not all files were fetched".into());
    }
    Ok((wall, cpu, disk_use(folder)?))
}

fn clone(url: &str, folder: &Path, options: &[&str]) -> Outcome<(f64, f64, (u64, u64))> {
    let target = folder.join("clone");
    let started = Instant::now();
    let status = Command::new("git")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(["clone", "--quiet", "--depth", "1"])
        .args(options)
        .arg(url)
        .arg(&target)
        .status()?;
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds(Children)?);
    if !status.success() {
        return Err("git clone failed".into());
    }
    Ok((wall, cpu, disk_use(&target)?))
}

/// Whose CPU time: the offset of two fields of `/proc/self/stat` after the program's name.
enum Whose {
    Own = 11,
    Children = 13,
}

use Whose::{Children, Own};

fn cpu_seconds(whose: Whose) -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no program name in /proc/self/stat")?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(whose as usize).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// Bytes and number of the files below a folder.
fn disk_use(folder: &Path) -> Outcome<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = disk_use(&entry.path())?;
            sum = (sum.0 + below.0, sum.1 + below.1);
        } else {
            sum = (sum.0 + entry.metadata()?.len(), sum.1 + 1);
        }
    }
    Ok(sum)
}

/// Three commits of source-like text, about 4 kB a file.
fn repository() -> RepoBuilder {
    let mut builder = RepoBuilder::new();
    for commit in 0..3 {
        for file in (0..FILES).filter(|file| commit == 0 || file % 10 == commit) {
            let path = format!("src/area{}/part{}/file{file}.rs", file % 12, file % 97);
            builder = builder.file(&path, source(file, commit));
        }
        builder = builder.commit(&format!("commit {commit}"));
    }
    builder
}

fn source(file: u32, commit: u32) -> String {
    let mut state = file.wrapping_mul(2_654_435_761).wrapping_add(commit);
    let mut next = |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % bound
    };
    let words = ["snapshot", "lease", "stage", "edit", "tree", "blob", "queue", "model", "diff", "count"];
    let mut text = String::new();
    for line in 0..40 + next(80) {
        let (one, two) = (words[next(10) as usize], words[next(10) as usize]);
        let (three, number) = (words[next(10) as usize], next(100_000));
        let _ = writeln!(text, "    let {one}_{line} = {two}.{three}(&{one}, {number}).unwrap_or_default();");
    }
    text
}

/// A size as a figure of a table: exact up to 2^52.
#[expect(clippy::cast_precision_loss, reason = "no repository has so many bytes")]
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}
