-- What a tenant gave us to write at a DNS provider.
CREATE TABLE dns_credentials (
    id              TEXT PRIMARY KEY,
    account_id      TEXT NOT NULL REFERENCES accounts (id),
    application_id  TEXT NOT NULL REFERENCES applications (id),
    environment     TEXT NOT NULL,
    -- The key of the adapter.
    provider        TEXT NOT NULL,
    -- The provider's id of the zone, where its owner gave one.
    zone_id         TEXT,
    sealed_token    BLOB NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX dns_credentials_of_application ON dns_credentials (application_id, id);
