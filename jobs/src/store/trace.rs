//! What traces show of the database, and what the database keeps of traces.

use domain::JobId;
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use super::{On, Store, on};
use crate::error::StoreError;
use crate::lease::Lease;
use crate::tally;

impl Store {
    /// Makes a call that belongs to a job in a span of its own. Calls that look for work or keep a lease have none: they
    /// come again and again, and would be traces of nothing.
    pub(crate) async fn traced<T>(
        &self,
        operation: &'static str,
        job: JobId,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let span = info_span!(
            "store",
            otel.name = %format_args!("store.{operation}"),
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = self.system(),
            db.operation.name = operation,
            error.type = Empty,
            job.id = %job,
        );
        let outcome = call.instrument(span.clone()).await;
        if let Err(error) = &outcome {
            span.record("error.type", error.kind());
            span.record("otel.status_code", "ERROR");
        }
        if let Err(StoreError::LeaseLost) = outcome {
            tally::write_fenced();
        }
        outcome
    }

    /// The database, as OpenTelemetry names it.
    fn system(&self) -> &'static str {
        match self.write {
            On::Postgres(_) => "postgresql",
            On::Sqlite(_) => "sqlite",
        }
    }

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
