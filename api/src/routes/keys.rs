//! API keys, for whoever may manage them. A server that is open lets anybody make the first one.

mod create_key;
mod list_keys;
mod revoke_key;

pub(super) use create_key::create_key;
pub(super) use list_keys::list_keys;
pub(super) use revoke_key::revoke_key;
