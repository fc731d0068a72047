//! docs/LOGGING.md shows every line that is logged at `info` and above.

use std::path::Path;

use crate::architecture::sources;

const MACROS: [&str; 3] = ["info!(", "warn!(", "error!("];

/// The texts of the lines that a file logs, up to where they differ from one time to the next.
fn lines_of(code: &str) -> Vec<String> {
    let (code, _tests) = code.split_once("#[cfg(test)]").unwrap_or((code, ""));
    let calls = MACROS.iter().flat_map(|name| code.match_indices(name).map(|(at, _)| (at, &code[at + name.len()..])));
    let is_whole_name = |at: &usize| !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    calls.filter(|(at, _)| is_whole_name(at)).filter_map(|(_, rest)| message(rest)).collect()
}

/// The last text among the arguments of a call is the one that is meant for people.
fn message(arguments: &str) -> Option<String> {
    let (mut depth, mut text, mut last) = (1, None::<String>, None);
    let mut characters = arguments.chars();
    while let (Some(character), true) = (characters.next(), depth > 0) {
        match (&mut text, character) {
            (None, '"') => text = Some(String::new()),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, _) => {}
            (Some(_), '"') => last = text.take(),
            (Some(text), '\\') => text.extend(characters.next().filter(|next| !next.is_whitespace())),
            (Some(text), other) => text.push(other),
        }
    }
    let last = last?;
    let fixed = last.split(['{', ';', ':']).next().unwrap_or_default();
    Some(fixed.split(" (").next().unwrap_or_default().trim().to_owned())
}

#[test]
fn every_line_is_documented() {
    let documentation = include_str!("../../docs/LOGGING.md");
    let mut count = 0;
    for file in sources(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        for line in lines_of(&std::fs::read_to_string(&file).expect("readable")) {
            assert!(documentation.contains(&format!("`{line}")), "{}: docs/LOGGING.md lacks `{line}`", file.display());
            count += 1;
        }
    }
    assert!(count > 50, "found only {count} lines");
}

#[test]
fn lines_are_found_in_code() {
    let code = r#"
        tracing::info!(job.id = %id, "Accepted job {id}");
        warn!(error = &error as &dyn Error, kind = name("x"), "Cannot claim a job; trying again");
        debug!("not shown"); my_error!("neither");
        #[cfg(test)] info!("nor this");
    "#;
    assert_eq!(lines_of(code), ["Accepted job", "Cannot claim a job"]);
}
