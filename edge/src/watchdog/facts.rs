//! What can be known of a runtime from outside.

use std::{fmt::Write as _, fs, path::Path};

use tokio::runtime::Handle;

/// Threads that are told of: workers come first, since they were started first.
const MOST_THREADS: usize = 64;

/// The state of a runtime and of the threads of its process.
#[derive(Debug)]
pub(super) struct Facts {
    /// Tasks that have not ended.
    pub(super) tasks: usize,
    /// Tasks that wait in the queue that workers share.
    pub(super) queued: usize,
    pub(super) workers: usize,
    /// `name:state:where`, one for each thread: state as in proc(5), where in the kernel it sleeps. `R` is a loop, `S`
    /// in `futex` a lock, `D` a disk.
    pub(super) threads: String,
}

pub(super) fn gather(runtime: &Handle) -> Facts {
    let metrics = runtime.metrics();
    Facts {
        tasks: metrics.num_alive_tasks(),
        queued: metrics.global_queue_depth(),
        workers: metrics.num_workers(),
        threads: threads(),
    }
}

fn threads() -> String {
    let mut all = String::new();
    for entry in fs::read_dir("/proc/self/task").into_iter().flatten().flatten().take(MOST_THREADS) {
        let Some((name, state, place)) = thread(&entry.path()) else { continue };
        let gap = if all.is_empty() { "" } else { " " };
        // Writing to a `String` cannot fail.
        let _ = write!(all, "{gap}{name}:{state}:{place}");
    }
    all
}

fn thread(path: &Path) -> Option<(String, char, String)> {
    let read = |file: &str| fs::read_to_string(path.join(file)).ok();
    let stat = read("stat")?;
    // The name stands in parentheses and may hold any of them itself; the state follows the last.
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.replace(char::is_whitespace, "_");
    let place = read("wchan").filter(|place| !place.is_empty()).unwrap_or_else(|| "-".to_owned());
    Some((name, after.trim_start().chars().next()?, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_thread_is_told_of_with_its_state() {
        let facts = gather(&Handle::current());
        assert_eq!(facts.workers, 1);
        let told: Vec<_> = facts.threads.split(' ').map(|thread| thread.split(':').count()).collect();
        assert!(!told.is_empty() && told.iter().all(|parts| *parts >= 3), "{}", facts.threads);
    }
}
