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
        client::{TlsClient, Visit},
        wait,
    };
    use tokio::time::Instant;

    use crate::stack::p99;

    const GOOD: &str = "good.customer.test";
    const TOKEN: &str = "a-token";
    /// Names of the snapshot, one of them in a record that cannot be read.
    const NAMES: usize = 100_000;
    /// Changes behind it.
    const CHANGES: usize = 5_000;
    /// How often so many come.
    const ROUNDS: u64 = 4;
    /// From the last byte to the last name: the second that is promised; without optimisation, what the same work takes.
    const APPLIED: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });
    /// What may be added to the 99th percentile of a visitor's requests; without optimisation, what the scheduler of two
    /// cores does to a request beside so much work. How long the thread itself is held up is measured beside the code.
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
        fn start(client: TlsClient, edge: SocketAddr) -> Self {
            let stop = Arc::<AtomicBool>::default();
            let stopped = stop.clone();
            let thread = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let visit = client.visit(edge, GOOD).await.unwrap();
                    ask(visit, &stopped).await
                })
            });
            Self { stop, thread }
        }

        /// When each request began, and how long it took.
        fn end(self) -> Vec<(Instant, Duration)> {
            self.stop.store(true, Ordering::Relaxed);
            self.thread.join().unwrap()
        }
    }

    async fn ask(visit: Visit, stopped: &AtomicBool) -> Vec<(Instant, Duration)> {
        let (mut raw, mut took) = (visit.raw(), Vec::new());
        while !stopped.load(Ordering::Relaxed) {
            let begun = Instant::now();
            raw.send(format!("GET /bytes/100 HTTP/1.1\r\nHost: {GOOD}\r\n\r\n")).await.unwrap();
            assert_eq!(raw.response().await.unwrap().status, 200, "no request is lost by a push");
            took.push((begun, begun.elapsed()));
        }
        took
    }

    /// The 99th percentile of the requests that were under way between these moments.
    fn between(took: &[(Instant, Duration)], from: Instant, to: Instant) -> Duration {
        let within = took.iter().filter(|(begun, took)| *begun + *took >= from && *begun <= to);
        let times: Vec<Duration> = within.map(|(_, took)| *took).collect();
        assert!(times.len() >= 100, "{} requests are no percentile", times.len());
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
        let visitor = Visitor::start(client.clone(), edge.https());
        let quiet = Instant::now();
        tokio::time::sleep(QUIET).await;

        let released = Instant::now();
        control.release();
        let applied = pushed.until_served(&client, &host(NAMES - 1), &pushed.first).await;
        let sent = control.snapshot_sent().expect("the snapshot was sent");
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
        let took = visitor.end();

        let before = between(&took, quiet, released);
        let (during, changing) = (between(&took, released, kept), between(&took, changing_from, changing_to));
        println!(
            "{NAMES} names: live {:?} after the first byte and {:?} after the last, on disk after {:?}; \
             {CHANGES} changes: {:?}; p99 {before:?}, meanwhile {during:?} and {changing:?}",
            applied - released,
            applied.saturating_duration_since(sent),
            kept - released,
            followed,
        );
        assert!(applied.saturating_duration_since(sent) <= APPLIED, "{:?}", applied - sent);
        assert!(followed <= APPLIED, "{followed:?}");
        assert!(during <= before + ADDED, "a snapshot made p99 {during:?} of {before:?}");
        assert!(changing <= before + ADDED, "changes made p99 {changing:?} of {before:?}");
    }
}
