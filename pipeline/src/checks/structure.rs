//! Do JSON, TOML and YAML files still parse?

use domain::RepoPath;
use serde::de::IgnoredAny;
use yaml_rust2::parser::{Event, Parser};

use super::change::Change;
use super::{Problem, ProblemKind};

/// Larger texts are not parsed.
const MAX_BYTES: usize = 2 << 20;

#[derive(Debug, Clone, Copy)]
enum Format {
    Json,
    /// JSON with comments and trailing commas, as editors and compilers read it.
    JsonWithComments,
    Toml,
    Yaml,
}

struct SyntaxError {
    line: Option<u64>,
    message: String,
}

/// A file that does not parse though it is new or did parse before.
pub(super) fn parses(change: &Change<'_>) -> Option<Problem> {
    let after = change.after()?;
    let format = format_of(change.path())?;
    let error = check(format, after).err()?;
    if !change.is_new() && change.before().is_none_or(|before| check(format, before).is_err()) {
        return None;
    }
    Some(Problem {
        kind: ProblemKind::Structure,
        path: change.path().clone(),
        line: error.line,
        message: format!("does not parse any more: {}", error.message),
    })
}

fn format_of(path: &RepoPath) -> Option<Format> {
    let name = path.file_name();
    match path.extension().unwrap_or(name) {
        "json" | "webmanifest" if allows_comments(path) => Some(Format::JsonWithComments),
        "json" | "webmanifest" => Some(Format::Json),
        "jsonc" | "code-workspace" | ".eslintrc" | ".babelrc" | ".swcrc" | ".jshintrc" => {
            Some(Format::JsonWithComments)
        }
        "toml" => Some(Format::Toml),
        "yaml" | "yml" => Some(Format::Yaml),
        _ => None,
    }
}

fn allows_comments(path: &RepoPath) -> bool {
    const NAMES: [&str; 10] = [
        "deno.json",
        "devcontainer.json",
        "turbo.json",
        "biome.json",
        "nx.json",
        "api-extractor.json",
        "rush.json",
        ".eslintrc.json",
        ".devcontainer.json",
        "language-configuration.json",
    ];
    let name = path.file_name();
    let is_compiler_options =
        ["tsconfig", "jsconfig"].iter().any(|start| name.starts_with(start) && name.ends_with(".json"));
    is_compiler_options
        || NAMES.contains(&name)
        || path.parent() == ".vscode"
        || path.parent().ends_with("/.vscode")
        || name.ends_with(".sublime-settings")
}

fn check(format: Format, text: &str) -> Result<(), SyntaxError> {
    if text.len() > MAX_BYTES {
        return Ok(());
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Json => check_json(text),
        Format::JsonWithComments => check_json(&without_comments(text)),
        Format::Toml => check_toml(text),
        Format::Yaml => check_yaml(text),
    }
}

fn check_json(text: &str) -> Result<(), SyntaxError> {
    serde_json::from_str::<IgnoredAny>(text)
        .map(drop)
        .map_err(|error| SyntaxError { line: Some(error.line() as u64), message: error.to_string() })
}

fn check_toml(text: &str) -> Result<(), SyntaxError> {
    let Err(error) = toml::from_str::<toml::Table>(text) else { return Ok(()) };
    let line =
        error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() as u64 + 1);
    Err(SyntaxError { line, message: error.message().to_owned() })
}

/// Reads events only: a document of aliases to aliases would fill the memory if it were built.
fn check_yaml(text: &str) -> Result<(), SyntaxError> {
    // A template is not YAML yet.
    if text.contains("{{") || text.contains("{%") {
        return Ok(());
    }
    let mut parser = Parser::new_from_str(text);
    loop {
        match parser.next_token() {
            Ok((Event::StreamEnd, _)) => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                let line = Some(error.marker().line() as u64);
                return Err(SyntaxError { line, message: error.info().to_owned() });
            }
        }
    }
}

/// The text with comments turned to blanks and commas before a closing bracket left out. Lines keep their numbers.
fn without_comments(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut pending_comma = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' {
            string_length(rest)
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if token.starts_with("//") || token.starts_with("/*") {
            clean.extend(token.chars().filter(|&c| c == '\n'));
            continue;
        }
        if let (Some(comma), '}' | ']') = (pending_comma, first) {
            clean.replace_range(comma..=comma, " ");
        }
        if first == ',' {
            pending_comma = Some(clean.len());
        } else if !first.is_whitespace() {
            pending_comma = None;
        }
        clean.push_str(token);
    }
    clean
}

/// Bytes of the string literal at the start of `text`, quotation marks included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(path: &str, text: &str) -> bool {
        let format = format_of(&RepoPath::parse(path).expect("valid")).expect(path);
        check(format, text).is_ok()
    }

    #[test]
    fn formats_parse_or_not() {
        for (path, good, bad) in [
            ("package.json", "{\"a\": [1, 2]}", "{\"a\": [1, 2,]}"),
            ("tsconfig.base.json", "// c\n{\"a\": \"//\", /* x */ \"b\": [1,],\n}", "{\"a\" 1}"),
            (".vscode/settings.json", "{\n  // c\n  \"a\": 1,\n}\n", "{"),
            ("x.jsonc", "{} // end", "{} end"),
            ("Cargo.toml", "[a]\nb = 1\n", "[a\nb = 1\n"),
            ("ci.yml", "a: 1\n---\nb: [2]\n", "a: [1\nb: 2\n"),
            ("t.yaml", "a: &x 1\nb: *x\n", "a: *unknown\n"),
            ("chart.yaml", "a: {{ .Values.a }}\n", "a: 'x\n"),
        ] {
            assert!(is_good(path, good), "{path}: {good}");
            assert!(!is_good(path, bad), "{path}: {bad}");
        }
    }

    #[test]
    fn errors_have_lines() {
        assert_eq!(check(Format::Json, "{\n\"a\": }").expect_err("bad").line, Some(2));
        assert_eq!(check(Format::Toml, "a = 1\nb = \n").expect_err("bad").line, Some(2));
        assert!(check(Format::Yaml, "a: 1\nb: 'x\n").expect_err("bad").line.is_some());
        assert_eq!(check(Format::JsonWithComments, "// a\n/* b\nc */ {\"d\" 1}").expect_err("bad").line, Some(3));
    }

    #[test]
    fn hostile_texts_end() {
        let deep = "[".repeat(100_000);
        for format in [Format::Json, Format::JsonWithComments, Format::Toml, Format::Yaml] {
            assert!(check(format, &deep).is_err(), "{format:?}");
        }
        let levels = (1..60).map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
        let bomb: String = std::iter::once("a0: &a0 [x]\n".to_owned()).chain(levels).collect();
        assert!(check(Format::Yaml, &bomb).is_ok());
    }
}
