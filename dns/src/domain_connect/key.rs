//! [`SigningKey`]: what shows a provider that an address is ours and not a phisher's.

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

/// Characters of the key in one record. With what stands before them they fit one character-string of 255 bytes.
const PART: usize = 220;
/// Bytes of the modulus: shorter keys are not to be trusted (NIST SP 800-131A).
const SHORTEST: usize = 256;
/// Characters of one line of PEM (RFC 7468 section 2).
const PEM_LINE: usize = 64;

/// Why a text is no signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is no RSA key in PKCS #8 and PEM.
    #[error("it is no RSA key in PEM (\"BEGIN PRIVATE KEY\")")]
    Format,
    /// It has fewer than 2048 bits.
    #[error("the key is shorter than 2048 bits")]
    Short,
    /// The machine gives no key.
    #[error("no key could be made")]
    Making,
}

/// An RSA key that signs with SHA-256 (RS256, the one algorithm of the protocol).
pub struct SigningKey {
    pair: KeyPair,
    public: Vec<u8>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Format)?;
        let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| KeyError::Format)?;
        if pair.public_modulus_len() < SHORTEST {
            return Err(KeyError::Short);
        }
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Format)?;
        let public = public.as_ref().to_vec();
        Ok(Self { pair, public })
    }

    /// A new key of 2048 bits, in PEM.
    ///
    /// # Errors
    /// [`KeyError::Making`].
    pub fn generate() -> Result<Zeroizing<String>, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Making)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Making)?;
        let text = Zeroizing::new(STANDARD.encode(der.as_ref()));
        let mut pem = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
        for line in pieces(&text, PEM_LINE) {
            pem.push_str(line);
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// The texts of the TXT records that show the public key, each of them at most 255 bytes.
    pub fn records(&self) -> Vec<String> {
        let text = STANDARD.encode(&self.public);
        pieces(&text, PART).zip(1..).map(|(part, number)| format!("p={number},a=RS256,d={part}")).collect()
    }

    /// The signature of a query, in base64; `None` when the library refuses.
    pub(super) fn sign(&self, query: &str) -> Option<String> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), query.as_bytes(), &mut signature).ok()?;
        Some(STANDARD.encode(signature))
    }
}

/// The text in pieces of `length` bytes; base64 has no other characters than those of one byte.
fn pieces(text: &str, length: usize) -> impl Iterator<Item = &str> {
    text.as_bytes().chunks(length).filter_map(|piece| std::str::from_utf8(piece).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_made_is_read_and_shown_in_parts_that_fit() {
        let pem = SigningKey::generate().unwrap();
        let key = SigningKey::from_pem(&pem).unwrap();
        let records = key.records();
        assert!(records.len() > 1 && records.iter().all(|record| record.len() <= 255), "{records:?}");
        let parts = records.iter().map(|record| record.split_once("d=").unwrap().1);
        assert_eq!(STANDARD.decode(parts.collect::<String>()).unwrap(), key.public);
        assert!(records[1].starts_with("p=2,a=RS256,d="));
        assert_eq!(format!("{key:?}"), "SigningKey");
    }

    #[test]
    fn what_is_no_such_key_is_refused() {
        for pem in ["", "key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(SigningKey::from_pem(pem).err(), Some(KeyError::Format), "{pem}");
        }
    }
}
