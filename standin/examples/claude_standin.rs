//! Runs the stand-in for the Messages API on a free port and prints its URL, until standard input is closed.
//!
//! The text of the last message says how to answer; `standin/tests/sdk_check.py` uses that.

use std::io::{Read, Write};
use std::sync::Mutex;

use serde_json::json;
use standin::claude::{Break, ClaudeServer, Fault, Reply, RequestView};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let asked: Mutex<Vec<String>> = Mutex::default();
    let server = ClaudeServer::start(move |request: &RequestView| {
        let text = request.last_text();
        let mut asked = asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_first_time = !asked.contains(&text);
        asked.push(text.clone());
        reply(&text, is_first_time)
    })
    .await?;
    println!("{}", server.url());
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

fn reply(text: &str, is_first_time: bool) -> Reply {
    match text {
        "tool" => Reply::tools([
            ("lookup", json!({"path": "src/größe.rs", "depth": 2})),
            ("lookup", json!({"path": "", "depth": 0})),
        ])
        .after_text("I look."),
        "future" => Reply::text("done").from_the_future(),
        "cut" => Reply::cut_tool("lookup", "{\"path\": \"sr"),
        "refuse" => Reply::refusal(Some("cyber")),
        "empty" => Reply::empty(),
        "overloaded once" if is_first_time => Reply::fault(Fault::status(529)),
        "limited once" if is_first_time => Reply::fault(Fault::status(429).with_header("retry-after", "0.1")),
        "spent" => Reply::fault(Fault::status(429).with_code("enforced_spend_limit_reached")),
        "html" => Reply::fault(Fault::html(413)),
        "error in stream" => Reply::text("half of it").breaking(Break::Error("overloaded_error")),
        "clean end" => Reply::text("half of it").breaking(Break::CleanEnd),
        "reset" => Reply::text("half of it").breaking(Break::Reset),
        _ => Reply::text("größer 🦀 ".repeat(300)),
    }
}
