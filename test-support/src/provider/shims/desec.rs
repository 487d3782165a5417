//! deSEC: a list of sets that is written as a whole, a cursor in a header, a floor of an hour.

use std::sync::Arc;

use serde_json::{Value, json};

use super::gandi::{absolute, relative};
use crate::provider::{
    shim::{No, Req, Resp, Shim, paged, usual, zonefile_decode, zonefile_encode},
    zone::{FakeZone, Rules},
};

struct Desec;

const TOKEN: &str = "canaryDesecToken0123456789ab";

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Desec)
}

fn set(zone: &FakeZone, name: &str, kind: &str) -> Value {
    let set = zone.set(name, kind);
    json!({
        "domain": zone.name, "subname": relative(zone, name, ""), "name": format!("{name}."), "type": kind,
        "ttl": set[0].ttl, "records": set.iter().map(|entry| &entry.data).collect::<Vec<_>>(), "touched": "…",
    })
}

fn listing(zone: &FakeZone, req: &Req) -> Result<Resp, No> {
    let sets = zone.sets();
    let cursor = req.query.get("cursor").ok_or_else(|| No::Invalid("Pagination required.".into()))?;
    let number = cursor.parse().unwrap_or(1);
    let (page, pages) = paged(&sets, number, 100);
    let resp = Resp::json(200, &page.iter().map(|(name, kind)| set(zone, name, kind)).collect());
    let at = format!("http://{}/api/v1/domains/{}/rrsets/?cursor=", req.header("host"), zone.name);
    let first = format!("<{at}>; rel=\"first\"");
    Ok(match number < pages {
        true => resp.with("link", format!("{first}, <{at}{}>; rel=\"next\"", number + 1)),
        false => resp.with("link", first),
    })
}

fn patch(zone: &mut FakeZone, sets: &[Value]) -> Result<(), No> {
    let order = |set: &&Value| !set["records"].as_array().unwrap().is_empty();
    // The order within a list makes no difference: what is removed does not stand in the way.
    let (written, removed): (Vec<_>, Vec<_>) = sets.iter().partition(order);
    for set in removed.into_iter().chain(written) {
        let name = absolute(zone, set["subname"].as_str().unwrap());
        let values: Vec<String> = serde_json::from_value(set["records"].clone()).unwrap();
        let ttl = set["ttl"].as_u64().unwrap().try_into().unwrap();
        zone.put_set(&name, set["type"].as_str().unwrap(), ttl, &values)?;
    }
    Ok(())
}

impl Shim for Desec {
    fn key(&self) -> &'static str {
        "desec"
    }

    fn credential(&self) -> String {
        TOKEN.into()
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 3600, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        req.header("authorization") == format!("Token {TOKEN}")
    }

    fn atomic(&self) -> bool {
        true
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        zonefile_encode(kind, value)
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        zonefile_decode(kind, data)
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let (method, path) = req.parts();
        match (method, path.get(3..).unwrap_or_default()) {
            (_, [domain, ..]) if *domain != zone.name => Err(No::Missing),
            ("GET", [_, ""]) => Ok(Resp::json(200, &json!({ "name": zone.name, "minimum_ttl": 3600, "keys": [] }))),
            ("GET", [_, "rrsets", ""]) => listing(zone, req),
            ("PATCH", [_, "rrsets", ""]) => {
                let sets = req.json().as_array().cloned().unwrap();
                zone.at_once(|zone| patch(zone, &sets))?;
                Ok(Resp::json(200, &json!(sets)))
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, message) = usual(no);
        let (status, body) = match no {
            No::Conflict => (400, json!([{}, { "non_field_errors": ["RRset with conflicting type present"] }])),
            No::Invalid(sentence) => (400, json!([{}, { "records": [sentence] }])),
            _ => (status, json!({ "detail": message })),
        };
        let resp = Resp::json(status, &body);
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
