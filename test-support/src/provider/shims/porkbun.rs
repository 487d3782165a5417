//! Porkbun: everything is a POST with the keys in its body; refusals may come with 200.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::{
    gandi::absolute,
    plain::{entry, text},
};
use crate::provider::{
    shim::{No, Req, Resp, Shim, usual},
    zone::{Entry, FakeZone, Rules},
};

struct Porkbun;

const KEY: &str = "pk1_canary0123456789abcdef";
const SECRET: &str = "sk1_canary9876543210fedcba";

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Porkbun)
}

fn wire(entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(), "name": entry.name, "type": entry.kind, "content": entry.data,
        "ttl": entry.ttl.to_string(), "prio": "0", "notes": entry.extra["notes"],
    })
}

fn made(zone: &FakeZone, body: &Value, old: Option<&Entry>) -> Entry {
    let name = absolute(zone, &text(body, "name").unwrap_or_default());
    Entry { extra: json!({ "notes": body["notes"] }), ..entry(name, body, "content", "ttl", old) }
}

impl Shim for Porkbun {
    fn key(&self) -> &'static str {
        "porkbun"
    }

    fn credential(&self) -> String {
        format!("{KEY}:{SECRET}")
    }

    fn malformed_credential(&self) -> Option<&'static str> {
        Some("pk1_without_the_other")
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.into(), SECRET.into()]
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 600, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        let body = req.json();
        req.method == Method::POST && body["apikey"] == KEY && body["secretapikey"] == SECRET
    }

    fn writes(&self, req: &Req) -> bool {
        !req.path.contains(&"retrieve".to_owned())
    }

    fn extra(&self) -> Value {
        json!({ "notes": "by hand" })
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        if kind == "TXT" { value.to_owned() } else { value.trim_end_matches('.').to_owned() }
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        if kind == "TXT" { data.to_owned() } else { data.to_ascii_lowercase() }
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let (_, path) = req.parts();
        let ok = |mut more: Value| {
            more["status"] = json!("SUCCESS");
            Ok(Resp::json(200, &more))
        };
        match path.get(3..).unwrap_or_default() {
            ["dns", _, domain, ..] if *domain != zone.name => Err(No::Missing),
            ["dns", "retrieve", _] => ok(json!({ "records": zone.entries.iter().map(wire).collect::<Vec<_>>() })),
            ["dns", "create", _] => {
                let id = zone.create(made(zone, &req.json(), None))?;
                ok(json!({ "id": id }))
            }
            ["dns", "edit", _, id] => {
                let old = zone.find(id).ok_or(No::Missing)?.clone();
                zone.edit(id, made(zone, &req.json(), Some(&old)))?;
                ok(json!({}))
            }
            ["dns", "delete", _, id] => {
                zone.remove(id)?;
                ok(json!({}))
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, sentence) = usual(no);
        let (status, message) = match no {
            No::Auth => (403, "Invalid API key. (001)".to_owned()),
            No::Conflict => (400, "Edit error: the record conflicts with another".to_owned()),
            No::Forbidden => (400, "Domain is not opted in to API access.".to_owned()),
            No::Missing => (400, "Invalid domain.".to_owned()),
            // Some refusals come with 200.
            No::Invalid(_) => (200, sentence),
            No::Rate(_) => (status, sentence),
        };
        let resp = Resp::json(status, &json!({ "status": "ERROR", "message": message }));
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
