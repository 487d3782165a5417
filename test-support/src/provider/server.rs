//! [`Server`]: a provider on loopback, and what goes wrong between it and us.

use std::{net::SocketAddr, sync::Arc};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::Bind;
use crate::provider::{
    shim::{No, Req, Resp, Shim, ZONE},
    zone::FakeZone,
};

mod dns_front;
use dns_front::{Front, through_bind};

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection ends before anything is done.
    CutBefore,
    /// The change is done and the connection ends before the answer.
    CutAfter,
    /// No answer ever comes, and nothing is done.
    HangBefore,
    /// No answer ever comes, but it is done.
    HangAfter,
    /// The provider says no.
    No(No),
    /// Another answer than any interface's.
    Raw(Resp),
    /// The provider refuses it with a sentence that holds the whole request.
    Echo,
}

/// One call as the plan of faults sees it.
pub struct Seen<'a> {
    /// From 1.
    pub number: usize,
    /// Whether it would change something.
    pub writes: bool,
    pub zone: &'a mut FakeZone,
}

type Plan = Box<dyn FnMut(Seen<'_>) -> Option<Fault> + Send>;

struct State {
    zone: FakeZone,
    plan: Plan,
    writes: usize,
}

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    shim: Arc<dyn Shim>,
    state: Arc<Mutex<State>>,
    calls: Arc<watch::Sender<usize>>,
    /// The real name server that holds the zone, for the adapter that speaks to one.
    bind: Option<Arc<Bind>>,
    _task: Arc<Task>,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    pub async fn start(shim: Arc<dyn Shim>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let zone = FakeZone::new(ZONE, shim.rules());
        let state = State { zone, plan: Box::new(|_| None), writes: 0 };
        let state = Arc::new(Mutex::new(state));
        let calls = Arc::new(watch::Sender::new(0));
        let bind = shim.bind();
        let task = match &bind {
            None => tokio::spawn(accept(listener, Arc::clone(&shim), Arc::clone(&state), Arc::clone(&calls))),
            Some(bind) => {
                through_bind(bind, &mut FakeZone::new(ZONE, shim.rules()), |zone| zone.entries.clear());
                let front = Front {
                    bind: Arc::clone(bind),
                    rules: shim.rules(),
                    state: Arc::clone(&state),
                    calls: Arc::clone(&calls),
                };
                tokio::spawn(dns_front::accept(listener, front))
            }
        };
        Self { address, shim, state, calls, bind, _task: Arc::new(Task(task)) }
    }

    /// What happens from now on; calls are counted from 1 again.
    pub fn faults(&self, plan: impl FnMut(Seen<'_>) -> Option<Fault> + Send + 'static) {
        let mut state = self.state.lock();
        state.plan = Box::new(plan);
        state.writes = 0;
        self.calls.send_replace(0);
    }

    pub fn well(&self) {
        self.faults(|_| None);
    }

    pub fn calls(&self) -> usize {
        *self.calls.borrow()
    }

    /// Changes that were asked for since the faults were set.
    pub fn writes(&self) -> usize {
        self.state.lock().writes
    }

    /// Ends when so many calls have come.
    pub async fn called(&self, times: usize) {
        self.calls.subscribe().wait_for(|calls| *calls >= times).await.unwrap();
    }

    pub fn zone<T>(&self, look: impl FnOnce(&mut FakeZone) -> T) -> T {
        let zone = &mut self.state.lock().zone;
        match &self.bind {
            None => look(zone),
            Some(bind) => through_bind(bind, zone, look),
        }
    }

    /// The zone as it is now: one look for many questions, which at a real name server is one transfer.
    pub fn look(&self) -> FakeZone {
        self.zone(|zone| zone.clone())
    }

    /// The values of a set as people write them, ordered.
    pub fn values(&self, name: &str, kind: &str) -> Vec<String> {
        self.values_in(&self.look(), name, kind)
    }

    /// The same of a zone that was looked at.
    pub fn values_in(&self, zone: &FakeZone, name: &str, kind: &str) -> Vec<String> {
        let set = zone.set(name, kind);
        let mut values: Vec<_> = set.iter().map(|entry| self.shim.decode(zone, kind, &entry.data)).collect();
        values.sort();
        values
    }

    /// What its name servers would answer from: name, type, and the value as people write it.
    pub fn published(&self) -> Vec<(String, String, String)> {
        let zone = self.zone(|zone| zone.clone());
        let known = |kind: &str| ["A", "AAAA", "CNAME", "MX", "TXT"].contains(&kind);
        let known = zone.entries.iter().filter(|entry| known(&entry.kind));
        known
            .map(|entry| (entry.name.clone(), entry.kind.clone(), self.shim.decode(&zone, &entry.kind, &entry.data)))
            .collect()
    }

    /// The provider's interface.
    pub fn shim(&self) -> &dyn Shim {
        &*self.shim
    }

    /// Everything but the records of the given names, byte for byte.
    pub fn others(&self, names: &[&str]) -> Vec<String> {
        self.others_in(&self.look(), names)
    }

    /// The same of a zone that was looked at.
    pub fn others_in(&self, zone: &FakeZone, names: &[&str]) -> Vec<String> {
        let others = zone.entries.iter().filter(|entry| !names.contains(&entry.name.as_str()));
        let mut lines: Vec<_> =
            others.map(|e| format!("{} {} {} {} {}", e.name, e.ttl, e.kind, e.data, e.extra)).collect();
        lines.sort();
        lines
    }
}

async fn accept(
    listener: TcpListener,
    shim: Arc<dyn Shim>,
    state: Arc<Mutex<State>>,
    calls: Arc<watch::Sender<usize>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).unwrap();
        let (shim, state, calls) = (Arc::clone(&shim), Arc::clone(&state), Arc::clone(&calls));
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (shim, state, calls) = (Arc::clone(&shim), Arc::clone(&state), Arc::clone(&calls));
                async move { serve(&*shim, &state, &calls, request).await }
            });
            // A cut connection is what some tests want.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

async fn serve(
    shim: &dyn Shim,
    state: &Mutex<State>,
    calls: &watch::Sender<usize>,
    request: Request<Incoming>,
) -> Result<Response<Full<bytes::Bytes>>, Cut> {
    let req = read(request).await;
    let end = {
        let mut state = state.lock();
        let State { zone, plan, writes: all } = &mut *state;
        let writes = shim.writes(&req);
        *all += usize::from(writes);
        let number = *calls.borrow() + 1;
        let fault = plan(Seen { number, writes, zone });
        let end = decide(shim, zone, &req, fault);
        calls.send_replace(number);
        end
    };
    match end {
        End::Answer(resp) => Ok(send(resp)),
        End::Cut => Err(Cut),
        End::Hang => std::future::pending().await,
    }
}

enum End {
    Answer(Resp),
    Cut,
    Hang,
}

fn decide(shim: &dyn Shim, zone: &mut FakeZone, req: &Req, fault: Option<Fault>) -> End {
    match fault {
        None => End::Answer(answer(shim, zone, req)),
        Some(Fault::CutBefore) => End::Cut,
        Some(Fault::CutAfter) => {
            answer(shim, zone, req);
            End::Cut
        }
        Some(Fault::HangBefore) => End::Hang,
        Some(Fault::HangAfter) => {
            answer(shim, zone, req);
            End::Hang
        }
        Some(Fault::No(no)) => End::Answer(shim.refuse(&no)),
        Some(Fault::Raw(resp)) => End::Answer(resp),
        Some(Fault::Echo) => End::Answer(shim.refuse(&No::Invalid(req.raw.clone()))),
    }
}

fn answer(shim: &dyn Shim, zone: &mut FakeZone, req: &Req) -> Resp {
    if !shim.authorized(req) {
        return shim.refuse(&No::Auth);
    }
    shim.answer(zone, req).unwrap_or_else(|no| shim.refuse(&no))
}

async fn read(request: Request<Incoming>) -> Req {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let url = url::Url::parse(&format!("http://localhost{}", parts.uri)).unwrap();
    let decode = |segment: &str| {
        let form = segment.replace('+', "%2B");
        url::form_urlencoded::parse(form.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    let path = url.path_segments().unwrap().map(decode).collect();
    let query = url.query_pairs().into_owned().collect();
    let raw = format!("{} {} {:?} {body}", parts.method, parts.uri, parts.headers);
    Req { method: parts.method, path, query, headers: parts.headers, body, raw }
}

fn send(resp: Resp) -> Response<Full<bytes::Bytes>> {
    let mut response = Response::builder().status(resp.status);
    for (name, value) in &resp.headers {
        response = response.header(*name, value);
    }
    response.body(Full::new(resp.body.into())).unwrap()
}
