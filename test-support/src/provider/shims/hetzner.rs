//! Hetzner: sets with one call to make and another to change them, actions that still run, comments.

use std::sync::Arc;

use serde_json::{Value, json};

use super::gandi::{absolute, relative};
use crate::provider::{
    shim::{No, Req, Resp, Shim, ZONE_ID, paged, usual, zonefile_decode, zonefile_encode},
    zone::{FakeZone, Rules},
};

struct Hetzner;

const TOKEN: &str = "canaryHetzner0123456789abcdefghijklmnopqrstuvwxyz";

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Hetzner)
}

fn set(zone: &FakeZone, name: &str, kind: &str) -> Value {
    let set = zone.set(name, kind);
    let record =
        |entry: &&crate::provider::zone::Entry| json!({ "value": entry.data, "comment": entry.extra["comment"] });
    json!({
        "id": format!("{}/{kind}", relative(zone, name, "@")), "name": relative(zone, name, "@"), "type": kind,
        "ttl": set[0].ttl, "labels": {}, "protection": { "change": false }, "zone": 1,
        "records": set.iter().map(record).collect::<Vec<_>>(),
    })
}

fn put(zone: &mut FakeZone, name: &str, kind: &str, ttl: u32, records: &Value) -> Result<Resp, No> {
    let records = records.as_array().cloned().unwrap_or_default();
    let values: Vec<String> = records.iter().map(|record| record["value"].as_str().unwrap().to_owned()).collect();
    zone.put_set(name, kind, ttl, &values)?;
    for entry in zone.entries.iter_mut().filter(|entry| entry.name == name && entry.kind == kind) {
        let record = records.iter().find(|record| record["value"] == entry.data.as_str()).unwrap();
        entry.extra = json!({ "comment": record["comment"] });
    }
    Ok(Resp::json(201, &json!({ "rrset": {}, "action": { "id": 7, "status": "running", "progress": 0 } })))
}

impl Shim for Hetzner {
    fn key(&self) -> &'static str {
        "hetzner"
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
        zonefile_encode(kind, value)
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        zonefile_decode(kind, data)
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let (method, path) = req.parts();
        match (method, path.get(1..).unwrap_or_default()) {
            ("GET", ["actions", "7"]) => Ok(Resp::json(200, &json!({ "action": { "id": 7, "status": "success" } }))),
            ("GET", ["zones", name]) if *name == zone.name => {
                Ok(Resp::json(200, &json!({ "zone": { "id": ZONE_ID, "name": zone.name, "mode": "primary" } })))
            }
            ("GET", ["zones", ZONE_ID, "rrsets"]) => {
                let number = req.number("page", 1);
                let (page, pages) = paged(&zone.sets(), number, req.number("per_page", 25).min(100));
                let sets: Vec<_> = page.iter().map(|(name, kind)| set(zone, name, kind)).collect();
                let next = (number < pages).then_some(number + 1);
                Ok(Resp::json(200, &json!({ "rrsets": sets, "meta": { "pagination": { "next_page": next } } })))
            }
            ("POST", ["zones", ZONE_ID, "rrsets"]) => {
                let body = req.json();
                let (name, kind) = (absolute(zone, body["name"].as_str().unwrap()), body["type"].as_str().unwrap());
                if !zone.set(&name, kind).is_empty() {
                    return Err(No::Conflict);
                }
                put(zone, &name, kind, body["ttl"].as_u64().unwrap().try_into().unwrap(), &body["records"])
            }
            (_, ["zones", ZONE_ID, "rrsets", host, kind, rest @ ..]) => {
                let name = absolute(zone, host);
                let ttl = zone.set(&name, kind).first().ok_or(No::Missing)?.ttl;
                match (method, rest) {
                    ("POST", ["actions", "set_records"]) => put(zone, &name, kind, ttl, &req.json()["records"]),
                    ("DELETE", []) => put(zone, &name, kind, ttl, &json!([])),
                    _ => Err(No::Missing),
                }
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, message) = usual(no);
        let code = if status == 409 { "uniqueness_error" } else { "some_code" };
        let resp = Resp::json(status, &json!({ "error": { "code": code, "message": message, "details": null } }));
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
