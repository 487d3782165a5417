//! The issuers that the configuration names.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use certs::{
    AcmeError, AcmeIssuer, AcmeSettings, Challenges, ClockSkew, DnsSolver, ExternalAccount, InternalCa,
    InternalCaError, Issuer, IssuerKey, Preflight, Store,
};
use clock::SharedClock;
use config::{Acme, AcmeLimits, EabError, EdgeConfig, IssuerKind};
use prometheus::Registry;

use crate::{
    dns01::{Scribe, ScribeError},
    preflight::{Scout, ScoutError},
};

/// Why an issuer cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// An ACME directory.
    #[error("the ACME directory cannot be used")]
    Acme(#[from] AcmeError),
    /// Whoever writes the records of DNS-01.
    #[error("acme.dns cannot be put to work")]
    Dns(#[from] ScribeError),
    /// The key of the external account binding.
    #[error("acme.eab_hmac_file cannot be used")]
    Eab(#[from] EabError),
    /// Two parts want the same metric.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// The private CA.
    #[error("the internal CA cannot be opened")]
    Internal(#[from] InternalCaError),
    /// Whoever looks before an order.
    #[error("acme.preflight cannot be put to work")]
    Preflight(#[from] ScoutError),
}

/// Whoever writes the records of DNS-01, if that is configured. Nothing is asked of any provider.
///
/// # Errors
/// [`IssuerError`].
pub fn solver(
    config: &EdgeConfig,
    clock: &SharedClock,
    registry: &Registry,
) -> Result<Option<Arc<dyn DnsSolver>>, IssuerError> {
    let Some(dns) = config.acme.dns.as_ref().filter(|_| config.acme.issuer == IssuerKind::Acme) else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Scribe::new(dns, clock.clone(), registry)?)))
}

/// Whoever looks at names before they are ordered for, if that is wanted. Nobody is asked anything.
///
/// # Errors
/// [`IssuerError`].
fn preflight(
    config: &EdgeConfig,
    challenges: &Arc<Challenges>,
    clock: &SharedClock,
    registry: &Registry,
) -> Result<Option<Arc<dyn Preflight>>, IssuerError> {
    let scout = Scout::new(config, challenges, clock, registry)?;
    Ok(scout.map(|scout| Arc::new(scout) as Arc<dyn Preflight>))
}

/// Builds the issuers in the order in which they are tried. Nothing is asked of any CA.
///
/// # Errors
/// [`IssuerError`].
pub async fn build(
    config: &EdgeConfig,
    store: Arc<dyn Store>,
    challenges: Arc<Challenges>,
    clock: SharedClock,
    solver: Option<&Arc<dyn DnsSolver>>,
    registry: &Registry,
) -> Result<Vec<Arc<dyn Issuer>>, IssuerError> {
    if config.acme.issuer == IssuerKind::Internal {
        return Ok(vec![Arc::new(InternalCa::open(store.as_ref(), clock).await?)]);
    }
    let skew = ClockSkew::new(registry)?;
    let preflight = preflight(config, &challenges, &clock, registry)?;
    let mut issuers: Vec<Arc<dyn Issuer>> = Vec::new();
    for directory in &config.acme.directory {
        let settings = AcmeSettings {
            contact: config.acme.contact.clone(),
            ca_root: config.acme.ca_root.clone(),
            external_account: external_account(&config.acme)?,
            profile: config.acme.profile.clone(),
            order_timeout: config.limits.order_timeout,
            ..AcmeSettings::new(directory.as_str())
        };
        let issuer = AcmeIssuer::new(settings, store.clone(), challenges.clone(), clock.clone())?;
        let AcmeLimits { orders, domain_certificates } = config.acme.limits;
        let issuer = issuer.with_clock_skew(&skew).with_granted(orders, domain_certificates);
        let issuer = match solver {
            Some(solver) => issuer.with_dns(solver.clone(), store.clone()),
            None => issuer,
        };
        issuers.push(Arc::new(match &preflight {
            Some(preflight) => issuer.with_preflight(preflight.clone()),
            None => issuer,
        }));
    }
    Ok(issuers)
}

/// What the control plane calls the issuers that [`build`] made: the directory's URL, or `internal`.
pub fn names(config: &EdgeConfig, issuers: &[Arc<dyn Issuer>]) -> HashMap<IssuerKey, String> {
    let words: Vec<String> = match config.acme.issuer {
        IssuerKind::Acme => config.acme.directory.iter().map(ToString::to_string).collect(),
        IssuerKind::Internal => vec!["internal".to_owned()],
    };
    issuers.iter().map(|issuer| issuer.key().clone()).zip(words).collect()
}

fn external_account(acme: &Acme) -> Result<Option<ExternalAccount>, EabError> {
    let Some(eab) = &acme.eab else {
        return Ok(None);
    };
    let hmac_key = URL_SAFE_NO_PAD.encode(eab.read_hmac_key()?);
    Ok(Some(ExternalAccount { key_id: eab.key_id.clone(), hmac_key }))
}
