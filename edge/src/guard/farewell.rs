//! The last answer on a connection: sent, and then given time to be read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read and dropped after the answer. Closing a socket with unread bytes resets it, and a reset takes the
/// answer away from a peer that has not read it (RFC 9112 section 9.6).
const DRAIN: usize = 256 * 1024;

#[derive(Debug, Clone, Copy)]
enum Stage {
    Write,
    Flush,
    Shutdown,
    Drain,
}

/// An answer on its way out.
#[derive(Debug)]
pub(super) struct Farewell {
    answer: Bytes,
    stage: Stage,
    drained: usize,
}

impl Farewell {
    pub(super) fn new(answer: Bytes) -> Self {
        Self { answer, stage: Stage::Write, drained: 0 }
    }

    /// Ready when there is nothing left to do but to close.
    pub(super) fn poll<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.step(io, cx)) {
                Ok(true) => {}
                // A peer that is gone needs no farewell.
                Ok(false) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    fn step<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut io = Pin::new(io);
        match self.stage {
            Stage::Write if self.answer.is_empty() => self.stage = Stage::Flush,
            Stage::Write => {
                let written = ready!(io.as_mut().poll_write(cx, &self.answer))?;
                self.answer = self.answer.slice(written.min(self.answer.len())..);
                return Poll::Ready(Ok(written > 0));
            }
            Stage::Flush => {
                ready!(io.as_mut().poll_flush(cx))?;
                self.stage = Stage::Shutdown;
            }
            Stage::Shutdown => {
                ready!(io.as_mut().poll_shutdown(cx))?;
                self.stage = Stage::Drain;
            }
            Stage::Drain => {
                let mut scratch = [0; 4096];
                let mut buf = ReadBuf::new(&mut scratch);
                ready!(io.as_mut().poll_read(cx, &mut buf))?;
                self.drained += buf.filled().len();
                return Poll::Ready(Ok(!buf.filled().is_empty() && self.drained < DRAIN));
            }
        }
        Poll::Ready(Ok(true))
    }
}
