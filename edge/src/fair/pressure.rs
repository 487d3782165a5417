//! Memory pressure: shed what can be spared before the kernel kills what cannot.
//!
//! | resident memory | what is done |
//! |---|---|
//! | below `memory_high` percent of `memory` | nothing |
//! | above it ([`Level::High`]) | responses end their HTTP/1 connection; a connection of HTTP/2 has one request in flight, further ones get 503; the longest idle are closed |
//! | above half of what was left ([`Level::Full`]) | every request gets 503, new connections are reset, `/readyz` says no; connections with many requests in flight are cut, the most first |
//!
//! Refusing what is new frees nothing. Whoever asked for a hundred answers while there was room, and takes none, holds
//! what others need for as long as `write_timeout` allows; so those are cut.
//!
//! A level is left five percent below where it was entered, so that it does not flicker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Fair, Shortage, memory::Kernel};

/// Between two looks while there is enough; also the time of a beat.
const PERIOD: Duration = Duration::from_millis(250);
/// Looks within that time while memory is short: it may grow by a hundred megabytes in a second.
const LOOKS_WHEN_SHORT: u32 = 5;
/// Percent below its bound at which a level is left.
const SLACK: u64 = 5;
/// Idle connections closed at each beat while memory is high: a thousand in a second.
const AT_ONCE: usize = 256;

/// Connections cut at each look while memory is full: what a hundred of them hold is free within a second.
const CUT_AT_ONCE: usize = 8;

/// How much memory may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes; 0 for what the machine and the control group allow.
    pub bytes: u64,
    /// Percent of it from which on memory is high.
    pub high: usize,
}

/// How short memory is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Level {
    /// There is enough.
    #[default]
    Calm = 0,
    /// What can be spared is shed.
    High = 1,
    /// Nothing new is taken.
    Full = 2,
}

impl Level {
    /// The level at `used` of `limit` bytes, coming from another one.
    fn next(self, used: u64, limit: u64, high: usize) -> Self {
        let high = u64::try_from(high).unwrap_or(100).min(100);
        let full = high + (100 - high) / 2;
        let percent = used.saturating_mul(100).checked_div(limit).unwrap_or(0);
        let stands =
            |level: Self, bound: u64| percent >= if self >= level { bound.saturating_sub(SLACK) } else { bound };
        match () {
            () if stands(Self::Full, full) => Self::Full,
            () if stands(Self::High, high) => Self::High,
            () => Self::Calm,
        }
    }
}

/// The level of the moment, for everybody who has to know.
#[derive(Debug, Default)]
pub(super) struct Pressure(AtomicU8);

impl Pressure {
    pub(super) fn level(&self) -> Level {
        match self.0.load(Ordering::Relaxed) {
            0 => Level::Calm,
            1 => Level::High,
            _ => Level::Full,
        }
    }

    /// Enters a level; whether it is another one.
    fn enter(&self, level: Level) -> bool {
        self.0.swap(level as u8, Ordering::Relaxed) != level as u8
    }
}

/// Looks at memory, and keeps the beat, as long as it is polled. `limits` are those of the moment.
pub(crate) async fn watch(fair: Arc<Fair>, limits: impl Fn() -> MemoryLimits) {
    // What is there does not change while the process runs, but for a control group that nobody changes.
    let kernel = Kernel::here();
    let found = kernel.limit();
    if found.is_none() {
        tracing::warn!("how much memory there is cannot be found; set limits.memory");
    }
    let mut interval = interval(PERIOD);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = || {
        let MemoryLimits { bytes, high } = limits();
        let limit = if bytes == 0 { found.unwrap_or(u64::MAX) } else { bytes };
        look(&fair, kernel.resident().unwrap_or(0), limit, high)
    };
    loop {
        interval.tick().await;
        fair.beat();
        let mut level = look();
        if level > Level::Calm {
            fair.shed(AT_ONCE, Shortage::Memory);
        }
        for _ in 1..LOOKS_WHEN_SHORT {
            if level == Level::Calm {
                break;
            }
            sleep(PERIOD / LOOKS_WHEN_SHORT).await;
            level = look();
        }
    }
}

/// Enters the level that so much memory means.
fn look(fair: &Fair, used: u64, limit: u64, high: usize) -> Level {
    let level = fair.pressure.level().next(used, limit, high);
    if fair.pressure.enter(level) {
        fair.metrics.pressure.set(level as i64);
        match level {
            Level::Calm => tracing::info!(used, limit, "memory is calm again"),
            Level::High => tracing::warn!(used, limit, "memory is high: idle connections are closed"),
            Level::Full => tracing::error!(
                used,
                limit,
                "memory is full: nothing new is taken, and connections with many requests are cut"
            ),
        }
    }
    if level == Level::Full {
        fair.cut(CUT_AT_ONCE, Shortage::MemoryFull);
    }
    level
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn a_level_is_entered_at_its_bound_and_left_well_below() {
        let levels = |from: Level, percents: &[u64]| {
            let mut level = from;
            let mut next = |percent: &u64| {
                level = level.next(*percent, 100, 85);
                level
            };
            percents.iter().map(&mut next).collect::<Vec<_>>()
        };
        use Level::{Calm, Full, High};
        assert_eq!(levels(Calm, &[84, 85, 84, 80, 79, 84]), [Calm, High, High, High, Calm, Calm]);
        assert_eq!(levels(High, &[91, 92, 87, 86, 85]), [High, Full, Full, High, High]);
        assert_eq!(levels(Calm, &[99, 0]), [Full, Calm]);
        assert_eq!(Calm.next(1, 0, 85), Calm, "no limit, no pressure");
        assert_eq!(Calm.next(u64::MAX / 100, u64::MAX, 85), Calm);
    }

    #[test]
    fn full_memory_takes_no_connection() {
        let fair = Fair::new(&Registry::new()).unwrap();
        let limits = super::super::tests::LIMITS;
        look(&fair, 90, 100, 85);
        assert_eq!((fair.level(), fair.seat(None, &limits).is_ok()), (Level::High, true));
        look(&fair, 95, 100, 85);
        assert_eq!(fair.seat(None, &limits).unwrap_err(), super::super::Refused::Memory);
        look(&fair, 50, 100, 85);
        fair.seat(None, &limits).unwrap();
    }
}
