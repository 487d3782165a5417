//! Secrets of a configuration: written where their key stands, or in a file of their own. No message shows one.

use std::{fmt, io, path::PathBuf};

use crate::{
    disk::read_bounded,
    mistake::{At, Problem},
    section::{Disk, Section},
};

/// Longer than any password, token or URL that holds one.
const MAX_SECRET_BYTES: u64 = 4096;

/// A secret. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In this file, and nothing else in it but white space around.
    File(PathBuf),
    /// Here.
    Written(Secret),
}

/// A secret's file cannot be read. Shows neither name nor content: either may be the secret.
#[derive(Debug, thiserror::Error)]
#[error("the file of a secret cannot be read")]
pub struct SecretError(#[source] io::Error);

impl SecretSource {
    /// The secret.
    ///
    /// # Errors
    /// [`SecretError`] when its file cannot be read or is not text.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Written(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let bytes = read_bounded(path, MAX_SECRET_BYTES).map_err(SecretError)?;
                let text = String::from_utf8(bytes)
                    .map_err(|_| SecretError(io::Error::new(io::ErrorKind::InvalidData, "not UTF-8")))?;
                Ok(Secret(text.trim().to_owned()))
            }
        }
    }
}

/// Reads a secret from `key` or from the file that `file_key` names. `check` must not repeat what it is given.
///
/// `Ok(None)` when neither is set; `Err` when a mistake is noted.
pub(crate) fn read_secret(
    section: &mut Section<'_>,
    (key, file_key): (&'static str, &'static str),
    check: impl Fn(&str) -> Result<(), Problem>,
) -> Result<Option<SecretSource>, crate::section::Noted> {
    let written = section.text(key, |text| check(text).map(|()| Secret(text.to_owned())));
    let file = section.path(file_key);
    match (written?, file?) {
        (Some(_), Some((_, at))) => {
            let hint = format!("keep one of the two; {file_key} keeps the secret out of this file");
            section.mistake(&at, Problem::new("duplicate", format!("{key} is set as well"), hint));
            Ok(None)
        }
        (Some((secret, _)), None) => Ok(Some(SecretSource::Written(secret))),
        (None, Some((path, at))) => {
            let source = SecretSource::File(path);
            check_file(section, &source, &at, check);
            Ok(Some(source))
        }
        (None, None) => Ok(None),
    }
}

/// Notes what is wrong with the file of a secret.
pub(crate) fn check_file(
    section: &mut Section<'_>,
    source: &SecretSource,
    at: &At,
    check: impl Fn(&str) -> Result<(), Problem>,
) {
    if section.disk() == Disk::Untouched {
        return;
    }
    let problem = match source.read() {
        Ok(secret) => check(secret.expose()).err(),
        Err(SecretError(error)) => Some(Problem::new(
            "unreadable",
            format!("the file cannot be read: {error}"),
            "check the path and the rights of the user that runs this program",
        )),
    };
    problem.into_iter().for_each(|problem| section.mistake(at, problem));
}
