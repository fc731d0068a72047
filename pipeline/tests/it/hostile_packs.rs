//! Packs that are wrong: bombs, lies, cuts and flipped bits.

use std::time::{Duration, Instant};

use domain::{FailureCode, RepoPath};
use git2::{ObjectType, Oid};
use pipeline::repo::{FetchError, FetchLimits, ReadError, Snapshot, TooLarge};
use standin::repo::RepoBuilder;

use crate::lab::Lab;
use crate::pack::{BLOB, PackWriter, deflated, deflated_zeros, sideband_answer, varint};

async fn lab(limits: FetchLimits) -> Lab {
    let lab = Lab::with_limits(limits).await;
    lab.add("hostile", &RepoBuilder::new());
    lab
}

async fn fetch(lab: &Lab, pack: &[u8], commit: Oid) -> Result<Snapshot, FetchError> {
    lab.server.behave(|behaviour| behaviour.fetch = Some(sideband_answer(pack)));
    lab.fetch_at("hostile", &commit.to_string()).await
}

/// A pack of some files, and its commit.
fn honest_pack() -> (PackWriter, Oid) {
    let mut pack = PackWriter::new();
    let base = b"fn main() { println!(\"hello, hello, hello\"); }\n".repeat(20);
    let base_at = pack.len();
    let one = pack.blob(&base);
    let changed = [&base[..], b"// more\n"].concat();
    let delta = append_delta(&base, b"// more\n");
    let distance = pack.len() - base_at;
    pack.ofs_delta(distance as u64, &delta);
    let two = Oid::hash_object(ObjectType::Blob, &changed).expect("hashed");
    let folder = pack.tree(&[("100644", b"two.rs", two)]);
    let root = pack.tree(&[("100644", b"one.rs", one), ("40000", b"src", folder)]);
    let commit = pack.commit(root);
    (pack, commit)
}

/// A delta that copies a base of less than 64 KiB and appends a short text.
fn append_delta(base: &[u8], text: &[u8]) -> Vec<u8> {
    let [low, high, ..] = (base.len() as u64).to_le_bytes();
    let mut delta = [varint(base.len() as u64), varint((base.len() + text.len()) as u64)].concat();
    delta.extend_from_slice(&[0x80 | 0x30, low, high]);
    delta.push(u8::try_from(text.len()).expect("short"));
    delta.extend_from_slice(text);
    delta
}

#[tokio::test]
async fn the_honest_pack_is_readable() {
    let lab = lab(FetchLimits::default()).await;
    let (pack, commit) = honest_pack();
    let snapshot = fetch(&lab, &pack.finish(), commit).await.expect("readable");
    let two = snapshot.entries()[&RepoPath::parse("src/two.rs").unwrap()];
    assert!(snapshot.read(two.oid).expect("there").ends_with(b"\n// more\n"));
}

#[tokio::test]
async fn cut_packs_are_damaged() {
    let lab = lab(FetchLimits::default()).await;
    let (pack, commit) = honest_pack();
    let pack = pack.finish();
    for length in (0..pack.len()).step_by(17) {
        let error = fetch(&lab, &pack[..length], commit).await.err().expect("refused");
        assert_eq!(error.code(), FailureCode::RepoUnsupported, "{length} bytes: {error:?}");
    }
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn lies_are_damage() {
    let lab = lab(FetchLimits::default()).await;
    let (honest, commit) = honest_pack();
    let mut bad_trailer = honest.finish();
    *bad_trailer.last_mut().unwrap() ^= 1;
    let wrong = |change: &dyn Fn(&mut PackWriter)| {
        let mut pack = PackWriter::new();
        change(&mut pack);
        let blob = pack.blob(b"x");
        let root = pack.tree(&[("100644", b"x", blob)]);
        pack.commit(root);
        pack.finish()
    };
    let delta = append_delta(b"base", b"more");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no objects", honest.finish_with_count(0)),
        ("fewer objects than there are", honest.finish_with_count(2)),
        ("more objects than there are", honest.finish_with_count(50)),
        ("bad trailer", bad_trailer),
        ("not a pack", b"<html>this is not a pack at all</html>".to_vec()),
        ("nothing", Vec::new()),
        ("version 9", [b"PACK\0\0\0\x09\0\0\0\x01", &[0_u8; 32][..]].concat()),
        ("missing base", wrong(&|pack| pack.ref_delta(Oid::from_str(&"ee".repeat(20)).unwrap(), &delta))),
        ("offset to itself", wrong(&|pack| pack.ofs_delta(0, &delta))),
        ("offset outside", wrong(&|pack| pack.ofs_delta(1 << 40, &delta))),
        ("garbage instead of zlib", wrong(&|pack| pack.raw(BLOB, 5, &[], b"garbage garbage"))),
        ("declared too small", wrong(&|pack| pack.raw(BLOB, 1, &[], &deflated(b"longer")))),
        ("another pack's commit", wrong(&|_| {})),
    ];
    for (name, pack) in cases {
        let error = fetch(&lab, &pack, commit).await.err().expect(name);
        assert_eq!(error.code(), FailureCode::RepoUnsupported, "{name}: {error:?}");
    }
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn too_many_declared_objects_are_too_large() {
    let lab = lab(FetchLimits::default()).await;
    let (pack, commit) = honest_pack();
    for count in [1_000_001, u32::MAX] {
        let error = fetch(&lab, &pack.finish_with_count(count), commit).await.err().expect("refused");
        assert!(matches!(error, FetchError::TooLarge(TooLarge::Objects(1_000_000))), "{error:?}");
    }
}

#[tokio::test]
async fn kinds_that_git_does_not_have_end_the_job_and_not_the_worker() {
    let lab = lab(FetchLimits::default()).await;
    for kind in [0, 5] {
        let mut pack = PackWriter::new();
        let content = b"of no kind";
        pack.object(kind, content);
        // libgit2 hashes such an object with an empty kind; every id that might be meant is listed.
        let ids = [ObjectType::Blob, ObjectType::Tree, ObjectType::Commit, ObjectType::Tag]
            .map(|kind| Oid::hash_object(kind, content).unwrap());
        let root = pack.tree(&[
            ("100644", b"a", ids[0]),
            ("100644", b"b", ids[1]),
            ("100644", b"c", ids[2]),
            ("100644", b"d", ids[3]),
        ]);
        let commit = pack.commit(root);
        match fetch(&lab, &pack.finish(), commit).await {
            Ok(snapshot) => assert!(snapshot.entries().values().all(|entry| entry.size.is_none()), "kind {kind}"),
            Err(error) => assert_eq!(error.code(), FailureCode::RepoUnsupported, "kind {kind}: {error:?}"),
        }
    }
    let (pack, commit) = honest_pack();
    assert!(fetch(&lab, &pack.finish(), commit).await.is_ok(), "the next fetch works");
}

#[tokio::test]
async fn delta_bombs_are_refused_before_they_go_off() {
    let lab = lab(FetchLimits::default()).await;
    for result_bytes in [1_u64 << 30, 1 << 33] {
        let mut pack = PackWriter::new();
        let base = vec![0; 0x10_000];
        let base_at = pack.len();
        pack.object(BLOB, &base);
        let copies = usize::try_from(result_bytes / 0x10_000).unwrap().min(1 << 17);
        let delta = [varint(0x10_000), varint(result_bytes), vec![0x80; copies]].concat();
        for _ in 0..20 {
            let distance = pack.len() - base_at;
            pack.ofs_delta(distance as u64, &delta);
        }
        let blob = pack.blob(b"x");
        let root = pack.tree(&[("100644", b"x", blob)]);
        let commit = pack.commit(root);
        let started = Instant::now();
        let error = fetch(&lab, &pack.finish(), commit).await.err().expect("refused");
        assert_eq!(error.code(), FailureCode::RepoUnsupported, "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_size_that_is_a_lie_is_never_allocated() {
    let lab = lab(FetchLimits::default()).await;
    let mut pack = PackWriter::new();
    pack.raw(BLOB, 1 << 40, &[], &deflated(b"little"));
    let id = Oid::hash_object(ObjectType::Blob, b"little").unwrap();
    let root = pack.tree(&[("100644", b"little", id)]);
    let commit = pack.commit(root);
    match fetch(&lab, &pack.finish(), commit).await {
        Ok(snapshot) => {
            let read = snapshot.read(id);
            assert!(matches!(read, Err(ReadError::TooLarge { .. } | ReadError::Missing(_))), "{read:?}");
        }
        Err(error) => assert_eq!(error.code(), FailureCode::RepoUnsupported, "{error:?}"),
    }
}

#[tokio::test]
async fn a_slow_bomb_ends_at_the_deadline() {
    let deadline = Duration::from_millis(250);
    let lab = lab(FetchLimits { deadline, ..FetchLimits::default() }).await;
    let mut pack = PackWriter::new();
    let zeros = deflated_zeros(64 << 20);
    for _ in 0..16 {
        pack.raw(BLOB, 64 << 20, &[], &zeros);
    }
    let root = pack.tree(&[]);
    let commit = pack.commit(root);
    let pack = pack.finish();
    let started = Instant::now();
    let error = fetch(&lab, &pack, commit).await.err().expect("too slow");
    assert!(matches!(error, FetchError::TimedOut(_)), "{error:?}");
    assert!(started.elapsed() < deadline + Duration::from_secs(5), "{:?}", started.elapsed());
    lab.until_nothing_is_stored().await;
}

#[tokio::test]
async fn long_delta_chains_are_read() {
    let lab = lab(FetchLimits::default()).await;
    let mut pack = PackWriter::new();
    let mut content = b"start\n".to_vec();
    let mut previous_at = pack.len();
    pack.object(BLOB, &content);
    for _ in 0..4000 {
        let delta = append_delta(&content, b".\n");
        content.extend_from_slice(b".\n");
        let at = pack.len();
        pack.ofs_delta((at - previous_at) as u64, &delta);
        previous_at = at;
    }
    let id = Oid::hash_object(ObjectType::Blob, &content).unwrap();
    let root = pack.tree(&[("100644", b"end", id)]);
    let commit = pack.commit(root);
    let snapshot = fetch(&lab, &pack.finish(), commit).await.expect("readable");
    assert_eq!(snapshot.read(id).expect("there"), content);
}

#[tokio::test]
async fn flipped_bits_give_errors_and_nothing_worse() {
    let lab = lab(FetchLimits { deadline: Duration::from_secs(10), ..FetchLimits::default() }).await;
    let (pack, commit) = honest_pack();
    let pack = pack.finish();
    let (mut refused, mut read) = (0, 0);
    for seed in 1..=80_u64 {
        let mut random = Random(seed);
        let mut flipped = pack.clone();
        for _ in 0..=random.below(20) {
            let place = random.below(flipped.len());
            flipped[place] ^= 1 << random.below(8);
        }
        match fetch(&lab, &flipped, commit).await {
            Ok(snapshot) => {
                assert_eq!(snapshot.commit().as_str(), commit.to_string(), "seed {seed}");
                read += 1;
            }
            Err(error) => {
                let is_expected = matches!(error.code(), FailureCode::RepoUnsupported | FailureCode::RepoTooLarge);
                assert!(is_expected, "seed {seed}: {error:?}");
                refused += 1;
            }
        }
    }
    assert_eq!((refused, read), (80, 0), "the trailer's hash covers every bit");
    lab.until_nothing_is_stored().await;
}

/// A generator whose numbers are the same on every machine (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("below a usize")
    }
}
