-- The core: who may do what, which hostnames are claimed by whom, and what has happened.
-- Times are milliseconds since the epoch, flags are 0 or 1, lists and documents are JSON text: the same on both
-- databases, so that one statement serves both. README.md has the rules for changing this.

CREATE TABLE accounts (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    plan        TEXT NOT NULL,
    -- Number of the account's newest event. The row lock of its update makes commit order and event order one.
    event_seq   BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL
);

-- A limit that differs from the plan's. NULL lifts it.
CREATE TABLE account_limits (
    account_id  TEXT NOT NULL REFERENCES accounts (id),
    kind        TEXT NOT NULL,
    max_value   BIGINT,
    PRIMARY KEY (account_id, kind)
);

-- What has been used of a limit. `period` is 'all' or a month such as '2026-11'.
CREATE TABLE usage_counters (
    account_id  TEXT NOT NULL REFERENCES accounts (id),
    kind        TEXT NOT NULL,
    period      TEXT NOT NULL,
    used        BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind, period)
);

CREATE TABLE applications (
    id                 TEXT COLLATE "C" PRIMARY KEY,
    account_id         TEXT NOT NULL REFERENCES accounts (id),
    name               TEXT NOT NULL,
    environment        TEXT NOT NULL,
    allowed_origins    TEXT NOT NULL,
    record_template    TEXT NOT NULL,
    default_origin     TEXT,
    default_keep_host  BIGINT NOT NULL DEFAULT 0,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL
);
CREATE INDEX applications_of_account ON applications (account_id, environment, id);

CREATE TABLE api_keys (
    id              TEXT COLLATE "C" PRIMARY KEY,
    account_id      TEXT NOT NULL REFERENCES accounts (id),
    application_id  TEXT NOT NULL REFERENCES applications (id),
    name            TEXT NOT NULL,
    environment     TEXT NOT NULL,
    -- The API dialect that the key speaks.
    surface         TEXT NOT NULL,
    scopes          TEXT NOT NULL,
    sha256          BYTEA NOT NULL UNIQUE,
    prefix          TEXT NOT NULL,
    last4           TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    last_used_at    BIGINT,
    revoked_at      BIGINT
);
CREATE INDEX api_keys_of_application ON api_keys (application_id, id);

-- What outlives every claim of a name: its generation and event order go on, and who let go of it when.
-- The row is the lock under which the claims of one hostname change.
CREATE TABLE hostnames (
    hostname         TEXT COLLATE "C" PRIMARY KEY,
    generation       BIGINT NOT NULL DEFAULT 0,
    event_seq        BIGINT NOT NULL DEFAULT 0,
    last_account_id  TEXT,
    released_at      BIGINT
);

CREATE TABLE claims (
    id               TEXT COLLATE "C" PRIMARY KEY,
    account_id       TEXT NOT NULL REFERENCES accounts (id),
    application_id   TEXT NOT NULL REFERENCES applications (id),
    environment      TEXT NOT NULL,
    surface          TEXT NOT NULL,
    hostname         TEXT COLLATE "C" NOT NULL,
    kind             TEXT NOT NULL,
    setup_type       TEXT NOT NULL,
    provider         TEXT,
    batch_id         TEXT,
    -- The route; NULL takes the application's default at the time the gate row is written.
    origin           TEXT,
    keep_host        BIGINT NOT NULL,
    redirect         TEXT,
    -- The facets. A surface's state word is computed from them and stored nowhere.
    ownership        TEXT NOT NULL,
    routing          TEXT NOT NULL,
    dns_write        TEXT NOT NULL,
    certificate      TEXT NOT NULL,
    lifecycle        TEXT NOT NULL,
    deadline         TEXT NOT NULL,
    deadline_at      BIGINT,
    -- Why it is not live, as a code and the record to change.
    reason_code      TEXT,
    reason           TEXT,
    error_code       TEXT,
    proof            TEXT,
    verified_at      BIGINT,
    pointing_at      BIGINT,
    live_at          BIGINT,
    drift_since      BIGINT,
    absent_streak    BIGINT NOT NULL DEFAULT 0,
    check_count      BIGINT NOT NULL DEFAULT 0,
    last_checked_at  BIGINT,
    next_check_at    BIGINT,
    next_attempt_at  BIGINT,
    generation       BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    archived_at      BIGINT
);
-- The promise of the whole product: a hostname is served for one claim at most.
CREATE UNIQUE INDEX claims_one_open_gate ON claims (hostname)
    WHERE lifecycle = 'active' AND ownership = 'proven' AND deadline <> 'passed';
-- One account does not compete with itself.
CREATE UNIQUE INDEX claims_one_per_account ON claims (account_id, hostname) WHERE lifecycle = 'active';
CREATE INDEX claims_of_account ON claims (account_id, environment, id);
CREATE INDEX claims_of_hostname ON claims (hostname);

-- How the owner shows that the name is theirs: what is expected where, and what was seen.
CREATE TABLE proofs (
    claim_id     TEXT NOT NULL REFERENCES claims (id),
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    expected     TEXT NOT NULL,
    observed     TEXT,
    first_ok_at  BIGINT,
    last_ok_at   BIGINT,
    PRIMARY KEY (claim_id, kind)
);

CREATE TABLE records (
    claim_id        TEXT NOT NULL REFERENCES claims (id),
    position        BIGINT NOT NULL,
    host            TEXT NOT NULL,
    type            TEXT NOT NULL,
    value           TEXT NOT NULL,
    ttl             BIGINT NOT NULL,
    priority        BIGINT,
    propagated      BIGINT NOT NULL DEFAULT 0,
    observed_value  TEXT,
    observed_at     BIGINT,
    PRIMARY KEY (claim_id, position)
);

-- What the edges have told of the certificate of a name.
CREATE TABLE certificates (
    hostname         TEXT COLLATE "C" PRIMARY KEY,
    claim_id         TEXT NOT NULL REFERENCES claims (id),
    status           TEXT NOT NULL,
    not_before       BIGINT,
    not_after        BIGINT,
    ca               TEXT,
    serial           TEXT,
    problem          TEXT,
    next_attempt_at  BIGINT,
    updated_at       BIGINT NOT NULL
);

-- What the sweep looks for once a minute; without it, it would read every certificate there is.
CREATE INDEX certificates_ending ON certificates (not_after) WHERE status = 'valid';

-- Reports that were taken: edges send one again when its answer was lost.
CREATE TABLE certificate_reports (
    id  TEXT PRIMARY KEY,
    at  BIGINT NOT NULL
);
CREATE INDEX certificate_reports_old ON certificate_reports (at);

-- What was tried for a claim and what came of it; the newest are kept.
CREATE TABLE attempts (
    claim_id     TEXT NOT NULL REFERENCES claims (id),
    n            BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    kind         TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    reason_code  TEXT,
    detail       TEXT,
    PRIMARY KEY (claim_id, n)
);

-- The gate: everything that an edge is told, one row a hostname, read without a join.
-- A name that was closed stays as a tombstone so that edges learn of it by sequence.
CREATE TABLE gate (
    hostname       TEXT COLLATE "C" NOT NULL,
    seq            BIGINT NOT NULL UNIQUE,
    is_open        BIGINT NOT NULL,
    is_pointing    BIGINT NOT NULL,
    generation     BIGINT NOT NULL,
    connection_id  TEXT NOT NULL,
    origin         TEXT,
    keep_host      BIGINT NOT NULL,
    redirect       TEXT,
    changed_at     BIGINT NOT NULL,
    -- The ask reads this index alone.
    PRIMARY KEY (hostname) INCLUDE (is_open, generation, connection_id, origin, keep_host, redirect)
);

-- Tombstones, which the sweep buries; few among many names.
CREATE INDEX gate_tombstones ON gate (seq) WHERE is_open = 0;

-- Named counters whose row lock makes commit order and number order one.
CREATE TABLE counters (
    name   TEXT PRIMARY KEY,
    value  BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('gate', 0), ('gate_floor', 0);

-- Facts about this installation, such as the id of its change feed.
CREATE TABLE facts (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
);

-- The outbox: written with the change it tells of.
CREATE TABLE events (
    id              TEXT PRIMARY KEY,
    account_id      TEXT NOT NULL REFERENCES accounts (id),
    seq             BIGINT NOT NULL,
    -- What follows is NULL of an event that is about the account and no name.
    hostname        TEXT,
    hostname_seq    BIGINT,
    claim_id        TEXT REFERENCES claims (id),
    application_id  TEXT,
    environment     TEXT NOT NULL,
    -- The core's own word; each surface has its own name for it.
    kind            TEXT NOT NULL,
    data            TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX events_in_account_order ON events (account_id, seq);
CREATE UNIQUE INDEX events_in_hostname_order ON events (hostname, hostname_seq);

CREATE TABLE webhook_endpoints (
    id               TEXT COLLATE "C" PRIMARY KEY,
    account_id       TEXT NOT NULL REFERENCES accounts (id),
    environment      TEXT NOT NULL,
    -- Which headers and event names its receiver expects.
    dialect          TEXT NOT NULL,
    url              TEXT NOT NULL,
    events           TEXT NOT NULL,
    sealed_secret    BYTEA NOT NULL,
    -- The secret before a rotation; signatures are made with both until its time is over.
    sealed_former    BYTEA,
    former_until     BIGINT,
    enabled          BIGINT NOT NULL,
    failing_since    BIGINT,
    disabled_reason  TEXT,
    created_at       BIGINT NOT NULL,
    deleted_at       BIGINT
);
CREATE INDEX webhook_endpoints_of_account ON webhook_endpoints (account_id, environment, id);

CREATE TABLE deliveries (
    id             TEXT COLLATE "C" PRIMARY KEY,
    account_id     TEXT NOT NULL REFERENCES accounts (id),
    environment    TEXT NOT NULL,
    endpoint_id    TEXT COLLATE "C" NOT NULL REFERENCES webhook_endpoints (id),
    event_id       TEXT NOT NULL REFERENCES events (id),
    hostname       TEXT,
    hostname_seq   BIGINT,
    -- Replays of one event are deliveries of their own.
    replay_of      TEXT,
    status         TEXT NOT NULL,
    attempts       BIGINT NOT NULL DEFAULT 0,
    -- When it may be tried. NULL while it waits for an earlier one of its name and endpoint, and at its end.
    next_retry_at  BIGINT,
    lease_token    TEXT,
    created_at     BIGINT NOT NULL,
    finished_at    BIGINT
);
-- What waits for its forerunner is not in it: a long backlog costs nothing.
CREATE INDEX deliveries_due ON deliveries (endpoint_id, next_retry_at) WHERE next_retry_at IS NOT NULL;
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX deliveries_of_account ON deliveries (account_id, environment, id);
CREATE INDEX deliveries_in_order ON deliveries (endpoint_id, hostname, hostname_seq) WHERE status = 'pending';

CREATE TABLE delivery_attempts (
    delivery_id  TEXT NOT NULL REFERENCES deliveries (id),
    n            BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    status_code  BIGINT,
    error        TEXT,
    duration_ms  BIGINT NOT NULL,
    response     TEXT,
    PRIMARY KEY (delivery_id, n)
);

-- The built-in job engine. A lease moves `run_at` to its end: whoever dies leaves a job that is due again.
CREATE TABLE jobs (
    key          TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    run_at       BIGINT NOT NULL,
    attempt      BIGINT NOT NULL DEFAULT 0,
    lease_token  TEXT
);
CREATE INDEX jobs_due ON jobs (kind, run_at);

CREATE TABLE audit_log (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT NOT NULL,
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    detail      TEXT NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX audit_log_of_account ON audit_log (account_id, id);

-- The answer to a request that its client may send again.
CREATE TABLE idempotency_records (
    account_id   TEXT NOT NULL,
    key          TEXT NOT NULL,
    fingerprint  BYTEA NOT NULL,
    -- NULL while the first request is under way.
    status       BIGINT,
    body         TEXT,
    -- While under way: the request is believed dead after this.
    lease_until  BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_records_expired ON idempotency_records (expires_at);
