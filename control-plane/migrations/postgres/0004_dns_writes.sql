-- When the writing of a claim's records began, while it is under way, and when they were written last.
ALTER TABLE claims ADD COLUMN write_since BIGINT;
ALTER TABLE claims ADD COLUMN written_at BIGINT;

-- The write of a claim's records that is under way, or was last: what a process that dies leaves to the next one.
CREATE TABLE dns_writes (
    claim_id       TEXT PRIMARY KEY REFERENCES claims (id),
    -- The mark of the plan that somebody agreed to although it removes records that are not ours.
    confirm        TEXT,
    credential_id  TEXT,
    provider       TEXT,
    zone           TEXT,
    -- What takes it back, as JSON; NULL when nothing is half done.
    undo           TEXT,
    updated_at     BIGINT NOT NULL
);

-- The ledger: the records of ours in customers' zones.
CREATE TABLE dns_written (
    claim_id  TEXT NOT NULL REFERENCES claims (id),
    name      TEXT NOT NULL,
    type      TEXT NOT NULL,
    value     TEXT NOT NULL,
    -- 0 from before it is written until it is known to be there.
    is_there  BIGINT NOT NULL,
    PRIMARY KEY (claim_id, name, type, value)
);

-- Who writes in a zone now, whichever process that is. A turn that nobody gives back ends by itself.
CREATE TABLE zone_turns (
    zone     TEXT COLLATE "C" PRIMARY KEY,
    holder   TEXT NOT NULL,
    ends_at  BIGINT NOT NULL
);
