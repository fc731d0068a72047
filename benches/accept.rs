//! What it costs to accept a job: `POST /analyze/` beside the bare work that it cannot do without, an INSERT of the job's row
//! with its commit and, in scale-out, a push to Redis, on the same servers.
//!
//! Rounds of both are interleaved. After each one the rows in the database are as many as were accepted. No worker takes
//! part: `tinygen api` has none, and in embedded mode the one slot of `tinygen serve` is held by a job whose model never
//! answers. An open server has no limits but one on waiting jobs, so these are removed between rounds.

#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use redis::aio::MultiplexedConnection;
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, PgConnection, SqliteConnection};
use standin::claude::{Reply, RequestView};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::rig::app::World;
use crate::rig::database::Database;
use crate::rig::http::{Connection, post};
use crate::rig::service::Service;
use crate::rig::{median, ms, percentile, print_table, spec_for};

const AT_ONCE: [usize; 2] = [1, 32];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
/// Before the rounds: connections are made, statements prepared, files grown.
const WARM_UP: Duration = Duration::from_secs(1);
/// Nobody waits for what is pushed.
const LIST: &str = "tinygen:bench";

#[tokio::main]
async fn main() {
    let world = World::new(|_: &RequestView| Reply::hang()).await;
    let mut rows = Vec::new();
    for database in Database::all().await {
        let one_slot = [("TINYGEN_CONCURRENCY", "1".to_owned())];
        let service = Service::start_api(&world, &database, &one_slot).await;
        if database.is_embedded() {
            service.api.submit(&world.repo_url).await;
            world.claude.arrived(1).await;
        }
        for at_once in AT_ONCE {
            rows.push(compare(&world, &database, &service, at_once).await);
        }
        service.terminate().await;
        database.remove().await;
    }
    let title = format!(
        "`POST /analyze/`, and beside it the bare INSERT and push ({ROUNDS} rounds of {} s each, medians; `api` without \
         workers, `serve` with its one slot held)",
        ROUND.as_secs()
    );
    let header = [
        "mode",
        "at once",
        "POST/s",
        "p50, ms",
        "p99, ms",
        "bare/s",
        "p50, ms",
        "p99, ms",
        "of the bare, %",
        "202s",
        "rows",
    ];
    print_table(&title, &header, &rows);
}

async fn compare(world: &World, database: &Database, service: &Service, at_once: usize) -> Vec<String> {
    let mut clients = Client::of_the_api(world, service, at_once).await;
    let mut bare_clients = Client::bare(world, database, at_once).await;
    clients = hammer(clients, WARM_UP).await.0;
    bare_clients = hammer(bare_clients, WARM_UP).await.0;
    let (mut rounds, mut bare_rounds, mut counted, mut stored) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..ROUNDS {
        database.remove_waiting().await;
        let before = database.count("SELECT COUNT(*) FROM jobs").await;
        let (returned, round) = hammer(clients, ROUND).await;
        let added = database.count("SELECT COUNT(*) FROM jobs").await - before;
        assert_eq!(added, round.times.len(), "a job for each 202 and no other");
        (counted, stored, clients) = (counted + round.times.len(), stored + added, returned);
        rounds.push(round);

        database.remove_waiting().await;
        let (returned, round) = hammer(bare_clients, ROUND).await;
        bare_clients = returned;
        bare_rounds.push(round);
    }
    let (api, bare) = (Figures::of(rounds), Figures::of(bare_rounds));
    let share = format!("{:.0}", api.per_second / bare.per_second * 100.0);
    let names = vec![database.mode.to_owned(), at_once.to_string()];
    let counts = vec![share, counted.to_string(), stored.to_string()];
    [names, api.cells(), bare.cells(), counts].concat()
}

/// What came of a round: how long it took to the end of the last request, and each of them.
struct Round {
    time: Duration,
    times: Vec<Duration>,
}

/// Lets all clients do one thing after the other for a while. Gives them back.
async fn hammer(clients: Vec<Client>, time: Duration) -> (Vec<Client>, Round) {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for mut client in clients {
        tasks.spawn(async move {
            let mut times = Vec::new();
            while start.elapsed() < time {
                let begun = Instant::now();
                client.accept_one().await;
                times.push(begun.elapsed());
            }
            (client, times)
        });
    }
    let (clients, times): (_, Vec<_>) = tasks.join_all().await.into_iter().unzip();
    (clients, Round { time: start.elapsed(), times: times.concat() })
}

/// Medians over rounds.
struct Figures {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl Figures {
    fn of(rounds: Vec<Round>) -> Self {
        let (mut rates, mut p50s, mut p99s) = (Vec::new(), Vec::new(), Vec::new());
        for Round { time, mut times } in rounds {
            times.sort_unstable();
            rates.push(f64::from(u32::try_from(times.len()).expect("few")) / time.as_secs_f64());
            p50s.push(percentile(&times, 50));
            p99s.push(percentile(&times, 99));
        }
        rates.sort_by(f64::total_cmp);
        Self { per_second: rates[rates.len() / 2], p50: median(p50s), p99: median(p99s) }
    }

    fn cells(&self) -> Vec<String> {
        vec![format!("{:.0}", self.per_second), ms(self.p50), ms(self.p99)]
    }
}

/// Somebody who asks for one job after the other.
enum Client {
    Api {
        connection: Connection,
        request: Arc<[u8]>,
    },
    Postgres {
        connection: PgConnection,
        redis: MultiplexedConnection,
        row: Arc<Row>,
    },
    /// SQLite lets one write at a time: all share one connection, as in the program.
    Sqlite {
        connection: Arc<Mutex<SqliteConnection>>,
        row: Arc<Row>,
    },
}

/// What the bare rows have in common, and the turn of the next one.
struct Row {
    spec: String,
    repo_url: String,
    turn: AtomicI64,
}

/// The row that an accepted job is, by one statement that is a transaction of its own.
macro_rules! insert {
    ($row:expr, $connection:expr) => {
        sqlx::query(
            "INSERT INTO jobs (id, spec, status, attempt, max_attempts, rescues, lease_epoch, version, input_tokens,
                               cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos, created_at,
                               priority, rank, repo_url, turn)
             VALUES ($1, $2, 'queued', 0, 3, 0, 0, 1, 0, 0, 0, 0, 0, $3, 'normal', $4, $5, $6)",
        )
        .bind(Uuid::now_v7())
        .bind(&$row.spec)
        .bind(Utc::now())
        .bind(Utc::now().timestamp_micros())
        .bind(&$row.repo_url)
        .bind($row.turn.fetch_add(1, Ordering::Relaxed))
        .execute($connection)
        .await
        .expect("inserted")
    };
}

impl Client {
    async fn of_the_api(world: &World, service: &Service, count: usize) -> Vec<Self> {
        let body = json!({ "repoUrl": world.repo_url, "prompt": "It says Helo. Make it say Hello." });
        let request: Arc<[u8]> = post("/analyze/", &body.to_string()).into();
        let mut clients = Vec::new();
        for _ in 0..count {
            let connection = Connection::open(service.address()).await;
            clients.push(Self::Api { connection, request: Arc::clone(&request) });
        }
        clients
    }

    async fn bare(world: &World, database: &Database, count: usize) -> Vec<Self> {
        let spec = serde_json::to_string(&spec_for(&world.repo_url)).expect("plain data");
        let row = Arc::new(Row { spec, repo_url: world.repo_url.clone(), turn: AtomicI64::new(0) });
        let mut clients = Vec::new();
        let Some(redis_url) = database.redis_url() else {
            let options: SqliteConnectOptions = database.url().parse().expect("an address");
            let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
            let connection = Arc::new(Mutex::new(options.connect().await.expect("SQLite opens")));
            clients.resize_with(count, || Self::Sqlite { connection: Arc::clone(&connection), row: Arc::clone(&row) });
            return clients;
        };
        let redis = redis::Client::open(redis_url).expect("an address");
        for _ in 0..count {
            let connection = PgConnection::connect(database.url()).await.expect("Postgres answers");
            let redis = redis.get_multiplexed_async_connection().await.expect("Redis answers");
            clients.push(Self::Postgres { connection, redis, row: Arc::clone(&row) });
        }
        clients
    }

    async fn accept_one(&mut self) {
        match self {
            Self::Api { connection, request } => assert_eq!(connection.ask(request).await, 202),
            Self::Postgres { connection, redis, row } => {
                insert!(row, connection);
                let mut push = redis::pipe();
                push.cmd("RPUSH").arg(LIST).arg(Uuid::now_v7().to_string()).ignore();
                // Nothing is left behind.
                push.cmd("EXPIRE").arg(LIST).arg(60).ignore();
                let () = push.query_async(redis).await.expect("pushed");
            }
            Self::Sqlite { connection, row } => {
                insert!(row, &mut *connection.lock().await);
            }
        }
    }
}
