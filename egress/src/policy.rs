//! What may be reached.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::host::{is_below, is_internal};
use crate::{Block, is_metadata_service, is_public};

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// What may be reached. The default is strict: https, port 443, public addresses.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// Networks that may be reached although they are not public, on every port and by internal names too. Metadata
    /// services stay out of reach.
    pub allow_networks: Vec<IpNet>,
    /// Networks that may not be reached although they are public or in [`Self::allow_networks`].
    pub deny_networks: Vec<IpNet>,
    /// Whether `http://` may be used beside `https://`.
    pub allow_plain_http: bool,
    /// Ports of public hosts that may be used beside the scheme's own.
    pub allow_ports: Vec<u16>,
    /// The only domains (with their subdomains) that may be named; every domain when empty.
    pub hosts: Vec<String>,
}

/// How far a URL may reach, as far as its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses and allowed networks.
    Public,
    /// Allowed networks only: the port or the name is not one of the public internet.
    AllowedNetworks,
}

impl EgressPolicy {
    /// Judges a URL by its text alone; a name's addresses are judged when a connection is opened.
    pub(crate) fn judge(&self, url: &Url) -> Result<Reach, Block> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_plain_http => {}
            _ => return Err(Block::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Block::Credentials);
        }
        let has_public_port = self.is_public_port(url);
        let address = match url.host().ok_or(Block::Host)? {
            Host::Domain(name) => return self.judge_name(name, has_public_port),
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        let reach = if self.is_in_allowed_network(address) { Reach::AllowedNetworks } else { Reach::Public };
        if !self.hosts.is_empty() && reach == Reach::Public {
            return Err(Block::Host);
        }
        if !self.permits(address, reach) {
            return Err(Block::Host);
        }
        if reach == Reach::Public && !has_public_port {
            return Err(Block::Port);
        }
        Ok(reach)
    }

    /// Whether a connection to `address` may be opened for a URL of that reach.
    pub(crate) fn permits(&self, address: IpAddr, reach: Reach) -> bool {
        if is_metadata_service(address) || self.deny_networks.iter().any(|network| network.contains(&address)) {
            return false;
        }
        self.is_in_allowed_network(address) || (reach == Reach::Public && is_public(address))
    }

    fn judge_name(&self, name: &str, has_public_port: bool) -> Result<Reach, Block> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.split('.').any(str::is_empty) {
            return Err(Block::Host);
        }
        if !self.hosts.is_empty() && !self.hosts.iter().any(|domain| is_below(name, domain)) {
            return Err(Block::Host);
        }
        let is_internal = is_internal(name);
        if has_public_port && !is_internal {
            return Ok(Reach::Public);
        }
        if self.allow_networks.is_empty() {
            return Err(if is_internal { Block::Host } else { Block::Port });
        }
        Ok(Reach::AllowedNetworks)
    }

    fn is_public_port(&self, url: &Url) -> bool {
        let own_port = if url.scheme() == "https" { HTTPS_PORT } else { HTTP_PORT };
        url.port_or_known_default().is_some_and(|port| port == own_port || self.allow_ports.contains(&port))
    }

    fn is_in_allowed_network(&self, address: IpAddr) -> bool {
        self.allow_networks.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(policy: &EgressPolicy, url: &str) -> Result<Reach, Block> {
        policy.judge(&Url::parse(url).expect(url))
    }

    fn loopback() -> EgressPolicy {
        EgressPolicy {
            allow_networks: vec!["127.0.0.0/8".parse().expect("network")],
            allow_plain_http: true,
            ..EgressPolicy::default()
        }
    }

    #[test]
    fn an_allowed_network_opens_its_literals_on_every_port() {
        assert_eq!(judge(&loopback(), "http://127.0.0.1:41234/x"), Ok(Reach::AllowedNetworks));
        assert_eq!(judge(&loopback(), "http://10.0.0.1/x"), Err(Block::Host));
        assert_eq!(judge(&loopback(), "http://8.8.8.8:8080/x"), Err(Block::Port));
        assert_eq!(judge(&loopback(), "http://[::ffff:127.0.0.1]/x"), Err(Block::Host));
    }

    #[test]
    fn internal_names_and_odd_ports_reach_allowed_networks_only() {
        assert_eq!(judge(&loopback(), "http://localhost:3000/x"), Ok(Reach::AllowedNetworks));
        assert_eq!(judge(&loopback(), "https://git.example.org:8443/x"), Ok(Reach::AllowedNetworks));
        assert_eq!(judge(&loopback(), "https://git.example.org/x"), Ok(Reach::Public));
        assert_eq!(judge(&EgressPolicy::default(), "https://localhost/x"), Err(Block::Host));
        assert_eq!(judge(&EgressPolicy::default(), "https://git.example.org:8443/x"), Err(Block::Port));
    }

    #[test]
    fn metadata_services_stay_closed_whatever_is_allowed() {
        let everything = EgressPolicy {
            allow_networks: vec!["0.0.0.0/0".parse().expect("network"), "::/0".parse().expect("network")],
            allow_plain_http: true,
            ..EgressPolicy::default()
        };
        for host in [
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "[::ffff:169.254.169.254]",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
        ] {
            assert_eq!(judge(&everything, &format!("http://{host}/latest")), Err(Block::Host), "{host}");
        }
        assert!(judge(&everything, "http://10.0.0.1/x").is_ok());
    }

    #[test]
    fn denied_networks_win() {
        let policy = EgressPolicy { deny_networks: vec!["127.0.0.9/32".parse().expect("network")], ..loopback() };
        assert_eq!(judge(&policy, "http://127.0.0.9:5432/x"), Err(Block::Host));
        assert!(judge(&policy, "http://127.0.0.8:5432/x").is_ok());
    }

    #[test]
    fn a_list_of_hosts_closes_the_others() {
        let policy = EgressPolicy { hosts: vec!["github.com".to_owned()], ..EgressPolicy::default() };
        assert!(judge(&policy, "https://github.com/a").is_ok());
        assert!(judge(&policy, "https://api.github.com./a").is_ok());
        assert_eq!(judge(&policy, "https://evil-github.com/a"), Err(Block::Host));
        assert_eq!(judge(&policy, "https://8.8.8.8/a"), Err(Block::Host));
    }

    #[test]
    fn plain_http_and_credentials_are_refused() {
        let strict = EgressPolicy::default();
        assert_eq!(judge(&strict, "http://github.com/a"), Err(Block::Scheme));
        assert_eq!(judge(&strict, "ftp://github.com/a"), Err(Block::Scheme));
        assert_eq!(judge(&strict, "https://user@github.com/a"), Err(Block::Credentials));
    }
}
