//! Counting panics. A panic ends one connection or one task, never the process, so nothing else would tell.

use prometheus::{IntCounter, Registry};

/// Counts every panic from now on, and tells of it as before. For the whole process, once.
///
/// # Errors
/// When the metric is registered already.
pub fn count(registry: &Registry) -> Result<(), prometheus::Error> {
    let help = "Panics: each has ended one connection or one task";
    let panics = IntCounter::new("namegate_edge_panics_total", help)?;
    registry.register(Box::new(panics.clone()))?;
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        panics.inc();
        tell(panic);
    }));
    Ok(())
}
