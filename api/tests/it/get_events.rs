//! `GET /jobs/{id}/events`.

use std::time::{Duration, Instant};

use api::Pace;
use chrono::Utc;
use domain::{Cost, Failure, FailureCode, JobId, Outcome, StageKey, StageKind, TokenUsage};
use futures::StreamExt as _;
use jobs::{LiveEvent, LiveNews};
use reqwest::Method;
use serde_json::json;
use serde_json::value::RawValue;
use sse_stream::SseByteStream;

use crate::server::{Answer, Server, redact};
use crate::sse::{Event, PATIENCE, Stream};
use crate::work;

fn events_of(id: JobId) -> String {
    format!("/jobs/{id}/events")
}

/// A job that failed once, was canceled, was run again and succeeded.
async fn eventful(server: &Server) -> JobId {
    let jobs = &server.jobs;
    let job = work::running(jobs).await;
    let failure = Failure::new(FailureCode::ModelOverloaded, "the model service is overloaded");
    jobs.requeue(&job.lease, &failure, Duration::ZERO).await.expect("requeue");
    let job = work::claim(jobs).await;
    jobs.cancel(job.id).await.expect("cancel");
    jobs.confirm_cancel(&job.lease).await.expect("confirm");
    jobs.retry(job.id, Some(&StageKind::Plan.into())).await.expect("retry");
    let job = work::claim(jobs).await;
    let edit = StageKey { kind: StageKind::Edit, item: "src/größe.rs".to_owned() };
    work::call(jobs, &job.lease, edit.clone()).await;
    work::save_stage(jobs, &job.lease, edit, json!({"edits": 3})).await;
    jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"diff\n")).await.expect("succeed");
    job.id
}

fn text(stage: StageKind, offset: u64, text: &str) -> LiveEvent {
    LiveEvent { stage: stage.into(), at: Utc::now(), news: LiveNews::Text { offset, text: text.to_owned() } }
}

#[tokio::test]
async fn a_stream_tells_a_whole_life_and_ends_with_it() {
    let server = Server::start().await;
    let id = eventful(&server).await;
    let mut stream = Stream::open(&server, &events_of(id), None).await;
    let headers = stream.response.headers().clone();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    let events = stream.rest().await;
    assert!(events.iter().enumerate().all(|(index, event)| event.id == Some(index as u64 + 1)));
    let mut told = serde_json::to_value(events.iter().map(Event::json).collect::<Vec<_>>()).expect("JSON");
    redact(&mut told, &id.to_string());
    insta::assert_json_snapshot!("a_whole_life", told);
}

#[tokio::test]
async fn the_last_event_holds_the_job_as_it_was_then() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    work::call(&server.jobs, &job.lease, StageKind::Plan.into()).await;
    work::save_stage(&server.jobs, &job.lease, StageKind::Plan.into(), json!({})).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"diff\n")).await.expect("succeed");
    let mut shown = server.get(&format!("/jobs/{}", job.id)).await.json();
    shown["result"].as_object_mut().expect("a result").shift_remove("diff");
    shown["expiresAt"] = json!(null);
    let last = Stream::open(&server, &events_of(job.id), None).await.rest().await.pop().expect("an end");
    assert_eq!(last.json()["job"].to_string(), shown.to_string());
    let size = shown["version"].as_u64();
    server.jobs.retry(job.id, Some(&StageKind::Plan.into())).await.expect("retry");
    server.jobs.cancel(job.id).await.expect("cancel");
    let events = Stream::open(&server, &events_of(job.id), None).await.rest().await;
    assert!(events.iter().any(|event| event.id == size && event.data == last.data), "{events:#?}");
    let kinds: Vec<&str> = events.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds[kinds.len() - 3..], ["job.succeeded", "job.retried", "job.canceled"]);
}

#[tokio::test]
async fn a_page_has_the_same_bytes() {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Page<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
        next_after: u64,
    }
    let server = Server::start().await;
    let path = events_of(eventful(&server).await);
    let streamed: Vec<String> =
        Stream::open(&server, &path, None).await.rest().await.into_iter().map(|event| event.data).collect();
    let page = async |query: &str| {
        let request = server.request(Method::GET, &format!("{path}{query}"));
        let answer = Answer::of(request.header("accept", "application/json")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{query}");
        let page: Page<'_> = serde_json::from_slice(&answer.body).expect("a page");
        (page.data.iter().map(|event| event.get().to_owned()).collect::<Vec<_>>(), page.next_after)
    };
    let all = streamed.len() as u64;
    assert_eq!(page("").await, (streamed.clone(), all));
    let mut paged = Vec::new();
    let mut after = 0;
    while after < all {
        let (data, next_after) = page(&format!("?after={after}&limit=3")).await;
        assert!((1..=3).contains(&data.len()) && next_after > after);
        paged.extend(data);
        after = next_after;
    }
    assert_eq!(paged, streamed);
    assert_eq!(page(&format!("?after={all}")).await, (Vec::new(), all));
}

#[tokio::test]
async fn a_client_goes_on_after_the_last_event_it_has() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let path = events_of(job.id);
    let mut stream = Stream::open(&server, &path, Some(1)).await;
    assert_eq!(stream.next().await.expect("an event").kind, "job.started");
    work::save_stage(&server.jobs, &job.lease, StageKind::Sheet.into(), json!({})).await;
    assert_eq!(stream.next().await.expect("an event").id, Some(3));
    // A browser keeps the address it began with: the header is newer.
    let mut again = Stream::open(&server, &format!("{path}?after=1"), Some(2)).await;
    assert_eq!(again.next().await.expect("an event").id, Some(3));
    let mut by_query = Stream::open(&server, &format!("{path}?after=2"), None).await;
    assert_eq!(by_query.next().await.expect("an event").id, Some(3));
    server.jobs.fail(&job.lease, &Failure::new(FailureCode::RepoEmpty, "it is empty")).await.expect("fail");
    for stream in [&mut stream, &mut again, &mut by_query] {
        let rest = stream.rest().await;
        assert_eq!(rest.iter().map(|event| &*event.kind).collect::<Vec<_>>(), ["job.failed"]);
    }
}

#[tokio::test]
async fn a_finished_job_has_nothing_more_until_it_is_run_again() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    server.jobs.cancel(id).await.expect("cancel");
    let path = events_of(id);
    for last in ["2", "3", "9223372036854775807"] {
        let request = server.request(Method::GET, &path).header("accept", "text/event-stream");
        let answer = Answer::of(request.header("last-event-id", last)).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{last}");
        assert_eq!(server.get(&format!("{path}?after={last}")).await.status, 204, "{last}");
    }
    server.jobs.retry(id, None).await.expect("retry");
    let mut stream = Stream::open(&server, &path, Some(2)).await;
    assert_eq!(stream.next().await.expect("an event").kind, "job.retried");
}

#[tokio::test]
async fn what_is_no_position_is_refused() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    let path = events_of(id);
    for last in ["x", "-1", "1.0", "+1", "9223372036854775808", "2"] {
        let answer = Answer::of(server.request(Method::GET, &path).header("last-event-id", last)).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (400, Some("bad_last_event_id")), "{last}");
        let answer = server.get(&format!("{path}?after={}", last.replace('+', "%2B"))).await;
        assert_eq!(
            (answer.status, answer.problem()["errors"][0]["parameter"].as_str()),
            (400, Some("after")),
            "{last}"
        );
    }
    for query in ["?limit=0", "?limit=501", "?limit=x", "?after=", "?after=1&after=1"] {
        let request = server.request(Method::GET, &format!("{path}{query}")).header("accept", "application/json");
        assert_eq!(Answer::of(request).await.status, 400, "{query}");
    }
    let limited = server.get(&format!("{path}?limit=5")).await;
    assert_eq!(limited.status, 400, "a stream has no limit");
    let html = Answer::of(server.request(Method::GET, &path).header("accept", "text/html")).await;
    assert_eq!((html.status, html.problem()["code"].as_str()), (406, Some("not_acceptable")));
    let missing = server.get(&events_of(JobId::new())).await;
    assert_eq!((missing.status, missing.problem()["code"].as_str()), (404, Some("not_found")));
}

#[tokio::test]
async fn what_is_not_stored_is_told_once_and_has_no_number() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let path = events_of(job.id);
    let mut stream = Stream::open(&server, &path, Some(2)).await;
    // The stream is there when it says its first line.
    assert_eq!(stream.next_bytes().await.expect("a line"), b"retry: 2000\n\n");
    stream.parser.push(b"retry: 2000\n\n");
    server.jobs.tell(job.id, text(StageKind::Plan, 0, "One\nline \u{1f980} \r\n\n: ping\n\n"));
    let usage = TokenUsage { output_tokens: 7, ..TokenUsage::default() };
    let news = LiveNews::Progress { calls: 1, characters: 19, usage, cost: Cost::from_nanos(5_000_000) };
    server.jobs.tell(job.id, LiveEvent { stage: StageKind::Plan.into(), at: Utc::now(), news });
    let delta = stream.next().await.expect("an event");
    assert_eq!((delta.id, &*delta.kind), (None, "stage.delta"));
    assert_eq!(delta.json()["text"], "One\nline \u{1f980} \r\n\n: ping\n\n");
    let progress = stream.next().await.expect("an event");
    let mut told = json!([delta.json(), progress.json()]);
    redact(&mut told, &job.id.to_string());
    insta::assert_json_snapshot!("live", told);
    work::save_stage(&server.jobs, &job.lease, StageKind::Plan.into(), json!({})).await;
    assert_eq!(stream.next().await.expect("an event").id, Some(3));
    // Nobody hears it again, and those who watch another job never do.
    let mut again = Stream::open(&server, &path, None).await;
    server.jobs.fail(&job.lease, &Failure::new(FailureCode::RepoEmpty, "it is empty")).await.expect("fail");
    assert!(again.rest().await.iter().all(|event| event.id.is_some()));
}

#[tokio::test]
async fn text_of_one_job_is_not_told_to_those_who_watch_another() {
    let server = Server::start().await;
    let (ours, theirs) = (work::running(&server.jobs).await, work::running(&server.jobs).await);
    let mut stream = Stream::open(&server, &events_of(ours.id), Some(2)).await;
    assert!(stream.next_bytes().await.is_some());
    server.jobs.tell(theirs.id, text(StageKind::Plan, 0, "theirs"));
    server.jobs.tell(ours.id, text(StageKind::Plan, 0, "ours"));
    let bytes = stream.next_bytes().await.expect("an event");
    assert!(String::from_utf8_lossy(&bytes).contains("\"text\":\"ours\""), "{}", String::from_utf8_lossy(&bytes));
}

#[tokio::test]
async fn a_silent_stream_is_kept_open() {
    let server = Server::start_at(Pace { ping: Duration::from_millis(200), ..Pace::default() }).await;
    let job = work::running(&server.jobs).await;
    let mut stream = Stream::open(&server, &events_of(job.id), Some(2)).await;
    // Longer than a client may take for the headers of a request.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(11) {
        let bytes = stream.next_bytes().await.expect("a ping");
        assert!(stream.parser.push(&bytes).is_empty());
    }
    assert!(stream.parser.pings >= 20, "{}", stream.parser.pings);
    server.jobs.cancel(job.id).await.expect("cancel");
    assert_eq!(stream.next().await.expect("an event").kind, "job.cancelRequested");
}

#[tokio::test]
async fn a_public_parser_reads_the_same() {
    let server = Server::start().await;
    let path = events_of(eventful(&server).await);
    let ours = Stream::open(&server, &path, None).await.rest().await;
    let response = Stream::open(&server, &path, None).await.response;
    let blocks: Vec<_> = SseByteStream::new(response.bytes_stream()).collect().await;
    let blocks: Vec<_> = blocks.into_iter().map(|block| block.expect("it reads")).collect();
    assert_eq!(blocks[0].retry, Some(2000));
    let theirs: Vec<Event> = blocks[1..]
        .iter()
        .map(|block| Event {
            id: block.id.as_ref().map(|id| id.parse().expect("a number")),
            kind: block.event.clone().expect("a kind"),
            data: block.data.clone().expect("data"),
        })
        .collect();
    assert_eq!(theirs, ours);
}

#[tokio::test]
async fn open_streams_end_with_the_server_at_once() {
    let mut server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = Stream::open(&server, &events_of(job.id), Some(2)).await;
        assert!(stream.next_bytes().await.is_some());
        streams.push(stream);
    }
    let began = Instant::now();
    server.shutdown.cancel();
    tokio::time::timeout(PATIENCE, &mut server.task).await.expect("in time").expect("the server ends");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for stream in &mut streams {
        assert_eq!(stream.next_bytes().await, None, "ended, not cut off");
    }
}
