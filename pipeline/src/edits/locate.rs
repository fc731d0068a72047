//! Which file a path of the model means.

use domain::RepoPath;
use unicode_normalization::UnicodeNormalization;

use super::error::Refusal;
use super::similarity::Pairs;

/// Paths offered when none fits.
const NEAREST_PATHS: usize = 3;

/// Names that Windows keeps for devices, whatever extension follows.
const WINDOWS_DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// How far from the model's spelling a path may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leeway {
    /// Another case is fine.
    Case,
    /// So are folders missing or added at the front: the edit names text that must be in the file.
    CaseAndFolders,
}

/// The one existing path that is meant by a path that does not exist.
pub(super) fn meant<'a>(
    existing: impl Iterator<Item = &'a RepoPath> + Clone,
    requested: &RepoPath,
    leeway: Leeway,
) -> Option<RepoPath> {
    let folded = fold(requested.as_str());
    let by_case = only(existing.clone().filter(|path| fold(path.as_str()) == folded));
    if by_case.is_some() || leeway == Leeway::Case {
        return by_case;
    }
    let is_tail = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|front| front.ends_with('/'));
    let requested = requested.as_str();
    only(existing.filter(|path| is_tail(path.as_str(), requested) || is_tail(requested, path.as_str())))
}

/// The paths most like one that does not exist, best first.
pub(super) fn nearest<'a>(existing: impl Iterator<Item = &'a RepoPath>, requested: &RepoPath) -> Vec<RepoPath> {
    let path_pairs = Pairs::of(requested.as_str());
    let name_pairs = Pairs::of(requested.file_name());
    let likeness = |path: &RepoPath| path_pairs.likeness(path.as_str()) + 2.0 * name_pairs.likeness(path.file_name());
    let mut ranked: Vec<(f64, &RepoPath)> = existing.map(|path| (likeness(path), path)).collect();
    ranked.retain(|(likeness, _)| *likeness > 0.0);
    ranked.sort_by(|(a, path_a), (b, path_b)| b.total_cmp(a).then_with(|| path_a.cmp(path_b)));
    ranked.into_iter().take(NEAREST_PATHS).map(|(_, path)| path.clone()).collect()
}

/// Whether a file may come to be at `new`, beside the files that exist.
///
/// # Errors
/// [`Refusal`] when the path is a folder, below a file, a twin of another path, or not for Windows.
pub(super) fn check_new_path<'a>(existing: impl Iterator<Item = &'a RepoPath>, new: &RepoPath) -> Result<(), Refusal> {
    if new.as_str().split('/').any(is_reserved_on_windows) {
        return Err(Refusal::ReservedName);
    }
    for path in existing {
        let is_below = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('/'));
        if is_below(path.as_str(), new.as_str()) || is_below(new.as_str(), path.as_str()) {
            let existing = if path.as_str().len() < new.as_str().len() { path.as_str() } else { new.as_str() };
            return Err(Refusal::FolderClash { existing: existing.to_owned() });
        }
        if let Some(existing) = twin(path.as_str(), new.as_str()) {
            return Err(Refusal::CaseTwin { existing: existing.to_owned() });
        }
    }
    Ok(())
}

/// Whether two paths are the same to a file system that folds case.
pub(super) fn is_case_variant(a: &RepoPath, b: &RepoPath) -> bool {
    a != b && fold(a.as_str()) == fold(b.as_str())
}

/// The part of `existing` whose last component is spelt otherwise in `new`, when all before it is the same.
fn twin<'a>(existing: &'a str, new: &str) -> Option<&'a str> {
    let mut end = 0;
    for (theirs, ours) in existing.split('/').zip(new.split('/')) {
        end += theirs.len();
        if theirs != ours {
            return (fold(theirs) == fold(ours)).then(|| &existing[..end]);
        }
        end += 1;
    }
    None
}

/// A path as a file system sees it that tells neither case nor composition apart.
fn fold(path: &str) -> String {
    if path.is_ascii() { path.to_ascii_lowercase() } else { path.nfc().flat_map(char::to_lowercase).nfc().collect() }
}

fn is_reserved_on_windows(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim_end().to_ascii_lowercase();
    let is_port = |prefix: &str| stem.strip_prefix(prefix).is_some_and(|n| matches!(n.as_bytes(), [b'1'..=b'9']));
    component.ends_with(['.', ' ']) || WINDOWS_DEVICES.contains(&stem.as_str()) || is_port("com") || is_port("lpt")
}

fn only<'a>(mut paths: impl Iterator<Item = &'a RepoPath>) -> Option<RepoPath> {
    let first = paths.next()?;
    if paths.next().is_some() { None } else { Some(first.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> Vec<RepoPath> {
        paths.iter().map(|path| RepoPath::parse(path).expect("valid")).collect()
    }

    fn path(path: &str) -> RepoPath {
        RepoPath::parse(path).expect("valid")
    }

    #[test]
    fn takes_a_path_that_can_only_mean_one_file() {
        let existing = paths(&["README.md", "src/main.rs", "src/lib/mod.rs", "tests/lib/mod.rs"]);
        let meant = |requested: &str, leeway| meant(existing.iter(), &path(requested), leeway).map(|p| p.to_string());
        assert_eq!(meant("readme.md", Leeway::Case), Some("README.md".to_owned()));
        assert_eq!(meant("main.rs", Leeway::CaseAndFolders), Some("src/main.rs".to_owned()));
        assert_eq!(meant("repo/src/main.rs", Leeway::CaseAndFolders), Some("src/main.rs".to_owned()));
        assert_eq!(meant("main.rs", Leeway::Case), None);
        assert_eq!(meant("lib/mod.rs", Leeway::CaseAndFolders), None);
        assert_eq!(meant("ain.rs", Leeway::CaseAndFolders), None);
    }

    #[test]
    fn offers_the_nearest_paths() {
        let existing = paths(&["docs/guide.md", "src/config.rs", "src/confirm.rs", "src/main.rs"]);
        assert_eq!(nearest(existing.iter(), &path("src/confg.rs"))[..2], paths(&["src/config.rs", "src/confirm.rs"]));
    }

    #[test]
    fn refuses_new_paths_that_clash() {
        let existing = paths(&["README.md", "src/main.rs", "src/größe.rs"]);
        let refusal = |new: &str| check_new_path(existing.iter(), &path(new)).expect_err(new);
        assert_eq!(refusal("src"), Refusal::FolderClash { existing: "src".into() });
        assert_eq!(refusal("README.md/x"), Refusal::FolderClash { existing: "README.md".into() });
        assert_eq!(refusal("readme.md"), Refusal::CaseTwin { existing: "README.md".into() });
        assert_eq!(refusal("Src/other.rs"), Refusal::CaseTwin { existing: "src".into() });
        assert_eq!(refusal("src/gro\u{308}ße.rs"), Refusal::CaseTwin { existing: "src/größe.rs".into() });
        for reserved in ["aux.rs", "a/NUL", "com1.txt", "a./b", "x "] {
            assert_eq!(refusal(reserved), Refusal::ReservedName);
        }
        assert_eq!(check_new_path(existing.iter(), &path("src/console.rs")), Ok(()));
    }
}
