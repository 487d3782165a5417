//! Vultr: cursors, texts between quotes without escapes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    gandi::{absolute, relative},
    plain::{Plain, Values, entry, nothing, text},
};
use crate::provider::{
    shim::{Req, Resp, Shim, paged, usual},
    zone::{Entry, FakeZone},
};

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Plain {
        key: "vultr",
        credential: "CANARYVULTR0123456789canary",
        secrets: &["CANARYVULTR0123456789canary"],
        malformed: None,
        auth: ("authorization", "Bearer CANARYVULTR0123456789canary"),
        min_ttl: 120,
        records: &["v2", "domains", "{}", "records"],
        id: "",
        edit: Some("PATCH"),
        values: Values::Fenced,
        status: (201, 204),
        extra: nothing,
        look,
        wire,
        wrap: |record| json!({ "record": record }),
        entry: |zone, body, old| {
            entry(absolute(zone, &text(body, "name").unwrap_or_default()), body, "data", "ttl", old)
        },
        refusal: |no| {
            let (status, message) = usual(no);
            let status = if status == 422 { 400 } else { status };
            Some((status, json!({ "error": message, "status": status })))
        },
    })
}

fn look(zone: &FakeZone, req: &Req) -> Option<Resp> {
    match req.parts() {
        ("GET", path) if path == ["v2", "domains", &zone.name] => {
            Some(Resp::json(200, &json!({ "domain": { "domain": zone.name, "dns_sec": "disabled" } })))
        }
        ("GET", path) if path == ["v2", "domains", &zone.name, "records"] => {
            let number = req.number("cursor", 1);
            let (page, pages) = paged(&zone.entries, number, req.number("per_page", 100).min(100));
            let records: Vec<_> = page.iter().map(|entry| wire(zone, entry)).collect();
            let next = if number < pages { (number + 1).to_string() } else { String::new() };
            let links = json!({ "next": next, "prev": "" });
            Some(Resp::json(200, &json!({ "records": records, "meta": { "total": 1, "links": links } })))
        }
        _ => None,
    }
}

fn wire(zone: &FakeZone, entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(), "type": entry.kind, "name": relative(zone, &entry.name, ""), "data": entry.data,
        "ttl": entry.ttl, "priority": -1,
    })
}
