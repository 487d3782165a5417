//! One full synchronisation: the snapshot, streamed into names that are not live before it has proved to be whole.
//!
//! Reading a hundred thousand lines takes a good part of a second, and comparing a million names a whole one: neither
//! belongs to a worker of the runtime, where visitors would wait behind it.

use reqwest::StatusCode;
use tokio::{sync::mpsc, task::JoinHandle};
use tracing::warn;

use super::{
    client::{self, Client},
    directory::Directory,
    error::CallError,
    snapshot::{LeftOut, Lines, Reader, SnapshotError},
};

/// Most bytes of a snapshot line times the most names would be far more than anyone can mean.
const BYTES_A_NAME: usize = 1024;
/// Pieces that have come and are not read yet; then no more are taken from the socket.
const PIECES: usize = 4;

/// Reads the snapshot. How many names it held.
pub(super) async fn sync(client: &Client, directory: &Directory) -> Result<u64, CallError> {
    let limits = directory.limits();
    let mut response = match client.get("/internal/snapshot", None, limits.timeout).await {
        // Only the feed can be gone.
        Err(CallError::Gone) => return Err(CallError::Status(StatusCode::GONE)),
        response => response?,
    };
    let most = limits.names.saturating_mul(BYTES_A_NAME);
    let (pieces, read) = reading(directory);
    let mut bytes = 0_usize;
    while let Some(piece) = client::piece(&mut response, limits.timeout).await? {
        bytes += piece.as_ref().len();
        if bytes > most {
            return Err(CallError::TooLong { limit: most });
        }
        if pieces.send(piece).await.is_err() {
            // It was refused, and why is in what the reading ended with.
            break;
        }
    }
    drop(pieces);
    let reader = read.await.unwrap_or(Err(SnapshotError::Truncated))?;
    directory.metrics().left_out.inc_by(reader.left_out.count());
    tell(&reader.left_out);
    let finished = tokio::task::spawn_blocking(|| reader.finish()).await;
    Ok(finished.unwrap_or(Err(SnapshotError::Truncated))?)
}

/// Reads what is sent to it, on a thread of its own, until nothing more comes. Nothing is live then.
fn reading<P: AsRef<[u8]> + Send + 'static>(
    directory: &Directory,
) -> (mpsc::Sender<P>, JoinHandle<Result<Reader, SnapshotError>>) {
    let (pieces, mut come) = mpsc::channel::<P>(PIECES);
    let (mut reader, mut lines) = (Reader::new(directory), Lines::default());
    let read = tokio::task::spawn_blocking(move || {
        while let Some(piece) = come.blocking_recv() {
            lines.push(piece.as_ref(), |line| reader.line(line))?;
        }
        match lines.is_cut() {
            true => Err(SnapshotError::Truncated),
            false => Ok(reader),
        }
    });
    (pieces, read)
}

/// One line for all names that were not taken. Nothing of a record that cannot be read is repeated.
fn tell(left_out: &LeftOut) {
    let Some(first) = left_out.first() else { return };
    let hostname = first.hostname.as_ref().map(tracing::field::display);
    let count = left_out.count();
    warn!(count, line = first.line, hostname, why = first.why, "control.snapshot names left out");
}
