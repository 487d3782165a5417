//! `load`: the files and folders that a configuration names are looked at, and left as they were.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a surprise ends the test")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use config::{EdgeConfig, Mistakes, RootsError, load, parse, read_roots};
use tempfile::TempDir;

/// A folder with an `edge.toml` whose storage is `store` beside it.
fn folder(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("ask.url = 'http://127.0.0.1:1/ask'\nstorage.path = 'a/b/store'\n{more}");
    fs::write(folder.path().join("edge.toml"), text).unwrap();
    folder
}

fn load_in(folder: &TempDir) -> Result<EdgeConfig, Mistakes> {
    load(&folder.path().join("edge.toml"), [])
}

/// The mistakes with the folder's name taken out, so that they can be compared.
fn printed_in(folder: &TempDir) -> String {
    let mistakes = load_in(folder).unwrap_err().to_string();
    mistakes.replace(&format!("{}/", folder.path().display()), "")
}

fn write_root(path: &Path) {
    fs::write(path, rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap().cert.pem()).unwrap();
}

#[test]
fn a_good_file_loads_and_leaves_no_trace() {
    let folder = folder("");
    let config = load_in(&folder).unwrap();
    assert_eq!(config.storage.path, folder.path().join("a/b/store"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only edge.toml may be there");
}

#[test]
fn a_file_that_cannot_be_read_is_the_one_mistake() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        printed_in(&folder),
        "edge.toml: cannot be read: No such file or directory (os error 2); name a readable TOML file with --config"
    );
    fs::write(folder.path().join("edge.toml"), b"[ask]\n# \xff\n").unwrap();
    assert_eq!(printed_in(&folder), "edge.toml: is not UTF-8 in line 2; name a readable TOML file with --config");
    fs::write(folder.path().join("edge.toml"), vec![b'#'; 2 << 20]).unwrap();
    assert_eq!(
        printed_in(&folder),
        "edge.toml: cannot be read: larger than 1048576 bytes; name a readable TOML file with --config"
    );
}

#[test]
fn a_storage_folder_must_be_possible() {
    let folder = folder("");
    fs::write(folder.path().join("a"), "a file").unwrap();
    assert_eq!(
        printed_in(&folder),
        "edge.toml:2:16: storage.path: a is not a folder; name a folder, or a place where one can be made"
    );
}

#[test]
fn a_storage_folder_must_be_writable() {
    let folder = folder("");
    let closed = folder.path().join("a");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write anywhere, and is told so.
    match rustix::fs::access(&closed, rustix::fs::Access::WRITE_OK) {
        Ok(()) => assert!(load_in(&folder).is_ok()),
        Err(_) => assert_eq!(
            printed_in(&folder),
            "edge.toml:2:16: storage.path: a is not writable: Permission denied (os error 13); \
             give it to the user that runs the edge, or choose another folder"
        ),
    }
}

#[test]
fn roots_must_be_certificates_in_pem() {
    let folder = folder("acme.ca_root = 'acme.pem'\nproxy.origin_ca_root = 'origin.pem'");
    fs::write(folder.path().join("origin.pem"), "hello").unwrap();
    assert_eq!(
        printed_in(&folder),
        "edge.toml:3:16: acme.ca_root: acme.pem cannot be read: No such file or directory (os error 2); \
         check the path and the rights of the user that runs this program\n\
         edge.toml:4:24: proxy.origin_ca_root: origin.pem holds no PEM certificate; \
         name a file of certificates in PEM form (-----BEGIN CERTIFICATE-----)"
    );
    write_root(&folder.path().join("acme.pem"));
    write_root(&folder.path().join("origin.pem"));
    let config = load_in(&folder).unwrap();
    assert_eq!(read_roots(&config.acme.ca_root.unwrap()).unwrap().len(), 1);
}

#[test]
fn a_pem_section_that_is_no_certificate_is_found() {
    let folder = folder("");
    let path = folder.path().join("root.pem");
    fs::write(&path, "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n").unwrap();
    assert!(matches!(read_roots(&path), Err(RootsError::Certificate { number: 1 })));
    fs::write(&path, "-----BEGIN CERTIFICATE-----\naGVsbG8=\n").unwrap();
    assert!(read_roots(&path).is_err());
}

#[test]
fn an_account_key_comes_from_its_file_and_is_never_shown() {
    let folder = folder("[acme]\neab_key_id = 'kid'\neab_hmac_file = 'hunter2'");
    assert_eq!(
        printed_in(&folder),
        "edge.toml:5:17: acme.eab_hmac_file: the file cannot be read: No such file or directory (os error 2); \
         check the path and the rights of the user that runs this program"
    );
    for bad in ["", "\n", "not base64!", "a+b/"] {
        fs::write(folder.path().join("hunter2"), bad).unwrap();
        let printed = printed_in(&folder);
        assert!(printed.contains("does not hold an HMAC key") && !printed.contains("hunter2"), "{printed}");
    }
    for good in ["aGVsbG8", "aGVsbG8=", "aGVsbG8\n"] {
        fs::write(folder.path().join("hunter2"), good).unwrap();
        assert_eq!(load_in(&folder).unwrap().acme.eab.unwrap().read_hmac_key().unwrap(), b"hello");
    }
}

#[test]
fn mistakes_of_the_text_and_of_the_disk_come_together() {
    let folder = folder("[acme]\nca_root = 'none.pem'\ncontct = []\n[log]\nlevel = 'loud'");
    let codes: Vec<_> = load_in(&folder).unwrap_err().iter().map(|mistake| mistake.code).collect();
    assert_eq!(codes, ["unreadable", "unknown_key", "bad_level"]);
}

#[test]
fn parse_alone_does_not_touch_the_disk() {
    let text =
        "ask.url = 'http://127.0.0.1:1/'\nacme.ca_root = '/nowhere/root.pem'\nstorage.path = '/proc/none/of/this'";
    assert!(parse("edge.toml", text, []).is_ok());
}

#[test]
fn the_token_of_the_control_plane_must_be_there_and_is_never_shown() {
    let folder = folder("[control]\nurl = 'http://127.0.0.1:1'\ntoken_file = 'hunter2'");
    let token = folder.path().join("hunter2");
    let place = "edge.toml:5:14: control.token_file: ";
    let missing = "the file cannot be read: No such file or directory (os error 2); check the path and the rights of the user that runs this program";
    assert_eq!(printed_in(&folder), format!("{place}{missing}"));
    let unfit = "the file does not hold a token of visible ASCII on one line; put the token of the edges into the file, and nothing else";
    for text in ["", "\n", "two words\n", "two\nlines", "tökén"] {
        fs::write(&token, text).unwrap();
        assert_eq!(printed_in(&folder), format!("{place}{unfit}"), "{text:?}");
    }
    fs::write(&token, "hunter2\n").unwrap();
    let config = load_in(&folder).unwrap();
    assert_eq!(config.control.as_ref().unwrap().token_file, token);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_credential_of_a_dns_provider_must_be_there_and_is_never_shown() {
    let folder = folder("[acme.dns]\nprovider = 'desec'\nzones = ['a.example']\ntoken_file = 'hunter2'");
    let place = "edge.toml:6:14: acme.dns.token_file: ";
    let missing = "the file cannot be read: No such file or directory (os error 2); check the path and the rights of the user that runs this program";
    assert_eq!(printed_in(&folder), format!("{place}{missing}"));
    fs::write(folder.path().join("hunter2"), "\n").unwrap();
    let empty = "the file is empty; put the credential into the file, in the form that docs/dns-providers.md shows";
    assert_eq!(printed_in(&folder), format!("{place}{empty}"));
    fs::write(folder.path().join("hunter2"), " hunter2\n").unwrap();
    let config = load_in(&folder).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.acme.dns.unwrap().read_token().unwrap().expose(), "hunter2");
}

#[test]
fn a_key_file_holds_keys_of_32_bytes_and_no_message_shows_one() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let folder = folder("storage.key_file = 'edge.keys'");
    let file = folder.path().join("edge.keys");
    let hint = "make a line with `openssl rand -base64 32`";
    assert!(printed_in(&folder).starts_with("edge.toml:3:20: storage.key_file: the file cannot be read: No such file"));
    for (content, problem) in [
        ("# nothing\n", "the file holds no key"),
        ("# one\nAAECAwQFBgcICQoLDA0ODw==\n", "line 2 of the file is not 32 bytes in base64"),
        ("{key}\n{key}=\n", "line 2 of the file is not 32 bytes in base64"),
    ] {
        fs::write(&file, content.replace("{key}", key)).unwrap();
        assert_eq!(printed_in(&folder), format!("edge.toml:3:20: storage.key_file: {problem}; {hint}"));
    }
    fs::write(&file, format!("# now\n{key}\n\n{key}\n")).unwrap();
    assert_eq!(load_in(&folder).unwrap().storage.key_file, Some(file));
}
