//! [`Asks`]: the gate's questions to PostgreSQL, many at a time.
//!
//! A round trip costs the server and this process as much for one name as for thirty. Questions that come while one is
//! under way are asked together by the next statement, so that the time of an answer is two round trips at most, however
//! many ask. Nothing is kept: every answer is read after its question came.

use std::{collections::HashMap, sync::Arc, time::Duration};

use names::Hostname;
use sqlx::PgConnection;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{DbError, gate, health::Health};
use crate::core::Allowed;

/// Statements at a time: while one is on its way back, the next one is on its way out.
const LANES: usize = 2;
/// Names of one statement: beyond, a statement takes longer than another round trip.
const MOST_NAMES: usize = 128;
/// Questions that wait: a second's worth; an edge that waits longer has given up.
const MOST_WAITING: usize = 4096;

type Answer = Result<Option<Allowed>, Arc<DbError>>;

struct Question {
    hostname: Hostname,
    tell: oneshot::Sender<Answer>,
}

/// The way to ask. Cheap to clone; the lanes end with the last one.
#[derive(Clone)]
pub struct Asks {
    questions: mpsc::Sender<Question>,
}

impl std::fmt::Debug for Asks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asks").finish_non_exhaustive()
    }
}

impl Asks {
    /// Opens the lanes; they connect when they are asked something.
    pub(crate) fn open(health: &Arc<Health>, patience: Duration) -> Self {
        let (questions, inbox) = mpsc::channel(MOST_WAITING);
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..LANES {
            let lane = Lane { health: Arc::clone(health), patience, connection: None };
            tokio::spawn(lane.run(Arc::clone(&inbox)));
        }
        Self { questions }
    }

    pub(crate) async fn ask(&self, hostname: &Hostname) -> Result<Option<Allowed>, DbError> {
        let unanswered = || DbError::Unavailable(sqlx::Error::PoolTimedOut);
        let (tell, told) = oneshot::channel();
        let question = Question { hostname: hostname.clone(), tell };
        self.questions.try_send(question).map_err(|_| unanswered())?;
        told.await.map_err(|_| unanswered())?.map_err(DbError::Shared)
    }
}

struct Lane {
    health: Arc<Health>,
    patience: Duration,
    connection: Option<PgConnection>,
}

impl Lane {
    async fn run(mut self, inbox: Arc<Mutex<mpsc::Receiver<Question>>>) {
        let mut questions = Vec::new();
        // The other lane waits at the lock for what comes after this.
        while inbox.lock().await.recv_many(&mut questions, MOST_NAMES).await > 0 {
            let names: Vec<&str> = questions.iter().map(|question| question.hostname.as_str()).collect();
            let found = self.find(&names).await;
            answer(found, questions.drain(..));
        }
    }

    /// One statement; once more when the connection turns out to be one of a server that is gone.
    async fn find(&mut self, names: &[&str]) -> Result<Vec<Allowed>, DbError> {
        if let Some(mut connection) = self.connection.take()
            && let Ok(found) = self.find_on(&mut connection, names).await
        {
            self.connection = Some(connection);
            return Ok(found);
        }
        let mut connection = self.health.connect().await?;
        let found = self.find_on(&mut connection, names).await?;
        self.connection = Some(connection);
        Ok(found)
    }

    async fn find_on(&self, connection: &mut PgConnection, names: &[&str]) -> Result<Vec<Allowed>, DbError> {
        let limited = tokio::time::timeout(self.patience, gate::ask_many(connection, names));
        limited.await.unwrap_or(Err(DbError::Unavailable(sqlx::Error::PoolTimedOut)))
    }
}

fn answer(found: Result<Vec<Allowed>, DbError>, questions: impl Iterator<Item = Question>) {
    // Whoever has left wants no answer.
    match found {
        Ok(rows) => {
            let rows: HashMap<Hostname, Allowed> = rows.into_iter().map(|row| (row.hostname.clone(), row)).collect();
            questions.for_each(|question| drop(question.tell.send(Ok(rows.get(&question.hostname).cloned()))));
        }
        Err(error) => {
            let error = Arc::new(error);
            questions.for_each(|question| drop(question.tell.send(Err(Arc::clone(&error)))));
        }
    }
}
