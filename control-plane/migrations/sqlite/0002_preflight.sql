-- What the last preflight found; a name that never had a certificate keeps its gate closed while it is 'blocked'.
ALTER TABLE claims ADD COLUMN preflight TEXT NOT NULL DEFAULT 'unknown';
