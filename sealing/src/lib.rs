//! Secrets at rest: AES-256-GCM under a key that whatever keeps the sealed value never sees.
//!
//! The associated data names the place of a secret, so that a sealed value moved to another place does not open. The
//! key's id stands before the value: old keys open, the first one seals.
//!
//! This crate knows the format of a key file and of a sealed value. It does not know what a secret is for, where it is
//! kept, what places are called, or when something is sealed anew; it reads no file.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Bytes of a key.
const KEY_LEN: usize = 32;
/// Bytes of the key id that a sealed value begins with.
const ID_LEN: usize = 4;

/// A secret could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A line of the key file is not 32 bytes in base64.
    #[error("a line of the key file is not 32 bytes in base64")]
    BadKey,
    /// The key file holds no key.
    #[error("the key file holds no key")]
    Empty,
    /// It was sealed under a key that is not in the key file, for another place, or is damaged.
    #[error("the sealed value does not open with any key of the key file")]
    Refused,
}

/// Which key of a file something is sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAge {
    /// The first, which seals.
    Current,
    /// Another one, which opens.
    Old,
}

/// The keys of a key file, the current one first.
pub struct Keyring(Vec<([u8; ID_LEN], LessSafeKey)>);

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} keys)", self.0.len())
    }
}

impl Keyring {
    /// Reads a key file: one key a line, 32 bytes in base64, the current one first.
    ///
    /// # Errors
    /// [`SealError::BadKey`], [`SealError::Empty`].
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(read_key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(SealError::Empty) } else { Ok(Self(keys)) }
    }

    /// A new key as a line of a key file.
    ///
    /// # Errors
    /// [`SealError::Refused`] when the system has no random numbers.
    pub fn generate() -> Result<String, SealError> {
        let mut key = [0; KEY_LEN];
        SystemRandom::new().fill(&mut key).map_err(|_| SealError::Refused)?;
        Ok(format!("{}\n", STANDARD.encode(key)))
    }

    /// Seals `secret` for the place `context`, such as `webhook_endpoints.sealed_secret.<id>`.
    ///
    /// # Errors
    /// [`SealError::Refused`] when the system has no random numbers.
    pub fn seal(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let (id, key) = self.0.first().ok_or(SealError::Empty)?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Refused)?;
        let mut sealed = secret.to_vec();
        let aad = Aad::from(context.as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| SealError::Refused)?;
        Ok([id.as_slice(), &nonce, &sealed].concat())
    }

    /// Which of its keys a sealed value was made under; `None` when it is none of them.
    #[must_use]
    pub fn age(&self, sealed: &[u8]) -> Option<KeyAge> {
        let id = sealed.get(..ID_LEN)?;
        let position = self.0.iter().position(|(known, _)| known == id)?;
        Some(if position == 0 { KeyAge::Current } else { KeyAge::Old })
    }

    /// Opens what [`seal`](Self::seal) made for the same place.
    ///
    /// # Errors
    /// [`SealError::Refused`].
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (id, rest) = sealed.split_at_checked(ID_LEN).ok_or(SealError::Refused)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Refused)?;
        let (_, key) = self.0.iter().find(|(known, _)| known == id).ok_or(SealError::Refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Refused)?;
        let mut text = text.to_vec();
        let open = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut text);
        open.map(|secret| secret.to_vec()).map_err(|_| SealError::Refused)
    }
}

fn read_key(line: &str) -> Result<([u8; ID_LEN], LessSafeKey), SealError> {
    let bytes = STANDARD.decode(line).map_err(|_| SealError::BadKey)?;
    let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::BadKey)?;
    let id = digest(&SHA256, &bytes).as_ref().first_chunk().copied().ok_or(SealError::BadKey)?;
    Ok((id, LessSafeKey::new(key)))
}
