//! Name.com: basic authentication, a number for the next page, full names beside hosts.

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
        key: "namecom",
        credential: "someone:canarynamecom0123456789",
        secrets: &["canarynamecom0123456789", "c29tZW9uZTpjYW5hcnluYW1lY29tMDEyMzQ1Njc4OQ=="],
        malformed: Some("no-colon-here"),
        auth: ("authorization", "Basic c29tZW9uZTpjYW5hcnluYW1lY29tMDEyMzQ1Njc4OQ=="),
        min_ttl: 300,
        records: &["v4", "domains", "{}", "records"],
        id: "",
        edit: Some("PUT"),
        values: Values::Bare,
        status: (200, 200),
        extra: nothing,
        look,
        wire,
        wrap: as_it_is,
        entry: |zone, body, old| {
            entry(absolute(zone, &text(body, "host").unwrap_or_default()), body, "answer", "ttl", old)
        },
        refusal: |no| {
            let (status, message) = usual(no);
            let status = if status == 422 || status == 409 { 400 } else { status };
            Some((status, json!({ "message": message, "details": "" })))
        },
    })
}

fn look(zone: &FakeZone, req: &Req) -> Option<Resp> {
    match req.parts() {
        ("GET", path) if path == ["v4", "domains", &zone.name] => {
            Some(Resp::json(200, &json!({ "domainName": zone.name, "nameservers": [], "locked": true })))
        }
        ("GET", path) if path == ["v4", "domains", &zone.name, "records"] => {
            let number = req.number("page", 1);
            let (page, pages) = paged(&zone.entries, number, req.number("perPage", 100).min(100));
            let mut body = json!({ "records": page.iter().map(|entry| wire(zone, entry)).collect::<Vec<_>>() });
            if number < pages {
                body["nextPage"] = json!(number + 1);
                body["lastPage"] = json!(pages);
            }
            Some(Resp::json(200, &body))
        }
        _ => None,
    }
}

fn wire(zone: &FakeZone, entry: &Entry) -> Value {
    json!({
        "id": entry.id, "domainName": zone.name, "host": relative(zone, &entry.name, ""), "fqdn": format!("{}.", entry.name),
        "type": entry.kind, "answer": entry.data, "ttl": entry.ttl,
    })
}
