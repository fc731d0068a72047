//! The passes of the `sheet` strategy, on a good day and when the model does not do as asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{FailureCode, FlagKind, Outcome, StageKey, StageKind};
use pipeline::MemoryJournal;
use serde_json::json;
use standin::claude::{Reply, RequestView};
use standin::repo::RepoBuilder;

use crate::scene::{
    GOOD_LINES, MAIN, PRICES, Pass, Scene, approve, diligent, done, good_edit, object, pass_of, plan, plan_input,
    replace,
};

#[tokio::test]
async fn a_job_goes_from_prompt_to_verified_diff() {
    let scene = Scene::new(diligent).await;
    let result = scene.run().await.expect("a result");
    assert_eq!(result.outcome, Outcome::Changed);
    assert!(result.verified);
    assert_eq!(result.summary, "Rounds to whole cents.");
    assert_eq!(result.suggested_commit_message, "Round prices to whole cents");
    assert_eq!(result.flags, []);
    let diff = String::from_utf8(result.diff).expect("text");
    assert!(GOOD_LINES.iter().all(|line| diff.contains(line)), "{diff}");
    assert_eq!(scene.requests().len(), 3);
}

/// The prompt cache matches bytes: tools, system and sheet must be the same in all requests of a job.
#[tokio::test]
async fn all_requests_of_a_job_share_their_prefix() {
    let scene = Scene::new(|request: &RequestView| match pass_of(request) {
        Pass::Edit if request.turn() == 0 => Reply::tools([replace("not there", "x")]),
        Pass::Review if request.number() < 6 => object("major", GOOD_LINES[1]),
        Pass::Repair => Reply::tools([replace("round(float(text) * 100)", "round(100 * float(text))"), done()]),
        _ => diligent(request),
    })
    .await;
    scene.run().await.expect("a result");
    let ledger = scene.claude.ledger();
    assert!(ledger.len() >= 6, "{}", ledger.len());
    let mark = br#""cache_control":{"type":"ephemeral"}"#;
    let prefix = |body: &[u8]| {
        let end = body.windows(mark.len()).position(|window| window == mark).expect("the sheet is marked");
        body[..end + mark.len()].to_vec()
    };
    let first = prefix(&ledger[0].body);
    assert!(String::from_utf8_lossy(&first).contains("def cents"), "the sheet is in the prefix");
    assert!(ledger.iter().all(|exchange| prefix(&exchange.body) == first));
}

#[tokio::test]
async fn later_passes_read_the_prefix_from_the_cache() {
    let scene = Scene::new(diligent).await;
    scene.run().await.expect("a result");
    let ledger = scene.claude.ledger();
    let billed: Vec<_> =
        ledger.iter().filter(|exchange| exchange.path == "/v1/messages").map(|exchange| &exchange.usage).collect();
    assert!(billed[0].cache_creation_input_tokens > 1000, "{:?}", billed[0]);
    for usage in &billed[1..] {
        assert_eq!(usage.cache_read_input_tokens, billed[0].cache_creation_input_tokens);
        assert_eq!(usage.cache_creation_input_tokens, 0);
    }
}

#[tokio::test]
async fn a_finding_is_repaired_once_and_reviewed_again() {
    let scene = Scene::new(|request: &RequestView| match pass_of(request) {
        Pass::Review if request.number() < 4 => object("blocker", GOOD_LINES[1]),
        Pass::Repair => Reply::tools([replace("round(float(text) * 100)", "round(float(text) * 100.0)"), done()]),
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert!(result.verified);
    assert!(String::from_utf8_lossy(&result.diff).contains("+    return round(float(text) * 100.0)"));
    assert_eq!(scene.requests().len(), 5);
}

#[tokio::test]
async fn a_repair_that_breaks_the_code_is_not_taken() {
    let scene = Scene::new(|request: &RequestView| match pass_of(request) {
        Pass::Review => object("major", GOOD_LINES[1]),
        Pass::Repair => {
            Reply::tools([replace("    return round(float(text) * 100)", "    return round((float(text)"), done()])
        }
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert!(!result.verified);
    let diff = String::from_utf8(result.diff).expect("text");
    assert!(diff.contains(GOOD_LINES[1]), "{diff}");
    assert!(result.flags.iter().any(|flag| flag.kind == FlagKind::ReviewFinding));
}

#[tokio::test]
async fn a_finding_without_proof_changes_nothing() {
    let scene = Scene::new(|request: &RequestView| match pass_of(request) {
        Pass::Review => object("blocker", "+    this line is not in the diff"),
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert!(result.verified);
    assert_eq!(scene.requests().len(), 3);
}

#[tokio::test]
async fn a_silent_reviewer_leaves_the_diff_unverified() {
    let scene = Scene::new(|request: &RequestView| match pass_of(request) {
        Pass::Review => Reply::text("Looks good to me."),
        _ => diligent(request),
    })
    .await;
    assert!(!scene.run().await.expect("a result").verified);
    assert_eq!(scene.requests().len(), 4);
}

fn no_change(quote: &str) -> Reply {
    let input = json!({"reason": "It rounds already.", "evidence_path": "prices.py", "evidence_quote": quote});
    Reply::tool("no_change", input)
}

#[tokio::test]
async fn no_change_needs_a_true_quote_and_is_doubted_once() {
    let scene = Scene::new(|request: &RequestView| match request.turn() {
        0 => no_change("    return round(text)"),
        _ => no_change("    return int(float(text) * 100)"),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert_eq!(result.outcome, Outcome::NoChangeNeeded);
    assert_eq!((result.diff.as_slice(), result.summary.as_str()), (b"".as_slice(), "It rounds already."));
    assert_eq!(result.receipt.base_tree, result.receipt.result_tree);
    assert_eq!(scene.requests().len(), 3);
}

#[tokio::test]
async fn a_plan_that_misses_the_repository_is_sent_back() {
    let scene = Scene::new(|request: &RequestView| {
        if pass_of(request) != Pass::Plan || request.turn() > 0 {
            return diligent(request);
        }
        let mut wrong = plan_input();
        wrong["files"][0]["path"] = json!("price.py");
        wrong["evidence"][0]["quote"] = json!("return int(text)");
        Reply::tool("submit_plan", wrong)
    })
    .await;
    assert!(scene.run().await.expect("a result").verified);
    let answer = scene.requests()[1]["messages"][2]["content"][0].clone();
    assert_eq!(answer["is_error"], json!(true));
    let text = answer["content"].as_str().expect("text");
    assert!(text.contains("price.py is not in the repository") && text.contains("return int(text)"), "{text}");
}

#[tokio::test]
async fn an_edit_that_does_not_match_is_told_and_tried_again() {
    let scene = Scene::new(|request: &RequestView| match (pass_of(request), request.turn()) {
        (Pass::Edit, 0) => Reply::tools([replace("    return int(float(txt) * 100)", "    return round(txt)"), done()]),
        _ => diligent(request),
    })
    .await;
    assert!(scene.run().await.expect("a result").verified);
    let results = scene.requests()[2]["messages"][2]["content"].clone();
    assert_eq!((results[0]["is_error"].clone(), results[1]["is_error"].clone()), (json!(true), json!(true)));
    assert!(results[0]["content"].as_str().expect("text").contains("prices.py"));
}

#[tokio::test]
async fn a_file_that_was_not_shown_cannot_be_edited() {
    let scene = Scene::new(|request: &RequestView| match (pass_of(request), request.turn()) {
        (Pass::Edit, 0) => Reply::tools([
            (
                "Edit",
                json!({"file_path": "poetry.lock", "old_string": "version = \"1\"", "new_string": "version = \"2\"",
                "replace_all": false}),
            ),
            good_edit(),
            done(),
        ]),
        (Pass::Edit, _) => Reply::tools([done()]),
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert_eq!(result.files.len(), 1);
    let refusal = scene.requests()[2]["messages"][2]["content"][0]["content"].to_string();
    assert!(refusal.contains("not shown"), "{refusal}");
}

#[tokio::test]
async fn a_lock_file_that_the_plan_names_is_shown_for_the_edit() {
    let scene = Scene::new(|request: &RequestView| match pass_of(request) {
        Pass::Plan => {
            let mut input = plan_input();
            input["files"][0]["path"] = json!("poetry.lock");
            Reply::tool("submit_plan", input)
        }
        Pass::Edit => {
            assert!(request.first_text().contains("version = \"1\""));
            Reply::tools([
                (
                    "Edit",
                    json!({"file_path": "poetry.lock", "old_string": "version = \"1\"",
                    "new_string": "version = \"2\"", "replace_all": false}),
                ),
                done(),
            ])
        }
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert!(result.flags.iter().any(|flag| flag.kind == FlagKind::SupplyChain));
}

#[tokio::test]
async fn a_model_that_talks_is_nudged_once() {
    let scene = Scene::new(|request: &RequestView| match (pass_of(request), request.turn()) {
        (Pass::Plan, 0) => Reply::text("I would change prices.py."),
        _ => diligent(request),
    })
    .await;
    assert!(scene.run().await.expect("a result").verified);

    let scene = Scene::new(|_: &RequestView| Reply::text("I would change prices.py.")).await;
    let failure = scene.run().await.expect_err("no plan").failure();
    assert_eq!(failure.code, FailureCode::ModelOutputInvalid);
    assert_eq!(scene.requests().len(), 2);
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_again() {
    let scene = Scene::new(|request: &RequestView| match (pass_of(request), request.number()) {
        (Pass::Plan, 0) => Reply::empty(),
        _ => diligent(request),
    })
    .await;
    assert!(scene.run().await.expect("a result").verified);
}

#[tokio::test]
async fn a_call_written_as_text_is_asked_for_again_and_not_kept() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let scene = Scene::new(move |request: &RequestView| match pass_of(request) {
        Pass::Edit if count.fetch_add(1, Ordering::SeqCst) == 0 => {
            Reply::text("court\n<invoke name=\"Edit\">\n<parameter name=\"file_path\">prices.py</parameter>\n</invoke>")
        }
        _ => diligent(request),
    })
    .await;
    assert!(scene.run().await.expect("a result").verified);
    let requests = scene.requests();
    assert_eq!(requests[1], requests[2]);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_was_cut_is_continued() {
    let scene = Scene::new(|request: &RequestView| match (pass_of(request), request.turn()) {
        (Pass::Edit, 0) => Reply::tools([good_edit()])
            .then_cut_tool("Write", "{\"file_path\": \"new.py\", \"content\": \"x = ")
            .stopping("max_tokens"),
        (Pass::Edit, _) => Reply::tools([done()]),
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert_eq!(result.files.len(), 1);
    let requests = scene.requests();
    assert_eq!(requests[2]["max_tokens"].as_u64(), requests[1]["max_tokens"].as_u64().map(|tokens| tokens * 2));
    let last = requests[2]["messages"][2]["content"].as_array().expect("blocks").last().expect("a block").clone();
    assert!(last["text"].as_str().expect("text").contains("was cut"), "{last}");
}

#[tokio::test]
async fn a_refusal_ends_the_job_with_its_category() {
    let scene = Scene::new(|_: &RequestView| Reply::refusal(Some("cyber"))).await;
    let failure = scene.run().await.expect_err("refused").failure();
    assert_eq!(failure.code, FailureCode::ModelRefused);
    assert!(failure.message.contains("cyber"));
    assert_eq!(scene.requests().len(), 1);
}

#[tokio::test]
async fn a_diff_with_a_secret_does_not_go_out() {
    let secret = format!("{}{}", "AKIA", "Q3EXAMPL7ZRT5WXY");
    let scene = Scene::new(move |request: &RequestView| match pass_of(request) {
        Pass::Edit => {
            let new = format!("    key = \"{secret}\"\n    return round(float(text) * 100)");
            Reply::tools([replace("    return int(float(text) * 100)", &new), done()])
        }
        _ => diligent(request),
    })
    .await;
    let failure = scene.run().await.expect_err("rejected").failure();
    assert_eq!(failure.code, FailureCode::DiffRejected);
    assert!(!failure.message.contains("AKIA"));
}

#[tokio::test]
async fn edits_in_a_review_change_nothing() {
    let scene = Scene::new(|request: &RequestView| match (pass_of(request), request.turn()) {
        (Pass::Review, 0) => Reply::tools([replace("round", "floor")]),
        (Pass::Review, _) => approve(),
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert!(!String::from_utf8_lossy(&result.diff).contains("floor"));
}

#[tokio::test]
async fn a_pass_that_never_ends_is_ended() {
    let scene = Scene::new(|request: &RequestView| match pass_of(request) {
        Pass::Plan => plan(),
        _ => Reply::tools([replace("not there", "x")]),
    })
    .await;
    let failure = scene.run().await.expect_err("no edits").failure();
    assert_eq!(failure.code, FailureCode::ModelOutputInvalid);
    assert!(scene.requests().len() <= 9);
}

/// The stand-in counts fewer tokens than the estimate: each job brings the next one's estimate nearer.
#[tokio::test]
async fn bills_correct_the_estimate_of_the_next_sheet() {
    let scene = Scene::new(diligent).await;
    let functions: Vec<String> =
        (0..4_000).map(|n| format!("def price_{n}(count):\n    return count * {n}\n")).collect();
    let files =
        RepoBuilder::new().file("prices.py", PRICES).file("main.py", MAIN).file("table.py", functions.join("\n"));
    scene.git.add("prices", &files.commit("Add a table")).expect("a repository");

    let mut estimates = Vec::new();
    for _ in 0..3 {
        let journal = Arc::new(MemoryJournal::default());
        scene.run_with(journal.clone()).await.expect("a result");
        let sheet = journal.stage(&StageKey::from(StageKind::Sheet)).expect("stored");
        estimates.push(sheet.output["tokens"].as_u64().expect("a number"));
    }
    let billed = &scene.claude.ledger()[0].usage;
    let counted = billed.cache_creation_input_tokens;
    assert!(estimates[0].abs_diff(counted) > counted / 5, "{estimates:?} for {counted}");
    assert!(
        estimates[1..].iter().all(|estimate| estimate.abs_diff(counted) < counted / 10),
        "{estimates:?} for {counted}"
    );
}
