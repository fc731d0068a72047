//! Slips that need more than one edit, or another file.

use std::collections::BTreeMap;

use domain::RepoPath;

use super::{
    Content, Corpus, Dice, EDITS_PER_FILE, EditedTree, FILES, GoodEdit, TestRepository, good_edits, replacement,
};
use crate::edits::{Applied, Refusal};

fn edits() -> Vec<GoodEdit> {
    let mut dice = Dice(1976);
    FILES.iter().flat_map(|file| good_edits(*file, EDITS_PER_FILE, &mut dice)).collect()
}

fn path(edit: &GoodEdit) -> RepoPath {
    RepoPath::parse(edit.path).expect("valid")
}

#[test]
fn an_edit_sent_again_changes_nothing() {
    let Corpus { base, _repository } = Corpus::new();
    for edit in edits() {
        let mut tree = EditedTree::new(base.clone());
        tree.apply(&replacement(&path(&edit), &edit.old, &edit.new)).expect("a good edit");
        let is_still_there = edit.expected.contains(&edit.old);
        // Where `new` contains `old`, an edit sent again is a new edit: nothing tells them apart.
        if !is_still_there {
            let again = tree.apply(&replacement(&path(&edit), &edit.old, &edit.new));
            assert!(again.as_ref().is_ok_and(Applied::is_repeat) || again.is_err(), "{edit:?}");
            assert_eq!(tree.shown(&path(&edit)).as_deref(), Some(edit.expected.as_str()));
        }
    }
}

#[test]
fn edits_of_different_places_commute() {
    let Corpus { base, _repository } = Corpus::new();
    let edits = edits();
    let mut tried = 0;
    for pair in edits.windows(2).filter(|pair| pair[0].path == pair[1].path) {
        let (first, second) =
            if pair[0].first_line < pair[1].first_line { (&pair[0], &pair[1]) } else { (&pair[1], &pair[0]) };
        if first.first_line + first.old.lines().count() > second.first_line {
            continue;
        }
        tried += 1;
        let results = [[first, second], [second, first]].map(|order| {
            let mut tree = EditedTree::new(base.clone());
            let applied = order.map(|edit| tree.apply(&replacement(&path(edit), &edit.old, &edit.new)).is_ok());
            (applied, tree.shown(&path(first)))
        });
        if results[0].0 == [true, true] && results[1].0 == [true, true] {
            assert_eq!(results[0].1, results[1].1, "{first:?} {second:?}");
        }
        assert!(results[0].0[0] && results[1].0[0]);
    }
    assert!(tried > 100, "only {tried} pairs");
}

#[test]
fn overlapping_edits_are_refused_unless_what_they_need_is_still_there() {
    let Corpus { base, _repository } = Corpus::new();
    for edit in edits() {
        let lines: Vec<&str> = edit.file.lines().collect();
        let last = edit.first_line + edit.old.lines().count() - 1;
        let Some(overlap) = lines.get(last..last + 3).map(|lines| lines.join("\n")) else { continue };
        let mut tree = EditedTree::new(base.clone());
        tree.apply(&replacement(&path(&edit), &edit.old, &edit.new)).expect("a good edit");
        let applied = tree.apply(&replacement(&path(&edit), &overlap, "overlap();"));
        let expected = match edit.expected.match_indices(&overlap).count() {
            1 => edit.expected.replacen(&overlap, "overlap();", 1),
            _ => edit.expected.clone(),
        };
        let shown = tree.shown(&path(&edit)).expect("text");
        assert!(shown == expected || (applied.is_err() && shown == edit.expected), "{edit:?}\n{overlap}\n{shown}");
    }
}

#[test]
fn a_block_that_is_there_twice_is_refused() {
    let repository = TestRepository::new();
    for edit in edits() {
        let doubled = format!("{}\n{}\n", edit.file.trim_end(), edit.old);
        let base = repository.commit(&BTreeMap::from([(edit.path.to_owned(), Content::File(doubled.into_bytes()))]));
        let refused = EditedTree::new(base).apply(&replacement(&path(&edit), &edit.old, &edit.new));
        let refusal = refused.expect_err("twice there").refusal;
        assert!(matches!(*refusal, Refusal::Ambiguous { .. }), "{refusal:?}");
    }
}

#[test]
fn a_path_without_its_folders_means_the_same_file() {
    let Corpus { base, _repository } = Corpus::new();
    for edit in edits() {
        let mut tree = EditedTree::new(base.clone());
        let name = RepoPath::parse(path(&edit).file_name()).expect("valid");
        tree.apply(&replacement(&name, &edit.old, &edit.new)).expect("the name is unique");
        assert_eq!(tree.shown(&path(&edit)).as_deref(), Some(edit.expected.as_str()));
    }
}

#[test]
fn an_edit_without_effect_is_refused() {
    let Corpus { base, _repository } = Corpus::new();
    for edit in edits() {
        let refused = EditedTree::new(base.clone()).apply(&replacement(&path(&edit), &edit.old, &edit.old));
        assert_eq!(*refused.expect_err("no effect").refusal, Refusal::NoChange);
    }
}
