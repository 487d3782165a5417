-- The store of a fleet of edges, in a schema of its own: it may share a database with a control plane.
--
-- Names are compared byte by byte, whatever the database's locale.

-- One row that every save counts up. It stays locked until the save is committed, so numbers are seen in their order:
-- whoever has read up to one never misses a smaller one.
CREATE TABLE namegate_edge.changes (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL
);
INSERT INTO namegate_edge.changes (seq) VALUES (0);

CREATE TABLE namegate_edge.certificates (
    name text COLLATE "C" NOT NULL,
    issuer text COLLATE "C" NOT NULL,
    chain_pem text NOT NULL,
    sealed_key bytea NOT NULL,
    meta jsonb NOT NULL,
    -- Milliseconds since the epoch.
    not_before bigint NOT NULL,
    not_after bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (name, issuer)
);
CREATE INDEX certificates_seq ON namegate_edge.certificates (seq);

-- Accounts, orders in flight, failures, notes of records: all sealed, as some hold private keys.
CREATE TABLE namegate_edge.documents (
    key text COLLATE "C" PRIMARY KEY,
    folder text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL CHECK (octet_length(sealed) <= 1100000)
);
CREATE INDEX documents_folder ON namegate_edge.documents (folder);

-- Who may order for a name now. What makes no sense here (nulls, a far future) counts as free.
CREATE TABLE namegate_edge.leases (
    name text COLLATE "C" PRIMARY KEY,
    token bigint,
    holder text,
    expires timestamptz
);
-- No token is ever given twice, so an old one never fits a new lease.
CREATE SEQUENCE namegate_edge.lease_tokens;

-- What orders in flight have to show to the authority, for whichever edge it asks. Nothing here is secret: the
-- authority reads it over plain text.
CREATE TABLE namegate_edge.offers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    edge text NOT NULL,
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    token text NOT NULL,
    answer text NOT NULL,
    expires timestamptz NOT NULL
);
CREATE INDEX offers_expires ON namegate_edge.offers (expires);

-- A value sealed under the fleet's key: an edge with another key is told so at its start.
CREATE TABLE namegate_edge.key_check (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    sealed bytea NOT NULL
);
