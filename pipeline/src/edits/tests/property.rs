//! Random repositories and random edits: every diff applies, to exactly the stated tree, and back.
//!
//! The judge is the real `git`. 500 cases run with the other tests; `make nightly` runs 10,000:
//! `TINYGEN_PROPTEST_CASES=10000 cargo nextest run -p pipeline edits::tests::property`. A failure prints the smallest
//! case that shows it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use domain::{Edit, RepoPath};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::repository::{Content, TestRepository};
use crate::edits::EditedTree;
use crate::text::FileText;

const DEFAULT_CASES: u32 = 500;

/// Cases that share a repository, so that neither its set-up nor its size matters.
const CASES_PER_REPOSITORY: u32 = 200;

/// Names with everything a header may have to quote.
const PATHS: [&str; 16] = [
    "a.txt",
    "b/c.rs",
    "b/d.rs",
    "b/deep/er/e.py",
    "with space.md",
    " leading",
    "größe.txt",
    "日本/東京.txt",
    "say \"hi\".js",
    "tab'quote.c",
    "-dash",
    "b c/d e",
    ".hidden",
    "a b/a b",
    "x.bin",
    "link",
];

/// Lines that have confused a diff, a header or an applier somewhere.
const LINES: [&[u8]; 26] = [
    b"",
    b" ",
    b"fn main() {",
    b"}",
    b"    return x;",
    b"\treturn x;",
    b"--- a/a.txt",
    b"+++ b/a.txt",
    b"@@ -1,2 +1,2 @@",
    b"diff --git a/x b/x",
    b"index 1234567..89abcde 100644",
    b"\\ No newline at end of file",
    b"-- ",
    b"GIT binary patch",
    b"rename from a.txt",
    b"+",
    b"-",
    b"caf\xE9",
    b"\xFF\xFE",
    "größe – “ok”".as_bytes(),
    "\u{2028}\u{0085}".as_bytes(),
    b"form\x0Cfeed",
    b"lone\rreturn",
    b"return at the end\r",
    b"<<<<<<< HEAD",
    b"trailing  ",
];

/// What an edit does, before it is known which files there are.
#[derive(Debug, Clone)]
enum Action {
    /// Replace some lines of a file by others.
    Lines {
        file: Index,
        from: Index,
        count: usize,
        new: Vec<Vec<u8>>,
    },
    /// Write a file at one of the paths.
    Write {
        path: Index,
        lines: Vec<Vec<u8>>,
        executable: bool,
    },
    Delete {
        file: Index,
    },
    Move {
        file: Index,
        to: Index,
    },
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => select(&LINES[..]).prop_map(<[u8]>::to_vec), 1 => "[a-z ]{1,12}".prop_map(String::into_bytes)]
}

/// A text whose lines end in LF, CRLF or either, and whose last line may not end at all.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let ends = prop_oneof![Just(vec![&b"\n"[..]]), Just(vec![&b"\r\n"[..]]), Just(vec![&b"\n"[..], b"\r\n"])];
    let text = (vec(line(), 0..30), ends, any::<bool>(), any::<bool>());
    text.prop_map(|(lines, ends, has_mark, ends_with_newline)| {
        let mut bytes = if has_mark && lines.len() > 20 { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
        for (index, line) in lines.iter().enumerate() {
            bytes.extend_from_slice(line);
            if index + 1 < lines.len() || ends_with_newline {
                bytes.extend_from_slice(ends[index % ends.len()]);
            }
        }
        bytes
    })
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        8 => text().prop_map(Content::File),
        2 => text().prop_map(Content::Executable),
        2 => vec(any::<u8>(), 0..300).prop_map(|mut bytes| {
            bytes.push(0);
            Content::File(bytes)
        }),
        1 => select(&PATHS[..]).prop_map(|target| Content::Symlink(target.to_owned())),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let lines = (any::<Index>(), any::<Index>(), 1..4_usize, vec(line(), 0..5));
    prop_oneof![
        8 => lines.prop_map(|(file, from, count, new)| Action::Lines { file, from, count, new }),
        3 => (any::<Index>(), vec(line(), 0..12), any::<bool>())
            .prop_map(|(path, lines, executable)| Action::Write { path, lines, executable }),
        2 => any::<Index>().prop_map(|file| Action::Delete { file }),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(file, to)| Action::Move { file, to }),
    ]
}

#[test]
fn every_diff_applies_to_exactly_the_stated_tree_and_back() {
    let cases = std::env::var("TINYGEN_PROPTEST_CASES").map_or(DEFAULT_CASES, |n| n.parse().expect("a number"));
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let repository = RefCell::new((TestRepository::new(), 0));
    let counts = RefCell::new(Counts::default());
    let story = (btree_map(select(&PATHS[..]), content(), 1..9), vec(action(), 1..10));
    let result = runner.run(&story, |(files, actions)| {
        let (repository, used) = &mut *repository.borrow_mut();
        *used += 1;
        if *used % CASES_PER_REPOSITORY == 0 {
            *repository = TestRepository::new();
        }
        check(repository, &files, &actions, &mut counts.borrow_mut()).map_err(TestCaseError::fail)
    });
    println!("{:?}", counts.borrow());
    result.expect("every diff is right");
    let counts = counts.into_inner();
    assert!(counts.applied > counts.refused && counts.renamed > 0 && counts.binary > 0, "{counts:?}: too tame a test");
}

/// What the cases consisted of: a test that applies nothing proves nothing.
#[derive(Debug, Default)]
struct Counts {
    applied: usize,
    refused: usize,
    renamed: usize,
    binary: usize,
    deleted_links: usize,
}

fn check(
    repository: &TestRepository,
    files: &BTreeMap<&str, Content>,
    actions: &[Action],
    counts: &mut Counts,
) -> Result<(), String> {
    let files: BTreeMap<String, Content> =
        files.iter().map(|(path, file)| ((*path).to_owned(), file.clone())).collect();
    let base = repository.commit(&files);
    let mut tree = EditedTree::new(base.clone());
    for action in actions {
        let Some(edit) = edit(&tree, action) else { continue };
        let before = tree.changes();
        match tree.apply(&edit) {
            Ok(_) => counts.applied += 1,
            Err(error) => {
                counts.refused += 1;
                if tree.changes() != before {
                    return Err(format!("a refused edit left something behind: {error}"));
                }
            }
        }
    }
    let patch = tree.finish().map_err(|error| format!("{error:?}"))?;
    let text = String::from_utf8_lossy(&patch.diff);
    counts.renamed += text.matches("\nrename from ").count();
    counts.binary += text.matches("\nGIT binary patch\n").count();
    counts.deleted_links += text.matches("\ndeleted file mode 120000\n").count();
    repository.judge(&base, &patch).map_err(|verdict| format!("{verdict}\n{text}"))
}

/// The edit for an action, on the files there are by now.
fn edit(tree: &EditedTree, action: &Action) -> Option<Edit> {
    let existing: Vec<&RepoPath> = tree.paths().collect();
    let pick = |index: &Index| if existing.is_empty() { None } else { Some((*index.get(&existing)).clone()) };
    let any_path = |index: &Index| RepoPath::parse(PATHS[index.index(PATHS.len())]).expect("valid");
    let join = |lines: &[Vec<u8>]| {
        let bytes: Vec<u8> = lines.iter().flat_map(|line| line.iter().chain(b"\n")).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Some(match action {
        Action::Lines { file, from, count, new } => {
            let path = pick(file)?;
            let shown = tree.shown(&path).unwrap_or_default();
            let lines: Vec<&str> = shown.split_inclusive('\n').collect();
            let from = if lines.is_empty() { 0 } else { from.index(lines.len()) };
            let old = lines.iter().skip(from).take(*count).copied().collect();
            Edit::Replace { path, old, new: join(new), replace_all: false }
        }
        Action::Write { path, lines, executable } => {
            Edit::Write { path: any_path(path), content: join(lines), executable: *executable }
        }
        Action::Delete { file } => Edit::Delete { path: pick(file)? },
        Action::Move { file, to } => Edit::Move { from: pick(file)?, to: any_path(to) },
    })
}

#[test]
fn any_text_survives_being_shown() {
    let mut runner = TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() });
    let result = runner.run(&text(), |bytes| {
        let Ok(text) = FileText::decode(&bytes) else { return Ok(()) };
        prop_assert_eq!(text.rewrite(text.shown()).expect("nothing is written"), bytes);
        Ok(())
    });
    result.expect("every text survives");
}
