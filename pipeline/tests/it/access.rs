//! Who may read what, and which hosts are talked to at all.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::FailureCode;
use egress::{Block, Egress, EgressPolicy};
use pipeline::repo::{FetchError, FetchLimits, Fetcher, HostTokens};
use standin::git::{Behaviour, Fault, GitServer};
use tokio::net::TcpListener;

use crate::lab::{Lab, library, open_egress, url};

#[tokio::test]
async fn a_private_repository_needs_the_token_of_its_host() {
    let lab = Lab::with_token("right-token").await;
    let built = lab.add("library", &library());
    lab.server.behave(|behaviour| behaviour.token = Some("right-token".to_owned()));
    let snapshot = lab.fetch("library", None).await.expect("fetched");
    assert_eq!(snapshot.commit().as_str(), built.commits[1]);

    lab.server.behave(|behaviour| behaviour.token = Some("other-token".to_owned()));
    let refused = lab.failure("library", None).await;
    assert!(matches!(refused, FetchError::TokenRefused));
    assert_eq!(refused.code(), FailureCode::RepoAuthRequired);
    assert!(!format!("{refused:?} {refused}").contains("right-token"));

    let without = Fetcher::new(open_egress(), FetchLimits::default(), HostTokens::new());
    let error = without.fetch(&url(&lab.server.url("library")), None, None).await.err().expect("refused");
    assert!(matches!(error, FetchError::AuthRequired));
    assert_eq!(error.code(), FailureCode::RepoAuthRequired);
    assert!(error.to_string().contains("does not exist"), "hosts hide private repositories behind 401: {error}");
}

#[tokio::test]
async fn a_token_stays_with_its_host_when_the_host_redirects() {
    let lab = Lab::with_token("right-token").await;
    let elsewhere = GitServer::start().await.expect("a port");
    elsewhere.add("library", &library()).expect("a repository");
    let location = format!("{}{{path}}", elsewhere.origin());
    lab.server.behave(|behaviour| behaviour.advertisement = Some(Fault::Redirect { status: 302, location }));
    lab.fetch("library", None).await.expect("the other host serves it to anybody");
    assert!(lab.server.ledger().iter().all(|exchange| exchange.authorization.is_some()));
    assert_eq!(elsewhere.ledger().len(), 3);
    assert!(elsewhere.ledger().iter().all(|exchange| exchange.authorization.is_none()));
}

#[tokio::test]
async fn statuses_become_reasons() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let cases = [
        (401, FailureCode::RepoAuthRequired),
        (403, FailureCode::RepoAuthRequired),
        (404, FailureCode::RepoNotFound),
        (410, FailureCode::RepoNotFound),
        (400, FailureCode::RepoUnreachable),
        (429, FailureCode::RepoUnreachable),
        (500, FailureCode::RepoUnreachable),
        (503, FailureCode::RepoUnreachable),
    ];
    for (status, code) in cases {
        let fail_at: [fn(&mut Behaviour, Fault); 3] = [
            |behaviour, fault| behaviour.advertisement = Some(fault),
            |behaviour, fault| behaviour.ls_refs = Some(fault),
            |behaviour, fault| behaviour.fetch = Some(fault),
        ];
        for set in fail_at {
            lab.server.behave(|behaviour| {
                *behaviour = Behaviour::default();
                set(behaviour, Fault::Status(status));
            });
            let error = lab.failure("library", None).await;
            assert_eq!(error.code(), code, "{status}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("banner"), "{error:?}");
        }
    }
    lab.server.behave(|behaviour| *behaviour = Behaviour::default());
    assert!(matches!(lab.failure("no-such-repository", None).await, FetchError::NotFound));
}

#[tokio::test]
async fn a_strict_policy_opens_no_connection_to_loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let policies = [
        EgressPolicy::default(),
        EgressPolicy { allow_plain_http: true, allow_ports: vec![port], ..EgressPolicy::default() },
        EgressPolicy {
            allow_plain_http: true,
            allow_networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..EgressPolicy::default()
        },
    ];
    for policy in policies {
        let fetcher = Fetcher::new(Egress::new(policy).expect("set up"), FetchLimits::default(), HostTokens::new());
        for host in ["127.0.0.1", "2130706433", "127.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"] {
            for scheme in ["http", "https"] {
                let address = url(&format!("{scheme}://{host}:{port}/a/b"));
                let error = fetcher.fetch(&address, None, None).await.err().expect("refused");
                assert!(matches!(error, FetchError::Blocked(_)), "{address}: {error:?}");
                assert_eq!(error.code(), FailureCode::BlockedAddress);
            }
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_the_text_names_no_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let fetcher = Fetcher::new(open_egress(), FetchLimits::default(), HostTokens::new());
    let error = fetcher.fetch(&url(&format!("http://127.0.0.1:{port}/a")), None, None).await.err().expect("closed");
    assert_eq!(error.code(), FailureCode::RepoUnreachable);
    let text = error.to_string();
    assert!(!text.contains("127") && !text.contains(&port.to_string()), "{text}");
}

#[tokio::test]
async fn what_is_no_smart_git_server_is_unsupported() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let page =
        |content_type: &str, bytes: &[u8]| Fault::Body { content_type: content_type.to_owned(), bytes: bytes.to_vec() };
    let smart = "application/x-git-upload-pack-advertisement";
    let dumb = b"8f0e0e5e0e5e0e5e0e5e0e5e0e5e0e5e0e5e0e5e\trefs/heads/main\n";
    for fault in [
        page("text/html", b"<html>sign in</html>"),
        page("text/plain", dumb),
        page(smart, b"<html>sign in</html>"),
        page(smart, b"0003"),
        page(smart, b"fff5x"),
        page(smart, b"000eversion 2\n0000"),
        page(smart, b"000eversion 2\n000afetch\n0019object-format=sha256\n0000"),
        page(smart, b"001e# service=git-upload-pack\n0001"),
        page(smart, b"0014ERR go away now\n0000"),
    ] {
        lab.server.behave(|behaviour| behaviour.advertisement = Some(fault.clone()));
        let error = lab.failure("library", None).await;
        assert_eq!(error.code(), FailureCode::RepoUnsupported, "{fault:?}: {error:?}");
    }
}

#[tokio::test]
async fn sha256_repositories_are_unsupported() {
    let lab = Lab::start().await;
    let folder = lab.server.new_folder("sha256");
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare", "--object-format=sha256"])
        .arg(&folder)
        .status()
        .expect("git runs");
    assert!(made.success());
    lab.server.serve("sha256", folder);
    for only_v0 in [false, true] {
        lab.server.behave(|behaviour| behaviour.only_v0 = only_v0);
        let error = lab.failure("sha256", None).await;
        assert!(matches!(error, FetchError::Unsupported(reason) if reason.contains("SHA-1")), "{error:?}");
    }
}

#[tokio::test]
async fn plain_http_is_refused_by_default() {
    let lab = Lab::start().await;
    let policy = EgressPolicy { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], ..EgressPolicy::default() };
    let fetcher = Fetcher::new(Egress::new(policy).expect("set up"), FetchLimits::default(), HostTokens::new());
    let error = fetcher.fetch(&url(&lab.server.url("library")), None, None).await.err().expect("refused");
    assert!(matches!(error, FetchError::Blocked(Block::Scheme)));
    assert_eq!(lab.server.ledger(), []);
}
