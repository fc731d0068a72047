//! What receivers are sent: an event, and the job as it stood then.
//!
//! The message is thin: neither prompt nor diff is in it, and it stays below the 20 kB that Standard Webhooks asks for, by
//! cutting texts. Metadata is not cut, because receivers know by it what a message is about; it alone may be larger, when
//! nearly all of it has to be escaped. The names are those of `GET /jobs/{id}`.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{Cost, Failure, JobId, JobResult, JobSpec, JobStatus, StageKey, TokenUsage};
use serde_json::{Value, json};

use super::{TEST_EVENT, WebhookId};
use crate::event::EventKind;

/// Largest message.
const MAX_BODY_BYTES: usize = 20_000;

/// Longest free text in a message; less when the message would be too large.
const MAX_TEXT_BYTES: usize = 8_000;

/// What is left of the repository's address at least.
const MIN_URL_BYTES: usize = 1_024;

/// A job at the moment of one of its events.
pub(crate) struct Notice {
    pub(crate) id: JobId,
    /// The number of the event.
    pub(crate) version: u64,
    pub(crate) kind: EventKind,
    /// The stage that the event tells of.
    pub(crate) stage: Option<StageKey>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) spec: JobSpec,
    pub(crate) status: JobStatus,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) result: Option<JobResult>,
    pub(crate) failure: Option<Failure>,
    pub(crate) usage: TokenUsage,
    pub(crate) cost: Cost,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

impl Notice {
    /// The message's `webhook-id`. It says which event this is, so it is the same wherever and however often it is sent.
    pub(crate) fn message_id(&self) -> String {
        format!("evt_{}_{}", self.id.as_uuid().simple(), self.version)
    }

    /// The message.
    pub(crate) fn body(&self) -> String {
        let mut max_text_bytes = MAX_TEXT_BYTES;
        loop {
            let body = self.body_with_texts_up_to(max_text_bytes);
            if body.len() <= MAX_BODY_BYTES || max_text_bytes == 0 {
                return body;
            }
            max_text_bytes /= 2;
        }
    }

    fn body_with_texts_up_to(&self, max_bytes: usize) -> String {
        let spec = &self.spec;
        let result = self.result.as_ref().map(|result| {
            json!({
                "outcome": result.outcome,
                "verified": result.verified,
                "baseCommit": result.receipt.base_commit,
                "baseTree": result.receipt.base_tree,
                "resultTree": result.receipt.result_tree,
                "patchSha256": result.receipt.patch_sha256,
                "fileCount": result.files.len(),
                "flagCount": result.flags.len(),
                "summary": shortened(&result.summary, max_bytes),
            })
        });
        let error = self.failure.as_ref().map(|failure| {
            json!({
                "code": failure.code,
                "detail": shortened(&failure.message, max_bytes),
                "retryable": failure.code.is_retryable(),
            })
        });
        let mut data = json!({
            "id": self.id,
            "status": self.status.as_str(),
            "version": self.version,
            "attempt": self.attempt,
            "maxAttempts": self.max_attempts,
            "repoUrl": shortened(&spec.repo_url.to_string(), max_bytes.max(MIN_URL_BYTES)),
            "ref": spec.git_ref,
            "model": spec.model,
            "priority": spec.priority,
            "metadata": spec.metadata,
            "result": result,
            "error": error,
            "usage": {
                "inputTokens": self.usage.input_tokens,
                "outputTokens": self.usage.output_tokens,
                "cacheReadTokens": self.usage.cache_read_tokens,
                "cacheCreationTokens": self.usage.cache_creation_tokens,
                "costUsd": self.cost.as_usd(),
            },
            "createdAt": timestamp(self.created_at),
            "startedAt": self.started_at.map(timestamp),
            "finishedAt": self.finished_at.map(timestamp),
            "links": { "self": format!("/jobs/{}", self.id), "diff": format!("/jobs/{}/diff", self.id) },
        });
        if let Some(stage) = &self.stage {
            data["stage"] = json!(shortened(&stage.to_string(), max_bytes));
        }
        message(self.kind.as_str(), self.at, &data)
    }
}

/// The message of a test.
pub(crate) fn test_body(id: WebhookId, at: DateTime<Utc>) -> String {
    message(TEST_EVENT, at, &json!({ "webhookId": id.to_string() }))
}

fn message(kind: &str, at: DateTime<Utc>, data: &Value) -> String {
    json!({ "type": kind, "timestamp": timestamp(at), "data": data }).to_string()
}

fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The beginning of a text, with a mark when something is missing.
fn shortened(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = (0..=max_bytes).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::{
        CommitId, FailureCode, GitRef, MAX_METADATA_BYTES, MAX_METADATA_PAIRS, Outcome, Receipt, RepoUrl, StageKind,
    };

    use super::*;

    fn notice() -> Notice {
        let url = RepoUrl::parse("https://github.com/jayhack/llm.sh").expect("valid");
        let at = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        Notice {
            id: "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse().expect("an id"),
            version: 7,
            kind: EventKind::JobFailed,
            stage: None,
            at,
            spec: JobSpec::new(url, "the prompt"),
            status: JobStatus::Failed,
            attempt: 1,
            max_attempts: 3,
            result: None,
            failure: Some(Failure::new(FailureCode::RepoNotFound, "there is no such repository")),
            usage: TokenUsage::default(),
            cost: Cost::ZERO,
            created_at: at,
            started_at: Some(at),
            finished_at: Some(at),
        }
    }

    #[test]
    fn tells_the_job_without_its_prompt() {
        let body: Value = serde_json::from_str(&notice().body()).expect("JSON");
        assert_eq!((&body["type"], &body["timestamp"]), (&json!("job.failed"), &json!("2026-09-21T14:13:20.000Z")));
        assert_eq!((&body["data"]["version"], &body["data"]["status"]), (&json!(7), &json!("failed")));
        assert_eq!(body["data"]["error"]["code"], "repo_not_found");
        assert!(!body.to_string().contains("the prompt"));
        assert_eq!(notice().message_id(), "evt_0199a1b2c3d47e5f8a9b0c1d2e3f4a5b_7");
    }

    #[test]
    fn names_the_stage_of_its_event() {
        let key = StageKey { kind: StageKind::Edit, item: "src/main.rs".to_owned() };
        let body: Value = serde_json::from_str(&Notice { stage: Some(key), ..notice() }.body()).expect("JSON");
        assert_eq!(body["data"]["stage"], "edit:src/main.rs");
    }

    #[test]
    fn stays_below_20_kilobytes_whatever_the_texts_are() {
        for text in ["x".repeat(100_000), "\u{1}".repeat(100_000), "ü".repeat(50_000)] {
            let failure = Failure::new(FailureCode::Internal, text);
            let body = Notice { failure: Some(failure), ..notice() }.body();
            assert!(body.len() <= MAX_BODY_BYTES, "{} bytes", body.len());
            let body: Value = serde_json::from_str(&body).expect("JSON");
            assert!(body["data"]["error"]["detail"].as_str().is_some_and(|detail| detail.ends_with('…')));
        }
    }

    /// The largest metadata there may be, of this character.
    fn metadata_of(character: char) -> BTreeMap<String, String> {
        let fill = |begin: String| {
            let count = (MAX_METADATA_BYTES - begin.len()) / character.len_utf8();
            begin + &character.to_string().repeat(count)
        };
        (0..MAX_METADATA_PAIRS).map(|number| (fill(format!("{number:x}")), fill(String::new()))).collect()
    }

    /// Everything that a client and a model may say, as long as it may be.
    fn notice_with_everything(metadata: BTreeMap<String, String>) -> Notice {
        let url = format!("https://github.com/a/{}", "b".repeat(2_027));
        let mut spec = JobSpec::new(RepoUrl::parse(&url).expect("valid"), "the prompt");
        spec.git_ref = Some(GitRef::parse(&"r".repeat(255)).expect("valid"));
        spec.model = Some("m".repeat(128));
        spec.metadata = metadata;
        let hash = "a".repeat(64);
        let result = JobResult {
            outcome: Outcome::NoChangeNeeded,
            diff: Vec::new(),
            receipt: Receipt {
                base_commit: CommitId::parse(&"a".repeat(40)).expect("valid"),
                base_tree: hash.clone(),
                result_tree: hash.clone(),
                patch_sha256: hash,
            },
            files: vec![],
            summary: "The summary. ".repeat(10_000),
            suggested_commit_message: String::new(),
            flags: vec![],
            verified: true,
        };
        let most = u64::MAX;
        let usage = TokenUsage {
            input_tokens: most,
            output_tokens: most,
            cache_read_tokens: most,
            cache_creation_tokens: most,
        };
        let key = StageKey { kind: StageKind::Snapshot, item: "src/".repeat(1_000) };
        let failure = Failure::new(FailureCode::RepoNotFound, "The failure. ".repeat(10_000));
        Notice { spec, result: Some(result), failure: Some(failure), stage: Some(key), usage, ..notice() }
    }

    #[test]
    fn metadata_is_whole_and_the_rest_makes_room_for_it() {
        for character in ['x', 'ü', '\u{10ffff}'] {
            let metadata = metadata_of(character);
            let body = notice_with_everything(metadata.clone()).body();
            assert!(body.len() <= MAX_BODY_BYTES, "{} bytes", body.len());
            let body: Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(body["data"]["metadata"], json!(metadata));
        }
    }

    #[test]
    fn metadata_is_whole_even_if_it_cannot_be_kept_below_20_kilobytes() {
        let metadata = metadata_of('"');
        let body = notice_with_everything(metadata.clone()).body();
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["data"]["metadata"], json!(metadata));
        assert_eq!((&body["data"]["result"]["summary"], &body["data"]["error"]["detail"]), (&json!("…"), &json!("…")));
    }

    #[test]
    fn nothing_is_cut_without_need() {
        let mut notice = notice_with_everything(BTreeMap::from([("ticket".to_owned(), "1017".to_owned())]));
        notice.failure = None;
        let body: Value = serde_json::from_str(&notice.body()).expect("JSON");
        assert_eq!(body["data"]["repoUrl"], notice.spec.repo_url.to_string());
        assert_eq!(body["data"]["result"]["summary"].as_str().map(str::len), Some(MAX_TEXT_BYTES + "…".len()));
        assert_eq!(body["data"]["metadata"], json!({ "ticket": "1017" }));
    }
}
