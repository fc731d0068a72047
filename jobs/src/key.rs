//! API keys: who may use the API, for what, until when, and how much.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use domain::{KeyId, KeyScope};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::quota::LimitOverrides;

/// What every key begins with, so that scanners for leaked secrets find it.
const PREFIX: &str = "tg_";

/// Longest name of a key and longest owner, in characters.
const MAX_NAME_CHARS: usize = 100;

/// Longest life of a key that expires: ten years.
const MAX_LIFETIME: Duration = Duration::from_hours(24 * 3_653);

/// A key as its holder has it: `tg_<id>_<secret>`, the secret being 256 random bits in 43 characters of base64url
/// (RFC 4648 §5). It is shown once, and only its hash is stored.
#[derive(Clone)]
pub struct KeyToken {
    id: KeyId,
    secret: [u8; 32],
}

impl KeyToken {
    /// A key that nobody can guess.
    pub(crate) fn new(id: KeyId) -> Self {
        let mut secret = [0; 32];
        rand::fill(&mut secret);
        Self { id, secret }
    }

    /// Reads what [`Self::expose`] wrote; what looks otherwise is no key.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let secret = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        let token = Self { id: id.parse().ok()?, secret };
        // One key, one spelling.
        (token.id.to_string() == id).then_some(token)
    }

    /// Which key it is.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The text for the key's holder, and for nobody else.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// What is stored of the secret.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// Whether the secret has this hash, in a time that does not depend on where they differ.
    pub fn matches(&self, sha256: &[u8]) -> bool {
        self.sha256()[..].ct_eq(sha256).into()
    }
}

/// Never shows the secret.
impl fmt::Debug for KeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyToken").field(&self.id.to_string()).finish()
    }
}

/// A key as it is stored, without its hash.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// What it is for, in a person's words.
    pub name: String,
    /// Whose jobs it reaches. Several keys may share an owner.
    pub owner: String,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// The limits that are its own.
    pub limits: LimitOverrides,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is worth nothing.
    pub expires_at: Option<DateTime<Utc>>,
    /// When somebody withdrew it.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What is asked of a new key.
#[derive(Debug, Clone)]
pub struct KeyDraft {
    /// What it is for.
    pub name: String,
    /// Whose jobs it reaches; absent: the key's own id, which is nobody else's.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// The limits that are its own.
    pub limits: LimitOverrides,
    /// How long it lives; absent: until it is revoked.
    pub lifetime: Option<Duration>,
}

/// A key that may be made: a [`KeyDraft`] without mistakes.
#[derive(Debug, Clone)]
pub struct NewKey(pub(crate) KeyDraft);

/// What is wrong with a [`KeyDraft`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyDraftError {
    /// Its name.
    #[error("a key's name must be 1 to {MAX_NAME_CHARS} characters, none of them a control character")]
    Name,
    /// Its owner.
    #[error("an owner must be 1 to {MAX_NAME_CHARS} letters, digits and . _ : @ / -")]
    Owner,
    /// Its scopes.
    #[error("a key needs at least one scope")]
    Scopes,
    /// Its lifetime.
    #[error("a key must live for at least a second and at most ten years")]
    Lifetime,
}

impl TryFrom<KeyDraft> for NewKey {
    type Error = Vec<KeyDraftError>;

    /// Reports all mistakes at once.
    fn try_from(mut draft: KeyDraft) -> Result<Self, Self::Error> {
        draft.scopes.sort_unstable();
        draft.scopes.dedup();
        let is_short = |text: &str| (1..=MAX_NAME_CHARS).contains(&text.chars().count());
        let is_of_owner = |c: char| c.is_ascii_alphanumeric() || "._:@/-".contains(c);
        let is_name = is_short(&draft.name) && !draft.name.contains(char::is_control) && !draft.name.trim().is_empty();
        let is_owner = draft.owner.as_deref().is_none_or(|owner| is_short(owner) && owner.chars().all(is_of_owner));
        let is_lifetime = |lifetime| (Duration::from_secs(1)..=MAX_LIFETIME).contains(&lifetime);
        let rules = [
            (is_name, KeyDraftError::Name),
            (is_owner, KeyDraftError::Owner),
            (!draft.scopes.is_empty(), KeyDraftError::Scopes),
            (draft.lifetime.is_none_or(is_lifetime), KeyDraftError::Lifetime),
        ];
        let errors: Vec<_> = rules.into_iter().filter(|(holds, _)| !holds).map(|(_, error)| error).collect();
        if errors.is_empty() { Ok(Self(draft)) } else { Err(errors) }
    }
}

/// What a key is worth.
#[derive(Debug, Clone, PartialEq)]
pub enum Authentication {
    /// It is good for what it says.
    Valid(Box<ApiKey>),
    /// It was good until then.
    Expired(DateTime<Utc>),
    /// It was withdrawn then.
    Revoked(DateTime<Utc>),
    /// There is no such key.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_as_it_was_written_and_in_no_other_way() {
        let token = KeyToken::new(KeyId::new());
        let text = token.expose();
        assert_eq!((text.len(), text.rsplit_once('_').is_some()), (3 + 36 + 1 + 43, true));
        let read = KeyToken::parse(&text).expect("a token");
        assert_eq!((read.id, read.secret), (token.id, token.secret));
        let upper = text.replacen(&token.id.to_string(), &token.id.to_string().to_uppercase(), 1);
        let simple = text.replacen(&token.id.to_string(), &token.id.as_uuid().simple().to_string(), 1);
        for other in
            [&text[1..], &text[..text.len() - 1], &format!("{text}A"), &format!("{text}="), &upper, &simple, ""]
        {
            assert!(KeyToken::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn only_its_own_hash_matches_and_no_two_are_alike() {
        let (one, other) = (KeyToken::new(KeyId::new()), KeyToken::new(KeyId::new()));
        assert!(one.matches(&one.sha256()) && !one.matches(&other.sha256()));
        assert!(!one.matches(&one.sha256()[..31]) && !one.matches(&[]));
        assert_ne!(one.sha256(), one.secret, "what is stored is not the secret");
    }

    #[test]
    fn the_secret_is_not_shown() {
        let token = KeyToken::new(KeyId::new());
        let secret = URL_SAFE_NO_PAD.encode(token.secret);
        assert!(!format!("{token:?}").contains(&secret) && token.expose().contains(&secret));
    }

    #[test]
    fn all_mistakes_of_a_draft_are_reported() {
        let draft = |name: &str, owner: Option<&str>| KeyDraft {
            name: name.to_owned(),
            owner: owner.map(str::to_owned),
            scopes: vec![KeyScope::Admin, KeyScope::JobsRead, KeyScope::Admin],
            limits: LimitOverrides::default(),
            lifetime: None,
        };
        let key = NewKey::try_from(draft("my laptop – ü", Some("team-a/ci@example.org"))).expect("a key");
        assert_eq!(key.0.scopes, [KeyScope::JobsRead, KeyScope::Admin]);
        let all_wrong =
            KeyDraft { scopes: vec![], lifetime: Some(Duration::ZERO), ..draft("a\u{1b}[2J", Some("two words")) };
        let errors = NewKey::try_from(all_wrong).expect_err("wrong");
        assert_eq!(errors, [KeyDraftError::Name, KeyDraftError::Owner, KeyDraftError::Scopes, KeyDraftError::Lifetime]);
        for (name, owner) in [("", None), (" ", None), ("x", Some("")), ("x", Some(&*"o".repeat(101)))] {
            assert!(NewKey::try_from(draft(name, owner)).is_err(), "{name:?} {owner:?}");
        }
    }
}
