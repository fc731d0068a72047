//! The HTTP client that everything uses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response};
use url::Url;

use crate::policy::Reach;
use crate::resolver::{Guard, Lookup, system_lookup};
use crate::{EgressError, EgressPolicy};

/// Longest wait for a connection, name lookup and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const USER_AGENT: &str = concat!("tinygen/", env!("CARGO_PKG_VERSION"));

/// What a request is for. It decides how long a silence may last and how long connections are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading a repository.
    Git,
    /// Asking a language model, which may think for minutes before the next byte.
    Model,
    /// Telling a receiver; no connection is kept for the next one.
    Webhook,
}

/// The one way out. Clones share their connections.
#[derive(Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Arc<EgressPolicy>,
    git: Clients,
    model: Clients,
    webhook: Clients,
}

/// The clients of one purpose: one per reach, because a resolver sees names only and cannot tell them by their URLs.
struct Clients {
    public: Client,
    allowed_networks: Client,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

impl Purpose {
    /// Longest silence before the headers and between two pieces of a body.
    fn read_timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::Git => 30,
            Self::Model => 300,
            Self::Webhook => 15,
        })
    }

    fn idle_timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::Git => 30,
            Self::Model => 90,
            Self::Webhook => 0,
        })
    }

    fn max_idle_per_host(self) -> usize {
        match self {
            Self::Git => 4,
            Self::Model => 32,
            Self::Webhook => 0,
        }
    }
}

impl Egress {
    /// Sets up the clients.
    ///
    /// # Errors
    /// [`EgressError::Setup`] when TLS cannot be set up on this machine.
    pub fn new(policy: EgressPolicy) -> Result<Self, EgressError> {
        Self::with_lookup(policy, &system_lookup())
    }

    /// Judges a URL by its text: scheme, credentials, port, name, literal address. No name is looked up.
    ///
    /// # Errors
    /// [`EgressError::Blocked`] names the rule.
    pub fn check(&self, url: &Url) -> Result<(), EgressError> {
        self.inner.policy.judge(url).map(|_| ()).map_err(EgressError::Blocked)
    }

    /// Sends a request and returns the answer as it is: redirects are not followed, and every status is an answer.
    ///
    /// # Errors
    /// [`EgressError`]; `Blocked` also when the name resolves to an address that is not permitted.
    pub async fn send(&self, request: Request, purpose: Purpose) -> Result<Response, EgressError> {
        let reach = self.inner.policy.judge(request.url()).map_err(EgressError::Blocked)?;
        let clients = match purpose {
            Purpose::Git => &self.inner.git,
            Purpose::Model => &self.inner.model,
            Purpose::Webhook => &self.inner.webhook,
        };
        let client = match reach {
            Reach::Public => &clients.public,
            Reach::AllowedNetworks => &clients.allowed_networks,
        };
        Ok(client.execute(request).await?)
    }

    fn with_lookup(policy: EgressPolicy, lookup: &Lookup) -> Result<Self, EgressError> {
        let policy = Arc::new(policy);
        let clients = |purpose| -> Result<Clients, EgressError> {
            Ok(Clients {
                public: client(&policy, purpose, Reach::Public, lookup)?,
                allowed_networks: client(&policy, purpose, Reach::AllowedNetworks, lookup)?,
            })
        };
        let inner = Inner {
            git: clients(Purpose::Git)?,
            model: clients(Purpose::Model)?,
            webhook: clients(Purpose::Webhook)?,
            policy: Arc::clone(&policy),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

fn client(policy: &Arc<EgressPolicy>, purpose: Purpose, reach: Reach, lookup: &Lookup) -> Result<Client, EgressError> {
    let guard = Guard { policy: Arc::clone(policy), reach, lookup: Arc::clone(lookup) };
    Client::builder()
        .user_agent(USER_AGENT)
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .https_only(!policy.allow_plain_http)
        .dns_resolver(Arc::new(guard))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(purpose.read_timeout())
        .pool_idle_timeout(purpose.idle_timeout())
        .pool_max_idle_per_host(purpose.max_idle_per_host())
        // A pack is compressed already, and nothing a webhook's receiver says is read: only a bomb would gain.
        .gzip(purpose == Purpose::Model)
        .build()
        .map_err(EgressError::Setup)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use reqwest::Method;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::Block;

    /// A listener that counts its connections and answers each with `answer`.
    async fn trap(answer: &'static str) -> (u16, Arc<AtomicUsize>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("bound").port();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, count, task)
    }

    fn policy(allow: &[&str]) -> EgressPolicy {
        EgressPolicy {
            allow_networks: allow.iter().map(|network| network.parse().expect("network")).collect(),
            allow_plain_http: true,
            ..EgressPolicy::default()
        }
    }

    /// Answers with the next list each time, and with the last one for ever.
    fn answers(lists: &'static [&'static [&'static str]]) -> Lookup {
        let asked = AtomicUsize::new(0);
        Arc::new(move |_| {
            let list = lists[asked.fetch_add(1, Ordering::SeqCst).min(lists.len() - 1)];
            let list: Vec<IpAddr> = list.iter().map(|text| text.parse().expect("address")).collect();
            Box::pin(async move { Ok(list) })
        })
    }

    async fn get(egress: &Egress, url: &str) -> Result<u16, EgressError> {
        let request = Request::new(Method::GET, url.parse().expect(url));
        egress.send(request, Purpose::Webhook).await.map(|response| response.status().as_u16())
    }

    #[tokio::test]
    async fn an_allowed_network_is_reached_by_literal_and_by_name() {
        let (port, count, _task) = trap("HTTP/1.1 204 No Content\r\n\r\n").await;
        let egress = Egress::new(policy(&["127.0.0.0/8", "::1/128"])).expect("set up");
        assert_eq!(get(&egress, &format!("http://127.0.0.1:{port}/")).await.unwrap(), 204);
        assert_eq!(get(&egress, &format!("http://localhost:{port}/")).await.unwrap(), 204);
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn no_name_reaches_an_address_that_is_not_permitted() {
        let (port, count, _task) = trap("HTTP/1.1 204 No Content\r\n\r\n").await;
        let open = EgressPolicy { allow_ports: vec![port], ..policy(&[]) };
        let lists: [&'static [&'static [&'static str]]; 5] = [
            &[&["127.0.0.1"]],
            &[&["8.8.8.8", "127.0.0.1"]],
            &[&["::1"]],
            &[&["::ffff:127.0.0.1"]],
            &[&["169.254.169.254", "127.0.0.1"]],
        ];
        for list in lists {
            let egress = Egress::with_lookup(open.clone(), &answers(list)).expect("set up");
            let error = get(&egress, &format!("http://evil.example.org:{port}/")).await.expect_err("blocked");
            assert!(matches!(error, EgressError::Blocked(Block::Host)), "{list:?}: {error:?}");
        }
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_name_that_changes_its_answer_is_judged_again() {
        let (port, count, _task) = trap("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        let egress = Egress::with_lookup(
            EgressPolicy { allow_ports: vec![port], ..policy(&["127.0.0.2/32"]) },
            &answers(&[&["127.0.0.2"], &["127.0.0.1"]]),
        )
        .expect("set up");
        let url = format!("http://rebind.example.org:{port}/");
        assert!(matches!(get(&egress, &url).await, Err(EgressError::Unreachable(_))), "nothing listens there");
        assert!(matches!(get(&egress, &url).await, Err(EgressError::Blocked(Block::Host))));
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn literals_are_judged_although_no_resolver_sees_them() {
        let (port, count, _task) = trap("HTTP/1.1 204 No Content\r\n\r\n").await;
        let egress = Egress::new(EgressPolicy { allow_ports: vec![port], ..policy(&[]) }).expect("set up");
        for host in ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "0", "[::]", "localhost"] {
            let error = get(&egress, &format!("http://{host}:{port}/")).await.expect_err(host);
            assert!(matches!(error, EgressError::Blocked(Block::Host)), "{host}: {error:?}");
        }
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn redirects_are_answers() {
        let (port, count, _task) =
            trap("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n").await;
        let egress = Egress::new(policy(&["127.0.0.0/8"])).expect("set up");
        assert_eq!(get(&egress, &format!("http://127.0.0.1:{port}/")).await.unwrap(), 302);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn texts_say_nothing_about_the_network() {
        let (port, _count, task) = trap("no http at all").await;
        let egress = Egress::new(policy(&["127.0.0.0/8"])).expect("set up");
        let banner = get(&egress, &format!("http://127.0.0.1:{port}/")).await.expect_err("no http");
        task.abort();
        let _ = task.await;
        let closed = get(&egress, &format!("http://127.0.0.1:{port}/")).await.expect_err("closed");
        assert_eq!(banner.to_string(), closed.to_string());
        for text in [closed.to_string(), EgressError::Blocked(Block::Host).to_string()] {
            assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
        }
    }
}
