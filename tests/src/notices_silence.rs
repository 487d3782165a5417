//! Whoever vanishes without a word, visitor or origin, is noticed within half a minute, and what was held for it is
//! free: TCP itself finds out, whatever is longer among the limits.
//!
//! On a network of its own, since loopback always answers. Needs root (`Cable`).

use std::{process::Command, time::Duration};

use test_support::{
    Cable, Reply,
    client::{Raw, Visit, frames::Frame, frames::request},
    wait,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::stack::Proxying;

/// Nothing ends because its own time is up, and no connection to an origin is kept.
const PATIENT: &str = r#"
[listen]
http = ["0.0.0.0:8000"]
https = ["0.0.0.0:8443"]
[limits]
request_header_timeout = "2m"
read_timeout = "10m"
write_timeout = "10m"
keepalive_timeout = "10m"
response_header_timeout = "10m"
stream_timeout = "10m"
origin_pool = 0
"#;
/// Half a minute, and what a loaded machine adds to it.
const NOTICED: Duration = Duration::from_secs(35);
const OPEN: &str = "namegate_edge_connections_open";
/// No window is large enough for it.
const LARGE: usize = 100_000_000;
/// Visitors whose network goes silent, beside one before its hello and one in plain text.
const SECURED: usize = 8;

/// Somebody at the far end, at any point of a visit.
enum Gone {
    Plain(#[expect(dead_code, reason = "held, and nothing else")] Raw<TcpStream>),
    Secured(#[expect(dead_code, reason = "held, and nothing else")] Box<dyn Send>),
    Silent(#[expect(dead_code, reason = "held, and nothing else")] TcpStream),
}

struct Network {
    stack: Proxying,
    cable: Cable,
}

impl Network {
    async fn start() -> Self {
        // Before the edge starts, so that it is at the near end.
        let cable = Cable::plug();
        Self { stack: Proxying::start_with(PATIENT).await, cable }
    }

    /// A connection from the far end to one of the edge's ports.
    fn far(&self, port: u16) -> TcpStream {
        self.cable.connect((self.cable.near(), port).into())
    }

    async fn visit(&self, alpn: &str) -> Visit {
        let client = self.stack.client().alpn(&[alpn]);
        client.handshake(self.far(self.stack.edge.https().port()), "far.test").await.unwrap()
    }

    /// HTTP/1.1, with this sent. `answered`: and an answer taken.
    async fn http1(&self, bytes: &str, answered: bool) -> Gone {
        let mut raw = self.visit("http/1.1").await.raw();
        raw.send(bytes).await.unwrap();
        if answered {
            assert_eq!(raw.response().await.unwrap().status, 200);
        }
        Gone::Secured(Box::new(raw))
    }

    /// HTTP/2, with a request that was answered, and this sent behind it.
    async fn http2(&self, frames: &[Frame]) -> Gone {
        let mut connection = self.visit("h2").await.frames(&[]).await.unwrap();
        connection.send(&Frame::get(1, "far.test", "/bytes/3")).await.unwrap();
        connection.outcome(1).await;
        for frame in frames {
            connection.send(frame).await.unwrap();
        }
        Gone::Secured(Box::new(connection))
    }

    async fn plain(&self) -> Gone {
        let mut raw = Raw::over(self.far(self.stack.edge.http().port()));
        raw.send("GET / HTTP/1.1\r\nHost: far.test\r\n\r\n").await.unwrap();
        assert_eq!(raw.response().await.unwrap().status, 308);
        Gone::Plain(raw)
    }

    async fn tunnel(&self) -> Gone {
        let tunnel = self.visit("http/1.1").await.websocket("far.test", "/ws").await.unwrap();
        Gone::Secured(Box::new(tunnel))
    }

    /// Everything that a visitor may be in the middle of.
    async fn visitors(&self) -> Vec<Gone> {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: far.test\r\n\r\n");
        let upload = "POST /sink HTTP/1.1\r\nHost: far.test\r\nContent-Length: 10\r\n\r\nabc";
        let post = Frame::headers(3, 0, &request("POST", "far.test", "/sink"));
        let gone = vec![
            Gone::Silent(self.far(self.stack.edge.https().port())),
            self.plain().await,
            // Idle; an answer that it does not take; one that is on its way; a body that it still owes; a tunnel.
            self.http1(&get("/bytes/3"), true).await,
            self.http1(&get(&format!("/bytes/{LARGE}")), false).await,
            self.http1(&get("/hold/1000"), false).await,
            self.http1(upload, false).await,
            self.tunnel().await,
            self.http2(&[]).await,
            self.http2(&[Frame::get(3, "far.test", "/hold/1000")]).await,
            self.http2(&[post]).await,
        ];
        self.stack.origin.reached(2).await;
        gone
    }

    /// An origin at the far end that reads the head of one request and answers with this.
    fn origin(&self, name: &str, answer: &'static str) -> JoinHandle<TcpStream> {
        let listener = self.cable.listen();
        self.stack.gate.set(name, Reply::origin(&format!("http://{}", listener.local_addr().unwrap())));
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            assert!(tcp.read(&mut [0; 4096]).await.unwrap() > 0);
            tcp.write_all(answer.as_bytes()).await.unwrap();
            tcp
        })
    }

    /// Descriptors of the edge's process.
    async fn descriptors(&self) -> usize {
        self.stack.edge.metric("process_open_fds").await as usize
    }

    async fn open(&self) -> usize {
        self.stack.edge.metric(OPEN).await as usize
    }
}

/// The sockets that stand between both ends, for people.
fn sockets() -> String {
    let output = Command::new("ss").args(["-tno", "src", "10.99.0.0/30"]).output();
    output.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn whoever_vanishes_without_a_word_is_noticed_within_half_a_minute() {
    let network = Network::start().await;
    let stack = &network.stack;
    stack.origin.hold();
    let mut stays = stack.raw("near.test").await;
    stays.send("GET /bytes/3 HTTP/1.1\r\nHost: near.test\r\n\r\n").await.unwrap();
    assert_eq!(stays.response().await.unwrap().status, 200);
    let before = network.descriptors().await;

    let gone = network.visitors().await;
    assert_eq!(network.open().await, 1 + SECURED);
    // Origins that vanish: with the rest of an answer owed, before the head of one, and while a body is on its way to it.
    let owing = network.origin("owing.test", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let mute = network.origin("mute.test", "");
    let full = network.origin("full.test", "");
    let mut visitors = Vec::new();
    for name in ["owing.test", "mute.test", "full.test"] {
        let mut raw = stack.raw(name).await;
        let length = if name == "full.test" { LARGE } else { 0 };
        raw.send(format!("POST / HTTP/1.1\r\nHost: {name}\r\nContent-Length: {length}\r\n\r\n")).await.unwrap();
        visitors.push(raw);
    }
    let origins = [owing.await.unwrap(), mute.await.unwrap(), full.await.unwrap()];
    let [owed, unanswered, mut uploading] = <[_; 3]>::try_from(visitors).unwrap_or_else(|_| panic!("three visitors"));

    network.cable.cut();
    let cut = Instant::now();
    stack.origin.release();
    let upload = tokio::spawn(async move {
        while uploading.send(vec![0; 65_536]).await.is_ok() {}
        uploading.rest().await
    });
    let [owed, unanswered] = [owed, unanswered].map(|mut raw| tokio::spawn(async move { raw.response().await }));

    // What the visitors of those origins hear is the origins' own fault, or the end.
    let heard = timeout(NOTICED, async { tokio::join!(owed, unanswered, upload) }).await;
    let (owed, unanswered, upload) = heard.unwrap_or_else(|_| panic!("an origin is still waited for:\n{}", sockets()));
    assert_eq!(owed.unwrap(), None, "half of an answer is never passed off as whole");
    assert_eq!(unanswered.unwrap().map(|response| response.status), Some(502));
    drop(upload.unwrap());
    let free = wait::within(NOTICED.saturating_sub(cut.elapsed()), async || {
        (network.open().await == 1 && network.descriptors().await <= before).then_some(())
    });
    if free.await.is_none() {
        let (open, more) = (network.open().await, network.descriptors().await.saturating_sub(before));
        panic!("after {:?} {open} connections are open and {more} descriptors held:\n{}", cut.elapsed(), sockets());
    }
    println!("all noticed {:?} after the cut", cut.elapsed());
    stays.send("GET /bytes/3 HTTP/1.1\r\nHost: near.test\r\n\r\n").await.unwrap();
    assert_eq!(stays.response().await.unwrap().status, 200, "who is there stays, however long it is silent");
    drop((gone, origins));
}
