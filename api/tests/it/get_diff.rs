//! `GET /jobs/{id}/diff`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use domain::{Failure, FailureCode, Outcome};
use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server};
use crate::work;

#[tokio::test]
async fn the_diff_comes_as_the_bytes_it_is() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let path = format!("/jobs/{}/diff", job.id);
    let early = server.get(&path).await;
    assert_eq!((early.status, early.header("retry-after")), (202, Some("2")));
    assert_eq!(early.json()["status"], "running");

    let diff = b"diff --git a/x b/x\r\n-caf\xe9\n+\xff\n\\ No newline at end of file\n";
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, diff)).await.expect("succeed");
    let answer = server.get(&path).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/x-diff")));
    assert_eq!(answer.header("content-disposition"), Some(&*format!("inline; filename=\"{}.diff\"", job.id)));
    assert_eq!(answer.body, diff);
}

#[tokio::test]
async fn a_waiting_job_has_no_diff_yet() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    let answer = server.get(&format!("/jobs/{id}/diff")).await;
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("queued")));
}

#[tokio::test]
async fn no_change_needed_is_an_empty_diff() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::NoChangeNeeded, b"")).await.expect("succeed");
    let answer = server.get(&format!("/jobs/{}/diff", job.id)).await;
    assert_eq!((answer.status, answer.header("content-type"), answer.body.len()), (200, Some("text/x-diff"), 0));
    let result = server.get(&format!("/jobs/{}", job.id)).await.json()["result"].take();
    assert_eq!((&result["outcome"], &result["diff"]), (&json!("no_change_needed"), &json!("")));
}

#[tokio::test]
async fn a_job_that_ended_without_a_diff_never_has_one() {
    let server = Server::start().await;
    let failed = work::running(&server.jobs).await;
    let failure = Failure::new(FailureCode::RepoEmpty, "the repository has no commit");
    server.jobs.fail(&failed.lease, &failure).await.expect("fail");
    let canceled = work::submit(&server.jobs).await;
    server.jobs.cancel(canceled).await.expect("cancel");
    let why = "the job failed without a diff: repo_empty: the repository has no commit";
    for (id, why) in [(failed.id, why), (canceled, "the job canceled without a diff")] {
        let answer = server.get(&format!("/jobs/{id}/diff")).await;
        let problem = answer.problem();
        assert_eq!((answer.status, problem["code"].as_str()), (409, Some("no_diff")), "{why}");
        assert_eq!(problem["detail"], why);
        assert_eq!(problem["instance"], format!("/jobs/{id}/diff"));
    }
}

#[tokio::test]
async fn a_client_that_has_the_diff_gets_304() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"diff")).await.expect("succeed");
    let path = format!("/jobs/{}/diff", job.id);
    let etag = server.get(&path).await.header("etag").expect("a tag").to_owned();
    assert_eq!(etag, format!("\"{}\"", "d".repeat(64)));
    let known = Answer::of(server.request(Method::GET, &path).header("if-none-match", &etag)).await;
    assert_eq!((known.status, known.header("etag"), known.body.len()), (304, Some(&*etag), 0));
    let other = Answer::of(server.request(Method::GET, &path).header("if-none-match", "\"x\"")).await;
    assert_eq!((other.status, &*other.body), (200, &b"diff"[..]));
}

/// What a client does with it: `curl …/diff | git apply`.
#[tokio::test]
async fn git_applies_what_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let git = |args: &[&str]| git(folder.path(), args, b"");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
    git(&["init", "--quiet"]);
    write("picture.bin", &[0, 1, 2, 255, 0, 10, 13].repeat(50));
    write("no newline.txt", b"first\nlast without newline");
    write("caf\u{e9}.txt", b"caf\xe9\r\n");
    git(&["add", "."]);
    git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "base"]);
    write("picture.bin", &[255, 0, 7].repeat(90));
    write("no newline.txt", b"first\nchanged, still without newline");
    write("caf\u{e9}.txt", b"th\xe9\r\n");
    write("new.sh", b"#!/bin/sh\n");
    git(&["add", "."]);
    let diff = git(&["diff", "--cached", "--binary", "--full-index"]);
    let tree = git(&["write-tree"]);
    git(&["reset", "--quiet", "--hard"]);

    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, &diff)).await.expect("succeed");
    let applied = server.get(&format!("/jobs/{}/diff", job.id)).await.body;
    self::git(folder.path(), &["apply", "--index"], &applied);
    assert_eq!(git(&["write-tree"]), tree);
}

/// Runs git and gives what it prints.
fn git(folder: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("git runs");
    child.stdin.take().expect("piped").write_all(input).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "git {args:?}");
    output.stdout
}
