//! [`Herald`]: tells the control plane what becomes of certificates.
//!
//! Only names that the control plane lists are told of. A certificate is reported under an id that is made of it and of
//! the connection that it serves, so that it counts once however often it is told of: by its order, by a restart that
//! cannot know whether the order's report arrived, by the edge next to this one.

mod words;

use std::{collections::HashMap, sync::Arc, time::Duration};

use certs::{IssuerKey, Leaf, Observer, Step};
use clock::Timestamp;
use control_client::{Directory, Listed, Reporter};
use moka::sync::Cache;
use names::{Hostname, Subject};

use crate::ahead::Ahead;

/// A restart tells again of certificates that are at most so old: longer than a crash keeps an edge away, shorter than
/// the control plane remembers what it was told. Authorities date certificates back by an hour.
const RECENT: Duration = Duration::from_secs(2 * 24 * 3600);
/// Names whose last report is remembered, so that a change of their origin does not tell of their certificate again.
const TOLD: u64 = 100_000;

/// Turns steps of certificates into reports. It never waits.
pub struct Herald {
    directory: Directory,
    reporter: Reporter,
    ahead: Ahead,
    /// What the control plane calls an issuer: its directory's URL.
    issuers: HashMap<IssuerKey, String>,
    told: Cache<Hostname, Arc<str>>,
}

impl Herald {
    /// A herald for the issuers that the configuration names.
    pub fn new(directory: Directory, reporter: Reporter, ahead: Ahead, issuers: HashMap<IssuerKey, String>) -> Self {
        Self { directory, reporter, ahead, issuers, told: Cache::new(TOLD) }
    }

    /// Whether so much is waiting to be told that old news should wait.
    pub fn is_behind(&self) -> bool {
        self.reporter.is_behind()
    }

    /// Tells of a certificate that was there before the control plane asked for one.
    pub fn kept(&self, name: &Hostname, leaf: &Leaf, listed: &Listed, at: Timestamp) {
        let report = words::issued(name, leaf, listed, self.issuer(leaf.issuer()), at);
        let id: Arc<str> = report.id.as_str().into();
        if self.told.get(name).as_ref() != Some(&id) {
            self.told.insert(name.clone(), id);
            self.reporter.report(report);
        }
    }

    fn issuer<'a>(&'a self, key: &'a IssuerKey) -> &'a str {
        self.issuers.get(key).map_or(key.as_str(), String::as_str)
    }

    fn issued(&self, name: &Hostname, leaf: &Leaf, listed: &Listed, (renewal, attempt): (bool, u32), at: Timestamp) {
        let report = words::issued(name, leaf, listed, self.issuer(leaf.issuer()), at);
        self.told.insert(name.clone(), report.id.as_str().into());
        let kind = if renewal { control_api::ReportKind::Renewed } else { report.kind };
        self.reporter.report(control_api::CertificateReport { kind, attempt, ..report });
    }

    fn failed(&self, name: &Hostname, failure: &certs::Failure, renewal: bool, listed: &Listed, at: Timestamp) {
        let again = (renewal || listed.pointing).then(|| failure.next_order());
        let issuer = |key: &str| self.issuers.get(&IssuerKey::new(key)).cloned().unwrap_or_else(|| key.to_owned());
        self.reporter.report(words::failed(name, failure, issuer, again, at));
        if let Some(again) = again.filter(|_| !renewal) {
            self.ahead.push_at(name, again);
        }
    }
}

impl Observer for Herald {
    fn observe(&self, subject: &Subject, step: &Step<'_>, at: Timestamp) {
        let Some(name) = subject.hostname() else {
            if let Step::Issued { .. } = step {
                // Names that it serves are told of one by one.
                self.ahead.walk_again();
            }
            return;
        };
        let name = &name;
        let Some(listed) = self.directory.find(name) else { return };
        match step {
            Step::Failed { failure, renewal } => self.failed(name, failure, *renewal, &listed, at),
            Step::Issued { leaf, renewal, attempt } => self.issued(name, leaf, &listed, (*renewal, *attempt), at),
            Step::Kept { entry } if at.since(entry.not_before) <= RECENT => self.ahead.push(name),
            Step::Kept { .. } => {}
        }
    }
}
