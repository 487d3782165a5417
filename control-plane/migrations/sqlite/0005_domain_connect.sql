-- Customers who were sent to their DNS provider's page, by the hash of what their browser brings back. Each row is used
-- once.
CREATE TABLE domain_connect_visits (
    state_hash      BLOB PRIMARY KEY,
    claim_id        TEXT NOT NULL REFERENCES claims (id),
    application_id  TEXT NOT NULL REFERENCES applications (id),
    -- Where the application wants the browser in the end.
    return_url      TEXT,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX domain_connect_visits_of_claim ON domain_connect_visits (claim_id, created_at);
CREATE INDEX domain_connect_visits_by_end ON domain_connect_visits (expires_at);
