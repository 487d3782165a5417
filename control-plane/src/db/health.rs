//! [`Health`]: whether a PostgreSQL server lets anybody in.
//!
//! A pool retries a refused connection until its caller's patience ends, and each caller begins anew. Here one prober
//! tries for all of them: while it is refused, everybody is told so at once. It speaks up only when connecting *fails*,
//! so that a slow machine is never taken for a dead database.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::sync::watch;

use super::DbError;

/// A connection that is there is had in microseconds. Whoever waits longer wants to know why.
const HASTE: Duration = Duration::from_millis(100);
/// Between two attempts while the server is away: how late its return is noticed.
const PERIOD: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody has complained.
    Well,
    /// The prober is on its way.
    Examined,
    /// The prober was refused.
    Away,
}

/// What is known of one server. Shared by everything that connects to it.
#[derive(Debug)]
pub struct Health {
    connect: PgConnectOptions,
    /// How long an attempt to connect may take.
    patience: Duration,
    state: watch::Sender<State>,
}

impl Health {
    pub(crate) fn new(connect: PgConnectOptions, patience: Duration) -> Arc<Self> {
        Arc::new(Self { connect, patience, state: watch::Sender::new(State::Well) })
    }

    /// Waits for what needs a connection, but not while none can be made.
    pub(crate) fn attend<T: Send>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send,
    ) -> impl Future<Output = Result<T, DbError>> + Send {
        // Connecting is a large future, and every caller would carry it.
        self.watch_over(Box::pin(work))
    }

    async fn watch_over<T: Send>(
        self: &Arc<Self>,
        mut work: Pin<Box<impl Future<Output = Result<T, sqlx::Error>> + Send>>,
    ) -> Result<T, DbError> {
        if *self.state.borrow() == State::Away {
            return Err(refused());
        }
        let outcome = match tokio::time::timeout(HASTE, &mut work).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.examine();
                let mut state = self.state.subscribe();
                tokio::select! {
                    biased;
                    outcome = work => outcome,
                    _ = state.wait_for(|state| *state == State::Away) => return Err(refused()),
                }
            }
        };
        if outcome.as_ref().is_err_and(is_away) {
            self.examine();
        }
        Ok(outcome?)
    }

    /// A connection of one's own, made within the limit.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<PgConnection, DbError> {
        self.attend(self.try_connect()).await
    }

    async fn try_connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = PgConnection::connect_with(&self.connect);
        tokio::time::timeout(self.patience, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Sends the prober, unless it is on its way.
    fn examine(self: &Arc<Self>) {
        let is_first = self.state.send_if_modified(|state| {
            let is_first = *state == State::Well;
            if is_first {
                *state = State::Examined;
            }
            is_first
        });
        if is_first {
            tokio::spawn(probe(Arc::downgrade(self)));
        }
    }
}

/// Tries until the server lets somebody in, or nobody wants to know any more.
async fn probe(health: Weak<Health>) {
    while let Some(health) = health.upgrade() {
        match health.try_connect().await {
            Err(error) if is_away(&error) => {
                let was = health.state.send_replace(State::Away);
                if was != State::Away {
                    tracing::warn!(error = %telemetry::chain(&error), "the database is away");
                }
            }
            outcome => {
                if health.state.send_replace(State::Well) == State::Away {
                    tracing::info!("the database is back");
                }
                if let Ok(connection) = outcome {
                    let _ = connection.close().await;
                }
                return;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn refused() -> DbError {
    DbError::Unavailable(sqlx::Error::PoolTimedOut)
}

/// Nobody listens, or a server that starts or stops. One that refuses a password or has no room is there.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
