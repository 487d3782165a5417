//! `[acme.limits]`: what an authority granted.

use crate::section::Walk;

/// How much the directories take, where that differs from what they publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcmeLimits {
    /// Orders of the account within three hours; `None` for what is published.
    pub orders: Option<u32>,
    /// New certificates for names of one registered domain within seven days; `None` for what is published.
    pub domain_certificates: Option<u32>,
}

/// An authority that grants more than this has no limit worth keeping to.
const MOST: usize = 1_000_000;

impl AcmeLimits {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("acme.limits");
        let mut count = |key| {
            let count = section.quantity::<usize>(key, (0, MOST), 0);
            u32::try_from(count).ok().filter(|count| *count > 0)
        };
        Self { orders: count("orders"), domain_certificates: count("domain_certificates") }
    }
}
