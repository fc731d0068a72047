//! What the API and the workers ask of webhooks.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::JobId;

use super::{
    ClaimedDelivery, Delivery, DeliveryAttempt, DeliveryEnd, DeliveryFilter, DeliveryId, DeliveryLease, DeliveryStatus,
    Exchange, NewWebhook, Pace, Redelivery, Rotated, Webhook, WebhookChange, WebhookId, WebhookPolicy, WebhookSecret,
};
use crate::error::StoreError;
use crate::lease::WorkerId;
use crate::{Jobs, MAX_WEBHOOKS};

/// For the ones who want to be told. An absent owner reaches everybody's, as with jobs.
impl Jobs {
    /// The same jobs under other rules of delivery.
    #[must_use]
    pub fn with_webhook_policy(self, webhook_policy: WebhookPolicy) -> Self {
        Self { webhook_policy, ..self }
    }

    /// The rules of delivery.
    pub fn webhook_policy(&self) -> WebhookPolicy {
        self.webhook_policy
    }

    /// Registers a webhook and makes its secret; nothing when its owner has [`MAX_WEBHOOKS`] already.
    pub async fn create_webhook(&self, webhook: NewWebhook) -> Result<Option<(Webhook, WebhookSecret)>, StoreError> {
        self.store.create_webhook(webhook, MAX_WEBHOOKS).await
    }

    /// The webhooks of an owner, oldest first.
    pub async fn webhooks(&self, owner: Option<&str>) -> Result<Vec<Webhook>, StoreError> {
        self.store.webhooks(owner).await
    }

    /// One webhook of an owner.
    pub async fn webhook(&self, owner: Option<&str>, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.store.webhook(owner, id).await
    }

    /// Changes a webhook and gives it as it is now.
    pub async fn change_webhook(
        &self,
        owner: Option<&str>,
        id: WebhookId,
        change: &WebhookChange,
    ) -> Result<Option<Webhook>, StoreError> {
        self.store.change_webhook(owner, id, change).await
    }

    /// Deletes a webhook, its secrets and what waits for it. Gives whether there was one.
    pub async fn delete_webhook(&self, owner: Option<&str>, id: WebhookId) -> Result<bool, StoreError> {
        self.store.delete_webhook(owner, id).await
    }

    /// Gives a webhook a new secret; messages are signed with the old one too for a while.
    pub async fn rotate_webhook_secret(
        &self,
        owner: Option<&str>,
        id: WebhookId,
    ) -> Result<Option<Rotated>, StoreError> {
        self.store.rotate_webhook_secret(owner, id, &self.webhook_policy).await
    }

    /// The secret that messages of jobs' own webhooks are signed with; made when first asked for.
    pub async fn default_webhook_secret(&self, owner: Option<&str>) -> Result<WebhookSecret, StoreError> {
        self.store.default_webhook_secret(owner).await
    }

    /// As [`Jobs::rotate_webhook_secret`], for the default secret.
    pub async fn rotate_default_webhook_secret(&self, owner: Option<&str>) -> Result<Rotated, StoreError> {
        self.store.rotate_default_webhook_secret(owner, &self.webhook_policy).await
    }

    /// Sends a message that proves that the webhook can be reached. It is tried once.
    pub async fn test_webhook(&self, owner: Option<&str>, id: WebhookId) -> Result<Option<Delivery>, StoreError> {
        self.store.test_webhook(owner, id).await
    }

    /// The deliveries of a webhook, newest first.
    pub async fn webhook_deliveries(
        &self,
        id: WebhookId,
        filter: &DeliveryFilter,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.store.webhook_deliveries(id, filter).await
    }

    /// The deliveries of a job, newest first.
    pub async fn job_deliveries(&self, id: JobId, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.store.job_deliveries(id, filter).await
    }

    /// One delivery of an owner, with what was sent.
    pub async fn delivery(
        &self,
        owner: Option<&str>,
        id: DeliveryId,
    ) -> Result<Option<(Delivery, String)>, StoreError> {
        self.store.delivery(owner, id).await
    }

    /// What came of a delivery's attempts, in order.
    pub async fn delivery_attempts(&self, id: DeliveryId) -> Result<Vec<DeliveryAttempt>, StoreError> {
        self.store.delivery_attempts(id).await
    }

    /// Sends a message again, or at once if it waits, with all its tries.
    pub async fn redeliver(&self, owner: Option<&str>, id: DeliveryId) -> Result<Redelivery, StoreError> {
        self.store.redeliver(owner, id).await
    }

    /// Sends the messages of a webhook again that were written from `since` and before `until`, and are over: those of
    /// one status, or all. Gives how many they are; nothing when there is no such webhook.
    pub async fn replay(
        &self,
        owner: Option<&str>,
        id: WebhookId,
        since: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
        status: Option<DeliveryStatus>,
    ) -> Result<Option<u64>, StoreError> {
        self.store.replay(owner, id, since, until, status).await
    }
}

/// For couriers, the workers that send.
impl Jobs {
    /// Returns when there may be a message to send, or after `idle`. What this process writes is told at once; what others
    /// write, while [`Jobs::hear_of_deliveries`] runs.
    pub async fn wait_for_deliveries(&self, idle: Duration) {
        self.store.couriers.wait(idle).await;
    }

    /// Listens for ever to what other processes tell, if there is a Redis. For a process that has a courier.
    pub async fn hear_of_deliveries(&self) -> Infallible {
        self.store.couriers.hear_others().await
    }

    /// Tells other processes for ever that this one has written messages, if there is a Redis. For a process that has no
    /// courier.
    pub async fn tell_of_deliveries(&self) -> Infallible {
        self.store.couriers.tell_others().await
    }

    /// Takes messages that are due, at most `limit` and one per receiver, the receivers taking turns.
    pub async fn claim_deliveries(
        &self,
        worker: &WorkerId,
        pace: Pace,
        limit: usize,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        self.store.claim_deliveries(worker, pace, limit, &self.webhook_policy).await
    }

    /// Writes what came of an attempt, and what that means for the delivery and its receiver.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and nothing is changed, when another worker has the delivery.
    pub async fn finish_delivery(
        &self,
        lease: &DeliveryLease,
        started_at: DateTime<Utc>,
        exchange: &Exchange,
        end: DeliveryEnd,
    ) -> Result<(), StoreError> {
        self.store.finish_delivery(lease, started_at, exchange, end, &self.webhook_policy).await
    }

    /// Hands a message back for another worker to send at once; no try is used up.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another worker has the delivery.
    pub async fn release_delivery(&self, lease: &DeliveryLease) -> Result<(), StoreError> {
        self.store.release_delivery(lease).await
    }

    /// Removes deliveries that are older than is kept, and what is left of deleted webhooks; a batch at a time. Gives how
    /// many deliveries it removed.
    pub async fn sweep_deliveries(&self) -> Result<u64, StoreError> {
        self.store.sweep_deliveries(&self.webhook_policy).await
    }
}
