//! API keys, for whoever may manage them. A server that is open lets anybody make the first one.

pub(super) mod create_key;
pub(super) mod list_keys;
pub(super) mod revoke_key;
