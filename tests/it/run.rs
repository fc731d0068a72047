//! `tinygen run` as a user meets it: the diff on stdout, everything else elsewhere.

use serde_json::{Value, json};
use standin::claude::{Fault, Reply, RequestView};

use crate::app::{World, apply, diligent};

#[tokio::test]
async fn stdout_is_what_git_apply_takes() {
    let world = World::new(diligent).await;
    let output = world.tinygen(&["run", &world.repo_url, "It says Helo. Make it say Hello."]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let clone = apply(&world.repo_url, &output.stdout, world.folder.path()).await;
    let greet = std::fs::read_to_string(clone.join("greet.sh")).expect("there");
    assert_eq!(greet, "#!/bin/sh\necho \"Hello, $1\"\n");
    for stage in ["snapshot", "sheet", "plan", "edit", "review"] {
        assert!(stderr.lines().any(|line| line.contains(stage) && line.contains('$')), "{stage}: {stderr}");
    }
}

#[tokio::test]
async fn json_is_the_whole_result() {
    let world = World::new(diligent).await;
    let output = world.tinygen(&["run", "--json", "--ref", "main", "--effort", "low", &world.repo_url, "Fix it"]).await;
    let body: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    let result = &body["result"];
    assert_eq!((&result["outcome"], &result["verified"]), (&json!("changed"), &json!(true)));
    assert!(result["diff"].as_str().expect("text").starts_with("diff --git a/greet.sh b/greet.sh"));
    assert_eq!(result["files"], json!([{"path": "greet.sh", "kind": "modified", "additions": 1, "deletions": 1}]));
    for proof in ["baseCommit", "baseTree", "resultTree", "patchSha256"] {
        assert!(result[proof].as_str().is_some_and(|id| id.len() >= 40), "{proof}");
    }
    assert!(body["usage"]["costUsd"].as_f64().is_some_and(|cost| cost > 0.0));
}

#[tokio::test]
async fn exit_codes_tell_the_ends_apart() {
    let unneeded = |_: &RequestView| {
        let claim =
            json!({"reason": "It does.", "evidence_path": "README.md", "evidence_quote": "Prints Hello and a name."});
        Reply::tool("no_change", claim)
    };
    let world = World::new(unneeded).await;
    let output = world.tinygen(&["run", &world.repo_url, "Print a name"]).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), b"".as_slice()));

    let world = World::new(|_: &RequestView| Reply::fault(Fault::status(401))).await;
    let output = world.tinygen(&["run", &world.repo_url, "Fix it"]).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("model_auth"));

    let output = world.tinygen(&["run", "git@github.com:a/b.git", "Fix it"]).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), b"".as_slice()));

    let output = world.tinygen(&["run", "--max-cost-usd", "0.001", &world.repo_url, "Fix it"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("budget_exceeded"));
}

#[tokio::test]
async fn without_a_key_it_says_what_to_do() {
    let world = World::new(diligent).await;
    let output = world.program().env_remove("ANTHROPIC_API_KEY").args(["run", &world.repo_url, "x"]).output().await;
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("ANTHROPIC_API_KEY") && stderr.contains(".env"), "{stderr}");
}

#[tokio::test]
async fn a_key_in_a_dotenv_file_is_found() {
    let world = World::new(diligent).await;
    std::fs::write(world.folder.path().join(".env"), "ANTHROPIC_API_KEY=\"test-key\"\n").expect("written");
    let mut program = world.program();
    let output = program.env_remove("ANTHROPIC_API_KEY").args(["run", &world.repo_url, "Fix it"]).output().await;
    assert_eq!(output.expect("the program starts").status.code(), Some(0));
}

#[tokio::test]
async fn a_private_repository_is_read_with_the_token_of_its_host_and_nobody_sees_it() {
    let world = World::new(diligent).await;
    world.git.behave(|behaviour| behaviour.token = Some("private-token".into()));
    let run = ["run", "--json", &world.repo_url, "Fix it"];
    let refused = world.tinygen(&run).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("repo_auth_required"));

    let tokens = format!("{}=private-token", world.git.origin());
    let mut program = world.program();
    let program = program.env("TINYGEN_REPO_TOKENS", tokens).env("TINYGEN_LOG", "trace").args(run);
    let output = program.output().await.expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let everything = format!("{stderr}{}", String::from_utf8_lossy(&output.stdout));
    assert!(!everything.contains("private-token"));
    assert!(!everything.contains("test-key"));
    for exchange in world.claude.ledger() {
        assert!(!exchange.request.to_string().contains("private-token"));
    }
}
