//! Two processes that share a database and a Redis.

use jobs::Jobs;
use tempfile::TempDir;

use crate::redis_server::RedisServer;

/// Two processes on one database, that ring and hear through one Redis.
pub(crate) struct Pair {
    _folder: TempDir,
    pub(crate) api: Jobs,
    pub(crate) worker: Jobs,
}

impl Pair {
    pub(crate) async fn new(redis: &RedisServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        let open = async || Jobs::open(&url).await.unwrap().with_redis(&redis.url()).unwrap();
        let (api, worker) = (open().await, open().await);
        api.migrate().await.unwrap();
        Self { _folder: folder, api, worker }
    }
}
