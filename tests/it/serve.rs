//! `tinygen serve` through its life: the seed's request, and every way to be stopped in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use standin::claude::{Reply, RequestView};

use crate::app::{World, apply, diligent};

#[tokio::test]
async fn a_job_is_accepted_done_and_served() {
    let world = World::new(diligent).await;
    let server = world.serve().await;
    let accepted = server.submit(&world.repo_url).await;
    let job = server.wait(&accepted["id"]).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    assert_eq!(job["result"]["verified"], json!(true));

    let names: Vec<&Value> = job["stages"].as_array().expect("stages").iter().map(|stage| &stage["name"]).collect();
    assert_eq!(names, ["snapshot", "sheet", "plan", "edit", "review"]);
    for stage in job["stages"].as_array().expect("stages") {
        assert!(stage["outputBytes"].as_u64().is_some_and(|bytes| bytes > 0), "{stage}");
        let output = server.client.get(format!("{}{}", server.url, stage["output"].as_str().expect("a path")));
        assert!(output.send().await.expect("an answer").status().is_success(), "{stage}");
    }
    let url = format!("{}/jobs/{}/diff", server.url, job["id"].as_str().expect("an id"));
    let diff = server.client.get(url).send().await.expect("an answer").bytes().await.expect("bytes");
    assert_eq!(job["result"]["diff"].as_str().expect("text").as_bytes(), &diff[..]);
    apply(&world.repo_url, &diff, world.folder.path()).await;
    server.terminate().await;
}

/// A model that falls silent at one request, until told otherwise.
pub(crate) fn silent_at(number: usize) -> (impl Fn(&RequestView) -> Reply + Send + Sync + 'static, Arc<AtomicUsize>) {
    let silent = Arc::new(AtomicUsize::new(number));
    let at = silent.clone();
    (
        move |request: &RequestView| {
            if request.number() == at.load(Ordering::SeqCst) { Reply::hang() } else { diligent(request) }
        },
        silent,
    )
}

#[tokio::test]
async fn a_job_killed_in_any_pass_goes_on_after_a_restart() {
    for pass in 0..3 {
        let (script, _silent) = silent_at(pass);
        let world = World::new(script).await;
        let server = world.serve().await;
        let id = server.submit(&world.repo_url).await["id"].clone();
        world.claude.arrived(pass + 1).await;
        server.kill().await;

        let server = world.serve().await;
        let job = server.wait(&id).await;
        assert_eq!(job["status"], "succeeded", "{job:#}");
        assert_eq!(job["attempt"], json!(1), "a lost worker does not use up an attempt");
        // Three passes, and the one request that was in flight.
        assert_eq!(world.generations(), 4, "killed in pass {pass}");
        server.terminate().await;
    }
}

#[tokio::test]
async fn a_job_stopped_by_a_signal_is_handed_back_and_its_attempt_too() {
    let (script, _silent) = silent_at(1);
    let world = World::new(script).await;
    let server = world.serve().await;
    let id = server.submit(&world.repo_url).await["id"].clone();
    world.claude.arrived(2).await;
    server.terminate().await;

    let server = world.serve().await;
    let job = server.wait(&id).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{job:#}");
    assert_eq!(world.generations(), 4);
}

#[tokio::test]
async fn two_servers_do_not_share_a_data_directory() {
    let world = World::new(diligent).await;
    let server = world.serve().await;
    let second = world.tinygen(&["serve"]).await;
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("TINYGEN_DATA_DIR"));
    server.terminate().await;
}

#[tokio::test]
async fn a_repository_that_is_not_there_fails_the_job_with_its_code() {
    let world = World::new(diligent).await;
    let server = world.serve().await;
    let id = server.submit(&world.git.url("other")).await["id"].clone();
    let job = server.wait(&id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("repo_not_found")), "{job:#}");
    assert_eq!(job["attempt"], json!(1));
    assert_eq!(world.generations(), 0);
}
