//! `GET /jobs/{id}/stages/{name}`.

use domain::StageKind;
use serde_json::json;

use crate::server::Server;
use crate::work;

#[tokio::test]
async fn the_output_of_a_stage_is_shown_as_it_was_stored() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let output = json!({"z": "…\u{0}<script>", "a": [1, 2.5, null], "big": u64::MAX});
    work::save_stage(&server.jobs, &job.lease, StageKind::Plan.into(), output.clone()).await;
    let answer = server.get(&format!("/jobs/{}/stages/plan", job.id)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json(), output);
}

#[tokio::test]
async fn a_stage_that_is_not_finished_or_does_not_exist_is_not_found() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    work::call(&server.jobs, &job.lease, StageKind::Plan.into()).await;
    for name in ["plan", "review", "nonsense", "plan:x", "PLAN", "%ff"] {
        let answer = server.get(&format!("/jobs/{}/stages/{name}", job.id)).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (404, Some("not_found")), "{name}");
    }
}
