//! F9: receivers of webhooks that fail in every way they can.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use standin::webhook_receiver::{Reaction, Received, WebhookReceiver};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::thinking;
use crate::chaos::receivers::RECEIVER_PATH;
use crate::chaos::rig::Rig;
use crate::chaos::sized;

/// How long a receiver is down.
const DOWN: Duration = Duration::from_secs(20);
/// An answer that makes its receiver a slow one.
const SLOW: Duration = Duration::from_secs(3);
/// From the end of a job to the word of it at a quick receiver, while others are slow or silent: a look every 2 s,
/// the messages before it, and what a busy machine adds.
const QUICK: TimeDelta = TimeDelta::seconds(8);
/// Longest wait for all messages.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a receiver does with the first so many tries of each message, before it takes it.
fn receiver_faults() -> Vec<(usize, Reaction)> {
    let elsewhere = vec![("location", "/elsewhere".to_owned())];
    vec![
        (5, Reaction::Status(500)),
        (1, Reaction::Status(503)),
        (1, Reaction::Answer { status: 302, headers: elsewhere, body: vec![] }),
        (1, Reaction::Hang),
        (1, Reaction::HangInBody),
        (1, Reaction::HalfClose),
        (1, Reaction::Status(410)),
        // After the message was taken: it comes twice.
        (1, Reaction::Reset),
        (1, Reaction::Flood(20 << 20)),
        (1, Reaction::Dribble(Duration::from_millis(100))),
    ]
}

/// Fails the first tries of each message.
fn failing(tries: usize, fault: Reaction) -> impl Fn(&Received) -> Reaction + Send + Sync {
    let seen: Mutex<HashMap<String, usize>> = Mutex::default();
    move |message: &Received| {
        let mut seen = seen.lock().expect("nobody panics");
        let times = seen.entry(message.header("webhook-id").to_owned()).or_default();
        *times += 1;
        if *times <= tries { fault.clone() } else { Reaction::Status(204) }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f09_receivers_that_fail_are_told_all_in_order_and_hold_up_nobody() {
    let Some(mut rig) = Rig::new("F9", thinking(Duration::from_millis(100))).await else { return };
    rig.run_without_faults().await;
    let mut nodes = vec![rig.api().await, rig.worker().await, rig.worker().await];
    rig.warm_up(&nodes).await;
    let faults = receiver_faults();
    let slow = sized(2, 60);
    let rounds = faults.len() + slow + 1;
    for (tries, fault) in faults {
        submit_to(&mut rig, failing(tries, fault)).await;
    }
    for _ in 0..slow {
        submit_to(&mut rig, |_| Reaction::After(SLOW, Box::new(Reaction::Status(204)))).await;
    }
    let down = free_address().await;
    rig.client.tell(&format!("http://{down}{RECEIVER_PATH}"));
    rig.client.submit().await;
    // Behind all these: a receiver that is quick.
    let quick = WebhookReceiver::obliging().await.expect("a receiver");
    let quick = rig.receives(quick);
    rig.client.tell(&quick);
    let ids = rig.client.submit_all(sized(2, 20)).await;
    assert!(rig.client.wait_for(&ids, PATIENCE).await.is_empty(), "{}", nodes[1].tail());
    let mut lateness = Vec::new();
    for id in &ids {
        lateness.push(timeout(PATIENCE, lateness_of(&rig, *id)).await.expect("its end is told"));
    }
    lateness.sort();
    println!("F9: word of a job's end at a quick receiver came after {lateness:?}");
    assert!(lateness.last() <= Some(&QUICK), "{lateness:?}");
    let killed = nodes.swap_remove(1);
    rig.kill(killed).await;
    nodes.push(rig.worker().await);
    sleep(DOWN).await;
    rig.receives(WebhookReceiver::start_at(down, |_| Reaction::Status(204)).await.expect("it is free"));
    let all: Vec<Uuid> = rig.client.log().accepted.keys().copied().collect();
    assert!(rig.client.wait_for(&all, PATIENCE).await.is_empty(), "{}", nodes[1].tail());
    let give_up_at = Instant::now() + PATIENCE;
    while rig.open_deliveries().await > 0 && Instant::now() < give_up_at {
        shorten_waits(&rig).await;
        sleep(Duration::from_secs(1)).await;
    }
    rig.conclude("receivers of webhooks that fail", rounds, nodes).await;
}

/// Posts a job that tells a receiver of its own, which has a breaker and a pace of its own then.
async fn submit_to(rig: &mut Rig, script: impl Fn(&Received) -> Reaction + Send + Sync + 'static) {
    let receiver = WebhookReceiver::start(script).await.expect("a receiver");
    let url = rig.receives(receiver);
    rig.client.tell(&url);
    rig.client.submit().await;
}

/// From the end of a job to the word of it at its receiver.
async fn lateness_of(rig: &Rig, id: Uuid) -> TimeDelta {
    let (seq, at): (i64, DateTime<Utc>) =
        sqlx::query_as("SELECT seq, at FROM job_events WHERE job_id = $1 AND kind = 'job.succeeded'")
            .bind(id)
            .fetch_one(&mut rig.sql().await)
            .await
            .expect("it has succeeded");
    loop {
        let messages = rig.messages().await;
        if let Some(told) = messages.iter().find(|message| (message.job_id, message.seq) == (id, seq)) {
            return told.at - at;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    listener.local_addr().expect("an address")
}

/// The waits of the schedule, minutes to hours, are cut to some seconds, as if time went by.
async fn shorten_waits(rig: &Rig) {
    rig.postgres
        .execute(
            "UPDATE webhook_deliveries SET due_at = clock_timestamp()
             WHERE status = 'pending' AND due_at > clock_timestamp() + INTERVAL '7 seconds';
             UPDATE webhooks SET probe_at = clock_timestamp() WHERE probe_at > clock_timestamp()",
        )
        .await;
}
