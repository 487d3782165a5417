//! [`Place`]: one address of an origin, checked, and the name that it has to prove.

use std::{
    hash::{BuildHasher as _, Hash, Hasher, RandomState},
    net::SocketAddr,
    sync::OnceLock,
};

use rustls::pki_types::ServerName;

/// Where connections go. What is equal may share connections.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The address, which the rule allows.
    pub address: SocketAddr,
    /// The name in the certificate; none without TLS.
    pub tls: Option<ServerName<'static>>,
    /// Hashed once: requests look connections up by it.
    pub(super) hash: usize,
}

impl Place {
    pub(super) fn new(address: SocketAddr, tls: Option<ServerName<'static>>) -> Self {
        static KEYS: OnceLock<RandomState> = OnceLock::new();
        let hash = KEYS.get_or_init(RandomState::new).hash_one((&address, &tls));
        #[expect(clippy::cast_possible_truncation, reason = "a shorter hash is a hash")]
        Self { address, tls, hash: hash as usize }
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.hash);
    }
}
