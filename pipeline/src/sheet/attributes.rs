//! What a repository itself says about its files, in `.gitattributes` (<https://git-scm.com/docs/gitattributes>).
//!
//! Only the file at the root counts, and of it only the three attributes by which projects mark generated, vendored and
//! documentation files for code hosts.

use regex::{RegexSet, RegexSetBuilder};

/// Rules beyond this many are ignored, so that no repository can make the matcher large.
const MAX_RULES: usize = 256;

/// What the repository says about one file; absent where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) generated: Option<bool>,
    pub(crate) vendored: Option<bool>,
    pub(crate) documentation: Option<bool>,
}

/// The rules of a `.gitattributes` file.
#[derive(Debug)]
pub(crate) struct Attributes {
    patterns: RegexSet,
    marks: Vec<Marks>,
}

impl Attributes {
    /// Reads the file; lines that say nothing of interest, or that Git would not understand, are skipped.
    pub(crate) fn parse(text: &str) -> Self {
        let rules: Vec<_> = text.lines().filter_map(parse_line).take(MAX_RULES).collect();
        let built = RegexSetBuilder::new(rules.iter().map(|(pattern, _)| pattern)).size_limit(4 << 20).build();
        match built {
            Ok(patterns) => Self { patterns, marks: rules.into_iter().map(|(_, marks)| marks).collect() },
            // Only patterns that are absurdly large end here; the built-in rules still hold.
            Err(_) => Self::none(),
        }
    }

    /// A repository that says nothing.
    pub(crate) fn none() -> Self {
        Self { patterns: RegexSet::empty(), marks: Vec::new() }
    }

    /// What is said about `path`; for each attribute the last rule that names it wins.
    pub(crate) fn marks(&self, path: &str) -> Marks {
        let mut all = Marks::default();
        for rule in &self.patterns.matches(path) {
            let marks = self.marks[rule];
            all.generated = marks.generated.or(all.generated);
            all.vendored = marks.vendored.or(all.vendored);
            all.documentation = marks.documentation.or(all.documentation);
        }
        all
    }
}

fn parse_line(line: &str) -> Option<(String, Marks)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (pattern, attributes) = split_pattern(line)?;
    let mut marks = Marks::default();
    for attribute in attributes.split_ascii_whitespace() {
        let (name, value) = parse_attribute(attribute);
        match name {
            "linguist-generated" => marks.generated = Some(value),
            "linguist-vendored" => marks.vendored = Some(value),
            "linguist-documentation" => marks.documentation = Some(value),
            _ => {}
        }
    }
    // A pattern for a folder never matches a file, and a negative one is not allowed here: both as in Git.
    let is_usable = marks != Marks::default() && !pattern.ends_with('/') && !pattern.starts_with('!');
    is_usable.then(|| (to_regex(pattern), marks))
}

/// The pattern, which may be quoted to hold blanks, and what follows it.
fn split_pattern(line: &str) -> Option<(&str, &str)> {
    match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"'),
        None => line.split_once(|c: char| c.is_ascii_whitespace()),
    }
}

fn parse_attribute(attribute: &str) -> (&str, bool) {
    if let Some(name) = attribute.strip_prefix(['-', '!']) {
        return (name, false);
    }
    match attribute.split_once('=') {
        Some((name, value)) => (name, value != "false"),
        None => (attribute, true),
    }
}

/// A pattern without a slash matches a name in any folder; with one, the path from the root.
fn to_regex(pattern: &str) -> String {
    let (anchor, mut rest) = match pattern.strip_prefix('/') {
        Some(rooted) => ("^", rooted),
        None if pattern.contains('/') => ("^", pattern),
        None => ("^(?:.*/)?", pattern),
    };
    let mut regex = String::from(anchor);
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("**/") {
            regex.push_str("(?:.*/)?");
            3
        } else if rest == "**" {
            regex.push_str(".*");
            2
        } else if let Some((class, length)) = bracket(rest) {
            regex.push_str(&class);
            length
        } else {
            match first {
                '*' => regex.push_str("[^/]*"),
                '?' => regex.push_str("[^/]"),
                _ => regex.push_str(&regex::escape(first.encode_utf8(&mut [0; 4]))),
            }
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    regex.push('$');
    regex
}

/// `[a-z]` or `[!a-z]` at the start of `rest`, as a regular expression's class, and its length in bytes.
fn bracket(rest: &str) -> Option<(String, usize)> {
    let inside = rest.strip_prefix('[')?;
    let (negation, inside) = match inside.strip_prefix(['!', '^']) {
        Some(inside) => ("^", inside),
        None => ("", inside),
    };
    let end = inside.find(']').filter(|&end| end > 0)?;
    let members: String = inside[..end].chars().fold(String::new(), |mut members, c| {
        if c != '-' && !c.is_alphanumeric() {
            members.push('\\');
        }
        members.push(c);
        members
    });
    let length = rest.len() - inside.len() + end + 1;
    members.is_ascii().then(|| (format!("[{negation}{members}]"), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(attributes: &str, path: &str) -> Option<bool> {
        Attributes::parse(attributes).marks(path).generated
    }

    #[test]
    fn names_match_in_any_folder_and_paths_from_the_root() {
        let rules = "*.api.ts linguist-generated\nschema/*.sql linguist-generated=true\n/top.txt linguist-generated\n";
        assert_eq!(generated(rules, "web/client.api.ts"), Some(true));
        assert_eq!(generated(rules, "schema/a.sql"), Some(true));
        assert_eq!(generated(rules, "schema/deep/a.sql"), None);
        assert_eq!(generated(rules, "other/schema/a.sql"), None);
        assert_eq!(generated(rules, "top.txt"), Some(true));
        assert_eq!(generated(rules, "a/top.txt"), None);
    }

    #[test]
    fn double_stars_cross_folders() {
        let rules = "gen/** linguist-generated\n**/mocks/*.go linguist-generated";
        assert_eq!(generated(rules, "gen/a/b/c.rs"), Some(true));
        assert_eq!(generated(rules, "x/y/mocks/m.go"), Some(true));
        assert_eq!(generated(rules, "mocks/m.go"), Some(true));
        assert_eq!(generated(rules, "mocks/deep/m.go"), None);
    }

    #[test]
    fn the_last_rule_wins_and_can_say_no() {
        let rules = "# all of it\n*.js linguist-vendored linguist-generated\nours.js -linguist-vendored linguist-generated=false";
        let marks = Attributes::parse(rules).marks("lib/ours.js");
        assert_eq!((marks.vendored, marks.generated), (Some(false), Some(false)));
        assert_eq!(Attributes::parse(rules).marks("lib/theirs.js").vendored, Some(true));
    }

    #[test]
    fn odd_lines_are_skipped_and_odd_patterns_are_literal() {
        let rules = "nothing\n!no.rs linguist-generated\ndir/ linguist-generated\n\"with blank.rs\" linguist-generated\n\
                     a(b.rs linguist-generated\n[!x]z.rs linguist-generated\n[.rs linguist-generated\n*.c text eol=lf";
        for (path, expected) in
            [("no.rs", None), ("dir/x", None), ("with blank.rs", Some(true)), ("a(b.rs", Some(true)), ("x.c", None)]
        {
            assert_eq!(generated(rules, path), expected, "{path}");
        }
        for (path, expected) in [("yz.rs", Some(true)), ("xz.rs", None), ("[.rs", Some(true))] {
            assert_eq!(generated(rules, path), expected, "{path}");
        }
    }

    #[test]
    fn documentation_is_read_too() {
        let marks = Attributes::parse("guide/* linguist-documentation").marks("guide/a.py");
        assert_eq!(marks, Marks { documentation: Some(true), ..Marks::default() });
    }
}
