//! DigitalOcean: relative names, links to the next page, targets that lose their dot in answers.

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
        key: "digitalocean",
        credential: "dop_v1_canary0123456789abcdef",
        secrets: &["dop_v1_canary0123456789abcdef"],
        malformed: None,
        auth: ("authorization", "Bearer dop_v1_canary0123456789abcdef"),
        min_ttl: 30,
        records: &["v2", "domains", "{}", "records"],
        id: "",
        edit: Some("PUT"),
        values: Values::Dotted,
        status: (201, 204),
        extra: nothing,
        look,
        wire,
        wrap: |record| json!({ "domain_record": record }),
        entry: |zone, body, old| {
            entry(absolute(zone, &text(body, "name").unwrap_or_default()), body, "data", "ttl", old)
        },
        refusal,
    })
}

fn look(zone: &FakeZone, req: &Req) -> Option<Resp> {
    match req.parts() {
        ("GET", path) if path == ["v2", "domains", &zone.name] => {
            Some(Resp::json(200, &json!({ "domain": { "name": zone.name, "ttl": 1800 } })))
        }
        ("GET", path) if path == ["v2", "domains", &zone.name, "records"] => {
            let (number, per_page) = (req.number("page", 1), req.number("per_page", 20).min(200));
            let (page, pages) = paged(&zone.entries, number, per_page);
            let records: Vec<_> = page.iter().map(|entry| wire(zone, entry)).collect();
            let links = if number < pages { json!({ "pages": { "next": "https://…" } }) } else { json!({}) };
            Some(Resp::json(200, &json!({ "domain_records": records, "links": links, "meta": { "total": 1 } })))
        }
        _ => None,
    }
}

fn wire(zone: &FakeZone, entry: &Entry) -> Value {
    let bare = if entry.kind == "CNAME" { entry.data.trim_end_matches('.') } else { &entry.data };
    let data = if entry.kind == "CNAME" && bare == zone.name { "@" } else { bare };
    json!({
        "id": entry.id, "type": entry.kind, "name": relative(zone, &entry.name, "@"), "data": data, "ttl": entry.ttl,
        "priority": null, "flags": null, "new_field": {},
    })
}

fn refusal(no: &No) -> Option<(u16, Value)> {
    let (status, message) = usual(no);
    match no {
        No::Conflict => {
            let message = "CNAME records cannot share a name with other records";
            Some((422, json!({ "id": "unprocessable_entity", "message": message })))
        }
        _ => Some((status, json!({ "id": "some_id", "message": message, "request_id": "r" }))),
    }
}
