//! What a server needs around it for jobs that succeed: a Git host with one repository, a model that mends it, and a receiver
//! of webhooks. Prints their addresses as assignments for a shell, and runs until it is killed; `scripts/check-api` uses that.

use serde_json::json;
use standin::claude::{ClaudeServer, Reply, RequestView};
use standin::git::GitServer;
use standin::repo::RepoBuilder;
use standin::webhook_receiver::WebhookReceiver;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let git = GitServer::start().await?;
    git.add("greet", &RepoBuilder::new().file("greet.sh", "echo \"Helo, $1\"\n").commit("Add greet"))?;
    let claude = ClaudeServer::start(|request: &RequestView| mend(&request.first_text())).await?;
    let receiver = WebhookReceiver::obliging().await?;
    println!("repository={}\nclaude={}\nreceiver={}", git.url("greet"), claude.url(), receiver.url("/in"));
    std::future::pending::<()>().await;
    Ok(())
}

fn mend(instructions: &str) -> Reply {
    if instructions.contains("This is the analysis pass") {
        let plan = json!({
            "summary": "The greeting lacks a letter.",
            "files": [{"path": "greet.sh", "action": "edit", "new_path": "", "why": "spell it right"}],
            "context_files": [], "acceptance": ["greet.sh prints Hello"], "risks": [],
            "evidence": [{"path": "greet.sh", "quote": "echo \"Helo, $1\""}],
        });
        return Reply::tool("submit_plan", plan).after_text("It lacks a letter.");
    }
    if instructions.contains("This is the edit pass") {
        let edit = json!({"file_path": "greet.sh", "old_string": "Helo", "new_string": "Hello", "replace_all": false});
        let end = json!({"summary": "Spells Hello right.", "commit_message": "Spell Hello right"});
        return Reply::tools([("Edit", edit), ("submit_edits", end)]);
    }
    Reply::tool("submit_review", json!({"verdict": "approve", "findings": [], "unmet_acceptance": []}))
}
