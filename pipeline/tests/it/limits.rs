//! Too much, too slow, cut off, given up.

use std::time::{Duration, Instant};

use domain::FailureCode;
use pipeline::repo::{FetchError, FetchLimits, Fetcher, HostTokens, SnapshotLimits, TooLarge};
use standin::git::{Behaviour, Fault};
use standin::repo::RepoBuilder;

use crate::lab::{Lab, library, open_egress, url};
use crate::pack::sideband_answer;

const SHORT: Duration = Duration::from_millis(300);

/// Puts a fault at one stage of a fetch.
const STAGES: [fn(&mut Behaviour, Fault); 3] = [
    |behaviour, fault| behaviour.advertisement = Some(fault),
    |behaviour, fault| behaviour.ls_refs = Some(fault),
    |behaviour, fault| behaviour.fetch = Some(fault),
];

fn at_stage(lab: &Lab, set: fn(&mut Behaviour, Fault), fault: Fault) {
    lab.server.behave(|behaviour| {
        *behaviour = Behaviour::default();
        set(behaviour, fault);
    });
}

fn noise(bytes: u32) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(next).collect()
}

#[tokio::test]
async fn stops_at_the_byte_cap() {
    let lab = Lab::with_limits(FetchLimits { max_bytes: 100_000, ..FetchLimits::default() }).await;
    lab.add("large", &RepoBuilder::new().file("noise.bin", noise(400_000)).commit("one"));
    let error = lab.failure("large", None).await;
    assert!(matches!(error, FetchError::TooLarge(TooLarge::Bytes(100_000))), "{error:?}");
    assert_eq!(error.code(), FailureCode::RepoTooLarge);
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn stops_a_flood_at_every_stage() {
    let lab = Lab::with_limits(FetchLimits { max_bytes: 2_000_000, ..FetchLimits::default() }).await;
    lab.add("library", &library());
    let flood = |content_type: &str, head: &[u8], repeat: Vec<u8>| Fault::Flood {
        content_type: content_type.to_owned(),
        head: head.to_vec(),
        repeat,
    };
    let result = "application/x-git-upload-pack-result";
    let reference = |name: &str| format!("{:04x}{} {name}\n", 46 + name.len(), "1".repeat(40)).into_bytes();
    let progress = [b"fff0".to_vec(), vec![2; 65_516]].concat();
    let empty = b"0004".repeat(1000);
    let floods = [
        (STAGES[0], flood("application/x-git-upload-pack-advertisement", b"", reference("refs/heads/x").repeat(500))),
        (STAGES[1], flood(result, b"", reference("refs/heads/x").repeat(500))),
        (STAGES[2], flood(result, b"000dpackfile\n", progress)),
        (STAGES[2], flood(result, b"000dpackfile\n", empty)),
    ];
    for (set, fault) in floods {
        at_stage(&lab, set, fault);
        let error = lab.failure("library", Some("main")).await;
        assert!(matches!(error, FetchError::TooLarge(TooLarge::Bytes(2_000_000))), "{error:?}");
    }
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn endless_lists_before_the_pack_are_cut() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let shallow = format!("0035shallow {}\n", "1".repeat(40)).into_bytes();
    let flood = Fault::Flood {
        content_type: "application/x-git-upload-pack-result".to_owned(),
        head: b"0011shallow-info".to_vec(),
        repeat: shallow.repeat(100),
    };
    at_stage(&lab, STAGES[2], flood);
    assert!(matches!(lab.failure("library", None).await, FetchError::Unsupported(_)));
    let capabilities = Fault::Flood {
        content_type: "application/x-git-upload-pack-advertisement".to_owned(),
        head: b"000eversion 2\n".to_vec(),
        repeat: b"0007x=y".repeat(100),
    };
    at_stage(&lab, STAGES[0], capabilities);
    assert!(matches!(lab.failure("library", None).await, FetchError::Unsupported(_)));
}

#[tokio::test]
async fn keeps_its_deadline_with_a_host_that_falls_silent() {
    let lab = Lab::with_limits(FetchLimits { deadline: SHORT, ..FetchLimits::default() }).await;
    lab.add("library", &library());
    for set in STAGES {
        for fault in [Fault::Hang, Fault::HangAfter(10), Fault::HangAfter(50)] {
            at_stage(&lab, set, fault.clone());
            let started = Instant::now();
            let error = lab.failure("library", None).await;
            assert!(matches!(error, FetchError::TimedOut(SHORT)), "{fault:?}: {error:?}");
            assert_eq!(error.code(), FailureCode::RepoTimeout);
            assert!(started.elapsed() < SHORT + Duration::from_secs(5), "{:?}", started.elapsed());
        }
    }
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_unreachable() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    for set in STAGES {
        for bytes in [0, 1, 4, 13, 40, 50] {
            at_stage(&lab, set, Fault::CutAfter(bytes));
            let error = lab.failure("library", None).await;
            assert_eq!(error.code(), FailureCode::RepoUnreachable, "after {bytes} bytes: {error:?}");
        }
    }
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_unreachable() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    for bytes in [&b""[..], b"000dpackfile\n", b"000dpackfile\n0009\x01PACK", b"000dpackfile\n0009\x03dead"] {
        let fault =
            Fault::Body { content_type: "application/x-git-upload-pack-result".to_owned(), bytes: bytes.to_vec() };
        at_stage(&lab, STAGES[2], fault);
        let error = lab.failure("library", None).await;
        assert_eq!(error.code(), FailureCode::RepoUnreachable, "{bytes:?}: {error:?}");
    }
    at_stage(&lab, STAGES[2], sideband_answer(b"not a pack at all"));
    assert_eq!(lab.failure("library", None).await.code(), FailureCode::RepoUnsupported);
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_nothing_behind() {
    let lab = Lab::start().await;
    lab.add("large", &RepoBuilder::new().file("noise.bin", noise(400_000)).commit("one"));
    lab.server.behave(|behaviour| behaviour.fetch = Some(Fault::HangAfter(200_000)));
    let address = url(&lab.server.url("large"));
    let fetcher = lab.fetcher.clone();
    let fetch = tokio::spawn(async move { fetcher.fetch(&address, None, None).await.map(|_| ()) });
    tokio::time::timeout(Duration::from_secs(20), async {
        while lab.stored_files().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("the fetch begins to store");
    fetch.abort();
    assert!(fetch.await.expect_err("aborted").is_cancelled());
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn bounds_on_files_and_folders_hold() {
    let snapshot = SnapshotLimits { max_entries: 7, max_depth: 2, ..SnapshotLimits::default() };
    let lab = Lab::with_limits(FetchLimits { snapshot, ..FetchLimits::default() }).await;
    let wide = (0..8).fold(RepoBuilder::new(), |builder, n| builder.file(&format!("{n}.txt"), "x"));
    lab.add("wide", &wide.commit("one"));
    lab.add("deep", &RepoBuilder::new().file("a/b/c.txt", "x").commit("one"));
    lab.add("fits", &RepoBuilder::new().file("a/b.txt", "x").commit("one"));
    assert!(matches!(lab.failure("wide", None).await, FetchError::TooLarge(TooLarge::Entries(7))));
    assert!(matches!(lab.failure("deep", None).await, FetchError::TooLarge(TooLarge::Depth(2))));
    assert!(lab.fetch("fits", None).await.is_ok());
}

#[tokio::test]
async fn a_missing_folder_is_our_own_fault() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let fetcher = Fetcher::new(open_egress(), FetchLimits::default(), HostTokens::new())
        .in_folder(lab.folder.path().join("missing"));
    let error = fetcher.fetch(&url(&lab.server.url("library")), None, None).await.err().expect("no folder");
    assert!(matches!(error, FetchError::Disk(_)), "{error:?}");
    assert_eq!(error.code(), FailureCode::Internal);
}
