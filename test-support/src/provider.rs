//! DNS providers on loopback: each answers as its provider does, and can be told to answer as it does on a bad day.
//!
//! [`zone`] is the zone that all of them keep: it refuses what real ones refuse. A shim in [`shims`] puts a provider's
//! wire shape around it; [`server`] adds what goes wrong on the way.

pub mod server;
pub mod shim;
pub mod shims;
pub mod zone;
