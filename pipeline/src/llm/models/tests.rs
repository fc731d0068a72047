//! Prices against values computed by hand from the price page.

use domain::TokenUsage;
use serde_json::json;

use super::*;

fn model(id: &str) -> ModelInfo {
    ModelTable::built_in().get(id).unwrap().clone()
}

fn usage(input: u64, creation: u64, read: u64, output: u64) -> Usage {
    let tokens = TokenUsage {
        input_tokens: input,
        cache_creation_tokens: creation,
        cache_read_tokens: read,
        output_tokens: output,
    };
    Usage { tokens, cache_creation_1h_tokens: 0 }
}

/// Four passes over a shared prefix of 150k tokens: suffixes 1k + 5k + 8k + 16k, outputs 4k + 6k + 12k + 8k.
const SUFFIXES_AND_OUTPUTS: [(u64, u64); 4] = [(1_000, 4_000), (5_000, 6_000), (8_000, 12_000), (16_000, 8_000)];

fn four_passes(model: &ModelInfo, call: impl Fn(usize, u64, u64) -> Usage) -> i64 {
    let calls = SUFFIXES_AND_OUTPUTS.into_iter().enumerate();
    calls.map(|(pass, (suffix, output))| model.cost(&call(pass, suffix, output))).sum::<Cost>().as_nanos()
}

#[test]
fn a_job_without_cache_costs_what_the_worked_example_says() {
    let uncached = |_, suffix, output| usage(150_000 + suffix, 0, 0, output);
    assert_eq!(four_passes(&model("claude-opus-5-5"), uncached), 3_120_000_000);
    assert_eq!(four_passes(&model("claude-sonnet-5-5"), uncached), 1_560_000_000);
    assert_eq!(four_passes(&model("claude-haiku-5-5"), uncached), 390_000_000);
    assert_eq!(four_passes(&model("claude-fable-5-2"), uncached), 6_240_000_000);
}

#[test]
fn a_job_with_one_write_and_three_reads_costs_what_the_worked_example_says() {
    let cached = |pass, suffix, output| match pass {
        0 => usage(suffix, 150_000, 0, output),
        _ => usage(suffix, 0, 150_000, output),
    };
    assert_eq!(four_passes(&model("claude-opus-5-5"), cached), 1_560_000_000);
    assert_eq!(four_passes(&model("claude-sonnet-5-5"), cached), 780_000_000);
    // 93.75 + 22.5 + 15 + 75 thousandths: the example rounds it to $0.21.
    assert_eq!(four_passes(&model("claude-haiku-5-5"), cached), 206_250_000);
    assert_eq!(four_passes(&model("claude-fable-5-2"), cached), 3_030_000_000);
}

#[test]
fn a_write_for_an_hour_costs_more() {
    let cached = |pass, suffix, output| match pass {
        0 => Usage { cache_creation_1h_tokens: 150_000, ..usage(suffix, 150_000, 0, output) },
        _ => usage(suffix, 0, 150_000, output),
    };
    // Input $1.41 and output $0.60.
    assert_eq!(four_passes(&model("claude-opus-5-5"), cached), 2_010_000_000);
}

#[test]
fn haiku_costs_five_times_as_much_just_above_its_cliff() {
    let haiku = model("claude-haiku-5-5");
    // 100,000 × $0.10/M + 1,000 × $0.50/M, then 100,001 × $0.50/M + 1,000 × $2.50/M.
    assert_eq!(haiku.cost(&usage(100_000, 0, 0, 1_000)).as_nanos(), 10_500_000);
    assert_eq!(haiku.cost(&usage(100_001, 0, 0, 1_000)).as_nanos(), 52_500_500);
    // What was read from the cache belongs to the prompt: 1 × $0.50/M + 100,000 × $0.05/M.
    assert_eq!(haiku.cost(&usage(1, 0, 100_000, 0)).as_nanos(), 5_000_500);
}

#[test]
fn no_split_of_the_input_costs_more_than_the_worst_case() {
    for info in ModelTable::built_in().models {
        for total in [0, 1, 99_999, 100_000, 100_001, 1_000_000] {
            let worst = info.worst_case(total, 1_000);
            let third = total / 3;
            for (input, creation, read) in
                [(total, 0, 0), (0, total, 0), (0, 0, total), (total - 2 * third, third, third)]
            {
                for one_hour in [0, creation / 2, creation] {
                    let usage = Usage { cache_creation_1h_tokens: one_hour, ..usage(input, creation, read, 1_000) };
                    assert!(info.cost(&usage) <= worst, "{} {usage:?}", info.id);
                }
            }
        }
    }
}

#[test]
fn the_worst_case_of_a_request_follows_its_marks() {
    let opus = model("claude-opus-5-5");
    let request = |block: Value| Request {
        model: opus.id.clone(),
        effort: None,
        max_tokens: 64_000,
        system: String::new(),
        tools: json!([]),
        messages: vec![json!({"role": "user", "content": [block]})],
    };
    let cost = |block| opus.worst_case_of(&request(block), 100_000).as_nanos();
    // 64,000 × $20/M = $1.28, and 100,000 × $4, $5 or $8 a million.
    assert_eq!(cost(json!({"type": "text", "text": "a"})), 1_680_000_000);
    assert_eq!(cost(json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}})), 1_780_000_000);
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(cost(json!({"type": "text", "text": "a", "cache_control": hour})), 2_080_000_000);
}

#[test]
fn the_service_knows_better() {
    let mut info = model("claude-haiku-5-5");
    let listed = json!({"id": "claude-haiku-5-5", "max_input_tokens": 500_000, "max_tokens": null, "capabilities": {
        "effort": {"supported": true, "low": {"supported": true}, "high": {"supported": true}, "max": {"supported": false}},
        "thinking": {"supported": true, "types": {"adaptive": {"supported": true}, "disabled": {"supported": false}}}}});
    info.update(&serde_json::from_value(listed).unwrap());
    assert_eq!(info.context_window_tokens, 500_000);
    assert_eq!(info.max_output_tokens, 128_000);
    assert_eq!(info.efforts, [Effort::Low, Effort::High]);
    assert_eq!(info.thinking, [ThinkingType::Adaptive]);
}

#[test]
fn an_operator_can_price_a_model_of_a_gateway() {
    let mut table = ModelTable::built_in();
    let row = r#"
        [[model]]
        id = "anthropic.claude-opus-5-5"
        context_window_tokens = 200_000
        max_output_tokens = 64_000
        efforts = ["low", "medium"]
        default_effort = "medium"
        thinking = ["adaptive"]
        forced_tool_choice = false
        min_cache_tokens = 512
        prices = { input = 4400, output = 22000, cache_write_5m = 5500, cache_write_1h = 8800, cache_read = 220 }
    "#;
    table.extend(row).unwrap();
    assert_eq!(table.get("anthropic.claude-opus-5-5").unwrap().prices.input, Cost::from_nanos(4_400));
    assert!(table.extend("[[model]]\nid = \"x\"").is_err());
}
