//! The providers that can be written to.

use std::sync::Arc;

use super::{
    adapter::Adapter,
    adapters::{
        azuredns, cloudflare, desec, digitalocean, dnsimple, gandi, gcpdns, godaddy, hetzner, ionos, linode, namecheap,
        namecom, netlify, porkbun, rfc2136, route53, vercel, vultr,
    },
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    secret::Secret,
};

/// Makes an adapter of a credential; the last argument is the zone's id where the customer gave one.
type Connect = fn(&Http, &Secret, Option<&str>) -> Result<Arc<dyn Adapter>, Problem>;

const ALL: &[(&Facts, Connect)] = &[
    (&cloudflare::FACTS, cloudflare::connect),
    (&digitalocean::FACTS, digitalocean::connect),
    (&gandi::FACTS, gandi::connect),
    (&desec::FACTS, desec::connect),
    (&hetzner::FACTS, hetzner::connect),
    (&vercel::FACTS, vercel::connect),
    (&dnsimple::FACTS, dnsimple::connect),
    (&porkbun::FACTS, porkbun::connect),
    (&linode::FACTS, linode::connect),
    (&vultr::FACTS, vultr::connect),
    (&namecom::FACTS, namecom::connect),
    (&netlify::FACTS, netlify::connect),
    (&godaddy::FACTS, godaddy::connect),
    (&route53::FACTS, route53::connect),
    (&gcpdns::FACTS, gcpdns::connect),
    (&azuredns::FACTS, azuredns::connect),
    (&namecheap::FACTS, namecheap::connect),
    (&ionos::FACTS, ionos::connect),
    (&rfc2136::FACTS, rfc2136::connect),
];

/// All providers, in the order in which they are shown.
pub fn catalogue() -> impl Iterator<Item = &'static Facts> {
    ALL.iter().map(|(facts, _)| *facts)
}

/// The adapter of the provider `key` with a credential of the form that its [`Facts::credential`] describes.
///
/// Asks nobody: a credential that is well formed and unknown to the provider shows at the first question.
///
/// # Errors
/// [`Problem::BadCredential`] for another form, [`Problem::Unsupported`] for an unknown key.
pub fn connect(
    http: &Http,
    key: &str,
    credential: &Secret,
    zone_id: Option<&str>,
) -> Result<Arc<dyn Adapter>, ProviderError> {
    let Some((facts, connect)) = ALL.iter().find(|(facts, _)| facts.key == key) else {
        return Err(ProviderError::new("DNS provider", Problem::Unsupported("there is no such provider")));
    };
    connect(http, credential, zone_id).map_err(|problem| ProviderError::new(facts.name, problem))
}
