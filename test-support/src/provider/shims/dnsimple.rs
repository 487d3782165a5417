//! DNSimple: an account's id in every path, texts in quotes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    gandi::{absolute, relative},
    plain::{Plain, Values, entry, nothing, text},
};
use crate::provider::{
    shim::{No, Req, Resp, Shim, paged, usual},
    zone::{Entry, FakeZone},
};

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Plain {
        key: "dnsimple",
        credential: "dnsimple_a_canary0123456789",
        secrets: &["dnsimple_a_canary0123456789"],
        malformed: None,
        auth: ("authorization", "Bearer dnsimple_a_canary0123456789"),
        min_ttl: 60,
        records: &["v2", "1010", "zones", "{}", "records"],
        id: "",
        edit: Some("PATCH"),
        values: Values::Quoted,
        status: (201, 204),
        extra: nothing,
        look,
        wire,
        wrap: |record| json!({ "data": record }),
        entry: |zone, body, old| {
            entry(absolute(zone, &text(body, "name").unwrap_or_default()), body, "content", "ttl", old)
        },
        refusal,
    })
}

fn look(zone: &FakeZone, req: &Req) -> Option<Resp> {
    match req.parts() {
        ("GET", path) if path == ["v2", "whoami"] => {
            Some(Resp::json(200, &json!({ "data": { "user": null, "account": { "id": 1010, "email": "e" } } })))
        }
        ("GET", path) if path == ["v2", "1010", "zones", &zone.name] => {
            Some(Resp::json(200, &json!({ "data": { "id": 1, "name": zone.name, "reverse": false } })))
        }
        ("GET", path) if path == ["v2", "1010", "zones", &zone.name, "records"] => {
            let (page, pages) = paged(&zone.entries, req.number("page", 1), req.number("per_page", 30).min(100));
            let data: Vec<_> = page.iter().map(|entry| wire(zone, entry)).collect();
            Some(Resp::json(200, &json!({ "data": data, "pagination": { "total_pages": pages, "per_page": 100 } })))
        }
        _ => None,
    }
}

fn wire(zone: &FakeZone, entry: &Entry) -> Value {
    json!({
        "id": entry.id, "zone_id": zone.name, "name": relative(zone, &entry.name, ""), "type": entry.kind,
        "content": entry.data, "ttl": entry.ttl, "priority": null, "regions": ["global"], "system_record": false,
    })
}

fn refusal(no: &No) -> Option<(u16, Value)> {
    let (status, message) = usual(no);
    match no {
        No::Conflict => {
            Some((400, json!({ "message": "Validation failed", "errors": { "base": ["The record already exists"] } })))
        }
        No::Invalid(sentence) => Some((400, json!({ "message": sentence, "errors": {} }))),
        _ => Some((status, json!({ "message": message }))),
    }
}
