//! A Postgres of one test, which may kill it, stop it and set its clock.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Longest wait for a start: orphans of a killed server hold its memory for some seconds.
const PATIENCE: Duration = Duration::from_mins(1);
/// What the service of a small machine allows.
const MAX_CONNECTIONS: u32 = 300;

/// Keeps the name of the process beside each event that it writes: Postgres' own account, which nothing in the product
/// can get wrong.
const NOTE_WRITERS: &str = "
    CREATE TABLE event_writers (job_id UUID, seq BIGINT, writer TEXT NOT NULL, PRIMARY KEY (job_id, seq));
    CREATE FUNCTION note_writer() RETURNS TRIGGER LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO event_writers VALUES (NEW.job_id, NEW.seq, current_setting('application_name'));
            RETURN NULL;
        END
    $$;
    CREATE TRIGGER note_writer AFTER INSERT ON job_events FOR EACH ROW EXECUTE FUNCTION note_writer()";

pub(crate) struct PostgresServer {
    pub(crate) port: u16,
    bin: PathBuf,
    folder: TempDir,
    /// The postmaster itself, without anything between.
    process: Option<Child>,
    /// Variables of the process: another clock.
    variables: Vec<(&'static str, String)>,
}

/// How a server is ended (`pg_ctl stop --mode`, by the signals that it sends).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Open transactions are rolled back, clients are told.
    Fast,
    /// Everything is dropped at once.
    Immediate,
    /// `kill -9` of the postmaster.
    Kill,
}

impl PostgresServer {
    /// Makes a database of its own and starts it.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder");
        let bin = bin();
        if let Some((user, group)) = owner() {
            chown(&data, Some(user), Some(group)).expect("root may");
        }
        let mut initdb = as_owner(&bin.join("initdb"));
        initdb.args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"]).arg(&data).stdout(Stdio::null());
        assert!(initdb.current_dir("/").status().await.expect("initdb runs").success());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut server = Self { port, bin, folder, process: None, variables: vec![] };
        server.restart().await;
        server
    }

    /// Ends it.
    pub(crate) async fn stop(&mut self, how: Stop) {
        let mut process = self.process.take().expect("it runs");
        let signal = match how {
            Stop::Fast => "-INT",
            Stop::Immediate => "-QUIT",
            Stop::Kill => "-KILL",
        };
        let pid = process.id().expect("it runs").to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.expect("kill runs").success());
        timeout(PATIENCE, process.wait()).await.expect("it ends").expect("waited");
    }

    /// Starts it again where it was, with what it had committed.
    pub(crate) async fn restart(&mut self) {
        let started = async {
            loop {
                let mut process = self.spawn();
                loop {
                    if self.connect().await.is_ok() {
                        return process;
                    }
                    if process.try_wait().expect("waited").is_some() {
                        break;
                    }
                    sleep(Duration::from_millis(50)).await;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        self.process = Some(timeout(PATIENCE, started).await.expect("Postgres starts"));
    }

    /// Another wall clock from the next start on, such as `+3d`.
    pub(crate) fn set_clock(&mut self, variables: Vec<(&'static str, String)>) {
        self.variables = variables;
    }

    fn spawn(&self) -> Child {
        // By `env`, so that only Postgres itself loads the library that moves its clock.
        let mut postgres = as_owner(Path::new("env"));
        postgres.args(self.variables.iter().map(|(name, value)| format!("{name}={value}")));
        postgres.arg(self.bin.join("postgres")).arg("-D").arg(self.folder.path().join("data")).args([
            "-F",
            "-p",
            &self.port.to_string(),
        ]);
        let max_connections = format!("max_connections={MAX_CONNECTIONS}");
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", &max_connections] {
            postgres.args(["-c", setting]);
        }
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        postgres.current_dir("/").stderr(log).kill_on_drop(true);
        postgres.spawn().expect("postgres runs")
    }

    /// The address by way of a port.
    pub(crate) fn url_by(port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    /// The same for a process of this name.
    pub(crate) fn url_of(name: &str, port: u16) -> String {
        format!("{}&application_name={name}", Self::url_by(port))
    }

    /// From now on it is known who wrote an event. Needs the tables of the program.
    pub(crate) async fn note_writers(&self) {
        self.execute(NOTE_WRITERS).await;
    }

    /// A connection that no tap sees.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&Self::url_by(self.port)).await
    }

    /// Runs one statement.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.connect().await.expect("Postgres answers");
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("it may");
    }
}

/// Where the programs are: Debian keeps them out of the PATH.
fn bin() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("initdb")).find(|program| program.exists());
    if let Some(program) = in_path {
        return program.canonicalize().expect("it is there").parent().expect("a folder").to_owned();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").expect("Postgres is installed: scripts/services does it");
    let newest = versions.map(|version| version.expect("readable").path()).max();
    newest.expect("a version").join("bin")
}

/// Postgres refuses to run as root: then it runs as the user that its package made.
fn owner() -> Option<(u32, u32)> {
    let uid = fs::metadata("/proc/self").expect("Linux").uid();
    if uid != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("readable");
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("the user postgres");
    let mut ids = line.split(':').skip(2).map(|id| id.parse().expect("a number"));
    Some((ids.next().expect("a user"), ids.next().expect("a group")))
}

fn as_owner(program: &Path) -> Command {
    let Some((user, group)) = owner() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]).arg(program);
    command
}
