//! `tinygen health`: asks the API or the worker whether it is ready. The image holds no other program that a health check could use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use egress::{Egress, EgressPolicy, Purpose};
use reqwest::{Method, Request, Url};
use tokio::time::timeout;

use crate::cli::Role;
use crate::config::Config;

/// Who is asked gives its store 2 s.
const PATIENCE: Duration = Duration::from_secs(4);

/// Prints where it answers when it is ready.
///
/// # Errors
/// When it is not, with what it said.
pub(crate) async fn health(config: &Config, role: Role) -> anyhow::Result<()> {
    let listen = match role {
        Role::Api => config.listen,
        Role::Worker => config.worker_listen.context("TINYGEN_WORKER_LISTEN is not set: the worker answers nowhere")?,
    };
    let address = address(listen);
    let url: Url = format!("http://{address}/readyz").parse()?;
    // Nothing but that address can be reached, and not by way of a proxy.
    let policy =
        EgressPolicy { allow_networks: vec![address.ip().into()], allow_plain_http: true, ..EgressPolicy::default() };
    let request = Request::new(Method::GET, url.clone());
    let answer = timeout(PATIENCE, Egress::new(policy)?.send(request, Purpose::Webhook))
        .await
        .with_context(|| format!("no answer from {url} within {} s", PATIENCE.as_secs()))?
        .with_context(|| format!("no answer from {url}"))?;
    if !answer.status().is_success() {
        bail!("{url} answers {}: {}", answer.status(), answer.text().await.unwrap_or_default());
    }
    println!("http://{address} is ready");
    Ok(())
}

/// Where to ask a server that listens there: "all addresses" is not one to connect to.
fn address(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_asked_on_loopback() {
        let asked = |listen: &str| address(listen.parse().expect("an address")).to_string();
        assert_eq!(asked("0.0.0.0:8000"), "127.0.0.1:8000");
        assert_eq!(asked("[::]:8000"), "[::1]:8000");
        assert_eq!(asked("10.0.0.7:80"), "10.0.0.7:80");
    }
}
