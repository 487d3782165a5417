//! The files and folders that keys name. Nothing here writes: a check leaves no trace.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use rustix::fs::{Access, access};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    mistake::{At, Problem},
    section::{Disk, Section},
};

/// A bundle of every public root is about 250 KiB; more than this is not a bundle of roots.
const MAX_ROOTS_BYTES: u64 = 4 * 1024 * 1024;
/// HMAC keys of authorities are 32 to 64 bytes, tokens hardly longer.
const MAX_KEY_BYTES: u64 = 4096;
/// A thousand sealing keys; nobody keeps so many old ones.
const MAX_KEYS_BYTES: u64 = 64 * 1024;

/// Why a file holds no roots.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// A certificate in it is not X.509.
    #[error("certificate {number} of the file is not valid X.509")]
    Certificate {
        /// Which one, from 1.
        number: usize,
    },
    /// No certificate in it.
    #[error("the file holds no PEM certificate")]
    Empty,
    /// A PEM section is broken.
    #[error("the file is not valid PEM")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// It cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
}

/// Why an HMAC key cannot be had. Never shows the file's name or content: either may be the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EabError {
    /// Not base64url, or nothing at all.
    #[error("the file does not hold an HMAC key in base64url")]
    Encoding,
    /// It cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
}

/// Reads a PEM file of root certificates: at least one, each of them X.509.
///
/// # Errors
/// [`RootsError`] when it cannot be read or holds something else.
pub fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let bytes = read_bounded(path, MAX_ROOTS_BYTES).map_err(RootsError::Read)?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(RootsError::Pem)?;
    if roots.is_empty() {
        return Err(RootsError::Empty);
    }
    match roots.iter().position(|root| X509Certificate::from_der(root).is_err()) {
        Some(index) => Err(RootsError::Certificate { number: index + 1 }),
        None => Ok(roots),
    }
}

/// Authorities hand keys out in base64url, most without padding; some tools pad them.
pub(crate) fn read_hmac_key(path: &Path) -> Result<Vec<u8>, EabError> {
    let bytes = read_bounded(path, MAX_KEY_BYTES).map_err(EabError::Read)?;
    let either = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let key = GeneralPurpose::new(&URL_SAFE, either).decode(bytes.trim_ascii()).map_err(|_| EabError::Encoding)?;
    match key.is_empty() {
        true => Err(EabError::Encoding),
        false => Ok(key),
    }
}

/// Whether a file holds a token: visible ASCII on one line. Never shows the file's name or content: either may be the
/// token.
pub(crate) fn check_token(path: &Path) -> Result<(), Problem> {
    let bytes =
        read_bounded(path, MAX_KEY_BYTES).map_err(|error| unreadable(format!("the file cannot be read: {error}")))?;
    let token = bytes.trim_ascii();
    match !token.is_empty() && token.iter().all(u8::is_ascii_graphic) {
        true => Ok(()),
        false => {
            let hint = "put the token of the edges into the file, and nothing else";
            Err(Problem::new("bad_token", "the file does not hold a token of visible ASCII on one line", hint))
        }
    }
}

/// Bytes of a key of AES-256.
const SEALING_KEY_BYTES: usize = 32;

/// Whether a file holds sealing keys: 32 bytes in base64 on each line, comments aside.
pub(crate) fn check_sealing_keys(path: &Path, hint: &'static str) -> Result<(), Problem> {
    let bytes =
        read_bounded(path, MAX_KEYS_BYTES).map_err(|error| unreadable(format!("the file cannot be read: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).peekable();
    if keys.peek().is_none() {
        return Err(Problem::new("no_key", "the file holds no key", hint));
    }
    let is_key = |line: &str| STANDARD.decode(line).is_ok_and(|key| key.len() == SEALING_KEY_BYTES);
    match keys.find(|(_, line)| !is_key(line)) {
        Some((number, _)) => {
            Err(Problem::new("bad_key", format!("line {number} of the file is not 32 bytes in base64"), hint))
        }
        None => Ok(()),
    }
}

/// Whether a file holds a private key in PKCS #8 and PEM. Never shows its content.
pub(crate) fn check_private_key(path: &Path) -> Result<(), Problem> {
    let bytes =
        read_bounded(path, MAX_KEYS_BYTES).map_err(|error| unreadable(format!("the file cannot be read: {error}")))?;
    PrivatePkcs8KeyDer::from_pem_slice(&bytes).map(drop).map_err(|_| {
        let hint = "make one with `namegate-control domain-connect generate-key`";
        Problem::new("bad_key", "the file holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)", hint)
    })
}

/// Reads at most `limit` bytes; a longer file is an error, not a part of itself.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    file.take(limit + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes"))),
    }
}

/// Holds a key's file of roots against [`read_roots`].
pub(crate) fn check_roots(section: &mut Section<'_>, (path, at): (PathBuf, At)) -> PathBuf {
    if section.disk() == Disk::Look
        && let Err(error) = read_roots(&path)
    {
        section.mistake(&at, error.problem(&path));
    }
    path
}

/// Whether a folder is there and writable, or can be made: its nearest existing parent is a writable folder.
pub(crate) fn check_writable(path: &Path) -> Result<(), Problem> {
    let existing = nearest_existing(path);
    let shown = existing.display();
    if !existing.is_dir() {
        let hint = "name a folder, or a place where one can be made";
        return Err(Problem::new("not_writable", format!("{shown} is not a folder"), hint));
    }
    access(existing, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let hint = "give it to the user that runs the edge, or choose another folder";
        Problem::new("not_writable", format!("{shown} is not writable: {}", io::Error::from(error)), hint)
    })
}

fn nearest_existing(path: &Path) -> &Path {
    // The parent of a bare name is the empty path, which means the working directory.
    let here = |path| match path {
        path if path == Path::new("") => Path::new("."),
        path => path,
    };
    path.ancestors().map(here).find(|path| path.symlink_metadata().is_ok()).unwrap_or_else(|| Path::new("."))
}

impl RootsError {
    fn problem(&self, path: &Path) -> Problem {
        let shown = path.display();
        match self {
            Self::Read(error) => unreadable(format!("{shown} cannot be read: {error}")),
            Self::Pem(_) | Self::Empty => {
                let hint = "name a file of certificates in PEM form (-----BEGIN CERTIFICATE-----)";
                Problem::new("not_pem", format!("{shown} holds no PEM certificate"), hint)
            }
            Self::Certificate { number } => {
                let problem = format!("certificate {number} in {shown} is not valid X.509");
                Problem::new("not_pem", problem, "export the certificate again")
            }
        }
    }
}

impl EabError {
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Encoding => {
                let hint = "put the key into the file as the authority gave it";
                Problem::new("bad_key", "the file does not hold an HMAC key in base64url", hint)
            }
            Self::Read(error) => unreadable(format!("the file cannot be read: {error}")),
        }
    }
}

fn unreadable(problem: String) -> Problem {
    Problem::new("unreadable", problem, "check the path and the rights of the user that runs this program")
}
