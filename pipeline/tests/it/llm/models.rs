//! Facts about models, and counting.

use super::*;

#[tokio::test]
async fn the_table_agrees_with_the_service() {
    let (_server, client) = server(|_| Reply::text("ok")).await;
    for id in ["claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"] {
        let info = client.info(id).await.unwrap();
        assert_eq!((info.id.as_str(), info.context_window_tokens, info.max_output_tokens), (id, 1_000_000, 128_000));
        assert_eq!(info.efforts.len(), 5);
    }
}

#[tokio::test]
async fn a_gateway_without_a_list_of_models_is_enough_for_known_ones() {
    let options = Options { lists_models: false, ..Options::default() };
    let server = ClaudeServer::start_with(options, |_: &RequestView| Reply::text("ok")).await.unwrap();
    let client = client_of(&server.url());
    assert_eq!(client.info("claude-haiku-5-5").await.unwrap().min_cache_tokens, 512);
    let error = client.info("claude-unheard-of").await.unwrap_err();
    assert!(matches!(&error, LlmError::UnknownModel { model, .. } if model == "claude-unheard-of"), "{error:?}");
}

#[tokio::test]
async fn a_wrong_key_is_noticed_at_the_first_question() {
    let options = Options { api_key: Some("other".into()), ..Options::default() };
    let server = ClaudeServer::start_with(options, |_: &RequestView| Reply::text("ok")).await.unwrap();
    let error = client_of(&server.url()).info("claude-opus-5-5").await.unwrap_err();
    assert!(matches!(error, LlmError::Authentication(_)), "{error:?}");
}

#[tokio::test]
async fn a_count_is_what_the_call_is_billed_for() {
    let (_server, client) = server(|_| Reply::text("ok")).await;
    let request = request(vec![user(&"fn main() {}\n".repeat(1_000))]);
    let counted = client.count_tokens(&request).await.unwrap();
    let usage = client.complete(&request, &|_| {}).await.unwrap().usage;
    assert_eq!(usage.tokens.total_input(), counted);
}

#[tokio::test]
async fn an_unknown_model_is_the_operators_matter() {
    let (_server, client) = server(|_| Reply::text("ok")).await;
    let request = Request { model: "claude-1".into(), ..request(vec![user("hi")]) };
    let failure = client.complete(&request, &|_| {}).await.unwrap_err();
    assert!(matches!(&failure.error, LlmError::UnknownModel { model, .. } if model == "claude-1"), "{failure:?}");
    assert!(matches!(client.count_tokens(&request).await, Err(LlmError::UnknownModel { .. })));
}
