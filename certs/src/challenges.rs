//! [`Challenges`]: what orders in flight have to show to the CA.
//!
//! Looked up by strangers, so a question costs one hash lookup and never a storage read, a question to the gate or an
//! allocation. An answer is given only for the name it was offered for: the token of one host is unknown on every
//! other. Two orders for one name never touch each other's offers.
//!
//! In a fleet the authority may ask an edge that has not placed the order. Every edge keeps the others' offers in memory
//! ([`Challenges::follow`]); a question that memory cannot answer waits for the next look at the store, which is one for
//! everybody who waits and comes twenty times in a second at most.

mod others;

use std::{collections::HashMap, fmt, sync::Arc};

use names::Hostname;
use parking_lot::RwLock;
use prometheus::{IntGauge, Registry};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_util::sync::CancellationToken;

use self::others::Others;
use crate::{ChallengeKind, Offer, Store, StoreError};

/// Offers that may stand at once. Orders in flight are bounded far below it; it holds even if somebody leaks guards.
const MAX_OFFERS: usize = 10_000;

/// The challenges of all orders in flight; one table, shared by issuers and listeners.
#[derive(Default)]
pub struct Challenges {
    table: RwLock<Table>,
    /// Offers standing, if anybody counts.
    offers: Option<IntGauge>,
    /// What other edges offer, if there are any.
    others: Option<Others>,
}

#[derive(Default)]
struct Table {
    names: HashMap<Hostname, Offers>,
    standing: usize,
    next: u64,
}

/// What is offered for one name, in the order in which it was offered.
#[derive(Default)]
struct Offers {
    alpn: Vec<(u64, Arc<CertifiedKey>)>,
    http: Vec<(u64, Token)>,
}

struct Token {
    token: Box<str>,
    answer: Arc<str>,
}

impl Offers {
    /// Of several the one offered last.
    fn alpn(&self) -> Option<Arc<CertifiedKey>> {
        self.alpn.last().map(|(_, certificate)| Arc::clone(certificate))
    }

    fn http(&self, token: &str) -> Option<Arc<str>> {
        let offered = self.http.iter().find(|(_, offer)| *offer.token == *token);
        offered.map(|(_, offer)| Arc::clone(&offer.answer))
    }
}

/// What other edges need to know of an offer.
struct Shown<'a> {
    kind: ChallengeKind,
    token: &'a str,
    answer: &'a str,
}

impl Shown<'_> {
    fn offer(&self, name: &Hostname) -> Offer {
        let (token, answer) = (self.token.to_owned(), self.answer.to_owned());
        Offer { name: name.clone(), kind: self.kind, token, answer }
    }
}

/// A challenge could not be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The certificate of RFC 8737 could not be made.
    #[error("the challenge certificate could not be made")]
    Certificate(#[source] rcgen::Error),
    /// Its key is refused by rustls.
    #[error("the challenge key cannot be used")]
    Key(#[source] rustls::Error),
    /// More offers stand than orders can be in flight.
    #[error("{MAX_OFFERS} challenges are offered already")]
    TooMany,
}

impl Challenges {
    /// An empty table whose size is shown as `namegate_edge_acme_challenges_offered`.
    ///
    /// # Errors
    /// [`prometheus::Error`] when the registry holds that name already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let offers = IntGauge::new("namegate_edge_acme_challenges_offered", "Challenges offered to CAs right now.")?;
        registry.register(Box::new(offers.clone()))?;
        Ok(Self { offers: Some(offers), ..Self::default() })
    }

    /// The same, with what the processes offer that share `store`, if it is shared.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn shared(store: &Arc<dyn Store>, registry: &Registry) -> Result<Self, prometheus::Error> {
        let others = store.fleet().is_some().then(|| Others::new(Arc::clone(store)));
        Ok(Self { others, ..Self::new(registry)? })
    }

    /// Keeps what others offer up to date until `stop`; ends at once when there are none.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        if let Some(others) = &self.others {
            let _: Option<()> = stop.run_until_cancelled(others.follow()).await;
        }
    }

    /// Offers the certificate of TLS-ALPN-01 (RFC 8737) for `name`; `digest` is the SHA-256 of the key authorization.
    ///
    /// # Errors
    /// [`OfferError`] when the certificate cannot be made or too many offers stand.
    pub fn offer_alpn(self: &Arc<Self>, name: &Hostname, digest: &[u8; 32]) -> Result<Guard, OfferError> {
        let certificate = alpn_certificate(name, digest)?;
        let shown = Shown { kind: ChallengeKind::TlsAlpn01, token: "", answer: &others::hex(digest) };
        self.offer(name, &shown, |offers, id| offers.alpn.push((id, certificate)))
    }

    /// Offers the file of HTTP-01 (RFC 8555 section 8.3) for `name`.
    ///
    /// # Errors
    /// [`OfferError::TooMany`].
    pub fn offer_http(
        self: &Arc<Self>,
        name: &Hostname,
        token: &str,
        key_authorization: &str,
    ) -> Result<Guard, OfferError> {
        let shown = Shown { kind: ChallengeKind::Http01, token, answer: key_authorization };
        let token = Token { token: token.into(), answer: key_authorization.into() };
        self.offer(name, &shown, |offers, id| offers.http.push((id, token)))
    }

    /// The certificate to answer `acme-tls/1` with: of several orders' the one offered last.
    pub fn find_alpn(&self, name: &Hostname) -> Option<Arc<CertifiedKey>> {
        let own = self.table.read().names.get(name).and_then(Offers::alpn);
        own.or_else(|| self.others.as_ref()?.find(name, Offers::alpn))
    }

    /// The key authorization to answer `/.well-known/acme-challenge/<token>` with.
    pub fn find_http(&self, name: &Hostname, token: &str) -> Option<Arc<str>> {
        let own = self.table.read().names.get(name).and_then(|offers| offers.http(token));
        own.or_else(|| self.others.as_ref()?.find(name, |offers| offers.http(token)))
    }

    /// As [`find_alpn`](Self::find_alpn); what is not in memory may be another edge's offer of this moment, which is
    /// waited for.
    pub async fn search_alpn(&self, name: &Hostname) -> Option<Arc<CertifiedKey>> {
        match (self.find_alpn(name), &self.others) {
            (None, Some(others)) => {
                others.looked().await;
                self.find_alpn(name)
            }
            (found, _) => found,
        }
    }

    /// The same for [`find_http`](Self::find_http).
    pub async fn search_http(&self, name: &Hostname, token: &str) -> Option<Arc<str>> {
        match (self.find_http(name, token), &self.others) {
            (None, Some(others)) => {
                others.looked().await;
                self.find_http(name, token)
            }
            (found, _) => found,
        }
    }

    /// How many offers stand.
    pub fn len(&self) -> usize {
        self.table.read().standing
    }

    /// Whether none stands.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn offer(
        self: &Arc<Self>,
        name: &Hostname,
        shown: &Shown<'_>,
        put: impl FnOnce(&mut Offers, u64),
    ) -> Result<Guard, OfferError> {
        let mut table = self.table.write();
        if table.standing >= MAX_OFFERS {
            return Err(OfferError::TooMany);
        }
        let id = table.next;
        table.next += 1;
        table.standing += 1;
        put(table.names.entry(name.clone()).or_default(), id);
        self.show(&table);
        let offer = self.others.is_some().then(|| shown.offer(name));
        Ok(Guard { challenges: Arc::clone(self), name: name.clone(), id, offer, row: None })
    }

    fn show(&self, table: &Table) {
        if let Some(gauge) = &self.offers {
            gauge.set(i64::try_from(table.standing).unwrap_or(i64::MAX));
        }
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").field("offers", &self.len()).finish_non_exhaustive()
    }
}

/// An offer; dropping it withdraws this offer and no other.
#[must_use = "dropping the guard withdraws the offer"]
pub struct Guard {
    challenges: Arc<Challenges>,
    name: Hostname,
    id: u64,
    /// What others have to know.
    offer: Option<Offer>,
    /// Its row in the store, once it is there.
    row: Option<u64>,
}

impl Guard {
    /// Shows the offer to the other edges, if there are any: before the authority is told to look.
    ///
    /// # Errors
    /// [`StoreError`] when they do not know of it.
    pub(crate) async fn show(&mut self) -> Result<(), StoreError> {
        if let (Some(others), Some(offer)) = (&self.challenges.others, &self.offer) {
            self.row = Some(others.show(offer).await?);
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let (Some(others), Some(row)) = (&self.challenges.others, self.row) {
            others.withdraw(row);
        }
        let mut table = self.challenges.table.write();
        if let Some(offers) = table.names.get_mut(&self.name) {
            offers.alpn.retain(|(id, _)| *id != self.id);
            offers.http.retain(|(id, _)| *id != self.id);
            if offers.alpn.is_empty() && offers.http.is_empty() {
                table.names.remove(&self.name);
            }
        }
        table.standing = table.standing.saturating_sub(1);
        self.challenges.show(&table);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A self-signed certificate with the name alone and the critical acmeIdentifier extension (RFC 8737 section 3).
fn alpn_certificate(name: &Hostname, digest: &[u8; 32]) -> Result<Arc<CertifiedKey>, OfferError> {
    let key = KeyPair::generate().map_err(OfferError::Certificate)?;
    let mut params = CertificateParams::new([name.as_str().to_owned()]).map_err(OfferError::Certificate)?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(OfferError::Certificate)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(OfferError::Key)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn name(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_served_on_its_own_host_and_only_while_its_order_is_in_flight() {
        let challenges = Arc::new(Challenges::default());
        let guard = challenges.offer_http(&name("a.example"), "token", "token.thumb").unwrap();
        assert_eq!(challenges.find_http(&name("a.example"), "token").as_deref(), Some("token.thumb"));
        assert_eq!(challenges.find_http(&name("b.example"), "token"), None);
        assert_eq!(challenges.find_http(&name("a.example"), "other"), None);
        drop(guard);
        assert_eq!(challenges.find_http(&name("a.example"), "token"), None);
        assert!(challenges.is_empty());
    }

    #[test]
    fn two_orders_for_one_name_do_not_overwrite_one_another() {
        let challenges = Arc::new(Challenges::default());
        let a = name("a.example");
        let (first, second) = (challenges.offer_http(&a, "1", "one"), challenges.offer_http(&a, "2", "two"));
        assert_eq!(challenges.find_http(&a, "1").as_deref(), Some("one"));
        assert_eq!(challenges.find_http(&a, "2").as_deref(), Some("two"));
        drop(first);
        assert_eq!(challenges.find_http(&a, "2").as_deref(), Some("two"));
        drop(second);

        let older = challenges.offer_alpn(&a, &[1; 32]).unwrap();
        let old = challenges.find_alpn(&a).unwrap();
        let newer = challenges.offer_alpn(&a, &[2; 32]).unwrap();
        assert!(!Arc::ptr_eq(&old, &challenges.find_alpn(&a).unwrap()));
        drop(newer);
        assert!(Arc::ptr_eq(&old, &challenges.find_alpn(&a).unwrap()));
        drop(older);
        assert!(challenges.find_alpn(&a).is_none());
    }

    #[test]
    fn withdrawing_the_older_offer_leaves_the_newer_one() {
        let challenges = Arc::new(Challenges::default());
        let a = name("a.example");
        let older = challenges.offer_alpn(&a, &[1; 32]).unwrap();
        let newer = challenges.offer_alpn(&a, &[2; 32]).unwrap();
        let standing = challenges.find_alpn(&a).unwrap();
        drop(older);
        assert!(Arc::ptr_eq(&standing, &challenges.find_alpn(&a).unwrap()));
        drop(newer);
        assert!(challenges.is_empty());
    }

    #[test]
    fn the_challenge_certificate_is_what_rfc_8737_asks_for() {
        let challenges = Arc::new(Challenges::default());
        let long = name(&format!("{0}.{0}.example", "a".repeat(63)));
        let _guard = challenges.offer_alpn(&long, &[7; 32]).unwrap();
        let certified = challenges.find_alpn(&long).unwrap();
        let (_, certificate) = X509Certificate::from_der(&certified.cert[0]).unwrap();
        let identifier =
            certificate.extensions().iter().find(|e| e.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(identifier.critical);
        assert_eq!(identifier.value, [&[4, 32], &[7; 32][..]].concat());
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
    }

    #[test]
    fn offers_are_bounded() {
        let challenges = Arc::new(Challenges::default());
        let a = name("a.example");
        let _guards: Vec<_> =
            (0..MAX_OFFERS).map(|i| challenges.offer_http(&a, &i.to_string(), "x").unwrap()).collect();
        assert!(matches!(challenges.offer_http(&a, "more", "x"), Err(OfferError::TooMany)));
    }
}
