//! `GET /jobs`.

use domain::{JobSpec, Outcome, RepoUrl, StageKind};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::work;

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let jobs = answer.json()["data"].take();
    jobs.as_array().expect("a list").iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
}

async fn submit(server: &Server, url: &str, metadata: &[(&str, &str)]) -> String {
    let pairs = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let spec = JobSpec { metadata: pairs, ..JobSpec::new(RepoUrl::parse(url).expect("valid"), "x") };
    server.jobs.submit(spec).await.expect("submit").id.to_string()
}

#[tokio::test]
async fn an_empty_list_is_a_list() {
    let server = Server::start().await;
    let answer = server.get("/jobs").await;
    assert_eq!((answer.json(), answer.header("link")), (json!({"data": [], "nextCursor": null}), None));
    let head = Answer::of(server.request(Method::HEAD, "/jobs")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn a_listed_job_is_the_job_without_stages_and_diff() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    work::save_stage(&server.jobs, &job.lease, StageKind::Sheet.into(), json!({})).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"diff")).await.expect("succeed");
    let listed = server.get("/jobs").await.json()["data"][0].take();
    let mut shown = server.get(&format!("/jobs/{}", job.id)).await.json();
    shown.as_object_mut().expect("an object").remove("stages").expect("stages");
    shown["result"].as_object_mut().expect("an object").remove("diff").expect("a diff");
    assert_eq!(listed, shown);
}

#[tokio::test]
async fn the_link_leads_through_all_pages_whatever_comes_meanwhile() {
    let server = Server::start().await;
    let mut expected = Vec::new();
    for n in 0..5 {
        expected.insert(0, submit(&server, "https://github.com/a/b", &[("n", &n.to_string()), ("all", "a b&c")]).await);
    }
    let (mut path, mut seen) = ("/jobs?limit=2&metadata[all]=a%20b%26c".to_owned(), Vec::new());
    loop {
        let page = server.get(&path).await;
        seen.extend(ids(&page));
        submit(&server, "https://github.com/a/b", &[("all", "a b&c")]).await;
        let Some(link) = page.header("link") else {
            assert_eq!(page.json()["nextCursor"], Value::Null);
            break;
        };
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect(link);
        assert!(next.contains(page.json()["nextCursor"].as_str().expect("a cursor")));
        path = next.to_owned();
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let server = Server::start().await;
    let first = submit(&server, "https://github.com/a/b", &[("team", "blue")]).await;
    work::claim(&server.jobs).await;
    let second = submit(&server, "https://github.com/c/d", &[("team", "blue"), ("k[1]", "v")]).await;
    let created_at = server.get(&format!("/jobs/{second}")).await.json()["createdAt"].take();
    let created_at = created_at.as_str().expect("a time");
    let all = [second.as_str(), first.as_str()];
    for (query, expected) in [
        ("", &all[..]),
        ("status=running", &all[1..]),
        ("status=running&status=queued", &all[..]),
        ("status=failed", &[]),
        ("repoUrl=https%3A%2F%2Fgithub.com%2Fc%2Fd", &all[..1]),
        ("metadata[team]=blue", &all[..]),
        ("metadata%5Bteam%5D=blue&metadata[k[1]]=v", &all[..1]),
        ("metadata[team]=red", &[]),
        (&*format!("createdAfter={created_at}"), &all[..1]),
        ("createdAfter=2999-01-01T00:00:00%2B01:00", &[]),
        ("createdBefore=2999-01-01T00:00:00+01:00", &all[..]),
        ("limit=1", &all[..1]),
    ] {
        assert_eq!(ids(&server.get(&format!("/jobs?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn all_wrong_parameters_are_reported_at_once() {
    let server = Server::start().await;
    let query = "status=done&repoUrl=x&createdAfter=today&limit=0&limit=5&stat=running&metadata=x";
    let answer = server.get(&format!("/jobs?{query}")).await;
    let problem = answer.problem();
    assert_eq!((answer.status, problem["code"].as_str()), (400, Some("invalid_parameter")));
    let errors = problem["errors"].as_array().expect("a list");
    let parameters: Vec<_> = errors.iter().map(|error| error["parameter"].as_str().expect("a name")).collect();
    assert_eq!(parameters, ["status", "repoUrl", "createdAfter", "limit", "limit", "stat", "metadata"]);
    for limit in ["101", "-1", "", "x"] {
        assert_eq!(server.get(&format!("/jobs?limit={limit}")).await.status, 400, "{limit}");
    }
}

#[tokio::test]
async fn a_cursor_of_somebody_elses_making_is_refused() {
    let server = Server::start().await;
    for cursor in ["", "x", "%00", &"A".repeat(5_000)] {
        let answer = server.get(&format!("/jobs?cursor={cursor}")).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (400, Some("bad_cursor")), "{cursor}");
    }
}
