//! What logs have lost, for a registry. The logs count by themselves, since they begin before there is one.

use parking_lot::Mutex;
use prometheus::{
    IntCounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::{Diagnostics, Lines, flood::Flood};

/// The lines that logs have lost, by log and reason.
#[derive(Debug)]
pub struct LostLines {
    counters: IntCounterVec,
    diagnostics: (Lines, Flood),
    access: Option<Lines>,
    /// Held while counters follow: two scrapes at once must not count a line twice.
    following: Mutex<()>,
}

impl LostLines {
    /// Registers `<prefix>_log_lines_lost_total{log, reason}` for the diagnostics and an access log.
    ///
    /// # Errors
    /// When the name is registered already.
    pub fn register(
        registry: &Registry,
        prefix: &str,
        diagnostics: &Diagnostics,
        access: Option<Lines>,
    ) -> prometheus::Result<()> {
        let name = format!("{prefix}_log_lines_lost_total");
        let opts = Opts::new(name, "Log lines that were not written, by log and reason");
        let counters = IntCounterVec::new(opts, &["log", "reason"])?;
        let diagnostics = (diagnostics.lines.clone(), diagnostics.flood.clone());
        registry.register(Box::new(Self { counters, diagnostics, access, following: Mutex::default() }))
    }

    fn follow(&self, log: &str, reason: &str, lost: u64) {
        let counter = self.counters.with_label_values(&[log, reason]);
        counter.inc_by(lost.saturating_sub(counter.get()));
    }
}

impl Collector for LostLines {
    fn desc(&self) -> Vec<&Desc> {
        self.counters.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _following = self.following.lock();
        let (lines, flood) = &self.diagnostics;
        self.follow("diagnostics", "left_out", flood.left_out());
        for (log, lines) in [("diagnostics", Some(lines)), ("access", self.access.as_ref())] {
            if let Some(lost) = lines.map(Lines::lost) {
                self.follow(log, "queue_full", lost.not_queued);
                self.follow(log, "not_written", lost.not_written);
            }
        }
        self.counters.collect()
    }
}
