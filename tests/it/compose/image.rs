//! The image: how it is built, what is in it, who runs in it, and what the builder gets to see.

use std::path::Path;

use serde_json::Value;

use super::{Wrongs, assert_rule, read, text};

/// The instructions of a Dockerfile, continued lines joined, stage by stage.
fn stages(dockerfile: &str) -> Vec<Vec<(String, String)>> {
    let lines: Vec<&str> = dockerfile.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let mut stages: Vec<Vec<(String, String)>> = Vec::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        let (name, rest) = line.trim().split_once(char::is_whitespace).expect("an instruction and its arguments");
        if name == "FROM" {
            stages.push(Vec::new());
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        stages.last_mut().expect("FROM comes first").push((name.to_owned(), words.join(" ")));
    }
    stages
}

/// The arguments of every such instruction of a stage.
fn all<'a>(stage: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    stage.iter().filter(|(found, _)| found == name).map(|(_, rest)| rest.as_str()).collect()
}

fn rust_version() -> String {
    let manifest: toml::Table = text("Cargo.toml").parse().expect("TOML");
    manifest["workspace"]["package"]["rust-version"].as_str().expect("a version").to_owned()
}

#[test]
fn it_is_built_in_one_stage_and_runs_in_another() {
    let rule = |dockerfile: &str| {
        let stages = stages(dockerfile);
        let [build, runtime] = stages.as_slice() else { return vec![format!("{} stages", stages.len())] };
        let mut wrongs = Wrongs::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrongs.push(what.to_owned());
            }
        };
        let from = all(build, "FROM")[0].to_owned();
        let suite =
            from.strip_prefix(&format!("rust:{}-", rust_version())).and_then(|rest| rest.strip_suffix(" AS build"));
        must(suite.is_some(), "build: another toolchain than rust-version");
        let same = format!("debian:{}-slim AS runtime", suite.unwrap_or_default());
        must(all(runtime, "FROM") == [same], "runtime: another Debian than the build's");
        let cargo = all(build, "RUN").join(" ");
        must(cargo.contains("cargo build --release --locked"), "build: not what is locked");
        for folder in ["/usr/local/cargo/registry", "/src/target"] {
            must(cargo.contains(&format!("--mount=type=cache,target={folder},sharing=locked")), "build: not cached");
        }
        must(cargo.contains("-exec touch"), "build: an old file may hide a change");
        must(
            all(runtime, "COPY") == ["--from=build /out/tinygen /usr/local/bin/tinygen"],
            "runtime: copies something else",
        );
        let run = all(runtime, "RUN").join(" ");
        must(
            run.contains("--no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*"),
            "runtime: packages",
        );
        must(run.matches("install").count() == 3, "runtime: installs something else");
        must(all(runtime, "LABEL").iter().any(|label| label.contains("org.opencontainers.image.title")), "labels");
        wrongs
    };
    assert_rule(
        "Dockerfile",
        rule,
        &[
            ("FROM debian:bookworm-slim AS runtime\n", "", "1 stages"),
            ("rust:1.95-bookworm", "rust:latest", "build: another toolchain"),
            ("debian:bookworm-slim", "debian:trixie-slim", "runtime: another Debian"),
            (" --locked", "", "build: not what is locked"),
            ("    --mount=type=cache,target=/src/target,sharing=locked \\\n", "", "build: not cached"),
            ("-exec touch {} +", "-exec true {} +", "build: an old file"),
            ("COPY --from=build", "COPY .env /\nCOPY --from=build", "runtime: copies"),
            ("ca-certificates", "ca-certificates curl", "runtime: packages"),
            ("    && groupadd", "    && apt-get install git \\\n    && groupadd", "runtime: installs"),
            ("image.title", "image.name", "labels"),
        ],
    );
}

#[test]
fn it_runs_the_program_as_an_ordinary_user() {
    let rule = |dockerfile: &str| {
        let stages = stages(dockerfile);
        let runtime = stages.last().expect("a stage");
        let mut wrongs = Wrongs::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrongs.push(what.to_owned());
            }
        };
        let compose = read(&text("docker-compose.yml"));
        let user = compose["services"]["api"]["user"].as_str().unwrap_or_default().to_owned();
        must(all(runtime, "USER") == [&user], "another user than in docker-compose.yml");
        let id = user.split(':').next().unwrap_or_default();
        let run = all(runtime, "RUN").join(" ");
        must(run.contains(&format!("--uid {id}")) && run.contains(&format!("--gid {id}")), "the user has other ids");
        must(
            run.contains(&format!("install -d --owner={id} --group={id} --mode=0700 /var/lib/tinygen")),
            "data folder",
        );
        must(all(runtime, "ENV") == ["TINYGEN_DATA_DIR=/var/lib/tinygen"], "environment");
        must(all(runtime, "WORKDIR") == ["/var/lib/tinygen"], "working directory");
        // As lists, so that no shell stands between the program and its signals.
        must(all(runtime, "ENTRYPOINT") == [r#"["tinygen"]"#], "entry point");
        must(all(runtime, "CMD") == [r#"["serve"]"#], "command");
        must(all(runtime, "EXPOSE") == ["8000"], "port");
        // Workers share the image, and a nameless volume would be left behind for each.
        for instruction in ["HEALTHCHECK", "VOLUME", "ADD", "ONBUILD", "SHELL"] {
            must(all(runtime, instruction).is_empty(), instruction);
        }
        must(stages.iter().all(|stage| all(stage, "ARG").is_empty()), "ARG");
        wrongs
    };
    assert_rule(
        "Dockerfile",
        rule,
        &[
            ("USER 10001:10001\n", "", "another user"),
            ("USER 10001:10001", "USER root", "another user"),
            ("--uid 10001", "--uid 0", "other ids"),
            ("--owner=10001 ", "", "data folder"),
            ("ENV TINYGEN_DATA_DIR", "ENV ANTHROPIC_API_KEY=sk-ant-1 TINYGEN_DATA_DIR", "environment"),
            ("ENTRYPOINT [\"tinygen\"]", "ENTRYPOINT tinygen", "entry point"),
            ("CMD [\"serve\"]", "CMD [\"demo\"]", "command"),
            ("CMD [\"serve\"]", "CMD [\"serve\"]\nHEALTHCHECK CMD tinygen health", "HEALTHCHECK"),
            ("USER 10001", "ARG TOKEN\nUSER 10001", "ARG"),
        ],
    );
}

#[test]
fn the_builder_sees_the_code_and_nothing_else() {
    let rule = |ignore: &str| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let rules: Vec<&str> = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let mut wrongs = Wrongs::new();
        if rules.first() != Some(&"*") {
            wrongs.push("what is not named is let in".to_owned());
        }
        let admitted: Vec<&str> = rules.iter().filter_map(|rule| rule.strip_prefix('!')).collect();
        let manifest: toml::Table = text("Cargo.toml").parse().expect("TOML");
        let members = manifest["workspace"]["members"].as_array().expect("members").iter();
        let needed = members.map(|member| member.as_str().expect("a folder").to_owned());
        let own = ["Cargo.toml", "Cargo.lock", "src", "tests", "benches", "demo", "migrations"].map(str::to_owned);
        let mut needed: Vec<String> = needed.chain(own).collect();
        needed.sort_unstable();
        for name in &needed {
            if !admitted.contains(&name.as_str()) {
                wrongs.push(format!("{name} is missing"));
            }
        }
        for name in admitted {
            if !needed.iter().any(|needed| needed == name) || !root.join(name).exists() {
                wrongs.push(format!("{name} is let in"));
            }
        }
        for last in ["**/.env", "**/target"] {
            if !rules.iter().rev().take_while(|rule| !rule.starts_with('!')).any(|rule| *rule == last) {
                wrongs.push(format!("{last} is let in"));
            }
        }
        wrongs
    };
    assert_rule(
        ".dockerignore",
        rule,
        &[
            ("*\n!Cargo.toml", "!Cargo.toml", "what is not named"),
            ("!worker\n", "", "worker is missing"),
            ("!benches\n", "", "benches is missing"),
            ("!worker\n", "!worker\n!.git\n", ".git is let in"),
            ("!worker\n", "!worker\n!data\n", "data is let in"),
            ("**/.env\n", "", "**/.env is let in"),
        ],
    );
}

#[test]
fn its_texts_are_read_as_a_builder_reads_them() {
    let stages = stages("# c\nFROM a AS b\nRUN x \\\n    # within\n    && y\n\nFROM c\nCMD [\"z\"]\n");
    let pair = |name: &str, rest: &str| (name.to_owned(), rest.to_owned());
    assert_eq!(
        stages,
        [vec![pair("FROM", "a AS b"), pair("RUN", "x && y")], vec![pair("FROM", "c"), pair("CMD", "[\"z\"]")]]
    );
    let merged = read("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\n");
    assert_eq!(merged["c"], serde_json::from_str::<Value>(r#"{"x":3,"y":1,"z":2}"#).expect("JSON"));
}
