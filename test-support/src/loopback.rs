//! [`Loopback`]: an address of 127.0.0.0/8 that no other test uses.

use std::{
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

/// Held as long as the address is in use: whoever finds it taken tries another address. Below the range that the
/// system hands out for port 0, and used by nothing else here.
const GUARD_PORT: u16 = 1999;
/// More collisions than this in 14 million addresses mean that loopback itself does not work.
const ATTEMPTS: usize = 64;

/// A loopback address of one's own. Clones share it; it is free again when the last one is dropped.
///
/// Programs that need a port number before they start (Pebble, the edge) use constant ones on it and never collide.
/// Addresses in 127.0.0.0/12 are never handed out: people run things there.
#[derive(Debug, Clone)]
pub struct Loopback {
    ip: Ipv4Addr,
    _guard: Arc<TcpListener>,
}

impl Loopback {
    /// Takes a free address.
    pub fn take() -> Self {
        for _ in 0..ATTEMPTS {
            let ip = candidate();
            if let Ok(guard) = TcpListener::bind((ip, GUARD_PORT)) {
                return Self { ip, _guard: Arc::new(guard) };
            }
        }
        panic!("no loopback address could be taken; does 127.0.0.0/8 belong to this machine?");
    }

    /// The address.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// The address with a port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.ip, port))
    }
}

fn candidate() -> Ipv4Addr {
    // RandomState is keyed anew for every instance; that is all the randomness this needs.
    let [_, _, _, _, _, a, b, c] = RandomState::new().hash_one(std::process::id()).to_be_bytes();
    Ipv4Addr::new(127, 16 + a % 224, b, 1 + c % 254)
}
