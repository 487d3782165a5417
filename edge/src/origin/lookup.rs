//! From an origin's name to addresses.
//!
//! By default the system resolves, since container names and `/etc/hosts` live there. That blocks a thread for each
//! name, and a tenant can own a zone whose servers never answer: the threads are counted, so that none of the others'
//! work waits for them.

use std::{
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
};

use dns::{Answer, OwnerName, Reason, Resolvers};
use tokio::sync::Semaphore;

use crate::http::answer::Fault;

/// Names that the system resolves at once; each holds a thread, silent ones for tens of seconds.
const SYSTEM_LOOKUPS: usize = 64;

/// How names are resolved. Cheap to clone; clones share the limit.
#[derive(Debug, Clone)]
pub struct Lookup(Way);

#[derive(Debug, Clone)]
enum Way {
    Servers(Resolvers),
    System(Arc<Semaphore>),
}

impl Lookup {
    /// As the system does it.
    pub fn by_system() -> Self {
        Self(Way::System(Arc::new(Semaphore::new(SYSTEM_LOOKUPS))))
    }

    /// By asking these servers; they bound aliases, addresses and questions in flight.
    pub fn by_servers(resolvers: Resolvers) -> Self {
        Self(Way::Servers(resolvers))
    }

    /// The addresses of a name; never none.
    pub(super) async fn find(&self, name: &str) -> Result<Vec<IpAddr>, Fault> {
        let found = match &self.0 {
            Way::Servers(resolvers) => ask(resolvers, name).await?,
            Way::System(threads) => ask_system(threads, name).await?,
        };
        match found.is_empty() {
            true => Err(Fault::OriginUnknown),
            false => Ok(found),
        }
    }
}

async fn ask(resolvers: &Resolvers, name: &str) -> Result<Vec<IpAddr>, Fault> {
    let name: OwnerName = name.parse().map_err(|_| Fault::OriginUnknown)?;
    match resolvers.addresses(&name).await {
        Answer::Present(found) => Ok(found.addresses),
        Answer::Indeterminate(Reason::Overloaded | Reason::Timeout) => Err(Fault::OriginSlow),
        Answer::Absent(_) | Answer::Indeterminate(_) => Err(Fault::OriginUnknown),
    }
}

async fn ask_system(threads: &Arc<Semaphore>, name: &str) -> Result<Vec<IpAddr>, Fault> {
    // Never closed. The permit goes with the thread: whoever gives up waiting does not free it.
    let permit = threads.clone().acquire_owned().await.map_err(|_| Fault::Internal)?;
    let name = name.to_owned();
    let resolve = move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|it| it.ip()).collect());
        drop(permit);
        found
    };
    let found = tokio::task::spawn_blocking(resolve).await.map_err(|_| Fault::Internal)?;
    found.map_err(|_| Fault::OriginUnknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_its_own_name_and_no_invalid_one() {
        let lookup = Lookup::by_system();
        assert!(lookup.find("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
        assert_eq!(lookup.find("nobody.invalid").await, Err(Fault::OriginUnknown));
    }

    #[tokio::test]
    async fn a_thread_stays_counted_after_its_asker_has_left() {
        let threads = Arc::new(Semaphore::new(1));
        let held = threads.clone().acquire_owned().await.unwrap();
        let lookup = Lookup(Way::System(threads));
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), lookup.find("localhost")).await;
        assert!(waiting.is_err(), "no thread is free");
        drop(held);
        assert!(lookup.find("localhost").await.is_ok());
    }
}
