//! A file's path inside a repository.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest path, in bytes.
pub const MAX_PATH_BYTES: usize = 1024;

/// A relative path of `/`-separated UTF-8 components that stays inside the repository.
///
/// [`RepoPath::parse`] is the only way to make one, from a tree entry, a model or a user. It refuses what Git, a shell or
/// a file system could read as something else: traversal, `.git` in any spelling, control and bidirectional characters,
/// backslashes and drive letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RepoPath(String);

/// Why a text is not a path inside the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing there.
    #[error("the path is empty")]
    Empty,
    /// More than [`MAX_PATH_BYTES`].
    #[error("the path is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// `/x`, `C:x`.
    #[error("the path is absolute: give it relative to the repository's root")]
    Absolute,
    /// `a//b`, `a/`, `./a`, `a/../b`.
    #[error("the path has an empty, `.` or `..` component")]
    Traversal,
    /// `.git` as Git on some file system would read it.
    #[error("the path reaches into `.git`")]
    DotGit,
    /// `a\b`.
    #[error("the path has a backslash: separate components with `/`")]
    Backslash,
    /// NUL, newline, ESC, right-to-left override and the like.
    #[error("the path has control or invisible characters")]
    ControlCharacter,
}

impl RepoPath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`PathError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        if text.starts_with('/') || has_drive_letter(text) {
            return Err(PathError::Absolute);
        }
        if text.contains('\\') {
            return Err(PathError::Backslash);
        }
        if text.chars().any(is_control_or_invisible) {
            return Err(PathError::ControlCharacter);
        }
        for component in text.split('/') {
            if matches!(component, "" | "." | "..") {
                return Err(PathError::Traversal);
            }
            if is_dot_git(component) {
                return Err(PathError::DotGit);
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Everything before the last component; empty for a file at the root.
    pub fn parent(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    /// What follows the last dot of the file name, when something precedes that dot.
    pub fn extension(&self) -> Option<&str> {
        self.file_name().rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn has_drive_letter(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

/// Characters that change how a path reads without being seen, and all control characters.
fn is_control_or_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2028}' | '\u{2029}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

/// Whether NTFS or HFS+ would open `.git` for this component: case, trailing dots and blanks, streams and the 8.3 name
/// count (zero-width characters are refused earlier).
fn is_dot_git(component: &str) -> bool {
    let name = component.split(':').next().unwrap_or(component).trim_end_matches(['.', ' ']);
    name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_ordinary_and_odd_names() {
        for path in
            ["a", "src/main.rs", ".github/workflows/ci.yml", ".gitignore", "a b/\"quoted\".txt", "größe/日本.md", "-rf"]
        {
            assert!(RepoPath::parse(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn refuses_what_leads_elsewhere() {
        let error = |path: &str| RepoPath::parse(path).expect_err(path);
        for path in ["/etc/passwd", "C:\\x", "c:x"] {
            assert_eq!(error(path), PathError::Absolute);
        }
        for path in ["..", "a/../b", "./a", "a//b", "a/", "a/."] {
            assert_eq!(error(path), PathError::Traversal);
        }
        for path in [".git", "a/.GIT/config", "git~1/x", ".git.", ".git ", ".git::$INDEX_ALLOCATION"] {
            assert_eq!(error(path), PathError::DotGit);
        }
        for path in ["a\nb", "a\0", "\u{1b}[31m", "a\u{202e}b", ".g\u{200c}it"] {
            assert_eq!(error(path), PathError::ControlCharacter);
        }
        assert_eq!(error("a\\b"), PathError::Backslash);
        assert_eq!(error(""), PathError::Empty);
        assert_eq!(error(&"x".repeat(1025)), PathError::TooLong);
    }

    #[test]
    fn splits_names() {
        let path = RepoPath::parse("src/lib.test.rs").expect("valid");
        assert_eq!((path.parent(), path.file_name(), path.extension()), ("src", "lib.test.rs", Some("rs")));
        let dotfile = RepoPath::parse(".env").expect("valid");
        assert_eq!((dotfile.parent(), dotfile.extension()), ("", None));
    }
}
