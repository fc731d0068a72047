//! A diff with its proof and its machine checks, and how it becomes the job's result.

use domain::{FileChange, Flag, FlagKind, JobResult, Outcome, RepoPath};

use crate::checks::{self, Report};
use crate::edits::{EditedTree, Patch};
use crate::error::PipelineError;
use crate::run::Run;
use crate::stage::edit::EditSet;
use crate::stage::review::Review;
use crate::tool_call::{self, NoChange, SubmitPlan};

/// A set of edits, carried out and checked.
pub(crate) struct Draft {
    pub(crate) edits: EditSet,
    pub(crate) tree: EditedTree,
    pub(crate) patch: Patch,
    pub(crate) report: Report,
}

impl Draft {
    /// Carries the edits out on the base and checks the outcome. Deterministic: a resumed job gets the same draft.
    pub(crate) async fn make(run: &Run, edits: EditSet, plan: &SubmitPlan) -> Result<Self, PipelineError> {
        let (snapshot, planned, prompt) = (run.snapshot.clone(), plan.paths(), run.spec.prompt.clone());
        run.blocking(move || {
            let tree = EditedTree::replay(snapshot, &edits.edits)?;
            let patch = tree.finish()?;
            let report = checks::run(&tree.changes(), &planned, &prompt);
            Ok(Self { edits, tree, patch, report })
        })
        .await?
    }

    /// Whether this draft takes the place of an earlier one: it differs, and the machine checks are not worse.
    pub(crate) fn replaces(&self, earlier: &Self) -> bool {
        self.patch.diff != earlier.patch.diff
            && !self.patch.diff.is_empty()
            && !self.report.is_worse_than(&earlier.report)
    }

    /// The diff as a model reads it.
    pub(crate) fn shown_diff(&self) -> String {
        String::from_utf8_lossy(&self.patch.diff).into_owned()
    }

    /// The job's result, unless the diff must not go out.
    pub(crate) fn conclude(self, review: &Review) -> Result<JobResult, PipelineError> {
        if self.report.has_blocking() {
            return Err(PipelineError::DiffRejected(self.report.to_string().trim_end().to_owned()));
        }
        let verified = review.is_approval() && self.report.problems.is_empty();
        let flags = self.flags(review);
        Ok(JobResult {
            outcome: Outcome::Changed,
            diff: self.patch.diff,
            receipt: self.patch.receipt,
            files: self.patch.files,
            summary: self.edits.summary,
            suggested_commit_message: self.edits.commit_message,
            flags,
            verified,
        })
    }

    /// What a person should look at: what the checks flag, what they hold against the diff, and what the review does.
    fn flags(&self, review: &Review) -> Vec<Flag> {
        let mut flags = self.report.clone().into_flags();
        for finding in &review.findings {
            let path = tool_call::path(&finding.path).ok().or_else(|| self.some_path());
            let note = format!("{} Fails: {}", finding.claim, finding.failing_case);
            flags.extend(path.map(|path| Flag { kind: FlagKind::ReviewFinding, path, line: None, note }));
        }
        for item in &review.unmet_acceptance {
            let note = format!("Not met: {item}");
            flags.extend(self.some_path().map(|path| Flag { kind: FlagKind::ReviewFinding, path, line: None, note }));
        }
        flags
    }

    fn some_path(&self) -> Option<RepoPath> {
        self.patch.files.first().map(|file: &FileChange| file.path.clone())
    }
}

impl Run {
    /// The result of a job that found nothing to change: an empty diff, and its claim as the summary.
    pub(crate) fn unchanged(&self, claim: NoChange) -> JobResult {
        JobResult {
            outcome: Outcome::NoChangeNeeded,
            diff: Vec::new(),
            receipt: Patch::empty(&self.snapshot).receipt,
            files: Vec::new(),
            summary: claim.reason,
            suggested_commit_message: String::new(),
            flags: Vec::new(),
            verified: false,
        }
    }
}
