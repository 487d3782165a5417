//! Google Cloud DNS: a token for a signed assertion, changes that happen as a whole.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::KeySize,
    signature::{self, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::provider::{
    shim::{No, Req, Resp, Shim, paged, usual, zonefile_decode, zonefile_encode},
    zone::{FakeZone, Rules},
};

struct GcpDns;

const TOKEN: &str = "ya29.canaryGoogleAccessToken0123456789";

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(GcpDns)
}

/// The account's key; another one for a customer whose key was deleted.
fn key(index: usize) -> &'static signature::RsaKeyPair {
    static KEYS: [OnceLock<signature::RsaKeyPair>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[index].get_or_init(|| signature::RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn file(index: usize) -> String {
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key(index).as_der().unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    json!({
        "type": "service_account", "project_id": "my-project", "private_key_id": "k1", "private_key": pem,
        "client_email": "dns@my-project.iam.gserviceaccount.com", "managed_zone": "customer-zone",
        // Whoever follows this sends signed assertions to a stranger.
        "token_uri": "http://127.0.0.1:9/steal",
    })
    .to_string()
}

/// Whether the assertion is signed by the account's key and is for Google.
fn accepts(assertion: &str) -> bool {
    let Some((text, signature)) = assertion.rsplit_once('.') else { return false };
    let claims = text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    let public = key(0).public_key();
    let verifier = signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public.as_ref());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    claims["aud"] == "https://oauth2.googleapis.com/token" && verifier.verify(text.as_bytes(), &signature).is_ok()
}

fn set(zone: &FakeZone, name: &str, kind: &str) -> Value {
    let set = zone.set(name, kind);
    json!({
        "kind": "dns#resourceRecordSet", "name": format!("{name}."), "type": kind, "ttl": set[0].ttl,
        "rrdatas": set.iter().map(|entry| &entry.data).collect::<Vec<_>>(), "signatureRrdatas": [],
    })
}

fn change(zone: &mut FakeZone, body: &Value) -> Result<(), No> {
    let parts = |set: &Value| {
        let name = set["name"].as_str().unwrap().strip_suffix('.').unwrap().to_owned();
        let mut values: Vec<String> = serde_json::from_value(set["rrdatas"].clone()).unwrap();
        values.sort();
        let ttl: u32 = set["ttl"].as_u64().unwrap().try_into().unwrap();
        (name, set["type"].as_str().unwrap().to_owned(), ttl, values)
    };
    for set in body["deletions"].as_array().unwrap() {
        let (name, kind, ttl, values) = parts(set);
        let there = zone.set(&name, &kind);
        let mut known: Vec<_> = there.iter().map(|entry| entry.data.clone()).collect();
        known.sort();
        if known != values || there.iter().any(|entry| entry.ttl != ttl) {
            return Err(No::Missing);
        }
        zone.put_set(&name, &kind, 0, &[])?;
    }
    for set in body["additions"].as_array().unwrap() {
        let (name, kind, ttl, values) = parts(set);
        if !zone.set(&name, &kind).is_empty() {
            return Err(No::Conflict);
        }
        zone.put_set(&name, &kind, ttl, &values)?;
    }
    Ok(())
}

impl Shim for GcpDns {
    fn key(&self) -> &'static str {
        "gcpdns"
    }

    fn credential(&self) -> String {
        file(0)
    }

    fn wrong_credential(&self) -> String {
        file(1)
    }

    fn malformed_credential(&self) -> Option<&'static str> {
        Some("{\"project_id\":\"canary\",\"client_email\":\"x\",\"private_key\":\"no key\"}")
    }

    fn secrets(&self) -> Vec<String> {
        let file: Value = serde_json::from_str(&file(0)).unwrap();
        let pem = file["private_key"].as_str().unwrap();
        vec![TOKEN.into(), pem.lines().nth(1).unwrap().into()]
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 0, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        match req.path.as_slice() {
            [token] if token == "token" => accepts(&req.form()["assertion"]),
            _ => req.header("authorization") == format!("Bearer {TOKEN}"),
        }
    }

    fn writes(&self, req: &Req) -> bool {
        req.path.last().is_some_and(|last| last == "changes")
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
        let place = ["dns", "v1", "projects", "my-project", "managedZones", "customer-zone"];
        if path == ["token"] {
            return Ok(Resp::json(200, &json!({ "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer" })));
        }
        match (method, path.strip_prefix(&place).ok_or(No::Missing)?) {
            ("GET", []) => Ok(Resp::json(
                200,
                &json!({ "name": "customer-zone", "dnsName": format!("{}.", zone.name), "visibility": "public" }),
            )),
            ("GET", ["rrsets"]) => {
                let number = req.number("pageToken", 1);
                let (page, pages) = paged(&zone.sets(), number, req.number("maxResults", 100).min(100));
                let sets: Vec<_> = page.iter().map(|(name, kind)| set(zone, name, kind)).collect();
                let mut body = json!({ "kind": "dns#resourceRecordSetsListResponse", "rrsets": sets });
                if number < pages {
                    body["nextPageToken"] = json!((number + 1).to_string());
                }
                Ok(Resp::json(200, &body))
            }
            ("POST", ["changes"]) => {
                let body = req.json();
                match zone.at_once(|zone| change(zone, &body)) {
                    Err(No::Missing) => {
                        let error = json!({ "code": 412, "message": "Precondition not met for 'entity.change'" });
                        Ok(Resp::json(412, &json!({ "error": error })))
                    }
                    done => done.map(|()| Resp::json(200, &json!({ "kind": "dns#change", "status": "pending" }))),
                }
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, message) = usual(no);
        let (status, reason) = match no {
            No::Auth => return Resp::json(400, &json!({ "error": "invalid_grant", "error_description": message })),
            No::Invalid(_) => (400, "invalid"),
            No::Rate(_) => (403, "rateLimitExceeded"),
            _ => (status, "someReason"),
        };
        let error = json!({ "code": status, "message": message, "errors": [{ "reason": reason, "message": message }] });
        let resp = Resp::json(status, &json!({ "error": error }));
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
