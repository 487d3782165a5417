//! The servers that are measured. Each is a child process on the server core with one listening address; how it is
//! configured is its own module's business, and the same for every work.

mod edge;
mod floor;
mod peers;

use std::{fmt, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

use crate::{
    bed::{Bed, Folder},
    process::Tree,
};

/// A server that does not listen by then will not.
const START_WAIT: Duration = Duration::from_secs(20);
/// Between two looks whether it listens.
const START_POLL: Duration = Duration::from_millis(10);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Ours.
    Namegate,
    /// Debian 13's nginx.
    Nginx,
    /// Debian 13's HAProxy.
    Haproxy,
    /// Debian 13's Caddy.
    Caddy,
    /// The bare relay.
    Floor,
}

impl Kind {
    /// All of them, ours first.
    pub const ALL: [Self; 5] = [Self::Namegate, Self::Nginx, Self::Haproxy, Self::Caddy, Self::Floor];

    /// Those we compare with. The floor is none: nobody could run it.
    pub const PEERS: [&str; 3] = [Self::Nginx.name(), Self::Haproxy.name(), Self::Caddy.name()];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namegate => "namegate",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Caddy => "Caddy",
            Self::Floor => "floor",
        }
    }

    /// Whether it speaks HTTP/2.
    pub const fn speaks_h2(self) -> bool {
        !matches!(self, Self::Floor)
    }

    /// What it calls itself.
    pub fn version(self, bed: &Bed) -> Result<String> {
        match self {
            Self::Namegate => edge::version(bed),
            Self::Nginx | Self::Haproxy | Self::Caddy => peers::version(self, bed),
            Self::Floor => Ok("rustls + tokio".to_owned()),
        }
    }

    /// Starts it with the bench's certificate and waits until it listens.
    pub async fn start(self, bed: &Bed) -> Result<Server> {
        let launch = match self {
            Self::Namegate => edge::with_certificate(bed),
            Self::Nginx | Self::Haproxy | Self::Caddy => peers::with_certificate(self, bed),
            Self::Floor => floor::launch(bed),
        }?;
        launch.start(self, bed).await
    }

    /// Starts it without any certificate, to ask for each name and to order from `ca`.
    pub async fn start_on_demand(self, bed: &Bed, ca: &Ca) -> Result<Server> {
        let launch = match self {
            Self::Namegate => edge::on_demand(bed, ca),
            Self::Caddy => peers::on_demand(bed, ca),
            Self::Nginx | Self::Haproxy | Self::Floor => bail!("{self} issues nothing on demand"),
        }?;
        launch.start(self, bed).await
    }
}

/// A CA and the addresses that it validates.
#[derive(Debug)]
pub struct Ca {
    /// Its ACME directory.
    pub directory: String,
    /// The root of its own listener, PEM.
    pub root_pem: String,
    /// Where it sends HTTP-01 requests.
    pub http: SocketAddr,
    /// Where it sends TLS-ALPN-01 handshakes.
    pub tls: SocketAddr,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a server is started.
struct Launch {
    command: Vec<String>,
    address: SocketAddr,
    folder: Folder,
}

impl Launch {
    fn spawn(self, kind: Kind, bed: &Bed) -> Result<Server> {
        let tree = Tree::start(bed.server_core, &self.command, self.folder.log()?)?;
        Ok(Server { kind, address: self.address, tree, folder: self.folder })
    }

    async fn start(self, kind: Kind, bed: &Bed) -> Result<Server> {
        let mut server = self.spawn(kind, bed)?;
        match server.listening().await {
            Ok(()) => Ok(server),
            Err(error) => {
                let tail = server.folder.log_tail();
                server.stop().await;
                Err(error.context(format!("{kind} did not start; its last lines:\n{tail}")))
            }
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Which one.
    pub kind: Kind,
    /// Where it listens for TLS.
    pub address: SocketAddr,
    /// Its processes.
    pub tree: Tree,
    folder: Folder,
}

impl Server {
    /// Our edge with the certificates in `storage`, on its way up: nothing is waited for.
    pub fn of_store(bed: &Bed, storage: &Path, admin: SocketAddr) -> Result<Self> {
        edge::with_store(bed, storage, admin)?.spawn(Kind::Namegate, bed)
    }

    async fn listening(&mut self) -> Result<()> {
        let look = async {
            while TcpStream::connect(self.address).await.is_err() {
                self.tree.check_alive()?;
                tokio::time::sleep(START_POLL).await;
            }
            Ok(())
        };
        match tokio::time::timeout(START_WAIT, look).await {
            Ok(listening) => listening,
            Err(_) => bail!("nobody listens on {} after {START_WAIT:?}", self.address),
        }
    }

    /// Ends it and removes its folder.
    pub async fn stop(self) {
        self.tree.stop().await;
    }
}

fn first_line_of(command: &mut std::process::Command) -> Result<String> {
    let output = command.output().context("cannot ask for the version")?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().next().context("it says no version")?.trim().to_owned())
}
