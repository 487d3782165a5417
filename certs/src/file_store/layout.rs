//! Where things stand under the root: CertMagic's names for them.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use names::Subject;

/// Certificates stand under this folder.
pub(super) const CERTIFICATES: &str = "certificates";
/// What only we know stands under this folder: Caddy never looks there.
pub(super) const OWN: &str = "namegate";
/// Longest path segment that file systems take.
const MAX_SEGMENT: usize = 255;
/// Longest ending of a file that is named after a hostname.
const LONGEST_ENDING: &str = ".json";
/// Most segments of a key; ours have at most five.
const MAX_SEGMENTS: usize = 8;

/// CertMagic's `Safe`: the form of an issuer's, a name's or a mail address's path segment.
pub(crate) fn safe(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let text = text.replace(' ', "_").replace('+', "_plus_").replace('*', "wildcard_").replace(':', "-");
    text.replace("..", "").chars().filter(|char| is_safe(*char)).collect()
}

fn is_safe(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '@' | '.' | '-')
}

/// What the `*` of a wildcard becomes.
const WILDCARD: &str = "wildcard_";

/// The segment of a subject: the hostname, or `wildcard_.example.com`. No hostname has an underscore.
pub(crate) fn stem(subject: &Subject) -> Cow<'_, str> {
    match subject.as_str().strip_prefix('*') {
        Some(rest) => Cow::Owned(format!("{WILDCARD}{rest}")),
        None => Cow::Borrowed(subject.as_str()),
    }
}

/// The subject of a segment; `None` when it is none's.
pub(crate) fn subject(stem: &str) -> Option<Subject> {
    let subject: Subject = match stem.strip_prefix(WILDCARD) {
        Some(rest) => format!("*{rest}").parse(),
        None => stem.parse(),
    }
    .ok()?;
    (self::stem(&subject) == stem).then_some(subject)
}

/// Whether the files of a subject have names that file systems take: CertMagic's layout ends three bytes before the
/// longest hostname does.
pub(super) fn fits(subject: &Subject) -> bool {
    stem(subject).len() + LONGEST_ENDING.len() <= MAX_SEGMENT
}

/// One certificate's folder: `certificates/<issuer>/<name>/`.
pub(super) struct Entry<'a> {
    /// The folder of its issuer.
    pub(super) parent: PathBuf,
    /// The folder's name, which is the stem of the files in it too.
    pub(super) name: &'a str,
}

impl<'a> Entry<'a> {
    pub(super) fn new(root: &Path, issuer: &str, name: &'a str) -> Self {
        Self { parent: root.join(CERTIFICATES).join(issuer), name }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.parent.join(self.name)
    }

    pub(super) fn certificate(&self) -> String {
        format!("{}.crt", self.name)
    }

    pub(super) fn key(&self) -> String {
        format!("{}.key", self.name)
    }

    pub(super) fn meta(&self) -> String {
        format!("{}.json", self.name)
    }
}

/// The key of one file of a certificate, as documents are addressed. Private keys are sealed for this place.
pub(crate) fn certificate_key(issuer: &str, name: &str, extension: &str) -> String {
    format!("{CERTIFICATES}/{issuer}/{name}/{name}.{extension}")
}

/// A document's path; a key that could leave the root is refused.
pub(super) fn document(root: &Path, key: &str) -> io::Result<PathBuf> {
    match is_key(key) {
        true => Ok(root.join(key)),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "the key is not a relative path of plain segments")),
    }
}

/// Whether a text is a relative path of plain segments.
pub(crate) fn is_key(key: &str) -> bool {
    key.split('/').take(MAX_SEGMENTS + 1).enumerate().all(|(i, part)| i < MAX_SEGMENTS && is_segment(part))
}

/// Whether a text is one plain path segment: not hidden, no way up, nothing that a shell or CertMagic would change.
pub(crate) fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SEGMENT && !text.starts_with('.') && text.chars().all(is_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_says_what_certmagic_says() {
        const CASES: &[(&str, &str)] = &[
            ("acme-v02.api.letsencrypt.org-directory", "acme-v02.api.letsencrypt.org-directory"),
            ("127.0.0.1:14000-dir", "127.0.0.1-14000-dir"),
            ("*.Example.com", "wildcard_.example.com"),
            (" a b+c@example.com ", "a_b_plus_c@example.com"),
            ("../../etc/passwd", "etcpasswd"),
            ("...", "."),
            ("a\0b/c\\d", "abcd"),
        ];
        for (text, expected) in CASES {
            assert_eq!(safe(text), *expected, "{text}");
        }
    }

    #[test]
    fn a_subject_comes_back_from_its_segment_and_from_no_other_spelling() {
        for (text, segment) in [("a.example.com", "a.example.com"), ("*.example.com", "wildcard_.example.com")] {
            let parsed: Subject = text.parse().unwrap();
            assert_eq!((stem(&parsed).as_ref(), subject(segment)), (segment, Some(parsed.clone())));
        }
        for odd in
            ["A.example.com", "wildcard_", "wildcard_.com", "wildcard_.A.example", "*.example.com", "a_b.example"]
        {
            assert_eq!(subject(odd), None, "{odd}");
        }
    }

    #[test]
    fn keys_that_could_leave_the_root_are_refused() {
        let root = Path::new("/root");
        let long = "a".repeat(256);
        let deep = ["a"; 9].join("/");
        for key in ["", "/", "/etc/passwd", "..", "a/../b", "a//b", "a/", "./a", "a/.b", "a\\b", "a\0b", &long, &deep] {
            assert!(document(root, key).is_err(), "{key}");
        }
        for key in ["a", "namegate/orders/shop.example.com.json", "acme/x/users/a@b.c/a.key"] {
            assert_eq!(document(root, key).unwrap(), root.join(key));
        }
    }
}
