//! For a process that is alone with its database: what is running there was left by one that is gone.

use chrono::DateTime;

use super::{Store, commit, on};
use crate::error::StoreError;

impl Store {
    /// Lets every lease run out, for anyone who looks from now on: see `Store::begin_search`. Gives how many jobs had one.
    pub(crate) async fn expire_leases(&self) -> Result<u64, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let expired = on!(&mut tx, conn => {
            sqlx::query("UPDATE jobs SET lease_until = $1 WHERE status = 'running' AND lease_until > $1")
                .bind(DateTime::UNIX_EPOCH)
                .execute(&mut **conn)
                .await?
                .rows_affected()
        });
        on!(&mut tx, conn => {
            sqlx::query("UPDATE webhook_deliveries SET lease_until = $1 WHERE lease_until > $1")
                .bind(now)
                .execute(&mut **conn)
                .await?;
        });
        commit(tx).await?;
        Ok(expired)
    }
}
