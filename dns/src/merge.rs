//! The one rule by which the answers of several servers become a verdict.
//!
//! Each server has one [`Vote`] on one desired record: it shows the value, it shows something else or nothing, or it
//! says nothing at all. Then, in this order:
//!
//! 1. **Present** when every server of the zone that said anything shows the value; the resolvers may be a TTL late,
//!    and `everywhere` tells whether they have caught up. When no server of the zone said anything: when every
//!    resolver that said anything shows it.
//! 2. **Propagating** when some show the value and others do not.
//! 3. **Absent** when nobody shows the value and more than half of all that were asked say so. One server out of
//!    three that can be reached is not enough to take a customer's name away.
//! 4. **Indeterminate** otherwise, for the first reason that a server gave.

use serde::Serialize;

use crate::{Reason, Role};

/// What one server says about one desired record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vote {
    /// It shows the value.
    Match,
    /// It shows another value, or none.
    Miss,
    /// It says nothing.
    Unknown(Reason),
}

/// What all of them say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The value is there.
    Present {
        /// All resolvers that answered show it too, and at least one did.
        everywhere: bool,
    },
    /// It is there for some.
    Propagating,
    /// It is not there.
    Absent,
    /// Nothing can be concluded.
    Indeterminate(Reason),
}

/// Applies the rule.
pub fn merge(votes: &[(Role, Vote)]) -> Verdict {
    let authority = Count::of(votes, Role::Authority);
    let recursive = Count::of(votes, Role::Recursive);
    let asked = votes.len();
    if authority.agree() || (authority.is_silent() && recursive.agree()) {
        return Verdict::Present { everywhere: recursive.agree() };
    }
    if authority.matches + recursive.matches > 0 {
        return Verdict::Propagating;
    }
    if 2 * (authority.misses + recursive.misses) > asked {
        return Verdict::Absent;
    }
    Verdict::Indeterminate(first_reason(votes))
}

struct Count {
    matches: usize,
    misses: usize,
}

impl Count {
    fn of(votes: &[(Role, Vote)], role: Role) -> Self {
        let count = |vote| votes.iter().filter(|cast| **cast == (role, vote)).count();
        Self { matches: count(Vote::Match), misses: count(Vote::Miss) }
    }

    fn agree(&self) -> bool {
        self.matches > 0 && self.misses == 0
    }

    fn is_silent(&self) -> bool {
        self.matches + self.misses == 0
    }
}

fn first_reason(votes: &[(Role, Vote)]) -> Reason {
    let reason = votes.iter().find_map(|(_, vote)| match vote {
        Vote::Unknown(reason) => Some(*reason),
        Vote::Match | Vote::Miss => None,
    });
    reason.unwrap_or(Reason::NoServer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A` and `R` are servers of the zone and resolvers; `+` shows the value, `-` does not, `?` says nothing.
    fn votes(text: &str) -> Vec<(Role, Vote)> {
        let cast = |vote: &str| {
            let role = if vote.starts_with('A') { Role::Authority } else { Role::Recursive };
            match vote.get(1..) {
                Some("+") => (role, Vote::Match),
                Some("-") => (role, Vote::Miss),
                _ => (role, Vote::Unknown(Reason::Timeout)),
            }
        };
        text.split_whitespace().map(cast).collect()
    }

    #[test]
    fn the_rule_as_a_table() {
        const UNKNOWN: Verdict = Verdict::Indeterminate(Reason::Timeout);
        const HERE: Verdict = Verdict::Present { everywhere: false };
        const EVERYWHERE: Verdict = Verdict::Present { everywhere: true };
        const CASES: &[(&str, Verdict)] = &[
            ("", Verdict::Indeterminate(Reason::NoServer)),
            // Present: the zone's servers decide, silence of some does not count against it.
            ("A+ A+ R+ R+", EVERYWHERE),
            ("A+ A? R+ R?", EVERYWHERE),
            ("A+ A+ R- R-", HERE),
            ("A+ A+ R+ R-", HERE),
            ("A+ R? R?", HERE),
            ("A+", HERE),
            // Without them the resolvers must agree.
            ("R+ R+", EVERYWHERE),
            ("A? A? R+ R+", EVERYWHERE),
            ("R+ R? R?", EVERYWHERE),
            // Propagating: some and not others.
            ("A+ A- R+ R+", Verdict::Propagating),
            ("A+ A- R- R-", Verdict::Propagating),
            ("A- A- R+ R-", Verdict::Propagating),
            ("A? R+ R-", Verdict::Propagating),
            ("R+ R- R?", Verdict::Propagating),
            // Absent: nobody shows it and more than half say so.
            ("R-", Verdict::Absent),
            ("R- R-", Verdict::Absent),
            ("R- R- R?", Verdict::Absent),
            ("A- A- R- R-", Verdict::Absent),
            ("A- A- R- R?", Verdict::Absent),
            // Too few said anything.
            ("R?", UNKNOWN),
            ("R- R?", UNKNOWN),
            ("R- R? R?", UNKNOWN),
            ("A- A- R? R?", UNKNOWN),
            ("A? A? R- R-", UNKNOWN),
            ("A? A? R? R?", UNKNOWN),
        ];
        for (text, verdict) in CASES {
            assert_eq!(merge(&votes(text)), *verdict, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn servers_that_say_nothing_never_make_a_record_absent(text in "([AR][+?] ){0,12}") {
            proptest::prop_assert_ne!(merge(&votes(&text)), Verdict::Absent);
        }

        #[test]
        fn a_record_that_nobody_shows_is_never_present(text in "([AR][-?] ){0,12}") {
            let verdict = merge(&votes(&text));
            proptest::prop_assert!(matches!(verdict, Verdict::Absent | Verdict::Indeterminate(_)));
        }
    }
}
