//! New text into old lines: what the model did not change keeps the file's own bytes.
//!
//! Above the exact rung the model's `old` is only *like* the file: trailing blanks, quotes or indentation differ. To put
//! `new` there as it is would carry those slips into lines nobody wanted changed. So `old` and `new` are compared, and
//! only the difference goes into the file.

use super::fold::fold_char;
use crate::text::line_diff;

/// The lines that take the place of the matched ones.
///
/// `counterparts` holds, for each line of `old`, the line of the file it matched; `None` for a blank line of `old` that
/// the file does not have.
pub(super) fn transplant(counterparts: &[Option<&str>], old: &[&str], new: &[&str]) -> Vec<String> {
    let mut result = Vec::with_capacity(new.len());
    let mut kept_from = 0;
    for hunk in line_diff::hunks(old, new) {
        result.extend(kept(&counterparts[kept_from..hunk.before.start]));
        for (nth, line) in new[hunk.after.clone()].iter().enumerate() {
            let replaced = hunk.before.start + nth;
            let file_line = counterparts.get(replaced).copied().flatten().filter(|_| replaced < hunk.before.end);
            result.push(file_line.map_or_else(|| (*line).to_owned(), |file| merge(file, old[replaced], line)));
        }
        kept_from = hunk.before.end;
    }
    result.extend(kept(&counterparts[kept_from..]));
    result
}

fn kept<'a>(counterparts: &'a [Option<&str>]) -> impl Iterator<Item = String> + 'a {
    counterparts.iter().flatten().map(|&line| line.to_owned())
}

/// `new`, with the start and the end it has in common with `old` spelt as the file spells them. Only where the two
/// spellings agree character by character; else the place of a character of `old` in the file is a guess.
fn merge(file: &str, old: &str, new: &str) -> String {
    let file: Vec<char> = file.chars().collect();
    let old: Vec<char> = old.chars().collect();
    let is_same_reading = file.len() == old.len() && file.iter().zip(&old).all(|(&f, &o)| fold_char(f) == fold_char(o));
    if !is_same_reading {
        return new.to_owned();
    }
    let new: Vec<char> = new.chars().collect();
    let head = old.iter().zip(&new).take_while(|(o, n)| o == n).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(o, n)| o == n).count();
    let middle = &new[head..new.len() - tail];
    file[..head].iter().chain(middle).chain(&file[file.len() - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_lines_and_parts_of_lines_keep_the_files_spelling() {
        let file = [Some("say(\u{201C}hi\u{201D})  "), Some("x\u{A0}= 1 // it\u{2019}s one")];
        let old = ["say(\"hi\")", "x = 1 // it's one"];
        let new = ["say(\"hi\")", "x = 2 // it's one", "y = 3"];
        assert_eq!(
            transplant(&file, &old, &new),
            ["say(\u{201C}hi\u{201D})  ", "x\u{A0}= 2 // it\u{2019}s one", "y = 3"]
        );
    }

    #[test]
    fn a_blank_line_the_file_does_not_have_is_not_brought_in() {
        assert_eq!(transplant(&[None, Some("a")], &["", "a"], &["", "b"]), ["b"]);
    }
}
