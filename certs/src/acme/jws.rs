//! Signed requests of our own (RFC 8555 section 6.2).
//!
//! The ACME library signs everything else. These are ours because it makes a new account key and tells the CA in one
//! step, so that a crash in between would lose the key; and because it cannot ask which of two keys the CA knows.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::account::SecretBytes;

/// An account's key could not be made or used. Says nothing of the key.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the account key cannot be used")]
pub(super) struct KeyError;

/// An account's key, ready to sign (ES256).
pub(super) struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

/// What stands in the protected header beside algorithm and URL.
pub(super) enum Sender<'a> {
    /// An account that the CA knows, with a nonce of its.
    Account { url: &'a str, nonce: &'a str },
    /// A key that it does not know yet; within another request, so without a nonce (section 7.3.5).
    Key,
}

/// A new key in PKCS #8.
pub(super) fn generate() -> Result<SecretBytes, KeyError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError)?;
    let document = pair.to_pkcs8v1().map_err(|_| KeyError)?;
    Ok(SecretBytes::new(document.as_ref().to_vec()))
}

impl Signer {
    pub(super) fn new(key: &SecretBytes) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_slice()).map_err(|_| KeyError)?;
        Ok(Self { pair, random: SystemRandom::new() })
    }

    /// The public key (RFC 7518 section 6.2.1).
    pub(super) fn jwk(&self) -> Result<Value, KeyError> {
        // An uncompressed point: 4, then both coordinates.
        let point = self.pair.public_key().as_ref().strip_prefix(&[4]).ok_or(KeyError)?;
        let (x, y) = point.split_at_checked(point.len() / 2).ok_or(KeyError)?;
        Ok(json!({ "crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y) }))
    }

    /// A JWS in its flattened form.
    pub(super) fn sign(&self, url: &str, sender: &Sender<'_>, payload: &str) -> Result<Value, KeyError> {
        let header = match sender {
            Sender::Account { url: account, nonce } => {
                json!({ "alg": "ES256", "kid": account, "nonce": nonce, "url": url })
            }
            Sender::Key => json!({ "alg": "ES256", "jwk": self.jwk()?, "url": url }),
        };
        let (protected, payload) = (encode(header.to_string().as_bytes()), encode(payload.as_bytes()));
        let signed = format!("{protected}.{payload}");
        let signature = self.pair.sign(&self.random, signed.as_bytes()).map_err(|_| KeyError)?;
        Ok(json!({ "protected": protected, "payload": payload, "signature": encode(signature.as_ref()) }))
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn decode(value: &Value) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
    }

    #[test]
    fn a_signature_is_over_header_and_payload_and_verifies_with_the_public_key() {
        let signer = Signer::new(&generate().unwrap()).unwrap();
        let sender = Sender::Account { url: "https://ca.test/acct/1", nonce: "n" };
        let jws = signer.sign("https://ca.test/key-change", &sender, "{}").unwrap();
        let header: Value = serde_json::from_slice(&decode(&jws["protected"])).unwrap();
        let expected = json!({
            "alg": "ES256", "kid": "https://ca.test/acct/1", "nonce": "n", "url": "https://ca.test/key-change"
        });
        assert_eq!(header, expected);
        let jwk = signer.jwk().unwrap();
        let point = [vec![4], decode(&jwk["x"]), decode(&jwk["y"])].concat();
        let signed = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(signed.as_bytes(), &decode(&jws["signature"])).unwrap();
    }
}
