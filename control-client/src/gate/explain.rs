//! What the gate would say, without a trace of having been asked.

use std::{fmt, sync::Arc, time::Duration};

use clock::Timestamp;
use names::Hostname;

use super::{Inner, Outcome, check};
use crate::{
    Admitted, Freshness, Refusal, Site,
    ask::{Answer, AskError},
    memory::{Allowed, Entry},
};

/// Where a verdict comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The control plane's directory lists the name, or remembers that it is gone.
    Feed,
    /// The question failed; the verdict rests on the name's last allow, or on there being none.
    LastAnswer,
    /// Memory has a current answer.
    Memory,
    /// The endpoint was asked now.
    Question,
}

/// What [`Gate::admit`](crate::Gate::admit) would say about a name, and why.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The name.
    pub name: Hostname,
    /// What `admit` would say.
    pub verdict: Result<Admitted, Refusal>,
    /// Where it comes from.
    pub source: Source,
    /// Age of the answer it rests on; `None` without an answer.
    pub age: Option<Duration>,
    /// How long memory goes on saying this without a question.
    pub asked_again_in: Option<Duration>,
    /// What went wrong with the question, causes included.
    pub problem: Option<String>,
}

pub(super) async fn explain(inner: &Inner, name: &Hostname) -> Explanation {
    let now = inner.clock.now();
    if let Some(explanation) = from_directory(inner, name, now) {
        return explanation;
    }
    let entry = inner.memory.find(name);
    match entry {
        Some(entry) if entry.is_current(now) => from_memory(inner, name, entry, now),
        entry => from_question(inner, name, entry, now).await,
    }
}

fn from_directory(inner: &Inner, name: &Hostname, now: Timestamp) -> Option<Explanation> {
    let directory = inner.directory.as_ref()?;
    let verdict = directory.look_up(name, inner.default_origin.as_ref(), now)?;
    let age = directory.last_contact().map(|contact| now.since(contact));
    Some(Explanation { name: name.clone(), verdict, source: Source::Feed, age, asked_again_in: None, problem: None })
}

fn from_memory(inner: &Inner, name: &Hostname, entry: Entry, now: Timestamp) -> Explanation {
    let verdict = entry.decide(now, inner.limits.stale);
    let asked_again_in = Some(entry.until.since(now));
    let given = entry.answered;
    let age = match &verdict {
        Err(Refusal::Denied) => Some(given),
        Ok(_) | Err(Refusal::Unavailable) => entry.last_allow().map(|last| last.answered),
    };
    let age = age.map(|answered| now.since(answered));
    Explanation { name: name.clone(), verdict, source: Source::Memory, age, asked_again_in, problem: None }
}

async fn from_question(inner: &Inner, name: &Hostname, entry: Option<Entry>, now: Timestamp) -> Explanation {
    let last = match entry {
        Some(entry) => entry.last_allow(),
        None => last_on_disk(inner, name).await,
    };
    let verdict: Result<Outcome, AskError> = match inner.endpoint.ask(name).await {
        Ok(Answer::Allow(answer)) => {
            let floor = inner.floor(name, last.as_ref());
            check(name, &answer, inner.default_origin.as_ref(), floor).map(|site| Ok(fresh(site)))
        }
        Ok(Answer::Deny(_)) => Ok(Err(Refusal::Denied)),
        Err(error) => Err(error),
    };
    let explanation = Explanation {
        name: name.clone(),
        verdict: Err(Refusal::Unavailable),
        source: Source::Question,
        age: Some(Duration::ZERO),
        asked_again_in: None,
        problem: None,
    };
    match verdict {
        Ok(verdict) => Explanation { verdict, ..explanation },
        Err(error) => Explanation {
            verdict: last.as_ref().map_or(Err(Refusal::Unavailable), |last| last.stale(now, inner.limits.stale)),
            source: Source::LastAnswer,
            age: last.map(|last| now.since(last.answered)),
            problem: Some(telemetry::chain(&error).to_string()),
            ..explanation
        },
    }
}

async fn last_on_disk(inner: &Inner, name: &Hostname) -> Option<Allowed> {
    let record = inner.records.peek(name).await?;
    inner.revive(name, &record)
}

fn fresh(site: Site) -> Admitted {
    Admitted { site: Arc::new(site), freshness: Freshness::Fresh }
}

/// One line for people.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Ok(Admitted { site, freshness }) => {
                let origin = site.origin.as_ref().map_or_else(|| "no origin".to_owned(), ToString::to_string);
                let state = if *freshness == Freshness::Fresh { "allowed" } else { "allowed (stale)" };
                write!(f, "{}: {state}, {origin}, generation {}", self.name, site.generation)?;
            }
            Err(refusal) => write!(f, "{}: {refusal}", self.name)?,
        }
        match self.source {
            Source::Feed => f.write_str("; known name, from the feed")?,
            Source::LastAnswer => f.write_str("; by the last answer")?,
            Source::Memory => f.write_str("; remembered")?,
            Source::Question => f.write_str("; asked now")?,
        }
        if let Some(age) = self.age {
            write!(f, ", {} s old", age.as_secs())?;
        }
        if let Some(left) = self.asked_again_in {
            write!(f, ", asked again in {} s", left.as_secs())?;
        }
        self.problem.as_ref().map_or(Ok(()), |problem| write!(f, "; {problem}"))
    }
}
