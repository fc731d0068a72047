//! Trees that no honest program writes.

use domain::RepoPath;
use git2::Oid;
use pipeline::repo::{FetchError, FileMode, ReadError, Snapshot, TooLarge};
use standin::repo::RepoBuilder;

use crate::lab::{Lab, paths};
use crate::pack::{BLOB, PackWriter, deflated_zeros, sideband_answer};

const FOLDER: &str = "40000";
const FILE: &str = "100644";

async fn lab() -> Lab {
    let lab = Lab::start().await;
    lab.add("hostile", &RepoBuilder::new());
    lab
}

/// Serves a pack as the answer to the request for its commit.
async fn fetch(lab: &Lab, pack: &PackWriter, commit: Oid) -> Result<Snapshot, FetchError> {
    lab.server.behave(|behaviour| behaviour.fetch = Some(sideband_answer(&pack.finish())));
    lab.fetch_at("hostile", &commit.to_string()).await
}

#[tokio::test]
async fn a_git_bomb_is_refused() {
    let lab = lab().await;
    let mut pack = PackWriter::new();
    let mut id = pack.blob(b"x");
    for level in 0..10 {
        let mode = if level == 0 { FILE } else { FOLDER };
        let names: Vec<_> = (0..10).map(|n| format!("f{n}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (mode, name.as_bytes(), id)).collect();
        id = pack.tree(&entries);
    }
    let commit = pack.commit(id);
    assert!(pack.len() < 2000, "10^10 paths in {} bytes", pack.len());
    let error = fetch(&lab, &pack, commit).await.err().expect("refused");
    assert!(matches!(error, FetchError::TooLarge(TooLarge::Entries(200_000))), "{error:?}");
}

#[tokio::test]
async fn two_million_paths_in_four_objects_are_refused() {
    let lab = lab().await;
    let mut pack = PackWriter::new();
    let blob = pack.blob(b"x");
    let names: Vec<_> = (0..1414).map(|n| format!("{n:04}")).collect();
    let files: Vec<_> = names.iter().map(|name| (FILE, name.as_bytes(), blob)).collect();
    let leaf = pack.tree(&files);
    let folders: Vec<_> = names.iter().map(|name| (FOLDER, name.as_bytes(), leaf)).collect();
    let root = pack.tree(&folders);
    let commit = pack.commit(root);
    let error = fetch(&lab, &pack, commit).await.err().expect("refused");
    assert!(matches!(error, FetchError::TooLarge(TooLarge::Entries(_))), "{error:?}");
}

#[tokio::test]
async fn twenty_thousand_levels_do_not_overflow_the_stack() {
    let lab = lab().await;
    let mut pack = PackWriter::new();
    let mut id = pack.blob(b"x");
    for level in 0..20_000 {
        id = pack.tree(&[(if level == 0 { FILE } else { FOLDER }, b"d", id)]);
    }
    let commit = pack.commit(id);
    let error = fetch(&lab, &pack, commit).await.err().expect("refused");
    assert!(matches!(error, FetchError::TooLarge(TooLarge::Depth(64))), "{error:?}");
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_left_out_and_counted() {
    let lab = lab().await;
    let long = "n".repeat(5000);
    let bad: [&[u8]; 22] = [
        b".",
        b"..",
        b".git",
        b".GIT",
        b".Git",
        b"git~1",
        b"GIT~1",
        b".git.",
        b".git ",
        b".git::$INDEX_ALLOCATION",
        ".g\u{200c}it".as_bytes(),
        b"a/b",
        b"/etc/passwd",
        b"a/../../b",
        b"a\\b",
        b"C:\\x",
        b"a\nb",
        b"\x1b[31m",
        "a\u{202e}b".as_bytes(),
        b"\xff\xfe",
        long.as_bytes(),
        b"\x7f",
    ];
    let good: [&[u8]; 8] =
        [b"README", b"readme", b"CON", b"nul", b"-rf", b" lead", ".gitignore".as_bytes(), "größe".as_bytes()];
    let mut pack = PackWriter::new();
    let blob = pack.blob(b"x");
    let entries: Vec<_> = bad.iter().chain(&good).map(|name| (FILE, *name, blob)).collect();
    let root = pack.tree(&entries);
    let commit = pack.commit(root);
    let snapshot = fetch(&lab, &pack, commit).await.expect("the rest is readable");
    assert_eq!(snapshot.unusable_entries(), bad.len());
    let mut expected: Vec<_> = good.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
    expected.sort_unstable();
    assert_eq!(paths(&snapshot), expected);
}

#[tokio::test]
async fn a_folder_named_like_the_git_folder_hides_what_is_in_it() {
    let lab = lab().await;
    let mut pack = PackWriter::new();
    let blob = pack.blob(b"#!/bin/sh\n");
    let hooks = pack.tree(&[("100755", b"post-checkout", blob)]);
    let root = pack.tree(&[(FOLDER, b".git", hooks), (FOLDER, b"ok", hooks)]);
    let commit = pack.commit(root);
    let snapshot = fetch(&lab, &pack, commit).await.expect("the rest is readable");
    assert_eq!((paths(&snapshot), snapshot.unusable_entries()), (vec!["ok/post-checkout"], 1));
}

#[tokio::test]
async fn links_are_listed_and_odd_modes_are_not() {
    let lab = lab().await;
    let mut pack = PackWriter::new();
    let blob = pack.blob(b"/etc/passwd");
    let root = pack.tree(&[
        ("120000", b"link", blob),
        ("160000", b"module", Oid::from_str(&"ab".repeat(20)).unwrap()),
        ("100664", b"old", blob),
        ("100777", b"wide-open", blob),
        ("140000", b"whiteout", blob),
        ("100644", b"x", blob),
        ("100755", b"x", blob),
    ]);
    let commit = pack.commit(root);
    let snapshot = fetch(&lab, &pack, commit).await.expect("the rest is readable");
    let modes: Vec<_> = snapshot.entries().iter().map(|(path, entry)| (path.as_str(), entry.mode)).collect();
    assert_eq!(
        modes,
        [
            ("link", FileMode::Symlink),
            ("module", FileMode::Submodule),
            ("old", FileMode::Regular),
            ("x", FileMode::Regular),
        ]
    );
    assert_eq!(snapshot.unusable_entries(), 3, "two modes, and the second `x`");
}

#[tokio::test]
async fn missing_blobs_have_no_size_and_missing_trees_are_damage() {
    let lab = lab().await;
    let absent = Oid::from_str(&"cd".repeat(20)).unwrap();
    let mut pack = PackWriter::new();
    let blob = pack.blob(b"here");
    let root = pack.tree(&[(FILE, b"absent", absent), (FILE, b"here", blob)]);
    let commit = pack.commit(root);
    let snapshot = fetch(&lab, &pack, commit).await.expect("readable");
    let sizes: Vec<_> = snapshot.entries().values().map(|entry| entry.size).collect();
    assert_eq!(sizes, [None, Some(4)]);
    assert!(matches!(snapshot.read(absent), Err(ReadError::Missing(_))));

    let mut pack = PackWriter::new();
    let root = pack.tree(&[(FOLDER, b"absent", absent)]);
    let commit = pack.commit(root);
    assert!(matches!(fetch(&lab, &pack, commit).await, Err(FetchError::Damaged(_))));
}

#[tokio::test]
async fn entries_that_lie_about_their_kind_are_not_files() {
    let lab = lab().await;
    let mut pack = PackWriter::new();
    let blob = pack.blob(b"x");
    let inner = pack.tree(&[(FILE, b"x", blob)]);
    let root = pack.tree(&[(FILE, b"tree-as-file", inner)]);
    let commit = pack.commit(root);
    let snapshot = fetch(&lab, &pack, commit).await.expect("readable");
    assert_eq!(snapshot.entries()[&RepoPath::parse("tree-as-file").unwrap()].size, None);
    assert!(matches!(snapshot.read(inner), Err(ReadError::Missing(_))));

    let mut pack = PackWriter::new();
    let blob = pack.blob(b"x");
    let root = pack.tree(&[(FOLDER, b"blob-as-folder", blob)]);
    let commit = pack.commit(root);
    assert!(matches!(fetch(&lab, &pack, commit).await, Err(FetchError::Damaged(_))));
}

#[tokio::test]
async fn a_blob_of_zeros_is_never_held_in_memory() {
    let lab = lab().await;
    let zero_bytes: u64 = 160 << 20;
    let mut pack = PackWriter::new();
    let compressed = deflated_zeros(zero_bytes);
    pack.raw(BLOB, zero_bytes, &[], &compressed);
    let id = zeros_id(zero_bytes);
    let root = pack.tree(&[(FILE, b"zeros.bin", id)]);
    let commit = pack.commit(root);
    let before = peak_resident_bytes();
    let snapshot = fetch(&lab, &pack, commit).await.expect("readable");
    assert_eq!(snapshot.entries()[&RepoPath::parse("zeros.bin").unwrap()].size, Some(zero_bytes));
    assert!(matches!(snapshot.read(id), Err(ReadError::TooLarge { bytes, .. }) if bytes == zero_bytes));
    let grown = peak_resident_bytes() - before;
    assert!(grown < 64 << 20, "{grown} bytes more than before");
}

/// The id of a blob of zeros, which Git's own program computes without holding it either.
fn zeros_id(zero_bytes: u64) -> Oid {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(zero_bytes).expect("a sparse file");
    let output = std::process::Command::new("git")
        .args(["-c", "core.bigFileThreshold=1m", "hash-object", "--no-filters"])
        .arg(file.path())
        .output()
        .expect("git runs");
    Oid::from_str(String::from_utf8(output.stdout).expect("hexadecimal").trim()).expect("an id")
}

fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}
