//! [`OwnerName`]: the name of a record, which unlike a hostname may hold underscores.

use std::{fmt, str::FromStr};

use hickory_proto::rr::Name;

/// A fully qualified record name, compared without case.
///
/// Prints in lower case and without the final dot, as people write names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerName(Name);

/// Why a text is not an [`OwnerName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a DNS name")]
pub struct NameError {
    /// The text, cut to 80 characters.
    text: String,
}

impl OwnerName {
    /// Takes what an answer holds.
    pub(crate) fn from_answer(name: &Name) -> Self {
        let mut name = name.to_lowercase();
        name.set_fqdn(true);
        Self(name)
    }

    /// As the codec wants it, with the final dot: nothing may add a search domain.
    pub(crate) fn as_name(&self) -> &Name {
        &self.0
    }

    /// One label up; `None` at a top-level name.
    pub fn parent(&self) -> Option<Self> {
        (self.0.num_labels() > 1).then(|| Self(self.0.base_name()))
    }

    /// One label down.
    ///
    /// # Errors
    /// [`NameError`] when the label or the whole is too long.
    pub fn child(&self, label: &str) -> Result<Self, NameError> {
        format!("{label}.{self}").parse()
    }

    /// Whether `self` is `name` or an ancestor of it.
    pub fn holds(&self, name: &Self) -> bool {
        self.0.zone_of(&name.0)
    }

    /// The name and its ancestors, top-level name last.
    pub(crate) fn climb(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }
}

impl FromStr for OwnerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NameError { text: text.chars().take(80).collect() };
        let bare = text.strip_suffix('.').unwrap_or(text);
        let fits = !bare.is_empty() && bare.len() <= 253 && bare.is_ascii() && !bare.contains(['\\', ' ']);
        if !fits {
            return Err(error());
        }
        let name = Name::from_ascii(format!("{bare}.")).map_err(|_| error())?;
        Ok(Self(name.to_lowercase()))
    }
}

impl From<&names::Hostname> for OwnerName {
    fn from(name: &names::Hostname) -> Self {
        // Every hostname is a DNS name; the root stands for the impossible and is never present.
        name.as_str().parse().unwrap_or_else(|_| Self(Name::root()))
    }
}

impl fmt::Display for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_ascii().trim_end_matches('.'))
    }
}

impl fmt::Debug for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for OwnerName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_record_name_is_one_name() {
        let name: OwnerName = "_Challenge.Shop.Example.".parse().unwrap();
        assert_eq!(name.to_string(), "_challenge.shop.example");
        assert_eq!(name, "_challenge.shop.example".parse().unwrap());
        assert_eq!(name.parent().unwrap().to_string(), "shop.example");
        assert_eq!(name.climb().count(), 3);
    }

    #[test]
    fn texts_that_are_no_record_name_are_refused() {
        let long = "a".repeat(64);
        for text in ["", ".", "..", "a..b", &long, "a b.example", "a\\046b.example", "ü.example"] {
            assert!(text.parse::<OwnerName>().is_err(), "{text}");
        }
    }
}
