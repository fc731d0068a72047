//! `make up` and `make down`: which processes there are between the two.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;
use tokio::process::Command;

/// Stands for the program: writes down how it was started, and goes on as the real one would. A worker that finds a file
/// `broken` ends at once.
const PROGRAM: &str = r#"#!/bin/sh
folder=$(dirname "$0")
echo "$1 $DATABASE_URL $REDIS_URL" >>"$folder/started"
case $1 in
migrate | health) exit 0 ;;
worker) [ ! -f "$folder/broken" ] || { echo "no key" && exit 1; } ;;
esac
echo $$ >>"$folder/running"
exec sleep 600
"#;

async fn script(name: &str, folder: &Path) -> Output {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name))
        .env("TINYGEN_BINARY", folder.join("program"))
        .env("TINYGEN_LOCAL_DIR", folder.join("local"))
        .env("DATABASE_URL", "postgres://db.example.org/tinygen")
        .env("REDIS_URL", "redis://redis.example.org")
        .env("WORKERS", "3")
        .output()
        .await
        .expect("it starts")
}

fn world() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("program");
    std::fs::write(&program, PROGRAM).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
    folder
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).expect("readable").lines().map(str::to_owned).collect()
}

/// Of the processes that were started, those that have not ended.
fn running(folder: &Path) -> usize {
    let is_running = |pid: &String| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.starts_with(b"sleep")
    };
    lines(&folder.join("running")).iter().filter(|pid| is_running(pid)).count()
}

#[tokio::test]
async fn up_starts_every_role_once_and_down_stops_all() {
    let folder = world();
    let up = script("up", folder.path()).await;
    assert!(up.status.success(), "{up:?}");
    let started = lines(&folder.path().join("started"));
    let services = "postgres://db.example.org/tinygen redis://redis.example.org";
    assert_eq!(started[0], format!("migrate {services}"));
    let count = |role: &str| started.iter().filter(|line| **line == format!("{role} {services}")).count();
    assert_eq!((count("migrate"), count("api"), count("worker")), (1, 1, 3));
    assert_eq!(running(folder.path()), 4);

    let again = script("up", folder.path()).await;
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("runs already"), "{again:?}");

    let down = script("down", folder.path()).await;
    assert!(down.status.success(), "{down:?}");
    assert_eq!(running(folder.path()), 0);
}

#[tokio::test]
async fn what_cannot_start_is_named_and_nothing_is_left_running() {
    let folder = world();
    std::fs::write(folder.path().join("broken"), "").expect("written");
    let up = script("up", folder.path()).await;
    assert_eq!(up.status.code(), Some(1), "{up:?}");
    let said = String::from_utf8_lossy(&up.stderr).into_owned();
    assert!(said.contains("worker-1 does not run") && said.contains("no key"), "{said}");
    assert_eq!(running(folder.path()), 0);
}
