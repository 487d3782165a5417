//! Counters of fair use. No label holds an address.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use super::Refused;

/// What visitors are asked to leave for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// `limits.connections` are open and another visitor waits.
    Connections,
    /// The process has no descriptors left.
    Descriptors,
    /// Memory is nearly used up.
    Memory,
    /// Memory is used up, and those with many requests at once hold most of it.
    MemoryFull,
}

impl Shortage {
    const ALL: [Self; 4] = [Self::Connections, Self::Descriptors, Self::Memory, Self::MemoryFull];

    /// A stable word for metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::MemoryFull => "memory_full",
        }
    }
}

#[derive(Debug)]
pub(super) struct FairMetrics {
    pub(super) handshakes: IntGauge,
    pub(super) pressure: IntGauge,
    refused: IntCounterVec,
    shed: IntCounterVec,
}

impl FairMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let handshakes = IntGauge::new(
            "namegate_edge_handshakes_in_flight",
            "Connections whose handshake is not done, from accept on",
        )?;
        let pressure = IntGauge::new("namegate_edge_memory_pressure", "Shortage of memory: 0 calm, 1 high, 2 full")?;
        let refused = Opts::new(
            "namegate_edge_connections_refused_total",
            "Connections reset for fairness, before anything was signed",
        );
        let refused = IntCounterVec::new(refused, &["reason"])?;
        let shed =
            Opts::new("namegate_edge_connections_shed_total", "Connections closed to make room, by what was short");
        let shed = IntCounterVec::new(shed, &["reason"])?;
        registry.register(Box::new(handshakes.clone()))?;
        registry.register(Box::new(pressure.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(shed.clone()))?;
        // Every series exists from the start, so that its first increase is seen.
        Refused::ALL.iter().for_each(|reason| drop(refused.with_label_values(&[reason.code()])));
        Shortage::ALL.iter().for_each(|reason| drop(shed.with_label_values(&[reason.code()])));
        Ok(Self { handshakes, pressure, refused, shed })
    }

    pub(super) fn or_count<T>(&self, result: Result<T, Refused>) -> Result<T, Refused> {
        if let Err(refused) = &result {
            self.refused(refused.code());
        }
        result
    }

    pub(super) fn refused(&self, code: &str) {
        self.refused.with_label_values(&[code]).inc();
    }

    pub(super) fn shed(&self, why: Shortage, count: usize) {
        self.shed.with_label_values(&[why.code()]).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}
