//! Azure DNS: a token for a secret, a field for each type, marks that a change must name, links to the next page.

use std::sync::Arc;

use serde_json::{Value, json};

use super::gandi::{absolute, relative};
use crate::provider::{
    shim::{No, Req, Resp, Shim, paged, usual},
    zone::{Entry, FakeZone, Rules},
};

struct AzureDns;

const TOKEN: &str = "eyJ0eXAi.canaryAzureAccessToken.0123456789";
const SECRET: &str = "canary~AzureSecret.0123456789_abc";
const PLACE: [&str; 8] =
    ["subscriptions", "sub-1", "resourceGroups", "rg 1", "providers", "Microsoft.Network", "dnsZones", "customer.test"];

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(AzureDns)
}

/// Changes with every change of the set.
fn etag(zone: &FakeZone, name: &str, kind: &str) -> String {
    zone.set(name, kind).iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>().join("-")
}

fn set(zone: &FakeZone, name: &str, kind: &str) -> Value {
    let set = zone.set(name, kind);
    let (field, value): (&str, fn(&Entry) -> Value) = match kind {
        "A" => ("ARecords", |entry| json!({ "ipv4Address": entry.data })),
        "AAAA" => ("AAAARecords", |entry| json!({ "ipv6Address": entry.data })),
        "TXT" => ("TXTRecords", |entry| json!({ "value": serde_json::from_str::<Value>(&entry.data).unwrap() })),
        "CNAME" => ("CNAMERecord", |entry| json!({ "cname": entry.data })),
        "MX" => ("MXRecords", |entry| json!({ "exchange": entry.data })),
        _ => ("otherRecords", |entry| json!({ "data": entry.data })),
    };
    let values: Vec<_> = set.iter().map(|entry| value(entry)).collect();
    let mut properties = json!({ "TTL": set[0].ttl, "fqdn": format!("{name}."), "metadata": set[0].extra["metadata"] });
    properties["targetResource"] = json!({});
    properties[field] = if kind == "CNAME" { values[0].clone() } else { json!(values) };
    json!({
        "id": "/subscriptions/…", "name": relative(zone, name, "@"), "type": format!("Microsoft.Network/dnszones/{kind}"),
        "etag": etag(zone, name, kind), "properties": properties,
    })
}

fn values(kind: &str, properties: &Value) -> Vec<String> {
    let all = |field: &str| properties[field].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match kind {
        "A" => all("ARecords").iter().map(|record| text(&record["ipv4Address"])).collect(),
        "AAAA" => all("AAAARecords").iter().map(|record| text(&record["ipv6Address"])).collect(),
        "TXT" => all("TXTRecords").iter().map(|record| record["value"].to_string()).collect(),
        "CNAME" => vec![text(&properties["CNAMERecord"]["cname"])],
        _ => Vec::new(),
    }
}

/// Whether the set is still what the request was made for.
fn guard(zone: &FakeZone, req: &Req, name: &str, kind: &str) -> Result<(), Resp> {
    let (there, wanted) = (!zone.set(name, kind).is_empty(), req.header("if-match"));
    let right = match (wanted, req.header("if-none-match")) {
        ("", "*") => !there,
        (mark, "") => there && mark == etag(zone, name, kind),
        _ => false,
    };
    let error = json!({ "error": { "code": "PreconditionFailed", "message": "the record set has been modified" } });
    if right { Ok(()) } else { Err(Resp::json(412, &error)) }
}

impl Shim for AzureDns {
    fn key(&self) -> &'static str {
        "azuredns"
    }

    fn credential(&self) -> String {
        json!({
            "tenant_id": "tenant-1", "client_id": "client-1", "client_secret": SECRET, "subscription_id": "sub-1",
            // Groups may have blanks in their names.
            "resource_group": "rg 1",
        })
        .to_string()
    }

    fn malformed_credential(&self) -> Option<&'static str> {
        Some("{\"tenant_id\":\"canary\"}")
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.into(), SECRET.into()]
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 1, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        match req.path.last().map(String::as_str) {
            Some("token") => {
                let form = req.form();
                form["client_secret"] == SECRET && form["scope"] == "https://management.azure.com/.default"
            }
            _ => req.header("authorization") == format!("Bearer {TOKEN}"),
        }
    }

    fn writes(&self, req: &Req) -> bool {
        ["PUT", "DELETE"].contains(&req.method.as_str())
    }

    fn extra(&self) -> Value {
        json!({ "metadata": {} })
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        if kind == "TXT" { json!([value]).to_string() } else { value.trim_end_matches('.').to_owned() }
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        if kind == "TXT" {
            serde_json::from_str::<Vec<String>>(data).unwrap().concat()
        } else {
            data.to_ascii_lowercase()
        }
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let (method, path) = req.parts();
        if path == ["tenant-1", "oauth2", "v2.0", "token"] {
            return Ok(Resp::json(200, &json!({ "access_token": TOKEN, "expires_in": 3599, "ext_expires_in": 3599 })));
        }
        let rest = path.strip_prefix(&PLACE).ok_or(No::Missing)?;
        if req.query.get("api-version").map(String::as_str) != Some("2018-05-01") {
            return Err(No::Invalid("api-version".into()));
        }
        match (method, rest) {
            ("GET", []) => Ok(Resp::json(200, &json!({ "name": zone.name, "location": "global", "properties": {} }))),
            ("GET", ["recordsets"]) => {
                let number = req.number("$skipToken", 1);
                let (page, pages) = paged(&zone.sets(), number, req.number("$top", 100).min(100));
                let sets: Vec<_> = page.iter().map(|(name, kind)| set(zone, name, kind)).collect();
                let at = format!("http://{}/{}/recordsets", req.header("host"), PLACE.join("/").replace(' ', "%20"));
                let next = format!("{at}?api-version=2018-05-01&%24top=100&%24skipToken={}", number + 1);
                let next = (number < pages).then_some(next);
                Ok(Resp::json(200, &json!({ "value": sets, "nextLink": next })))
            }
            ("PUT", [kind, host]) => {
                let (name, body) = (absolute(zone, host), req.json());
                if let Err(resp) = guard(zone, req, &name, kind) {
                    return Ok(resp);
                }
                let properties = &body["properties"];
                let ttl = properties["TTL"].as_u64().unwrap().try_into().unwrap();
                zone.put_set(&name, kind, ttl, &values(kind, properties))?;
                for entry in zone.entries.iter_mut().filter(|entry| entry.name == name && entry.kind == *kind) {
                    entry.extra = json!({ "metadata": properties["metadata"] });
                }
                Ok(Resp::json(200, &json!({ "name": host })))
            }
            ("DELETE", [kind, host]) => {
                let name = absolute(zone, host);
                if zone.set(&name, kind).is_empty() {
                    return Ok(Resp::new(204, ""));
                }
                if let Err(resp) = guard(zone, req, &name, kind) {
                    return Ok(resp);
                }
                zone.put_set(&name, kind, 0, &[])?;
                Ok(Resp::new(200, ""))
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, message) = usual(no);
        let status = if status == 422 { 400 } else { status };
        let body = match no {
            No::Auth => json!({ "error": "invalid_client", "error_description": message }),
            _ => json!({ "error": { "code": "SomeCode", "message": message } }),
        };
        let resp = Resp::json(status, &body);
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
