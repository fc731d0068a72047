-- How many jobs of its owner may run at the same time (docs/adr/0013).

-- The limit of the key that submitted the job, or last asked for another run of it: the job starts only while fewer of
-- its owner's jobs run. 0 is no bound, and what rows of an older release have.
ALTER TABLE jobs ADD COLUMN max_running BIGINT NOT NULL DEFAULT 0;
