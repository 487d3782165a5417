//! `[webhooks]`: how long receivers are put up with.

use std::time::Duration;

use crate::section::Walk;

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// Limits towards receivers of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Webhooks {
    /// How long one message is tried.
    pub retry_for: Duration,
    /// How long nothing must have reached an endpoint before it is disabled.
    pub disable_after: Duration,
}

impl Webhooks {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("webhooks");
        Self {
            retry_for: section.quantity("retry_for", (MINUTE, 7 * DAY), DAY),
            disable_after: section.quantity("disable_after", (DAY / 24, 365 * DAY), 5 * DAY),
        }
    }
}
