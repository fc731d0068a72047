//! Do the new lines hold a secret?
//!
//! Most services give their keys a form that nothing else has; [`rules`] lists them. What has only a telling name, such as
//! `password = "…"`, must also look random. A secret that the file held before is not new, and no message repeats one.

mod rules;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder, RegexSet};

use self::rules::{RULES, Rule};
use super::change::Change;
use super::{Problem, ProblemKind};

/// Problems reported per file.
const MAX_PER_FILE: usize = 20;

/// Longer lines are searched up to here.
const MAX_LINE_BYTES: usize = 64 << 10;

/// A secret in a line.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    kind: &'static str,
    span: Range<usize>,
}

/// The secrets that the change brings into the file.
pub(super) fn added(change: &Change<'_>) -> Vec<Problem> {
    let before = change.before().unwrap_or_default();
    change
        .added_lines()
        .filter_map(|line| {
            let found = find(line.text).into_iter().find(|found| !before.contains(&line.text[found.span.clone()]))?;
            Some(Problem {
                kind: ProblemKind::Secret,
                path: change.path().clone(),
                line: Some(line.number),
                message: format!(
                    "adds what looks like a secret ({}): read it from the environment instead",
                    found.kind
                ),
            })
        })
        .take(MAX_PER_FILE)
        .collect()
}

/// Whether a line may be quoted.
pub(super) fn is_in(line: &str) -> bool {
    !find(line).is_empty()
}

fn find(line: &str) -> Vec<Found> {
    let line = &line[..line.floor_char_boundary(MAX_LINE_BYTES)];
    // One search for all the keywords at once: most lines end here.
    if !KEYWORDS.is_match(line) {
        return Vec::new();
    }
    PATTERNS.matches(line).into_iter().filter_map(|index| apply(&RULES[index], &COMPILED[index], line)).collect()
}

fn apply(rule: &Rule, pattern: &Regex, line: &str) -> Option<Found> {
    pattern.captures_iter(line).find_map(|captures| {
        let secret = captures.get(1).or_else(|| captures.get(0))?;
        let is_real = !is_placeholder(secret.as_str())
            && (rule.min_entropy == 0.0 || is_random(secret.as_str(), rule.min_entropy));
        is_real.then(|| Found { kind: rule.kind, span: secret.range() })
    })
}

/// What documentation and templates write where a secret would stand.
fn is_placeholder(secret: &str) -> bool {
    const WORDS: [&str; 7] = ["example", "placeholder", "xxxx", "your_", "your-", "redacted", "****"];
    let lowercase = secret.to_ascii_lowercase();
    WORDS.iter().any(|word| lowercase.contains(word)) || distinct_bytes(secret) <= 4 || has_long_sequence(secret)
}

/// Whether a value that only has a telling name is random enough: digits and letters, no words of code or templates.
fn is_random(value: &str, min_entropy: f64) -> bool {
    const WORDS: [&str; 16] = [
        "test",
        "sample",
        "dummy",
        "fake",
        "changeme",
        "change_me",
        "insert",
        "replace",
        "localhost",
        "password",
        "secret",
        "${",
        "{{",
        "getenv",
        "process.env",
        "deadbeef",
    ];
    let lowercase = value.to_ascii_lowercase();
    let is_mixed = value.bytes().any(|b| b.is_ascii_digit()) && value.bytes().any(|b| b.is_ascii_alphabetic());
    is_mixed && !WORDS.iter().any(|word| lowercase.contains(word)) && entropy(value) >= min_entropy
}

/// Shannon entropy in bits per byte.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in text.as_bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total = f64::from(counts.iter().sum::<u32>());
    let bits = |count: u32| {
        let share = f64::from(count) / total;
        -share * share.log2()
    };
    counts.into_iter().filter(|&count| count > 0).map(bits).sum()
}

fn distinct_bytes(text: &str) -> usize {
    let mut seen = [false; 256];
    text.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    seen.into_iter().filter(|&seen| seen).count()
}

/// `12345678`, `abcdefgh`: eight characters that count up.
fn has_long_sequence(text: &str) -> bool {
    text.as_bytes().windows(8).any(|window| window.is_sorted_by(|a, b| a.checked_add(1) == Some(*b)))
}

static KEYWORDS: LazyLock<Regex> = LazyLock::new(|| {
    let keywords: Vec<String> =
        RULES.iter().flat_map(|rule| rule.keywords).map(|keyword| regex::escape(keyword)).collect();
    RegexBuilder::new(&keywords.join("|"))
        .case_insensitive(true)
        .unicode(false)
        .build()
        .expect("a constant, compiled by the tests")
});

static PATTERNS: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(RULES.iter().map(|rule| rule.pattern)).expect("a constant, compiled by the tests"));

static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    RULES.iter().map(|rule| Regex::new(rule.pattern).expect("a constant, compiled by the tests")).collect()
});
