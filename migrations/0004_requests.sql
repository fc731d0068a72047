-- What clients ask for beside the work itself: that a request made twice is one job, that jobs are found again, and that
-- they are forgotten.

-- The client's own name for the request that made the job, and the SHA-256 of that request's body; forgotten after a day.
ALTER TABLE jobs ADD COLUMN idempotency_key TEXT;
ALTER TABLE jobs ADD COLUMN idempotency_sha256 TEXT;
-- The address of the repository as in the spec, to look for it.
ALTER TABLE jobs ADD COLUMN repo_url TEXT NOT NULL DEFAULT '';
-- Why the last attempt failed and which one it was, as JSON; only while the job waits for its next one.
ALTER TABLE jobs ADD COLUMN last_failure TEXT;
-- When everything was forgotten that the job was about. What remains of the row: its id, owner, states, times and costs.
ALTER TABLE jobs ADD COLUMN purged_at TIMESTAMPTZ;

-- The specs of older rows begin with {"repoUrl":"…": the address starts at the 13th character and ends before the next
-- quotation mark. The two databases have no function in common that finds it, so it is counted.
UPDATE jobs
SET repo_url = (
    WITH RECURSIVE place (n) AS (
        SELECT 13
        UNION ALL
        SELECT n + 1 FROM place WHERE n <= LENGTH(jobs.spec) AND SUBSTR(jobs.spec, n, 1) <> '"'
    )
    SELECT SUBSTR(jobs.spec, 13, MAX(n) - 13) FROM place
)
WHERE SUBSTR(spec, 1, 12) = '{"repoUrl":"';

-- One request, one job: jobs without an owner are one owner's.
CREATE UNIQUE INDEX jobs_idempotency ON jobs (COALESCE(owner, ''), idempotency_key) WHERE idempotency_key IS NOT NULL;
-- The keys that are a day old.
CREATE INDEX jobs_idempotency_age ON jobs (created_at) WHERE idempotency_key IS NOT NULL;
-- The list, newest first: of everybody, of an owner, of a repository.
CREATE INDEX jobs_created ON jobs (created_at, id);
CREATE INDEX jobs_owner_created ON jobs (owner, created_at, id);
CREATE INDEX jobs_repo_created ON jobs (repo_url, created_at, id);
-- What is old enough to be forgotten, and what was forgotten long ago.
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL AND purged_at IS NULL;
CREATE INDEX jobs_purged ON jobs (purged_at) WHERE purged_at IS NOT NULL;

-- The metadata of each spec once more, to look for it.
CREATE TABLE job_metadata (
    job_id UUID NOT NULL REFERENCES jobs (id),
    name   TEXT NOT NULL,
    value  TEXT NOT NULL,

    PRIMARY KEY (job_id, name)
);

CREATE INDEX job_metadata_pairs ON job_metadata (name, value, job_id);
