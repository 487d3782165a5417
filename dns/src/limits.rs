//! [`Limits`]: every bound of this crate, in one place.

use std::time::Duration;

/// The EDNS payload that is announced: what passes every path without fragments (DNS flag day 2020).
pub(crate) const UDP_PAYLOAD: u16 = 1232;
/// Room for servers that ignore the announced payload.
pub(crate) const UDP_BUFFER: usize = 4096;
/// Name servers of one zone that are asked. Zones have 2 to 8; a zone with hundreds must not multiply our questions.
pub(crate) const MAX_NAME_SERVERS: usize = 8;
/// Addresses of one name server that are asked. Most have one; behind several may stand machines that differ.
pub(crate) const MAX_ADDRESSES_OF_SERVER: usize = 4;
/// Addresses of one zone's servers.
pub(crate) const MAX_SERVER_ADDRESSES: usize = 16;
/// Levels from a name towards the root. Public CAs refuse names of more than 10 labels.
pub(crate) const MAX_CLIMB: usize = 16;
/// How long the first resolver is waited for before the next is asked as well: longer than a warm answer takes, so that
/// one dead resolver costs a check little.
pub(crate) const HEDGE: Duration = Duration::from_millis(300);
/// Characters of an observed value that are kept: one line of a report.
pub(crate) const MAX_SHOWN: usize = 512;

/// Bounds on what is asked, awaited and kept. The default fits one process that checks 100,000 names a minute.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Questions in flight; each holds a socket, so it stays well under the usual 1,024 descriptors. A single local
    /// resolver with the kernel's usual receive buffer holds about 250: set it to that where there is no other.
    pub queries_in_flight: usize,
    /// How long one attempt waits. A cold resolver may take longer; it has the answer when it is asked again.
    pub attempt_timeout: Duration,
    /// Attempts at one server, for lost packets and cold resolvers.
    pub attempts: u32,
    /// All questions of one check end here; those that have not are indeterminate.
    pub check_deadline: Duration,
    /// Addresses of one name. A site has a handful; a set that holds every address would "contain" ours.
    pub max_addresses: usize,
    /// Records of any other type at one name; apex TXT sets of large companies hold about 60.
    pub max_records: usize,
    /// Steps of a CNAME chain. Resolvers give up at 8 to 17.
    pub max_chain: usize,
    /// Names whose zone and name servers are remembered (about 300 bytes each).
    pub zones_remembered: u64,
    /// How long they are: a customer who moves to another DNS provider waits at most this long for the next truth.
    pub zone_memory: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queries_in_flight: 512,
            attempt_timeout: Duration::from_secs(1),
            attempts: 3,
            check_deadline: Duration::from_secs(10),
            max_addresses: 16,
            max_records: 100,
            max_chain: 8,
            zones_remembered: 200_000,
            zone_memory: Duration::from_mins(5),
        }
    }
}
