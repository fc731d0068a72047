//! Host names that can only mean something inside a network.

/// Endings that no public name has: reserved names (RFC 6761, 6762, 7686, 8375), ICANN's private-use name and common
/// habits.
const INTERNAL_SUFFIXES: [&str; 13] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "corp",
    "onion",
    "test",
    "svc",
    "cluster.local",
    "localdomain",
    "private",
];

/// Whether a name is internal by its looks: a single label, or a reserved ending. `name` has no dot at its end.
pub(crate) fn is_internal(name: &str) -> bool {
    !name.contains('.') || INTERNAL_SUFFIXES.iter().any(|suffix| is_below(name, suffix))
}

/// Whether a name is `domain` or one of its subdomains, compared label by label.
pub(crate) fn is_below(name: &str, domain: &str) -> bool {
    let Some(head_len) = name.len().checked_sub(domain.len()) else { return false };
    let (Some(head), Some(tail)) = (name.get(..head_len), name.get(head_len..)) else { return false };
    tail.eq_ignore_ascii_case(domain) && (head.is_empty() || head.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_on_label_boundaries() {
        assert!(is_below("github.com", "github.com"));
        assert!(is_below("api.GitHub.com", "github.com"));
        assert!(!is_below("notgithub.com", "github.com"));
        assert!(!is_below("github.com.evil.org", "github.com"));
        assert!(!is_below("com", "github.com"));
    }

    #[test]
    fn knows_internal_names() {
        for name in ["redis", "localhost", "a.localhost", "metadata.google.internal", "kubernetes.default.svc"] {
            assert!(is_internal(name), "{name}");
        }
        for name in ["github.com", "internal.example.org", "corp.com", "testing.dev"] {
            assert!(!is_internal(name), "{name}");
        }
    }
}
