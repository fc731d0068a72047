//! Which containers there are, what each may do, who reaches whom, and in what order they start.

use serde_json::{Value, json};

use super::{ROLES, Wrongs, assert_rule, bytes, names, read, strings};

const SERVICES: [&str; 5] = ["api", "migrate", "postgres", "redis", "worker"];

/// Keys that would open what the other fields close, or that would keep a service from being one of many.
const FORBIDDEN: [&str; 14] = [
    "cap_add",
    "cgroup",
    "cgroup_parent",
    "container_name",
    "device_cgroup_rules",
    "devices",
    "env_file",
    "group_add",
    "hostname",
    "ipc",
    "network_mode",
    "pid",
    "privileged",
    "userns_mode",
];

fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    compose["services"].as_object().into_iter().flatten().map(|(name, service)| (name.as_str(), service))
}

/// Says which services do not have what all must have.
fn each(compose: &str, what: &str, holds: impl Fn(&str, &Value) -> bool) -> Wrongs {
    let compose = read(compose);
    let wrong = services(&compose).filter(|(name, service)| !holds(name, service));
    wrong.map(|(name, _)| format!("{name}: {what}")).collect()
}

#[test]
fn there_are_five_services_and_no_more() {
    let rule = |compose: &str| {
        let compose = read(compose);
        let found = names(&compose["services"]);
        if found == SERVICES { vec![] } else { vec![format!("services are {found:?}")] }
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("\n  worker:\n", "\n  runner:\n", "runner"),
            ("\nnetworks:\n", "\n  adminer: {image: adminer}\n\nnetworks:\n", "adminer"),
        ],
    );
}

#[test]
fn images_are_built_here_or_pinned_to_a_major_version() {
    let rule = |compose: &str| {
        each(compose, "image", |name, service| {
            let image = service["image"].as_str().unwrap_or_default();
            if ROLES.contains(&name) {
                // Builds of one image at the same time fail; who does not build must not look for it elsewhere.
                let is_builder = service["build"] == "." && service["pull_policy"].is_null();
                let is_user = service["build"].is_null() && service["pull_policy"] == "never";
                return image == "tinygen:local" && if name == "migrate" { is_builder } else { is_user };
            }
            let (repository, tag) = image.split_once(':').unwrap_or((image, "latest"));
            let major: u32 = tag.split(['.', '-']).next().and_then(|number| number.parse().ok()).unwrap_or_default();
            let oldest = if name == "postgres" { 16 } else { 7 };
            repository == name && major >= oldest && service["build"].is_null()
        })
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("postgres:17-bookworm", "postgres:latest", "postgres: image"),
            ("postgres:17-bookworm", "postgres", "postgres: image"),
            ("postgres:17-bookworm", "postgres:15", "postgres: image"),
            ("redis:7-bookworm", "redis:6", "redis: image"),
            ("redis:7-bookworm", "stranger/redis:7", "redis: image"),
            ("build: .", "build: https://example.org/x.git", "migrate: image"),
            ("    command: [worker]\n", "    command: [worker]\n    build: .\n", "worker: image"),
            ("    pull_policy: never # it is nowhere but here\n", "", "api: image"),
        ],
    );
}

#[test]
fn no_container_has_more_rights_than_it_needs() {
    let rule = |compose: &str| {
        let mut wrongs = each(compose, "user", |_, service| {
            let user = service["user"].as_str().unwrap_or_default();
            let is_not_root = |id: &str| id.parse::<u32>().is_ok_and(|id| id > 0);
            user.split_once(':').is_some_and(|(uid, gid)| is_not_root(uid) && is_not_root(gid))
        });
        wrongs.extend(each(compose, "read_only", |_, service| service["read_only"] == true));
        wrongs.extend(each(compose, "init", |_, service| service["init"] == true));
        wrongs.extend(each(compose, "cap_drop", |_, service| service["cap_drop"] == json!(["ALL"])));
        wrongs.extend(each(compose, "security_opt", |_, service| {
            service["security_opt"] == json!(["no-new-privileges:true"])
        }));
        for key in FORBIDDEN {
            wrongs.extend(each(compose, key, |_, service| service[key].is_null()));
        }
        wrongs
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("user: \"10001:10001\"", "user: root", "api: user"),
            ("user: \"10001:10001\"", "user: \"10001:0\"", "worker: user"),
            ("    user: \"999:999\" # `redis` in this image\n", "", "redis: user"),
            ("read_only: true", "read_only: false", "redis: read_only"),
            ("init: true", "init: false", "migrate: init"),
            ("cap_drop: [ALL]", "cap_drop: [NET_RAW]", "postgres: cap_drop"),
            ("no-new-privileges:true", "no-new-privileges:false", "api: security_opt"),
            ("no-new-privileges:true\"", "no-new-privileges:true\", \"seccomp:unconfined\"", "api: security_opt"),
            ("command: [worker]", "command: [worker]\n    privileged: true", "worker: privileged"),
            ("command: [worker]", "command: [worker]\n    container_name: worker", "worker: container_name"),
            ("command: [worker]", "command: [worker]\n    cap_add: [SYS_PTRACE]", "worker: cap_add"),
            ("command: [api]", "command: [api]\n    network_mode: host", "api: network_mode"),
        ],
    );
}

#[test]
fn every_container_is_bounded() {
    let rule = |compose: &str| {
        let positive = |value: &Value| value.as_u64().is_some_and(|number| number > 0);
        let mut wrongs = each(compose, "pids_limit", |_, service| positive(&service["pids_limit"]));
        wrongs.extend(each(compose, "mem_limit", |_, service| {
            let limit = service["mem_limit"].as_str().and_then(bytes).unwrap_or_default();
            // What lies in a tmpfs counts, and the program needs room beside it.
            limit >= tmpfs_bytes(service).unwrap_or(u64::MAX / 2) + (128 << 20)
        }));
        wrongs.extend(each(compose, "tmpfs", |_, service| {
            tmpfs_bytes(service).is_some() && strings(&service["tmpfs"]).iter().any(|mount| mount.starts_with("/tmp:"))
        }));
        wrongs.extend(each(compose, "stop_grace_period", |_, service| {
            let period = service["stop_grace_period"].as_str().and_then(|period| period.strip_suffix('s'));
            period.and_then(|seconds| seconds.parse::<u64>().ok()).is_some_and(|seconds| seconds >= 10)
        }));
        wrongs.extend(each(compose, "restart", |name, service| {
            service["restart"] == if name == "migrate" { "no" } else { "unless-stopped" }
        }));
        wrongs.extend(each(compose, "logging", |_, service| service["logging"]["options"]["max-size"].is_string()));
        wrongs
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("    pids_limit: 1024\n", "", "worker: pids_limit"),
            ("mem_limit: 3g", "mem_limit: 1g", "worker: mem_limit"),
            ("    mem_limit: 3g\n", "", "worker: mem_limit"),
            ("/tmp:size=1280m,mode=1777", "/tmp:mode=1777", "worker: tmpfs"),
            ("/tmp:size=1280m", "/var/tmp:size=1280m", "worker: tmpfs"),
            ("stop_grace_period: 15s", "stop_grace_period: 1s", "worker: stop_grace_period"),
            ("restart: \"no\"", "restart: unless-stopped", "migrate: restart"),
            ("restart: unless-stopped\n    stop_grace", "stop_grace", "redis: restart"),
            ("max-size: 10m, ", "", "api: logging"),
        ],
    );
}

/// All that its tmpfs mounts may hold together; none when one has no bound.
fn tmpfs_bytes(service: &Value) -> Option<u64> {
    let size = |mount: &str| mount.split([':', ',']).find_map(|option| option.strip_prefix("size=")).and_then(bytes);
    strings(&service["tmpfs"]).into_iter().map(size).sum()
}

#[test]
fn the_repositories_of_a_worker_fit_its_tmpfs() {
    let rule = |compose: &str| {
        let worker = &read(compose)["services"]["worker"];
        let defaults: toml::Table = include_str!("../../../src/default.toml").parse().expect("TOML");
        let number =
            |setting: &str| defaults[setting].as_integer().and_then(|n| u64::try_from(n).ok()).expect("a number");
        let needed = number("concurrency") * number("max_fetch_bytes");
        let mut wrongs = Vec::new();
        if tmpfs_bytes(worker).is_none_or(|size| size < needed) {
            wrongs.push(format!("worker: tmpfs holds less than {needed} bytes"));
        }
        if worker["environment"]["TINYGEN_CONCURRENCY"]
            != format!("${{TINYGEN_CONCURRENCY:-{}}}", number("concurrency"))
        {
            wrongs.push("worker: another concurrency than the default".to_owned());
        }
        wrongs
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[("size=1280m", "size=512m", "holds less"), ("CONCURRENCY:-4", "CONCURRENCY:-16", "another concurrency")],
    );
}

#[test]
fn only_the_api_is_reached_from_outside_and_only_on_loopback() {
    let rule = |compose: &str| {
        let mut wrongs = each(compose, "ports", |name, service| {
            let expected = if name == "api" { json!(["127.0.0.1:8000:8000"]) } else { Value::Null };
            service["ports"] == expected && service["expose"].is_null()
        });
        wrongs.extend(each(compose, "networks", |name, service| {
            let is_outward = ["api", "worker"].contains(&name);
            service["networks"] == if is_outward { json!(["backend", "outward"]) } else { json!(["backend"]) }
        }));
        let compose = read(compose);
        if compose["networks"] != json!({"backend": {"internal": true}, "outward": {}}) {
            wrongs.push("networks: backend is internal, outward is not, and there is no other".to_owned());
        }
        if compose["services"]["api"]["environment"]["TINYGEN_LISTEN"] != "0.0.0.0:8000" {
            wrongs.push("api: does not listen where its port leads".to_owned());
        }
        // Open until the first key is made, which only a port on loopback allows; and the user may say otherwise.
        if compose["services"]["api"]["environment"]["TINYGEN_NO_AUTH"] != "${TINYGEN_NO_AUTH:-1}" {
            wrongs.push("api: does not start without a key".to_owned());
        }
        wrongs
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("127.0.0.1:8000:8000", "8000:8000", "api: ports"),
            ("command: [worker]", "command: [worker]\n    ports: [\"127.0.0.1:8001:8000\"]", "worker: ports"),
            ("image: postgres:17", "ports: [\"127.0.0.1:5432:5432\"]\n    image: postgres:17", "postgres: ports"),
            ("[backend]\n    restart: unless-stopped", "[outward]\n    restart: unless-stopped", "redis: networks"),
            ("internal: true", "internal: false", "networks: backend"),
            ("0.0.0.0:8000", "127.0.0.1:8000", "api: does not listen"),
            ("${TINYGEN_NO_AUTH:-1}", "${TINYGEN_NO_AUTH:-}", "api: does not start without a key"),
        ],
    );
}

#[test]
fn what_must_be_ready_first_is_waited_for() {
    let rule = |compose: &str| {
        let after_migration = json!({
            "migrate": {"condition": "service_completed_successfully"},
            "postgres": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
        });
        let mut wrongs = each(compose, "depends_on", |name, service| match name {
            "api" | "worker" => service["depends_on"] == after_migration,
            "migrate" => service["depends_on"] == json!({"postgres": {"condition": "service_healthy"}}),
            _ => service["depends_on"].is_null(),
        });
        wrongs.extend(each(compose, "healthcheck", |name, service| {
            let test = strings(&service["healthcheck"]["test"]);
            match name {
                // On the socket the server answers before the database is set up.
                "postgres" => test.starts_with(&["CMD", "pg_isready"]) && test.contains(&"--host=127.0.0.1"),
                // Without `-e` an error is an answer like any other.
                "redis" => test == ["CMD", "redis-cli", "-e", "ping"],
                "api" => test == ["CMD", "tinygen", "health"],
                "worker" => test == ["CMD", "tinygen", "health", "worker"] && answers_itself_alone(service),
                _ => service["healthcheck"].is_null(),
            }
        }));
        wrongs.extend(each(compose, "healthcheck times", |_, service| {
            let check = &service["healthcheck"];
            check.is_null()
                || (check["interval"].is_string() && check["timeout"].is_string() && check["retries"].is_u64())
        }));
        wrongs
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("{condition: service_completed_successfully}", "{condition: service_started}", "worker: depends_on"),
            ("  redis: {condition: service_healthy}\n", "", "api: depends_on"),
            (
                "      postgres: {condition: service_healthy}",
                "      postgres: {condition: service_started}",
                "migrate: depends_on",
            ),
            ("--host=127.0.0.1, ", "", "postgres: healthcheck"),
            ("[CMD, redis-cli, -e, ping]", "[CMD, \"true\"]", "redis: healthcheck"),
            ("[CMD, tinygen, health]", "[CMD-SHELL, \"curl -f localhost:8000/readyz\"]", "api: healthcheck"),
            ("[CMD, tinygen, health, worker]", "[CMD, tinygen, health]", "worker: healthcheck"),
            ("TINYGEN_WORKER_LISTEN: 127.0.0.1:8001", "TINYGEN_WORKER_LISTEN: 0.0.0.0:8001", "worker: healthcheck"),
            ("      timeout: 5s\n", "", "worker: healthcheck times"),
        ],
    );
}

/// A worker needs no other listener than the one for its health check.
fn answers_itself_alone(worker: &Value) -> bool {
    worker["environment"]["TINYGEN_WORKER_LISTEN"].as_str().is_some_and(|listen| listen.starts_with("127.0.0.1:"))
}

#[test]
fn data_is_kept_in_named_volumes_and_redis_never_drops_any() {
    let rule = |compose: &str| {
        let mut wrongs = each(compose, "volumes", |name, service| {
            service["volumes"]
                == match name {
                    "postgres" => json!(["postgres-data:/var/lib/postgresql/data"]),
                    "redis" => json!(["redis-data:/data"]),
                    _ => Value::Null,
                }
        });
        let compose = read(compose);
        if names(&compose["volumes"]) != ["postgres-data", "redis-data"] {
            wrongs.push("volumes: not the two that are used".to_owned());
        }
        let redis = strings(&compose["services"]["redis"]["command"]);
        for (option, value) in [("--appendonly", "yes"), ("--maxmemory-policy", "noeviction")] {
            if !redis.windows(2).any(|pair| pair == [option, value]) {
                wrongs.push(format!("redis: {option} is not {value}"));
            }
        }
        wrongs
    };
    assert_rule(
        "docker-compose.yml",
        rule,
        &[
            ("    volumes: [\"postgres-data:/var/lib/postgresql/data\"]\n", "", "postgres: volumes"),
            ("postgres-data:/var", "./data:/var", "postgres: volumes"),
            (
                "command: [worker]",
                "command: [worker]\n    volumes: [\"/var/run/docker.sock:/var/run/docker.sock\"]",
                "worker: volumes",
            ),
            ("\n  redis-data: {}", "", "volumes: not the two"),
            ("--appendonly, \"yes\"", "--appendonly, \"no\"", "redis: --appendonly"),
            ("noeviction", "allkeys-lru", "redis: --maxmemory-policy"),
        ],
    );
}
