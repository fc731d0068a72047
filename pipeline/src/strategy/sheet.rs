//! The whole repository at once: plan → edit → machine checks → fresh review → at most one repair.

use domain::{JobResult, StageKind};

use crate::draft::Draft;
use crate::error::PipelineError;
use crate::result;
use crate::run::Run;
use crate::stage::plan::Plan;
use crate::stage::{edit, plan, repair, review, sheet};

pub(crate) async fn run(run: &Run) -> Result<JobResult, PipelineError> {
    let sheet = run.stage(StageKind::Sheet, |_| sheet::build(run)).await?;
    let plan = match run.stage(StageKind::Plan, |key| plan::ask(run, key, &sheet)).await? {
        Plan::Change(plan) => plan,
        Plan::NoChange(claim) => return Ok(result::unchanged(&run.snapshot, claim)),
    };
    let edits = run.stage(StageKind::Edit, |key| edit::ask(run, key, &sheet, &plan)).await?;
    if let Some(claim) = edits.no_change {
        return Ok(result::unchanged(&run.snapshot, claim));
    }
    let draft = Draft::make(run, edits, &plan).await?;
    let review = run.stage(StageKind::Review, |key| review::ask(run, key, &sheet, &plan, &draft)).await?;
    if draft.report.problems.is_empty() && !review.wants_repair() {
        return result::changed(draft, &review);
    }

    let mended = run.stage(StageKind::Repair, |key| repair::ask(run, key, &sheet, &plan, &draft, &review)).await?;
    let revised = Draft::make(run, draft.edits.followed_by(mended), &plan).await?;
    if !revised.replaces(&draft) {
        return result::changed(draft, &review);
    }
    let second = run.stage(StageKind::Confirm, |key| review::ask(run, key, &sheet, &plan, &revised)).await?;
    result::changed(revised, &second)
}
