//! [`Trip`]: to the addresses of a name, as a CA goes there, to see who answers.
//!
//! A random token is put on offer for the name, as an order's would be, and asked for at each address on the port of
//! HTTP-01. Where somebody else answers, the port of TLS-ALPN-01 is tried too, and redirects are followed as far as a CA
//! follows them: a name is elsewhere only when no way of proof leads here. What is dialled is an address that was looked
//! at, never a name; answers are bounded in bytes, the whole trip in time.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use certs::Challenges;
use config::EdgeConfig;
use dns::{Addresses, OwnerName, Resolvers};
use futures::{StreamExt as _, stream::FuturesUnordered};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use names::Hostname;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{Inside, ScoutError, probe};
use crate::http::{challenge, loops::LoopMark};

/// Addresses of one name that are visited; sites have a handful. Of more, those left out keep the name from being
/// elsewhere.
const ADDRESSES: usize = 8;
/// Redirects that are followed; Let's Encrypt follows ten.
const REDIRECTS: usize = 5;
/// Longest head of an answer, of which the status and one field are read.
const HEAD: usize = 16 * 1024;
/// Fields of an answer.
const FIELDS: usize = 100;
/// Longest content: what is awaited has 43 bytes.
const CONTENT: usize = 1024;
/// Where one address cannot be reached, how long the others are waited for.
const GRACE: Duration = Duration::from_millis(250);

/// Who is where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    /// Somebody else, at every address: which, and what they say.
    Elsewhere(Vec<String>),
    /// This edge, at one address at least.
    Ourselves,
    /// It cannot be told, and why.
    Unclear(String),
}

/// Who is at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Other(String),
    Ourselves,
    Unclear(String),
}

/// One answer on the way.
enum Reply {
    Redirect(Url),
    Seen(Seen),
}

/// What is asked for, and what only this edge answers.
struct Offer {
    path: String,
    content: String,
}

/// One request on the way.
struct Leg<'a> {
    tls: bool,
    host: &'a Hostname,
    address: IpAddr,
    path: &'a str,
}

/// Where authorities look.
#[derive(Debug, Clone, Copy)]
struct Ports {
    http: u16,
    https: u16,
}

pub(super) struct Trip {
    challenges: Arc<Challenges>,
    resolvers: Resolvers,
    inside: Inside,
    mark: LoopMark,
    ports: Ports,
    /// Whether the port of HTTP-01 is ours at all.
    over_http: bool,
    tls: TlsConnector,
    probe: TlsConnector,
}

impl Trip {
    pub(super) fn new(
        config: &EdgeConfig,
        challenges: &Arc<Challenges>,
        resolvers: &Resolvers,
        inside: &Inside,
        mark: LoopMark,
    ) -> Result<Self, ScoutError> {
        let preflight = &config.acme.preflight;
        Ok(Self {
            challenges: challenges.clone(),
            resolvers: resolvers.clone(),
            inside: inside.clone(),
            mark,
            ports: Ports { http: preflight.http_port, https: preflight.https_port },
            over_http: !config.listen.http.is_empty(),
            tls: probe::connector(b"http/1.1")?,
            probe: probe::connector(probe::ACME_TLS)?,
        })
    }

    /// Visits the addresses of `name`, all at once, until one turns out to be ours.
    pub(super) async fn go(&self, name: &Hostname, found: &Addresses, deadline: Instant) -> View {
        let may = found.addresses.iter().copied().filter(|address| self.inside.admits(*address));
        let visited: Vec<IpAddr> = may.take(ADDRESSES).collect();
        let is_whole = visited.len() == found.addresses.len() && found.unknown.is_none() && !visited.is_empty();
        let Some((token, content)) = random().zip(random()) else {
            return View::Unclear("the machine has no random numbers".to_owned());
        };
        let Ok(_guard) = self.challenges.offer_http(name, &token, &content) else {
            return View::Unclear("too many challenges are on offer".to_owned());
        };
        let offer = Offer { path: challenge::path(&token), content };
        let mut visits: FuturesUnordered<_> = visited.iter().map(|at| self.visit(name, *at, &offer)).collect();
        let (mut others, mut unclear) = (Vec::new(), None);
        let mut until = deadline;
        loop {
            match timeout_at(until, visits.next()).await {
                Ok(Some(Seen::Ourselves)) => return View::Ourselves,
                Ok(Some(Seen::Other(said))) => others.push(said),
                Ok(Some(Seen::Unclear(why))) => {
                    until = until.min(Instant::now() + GRACE);
                    unclear.get_or_insert(why);
                }
                Ok(None) => break,
                Err(_) => {
                    unclear.get_or_insert_with(|| "no answer in time".to_owned());
                    break;
                }
            }
        }
        match unclear {
            Some(why) => View::Unclear(why),
            None if is_whole => View::Elsewhere(others),
            None => View::Unclear("not every address could be visited".to_owned()),
        }
    }

    /// Who is at one address.
    async fn visit(&self, name: &Hostname, address: IpAddr, offer: &Offer) -> Seen {
        if !self.over_http {
            return self.probe(name, address).await;
        }
        let first = Leg { tls: false, host: name, address, path: &offer.path };
        let reply = match self.get(&first, offer).await {
            Reply::Seen(seen @ (Seen::Ourselves | Seen::Unclear(_))) => return seen,
            reply => reply,
        };
        // Another program may have the one port, and this edge the other.
        if self.probe(name, address).await == Seen::Ourselves {
            return Seen::Ourselves;
        }
        match reply {
            Reply::Seen(seen) => seen,
            Reply::Redirect(to) => self.follow(name, address, to, offer).await,
        }
    }

    /// Where redirects lead in the end.
    async fn follow(&self, name: &Hostname, address: IpAddr, mut to: Url, offer: &Offer) -> Seen {
        for _ in 0..REDIRECTS {
            let Some((tls, host)) = destination(&to, self.ports) else {
                return Seen::Other(format!("{address} sends whoever asks to where no authority follows"));
            };
            let address = if host == *name { Some(address) } else { self.resolve(&host).await };
            let Some(address) = address else { return Seen::Unclear(format!("{host} cannot be visited")) };
            let path = to.query().map_or_else(|| to.path().to_owned(), |query| format!("{}?{query}", to.path()));
            match self.get(&Leg { tls, host: &host, address, path: &path }, offer).await {
                Reply::Seen(seen) => return seen,
                Reply::Redirect(next) => to = next,
            }
        }
        Seen::Unclear(format!("{address} redirects on and on"))
    }

    async fn resolve(&self, host: &Hostname) -> Option<IpAddr> {
        let found = self.resolvers.addresses(&OwnerName::from(host)).await;
        found.present()?.addresses.iter().copied().find(|address| self.inside.admits(*address))
    }

    async fn probe(&self, name: &Hostname, address: IpAddr) -> Seen {
        probe::probe(&self.probe, &self.challenges, name, SocketAddr::new(address, self.ports.https)).await
    }

    async fn get(&self, leg: &Leg<'_>, offer: &Offer) -> Reply {
        let port = if leg.tls { self.ports.https } else { self.ports.http };
        let unclear = |error: &dyn std::fmt::Display| {
            Reply::Seen(Seen::Unclear(format!("{} says nothing that counts: {error}", leg.address)))
        };
        let tcp = match TcpStream::connect((leg.address, port)).await {
            Ok(tcp) => tcp,
            Err(error) => return unclear(&error),
        };
        // Whether it is set changes the pace alone.
        let _ = tcp.set_nodelay(true);
        if !leg.tls {
            return self.exchange(tcp, leg, offer).await.unwrap_or_else(|error| unclear(&error));
        }
        let Ok(server) = ServerName::try_from(leg.host.as_str().to_owned()) else { return unclear(leg.host) };
        match self.tls.connect(server, tcp).await {
            Ok(tls) => self.exchange(tls, leg, offer).await.unwrap_or_else(|error| unclear(&error)),
            Err(error) => unclear(&error),
        }
    }

    async fn exchange<S>(&self, stream: S, leg: &Leg<'_>, offer: &Offer) -> Result<Reply, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut client = http1::Builder::new();
        client.max_buf_size(HEAD).max_headers(FIELDS);
        let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await?;
        let mut fields = HeaderMap::new();
        // Another edge of this fleet knows it by this, and says so instead of "there is none".
        self.mark.put_on(&mut fields);
        let mut request = Request::new(Empty::<Bytes>::new());
        // Of what was parsed as a URL's; one that is no target after all asks for the root.
        *request.uri_mut() = leg.path.parse().unwrap_or_default();
        *request.headers_mut() = fields;
        for (field, value) in [
            (header::HOST, leg.host.as_str()),
            (header::CONNECTION, "close"),
            (header::USER_AGENT, concat!("namegate/", env!("CARGO_PKG_VERSION"), " (preflight)")),
        ] {
            if let Ok(value) = value.parse() {
                request.headers_mut().insert(field, value);
            }
        }
        let mut answer = std::pin::pin!(async { read(sender.send_request(request).await?, leg, offer).await });
        tokio::select! {
            answer = answer.as_mut() => answer,
            // The connection drives the exchange; when it ends first, the answer is as complete as it gets.
            _ = connection => answer.await,
        }
    }
}

/// What an answer means. A head alone is enough for a "no"; a yes is the exact content.
async fn read(response: Response<Incoming>, leg: &Leg<'_>, offer: &Offer) -> Result<Reply, hyper::Error> {
    let (status, address) = (response.status(), leg.address);
    if status.is_redirection()
        && let Some(to) = location(&response, leg)
    {
        return Ok(Reply::Redirect(to));
    }
    Ok(Reply::Seen(match status {
        StatusCode::OK => match Limited::new(response.into_body(), CONTENT).collect().await {
            Ok(content) => match content.to_bytes().trim_ascii_end() == offer.content.as_bytes() {
                true => Seen::Ourselves,
                false => Seen::Other(format!("{address} answers with another content")),
            },
            Err(error) if error.is::<LengthLimitError>() => {
                Seen::Other(format!("{address} answers with another content"))
            }
            Err(error) => Seen::Unclear(format!("the answer of {address} broke off: {error}")),
        },
        // Of a request that has left this fleet and come back to it.
        StatusCode::LOOP_DETECTED => Seen::Unclear(format!("{address} is another edge of this fleet")),
        status => Seen::Other(format!("{address} answers {status}")),
    }))
}

/// Whether over TLS and to whom a redirect is followed: as authorities do it, to names, on their two ports.
fn destination(to: &Url, ports: Ports) -> Option<(bool, Hostname)> {
    let (tls, ports) = match to.scheme() {
        "http" => (false, [80, ports.http]),
        "https" => (true, [443, ports.https]),
        _ => return None,
    };
    let Some(Host::Domain(host)) = to.host() else { return None };
    let is_known = to.port_or_known_default().is_some_and(|port| ports.contains(&port));
    is_known.then(|| host.parse().ok()).flatten().map(|host| (tls, host))
}

/// Where a redirect leads, relative to what was asked for.
fn location<B>(response: &Response<B>, leg: &Leg<'_>) -> Option<Url> {
    let to = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let scheme = if leg.tls { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{}{}", leg.host, leg.path)).ok()?.join(to).ok()
}

/// 256 bits in base64url, as tokens of CAs are (RFC 8555 section 8.3).
fn random() -> Option<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a redirect of `http://shop.example/.well-known/acme-challenge/x` leads.
    fn led(to: &str) -> Option<String> {
        let host = "shop.example".parse().unwrap();
        let leg =
            Leg { tls: false, host: &host, address: [192, 0, 2, 1].into(), path: "/.well-known/acme-challenge/x" };
        let response = Response::builder().header(header::LOCATION, to).body(()).unwrap();
        let to = location(&response, &leg)?;
        let (tls, host) = destination(&to, Ports { http: 8000, https: 8443 })?;
        Some(format!("{} {host} {}", if tls { "tls" } else { "plain" }, to.path()))
    }

    #[test]
    fn redirects_are_followed_to_names_on_the_two_ports_and_nowhere_else() {
        const CASES: &[(&str, Option<&str>)] = &[
            ("https://shop.example/x", Some("tls shop.example /x")),
            ("https://www.shop.example", Some("tls www.shop.example /")),
            ("http://other.example:8000/x", Some("plain other.example /x")),
            ("https://other.example:8443/x", Some("tls other.example /x")),
            ("//other.example/x", Some("plain other.example /x")),
            ("/elsewhere", Some("plain shop.example /elsewhere")),
            ("y", Some("plain shop.example /.well-known/acme-challenge/y")),
            ("http://other.example:22/", None),
            ("http://other.example:443/", None),
            ("https://other.example:2020/", None),
            ("http://127.0.0.1/", None),
            ("http://[::1]/", None),
            ("http://2130706433/", None),
            ("http://localhost/", None),
            ("ftp://other.example/", None),
            ("javascript:alert(1)", None),
            ("http://", None),
        ];
        for (to, expected) in CASES {
            assert_eq!(led(to).as_deref(), *expected, "{to}");
        }
    }

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
    }
}
