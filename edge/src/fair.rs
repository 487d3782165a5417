//! Fair use of the machine: nobody takes what others need.
//!
//! Every visitor's connection takes a [`Seat`] when it arrives and gives it back when it ends. Three questions are asked
//! on the way, all of them before anything is signed:
//!
//! 1. on arrival: how many connections has this address, and how many of them have not finished their handshake
//!    (`counts`)?
//! 2. after the hello: how many handshakes has this address begun of late, and how many have all (`bucket`)?
//! 3. when the machine runs short of connections, descriptors or memory (`pressure`): which visitor has been idle the
//!    longest (`crowd`)? It is asked to leave.
//!
//! Two more are asked of each request: how many has its hostname in flight (`lanes`), and how many bytes of bodies passed
//! for it of late (`bandwidth`)?
//!
//! An *address* is an IPv4 address or an IPv6 /64, which is what one customer of a network gets. Whoever is refused is
//! reset: no alert, no farewell, no socket that lingers. Requests cost two counts on their own seat; every lock here is
//! taken once or twice in the life of a connection. Visitors choose the addresses, so no table grows with them: counts
//! exist for open connections only, and buckets live in a table of fixed size.

mod bandwidth;
mod bucket;
mod counts;
mod crowd;
mod lanes;
mod memory;
mod metrics;
mod pressure;
mod seat;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use prometheus::Registry;
use tokio::time::Instant;

pub(crate) use self::pressure::watch;
pub use self::{
    bandwidth::Bandwidth,
    bucket::Rate,
    lanes::{Lane, Lanes, OnLane},
    metrics::Shortage,
    pressure::{Level, MemoryLimits},
    seat::{Busy, Seat},
};
use self::{bucket::Buckets, counts::Counts, crowd::Crowd, metrics::FairMetrics, pressure::Pressure};

/// Requests in flight on one connection that make it one of those that are cut while memory is full: more than a page's
/// worth of a browser that waits for its first answers, a fraction of what a visitor needs who wants memory held.
const CROWDED: u32 = 24;

/// The bounds of fair use. "Per address" is per IPv4 address or IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FairLimits {
    /// Connections of one address.
    pub address_connections: usize,
    /// Connections of one address whose handshake is not done.
    pub address_handshakes: usize,
    /// Handshakes that one address may begin.
    pub address_rate: Rate,
    /// Connections of everybody whose handshake is not done.
    pub handshakes: usize,
    /// Handshakes that everybody together may begin.
    pub rate: Rate,
}

/// Who counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// One IPv4 address.
    V4(u32),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.into()),
            IpAddr::V6(address) => Self::V6((u128::from(address) >> 64) as u64),
        }
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its address has as many connections as one may have.
    #[error("the address has too many connections")]
    AddressConnections,
    /// Its address began too many handshakes of late.
    #[error("the address begins too many handshakes")]
    AddressHandshakeRate,
    /// Its address has too many connections that are not secured.
    #[error("the address has too many handshakes in flight")]
    AddressHandshakes,
    /// Everybody together began too many handshakes of late.
    #[error("too many handshakes begin")]
    HandshakeRate,
    /// Too many connections are not secured.
    #[error("too many handshakes are in flight")]
    Handshakes,
    /// Memory is full.
    #[error("memory is full")]
    Memory,
}

impl Refused {
    /// Every reason, for metrics that exist from the start.
    pub const ALL: [Self; 6] = [
        Self::AddressConnections,
        Self::AddressHandshakeRate,
        Self::AddressHandshakes,
        Self::HandshakeRate,
        Self::Handshakes,
        Self::Memory,
    ];

    /// A stable word for metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::AddressConnections => "address_connections",
            Self::AddressHandshakeRate => "address_handshake_rate",
            Self::AddressHandshakes => "address_handshakes",
            Self::HandshakeRate => "handshake_rate",
            Self::Handshakes => "handshakes",
            Self::Memory => "memory",
        }
    }
}

/// What all connections of the process share.
#[derive(Debug)]
pub struct Fair {
    counts: Counts,
    buckets: Buckets,
    /// The bucket of everybody.
    overall: AtomicU64,
    crowd: Crowd,
    pressure: Pressure,
    /// Counts slowly; a seat remembers at which beat it was last busy.
    beat: AtomicU32,
    began: Instant,
    metrics: FairMetrics,
}

impl Fair {
    /// Nobody is here yet.
    ///
    /// # Errors
    /// When the metrics are registered already.
    pub fn new(registry: &Registry) -> Result<Arc<Self>, prometheus::Error> {
        Ok(Arc::new(Self {
            counts: Counts::default(),
            buckets: Buckets::new(),
            overall: AtomicU64::new(0),
            crowd: Crowd::default(),
            pressure: Pressure::default(),
            beat: AtomicU32::new(0),
            began: Instant::now(),
            metrics: FairMetrics::new(registry)?,
        }))
    }

    /// Seats a connection that has arrived. Without an address (a trusted balancer) only the bounds of everybody count.
    ///
    /// # Errors
    /// [`Refused`]; nothing is counted then but the refusal.
    pub fn seat(self: &Arc<Self>, address: Option<Address>, limits: &FairLimits) -> Result<Arc<Seat>, Refused> {
        self.metrics.or_count(self.find_seat(address, limits))
    }

    fn find_seat(self: &Arc<Self>, address: Option<Address>, limits: &FairLimits) -> Result<Arc<Seat>, Refused> {
        if self.level() == Level::Full {
            return Err(Refused::Memory);
        }
        let handshakes = &self.metrics.handshakes;
        handshakes.inc();
        let over = usize::try_from(handshakes.get()).is_ok_and(|handshakes| handshakes > limits.handshakes);
        let room = if over { Err(Refused::Handshakes) } else { Ok(()) };
        let counted = room.and_then(|()| address.map_or(Ok(()), |address| self.counts.arrive(address, limits)));
        if let Err(refused) = counted {
            handshakes.dec();
            return Err(refused);
        }
        let seat = Arc::new(Seat::new(self.clone(), address));
        self.crowd.add(&seat);
        Ok(seat)
    }

    /// Charges one handshake to the buckets.
    fn charge(&self, address: Option<Address>, limits: &FairLimits) -> Result<(), Refused> {
        let now = self.nanos();
        if !address.is_none_or(|address| self.buckets.take(address, limits.address_rate, now)) {
            return Err(Refused::AddressHandshakeRate);
        }
        let taken = |full_at| limits.rate.take(full_at, now);
        match self.overall.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refused::HandshakeRate),
        }
    }

    /// Gives back what a resumed handshake was charged too much.
    fn give_back(&self, address: Option<Address>, limits: &FairLimits) {
        if let Some(address) = address {
            self.buckets.give_back(address, limits.address_rate);
        }
        let given = |full_at| Some(limits.rate.give_back(full_at));
        let _ = self.overall.fetch_update(Ordering::AcqRel, Ordering::Acquire, given);
    }

    /// Asks the visitors that have been idle the longest to leave, at most `most`, and returns how many that are.
    pub fn shed(&self, most: usize, why: Shortage) -> usize {
        let shed = self.crowd.shed(most, self.beat.load(Ordering::Relaxed));
        self.metrics.shed(why, shed);
        shed
    }

    /// Ends the connections with the most requests in flight, at most `most`, and returns how many that are.
    fn cut(&self, most: usize, why: Shortage) -> usize {
        let cut = self.crowd.cut(most, CROWDED);
        self.metrics.shed(why, cut);
        cut
    }

    /// How short memory is.
    pub fn level(&self) -> Level {
        self.pressure.level()
    }

    /// The next beat: who was busy during the last one is not idle yet.
    pub fn beat(&self) {
        self.beat.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal that somebody else decided.
    pub fn refused(&self, code: &str) {
        self.metrics.refused(code);
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
