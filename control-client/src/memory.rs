//! What the gate remembers of every name: one bounded cache for allows, denies and errors.
//!
//! Time is the gate's [`Clock`](clock::Clock), not the cache's: an entry carries the moment until which it decides.
//! Past it an allow stays as the last answer of its name, for the time when nobody can be asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clock::Timestamp;
use moka::{Expiry, sync::Cache};
use names::Hostname;

use crate::{Admitted, Freshness, Refusal, Site};

/// What an entry takes beside its texts: the hash table's bucket, the cache's queues, the timer's node, the counters
/// of the shared pointers. Measured as resident memory over 200,000 denied names.
const ENTRY_BYTES: usize = 480;

/// An allowing answer and when it was given.
#[derive(Debug, Clone)]
pub(crate) struct Allowed {
    pub(crate) site: Arc<Site>,
    pub(crate) answered: Timestamp,
}

impl Allowed {
    /// The admission that this answer still supports while nobody can be asked.
    pub(crate) fn stale(&self, now: Timestamp, limit: Duration) -> Result<Admitted, Refusal> {
        match now.since(self.answered) <= limit {
            true => Ok(Admitted { site: Arc::clone(&self.site), freshness: Freshness::Stale }),
            false => Err(Refusal::Unavailable),
        }
    }
}

/// What is known of a name.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Allowed.
    Allow(Arc<Site>),
    /// Denied.
    Deny,
    /// Could not be asked; this was its last allow.
    Error(Option<Allowed>),
}

/// A verdict with its time.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) verdict: Verdict,
    pub(crate) answered: Timestamp,
    pub(crate) until: Timestamp,
}

impl Entry {
    /// Whether the entry still decides. A clock that was set back makes it decide for at most its own length more.
    pub(crate) fn is_current(&self, now: Timestamp) -> bool {
        now < self.until && self.answered.since(now) <= self.until.since(self.answered)
    }

    /// The decision, whatever the entry's age.
    pub(crate) fn decide(&self, now: Timestamp, stale: Duration) -> Result<Admitted, Refusal> {
        match &self.verdict {
            Verdict::Allow(site) => Ok(Admitted { site: Arc::clone(site), freshness: Freshness::Fresh }),
            Verdict::Deny => Err(Refusal::Denied),
            Verdict::Error(last) => last.as_ref().map_or(Err(Refusal::Unavailable), |last| last.stale(now, stale)),
        }
    }

    /// The last allowing answer in it.
    pub(crate) fn last_allow(self) -> Option<Allowed> {
        match self.verdict {
            Verdict::Allow(site) => Some(Allowed { site, answered: self.answered }),
            Verdict::Deny => None,
            Verdict::Error(last) => last,
        }
    }

    fn site(&self) -> Option<&Site> {
        match &self.verdict {
            Verdict::Allow(site) => Some(site),
            Verdict::Deny => None,
            Verdict::Error(last) => last.as_ref().map(|last| &*last.site),
        }
    }

    fn bytes(&self, name: &Hostname) -> u32 {
        let bytes = ENTRY_BYTES + name.as_str().len() + self.site().map_or(0, Site::heap_bytes);
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// Entries without a site leave when their time is up, so that a flood of random names gives its memory back.
struct Forget;

impl Forget {
    fn after(entry: &Entry) -> Option<Duration> {
        entry.site().is_none().then(|| entry.until.since(entry.answered))
    }
}

impl Expiry<Hostname, Entry> for Forget {
    fn expire_after_create(&self, _: &Hostname, entry: &Entry, _: Instant) -> Option<Duration> {
        Self::after(entry)
    }

    fn expire_after_update(&self, _: &Hostname, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Self::after(entry)
    }
}

/// The cache. Its hasher is the standard library's keyed one, since attackers choose the names.
pub(crate) struct Memory(Cache<Hostname, Entry>);

impl Memory {
    pub(crate) fn new(bytes: u64) -> Self {
        let weigher = |name: &Hostname, entry: &Entry| entry.bytes(name);
        Self(Cache::builder().max_capacity(bytes).weigher(weigher).expire_after(Forget).build())
    }

    /// The entry of a name, current or not.
    pub(crate) fn find(&self, name: &Hostname) -> Option<Entry> {
        self.0.get(name)
    }

    /// Replaces the entry of a name.
    pub(crate) fn remember(&self, name: &Hostname, entry: Entry) {
        self.0.insert(name.clone(), entry);
    }

    /// Lets go of a name.
    pub(crate) fn forget(&self, name: &Hostname) {
        self.0.invalidate(name);
    }

    /// Bytes by the weigher.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.weighted_size()
    }

    /// Entries.
    pub(crate) fn entries(&self) -> u64 {
        self.0.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(45);

    fn deny(answered: Timestamp) -> Entry {
        Entry { verdict: Verdict::Deny, answered, until: answered + TTL }
    }

    #[test]
    fn an_entry_decides_until_its_time_is_up_and_a_clock_set_back_does_not_keep_it_for_ever() {
        let at = Timestamp::from_secs(1_000_000);
        let entry = deny(at);
        assert!(entry.is_current(at));
        assert!(entry.is_current(at + TTL - Duration::from_millis(1)));
        assert!(!entry.is_current(at + TTL));
        assert!(entry.is_current(at - Duration::from_secs(1)), "a small step back is no reason to ask again");
        assert!(!entry.is_current(at - Duration::from_secs(3600)), "a large one is");
    }

    #[test]
    fn memory_stays_bounded_under_200_000_denied_random_names() {
        const LIMIT: u64 = 8 << 20;
        let before = resident_bytes();
        let memory = Memory::new(LIMIT);
        for number in 0..200_000_u64 {
            let name = format!("{:016x}.attacker.example", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            memory.remember(&name.parse().unwrap(), deny(Timestamp::from_secs(1_000_000)));
        }
        memory.0.run_pending_tasks();
        let grown = resident_bytes().saturating_sub(before);
        println!("{} resident bytes an entry", grown / memory.entries());
        assert!(memory.bytes() <= LIMIT, "{} bytes", memory.bytes());
        assert!(memory.entries() > 10_000, "{} entries", memory.entries());
        // The allocator keeps what was freed on the way; twice the limit is far below the 100 MB of all names.
        assert!(grown <= 2 * LIMIT, "{grown} bytes resident for {} entries", memory.entries());
    }

    fn resident_bytes() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}
