//! Linode: a filter in a header, numbered pages, errors as a list of reasons.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    gandi::{absolute, relative},
    plain::{Plain, Values, as_it_is, entry, nothing, text},
};
use crate::provider::{
    shim::{Req, Resp, Shim, paged, usual},
    zone::{Entry, FakeZone},
};

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Plain {
        key: "linode",
        credential: "canarylinode0123456789abcdef",
        secrets: &["canarylinode0123456789abcdef"],
        malformed: None,
        auth: ("authorization", "Bearer canarylinode0123456789abcdef"),
        min_ttl: 300,
        records: &["v4", "domains", "{}", "records"],
        id: "4711",
        edit: Some("PUT"),
        values: Values::Bare,
        status: (200, 200),
        extra: nothing,
        look,
        wire,
        wrap: as_it_is,
        entry: |zone, body, old| {
            entry(absolute(zone, &text(body, "name").unwrap_or_default()), body, "target", "ttl_sec", old)
        },
        refusal: |no| {
            let (status, reason) = usual(no);
            let status = if status == 422 || status == 409 { 400 } else { status };
            Some((status, json!({ "errors": [{ "field": "target", "reason": reason }] })))
        },
    })
}

fn look(zone: &FakeZone, req: &Req) -> Option<Resp> {
    match req.parts() {
        ("GET", path) if path == ["v4", "domains"] => {
            let filter: Value = serde_json::from_str(req.header("x-filter")).unwrap();
            let data = if filter["domain"] == zone.name.as_str() {
                json!([{ "id": 4711, "domain": zone.name, "type": "master", "status": "active" }])
            } else {
                json!([])
            };
            Some(Resp::json(200, &json!({ "data": data, "page": 1, "pages": 1, "results": 1 })))
        }
        ("GET", path) if path == ["v4", "domains", "4711", "records"] => {
            let (page, pages) = paged(&zone.entries, req.number("page", 1), req.number("page_size", 100).min(100));
            let data: Vec<_> = page.iter().map(|entry| wire(zone, entry)).collect();
            Some(Resp::json(200, &json!({ "data": data, "page": 1, "pages": pages, "results": 1 })))
        }
        _ => None,
    }
}

fn wire(zone: &FakeZone, entry: &Entry) -> Value {
    json!({
        "id": entry.id, "type": entry.kind, "name": relative(zone, &entry.name, ""), "target": entry.data,
        "ttl_sec": entry.ttl, "priority": 0, "weight": 0, "port": 0, "service": null, "protocol": null, "tag": null,
    })
}
