//! Bringing the tables up to date, from as many processes at once as there are.

use std::collections::HashSet;

use sqlx::migrate::{MigrateError, Migrator};

use super::{On, Store, on};
use crate::error::StoreError;

impl Store {
    /// Brings the tables up to date. Migrations that a newer release has applied are left alone: they only add.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        match &self.write {
            // Here sqlx holds an advisory lock of the database from before it looks to after the last change.
            On::Postgres(pool) => {
                let mut connection = pool.unbounded().acquire().await?;
                // `run` gives a future that cannot be spawned.
                migrator().run_direct(None, &mut *connection, false).await.map_err(migrate_error)
            }
            // Here it locks nothing: the transaction does, and what was begun and not finished is gone.
            On::Sqlite(pool) => {
                let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                migrator().run_direct(None, &mut *tx, false).await.map_err(migrate_error)?;
                Ok(tx.commit().await?)
            }
        }
    }

    /// Whether every migration of this release has been applied.
    pub(crate) async fn is_migrated(&self) -> Result<bool, StoreError> {
        let has_been_migrated: bool = match &self.read {
            On::Postgres(pool) => {
                sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(pool).await?
            }
            On::Sqlite(pool) => {
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')")
                    .fetch_one(pool)
                    .await?
            }
        };
        if !has_been_migrated {
            return Ok(false);
        }
        let applied: Vec<i64> = on!(&self.read, pool => {
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(pool).await?
        });
        let applied = HashSet::<i64>::from_iter(applied);
        Ok(migrator().iter().all(|migration| applied.contains(&migration.version)))
    }
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.set_ignore_missing(true);
    migrator
}

/// A database that went away is the same here as anywhere.
fn migrate_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(source) => match StoreError::from(source) {
            StoreError::Database(source) => StoreError::Migrate(MigrateError::Execute(source)),
            passing => passing,
        },
        other => StoreError::Migrate(other),
    }
}
