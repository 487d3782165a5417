//! [`Authority`]: a DNS server on UDP and TCP that answers from a table, or misbehaves as told.
//!
//! Asked with RD it answers as a resolver that knows the table; without, as a server of the zones in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hickory_proto::{
    op::{Edns, Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{
            A, AAAA, CAA, CNAME, MX, NS, SOA, TXT,
            opt::{EdnsCode, EdnsOption},
        },
    },
};
use parking_lot::Mutex;
use test_support::Loopback;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::AbortHandle,
};

/// All servers listen here, each on an address of its own.
pub(crate) const PORT: u16 = 8053;

/// How a name is answered instead of from the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SERVFAIL with extended error 6.
    Bogus,
    /// SERVFAIL unless CD is set.
    BogusUnsaid,
    /// FORMERR to a question with EDNS.
    FormErr,
    /// Another id first, then another question, then the right answer.
    Forged,
    Garbage,
    NotAuthoritative,
    Referral,
    Refused,
    ServFail,
    Silence,
    /// TC over UDP, whole over TCP.
    Truncated,
}

#[derive(Debug, Default)]
struct Table {
    records: BTreeMap<Name, Vec<RData>>,
    zones: BTreeSet<Name>,
    faults: BTreeMap<(Name, Option<RecordType>), Fault>,
}

#[derive(Debug)]
pub(crate) struct Authority {
    loopback: Loopback,
    table: Arc<Mutex<Table>>,
    questions: Arc<AtomicUsize>,
    tasks: [AbortHandle; 2],
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Authority {
    pub(crate) async fn start() -> Self {
        let loopback = Loopback::take();
        let (table, questions) = (Arc::<Mutex<Table>>::default(), Arc::<AtomicUsize>::default());
        let udp = UdpSocket::bind(loopback.at(PORT)).await.unwrap();
        let tcp = TcpListener::bind(loopback.at(PORT)).await.unwrap();
        let over_udp = tokio::spawn(serve_udp(udp, Arc::clone(&table), Arc::clone(&questions)));
        let over_tcp = tokio::spawn(serve_tcp(tcp, Arc::clone(&table)));
        Self { loopback, table, questions, tasks: [over_udp.abort_handle(), over_tcp.abort_handle()] }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.loopback.at(PORT)
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.loopback.ip().into()
    }

    /// Questions over UDP so far.
    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    /// A zone whose servers are these.
    pub(crate) fn zone(&self, apex: &str, servers: &[&Self]) -> &Self {
        self.table.lock().zones.insert(name(apex));
        for (number, server) in servers.iter().enumerate() {
            let host = format!("ns{number}.{apex}");
            self.add(apex, RData::NS(NS(name(&host))));
            self.ip_of(&host, &server.ip().to_string());
        }
        self
    }

    pub(crate) fn add(&self, host: &str, data: RData) -> &Self {
        self.table.lock().records.entry(name(host)).or_default().push(data);
        self
    }

    pub(crate) fn ip_of(&self, host: &str, ip: &str) -> &Self {
        match ip.parse().unwrap() {
            IpAddr::V4(ip) => self.add(host, RData::A(A(ip))),
            IpAddr::V6(ip) => self.add(host, RData::AAAA(AAAA(ip))),
        }
    }

    pub(crate) fn cname(&self, host: &str, target: &str) -> &Self {
        self.add(host, RData::CNAME(CNAME(Name::from_ascii(format!("{target}.")).unwrap())))
    }

    pub(crate) fn txt(&self, host: &str, strings: &[&str]) -> &Self {
        self.add(host, RData::TXT(TXT::new(strings.iter().map(|&text| text.into()).collect())))
    }

    pub(crate) fn mx(&self, host: &str) -> &Self {
        self.add(host, RData::MX(MX::new(10, name("mail.example.test"))))
    }

    pub(crate) fn caa(&self, host: &str, tag: &str, value: &str) -> &Self {
        let mut caa = CAA::new_issue(false, None, Vec::new());
        (caa.tag, caa.value) = (tag.to_owned(), value.as_bytes().to_vec());
        self.add(host, RData::CAA(caa))
    }

    pub(crate) fn remove(&self, host: &str) -> &Self {
        self.table.lock().records.remove(&name(host));
        self
    }

    pub(crate) fn fault(&self, host: &str, fault: Fault) -> &Self {
        self.table.lock().faults.insert((name(host), None), fault);
        self
    }

    pub(crate) fn fault_for(&self, host: &str, kind: RecordType, fault: Fault) -> &Self {
        self.table.lock().faults.insert((name(host), Some(kind)), fault);
        self
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap().to_lowercase()
}

impl Table {
    fn fault(&self, question: &Message) -> Option<Fault> {
        let query = &question.queries[0];
        let host = query.name.to_lowercase();
        let found = self.faults.get(&(host.clone(), Some(query.query_type)));
        let found = found.or_else(|| self.faults.get(&(host, None))).copied();
        match found {
            Some(Fault::BogusUnsaid) if question.metadata.checking_disabled => None,
            Some(Fault::FormErr) if question.edns.is_none() => None,
            found => found,
        }
    }

    fn answer(&self, question: &Message) -> Message {
        let query = question.queries[0].clone();
        let recursive = question.metadata.recursion_desired;
        let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
        answer.metadata.recursion_desired = recursive;
        answer.metadata.recursion_available = recursive;
        answer.metadata.authoritative = !recursive;
        let start = query.name.to_lowercase();
        let zone = self.zone(&start);
        answer.add_query(query.clone());
        let (mut owner, mut seen) = (start, BTreeSet::new());
        loop {
            let data = self.data(&owner);
            let Some(data) = data else {
                answer.metadata.response_code = ResponseCode::NXDomain;
                break;
            };
            let alias =
                data.iter().find_map(|data| if let RData::CNAME(to) = data { Some(to.0.clone()) } else { None });
            for data in data.iter().filter(|data| data.record_type() == query.query_type || alias.is_some()) {
                answer.add_answer(Record::from_rdata(owner.clone(), 60, data.clone()));
            }
            let Some(alias) = alias.filter(|_| query.query_type != RecordType::CNAME) else { break };
            let follow = recursive || self.zone(&alias.to_lowercase()) == zone;
            if !follow || !seen.insert(owner) {
                break;
            }
            owner = alias.to_lowercase();
        }
        if answer.answers.is_empty()
            && let Some(zone) = zone
        {
            let soa = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, 60);
            answer.add_authority(Record::from_rdata(zone, 60, RData::SOA(soa)));
        }
        answer
    }

    fn zone(&self, host: &Name) -> Option<Name> {
        self.zones.iter().filter(|zone| zone.zone_of(host)).max_by_key(|zone| zone.num_labels()).cloned()
    }

    /// The records of a name, of a wildcard above it, none below a name that exists, or `None` for NXDOMAIN.
    fn data(&self, host: &Name) -> Option<Vec<RData>> {
        if let Some(data) = self.records.get(host) {
            return Some(data.clone());
        }
        if self.zones.contains(host) || self.records.keys().any(|known| host.zone_of(known)) {
            return Some(Vec::new());
        }
        let mut level = host.base_name();
        while !level.is_root() {
            if let Some(data) = self.records.get(&level.prepend_label("*").unwrap()) {
                return Some(data.clone());
            }
            level = level.base_name();
        }
        None
    }
}

/// The answers to send, in order.
fn replies(table: &Table, question: &Message) -> Vec<Vec<u8>> {
    let mut answer = table.answer(question);
    let fault = table.fault(question);
    let fail = |code| Message::error_msg(question.metadata.id, question.metadata.op_code, code);
    match fault {
        Some(Fault::Silence) => return Vec::new(),
        Some(Fault::Garbage) => return vec![[&question.metadata.id.to_be_bytes()[..], &[0xff; 40]].concat()],
        Some(Fault::Bogus) => {
            answer = fail(ResponseCode::ServFail);
            let mut edns = Edns::new();
            edns.options_mut().options.push((EdnsCode::from(15), EdnsOption::Unknown(15, vec![0, 6, b'x'])));
            answer.set_edns(edns);
        }
        Some(Fault::BogusUnsaid | Fault::ServFail) => answer = fail(ResponseCode::ServFail),
        Some(Fault::FormErr) => answer = fail(ResponseCode::FormErr),
        Some(Fault::Refused) => answer = fail(ResponseCode::Refused),
        Some(Fault::NotAuthoritative) => answer.metadata.authoritative = false,
        Some(Fault::Referral) => {
            (answer.answers, answer.authorities) = (Vec::new(), Vec::new());
            answer.metadata.authoritative = false;
            let zone = question.queries[0].name.base_name();
            answer.add_authority(Record::from_rdata(zone, 60, RData::NS(NS(name("ns.elsewhere.test")))));
        }
        Some(Fault::Forged) => {
            let (mut id, mut other) = (answer.clone(), answer.clone());
            id.metadata.id ^= 1;
            other.queries[0].name = name("forged.test");
            return [id, other, answer].iter().map(|message| message.to_vec().unwrap()).collect();
        }
        Some(Fault::Truncated) | None => {}
    }
    vec![answer.to_vec().unwrap()]
}

async fn serve_udp(socket: UdpSocket, table: Arc<Mutex<Table>>, questions: Arc<AtomicUsize>) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        questions.fetch_add(1, Ordering::Relaxed);
        let question = Message::from_vec(&buffer[..length]).unwrap();
        let (replies, cut) = {
            let table = table.lock();
            (replies(&table, &question), table.fault(&question) == Some(Fault::Truncated))
        };
        for reply in replies {
            let reply = if cut || reply.len() > 1232 { truncated(&question) } else { reply };
            socket.send_to(&reply, from).await.unwrap();
        }
    }
}

fn truncated(question: &Message) -> Vec<u8> {
    let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    answer.metadata.truncation = true;
    answer.add_query(question.queries[0].clone());
    answer.to_vec().unwrap()
}

async fn serve_tcp(listener: TcpListener, table: Arc<Mutex<Table>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer_tcp(stream, Arc::clone(&table)));
    }
}

async fn answer_tcp(mut stream: TcpStream, table: Arc<Mutex<Table>>) -> std::io::Result<()> {
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await?;
    let replies = replies(&table.lock(), &Message::from_vec(&buffer).unwrap());
    for reply in replies {
        // What does not fit is cut, as a server must do; the rest of the last record is missing then.
        let reply = &reply[..reply.len().min(u16::MAX.into())];
        stream.write_all(&[&u16::try_from(reply.len()).unwrap().to_be_bytes()[..], reply].concat()).await?;
    }
    Ok(())
}
