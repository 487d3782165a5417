//! The access log: lines go through a bounded queue to one writer thread. A full queue drops lines and counts them; a
//! request never waits for a disk or a pipe.

use std::{io::Write, sync::Arc};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Where finished requests are written. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog(Option<Arc<Queue>>);

#[derive(Debug)]
struct Queue {
    writer: NonBlocking,
    dropped: ErrorCounter,
    /// Flushes what is queued when the log goes.
    _guard: WorkerGuard,
}

impl AccessLog {
    /// A log that writes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// A log of JSON lines that keeps at most `lines` waiting.
    pub fn to(writer: impl Write + Send + 'static, lines: usize) -> Self {
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(lines.max(1));
        // The worker flushes whenever its queue is empty, so the buffer joins lines only under load.
        let (writer, guard) = builder.thread_name("access-log").finish(std::io::BufWriter::new(writer));
        let dropped = writer.error_counter();
        Self(Some(Arc::new(Queue { writer, dropped, _guard: guard })))
    }

    /// Whether lines are written at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Queues a line, or drops and counts it.
    pub fn write(&self, line: Vec<u8>) {
        if let Some(queue) = &self.0 {
            // A lossy writer never fails and never waits.
            let _ = queue.writer.clone().write_all(&line);
        }
    }

    /// Lines dropped so far because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |queue| u64::try_from(queue.dropped.dropped_lines()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A writer that says when it has been reached and waits until it is let go.
    struct Stuck {
        reached: mpsc::Sender<()>,
        go: mpsc::Receiver<()>,
    }

    impl Write for Stuck {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            let _ = self.reached.send(());
            let _ = self.go.recv();
            Ok(buf.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_disk_drops_lines_and_never_blocks_a_request() {
        let (reached, at_writer) = mpsc::channel();
        let (release, go) = mpsc::channel();
        let log = AccessLog::to(Stuck { reached, go }, 4);
        log.write(b"first\n".to_vec());
        at_writer.recv().unwrap();
        for _ in 0..100 {
            log.write(b"more\n".to_vec());
        }
        assert!(log.dropped() >= 90, "{}", log.dropped());
        drop(release);
    }
}
