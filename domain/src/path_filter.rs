//! Which files of a repository a job is about.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::RepoPath;

/// Longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 256;

/// A pattern for paths, read as a line of a `.gitignore` file (<https://git-scm.com/docs/gitignore>).
///
/// `*.rs` and `docs/` match in any folder, `src/*.rs` and `/docs` from the root on; `**` crosses folders, and what matches
/// a folder matches everything in it. `{a,b}` is either. A leading `!` is refused: there are two lists instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PathPattern(String);

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    /// Nothing there, or nothing but slashes.
    #[error("the pattern is empty")]
    Empty,
    /// More than [`MAX_PATTERN_BYTES`].
    #[error("the pattern is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// `!x`.
    #[error("a pattern cannot begin with `!`: `excludePaths` says what is left out")]
    Negated,
    /// `../x`.
    #[error("the pattern has a `..` component: it is matched from the repository's root")]
    Traversal,
    /// NUL, newline and the like.
    #[error("the pattern has control characters")]
    ControlCharacter,
    /// Brackets that do not close and the like.
    #[error("the pattern does not read: {0}")]
    Glob(String),
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PathPatternError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, PathPatternError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PathPatternError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(PathPatternError::ControlCharacter);
        }
        if text.starts_with('!') {
            return Err(PathPatternError::Negated);
        }
        if text.split('/').any(|component| component == "..") {
            return Err(PathPatternError::Traversal);
        }
        if text.trim_start_matches("./").trim_matches('/').is_empty() {
            return Err(PathPatternError::Empty);
        }
        let pattern = Self(text.to_owned());
        pattern.compile().map_err(|error| PathPatternError::Glob(error.kind().to_string()))?;
        Ok(pattern)
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn matchers(&self) -> Vec<GlobMatcher> {
        self.compile().expect("it compiled when it was parsed")
    }

    /// A matcher for the path itself, unless only folders are meant, and one for everything below it.
    fn compile(&self) -> Result<Vec<GlobMatcher>, globset::Error> {
        let text = self.0.trim_start_matches("./");
        let (path, is_folder) = (text.trim_matches('/'), text.ends_with('/'));
        let is_anchored = text.trim_end_matches('/').contains('/');
        let path = if is_anchored { path.to_owned() } else { format!("**/{path}") };
        let below = format!("{path}/**");
        let globs = if is_folder { vec![below] } else { vec![path, below] };
        let compile = |glob: String| {
            let glob = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build()?;
            Ok(glob.compile_matcher())
        };
        globs.into_iter().map(compile).collect()
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Which files of a repository a job may see and change. The default lets everything through.
#[derive(Debug, Clone, Default)]
pub struct PathFilter {
    paths: Vec<GlobMatcher>,
    exclude_paths: Vec<GlobMatcher>,
}

impl PathFilter {
    /// What matches one of `paths`, or everything when there are none, less what matches one of `exclude_paths`.
    pub fn new(paths: &[PathPattern], exclude_paths: &[PathPattern]) -> Self {
        let matchers = |patterns: &[PathPattern]| patterns.iter().flat_map(PathPattern::matchers).collect();
        Self { paths: matchers(paths), exclude_paths: matchers(exclude_paths) }
    }

    /// Whether everything is let through.
    pub fn is_open(&self) -> bool {
        self.paths.is_empty() && self.exclude_paths.is_empty()
    }

    /// Whether the file may be seen and changed.
    pub fn allows(&self, path: &RepoPath) -> bool {
        let matches = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match(path.as_str()));
        (self.paths.is_empty() || matches(&self.paths)) && !matches(&self.exclude_paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(paths: &[&str], exclude_paths: &[&str]) -> PathFilter {
        let parse = |texts: &[&str]| texts.iter().map(|text| PathPattern::parse(text).expect(text)).collect::<Vec<_>>();
        PathFilter::new(&parse(paths), &parse(exclude_paths))
    }

    fn allows(filter: &PathFilter, path: &str) -> bool {
        filter.allows(&RepoPath::parse(path).expect("valid"))
    }

    #[test]
    fn patterns_match_as_in_gitignore() {
        let cases: [(&str, &[&str], &[&str]); 13] = [
            ("*.rs", &["a.rs", "src/a.rs", "x.rs/readme"], &["a.rsx", "src/a.py"]),
            ("src/**", &["src/a.rs", "src/deep/a.rs"], &["src", "lib/src/a.rs"]),
            ("src", &["src", "src/a.rs", "lib/src/a.rs"], &["srcs/a.rs"]),
            ("docs/", &["docs/a.md", "web/docs/deep/a.md"], &["docs", "docs.md"]),
            ("/docs", &["docs", "docs/a.md"], &["web/docs/a.md"]),
            ("./docs/", &["docs/a.md"], &["doc/a.md"]),
            ("src/*.rs", &["src/a.rs"], &["src/deep/a.rs", "lib/src/a.rs"]),
            ("**/tests/*.py", &["tests/a.py", "a/b/tests/a.py"], &["tests/deep/a.py"]),
            ("a/**/z.txt", &["a/z.txt", "a/b/c/z.txt"], &["z.txt"]),
            ("*.{ts,tsx}", &["a.ts", "web/b.tsx"], &["a.js"]),
            ("[a-c]?.txt", &["b1.txt", "x/c2.txt"], &["d1.txt", "b.txt"]),
            ("**", &["a", "a/b"], &[]),
            (r"\*.md", &["*.md"], &["a.md"]),
        ];
        for (pattern, inside, outside) in cases {
            let only = filter(&[pattern], &[]);
            let without = filter(&[], &[pattern]);
            for path in inside {
                assert!(allows(&only, path) && !allows(&without, path), "{pattern} matches {path}");
            }
            for path in outside {
                assert!(!allows(&only, path) && allows(&without, path), "{pattern} does not match {path}");
            }
        }
    }

    #[test]
    fn exclusion_is_stronger_than_inclusion() {
        let filter = filter(&["src/", "docs/"], &["*.lock", "src/generated/**"]);
        assert!(allows(&filter, "src/a.rs") && allows(&filter, "docs/a.md"));
        for outside in ["README.md", "src/x.lock", "src/generated/deep/a.rs"] {
            assert!(!allows(&filter, outside), "{outside}");
        }
    }

    #[test]
    fn no_pattern_is_no_limit() {
        assert!(PathFilter::default().is_open() && allows(&PathFilter::default(), "a/b"));
        assert!(!filter(&["a"], &[]).is_open());
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let error = |text: &str| PathPattern::parse(text).expect_err(text);
        for text in ["", "/", "./", "//"] {
            assert_eq!(error(text), PathPatternError::Empty);
        }
        assert_eq!(error("!src"), PathPatternError::Negated);
        assert_eq!(error("a/../b"), PathPatternError::Traversal);
        assert_eq!(error("a\nb"), PathPatternError::ControlCharacter);
        assert_eq!(error(&"x".repeat(257)), PathPatternError::TooLong);
        for text in ["[a", "{a", "a}b"] {
            assert!(matches!(error(text), PathPatternError::Glob(_)), "{text}");
        }
    }
}
