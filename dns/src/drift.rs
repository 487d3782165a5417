//! [`Drift`]: when a name that was there counts as gone.
//!
//! A pure state, stored with the record it is about. Only agreeing *absent* verdicts, enough of them and over enough
//! time, demote; a verdict that says nothing changes nothing, and one that says "here" forgets all that was counted.
//! "There for some" counts for neither side: a secondary that is never updated must not keep a name for ever, and a
//! change under way must not take it.

use std::time::Duration;

use clock::Timestamp;

use crate::merge::Verdict;

/// How much absence it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriftPolicy {
    /// Absent verdicts in a row; at least 1.
    pub verdicts: u32,
    /// Time from the first of them to the last.
    pub span: Duration,
}

impl Default for DriftPolicy {
    /// Three misses over 72 hours: a weekend with a broken zone does not lose a name.
    fn default() -> Self {
        Self { verdicts: 3, span: Duration::from_hours(72) }
    }
}

/// Absence seen so far. Both fields are what a database row keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drift {
    /// Absent verdicts in a row.
    pub absent: u32,
    /// When the first of them was seen.
    pub since: Option<Timestamp>,
}

/// What to make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftState {
    /// Nothing speaks against the name.
    Steady,
    /// Absent since then, not yet long or often enough.
    Wavering {
        /// The first absent verdict.
        since: Timestamp,
    },
    /// Gone: demote.
    Drifted {
        /// The first absent verdict.
        since: Timestamp,
    },
}

impl Drift {
    /// Takes a verdict in and says where that leaves the name.
    pub fn observe(&mut self, verdict: &Verdict, now: Timestamp, policy: &DriftPolicy) -> DriftState {
        match verdict {
            Verdict::Present { .. } => *self = Self::default(),
            Verdict::Absent => {
                self.absent = self.absent.saturating_add(1);
                self.since.get_or_insert(now);
            }
            // Silence keeps what was, and never is the straw that breaks it: see `state`.
            Verdict::Indeterminate(_) | Verdict::Propagating => return self.held(now, policy),
        }
        self.state(now, policy)
    }

    fn state(&self, now: Timestamp, policy: &DriftPolicy) -> DriftState {
        match self.since {
            None => DriftState::Steady,
            Some(since) if self.absent >= policy.verdicts.max(1) && now.since(since) >= policy.span => {
                DriftState::Drifted { since }
            }
            Some(since) => DriftState::Wavering { since },
        }
    }

    /// Without news only time has passed, and time alone does not demote.
    fn held(&self, now: Timestamp, policy: &DriftPolicy) -> DriftState {
        match self.state(now, policy) {
            DriftState::Drifted { since } => DriftState::Wavering { since },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    const POLICY: DriftPolicy = DriftPolicy { verdicts: 3, span: Duration::from_hours(72) };
    const SILENT: Verdict = Verdict::Indeterminate(Reason::ServFail);
    const HERE: Verdict = Verdict::Present { everywhere: true };

    fn at(hours: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_hours(hours)
    }

    fn run(script: &[(u64, Verdict)]) -> DriftState {
        let mut drift = Drift::default();
        script.iter().map(|(hours, verdict)| drift.observe(verdict, at(*hours), &POLICY)).last().unwrap()
    }

    #[test]
    fn a_name_is_demoted_by_agreeing_absence_over_time_and_by_nothing_else() {
        use Verdict::{Absent, Propagating};
        let gone = DriftState::Drifted { since: at(0) };
        let maybe = DriftState::Wavering { since: at(0) };
        type Case<'a> = (&'a str, &'a [(u64, Verdict)], DriftState);
        let cases: &[Case<'_>] = &[
            ("three over three days", &[(0, Absent), (24, Absent), (72, Absent)], gone),
            ("too soon", &[(0, Absent), (1, Absent), (2, Absent), (71, Absent)], maybe),
            ("too few", &[(0, Absent), (100, Absent)], maybe),
            ("a failing resolver for an hour", &[(0, SILENT), (1, SILENT)], DriftState::Steady),
            ("silence between does not help", &[(0, Absent), (24, SILENT), (48, Absent), (72, Absent)], gone),
            ("silence at the end does not demote", &[(0, Absent), (1, Absent), (2, Absent), (99, SILENT)], maybe),
            (
                "one that shows it starts anew",
                &[(0, Absent), (1, Absent), (2, HERE), (99, Absent)],
                DriftState::Wavering { since: at(99) },
            ),
            ("back again", &[(0, Absent), (24, Absent), (72, Absent), (73, HERE)], DriftState::Steady),
            ("half there", &[(0, Absent), (1, Absent), (99, Propagating)], maybe),
            (
                "a clock that goes back",
                &[(100, Absent), (0, Absent), (1, Absent)],
                DriftState::Wavering { since: at(100) },
            ),
        ];
        for (what, script, state) in cases {
            assert_eq!(run(script), *state, "{what}");
        }
    }

    proptest::proptest! {
        #[test]
        fn silence_alone_never_demotes(hours in proptest::collection::vec(0u64..10_000, 1..50)) {
            let script: Vec<_> = hours.into_iter().map(|hours| (hours, SILENT)).collect();
            proptest::prop_assert_eq!(run(&script), DriftState::Steady);
        }
    }
}
