//! The façade: one job's specification in, its result out.

use std::sync::Arc;

use domain::{JobResult, JobSpec};

use crate::error::PipelineError;
use crate::journal::Journal;
use crate::llm::LanguageModel;
use crate::progress::Progress;
use crate::repo::Fetcher;
use crate::run::Run;
use crate::shared::{PipelineConfig, Shared};
use crate::strategy;

/// Turns jobs into diffs. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    shared: Arc<Shared>,
}

impl Pipeline {
    /// A pipeline that asks `model` and reads repositories through `fetcher`.
    pub fn new(model: Arc<dyn LanguageModel>, fetcher: Fetcher, config: PipelineConfig) -> Self {
        Self { shared: Arc::new(Shared::new(model, fetcher, config)) }
    }

    /// Runs a job to its result.
    ///
    /// What `journal` holds from an earlier attempt is used and not paid for again. Dropping the future stops the work
    /// at once and closes the stream to the model.
    ///
    /// # Errors
    /// [`PipelineError`]; what was finished before stays in the journal.
    pub async fn run(
        &self,
        spec: &JobSpec,
        journal: Arc<dyn Journal>,
        progress: Progress,
    ) -> Result<JobResult, PipelineError> {
        let run = Run::start(self.shared.clone(), spec, journal, progress).await?;
        strategy::run(&run).await
    }
}
