//! [`Tenant`]: whose a hostname is.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest id; ours have about thirty characters.
const MAX_TENANT: usize = 128;

/// An opaque id of whoever a hostname is served for. Two of them are the same tenant's or they are not; nothing else can
/// be read from one.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

/// A text that is no id: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's id has 1 to {MAX_TENANT} visible ASCII characters")]
pub struct TenantError;

impl Tenant {
    /// The id as it was told.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what belongs to `one` may be used for `other`: what nobody is known to own is no secret of somebody
    /// else's.
    pub fn may_share(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        }
    }
}

impl FromStr for Tenant {
    type Err = TenantError;

    fn from_str(text: &str) -> Result<Self, TenantError> {
        let sound = (1..=MAX_TENANT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(Self(text.into())) } else { Err(TenantError) }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Tenant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tenant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_visible() {
        let longest = "a".repeat(MAX_TENANT);
        for good in ["app_01JD", "7", "a:b/c~", &longest] {
            assert_eq!(good.parse::<Tenant>().unwrap().as_str(), good);
        }
        let long = "a".repeat(MAX_TENANT + 1);
        for bad in ["", " ", "a b", "a\n", "a\0", "größe", &long] {
            assert_eq!(bad.parse::<Tenant>(), Err(TenantError), "{bad:?}");
        }
    }

    #[test]
    fn only_two_known_tenants_can_differ() {
        let [a, b] = ["a", "b"].map(|id| Some(id.parse::<Tenant>().unwrap()));
        let cases = [(&a, &a, true), (&a, &b, false), (&a, &None, true), (&None, &b, true), (&None, &None, true)];
        for (one, other, shared) in cases {
            assert_eq!(Tenant::may_share(one.as_ref(), other.as_ref()), shared, "{one:?} {other:?}");
        }
    }
}
