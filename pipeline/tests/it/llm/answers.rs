//! Answers that arrive.

use super::*;

#[tokio::test]
async fn gathers_text_however_the_network_cuts_it() {
    let text = "fn größe() { \"\\u{1F980} 🦀\\n\\t\" } ".repeat(200);
    let said = text.clone();
    let (server, client) = server(move |_| Reply::text(said.clone())).await;
    let heard = Mutex::new((vec![], String::new()));
    let request = request(vec![user("hi")]);
    let response = client
        .complete(&request, &|delta| match delta {
            Delta::Started(usage) => heard.lock().unwrap().0.push(usage),
            Delta::Text(piece) => heard.lock().unwrap().1.push_str(piece),
            Delta::ToolInput(_) => panic!("no tool is called"),
        })
        .await
        .unwrap();

    assert_eq!(response.content[0]["type"], "thinking");
    assert_eq!(response.content[1], json!({"type": "text", "text": text}));
    assert_eq!(response.stop_reason, StopReason::EndTurn);
    assert_eq!(response.request_id.as_deref(), Some("req_standin_000000"));
    let (started, pieces) = heard.into_inner().unwrap();
    assert_eq!(pieces, text);
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].tokens.input_tokens, response.usage.tokens.input_tokens);

    let exchange = &server.ledger()[0];
    assert_eq!(exchange.body, request.body());
    assert_eq!(exchange.sha256, request.sha256());
    assert_eq!(response.usage.tokens.output_tokens, exchange.usage.output_tokens);
}

#[tokio::test]
async fn a_models_turn_goes_back_byte_for_byte() {
    let (server, client) = server(|request| match request.turn() {
        0 => Reply::tools([
            ("submit_plan", json!({"files": ["b.rs", "ä\"\\.rs"], "a": {"z": 1, "b": [1.5, null]}})),
            ("submit_plan", json!({})),
        ])
        .after_text("I look."),
        _ => Reply::text("done"),
    })
    .await;
    let first = ask(&client, "plan").await.unwrap();
    assert_eq!(first.stop_reason, StopReason::ToolUse);
    let calls: Vec<&Value> = first.content.iter().filter(|block| block["type"] == "tool_use").collect();
    assert_eq!(calls[0]["input"].to_string(), r#"{"files":["b.rs","ä\"\\.rs"],"a":{"z":1,"b":[1.5,null]}}"#);
    assert_eq!(calls[1]["input"], json!({}));

    let result = |id: &Value| json!({"type": "tool_result", "tool_use_id": id, "content": "ok"});
    let results = json!({"role": "user", "content": [result(&calls[0]["id"]), result(&calls[1]["id"])]});
    let turn = json!({"role": "assistant", "content": first.content});
    let second = client.complete(&request(vec![user("plan"), turn.clone(), results]), &|_| {}).await.unwrap();
    assert_eq!(second.stop_reason, StopReason::EndTurn);
    let ledger = server.ledger();
    assert_eq!(ledger[1].request["messages"][1], turn);
}

#[tokio::test]
async fn a_changed_conversation_is_refused() {
    let (_server, client) = server(|_| Reply::text("hm")).await;
    let first = ask(&client, "one").await.unwrap();
    let turn = json!({"role": "assistant", "content": first.content});
    let other = request(vec![user("two"), turn, user("go on")]);
    let failure = client.complete(&other, &|_| {}).await.unwrap_err();
    assert!(matches!(failure.error, LlmError::InvalidRequest(_)), "{failure:?}");
}

#[tokio::test]
async fn what_it_does_not_know_it_passes_over() {
    let (_server, client) = server(|_| Reply::text("done").from_the_future()).await;
    let response = ask(&client, "hi").await.unwrap();
    let text: Vec<&Value> = response.content.iter().filter(|block| block["type"] == "text").collect();
    assert_eq!(text, [&json!({"type": "text", "text": "done"})]);
    assert_eq!(response.stop_reason, StopReason::EndTurn);
}

#[tokio::test]
async fn each_reason_to_stop_has_its_name() {
    let cases = [
        ("stop_sequence", StopReason::StopSequence),
        ("pause_turn", StopReason::PauseTurn),
        ("model_context_window_exceeded", StopReason::ModelContextWindowExceeded),
        ("new_reason", StopReason::Other("new_reason".into())),
    ];
    let (_server, client) = server(|request| Reply::text("x").stopping(&request.last_text())).await;
    for (name, reason) in cases {
        assert_eq!(ask(&client, name).await.unwrap().stop_reason, reason);
    }
}

#[tokio::test]
async fn a_refusal_names_its_category() {
    let (server, client) = server(|request| Reply::refusal((request.number() == 0).then_some("cyber"))).await;
    let response = ask(&client, "hi").await.unwrap();
    assert_eq!(response.stop_reason, StopReason::Refusal(Some("cyber".into())));
    assert!(response.content.is_empty());
    assert_eq!(server.cost_nanos(), 0);
    assert_eq!(ask(&client, "hi").await.unwrap().stop_reason, StopReason::Refusal(None));
}

#[tokio::test]
async fn an_empty_turn_is_an_answer() {
    let (_server, client) = server(|_| Reply::empty()).await;
    let response = ask(&client, "hi").await.unwrap();
    assert_eq!((response.content, response.stop_reason), (vec![], StopReason::EndTurn));
}

#[tokio::test]
async fn a_call_cut_in_its_input_is_left_out_and_named() {
    let whole = json!({"files": ["a.rs"]});
    let (_server, client) = server(move |_| {
        Reply::tools([("submit_plan", whole.clone())]).then_cut_tool("Edit", r#"{"file_path":"b.rs","old_str"#)
    })
    .await;
    let response = ask(&client, "hi").await.unwrap();
    assert_eq!(response.stop_reason, StopReason::MaxTokens);
    assert_eq!(response.cut_tool.as_deref(), Some("Edit"));
    let calls: Vec<&Value> = response.content.iter().filter(|block| block["type"] == "tool_use").collect();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["input"], json!({"files": ["a.rs"]}));
}

#[tokio::test]
async fn an_input_that_is_not_json_is_not_passed_on() {
    let broken = Reply::cut_tool("Edit", r#"{"file_path":"#).stopping("tool_use");
    assert!(matches!(failure(broken).await.error, LlmError::Malformed(_)));
}

#[tokio::test]
async fn no_answer_is_longer_than_max_tokens() {
    let (_server, client) = server(|_| Reply::text("long ".repeat(10_000))).await;
    let request = Request { max_tokens: 100, ..request(vec![user("hi")]) };
    let response = client.complete(&request, &|_| {}).await.unwrap();
    assert_eq!(response.stop_reason, StopReason::MaxTokens);
    assert_eq!(response.usage.tokens.output_tokens, 100);
}

#[tokio::test]
async fn says_what_a_job_costs_to_the_nano_dollar() {
    let (server, client) = server(|_| Reply::text("ok")).await;
    let sheet = "x".repeat(320_000);
    let pass = |ttl: &str, text: &str| {
        request(vec![json!({"role": "user", "content": [
            {"type": "text", "text": sheet, "cache_control": {"type": "ephemeral", "ttl": ttl}},
            {"type": "text", "text": text}]})])
    };
    let info = client.info("claude-opus-5-5").await.unwrap();
    let mut cost = 0;
    let mut usages: Vec<Usage> = vec![];
    for text in ["plan", "edit", "review"] {
        let request = pass("1h", text);
        let counted = client.count_tokens(&request).await.unwrap();
        let usage = client.complete(&request, &|_| {}).await.unwrap().usage;
        assert_eq!(usage.tokens.total_input(), counted);
        assert!(info.cost(&usage) <= info.worst_case_of(&request, counted));
        cost += info.cost(&usage).as_nanos();
        usages.push(usage);
    }
    assert_eq!(cost, server.cost_nanos());
    assert_eq!(usages[0].cache_creation_1h_tokens, usages[0].tokens.cache_creation_tokens);
    assert!(usages[0].tokens.cache_creation_tokens > 100_000);
    for usage in &usages[1..] {
        assert_eq!(usage.tokens.cache_read_tokens, usages[0].tokens.cache_creation_tokens);
        assert_eq!(usage.tokens.cache_creation_tokens, 0);
    }

    server.advance(Duration::from_mins(61));
    let late = client.complete(&pass("1h", "confirm"), &|_| {}).await.unwrap().usage;
    assert_eq!(late.tokens.cache_read_tokens, 0);
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let server = ClaudeServer::start(|_: &RequestView| Reply::text("ok")).await.unwrap();
    for path in ["/gateway", "/gateway/", "/"] {
        let client = client_of(&format!("{}{path}", server.url()));
        assert!(ask(&client, "hi").await.is_ok(), "{path}");
    }
}

#[tokio::test]
async fn a_key_or_a_token_opens_the_door() {
    let options = Options { api_key: Some("opens".into()), ..Options::default() };
    let server = ClaudeServer::start_with(options, |_: &RequestView| Reply::text("ok")).await.unwrap();
    let ask_with = async |credentials| {
        let policy = EgressPolicy {
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            allow_plain_http: true,
            ..EgressPolicy::default()
        };
        let config = AnthropicConfig { credentials, ..AnthropicConfig::new(server.url().parse().unwrap()) };
        ask(&Anthropic::new(Egress::new(policy).unwrap(), config).unwrap(), "hi").await.map_err(|f| f.error)
    };
    assert!(ask_with(Some(Credentials::ApiKey("opens".into()))).await.is_ok());
    assert!(ask_with(Some(Credentials::AuthToken("opens".into()))).await.is_ok());
    for wrong in [None, Some(Credentials::ApiKey("no".into()))] {
        assert!(matches!(ask_with(wrong).await, Err(LlmError::Authentication(_))));
    }
}
