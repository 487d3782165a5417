//! How many orders may be placed, and how many at once.
//!
//! What a CA publishes about how much it takes is modelled as token buckets, so that we wait here instead of being
//! refused there, which counts as one more request and makes nothing better: `most` at once, then one every
//! `per / most`. There are buckets for the account, for each registered domain and for each name. No tenant can use up
//! what the account may order: each has a fifth of it, and takes more only from the upper half.
//!
//! Renewals have a bucket of their own, or none where the CA exempts them, and slots of their own, so that new names can
//! never starve them, nor they new names. Waiting is bounded in time and in number.
//!
//! What was ordered is known to whoever ordered it, and told by the store to everybody else: after a restart, and to
//! other edges with the same store.

use std::{sync::Arc, time::Duration};

use clock::{SharedClock, Timestamp};
use names::{Subject, Tenant, registrable};
use parking_lot::Mutex;

use crate::{OrderLimits, Rate, life::Lane};

mod bucket;
mod slots;
mod table;
#[cfg(test)]
mod tests;
mod turns;

pub(crate) use slots::Slots;

use bucket::{Bucket, Size};
use table::Table;

/// Longest wait for a token; past it the caller is told when to come back, and its slot goes to another name.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A tenant's own part of what the account may order is one in this many.
const SHARE: u32 = 5;

/// The order budget of one issuer.
pub(crate) struct Budget {
    clock: SharedClock,
    limits: OrderLimits,
    books: Mutex<Books>,
}

struct Books {
    /// The account's; nothing is ordered without it.
    account: Option<(Size, Bucket)>,
    renewals: Option<(Size, Bucket)>,
    tenants: Option<Table<Tenant>>,
    domains: Option<Table<Arc<str>>>,
    /// Always there: it also tells which orders are known.
    names: Table<Subject>,
}

/// What is about to be ordered.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a Subject,
    pub(crate) tenant: Option<&'a Tenant>,
    pub(crate) lane: Lane,
}

/// A limit is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) limit: Limit,
    /// When there is room again.
    pub(crate) until: Timestamp,
}

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Account,
    Tenant,
    Domain,
    Name,
}

/// How much of a budget is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    /// Orders that the account may place now, if that is limited.
    pub(crate) left: Option<u32>,
    /// Tenants, domains and names that are remembered.
    pub(crate) tenants: usize,
    pub(crate) domains: usize,
    pub(crate) names: usize,
}

/// An order was let through. If no certificate comes of it, the limits that count certificates get theirs back.
pub(crate) struct Admission<'a> {
    budget: &'a Budget,
    taken: Option<Taken>,
}

struct Taken {
    name: Subject,
    domain: Arc<str>,
    at: Timestamp,
}

impl Budget {
    /// The budget that `limits` allow.
    pub(crate) fn new(limits: OrderLimits, clock: SharedClock) -> Self {
        let single = |rate: Rate| (Size::new(rate), Bucket::default());
        let books = Books {
            account: limits.account.map(single),
            renewals: limits.account.filter(|_| !limits.renewals_exempt).map(single),
            tenants: limits.account.map(|rate| Table::new(Size::new(Rate { most: share(rate.most), ..rate }))),
            domains: limits.domain.map(|rate| Table::new(Size::new(rate))),
            names: Table::new(limits.name.map_or(Size::UNLIMITED, Size::new)),
        };
        Self { clock, limits, books: Mutex::new(books) }
    }

    /// Waits until `wanted` may be ordered, at most [`LONGEST_WAIT`].
    pub(crate) async fn admit(&self, wanted: Wanted<'_>) -> Result<Admission<'_>, Full> {
        let now = self.clock.now();
        let (start, taken) = match wanted.lane {
            Lane::New if !self.limits.are_set() => (now, None),
            Lane::New => {
                let domain = domain(wanted.name);
                let start = self.books.lock().reserve(wanted, &domain, now)?;
                let taken = Taken { name: wanted.name.clone(), domain, at: start };
                (start, Some(taken))
            }
            Lane::Retry | Lane::Renewal => (self.books.lock().reserve_renewal(now)?, None),
        };
        // From here on what was taken is given back if the caller goes.
        let admission = Admission { budget: self, taken };
        self.clock.sleep_until(start).await;
        Ok(admission)
    }

    /// Whether what was ordered at `at` may still matter.
    pub(crate) fn counts(&self, at: Timestamp) -> bool {
        let limits = [self.limits.account, self.limits.domain, self.limits.name];
        limits.into_iter().flatten().any(|rate| self.clock.now() < at + rate.per)
    }

    /// Counts what was ordered elsewhere or before, oldest first; what is known already counts once.
    pub(crate) fn count(&self, name: &Subject, tenant: Option<&Tenant>, at: Timestamp) {
        if self.limits.are_set() {
            let now = self.clock.now();
            self.books.lock().count(name, tenant, at, now);
        }
    }

    /// The limit that was reached, for people.
    pub(crate) fn describe(&self, limit: Limit, name: &Subject) -> String {
        let rate = |rate: Option<Rate>| rate.map(|rate| (rate.most, in_words(rate.per))).unwrap_or_default();
        match limit {
            Limit::Account => {
                let (most, per) = rate(self.limits.account);
                format!("the CA takes {most} orders of this account in {per}, and so many were placed")
            }
            Limit::Tenant => {
                let (most, per) = rate(self.limits.account);
                let share = share(most);
                format!(
                    "this tenant has used its {share} of the {most} orders that the CA takes in {per}; it gets more while half of them are left"
                )
            }
            Limit::Domain => {
                let ((most, per), domain) = (rate(self.limits.domain), domain(name));
                format!("the CA gives {most} new certificates for names of {domain} in {per}, and so many were ordered")
            }
            Limit::Name => {
                let (most, per) = rate(self.limits.name);
                format!("the CA gives {most} new certificates for {name} in {per}, and so many were ordered")
            }
        }
    }

    /// How much of it is in use.
    pub(crate) fn used(&self) -> Use {
        let (now, books) = (self.clock.now(), self.books.lock());
        Use {
            left: books.account.map(|(size, bucket)| bucket.left(size, now)),
            tenants: books.tenants.as_ref().map_or(0, Table::len),
            domains: books.domains.as_ref().map_or(0, Table::len),
            names: books.names.len(),
        }
    }
}

impl Books {
    /// Takes a token of every bucket, if all have one soon enough; else of none. When they may be used.
    fn reserve(&mut self, wanted: Wanted<'_>, domain: &Arc<str>, now: Timestamp) -> Result<Timestamp, Full> {
        let account = self.account.map_or(now, |(size, bucket)| bucket.next(size, now));
        let nexts = [
            (account, Limit::Account),
            (self.next_of_tenant(wanted.tenant, now), Limit::Tenant),
            (self.domains.as_ref().map_or(now, |domains| domains.next(domain, now)), Limit::Domain),
            (self.names.next(wanted.name, now), Limit::Name),
        ];
        let (start, limit) = nexts.into_iter().max_by_key(|(next, _)| *next).unwrap_or((now, Limit::Account));
        if start > now + LONGEST_WAIT {
            return Err(Full { limit, until: start });
        }
        self.take(wanted.name, domain, wanted.tenant, start, now);
        Ok(start)
    }

    /// Its own part, or what others leave: while more than half of the account's is there, anybody may take it.
    fn next_of_tenant(&self, tenant: Option<&Tenant>, now: Timestamp) -> Timestamp {
        let (Some(tenant), Some(tenants), Some((size, account))) = (tenant, &self.tenants, self.account) else {
            return now;
        };
        tenants.next(tenant, now).min(account.next(size.upper_half(), now))
    }

    fn reserve_renewal(&mut self, now: Timestamp) -> Result<Timestamp, Full> {
        let Some((size, bucket)) = &mut self.renewals else { return Ok(now) };
        let start = bucket.next(*size, now);
        if start > now + LONGEST_WAIT {
            return Err(Full { limit: Limit::Account, until: start });
        }
        bucket.take(*size, start, now);
        Ok(start)
    }

    fn take(&mut self, name: &Subject, domain: &Arc<str>, tenant: Option<&Tenant>, at: Timestamp, now: Timestamp) {
        if let Some((size, bucket)) = &mut self.account {
            bucket.take(*size, at, now);
        }
        if let (Some(tenants), Some(tenant)) = (&mut self.tenants, tenant) {
            tenants.take(tenant, at, now);
        }
        if let Some(domains) = &mut self.domains {
            domains.take(domain, at, now);
        }
        self.names.take(name, at, now);
    }

    fn count(&mut self, name: &Subject, tenant: Option<&Tenant>, at: Timestamp, now: Timestamp) {
        if !self.names.took_at(name, at) {
            self.take(name, &domain(name), tenant, at, now);
        }
    }
}

impl Admission<'_> {
    /// A certificate came of it. When it was ordered, if that counts: to be stored with it.
    pub(crate) fn issued(mut self) -> Option<Timestamp> {
        self.taken.take().map(|taken| taken.at)
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let Some(taken) = self.taken.take() else { return };
        let mut books = self.budget.books.lock();
        if let Some(domains) = &mut books.domains {
            domains.put_back(&taken.domain);
        }
        books.names.put_back(&taken.name);
    }
}

/// A tenant's own part of so many orders.
fn share(orders: u32) -> u32 {
    (orders / SHARE).max(1)
}

/// The registered domain by which CAs count; a name without one counts by itself.
pub(crate) fn domain(name: &Subject) -> Arc<str> {
    let base = name.base();
    registrable(&base).unwrap_or(base.as_str()).into()
}

fn in_words(per: Duration) -> String {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    match per.as_secs() {
        secs if secs % DAY == 0 => format!("{} days", secs / DAY),
        secs if secs % HOUR == 0 => format!("{} hours", secs / HOUR),
        secs => format!("{secs} seconds"),
    }
}
