//! Stage `edit`: the model makes the edits, each matched and applied as it comes, and hears what did not fit.

use std::collections::BTreeSet;

use domain::{Edit, RepoPath, StageKey};
use serde_json::json;

use crate::conversation::{Conversation, ToolResult, Turn};
use crate::draft::EditSet;
use crate::edits::EditedTree;
use crate::error::PipelineError;
use crate::evidence::Doubt;
use crate::focus;
use crate::run::Run;
use crate::sheet::Sheet;
use crate::template::{Template, render};
use crate::tool_call::{SubmitPlan, ToolCall, ToolUse};

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
    doubt: Doubt,
}

impl<'a> EditPass<'a> {
    pub(crate) fn new(run: &'a Run, tree: EditedTree, sheet: &'a Sheet, shown: Vec<RepoPath>) -> Self {
        let shown = shown.into_iter().collect();
        Self { run, sheet, shown, tree, set: EditSet::default(), doubt: Doubt::default() }
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
            let missing = failed + usize::from(turn.is_cut);
            for (call, result) in turn.calls.iter().zip(&mut results) {
                match self.try_to_end(call, missing, no_edits).await? {
                    Step::End(set) => return Ok(set),
                    Step::NotYet(text) => *result = Some(ToolResult::error(call, text)),
                    Step::NoEnd => {}
                }
            }
            let results = turn.calls.iter().zip(results);
            let results = results.map(|(call, result)| result.unwrap_or_else(|| conversation.reject(call))).collect();
            let after_cut = turn.is_cut.then(|| render(Template::ContinueAfterCut, json!({"applied": applied})));
            conversation.answer(results, after_cut);
        }
        if self.is_unchanged() && no_edits == NoEdits::NeedAReason {
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

    /// What a call means for the end of the pass, when `missing` edits of its turn were not applied.
    async fn try_to_end(&mut self, call: &ToolUse, missing: usize, no_edits: NoEdits) -> Result<Step, PipelineError> {
        match &call.call {
            Ok(ToolCall::SubmitEdits(_)) if missing > 0 => {
                Ok(Step::NotYet(render(Template::EditsIncomplete, json!({"failed": missing}))))
            }
            Ok(ToolCall::SubmitEdits(_)) if self.is_unchanged() && no_edits == NoEdits::NeedAReason => {
                Ok(Step::NotYet(render(Template::NoEdits, ())))
            }
            Ok(ToolCall::SubmitEdits(end)) => Ok(Step::End(EditSet {
                edits: self.set.edits.clone(),
                summary: end.summary.clone(),
                commit_message: end.commit_message.clone(),
                no_change: None,
            })),
            Ok(ToolCall::NoChange(claim)) if self.is_unchanged() => {
                Ok(match self.doubt.weigh(self.run, claim).await? {
                    None => Step::End(EditSet { no_change: Some(claim.clone()), ..EditSet::default() }),
                    Some(text) => Step::NotYet(text),
                })
            }
            _ => Ok(Step::NoEnd),
        }
    }

    fn is_unchanged(&self) -> bool {
        self.tree.changes().is_empty()
    }
}

/// What a call means for the end of a pass.
enum Step {
    /// The pass is over.
    End(EditSet),
    /// It wants to end the pass, but something is missing; what, in words for the model.
    NotYet(String),
    /// It does not end the pass.
    NoEnd,
}
