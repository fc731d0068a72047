-- A job's life. The same text runs on Postgres and on SQLite; migrations only ever add.
--
-- JSON is kept as TEXT: JSONB would reorder the keys of a model's turn, which must go back byte for byte, and refuses
-- the escape \u0000, which a model may well write. Every time is bound by the store, never a default: the two
-- databases write CURRENT_TIMESTAMP differently. Money is whole nano-dollars.

CREATE TABLE jobs (
    id                    UUID        NOT NULL PRIMARY KEY,
    spec                  TEXT        NOT NULL,
    status                TEXT        NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    -- Tries that ended by themselves or still run. A try that a shutdown cut short is given back.
    attempt               BIGINT      NOT NULL CHECK (attempt >= 0),
    max_attempts          BIGINT      NOT NULL CHECK (max_attempts >= 1),
    -- Times another worker took the job over because its lease ran out.
    rescues               BIGINT      NOT NULL CHECK (rescues >= 0),
    -- Only ever grows; every write of a worker names the one it was given.
    lease_epoch           BIGINT      NOT NULL CHECK (lease_epoch >= 0),
    lease_until           TIMESTAMPTZ,
    worker_id             TEXT,
    -- When a retry is due; absent: at once.
    next_attempt_at       TIMESTAMPTZ,
    cancel_requested_at   TIMESTAMPTZ,
    -- The number of the job's last event.
    version               BIGINT      NOT NULL CHECK (version >= 1),
    result                TEXT,
    -- Beside the result, not in it: bytes, and not read with the rest.
    diff                  BYTEA,
    failure               TEXT,
    -- Sums over the settled calls, kept here so that a job is one row to read.
    input_tokens          BIGINT      NOT NULL,
    cache_creation_tokens BIGINT      NOT NULL,
    cache_read_tokens     BIGINT      NOT NULL,
    output_tokens         BIGINT      NOT NULL,
    cost_nanos            BIGINT      NOT NULL,
    created_at            TIMESTAMPTZ NOT NULL,
    started_at            TIMESTAMPTZ,
    finished_at           TIMESTAMPTZ,
    -- W3C traceparent of the request that made the job.
    trace_context         TEXT,
    -- Who submitted the job; absent: nobody in particular.
    owner                 TEXT,

    CHECK ((status = 'running') = (lease_until IS NOT NULL)),
    CHECK ((status = 'running') = (worker_id IS NOT NULL)),
    CHECK ((status = 'succeeded') = (result IS NOT NULL)),
    CHECK ((status = 'succeeded') = (diff IS NOT NULL)),
    CHECK ((status = 'failed') = (failure IS NOT NULL)),
    CHECK ((status IN ('succeeded', 'failed', 'canceled')) = (finished_at IS NOT NULL)),
    -- A job that is to be canceled never waits for another worker.
    CHECK (status <> 'queued' OR cancel_requested_at IS NULL)
);

-- The claim and the sweep look at open jobs only, oldest first.
CREATE INDEX jobs_open ON jobs (id) WHERE status IN ('queued', 'running');

-- The stages of a job: started, and finished when the output is there. The output is written once.
CREATE TABLE stages (
    job_id      UUID        NOT NULL REFERENCES jobs (id),
    kind        TEXT        NOT NULL,
    item        TEXT        NOT NULL,
    output      TEXT,
    started_at  TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,

    PRIMARY KEY (job_id, kind, item),
    CHECK ((output IS NOT NULL) = (finished_at IS NOT NULL))
);

-- The calls to the model: reserved before, settled after. A call that was never settled counts as reserved.
CREATE TABLE model_calls (
    id                    UUID        NOT NULL PRIMARY KEY,
    job_id                UUID        NOT NULL REFERENCES jobs (id),
    kind                  TEXT        NOT NULL,
    item                  TEXT        NOT NULL,
    turn                  BIGINT      NOT NULL,
    model                 TEXT        NOT NULL,
    request_sha256        TEXT        NOT NULL,
    reserved_nanos        BIGINT      NOT NULL,
    started_at            TIMESTAMPTZ NOT NULL,
    cost_nanos            BIGINT,
    input_tokens          BIGINT,
    cache_creation_tokens BIGINT,
    cache_read_tokens     BIGINT,
    output_tokens         BIGINT,
    response              TEXT,
    stop_reason           TEXT,
    duration_ms           BIGINT,
    finished_at           TIMESTAMPTZ,

    CHECK ((cost_nanos IS NOT NULL) = (finished_at IS NOT NULL))
);

-- The calls of one place in a job's conversation, and all calls of a job.
CREATE INDEX model_calls_place ON model_calls (job_id, kind, item, turn);

-- What happened to a job, in order, without a gap. Written in the transaction of the change it tells.
CREATE TABLE job_events (
    job_id UUID        NOT NULL REFERENCES jobs (id),
    seq    BIGINT      NOT NULL CHECK (seq >= 1),
    kind   TEXT        NOT NULL,
    data   TEXT        NOT NULL,
    at     TIMESTAMPTZ NOT NULL,

    PRIMARY KEY (job_id, seq)
);
