//! A job's life: accepted, claimed under a lease, worked on stage by stage, ended once.
//!
//! [`Jobs`] is the façade. The row is the truth: every write of a worker names the lease it holds and changes nothing
//! when that is not the newest any more, and each change of a job is one transaction together with the event that tells
//! of it. The bell only says to workers, and [`Watch`] to watchers, that looking may be worth while.

mod bell;
mod changes;
mod ended;
mod error;
mod event;
mod job;
mod key;
mod lease;
mod live;
mod quota;
mod stats;
mod store;
mod tally;
mod webhook;
mod workers;

use domain::{JobId, KeyId, StageKey};
use serde_json::Value;
use tracing::{Instrument, info_span};

use crate::bell::Bell;
use crate::changes::Changes;
use crate::store::Store;

pub use changes::{News, Watch};
pub use ended::EndedJob;
pub use error::StoreError;
pub use event::{EventKind, JobEvent, MAX_EVENTS, UnknownEventKind};
pub use job::{
    AttemptFailure, Cancellation, Idempotency, Job, JobPage, JobPlace, JobQuery, NewJob, Purge, Retrial, Retry,
    StageSummary, Submission, Swept,
};
pub use key::{ApiKey, Authentication, KeyDraft, KeyDraftError, KeyToken, NewKey};
pub use lease::{ClaimedJob, Heartbeat, Lease, Policy, Requeued, WorkerId};
pub use live::{LiveEvent, LiveNews};
pub use quota::{LimitOverrides, Limits, Quota, QuotaBound, QuotaExceeded};
pub use stats::{QueueState, QueueStats, USUAL_SLOTS, WebhookStats};
pub use webhook::{
    ClaimedDelivery, DEFAULT_WEBHOOK_EVENTS, Delivery, DeliveryAttempt, DeliveryEnd, DeliveryFilter, DeliveryId,
    DeliveryLease, DeliveryStatus, DisabledReason, Exchange, JobWebhook, MAX_WEBHOOKS, NewWebhook, Pace, Redelivery,
    Rotated, TEST_EVENT, UnknownDeliveryStatus, WEBHOOK_EVENTS, Webhook, WebhookChange, WebhookId, WebhookPolicy,
    WebhookSecret,
};

/// The jobs of one database. Cheap to clone; clones share their connections, their bell and their watchers.
#[derive(Debug, Clone)]
pub struct Jobs {
    store: Store,
    bell: Bell,
    changes: Changes,
    policy: Policy,
    webhook_policy: WebhookPolicy,
}

/// Opening.
impl Jobs {
    /// Connects to `sqlite:<file>`, made when absent, or `postgres://…`.
    ///
    /// # Errors
    /// [`StoreError::Address`] for anything else, [`StoreError::Unavailable`] when nobody answers there.
    pub async fn open(database_url: &str) -> Result<Self, StoreError> {
        let store = Store::open(database_url).await?;
        Ok(Self {
            store,
            bell: Bell::local(),
            changes: Changes::local(),
            policy: Policy::default(),
            webhook_policy: WebhookPolicy::default(),
        })
    }

    /// The same jobs with their bell in Redis (`redis://…`, or `rediss://…` for TLS), so that workers in other processes
    /// hear it, and with what is told to watchers going through it too. Connects when it first rings or waits: a Redis that
    /// is away only makes workers and watchers look by themselves.
    ///
    /// # Errors
    /// [`StoreError::RedisAddress`] when the address does not read.
    pub fn with_redis(self, redis_url: &str) -> Result<Self, StoreError> {
        let bell = Bell::redis(redis_url)?;
        let store = self.store.with_couriers_beside(&bell);
        Ok(Self { store, bell, changes: Changes::redis(redis_url)?, ..self })
    }

    /// The same jobs under other rules.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same jobs over one connection of its own, which the calling runtime serves: it works even while everything
    /// else on the other connections stands still. Must be called on a Tokio runtime.
    #[must_use]
    pub fn on_own_connection(&self) -> Self {
        let (store, bell, changes) = (self.store.on_own_connection(), self.bell.clone(), self.changes.clone());
        Self { store, bell, changes, ..*self }
    }

    /// Brings the tables up to date. Safe from several processes at once, and beside older and newer releases.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.store.migrate().await
    }

    /// Whether the tables are those of this release, or of a newer one.
    pub async fn is_migrated(&self) -> Result<bool, StoreError> {
        self.store.is_migrated().await
    }

    /// Lets every lease run out now, so that unfinished jobs are claimed at once and not after their lease. Only for a
    /// process that knows it is alone with its database. Gives how many leases there were.
    pub async fn expire_leases(&self) -> Result<u64, StoreError> {
        self.store.expire_leases().await
    }

    /// Whether Redis answers; absent when the bell is within this process. Takes a second at most.
    pub async fn redis_answers(&self) -> Option<bool> {
        self.bell.answers().await
    }

    /// The rules.
    pub fn policy(&self) -> Policy {
        self.policy
    }
}

/// For the ones who ask for jobs.
impl Jobs {
    /// Accepts a job. When this returns, the job is on the disk and will be worked on.
    ///
    /// # Errors
    /// [`StoreError::QuotaExceeded`] when it would be one too many; several processes cannot both take the last place.
    pub async fn submit(&self, job: impl Into<NewJob>) -> Result<Job, StoreError> {
        let id = JobId::new();
        let job = self.store.traced("submit", id, self.store.submit(id, job.into(), &self.policy)).await?;
        tally::job_created();
        self.ring_for_new(id).await;
        Ok(job)
    }

    /// Accepts a job under a name of its client's: the second time, also at the same moment in another process, it is the
    /// job that the first time made. A name is kept for a day.
    ///
    /// # Errors
    /// [`StoreError::Purged`] when that job has been forgotten.
    pub async fn submit_once(
        &self,
        job: impl Into<NewJob>,
        idempotency: &Idempotency,
    ) -> Result<Submission, StoreError> {
        let id = JobId::new();
        let submission = self.store.submit_once(id, job.into(), idempotency, &self.policy);
        let submission = self.store.traced("submit", id, submission).await?;
        if let Submission::Accepted(_) = submission {
            tally::job_created();
            self.ring_for_new(id).await;
        }
        Ok(submission)
    }

    /// The job as it stands.
    ///
    /// # Errors
    /// [`StoreError::Purged`] when it has been forgotten.
    pub async fn get(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.get_of(None, id).await
    }

    /// The job as it stands, if it is this owner's; without an owner, whoever's it is.
    ///
    /// # Errors
    /// [`StoreError::Purged`] when it has been forgotten.
    pub async fn get_of(&self, owner: Option<&str>, id: JobId) -> Result<Option<Job>, StoreError> {
        self.store.traced("get", id, self.store.get(owner, id, &self.policy)).await
    }

    /// The number of the job's last event: cheaper than the job. `None` when there is no such job.
    pub async fn version(&self, id: JobId) -> Result<Option<u64>, StoreError> {
        self.store.version(id).await
    }

    /// The jobs that fit, newest first, a page at a time.
    pub async fn list(&self, query: &JobQuery) -> Result<JobPage, StoreError> {
        self.store.list(query, &self.policy).await
    }

    /// The job's stages, in the order in which they began.
    pub async fn stages(&self, id: JobId) -> Result<Vec<StageSummary>, StoreError> {
        self.store.traced("stages", id, self.store.stages(id)).await
    }

    /// What a finished stage made.
    pub async fn stage_output(&self, id: JobId, key: &StageKey) -> Result<Option<Value>, StoreError> {
        Ok(self.store.traced("load_stage", id, self.store.load_stage(id, key)).await?.map(|record| record.output))
    }

    /// The diff of a job that succeeded.
    pub async fn diff(&self, id: JobId) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.traced("diff", id, self.store.diff(id)).await
    }

    /// What happened to the job after the event numbered `after_seq` (0: from the start), in order. At most
    /// [`MAX_EVENTS`]: who gets that many asks again after the last one.
    pub async fn events(&self, id: JobId, after_seq: u64) -> Result<Vec<JobEvent>, StoreError> {
        self.events_up_to(id, after_seq, MAX_EVENTS).await
    }

    /// The same, but at most `limit` events.
    pub async fn events_up_to(&self, id: JobId, after_seq: u64, limit: usize) -> Result<Vec<JobEvent>, StoreError> {
        self.store.traced("events", id, self.store.events(id, after_seq, limit.min(MAX_EVENTS))).await
    }

    /// Watches the job from now on: read it after this, and whatever happens from then on is told. Whoever may watch is
    /// for the caller to decide. Must be called on a Tokio runtime.
    pub fn watch(&self, id: JobId) -> Watch {
        self.changes.watch(&self.store, id)
    }

    /// Ends a waiting job, or asks the worker of a running one to stop. Asking twice is the same as asking once.
    pub async fn cancel(&self, id: JobId) -> Result<Cancellation, StoreError> {
        self.change("cancel", id, self.store.cancel(id)).await
    }

    /// Forgets everything that this owner's job was about, now and for good; its id and its costs stay. A job that has not
    /// ended is canceled by it, and its worker loses its lease. Asking twice is the same as asking once.
    pub async fn purge(&self, owner: Option<&str>, id: JobId) -> Result<Purge, StoreError> {
        self.change("purge", id, self.store.purge(owner, id)).await
    }

    /// Runs a finished job again, with all its attempts: from the stage [`Retry::from`], whose output is forgotten together with
    /// those of all later stages, or else from the first stage that is not finished. What it has cost stays counted.
    /// Asking twice is the same as asking once.
    ///
    /// # Errors
    /// [`StoreError::QuotaExceeded`] when the owner's quota has no room for it.
    pub async fn retry<'a>(&self, id: JobId, retry: impl Into<Retry<'a>>) -> Result<Retrial, StoreError> {
        let retrial = self.store.traced("retry", id, self.store.retry(id, &retry.into(), &self.policy)).await?;
        if retrial == Retrial::Queued {
            self.changes.tell_change(id);
            self.ring(id).await;
        }
        Ok(retrial)
    }
}

/// For the ones who hold API keys, and who manage them.
impl Jobs {
    /// Makes a key. The token is not stored: nobody can show it a second time.
    pub async fn create_key(&self, key: NewKey) -> Result<(ApiKey, KeyToken), StoreError> {
        self.store.create_key(key).await
    }

    /// What a key is worth, and notes, at most once a minute, that it was used.
    pub async fn authenticate(&self, token: &KeyToken) -> Result<Authentication, StoreError> {
        self.store.authenticate(token).await
    }

    /// Every key, also those that are worth nothing any more, the oldest first.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.store.keys().await
    }

    /// Whether a key was ever made. Once true, it stays so.
    pub async fn has_keys(&self) -> Result<bool, StoreError> {
        self.store.has_keys().await
    }

    /// Withdraws a key for good; false when there is none of this id. Doing it twice is the same as once.
    pub async fn revoke_key(&self, id: KeyId) -> Result<bool, StoreError> {
        self.store.revoke_key(id).await
    }
}

/// For the ones who decide how many workers there should be.
impl Jobs {
    /// How much there is to do for all owners, and who is there to do it. Cheap, but not free: its cost grows with the jobs
    /// that wait.
    pub async fn queue_stats(&self) -> Result<QueueStats, StoreError> {
        self.store.queue_stats(&self.webhook_policy).await
    }

    /// What waits for receivers of webhooks.
    pub async fn webhook_stats(&self) -> Result<WebhookStats, StoreError> {
        self.store.webhook_stats(&self.webhook_policy).await
    }
}

/// For all of the above.
impl Jobs {
    /// Makes a change to a job, and tells those who watch it.
    async fn change<T>(
        &self,
        operation: &'static str,
        id: JobId,
        change: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let outcome = self.store.traced(operation, id, change).await?;
        self.changes.tell_change(id);
        Ok(outcome)
    }

    /// A connection goes back to its pool by a task of its own, and a worker of this process may be waiting for it: so
    /// that task goes first, before its thread is busy with the answer to the client.
    async fn ring_for_new(&self, id: JobId) {
        self.ring(id).await;
        tokio::task::yield_now().await;
    }

    async fn ring(&self, id: JobId) {
        let span = info_span!(
            "bell.ring",
            otel.kind = "producer",
            messaging.system = self.bell.system(),
            messaging.operation.type = "send",
            messaging.operation.name = "ring",
            job.id = %id,
        );
        self.bell.ring(&[id]).instrument(span).await;
    }
}
