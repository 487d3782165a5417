//! The numbers and names that the core's rules need.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use names::Lookalikes;

use super::{Plan, Policy, Surface, policy::PLAIN};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Where customers point their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgeTarget {
    /// The target of CNAME records.
    pub cname: String,
    /// Addresses for names that cannot have a CNAME.
    pub ipv4: Vec<Ipv4Addr>,
    /// The same in IPv6.
    pub ipv6: Vec<Ipv6Addr>,
}

/// How often a claim is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// When we have just written its records: they come through the DNS at the provider's own speed.
    pub written: Duration,
    /// For how long that is.
    pub written_for: Duration,
    /// While its owner is likely at work.
    pub fresh: Duration,
    /// For how long that is.
    pub fresh_for: Duration,
    /// After that, until the deadline.
    pub patient: Duration,
    /// Once it is live.
    pub live: Duration,
    /// After the deadline.
    pub stalled: Duration,
}

/// What a plan has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanLimits {
    /// Connections created per month; `None` is without limit.
    pub connect: Option<i64>,
}

/// The rules of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreSettings {
    /// Where customers point their names.
    pub edge: EdgeTarget,
    /// Names of ours, with everything below them, that nobody may claim.
    pub reserved: Vec<String>,
    /// Whether the edges' certificate authority is one that browsers trust, so that names which none of those certifies
    /// cannot be claimed.
    pub public_authority: bool,
    /// Which names a person should look at.
    pub lookalikes: Lookalikes,
    /// Whether edges report certificates. If not (Caddy as the proxy), a name is live as soon as it points here.
    pub certificates_reported: bool,
    /// How often a claim is looked at.
    pub pace: Pace,
    /// The rules of each surface; one that is not here has the plain ones.
    pub policies: BTreeMap<Surface, Policy>,
    /// How long a claim that was live may point elsewhere before the gate closes.
    pub drift_grace: Duration,
    /// How long after the deadline an unproven claim is given up, so that squatting ends.
    pub give_up_after: Duration,
    /// How many agreeing absent answers make a drift …
    pub drift_checks: i64,
    /// … over how long at least.
    pub drift_span: Duration,
    /// How long a deleted name is kept for the account that had it, unless another one shows a TXT.
    pub cool_off: Duration,
    /// How long answers are kept for idempotency keys.
    pub idempotency_keep: Duration,
    /// How long a request under an idempotency key may take before it is believed dead.
    pub idempotency_lease: Duration,
    /// How long nothing must have reached a webhook endpoint before it is told nothing any more.
    pub disable_after: Duration,
    /// How long a webhook secret signs beside the one that followed it.
    pub former_secret_keep: Duration,
    /// How long finished deliveries can be looked at and replayed.
    pub deliveries_keep: Duration,
    /// How long tombstones stay in the gate for edges that were away.
    pub tombstone_keep: Duration,
    /// How many attempts are kept of a connection.
    pub attempts_keep: i64,
    /// Plan of new accounts.
    pub default_plan: Plan,
    /// What the free plan has.
    pub free: PlanLimits,
    /// What the pro plan has.
    pub pro: PlanLimits,
    /// What the growth plan has.
    pub growth: PlanLimits,
    /// Where to get a larger plan.
    pub upgrade_url: Option<String>,
    /// Development: private origins and targets, names outside the public DNS, and the seeded key, are welcome.
    pub dev: bool,
}

impl Default for CoreSettings {
    fn default() -> Self {
        Self {
            edge: EdgeTarget::default(),
            reserved: Vec::new(),
            public_authority: true,
            lookalikes: Lookalikes::default(),
            certificates_reported: true,
            // A minute while somebody waits in front of the screen; ten once nobody does; live names are looked at for
            // drift only, which takes several checks to believe anyway.
            pace: Pace {
                written: Duration::from_secs(5),
                written_for: 5 * MINUTE,
                fresh: MINUTE,
                fresh_for: 2 * HOUR,
                patient: 10 * MINUTE,
                live: 10 * MINUTE,
                stalled: 6 * HOUR,
            },
            policies: BTreeMap::new(),
            drift_grace: 14 * DAY,
            give_up_after: 14 * DAY,
            drift_checks: 3,
            drift_span: 5 * MINUTE,
            cool_off: 7 * DAY,
            idempotency_keep: DAY,
            // Safe however short: of two requests under one key, the second to commit is undone.
            idempotency_lease: Duration::from_secs(10),
            disable_after: 5 * DAY,
            former_secret_keep: DAY,
            deliveries_keep: 30 * DAY,
            tombstone_keep: 7 * DAY,
            attempts_keep: 50,
            default_plan: Plan::Enterprise,
            free: PlanLimits { connect: Some(10) },
            pro: PlanLimits { connect: Some(100) },
            growth: PlanLimits { connect: Some(1000) },
            upgrade_url: None,
            dev: false,
        }
    }
}

impl CoreSettings {
    /// The rules of a surface.
    pub fn policy(&self, surface: Surface) -> &Policy {
        self.policies.get(&surface).unwrap_or(&PLAIN)
    }

    /// What a plan has.
    pub fn limits(&self, plan: Plan) -> PlanLimits {
        match plan {
            Plan::Enterprise => PlanLimits::default(),
            Plan::Free => self.free,
            Plan::Growth => self.growth,
            Plan::Pro => self.pro,
        }
    }
}
