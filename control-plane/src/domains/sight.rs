//! [`Standing`]: what stands at a name now, as far as it could be told.

use std::net::IpAddr;

use dns::{Addresses, Answer, OwnerName, Resolvers};

/// What was seen of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sight<T> {
    /// It is not there.
    Absent,
    /// It is.
    Present(Vec<T>),
    /// Nobody could tell; a stable word for why.
    Unknown(&'static str),
}

/// The records of a name that decide about its connection.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// IPv4 addresses, through whatever CNAMEs.
    pub(crate) a: Sight<String>,
    /// IPv6 addresses, through whatever CNAMEs.
    pub(crate) aaaa: Sight<String>,
    /// The name's own CNAME.
    pub(crate) cname: Sight<String>,
    /// Which authorities may issue, from the name or above it.
    pub(crate) caa: Sight<String>,
    /// Mail servers.
    pub(crate) mx: Sight<String>,
}

impl<T> Sight<T> {
    /// What was seen; nothing where nothing could be told.
    pub(crate) fn values(&self) -> &[T] {
        match self {
            Self::Present(values) => values,
            Self::Absent | Self::Unknown(_) => &[],
        }
    }

    fn of<A>(answer: Answer<A>, values: impl FnOnce(A) -> Vec<T>) -> Self {
        match answer {
            Answer::Absent(_) => Self::Absent,
            Answer::Indeterminate(reason) => Self::Unknown(reason.code()),
            Answer::Present(found) => match values(found) {
                values if values.is_empty() => Self::Absent,
                values => Self::Present(values),
            },
        }
    }
}

impl Standing {
    /// The addresses that were seen, of both families.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.a.values().iter().chain(self.aaaa.values()).filter_map(|ip| ip.parse().ok()).collect()
    }

    pub(super) async fn of(resolvers: &Resolvers, name: &OwnerName) -> Self {
        let (addresses, cname, caa, mail) =
            futures::join!(resolvers.addresses(name), resolvers.cname(name), resolvers.caa(name), resolvers.mail(name));
        let (a, aaaa) = families(addresses);
        Self {
            a,
            aaaa,
            cname: Sight::of(cname, |target| vec![target.to_string()]),
            caa: Sight::of(caa, |(_, records)| {
                records.into_iter().map(|record| format!("{} {:?}", record.tag, record.value)).collect()
            }),
            mx: Sight::of(mail, |servers| {
                servers.into_iter().map(|(preference, server)| format!("{preference} {server}")).collect()
            }),
        }
    }
}

/// One family that is there says nothing about the other where that one could not be told.
fn families(answer: Answer<Addresses>) -> (Sight<String>, Sight<String>) {
    let unknown = match &answer {
        Answer::Present(Addresses { unknown: Some(reason), .. }) => Some(reason.code()),
        _ => None,
    };
    let family = |is_wanted: fn(&IpAddr) -> bool| {
        let seen = Sight::of(answer.clone(), |found| {
            found.addresses.into_iter().filter(is_wanted).map(|ip| ip.to_string()).collect()
        });
        match (seen, unknown) {
            (Sight::Absent, Some(reason)) => Sight::Unknown(reason),
            (seen, _) => seen,
        }
    };
    (family(IpAddr::is_ipv4), family(IpAddr::is_ipv6))
}
