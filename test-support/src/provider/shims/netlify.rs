//! Netlify: full names, no edits, everything in one answer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::plain::{Plain, Values, as_it_is, entry, nothing, text};
use crate::provider::{
    shim::{Req, Resp, Shim, paged, usual},
    zone::{Entry, FakeZone},
};

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Plain {
        key: "netlify",
        credential: "nfp_canary0123456789abcdef",
        secrets: &["nfp_canary0123456789abcdef"],
        malformed: None,
        auth: ("authorization", "Bearer nfp_canary0123456789abcdef"),
        min_ttl: 60,
        records: &["api", "v1", "dns_zones", "{}", "dns_records"],
        id: "customer_test",
        edit: None,
        values: Values::Bare,
        status: (201, 204),
        extra: nothing,
        look,
        wire: |_, entry| wire(entry),
        wrap: as_it_is,
        entry: |_, body, old| entry(text(body, "hostname").unwrap_or_default(), body, "value", "ttl", old),
        refusal: |no| {
            let (status, message) = usual(no);
            let status = if status == 409 { 422 } else { status };
            Some((status, json!({ "code": status, "message": message })))
        },
    })
}

fn look(zone: &FakeZone, req: &Req) -> Option<Resp> {
    match req.parts() {
        ("GET", path) if path == ["api", "v1", "dns_zones"] => {
            // An agency has many customers; ours is on the second page.
            let others = (0..100).map(|n| json!({ "id": format!("other{n}_test"), "name": format!("other{n}.test") }));
            let all: Vec<_> = others.chain([json!({ "id": "customer_test", "name": zone.name })]).collect();
            let (page, _) = paged(&all, req.number("page", 1), req.number("per_page", 100));
            Some(Resp::json(200, &json!(page)))
        }
        ("GET", path) if path == ["api", "v1", "dns_zones", "customer_test", "dns_records"] => {
            Some(Resp::json(200, &zone.entries.iter().map(wire).collect()))
        }
        _ => None,
    }
}

fn wire(entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(), "type": entry.kind, "hostname": entry.name, "value": entry.data, "ttl": entry.ttl,
        "dns_zone_id": "customer_test", "managed": false, "priority": null, "flag": null,
    })
}
