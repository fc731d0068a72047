//! What is counted of stages and of calls to the model.

use domain::{CallRecord, StageKind};
use metrics::{counter, histogram};
use std::time::Duration;

/// The outcome of a call that was answered; of any other it is the code of the failure.
pub(crate) const ANSWERED: &str = "answered";

/// The output of an earlier attempt was there.
pub(crate) fn stage_resumed(kind: StageKind) {
    counter!("tinygen_stage_resumes_total", "stage" => kind.as_str()).increment(1);
}

pub(crate) fn stage_succeeded(kind: StageKind, duration: Duration) {
    stage_ended(kind, "succeeded", duration);
}

pub(crate) fn stage_failed(kind: StageKind, duration: Duration) {
    stage_ended(kind, "failed", duration);
}

fn stage_ended(kind: StageKind, outcome: &'static str, duration: Duration) {
    histogram!("tinygen_stage_duration_seconds", "stage" => kind.as_str(), "outcome" => outcome).record(duration);
}

pub(crate) fn call_ended(model: &str, outcome: &'static str, duration: Duration) {
    let model = model.to_owned();
    counter!("tinygen_llm_requests_total", "model" => model.clone(), "outcome" => outcome).increment(1);
    histogram!("tinygen_llm_request_duration_seconds", "model" => model, "outcome" => outcome).record(duration);
}

/// What the service bills for a call, as far as it has said so.
pub(crate) fn call_billed(model: &str, call: &CallRecord) {
    let usage = &call.usage;
    let kinds = [
        ("input", usage.input_tokens),
        ("cache_creation", usage.cache_creation_tokens),
        ("cache_read", usage.cache_read_tokens),
        ("output", usage.output_tokens),
    ];
    for (kind, tokens) in kinds {
        counter!("tinygen_llm_tokens_total", "model" => model.to_owned(), "kind" => kind).increment(tokens);
    }
    let nanos = u64::try_from(call.cost.as_nanos()).unwrap_or(0);
    counter!("tinygen_llm_cost_usd_total", "model" => model.to_owned()).increment(nanos);
}

/// A call has to wait because the service limits our rate.
pub(crate) fn call_throttled(model: &str, delay: Duration) {
    histogram!("tinygen_llm_throttle_seconds", "model" => model.to_owned()).record(delay);
}
