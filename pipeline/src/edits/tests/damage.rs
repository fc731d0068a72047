//! The strict applier refuses every patch that is not exactly right.

use std::collections::BTreeMap;

use domain::{Edit, RepoPath};

use super::repository::{Content, TestRepository};
use crate::edits::EditedTree;
use crate::edits::strict_apply::{Direction, File, PatchError, apply};
use crate::repo::FileMode;

type Files = BTreeMap<RepoPath, File>;

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).expect("valid")
}

/// A patch with everything: two hunks, a rename, a new file, a deletion, binary content and a missing final newline.
fn patch() -> (Vec<u8>, Files, Files) {
    let long = (1..=40).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n") + "\n";
    let files = BTreeMap::from([
        ("long.txt".to_owned(), Content::File(long.clone().into_bytes())),
        ("end.txt".to_owned(), Content::File(b"one\ntwo".to_vec())),
        ("moved.txt".to_owned(), Content::Executable(long.replace("line", "row").into_bytes())),
        ("gone.bin".to_owned(), Content::File((0..=255).collect())),
    ]);
    let repository = TestRepository::new();
    let mut tree = EditedTree::new(repository.commit(&files));
    let replace = |path: &str, old: &str, new: &str| Edit::Replace {
        path: self::path(path),
        old: old.to_owned(),
        new: new.to_owned(),
        replace_all: false,
    };
    let edits = [
        replace("long.txt", "line 5\n", "line five\nand a half\n"),
        replace("long.txt", "line 30\n", ""),
        replace("end.txt", "two", "two\nthree"),
        Edit::Move { from: path("moved.txt"), to: path("new/place.txt") },
        replace("new/place.txt", "row 7\n", "row seven\n"),
        Edit::Delete { path: path("gone.bin") },
        Edit::Write { path: path("added.txt"), content: "new\n".to_owned(), executable: true },
    ];
    for edit in &edits {
        tree.apply(edit).expect("a good edit");
    }
    let changes = tree.changes();
    let file = |mode, bytes: &Vec<u8>| File { mode, bytes: bytes.clone() };
    let mut before = Files::new();
    let mut after = Files::new();
    for change in &changes {
        if let Some(bytes) = &change.before {
            before.insert(change.old_path.clone().unwrap_or(change.path.clone()), file(change.mode, bytes));
        }
        if let Some(bytes) = &change.after {
            after.insert(change.path.clone(), file(change.mode, bytes));
        }
    }
    (tree.finish().expect("a patch").diff, before, after)
}

#[test]
fn takes_the_patch_both_ways() {
    let (patch, before, after) = patch();
    assert_eq!(apply(&patch, Direction::Forward, &before), Ok(after.clone()));
    assert_eq!(apply(&patch, Direction::Reverse, &after), Ok(before));
}

#[test]
fn refuses_each_kind_of_damage() {
    let (patch, before, _) = patch();
    let text = String::from_utf8(patch).expect("a patch in UTF-8");
    let damaged = [
        ("a wrong old count", text.replacen("@@ -2,7 +2,8 @@", "@@ -2,8 +2,8 @@", 1)),
        ("a wrong new count", text.replacen("@@ -2,7 +2,8 @@", "@@ -2,7 +2,9 @@", 1)),
        ("a count too small", text.replacen("@@ -2,7 +2,8 @@", "@@ -2,6 +2,7 @@", 1)),
        ("a shifted hunk", text.replacen("@@ -2,7 +2,8 @@", "@@ -3,7 +3,8 @@", 1)),
        ("a hunk shifted on one side", text.replacen("@@ -2,7 +2,8 @@", "@@ -2,7 +3,8 @@", 1)),
        ("a bare hunk header", text.replacen("@@ -2,7 +2,8 @@", "@@ @@", 1)),
        ("another context line", text.replacen("\n line 4\n", "\n line 44\n", 1)),
        ("a context line with a blank at its end", text.replacen("\n line 4\n", "\n line 4 \n", 1)),
        ("a missing context line", text.replacen("\n line 4\n", "\n", 1)),
        ("another removed line", text.replacen("\n-line 5\n", "\n-line 6\n", 1)),
        ("another added line", text.replacen("\n+line five\n", "\n+line 5!\n", 1)),
        ("a missing no-newline mark", text.replacen("\\ No newline at end of file\n", "", 1)),
        ("another old id", text.replacen("index ", "index f", 1).replacen("..", "", 1)),
        ("a short id", shorten_first_id(&text)),
        ("another path", text.replacen("--- a/long.txt", "--- a/other.txt", 1)),
        ("another old path", text.replace("long.txt", "other.txt")),
        ("another new mode", text.replacen("new file mode 100755", "new file mode 120755", 1)),
        ("half a rename", text.replacen("rename from moved.txt\n", "", 1)),
        ("a path outside", text.replace("added.txt", "../added.txt")),
        ("a damaged binary", text.replacen("literal 256\n", "literal 255\n", 1)),
        ("prose before", format!("Here is the patch:\n{text}")),
        ("fences around", format!("```diff\n{text}```\n")),
        ("a file twice", format!("{text}{text}")),
        ("no line end at the end", text.trim_end().to_owned()),
    ];
    for (what, damaged) in damaged {
        assert_ne!(damaged, text, "{what}: nothing was damaged");
        assert!(apply(damaged.as_bytes(), Direction::Forward, &before).is_err(), "{what} was taken");
    }
}

fn shorten_first_id(text: &str) -> String {
    let at = text.find("index ").expect("an index line") + "index ".len();
    format!("{}{}", &text[..at + 7], &text[at + 40..])
}

/// Whatever byte is changed, the result is the same or there is none: nothing wrong ever comes out.
#[test]
fn no_changed_byte_gives_another_result() {
    let (patch, before, after) = patch();
    let mut refused = 0;
    for at in 0..patch.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut damaged = patch.clone();
            damaged[at] ^= change;
            match apply(&damaged, Direction::Forward, &before) {
                // A heading after `@@` or a similarity index says nothing about the content.
                Ok(result) => assert_eq!(result, after, "byte {at} of\n{}", String::from_utf8_lossy(&damaged)),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > patch.len() * 2, "{refused} of {} refused", patch.len() * 3);
}

#[test]
fn no_lost_or_doubled_line_gives_another_result() {
    let (patch, before, after) = patch();
    let lines: Vec<&[u8]> = patch.split_inclusive(|&byte| byte == b'\n').collect();
    for at in 0..lines.len() {
        let lost = [&lines[..at], &lines[at + 1..]].concat().concat();
        let doubled = [&lines[..=at], &lines[at..]].concat().concat();
        for damaged in [lost, doubled, lines[..at].concat()] {
            if let Ok(result) = apply(&damaged, Direction::Forward, &before) {
                // A patch cut between two files is a patch of fewer files; so is one without a file of its own.
                let is_part =
                    result.iter().all(|(path, file)| after.get(path) == Some(file) || before.get(path) == Some(file));
                assert!(is_part, "line {at} of\n{}", String::from_utf8_lossy(&damaged));
            }
        }
    }
}

#[test]
fn refuses_files_that_are_not_as_the_patch_has_them() {
    let (patch, before, _) = patch();
    let mut missing = before.clone();
    missing.remove(&path("long.txt"));
    let mut occupied = before.clone();
    occupied.insert(path("added.txt"), File { mode: FileMode::Regular, bytes: Vec::new() });
    let mut other = before.clone();
    other.insert(path("long.txt"), File { mode: FileMode::Regular, bytes: b"line 1\n".to_vec() });
    let mut executable = before.clone();
    if let Some(file) = executable.get_mut(&path("long.txt")) {
        file.mode = FileMode::Executable;
    }
    for files in [missing, occupied, other, executable] {
        let refused = apply(&patch, Direction::Forward, &files);
        assert!(matches!(refused, Err(PatchError::Files { .. })), "{refused:?}");
    }
}

#[test]
fn takes_deltas_between_binary_files() {
    let old: Vec<u8> = (0..4_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    let mut new = old.clone();
    new[5_000..5_010].copy_from_slice(b"0123456789");
    let repository = TestRepository::new();
    let commit = |bytes: &Vec<u8>| {
        let snapshot = repository.commit(&BTreeMap::from([("data.bin".to_owned(), Content::File(bytes.clone()))]));
        snapshot.tree()
    };
    let (old_tree, new_tree) = (commit(&old), commit(&new));
    let patch = repository.binary_diff(old_tree, new_tree);
    assert!(String::from_utf8_lossy(&patch).contains("\ndelta "), "no delta to test");
    let files =
        |bytes: &Vec<u8>| Files::from([(path("data.bin"), File { mode: FileMode::Regular, bytes: bytes.clone() })]);
    assert_eq!(apply(&patch, Direction::Forward, &files(&old)), Ok(files(&new)));
    assert_eq!(apply(&patch, Direction::Reverse, &files(&new)), Ok(files(&old)));
}
