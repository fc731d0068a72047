//! Whole files shown near the end of a pass, where a model reads them best.

use domain::RepoPath;
use serde_json::json;

use crate::edits::EditedTree;
use crate::sheet::{Sheet, TextKind, estimate_tokens};
use crate::template::{Template, render};

/// A sheet below this is near enough to its end everywhere: only files that it leaves out are shown.
const SMALL_SHEET_TOKENS: u64 = 30_000;
/// Bound on all files together.
const MAX_TOKENS: u64 = 60_000;

/// Files to show, and what is shown of them.
pub(crate) struct Focus {
    pub(crate) paths: Vec<RepoPath>,
    /// The rendered document; empty when there is nothing to show.
    pub(crate) text: String,
}

/// The planned files as they are before any edit: those that the sheet leaves out, and in a large sheet the others too.
pub(crate) fn planned(tree: &EditedTree, sheet: &Sheet, paths: &[RepoPath]) -> Focus {
    let is_wanted = |path: &&RepoPath| sheet.tokens > SMALL_SHEET_TOKENS || sheet.withheld.contains_key(*path);
    collect("focus", tree, sheet, paths.iter().filter(is_wanted))
}

/// The touched files as they are after the edits.
pub(crate) fn touched(tree: &EditedTree, sheet: &Sheet) -> Focus {
    let changes = tree.changes();
    collect("files_after_the_change", tree, sheet, changes.iter().map(|change| &change.path))
}

fn collect<'a>(tag: &str, tree: &EditedTree, sheet: &Sheet, paths: impl Iterator<Item = &'a RepoPath>) -> Focus {
    let (mut shown, mut files, mut tokens) = (Vec::new(), Vec::new(), 0);
    for path in paths {
        if sheet.withheld.get(path).is_some_and(|withheld| withheld.is_secret) {
            continue;
        }
        let Some(text) = tree.shown(path) else { continue };
        let more = estimate_tokens(&text, TextKind::Code);
        if tokens + more > MAX_TOKENS {
            continue;
        }
        tokens += more;
        shown.push(path.clone());
        files.push(json!({"path": path, "text": text.strip_suffix('\n').unwrap_or(&text)}));
    }
    let text = if files.is_empty() {
        String::new()
    } else {
        render(Template::Focus, json!({"tag": tag, "boundary": sheet.boundary, "files": files}))
    };
    Focus { paths: shown, text }
}
