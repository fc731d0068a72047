//! How much two texts resemble each other. Used to show what the model may have meant, never to choose for it.

use std::collections::HashSet;

/// The pairs of neighbouring bytes of a text, upper and lower case alike.
pub(super) struct Pairs(HashSet<[u8; 2]>);

impl Pairs {
    pub(super) fn of(text: &str) -> Self {
        Self(pairs(text).collect())
    }

    /// From 0 for nothing in common to 1 for the same pairs (Dice's coefficient).
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts far below 2^52, only used to rank")]
    pub(super) fn likeness(&self, text: &str) -> f64 {
        let other: HashSet<[u8; 2]> = pairs(text).collect();
        if self.0.is_empty() || other.is_empty() {
            return 0.0;
        }
        let shared = other.intersection(&self.0).count();
        2.0 * shared as f64 / (self.0.len() + other.len()) as f64
    }
}

fn pairs(text: &str) -> impl Iterator<Item = [u8; 2]> + '_ {
    text.as_bytes().windows(2).map(|pair| [pair[0].to_ascii_lowercase(), pair[1].to_ascii_lowercase()])
}
