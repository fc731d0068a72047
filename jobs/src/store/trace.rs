//! The traces of a job's attempts.

use super::{Store, on};
use crate::error::StoreError;
use crate::lease::Lease;

impl Store {
    /// Notes the trace of the attempt that has begun. It is no change of the job: nobody is told of it.
    pub(crate) async fn note_attempt_trace(&self, lease: &Lease, trace_context: &str) -> Result<(), StoreError> {
        let noted = on!(&self.write, pool => {
            sqlx::query(
                "UPDATE jobs SET attempt_trace_context = $3
                 WHERE id = $1 AND lease_epoch = $2 AND status = 'running'",
            )
            .bind(lease.job_id.as_uuid())
            .bind(lease.epoch)
            .bind(trace_context)
            .execute(pool)
            .await?
            .rows_affected()
        });
        if noted == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
    }
}
