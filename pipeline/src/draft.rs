//! A set of edits, and the diff it makes: with its proof and its machine checks.

use domain::Edit;
use serde::{Deserialize, Serialize};

use crate::checks::{self, Report};
use crate::edits::{EditedTree, Patch};
use crate::error::PipelineError;
use crate::run::Run;
use crate::tool_call::{NoChange, SubmitPlan};

/// Output of a stage that edits: replaying `edits` on the tree the stage began with gives the tree it ended with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EditSet {
    pub(crate) edits: Vec<Edit>,
    pub(crate) summary: String,
    pub(crate) commit_message: String,
    /// The claim that nothing needs to change, with a quote that is really there; there are no edits then.
    #[serde(default)]
    pub(crate) no_change: Option<NoChange>,
}

impl EditSet {
    /// Both sets of edits, one after the other; the later one describes the whole.
    pub(crate) fn followed_by(&self, later: Self) -> Self {
        let describe = |earlier: &String, later: String| if later.is_empty() { earlier.clone() } else { later };
        Self {
            edits: [self.edits.clone(), later.edits].concat(),
            summary: describe(&self.summary, later.summary),
            commit_message: describe(&self.commit_message, later.commit_message),
            no_change: None,
        }
    }
}

/// A set of edits, carried out and checked.
pub(crate) struct Draft {
    pub(crate) edits: EditSet,
    pub(crate) tree: EditedTree,
    pub(crate) patch: Patch,
    pub(crate) report: Report,
}

impl Draft {
    /// Carries the edits out on the base and checks the outcome. Deterministic: a resumed job gets the same draft.
    #[tracing::instrument(name = "draft", skip_all)]
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
}
