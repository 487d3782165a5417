//! Waiting for a fact instead of for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long [`until`] waits. Far longer than anything takes on a loaded machine; only a failing test reaches it.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and panics with `what` when [`LIMIT`] has passed.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    match within(LIMIT, look).await {
        Some(seen) => seen,
        None => panic!("waited {LIMIT:?} in vain until {what}"),
    }
}

/// Looks until there is something to see, at most for `limit`.
pub async fn within<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(seen) = look().await {
            return Some(seen);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(PAUSE).await;
    }
}
