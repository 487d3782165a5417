//! [`Provider`]: an adapter with the engine around it.

use std::{sync::Arc, time::Duration};

use names::{Hostname, registrable};
use serde::{Deserialize, Serialize};

use super::{
    adapter::Adapter,
    error::{Problem, ProviderError},
    facts::Facts,
    locks::ZoneLocks,
    plan::{Change, Plan, Request, back, plan},
    record::{Record, Stored, Zone, same},
    steps,
};
use crate::{OwnerName, limits::MAX_CLIMB};

/// How often and how fast a plan is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Rounds of looking and writing after failures with an unknown outcome.
    pub rounds: u32,
    /// Before the second round; each further one waits twice as long.
    pub pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rounds: 5, pause: Duration::from_millis(400) }
    }
}

/// A provider that can be written to. Clones share the connection and the turns.
#[derive(Debug, Clone)]
pub struct Provider {
    adapter: Arc<dyn Adapter>,
    locks: ZoneLocks,
    pace: Pace,
}

/// A plan that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Rounds of looking and writing; 0: nothing had to be done.
    pub rounds: u32,
    /// Takes it back.
    pub undo: Undo,
}

/// What stood at the names of a plan before it was carried out, for [`Provider::restore`]. It can be kept as JSON, so
/// that a process that was killed is not the last one that could take the plan back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    changes: Vec<Change>,
    before: Vec<Stored>,
}

impl Undo {
    fn of(plan: &Plan, existing: &[Stored]) -> Self {
        let before = existing.iter().filter(|record| plan.concerns(record)).cloned().collect();
        Self { changes: plan.changes.clone(), before }
    }

    /// What the plan added.
    pub fn adds(&self) -> impl Iterator<Item = &Record> {
        self.changes.iter().flat_map(|change| &change.add)
    }

    /// Whether the plan announced that this record goes.
    pub fn removes(&self, record: &Stored) -> bool {
        self.changes.iter().flat_map(|change| &change.remove).any(|gone| same(gone, record))
    }
}

/// A plan that was not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the records were not written")]
pub struct Failed {
    /// Why.
    #[source]
    pub error: ProviderError,
    /// What it left.
    pub left: Left,
}

/// What a failure left in the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The zone is as it was before.
    AsBefore,
    /// Some of it may be done. The next run completes it; [`Provider::restore`] takes it back.
    Half(Undo),
}

impl Provider {
    /// Around an adapter; `locks` are shared by all providers of a process.
    pub fn new(adapter: Arc<dyn Adapter>, locks: ZoneLocks, pace: Pace) -> Self {
        Self { adapter, locks, pace }
    }

    /// What is known of it without asking.
    pub fn facts(&self) -> &'static Facts {
        self.adapter.facts()
    }

    /// The zone with the longest name that holds `name`.
    ///
    /// Climbs from the name itself to the domain that a customer can own, never to a public suffix.
    ///
    /// # Errors
    /// [`Problem::ZoneNotFound`] when the account has none, else what the provider said.
    pub async fn find_zone(&self, name: &OwnerName) -> Result<Zone, ProviderError> {
        for candidate in candidates(name) {
            if let Some(zone) = self.adapter.zone(&candidate).await? {
                return if zone.holds(&name.to_string()) { Ok(zone) } else { Err(self.error(Problem::ZoneNotFound)) };
            }
        }
        Err(self.error(Problem::ZoneNotFound))
    }

    /// All records of a zone.
    ///
    /// # Errors
    /// What the provider said.
    pub async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        self.adapter.list(zone).await
    }

    /// What would be done: reads, never writes.
    ///
    /// # Errors
    /// What the provider said.
    pub async fn preview(&self, zone: &Zone, request: &Request) -> Result<Plan, ProviderError> {
        Ok(plan(zone, request, &self.list(zone).await?))
    }

    /// What would be done, and what takes it back: for a caller who writes both down before anything is written.
    ///
    /// # Errors
    /// What the provider said.
    pub async fn survey(&self, zone: &Zone, request: &Request) -> Result<(Plan, Undo), ProviderError> {
        let existing = self.list(zone).await?;
        let plan = plan(zone, request, &existing);
        let undo = Undo::of(&plan, &existing);
        Ok((plan, undo))
    }

    /// Carries out what was shown. Runs again until the zone holds it, or a failure is final.
    ///
    /// # Errors
    /// [`Failed`] with the cause and with what is left of it.
    pub async fn apply(&self, zone: &Zone, shown: &Plan) -> Result<Applied, Failed> {
        let _turn = self.locks.take(self.facts().key, &zone.id).await;
        let mut first: Option<Undo> = None;
        let mut round = 0;
        loop {
            let outcome = self.round(zone, shown, &mut first).await;
            let undo = first.clone().unwrap_or_default();
            match outcome {
                Ok(Round::Nothing) => return Ok(Applied { rounds: round, undo }),
                Ok(Round::Done) => return Ok(Applied { rounds: round + 1, undo }),
                Err(Stop::Before(error)) if round == 0 => return Err(Failed { error, left: Left::AsBefore }),
                Err(Stop::Before(error)) => return Err(Failed { error, left: Left::Half(undo) }),
                Err(Stop::Within(error)) if error.problem.is_unclear() && round + 1 < self.pace.rounds => {
                    self.rest(round).await;
                    round += 1;
                }
                Err(Stop::Within(error)) if error.problem.passes() => {
                    return Err(Failed { error, left: Left::Half(undo) });
                }
                Err(Stop::Within(error)) => return Err(self.undone(zone, undo, error).await),
            }
        }
    }

    /// Puts the records of the plan's names back to what stood there before.
    ///
    /// # Errors
    /// What the provider said; some of it may be done, and it can be called again.
    pub async fn restore(&self, zone: &Zone, undo: &Undo) -> Result<(), ProviderError> {
        let _turn = self.locks.take(self.facts().key, &zone.id).await;
        self.lead_back(zone, undo).await
    }

    async fn round(&self, zone: &Zone, shown: &Plan, first: &mut Option<Undo>) -> Result<Round, Stop> {
        let existing = self.list(zone).await.map_err(Stop::Before)?;
        let now = plan(zone, &shown.request, &existing);
        if !now.conflicts.is_empty() {
            return Err(Stop::Before(self.error(Problem::Conflict)));
        }
        if now.exceeds(shown) {
            return Err(Stop::Before(self.error(Problem::Changed)));
        }
        let ran = steps::run(self.adapter.writes(), zone, &now.changes, &existing);
        if first.is_none() {
            *first = Some(Undo::of(&now, &existing));
        }
        match now.changes.is_empty() {
            true => Ok(Round::Nothing),
            false => ran.await.map(|()| Round::Done).map_err(Stop::Within),
        }
    }

    async fn undone(&self, zone: &Zone, undo: Undo, error: ProviderError) -> Failed {
        match self.lead_back(zone, &undo).await {
            Ok(()) => Failed { error, left: Left::AsBefore },
            // The first failure is the one that helps; the second only says that the first is still there.
            Err(_) => Failed { error, left: Left::Half(undo) },
        }
    }

    async fn lead_back(&self, zone: &Zone, undo: &Undo) -> Result<(), ProviderError> {
        let mut round = 0;
        loop {
            let existing = self.list(zone).await?;
            let changes = back(&undo.changes, &undo.before, &existing);
            if changes.is_empty() {
                return Ok(());
            }
            match steps::run(self.adapter.writes(), zone, &changes, &existing).await {
                Ok(()) => return Ok(()),
                Err(error) if error.problem.is_unclear() && round + 1 < self.pace.rounds => self.rest(round).await,
                Err(error) => return Err(error),
            }
            round += 1;
        }
    }

    async fn rest(&self, round: u32) {
        tokio::time::sleep(self.pace.pause * 2_u32.saturating_pow(round)).await;
    }

    fn error(&self, problem: Problem) -> ProviderError {
        ProviderError::new(self.facts().name, problem)
    }
}

/// How a round ended well.
enum Round {
    Nothing,
    Done,
}

/// How it did not.
enum Stop {
    /// Nothing was written in this round.
    Before(ProviderError),
    /// Something may have been.
    Within(ProviderError),
}

/// Names that may be zones, the longest first.
fn candidates(name: &OwnerName) -> Vec<String> {
    let text = name.to_string();
    // Records have underscores before the hostname that the list knows.
    let host = text.split('.').skip_while(|label| label.starts_with(['_', '*'])).collect::<Vec<_>>().join(".");
    let top = Hostname::parse(&host).ok().and_then(|host| registrable(&host).map(str::len)).unwrap_or(text.len());
    let all = name.climb().take(MAX_CLIMB).map(|level| level.to_string());
    all.take_while(|level| level.len() >= top).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_looked_for_from_the_name_to_the_registrable_domain() {
        let of = |name: &str| candidates(&name.parse().unwrap());
        assert_eq!(of("_c.shop.example.co.uk"), ["_c.shop.example.co.uk", "shop.example.co.uk", "example.co.uk"]);
        assert_eq!(of("example.com"), ["example.com"]);
        assert_eq!(of("a.someone.github.io"), ["a.someone.github.io", "someone.github.io"]);
    }
}
