//! What stands before a real name server: counts its calls, and cuts or holds them.

use std::sync::Arc;

use crate::Bind;
use parking_lot::Mutex;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{Fault, Seen, State};
use crate::provider::zone::{Entry, FakeZone, Rules};

/// The opcode of an update in the third byte of a message.
const UPDATE: u8 = 5;

#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) bind: Arc<Bind>,
    pub(crate) rules: Rules,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) calls: Arc<watch::Sender<usize>>,
}

/// Shows the zone as the server has it, and writes back what was changed.
pub(crate) fn through_bind<T>(bind: &Bind, zone: &mut FakeZone, look: impl FnOnce(&mut FakeZone) -> T) -> T {
    let entry = |line: crate::ZoneLine| Entry {
        id: 0,
        name: line.name,
        kind: line.kind,
        ttl: line.ttl,
        data: line.data,
        extra: json!({}),
    };
    zone.entries = bind.records().into_iter().map(entry).collect();
    let before = zone.entries.clone();
    let seen = look(zone);
    if zone.entries == before {
        return seen;
    }
    let line = |verb: &str, entry: &Entry| {
        let ttl = if verb == "add" { entry.ttl.to_string() } else { String::new() };
        format!("update {verb} {}. {ttl} {} {}\n", entry.name, entry.kind, entry.data)
    };
    let same = |one: &Entry, other: &Entry| one.name == other.name && one.kind == other.kind && one.data == other.data;
    let gone =
        before.iter().filter(|old| !zone.entries.iter().any(|new| same(old, new))).map(|old| line("delete", old));
    let new = zone.entries.iter().filter(|new| !before.iter().any(|old| same(old, new))).map(|new| line("add", new));
    // In parts: an update holds at most 64 KiB.
    for part in gone.chain(new).collect::<Vec<_>>().chunks(200) {
        bind.update(&part.concat());
    }
    seen
}

pub(crate) async fn accept(listener: TcpListener, front: Front) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).unwrap();
        let front = front.clone();
        connections.spawn(async move {
            // Ends as an error when a side hangs up, which is what some tests want.
            let _ = carry(stream, &front).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Front {
    /// What goes wrong with a call, and its number.
    fn decide(&self, request: &[u8]) -> (Option<Fault>, usize) {
        let mut state = self.state.lock();
        let State { zone, plan, writes: all } = &mut *state;
        let writes = request[4] >> 3 & 15 == UPDATE;
        *all += usize::from(writes);
        let number = *self.calls.borrow() + 1;
        // What the plan puts into this empty zone goes to the server.
        let mut fresh = FakeZone::new(&zone.name, self.rules);
        let fault = plan(Seen { number, writes, zone: &mut fresh });
        if !fresh.entries.is_empty() {
            through_bind(&self.bind, zone, |zone| zone.entries.append(&mut fresh.entries));
        }
        (fault, number)
    }
}

/// One question and all of its answers.
async fn carry(mut client: TcpStream, front: &Front) -> std::io::Result<()> {
    let mut server = TcpStream::connect(front.bind.address()).await?;
    let request = frame(&mut client).await?;
    let (fault, number) = front.decide(&request);
    // Whoever waits for a call that is done and not answered must find it done.
    if !matches!(fault, Some(Fault::HangAfter)) {
        front.calls.send_replace(number);
    }
    match fault {
        Some(Fault::CutBefore) => return Ok(()),
        Some(Fault::HangBefore) => return std::future::pending().await,
        _ => {}
    }
    server.write_all(&request).await?;
    match fault {
        Some(Fault::CutAfter) => frame(&mut server).await.map(drop),
        Some(Fault::HangAfter) => {
            frame(&mut server).await?;
            front.calls.send_replace(number);
            std::future::pending().await
        }
        _ => tokio::io::copy(&mut server, &mut client).await.map(drop),
    }
}

/// A message with the two bytes of its length.
async fn frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.resize(2 + usize::from(length), 0);
    stream.read_exact(&mut bytes[2..]).await?;
    Ok(bytes)
}
