-- Whose a name is, for edges: certificates and keys belong to the tenant that they were ordered for. Written as
-- `<connection_id> <tenant>`, and read only while it is about the row's connection: the release before this one writes
-- rows without it.
ALTER TABLE gate ADD COLUMN tenant TEXT;
UPDATE gate SET tenant = (
    SELECT claims.id || ' ' || claims.application_id FROM claims WHERE claims.id = gate.connection_id
);
-- Edges read the whole list once, and hear of the tenants of all names. The number goes up, so that those who have heard
-- everything are behind too.
UPDATE counters SET value = value + 1 WHERE name = 'gate' AND EXISTS (SELECT 1 FROM gate);
UPDATE counters SET value = (SELECT newest.value FROM counters AS newest WHERE newest.name = 'gate')
    WHERE name = 'gate_floor' AND EXISTS (SELECT 1 FROM gate);
