//! Closed-loop load: each worker starts its next operation when the last has ended.

use std::{
    cell::Cell,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures::{StreamExt, stream::FuturesUnordered};

use crate::{process::Tree, stats};

/// One connection (or stream) that repeats an operation.
pub trait Worker {
    /// One operation, from its first byte to its last.
    fn operate(&mut self) -> impl Future<Output = Result<()>>;
}

/// How long one server is loaded in one round.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Before the first reading of the accounts; it also tells how many operations fill the span.
    pub warm_up: Duration,
    /// The measured part, about.
    pub span: Duration,
    /// Idle connections to hold.
    pub idle_connections: usize,
}

/// What one server's operation cost in one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// CPU microseconds per operation, or KiB per connection.
    pub cost: f64,
    /// Median time of an operation in microseconds, seen by the client.
    pub p50_us: Option<f64>,
    /// 99th percentile of the same.
    pub p99_us: Option<f64>,
}

/// Loads a server and gives the CPU time it took for one operation.
///
/// The number of operations is fixed before the accounts are read, and the accounts are read again when the last one has
/// ended: no operation is counted in part.
pub async fn cpu_per_operation<W: Worker>(server: &Tree, mut workers: Vec<W>, effort: &Effort) -> Result<Sample> {
    let warm = Instant::now();
    let rate = {
        let warmed = drive(&mut workers, |_| warm.elapsed() < effort.warm_up).await?;
        warmed.len() as f64 / warm.elapsed().as_secs_f64()
    };
    let planned = (rate * effort.span.as_secs_f64()) as u64;
    let operations = planned.max(workers.len() as u64);

    let before = server.cpu_ns()?;
    let latencies = drive(&mut workers, |started| started < operations).await?;
    let spent_ns = server.cpu_ns()?.saturating_sub(before);
    ensure!(spent_ns > 0, "the server's CPU account did not move");
    Ok(Sample {
        cost: spent_ns as f64 / 1000.0 / latencies.len() as f64,
        p50_us: stats::percentile(&latencies, 0.5),
        p99_us: stats::percentile(&latencies, 0.99),
    })
}

/// Runs the workers side by side while `more(operations started so far)`; gives each operation's microseconds.
async fn drive<W: Worker>(workers: &mut [W], more: impl Fn(u64) -> bool) -> Result<Vec<f64>> {
    let started = Cell::new(0);
    let next = || {
        let go = more(started.get());
        started.set(started.get() + 1);
        go
    };
    let mut running: FuturesUnordered<_> = workers.iter_mut().map(|worker| repeat(worker, &next)).collect();
    let mut latencies = Vec::new();
    while let Some(of_one) = running.next().await {
        latencies.extend(of_one?);
    }
    Ok(latencies)
}

async fn repeat<W: Worker>(worker: &mut W, next: &impl Fn() -> bool) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    while next() {
        let start = Instant::now();
        worker.operate().await?;
        latencies.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting<'a>(&'a Cell<u64>);

    impl Worker for Counting<'_> {
        async fn operate(&mut self) -> Result<()> {
            self.0.set(self.0.get() + 1);
            tokio::task::yield_now().await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn exactly_the_planned_operations_are_done() {
        let done = Cell::new(0);
        let mut workers: Vec<_> = (0..7).map(|_| Counting(&done)).collect();
        let latencies = drive(&mut workers, |started| started < 100).await.expect("no worker fails");
        assert_eq!((done.get(), latencies.len()), (100, 100));
    }
}
