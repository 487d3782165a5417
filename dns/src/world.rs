//! [`World`]: the configured resolvers as one, for questions that need an answer and not a vote.

use futures::{StreamExt, stream::FuturesUnordered};
use hickory_proto::{op::Message, rr::RecordType};
use tokio::time::{Instant, timeout_at};

use crate::{
    Answer, Limits, Metrics, OwnerName, Reason, Role, Server,
    exchange::{Exchange, Question, Validation},
    limits::HEDGE,
    reply::{self, Reply},
};

/// A server with a vote in a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Voter {
    pub(crate) server: Server,
    pub(crate) role: Role,
}

/// The configured resolvers as one: asked in their order, the next when one says nothing or takes long.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) servers: &'a [Server],
    pub(crate) exchange: &'a Exchange,
    pub(crate) limits: &'a Limits,
    pub(crate) metrics: &'a Metrics,
}

/// A message with the question it answers, and what it says.
type Heard = (Option<(Message, Question)>, Answer<Reply>);

impl World<'_> {
    /// What the first resolver that says something says.
    pub(crate) async fn ask(&self, name: &OwnerName, kind: RecordType, deadline: Instant) -> Answer<Reply> {
        self.hear(name, kind, deadline).await.1
    }

    /// The same with the message, whose other sections say more.
    pub(crate) async fn message(
        &self,
        name: &OwnerName,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<(Message, Question), Reason> {
        match self.hear(name, kind, deadline).await {
            (_, Answer::Indeterminate(reason)) => Err(reason),
            (found, Answer::Absent(_) | Answer::Present(_)) => found.ok_or(Reason::NoServer),
        }
    }

    async fn hear(&self, name: &OwnerName, kind: RecordType, deadline: Instant) -> Heard {
        let mut last = (None, Answer::Indeterminate(Reason::NoServer));
        let (mut waiting, mut asked) = (self.servers.iter(), FuturesUnordered::new());
        loop {
            if let Some(server) = waiting.next() {
                let voter = Voter { server: *server, role: Role::Recursive };
                asked.push(self.ask_server(voter, name, kind, Validation::Usual, deadline));
            }
            let patience = if waiting.len() == 0 { deadline } else { deadline.min(Instant::now() + HEDGE) };
            match timeout_at(patience, asked.next()).await {
                Ok(Some(heard)) if heard.1.is_definite() => return heard,
                Ok(Some(heard)) => last = heard,
                Ok(None) => return last,
                Err(_) if Instant::now() >= deadline => return (None, Answer::Indeterminate(Reason::Timeout)),
                Err(_) => {}
            }
        }
    }

    pub(crate) async fn ask_server(
        &self,
        voter: Voter,
        name: &OwnerName,
        kind: RecordType,
        validation: Validation,
        deadline: Instant,
    ) -> Heard {
        let question = Question { name: name.clone(), kind, role: voter.role, validation };
        let (message, answer) = match self.exchange.ask(voter.server, &question, deadline).await {
            Err(reason) => (None, Answer::Indeterminate(reason)),
            Ok(message) => {
                let answer = reply::read(&message, &question, self.limits);
                (Some((message, question)), answer)
            }
        };
        self.metrics.asked(&answer);
        (message, answer)
    }
}
