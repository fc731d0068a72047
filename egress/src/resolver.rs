//! Name lookup at the moment a connection is opened: what it returns is what is dialled.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::Reach;
use crate::{Block, EgressPolicy};

/// Bound on the answers of one lookup.
const MAX_ANSWERS: usize = 64;

/// Where the operating system keeps names that need no server.
const HOSTS_FILE: &str = "/etc/hosts";

/// Asks for the addresses of a name.
pub(crate) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// A resolver that refuses a name as soon as one of its addresses is not permitted.
///
/// One bad answer refuses all: a name that has a public and a private address is an attack, not a configuration.
pub(crate) struct Guard {
    pub(crate) policy: Arc<EgressPolicy>,
    pub(crate) reach: Reach,
    pub(crate) lookup: Lookup,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let lookup = Arc::clone(&self.lookup);
        let reach = self.reach;
        let name = name.as_str().trim_end_matches('.').to_owned();
        Box::pin(async move {
            let answers = lookup(written_for_lookup(name, reach).await).await?;
            if answers.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            if answers.len() > MAX_ANSWERS || !answers.iter().all(|address| policy.permits(*address, reach)) {
                return Err(Block::Host.into());
            }
            let addresses: Addrs = Box::new(answers.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// The lookup of the operating system.
pub(crate) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let answers = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(answers.map(|address| address.ip()).take(MAX_ANSWERS + 1).collect())
        })
    })
}

/// Makes a public name absolute, so that no search domain is tried with it.
///
/// Names in the hosts file are found only as they are written there. Names that may reach allowed networks only keep
/// their search domains: what they resolve to is held to those networks anyway.
async fn written_for_lookup(name: String, reach: Reach) -> String {
    if reach == Reach::AllowedNetworks || is_in_hosts_file(Path::new(HOSTS_FILE), &name).await {
        return name;
    }
    name + "."
}

async fn is_in_hosts_file(file: &Path, name: &str) -> bool {
    let Ok(text) = tokio::fs::read_to_string(file).await else { return false };
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .any(|line| line.split_whitespace().skip(1).any(|listed| listed.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn guard(policy: EgressPolicy, reach: Reach, answers: &[&str]) -> (Guard, Arc<Mutex<Vec<String>>>) {
        let answers: Vec<IpAddr> = answers.iter().map(|text| text.parse().expect("address")).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let lookup: Lookup = Arc::new({
            let asked = Arc::clone(&asked);
            move |name| {
                asked.lock().expect("not poisoned").push(name);
                let answers = answers.clone();
                Box::pin(async move { Ok(answers) })
            }
        });
        (Guard { policy: Arc::new(policy), reach, lookup }, asked)
    }

    async fn resolve(guard: &Guard, name: &str) -> Result<Vec<IpAddr>, Option<Block>> {
        match guard.resolve(name.parse().expect("name")).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            Err(error) => Err(error.downcast_ref::<Block>().copied()),
        }
    }

    #[tokio::test]
    async fn hands_out_exactly_the_checked_addresses() {
        let (guard, asked) = guard(EgressPolicy::default(), Reach::Public, &["140.82.121.4", "2606:4700::1111"]);
        let addresses = resolve(&guard, "github.com").await.expect("permitted");
        assert_eq!(addresses, ["140.82.121.4".parse::<IpAddr>().unwrap(), "2606:4700::1111".parse().unwrap()]);
        assert_eq!(*asked.lock().unwrap(), ["github.com."], "the name is made absolute");
    }

    #[tokio::test]
    async fn one_private_answer_refuses_the_name() {
        for answers in [
            &["127.0.0.1"][..],
            &["8.8.8.8", "127.0.0.1"],
            &["127.0.0.1", "8.8.8.8"],
            &["8.8.8.8", "::1"],
            &["2606:4700::1111", "10.0.0.1"],
            &["8.8.8.8", "169.254.169.254"],
            &["::ffff:8.8.8.8"],
        ] {
            let (guard, _) = guard(EgressPolicy::default(), Reach::Public, answers);
            assert_eq!(resolve(&guard, "rebind.example.org").await, Err(Some(Block::Host)), "{answers:?}");
        }
    }

    #[tokio::test]
    async fn no_answer_is_not_a_permission() {
        let (guard, _) = guard(EgressPolicy::default(), Reach::Public, &[]);
        assert_eq!(resolve(&guard, "empty.example.org").await, Err(None));
    }

    #[tokio::test]
    async fn a_flood_of_answers_is_refused() {
        let flood = vec!["8.8.8.8"; MAX_ANSWERS + 1];
        let (guard, _) = guard(EgressPolicy::default(), Reach::Public, &flood);
        assert_eq!(resolve(&guard, "many.example.org").await, Err(Some(Block::Host)));
    }

    #[tokio::test]
    async fn an_internal_name_reaches_allowed_networks_only() {
        let policy = || EgressPolicy {
            allow_networks: vec!["172.16.0.0/12".parse().expect("network")],
            ..EgressPolicy::default()
        };
        let (inside, asked) = guard(policy(), Reach::AllowedNetworks, &["172.18.0.5"]);
        assert!(resolve(&inside, "gitea").await.is_ok());
        assert_eq!(*asked.lock().unwrap(), ["gitea"], "search domains stay in use");
        let (outside, _) = guard(policy(), Reach::AllowedNetworks, &["8.8.8.8"]);
        assert_eq!(resolve(&outside, "gitea").await, Err(Some(Block::Host)));
    }

    #[tokio::test]
    async fn finds_names_in_a_hosts_file() {
        let file = std::env::temp_dir().join(format!("egress-hosts-{}", std::process::id()));
        std::fs::write(&file, "127.0.0.1 localhost\n10.1.2.3\tgit.example.org git # old.example.org\n").unwrap();
        assert!(is_in_hosts_file(&file, "GIT.example.org").await);
        assert!(is_in_hosts_file(&file, "git").await);
        assert!(!is_in_hosts_file(&file, "old.example.org").await);
        assert!(!is_in_hosts_file(&file, "10.1.2.3").await);
        std::fs::remove_file(&file).unwrap();
    }
}
