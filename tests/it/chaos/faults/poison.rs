//! F15: a job that takes its worker down each time.

use standin::claude::{Reply, RequestView};

use super::exact::until;
use crate::app::diligent;
use crate::chaos::rig::{Rig, Start};
use crate::chaos::sized;

/// In the poison's prompt. The rig's first job, which nobody disturbs, is the first request.
const POISON: &str = "Request 2.";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f15_a_job_that_takes_its_workers_down_is_given_up_after_three() {
    // In its edit pass: that is where the rig, in the place of a defect, kills whoever has the job.
    let is_deadly = |request: &RequestView| {
        let text = request.first_text();
        text.contains(POISON) && text.contains("This is the edit pass")
    };
    let script = move |request: &RequestView| if is_deadly(request) { Reply::hang() } else { diligent(request) };
    let Some(mut rig) = Rig::new("F15", script).await else { return };
    rig.run_without_faults().await;
    let api = rig.api().await;
    let poison = rig.client.submit().await;
    rig.expected.failures.insert(poison, "poisoned");
    rig.client.submit_all(sized(4, 20)).await;
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(rig.start_worker(Start { concurrency: Some(1), ..Start::default() }).await);
    }
    for times in 1..=3 {
        let deadly = |rig: &Rig| {
            let requests = rig.world.claude.ledger();
            let text = |request: &standin::claude::Exchange| String::from_utf8_lossy(&request.body).into_owned();
            let texts = requests.iter().filter(|request| request.path == "/v1/messages").map(text);
            texts.filter(|text| text.contains(POISON) && text.contains("This is the edit pass")).count()
        };
        until("the job gets to its deadly place", || deadly(&rig) >= times).await;
        let holder = rig.holder(poison).await;
        let victim = workers.iter().position(|worker| worker.worker == holder).expect("it runs");
        let victim = workers.swap_remove(victim);
        rig.kill(victim).await;
        workers.push(rig.start_worker(Start { concurrency: Some(1), ..Start::default() }).await);
    }
    workers.push(api);
    rig.conclude("job that takes its worker down", 1, workers).await;
}
