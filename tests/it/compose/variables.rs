//! Environment variables: documented, and no secret written down.

use std::collections::BTreeSet;

use super::{ROLES, Wrongs, assert_rule, read, text};

/// The variables that `tinygen config` explains: a comment begins with each, or names it before a dash.
fn documented() -> BTreeSet<String> {
    let comments = include_str!("../../../src/default.toml").lines().filter_map(|line| line.strip_prefix("# "));
    let words = comments.flat_map(|comment| comment.split(" — ").filter_map(|before| before.rsplit(' ').next()));
    let is_variable = |word: &&str| word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    words.filter(is_variable).map(str::to_owned).collect()
}

/// The `${…}` of a text: name, and what follows it.
fn references(text: &str) -> Vec<(&str, &str)> {
    let inner = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(inner, _)| inner);
    inner.map(|inner| inner.split_at(inner.find(':').unwrap_or(inner.len()))).collect()
}

/// A text without its `${…}`.
fn literal(text: &str) -> String {
    let mut parts = text.split("${");
    let mut literal = parts.next().unwrap_or_default().to_owned();
    literal.extend(parts.filter_map(|part| part.split_once('}')).map(|(_, rest)| rest));
    literal
}

fn is_secret(name: &str) -> bool {
    ["KEY", "TOKEN", "PASSWORD", "SECRET", "CUSTOM_HEADERS"].iter().any(|word| name.contains(word))
}

#[test]
fn every_variable_is_documented() {
    let rule = |compose: &str| {
        let (documented, compose) = (documented(), read(compose));
        let mut wrongs = Wrongs::new();
        for (service, fields) in compose["services"].as_object().expect("services") {
            for (name, value) in fields["environment"].as_object().into_iter().flatten() {
                let is_own = !ROLES.contains(&service.as_str()) && name.starts_with("POSTGRES_");
                if !is_own && !documented.contains(name) {
                    wrongs.push(format!("{service}: {name} is not documented"));
                }
                for (reference, _) in references(value.as_str().unwrap_or_default()) {
                    if reference != "POSTGRES_PASSWORD" && !documented.contains(reference) {
                        wrongs.push(format!("{service}: nothing documents ${reference}"));
                    }
                }
            }
        }
        wrongs
    };
    assert!(documented().len() > 15, "{:?}", documented());
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("TINYGEN_MODEL: ", "TINYGEN_MODELL: ", "worker: TINYGEN_MODELL is not documented"),
            ("${TINYGEN_MODEL:-}", "${CLAUDE_MODEL:-}", "nothing documents $CLAUDE_MODEL"),
            ("POSTGRES_DB: ", "PGDATABASE: ", "postgres: PGDATABASE"),
        ],
    );
}

#[test]
fn no_secret_is_written_down() {
    let rule = |compose: &str| {
        let example = text(".env.example");
        let compose = read(compose);
        let mut wrongs = Wrongs::new();
        for (service, fields) in compose["services"].as_object().expect("services") {
            for (name, value) in fields["environment"].as_object().into_iter().flatten() {
                let value = value.as_str().unwrap_or_default();
                let references = references(value);
                let literal = literal(value);
                // `user:@host` is what is left of an address whose password is a reference.
                let has_literal_password = literal
                    .split_once("://")
                    .and_then(|(_, rest)| rest.split_once('@'))
                    .is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, password)| !password.is_empty()));
                if has_literal_password || (is_secret(name) && !literal.is_empty()) {
                    wrongs.push(format!("{service}: {name} holds a secret"));
                }
                for (reference, rest) in references {
                    if is_secret(reference) && !(rest == ":-" || rest.starts_with(":?")) {
                        wrongs.push(format!("{service}: ${reference} has a default"));
                    }
                    if rest.starts_with(":?") && !example.contains(&format!("\n{reference}=")) {
                        wrongs.push(format!("{service}: .env.example does not show {reference}"));
                    }
                }
                if name == "ANTHROPIC_API_KEY" && service != "worker" {
                    wrongs.push(format!("{service}: has no use for the key"));
                }
            }
        }
        let key = compose["services"]["worker"]["environment"]["ANTHROPIC_API_KEY"].as_str().unwrap_or_default();
        if !key.starts_with("${ANTHROPIC_API_KEY:?") {
            wrongs.push("worker: starts without a key".to_owned());
        }
        wrongs
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            (
                "${ANTHROPIC_API_KEY:?put it into .env, as .env.example shows}",
                "sk-ant-1",
                "ANTHROPIC_API_KEY holds a secret",
            ),
            (
                "${ANTHROPIC_API_KEY:?put it into .env, as .env.example shows}",
                "${ANTHROPIC_API_KEY:-}",
                "without a key",
            ),
            (
                "${TINYGEN_REPO_TOKENS:-}",
                "${TINYGEN_REPO_TOKENS:-github.com=ghp}",
                "$TINYGEN_REPO_TOKENS has a default",
            ),
            ("${POSTGRES_PASSWORD:?put it into .env, as .env.example shows}", "postgres", "POSTGRES_PASSWORD holds"),
            ("redis://redis:6379", "redis://:secret@redis:6379", "REDIS_URL holds a secret"),
            (
                "tinygen:${POSTGRES_PASSWORD:?put it into .env, as .env.example shows}@",
                "tinygen:tinygen@",
                "DATABASE_URL holds",
            ),
            (
                "TINYGEN_LISTEN: 0",
                "ANTHROPIC_API_KEY: ${ANTHROPIC_API_KEY:-}\n      TINYGEN_LISTEN: 0",
                "api: has no use",
            ),
            ("${TINYGEN_MODEL:-}", "${TINYGEN_MODEL:?which}", ".env.example does not show TINYGEN_MODEL"),
        ],
    );
}
