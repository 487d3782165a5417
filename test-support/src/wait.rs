//! Waiting for a fact instead of for a time.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

/// How long [`until`] waits. Far longer than anything takes on a loaded machine; only a failing test reaches it.
pub const LIMIT: Duration = Duration::from_secs(100);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to see, and panics with `what` when [`LIMIT`] has passed.
///
/// Not an `AsyncFnMut`, whose future a spawned task could not hold; a look that changes what it captures returns
/// [`std::future::ready`].
pub async fn until<T, F>(what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    match within(LIMIT, look).await {
        Some(seen) => seen,
        None => panic!("waited {LIMIT:?} in vain until {what}"),
    }
}

/// Looks until there is something to see, at most for `limit`.
pub async fn within<T, F>(limit: Duration, mut look: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Option<T>>,
{
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
