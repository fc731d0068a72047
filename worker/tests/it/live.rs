//! What the pipeline says of a running job reaches those who watch it, in pieces that they can take.

use std::time::Duration;

use domain::{Cost, JobStatus, StageKey, StageKind, TokenUsage};
use jobs::{LiveEvent, LiveNews, News};
use pipeline::ProgressEvent;
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::{Database, quick, result, work};

const PATIENCE: Duration = Duration::from_secs(30);
/// Pieces in which the model speaks, one a millisecond.
const PIECES: usize = 1500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_is_told_whole_and_progress_at_most_twice_a_second() {
    let database = Database::new().await;
    let id = database.submit().await;
    let mut watch = database.jobs.watch(id);
    let worker = database.start_worker(
        work(async |_, progress| {
            let key = StageKey::from(StageKind::Plan);
            progress(ProgressEvent::StageStarted { key: key.clone() });
            for number in 0..PIECES {
                progress(ProgressEvent::Text { stage: key.clone(), text: format!("é{number} ") });
                sleep(Duration::from_millis(1)).await;
            }
            let usage = TokenUsage { output_tokens: 5, ..TokenUsage::default() };
            progress(ProgressEvent::CallSettled { stage: key.clone(), usage, cost: Cost::from_nanos(7) });
            // The last word on a stage that goes on is told too.
            sleep(Duration::from_millis(1500)).await;
            progress(ProgressEvent::Text { stage: key.clone(), text: "the end".to_owned() });
            progress(ProgressEvent::StageFinished { key, resumed: false });
            Ok(result())
        }),
        quick(),
    );
    let began = Instant::now();
    let (mut text, mut pieces, mut told) = (String::new(), 0_u128, Vec::new());
    while !text.ends_with("the end") {
        let News::Live(live) = timeout(PATIENCE, watch.next()).await.expect("something is told") else { continue };
        let LiveEvent { stage, news, .. } = &*live;
        assert_eq!(stage.kind, StageKind::Plan);
        match news {
            LiveNews::Text { offset, text: piece } => {
                assert_eq!(*offset, text.chars().count() as u64);
                text.push_str(piece);
                pieces += 1;
            }
            LiveNews::Progress { calls, characters, cost, .. } => told.push((*calls, *characters, *cost)),
        }
    }
    let took = began.elapsed();
    let expected = (0..PIECES).map(|number| format!("é{number} ")).collect::<Vec<_>>().concat();
    assert_eq!(text, expected.clone() + "the end");
    assert!(pieces <= took.as_millis() / 100 + 2, "{pieces} pieces in {took:?}");
    assert!(told.len() as u128 <= took.as_millis() / 500 + 2, "{} times in {took:?}", told.len());
    assert_eq!(told.last(), Some(&(1, expected.chars().count() as u64, Cost::from_nanos(7))));
    database.until(id, JobStatus::Succeeded).await;
    worker.stop().await;
}
