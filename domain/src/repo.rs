//! Where a repository is, and which commit of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

const MAX_URL_BYTES: usize = 2048;
const MAX_REF_BYTES: usize = 255;

/// The address of a Git repository over HTTP: no credentials, no query, nothing that two parsers read differently.
///
/// Everything downstream uses the parsed and serialised form, never the user's raw text. Whether this server talks to
/// the host is another question; `egress` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RepoUrl(Url);

/// Why a text is not the address of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RepoUrlError {
    /// More than 2,048 bytes.
    #[error("the repository URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// `git@host:path`, `ssh://`, `file://`, a bare path.
    #[error("the repository URL must start with https:// (ssh, git, file and scp-like addresses are not supported)")]
    Scheme,
    /// The WHATWG parser refuses it.
    #[error("the repository URL is not a valid URL")]
    Syntax,
    /// Blanks, control characters, backslashes, or their escapes in the path.
    #[error("the repository URL has blanks, control characters, backslashes or escaped separators")]
    Characters,
    /// `user:password@`.
    #[error("the repository URL must not carry credentials: configure a token for the host instead")]
    Credentials,
    /// `?x` or `#x`.
    #[error("the repository URL must not have a query or a fragment")]
    QueryOrFragment,
    /// No path, or one with `.` or `..` components.
    #[error("the repository URL must name a repository, without `.` or `..` in its path")]
    Path,
}

impl RepoUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`RepoUrlError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, RepoUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(RepoUrlError::TooLong);
        }
        if text.bytes().any(|byte| byte <= 0x20 || byte == 0x7f || byte == b'\\') {
            return Err(RepoUrlError::Characters);
        }
        let lower = text.to_ascii_lowercase();
        let rest = ["https://", "http://"].iter().find_map(|scheme| lower.strip_prefix(scheme));
        let rest = rest.ok_or(RepoUrlError::Scheme)?;
        if rest.starts_with('/') {
            return Err(RepoUrlError::Syntax);
        }
        if ["%00", "%2f", "%5c", "%7f", "%0", "%1"].iter().any(|escape| rest.contains(escape)) {
            return Err(RepoUrlError::Characters);
        }
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        if path.split('/').any(|component| matches!(component.replace("%2e", ".").as_str(), "." | "..")) {
            return Err(RepoUrlError::Path);
        }
        Self::from_parsed(Url::parse(text).map_err(|_| RepoUrlError::Syntax)?)
    }

    fn from_parsed(mut url: Url) -> Result<Self, RepoUrlError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RepoUrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(RepoUrlError::QueryOrFragment);
        }
        let host = url.host_str().ok_or(RepoUrlError::Syntax)?.to_owned();
        if let Some(without_dot) = host.strip_suffix('.') {
            if without_dot.ends_with('.') {
                return Err(RepoUrlError::Syntax);
            }
            url.set_host(Some(without_dot)).map_err(|_| RepoUrlError::Syntax)?;
        }
        if url.path().trim_matches('/').is_empty() {
            return Err(RepoUrlError::Path);
        }
        Ok(Self(url))
    }

    /// The parsed address.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The repository's own name: the last component of the path, without `.git`.
    pub fn name(&self) -> &str {
        let last = self.0.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        last.strip_suffix(".git").unwrap_or(last)
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for RepoUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What a user may name to pick a commit: a branch, a tag, or a full commit id. Never a revision expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct GitRef(String);

/// Why a text is not the name of a branch, a tag or a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a branch, tag or full 40-digit commit id")]
pub struct RefError(String);

impl GitRef {
    /// Reads a name by the rules of `git check-ref-format`, which also keep out every revision expression.
    ///
    /// # Errors
    /// [`RefError`] when the text breaks one of them.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        let bad_byte = |byte: u8| byte <= 0x20 || byte == 0x7f || b"~^:?*[\\".contains(&byte);
        let bad_component = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
        let is_valid = !text.is_empty()
            && text.len() <= MAX_REF_BYTES
            && text != "@"
            && !text.starts_with('-')
            && !text.ends_with('.')
            && !text.contains("..")
            && !text.contains("@{")
            && !text.bytes().any(bad_byte)
            && !text.chars().any(char::is_control)
            && !text.split('/').any(bad_component);
        if is_valid { Ok(Self(text.to_owned())) } else { Err(RefError(text.to_owned())) }
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The commit this names by its full id, if it does.
    pub fn as_commit_id(&self) -> Option<CommitId> {
        CommitId::parse(&self.0).ok()
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for GitRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A full SHA-1 commit id: 40 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct CommitId(String);

/// A text that is not a full commit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a full commit id (40 hexadecimal digits)")]
pub struct CommitIdError(String);

impl CommitId {
    /// Reads an id; upper case is folded.
    ///
    /// # Errors
    /// [`CommitIdError`] when it is not 40 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, CommitIdError> {
        if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(CommitIdError(text.to_owned()))
        }
    }

    /// The id in hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CommitId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_good_addresses() {
        let show = |text: &str| RepoUrl::parse(text).expect(text).to_string();
        assert_eq!(show("https://github.com/jayhack/llm.sh"), "https://github.com/jayhack/llm.sh");
        assert_eq!(show("HTTPS://GITHUB.COM/A/B"), "https://github.com/A/B");
        assert_eq!(show("https://github.com./a/b"), "https://github.com/a/b");
        assert_eq!(show("https://git.example.org:443/x.git"), "https://git.example.org/x.git");
        assert_eq!(RepoUrl::parse("https://gitlab.com/a/b/c.git").expect("valid").name(), "c");
    }

    #[test]
    fn refuses_with_the_reason() {
        use RepoUrlError::*;
        let cases = [
            ("git@github.com:a/b.git", Scheme),
            ("ssh://git@github.com/a", Scheme),
            ("file:///etc/passwd", Scheme),
            ("/etc", Scheme),
            ("https:github.com/a", Scheme),
            ("https:/github.com/a", Scheme),
            ("ext::sh", Scheme),
            ("https:///x", Syntax),
            ("https://", Syntax),
            ("https://./a", Syntax),
            ("https://github.com../a", Syntax),
            ("https://[::1/x", Syntax),
            ("https://user:pass@github.com/a", Credentials),
            ("https://github.com@127.0.0.1/x", Credentials),
            ("https://github.com/a?x=1", QueryOrFragment),
            ("https://github.com/a#x", QueryOrFragment),
            ("https://github.com", Path),
            ("https://github.com/../../a", Path),
            ("https://github.com/%2e%2e/a", Path),
            ("https://github.com/a%0d%0aX:1", Characters),
            ("https://github.com/a%00b", Characters),
            (" https://github.com/a", Characters),
            ("https://github.com\\@127.0.0.1/x", Characters),
        ];
        for (text, error) in cases {
            assert_eq!(RepoUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn refs_are_exact_names() {
        for good in ["main", "feature/x", "v1.0", "HEAD", "refs/heads/main", &"a".repeat(40)] {
            assert!(GitRef::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "", "@", "-x", "a..b", "HEAD~1", "main^", ":/fix", "a b", "a.lock", "x@{1}", "/a", "a/", "a//b", ".a", "a.",
        ] {
            assert!(GitRef::parse(bad).is_err(), "{bad}");
        }
        assert!(GitRef::parse(&"A".repeat(40)).expect("valid").as_commit_id().is_some());
    }
}
