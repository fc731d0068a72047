//! The one way out.

use std::time::Duration;

use ipnet::IpNet;

/// What may be reached.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// Networks that are allowed although they are private.
    pub allow_networks: Vec<IpNet>,
    /// Whether `http:` is allowed.
    pub allow_plain_http: bool,
    /// Ports allowed besides the usual ones.
    pub allow_ports: Vec<u16>,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A Git server.
    Git,
    /// The model service.
    Model,
    /// A webhook's receiver.
    Webhook,
}

/// The guarded HTTP client.
#[derive(Debug, Clone)]
pub struct Egress {
    client: reqwest::Client,
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The policy forbids it.
    #[error("the address is not allowed: {0}")]
    Blocked(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or it broke.
    #[error("cannot be reached")]
    Unreachable(#[source] reqwest::Error),
}

impl Egress {
    /// Builds the client.
    pub fn new(_policy: EgressPolicy) -> Result<Self, EgressError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(300))
            .build()
            .map_err(EgressError::Unreachable)?;
        Ok(Self { client })
    }

    /// Sends a request.
    pub async fn send(&self, request: reqwest::Request, _purpose: Purpose) -> Result<reqwest::Response, EgressError> {
        self.client
            .execute(request)
            .await
            .map_err(|error| if error.is_timeout() { EgressError::Timeout } else { EgressError::Unreachable(error) })
    }
}
