//! GoDaddy: sets by type and name, pages by offset, the wait in the body.

use std::sync::Arc;

use serde_json::{Value, json};

use super::gandi::{absolute, relative};
use crate::provider::{
    shim::{No, Req, Resp, Shim, usual},
    zone::{Entry, FakeZone, Rules},
};

struct Godaddy;

const KEY: &str = "canaryGodaddyKey_0123456789";
const SECRET: &str = "canaryGodaddySecret0123";

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Godaddy)
}

fn wire(zone: &FakeZone, entry: &Entry) -> Value {
    let data = if entry.kind == "CNAME" && entry.data == zone.name { "@" } else { &entry.data };
    json!({ "data": data, "name": relative(zone, &entry.name, "@"), "ttl": entry.ttl, "type": entry.kind })
}

fn put(zone: &mut FakeZone, name: &str, kind: &str, records: &[Value]) -> Result<(), No> {
    zone.put_set(name, kind, 0, &[])?;
    for record in records {
        let ttl = record["ttl"].as_u64().unwrap_or(3600).try_into().unwrap();
        let data = record["data"].as_str().unwrap_or_default().to_owned();
        zone.create(Entry { id: 0, name: name.into(), kind: kind.into(), ttl, data, extra: json!({}) })?;
    }
    Ok(())
}

impl Shim for Godaddy {
    fn key(&self) -> &'static str {
        "godaddy"
    }

    fn credential(&self) -> String {
        format!("{KEY}:{SECRET}")
    }

    fn malformed_credential(&self) -> Option<&'static str> {
        Some("half-a-credential")
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.into(), SECRET.into()]
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 600, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        req.header("authorization") == format!("sso-key {KEY}:{SECRET}")
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        if kind == "TXT" { value.to_owned() } else { value.trim_end_matches('.').to_owned() }
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        if kind == "TXT" { data.to_owned() } else { data.to_ascii_lowercase() }
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let (method, path) = req.parts();
        match (method, path.get(2..).unwrap_or_default()) {
            (_, [domain, ..]) if *domain != zone.name => Err(No::Missing),
            ("GET", [_]) => Ok(Resp::json(200, &json!({ "domain": zone.name, "status": "ACTIVE" }))),
            ("GET", [_, "records"]) => {
                let page = zone.entries.iter().skip(req.number("offset", 0)).take(req.number("limit", 500).min(100));
                Ok(Resp::json(200, &page.map(|entry| wire(zone, entry)).collect()))
            }
            ("PUT", [_, "records", kind, host]) => {
                let (name, body) = (absolute(zone, host), req.json());
                let records = body.as_array().cloned().unwrap_or_default();
                zone.at_once(|zone| put(zone, &name, kind, &records))?;
                Ok(Resp::new(200, ""))
            }
            ("DELETE", [_, "records", kind, host]) => {
                let name = absolute(zone, host);
                if zone.set(&name, kind).is_empty() {
                    return Err(No::Missing);
                }
                zone.put_set(&name, kind, 0, &[])?;
                Ok(Resp::new(204, ""))
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, message) = usual(no);
        let code = match no {
            No::Forbidden => "ACCESS_DENIED",
            No::Conflict => "DUPLICATE_RECORD",
            _ => "SOME_CODE",
        };
        let status = if status == 409 { 422 } else { status };
        let mut body = json!({ "code": code, "message": message, "fields": [] });
        if let No::Rate(after) = no {
            body["retryAfterSec"] = json!(after);
        }
        Resp::json(status, &body)
    }
}
