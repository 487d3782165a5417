//! `[limits]`: how often a client may have looked at the DNS.

use std::num::NonZeroU32;

use crate::section::Walk;

/// Looks that clients may ask for (`verify`, `records:check`), per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Of one connection.
    pub connection_checks: NonZeroU32,
    /// Of all connections of one application.
    pub application_checks: NonZeroU32,
}

impl Pace {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("limits");
        let mut per_minute = |key, default: usize| {
            let number = section.quantity::<usize>(key, (1, 1_000_000), default);
            u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
        };
        Self {
            connection_checks: per_minute("connection_checks", 60),
            application_checks: per_minute("application_checks", 600),
        }
    }
}
