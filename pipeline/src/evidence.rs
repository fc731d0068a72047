//! Quotes: a claim about the repository counts only when the lines it rests on are there.

use serde_json::json;

use crate::error::PipelineError;
use crate::run::Run;
use crate::template::{Template, render};
use crate::text::FileText;
use crate::tool_call::{self, NoChange};

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

/// What a pass makes of claims that nothing needs to change. A person asked for a change and expects a difference: the
/// first claim is doubted even when its quote is there.
#[derive(Default)]
pub(crate) struct Doubt {
    is_told: bool,
}

impl Doubt {
    /// Weighs a claim: nothing when it is accepted, otherwise what to say to it.
    pub(crate) async fn weigh(&mut self, run: &Run, claim: &NoChange) -> Result<Option<String>, PipelineError> {
        if !is_quote(run, &claim.evidence_path, &claim.evidence_quote).await? {
            return Ok(Some(render(Template::QuoteMissing, json!({"path": claim.evidence_path}))));
        }
        if self.is_told {
            return Ok(None);
        }
        self.is_told = true;
        Ok(Some(render(Template::ChallengeNoChange, ())))
    }
}
