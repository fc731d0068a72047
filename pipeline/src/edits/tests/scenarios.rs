//! Every folder under `pipeline/tests/scenarios` is one story: a repository, edits, and what comes of them.
//!
//! - `base/` holds the files of the commit; `base.json` those that a work tree cannot hold faithfully (line ends, bytes,
//!   modes, links).
//! - `edits.json` lists the edits. `by` names the rung an edit must be matched by.
//! - `expected.diff` is the diff, byte for byte; `error.txt` is what the model is told about each refused edit.
//!
//! `UPDATE_SCENARIOS=1 cargo nextest run -p pipeline scenarios` writes the last two anew. Read the difference before you
//! commit it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::Edit;
use serde_json::{Value, json};

use super::repository::{Content, TestRepository};
use crate::edits::EditedTree;

/// What came of a story.
#[derive(Debug, Default)]
struct Outcome {
    diff: Vec<u8>,
    errors: String,
}

#[test]
fn every_scenario_ends_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root)
        .expect("scenarios")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() >= 40, "only {} scenarios are left", folders.len());

    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let mut failures = Vec::new();
    for folder in &folders {
        let outcome = run(folder);
        for (file, actual) in [("expected.diff", &outcome.diff[..]), ("error.txt", outcome.errors.as_bytes())] {
            let path = folder.join(file);
            if update {
                write_or_remove(&path, actual);
            } else if std::fs::read(&path).unwrap_or_default() != actual {
                failures.push(format!("{}:\n{}", path.display(), String::from_utf8_lossy(actual)));
            }
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

/// Applies the edits, and lets `git` judge the diff.
fn run(folder: &Path) -> Outcome {
    let name = folder.display();
    let repository = TestRepository::new();
    let base = repository.commit(&read_base(folder));
    let mut tree = EditedTree::new(base.clone());
    let edits = read_edits(folder);
    let mut outcome = Outcome::default();
    for (position, (edit, by)) in edits.iter().enumerate() {
        let edit = match serde_json::from_value::<Edit>(edit.clone()) {
            Ok(edit) => edit,
            Err(error) => {
                outcome.errors += &error.to_string();
                outcome.errors.push('\n');
                continue;
            }
        };
        match tree.apply(&edit) {
            Ok(applied) => {
                if let Some(by) = by {
                    assert_eq!(applied.rung.as_str(), by, "{name}: edit {}", position + 1);
                }
            }
            Err(error) => {
                assert_eq!(*by, None, "{name}: {error}");
                outcome.errors += &error.numbered(position + 1, edits.len()).to_string();
                outcome.errors.push('\n');
            }
        }
    }
    let patch = tree.finish().unwrap_or_else(|error| panic!("{name}: {error:?}"));
    repository.judge(&base, &patch).unwrap_or_else(|verdict| panic!("{name}: {verdict}"));
    outcome.diff = patch.diff;
    outcome
}

fn read_base(folder: &Path) -> BTreeMap<String, Content> {
    let mut files = BTreeMap::new();
    let root = folder.join("base");
    let mut folders = vec![root.clone()];
    while let Some(next) = folders.pop() {
        // A story may have all its files in `base.json`.
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("below").to_str().expect("UTF-8").to_owned();
                files.insert(name, Content::File(std::fs::read(&path).expect("readable")));
            }
        }
    }
    if let Ok(sidecar) = std::fs::read(folder.join("base.json")) {
        let sidecar: BTreeMap<String, Value> = serde_json::from_slice(&sidecar).expect("base.json is an object");
        files.extend(sidecar.into_iter().map(|(path, value)| (path, content(&value))));
    }
    files
}

/// `{"text"|"hex"|"lines": …, "executable": true}`, `{"symlink": target}`, `{"submodule": commit}` or `{"missing": true}`.
fn content(value: &Value) -> Content {
    if let Some(target) = value["symlink"].as_str() {
        return Content::Symlink(target.to_owned());
    }
    if let Some(commit) = value["submodule"].as_str() {
        return Content::Submodule(commit.parse().expect("a commit id"));
    }
    if value["missing"].as_bool() == Some(true) {
        return Content::MissingBlob;
    }
    let bytes = match (value["text"].as_str(), value["hex"].as_str(), value["lines"].as_u64()) {
        (Some(text), None, None) => text.as_bytes().to_vec(),
        (None, Some(hex), None) => {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
        }
        (None, None, Some(lines)) => (1..=lines).flat_map(|line| format!("line {line}\n").into_bytes()).collect(),
        _ => panic!("base.json: one of text, hex and lines: {value}"),
    };
    if value["executable"].as_bool() == Some(true) { Content::Executable(bytes) } else { Content::File(bytes) }
}

/// The edits as JSON with their defaults filled in, each with the rung it names.
fn read_edits(folder: &Path) -> Vec<(Value, Option<String>)> {
    let text = std::fs::read(folder.join("edits.json")).expect("edits.json");
    let edits: Vec<Value> = serde_json::from_slice(&text).expect("edits.json is a list");
    edits
        .into_iter()
        .map(|mut edit| {
            let fields = edit.as_object_mut().expect("an edit is an object");
            let by = fields.remove("by").map(|by| by.as_str().expect("a rung").to_owned());
            for field in ["replace_all", "executable"] {
                fields.entry(field).or_insert(json!(false));
            }
            (edit, by)
        })
        .collect()
}

fn write_or_remove(path: &Path, content: &[u8]) {
    if content.is_empty() {
        // It may not have been there.
        let _ = std::fs::remove_file(path);
    } else {
        std::fs::write(path, content).expect("writable");
    }
}
