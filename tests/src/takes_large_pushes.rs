//! A control plane that tells of a hundred thousand names at once, or of thousands of changes, is heard within a second,
//! and the visitors of that second do not notice.

mod alone {
    use std::{
        net::SocketAddr,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread::JoinHandle,
        time::Duration,
    };

    use http::StatusCode;
    use serde_json::json;
    use test_support::{
        EdgeOptions, EdgeProcess, FakeControl, FakeGate, Loopback, Origin, Reply,
        client::{Raw, TlsClient},
        wait,
    };
    use tokio::{
        io::{AsyncRead, AsyncWrite},
        net::TcpStream,
        time::Instant,
    };

    use crate::stack::p99;

    const GOOD: &str = "good.customer.test";
    const TOKEN: &str = "a-token";
    /// Names of the snapshot, one of them in a record that cannot be read.
    const NAMES: usize = 100_000;
    /// Changes behind it.
    const CHANGES: usize = 5_000;
    /// How often so many come.
    const ROUNDS: u64 = 4;
    /// From the last byte to the last name.
    const APPLIED: Duration = Duration::from_secs(1);
    /// Without optimisation the same work takes up to ten times as long.
    const SLOWER: u32 = if cfg!(debug_assertions) { 10 } else { 1 };
    /// What may be added to the 99th percentile of a visitor's requests, beside twice what they take at the same time with
    /// no edge between: that is the machine's own. Without optimisation, what the scheduler of two cores does to a request
    /// beside so much work. How long the thread itself is held up is measured beside the code.
    const ADDED: Duration = Duration::from_millis(if cfg!(debug_assertions) { 50 } else { 5 });
    /// Over how long a percentile is made before anything happens.
    const QUIET: Duration = Duration::from_secs(3);

    /// An edge that has not heard of its control plane yet.
    struct Pushed {
        edge: EdgeProcess,
        control: FakeControl,
        first: Origin,
        second: Origin,
        _gate: FakeGate,
        _folder: tempfile::TempDir,
    }

    impl Pushed {
        async fn start() -> Self {
            let host = Loopback::take();
            let (gate, control) = (FakeGate::start(&host).await, FakeControl::start(&host, TOKEN).await);
            let (first, second) = (Origin::start(&host).await, Origin::start(&host).await);
            gate.set_default(Reply::Deny);
            gate.set(GOOD, Reply::origin(&first.url()));
            let folder = tempfile::tempdir().unwrap();
            let token = folder.path().join("token");
            std::fs::write(&token, TOKEN).unwrap();
            control.hold();
            // One thread: whatever takes it for a while keeps everybody waiting.
            let settings = format!(
                "[acme]\nissuer = \"internal\"\n[control]\nurl = {:?}\ntoken_file = {token:?}\n\
                 [limits]\nthreads = 1\ncontrol_timeout = \"2m\"",
                control.url()
            );
            let edge = EdgeProcess::start(EdgeOptions::on(&host).gate(&gate).set(&settings)).await;
            Self { edge, control, first, second, _gate: gate, _folder: folder }
        }

        fn client(&self) -> TlsClient {
            let root = std::fs::read_to_string(self.edge.storage().join("pki/namegate/root.crt")).unwrap();
            TlsClient::trusting(&root).alpn(&["http/1.1"])
        }

        /// Waits until a name is served, by this origin.
        async fn until_served(&self, client: &TlsClient, name: &str, origin: &Origin) -> Instant {
            let served = async || {
                let before = origin.requests();
                let answer = self.edge.get(client, name, "/bytes/3").await.ok()?;
                (answer.status() == StatusCode::OK && origin.requests() > before).then(Instant::now)
            };
            wait::until(&format!("{name} is served"), served).await
        }
    }

    fn host(number: usize) -> String {
        format!("shop-{number}.customer.test")
    }

    /// Lines as a control plane of ours writes them, with one from somewhere else in the middle.
    fn lines(origin: &str) -> Vec<String> {
        let line = |name: &str| json!({"name": {"hostname": name, "generation": 1, "origin": origin}}).to_string();
        let mut lines: Vec<String> = (1..NAMES).map(|number| line(&host(number))).collect();
        lines.insert(0, line(GOOD));
        lines[NAMES / 2] = json!({"name": {"hostname": host(NAMES / 2), "generation": "newest"}}).to_string();
        lines
    }

    /// Somebody who asks on one connection again and again, on a thread of its own.
    struct Visitor {
        stop: Arc<AtomicBool>,
        thread: JoinHandle<Vec<(Instant, Duration)>>,
    }

    impl Visitor {
        /// Through the edge.
        fn of_edge(client: TlsClient, edge: SocketAddr) -> Self {
            Self::start(async move || client.visit(edge, GOOD).await.unwrap().raw())
        }

        /// Straight at the origin.
        fn of_origin(origin: String) -> Self {
            Self::start(async move || Raw::over(TcpStream::connect(origin).await.unwrap()))
        }

        fn start<S, F>(connect: F) -> Self
        where
            S: AsyncRead + AsyncWrite + Unpin,
            F: AsyncFnOnce() -> Raw<S> + Send + 'static,
        {
            let stop = Arc::<AtomicBool>::default();
            let stopped = stop.clone();
            let thread = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async { ask(connect().await, &stopped).await })
            });
            Self { stop, thread }
        }

        /// When each request began, and how long it took.
        fn end(self) -> Vec<(Instant, Duration)> {
            self.stop.store(true, Ordering::Relaxed);
            self.thread.join().unwrap()
        }
    }

    async fn ask<S>(mut raw: Raw<S>, stopped: &AtomicBool) -> Vec<(Instant, Duration)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut took = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let begun = Instant::now();
            raw.send(format!("GET /bytes/100 HTTP/1.1\r\nHost: {GOOD}\r\n\r\n")).await.unwrap();
            assert_eq!(raw.response().await.unwrap().status, 200, "no request is lost by a push");
            took.push((begun, begun.elapsed()));
            // Most of the machine is the edge's, whose work is measured here.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took
    }

    /// Two 99th percentiles of the same time.
    #[derive(Debug)]
    struct Meanwhile {
        edge: Duration,
        straight: Duration,
    }

    /// The 99th percentile of the requests that were under way between these moments.
    fn between(took: &[(Instant, Duration)], from: Instant, to: Instant) -> Duration {
        let within = took.iter().filter(|(begun, took)| *begun + *took >= from && *begun <= to);
        let times: Vec<Duration> = within.map(|(_, took)| *took).collect();
        assert!(times.len() >= 50, "{} requests are no percentile", times.len());
        p99(times)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_hundred_thousand_names_and_thousands_of_changes_are_live_in_a_second_and_no_visitor_waits() {
        let pushed = Pushed::start().await;
        let (edge, control) = (&pushed.edge, &pushed.control);
        control.set_lines(lines(&pushed.first.url()));
        pushed.until_served(&TlsClient::trusting_anyone().alpn(&["http/1.1"]), GOOD, &pushed.first).await;
        let client = pushed.client();
        control.reached(1).await;
        let visitor = Visitor::of_edge(client.clone(), edge.https());
        let straight = Visitor::of_origin(pushed.first.authority());
        let quiet = Instant::now();
        tokio::time::sleep(QUIET).await;

        let (released, used) = (Instant::now(), edge.cpu_time());
        control.release();
        let applied = pushed.until_served(&client, &host(NAMES - 1), &pushed.first).await;
        let sent = control.snapshot_sent().expect("the snapshot was sent");
        let used = edge.cpu_time() - used;
        // Until it is on disk there is work for it.
        edge.until_metric("namegate_edge_control_snapshot_timestamp_seconds", 1.0).await;
        let kept = Instant::now();
        assert_eq!(edge.metric("namegate_edge_control_names").await as usize, NAMES - 1);
        assert_eq!(edge.metric("namegate_edge_control_snapshot_names_left_out_total").await, 1.0);
        edge.logs("control.snapshot names left out").await;

        let (changing_from, mut followed) = (Instant::now(), Vec::new());
        for round in 0..ROUNDS {
            let origin = if round % 2 == 0 { &pushed.second } else { &pushed.first };
            // Held back, so that they come as many at once as an answer may hold.
            control.hold();
            for number in 1..=CHANGES {
                control.upsert(&host(number), 2 + round, &json!({"origin": origin.url()}));
            }
            let moved = Instant::now();
            control.release();
            followed.push(pushed.until_served(&client, &host(CHANGES), origin).await - moved);
        }
        let (changing_to, followed) = (Instant::now(), followed.into_iter().max().unwrap());
        let (took, straight) = (visitor.end(), straight.end());

        let before = between(&took, quiet, released);
        let [during, changing] = [(released, kept), (changing_from, changing_to)]
            .map(|(from, to)| Meanwhile { edge: between(&took, from, to), straight: between(&straight, from, to) });
        println!(
            "{NAMES} names: live {:?} after the first byte and {:?} after the last ({used:?} of processor time), on \
             disk after {:?}; \
             {CHANGES} changes: {followed:?}; p99 {before:?}, then {during:?} and {changing:?}",
            applied - released,
            applied.saturating_duration_since(sent),
            kept - released,
        );
        // A build that is made for tests runs them beside others: what those take of the machine is left out.
        let live = if cfg!(debug_assertions) { used } else { applied.saturating_duration_since(sent) };
        assert!(live <= APPLIED * SLOWER, "{live:?}");
        assert!(followed <= APPLIED * SLOWER, "{followed:?}");
        for meanwhile in [during, changing] {
            assert!(meanwhile.edge <= before + ADDED + meanwhile.straight * 2, "p99 {before:?}, then {meanwhile:?}");
        }
    }
}
