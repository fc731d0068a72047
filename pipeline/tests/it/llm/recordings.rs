//! Recorded answers, as the demonstration uses them.

use std::sync::Arc;

use standin::claude::Recording;

use super::*;

fn file(request: &Request, content: &Value) -> String {
    json!({"request_sha256": request.sha256(), "content": content, "stop_reason": "end_turn"}).to_string()
}

/// Two turns; the second holds the first answer, so its hash depends on it.
async fn two_turns(client: &Anthropic, between: impl FnOnce(&Request)) -> (Response, Response) {
    let first = client.complete(&request(vec![user("plan")]), &|_| {}).await.unwrap();
    let id = &first.content.last().unwrap()["id"];
    let second = request(vec![
        user("plan"),
        json!({"role": "assistant", "content": first.content}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "ok"}]}),
    ]);
    between(&second);
    let response = client.complete(&second, &|_| {}).await.unwrap();
    (first, response)
}

#[tokio::test]
async fn a_replay_answers_exactly_what_was_recorded() {
    let known = request(vec![user("known")]);
    let never_asked = request(vec![user("never asked")]);
    let content = json!([{"type": "text", "text": "as recorded"}]);
    let files = [("001.json", file(&known, &content)), ("002.json", file(&never_asked, &content))];
    let recording = Arc::new(Recording::read(files).unwrap());
    let server = ClaudeServer::replay(Arc::clone(&recording)).await.unwrap();
    let client = client_of(&server.url());

    let response = client.complete(&known, &|_| {}).await.unwrap();
    assert_eq!(response.content[1], content[0]);
    assert!(server.cost_nanos() > 0);
    assert_eq!(recording.unused(), [never_asked.sha256()]);

    let unknown = Request { max_tokens: 63_999, ..known };
    let failure = client.complete(&unknown, &|_| {}).await.unwrap_err();
    let LlmError::InvalidRequest(answer) = failure.error else { panic!("{failure:?}") };
    assert!(answer.message.starts_with("the recording is stale"), "{answer}");
    assert!(answer.message.contains(&unknown.sha256()), "{answer}");
}

#[tokio::test]
async fn what_is_recorded_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let first = request(vec![user("plan")]);
    let answer = |number: u32, request: &Request, answer: Value| {
        let path = folder.path().join(format!("{number:03}-{}.answer.json", &request.sha256()[..16]));
        std::fs::write(path, answer.to_string()).unwrap();
    };
    let call = json!({"type": "tool_use", "name": "submit_plan", "input": {"files": ["a.rs"]}});
    answer(1, &first, json!({"content": [call], "stop_reason": "tool_use"}));

    let recorder = ClaudeServer::record(folder.path(), Duration::from_secs(30)).await.unwrap();
    let made = two_turns(&client_of(&recorder.url()), |second| {
        answer(2, second, json!({"content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn"}));
    })
    .await;
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");

    let recording = Arc::new(Recording::open(folder.path()).unwrap());
    let replay = ClaudeServer::replay(Arc::clone(&recording)).await.unwrap();
    let replayed = two_turns(&client_of(&replay.url()), |_| {}).await;
    assert_eq!((&replayed.0.content, &replayed.1.content), (&made.0.content, &made.1.content));
    assert_eq!(recording.unused(), Vec::<String>::new());
    assert_eq!(replay.cost_nanos(), recorder.cost_nanos());
}

#[tokio::test]
async fn the_recorder_writes_down_what_it_is_asked_and_gives_up_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = ClaudeServer::record(folder.path(), Duration::ZERO).await.unwrap();
    let asked = request(vec![user("nobody answers")]);
    let failure = client_of(&server.url()).complete(&asked, &|_| {}).await.unwrap_err();
    assert!(matches!(failure.error, LlmError::InvalidRequest(_)), "{failure:?}");
    let path = folder.path().join(format!("001-{}.request.json", &asked.sha256()[..16]));
    let written: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(written.to_string().as_bytes(), asked.body());
}
