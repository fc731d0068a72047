//! The arrows between the crates, and who alone may do what (docs/ARCHITECTURE.md, "Invariants").

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        // Tests may use what the code may not: the stand-ins, for one.
        let real = all.filter(|dependency| dependency["kind"].is_null());
        real.map(|dependency| dependency["name"].as_str().expect("a name").to_owned()).collect()
    };
    packages.map(|package| (package["name"].as_str().expect("a name").to_owned(), of(package))).collect()
}

#[test]
fn arrows_point_down() {
    let dependencies = dependencies();
    let crates: BTreeSet<String> = dependencies.keys().cloned().collect();
    let arrows = |name: &str| -> Vec<&str> { dependencies[name].intersection(&crates).map(String::as_str).collect() };
    assert_eq!(arrows("domain"), [] as [&str; 0]);
    assert_eq!(arrows("egress"), [] as [&str; 0]);
    assert_eq!(arrows("exposition"), [] as [&str; 0]);
    assert_eq!(arrows("pipeline"), ["domain", "egress"]);
    assert_eq!(arrows("jobs"), ["domain"]);
    assert_eq!(arrows("worker"), ["domain", "egress", "jobs", "pipeline", "trace_context"]);
    assert_eq!(arrows("api"), ["domain", "egress", "jobs", "trace_context"]);
    assert_eq!(arrows("standin"), [] as [&str; 0]);
    assert_eq!(arrows("trace_context"), [] as [&str; 0]);
    let all = ["api", "domain", "egress", "exposition", "jobs", "pipeline", "standin", "trace_context", "worker"];
    assert_eq!(arrows("tinygen"), all);
}

#[test]
fn crates_keep_out_what_is_not_theirs() {
    let dependencies = dependencies();
    let forbidden: [(&str, &[&str]); 6] = [
        ("pipeline", &["sqlx", "axum", "apalis", "redis", "opentelemetry", "tracing-opentelemetry"]),
        ("jobs", &["git2", "reqwest", "axum", "opentelemetry", "tracing-opentelemetry"]),
        ("api", &["git2", "sqlx", "reqwest", "opentelemetry", "tracing-opentelemetry"]),
        ("domain", &["tokio", "reqwest", "sqlx", "git2", "axum", "futures", "metrics"]),
        ("worker", &["opentelemetry", "tracing-opentelemetry"]),
        ("trace_context", &["opentelemetry-otlp", "reqwest", "tokio"]),
    ];
    for (name, unwanted) in forbidden {
        for dependency in unwanted {
            assert!(!dependencies[name].contains(*dependency), "`{name}` must not depend on `{dependency}`");
        }
    }
}

/// What a part of the code alone may do: the text that gives it away, and the files it may stand in. The SDK of
/// OpenTelemetry reads its own standard variables; `src/config.rs` only reads whether there is a collector.
#[test]
fn each_deed_has_one_place() {
    let deeds: [(&str, &[&str]); 4] = [
        ("Client::builder(", &["egress/src"]),
        ("sqlx::query", &["jobs/src/store"]),
        ("std::env::var", &["src/config.rs"]),
        ("env::vars", &["src/config.rs"]),
    ];
    for file in sources(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let text = std::fs::read_to_string(&file).expect("readable");
        // What stands below is test code.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let path = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("inside").to_string_lossy().into_owned();
        for (deed, places) in deeds {
            let is_allowed = places.iter().any(|place| path.starts_with(place));
            assert!(is_allowed || !code.contains(deed), "{path}: only {places:?} may use `{deed}`");
        }
    }
}

/// What is counted is counted under the names that there are, and each of them is.
#[test]
fn every_metric_is_counted() {
    let is_tally = |file: &PathBuf| file.ends_with("src/tally.rs");
    let tallies = sources(Path::new(env!("CARGO_MANIFEST_DIR"))).into_iter().filter(is_tally);
    let code: String = tallies.map(|file| std::fs::read_to_string(file).expect("readable")).collect();
    let counted: BTreeSet<&str> = code.split('"').filter(|text| text.starts_with("tinygen_")).collect();
    assert_eq!(counted, exposition::METRICS.iter().map(|metric| metric.name).collect());
}

/// The Rust files of all crates, without tests, benchmarks and the stand-ins.
pub(crate) fn sources(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let crates = ["api", "domain", "egress", "exposition", "jobs", "pipeline", "trace_context", "worker"];
    let folders = crates.map(|name| format!("{name}/src")).into_iter().chain(["src".to_owned()]);
    let mut folders: Vec<PathBuf> = folders.map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 40, "found only {} files", files.len());
    files
}
