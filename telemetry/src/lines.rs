//! [`Lines`]: log lines on their way to a file descriptor that may be slow, full or gone.
//!
//! Who writes a line never waits for the descriptor and never fails: lines go through a bounded queue to a thread of
//! their own. What does not fit, and what the descriptor does not take, is dropped and counted.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

/// Bytes that a line may have on average when the queue is full; larger ones fill it sooner.
const LINE_BYTES: usize = 2048;
/// Bytes that are handed to the descriptor at once.
const CHUNK: usize = 64 * 1024;

/// A bounded queue of lines and its writer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lines(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something was queued, or the last handle is gone.
    queued: Condvar,
    /// All that was queued has been handed to the descriptor.
    empty: Condvar,
    most_lines: usize,
    not_queued: AtomicU64,
    not_written: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    writing: bool,
}

/// Lines that were lost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Because the queue was full.
    pub not_queued: u64,
    /// Because the descriptor did not take them: a full disk, a closed pipe.
    pub not_written: u64,
}

impl Lines {
    /// Lines to `writer`, of which at most `most` wait. `thread` names the thread that writes.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn to(writer: impl Write + Send + 'static, most: usize, thread: &str) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            queued: Condvar::new(),
            empty: Condvar::new(),
            most_lines: most.max(1),
            not_queued: AtomicU64::new(0),
            not_written: AtomicU64::new(0),
        });
        let (writer, of) = (Writer { to: writer, torn: false }, Arc::clone(&shared));
        std::thread::Builder::new().name(thread.to_owned()).spawn(move || of.write_all_to(writer))?;
        Ok(Self(shared))
    }

    /// Queues whole lines, or drops them and counts one.
    pub fn write(&self, line: Vec<u8>) {
        let mut queue = self.0.queue.lock();
        let bytes = queue.bytes + line.len();
        if queue.lines.len() >= self.0.most_lines || bytes > self.0.most_lines.saturating_mul(LINE_BYTES) {
            self.0.not_queued.fetch_add(1, Relaxed);
            return;
        }
        queue.bytes = bytes;
        queue.lines.push_back(line);
        if queue.lines.len() == 1 && !queue.writing {
            self.0.queued.notify_one();
        }
    }

    /// Waits until what was queued so far has been handed on, at most `limit`.
    pub fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut queue = self.0.queue.lock();
        while !queue.lines.is_empty() || queue.writing {
            if self.0.empty.wait_until(&mut queue, until).timed_out() {
                return;
            }
        }
    }

    /// What was lost so far.
    pub fn lost(&self) -> Lost {
        Lost { not_queued: self.0.not_queued.load(Relaxed), not_written: self.0.not_written.load(Relaxed) }
    }
}

impl Shared {
    /// For the life of the process: a log has no end before that.
    fn write_all_to(&self, mut writer: Writer<impl Write>) {
        let mut chunk = Vec::new();
        loop {
            let mut lines = self.take();
            while !lines.is_empty() {
                let mut count = 0;
                while let Some(line) = lines.pop_front() {
                    chunk.extend_from_slice(&line);
                    count += 1;
                    if chunk.len() >= CHUNK {
                        break;
                    }
                }
                self.not_written.fetch_add(writer.write(&chunk, count), Relaxed);
                chunk.clear();
            }
            chunk.shrink_to(CHUNK);
        }
    }

    fn take(&self) -> VecDeque<Vec<u8>> {
        let mut queue = self.queue.lock();
        queue.writing = false;
        while queue.lines.is_empty() {
            self.empty.notify_all();
            self.queued.wait(&mut queue);
        }
        queue.writing = true;
        queue.bytes = 0;
        std::mem::take(&mut queue.lines)
    }
}

struct Writer<W> {
    to: W,
    /// Whether the last line that was written lacks its end.
    torn: bool,
}

impl<W: Write> Writer<W> {
    /// Writes a chunk of `count` lines and returns how many were lost. A failure is not tried again: the next lines are
    /// newer, and a disk that is full stays so for a while.
    fn write(&mut self, chunk: &[u8], count: u64) -> u64 {
        if self.torn && self.to.write_all(b"\n").is_ok() {
            self.torn = false;
        }
        let mut rest = chunk;
        while !rest.is_empty() && !self.torn {
            match self.to.write(rest) {
                Ok(0) => break,
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if rest.is_empty() {
            return 0;
        }
        let written = chunk.get(..chunk.len() - rest.len()).unwrap_or_default();
        self.torn = self.torn || written.last().is_some_and(|byte| *byte != b'\n');
        let whole = written.iter().filter(|byte| **byte == b'\n').count();
        count.saturating_sub(u64::try_from(whole).unwrap_or(u64::MAX))
    }
}

/// The descriptor behind a standard stream, without the buffer that Rust puts before it: a line is in the kernel's hands
/// or lost, and never comes later.
///
/// # Errors
/// When the process is out of descriptors.
pub fn unbuffered(stream: &impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

impl Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Lines::write(self, bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    /// A writer that says when it has been reached and waits until it is let go.
    struct Stuck {
        reached: mpsc::Sender<()>,
        go: mpsc::Receiver<()>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.reached.send(());
            let _ = self.go.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_descriptor_drops_lines_and_never_blocks_who_writes() {
        let (reached, at_writer) = mpsc::channel();
        let (release, go) = mpsc::channel();
        let lines = Lines::to(Stuck { reached, go }, 4, "stuck").unwrap();
        lines.write(b"first\n".to_vec());
        at_writer.recv().unwrap();
        (0..100).for_each(|_| lines.write(b"more\n".to_vec()));
        assert_eq!(lines.lost(), Lost { not_queued: 96, not_written: 0 });
        lines.flush(Duration::from_millis(1));
        drop(release);
        lines.flush(SOON);
        assert_eq!(lines.lost(), Lost { not_queued: 96, not_written: 0 });
    }

    #[test]
    fn large_lines_fill_the_queue_sooner() {
        let (reached, at_writer) = mpsc::channel();
        let (_release, go) = mpsc::channel();
        let lines = Lines::to(Stuck { reached, go }, 4, "stuck").unwrap();
        lines.write(b"first\n".to_vec());
        at_writer.recv().unwrap();
        lines.write(vec![b'x'; 3 * LINE_BYTES]);
        lines.write(vec![b'x'; 3 * LINE_BYTES]);
        lines.write(b"small\n".to_vec());
        assert_eq!(lines.lost().not_queued, 1);
    }

    /// A disk of so many bytes; more room can be made.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn grow(&self, room: usize) {
            self.0.lock().1 += room;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().0.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (held, room) = &mut *self.0.lock();
            let fits = bytes.len().min(*room);
            if fits == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            *room -= fits;
            held.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_lines_counts_them_and_leaves_no_torn_line_in_another() {
        let disk = Disk::default();
        let lines = Lines::to(disk.clone(), 100, "disk").unwrap();
        disk.grow(8);
        lines.write(b"one\n".to_vec());
        lines.flush(SOON);
        lines.write(b"two two\n".to_vec());
        lines.flush(SOON);
        lines.write(b"three\n".to_vec());
        lines.flush(SOON);
        assert_eq!((disk.text().as_str(), lines.lost().not_written), ("one\ntwo ", 2));
        disk.grow(1000);
        lines.write(b"four\n".to_vec());
        lines.flush(SOON);
        assert_eq!((disk.text().as_str(), lines.lost().not_written), ("one\ntwo \nfour\n", 2));
    }

    #[test]
    fn a_device_that_takes_nothing_costs_only_the_lines() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let lines = Lines::to(full, 100, "full").unwrap();
        (0..10).for_each(|_| lines.write(b"line\n".to_vec()));
        lines.flush(SOON);
        assert_eq!(lines.lost(), Lost { not_queued: 0, not_written: 10 });
    }
}
