//! How fast a sheet is built, next to merely reading every blob of the same repository.
//!
//! `cargo bench -p pipeline --bench sheet` makes a repository of 3,000 files and 30 MB in one pack, builds its sheet with
//! one and more threads and prints the medians of five runs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use git2::{FileMode, Oid, Repository, Signature, build::TreeUpdateBuilder};
use pipeline::repo::{Snapshot, SnapshotLimits};
use pipeline::{Calibration, Sheet, SheetLimits};

const FILES: usize = 3_000;
const BYTES_PER_FILE: usize = 10_000;
const RUNS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let commit = generate(folder.path());
    let open = || {
        let repository = Repository::open_bare(folder.path()).expect("the repository");
        Snapshot::open(repository, commit, SnapshotLimits::default()).expect("a snapshot")
    };
    let snapshot = open();
    let bytes: u64 = snapshot.entries().values().filter_map(|entry| entry.size).sum();
    println!("{} files, {:.1} MB, medians of {RUNS} runs", snapshot.entries().len(), megabytes(bytes));
    println!("{:<28} {:>9} {:>9}", "", "ms", "MB/s");

    row("list the commit", bytes, || drop(open()));
    row("read every blob, 1 thread", bytes, || {
        let read: u64 = snapshot.entries().values().map(|e| snapshot.read(e.oid).expect("a blob").len() as u64).sum();
        assert_eq!(read, bytes);
    });
    for threads in [1, 2, 4] {
        let limits = SheetLimits { threads, ..SheetLimits::default() };
        row(&format!("sheet, {threads} thread(s)"), bytes, || drop(build(&snapshot, &limits)));
    }
    let sheet = build(&snapshot, &SheetLimits::default());
    println!(
        "sheet: {:.1} MB, {} files shown, {} tokens",
        megabytes(sheet.text.len() as u64),
        sheet.shown,
        sheet.tokens
    );
}

fn build(snapshot: &Snapshot, limits: &SheetLimits) -> Sheet {
    Sheet::build(snapshot, limits, &Calibration::default()).expect("a sheet")
}

fn row(name: &str, bytes: u64, work: impl Fn()) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    let median = times[RUNS / 2].as_secs_f64();
    println!("{name:<28} {:>9.1} {:>9.0}", median * 1e3, megabytes(bytes) / median);
}

#[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A commit of code-like files, packed as a fetch would deliver it.
fn generate(folder: &Path) -> Oid {
    let repository = Repository::init_bare(folder).expect("a repository");
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut update = TreeUpdateBuilder::new();
    for number in 0..FILES {
        let blob = repository.blob(code(&mut random).as_bytes()).expect("a blob");
        let path = format!("src/part{}/module{}/file{number}.rs", number % 20, number % 300);
        update.upsert(path.as_str(), blob, FileMode::Blob);
    }
    let empty = repository.treebuilder(None).and_then(|builder| builder.write()).expect("an empty tree");
    let base = repository.find_tree(empty).expect("the empty tree");
    let tree = update.create_updated(&repository, &base).expect("a tree");
    let tree = repository.find_tree(tree).expect("the tree");
    let author = Signature::now("bench", "bench@example.org").expect("a signature");
    let commit = repository.commit(Some("refs/heads/main"), &author, &author, "", &tree, &[]).expect("a commit");
    let packed = Command::new("git").args(["-C"]).arg(folder).args(["repack", "-adq"]).status().expect("git runs");
    assert!(packed.success(), "git repack failed");
    commit
}

fn code(random: &mut Random) -> String {
    const WORDS: [&str; 24] = [
        "let",
        "value",
        "request",
        "fn",
        "result",
        "match",
        "self",
        "index",
        "buffer",
        "read_line",
        "parseHeader",
        "state",
        "if",
        "return",
        "count",
        "entries",
        "Option",
        "Some",
        "None",
        "impl",
        "pub",
        "struct",
        "mut",
        "connection",
    ];
    const MARKS: [&str; 8] = ["(", ")", " = ", ";\n    ", "{\n        ", "}\n", ".", ", "];
    let mut text = String::with_capacity(BYTES_PER_FILE + 32);
    while text.len() < BYTES_PER_FILE {
        text.push_str(WORDS[random.below(WORDS.len())]);
        if random.below(5) == 0 {
            text.push_str(&random.below(100_000).to_string());
        }
        text.push_str(MARKS[random.below(MARKS.len())]);
    }
    text
}

/// Xorshift: the same repository in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}
