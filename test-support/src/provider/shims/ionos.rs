//! IONOS: a zone with all its records, records made as a list, edits of value and TTL alone, texts in quotes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::plain::{Plain, Values, as_it_is, entry, nothing, text};
use crate::provider::{
    shim::{Req, Resp, Shim, usual},
    zone::{Entry, FakeZone},
};

const ID: &str = "f6821d2f-2ff3-4762-99bd-711733624a77";

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Plain {
        key: "ionos",
        credential: "prefix0123456789.canaryIonosSecret0123456789",
        secrets: &["canaryIonosSecret0123456789", "prefix0123456789.canaryIonosSecret0123456789"],
        malformed: Some("no-dot-in-here"),
        auth: ("x-api-key", "prefix0123456789.canaryIonosSecret0123456789"),
        min_ttl: 60,
        records: &["dns", "v1", "zones", "{}", "records"],
        id: ID,
        edit: Some("PUT"),
        values: Values::Quoted,
        status: (201, 200),
        extra: nothing,
        look,
        wire: |_, entry| wire(entry),
        wrap: as_it_is,
        entry: made,
        refusal: |no| {
            let (status, message) = usual(no);
            let status = if status == 422 || status == 409 { 400 } else { status };
            Some((status, json!([{ "code": "SOME_CODE", "message": message }])))
        },
    })
}

/// A new record stands in a list; an edit has neither name nor type.
fn made(_: &FakeZone, body: &Value, old: Option<&Entry>) -> Entry {
    let body = if old.is_none() { &body[0] } else { body };
    let name = text(body, "name").or_else(|| old.map(|old| old.name.clone())).unwrap_or_default();
    entry(name, body, "content", "ttl", old)
}

fn look(zone: &FakeZone, req: &Req) -> Option<Resp> {
    match req.parts() {
        ("GET", path) if path == ["dns", "v1", "zones"] => {
            let other = json!({ "name": "another.test", "id": "0", "type": "NATIVE" });
            Some(Resp::json(200, &json!([other, { "name": zone.name, "id": ID, "type": "NATIVE" }])))
        }
        ("GET", path) if path == ["dns", "v1", "zones", ID] => {
            let records: Vec<_> = zone.entries.iter().map(wire).collect();
            Some(Resp::json(200, &json!({ "id": ID, "name": zone.name, "type": "NATIVE", "records": records })))
        }
        _ => None,
    }
}

fn wire(entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(), "name": entry.name, "rootName": "customer.test", "type": entry.kind,
        "content": entry.data, "changeDate": "2026-01-01T00:00:00.000Z", "ttl": entry.ttl, "disabled": false,
    })
}
