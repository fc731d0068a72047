//! Keys are made, used, and worth nothing once they are revoked or have expired.

use std::time::Duration;

use domain::{Cost, KeyId, KeyScope};
use jobs::{Authentication, Jobs, KeyDraft, KeyToken, LimitOverrides, NewKey};

use crate::database::{Database, on_every_database};

on_every_database![
    a_key_is_good_for_what_it_was_made_for,
    another_secret_is_no_key,
    a_revoked_key_is_worth_nothing,
    an_expired_key_is_worth_nothing,
    the_last_use_is_noted_once_a_minute,
    a_server_that_had_a_key_has_keys_for_ever,
];

fn draft() -> KeyDraft {
    KeyDraft {
        name: "laptop".to_owned(),
        owner: None,
        scopes: KeyScope::DEFAULT.to_vec(),
        limits: LimitOverrides::default(),
        lifetime: None,
    }
}

async fn create(jobs: &Jobs, draft: KeyDraft) -> (jobs::ApiKey, KeyToken) {
    jobs.create_key(NewKey::try_from(draft).unwrap()).await.unwrap()
}

async fn a_key_is_good_for_what_it_was_made_for(database: &Database) {
    let limits =
        LimitOverrides { jobs_per_day: Some(7), cost_per_day: Some(Cost::from_nanos(5)), ..LimitOverrides::default() };
    let asked = KeyDraft { owner: Some("team".to_owned()), limits, ..draft() };
    let (key, token) = create(&database.jobs, asked).await;
    assert_eq!((key.owner.as_str(), key.limits, key.id), ("team", limits, token.id()));
    let read = KeyToken::parse(&token.expose()).unwrap();
    let Authentication::Valid(used) = database.reopen().await.authenticate(&read).await.unwrap() else { panic!() };
    assert_eq!(*used, key, "as it was before this first use");
    let (own, _) = create(&database.jobs, draft()).await;
    assert_eq!(own.owner, own.id.to_string());
    let listed: Vec<KeyId> = database.jobs.keys().await.unwrap().iter().map(|key| key.id).collect();
    assert_eq!(listed, [key.id, own.id]);
}

async fn another_secret_is_no_key(database: &Database) {
    let (key, token) = create(&database.jobs, draft()).await;
    let (other, _) = create(&database.jobs, draft()).await;
    let text = token.expose();
    let flipped = if text.ends_with('A') { "E" } else { "A" };
    let wrong_secret = format!("{}{flipped}", &text[..text.len() - 1]);
    let wrong_id = text.replace(&key.id.to_string(), &other.id.to_string());
    let no_id = text.replace(&key.id.to_string(), &KeyId::new().to_string());
    for wrong in [wrong_secret, wrong_id, no_id] {
        let token = KeyToken::parse(&wrong).unwrap();
        assert_eq!(database.jobs.authenticate(&token).await.unwrap(), Authentication::Unknown, "{wrong}");
    }
    assert!(database.jobs.keys().await.unwrap().iter().all(|key| key.last_used_at.is_none()));
}

async fn a_revoked_key_is_worth_nothing(database: &Database) {
    let (key, token) = create(&database.jobs, draft()).await;
    assert!(database.jobs.revoke_key(key.id).await.unwrap());
    let first = database.jobs.keys().await.unwrap()[0].revoked_at.unwrap();
    assert!(database.jobs.revoke_key(key.id).await.unwrap());
    assert_eq!(database.jobs.authenticate(&token).await.unwrap(), Authentication::Revoked(first));
    assert!(!database.jobs.revoke_key(KeyId::new()).await.unwrap());
}

async fn an_expired_key_is_worth_nothing(database: &Database) {
    let lifetime = Some(Duration::from_secs(1));
    let (key, token) = create(&database.jobs, KeyDraft { lifetime, ..draft() }).await;
    assert_eq!(key.expires_at.unwrap() - key.created_at, chrono::TimeDelta::seconds(1));
    let expired = async {
        loop {
            match database.jobs.authenticate(&token).await.unwrap() {
                Authentication::Valid(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                other => return other,
            }
        }
    };
    let expired = tokio::time::timeout(Duration::from_secs(10), expired).await.unwrap();
    assert_eq!(expired, Authentication::Expired(key.expires_at.unwrap()));
}

async fn the_last_use_is_noted_once_a_minute(database: &Database) {
    let (_, token) = create(&database.jobs, draft()).await;
    let mut noted = Vec::new();
    for _ in 0..3 {
        database.jobs.authenticate(&token).await.unwrap();
        noted.push(database.jobs.keys().await.unwrap()[0].last_used_at.unwrap());
    }
    assert!(noted.iter().all(|at| *at == noted[0]), "{noted:?}");
}

async fn a_server_that_had_a_key_has_keys_for_ever(database: &Database) {
    assert!(!database.jobs.has_keys().await.unwrap());
    let (key, _) = create(&database.jobs, draft()).await;
    database.jobs.revoke_key(key.id).await.unwrap();
    assert!(database.jobs.has_keys().await.unwrap());
}
