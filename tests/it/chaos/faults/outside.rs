//! F7 and F8: the model's service and the Git host fail in every way they can.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use standin::claude::{Break, Fault as ModelFault, Reply, RequestView};
use standin::git::{Behaviour, Fault};
use tokio::time::sleep;
use uuid::Uuid;

use super::exact::until;
use super::thinking;
use crate::app::diligent;
use crate::chaos::rig::{RECOVERY, Rig, Start, WARM_UP};
use crate::chaos::sized;

/// Waits that workers may choose before they ask the model again (full jitter over 1, 2, 4, … s), or try the job again.
const BACKOFF: Duration = Duration::from_mins(1);
/// How long a worker bears the model's silence.
const SILENCE: Duration = Duration::from_mins(5);

/// The number of the first job that meets a fault: the rig's first job and those of the warm-up come before.
const FIRST_DISTURBED: usize = 2 + WARM_UP;
/// The try that is answered in a storm: 9 of 10 are not, which is more than the six of one attempt.
const STORM: usize = 10;

/// What the model does instead of answering, in turn. The last two are silent for as long as a client bears it: 5 min.
fn model_faults() -> Vec<Reply> {
    let fault = |status| Reply::fault(ModelFault::status(status));
    let broken = |how| Reply::text("half of an answer, and then").breaking(how);
    vec![
        fault(429),
        Reply::fault(ModelFault::status(429).with_header("retry-after", "2")),
        fault(529),
        fault(500),
        fault(504),
        Reply::fault(ModelFault::html(502)),
        Reply::fault(ModelFault::html(200)),
        broken(Break::CleanEnd),
        broken(Break::Reset),
        broken(Break::Garbage),
        broken(Break::Error("overloaded_error")),
        Reply::empty(),
        Reply::text("x".repeat(11 << 20)),
        Reply::cut_tool("submit_plan", "{\"summary\": \"Th"),
        broken(Break::Stall),
        Reply::hang(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f07_no_half_answer_of_the_model_counts() {
    let faults = model_faults();
    let rounds = faults.len();
    let asked: Mutex<HashMap<String, usize>> = Mutex::default();
    let met: Arc<Mutex<HashSet<usize>>> = Arc::default();
    let meets = met.clone();
    // The plan of the n-th job after those that nobody disturbs meets fault n; in the storm after it, the plan of each
    // job is answered at the tenth try.
    let script = move |request: &RequestView| {
        let text = request.first_text();
        let number = text.rsplit("Request ").next().and_then(|tail| tail.split('.').next()?.parse::<usize>().ok());
        let number = number.expect("a numbered request");
        let is_plan = text.contains("This is the analysis pass");
        let mut asked = asked.lock().expect("nobody panics");
        let times = asked.entry(request.sha256().to_owned()).or_default();
        *times += 1;
        match number.checked_sub(FIRST_DISTURBED).filter(|_| is_plan) {
            Some(index) if index < faults.len() && *times == 1 => {
                // A second question after an answer of no use meets it too.
                meets.lock().expect("nobody panics").insert(index);
                faults[index].clone()
            }
            Some(index) if index >= faults.len() && *times < STORM => {
                Reply::fault(ModelFault::status(529).with_header("retry-after", "1"))
            }
            _ => diligent(request),
        }
    };
    let Some(mut rig) = Rig::new("F7", script).await else { return };
    rig.run_without_faults().await;
    rig.expected.recovery = RECOVERY + BACKOFF + SILENCE;
    let api = rig.api().await;
    let broad = rig.start_worker(Start { concurrency: Some(8), ..Start::default() }).await;
    let nodes = vec![api, broad, rig.worker().await];
    rig.warm_up(&nodes).await;
    let ids = rig.client.submit_all(rounds + sized(5, 40)).await;
    until("every fault has been met", || met.lock().expect("nobody panics").len() == rounds).await;
    rig.fault_now();
    rig.expected.broken_streams = rounds;
    let open = rig.client.wait_for(&ids, Duration::from_mins(12)).await;
    assert!(open.is_empty(), "{open:?} have not ended");
    rig.conclude("model service that fails", rounds, nodes).await;
}

/// A name, how the Git host fails, and the code of the failure if it is for good.
type GitFault = (&'static str, fn(&mut Behaviour), Option<&'static str>);

/// Every way to fail, at each step of a fetch.
fn git_faults() -> Vec<GitFault> {
    vec![
        ("500", |git| git.advertisement = Some(Fault::Status(500)), None),
        ("503 for the pack", |git| git.fetch = Some(Fault::Status(503)), None),
        ("reset in the advertisement", |git| git.advertisement = Some(Fault::CutAfter(20)), None),
        ("reset in the references", |git| git.ls_refs = Some(Fault::CutAfter(9)), None),
        ("reset in the pack", |git| git.fetch = Some(Fault::CutAfter(150)), None),
        ("silence", |git| git.advertisement = Some(Fault::Hang), None),
        ("silence in the pack", |git| git.fetch = Some(Fault::HangAfter(150)), None),
        ("401", |git| git.token = Some("secret".to_owned()), Some("repo_auth_required")),
        ("404", |git| git.advertisement = Some(Fault::Status(404)), Some("repo_not_found")),
        ("a page", |git| git.advertisement = Some(page()), Some("repo_unsupported")),
        ("a redirect without end", |git| git.advertisement = Some(endless()), Some("repo_unsupported")),
    ]
}

fn page() -> Fault {
    Fault::Body { content_type: "text/html".to_owned(), bytes: b"<html></html>".to_vec() }
}

fn endless() -> Fault {
    Fault::Redirect { status: 301, location: "{path}".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f08_what_passes_at_the_git_host_is_tried_again() {
    let Some(mut rig) = Rig::new("F8", thinking(Duration::from_millis(30))).await else { return };
    rig.run_without_faults().await;
    rig.expected.recovery = RECOVERY + BACKOFF;
    let api = rig.api().await;
    let impatient = [("TINYGEN_FETCH_TIMEOUT_SECONDS", "3".to_owned())];
    let nodes = vec![api, rig.start_worker(Start { variables: &impatient, ..Start::default() }).await];
    rig.warm_up(&nodes).await;
    let faults = git_faults();
    let rounds = sized(1, 2);
    for _ in 0..rounds {
        for (what, fail, code) in &faults {
            rig.world.git.behave(fail);
            let id = rig.client.submit().await;
            if let Some(code) = code {
                rig.expected.failures.insert(id, code);
            } else {
                until_tried_again(&rig, id).await;
                rig.world.git.behave(|git| *git = Behaviour::default());
            }
            rig.fault_now();
            assert!(rig.client.wait_for(&[id], Duration::from_mins(1)).await.is_empty(), "{what}");
            rig.world.git.behave(|git| *git = Behaviour::default());
        }
    }
    rig.conclude("Git host that fails", rounds * faults.len(), nodes).await;
}

/// Waits until an attempt at the job has failed and another one is planned, or made.
async fn until_tried_again(rig: &Rig, id: Uuid) {
    let is_tried_again = |job: &Value| !job["nextAttemptAt"].is_null() || job["attempt"].as_u64() > Some(1);
    while !rig.client.read(id).await.is_some_and(|job| is_tried_again(&job)) {
        sleep(Duration::from_millis(20)).await;
    }
}
