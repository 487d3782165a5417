//! Interleaved rounds: every server in turn, again and again, so that whatever the machine does in between is done to all.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::{
    bed::Bed,
    load::{Effort, Sample},
    progress::say,
    results::{Compared, Samples},
    server::{Kind, Server},
    work::Work,
};

/// A server of the run, or why it is not there.
pub struct Entrant {
    /// Which.
    pub kind: Kind,
    /// Running, or the reason.
    pub server: Result<Server, String>,
}

/// Measures one work on all servers in `rounds` rounds. A server that fails once is left out from then on, with the
/// reason: half a row would look like a whole one.
pub async fn compare(work: Work, entrants: &[Entrant], bed: &Bed, effort: &Effort, rounds: usize) -> Compared {
    let mut missing: BTreeMap<&'static str, String> =
        entrants.iter().filter_map(|entrant| Some((entrant.kind.name(), reason_against(work, entrant)?))).collect();
    let mut samples = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let mut of_round = Samples::new();
        // Whoever comes first in a round does so once: the place in the round must not be anyone's advantage.
        for entrant in rotated(entrants, round) {
            if missing.contains_key(entrant.kind.name()) {
                continue;
            }
            match measure(work, entrant, bed, effort).await {
                Ok(sample) => {
                    of_round.insert(entrant.kind, sample);
                }
                Err(error) => {
                    say(&format!("  {} failed: {error:#}", entrant.kind));
                    missing.insert(entrant.kind.name(), format!("{error:#}"));
                }
            }
        }
        samples.push(of_round);
    }
    for of_round in &mut samples {
        of_round.retain(|kind, _| !missing.contains_key(kind.name()));
    }
    Compared::of(work, &samples, missing)
}

fn reason_against(work: Work, entrant: &Entrant) -> Option<String> {
    let impossible = work.possible_on(entrant.kind).err().map(|error| error.to_string());
    impossible.or_else(|| entrant.server.as_ref().err().cloned())
}

async fn measure(work: Work, entrant: &Entrant, bed: &Bed, effort: &Effort) -> Result<Sample> {
    let running = entrant.server.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))?;
    if !work.needs_fresh_server() {
        return work.sample(running, bed, effort).await;
    }
    let fresh = entrant.kind.start(bed).await?;
    let sample = work.sample(&fresh, bed, effort).await;
    fresh.stop().await;
    sample
}

fn rotated<T>(all: &[T], by: usize) -> impl Iterator<Item = &T> {
    let start = by.checked_rem(all.len()).unwrap_or_default();
    all.iter().cycle().skip(start).take(all.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_everyone_and_begins_with_the_next() {
        let order = |round| rotated(&["a", "b", "c"], round).copied().collect::<String>();
        assert_eq!([order(0), order(1), order(2), order(3)], ["abc", "bca", "cab", "abc"]);
        assert_eq!(rotated::<u8>(&[], 5).count(), 0);
    }
}
