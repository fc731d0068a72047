//! A whole new content for a file.

use super::error::Refusal;
use crate::text::{as_shown, line_diff, lines};

/// A file of so many lines may be written anew whatever changes.
const MAX_LINES_WRITTEN_ANEW: usize = 400;
/// A longer one only when more of its lines change than this, in percent.
const MIN_CHANGED_PERCENT: usize = 60;

/// The content in the form files are shown in, and whether a final newline had to be added.
pub(super) fn with_final_newline(content: &str) -> (String, bool) {
    let mut content = as_shown(content);
    let is_missing = !content.is_empty() && !content.ends_with('\n');
    if is_missing {
        content.push('\n');
    }
    (content, is_missing)
}

/// Whether a model that changes this much should write the whole file: it must copy every line it does not change.
///
/// # Errors
/// [`Refusal::RewritesLongFile`] when it should send edits.
pub(super) fn check_rewrite(before: &str, after: &str) -> Result<(), Refusal> {
    let (before, after) = (lines(before), lines(after));
    if before.len() <= MAX_LINES_WRITTEN_ANEW {
        return Ok(());
    }
    let changed: usize = line_diff::hunks(&before, &after).iter().map(|hunk| hunk.before.len()).sum();
    let changed_percent = changed * 100 / before.len();
    if changed_percent > MIN_CHANGED_PERCENT {
        return Ok(());
    }
    Err(Refusal::RewritesLongFile { lines: before.len(), changed_percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_not_written_anew_for_a_small_change() {
        let long = (0..500).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let changed = |count: usize| -> String {
            long.lines()
                .enumerate()
                .map(|(n, line)| if n < count { format!("new {n}\n") } else { format!("{line}\n") })
                .collect()
        };
        let refusal = Refusal::RewritesLongFile { lines: 500, changed_percent: 60 };
        assert_eq!(check_rewrite(&long, &changed(300)), Err(refusal));
        assert_eq!(check_rewrite(&long, &changed(310)), Ok(()));
        assert_eq!(check_rewrite("short\n", "shorter\n"), Ok(()));
    }

    #[test]
    fn adds_a_final_newline_and_nothing_to_an_empty_file() {
        assert_eq!(with_final_newline("a\r\nb"), ("a\nb\n".to_owned(), true));
        assert_eq!(with_final_newline("a\n"), ("a\n".to_owned(), false));
        assert_eq!(with_final_newline(""), (String::new(), false));
    }
}
