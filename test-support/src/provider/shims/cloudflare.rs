//! Cloudflare: an envelope around everything, pages of its own size, quotes around texts.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::provider::{
    shim::{No, Req, Resp, Shim, ZONE_ID, paged, usual, zonefile_decode},
    zone::{Entry, FakeZone, Rules},
};

struct Cloudflare;

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Cloudflare)
}

fn envelope(result: &Value) -> Value {
    json!({ "success": true, "errors": [], "messages": [], "result": result, "x_new_field": { "a": [1] } })
}

fn record(entry: &Entry) -> Value {
    let mut value = json!({
        "id": entry.id.to_string(), "name": entry.name, "type": entry.kind, "content": entry.data, "ttl": entry.ttl,
        "proxied": entry.extra.get("proxied").cloned().unwrap_or(json!(false)), "proxiable": true, "tags": [],
        "meta": { "auto_added": false }, "created_on": "2026-01-01T00:00:00Z",
    });
    value["comment"] = entry.extra.get("comment").cloned().unwrap_or(Value::Null);
    value
}

fn entry(body: &Value) -> Entry {
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    Entry {
        id: 0,
        name: text("name"),
        kind: text("type"),
        ttl: body["ttl"].as_u64().unwrap_or(0).try_into().unwrap(),
        data: text("content"),
        extra: json!({ "proxied": body["proxied"], "comment": body["comment"] }),
    }
}

impl Shim for Cloudflare {
    fn key(&self) -> &'static str {
        "cloudflare"
    }

    fn credential(&self) -> String {
        "canary-cf-0123456789abcdefghijklmnop".into()
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 60, flattens_apex: true }
    }

    fn authorized(&self, req: &Req) -> bool {
        req.header("authorization") == format!("Bearer {}", self.credential())
    }

    fn extra(&self) -> Value {
        json!({ "proxied": true, "comment": "by hand" })
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        if kind == "TXT" {
            crate::provider::shim::zonefile_encode(kind, value)
        } else {
            value.trim_end_matches('.').to_owned()
        }
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        zonefile_decode(kind, data)
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let ok = |result: &Value| Ok(Resp::json(200, &envelope(result)));
        match req.parts() {
            ("GET", path) if path == ["client", "v4", "zones"] => {
                let found = req.query.get("name").is_some_and(|name| *name == zone.name);
                ok(&if found { json!([{ "id": ZONE_ID, "name": zone.name, "status": "active" }]) } else { json!([]) })
            }
            ("GET", path) if path == ["client", "v4", "zones", ZONE_ID, "dns_records"] => {
                let per_page = req.number("per_page", 100).min(100);
                let (page, pages) = paged(&zone.entries, req.number("page", 1), per_page);
                let mut body = envelope(&page.iter().map(record).collect());
                body["result_info"] = json!({ "page": req.number("page", 1), "total_pages": pages });
                Ok(Resp::json(200, &body))
            }
            ("POST", path) if path == ["client", "v4", "zones", ZONE_ID, "dns_records"] => {
                let id = zone.create(entry(&req.json()))?;
                ok(&record(zone.find(&id.to_string()).unwrap()))
            }
            ("PATCH", path) if path.len() == 6 => {
                let id = zone.edit(path[5], entry(&req.json()))?;
                ok(&record(zone.find(&id.to_string()).unwrap()))
            }
            ("DELETE", path) if path.len() == 6 => {
                zone.remove(path[5])?;
                ok(&json!({ "id": path[5] }))
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, message) = usual(no);
        let (status, code) = match no {
            No::Auth => (403, 9109),
            No::Conflict => (400, 81_053),
            No::Invalid(_) => (400, 9005),
            No::Forbidden | No::Missing | No::Rate(_) => (status, 10_000),
        };
        let message = if matches!(no, No::Auth) { "Invalid access token".to_owned() } else { message };
        let body = json!({ "success": false, "errors": [{ "code": code, "message": message }], "result": null });
        let resp = Resp::json(status, &body);
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
