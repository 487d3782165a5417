//! [`Bind`]: a name server of one's own, BIND as Debian has it.

use std::{
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::daemon::{self, Daemon};

/// Where ports are taken from: below the range that the system hands out for port 0.
const PORTS: std::ops::Range<u16> = 10_000..30_000;
/// More collisions than this mean that loopback itself does not work.
const ATTEMPTS: usize = 64;

/// A server that takes signed updates of its zones; everything is lost when it is dropped.
#[derive(Debug)]
pub struct Bind {
    place: Place,
    /// The first is the one that is meant when none is named.
    zones: Vec<String>,
    key: Key,
    _server: Daemon,
    // Last: it holds the log that the server shows when a test fails.
    _directory: TempDir,
}

/// BIND listens on addresses of interfaces only, so its port must be one of its own.
#[derive(Debug)]
struct Place {
    port: u16,
    /// Held as long as the port is in use: whoever finds it taken tries another.
    _guard: TcpListener,
}

/// A TSIG key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// In base64.
    pub secret: String,
}

/// A record as `dig` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneLine {
    /// The full name without the final dot.
    pub name: String,
    /// In seconds.
    pub ttl: u32,
    /// The type.
    pub kind: String,
    /// The value as in a zone file.
    pub data: String,
}

impl Bind {
    /// Starts a server with the empty zone `zone`. `key` may transfer and update it, `reader` may transfer it only.
    pub async fn start(zone: &str, key: &Key, reader: &Key) -> Self {
        Self::serve(&[zone], "@ NS ns.elsewhere.example.\n", &[key, reader]).await
    }

    /// Starts a server that is the only one of these zones, and says so; it is a resolver as well, since an authority
    /// follows no CNAME from one zone to another. `key` may transfer and update all of them.
    pub async fn alone_for(zones: &[&str], key: &Key) -> Self {
        Self::serve(zones, "@ NS ns\nns A 127.0.0.1\n", &[key]).await
    }

    async fn serve(zones: &[&str], servers: &str, keys: &[&Key]) -> Self {
        let (place, directory) = (Place::take(), tempfile::tempdir().unwrap());
        let folder = directory.path();
        for zone in zones {
            let soa = format!("$TTL 3600\n@ SOA ns.{zone}. h.{zone}. 1 3600 600 86400 0\n{servers}");
            std::fs::write(folder.join(format!("{zone}.db")), soa).unwrap();
        }
        std::fs::write(folder.join("named.conf"), config(place.port, zones, keys, folder)).unwrap();
        let mut command = daemon::command(program("named"));
        command.args(["-g", "-n", "1", "-c"]).arg(folder.join("named.conf"));
        let server = Daemon::spawn("named", &mut command, &folder.join("named.log"));
        server.listening(place.address()).await;
        let zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
        Self { place, zones, key: keys[0].clone(), _server: server, _directory: directory }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.place.address()
    }

    /// All records of the first zone but its SOA and its own NS.
    ///
    /// # Panics
    /// When `dig` cannot transfer it.
    pub fn records(&self) -> Vec<ZoneLine> {
        self.records_of(&self.zones[0])
    }

    /// The same of another zone.
    ///
    /// # Panics
    /// When `dig` cannot transfer it.
    pub fn records_of(&self, zone: &str) -> Vec<ZoneLine> {
        let port = self.place.port.to_string();
        let key = format!("hmac-sha256:{}:{}", self.key.name, self.key.secret);
        let arguments = ["@127.0.0.1", "-p", &port, "-y", &key, "+noall", "+answer", "+onesoa", zone, "AXFR"];
        let output = Command::new("dig").args(arguments).output().expect("dig must run; install bind9-dnsutils");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("SOA"), "dig: {text}");
        let own = |line: &ZoneLine| {
            let host = format!("ns.{zone}");
            line.kind == "SOA" || (line.kind == "NS" && line.name == zone) || line.name == host
        };
        text.lines().filter_map(read).filter(|line| !own(line)).collect()
    }

    /// Runs commands of `nsupdate` on the first zone, all in one update.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn update(&self, commands: &str) {
        self.update_in(&self.zones[0], commands);
    }

    /// The same on another zone.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn update_in(&self, zone: &str, commands: &str) {
        let mut child = Command::new("nsupdate")
            .args(["-v", "-y", &format!("hmac-sha256:{}:{}", self.key.name, self.key.secret)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsupdate must run; install bind9-dnsutils");
        let script = format!("server 127.0.0.1 {}\nzone {zone}\n{commands}\nsend\n", self.place.port);
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "nsupdate: {}\n{commands}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Place {
    fn take() -> Self {
        for _ in 0..ATTEMPTS {
            // RandomState is keyed anew for every instance; that is all the randomness this needs.
            let random = RandomState::new().hash_one(std::process::id()) % u64::from(PORTS.end - PORTS.start);
            let port = PORTS.start + u16::try_from(random).unwrap();
            let Ok(guard) = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)) else { continue };
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            if free && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Self { port, _guard: guard };
            }
        }
        panic!("no port of 127.0.0.1 could be taken");
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

/// `name ttl class type value`; the value as it stands, for texts may hold several blanks in a row.
fn read(line: &str) -> Option<ZoneLine> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let (ttl, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    let (_class, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    let (kind, data) = rest.trim_start().split_once(char::is_whitespace)?;
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    Some(ZoneLine { name, ttl: ttl.parse().ok()?, kind: kind.to_owned(), data: data.trim_start().to_owned() })
}

fn config(port: u16, zones: &[&str], keys: &[&Key], folder: &std::path::Path) -> String {
    let secret =
        |key: &&Key| format!("key \"{}\" {{ algorithm hmac-sha256; secret \"{}\"; }};\n", key.name, key.secret);
    let keys_text: String = keys.iter().map(secret).collect();
    let readers: String = keys.iter().map(|key| format!("key \"{}\"; ", key.name)).collect();
    let (folder, writer) = (folder.display(), &keys[0].name);
    let zone = |zone: &&str| {
        format!(
            "zone \"{zone}\" {{ type primary; file \"{folder}/{zone}.db\"; allow-transfer {{ {readers}}};\n\
             allow-update {{ key \"{writer}\"; }}; }};\n"
        )
    };
    let recursion = if zones.len() > 1 { "yes" } else { "no" };
    let zones: String = zones.iter().map(zone).collect();
    format!(
        "{keys_text}options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
         recursion {recursion}; pid-file none; session-keyfile \"{folder}/session.key\"; dnssec-validation no; notify no; }};\n\
         controls {{ }};\n{zones}"
    )
}

/// Debian keeps the server where a plain user's path does not look.
fn program(name: &str) -> std::path::PathBuf {
    let path = std::path::Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { name.into() }
}
