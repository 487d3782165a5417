//! Hints: a connection that listens for notifications. They may be lost; whoever needs to know asks now and then.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::CHANNEL;

/// Hints that wait for whoever is slow to hear them; whoever misses some is told so, and looks.
pub(super) const WAITING: usize = 1024;
/// A listener that lost its connection tries again after this time.
const AGAIN: Duration = Duration::from_secs(1);

/// Rings `bell` for every notification until `stop`.
pub(super) async fn listen(pool: PgPool, bell: broadcast::Sender<Arc<str>>, stop: CancellationToken) {
    let listening = async {
        loop {
            if let Err(error) = ring(&pool, &bell).await {
                tracing::debug!(%error, "nobody listens for the store's notifications now");
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    let _: Option<()> = stop.run_until_cancelled(listening).await;
}

async fn ring(pool: &PgPool, bell: &broadcast::Sender<Arc<str>>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // Something may have been missed before, or while the connection was lost.
    let mut about = Arc::from("");
    loop {
        // Nobody may be there who wants to know.
        let _ = bell.send(about);
        about = listener.try_recv().await?.map_or_else(|| Arc::from(""), |heard| Arc::from(heard.payload()));
    }
}
