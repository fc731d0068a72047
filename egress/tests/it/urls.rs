//! Every line of the fixture: what a user may give as a repository's address, and what must be refused.

use domain::{RepoUrl, WebhookUrl};
use egress::{Egress, EgressPolicy};

/// Columns: verdict, class, text with Rust's escapes for what a line cannot hold.
const FIXTURE: &str = include_str!("../fixtures/urls.tsv");

#[tokio::test]
async fn decides_every_line_of_the_fixture() {
    let egress = Egress::new(EgressPolicy::default()).expect("set up");
    let mut wrong = Vec::new();
    let mut lines = 0;
    for line in FIXTURE.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.splitn(3, '\t');
        let (Some(verdict), Some(class), Some(text)) = (columns.next(), columns.next(), columns.next()) else {
            panic!("three columns: {line}");
        };
        let is_accepted = RepoUrl::parse(&unescape(text)).is_ok_and(|url| egress.check(url.as_url()).is_ok());
        let expected = match verdict {
            // Only the answer of the name server can tell; the guard at connect time does.
            "accept" | "resolver" => true,
            "refuse" => false,
            _ => panic!("unknown verdict: {line}"),
        };
        if is_accepted != expected {
            wrong.push(format!("{class}: {text:?} should be: {verdict}"));
        }
        lines += 1;
    }
    assert!(lines >= 120, "only {lines} lines");
    assert_eq!(wrong, Vec::<String>::new());
}

/// A webhook may have a query and no path, and what the parser makes of odd paths is sent to the same host. All else that
/// is refused for repositories is refused for webhooks.
#[tokio::test]
async fn refuses_for_webhooks_what_it_refuses_for_repositories() {
    let egress = Egress::new(EgressPolicy::default()).expect("set up");
    let mut wrongly_accepted = Vec::new();
    let mut refused = 0;
    for line in FIXTURE.lines().filter(|line| line.starts_with("refuse")) {
        let mut columns = line.splitn(3, '\t').skip(1);
        let (Some(class), Some(text)) = (columns.next(), columns.next()) else { panic!("three columns: {line}") };
        let text = unescape(text);
        match WebhookUrl::parse(&text).ok().filter(|url| egress.check(url.as_url()).is_ok()) {
            None => refused += 1,
            Some(url) if url.as_url().host_str() == Some("github.com") => {}
            Some(url) => wrongly_accepted.push(format!("{class}: {text:?} as {url:?}")),
        }
    }
    assert_eq!(wrongly_accepted, Vec::<String>::new());
    assert!(refused >= 125, "only {refused} lines");
}

fn unescape(text: &str) -> String {
    let escapes = [("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\0", "\0"), ("\\s", " "), ("\\\\", "\\")];
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((escape, meaning)) = escapes.iter().find(|(escape, _)| rest.starts_with(escape)) {
            plain.push_str(meaning);
            rest = &rest[escape.len()..];
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    plain
}
