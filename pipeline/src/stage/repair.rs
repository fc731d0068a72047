//! Stage `repair`: the model mends what the machine checks and the review found, once.

use domain::StageKey;
use serde_json::json;

use crate::conversation::Conversation;
use crate::draft::{Draft, EditSet};
use crate::error::PipelineError;
use crate::focus;
use crate::run::Run;
use crate::sheet::Sheet;
use crate::stage::edit::{EditPass, NoEdits};
use crate::stage::review::Review;
use crate::template::{Template, render};
use crate::tool_call::SubmitPlan;

pub(crate) async fn ask(
    run: &Run,
    key: StageKey,
    sheet: &Sheet,
    plan: &SubmitPlan,
    draft: &Draft,
    review: &Review,
) -> Result<EditSet, PipelineError> {
    let after = focus::touched(&draft.tree, sheet);
    let text = render(
        Template::Repair,
        json!({
            "task": run.spec.prompt,
            "plan": plan.text(),
            "boundary": sheet.boundary,
            "diff": draft.shown_diff(),
            "after": after.text,
            "checks": draft.report.to_string(),
            "findings": review.findings,
            "unmet_acceptance": review.unmet_acceptance,
        }),
    );
    let conversation = Conversation::open(run, key, "`submit_edits`", sheet, &text);
    EditPass::new(run, draft.tree.clone(), sheet, after.paths).carry_out(conversation, NoEdits::AreFine).await
}
