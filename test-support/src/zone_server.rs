//! [`ZoneServer`]: a name server that answers from records as they are at this moment, such as a provider's.
//!
//! Asked with RD it answers as a resolver that knows nothing else; without, as a server of its zones. UDP alone: no
//! answer here is long. The encoding is written out by hand, so that no DNS library judges its own bytes.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{net::UdpSocket, task::AbortHandle};

use crate::{Loopback, provider::server::Server};

/// All of them listen here, each on an address of its own.
const PORT: u16 = 8053;
/// In seconds.
const TTL: u32 = 60;
const LONGEST_CHAIN: usize = 8;

/// Name without the final dot, type, value as people write it.
pub type Line = (String, String, String);
type Source = Box<dyn Fn() -> Vec<Line> + Send>;

/// A name server of tests. Dropped: it is gone.
#[derive(Debug)]
pub struct ZoneServer {
    host: Loopback,
    table: Arc<Mutex<Table>>,
    task: AbortHandle,
}

struct Table {
    sources: Vec<Source>,
    /// What it stood still at.
    frozen: Option<Vec<Line>>,
    is_silent: bool,
    questions: usize,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("frozen", &self.frozen).finish_non_exhaustive()
    }
}

impl Drop for ZoneServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ZoneServer {
    /// The port of all of them.
    pub const PORT: u16 = PORT;

    /// Starts a server that knows nothing yet.
    pub async fn start() -> Self {
        let host = Loopback::take();
        let socket = UdpSocket::bind(host.at(PORT)).await.unwrap();
        let table = Table { sources: Vec::new(), frozen: None, is_silent: false, questions: 0 };
        let table = Arc::new(Mutex::new(table));
        let task = tokio::spawn(serve(socket, Arc::clone(&table))).abort_handle();
        Self { host, table, task }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.host.at(PORT)
    }

    /// The same without the port.
    pub fn ip(&self) -> Ipv4Addr {
        self.host.ip()
    }

    /// It knows what the provider holds, at every moment.
    pub fn publishes(&self, provider: &Server) {
        let provider = provider.clone();
        self.table.lock().sources.push(Box::new(move || provider.published()));
    }

    /// It knows these records.
    pub fn knows(&self, records: &[(&str, &str, &str)]) {
        let own = |text: &str| text.to_owned();
        let lines: Vec<Line> = records.iter().map(|(name, kind, value)| (own(name), own(kind), own(value))).collect();
        self.table.lock().sources.push(Box::new(move || lines.clone()));
    }

    /// It knows that the zone is delegated to these servers.
    pub fn delegates(&self, zone: &str, servers: &[&Self]) {
        for (number, server) in servers.iter().enumerate() {
            let (name, ip) = (format!("ns{number}.{zone}"), server.ip().to_string());
            self.knows(&[(zone, "NS", &name), (&name, "A", &ip)]);
        }
    }

    /// From now on it answers as it would at this moment: a secondary that hears of nothing.
    pub fn freeze(&self) {
        let mut table = self.table.lock();
        table.frozen = Some(table.lines());
    }

    /// It hears of everything again.
    pub fn thaw(&self) {
        self.table.lock().frozen = None;
    }

    /// Whether it says nothing at all.
    pub fn silent(&self, is_silent: bool) {
        self.table.lock().is_silent = is_silent;
    }

    /// Questions so far.
    pub fn questions(&self) -> usize {
        self.table.lock().questions
    }
}

impl Table {
    fn lines(&self) -> Vec<Line> {
        self.frozen.clone().unwrap_or_else(|| self.sources.iter().flat_map(|source| source()).collect())
    }
}

async fn serve(socket: UdpSocket, table: Arc<Mutex<Table>>) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let answer = {
            let mut table = table.lock();
            table.questions += 1;
            if table.is_silent {
                None
            } else {
                Question::read(&buffer[..length]).map(|asked| asked.answer(&table.lines()))
            }
        };
        if let Some(answer) = answer {
            // A client that has gone is no event here.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

struct Question<'a> {
    id: &'a [u8],
    recursive: bool,
    /// The question section as it came.
    raw: &'a [u8],
    name: String,
    kind: u16,
}

impl<'a> Question<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let (mut at, mut labels) = (12, Vec::new());
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
            at += length;
        }
        let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
        let (id, raw) = (message.get(..2)?, message.get(12..at + 4)?);
        Some(Self { id, recursive: message[2] & 1 == 1, raw, name: labels.join("."), kind })
    }

    fn answer(&self, lines: &[Line]) -> Vec<u8> {
        let (mut name, mut answers) = (self.name.clone(), Vec::new());
        for _ in 0..LONGEST_CHAIN {
            let found: BTreeSet<&Line> = of_name(lines, &name, self.kind).collect();
            if !found.is_empty() {
                answers.extend(found.into_iter().map(record));
                break;
            }
            let Some(alias) = of_name(lines, &name, CNAME).next() else { break };
            answers.push(record(alias));
            name = alias.2.trim_end_matches('.').to_owned();
        }
        let exists = |line: &Line| line.0 == self.name || line.0.ends_with(&format!(".{}", self.name));
        let code = if lines.iter().any(exists) { 0 } else { 3 };
        let authority = if answers.is_empty() { self.soa(lines) } else { None };
        self.message(code, &answers, authority.as_deref())
    }

    /// The SOA of the nearest zone above the name: whatever has name servers, else its last two labels.
    fn soa(&self, lines: &[Line]) -> Option<Vec<u8>> {
        let above: Vec<&str> =
            std::iter::successors(Some(self.name.as_str()), |name| name.split_once('.').map(|(_, rest)| rest))
                .collect();
        let is_zone = |name: &&&str| lines.iter().any(|line| line.0 == **name && line.1 == "NS");
        let zone = above.iter().find(is_zone).or_else(|| above.iter().rev().nth(1))?;
        let mut data = [encode(zone), encode(zone)].concat();
        [1, 3600, 600, 86_400, 1].iter().for_each(|number: &u32| data.extend(number.to_be_bytes()));
        Some(rr(zone, SOA, &data))
    }

    fn message(&self, code: u8, answers: &[Vec<u8>], authority: Option<&[u8]>) -> Vec<u8> {
        let count = |many: usize| u16::try_from(many).unwrap().to_be_bytes();
        // Response, authoritative unless it is a resolver's, which says that it is one.
        let flags = if self.recursive { [0x81, 0x80 | code] } else { [0x84, code] };
        let counts = [count(1), count(answers.len()), count(authority.iter().len()), count(0)].concat();
        let head = [self.id, &flags, &counts, self.raw].concat();
        [head, answers.concat(), authority.unwrap_or_default().to_vec()].concat()
    }
}

fn of_name<'a>(lines: &'a [Line], name: &'a str, kind: u16) -> impl Iterator<Item = &'a Line> {
    lines.iter().filter(move |line| line.0 == name && number(&line.1) == Some(kind))
}

const CNAME: u16 = 5;
const SOA: u16 = 6;

fn number(kind: &str) -> Option<u16> {
    let known = [("A", 1), ("NS", 2), ("CNAME", CNAME), ("MX", 15), ("TXT", 16), ("AAAA", 28)];
    known.into_iter().find(|(name, _)| *name == kind).map(|(_, number)| number)
}

fn record((name, kind, value): &Line) -> Vec<u8> {
    let data = match kind.as_str() {
        "A" | "AAAA" => match value.parse().unwrap() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        },
        "TXT" => value
            .as_bytes()
            .chunks(255)
            .flat_map(|part| [&[u8::try_from(part.len()).unwrap()], part].concat())
            .collect(),
        "MX" => [vec![0, 10], encode("mail.elsewhere.example")].concat(),
        _ => encode(value.trim_end_matches('.')),
    };
    rr(name, number(kind).unwrap(), &data)
}

fn rr(name: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let fixed = [&kind.to_be_bytes()[..], &[0, 1], &TTL.to_be_bytes(), &length.to_be_bytes()].concat();
    [encode(name), fixed, data.to_vec()].concat()
}

fn encode(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}
