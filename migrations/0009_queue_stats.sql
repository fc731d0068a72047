-- What tells how many workers are wanted: the jobs that wait, counted quickly, and the workers there are.

-- All that is counted of waiting jobs is in this index: their rows, with prompts in them, are not read.
CREATE INDEX jobs_waiting ON jobs (priority, next_attempt_at, retried_at, created_at) WHERE status = 'queued';
-- Jobs that were given up. A failure is JSON that begins with its code; what was deleted or runs again has none.
CREATE INDEX jobs_dead ON jobs (priority) WHERE SUBSTR(failure, 1, 18) = '{"code":"poisoned"';

-- Workers, those without a job too. Nothing about jobs depends on it: who holds a job is in the job's row. Without an
-- index beside its key: it is small, and an update need not touch one.
CREATE TABLE workers (
    id          TEXT        NOT NULL PRIMARY KEY,
    -- Jobs it works on at the same time.
    slots       BIGINT      NOT NULL,
    -- Until then it counts as living; it moves this on, and its end moves it back.
    alive_until TIMESTAMPTZ NOT NULL
);
