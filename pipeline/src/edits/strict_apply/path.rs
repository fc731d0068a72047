//! Paths in patch headers: plain, or in quotes with C escapes when they hold anything unusual.

use domain::RepoPath;

/// Reads a header's path after its `a/` or `b/`.
pub(super) fn parse(text: &[u8], prefix: &str) -> Option<RepoPath> {
    let unquoted = match text.strip_prefix(b"\"") {
        Some(quoted) => unquote(quoted.strip_suffix(b"\"")?)?,
        None => text.to_vec(),
    };
    let path = String::from_utf8(unquoted).ok()?;
    RepoPath::parse(path.strip_prefix(prefix)?).ok()
}

/// Splits `a/<path> b/<path>` where both are the same path, as in every header but a rename's.
pub(super) fn parse_pair(text: &[u8]) -> Option<RepoPath> {
    let middle = text.len() / 2;
    if text.len().is_multiple_of(2) || text.get(middle) != Some(&b' ') {
        return None;
    }
    let old = parse(&text[..middle], "a/")?;
    (parse(&text[middle + 1..], "b/")? == old).then_some(old)
}

/// Undoes C escapes; a quote without a backslash ends the text and is an error here.
fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'"' => return None,
            b'\\' => {
                let (&escape, tail) = rest.split_first()?;
                rest = tail;
                bytes.push(match escape {
                    b'"' | b'\\' => escape,
                    b'a' => 0x07,
                    b'b' => 0x08,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 0x0B,
                    b'f' => 0x0C,
                    b'r' => b'\r',
                    b'0'..=b'3' => {
                        let digits = [escape, *rest.first()?, *rest.get(1)?];
                        rest = &rest[2..];
                        octal(digits)?
                    }
                    _ => return None,
                });
            }
            _ => bytes.push(byte),
        }
    }
    Some(bytes)
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_and_quoted_paths() {
        let read = |text: &[u8]| parse(text, "a/").map(|path| path.to_string());
        assert_eq!(read(b"a/src/main.rs"), Some("src/main.rs".to_owned()));
        assert_eq!(read(b"\"a/gr\\303\\266\\303\\237e/\\\"x\\\".rs\""), Some("größe/\"x\".rs".to_owned()));
        for bad in [&b"src/main.rs"[..], b"\"a/x", b"\"a/\\q\"", b"\"a/\\30\"", b"\"a/x\"y\"", b"a/../x"] {
            assert_eq!(read(bad), None);
        }
    }

    #[test]
    fn splits_two_equal_paths_with_blanks_in_them() {
        assert_eq!(parse_pair(b"a/a b/c b/a b/c").map(|p| p.to_string()), Some("a b/c".to_owned()));
        assert_eq!(parse_pair(b"a/x b/y"), None);
    }
}
