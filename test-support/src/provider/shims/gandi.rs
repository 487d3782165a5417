//! Gandi: record sets of zone-file values under relative names.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::provider::{
    shim::{No, Req, Resp, Shim, paged, usual, zonefile_decode, zonefile_encode},
    zone::{FakeZone, Rules},
};

struct Gandi;

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Gandi)
}

pub fn relative(zone: &FakeZone, name: &str, apex: &str) -> String {
    match name.strip_suffix(&zone.name).unwrap() {
        "" => apex.to_owned(),
        rest => rest.trim_end_matches('.').to_owned(),
    }
}

pub fn absolute(zone: &FakeZone, host: &str) -> String {
    if host == "@" || host.is_empty() { zone.name.clone() } else { format!("{host}.{}", zone.name) }
}

fn set(zone: &FakeZone, name: &str, kind: &str) -> Value {
    let set = zone.set(name, kind);
    json!({
        "rrset_name": relative(zone, name, "@"), "rrset_type": kind, "rrset_ttl": set[0].ttl,
        "rrset_values": set.iter().map(|entry| &entry.data).collect::<Vec<_>>(), "rrset_href": "https://…",
    })
}

impl Shim for Gandi {
    fn key(&self) -> &'static str {
        "gandi"
    }

    fn credential(&self) -> String {
        "canary-gandi-0123456789abcdef0123456789a".into()
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 300, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        req.header("authorization") == format!("Bearer {}", self.credential())
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        // What a customer typed is often relative.
        if kind == "CNAME" && value == "customer.test" {
            "@.".replace("@.", "customer.test.")
        } else {
            zonefile_encode(kind, value)
        }
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        zonefile_decode(kind, data)
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let (method, path) = req.parts();
        match (method, path.get(3..).unwrap_or_default()) {
            (_, [domain, ..]) if *domain != zone.name => Err(No::Missing),
            ("GET", [_]) => Ok(Resp::json(200, &json!({ "fqdn": zone.name, "automatic_snapshots": true }))),
            ("GET", [_, "records"]) => {
                let (page, _) = paged(&zone.sets(), req.number("page", 1), req.number("per_page", 100));
                let sets: Vec<_> = page.iter().map(|(name, kind)| set(zone, name, kind)).collect();
                Ok(Resp::json(200, &json!(sets)))
            }
            ("PUT", [_, "records", host, kind]) => {
                let body = req.json();
                let values: Vec<String> = serde_json::from_value(body["rrset_values"].clone()).unwrap_or_default();
                let ttl = body["rrset_ttl"].as_u64().unwrap_or(10_800).try_into().unwrap();
                zone.put_set(&absolute(zone, host), kind, ttl, &values)?;
                Ok(Resp::json(201, &json!({ "message": "DNS Record Created" })))
            }
            ("DELETE", [_, "records", host, kind]) => {
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
        let body = match no {
            No::Invalid(_) => {
                json!({ "status": "error", "errors": [{ "name": "rrset_values", "description": message }] })
            }
            _ => json!({ "cause": "…", "code": status, "message": message, "object": "Record" }),
        };
        let resp = Resp::json(if status == 422 { 400 } else { status }, &body);
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
