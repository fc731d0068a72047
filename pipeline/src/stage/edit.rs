//! Stage `edit`: the model makes the edits, each matched and applied as it comes, and hears what did not fit.

use std::collections::BTreeSet;

use domain::{Edit, RepoPath, StageKey};
use serde_json::json;

use crate::conversation::{Conversation, ToolResult, Turn};
use crate::draft::EditSet;
use crate::edits::EditedTree;
use crate::error::PipelineError;
use crate::evidence;
use crate::focus;
use crate::run::Run;
use crate::sheet::Sheet;
use crate::template::{Template, render};
use crate::tool_call::{SubmitEdits, SubmitPlan, ToolCall};

const ENDS_WITH: &str = "`submit_edits`";

pub(crate) async fn ask(run: &Run, key: StageKey, sheet: &Sheet, plan: &SubmitPlan) -> Result<EditSet, PipelineError> {
    let tree = EditedTree::new(run.snapshot.clone());
    let focus = focus::planned(&tree, sheet, &plan.relevant_paths());
    let text = render(Template::Edit, json!({"task": run.spec.prompt, "plan": plan.text(), "focus": focus.text}));
    let conversation = Conversation::open(run, key, ENDS_WITH, sheet, &text);
    let pass = EditPass::new(run, tree, sheet, focus.paths);
    let set = pass.carry_out(conversation, NoEdits::NeedAReason).await?;
    Ok(set)
}

/// Whether a pass may end without any edit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoEdits {
    /// Only with a claim that nothing needs to change.
    NeedAReason,
    /// A repair may find every finding mistaken.
    AreFine,
}

/// A pass that edits, while it runs.
pub(crate) struct EditPass<'a> {
    run: &'a Run,
    sheet: &'a Sheet,
    /// Files that the sheet leaves out but the pass shows.
    shown: BTreeSet<RepoPath>,
    tree: EditedTree,
    set: EditSet,
    challenged: bool,
}

impl<'a> EditPass<'a> {
    pub(crate) fn new(run: &'a Run, tree: EditedTree, sheet: &'a Sheet, shown: Vec<RepoPath>) -> Self {
        let shown = shown.into_iter().collect();
        Self { run, sheet, shown, tree, set: EditSet::default(), challenged: false }
    }

    /// Goes through the turns until the model submits its edits. A model that falls silent after making edits is taken at
    /// its edits: the checks and the review judge them.
    pub(crate) async fn carry_out(
        mut self,
        mut conversation: Conversation<'_>,
        no_edits: NoEdits,
    ) -> Result<EditSet, PipelineError> {
        while let Some(turn) = conversation.next().await? {
            let (mut results, applied, failed) = self.apply(&conversation, &turn).await?;
            for (call, result) in turn.calls.iter().zip(&mut results) {
                match &call.call {
                    Ok(ToolCall::SubmitEdits(end)) => match self.end(end, failed, no_edits) {
                        Ok(set) if !turn.is_cut => return Ok(set),
                        Ok(_) => {}
                        Err(text) => *result = Some(ToolResult::error(call, text)),
                    },
                    Ok(ToolCall::NoChange(claim)) if self.tree.changes().is_empty() => {
                        let (path, quote) = (&claim.evidence_path, &claim.evidence_quote);
                        let is_proved = evidence::is_quote(self.run, path, quote).await?;
                        if is_proved && self.challenged {
                            return Ok(EditSet { no_change: Some(claim.clone()), ..EditSet::default() });
                        }
                        self.challenged |= is_proved;
                        *result = Some(ToolResult::error(call, claim.doubt(is_proved)));
                    }
                    _ => {}
                }
            }
            let results = turn.calls.iter().zip(results);
            let results = results.map(|(call, result)| result.unwrap_or_else(|| conversation.reject(call))).collect();
            let after_cut = turn.is_cut.then(|| render(Template::ContinueAfterCut, json!({"applied": applied})));
            conversation.answer(results, after_cut);
        }
        if self.tree.changes().is_empty() && no_edits == NoEdits::NeedAReason {
            return Err(conversation.unusable("the model made no edit that could be applied"));
        }
        Ok(self.set)
    }

    /// Applies the edits of a turn in their order. Gives a result for each call that is an edit, and how many were applied
    /// and how many were not.
    async fn apply(
        &mut self,
        conversation: &Conversation<'_>,
        turn: &Turn,
    ) -> Result<(Vec<Option<ToolResult>>, usize, usize), PipelineError> {
        let of = turn.calls.iter().filter(|call| matches!(call.call, Ok(ToolCall::Edit(_)) | Err(_))).count();
        let (mut results, mut applied, mut failed) = (Vec::new(), 0, 0);
        for call in &turn.calls {
            let result = match &call.call {
                Err(_) => {
                    failed += 1;
                    Some(conversation.reject(call))
                }
                Ok(ToolCall::Edit(edit)) => {
                    Some(match self.apply_one(edit.clone(), applied + failed + 1, of).await? {
                        Ok(text) => {
                            applied += 1;
                            ToolResult::ok(call, text)
                        }
                        Err(text) => {
                            failed += 1;
                            ToolResult::error(call, text)
                        }
                    })
                }
                Ok(_) => None,
            };
            results.push(result);
        }
        Ok((results, applied, failed))
    }

    /// Applies one edit; the text for the model, either way.
    async fn apply_one(
        &mut self,
        edit: Edit,
        position: usize,
        of: usize,
    ) -> Result<Result<String, String>, PipelineError> {
        if let Some(text) = self.refuse_unseen(&edit) {
            return Ok(Err(text));
        }
        let mut tree = self.tree.clone();
        let (tree, edit, outcome) = self
            .run
            .blocking(move || {
                let outcome = tree.apply(&edit);
                (tree, edit, outcome)
            })
            .await?;
        match outcome {
            Ok(applied) => {
                self.tree = tree;
                self.set.edits.push(edit);
                Ok(Ok(applied.to_string()))
            }
            Err(error) => Ok(Err(error.numbered(position, of).to_string())),
        }
    }

    /// An edit of a file that the model has not seen would be a guess; one whose name says that it holds secrets is never
    /// touched, because the diff would show it.
    fn refuse_unseen(&self, edit: &Edit) -> Option<String> {
        let (path, needs_content) = match edit {
            Edit::Replace { path, .. } | Edit::Write { path, .. } => (path, true),
            Edit::Delete { path } | Edit::Move { from: path, .. } => (path, false),
        };
        let withheld = self.sheet.withheld.get(path)?;
        let is_refused = withheld.is_secret || needs_content && !self.shown.contains(path);
        is_refused.then(|| render(Template::UnseenFile, json!({"path": path, "class": withheld.class})))
    }

    /// Ends the pass, unless something is missing: then the text that says what.
    fn end(&mut self, end: &SubmitEdits, failed: usize, no_edits: NoEdits) -> Result<EditSet, String> {
        if failed > 0 {
            return Err(render(Template::EditsIncomplete, json!({"failed": failed})));
        }
        if self.tree.changes().is_empty() && no_edits == NoEdits::NeedAReason {
            return Err(render(Template::NoEdits, ()));
        }
        let mut set = self.set.clone();
        set.summary.clone_from(&end.summary);
        set.commit_message.clone_from(&end.commit_message);
        Ok(set)
    }
}
