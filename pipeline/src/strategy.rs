//! How the repository is shown to the model: one file per strategy.

mod sheet;

use domain::{JobResult, Strategy};

use crate::error::PipelineError;
use crate::run::Run;

/// Runs a job by its strategy.
pub(crate) async fn run(run: &Run) -> Result<JobResult, PipelineError> {
    match run.spec.strategy.unwrap_or(Strategy::Sheet) {
        Strategy::Sheet => sheet::run(run).await,
    }
}
