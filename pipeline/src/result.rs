//! The end of a job: what becomes of a reviewed draft, or of the claim that nothing needs to change.

use domain::{Flag, FlagKind, JobResult, Outcome, RepoPath};

use crate::draft::Draft;
use crate::edits::Patch;
use crate::error::PipelineError;
use crate::repo::Snapshot;
use crate::stage::review::Review;
use crate::tool_call::{self, NoChange};

/// The result of a job with a diff, unless the diff must not go out.
pub(crate) fn changed(draft: Draft, review: &Review) -> Result<JobResult, PipelineError> {
    if draft.report.has_blocking() {
        return Err(PipelineError::DiffRejected(draft.report.to_string().trim_end().to_owned()));
    }
    let verified = review.is_approval() && draft.report.problems.is_empty();
    let flags = flags(&draft, review);
    Ok(JobResult {
        outcome: Outcome::Changed,
        diff: draft.patch.diff,
        receipt: draft.patch.receipt,
        files: draft.patch.files,
        summary: draft.edits.summary,
        suggested_commit_message: draft.edits.commit_message,
        flags,
        verified,
    })
}

/// The result of a job that found nothing to change: an empty diff, and its claim as the summary.
pub(crate) fn unchanged(base: &Snapshot, claim: NoChange) -> JobResult {
    JobResult {
        outcome: Outcome::NoChangeNeeded,
        diff: Vec::new(),
        receipt: Patch::empty(base).receipt,
        files: Vec::new(),
        summary: claim.reason,
        suggested_commit_message: String::new(),
        flags: Vec::new(),
        verified: false,
    }
}

/// What a person should look at: what the checks flag, what they hold against the diff, and what the review does.
fn flags(draft: &Draft, review: &Review) -> Vec<Flag> {
    let mut flags = draft.report.clone().into_flags();
    let first_path = draft.patch.files.first().map(|file| file.path.clone());
    let flag = |path: Option<RepoPath>, note: String| {
        path.or_else(|| first_path.clone()).map(|path| Flag { kind: FlagKind::ReviewFinding, path, line: None, note })
    };
    flags.extend(review.findings.iter().filter_map(|finding| {
        let note = format!("{} Fails: {}", finding.claim, finding.failing_case);
        flag(tool_call::path(&finding.path).ok(), note)
    }));
    flags.extend(review.unmet_acceptance.iter().filter_map(|item| flag(None, format!("Not met: {item}"))));
    flags
}
