//! What messages are signed with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

/// The bytes behind the prefix: Standard Webhooks asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// A signing secret as Standard Webhooks writes it: `whsec_` and 32 random bytes in base64. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(pub(crate) String);

impl WebhookSecret {
    /// Makes a new one, from the operating system's randomness by a cryptographic generator.
    pub(crate) fn new() -> Self {
        let bytes: [u8; SECRET_BYTES] = rand::random();
        Self(format!("whsec_{}", STANDARD.encode(bytes)))
    }

    /// The secret itself: to sign with, or to show to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// A secret that took the place of another one.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// The new one.
    pub secret: WebhookSecret,
    /// Until when messages are signed with the one before, too.
    pub previous_expires_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_32_new_bytes_that_debug_hides() {
        let (first, second) = (WebhookSecret::new(), WebhookSecret::new());
        let bytes = STANDARD.decode(first.expose().strip_prefix("whsec_").expect("the prefix")).expect("base64");
        assert_eq!(bytes.len(), SECRET_BYTES);
        assert_ne!(first, second);
        assert_eq!(format!("{first:?}"), "WebhookSecret(…)");
    }
}
