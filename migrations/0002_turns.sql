-- Whose turn it is (docs/adr/0008), time limits, and retries of finished jobs.
--
-- Rows of an older release have turn and rank 0: they go first, oldest first.

ALTER TABLE jobs ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
-- The round in which the owner of the job may start one. The owner's best job takes its owner's first turn.
ALTER TABLE jobs ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;
-- Which of an owner's jobs is best, the smallest first: the time of its submission in microseconds since 1970, less one
-- period of ageing for each level of priority.
ALTER TABLE jobs ADD COLUMN rank BIGINT NOT NULL DEFAULT 0;
-- How long workers have worked on the job since it was submitted or last retried, up to the last heartbeat, and when
-- that was; microseconds, so that both databases can subtract them.
ALTER TABLE jobs ADD COLUMN worked_micros BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN beat_micros BIGINT NOT NULL DEFAULT 0;
-- When somebody last asked for the finished job to be run again.
ALTER TABLE jobs ADD COLUMN retried_at TIMESTAMPTZ;

-- The claim: who is next, the best job of an owner, the turns of an owner, and the leases that ran out.
CREATE INDEX jobs_turns ON jobs (turn, id) WHERE status = 'queued';
CREATE INDEX jobs_ranks ON jobs (COALESCE(owner, ''), rank, id) WHERE status = 'queued';
CREATE INDEX jobs_owner_turns ON jobs (COALESCE(owner, ''), turn, id) WHERE status = 'queued';
CREATE INDEX jobs_leases ON jobs (lease_until) WHERE status = 'running';
