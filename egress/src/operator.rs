//! The client for addresses that the operator alone chooses.

use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;

use crate::EgressError;

/// A client for an address that no user's input can name, such as the collector of traces: it may be on any network,
/// so nothing guards it. It follows no redirect and uses no proxy of the environment, so that what it sends, keys among
/// it, goes to that address only. `timeout` is for a whole request, connection and answer included.
///
/// # Errors
/// [`EgressError::Setup`] when TLS cannot be set up on this machine.
pub fn operator_client(timeout: Duration) -> Result<Client, EgressError> {
    let client = Client::builder().no_proxy().redirect(Policy::none()).referer(false).timeout(timeout).build();
    client.map_err(EgressError::Setup)
}
