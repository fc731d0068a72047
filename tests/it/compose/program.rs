//! The program has the commands that are started, and `make up` starts the same roles.

use std::collections::BTreeSet;
use std::process::Command;

use super::{ROLES, Wrongs, assert_rule, names, read, strings, text};

#[test]
fn every_command_exists() {
    let rule = |compose: &str| {
        let compose = read(compose);
        let mut wrongs = Wrongs::new();
        let mut try_out = |service: &str, arguments: &[&str]| {
            let mut tinygen = Command::new(env!("CARGO_BIN_EXE_tinygen"));
            let output = tinygen.env_clear().args(arguments).arg("--help").output().expect("it starts");
            if arguments.is_empty() || !output.status.success() {
                wrongs.push(format!("{service}: there is no `tinygen {}`", arguments.join(" ")));
            }
        };
        for service in ROLES {
            let fields = &compose["services"][service];
            try_out(service, &strings(&fields["command"]));
            if let ["CMD", "tinygen", check @ ..] = strings(&fields["healthcheck"]["test"]).as_slice() {
                try_out(service, check);
            }
        }
        try_out("image", &["serve"]);
        wrongs
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("command: [worker]", "command: [work]", "worker: there is no `tinygen work`"),
            ("    command: [api]\n", "", "api: there is no"),
            ("[CMD, tinygen, health]", "[CMD, tinygen, healthy]", "api: there is no `tinygen healthy`"),
            ("health, worker]", "health, runner]", "worker: there is no `tinygen health runner`"),
        ],
    );
}

#[test]
fn each_service_runs_its_own_role() {
    let rule = |compose: &str| {
        let compose = read(compose);
        let wrong = ROLES.iter().filter(|role| strings(&compose["services"][**role]["command"]) != [**role]);
        wrong.map(|role| format!("{role}: runs something else")).collect()
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[("command: [worker]", "command: [serve]", "worker: runs"), ("command: [api]", "command: api", "api: runs")],
    );
}

#[test]
fn make_up_starts_the_same_services() {
    let rule = |script: &str| {
        let mut started = BTreeSet::new();
        for line in script.lines().map(|line| line.trim().trim_start_matches("(cd / && ")) {
            if let Some(name) = line.strip_prefix("start ").and_then(|rest| rest.split_whitespace().next()) {
                started.insert(name.trim_matches('"').trim_end_matches("-$number").to_owned());
            } else if line == "\"$TINYGEN_BINARY\" migrate" {
                started.insert("migrate".to_owned());
            }
        }
        let compose = read(&text("docker-compose.yml"));
        let services = names(&compose["services"]);
        if started.iter().eq(&services) { vec![] } else { vec![format!("it starts {started:?}")] }
    };
    assert_rule(
        "scripts/up",
        rule,
        &[
            ("\"$TINYGEN_BINARY\" migrate\n", "", "it starts"),
            ("start redis ", "true ", "it starts"),
            ("start api", "start proxy", "it starts"),
        ],
    );
}
