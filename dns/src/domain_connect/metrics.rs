//! What questions to providers brought.

use prometheus::{IntCounterVec, Opts, Registry};

use super::Why;

/// Counters of [`Client`](super::Client). No label ever holds a name.
#[derive(Debug, Clone)]
pub struct ClientMetrics {
    asked: IntCounterVec,
}

impl ClientMetrics {
    /// Registers `namegate_control_domain_connect_questions_total`.
    ///
    /// # Errors
    /// When a series of this name stands in the registry already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new(
            "namegate_control_domain_connect_questions_total",
            "Domain Connect: questions about zones and templates by what they brought.",
        );
        let asked = IntCounterVec::new(opts, &["about", "result"])?;
        registry.register(Box::new(asked.clone()))?;
        Ok(Self { asked })
    }

    pub(super) fn asked<T>(&self, about: &str, result: &Result<T, Why>) {
        let result = result.as_ref().err().map_or("ok", |why| why.code());
        self.asked.with_label_values(&[about, result]).inc();
    }
}
