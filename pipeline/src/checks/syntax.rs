//! Does program text parse as well as it did before?
//!
//! A parser with error recovery counts what it had to skip or make up. What counts is the difference: macros and
//! dialects give some files errors that were always there.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use domain::RepoPath;
use tree_sitter::{Node, ParseOptions, Parser, Tree};

use super::change::Change;
use super::{Problem, ProblemKind, excerpt};

/// Larger texts are not parsed.
const MAX_BYTES: usize = 1 << 20;

/// How long one text may take. A megabyte takes about half of it.
const MAX_PARSE_TIME: Duration = Duration::from_secs(2);

/// Errors counted per file.
const MAX_ERRORS: usize = 500;

/// Lines named in a message.
const MAX_LINES_NAMED: usize = 5;

/// A file with more syntax errors than before.
pub(super) fn parses(change: &Change<'_>) -> Option<Problem> {
    let after = change.after()?;
    let (name, grammar) = grammar(change.path())?;
    if !change.is_new() && change.before().is_none() {
        return None;
    }
    let errors = error_lines(after, &grammar)?;
    if errors.is_empty() {
        return None;
    }
    let errors_before = error_lines(change.before().unwrap_or_default(), &grammar)?.len();
    // C is half macros, which the parser cannot expand, and a `.h` file may be C++: the count says something only where
    // there was no error before.
    let is_unreliable = name == "c" && (change.is_new() || errors_before > 0);
    if errors.len() <= errors_before || is_unreliable {
        return None;
    }
    Some(problem(change, name, after, &errors, errors.len() - errors_before))
}

fn problem(change: &Change<'_>, name: &str, after: &str, errors: &[u64], new_errors: usize) -> Problem {
    let added: Vec<u64> = change.added_lines().map(|line| line.number).collect();
    let mut blamed: Vec<u64> = errors.iter().copied().filter(|line| added.contains(line)).collect();
    if blamed.is_empty() {
        blamed = errors.to_vec();
    }
    blamed.dedup();
    let first = blamed.first().copied();
    let text = first.and_then(|line| after.lines().nth(usize::try_from(line - 1).ok()?)).unwrap_or_default();
    let lines: Vec<String> = blamed.iter().take(MAX_LINES_NAMED).map(u64::to_string).collect();
    Problem {
        kind: ProblemKind::Syntax,
        path: change.path().clone(),
        line: first,
        message: format!(
            "{new_errors} more syntax error(s) as {name} than before, near line {}: `{}`",
            lines.join(", "),
            excerpt(text)
        ),
    }
}

fn grammar(path: &RepoPath) -> Option<(&'static str, tree_sitter::Language)> {
    let extension = match path.file_name() {
        "Rakefile" | "Gemfile" => "rb",
        _ => path.extension()?,
    };
    Some(match extension {
        "rs" => ("rust", tree_sitter_rust::LANGUAGE.into()),
        "py" | "pyi" => ("python", tree_sitter_python::LANGUAGE.into()),
        "js" | "mjs" | "cjs" | "jsx" => ("javascript", tree_sitter_javascript::LANGUAGE.into()),
        "ts" | "mts" | "cts" => ("typescript", tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into()),
        "tsx" => ("tsx", tree_sitter_typescript::LANGUAGE_TSX.into()),
        "go" => ("go", tree_sitter_go::LANGUAGE.into()),
        "java" => ("java", tree_sitter_java::LANGUAGE.into()),
        "c" | "h" => ("c", tree_sitter_c::LANGUAGE.into()),
        "rb" | "rake" | "gemspec" => ("ruby", tree_sitter_ruby::LANGUAGE.into()),
        _ => return None,
    })
}

/// The lines, from 1, of the errors in a text; absent when the text is too large or takes too long.
fn error_lines(text: &str, grammar: &tree_sitter::Language) -> Option<Vec<u64>> {
    let tree = parse(text, grammar, MAX_PARSE_TIME)?;
    let mut lines = Vec::new();
    let mut cursor = tree.walk();
    // Depth first, without a stack of our own or of the machine: the text decides how deep it nests.
    loop {
        let node = cursor.node();
        if is_error(node) && lines.len() < MAX_ERRORS {
            lines.push(node.start_position().row as u64 + 1);
        }
        let may_hide_errors = node.has_error() && !node.is_error();
        if may_hide_errors && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return Some(lines);
            }
        }
    }
}

fn is_error(node: Node<'_>) -> bool {
    node.is_error() || node.is_missing()
}

fn parse(text: &str, grammar: &tree_sitter::Language, time: Duration) -> Option<Tree> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut parser = Parser::new();
    parser.set_language(grammar).ok()?;
    let bytes = text.as_bytes();
    let start = Instant::now();
    let mut keep_going =
        |_: &_| if start.elapsed() < time { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let options = ParseOptions::new().progress_callback(&mut keep_going);
    parser.parse_with_options(&mut |offset, _| bytes.get(offset..).unwrap_or_default(), None, Some(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grammar_tells_good_from_bad() {
        for (path, good, bad) in [
            ("a.rs", "fn a() {}\n", "fn a( {}\n"),
            ("a.py", "def a():\n    return 1\n", "def a(:\n    return\n"),
            ("a.js", "const a = () => 1;\n", "const a = ( => 1;\n"),
            ("a.jsx", "const a = <b c={1}/>;\n", "const a = <b c={1;\n"),
            ("a.ts", "const a: number = 1;\n", "const a: = 1;\n"),
            ("a.tsx", "const a = <b c={x as string}/>;\n", "const a = <b;\n"),
            ("a.go", "package a\nfunc a() {}\n", "package a\nfunc a( {}\n"),
            ("a.java", "class A { void a() {} }\n", "class A { void a( {} }\n"),
            ("a.c", "int a(void) { return 1; }\n", "int a(void { return 1; }\n"),
            ("a.rb", "def a\n  1\nend\n", "def a\n  (1\nend\n"),
        ] {
            let (_, grammar) = grammar(&RepoPath::parse(path).expect("valid")).expect(path);
            assert_eq!(error_lines(good, &grammar), Some(vec![]), "{path}");
            assert_ne!(error_lines(bad, &grammar), Some(vec![]), "{path}");
        }
    }

    #[test]
    fn large_slow_and_deep_texts_are_survived() {
        let grammar = tree_sitter_rust::LANGUAGE.into();
        assert_eq!(error_lines(&"x".repeat(MAX_BYTES + 1), &grammar), None);
        assert!(parse(&"fn a() {}\n".repeat(10_000), &grammar, Duration::ZERO).is_none());
        assert!(
            error_lines(&format!("fn a() {{ {} }}", "(".repeat(20_000)), &grammar)
                .is_none_or(|lines| !lines.is_empty())
        );
    }
}
