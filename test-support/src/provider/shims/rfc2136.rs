//! A real BIND, behind a front that cuts and holds calls.

use std::{net::SocketAddr, sync::Arc};

use crate::{Bind, Key};
use serde_json::{Value, json};

use crate::provider::{
    shim::{No, Req, Resp, Shim, ZONE, zonefile_decode, zonefile_encode},
    zone::{FakeZone, Rules},
};

struct Rfc2136(Arc<Bind>);

pub const SECRET: &str = "Y2FuYXJ5LW9mLXRoZS10c2lnLWtleS0wMTIzNDU2Nzg=";
/// Of a key that may look and not write.
pub const READER: &str = "b25seS10cmFuc2ZlcnMtbm90aGluZy1lbHNlLTAxMjM=";

pub async fn shim() -> Arc<dyn Shim> {
    let key = |name: &str, secret: &str| Key { name: name.into(), secret: secret.into() };
    let reader = key("reader", READER);
    Arc::new(Rfc2136(Arc::new(Bind::start(ZONE, &key("namegate.key", SECRET), &reader).await)))
}

impl Shim for Rfc2136 {
    fn key(&self) -> &'static str {
        "rfc2136"
    }

    fn credential(&self) -> String {
        json!({ "server": "", "key_name": "namegate.key", "algorithm": "hmac-sha256", "secret": SECRET }).to_string()
    }

    fn wrong_credential(&self) -> String {
        self.credential().replace("Y2FuYXJ5", "dHlyYW50")
    }

    fn malformed_credential(&self) -> Option<&'static str> {
        Some("{\"server\":\"192.0.2.1\",\"key_name\":\"canary\",\"secret\":\"no base64!\"}")
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.into(), "canary-of-the-tsig-key-012345678".into()]
    }

    fn bind(&self) -> Option<Arc<Bind>> {
        Some(Arc::clone(&self.0))
    }

    fn credential_at(&self, address: SocketAddr, credential: String) -> String {
        let mut parsed: Value = serde_json::from_str(&credential).unwrap_or(Value::Null);
        if parsed["server"] == "" {
            parsed["server"] = json!(address.to_string());
            return parsed.to_string();
        }
        credential
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 1, flattens_apex: false }
    }

    fn authorized(&self, _: &Req) -> bool {
        unreachable!("the name server itself decides")
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

    fn answer(&self, _: &mut FakeZone, _: &Req) -> Result<Resp, No> {
        unreachable!("the name server itself answers")
    }

    fn refuse(&self, _: &No) -> Resp {
        unreachable!("the name server itself refuses")
    }
}
