//! Stage `sheet`: builds the document of the repository, and refuses one that does not fit the model.

use domain::{StageKey, StageKind};
use serde_json::json;
use tracing::info;

use crate::conversation::Conversation;
use crate::error::PipelineError;
use crate::run::Run;
use crate::sheet::Sheet;
use crate::template::{Template, render};

/// Room for the texts of the passes and the conversation, in tokens.
const OVERHEAD_TOKENS: u64 = 20_000;

pub(crate) async fn build(run: &Run) -> Result<Sheet, PipelineError> {
    let (snapshot, shared) = (run.snapshot.clone(), run.shared.clone());
    let calibration = shared.calibration(&run.model.id);
    let sheet = run.blocking(move || Sheet::build(&snapshot, &shared.config.sheet, &calibration)).await??;
    let limit = limit_tokens(run);
    let is_close = sheet.tokens_at_most > limit && sheet.tokens <= limit + limit / 5;
    let tokens = if is_close { count(run, &sheet).await? } else { sheet.tokens };
    if tokens > limit {
        return Err(PipelineError::ContextTooLarge { tokens, limit });
    }
    info!(files = sheet.files, shown = sheet.shown, tokens, "Built the sheet");
    Ok(sheet)
}

/// The largest sheet that leaves room for an answer.
fn limit_tokens(run: &Run) -> u64 {
    let answer = u64::from(run.shared.config.max_output_tokens.min(run.model.max_output_tokens));
    let room = run.model.context_window_tokens.saturating_sub(answer + OVERHEAD_TOKENS);
    room.min(run.shared.config.max_sheet_tokens)
}

/// The service's own count, where the estimate is too near the limit to decide; the estimate when it cannot count.
async fn count(run: &Run, sheet: &Sheet) -> Result<u64, PipelineError> {
    let text = render(Template::Plan, json!({"task": run.spec.prompt}));
    let conversation = Conversation::open(run, StageKey::from(StageKind::Sheet), "submit_plan", sheet, &text);
    run.count_tokens(conversation.request(), sheet.tokens).await
}
