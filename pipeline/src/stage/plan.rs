//! Stage `plan`: the model maps the repository and decides where to change; we check what it rests on.

use domain::{RepoPath, StageKey};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::conversation::{Conversation, ToolResult};
use crate::error::PipelineError;
use crate::evidence::{self, Doubt};
use crate::run::Run;
use crate::sheet::Sheet;
use crate::template::{Template, render};
use crate::tool_call::{self, NoChange, PlannedAction, SubmitPlan, ToolCall};

/// How often a plan that misses the repository is sent back.
const MAX_RETURNS: usize = 2;

/// Output of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Plan {
    /// What to change.
    Change(SubmitPlan),
    /// Nothing needs to change, with a quote that is really there.
    NoChange(NoChange),
}

/// What is wrong with a plan, for the template that tells the model.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Miss {
    NoFiles,
    BadPath { reason: String },
    UnknownPath { path: String },
    Exists { path: String },
    Outside { path: String },
    Quote { path: String, quote: String },
}

pub(crate) async fn ask(run: &Run, key: StageKey, sheet: &Sheet) -> Result<Plan, PipelineError> {
    let text = render(Template::Plan, json!({"task": run.spec.prompt}));
    let mut conversation = Conversation::open(run, key, "`submit_plan` or `no_change`", sheet, &text);
    let (mut returns, mut doubt) = (0, Doubt::default());
    while let Some(turn) = conversation.next().await? {
        let mut results = Vec::new();
        for call in &turn.calls {
            let result = match &call.call {
                Ok(ToolCall::SubmitPlan(plan)) => {
                    let misses = misses(run, plan).await?;
                    if misses.is_empty() {
                        return Ok(Plan::Change(plan.clone()));
                    }
                    if returns >= MAX_RETURNS {
                        return salvage(&conversation, plan, &misses);
                    }
                    returns += 1;
                    ToolResult::error(call, render(Template::PlanMisses, json!({"misses": misses})))
                }
                Ok(ToolCall::NoChange(claim)) => match doubt.weigh(run, claim).await? {
                    None => return Ok(Plan::NoChange(claim.clone())),
                    Some(text) => ToolResult::error(call, text),
                },
                _ => conversation.reject(call),
            };
            results.push(result);
        }
        conversation.answer(results, None);
    }
    Err(conversation.unusable("the model did not submit a plan"))
}

/// A plan whose files are right is used without the quotes that are not there; any other is not.
fn salvage(conversation: &Conversation<'_>, plan: &SubmitPlan, misses: &[Miss]) -> Result<Plan, PipelineError> {
    if misses.iter().any(|miss| !matches!(miss, Miss::Quote { .. })) {
        return Err(conversation.unusable("the model's plan does not fit the repository"));
    }
    let mut plan = plan.clone();
    plan.evidence.retain(|evidence| {
        !misses.iter().any(|miss| matches!(miss, Miss::Quote { quote, .. } if *quote == evidence.quote))
    });
    Ok(Plan::Change(plan))
}

async fn misses(run: &Run, plan: &SubmitPlan) -> Result<Vec<Miss>, PipelineError> {
    let mut misses = Vec::new();
    if plan.files.is_empty() {
        misses.push(Miss::NoFiles);
    }
    for file in &plan.files {
        let path = match tool_call::path(&file.path) {
            Ok(path) => path,
            Err(reason) => {
                misses.push(Miss::BadPath { reason });
                continue;
            }
        };
        let exists = run.snapshot.entries().contains_key(&path);
        let new_path = Some(file.new_path.as_str()).filter(|_| file.action == PlannedAction::Move);
        let new_path = new_path.and_then(|path| tool_call::path(path).ok());
        if let Some(path) =
            [Some(&path), new_path.as_ref()].into_iter().flatten().find(|path| !run.snapshot.allows(path))
        {
            misses.push(Miss::Outside { path: path.to_string() });
            continue;
        }
        match file.action {
            PlannedAction::Create if exists => misses.push(Miss::Exists { path: path.to_string() }),
            PlannedAction::Edit | PlannedAction::Delete | PlannedAction::Move if !exists => {
                misses.push(Miss::UnknownPath { path: path.to_string() });
            }
            _ => {}
        }
    }
    for evidence in &plan.evidence {
        if !evidence::is_quote(run, &evidence.path, &evidence.quote).await? {
            misses.push(Miss::Quote { path: evidence.path.clone(), quote: evidence.quote.clone() });
        }
    }
    Ok(misses)
}

impl SubmitPlan {
    /// The files that the plan says will differ.
    pub(crate) fn paths(&self) -> Vec<RepoPath> {
        let named = self.files.iter().flat_map(|file| [file.path.as_str(), file.new_path.as_str()]);
        named.filter_map(|path| tool_call::path(path).ok()).collect()
    }

    /// The files that someone who carries the plan out has to see.
    pub(crate) fn relevant_paths(&self) -> Vec<RepoPath> {
        let mut paths = self.paths();
        paths.extend(self.context_files.iter().filter_map(|path| tool_call::path(path).ok()));
        paths.dedup();
        paths
    }

    /// The plan as later passes read it.
    pub(crate) fn text(&self) -> String {
        render(Template::PlanText, self)
    }
}
