//! Tickets that are good for one record of one hostname.
//!
//! A resumed session shows no certificate and proves nothing anew, so it must lead where the session began. rustls holds
//! the SNI of a ticket against that of the hello (RFC 6066 section 3) and nothing else. A name that was deleted and
//! belongs to somebody else now is the same SNI: so each ticket begins with what it is bound to, under the ticket's own
//! encryption, and one that is bound to something else does not decrypt. The visitor then makes a full handshake.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use control_client::Site;
use names::Tenant;
use rustls::server::ProducesTickets;

/// Bytes of what a ticket is bound to: collisions are out of reach, and a ticket grows by 8 per cent.
const BINDING: usize = 16;

/// The process's tickets, bound to a record.
#[derive(Debug)]
pub(super) struct Bound {
    tickets: Arc<dyn ProducesTickets>,
    to: [u8; BINDING],
}

impl Bound {
    /// Binds to a site as it was admitted.
    pub(super) fn new(tickets: Arc<dyn ProducesTickets>, site: &Site) -> Self {
        Self { tickets, to: binding(site) }
    }
}

/// The hostname with its tenant, its record's id and version. Where the gate gives none of them, its origin is all that
/// tells one tenant from the next.
fn binding(site: &Site) -> [u8; BINDING] {
    let id = site.connection_id.as_deref().unwrap_or_default();
    let tenant = site.tenant.as_ref().map(Tenant::as_str).unwrap_or_default();
    let anonymous = site.generation == 0 && id.is_empty() && tenant.is_empty();
    let origin = site.origin.as_ref().filter(|_| anonymous).map(ToString::to_string).unwrap_or_default();
    let mut hash = Context::new(&SHA256);
    let texts = [site.hostname.as_str(), tenant, id, origin.as_str()].map(str::as_bytes);
    for part in texts.into_iter().chain([site.generation.to_be_bytes().as_slice()]) {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

impl ProducesTickets for Bound {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.encrypt(&[&self.to, plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let plain = self.tickets.decrypt(cipher)?;
        plain.strip_prefix(&self.to).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use names::Hostname;
    use proptest::prelude::*;

    use super::*;

    fn site(name: &str, generation: u64, id: Option<&str>, origin: &str, tenant: Option<&str>) -> Site {
        Site {
            hostname: Hostname::parse(name).unwrap(),
            origin: Some(origin.parse().unwrap()),
            keep_host: false,
            generation,
            connection_id: id.map(Arc::from),
            redirect: None,
            tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        }
    }

    fn any_site() -> impl Strategy<Value = Site> {
        let id = prop::option::of(prop::sample::select(vec!["con_1", "con_2"]));
        let origin = prop::sample::select(vec!["http://one.test", "http://two.test"]);
        let name = prop::sample::select(vec!["a.test", "b.test", "aa.test"]);
        let tenant = prop::option::of(prop::sample::select(vec!["app_1", "app_2"]));
        let parts = (name, 0..3_u64, id, origin, tenant);
        parts.prop_map(|(name, generation, id, origin, tenant)| site(name, generation, id, origin, tenant))
    }

    /// What a site's tickets stand for.
    fn record(site: &Site) -> (&str, u64, Option<&str>, Option<String>, Option<&Tenant>) {
        let (id, tenant) = (site.connection_id.as_deref(), site.tenant.as_ref());
        let anonymous = site.generation == 0 && id.is_none() && tenant.is_none();
        let origin = site.origin.as_ref().filter(|_| anonymous).map(ToString::to_string);
        (site.hostname.as_str(), site.generation, id, origin, tenant)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn a_ticket_is_good_for_the_record_that_it_was_made_for(one in any_site(), other in any_site(), plain: [u8; 8]) {
            static TICKETS: std::sync::LazyLock<Arc<dyn ProducesTickets>> =
                std::sync::LazyLock::new(|| rustls::crypto::aws_lc_rs::Ticketer::new().unwrap());
            let ticket = Bound::new(TICKETS.clone(), &one).encrypt(&plain).unwrap();
            let same = record(&one) == record(&other);
            let found = Bound::new(TICKETS.clone(), &other).decrypt(&ticket);
            prop_assert_eq!(found, same.then(|| plain.to_vec()), "{:?} {:?}", one, other);
        }
    }
}
