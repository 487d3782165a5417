//! Vercel: pages by time, edits at a path of their own, records that the system makes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    gandi::{absolute, relative},
    plain::{entry, text},
};
use crate::provider::{
    shim::{No, Req, Resp, Shim, usual},
    zone::{Entry, FakeZone, Rules},
};

struct Vercel;

const TOKEN: &str = "vcp_canary0123456789abcdefABCDEF";

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Vercel)
}

fn wire(zone: &FakeZone, entry: &Entry) -> Value {
    json!({
        "id": format!("rec_{}", entry.id), "slug": "s", "name": relative(zone, &entry.name, ""), "type": entry.kind,
        "value": entry.data, "ttl": entry.ttl, "creator": "someone", "created": entry.id,
        "comment": entry.extra["comment"],
    })
}

fn made(zone: &FakeZone, body: &Value, old: Option<&Entry>) -> Entry {
    let name = absolute(zone, &text(body, "name").unwrap_or_default());
    Entry { extra: json!({ "comment": body["comment"] }), ..entry(name, body, "value", "ttl", old) }
}

/// The newest first, before the time `until`.
fn listing(zone: &FakeZone, req: &Req) -> Resp {
    let until = req.number("until", usize::MAX);
    let mut all: Vec<_> = zone.entries.iter().filter(|entry| usize::try_from(entry.id).unwrap() < until).collect();
    all.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    let limit = req.number("limit", 20).min(100);
    let next = all.get(limit).and_then(|_| all.get(limit - 1)).map(|last| last.id);
    let mut records: Vec<_> = all.into_iter().take(limit).map(|entry| wire(zone, entry)).collect();
    if next.is_none() {
        records.push(json!({ "id": "rec_s", "name": "", "type": "ALIAS", "value": "v", "creator": "system" }));
    }
    Resp::json(200, &json!({ "records": records, "pagination": { "count": 1, "next": next, "prev": null } }))
}

impl Shim for Vercel {
    fn key(&self) -> &'static str {
        "vercel"
    }

    fn credential(&self) -> String {
        TOKEN.into()
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 60, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        req.header("authorization") == format!("Bearer {TOKEN}")
    }

    fn extra(&self) -> Value {
        json!({ "comment": "by hand" })
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        if kind == "TXT" { value.to_owned() } else { value.trim_end_matches('.').to_owned() }
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        if kind == "TXT" { data.to_owned() } else { data.to_ascii_lowercase() }
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let ours = |name: &str| name == zone.name;
        let (method, path) = req.parts();
        match (method, path.as_slice()) {
            ("GET", ["v5", "domains", name]) if ours(name) => {
                Ok(Resp::json(200, &json!({ "domain": { "name": zone.name, "serviceType": "zeit.world" } })))
            }
            ("GET", ["v4", "domains", name, "records"]) if ours(name) => Ok(listing(zone, req)),
            ("POST", ["v2", "domains", name, "records"]) if ours(name) => {
                let id = zone.create(made(zone, &req.json(), None))?;
                Ok(Resp::json(200, &json!({ "uid": format!("rec_{id}"), "updated": 1 })))
            }
            ("PATCH", ["v1", "domains", "records", id]) => {
                let id = id.trim_start_matches("rec_");
                let old = zone.find(id).ok_or(No::Missing)?.clone();
                zone.edit(id, made(zone, &req.json(), Some(&old)))?;
                Ok(Resp::json(200, &wire(zone, zone.find(id).unwrap())))
            }
            ("DELETE", ["v2", "domains", name, "records", id]) if ours(name) => {
                zone.remove(id.trim_start_matches("rec_"))?;
                Ok(Resp::json(200, &json!({})))
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, message) = usual(no);
        let (status, token) = match no {
            No::Auth => (403, true),
            No::Invalid(_) => (400, false),
            _ => (status, false),
        };
        let mut error = json!({ "code": "some_code", "message": message });
        if token {
            error["invalidToken"] = json!(true);
        }
        let resp = Resp::json(status, &json!({ "error": error }));
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
