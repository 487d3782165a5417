//! A visitor that is slow on purpose costs little and not for long.

use std::{any::Any, time::Duration};

use test_support::{
    Reply,
    client::{
        Raw, Visit,
        frames::{END_STREAM, Ended, Frame, Frames, kind, request},
    },
    kernel, wait,
};
use tokio::{net::TcpSocket, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::stack::Proxying;

const INITIAL_WINDOW_SIZE: u16 = 4;
/// The largest window.
const ALL: u32 = (1 << 31) - 1;
const HEAD: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nX: ";

/// Sends a head that never ends, a byte at a time, until the edge has had enough.
async fn drip(stack: &Proxying, pause: Duration) -> (Option<u16>, Duration) {
    let mut raw = stack.raw("a.test").await;
    raw.send(HEAD).await.unwrap();
    let begun = Instant::now();
    while !raw.hears_within(pause).await && raw.send("x").await.is_ok() {}
    let status = raw.response().await.map(|response| response.status);
    (status, begun.elapsed())
}

#[tokio::test]
async fn a_head_that_drips_is_answered_with_408_however_busy_it_looks() {
    let stack = Proxying::start_with("[limits]\nrequest_header_timeout = \"500ms\"").await;
    let (status, took) = drip(&stack, Duration::from_millis(20)).await;
    assert_eq!(status, Some(408));
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert_eq!((stack.origin.connections(), stack.origin.requests()), (0, 0));
    stack.edge.until_metric("namegate_edge_connections_cut_total{reason=\"head_timeout\"}", 1.0).await;
}

#[tokio::test]
async fn a_visitor_that_says_nothing_is_hung_up_on() {
    let stack = Proxying::start_with("[limits]\nrequest_header_timeout = \"300ms\"").await;
    let mut raw = stack.raw("a.test").await;
    assert_eq!(raw.rest().await, b"", "silence is answered with silence");
    // In plain text as well.
    let tcp = tokio::net::TcpStream::connect(stack.edge.http()).await.unwrap();
    assert_eq!(Raw::over(tcp).rest().await, b"");
}

#[tokio::test]
async fn the_time_between_requests_is_not_time_of_a_head() {
    let stack = Proxying::start_with("[limits]\nrequest_header_timeout = \"300ms\"").await;
    let mut raw = stack.raw("a.test").await;
    for _ in 0..2 {
        raw.send("GET /bytes/3 HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        assert_eq!(raw.response().await.unwrap().status, 200);
        // Longer than a head may take.
        assert!(!raw.hears_within(Duration::from_millis(600)).await, "the connection stays open and silent");
    }
    raw.send(HEAD).await.unwrap();
    assert_eq!(raw.response().await.unwrap().status, 408, "the next head has its own time");
}

#[tokio::test]
async fn a_body_that_stalls_ends_the_exchange() {
    let stack = Proxying::start_with("[limits]\nread_timeout = \"300ms\"").await;
    let mut raw = stack.raw("a.test").await;
    raw.send("POST /sink HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    raw.rest().await;
    // The next request is not the rest of this one.
    let response = stack.get("a.test", "/bytes/3").await.unwrap();
    assert_eq!((response.body().len(), stack.origin.connections()), (3, 2));
}

#[tokio::test]
async fn a_body_that_stalls_on_http2_ends_its_stream_and_no_other() {
    let stack = Proxying::start_with("[limits]\nread_timeout = \"1s\"").await;
    let mut frames = stack.frames("a.test", &[]).await;
    frames.send(&Frame::headers(1, 0, &request("POST", "a.test", "/sink"))).await.unwrap();
    frames.send(&Frame::new(kind::DATA, 0, 1, "half")).await.unwrap();
    assert!(matches!(frames.outcome(1).await, Ended::Reset(_)));
    frames.send(&Frame::headers(3, END_STREAM, &request("GET", "a.test", "/bytes/3"))).await.unwrap();
    assert_eq!(frames.outcome(3).await, Ended::Status(200), "the connection goes on");
    let none = "namegate_edge_http_requests_total{code=\"none\"}";
    stack.edge.until_metric(none, 1.0).await;
}

#[tokio::test]
async fn a_response_that_nobody_takes_is_given_up() {
    let stack = Proxying::start_with("[limits]\nwrite_timeout = \"500ms\"").await;
    let mut raw = stack.raw("a.test").await;
    raw.send("GET /bytes/20000000 HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    assert!(raw.hears_within(Duration::from_secs(30)).await);
    wait::until("no connection is open", async || {
        (stack.edge.metric("namegate_edge_connections_open").await < 0.5).then_some(())
    })
    .await;
    assert!((0.4..10.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    let cut = "namegate_edge_connections_cut_total{reason=\"write_timeout\"}";
    assert_eq!(stack.edge.metric(cut).await, 1.0);
}

#[tokio::test]
async fn a_visitor_that_pauses_gets_the_rest_of_its_answer() {
    let stack = Proxying::start().await;
    let mut raw = stack.raw("a.test").await;
    raw.send("GET /bytes/20000000 HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    let mut frames = stack.frames("a.test", &[(INITIAL_WINDOW_SIZE, ALL)]).await;
    frames.send(&Frame::new(kind::WINDOW_UPDATE, 0, 0, (ALL - 70_000).to_be_bytes())).await.unwrap();
    frames.send(&Frame::get(1, "a.test", "/bytes/20000000")).await.unwrap();
    // Both are stuck long before these are answered.
    stack.p99("b.test").await;
    assert_eq!(raw.response().await.unwrap().body.len(), 20_000_000);
    let mut came = 0;
    while came < 20_000_000 {
        came += frames.until(kind::DATA).await.unwrap().payload.len();
    }
    // The connection is as it was.
    raw.send("GET /bytes/3 HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    assert_eq!(raw.response().await.unwrap().body.len(), 3);
}

/// What the kernel keeps of what a peer does not take, in bytes: twice what it is told to, and the window of the peer.
const UNSENT: u64 = 256 * 1024;

/// What is left with the kernel once it takes no more, in bytes.
async fn until_stuck(stack: &Proxying, left: impl Fn() -> u64) -> u64 {
    wait::until("nothing more is taken", async || {
        let before = left();
        stack.p99("b.test").await;
        (before > 0 && left() == before).then_some(before)
    })
    .await
}

#[tokio::test]
async fn an_upload_that_its_origin_does_not_take_leaves_little_with_the_kernel() {
    let stack = Proxying::start_with("[limits]\nread_timeout = \"10m\"\nwrite_timeout = \"10m\"").await;
    for (name, url) in [("plain.test", stack.origin.url()), ("tls.test", stack.origin.tls_h1_url())] {
        stack.gate.set(name, Reply::origin(&url));
        let mut raw = stack.raw(name).await;
        raw.send(format!("POST /hang HTTP/1.1\r\nHost: {name}\r\nContent-Length: 20000000\r\n\r\n")).await.unwrap();
        let _upload = AbortOnDropHandle::new(tokio::spawn(async move { raw.send(vec![7; 20_000_000]).await }));
        let (_, authority) = url.split_once("://").unwrap();
        let left = until_stuck(&stack, || kernel::unacknowledged(None, Some(authority.parse().unwrap()))).await;
        assert!(left <= UNSENT, "the kernel has {left} bytes for {url}");
    }
}

#[tokio::test]
async fn a_visitor_who_has_taken_a_lot_may_leave_more_with_the_kernel_and_not_all_that_it_would_keep() {
    let stack = Proxying::start().await;
    let mut raw = stack.raw("a.test").await;
    raw.send("GET /bytes/40000000 HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    raw.bytes(10_000_000).await.unwrap();
    // It is stuck long before these are answered.
    stack.p99("b.test").await;
    let left = kernel::unacknowledged(Some(stack.edge.https()), None);
    assert!((UNSENT + 1..=8 * UNSENT).contains(&left), "the kernel has {left} bytes");
}

/// Measured with the limits as they are, with nothing beside them.
mod alone {
    use futures::{StreamExt as _, future, stream};
    use http::StatusCode;
    use tokio::task::JoinSet;

    use super::*;

    /// Visitors of each kind of slowness.
    const THIRD: u64 = 667;
    /// Slow visitors at once.
    const SLOW: u64 = 3 * THIRD;
    /// The size of that answer.
    const LARGE: usize = 20_000_000;
    /// What all of them may add to the edge's memory.
    const ADDED_KIB: u64 = 64 * 1024;
    /// A machine's own hiccups; below it a ratio says nothing.
    const NOISE: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_head_gets_ten_seconds_and_a_hello_five() {
        // The harness is more patient with hellos than the edge is by itself.
        let hello = "[limits]\nhello_timeout = \"5s\"";
        let stack = Proxying::start_with(hello).await;
        let (status, took) = drip(&stack, Duration::from_millis(500)).await;
        assert_eq!(status, Some(408));
        assert!((9.5..15.0).contains(&took.as_secs_f64()), "{took:?}");
        let tcp = tokio::net::TcpStream::connect(stack.edge.https()).await.unwrap();
        let begun = Instant::now();
        assert_eq!(Raw::over(tcp).rest().await, b"");
        assert!((4.5..10.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn two_thousand_slow_visitors_cost_little_and_others_do_not_notice() {
        // Longer than it takes to open them all, so that they are there at once.
        let patient = "[limits]\nrequest_header_timeout = \"2m\"\nwrite_timeout = \"10m\"";
        let stack = Proxying::start_with(patient).await;
        let quiet = stack.p99("b.test").await;
        let before = stack.resident_kib();
        let slow = visits(&stack).await.into_iter().map(async |mut visit| {
            visit.turn_slow().await;
            visit
        });
        let slow = future::join_all(slow).await;
        until_stuck(&stack, || kernel::unacknowledged(Some(stack.edge.https()), None)).await;
        let busy = stack.p99("b.test").await;
        // The allocator gives back what the handshakes needed, ten seconds later and when it is asked for more. Whom the
        // kernel has given up by then, on a machine that is busy with other things, is counted as if it were there.
        wait::until(&format!("{SLOW} slow visitors add at most {ADDED_KIB} KiB"), async || {
            stack.get("c.test", "/").await.unwrap();
            let open = open(&stack).await;
            assert!(open >= SLOW - THIRD, "they are there at once");
            (stack.resident_kib().saturating_sub(before) * SLOW <= ADDED_KIB * open).then_some(())
        })
        .await;
        assert!(busy <= quiet.max(NOISE) * 2, "p99 {quiet:?} became {busy:?}");
        drop(slow);
    }

    /// What is configured for heads and for writes where all are cut.
    const IN_TIME: Duration = Duration::from_secs(10);
    /// What two thousand ends at once take in a debug build on two cores that others want too; less than twice the time.
    const SLACK: Duration = Duration::from_secs(9);
    /// What it takes there until the kernel is full of answers that nobody reads: so long there is progress.
    const FILLS: Duration = Duration::from_secs(10);

    /// A visitor that has had an answer and is about to turn slow.
    enum Quick {
        Drips(Raw),
        Shuts(Frames),
        TakesNothing(Raw),
        TakesNothingH2(Frames),
    }

    impl Quick {
        /// A third of them drips, a third shuts its windows, a third takes nothing, over each version in turn.
        async fn visit(stack: &Proxying, n: u64) -> Self {
            let mut quick = match (n % 3, n.is_multiple_of(2)) {
                (0, _) => Self::Drips(stack.raw("a.test").await),
                (1, _) => Self::Shuts(stack.frames("a.test", &[(INITIAL_WINDOW_SIZE, 0)]).await),
                (_, true) => Self::TakesNothing(narrow(stack, "http/1.1").await.raw()),
                (_, false) => Self::TakesNothingH2(wide(narrow(stack, "h2").await).await),
            };
            match &mut quick {
                Self::Drips(raw) | Self::TakesNothing(raw) => {
                    raw.send(get("/status/204")).await.unwrap();
                    assert_eq!(raw.response().await.unwrap().status, 204);
                }
                Self::Shuts(frames) | Self::TakesNothingH2(frames) => {
                    frames.send(&Frame::get(1, "a.test", "/status/204")).await.unwrap();
                    assert_eq!(frames.outcome(1).await, Ended::Status(204));
                }
            }
            quick
        }

        /// Is slow from now on.
        async fn turn_slow(&mut self) {
            let large = format!("/bytes/{LARGE}");
            match self {
                Self::Drips(raw) => raw.send(HEAD).await.unwrap(),
                Self::Shuts(frames) => {
                    frames.send(&Frame::get(3, "a.test", "/bytes/100000")).await.unwrap();
                    assert_eq!(frames.outcome(3).await, Ended::Status(200));
                }
                Self::TakesNothing(raw) => raw.send(get(&large)).await.unwrap(),
                Self::TakesNothingH2(frames) => frames.send(&Frame::get(3, "a.test", &large)).await.unwrap(),
            }
        }

        /// Is slow from now on, until it is cut if it can see that; whether it could.
        async fn is_cut(&mut self) -> bool {
            let begun = Instant::now();
            self.turn_slow().await;
            match self {
                Self::Drips(raw) => {
                    while begun.elapsed() < 2 * IN_TIME && !raw.hears_within(IN_TIME / 5).await {
                        let _ = raw.send("x").await;
                    }
                    assert_eq!(raw.response().await.map(|response| response.status), Some(408));
                    raw.rest().await;
                    is_in_time("a head that drips", begun, begun);
                    true
                }
                Self::Shuts(frames) => {
                    let stuck = Instant::now();
                    assert!(matches!(frames.outcome(3).await, Ended::Reset(_)));
                    is_in_time("an answer behind a shut window", begun, stuck);
                    true
                }
                Self::TakesNothing(_) | Self::TakesNothingH2(_) => false,
            }
        }
    }

    async fn visits(stack: &Proxying) -> Vec<Quick> {
        let visits = stream::iter(0..SLOW).map(|n| Quick::visit(stack, n));
        let visits = visits.buffer_unordered(16).collect().await;
        assert_eq!(open(stack).await, SLOW);
        visits
    }

    /// It ended now, not before its time since it `began` to be slow, and not long after its time since it was `stuck`.
    fn is_in_time(what: &str, began: Instant, stuck: Instant) {
        assert!(began.elapsed() >= IN_TIME.mul_f64(0.95), "{what} after {:?}", began.elapsed());
        assert!(stuck.elapsed() <= IN_TIME + SLACK, "{what} after {:?}", stuck.elapsed());
    }

    #[tokio::test]
    async fn two_thousand_visitors_that_turn_slow_at_once_are_all_cut_in_time() {
        let limits = "request_header_timeout = \"10s\"\nwrite_timeout = \"10s\"\nkeepalive_timeout = \"10m\"";
        let stack = Proxying::start_with(&format!("[limits]\n{limits}")).await;
        let visitors = visits(&stack).await;
        let begun = Instant::now();
        let mut slow: JoinSet<_> = visitors.into_iter().map(async |mut quick| (quick.is_cut().await, quick)).collect();
        // Held to the end: none of them leaves by itself.
        let (mut unread, mut cut) = (Vec::new(), Vec::new());
        while let Some(end) = slow.join_next().await {
            let (is_cut, visitor) = end.unwrap();
            if is_cut {
                cut.push(visitor)
            } else {
                unread.push(visitor)
            };
            if unread.len() as u64 == THIRD && cut.is_empty() {
                assert_eq!(open(&stack).await, SLOW, "they are slow at once");
            }
        }
        assert_eq!((unread.len() as u64, cut.len() as u64), (THIRD, 2 * THIRD));
        // Those that shut their windows have lost their answers and are idle.
        let most = (FILLS + IN_TIME + SLACK).saturating_sub(begun.elapsed());
        let gone = wait::within(most, async || (open(&stack).await == THIRD).then_some(())).await;
        assert!(gone.is_some(), "{} are open after {:?}", open(&stack).await, begun.elapsed());
        for reason in ["head_timeout", "write_timeout"] {
            let cut = format!("namegate_edge_connections_cut_total{{reason=\"{reason}\"}}");
            assert!(stack.edge.metric(&cut).await as u64 >= THIRD, "{reason}");
        }
        assert_eq!(stack.get("b.test", "/").await.unwrap().status(), StatusCode::OK);
    }

    /// What a connection may hold of an answer that nobody reads: over HTTP/1.1, and over HTTP/2, whose library has buffers of
    /// 28 KiB for each connection.
    const UNREAD_KIB: [u64; 2] = [36, 54];
    /// Visitors that it is measured with.
    const UNREAD: u64 = 100;

    #[tokio::test]
    async fn a_large_answer_that_nobody_reads_pins_little() {
        for (h2, most) in [false, true].into_iter().zip(UNREAD_KIB) {
            let stack = Proxying::start_with("[limits]\nwrite_timeout = \"10m\"").await;
            // What a process allocates once is there.
            for _ in 0..UNREAD / 4 {
                drop(take_nothing(&stack, h2).await);
            }
            stack.p99("b.test").await;
            let (before, mut unread) = (stack.resident_kib(), Vec::new());
            for _ in 0..UNREAD {
                unread.push(take_nothing(&stack, h2).await);
            }
            // They are stuck long before these are answered.
            stack.p99("b.test").await;
            let left = kernel::unacknowledged(Some(stack.edge.https()), None) / UNREAD;
            assert!(left <= UNSENT, "HTTP/2 {h2}: the kernel has {left} bytes of each");
            let pinned = || stack.resident_kib().saturating_sub(before) / UNREAD;
            let little = wait::within(Duration::from_secs(20), async || {
                stack.get("c.test", "/").await.unwrap();
                (pinned() <= most).then_some(())
            });
            assert!(little.await.is_some(), "HTTP/2 {h2}: {} KiB for each connection", pinned());
            // The kernel may have given up the first on a machine that is busy with other things.
            assert!(open(&stack).await >= UNREAD / 2, "they are there at once");
        }
    }

    async fn open(stack: &Proxying) -> u64 {
        stack.edge.metric("namegate_edge_connections_open").await as u64
    }

    /// A visitor that has asked for a large answer and takes nothing of it, for as long as what comes back is there.
    async fn take_nothing(stack: &Proxying, h2: bool) -> Box<dyn Any> {
        if !h2 {
            let mut raw = narrow(stack, "http/1.1").await.raw();
            raw.send(get(&format!("/bytes/{LARGE}"))).await.unwrap();
            return Box::new(raw);
        }
        let mut frames = wide(narrow(stack, "h2").await).await;
        frames.send(&Frame::get(1, "a.test", &format!("/bytes/{LARGE}"))).await.unwrap();
        Box::new(frames)
    }

    /// A connection whose own end has room for little: the less it has, the less of an answer the kernel keeps.
    async fn narrow(stack: &Proxying, alpn: &str) -> Visit {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let tcp = socket.connect(stack.edge.https()).await.unwrap();
        stack.client().alpn(&[alpn]).handshake(tcp, "a.test").await.unwrap()
    }

    /// With windows that have room for everything.
    async fn wide(visit: Visit) -> Frames {
        let mut frames = visit.frames(&[(INITIAL_WINDOW_SIZE, ALL)]).await.unwrap();
        frames.send(&Frame::new(kind::WINDOW_UPDATE, 0, 0, (ALL - 70_000).to_be_bytes())).await.unwrap();
        frames
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")
    }
}
