//! No event without its deliveries, in order, one worker at a time, and nobody else's.

use std::time::Duration;

use chrono::Utc;
use domain::{JobId, StageKind};
use jobs::{
    DEFAULT_WEBHOOK_EVENTS, DeliveryEnd, DeliveryFilter, DeliveryStatus, EventKind, JobWebhook, Jobs, NewJob, Pace,
    Policy, Redelivery, StoreError, WEBHOOK_EVENTS, WebhookChange, WebhookPolicy, WorkerId,
};
use serde_json::json;

use crate::database::{Database, on_every_database};
use crate::hooks::{
    ALL, RETRY_LATER, body, claim_all, claim_one, deliveries, finish, register, submit_of, url, webhook,
};
use crate::sample::{claimed, failure, result, spec, stage, worker};

on_every_database![
    every_end_of_a_job_has_one_delivery,
    only_what_was_asked_for_is_told,
    messages_about_a_job_go_one_after_the_other,
    receivers_take_turns_and_have_a_bound_each,
    no_message_is_claimed_twice_within_a_lease,
    a_message_of_a_lost_worker_is_claimed_again_and_its_end_is_refused,
    a_message_handed_back_is_claimed_at_once,
    messages_are_sent_again_under_the_same_id,
    secrets_rotate_with_an_overlap,
    a_jobs_own_webhook_is_signed_with_its_owners_default_secret,
    owners_reach_their_own_webhooks_alone,
    what_is_deleted_or_old_goes,
];

async fn every_end_of_a_job_has_one_delivery(database: &Database) {
    let jobs = &database.jobs;
    let (webhook, _) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    let succeeded = claimed(jobs).await;
    jobs.succeed(&succeeded.lease, &result()).await.unwrap();
    assert!(jobs.succeed(&succeeded.lease, &result()).await.is_err(), "a second end is none");
    let failed = claimed(jobs).await;
    jobs.fail(&failed.lease, &failure()).await.unwrap();
    let canceled = claimed(jobs).await;
    jobs.cancel(canceled.id).await.unwrap();
    jobs.confirm_cancel(&canceled.lease).await.unwrap();
    let never_started = jobs.submit(spec()).await.unwrap();
    jobs.cancel(never_started.id).await.unwrap();
    jobs.cancel(never_started.id).await.unwrap();
    // One that takes its workers down.
    let hopeless = database.where_leases_expire_at_once();
    let poisoned = hopeless.submit(spec()).await.unwrap();
    for _ in 0..Policy::default().max_lost_workers {
        hopeless.claim(&worker()).await.unwrap().unwrap();
    }
    assert_eq!(hopeless.sweep().await.unwrap().poisoned, 1);
    assert_eq!(hopeless.sweep().await.unwrap().poisoned, 0);

    let told = deliveries(jobs, &webhook).await;
    let told: Vec<(JobId, &str)> = told.iter().map(|it| (it.job_id.unwrap(), it.kind.as_str())).collect();
    let expected = [
        (succeeded.id, "job.succeeded"),
        (failed.id, "job.failed"),
        (canceled.id, "job.canceled"),
        (never_started.id, "job.canceled"),
        (poisoned.id, "job.failed"),
    ];
    assert_eq!(told, expected);
}

async fn only_what_was_asked_for_is_told(database: &Database) {
    let jobs = &database.jobs;
    let (everything, _) = register(jobs, &WEBHOOK_EVENTS).await;
    let (starts, _) = register(jobs, &[EventKind::JobStarted]).await;
    let lease = claimed(jobs).await.lease;
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!("plan"))).await.unwrap();
    jobs.succeed(&lease, &result()).await.unwrap();

    let all = deliveries(jobs, &everything).await;
    let kinds: Vec<&str> = all.iter().map(|delivery| delivery.kind.as_str()).collect();
    assert_eq!(kinds, ["job.started", "stage.succeeded", "job.succeeded"]);
    assert_eq!(deliveries(jobs, &starts).await.len(), 1);

    let events = jobs.events(lease.job_id(), 0).await.unwrap();
    let body = body(jobs, &all[2]).await;
    assert_eq!(
        (&body["type"], &body["data"]["version"]),
        (&json!("job.succeeded"), &json!(events.last().unwrap().seq))
    );
    assert_eq!(body["data"]["status"], "succeeded");
    assert_eq!(body["data"]["result"]["patchSha256"], "d".repeat(64));
    assert!(!body.to_string().contains("diff --git") && !body.to_string().contains("quotes"), "no diff and no prompt");
    assert_eq!(self::body(jobs, &all[1]).await["data"]["stage"], "plan");
    assert_eq!(self::body(jobs, &all[0]).await["data"]["status"], "running", "the job as it stood then");
}

async fn messages_about_a_job_go_one_after_the_other(database: &Database) {
    let jobs = &database.jobs;
    register(jobs, &WEBHOOK_EVENTS).await;
    let lease = claimed(jobs).await.lease;
    jobs.fail(&lease, &failure()).await.unwrap();

    let first = claim_one(jobs).await;
    assert_eq!(first.kind, "job.started");
    finish(jobs, &first, RETRY_LATER).await.unwrap();
    assert!(claim_all(jobs).await.is_empty(), "the second one waits for the first");
    jobs.redeliver(None, first.lease.delivery_id()).await.unwrap();
    let first = claim_one(jobs).await;
    finish(jobs, &first, DeliveryEnd::Failed).await.unwrap();
    let second = claim_one(jobs).await;
    assert_eq!(second.kind, "job.failed", "what is given up holds nothing up");
    finish(jobs, &second, DeliveryEnd::Delivered).await.unwrap();
    assert!(claim_all(jobs).await.is_empty());
}

async fn receivers_take_turns_and_have_a_bound_each(database: &Database) {
    let jobs = &database.jobs;
    let (crowded, _) = register(jobs, &[EventKind::JobCanceled]).await;
    let mut other = webhook(Some("other"), &[EventKind::JobCanceled]);
    other.url = url("other");
    jobs.create_webhook(other).await.unwrap().unwrap();
    for _ in 0..10 {
        let id = jobs.submit(spec()).await.unwrap().id;
        jobs.cancel(id).await.unwrap();
    }
    let id = submit_of(jobs, "other").await;
    jobs.cancel(id).await.unwrap();

    let first_two = jobs.claim_deliveries(&worker(), Pace::Slow, 2).await.unwrap();
    let urls: Vec<&str> = first_two.iter().map(|delivery| delivery.url.as_str()).collect();
    assert!(urls.contains(&url("other").as_str()), "{urls:?}: ten messages of one do not go before one of another");
    let rest = claim_all(jobs).await;
    assert_eq!(rest.len(), 3, "four on their way to one receiver");
    assert!(rest.iter().all(|delivery| delivery.lease.webhook_id() == crowded.id));
    finish(jobs, &rest[0], DeliveryEnd::Delivered).await.unwrap();
    assert_eq!(claim_all(jobs).await.len(), 1);
}

async fn no_message_is_claimed_twice_within_a_lease(database: &Database) {
    let jobs = &database.jobs;
    for _ in 0..3 {
        register(jobs, &[EventKind::JobCanceled]).await;
    }
    for _ in 0..20 {
        let id = jobs.submit(spec()).await.unwrap().id;
        jobs.cancel(id).await.unwrap();
    }
    let processes = [database.reopen().await, database.reopen().await, database.reopen().await];
    let workers = processes.map(|jobs| {
        tokio::spawn(async move {
            let mut sent = Vec::new();
            loop {
                let claimed = claim_all(&jobs).await;
                if claimed.is_empty() && jobs_are_told(&jobs).await {
                    return sent;
                }
                for delivery in claimed {
                    finish(&jobs, &delivery, DeliveryEnd::Delivered).await.unwrap();
                    sent.push(delivery.lease.delivery_id());
                }
            }
        })
    });
    let mut sent = Vec::new();
    for worker in workers {
        sent.extend(worker.await.unwrap());
    }
    let count = sent.len();
    sent.sort();
    sent.dedup();
    assert_eq!((count, sent.len()), (60, 60));
}

async fn jobs_are_told(jobs: &Jobs) -> bool {
    for webhook in jobs.webhooks(None).await.unwrap() {
        let pending = DeliveryFilter { status: Some(DeliveryStatus::Pending), ..ALL };
        if !jobs.webhook_deliveries(webhook.id, &pending).await.unwrap().is_empty() {
            return false;
        }
    }
    true
}

async fn a_message_of_a_lost_worker_is_claimed_again_and_its_end_is_refused(database: &Database) {
    let lost = database.jobs.clone().with_webhook_policy(WebhookPolicy { lease: Duration::ZERO, ..Default::default() });
    let (webhook, _) = register(&lost, &DEFAULT_WEBHOOK_EVENTS).await;
    lost.test_webhook(None, webhook.id).await.unwrap().unwrap();
    let first = lost.claim_deliveries(&worker(), Pace::Slow, 1).await.unwrap().remove(0);
    let second = database.jobs.claim_deliveries(&WorkerId::new("other"), Pace::Slow, 1).await.unwrap().remove(0);
    assert_eq!(first.message_id, second.message_id);
    assert_eq!(second.tries, 0, "a lost worker uses up no try");

    assert!(matches!(finish(&lost, &first, DeliveryEnd::Failed).await, Err(StoreError::LeaseLost)));
    assert!(matches!(lost.release_delivery(&first.lease).await, Err(StoreError::LeaseLost)));
    let after = lost.webhook(None, webhook.id).await.unwrap().unwrap();
    assert_eq!(after.consecutive_failures, 0, "nothing is noted of the receiver either");
    finish(&database.jobs, &second, DeliveryEnd::Delivered).await.unwrap();
    assert!(matches!(finish(&lost, &second, DeliveryEnd::Failed).await, Err(StoreError::LeaseLost)));
    let attempts = lost.delivery_attempts(second.lease.delivery_id()).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].exchange.status), (1, Some(204)));
}

async fn a_message_handed_back_is_claimed_at_once(database: &Database) {
    let jobs = &database.jobs;
    let (webhook, _) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    jobs.test_webhook(None, webhook.id).await.unwrap().unwrap();
    let first = claim_one(jobs).await;
    assert!(claim_all(jobs).await.is_empty());
    jobs.release_delivery(&first.lease).await.unwrap();
    assert!(jobs.release_delivery(&first.lease).await.is_err());
    assert_eq!(claim_one(jobs).await.tries, 0);

    // What a process that is alone with its database does at its start.
    jobs.expire_leases().await.unwrap();
    claim_one(jobs).await;
}

async fn messages_are_sent_again_under_the_same_id(database: &Database) {
    let jobs = &database.jobs;
    let (webhook, _) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    let began = Utc::now() - chrono::TimeDelta::minutes(1);
    let mut ids = Vec::new();
    for end in [DeliveryEnd::Delivered, DeliveryEnd::Failed] {
        let id = jobs.submit(spec()).await.unwrap().id;
        jobs.cancel(id).await.unwrap();
        let delivery = claim_one(jobs).await;
        finish(jobs, &delivery, end).await.unwrap();
        ids.push(delivery.message_id);
    }
    let replay = async |since, until, status| jobs.replay(None, webhook.id, since, until, status).await.unwrap();
    assert_eq!(replay(began, Some(began), None).await, Some(0));
    assert_eq!(replay(Utc::now() + chrono::TimeDelta::minutes(1), None, None).await, Some(0));
    assert_eq!(replay(began, None, Some(DeliveryStatus::Failed)).await, Some(1));
    let again = claim_one(jobs).await;
    assert_eq!((&again.message_id, again.tries), (&ids[1], 0));
    finish(jobs, &again, DeliveryEnd::Delivered).await.unwrap();
    assert_eq!(jobs.delivery_attempts(again.lease.delivery_id()).await.unwrap().len(), 2, "the history stays");
    assert_eq!(replay(began, None, None).await, Some(2));
    let mut both: Vec<String> = claim_all(jobs).await.into_iter().map(|delivery| delivery.message_id).collect();
    both.sort();
    ids.sort();
    assert_eq!(both, ids);
}

async fn secrets_rotate_with_an_overlap(database: &Database) {
    let jobs = &database.jobs;
    let (webhook, first) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    let secrets = async |jobs: &Jobs| {
        jobs.test_webhook(None, webhook.id).await.unwrap().unwrap();
        let claimed = claim_one(jobs).await;
        finish(jobs, &claimed, DeliveryEnd::Delivered).await.unwrap();
        claimed.secrets
    };
    assert_eq!(secrets(jobs).await, std::slice::from_ref(&first));
    let rotated = jobs.rotate_webhook_secret(None, webhook.id).await.unwrap().unwrap();
    let hours = (rotated.previous_expires_at - Utc::now()).num_minutes();
    assert!((23 * 60..=24 * 60).contains(&hours), "{hours} minutes");
    assert_eq!(secrets(jobs).await, [rotated.secret.clone(), first.clone()]);
    let at_once =
        jobs.clone().with_webhook_policy(WebhookPolicy { secret_overlap: Duration::ZERO, ..Default::default() });
    let newest = at_once.rotate_webhook_secret(None, webhook.id).await.unwrap().unwrap();
    assert_eq!(secrets(jobs).await, [newest.secret.clone(), first]);
    for _ in 0..7 {
        jobs.rotate_webhook_secret(None, webhook.id).await.unwrap().unwrap();
    }
    assert_eq!(secrets(jobs).await.len(), 5, "the header does not grow without bound");
}

async fn a_jobs_own_webhook_is_signed_with_its_owners_default_secret(database: &Database) {
    let jobs = &database.jobs;
    let (default, other) = (jobs.default_webhook_secret(Some("a")), jobs.default_webhook_secret(Some("b")));
    let (default, other) = (default.await.unwrap(), other.await.unwrap());
    assert_ne!(default, other);
    assert_eq!(jobs.default_webhook_secret(Some("a")).await.unwrap(), default, "it stays");
    let own = |path: &str| JobWebhook { url: url(path), events: DEFAULT_WEBHOOK_EVENTS.to_vec() };
    let submit = async |path: &str| {
        let job = NewJob { owner: Some("a".to_owned()), webhook: Some(own(path)), ..NewJob::from(spec()) };
        jobs.submit(job).await.unwrap().id
    };
    let (first, second) = (submit("one?token=1").await, submit("two").await);
    for id in [first, second] {
        jobs.cancel(id).await.unwrap();
    }
    let claimed = claim_all(jobs).await;
    let urls: Vec<&str> = claimed.iter().map(|delivery| delivery.url.as_str()).collect();
    assert_eq!(urls, [url("one?token=1").as_str(), url("two").as_str()]);
    assert_eq!(claimed[0].lease.webhook_id(), claimed[1].lease.webhook_id(), "limits hold for the origin");
    assert_eq!(claimed[0].secrets, std::slice::from_ref(&default));
    let rotated = jobs.rotate_default_webhook_secret(Some("a")).await.unwrap();
    finish(jobs, &claimed[0], DeliveryEnd::Gone).await.unwrap();
    assert!(jobs.webhooks(Some("a")).await.unwrap().is_empty(), "nobody registered it");
    let listed = jobs.job_deliveries(first, &ALL).await.unwrap();
    assert_eq!((listed.len(), listed[0].webhook_id, listed[0].status), (1, None, DeliveryStatus::Failed));
    assert_eq!(jobs.redeliver(Some("a"), listed[0].id).await.unwrap(), Redelivery::Queued);
    let again = claim_one(jobs).await;
    assert_eq!(again.secrets, [rotated.secret, default]);
}

async fn owners_reach_their_own_webhooks_alone(database: &Database) {
    let jobs = &database.jobs;
    let (mine, _) = jobs.create_webhook(webhook(Some("me"), &DEFAULT_WEBHOOK_EVENTS)).await.unwrap().unwrap();
    let you = Some("you");
    let id = submit_of(jobs, "you").await;
    jobs.cancel(id).await.unwrap();
    assert!(deliveries(jobs, &mine).await.is_empty(), "others' jobs are not told");
    let test = jobs.test_webhook(Some("me"), mine.id).await.unwrap().unwrap();

    assert!(jobs.webhooks(you).await.unwrap().is_empty());
    assert!(jobs.webhook(you, mine.id).await.unwrap().is_none());
    assert!(jobs.change_webhook(you, mine.id, &WebhookChange::default()).await.unwrap().is_none());
    assert!(!jobs.delete_webhook(you, mine.id).await.unwrap());
    assert!(jobs.rotate_webhook_secret(you, mine.id).await.unwrap().is_none());
    assert!(jobs.test_webhook(you, mine.id).await.unwrap().is_none());
    assert!(jobs.delivery(you, test.id).await.unwrap().is_none());
    assert_eq!(jobs.redeliver(you, test.id).await.unwrap(), Redelivery::NotFound);
    assert_eq!(jobs.replay(you, mine.id, Utc::now(), None, None).await.unwrap(), None);
    assert_eq!(jobs.webhook(Some("me"), mine.id).await.unwrap(), Some(mine));
}

async fn what_is_deleted_or_old_goes(database: &Database) {
    let jobs = &database.jobs;
    let (kept, _) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    let (deleted, _) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    let mut told = Vec::new();
    for webhook in [&kept, &deleted] {
        told.push(jobs.test_webhook(None, webhook.id).await.unwrap().unwrap());
    }
    assert!(jobs.delete_webhook(None, deleted.id).await.unwrap());
    assert!(!jobs.delete_webhook(None, deleted.id).await.unwrap());
    assert!(jobs.delivery(None, told[1].id).await.unwrap().is_none());
    let delivery = claim_one(jobs).await;
    assert_eq!(delivery.lease.delivery_id(), told[0].id);
    finish(jobs, &delivery, DeliveryEnd::Delivered).await.unwrap();
    assert_eq!(jobs.sweep_deliveries().await.unwrap(), 1, "what is left of the deleted one");
    assert_eq!(jobs.sweep_deliveries().await.unwrap(), 0);
    let forgetful = jobs.clone().with_webhook_policy(WebhookPolicy { history: Duration::ZERO, ..Default::default() });
    assert_eq!(forgetful.sweep_deliveries().await.unwrap(), 1);
    assert!(jobs.delivery_attempts(told[0].id).await.unwrap().is_empty());
}
