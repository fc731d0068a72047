//! What is left of a fault when nothing is to be done any more.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Rig;
use crate::chaos::invariants;
use crate::chaos::node::{Node, Usage};
use crate::chaos::record::{Leftovers, Record};

/// Longest wait for what an idle process gives back by itself, such as idle connections.
const IDLE: Duration = Duration::from_secs(90);
/// Connections that one process keeps: a pool, and one for the heartbeat.
const CONNECTIONS: usize = 9;

impl Rig {
    /// What is left, after a while in which everything may be given back.
    pub(super) async fn leftovers(&self, nodes: &[Node]) -> Leftovers {
        let give_up_at = Instant::now() + IDLE;
        loop {
            let leftovers = self.look_for_leftovers(nodes).await;
            let record = Record { leftovers: leftovers.clone(), ..Record::default() };
            let is_clean = invariants::violations(&record).iter().all(|(_, wrong)| wrong.is_empty());
            if is_clean || Instant::now() > give_up_at {
                return leftovers;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn look_for_leftovers(&self, nodes: &[Node]) -> Leftovers {
        let mut postgres = self.sql().await;
        let mut count = async |condition: &'static str| {
            let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND ";
            let sql = sqlx::AssertSqlSafe(format!("{sql}{condition}"));
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut postgres).await.expect("a count");
            usize::try_from(count).expect("a count")
        };
        let redis = async |arguments: &[&str]| self.redis.command(arguments).await.parse().unwrap_or(usize::MAX);
        let grown = |of: fn(&Usage) -> usize| {
            let now = |pid: u32| nodes.iter().find(|node| node.pid() == pid).map(Node::usage);
            let pairs = self.baseline.iter().filter_map(|(pid, before)| Some((of(before), of(&now(*pid)?))));
            pairs.collect()
        };
        let keys = redis(&["DBSIZE"]).await;
        let mut entries = 0;
        for key in self.redis.command(&["KEYS", "*"]).await.lines().filter(|key| !key.is_empty()) {
            entries += redis(&["LLEN", key]).await;
        }
        Leftovers {
            repository_folders: repository_folders(&self.temporary_folder()),
            child_processes: nodes.iter().map(|node| node.usage().children).sum(),
            redis_keys: keys,
            redis_entries: entries,
            open_transactions: count("state = 'idle in transaction'").await,
            // And the one that counts.
            connections: (count("TRUE").await, nodes.len() * CONNECTIONS + 1),
            files: grown(|usage| usage.files),
            memory_kib: grown(|usage| usage.memory_kib),
        }
    }
}

/// Repositories below a folder, at any depth.
fn repository_folders(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    folders
        .map(|entry| {
            let is_repository = entry.file_name().to_string_lossy().starts_with("tinygen-repo-");
            usize::from(is_repository) + repository_folders(&entry.path())
        })
        .sum()
}
