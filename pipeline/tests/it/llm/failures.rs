//! Everything that can go wrong, and the reaction it calls for.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use FailureCode::{
    ContextTooLarge, ModelAuth, ModelInvalidRequest, ModelOverloaded, ModelRateLimited, ModelUnreachable,
};

use tokio::io::AsyncReadExt;

use super::*;

/// The variant, by name.
fn variant(error: &LlmError) -> String {
    format!("{error:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn each_status_calls_for_its_reaction() {
    let limit = "You have reached your specified organization API usage limits. You will regain access on 2026-12-01.";
    let cases = [
        (Fault::status(400), "InvalidRequest", ModelInvalidRequest, false),
        (Fault::status(400).with_message("prompt is too long: 2 > 1"), "PromptTooLong", ContextTooLarge, false),
        (Fault::status(400).with_message(limit), "Account", ModelAuth, false),
        (Fault::status(400).with_code("organization_on_hold"), "Account", ModelAuth, false),
        (Fault::status(401), "Authentication", ModelAuth, false),
        (Fault::status(402), "Account", ModelAuth, false),
        (Fault::status(403), "Authentication", ModelAuth, false),
        (Fault::status(404), "UnknownModel", ModelInvalidRequest, false),
        (Fault::status(408), "Unavailable", ModelUnreachable, true),
        (Fault::status(409), "Unavailable", ModelUnreachable, true),
        (Fault::status(413), "PromptTooLong", ContextTooLarge, false),
        (Fault::html(413), "PromptTooLong", ContextTooLarge, false),
        (Fault::status(422), "InvalidRequest", ModelInvalidRequest, false),
        (Fault::status(429), "RateLimited", ModelRateLimited, true),
        (Fault::status(429).with_code("ramp_limit_exceeded"), "RateLimited", ModelRateLimited, true),
        (Fault::status(429).with_code("enforced_spend_limit_reached"), "Account", ModelAuth, false),
        (Fault::status(429).with_code("contract_spend_limit_reached"), "Account", ModelAuth, false),
        (Fault::status(429).with_code("new_code"), "RateLimited", ModelRateLimited, true),
        (Fault::status(500), "Unavailable", ModelUnreachable, true),
        (Fault::status(501), "Unavailable", ModelUnreachable, true),
        (Fault::html(502), "Unavailable", ModelUnreachable, true),
        (Fault::status(503).with_code("cmek_key_unreachable"), "Unavailable", ModelUnreachable, true),
        (Fault::status(504), "Unavailable", ModelUnreachable, true),
        (Fault::status(529), "Overloaded", ModelOverloaded, true),
        (Fault::redirect("http://127.0.0.1/elsewhere"), "InvalidRequest", ModelInvalidRequest, false),
    ];
    let failures = failures(cases.iter().map(|(fault, ..)| Reply::fault(fault.clone()))).await;
    for (number, (failure, (fault, name, code, retryable))) in failures.into_iter().zip(cases).enumerate() {
        let error = failure.error;
        assert_eq!(
            (variant(&error).as_str(), error.code(), error.is_retryable()),
            (name, code, retryable),
            "{fault:?}"
        );
        assert_eq!(failure.usage, Usage::default());
        assert_eq!(failure.request_id, Some(format!("req_standin_{number:06}")), "{fault:?}");
    }
}

#[tokio::test]
async fn the_service_says_whether_and_when_to_retry() {
    let with = |status, name, value: &str| Fault::status(status).with_header(name, value);
    let replies = [
        with(429, "retry-after", "7"),
        Fault::status(429),
        with(529, "x-should-retry", "false"),
        with(400, "x-should-retry", "true"),
        with(429, "x-should-retry", "true").with_code("enforced_spend_limit_reached"),
    ];
    let errors: Vec<LlmError> = failures(replies.map(Reply::fault)).await.into_iter().map(|f| f.error).collect();
    assert_eq!(errors[0].retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(errors[1].retry_after(), None);
    // An account that needs attention is left alone whatever the header says.
    let retryable: Vec<bool> = errors.iter().map(LlmError::is_retryable).collect();
    assert_eq!(retryable, [true, true, false, true, false]);
}

#[tokio::test]
async fn an_error_in_a_stream_is_sorted_by_its_type() {
    let cases = [
        ("overloaded_error", "Overloaded"),
        ("api_error", "Unavailable"),
        ("timeout_error", "Unavailable"),
        ("rate_limit_error", "RateLimited"),
        ("invalid_request_error", "InvalidRequest"),
        ("authentication_error", "Authentication"),
        ("error_of_tomorrow", "Unavailable"),
    ];
    let failures = failures(cases.map(|(kind, _)| Reply::text("some text").breaking(Break::Error(kind)))).await;
    for (failure, (kind, name)) in failures.into_iter().zip(cases) {
        assert_eq!(variant(&failure.error), name, "{kind}");
        assert_eq!(failure.error.answer().map(|answer| answer.status), Some(200));
        assert!(failure.usage.tokens.input_tokens > 0, "what it used is known");
        assert!(failure.request_id.is_some());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_no_answer() {
    let cases = [
        (Reply::text("half of it").breaking(Break::CleanEnd), "Interrupted"),
        (Reply::text("half of it").breaking(Break::Reset), "Interrupted"),
        (Reply::text("half of it").breaking(Break::Garbage), "Malformed"),
        (Reply::tool("submit_plan", json!({"files": []})).breaking(Break::CleanEnd), "Interrupted"),
        (Reply::empty().breaking(Break::CleanEnd), "Interrupted"),
    ];
    let failures = failures(cases.iter().map(|(reply, _)| reply.clone())).await;
    for (failure, (reply, name)) in failures.into_iter().zip(cases) {
        assert_eq!(variant(&failure.error), name, "{reply:?}");
        assert_eq!((failure.error.code(), failure.error.is_retryable()), (ModelUnreachable, true));
        assert!(failure.usage.tokens.input_tokens > 0, "{reply:?}");
    }
}

#[tokio::test]
async fn silence_before_an_answer_ends_in_a_timeout() {
    let (server, client) = server(|_| Reply::hang()).await;
    let request = request(vec![user("hi")]);
    let call = client.complete(&request, &|_| {});
    let clock = async {
        server.arrived(1).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(6)).await;
    };
    let (result, ()) = tokio::join!(call, clock);
    let failure = result.unwrap_err();
    assert!(matches!(failure.error, LlmError::Timeout), "{failure:?}");
    assert!(failure.error.is_retryable() && failure.error.may_have_cost());
}

#[tokio::test]
async fn silence_within_an_answer_ends_in_a_timeout() {
    let (_server, client) = server(|_| Reply::text("half of it").breaking(Break::Stall)).await;
    let has_spoken = AtomicBool::new(false);
    let request = request(vec![user("hi")]);
    let on_delta = |delta: Delta<'_>| {
        // The first text is the last thing that comes.
        if matches!(delta, Delta::Text(_)) && !has_spoken.swap(true, Ordering::SeqCst) {
            tokio::time::pause();
        }
    };
    let failure = client.complete(&request, &on_delta).await.unwrap_err();
    assert!(matches!(failure.error, LlmError::Timeout), "{failure:?}");
    assert!(has_spoken.into_inner() && failure.usage.tokens.input_tokens > 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let (server, client) = server(|_| Reply::text("ok")).await;
    let (address, url) = (server.address(), server.url());
    drop(server);
    // Until nobody listens any more.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let failure = ask(&client, "hi").await.unwrap_err();
    assert!(matches!(failure.error, LlmError::Unreachable(_)), "{url}: {failure:?}");
    assert!(failure.error.is_retryable() && !failure.error.may_have_cost());
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_may_have_cost() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&format!("http://{}", listener.local_addr().unwrap()));
    let takes_and_breaks = async {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.read_exact(&mut [0; 64]).await.unwrap();
        }
    };
    let failure = tokio::select! {
        answer = ask(&client, "hi") => answer.unwrap_err(),
        () = takes_and_breaks => unreachable!("it goes on for ever"),
    };
    assert!(matches!(failure.error, LlmError::Interrupted(_)), "{failure:?}");
    assert_eq!(failure.usage.tokens.input_tokens, 0);
    assert!(failure.error.is_retryable() && failure.error.may_have_cost());
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_blocked() {
    let config = AnthropicConfig::new("http://127.0.0.1:1".parse().unwrap());
    let client = Anthropic::new(Egress::new(EgressPolicy::default()).unwrap(), config).unwrap();
    let failure = ask(&client, "hi").await.unwrap_err();
    assert!(matches!(failure.error, LlmError::Blocked(_)));
    assert_eq!((failure.error.code(), failure.error.is_retryable()), (FailureCode::BlockedAddress, false));
}

#[tokio::test]
async fn our_key_is_in_no_error() {
    let repeated = format!("{} invalid key {KEY}\n", "long ".repeat(96));
    let in_http = failure(Reply::fault(Fault::status(401).with_message(&repeated))).await;
    let (_server, client) = server(|_| Reply::hang()).await;
    let mut shown = format!("{in_http:?} {client:?}");
    let mut cause: Option<&dyn Error> = Some(&in_http);
    while let Some(error) = cause {
        shown.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(shown.contains("invalid key"), "{shown}");
    assert!(!shown.contains("sk-ant"), "{shown}");
    assert!(in_http.error.answer().unwrap().message.len() <= 500);
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_not_taken_for_one() {
    let (_server, client) = server(|_| Reply::fault(Fault::html(200))).await;
    let failure = ask(&client, "hi").await.unwrap_err();
    assert!(matches!(failure.error, LlmError::Malformed(_)), "{failure:?}");
}

#[tokio::test]
async fn a_prompt_above_the_window_is_too_long() {
    let (server, client) = server(|_| Reply::text("ok")).await;
    let failure = ask(&client, &"x".repeat(3_300_000)).await.unwrap_err();
    assert!(matches!(failure.error, LlmError::PromptTooLong(_)), "{failure:?}");
    assert_eq!(server.cost_nanos(), 0);
}

#[tokio::test]
async fn a_request_above_32_megabytes_is_too_long() {
    let (_server, client) = server(|_| Reply::text("ok")).await;
    let failure = ask(&client, &"x".repeat(33 << 20)).await.unwrap_err();
    assert!(matches!(failure.error, LlmError::PromptTooLong(_)), "{failure:?}");
}
