//! What a name means, and what is fetched for it.

use domain::{FailureCode, RepoPath};
use git2::{Oid, Repository};
use pipeline::repo::{FetchError, FetchLimits, FileMode};
use standin::git::Stage;
use standin::repo::RepoBuilder;

use crate::lab::{Lab, library, paths, url};

/// Names, and which of the library's commits they mean.
const NAMES: &[(Option<&str>, usize)] = &[
    (None, 1),
    (Some("HEAD"), 1),
    (Some("main"), 1),
    (Some("feature/x"), 2),
    (Some("v1"), 0),
    (Some("v1.0"), 0),
    (Some("refs/heads/main"), 1),
    (Some("refs/heads/feature/x"), 2),
    (Some("refs/tags/v1"), 0),
    (Some("refs/tags/v1.0"), 0),
];

#[tokio::test]
async fn finds_branches_tags_and_commits_in_both_protocols() {
    let lab = Lab::start().await;
    let built = lab.add("library", &library());
    for only_v0 in [false, true] {
        lab.server.behave(|behaviour| behaviour.only_v0 = only_v0);
        for (name, commit) in NAMES {
            let snapshot = lab.fetch("library", *name).await.expect("fetched");
            assert_eq!(snapshot.commit().as_str(), built.commits[*commit], "{name:?}, only v0: {only_v0}");
        }
        for commit in &built.commits {
            let snapshot = lab.fetch("library", Some(commit)).await.expect("fetched");
            assert_eq!(snapshot.commit().as_str(), commit, "only v0: {only_v0}");
        }
    }
}

#[tokio::test]
async fn a_pinned_commit_wins_over_a_name() {
    let lab = Lab::start().await;
    let built = lab.add("library", &library());
    let address = url(&lab.server.url("library"));
    let (name, pinned) = (crate::lab::reference("main"), crate::lab::commit_id(&built.commits[0]));
    let snapshot = lab.fetcher.fetch(&address, Some(&name), Some(&pinned)).await.expect("fetched");
    assert_eq!(snapshot.commit(), &pinned);
    assert!(lab.server.ledger().iter().all(|exchange| exchange.stage != Some(Stage::LsRefs)), "no name is looked up");
}

#[tokio::test]
async fn lists_and_reads_the_files_of_the_commit() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let snapshot = lab.fetch("library", None).await.expect("fetched");
    let listed: Vec<_> =
        snapshot.entries().iter().map(|(path, entry)| (path.as_str(), entry.mode, entry.size)).collect();
    assert_eq!(
        listed,
        [
            ("README.md", FileMode::Regular, Some(10)),
            ("docs", FileMode::Symlink, Some(9)),
            ("run.sh", FileMode::Executable, Some(10)),
            ("src/lib.rs", FileMode::Regular, Some(30)),
            ("src/two.rs", FileMode::Regular, Some(16)),
            ("vendor/dep", FileMode::Submodule, None),
        ]
    );
    let readme = snapshot.entries()[&RepoPath::parse("README.md").unwrap()];
    assert_eq!(snapshot.read(readme.oid).expect("there"), b"# Library\n");
    assert_eq!(snapshot.unusable_entries(), 0);
}

#[tokio::test]
async fn says_what_it_cannot_find() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let missing = "0123456789012345678901234567890123456789";
    for only_v0 in [false, true] {
        lab.server.behave(|behaviour| behaviour.only_v0 = only_v0);
        for name in ["nope", "feature", "refs/heads/v1", "refs/tags/main", "refs/heads/mai", missing] {
            let error = lab.failure("library", Some(name)).await;
            assert!(matches!(&error, FetchError::RefNotFound(found) if found == name), "{name}: {error:?}");
            assert_eq!(error.code(), FailureCode::RefNotFound);
        }
    }
}

#[tokio::test]
async fn an_empty_repository_is_called_empty() {
    let lab = Lab::start().await;
    lab.add("empty", &RepoBuilder::new());
    for only_v0 in [false, true] {
        lab.server.behave(|behaviour| behaviour.only_v0 = only_v0);
        for name in [None, Some("main"), Some("v1")] {
            let error = lab.failure("empty", name).await;
            assert!(matches!(error, FetchError::Empty), "{name:?}, only v0 {only_v0}: {error:?}");
            assert_eq!(error.code(), FailureCode::RepoEmpty);
        }
    }
}

#[tokio::test]
async fn a_default_branch_that_does_not_exist_is_not_an_empty_repository() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let repository = Repository::open_bare(lab.server.folder("library").unwrap()).unwrap();
    repository.set_head("refs/heads/gone").unwrap();
    for only_v0 in [false, true] {
        lab.server.behave(|behaviour| behaviour.only_v0 = only_v0);
        let error = lab.failure("library", None).await;
        assert!(matches!(&error, FetchError::RefNotFound(name) if name == "HEAD"), "{error:?}");
    }
}

#[tokio::test]
async fn a_tag_that_names_no_commit_is_refused() {
    let lab = Lab::start().await;
    let built = lab.add("library", &library());
    let repository = Repository::open_bare(lab.server.folder("library").unwrap()).unwrap();
    let commit = repository.find_commit(Oid::from_str(built.last()).unwrap()).unwrap();
    let blob = commit.tree().unwrap().get_path("README.md".as_ref()).unwrap().id();
    repository.reference("refs/tags/tree", commit.tree_id(), false, "").unwrap();
    repository.reference("refs/tags/blob", blob, false, "").unwrap();
    for name in ["tree", "blob"] {
        let error = lab.failure("library", Some(name)).await;
        assert!(matches!(error, FetchError::RefNotFound(_)), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn large_blobs_stay_at_a_host_that_can_keep_them() {
    let limits = FetchLimits { max_fetched_blob_bytes: 1000, ..FetchLimits::default() };
    let lab = Lab::with_limits(limits).await;
    let large: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
    lab.add("assets", &RepoBuilder::new().file("small.txt", "small\n").file("large.bin", large.clone()).commit("one"));
    for only_v0 in [false, true] {
        for filter in [true, false] {
            lab.server.behave(|behaviour| (behaviour.only_v0, behaviour.filter) = (only_v0, filter));
            let snapshot = lab.fetch("assets", None).await.expect("fetched");
            let size = |path: &str| snapshot.entries()[&RepoPath::parse(path).unwrap()].size;
            assert_eq!(size("small.txt"), Some(6));
            assert_eq!(size("large.bin"), (!filter).then_some(160_000), "only v0: {only_v0}, filter: {filter}");
        }
    }
}

#[tokio::test]
async fn asks_for_exact_names_and_one_commit_only() {
    let lab = Lab::start().await;
    let built = lab.add("library", &library());
    let snapshot = lab.fetch("library", Some("feature/x")).await.expect("fetched");
    let ledger = lab.server.ledger();
    let stages: Vec<_> = ledger.iter().map(|exchange| exchange.stage.expect("a fetch")).collect();
    assert_eq!(stages, [Stage::Advertisement, Stage::LsRefs, Stage::Fetch]);
    let ls_refs = String::from_utf8(ledger[1].request.clone()).unwrap();
    assert!(ls_refs.contains("ref-prefix refs/heads/feature/x\n"), "{ls_refs}");
    let store = lab.stored_files()[0].ancestors().nth(1).expect("a folder").to_owned();
    let repository = Repository::open_bare(store).unwrap();
    assert!(repository.find_commit(Oid::from_str(&built.commits[2]).unwrap()).is_ok());
    assert!(repository.find_commit(Oid::from_str(&built.commits[1]).unwrap()).is_err(), "no history is fetched");
    assert_eq!(paths(&snapshot).len(), 5);
}

#[tokio::test]
async fn stores_an_object_database_and_nothing_else_and_removes_it() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let snapshot = lab.fetch("library", None).await.expect("fetched");
    let kinds: Vec<_> = lab.stored_files().iter().map(|file| kind_of(file)).collect();
    assert_eq!(kinds, ["HEAD", "idx", "pack", "shallow"]);
    drop(snapshot);
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn fetches_many_repositories_at_once() {
    let lab = Lab::start().await;
    let built = lab.add("library", &library());
    let fetches = (0..12).map(|_| lab.fetch("library", None));
    for snapshot in futures::future::join_all(fetches).await {
        assert_eq!(snapshot.expect("fetched").commit().as_str(), built.commits[1]);
    }
    lab.until_nothing_is_stored().await;
}

fn kind_of(file: &std::path::Path) -> String {
    file.extension().or(file.file_name()).expect("a name").to_string_lossy().into_owned()
}
