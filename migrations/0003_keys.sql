-- API keys, and what each owner has used of its daily quotas.

CREATE TABLE api_keys (
    id            UUID        NOT NULL PRIMARY KEY,
    name          TEXT        NOT NULL,
    -- Whose jobs the key reaches, and in whose name it makes new ones: `jobs.owner`.
    owner         TEXT        NOT NULL,
    -- Names of scopes, between blanks.
    scopes        TEXT        NOT NULL,
    -- SHA-256 of the 256 random bits that only the key's holder has: a fast hash is enough for those.
    secret_sha256 BYTEA       NOT NULL,
    -- The limits that differ from the server's, as JSON.
    limits        TEXT        NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ,
    -- A revoked key stays, so that it is not taken for one that never was; and a server that had a key is never open
    -- again.
    revoked_at    TIMESTAMPTZ,
    -- To the minute.
    last_used_at  TIMESTAMPTZ
);

-- What an owner used on a day (UTC; days since 1970). Its lock makes two transactions count one after the other.
CREATE TABLE owner_usage (
    owner      TEXT   NOT NULL,
    day        BIGINT NOT NULL,
    jobs       BIGINT NOT NULL,
    cost_nanos BIGINT NOT NULL,

    PRIMARY KEY (owner, day)
);
