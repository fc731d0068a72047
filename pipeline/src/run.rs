//! The context of one job, and the function that makes a job durable: [`Run::stage`].

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use domain::{CommitId, JobSpec, StageKey, StageKind, StageRecord};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, info, info_span};

use crate::error::PipelineError;
use crate::journal::Journal;
use crate::llm::ModelInfo;
use crate::progress::{Progress, ProgressEvent};
use crate::repo::Snapshot;
use crate::shared::Shared;
use crate::tally;

/// One job while it is worked on.
pub(crate) struct Run {
    pub(crate) shared: Arc<Shared>,
    pub(crate) spec: JobSpec,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) progress: Progress,
    /// The model the job uses, in every pass: another one would not find the cached prefix.
    pub(crate) model: ModelInfo,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// Output of the stage `snapshot`: every later attempt works on this commit, wherever the branch goes meanwhile.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pinned {
    commit: CommitId,
    tree: String,
    files: usize,
}

impl Run {
    /// Checks the model, then fetches the repository: at the commit of an earlier attempt, if there was one.
    pub(crate) async fn start(
        shared: Arc<Shared>,
        spec: &JobSpec,
        journal: Arc<dyn Journal>,
        progress: Progress,
    ) -> Result<Self, PipelineError> {
        let name = spec.model.as_deref().unwrap_or(&shared.config.model);
        let model = shared.model.info(name).await?;
        if let Some(effort) = spec.effort.filter(|effort| !model.efforts.contains(effort)) {
            let supported = model.efforts.iter().map(|effort| effort.as_str()).collect::<Vec<_>>().join(", ");
            return Err(PipelineError::UnsupportedEffort { model: model.id, effort, supported });
        }

        let fetch = fetch(&shared, spec, journal.as_ref(), &progress);
        let snapshot = in_stage_span(StageKind::Snapshot, fetch).await?;
        let snapshot = limit(snapshot, spec)?;
        Ok(Self { shared, spec: spec.clone(), journal, progress, model, snapshot: Arc::new(snapshot) })
    }

    /// Loads the stage's stored output, or does the work and stores what it made.
    ///
    /// This is the durability of the whole system: a job that starts again passes through here and finds all that was
    /// finished before.
    pub(crate) async fn stage<T, F>(
        &self,
        kind: StageKind,
        work: impl FnOnce(StageKey) -> F,
    ) -> Result<T, PipelineError>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, PipelineError>>,
    {
        in_stage_span(kind, self.load_or_work(StageKey::from(kind), work)).await
    }

    async fn load_or_work<T, F>(&self, key: StageKey, work: impl FnOnce(StageKey) -> F) -> Result<T, PipelineError>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, PipelineError>>,
    {
        if let Some(output) = load(self.journal.as_ref(), &key).await? {
            Span::current().record("stage.resumed", true);
            tally::stage_resumed(key.kind);
            debug!("Found the stage's output in the journal");
            (self.progress)(ProgressEvent::StageFinished { key, resumed: true });
            return Ok(output);
        }
        let begun = Instant::now();
        self.journal.start_stage(&key).await?;
        (self.progress)(ProgressEvent::StageStarted { key: key.clone() });
        let output = match work(key.clone()).await {
            Ok(output) => output,
            Err(error @ PipelineError::ModelOutput { .. }) => {
                // The same answers would come to nothing again.
                self.journal.forget_answers(&key).await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        save(self.journal.as_ref(), &key, &output).await?;
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tally::stage_succeeded(key.kind, begun.elapsed());
        info!(duration_ms, "Finished the stage");
        (self.progress)(ProgressEvent::StageFinished { key, resumed: false });
        Ok(output)
    }

    /// Runs work that blocks, Git and parsing, off the async threads. A panic in it is an error of the job.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PipelineError> {
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(PipelineError::Panicked)
    }
}

/// The stage `snapshot`: the repository at the commit of an earlier attempt, or else at the one that is asked for.
async fn fetch(
    shared: &Shared,
    spec: &JobSpec,
    journal: &dyn Journal,
    progress: &Progress,
) -> Result<Snapshot, PipelineError> {
    let key = StageKey::from(StageKind::Snapshot);
    let begun = Instant::now();
    journal.start_stage(&key).await?;
    progress(ProgressEvent::StageStarted { key: key.clone() });
    let pinned: Option<Pinned> = load(journal, &key).await?;
    let commit = pinned.as_ref().map(|pinned| &pinned.commit);
    let snapshot = shared.fetcher.fetch(&spec.repo_url, spec.git_ref.as_ref(), commit).await?;
    let files = snapshot.entries().len();
    if pinned.is_none() {
        let output = Pinned { commit: snapshot.commit().clone(), tree: snapshot.tree().to_string(), files };
        save(journal, &key, &output).await?;
    }
    Span::current().record("stage.resumed", pinned.is_some());
    if pinned.is_some() {
        tally::stage_resumed(key.kind);
    }
    tally::stage_succeeded(key.kind, begun.elapsed());
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    info!(repo.commit = %snapshot.commit(), files, duration_ms, "Fetched the repository");
    progress(ProgressEvent::StageFinished { key, resumed: pinned.is_some() });
    Ok(snapshot)
}

/// Everything that is done for a stage, its loading and saving included, is below one span.
async fn in_stage_span<T>(
    kind: StageKind,
    work: impl Future<Output = Result<T, PipelineError>>,
) -> Result<T, PipelineError> {
    let span = info_span!(
        "stage",
        otel.name = %format_args!("stage {kind}"),
        otel.status_code = Empty,
        stage.kind = %kind,
        stage.resumed = Empty,
        error.type = Empty,
    );
    let begun = Instant::now();
    let outcome = work.instrument(span.clone()).await;
    if let Err(error) = &outcome {
        tally::stage_failed(kind, begun.elapsed());
        span.record("error.type", error.code().as_str());
        span.record("otel.status_code", "ERROR");
    }
    outcome
}

/// The snapshot as the job may see it. A job that may see nothing of a repository with files is a mistake, and not worth a
/// question to the model.
fn limit(snapshot: Snapshot, spec: &JobSpec) -> Result<Snapshot, PipelineError> {
    let filter = spec.path_filter();
    if filter.is_open() {
        return Ok(snapshot);
    }
    let snapshot = snapshot.limited_to(filter);
    let hidden = snapshot.hidden().len();
    if snapshot.entries().is_empty() && hidden > 0 {
        return Err(PipelineError::NoMatchingPaths { files: hidden });
    }
    info!(files = snapshot.entries().len(), hidden, "Limited the job to its paths");
    Ok(snapshot)
}

async fn load<T: DeserializeOwned>(journal: &dyn Journal, key: &StageKey) -> Result<Option<T>, PipelineError> {
    let Some(record) = journal.load_stage(key).await? else { return Ok(None) };
    let output = serde_json::from_value(record.output);
    output.map(Some).map_err(|source| PipelineError::Stored { stage: key.clone(), source })
}

async fn save<T: Serialize>(journal: &dyn Journal, key: &StageKey, output: &T) -> Result<(), PipelineError> {
    let output = serde_json::to_value(output).map_err(|source| PipelineError::Stored { stage: key.clone(), source })?;
    Ok(journal.save_stage(&StageRecord { key: key.clone(), output }).await?)
}
