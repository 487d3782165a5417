//! [`Known`]: a known name and what is served under it, in few bytes.
//!
//! There may be a million of them and most are never visited, so the fields lie in one piece of memory and become a
//! [`Site`] at admission.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::Arc,
};

use control_api::{Route, SnapshotName};
use names::{Hostname, Tenant};

use super::origins::Origins;
use crate::{Origin, Site, origin, site::SiteError};

const KEEP_HOST: u8 = 1;
const POINTING: u8 = 2;

/// Equal and hashed by its name.
#[derive(Clone)]
pub(super) struct Known {
    /// Length of the name, name, generation, flags, lengths of the connection's and the tenant's id, both, the redirect.
    text: Box<[u8]>,
    origin: Option<Arc<Origin>>,
}

#[derive(Default, Clone, Copy)]
struct Parts<'a> {
    generation: u64,
    flags: u8,
    connection_id: &'a [u8],
    tenant: &'a [u8],
    redirect: &'a [u8],
}

impl Known {
    /// Checks and packs.
    pub(super) fn pack(name: &Hostname, generation: u64, route: &Route, origins: &Origins) -> Result<Self, SiteError> {
        let origin = route.origin.as_deref().map(|text| origins.find(text)).transpose().map_err(SiteError::Origin)?;
        let redirect = route.redirect.as_deref().map(|url| origin::parse_redirect(url).ok_or(SiteError::Redirect));
        let redirect = redirect.transpose()?.unwrap_or_default();
        // The id is for logs alone; no id of ours is that long.
        let id = route.connection_id.as_deref().filter(|id| id.len() <= usize::from(u8::MAX)).unwrap_or_default();
        let tenant = route.tenant.as_ref().map(Tenant::as_str).unwrap_or_default();
        let short = |text: &str| u8::try_from(text.len()).unwrap_or(0);
        let flags = if route.keep_host { KEEP_HOST } else { 0 } | if route.pointing { POINTING } else { 0 };
        let text = [
            &[short(name.as_str())],
            name.as_str().as_bytes(),
            &generation.to_le_bytes(),
            &[flags, short(id), short(tenant)],
            id.as_bytes(),
            tenant.as_bytes(),
            redirect.as_bytes(),
        ];
        Ok(Self { text: text.concat().into(), origin })
    }

    fn parts(&self) -> Parts<'_> {
        // Only `pack` makes the bytes, so the default is never seen.
        self.split().unwrap_or_default()
    }

    fn split(&self) -> Option<Parts<'_>> {
        let (length, rest) = self.text.split_first()?;
        let (_, rest) = rest.split_at_checked(usize::from(*length))?;
        let (generation, rest) = rest.split_first_chunk()?;
        let ([flags, id, tenant], rest) = rest.split_first_chunk()?;
        let (connection_id, rest) = rest.split_at_checked(usize::from(*id))?;
        let (tenant, redirect) = rest.split_at_checked(usize::from(*tenant))?;
        Some(Parts { generation: u64::from_le_bytes(*generation), flags: *flags, connection_id, tenant, redirect })
    }

    /// The name.
    pub(super) fn name(&self) -> &[u8] {
        let (length, rest) = self.text.split_first().unwrap_or((&0, &[]));
        rest.get(..usize::from(*length)).unwrap_or_default()
    }

    /// The name as a type; `None` never happens.
    pub(super) fn hostname(&self) -> Option<Hostname> {
        text(self.name())?.parse().ok()
    }

    /// Version of what is served.
    pub(super) fn generation(&self) -> u64 {
        self.parts().generation
    }

    /// Whether a certificate can be had.
    pub(super) fn pointing(&self) -> bool {
        self.parts().flags & POINTING != 0
    }

    /// The control plane's id of the connection.
    pub(super) fn connection_id(&self) -> Option<Arc<str>> {
        text(self.parts().connection_id).map(Arc::from)
    }

    /// Whose the name is.
    pub(super) fn tenant(&self) -> Option<Tenant> {
        text(self.parts().tenant)?.parse().ok()
    }

    /// The new tenant, if it is another one than this one's.
    pub(super) fn moves_to(&self, new: &Self) -> Option<Tenant> {
        let (old, tenant) = (self.parts().tenant, new.parts().tenant);
        if old.is_empty() || tenant.is_empty() || old == tenant { None } else { new.tenant() }
    }

    /// Whether everything in it is the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.text == other.text && self.origin == other.origin
    }

    /// What the gate admits.
    pub(super) fn site(&self, name: &Hostname, default_origin: Option<&Origin>) -> Site {
        let parts = self.parts();
        Site {
            hostname: name.clone(),
            origin: self.origin.as_deref().or(default_origin).cloned(),
            keep_host: parts.flags & KEEP_HOST != 0,
            generation: parts.generation,
            connection_id: self.connection_id(),
            redirect: text(parts.redirect).map(Arc::from),
            tenant: self.tenant(),
        }
    }

    /// Its line in a snapshot.
    pub(super) fn unpack(&self) -> Option<SnapshotName> {
        let parts = self.parts();
        let route = Route {
            origin: self.origin.as_ref().map(ToString::to_string),
            keep_host: parts.flags & KEEP_HOST != 0,
            redirect: text(parts.redirect).map(str::to_owned),
            connection_id: text(parts.connection_id).map(str::to_owned),
            pointing: parts.flags & POINTING != 0,
            tenant: self.tenant(),
        };
        Some(SnapshotName { hostname: self.hostname()?, generation: parts.generation, route })
    }
}

/// A text that is there.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

impl Borrow<[u8]> for Known {
    fn borrow(&self) -> &[u8] {
        self.name()
    }
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Known {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let origins = Origins::default();
        let full = Route {
            origin: Some("https://app.example:8443".to_owned()),
            keep_host: true,
            redirect: Some("https://new.example/base".to_owned()),
            connection_id: Some("conn_1".to_owned()),
            pointing: true,
            tenant: Some("app_1".parse().unwrap()),
        };
        for route in [full, Route::default()] {
            let name: Hostname = "shop.example".parse().unwrap();
            let known = Known::pack(&name, u64::MAX - 1, &route, &origins).unwrap();
            let line = SnapshotName { hostname: name, generation: u64::MAX - 1, route };
            assert_eq!(known.unpack(), Some(line));
        }
    }

    #[test]
    fn what_the_gate_would_refuse_is_refused_here() {
        let name: Hostname = "shop.example".parse().unwrap();
        let bad = [("ftp://a", None), ("http://a/b", None), ("http://a", Some("/path"))];
        for (origin, redirect) in bad {
            let (origin, redirect) = (Some(origin.to_owned()), redirect.map(str::to_owned));
            let route = Route { origin, redirect, ..Route::default() };
            assert!(Known::pack(&name, 1, &route, &Origins::default()).is_err());
        }
    }
}
