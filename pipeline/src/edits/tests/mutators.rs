//! Good edits, spoiled the way models spoil them: each is carried out exactly as meant, or refused. Never wrong.
//!
//! Every slip of `mutators/slips.rs` is tried on hundreds of edits of real files. The table printed at the end says how
//! often a slip is forgiven; what is asserted is that no forgiven edit does anything but what was meant.

mod slips;
mod stories;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use domain::{Edit, RepoPath};

use super::repository::{Content, TestRepository};
use crate::edits::EditedTree;
use crate::edits::fold::fold_line;
use crate::repo::Snapshot;
use slips::{SLIPS, Spelling};

/// Edits tried per file; `make nightly` tries more: `TINYGEN_MUTATOR_EDITS=1500`.
const EDITS_PER_FILE: usize = 60;

const FILES: [(&str, &str); 7] = [
    ("src/path.rs", include_str!("../../../../domain/src/path.rs")),
    ("src/cost.rs", include_str!("../../../../domain/src/cost.rs")),
    ("src/ladder.rs", include_str!("../ladder.rs")),
    ("app.py", include_str!("../../../tests/scenarios/003_ambiguous_text_is_refused/base/app.py")),
    ("server.go", include_str!("../../../tests/scenarios/019_tabs_shown_as_spaces/base/server.go")),
    ("src/cache.rs", include_str!("../../../tests/scenarios/001_exact_multi_line/base/src/cache.rs")),
    ("index.html", include_str!("../../../tests/scenarios/022_html_entities/base/index.html")),
];

/// The files, committed. The objects live as long as the repository.
struct Corpus {
    base: Arc<Snapshot>,
    _repository: TestRepository,
}

impl Corpus {
    fn new() -> Self {
        let files = FILES.map(|(path, text)| (path.to_owned(), Content::File(text.as_bytes().to_vec())));
        let repository = TestRepository::new();
        Self { base: repository.commit(&BTreeMap::from(files)), _repository: repository }
    }
}

/// An edit of whole lines that is right: `old` is in the file once.
#[derive(Debug, Clone)]
struct GoodEdit {
    path: &'static str,
    file: &'static str,
    /// First line of `old`, from 0.
    first_line: usize,
    old: String,
    new: String,
    /// The file afterwards.
    expected: String,
}

/// What came of one spoiled edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Exact,
    Refused,
    Wrong,
}

/// A small generator of numbers (Knuth's MMIX), so that every run tries the same edits.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides.max(1)
    }
}

#[test]
fn a_spoiled_edit_is_carried_out_as_meant_or_refused() {
    let Corpus { base, _repository } = Corpus::new();
    let mut dice = Dice(2026);
    let count = std::env::var("TINYGEN_MUTATOR_EDITS").map_or(EDITS_PER_FILE, |n| n.parse().expect("a number"));
    let edits: Vec<GoodEdit> = FILES.iter().flat_map(|file| good_edits(*file, count, &mut dice)).collect();
    let mut table = String::from("slip                            tried  exact  refused  wrong\n");
    let mut wrong = Vec::new();
    for slip in SLIPS {
        let mut counts = [0_usize; 3];
        for edit in &edits {
            let Some((old, new)) = (slip.spoil)(edit, &mut dice) else { continue };
            // What is by chance the exact text of another place is no slip any more: it is what was asked.
            if is_elsewhere(edit, &old) {
                continue;
            }
            let (verdict, result) = judge(&base, edit, &old, &new, slip.spelling);
            counts[verdict as usize] += 1;
            if verdict == Verdict::Wrong {
                wrong.push(format!("{}\n--- old\n{old}\n--- new\n{new}\n--- got\n{result}", slip.name));
            }
        }
        let [exact, refused, wrong] = counts;
        let tried = exact + refused + wrong;
        writeln!(table, "{:30} {tried:6} {exact:6} {refused:8} {wrong:6}", slip.name).expect("a string");
        assert!(tried > 20, "{} was tried {tried} times only", slip.name);
        assert!(slip.name != "none" || exact == tried, "a good edit was refused");
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{table}{} silently wrong, the first:\n{}", wrong.len(), wrong.join("\n=====\n"));
}

/// Blocks of one to eight lines that are in the file once, each with a small change.
fn good_edits((path, file): (&'static str, &'static str), count: usize, dice: &mut Dice) -> Vec<GoodEdit> {
    let lines: Vec<&str> = file.lines().collect();
    let mut edits = Vec::new();
    for _ in 0..count * 4 {
        let first_line = dice.roll(lines.len());
        let block: Vec<&str> = lines.iter().skip(first_line).take(1 + dice.roll(8)).copied().collect();
        let old = block.join("\n");
        let is_unique = file.match_indices(&old).count() == 1;
        let has_edges =
            [block.first(), block.last()].iter().all(|line| line.is_some_and(|line| !line.trim().is_empty()));
        let new = changed(&block, dice).join("\n");
        if !is_unique || !has_edges || new == old || new.trim().is_empty() {
            continue;
        }
        let expected = file.replacen(&old, &new, 1);
        edits.push(GoodEdit { path, file, first_line, old, new, expected });
        if edits.len() == count {
            break;
        }
    }
    edits
}

/// The block with one line renamed, removed, added or repeated in another way.
fn changed(block: &[&str], dice: &mut Dice) -> Vec<String> {
    let mut lines: Vec<String> = block.iter().map(|line| (*line).to_owned()).collect();
    let at = dice.roll(lines.len());
    let indent: String = lines[at].chars().take_while(|c| c.is_whitespace()).collect();
    match dice.roll(4) {
        0 => lines[at] = lines[at].replacen(char::is_alphabetic, "q", 1),
        1 => drop(lines.remove(at)),
        2 => lines.insert(at, format!("{indent}added(\"{at}\", 'x' - 1) < 2 && ok();")),
        _ => lines[at].push_str(" // changed"),
    }
    lines
}

/// Whether a text is in the file at a place that has nothing to do with the edit.
fn is_elsewhere(edit: &GoodEdit, old: &str) -> bool {
    let start = edit.file.find(&edit.old).expect("a good edit");
    let end = start + edit.old.len();
    edit.file.match_indices(old).any(|(at, _)| at >= end || at + old.len() <= start)
}

fn judge(base: &Arc<Snapshot>, edit: &GoodEdit, old: &str, new: &str, spelling: Spelling) -> (Verdict, String) {
    let mut tree = EditedTree::new(base.clone());
    let path = RepoPath::parse(edit.path).expect("valid");
    if tree.apply(&replacement(&path, old, new)).is_err() {
        return (Verdict::Refused, String::new());
    }
    let result = tree.shown(&path).expect("text");
    let is_meant = result == edit.expected || (spelling == Spelling::OfNewToo && reads_as_meant(edit, &result));
    (if is_meant { Verdict::Exact } else { Verdict::Wrong }, result)
}

/// Whether the result is what was meant but for the spelling of lines that are new: those are the model's own.
fn reads_as_meant(edit: &GoodEdit, result: &str) -> bool {
    let mut pairs = edit.expected.lines().zip(result.lines());
    let is_own = |line: &str| !edit.file.lines().any(|known| known == line);
    edit.expected.lines().count() == result.lines().count()
        && pairs.all(|(meant, got)| meant == got || (is_own(meant) && fold_line(meant) == fold_line(got)))
}

fn replacement(path: &RepoPath, old: &str, new: &str) -> Edit {
    Edit::Replace { path: path.clone(), old: old.to_owned(), new: new.to_owned(), replace_all: false }
}
