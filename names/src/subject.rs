//! [`Subject`]: what a certificate is for.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use crate::{Hostname, HostnameError, MAX_HOSTNAME};

/// What a wildcard begins with.
const STAR: &str = "*.";

/// One hostname, or all names one label below a hostname: `shop.example.com`, `*.example.com`.
///
/// In canonical form, as [`Hostname`] has it. A wildcard is never a hostname: nobody visits it, no gate is asked about it.
/// Cheap to clone, and as cheap to make of a hostname.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Arc<str>);

impl Subject {
    /// Parses any spelling of a hostname, with or without `*.` before it.
    ///
    /// # Errors
    /// [`HostnameError`] names the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        match text.strip_prefix(STAR) {
            Some(base) => Self::below(Hostname::parse(base)?.as_str()),
            None => Ok(Hostname::parse(text)?.into()),
        }
    }

    /// The wildcard that covers `name`; `None` when it would stand for all names below a top-level domain.
    pub fn above(name: &Hostname) -> Option<Self> {
        Self::below(name.parent()?).ok()
    }

    fn below(base: &str) -> Result<Self, HostnameError> {
        match base.len() + STAR.len() > MAX_HOSTNAME {
            true => Err(HostnameError::TooLong),
            false => Ok(Self(format!("{STAR}{base}").into())),
        }
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for all names one label below another.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(STAR)
    }

    /// The hostname, unless it is a wildcard.
    pub fn hostname(&self) -> Option<Hostname> {
        (!self.is_wildcard()).then(|| Hostname::from_canonical(Arc::clone(&self.0)))
    }

    /// The hostname, or what stands behind the `*.`: the identifier whose control is proven (RFC 8555 section 7.1.3).
    pub fn base(&self) -> Hostname {
        match self.0.strip_prefix(STAR) {
            Some(base) => Hostname::from_canonical(base.into()),
            None => Hostname::from_canonical(Arc::clone(&self.0)),
        }
    }
}

impl From<&Hostname> for Subject {
    fn from(name: &Hostname) -> Self {
        Self(name.shared())
    }
}

impl From<Hostname> for Subject {
    fn from(name: Hostname) -> Self {
        Self::from(&name)
    }
}

impl FromStr for Subject {
    type Err = HostnameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject {
        text.parse().unwrap()
    }

    #[test]
    fn a_wildcard_has_one_form_and_is_no_hostname() {
        let wildcard = subject("*.Bücher.Example.");
        assert_eq!(wildcard.as_str(), "*.xn--bcher-kva.example");
        assert_eq!((wildcard.is_wildcard(), wildcard.hostname()), (true, None));
        assert_eq!(wildcard.base().as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn a_hostname_is_its_own_base() {
        let name: Hostname = "a.example".parse().unwrap();
        let subject = Subject::from(&name);
        assert_eq!((subject.hostname(), subject.base()), (Some(name.clone()), name));
    }

    #[test]
    fn a_name_is_covered_one_label_up_and_no_top_level_domain_covers_anything() {
        let above = |text: &str| Subject::above(&text.parse().unwrap()).map(|subject| subject.to_string());
        assert_eq!(above("a.b.example").as_deref(), Some("*.b.example"));
        assert_eq!(above("b.example"), None);
    }

    #[test]
    fn stars_elsewhere_are_refused() {
        for text in ["*", "*.", "*.example", "*.*.example.com", "a.*.example.com", "a*.example.com", "*.1.2.3.4"] {
            assert!(Subject::parse(text).is_err(), "{text}");
        }
        let longest = format!("*.{}", ["a".repeat(62).as_str(); 4].join("."));
        assert!(Subject::parse(&longest).is_ok());
        assert_eq!(Subject::parse(&longest.replacen('a', "aa", 1)), Err(HostnameError::TooLong));
    }
}
