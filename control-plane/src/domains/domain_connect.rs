//! [`DomainConnect`]: as whom we are known at DNS providers that take templates, and what they offer for a name.

use std::{sync::Arc, time::Duration};

use dns::{
    OwnerName,
    check::{DesiredRecord, EdgeTargets},
    domain_connect::{
        Apply, Client, ClientMetrics, KeyError, Reach, Service, Settings, SigningKey, TemplateText, Why, Wish,
        apply_url, template,
    },
    outward::HttpError,
};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::core::ChallengeForm;

/// Where browsers come back to, below the public URL.
pub(crate) const CALLBACK: &str = "/v1/domain-connect/callback";
/// Everything that is asked for one offer; each question has its own deadline too.
const OFFER: Duration = Duration::from_secs(8);

/// Domain Connect, as the settings describe it. Clones share everything.
#[derive(Clone)]
pub(crate) struct DomainConnect {
    client: Client,
    us: Arc<Us>,
}

/// What does not change.
struct Us {
    key: SigningKey,
    key_host: String,
    below: Service,
    top: Service,
    callback: Url,
}

impl std::fmt::Debug for DomainConnect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DomainConnect").field("callback", &self.us.callback.as_str()).finish_non_exhaustive()
    }
}

/// Why Domain Connect cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DomainConnectError {
    /// A file that the settings name cannot be read.
    #[error("{0} cannot be read")]
    File(String, #[source] std::io::Error),
    /// The client cannot be set up.
    #[error("the client cannot be set up")]
    Http(#[source] HttpError),
    /// The key file holds no key.
    #[error("domain_connect.key_file cannot be used")]
    Key(#[source] KeyError),
    /// The public URL takes no path.
    #[error("domain_connect.public_url cannot be used")]
    PublicUrl,
}

/// What a zone's provider offers for a name.
#[derive(Debug, Clone)]
pub(crate) enum Offer {
    /// Its page writes exactly the name's records. `certain` is whether the provider has said that it knows the template.
    Given {
        /// Who it is.
        settings: Arc<Settings>,
        /// What the page is told.
        wish: Wish,
        /// Whether it has said that it knows the template.
        certain: bool,
    },
    /// No, or nobody could tell.
    None(Why),
    /// We are known at no provider.
    Off,
    /// The name's records are others than the template's.
    OtherRecords,
}

impl Offer {
    /// Where the customer edits records by hand.
    pub(crate) fn control_panel(&self) -> Option<String> {
        match self {
            Self::Given { settings, .. } => settings.control_panel.as_ref().map(ToString::to_string),
            Self::None(_) | Self::Off | Self::OtherRecords => None,
        }
    }
}

/// One customer's way to a provider's page.
pub(crate) struct Trip<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) wish: &'a Wish,
    pub(crate) zone: &'a OwnerName,
    /// The changing part of the challenge.
    pub(crate) token: &'a str,
    pub(crate) state: &'a str,
}

impl DomainConnect {
    pub(crate) fn new(
        settings: &config::DomainConnect,
        resolvers: dns::Resolvers,
        reach: Reach,
        metrics: ClientMetrics,
    ) -> Result<Self, DomainConnectError> {
        let roots = settings.ca_root.as_deref().map(read).transpose()?;
        let client = Client::new(resolvers, reach, roots.as_deref(), metrics).map_err(DomainConnectError::Http)?;
        let callback = Url::parse(&settings.public_url).and_then(|url| url.join(CALLBACK));
        let us = Us {
            key: signing_key(settings)?,
            key_host: settings.key_host.clone(),
            below: service(settings, &settings.service_id),
            top: service(settings, &settings.apex_service_id),
            callback: callback.map_err(|_| DomainConnectError::PublicUrl)?,
        };
        Ok(Self { client, us: Arc::new(us) })
    }

    /// Whether the zone's provider would write these records itself. Ends within seconds.
    pub(super) async fn offer(
        &self,
        name: &OwnerName,
        zone: &OwnerName,
        desired: &[DesiredRecord],
        edge: &EdgeTargets,
    ) -> Offer {
        let Some(wish) = Wish::of(name, zone, desired, edge) else { return Offer::OtherRecords };
        timeout(OFFER, self.ask(zone, wish)).await.unwrap_or(Offer::None(Why::TimedOut))
    }

    async fn ask(&self, zone: &OwnerName, wish: Wish) -> Offer {
        let settings = match self.client.settings(zone).await {
            Ok(settings) => settings,
            Err(why) => return Offer::None(why),
        };
        match self.client.supports(&settings, self.service(&wish)).await {
            Ok(()) => Offer::Given { settings, wish, certain: true },
            Err(why) if why.is_no() => Offer::None(why),
            // The page itself will tell.
            Err(_) => Offer::Given { settings, wish, certain: false },
        }
    }

    fn service(&self, wish: &Wish) -> &Service {
        if wish.host.is_empty() { &self.us.top } else { &self.us.below }
    }

    /// Where the customer says yes; `None` when it cannot be signed.
    pub(crate) fn way(&self, trip: &Trip<'_>) -> Option<Url> {
        let mut variables = trip.wish.variables.clone();
        variables.push(("token", trip.token.to_owned()));
        let apply = Apply {
            service: self.service(trip.wish),
            zone: &trip.zone.to_string(),
            host: &trip.wish.host,
            variables: &variables,
            redirect_uri: &self.us.callback,
            state: trip.state,
            key_host: &self.us.key_host,
        };
        apply_url(trip.settings, &apply, &self.us.key)
    }
}

fn service(settings: &config::DomainConnect, id: &str) -> Service {
    Service { provider_id: settings.provider_id.to_string(), service_id: id.to_owned() }
}

fn read(file: impl AsRef<std::path::Path>) -> Result<String, DomainConnectError> {
    let file = file.as_ref();
    std::fs::read_to_string(file).map_err(|error| DomainConnectError::File(file.display().to_string(), error))
}

/// The key that signs.
///
/// # Errors
/// [`DomainConnectError::File`], [`DomainConnectError::Key`].
pub fn signing_key(settings: &config::DomainConnect) -> Result<SigningKey, DomainConnectError> {
    SigningKey::from_pem(&read(&settings.key_file)?).map_err(DomainConnectError::Key)
}

/// The template that providers are given: for names below the top of a zone, or for the top itself (`addresses`).
pub fn template_of(settings: &config::DomainConnect, form: ChallengeForm, apex: Option<&[std::net::IpAddr]>) -> Value {
    let redirect = Url::parse(&settings.public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let text = TemplateText {
        provider_name: &settings.provider_name,
        service_name: &settings.service_name,
        logo_url: settings.logo_url.as_deref(),
        key_domain: settings.key_domain.as_str(),
        redirect_domain: redirect.as_deref().unwrap_or_default(),
        challenge_label: form.label,
        challenge_prefix: form.prefix,
    };
    let id = if apex.is_some() { &settings.apex_service_id } else { &settings.service_id };
    template(&service(settings, id), &text, apex)
}
