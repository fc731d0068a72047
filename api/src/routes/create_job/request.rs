//! What a client asks for, read with all its mistakes at once.

use std::collections::BTreeMap;

use domain::{
    Cost, DEFAULT_TIMEOUT_SECONDS, Effort, GitRef, JobSpec, MAX_ATTEMPTS, MAX_METADATA_BYTES, MAX_METADATA_PAIRS,
    MAX_PATH_PATTERNS, MAX_PROMPT_BYTES, MAX_TIMEOUT_SECONDS, PathPattern, Priority, RepoUrl, Strategy,
};
use egress::Egress;
use jobs::JobWebhook;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::field::{Field, Mistakes};
use crate::json_body::token;
use crate::openapi::{GitRefText, Metadata, PathPatternText, RepoUrlText, StrategyName};
use crate::routes::webhooks::{WebhookField, read_job_webhook};
use crate::wire::{AUTO, FieldError, FieldErrorKind};

/// Longest model id, in bytes.
const MAX_MODEL_BYTES: usize = 128;

/// What a client asks for. Everything but the first two is optional; a field that is not here is refused, because a
/// misspelt one would pass silently.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "repoUrl": "https://git.example.com/team/project", "prompt": "Add a licence" }))]
pub(super) struct CreateJob {
    /// Where the repository is: an `https://` address without credentials.
    #[serde(default)]
    #[schema(value_type = RepoUrlText, required)]
    repo_url: Field<String>,
    /// What should change, in the user's words; at most 32 KiB.
    #[serde(default)]
    #[schema(value_type = String, required, max_length = 32_768, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    prompt: Field<String>,
    /// Branch, tag or full commit id; the repository's default branch when absent.
    #[serde(default, rename = "ref")]
    #[schema(value_type = Option<GitRefText>)]
    git_ref: Field<String>,
    /// Model id; the server's default when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[!-~]{1,128}$")]
    model: Field<String>,
    /// How hard the model works: `low` to `max`; the model's own default when absent.
    #[serde(default)]
    #[schema(value_type = Option<Effort>)]
    effort: Field<String>,
    /// How the repository is shown to the model: `auto` (by its size) or the name of a strategy.
    #[serde(default)]
    #[schema(value_type = Option<StrategyName>)]
    strategy: Field<String>,
    /// The most the job may cost over all its attempts, in US dollars.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0.000_000_001, maximum = 9_223_372_036.0)]
    max_cost_usd: Field<f64>,
    /// How urgent the job is: `low`, `normal` or `high`.
    #[serde(default)]
    #[schema(value_type = Option<Priority>)]
    priority: Field<String>,
    /// How long workers may work on the job, over all its attempts: up to a day; half an hour when absent.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 86_400)]
    timeout_seconds: Field<u64>,
    /// How often the job may be tried, 1 to 10; 3 times when absent.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 10)]
    max_attempts: Field<u64>,
    /// The files that may be shown and changed, as patterns of a `.gitignore` file; all of them when absent.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PathPatternText>>, max_items = 64)]
    paths: Field<Vec<Field<String>>>,
    /// The files among them that may not.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PathPatternText>>, max_items = 64)]
    exclude_paths: Field<Vec<Field<String>>>,
    /// Up to 16 names with a text each, of up to 512 bytes, which come back with the job.
    #[serde(default)]
    #[schema(value_type = Option<Metadata>)]
    metadata: Field<BTreeMap<String, Field<String>>>,
    /// Who is told of this job alone.
    #[serde(default)]
    #[schema(value_type = Option<WebhookField>)]
    webhook: Field<WebhookField>,
    /// Whatever else is there.
    #[serde(flatten)]
    #[schema(ignore)]
    unknown: Map<String, Value>,
}

impl CreateJob {
    /// Reads every field, and reports all that are wrong at once.
    pub(super) fn read(self, egress: &Egress) -> Result<(JobSpec, Option<JobWebhook>), Vec<FieldError>> {
        let mut mistakes = Mistakes::default();
        let repo_url = mistakes.note(read_repo_url(self.repo_url, egress));
        let prompt = mistakes.note(read_prompt(self.prompt));
        let git_ref = mistakes.optional("/ref", self.git_ref, |text| GitRef::parse(&text));
        let model = mistakes.optional("/model", self.model, read_model);
        let effort = mistakes.optional("/effort", self.effort, |text| text.parse::<Effort>());
        let strategy = mistakes.optional("/strategy", self.strategy, |text| read_strategy(&text)).flatten();
        let max_cost = mistakes.optional("/maxCostUsd", self.max_cost_usd, read_cost);
        let priority = mistakes.optional("/priority", self.priority, |text| text.parse::<Priority>());
        let timeout_seconds =
            mistakes.optional("/timeoutSeconds", self.timeout_seconds, |n| read_count(n, MAX_TIMEOUT_SECONDS));
        let max_attempts = mistakes.optional("/maxAttempts", self.max_attempts, |n| read_count(n, MAX_ATTEMPTS));
        let paths = read_patterns(&mut mistakes, "/paths", self.paths);
        let exclude_paths = read_patterns(&mut mistakes, "/excludePaths", self.exclude_paths);
        let metadata = read_metadata(&mut mistakes, self.metadata);
        let webhook = mistakes.note(self.webhook.optional("/webhook")).flatten();
        let webhook = webhook.and_then(|field| mistakes.all(read_job_webhook(field, egress)));
        for name in self.unknown.keys() {
            mistakes.note::<()>(Err(FieldError::new(token(name), "is not a field of this request")));
        }
        let (Some(repo_url), Some(prompt), true) = (repo_url, prompt, mistakes.is_empty()) else {
            return Err(mistakes.into());
        };
        let spec = JobSpec {
            git_ref,
            model,
            effort,
            strategy,
            max_cost,
            priority: priority.unwrap_or_default(),
            timeout_seconds: timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            max_attempts,
            paths,
            exclude_paths,
            metadata,
            ..JobSpec::new(repo_url, prompt)
        };
        Ok((spec, webhook))
    }
}

fn read_repo_url(field: Field<String>, egress: &Egress) -> Result<RepoUrl, FieldError> {
    let error = |kind, detail: String| FieldError { kind, ..FieldError::new("/repoUrl", detail) };
    let text = field.required("/repoUrl")?;
    let url = RepoUrl::parse(&text).map_err(|rule| error(FieldErrorKind::RepoUrl, rule.to_string()))?;
    egress.check(url.as_url()).map_err(|rule| error(FieldErrorKind::BlockedAddress, rule.to_string()))?;
    Ok(url)
}

fn read_prompt(field: Field<String>) -> Result<String, FieldError> {
    let error = |detail: String| FieldError::new("/prompt", detail);
    let text = field.required("/prompt")?;
    if text.trim().is_empty() {
        return Err(error("must say what should change".to_owned()));
    }
    if text.len() > MAX_PROMPT_BYTES {
        return Err(error(format!("is longer than {MAX_PROMPT_BYTES} bytes")));
    }
    // PostgreSQL stores no text with it.
    if text.contains('\0') {
        return Err(error("must not hold the character U+0000".to_owned()));
    }
    Ok(text)
}

/// Which models there are is the model service's to say; here it only must look like an id.
fn read_model(text: String) -> Result<String, String> {
    let is_id = (1..=MAX_MODEL_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_id { Ok(text) } else { Err(format!("is not a model id: 1 to {MAX_MODEL_BYTES} visible ASCII characters")) }
}

fn read_strategy(text: &str) -> Result<Option<Strategy>, String> {
    if text == AUTO { Ok(None) } else { text.parse().map(Some).map_err(|error| format!("{error}, or {AUTO}")) }
}

fn read_count(count: u64, max: u32) -> Result<u32, String> {
    let count = u32::try_from(count).ok().filter(|count| (1..=max).contains(count));
    count.ok_or_else(|| format!("must be 1 to {max}"))
}

fn read_patterns(mistakes: &mut Mistakes, at: &str, field: Field<Vec<Field<String>>>) -> Vec<PathPattern> {
    let max = MAX_PATH_PATTERNS;
    let is_short =
        |list: Vec<_>| if list.len() <= max { Ok(list) } else { Err(format!("has more than {max} patterns")) };
    let items = mistakes.optional(at, field, is_short).unwrap_or_default();
    let read = |(index, item): (usize, Field<String>)| {
        let at = format!("{at}/{index}");
        let text = mistakes.note(item.required(&at))?;
        mistakes.note(PathPattern::parse(&text).map_err(|error| FieldError::new(at, error)))
    };
    items.into_iter().enumerate().filter_map(read).collect()
}

fn read_metadata(mistakes: &mut Mistakes, field: Field<BTreeMap<String, Field<String>>>) -> BTreeMap<String, String> {
    let max = MAX_METADATA_PAIRS;
    let is_small =
        |map: BTreeMap<_, _>| if map.len() <= max { Ok(map) } else { Err(format!("has more than {max} pairs")) };
    let pairs = mistakes.optional("/metadata", field, is_small).unwrap_or_default();
    let read = |(name, value): (String, Field<String>)| {
        let at = format!("/metadata{}", token(&name));
        let value = mistakes.note(value.required(&at))?;
        mistakes.note(check_metadata(&name, &value).map_err(|rule| FieldError::new(at, rule)))?;
        Some((name, value))
    };
    pairs.into_iter().filter_map(read).collect()
}

fn check_metadata(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("has no name".to_owned());
    }
    if name.len().max(value.len()) > MAX_METADATA_BYTES {
        return Err(format!("is longer than {MAX_METADATA_BYTES} bytes"));
    }
    // PostgreSQL stores no text with it.
    if name.contains('\0') || value.contains('\0') {
        return Err("must not hold the character U+0000".to_owned());
    }
    Ok(())
}

fn read_cost(usd: f64) -> Result<Cost, String> {
    let cost = Cost::try_from_usd(usd).map_err(|error| error.to_string())?;
    if cost == Cost::ZERO { Err("must be more than 0: every job costs something".to_owned()) } else { Ok(cost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_taken_to_the_last_digit() {
        let nanos = |usd| read_cost(usd).map(Cost::as_nanos);
        assert_eq!(nanos(0.1), Ok(100_000_000));
        assert_eq!(nanos(0.000_000_001), Ok(1));
        assert_eq!(nanos(2.0), Ok(2_000_000_000));
        for bad in [0.0, -0.0, -1.0, 1e300, 1e-10, f64::NAN, f64::INFINITY] {
            assert!(nanos(bad).is_err(), "{bad}");
        }
    }
}
