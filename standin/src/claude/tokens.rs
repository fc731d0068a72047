//! Tokens of a text, by a rule that anyone can compute: its bytes divided by 3.2, rounded up.

/// Tokens of a text.
pub(super) fn count(text: &str) -> u64 {
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX / 10);
    (bytes * 10).div_ceil(32)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn sixteen_bytes_are_five_tokens() {
        assert_eq!(count(""), 0);
        assert_eq!(count("a"), 1);
        assert_eq!(count("0123456789abcdef"), 5);
        assert_eq!(count("0123456789abcdef0"), 6);
    }
}
