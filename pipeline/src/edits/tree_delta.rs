//! The files in which two trees differ, found by walking both: no diff of libgit2 is asked.

use std::collections::BTreeMap;

use domain::RepoPath;
use git2::{Oid, Repository, Tree};

use crate::repo::FileMode;

/// Folders compared at most; our edits touch far fewer.
const MAX_FOLDERS: usize = 100_000;

/// A file as a tree names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) mode: FileMode,
    pub(super) oid: Oid,
}

/// A file that is not the same in both trees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) before: Option<Leaf>,
    pub(super) after: Option<Leaf>,
}

/// What differs between two trees, by path.
///
/// # Errors
/// When a tree cannot be read, or when an entry differs that no edit could have touched.
pub(super) fn between(
    repository: &Repository,
    before: Oid,
    after: Oid,
) -> Result<BTreeMap<RepoPath, Delta>, git2::Error> {
    let mut deltas: BTreeMap<RepoPath, Delta> = BTreeMap::new();
    let mut folders = vec![(String::new(), Some(before), Some(after))];
    let mut seen = 0;
    while let Some((prefix, before, after)) = folders.pop() {
        seen += 1;
        if seen > MAX_FOLDERS {
            return Err(git2::Error::from_str("the trees differ in too many folders"));
        }
        let mut names: BTreeMap<Vec<u8>, [Option<(i32, Oid)>; 2]> = BTreeMap::new();
        for (side, tree) in [before, after].into_iter().enumerate() {
            let Some(tree) = tree else { continue };
            for (name, entry) in entries(&repository.find_tree(tree)?) {
                names.entry(name).or_default()[side] = Some(entry);
            }
        }
        for (name, [before, after]) in names.into_iter().filter(|(_, [before, after])| before != after) {
            let name = String::from_utf8(name).map_err(|_| git2::Error::from_str("an untouchable entry differs"))?;
            let path = format!("{prefix}{name}");
            let folder = |entry: Option<(i32, Oid)>| entry.filter(|(mode, _)| *mode == 0o040_000).map(|(_, oid)| oid);
            if folder(before).is_some() || folder(after).is_some() {
                folders.push((format!("{path}/"), folder(before), folder(after)));
            }
            let delta = Delta { before: leaf(before)?, after: leaf(after)? };
            if delta.before != delta.after {
                let path = RepoPath::parse(&path).map_err(|_| git2::Error::from_str("an untouchable entry differs"))?;
                deltas.insert(path, delta);
            }
        }
    }
    Ok(deltas)
}

fn entries(tree: &Tree<'_>) -> Vec<(Vec<u8>, (i32, Oid))> {
    tree.iter().map(|entry| (entry.name_bytes().to_vec(), (entry.filemode_raw(), entry.id()))).collect()
}

fn leaf(entry: Option<(i32, Oid)>) -> Result<Option<Leaf>, git2::Error> {
    match entry.filter(|(mode, _)| *mode != 0o040_000) {
        None => Ok(None),
        Some((mode, oid)) => {
            let mode =
                FileMode::from_bits(mode).ok_or_else(|| git2::Error::from_str("an untouchable entry differs"))?;
            Ok(Some(Leaf { mode, oid }))
        }
    }
}
