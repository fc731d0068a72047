//! Quotes: a claim about the repository counts only when the lines it rests on are there.

use crate::error::PipelineError;
use crate::run::Run;
use crate::text::FileText;
use crate::tool_call;

/// Whether the lines are in the file, exactly, as the model is shown it.
pub(crate) async fn is_quote(run: &Run, path: &str, quote: &str) -> Result<bool, PipelineError> {
    let quote = quote.trim_matches('\n').to_owned();
    let Ok(path) = tool_call::path(path) else { return Ok(false) };
    let Some(entry) = run.snapshot.entries().get(&path).copied() else { return Ok(false) };
    if quote.trim().is_empty() || !entry.mode.is_file() {
        return Ok(false);
    }
    let snapshot = run.snapshot.clone();
    let is_there = move || {
        let bytes = snapshot.read(entry.oid).ok()?;
        FileText::decode(&bytes).ok().map(|text| text.shown().contains(&quote))
    };
    Ok(run.blocking(is_there).await?.unwrap_or(false))
}
