//! [`Secret`] and [`Redactor`]: credentials that no text ever shows.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// What replaces a secret in a text.
const HIDDEN: &str = "[secret]";
/// Shorter texts are not hidden: they would blot out ordinary words, and no provider issues such keys.
const SHORTEST: usize = 6;

/// A credential or a part of one. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a credential, without the white space that copying adds.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    /// Lends the text itself, to be sealed or measured.
    pub fn with<T>(&self, use_it: impl FnOnce(&str) -> T) -> T {
        use_it(&self.0)
    }

    /// The text itself, to be sent and nothing else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The parts of a `a:b:c` credential; `None` when there are fewer than `N` or an empty one.
    pub(crate) fn split<const N: usize>(&self) -> Option<[Self; N]> {
        let parts: Vec<_> = self.0.splitn(N, ':').map(Self::new).collect();
        let parts: [Self; N] = parts.try_into().ok()?;
        parts.iter().all(|part| !part.0.is_empty()).then_some(parts)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Takes secrets out of texts, in every form in which they are sent.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Vec<Zeroizing<String>>);

impl Redactor {
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let quoted = serde_json::Value::from(secret).to_string();
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [secret, quoted.trim_matches('"'), &encoded, &STANDARD.encode(secret)] {
            self.0.push(Zeroizing::new(form.to_owned()));
        }
        // The longest first: a secret may be part of another.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.0.dedup();
    }

    pub(crate) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} forms)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form_it_is_sent_in() {
        let mut redactor = Redactor::default();
        redactor.add("key+/&1234");
        redactor.add("user:key+/&1234");
        for text in ["key+/&1234", "a=key%2B%2F%261234&b", "Basic dXNlcjprZXkrLyYxMjM0", "x user:key+/&1234 y"] {
            let shown = redactor.redact(text);
            assert!(shown.contains(HIDDEN) && !shown.contains("1234") && !shown.contains("dXNl"), "{shown}");
        }
        assert_eq!(format!("{:?}", Secret::new(" key ")), HIDDEN);
    }

    #[test]
    fn a_credential_of_several_parts_has_all_of_them() {
        let parts = |text: &str| Secret::new(text).split::<3>().map(|all| all.map(|part| part.reveal().to_owned()));
        assert_eq!(parts("a:b:c:d").unwrap(), ["a", "b", "c:d"]);
        assert_eq!(parts("a:b"), None);
        assert_eq!(parts("a::c"), None);
    }
}
