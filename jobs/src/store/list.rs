//! The jobs there are, newest first.

use sqlx::QueryBuilder;

use super::rows::{JobRow, job_columns};
use super::{Store, on};
use crate::error::StoreError;
use crate::job::{JobPage, JobPlace, JobQuery};
use crate::lease::Policy;

impl Store {
    /// A page of the jobs that fit. The text grows with what is asked, so that the databases see which index fits.
    pub(crate) async fn list(&self, query: &JobQuery, policy: &Policy) -> Result<JobPage, StoreError> {
        let rows: Vec<JobRow> = on!(&self.read, pool => {
            let mut sql = QueryBuilder::new(concat!("SELECT ", job_columns!(), " FROM jobs WHERE purged_at IS NULL"));
            if let Some(owner) = &query.owner {
                sql.push(" AND owner = ").push_bind(owner);
            }
            if !query.statuses.is_empty() {
                let mut list = sql.push(" AND status IN (").separated(", ");
                for status in &query.statuses {
                    list.push_bind(status.as_str());
                }
                sql.push(")");
            }
            if let Some(repo_url) = &query.repo_url {
                sql.push(" AND repo_url = ").push_bind(repo_url.to_string());
            }
            if let Some(after) = query.created_after {
                sql.push(" AND created_at > ").push_bind(after);
            }
            if let Some(before) = query.created_before {
                sql.push(" AND created_at < ").push_bind(before);
            }
            for (name, value) in &query.metadata {
                sql.push(" AND EXISTS (SELECT 1 FROM job_metadata WHERE job_id = jobs.id AND name = ").push_bind(name);
                sql.push(" AND value = ").push_bind(value).push(")");
            }
            if let Some(place) = query.after {
                sql.push(" AND (created_at, id) < (").push_bind(place.created_at);
                sql.push(", ").push_bind(place.id.as_uuid()).push(")");
            }
            // One more than asked tells whether there is a next page.
            sql.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(query.limit) + 1);
            sql.build_query_as().fetch_all(pool).await?
        });
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        let jobs: Vec<_> = rows.into_iter().take(limit).map(|row| row.into_job(policy)).collect::<Result<_, _>>()?;
        let next = jobs.last().filter(|_| has_more).map(|job| JobPlace { created_at: job.created_at, id: job.id });
        Ok(JobPage { jobs, next })
    }
}
