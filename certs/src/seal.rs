//! [`Seal`]: private keys on their way into a store and out of it.
//!
//! Sealed text is a PEM block with a label of its own, so that nobody takes it for a key, and an older version says "no
//! key" and not something worse. What it opens for is its place: the document's key, which names issuer, subject and
//! field. What is not sealed is taken as it is, since it may come from Caddy or from before a key file was configured.

use std::{fmt, sync::Arc};

use base64::prelude::{BASE64_STANDARD, Engine};
use sealing::{KeyAge, Keyring, SealError};
use zeroize::Zeroizing;

/// The label of sealed text.
const BEGIN: &str = "-----BEGIN NAMEGATE SEALED SECRET-----";
const END: &str = "-----END NAMEGATE SEALED SECRET-----";
/// Characters of base64 in a line (RFC 7468 section 2).
const LINE: usize = 64;

/// What a store seals secrets with, if with anything. Cheap to clone.
#[derive(Clone, Default)]
pub struct Seal(Option<Arc<Keyring>>);

/// How a secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Sealed under the first key of the file.
    Current,
    /// Sealed under another key of the file.
    Old,
    /// Not sealed.
    Plain,
    /// Sealed under a key that the file does not hold, or there is no file.
    Unreadable,
}

/// Why a secret could not be sealed or opened. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealProblem {
    /// The block is torn.
    #[error("it is sealed, and the sealed block is torn")]
    Torn,
    /// There is no key file.
    #[error("it is sealed, and no key file is configured to open it with")]
    NoKeyFile,
    /// Another key file, or one that lost a line.
    #[error("it is sealed under a key that the key file does not hold")]
    UnknownKey,
    /// It was moved, or its bytes were changed.
    #[error("it is sealed for another place, or damaged")]
    Refused,
    /// It would have been sealed twice.
    #[error("it is sealed already, elsewhere")]
    Sealed,
    /// The system has no random numbers.
    #[error("it could not be sealed")]
    Failed,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Seal(on)" } else { "Seal(off)" })
    }
}

impl Seal {
    /// Seals under the first key of a key file's text, and opens with all of them.
    ///
    /// # Errors
    /// [`SealError::BadKey`], [`SealError::Empty`].
    pub fn parse(key_file: &str) -> Result<Self, SealError> {
        Ok(Self(Some(Arc::new(Keyring::parse(key_file)?))))
    }

    /// Whether anything is sealed at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What is to be written at `place`: sealed when there is a key file, else `secret` itself.
    ///
    /// # Errors
    /// [`SealProblem::Sealed`], [`SealProblem::Failed`].
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealProblem> {
        if is_sealed(secret) {
            return Err(SealProblem::Sealed);
        }
        match &self.0 {
            None => Ok(Zeroizing::new(secret.to_vec())),
            Some(keyring) => {
                let sealed = keyring.seal(place, secret).map_err(|_| SealProblem::Failed)?;
                Ok(Zeroizing::new(to_text(&sealed).into_bytes()))
            }
        }
    }

    /// The secret that was written at `place`.
    ///
    /// # Errors
    /// [`SealProblem`].
    pub fn open(&self, place: &str, kept: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, SealProblem> {
        if !is_sealed(&kept) {
            return Ok(Zeroizing::new(kept));
        }
        let keyring = self.0.as_ref().ok_or(SealProblem::NoKeyFile)?;
        let sealed = from_text(&kept).ok_or(SealProblem::Torn)?;
        if keyring.age(&sealed).is_none() {
            return Err(SealProblem::UnknownKey);
        }
        keyring.open(place, &sealed).map(Zeroizing::new).map_err(|error| match error {
            SealError::Refused => SealProblem::Refused,
            _ => SealProblem::Failed,
        })
    }

    /// How `kept` is kept.
    #[must_use]
    pub fn look(&self, kept: &[u8]) -> Kept {
        if !is_sealed(kept) {
            return Kept::Plain;
        }
        let age = from_text(kept).and_then(|sealed| self.0.as_ref()?.age(&sealed));
        match age {
            Some(KeyAge::Current) => Kept::Current,
            Some(KeyAge::Old) => Kept::Old,
            None => Kept::Unreadable,
        }
    }
}

/// Whether a text is meant as a sealed one. Its whole first line is not asked for: what is torn is not plain.
#[must_use]
pub(crate) fn is_sealed(kept: &[u8]) -> bool {
    kept.trim_ascii_start().starts_with(b"-----BEGIN NAMEGATE SEALED")
}

fn to_text(sealed: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(sealed);
    let mut text = format!("{BEGIN}\n");
    for (index, char) in base64.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            text.push('\n');
        }
        text.push(char);
    }
    text.push('\n');
    text.push_str(END);
    text.push('\n');
    text
}

fn from_text(kept: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(kept).ok()?.trim();
    let base64: String = text.strip_prefix(BEGIN)?.strip_suffix(END)?.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(base64).ok()
}
