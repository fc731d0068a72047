//! One call to the model: reserved before, settled after, answered from the journal when it was made before.

use std::error::Error;
use std::time::Instant;

use domain::{CallId, CallRecord, CallReservation, Cost, StageKey};
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, info_span, warn};

use crate::error::PipelineError;
use crate::llm::{Backoff, Delta, LlmError, LlmFailure, Request, Response, RetryPolicy, Usage};
use crate::progress::ProgressEvent;
use crate::run::Run;
use crate::sheet::upper_bound_tokens;
use crate::tally;

/// An answer shorter than this is not worth a call: when the budget leaves less, the job stops.
const MIN_OUTPUT_TOKENS: u32 = 4_000;

/// Who answers, by OpenTelemetry's conventions for generative AI.
const PROVIDER: &str = "anthropic";

impl Run {
    /// Asks the model, as often as its errors call for.
    ///
    /// Each try is reserved at its worst price first, so that the job cannot cost more than it may, and an answer is in
    /// the journal before anything is done with it, so that it is never paid for twice.
    pub(crate) async fn call(&self, stage: &StageKey, turn: u32, request: &Request) -> Result<Response, PipelineError> {
        let request_sha256 = request.sha256();
        if let Some(stored) = self.journal.load_call(stage, turn, &request_sha256).await? {
            debug!(turn, "Found the answer in the journal");
            return serde_json::from_value(stored)
                .map_err(|source| PipelineError::Stored { stage: stage.clone(), source });
        }
        // A rough figure will do where nothing hangs on it. A limit needs a bound: no token is shorter than a byte.
        let body_bytes = request.body().len() as u64;
        let input_tokens = match self.spec.max_cost {
            None => upper_bound_tokens(body_bytes),
            Some(_) => self.count_tokens(request, body_bytes).await?,
        };
        let mut backoff = Backoff::new(RetryPolicy::default());
        loop {
            let (request, reserved) = self.afford(stage, request, input_tokens).await?;
            let id = CallId::new();
            let reservation = CallReservation {
                id,
                stage: stage.clone(),
                turn,
                model: request.model.clone(),
                request_sha256: request_sha256.clone(),
                reserved,
            };
            self.journal.reserve_call(&reservation).await?;
            match self.try_once(stage, turn, id, &request).await? {
                Ok(response) => return Ok(response),
                Err(error) => {
                    let Some(delay) = backoff.next_delay(&error) else { return Err(error.into()) };
                    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    if let LlmError::RateLimited(_) = error {
                        tally::call_throttled(&request.model, delay);
                    }
                    warn!(turn, delay_ms, error = &error as &dyn Error, "The model did not answer; asking again");
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    async fn try_once(
        &self,
        stage: &StageKey,
        turn: u32,
        id: CallId,
        request: &Request,
    ) -> Result<Result<Response, LlmError>, PipelineError> {
        let begun = Instant::now();
        let on_delta = |delta: Delta<'_>| {
            if let Delta::Text(text) = delta {
                (self.progress)(ProgressEvent::Text { stage: stage.clone(), text: text.to_owned() });
            }
        };
        let span = chat_span(request, turn);
        let answer = self.shared.model.complete(request, &on_delta).instrument(span.clone()).await;
        let outcome = answer.as_ref().map_or_else(|failure| failure.error.code().as_str(), |_| tally::ANSWERED);
        tally::call_ended(&request.model, outcome, begun.elapsed());
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let settle = |usage: Usage, stop_reason: String, response| CallRecord {
            id,
            usage: usage.tokens,
            cost: self.model.cost(&usage),
            response,
            stop_reason,
            duration_ms,
        };
        match answer {
            Ok(response) => {
                record_answer(&span, &response, self.model.cost(&response.usage));
                span.in_scope(|| debug!(duration_ms, "The model answered"));
                let stored = serde_json::to_value(&response)
                    .map_err(|source| PipelineError::Stored { stage: stage.clone(), source })?;
                self.settle(stage, settle(response.usage, response.stop_reason.as_str().to_owned(), Some(stored)))
                    .await?;
                Ok(Ok(response))
            }
            // The service had begun to work, or may have: it bills something we do not know, and the reservation stands.
            Err(LlmFailure { error, usage, .. }) if usage.tokens.total_input() > 0 || error.may_have_cost() => {
                record_failure(&span, &error);
                warn!(turn, duration_ms, "A call broke off; its reservation counts as spent");
                Ok(Err(error))
            }
            Err(LlmFailure { error, usage, .. }) => {
                record_failure(&span, &error);
                self.settle(stage, settle(usage, error.code().to_string(), None)).await?;
                Ok(Err(error))
            }
        }
    }

    async fn settle(&self, stage: &StageKey, record: CallRecord) -> Result<(), PipelineError> {
        tally::call_billed(&self.model.id, &record);
        self.journal.settle_call(&record).await?;
        (self.progress)(ProgressEvent::CallSettled { stage: stage.clone(), usage: record.usage, cost: record.cost });
        Ok(())
    }

    /// The input tokens of a request by the service's own count, or `otherwise` where it cannot count.
    pub(crate) async fn count_tokens(&self, request: &Request, otherwise: u64) -> Result<u64, PipelineError> {
        let span = info_span!(
            "count_tokens",
            otel.name = %format_args!("count_tokens {}", request.model),
            otel.kind = "client",
            gen_ai.operation.name = "count_tokens",
            gen_ai.provider.name = PROVIDER,
            gen_ai.request.model = %request.model,
        );
        match self.shared.model.count_tokens(request).instrument(span).await {
            Ok(tokens) => Ok(tokens),
            Err(error) if error.is_retryable() => Err(error.into()),
            Err(_) => Ok(otherwise),
        }
    }

    /// The request as the budget allows it, with its worst price: the answer is made shorter before it gives up.
    async fn afford(
        &self,
        stage: &StageKey,
        request: &Request,
        input_tokens: u64,
    ) -> Result<(Request, Cost), PipelineError> {
        let mut request = request.clone();
        let mut worst = self.model.worst_case_of(&request, input_tokens);
        let Some(limit) = self.spec.max_cost else { return Ok((request, worst)) };
        let left = limit - self.journal.spent().await?;
        while worst > left && request.max_tokens / 2 >= MIN_OUTPUT_TOKENS {
            request.max_tokens /= 2;
            worst = self.model.worst_case_of(&request, input_tokens);
        }
        if worst > left {
            return Err(PipelineError::Budget { stage: stage.clone(), needed: worst, left, limit });
        }
        Ok((request, worst))
    }
}

/// The span of one try, by OpenTelemetry's conventions for generative AI. What was said in it stays out of it.
fn chat_span(request: &Request, turn: u32) -> Span {
    info_span!(
        "chat",
        otel.name = %format_args!("chat {}", request.model),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = PROVIDER,
        gen_ai.request.model = %request.model,
        gen_ai.request.max_tokens = request.max_tokens,
        gen_ai.response.model = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        tinygen.cost_usd = Empty,
        error.type = Empty,
        turn,
    )
}

fn record_answer(span: &Span, response: &Response, cost: Cost) {
    let tokens = response.usage.tokens;
    span.record("gen_ai.response.model", &response.model);
    span.record("gen_ai.response.id", &response.id);
    span.record("gen_ai.response.finish_reasons", response.stop_reason.as_str());
    // By the conventions, with the tokens from the cache and those that went into it.
    span.record("gen_ai.usage.input_tokens", tokens.total_input());
    span.record("gen_ai.usage.cache_read.input_tokens", tokens.cache_read_tokens);
    span.record("gen_ai.usage.cache_creation.input_tokens", tokens.cache_creation_tokens);
    span.record("gen_ai.usage.output_tokens", tokens.output_tokens);
    span.record("tinygen.cost_usd", cost.as_usd());
}

fn record_failure(span: &Span, error: &LlmError) {
    span.record("error.type", error.code().as_str());
    span.record("otel.status_code", "ERROR");
}
