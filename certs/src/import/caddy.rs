//! Caddy: a data directory, or the tar file of `caddy storage export`. Both hold the same keys.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Found, ImportError, MAX_FILE, Out};
use crate::{Bundle, IssuerKey, SealProblem, file_store, seal::is_sealed};

pub(super) fn read(path: &Path, out: &Out) -> Result<(), ImportError> {
    match path.is_dir() {
        true => read_folder(path, out),
        false => read_tar(path, out),
    }
}

/// The files of one folder: a certificate's or an account's.
#[derive(Default)]
struct Group {
    /// The folder, as a key: `certificates/<issuer>/<name>` or `acme/<issuer>/users/<user>`.
    folder: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Group {
    fn take(&mut self, extension: &str) -> Option<(String, Vec<u8>)> {
        let name = self.files.keys().find(|name| name.ends_with(extension))?.clone();
        self.files.remove(&name).map(|bytes| (format!("{}/{name}", self.folder), bytes))
    }

    /// Hands over what the folder holds. One without certificate or account is an order that Caddy did not finish.
    fn finish(mut self, out: &Out) {
        let segments: Vec<&str> = self.folder.split('/').collect();
        match *segments.as_slice() {
            ["certificates", issuer, name] => {
                let (issuer, name) = (IssuerKey::new(issuer), name.replacen("wildcard_.", "*.", 1));
                self.finish_certificate(issuer, name, out);
            }
            ["acme", _, "users", _] => {
                if let (Some(json), Some(key)) = (self.take(".json"), self.take(".key")) {
                    match is_sealed(&key.1) {
                        true => out.skip(self.folder, SealProblem::Sealed),
                        false => out.put(Found::Account { json, key }),
                    }
                }
            }
            _ => {}
        }
    }

    fn finish_certificate(mut self, issuer: IssuerKey, name: String, out: &Out) {
        let Some((_, chain)) = self.take(".crt") else { return };
        let Some((_, key)) = self.take(".key") else { return out.skip(self.folder, "the key is missing") };
        if is_sealed(&key) {
            return out.skip(self.folder, SealProblem::Sealed);
        }
        let (Ok(chain_pem), Ok(key_pem)) = (String::from_utf8(chain), String::from_utf8(key)) else {
            return out.skip(self.folder, "the certificate or its key is not text");
        };
        let meta = self.take(".json").and_then(|(_, json)| serde_json::from_slice(&json).ok()).unwrap_or(Value::Null);
        let bundle = Bundle { issuer, chain_pem, key_pem, meta };
        out.put(Found::Certificate { entry: self.folder, names: vec![name], bundle });
    }
}

fn read_folder(root: &Path, out: &Out) -> Result<(), ImportError> {
    let certificates = root.join("certificates");
    // Its absence is a wrong path, while a Caddy that never had an account is possible.
    fs::read_dir(&certificates).map_err(|source| ImportError::Read { path: certificates.clone(), source })?;
    for issuer in folders(&certificates, out) {
        for folder in folders(&certificates.join(&issuer), out) {
            read_group(root, format!("certificates/{issuer}/{folder}"), out);
        }
    }
    if root.join("acme").is_dir() {
        for issuer in folders(&root.join("acme"), out) {
            let users = root.join("acme").join(&issuer).join("users");
            for user in if users.is_dir() { folders(&users, out) } else { Vec::new() } {
                read_group(root, format!("acme/{issuer}/users/{user}"), out);
            }
        }
    }
    Ok(())
}

/// The names of the folders in a folder. One that cannot be read is skipped.
fn folders(path: &Path, out: &Out) -> Vec<String> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            out.skip(path.display().to_string(), error);
            return Vec::new();
        }
    };
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    folders.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| !name.starts_with('.')).collect()
}

fn read_group(root: &Path, folder: String, out: &Out) {
    let path = root.join(&folder);
    let mut group = Group { folder, files: BTreeMap::new() };
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) => return out.skip(group.folder, error),
    };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().into_string().ok().filter(|name| is_wanted(name)) else { continue };
        match file_store::read_bounded(&entry.path(), MAX_FILE) {
            Ok(bytes) => group.files.extend(bytes.map(|bytes| (name, bytes))),
            Err(error) => return out.skip(format!("{}/{name}", group.folder), error),
        }
    }
    group.finish(out);
}

fn is_wanted(name: &str) -> bool {
    [".crt", ".key", ".json"].iter().any(|extension| name.ends_with(extension))
}

/// Both `caddy storage export` and `tar` write the files of a folder one after another, so that one group at a time is
/// in memory.
fn read_tar(path: &Path, out: &Out) -> Result<(), ImportError> {
    let file = File::open(path).map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
    let bad = |source: std::io::Error| ImportError::Form {
        path: path.to_owned(),
        expected: "the tar file of `caddy storage export`",
        source: source.into(),
    };
    let mut group = Group::default();
    for entry in tar::Archive::new(BufReader::new(file)).entries().map_err(bad)? {
        let entry = entry.map_err(bad)?;
        let Some((folder, name)) = entry.path().ok().and_then(|path| split_key(&path)) else { continue };
        if folder != group.folder {
            std::mem::replace(&mut group, Group { folder, files: BTreeMap::new() }).finish(out);
        }
        let size = entry.size();
        if size > MAX_FILE {
            out.skip(format!("{}/{name}", group.folder), format_args!("the file has {size} bytes"));
            continue;
        }
        let mut bytes = Vec::new();
        entry.take(MAX_FILE).read_to_end(&mut bytes).map_err(bad)?;
        group.files.insert(name, bytes);
    }
    group.finish(out);
    Ok(())
}

/// A path's folder as a key, and its file; whatever stands before `certificates` or `acme` is the archive's own.
fn split_key(path: &Path) -> Option<(String, String)> {
    let path: PathBuf = path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    let segments: Vec<&str> = path.to_str()?.split('/').collect();
    match *segments.as_slice() {
        [.., "acme", issuer, "users", user, file] if is_wanted(file) => {
            Some((format!("acme/{issuer}/users/{user}"), file.to_owned()))
        }
        [.., "certificates", issuer, name, file] if is_wanted(file) => {
            Some((format!("certificates/{issuer}/{name}"), file.to_owned()))
        }
        _ => None,
    }
}
