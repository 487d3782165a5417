//! What a run has found out, as it is kept in `results.json`. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    load::Sample,
    machine::Machine,
    progress::say,
    server::Kind,
    stats::{self, Round, Spread},
    work::Work,
};

/// Everything of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// Whether it was a smoke run: too short for its figures to mean much.
    pub quick: bool,
    /// What it ran on.
    pub machine: Machine,
    /// Who took part.
    pub servers: Vec<Participant>,
    /// Costs compared in rounds.
    pub works: Vec<Compared>,
    /// First visits and bursts of new names.
    pub issuance: Vec<Measured<Issuance>>,
    /// Our start with a full store.
    pub start_up: Option<Measured<StartUp>>,
}

/// A server that was to be measured.
#[derive(Debug, Clone, Serialize)]
pub struct Participant {
    /// Its name in the tables.
    pub name: &'static str,
    /// What it calls itself.
    pub version: Option<String>,
    /// The key exchange group it agrees on with a client that offers what browsers offer.
    pub browser_group: Option<String>,
    /// Why it is missing.
    pub missing: Option<String>,
}

/// A figure of one server, or why there is none.
#[derive(Debug, Clone, Serialize)]
pub struct Measured<T> {
    /// Which server.
    pub server: &'static str,
    /// What was measured.
    pub figures: Option<T>,
    /// Why nothing was.
    pub missing: Option<String>,
}

impl<T> Measured<T> {
    /// What came out, told when it is nothing.
    pub fn of(server: Kind, outcome: anyhow::Result<T>) -> Self {
        match outcome {
            Ok(figures) => Self { server: server.name(), figures: Some(figures), missing: None },
            Err(error) => {
                say(&format!("  {server} failed: {error:#}"));
                Self { server: server.name(), figures: None, missing: Some(format!("{error:#}")) }
            }
        }
    }
}

/// First visits to new names.
#[derive(Debug, Clone, Serialize)]
pub struct Issuance {
    /// How many names were visited one after another.
    pub visits: usize,
    /// Of those, how many got no answer.
    pub visits_failed: usize,
    /// TCP connect to the whole answer, milliseconds, in the middle.
    pub first_visit_p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub first_visit_p99_ms: Option<f64>,
    /// How many new names the burst had.
    pub burst: usize,
    /// How many of them at a time.
    pub burst_at_a_time: usize,
    /// Of those, how many got no answer.
    pub burst_failed: usize,
    /// Names that answered, per second of the burst.
    pub burst_per_second: f64,
}

/// A start with many certificates in the store.
#[derive(Debug, Clone, Serialize)]
pub struct StartUp {
    /// How many.
    pub certificates: usize,
    /// From the start of the process to the first 200 of `/readyz`.
    pub ready_ms: f64,
    /// Resident memory then, MiB.
    pub ready_mib: f64,
    /// From the start until the process has nothing left to do.
    pub settled_ms: f64,
    /// Resident memory then, MiB.
    pub settled_mib: f64,
    /// The first handshake and request for a name of the store, milliseconds, in the middle of several names.
    pub cold_visit_p50_ms: Option<f64>,
}

/// One work on all servers.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Which work.
    pub work: Work,
    /// What the costs are counted in.
    pub unit: &'static str,
    /// Our cost as a multiple of the best peer's.
    pub ours: Option<Ratio>,
    /// The peer that cost least.
    pub best_peer: Option<String>,
    /// Every server that was measured.
    pub servers: Vec<Summary>,
    /// Why a server was not.
    pub missing: BTreeMap<&'static str, String>,
    /// The costs, round by round.
    pub rounds: Vec<Round>,
}

/// A ratio to the best peer over the rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ratio {
    /// The median of the rounds.
    pub median: f64,
    /// The lowest round.
    pub low: f64,
    /// The highest round.
    pub high: f64,
    /// In how many rounds.
    pub rounds: usize,
}

impl From<Spread> for Ratio {
    fn from(Spread { median, low, high, rounds }: Spread) -> Self {
        Self { median, low, high, rounds }
    }
}

/// One server in one work.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Its name.
    pub server: String,
    /// Cost of one operation, median of the rounds.
    pub cost: f64,
    /// The cost as a multiple of the best peer's.
    pub ratio: Option<Ratio>,
    /// Median latency in microseconds, median of the rounds.
    pub p50_us: Option<f64>,
    /// 99th percentile of the latency, median of the rounds.
    pub p99_us: Option<f64>,
}

/// What the servers did in one round.
pub type Samples = BTreeMap<Kind, Sample>;

impl Compared {
    /// Sums up the rounds of one work.
    pub fn of(work: Work, samples: &[Samples], missing: BTreeMap<&'static str, String>) -> Self {
        let rounds: Vec<Round> = samples.iter().map(costs_of).collect();
        let servers = Kind::ALL.into_iter().filter_map(|kind| summary(kind, samples, &rounds)).collect();
        Self {
            work,
            unit: work.unit(),
            ours: ratio(&rounds, Kind::Namegate),
            best_peer: stats::best_peer(&rounds, &Kind::PEERS).map(str::to_owned),
            servers,
            missing,
            rounds,
        }
    }
}

fn costs_of(samples: &Samples) -> Round {
    samples.iter().map(|(kind, sample)| (kind.name().to_owned(), sample.cost)).collect()
}

fn summary(kind: Kind, samples: &[Samples], rounds: &[Round]) -> Option<Summary> {
    let middle = |of: fn(&Sample) -> Option<f64>| {
        let values: Vec<f64> = samples.iter().filter_map(|round| of(round.get(&kind)?)).collect();
        stats::median(&values)
    };
    Some(Summary {
        server: kind.name().to_owned(),
        cost: middle(|sample| Some(sample.cost))?,
        ratio: ratio(rounds, kind),
        p50_us: middle(|sample| sample.p50_us),
        p99_us: middle(|sample| sample.p99_us),
    })
}

fn ratio(rounds: &[Round], kind: Kind) -> Option<Ratio> {
    Spread::of(&stats::ratios_to_best(rounds, kind.name(), &Kind::PEERS)).map(Ratio::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cost: f64) -> Sample {
        Sample { cost, p50_us: Some(cost * 10.0), p99_us: None }
    }

    #[test]
    fn a_server_without_samples_is_not_summed_up() {
        let round = Samples::from([(Kind::Namegate, sample(1.0)), (Kind::Nginx, sample(2.0))]);
        let compared = Compared::of(Work::Http1, &[round], BTreeMap::from([("Caddy", "absent".to_owned())]));
        let names: Vec<&str> = compared.servers.iter().map(|summary| summary.server.as_str()).collect();
        assert_eq!(names, ["namegate", "nginx"]);
        assert_eq!(compared.best_peer.as_deref(), Some("nginx"));
        assert!(compared.ours.is_some_and(|ours| (ours.median - 0.5).abs() < 1e-9));
    }

    #[test]
    fn without_us_there_is_no_ratio_of_ours() {
        let round = Samples::from([(Kind::Floor, sample(1.0)), (Kind::Nginx, sample(2.0))]);
        let compared = Compared::of(Work::Http1, &[round], BTreeMap::new());
        assert!(compared.ours.is_none());
        let floor = compared.servers.iter().find(|summary| summary.server == "floor").expect("the floor was measured");
        assert!(floor.ratio.is_some_and(|ratio| (ratio.median - 0.5).abs() < 1e-9));
    }
}
