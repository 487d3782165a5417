//! The arithmetic of the results: medians, percentiles and ratios to the best peer. Pure.

use std::collections::BTreeMap;

/// The value in the middle; of an even number, the mean of the two in the middle. Nothing of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// The smallest value that at least `share` (0 to 1) of the values do not exceed (nearest rank).
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// A ratio over all rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median of the rounds.
    pub median: f64,
    /// The lowest round.
    pub low: f64,
    /// The highest round.
    pub high: f64,
    /// How many rounds it was measured in.
    pub rounds: usize,
}

impl Spread {
    /// Nothing of nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(values)?,
            low: percentile(values, 0.0)?,
            high: percentile(values, 1.0)?,
            rounds: values.len(),
        })
    }
}

/// One round: what an operation cost on each server that was measured.
pub type Round = BTreeMap<String, f64>;

/// The cost of `subject` as a multiple of the cheapest of `peers`, round by round. A round in which the subject or every
/// peer is missing says nothing and is left out.
pub fn ratios_to_best(rounds: &[Round], subject: &str, peers: &[&str]) -> Vec<f64> {
    rounds.iter().filter_map(|round| ratio_to_best(round, subject, peers)).collect()
}

fn ratio_to_best(round: &Round, subject: &str, peers: &[&str]) -> Option<f64> {
    let best = peers.iter().filter_map(|peer| round.get(*peer)).copied().min_by(f64::total_cmp)?;
    let cost = *round.get(subject)?;
    (best > 0.0).then_some(cost / best)
}

/// The peer with the lowest median cost: the one a reader should think of as "the best peer".
pub fn best_peer<'a>(rounds: &[Round], peers: &[&'a str]) -> Option<&'a str> {
    let cost = |peer: &&str| median(&costs(rounds, peer));
    peers
        .iter()
        .filter_map(|peer| Some((*peer, cost(peer)?)))
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map(|(peer, _)| peer)
}

/// The costs of one server over the rounds that have it.
pub fn costs(rounds: &[Round], server: &str) -> Vec<f64> {
    rounds.iter().filter_map(|round| round.get(server)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(costs: &[(&str, f64)]) -> Round {
        costs.iter().map(|(name, cost)| ((*name).to_owned(), *cost)).collect()
    }

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.5), Some(50.0));
        assert_eq!(percentile(&hundred, 0.99), Some(99.0));
        assert_eq!(percentile(&hundred, 0.0), Some(1.0));
        assert_eq!(percentile(&hundred, 1.0), Some(100.0));
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn each_round_is_compared_with_its_own_best_peer() {
        // The machine was twice as slow in the second round: the ratio does not see it.
        let rounds =
            [round(&[("edge", 10.0), ("a", 20.0), ("b", 25.0)]), round(&[("edge", 20.0), ("a", 50.0), ("b", 40.0)])];
        assert_eq!(ratios_to_best(&rounds, "edge", &["a", "b"]), [0.5, 0.5]);
    }

    #[test]
    fn a_round_without_the_subject_or_without_peers_is_left_out() {
        let rounds = [round(&[("a", 20.0)]), round(&[("edge", 1.0)]), round(&[("edge", 1.0), ("a", 2.0)])];
        assert_eq!(ratios_to_best(&rounds, "edge", &["a", "b"]), [0.5]);
    }

    #[test]
    fn the_best_peer_is_the_one_that_costs_least_in_the_middle() {
        let rounds =
            [round(&[("a", 1.0), ("b", 2.0)]), round(&[("a", 9.0), ("b", 2.0)]), round(&[("a", 9.0), ("b", 2.0)])];
        assert_eq!(best_peer(&rounds, &["a", "b", "absent"]), Some("b"));
        assert_eq!(best_peer(&[], &["a"]), None);
    }

    #[test]
    fn a_spread_names_its_ends() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]).expect("three values have a spread");
        assert_eq!(spread, Spread { median: 2.0, low: 1.0, high: 3.0, rounds: 3 });
        assert_eq!(Spread::of(&[]), None);
    }
}
