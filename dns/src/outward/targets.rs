//! [`Targets`]: where requests may go, decided on the address that is dialled.
//!
//! A name is resolved by the same resolvers that look at customers' records, not by the system: no hosts file, no search
//! domain, no name that means something on our network alone. Only public addresses of the answer are handed to the
//! connector, which dials these and asks nobody again. So a name that changes between a check and the dialling has
//! nothing to win.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

use names::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::{Addresses, Answer, OwnerName, Resolvers};

/// Most addresses of one name that are tried; a name with more is being used against us.
const MAX_ADDRESSES: usize = 8;

/// Where requests may go.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Anywhere, over HTTP too, by the system's resolver: development.
    Any,
    /// To any address of names, over HTTPS: development with a DNS of its own.
    Inside(Resolvers),
    /// To public addresses of names, over HTTPS.
    Public(Resolvers),
}

/// Why nothing is sent to a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The URL holds an address instead of a name.
    #[error("the URL holds an address; only names are told")]
    Address,
    /// Neither `https` nor anything else that we speak.
    #[error("the URL is not one that can be told")]
    Url,
    /// The DNS knows no address.
    #[error("the host has no address")]
    Unknown,
    /// Nobody could be asked.
    #[error("the host could not be resolved: {0}")]
    Unresolved(String),
    /// All its addresses are private, loopback or otherwise special.
    #[error("the host has no public address")]
    Private,
}

impl TargetError {
    /// Whether the target is one that we refuse, rather than one that was not found.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Address | Self::Private | Self::Url => true,
            Self::Unknown | Self::Unresolved(_) => false,
        }
    }
}

impl Targets {
    /// The rule for the text. A connector never resolves an address, so addresses must be stopped here.
    ///
    /// # Errors
    /// [`TargetError::Url`], [`TargetError::Address`].
    pub fn check(&self, text: &str) -> Result<Url, TargetError> {
        let url = Url::parse(text).map_err(|_| TargetError::Url)?;
        match (self, url.scheme(), url.host()) {
            (Self::Any, "http" | "https", Some(_)) => Ok(url),
            (Self::Inside(_) | Self::Public(_), "https", Some(Host::Domain(_))) => Ok(url),
            (Self::Inside(_) | Self::Public(_), "https", Some(Host::Ipv4(_) | Host::Ipv6(_))) => {
                Err(TargetError::Address)
            }
            _ => Err(TargetError::Url),
        }
    }

    /// How names are resolved, unless it is the system's way.
    pub(super) fn resolver(&self) -> Option<Ours> {
        match self {
            Self::Any => None,
            Self::Inside(resolvers) => Some(Ours { resolvers: resolvers.clone(), admit: Ok }),
            Self::Public(resolvers) => Some(Ours { resolvers: resolvers.clone(), admit: public_of }),
        }
    }
}

type Admit = fn(Vec<IpAddr>) -> Result<Vec<IpAddr>, TargetError>;

/// A resolver that knows those addresses only that may be dialled.
pub(super) struct Ours {
    resolvers: Resolvers,
    admit: Admit,
}

impl Resolve for Ours {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolvers, admit) = (self.resolvers.clone(), self.admit);
        Box::pin(async move {
            let found = addresses(&resolvers, name.as_str(), admit).await?;
            // Port 0 stands for the URL's.
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

async fn addresses(resolvers: &Resolvers, name: &str, admit: Admit) -> Result<Vec<IpAddr>, TargetError> {
    let name: OwnerName = name.parse().map_err(|_| TargetError::Url)?;
    match resolvers.addresses(&name).await {
        Answer::Present(Addresses { addresses, .. }) => admit(addresses),
        Answer::Absent(_) => Err(TargetError::Unknown),
        Answer::Indeterminate(reason) => Err(TargetError::Unresolved(reason.to_string())),
    }
}

fn public_of(addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, TargetError> {
    if addresses.is_empty() {
        return Err(TargetError::Unknown);
    }
    let public: Vec<_> = addresses.into_iter().filter(|ip| is_public(*ip)).take(MAX_ADDRESSES).collect();
    if public.is_empty() { Err(TargetError::Private) } else { Ok(public) }
}

/// What our own resolver said, somewhere under what the client says.
pub fn refusal<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e TargetError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_addresses_of_a_name_are_dialled() {
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let mixed = ips(&["127.0.0.1", "1.1.1.1", "fd00::1", "::ffff:10.0.0.1", "2606:4700::1111"]);
        assert_eq!(public_of(mixed), Ok(ips(&["1.1.1.1", "2606:4700::1111"])));
        assert_eq!(public_of(ips(&["169.254.169.254", "64:ff9b::a9fe:a9fe"])), Err(TargetError::Private));
        assert_eq!(public_of(Vec::new()), Err(TargetError::Unknown));
        let many = (1..100).map(|n| IpAddr::from([1, 1, 1, n])).collect();
        assert_eq!(public_of(many).map(|found| found.len()), Ok(MAX_ADDRESSES));
    }
}
