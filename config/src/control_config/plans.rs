//! `[plans]`: what accounts may use.

use crate::{
    choice::choose,
    section::{Section, Walk},
    web::parse_url,
};

/// The plans and where to get a larger one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plans {
    /// Plan of new accounts.
    pub default: PlanName,
    /// Connections per month on the free plan; `None` is without limit.
    pub free: Option<u32>,
    /// The same on the pro plan.
    pub pro: Option<u32>,
    /// The same on the growth plan.
    pub growth: Option<u32>,
    /// Told with the refusal when a limit is reached.
    pub upgrade_url: Option<String>,
}

/// A plan; `enterprise` is without limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanName {
    /// Without limits.
    Enterprise,
    /// For trying.
    Free,
    /// For many.
    Growth,
    /// For some.
    Pro,
}

const NAMES: [(&str, PlanName); 4] = [
    ("enterprise", PlanName::Enterprise),
    ("free", PlanName::Free),
    ("growth", PlanName::Growth),
    ("pro", PlanName::Pro),
];

impl Plans {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("plans");
        let default = section.text("default", |text| choose(text, &NAMES)).ok().flatten();
        Self {
            default: default.map_or(PlanName::Enterprise, |(plan, _)| plan),
            free: limit(&mut section, "free", 10),
            pro: limit(&mut section, "pro", 100),
            growth: limit(&mut section, "growth", 1000),
            upgrade_url: section.text("upgrade_url", parse_url).ok().flatten().map(|(url, _)| url.into()),
        }
    }
}

fn limit(section: &mut Section<'_>, key: &'static str, default: usize) -> Option<u32> {
    let most = section.quantity::<usize>(key, (0, 1_000_000_000), default);
    u32::try_from(most).ok().filter(|most| *most > 0)
}
