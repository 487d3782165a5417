//! [`Skew`]: how far our clock is from the CA's, by the `Date` of its answers.
//!
//! Validity, renewals and tickets follow our clock; a wrong one is noticed here and nowhere else. Nothing is corrected by
//! it: the operator is told. A clock that is wrong by months hears nothing, since TLS refuses the CA's certificate first.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use clock::SharedClock;
use http::{HeaderMap, header};
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

use crate::IssuerKey;

/// Further apart than this, one of the two clocks is wrong: an answer is seconds old at most.
const APART: u64 = 5 * 60;

/// The gauge that all issuers of a process tell their clocks' differences by.
#[derive(Clone)]
pub struct ClockSkew(IntGaugeVec);

impl ClockSkew {
    /// Registers the gauge.
    ///
    /// # Errors
    /// When `registry` holds it already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "namegate_edge_clock_skew_seconds",
            "How far the clock is ahead of the CA's, by its last answer; behind is negative.",
        );
        let gauge = IntGaugeVec::new(opts, &["issuer"])?;
        registry.register(Box::new(gauge.clone()))?;
        Ok(Self(gauge))
    }
}

/// What is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Apart,
    Together,
}

/// What one CA's answers say about our clock.
pub(super) struct Skew {
    issuer: IssuerKey,
    clock: SharedClock,
    gauge: OnceLock<IntGauge>,
    apart: AtomicBool,
}

impl Skew {
    pub(super) fn new(issuer: IssuerKey, clock: SharedClock) -> Self {
        Self { issuer, clock, gauge: OnceLock::new(), apart: AtomicBool::new(false) }
    }

    /// Tells by `gauge` from now on.
    pub(super) fn tell_by(&self, gauge: &ClockSkew) {
        let _once = self.gauge.set(gauge.0.with_label_values(&[self.issuer.as_str()]));
    }

    /// Looks at an answer. Tells in the log when the clocks came apart, and when they are together again.
    pub(super) fn see(&self, headers: &HeaderMap) {
        let Some(theirs) = date(headers) else { return };
        let ours = self.clock.now().as_secs();
        let ahead = i64::try_from(i128::from(ours) - i128::from(theirs)).unwrap_or(i64::MAX);
        if let Some(gauge) = self.gauge.get() {
            gauge.set(ahead);
        }
        match self.step(ours, theirs) {
            Some(Change::Apart) => {
                tracing::warn!(issuer = %self.issuer, ahead_seconds = ahead, "acme.clock_skew: the clock is more than five minutes off the CA's: set it, or have it kept by NTP");
            }
            Some(Change::Together) => {
                tracing::info!(issuer = %self.issuer, ahead_seconds = ahead, "acme.clock_right: the clock agrees with the CA's again");
            }
            None => {}
        }
    }

    fn step(&self, ours: u64, theirs: u64) -> Option<Change> {
        let apart = ours.abs_diff(theirs) > APART;
        match (self.apart.swap(apart, Ordering::Relaxed), apart) {
            (false, true) => Some(Change::Apart),
            (true, false) => Some(Change::Together),
            (true, true) | (false, false) => None,
        }
    }
}

/// When an answer was made, in seconds since 1970. One out of a cache says nothing of now.
fn date(headers: &HeaderMap) -> Option<u64> {
    let date = headers.get(header::DATE).filter(|_| !headers.contains_key(header::AGE))?;
    let date = httpdate::parse_http_date(date.to_str().ok()?.trim()).ok()?;
    date.duration_since(UNIX_EPOCH).ok().as_ref().map(Duration::as_secs)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clock::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn a_clock_that_is_more_than_five_minutes_off_is_told_of_once_and_once_when_it_is_right() {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let skew = Skew::new(IssuerKey::new("ca"), clock);
        let steps = [
            (1000, 700, None),
            (1000, 1300, None),
            (1001, 700, Some(Change::Apart)),
            (2000, 700, None),
            (700, 2000, None),
            (700, 1000, Some(Change::Together)),
            (700, 700, None),
            (700, 1001, Some(Change::Apart)),
        ];
        for (ours, theirs, change) in steps {
            assert_eq!(skew.step(ours, theirs), change, "{ours} {theirs}");
        }
    }

    #[test]
    fn a_date_that_is_missing_odd_or_cached_says_nothing() {
        let read = |pairs: &[(&'static str, &'static str)]| {
            date(&pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
        };
        let good = ("date", "Thu, 01 Jan 1970 00:01:00 GMT");
        assert_eq!(read(&[good]), Some(60));
        for odd in [vec![], vec![("date", "soon")], vec![("date", "")], vec![good, ("age", "10")]] {
            assert_eq!(read(&odd), None, "{odd:?}");
        }
    }
}
