//! One report about one hostname: what the DNS, the gate, the ports and the served certificate look like, and what to
//! do next.
//!
//! [`examine`] gathers [`Facts`] from real peers, each within a bound of its own, all at once; [`judge`] turns them into
//! a [`Report`] and asks nobody. Nothing is written, and no schema is changed. The one surprising thing: the doctor
//! greets the edge as a visitor would, so that a name which may have a certificate and has none gets it ordered.

mod certificate;
mod gather;
mod judge;
mod reach;

use std::net::{IpAddr, SocketAddr};

use clock::Timestamp;
use dns::{
    Answer, CaaRecord, OwnerName,
    check::{Finding, ObservedRecord, Ownership},
};
use names::Hostname;
use serde::Serialize;

pub use certificate::{Link, Served, Trust};
pub use gather::{Patient, examine};
pub use judge::judge;
pub use reach::{Roots, RootsError};

/// Everything that was seen.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The name.
    pub hostname: Hostname,
    /// When.
    pub at: Timestamp,
    /// Which database was read, or why none could be.
    pub database: Result<&'static str, String>,
    /// The connection that holds the name, or else the newest that wants it.
    pub connection: Option<KnownConnection>,
    /// What an edge is told that asks; `None` without a database.
    pub gate: Option<GateAnswer>,
    /// The zone and its servers; `None` when the zone's own servers are not to be asked.
    pub delegation: Option<Answer<(OwnerName, Vec<OwnerName>)>>,
    /// The challenge of the connection.
    pub challenge: Option<Challenge>,
    /// The records that should be there.
    pub records: Vec<ObservedRecord>,
    /// The CAA records that hold.
    pub caa: Answer<(OwnerName, Vec<CaaRecord>)>,
    /// Whether it is known who our CA is.
    pub caa_is_judged: bool,
    /// What stands in the way in the DNS.
    pub findings: Vec<Finding>,
    /// The ports of the edge.
    pub ports: Vec<Port>,
    /// What is served under the name, at the edge and where the name leads.
    pub served: Vec<Greeting>,
}

/// What matters of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownConnection {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// For which application.
    pub application_id: String,
    /// Its state, as the API says it.
    pub state: &'static str,
    /// Why it is not live, for the SaaS.
    pub why: Option<String>,
    /// The same for its customer: what to do.
    pub user_message: Option<String>,
    /// Whether ownership was shown already.
    pub is_proven: bool,
    /// How many others want the name.
    pub others: usize,
    /// The authority's last problem with its certificate, as far as edges told.
    pub problem: Option<String>,
}

/// What the ask says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateAnswer {
    /// Yes, with the origin.
    Allowed {
        /// Where requests go, if the gate says so.
        origin: Option<String>,
    },
    /// No.
    Denied,
    /// The database was not there to ask.
    Unknown(String),
}

/// The challenge and what was seen of it.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Its owner name.
    pub name: String,
    /// Its value.
    pub expected: String,
    /// What was seen.
    pub seen: Ownership,
}

/// One port of the edge, as seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Where.
    pub address: SocketAddr,
    /// Whether it is the one for TLS.
    pub is_tls: bool,
    /// Why no connection was made, if none was.
    pub problem: Option<String>,
}

/// One TLS handshake under the name.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// With whom.
    pub address: SocketAddr,
    /// Whether that is an edge of ours.
    pub is_edge: bool,
    /// What it served.
    pub outcome: Result<Served, GreetingError>,
}

/// Why a handshake brought no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection was there, the certificate was not.
    #[error("no handshake: {0}")]
    Handshake(String),
    /// The alert `unrecognized_name`: whoever answers has no certificate for the name and will not get one.
    #[error("the server refuses the name (TLS alert unrecognized_name)")]
    UnknownName,
}

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Something that must be changed.
    Problem,
    /// Not looked at, by configuration or because something else must come first.
    Skipped,
    /// It could not be told.
    Unknown,
    /// It works, but somebody should know.
    Warning,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A stable word, such as `records`.
    pub name: &'static str,
    /// How it is.
    pub status: Status,
    /// What was found, in a sentence.
    pub summary: String,
    /// Who said what.
    pub details: Vec<String>,
    /// What to do, if something is to be done.
    pub todo: Option<String>,
}

/// The whole report. Its fields and the words in them are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The name.
    pub hostname: Hostname,
    /// Whether everything that was looked at is as it should be.
    pub healthy: bool,
    /// When, in RFC 3339.
    pub at: String,
    /// The connection that the report is about.
    pub connection: Option<KnownConnection>,
    /// What was looked at, in the order in which things depend on each other.
    pub checks: Vec<Check>,
    /// What to do next, the first thing first.
    pub next: Vec<String>,
}

/// At most so many addresses are looked at: an edge has a handful, and a customer's name may have any number.
const MAX_ADDRESSES: usize = 8;

/// The distinct addresses, a bounded number of them.
fn few(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut few = Vec::new();
    for address in addresses {
        if few.len() < MAX_ADDRESSES && !few.contains(&address) {
            few.push(address);
        }
    }
    few
}
