//! Handing the listening sockets to a new process, without a moment in which nobody listens.
//!
//! The old process (on QUIT) offers its sockets on a Unix socket in the storage folder; the new one (`--upgrade`) takes
//! them, starts, and says `ready`. Only then does the old one say `yours` and stop accepting. If the new process dies or
//! does not become ready in time, the old one says `mine` and goes on as if nothing had happened; a new process that is
//! ready too late hears that and ends, so that there are never two.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

/// Most sockets handed over at once; the kernel's own limit is 253 (`SCM_MAX_FD`).
const MAX_SOCKETS: usize = 64;
/// Largest description of the sockets, in bytes.
const MAX_DESCRIPTION: usize = 16 * 1024;
/// What the new process says when it serves.
const READY: &[u8] = b"ready";
/// What the old process says then, and what it says when it has waited too long.
const YOURS: &[u8] = b"yours";
const MINE: &[u8] = b"mine";
/// How often the new process looks for the old one, and the old one for the new.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a listening socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Health, metrics, explain.
    Admin,
    /// Challenges and redirects.
    Http,
    /// TLS.
    Https,
}

/// A listening socket with what it is for.
#[derive(Debug)]
pub struct Listening {
    /// What it is for.
    pub kind: Kind,
    /// The address in the configuration; the kernel's may differ when its port is 0.
    pub configured: SocketAddr,
    /// The socket.
    pub socket: TcpListener,
}

/// Where the two processes meet.
pub fn meeting_point(storage: &Path) -> PathBuf {
    storage.join("namegate").join("upgrade.sock")
}

/// Offers sockets to a new process, waits until it serves and returns its process id. Blocks; run it on a thread that
/// may.
///
/// # Errors
/// When no process came, or the one that came did not become ready: this process is to go on serving.
pub fn offer(storage: &Path, sockets: &[Listening], wait: Duration) -> io::Result<i32> {
    let path = meeting_point(storage);
    // A leftover of a process that was killed; nobody can be listening on it.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    let result = until(wait, || accept(&listener)).and_then(|peer| hand_over(peer, sockets, wait));
    let _ = std::fs::remove_file(&path);
    result
}

fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let (peer, _) = listener.accept()?;
    peer.set_nonblocking(false)?;
    Ok(peer)
}

fn hand_over(mut peer: UnixStream, sockets: &[Listening], wait: Duration) -> io::Result<i32> {
    let process = rustix::net::sockopt::socket_peercred(&peer)?.pid;
    peer.set_read_timeout(Some(wait))?;
    peer.set_write_timeout(Some(wait))?;
    let description: Vec<_> = sockets.iter().map(|socket| (socket.kind, socket.configured)).collect();
    let description = serde_json::to_vec(&description)?;
    let fds: Vec<_> = sockets.iter().take(MAX_SOCKETS).map(|socket| socket.socket.as_fd()).collect();
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("too many listening sockets to hand over"));
    }
    rustix::net::sendmsg(&peer, &[IoSlice::new(&description)], &mut control, SendFlags::empty())?;
    let said = until_ready(&mut peer);
    // A new process that is gone hears nothing, and need not.
    let _ = peer.write_all(if said.is_ok() { YOURS } else { MINE });
    said.map(|()| process.as_raw_nonzero().get())
}

fn until_ready(peer: &mut UnixStream) -> io::Result<()> {
    let mut word = [0; READY.len()];
    peer.read_exact(&mut word)?;
    match word == READY {
        true => Ok(()),
        false => Err(io::Error::other("the new process did not say that it is ready")),
    }
}

/// The new process's end of a hand-over: dropping it without [`ready`](Taken::ready) leaves the old process serving.
#[derive(Debug)]
pub struct Taken {
    /// The sockets.
    pub sockets: Vec<Listening>,
    peer: UnixStream,
}

impl Taken {
    /// Tells the old process to stop accepting. Blocks until it has answered, or is gone.
    ///
    /// # Errors
    /// [`TooLate`] when the old process goes on serving: this one has to end. An old process that is gone is no error.
    pub fn ready(mut self) -> Result<(), TooLate> {
        // What it said may be there to be read even if it can hear nothing any more.
        let _ = self.peer.write_all(READY);
        let mut said = Vec::new();
        // An old process of a version without an answer closes, as one does that dies.
        let _ = self.peer.take(YOURS.len() as u64).read_to_end(&mut said);
        if said == MINE { Err(TooLate) } else { Ok(()) }
    }
}

/// The old process has waited for long enough, and serves on.
#[derive(Debug, thiserror::Error)]
#[error("the old process has stopped waiting and serves on")]
pub struct TooLate;

/// Takes the sockets of the running process. Blocks; run it before the runtime starts.
///
/// # Errors
/// When no process offers its sockets within `wait`.
pub fn take(storage: &Path, wait: Duration) -> io::Result<Taken> {
    let path = meeting_point(storage);
    let peer = until(wait, || UnixStream::connect(&path))?;
    peer.set_read_timeout(Some(wait))?;
    let mut description = vec![0; MAX_DESCRIPTION];
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = {
        let mut buffers = [IoSliceMut::new(&mut description)];
        rustix::net::recvmsg(&peer, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)?
    };
    description.truncate(received.bytes);
    let described: Vec<(Kind, SocketAddr)> = serde_json::from_slice(&description)?;
    let fds: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    if fds.len() != described.len() {
        return Err(io::Error::other("the old process described other sockets than it sent"));
    }
    let pair = |((kind, configured), fd): ((Kind, SocketAddr), OwnedFd)| Listening {
        kind,
        configured,
        socket: TcpListener::from(fd),
    };
    Ok(Taken { sockets: described.into_iter().zip(fds).map(pair).collect(), peer })
}

/// Tries until it works or the time is up.
fn until<T>(wait: Duration, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + wait;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(error),
            #[expect(clippy::disallowed_methods, reason = "both ends run on threads of their own, outside the runtime")]
            Err(_) => std::thread::sleep(LOOK_AGAIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("namegate")).unwrap();
        folder
    }

    fn listening() -> Listening {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        Listening { kind: Kind::Https, configured: "127.0.0.1:0".parse().unwrap(), socket }
    }

    #[test]
    fn a_new_process_takes_the_very_same_socket() {
        let folder = folder();
        let old = listening();
        let address = old.socket.local_addr().unwrap();
        let path = folder.path().to_owned();
        let old = std::thread::spawn(move || offer(&path, &[old], Duration::from_secs(20)));
        let taken = take(folder.path(), Duration::from_secs(20)).unwrap();
        let [new] = &taken.sockets[..] else { panic!("one socket") };
        assert_eq!((new.kind, new.socket.local_addr().unwrap()), (Kind::Https, address));
        let new = new.socket.try_clone().unwrap();
        taken.ready().unwrap();
        assert_eq!(old.join().unwrap().unwrap(), i32::try_from(std::process::id()).unwrap());
        let client = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(new.accept().unwrap().1, client.local_addr().unwrap());
    }

    #[test]
    fn a_new_process_that_dies_leaves_the_old_one_in_charge() {
        let folder = folder();
        let path = folder.path().to_owned();
        let old = std::thread::spawn(move || offer(&path, &[listening()], Duration::from_secs(20)));
        drop(take(folder.path(), Duration::from_secs(20)).unwrap());
        assert!(old.join().unwrap().is_err());
        assert!(!meeting_point(folder.path()).exists());
    }

    #[test]
    fn a_new_process_that_is_ready_too_late_gives_way() {
        let folder = folder();
        let path = folder.path().to_owned();
        let old = std::thread::spawn(move || offer(&path, &[listening()], Duration::from_millis(200)));
        let taken = take(folder.path(), Duration::from_secs(20)).unwrap();
        assert!(old.join().unwrap().is_err(), "it waits no longer");
        assert!(matches!(taken.ready(), Err(TooLate)));
    }

    #[test]
    fn an_old_process_that_dies_leaves_its_sockets() {
        let folder = folder();
        let (path, meeting) = (folder.path().to_owned(), meeting_point(folder.path()));
        let listener = UnixListener::bind(meeting).unwrap();
        let old = std::thread::spawn(move || {
            let (peer, _) = listener.accept().unwrap();
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            rustix::net::sendmsg(&peer, &[IoSlice::new(b"[]")], &mut control, SendFlags::empty()).unwrap();
        });
        let taken = take(&path, Duration::from_secs(20)).unwrap();
        old.join().unwrap();
        taken.ready().unwrap();
    }

    #[test]
    fn nobody_to_take_over_from_is_an_error_in_time() {
        assert!(take(folder().path(), Duration::from_millis(50)).is_err());
    }
}
