//! One question to one server, bounded in time, number and bytes.
//!
//! Every question has a socket of its own, so its source port is as random as the system makes it; with the random id
//! and the echoed question that is what an off-path forger has to guess. A truncated answer is asked for again over
//! TCP.

mod message;
mod tcp;
mod udp;

pub(crate) use message::{failure, is_kind};

use std::{net::SocketAddr, sync::Arc};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::RecordType,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use crate::{
    Limits, Metrics, OwnerName, Reason, Role, Server, Transport,
    exchange::message::{Edns, Packet},
};

/// A question, apart from the server that it goes to.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) name: OwnerName,
    pub(crate) kind: RecordType,
    /// Resolvers are asked to resolve, the zone's own servers never.
    pub(crate) role: Role,
    pub(crate) validation: Validation,
}

/// Whether a resolver may refuse what does not validate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validation {
    /// As the resolver does it.
    Usual,
    /// Not at all (CD, RFC 4035 section 3.2.2): tells a bogus zone from a broken one.
    Off,
}

/// Sends questions; shared by all checks of the process.
#[derive(Debug)]
pub(crate) struct Exchange {
    limits: Arc<Limits>,
    metrics: Metrics,
    slots: Semaphore,
}

impl Exchange {
    pub(crate) fn new(limits: Arc<Limits>, metrics: Metrics) -> Self {
        let slots = Semaphore::new(limits.queries_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        Self { limits, metrics, slots }
    }

    /// Asks until an answer is there, the attempts are used up or the deadline has come.
    pub(crate) async fn ask(&self, server: Server, question: &Question, deadline: Instant) -> Result<Message, Reason> {
        let _slot = self.slot(deadline).await?;
        let _flight = Flight::new(&self.metrics);
        let _timer = self.metrics.seconds.start_timer();
        let mut last = Reason::Timeout;
        for _ in 0..self.limits.attempts.max(1) {
            let until = deadline.min(Instant::now() + self.limits.attempt_timeout);
            match timeout_at(until, self.attempt(server, question)).await {
                Ok(Ok(message)) => return Ok(message),
                Ok(Err(reason)) => last = reason,
                Err(_) => last = Reason::Timeout,
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(last)
    }

    async fn slot(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Reason> {
        match timeout_at(deadline, self.slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) | Err(_) => Err(Reason::Overloaded),
        }
    }

    async fn attempt(&self, server: Server, question: &Question) -> Result<Message, Reason> {
        let message = self.carry(server, &Packet::new(question, Edns::On)?).await?;
        // Servers from before EDNS answer FORMERR to it; RFC 6891 section 7 lets us ask again without.
        match message.metadata.response_code {
            ResponseCode::FormErr => self.carry(server, &Packet::new(question, Edns::Off)?).await,
            _ => Ok(message),
        }
    }

    async fn carry(&self, server: Server, packet: &Packet) -> Result<Message, Reason> {
        if server.transport == Transport::Tcp {
            return self.over_tcp(server.address, packet, "configured").await;
        }
        let message = udp::carry(server.address, packet).await?;
        match message.metadata.truncation {
            true => self.over_tcp(server.address, packet, "truncated").await,
            false => Ok(message),
        }
    }

    async fn over_tcp(&self, server: SocketAddr, packet: &Packet, why: &str) -> Result<Message, Reason> {
        self.metrics.tcp.with_label_values(&[why]).inc();
        let message = tcp::carry(server, packet).await?;
        // Cut at 64 KiB: what is left out may be what is asked for.
        if message.metadata.truncation { Err(Reason::TooMany) } else { Ok(message) }
    }
}

/// The message in `bytes`, if it answers the question; its first two bytes are made to be the question's id.
#[cfg(fuzzing)]
pub(crate) fn accept(question: &Question, bytes: &[u8]) -> Option<Message> {
    let packet = Packet::new(question, Edns::On).ok()?;
    let answer = [packet.bytes.get(..2)?, bytes.get(2..)?].concat();
    packet.accept(&answer)?.ok()
}

/// Counts a question while it is in flight, however it ends.
struct Flight<'a>(&'a Metrics);

impl<'a> Flight<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.in_flight.inc();
        Self(metrics)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// What an I/O error says about the server.
fn unreachable(_: std::io::Error) -> Reason {
    Reason::Unreachable
}
