//! The shared token, from a file. It is in no `Debug`, log line or error.

use std::{
    io,
    path::{Path, PathBuf},
};

use parking_lot::RwLock;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

/// The token and where it comes from.
pub(super) struct Token {
    path: PathBuf,
    header: RwLock<HeaderValue>,
}

impl Token {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), header: RwLock::new(header(path)?) })
    }

    /// `Bearer …`, marked as sensitive.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.read().clone()
    }

    /// Reads the file again. Whether it holds another token now; a file that cannot be read changes nothing.
    pub(super) fn renew(&self) -> bool {
        let Ok(new) = header(&self.path) else { return false };
        let mut current = self.header.write();
        let changed = *current != new;
        *current = new;
        changed
    }
}

fn header(path: &Path) -> io::Result<HeaderValue> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    let token = text.trim();
    if token.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
    }
    let bearer = Zeroizing::new(format!("Bearer {token}"));
    let unfit = |_| io::Error::new(io::ErrorKind::InvalidData, "a token is visible ASCII on one line");
    let mut header = HeaderValue::from_str(&bearer).map_err(unfit)?;
    header.set_sensitive(true);
    Ok(header)
}
