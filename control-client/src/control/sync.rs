//! One full synchronisation: the snapshot, streamed into names that are not live before it has proved to be whole.

use reqwest::StatusCode;

use super::{
    client::{self, Client},
    directory::Directory,
    error::CallError,
    snapshot::{Lines, Reader, SnapshotError},
};

/// Most bytes of a snapshot line times the most names would be far more than anyone can mean.
const BYTES_A_NAME: usize = 1024;

/// Reads the snapshot. How many names it held.
pub(super) async fn sync(client: &Client, directory: &Directory) -> Result<u64, CallError> {
    let limits = directory.limits();
    let mut response = match client.get("/internal/snapshot", None, limits.timeout).await {
        // Only the feed can be gone.
        Err(CallError::Gone) => return Err(CallError::Status(StatusCode::GONE)),
        response => response?,
    };
    let most = limits.names.saturating_mul(BYTES_A_NAME);
    let (mut reader, mut lines, mut bytes) = (Reader::new(directory), Lines::default(), 0_usize);
    while let Some(piece) = client::piece(&mut response, limits.timeout).await? {
        bytes += piece.as_ref().len();
        if bytes > most {
            return Err(CallError::TooLong { limit: most });
        }
        lines.push(piece.as_ref(), |line| reader.line(line))?;
    }
    if lines.is_cut() {
        return Err(SnapshotError::Truncated.into());
    }
    directory.metrics().left_out.inc_by(reader.left_out);
    // Comparing a million names takes a second, which belongs to no worker of the runtime.
    let finished = tokio::task::spawn_blocking(|| reader.finish()).await;
    Ok(finished.unwrap_or(Err(SnapshotError::Truncated))?)
}
