//! Redirects: few, on the first request only, and each one judged.

use pipeline::repo::FetchError;
use standin::git::{Behaviour, Fault, GitServer, Stage};

use crate::lab::{Lab, library};

fn redirect(status: u16, location: &str) -> Fault {
    Fault::Redirect { status, location: location.to_owned() }
}

#[tokio::test]
async fn a_renamed_repository_is_followed_to_its_new_address() {
    for status in [301, 302, 303, 307, 308] {
        let lab = Lab::start().await;
        let new_home = GitServer::start().await.expect("a port");
        let built = new_home.add("new/name", &library()).expect("a repository");
        let location = format!("{}/info/refs?service=git-upload-pack", new_home.url("new/name"));
        lab.server.behave(|behaviour| behaviour.advertisement = Some(redirect(status, &location)));
        let snapshot = lab.fetch("old/name", None).await.expect("fetched");
        assert_eq!(snapshot.commit().as_str(), built.commits[1]);
        let asked: Vec<_> = new_home.ledger().into_iter().map(|exchange| exchange.stage.expect("a fetch")).collect();
        assert_eq!(asked, [Stage::Advertisement, Stage::LsRefs, Stage::Fetch], "what follows goes to the new address");
        assert_eq!(lab.server.ledger().len(), 1);
    }
}

#[tokio::test]
async fn three_hops_are_followed_and_four_are_not() {
    let hosts = [(); 4].map(|()| GitServer::start());
    let hosts = futures::future::try_join_all(hosts).await.expect("ports");
    let lab = Lab::start().await;
    for (from, to) in hosts.iter().zip(&hosts[1..]) {
        let location = format!("{}{{path}}", to.origin());
        from.behave(|behaviour| behaviour.advertisement = Some(redirect(302, &location)));
    }
    hosts[3].add("library", &library()).expect("a repository");
    let fetch = async |host: &GitServer| lab.fetcher.fetch(&crate::lab::url(&host.url("library")), None, None).await;
    assert!(fetch(&hosts[0]).await.is_ok());
    let location = format!("{}{{path}}", hosts[0].origin());
    lab.server.behave(|behaviour| behaviour.advertisement = Some(redirect(302, &location)));
    let asked_before = hosts[3].ledger().len();
    assert!(matches!(fetch(&lab.server).await, Err(FetchError::Unsupported(_))));
    let asked: Vec<_> = hosts[3].ledger().split_off(asked_before);
    assert_eq!(asked.len(), 0, "the fifth host is never asked");
}

#[tokio::test]
async fn a_loop_ends() {
    let lab = Lab::start().await;
    lab.server.behave(|behaviour| behaviour.advertisement = Some(redirect(302, "{path}")));
    assert!(matches!(lab.failure("library", None).await, FetchError::Unsupported(_)));
    assert_eq!(lab.server.ledger().len(), 4);
}

#[tokio::test]
async fn every_hop_is_judged() {
    let lab = Lab::start().await;
    let suffix = "x.git/info/refs?service=git-upload-pack";
    for target in [
        "http://169.254.169.254/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2886729729/",
        "http://8.8.8.8:6379/",
        "http://0/",
        "http://user:password@127.0.0.1/",
        "file:///etc/",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:6379/",
    ] {
        let location = format!("{target}{suffix}");
        lab.server.behave(|behaviour| behaviour.advertisement = Some(redirect(301, &location)));
        let error = lab.failure("library", None).await;
        assert!(matches!(error, FetchError::Blocked(_)), "{location}: {error:?}");
    }
}

#[tokio::test]
async fn a_redirect_to_something_else_is_refused() {
    let lab = Lab::start().await;
    for location in ["", "/login", "/x.git/info/refs", "/x.git/info/refs?service=git-receive-pack", "http://"] {
        lab.server.behave(|behaviour| behaviour.advertisement = Some(redirect(302, location)));
        let error = lab.failure("library", None).await;
        assert!(matches!(error, FetchError::Unsupported(_)), "{location}: {error:?}");
    }
}

#[tokio::test]
async fn only_the_first_request_may_be_redirected() {
    let lab = Lab::start().await;
    lab.add("library", &library());
    let elsewhere = GitServer::start().await.expect("a port");
    elsewhere.add("library", &library()).expect("a repository");
    let location = format!("{}{{path}}", elsewhere.origin());
    for status in [301, 307, 308] {
        lab.server.behave(|behaviour| {
            *behaviour = Behaviour { ls_refs: Some(redirect(status, &location)), ..Behaviour::default() };
        });
        assert!(matches!(lab.failure("library", None).await, FetchError::Unsupported(_)));
        lab.server.behave(|behaviour| {
            *behaviour = Behaviour { fetch: Some(redirect(status, &location)), ..Behaviour::default() };
        });
        assert!(matches!(lab.failure("library", None).await, FetchError::Unsupported(_)));
    }
    assert_eq!(elsewhere.ledger(), []);
}
