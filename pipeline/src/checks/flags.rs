//! What a person should look at before using the diff: files that run by themselves, and text that hides or points away.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use domain::{Flag, FlagKind, RepoPath};
use regex::Regex;
use serde_json::Value;

use super::change::Change;
use crate::sheet::FileClass;

/// Flags for hosts, per file.
const MAX_HOSTS: usize = 20;

/// All flags of one changed file.
pub(super) fn of(change: &Change<'_>, prompt: &str) -> Vec<Flag> {
    let mut flags = by_path(change);
    flags.extend(by_manifest(change));
    flags.extend(hidden_characters(change));
    flags.extend(new_hosts(change, prompt));
    flags
}

fn by_path(change: &Change<'_>) -> Vec<Flag> {
    type Rule = (FlagKind, fn(&str, &str) -> bool, &'static str);
    const RULES: [Rule; 4] = [
        (FlagKind::Ci, is_ci, "continuous integration runs this file"),
        (FlagKind::AgentConfig, is_agent_config, "editors or coding agents obey this file"),
        (FlagKind::RunsOnBuild, runs_on_build, "building, testing or installing runs this file"),
        (FlagKind::SupplyChain, is_supply_chain, "decides what code or whose code gets in"),
    ];
    let paths: Vec<String> = std::iter::once(change.path())
        .chain(change.file.old_path.as_ref())
        .map(|path| path.as_str().to_ascii_lowercase())
        .collect();
    let matches =
        |rule: fn(&str, &str) -> bool| paths.iter().any(|path| rule(path, path.rsplit('/').next().unwrap_or(path)));
    let is_lock = FileClass::of_path(change.path()) == FileClass::Lock;
    RULES
        .into_iter()
        .filter(|&(kind, rule, _)| matches(rule) || kind == FlagKind::SupplyChain && is_lock)
        .map(|(kind, _, note)| flag(kind, change.path(), None, note))
        .collect()
}

fn is_ci(path: &str, name: &str) -> bool {
    [".github/workflows/", ".github/actions/", ".circleci/", ".buildkite/", ".gitlab/ci/", ".woodpecker/", ".teamcity/"]
        .iter()
        .any(|folder| path.starts_with(folder))
        || matches!(
            name,
            ".gitlab-ci.yml"
                | "jenkinsfile"
                | "bitbucket-pipelines.yml"
                | ".travis.yml"
                | "appveyor.yml"
                | ".appveyor.yml"
                | ".drone.yml"
                | ".cirrus.yml"
                | "cloudbuild.yaml"
                | "buildspec.yml"
                | "action.yml"
                | "action.yaml"
        )
        || name.starts_with("azure-pipelines")
}

fn is_agent_config(path: &str, name: &str) -> bool {
    [".claude/", ".cursor/", ".devcontainer/", ".windsurf/", ".codex/", ".gemini/", ".continue/", ".aider", ".zed/"]
        .iter()
        .any(|start| path.starts_with(start) || path.contains(&format!("/{start}")))
        || path.starts_with(".github/copilot")
        || path.starts_with(".github/instructions/")
        || name.starts_with(".windsurf")
        || matches!(
            name,
            "claude.md"
                | "claude.local.md"
                | "agents.md"
                | "gemini.md"
                | ".mcp.json"
                | ".cursorrules"
                | ".clinerules"
                | ".devcontainer.json"
        )
        || [".vscode/tasks.json", ".vscode/settings.json", ".vscode/launch.json"].iter().any(|end| path.ends_with(end))
}

fn runs_on_build(path: &str, name: &str) -> bool {
    path.starts_with(".husky/")
        || path.starts_with(".githooks/")
        || path.contains(".cargo/config")
        || name.starts_with("dockerfile")
        || name.starts_with("docker-compose")
        || name.starts_with("compose.y")
        || matches!(
            name,
            "build.rs"
                | "setup.py"
                | "conftest.py"
                | "makefile"
                | "gnumakefile"
                | "justfile"
                | "rakefile"
                | "cmakelists.txt"
                | "configure"
                | "configure.ac"
                | "binding.gyp"
                | ".pre-commit-config.yaml"
                | "lefthook.yml"
                | "noxfile.py"
                | "tox.ini"
                | "build.gradle"
                | "build.gradle.kts"
                | "settings.gradle"
                | "settings.gradle.kts"
                | "build.xml"
                | "gulpfile.js"
                | "gruntfile.js"
                | "build.zig"
                | "sitecustomize.py"
                | "rust-toolchain.toml"
                | ".envrc"
        )
        || [".config.js", ".config.ts", ".config.mjs", ".config.cjs", ".mk", ".targets"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn is_supply_chain(path: &str, name: &str) -> bool {
    matches!(
        name,
        ".npmrc"
            | ".yarnrc"
            | ".yarnrc.yml"
            | ".gitmodules"
            | ".gitattributes"
            | "codeowners"
            | "pip.conf"
            | ".pypirc"
            | "cargo.toml"
            | "go.mod"
            | "go.work"
            | "gemfile"
            | "pyproject.toml"
            | "pipfile"
            | "setup.cfg"
            | "pom.xml"
            | "composer.json"
            | "pubspec.yaml"
            | "mix.exs"
            | "nuget.config"
            | "package.swift"
            | "dependabot.yml"
            | "renovate.json"
            | "deny.toml"
            | "flake.nix"
            | "environment.yml"
    ) || name.starts_with("requirements") && name.ends_with(".txt")
        || path.contains("requirements/") && name.ends_with(".txt")
        || name.ends_with(".csproj")
        || name.ends_with(".gemspec")
        || name.ends_with(".versions.toml")
}

/// `package.json` is touched for many reasons; only its scripts run and only its dependencies bring code in.
fn by_manifest(change: &Change<'_>) -> Vec<Flag> {
    const SCRIPTS: &[&str] = &["scripts", "bin", "husky", "lint-staged", "gypfile"];
    const DEPENDENCIES: &[&str] = &[
        "dependencies",
        "devDependencies",
        "peerDependencies",
        "optionalDependencies",
        "bundledDependencies",
        "overrides",
        "resolutions",
        "packageManager",
        "publishConfig",
        "workspaces",
        "pnpm",
    ];
    if change.path().file_name() != "package.json" {
        return Vec::new();
    }
    let parse = |text: Option<&str>| serde_json::from_str::<Value>(text.unwrap_or("{}")).unwrap_or_default();
    let (before, after) = (parse(change.before()), parse(change.after()));
    let differs = |keys: &[&str]| keys.iter().any(|&key| before.get(key) != after.get(key));
    let mut flags = Vec::new();
    if differs(SCRIPTS) {
        flags.push(flag(FlagKind::RunsOnBuild, change.path(), None, "changes scripts that npm runs"));
    }
    if differs(DEPENDENCIES) {
        flags.push(flag(FlagKind::SupplyChain, change.path(), None, "changes dependencies"));
    }
    flags
}

fn hidden_characters(change: &Change<'_>) -> Vec<Flag> {
    let lines = change.added_lines().filter(|line| !line.text.is_ascii());
    lines
        .filter_map(|line| {
            let hidden = hidden_in(line.text);
            let names: Vec<String> = hidden.iter().map(|&c| format!("U+{:04X}", u32::from(c))).collect();
            let note = format!("invisible or reordering characters: {}", names.join(", "));
            (!hidden.is_empty()).then(|| flag(FlagKind::HiddenUnicode, change.path(), Some(line.number), &note))
        })
        .collect()
}

/// The distinct characters of a line that are not seen or that change the order in which it is read (CVE-2021-42574).
fn hidden_in(line: &str) -> BTreeSet<char> {
    let mut hidden = BTreeSet::new();
    let mut previous = ' ';
    for c in line.chars() {
        // Emoji are joined by U+200D and given colour by U+FE0F.
        let is_part_of_emoji = matches!(c, '\u{200D}' | '\u{FE0F}') && previous >= '\u{2190}';
        let is_hidden = matches!(c,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E01EF}' | '\u{3164}' | '\u{115F}' | '\u{1160}');
        if is_hidden && !is_part_of_emoji {
            hidden.insert(c);
        }
        previous = c;
    }
    hidden
}

fn new_hosts(change: &Change<'_>, prompt: &str) -> Vec<Flag> {
    let before = change.before().unwrap_or_default().to_lowercase();
    let prompt = prompt.to_lowercase();
    let mut seen = BTreeSet::new();
    let mut flags = Vec::new();
    for line in change.added_lines() {
        for captures in URL.captures_iter(line.text) {
            let Some(host) = host(&captures[1]) else { continue };
            let is_known = is_harmless(&host) || before.contains(&host) || prompt.contains(&host);
            if !is_known && flags.len() < MAX_HOSTS && seen.insert(host.clone()) {
                flags.push(flag(FlagKind::NewUrl, change.path(), Some(line.number), &format!("points to {host}")));
            }
        }
    }
    flags
}

/// The host of what stands between `//` and the next `/`; absent when a program puts it together.
fn host(authority: &str) -> Option<String> {
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(h, _)| h);
    let host = host.trim_end_matches('.').to_lowercase();
    let is_plain = host.contains('.') && !host.contains(['{', '$', '%', '*', '<']);
    (is_plain || host.starts_with('[')).then_some(host)
}

/// Names that never leave the machine, or that nobody can own (RFC 2606, RFC 6761).
fn is_harmless(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "0.0.0.0" | "[::1]" | "example.com" | "example.org" | "example.net")
        || [".example.com", ".example.org", ".example.net", ".example", ".test", ".invalid", ".localhost"]
            .iter()
            .any(|end| host.ends_with(end))
}

static URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\b[A-Za-z][A-Za-z0-9+.-]{1,15}://([^\s/"'`<>()\\,;?#|^]{1,255})"#)
        .expect("a constant, compiled by the tests")
});

fn flag(kind: FlagKind, path: &RepoPath, line: Option<u64>, note: &str) -> Flag {
    Flag { kind, path: path.clone(), line, note: note.to_owned() }
}
