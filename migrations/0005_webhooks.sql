-- Webhooks: who is told of what, and what was told (docs/adr/0011).
--
-- Nothing here refers to `jobs` by a foreign key, and deliveries refer to nothing: a message stands by itself, and no
-- job's transaction may fail because a webhook is deleted at the same moment.

-- Receivers. An 'endpoint' was made by its owner. An 'origin' is the scheme, host and port that jobs of one owner name in
-- webhooks of their own: one row for all of them, because limits hold for the receiver.
CREATE TABLE webhooks (
    id                   UUID        NOT NULL PRIMARY KEY,
    -- Whose; absent: nobody's in particular.
    owner                TEXT,
    kind                 TEXT        NOT NULL CHECK (kind IN ('endpoint', 'origin')),
    url                  TEXT        NOT NULL,
    description          TEXT        NOT NULL,
    -- The names of the events it is told of, as a JSON array.
    events               TEXT        NOT NULL,
    created_at           TIMESTAMPTZ NOT NULL,
    updated_at           TIMESTAMPTZ NOT NULL,
    -- While set, nothing is sent and everything waits.
    disabled_at          TIMESTAMPTZ,
    -- Why, when it was not its owner who disabled it.
    disabled_reason      TEXT        CHECK (disabled_reason IN ('gone', 'failing')),
    -- The sweep removes its deliveries, and then the row.
    deleted_at           TIMESTAMPTZ,
    -- Since the last success; beyond a bound only probes are sent, one at a time and not before `probe_at`.
    consecutive_failures BIGINT      NOT NULL,
    failing_since        TIMESTAMPTZ,
    probe_at             TIMESTAMPTZ,
    -- When it last had its turn.
    served_at            TIMESTAMPTZ,
    -- Whether its last exchange failed or took long, or there was none yet: slow ones cannot take every place.
    is_slow              BOOLEAN     NOT NULL,

    CHECK (disabled_reason IS NULL OR disabled_at IS NOT NULL)
);

CREATE INDEX webhooks_endpoints ON webhooks (COALESCE(owner, ''), id) WHERE kind = 'endpoint' AND deleted_at IS NULL;
CREATE UNIQUE INDEX webhooks_origins ON webhooks (COALESCE(owner, ''), url) WHERE kind = 'origin';
CREATE INDEX webhooks_deleted ON webhooks (deleted_at) WHERE deleted_at IS NOT NULL;

-- What messages are signed with, as it is: who signs must have the secret itself. Without a webhook: its owner's default,
-- for the webhooks that jobs bring along. An older one is valid until it expires.
CREATE TABLE webhook_secrets (
    id         UUID        NOT NULL PRIMARY KEY,
    owner      TEXT,
    webhook_id UUID,
    secret     TEXT        NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ
);

CREATE INDEX webhook_secrets_webhooks ON webhook_secrets (webhook_id) WHERE webhook_id IS NOT NULL;
CREATE INDEX webhook_secrets_defaults ON webhook_secrets (COALESCE(owner, '')) WHERE webhook_id IS NULL;
-- One newest secret of each, however many ask for the first one at the same time.
CREATE UNIQUE INDEX webhook_secrets_newest ON webhook_secrets (webhook_id)
    WHERE webhook_id IS NOT NULL AND expires_at IS NULL;
CREATE UNIQUE INDEX webhook_secrets_newest_default ON webhook_secrets (COALESCE(owner, ''))
    WHERE webhook_id IS NULL AND expires_at IS NULL;

-- The webhooks that jobs brought along. The address may hold a token.
CREATE TABLE job_webhooks (
    job_id     UUID NOT NULL PRIMARY KEY,
    -- Its origin's.
    webhook_id UUID NOT NULL,
    url        TEXT NOT NULL,
    events     TEXT NOT NULL
);

-- Messages to receivers, written in the transaction of the event they tell of.
CREATE TABLE webhook_deliveries (
    id          UUID        NOT NULL PRIMARY KEY,
    webhook_id  UUID        NOT NULL,
    -- The message's `webhook-id`: the same however often it is sent.
    message_id  TEXT        NOT NULL,
    -- The event; a test tells of none.
    job_id      UUID,
    seq         BIGINT      NOT NULL,
    kind        TEXT        NOT NULL,
    -- Of a webhook that the job brought along; else the webhook's own.
    url         TEXT,
    body        TEXT        NOT NULL,
    status      TEXT        NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    -- Tries since it was written, or since somebody last asked for it to be sent again.
    tries       BIGINT      NOT NULL,
    -- All attempts ever; the last one's number.
    attempts    BIGINT      NOT NULL,
    due_at      TIMESTAMPTZ NOT NULL,
    -- Only ever grows; the end of a send names the one it was given.
    lease_epoch BIGINT      NOT NULL,
    lease_until TIMESTAMPTZ,
    worker_id   TEXT,
    created_at  TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,

    UNIQUE (webhook_id, message_id),
    CHECK ((status = 'pending') = (finished_at IS NULL)),
    CHECK ((lease_until IS NULL) = (worker_id IS NULL)),
    CHECK (status = 'pending' OR lease_until IS NULL)
);

-- The claim: receivers with something to send, what is due first, what a job's messages wait for, what is being sent.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at, id) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (webhook_id, job_id, seq) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_leases ON webhook_deliveries (webhook_id, lease_until) WHERE lease_until IS NOT NULL;
-- The lists: of a webhook and of a job, newest first.
CREATE INDEX webhook_deliveries_lists ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_jobs ON webhook_deliveries (job_id, id);
-- The sweep.
CREATE INDEX webhook_deliveries_ages ON webhook_deliveries (created_at);

-- What came of each attempt.
CREATE TABLE webhook_attempts (
    delivery_id UUID        NOT NULL,
    number      BIGINT      NOT NULL,
    started_at  TIMESTAMPTZ NOT NULL,
    duration_ms BIGINT      NOT NULL,
    -- The HTTP status; absent when there was no answer.
    status      BIGINT,
    error       TEXT,
    -- The first 4 KiB of the answer's body.
    response    TEXT,

    PRIMARY KEY (delivery_id, number)
);
