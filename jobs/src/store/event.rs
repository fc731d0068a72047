//! The log of a job.

use chrono::{DateTime, Utc};
use domain::JobId;
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{Store, Tx, on, to_bigint, to_count, webhook};
use crate::error::StoreError;
use crate::event::{EventKind, JobEvent};

#[derive(FromRow)]
struct EventRow {
    seq: i64,
    kind: String,
    data: String,
    at: DateTime<Utc>,
}

impl Store {
    /// The events after the one numbered `after_seq`, in order, at most `limit`.
    pub(crate) async fn events(&self, id: JobId, after_seq: u64, limit: usize) -> Result<Vec<JobEvent>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<EventRow> = on!(&self.read, pool => {
            sqlx::query_as(
                "SELECT seq, kind, data, at FROM job_events
                 WHERE job_id = $1 AND seq > $2
                 ORDER BY seq
                 LIMIT $3",
            )
            .bind(id.as_uuid())
            .bind(to_bigint(after_seq))
            .bind(limit)
            .fetch_all(pool)
            .await?
        });
        rows.into_iter().map(JobEvent::try_from).collect()
    }

    /// The versions of these jobs, without those that are not there.
    pub(crate) async fn versions(&self, ids: &[JobId]) -> Result<Vec<(JobId, u64)>, StoreError> {
        let rows: Vec<(Uuid, i64)> = on!(&self.read, pool => {
            let mut query = QueryBuilder::new("SELECT id, version FROM jobs WHERE id IN (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id.as_uuid());
            }
            query.push(")");
            // As many statements as there are lengths of the list: not to be kept.
            query.build_query_as().persistent(false).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(|(id, version)| (JobId::from(id), to_count(version))).collect())
    }
}

impl TryFrom<EventRow> for JobEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, Self::Error> {
        Ok(Self {
            seq: to_count(row.seq),
            kind: row.kind.parse().map_err(StoreError::damaged("kind of event"))?,
            data: serde_json::from_str(&row.data).map_err(StoreError::damaged("event"))?,
            at: row.at,
        })
    }
}

/// Writes the event of the change that `tx` makes, and the messages about it to whoever wants to be told. Gives whether
/// anybody does: then couriers are to be called after the commit.
pub(super) async fn append(
    tx: &mut Tx,
    id: JobId,
    seq: i64,
    kind: EventKind,
    data: &Value,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    on!(tx, conn => {
        sqlx::query("INSERT INTO job_events (job_id, seq, kind, data, at) VALUES ($1, $2, $3, $4, $5)")
            .bind(id.as_uuid())
            .bind(seq)
            .bind(kind.as_str())
            .bind(data.to_string())
            .bind(at)
            .execute(&mut **conn)
            .await?;
    });
    webhook::write_deliveries(tx, id, seq, kind, data, at).await
}
