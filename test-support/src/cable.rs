//! [`Cable`]: a network of two machines that can be cut without a word.
//!
//! Loopback always answers: with an ACK, or with a reset once a socket is gone. Peers that vanish need a network of
//! their own. The two ends are network namespaces without names, each held by a process that ends with this one, so
//! that nothing is left of them however a test ends, and nothing of the machine's own network is touched.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const NEAR_MAC: &str = "02:00:00:00:00:01";
const FAR_MAC: &str = "02:00:00:00:00:02";
/// Nobody's.
const NO_MAC: &str = "02:00:00:00:00:ff";

/// Two machines and the cable between them. The caller's thread is at its near end.
#[derive(Debug)]
pub struct Cable {
    far: Namespace,
    _near: Namespace,
}

impl Cable {
    /// Moves the calling thread to the near end of a new cable, and with it all programs and threads that it starts from
    /// now on. Loopback is there too.
    ///
    /// # Panics
    /// When the kernel makes no namespace, or `ip` is missing; says what is needed.
    pub fn plug() -> Self {
        let (near, far) = (Namespace::make(), Namespace::make());
        near.enter();
        ip("link set lo up");
        let holder = far.holder.id();
        ip(&format!("link add near address {NEAR_MAC} type veth peer name far address {FAR_MAC} netns {holder}"));
        end("near", NEAR, FAR, FAR_MAC);
        far.run(|| end("far", FAR, NEAR, NEAR_MAC));
        Self { far, _near: near }
    }

    /// The address of the near end.
    pub fn near(&self) -> Ipv4Addr {
        NEAR
    }

    /// A connection from the far end.
    pub fn connect(&self, to: SocketAddr) -> tokio::net::TcpStream {
        let stream = self.far.run(|| TcpStream::connect(to).unwrap_or_else(|error| panic!("no way to {to}: {error}")));
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        tokio::net::TcpStream::from_std(stream).unwrap()
    }

    /// A listener at the far end.
    pub fn listen(&self) -> tokio::net::TcpListener {
        let listener = self.far.run(|| TcpListener::bind((FAR, 0)).unwrap());
        listener.set_nonblocking(true).unwrap();
        tokio::net::TcpListener::from_std(listener).unwrap()
    }

    /// From now on nothing that either end sends arrives, and neither is told.
    pub fn cut(&self) {
        // A frame for another machine is dropped before IP sees it: no reset, no ICMP, and both interfaces stay up.
        self.far.run(|| {
            ip(&format!("link set far address {NO_MAC}"));
            ip(&format!("neigh replace {NEAR} lladdr {NO_MAC} dev far nud permanent"));
        });
    }
}

/// Sets up one end. The other one's MAC is written down, so that none has to be asked for.
fn end(device: &str, address: Ipv4Addr, other: Ipv4Addr, mac: &str) {
    ip(&format!("address add {address}/30 dev {device}"));
    ip(&format!("link set {device} up"));
    ip(&format!("neigh add {other} lladdr {mac} dev {device} nud permanent"));
}

/// Runs `ip` where the calling thread is.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.unwrap_or_else(|error| panic!("ip (iproute2) is missing ({error}); run `make tools`"));
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A network of its own.
#[derive(Debug)]
struct Namespace {
    file: File,
    /// Keeps it. Ends when its standard input does: with this process, if not before.
    holder: Child,
    _input: ChildStdin,
}

impl Namespace {
    fn make() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = command.spawn().expect("unshare (util-linux) must start");
        let (mut input, output) = (holder.stdin.take().unwrap(), holder.stdout.take().unwrap());
        // What comes back says that the namespace is there.
        let mut echo = String::new();
        let _ = input.write_all(b"there\n");
        BufReader::new(output).read_line(&mut echo).unwrap();
        if echo != "there\n" {
            let failed = holder.wait_with_output().unwrap();
            panic!(
                "no network namespace ({}). This test needs root with CAP_SYS_ADMIN; in a container: \
                 --cap-add SYS_ADMIN --cap-add NET_ADMIN",
                String::from_utf8_lossy(&failed.stderr).trim()
            );
        }
        let file = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        Self { file, holder, _input: input }
    }

    /// Moves the calling thread here.
    fn enter(&self) {
        let moved = move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network));
        moved.unwrap_or_else(|error| panic!("no way into the network namespace ({error}); CAP_SYS_ADMIN is needed"));
    }

    /// Runs `work` on a thread that is here: what it opens stays here.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                work()
            });
            thread.join().unwrap_or_else(|died| std::panic::resume_unwind(died))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
