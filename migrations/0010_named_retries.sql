-- A retry that is sent again because its answer was lost must not run, and bill, the job twice.

-- The client's name for the last retry, and the hash of what it asked for.
ALTER TABLE jobs ADD COLUMN retry_key TEXT;
ALTER TABLE jobs ADD COLUMN retry_sha256 TEXT;
