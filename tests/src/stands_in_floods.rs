//! Floods end soon and cost little memory, and visitors beside them hardly notice.
//!
//! Measured with nothing beside them: what a flood takes is processor time that everybody else here would want too.

mod alone {
    use std::{
        net::SocketAddr,
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
        thread::JoinHandle,
        time::Duration,
    };

    use futures::{StreamExt as _, stream};
    use http::StatusCode;
    use test_support::{
        Kind, Reply,
        client::{
            HelloAnswer, Sni, TlsClient,
            frames::{ACK, END_STREAM, Frame, PADDED, block, kind, request},
            send_hello,
        },
        wait,
    };
    use tokio::{
        task::JoinSet,
        time::{Instant, interval},
    };

    use crate::stack::{Issuing, Proxying, p99};

    /// In which every flood has to be cut.
    const SOON: Duration = Duration::from_secs(1);
    /// What floods that are over may leave in memory.
    const LEFT_KIB: u64 = 1024;
    /// Handshakes whose times make a percentile.
    const ASKED: usize = 250;
    /// What the scheduler of two cores does to a request beside a flood; below it a ratio says nothing.
    const NOISE: Duration = Duration::from_millis(50);
    /// The same beside a burst that leaves the cores idle time.
    const JITTER: Duration = Duration::from_millis(10);
    /// Invented names in the flood of hellos.
    const NAMES: usize = 20_000;
    /// Hellos of it at once: ten times what the known name's visitor has.
    const HELLOS: usize = 50;
    /// What they may add to the edge's memory.
    const ADDED_KIB: u64 = 32 * 1024;
    /// Handshakes in a second when it is quiet; a burst has ten times as many.
    const QUIET_RATE: u32 = 8;
    const BURST_RATE: u32 = 10 * QUIET_RATE;
    /// How long each of the two goes on. Of three times the best counts.
    const SECONDS: u32 = 6;

    /// The floods of HTTP/2: what comes first, what comes again and again, and how often at most.
    fn floods() -> Vec<(&'static str, Vec<u8>, Vec<u8>, usize)> {
        let control = |frame: Frame| (Vec::new(), frame.encode(), 1_000_000);
        let get = |stream| Frame::get(stream, "flood.test", "/hang").encode();
        let post = Frame::headers(1, 0, &request("POST", "flood.test", "/hang")).encode();
        let reset = |stream| Frame::new(kind::RST_STREAM, 0, stream, 8_u32.to_be_bytes()).encode();
        let update = |stream| Frame::new(kind::WINDOW_UPDATE, 0, stream, [0; 4]).encode();
        let streams = |of: &dyn Fn(u32) -> Vec<u8>| (Vec::new(), (0..20_000).flat_map(|n| of(2 * n + 1)).collect(), 1);
        let open = Frame::new(kind::HEADERS, END_STREAM, 1, block(&request("GET", "flood.test", "/"))).encode();
        let continuation = Frame::new(kind::CONTINUATION, 0, 1, block(&[("x", "y")])).encode();
        let made = |stream| {
            let head = Frame::headers(stream, 0, &request("POST", "flood.test", "/hang")).encode();
            [head, update(stream)].concat()
        };
        let named = |what, (first, again, times)| (what, first, again, times);
        vec![
            named("PING", control(Frame::new(kind::PING, 0, 0, [0; 8]))),
            named("PING that acknowledges", control(Frame::new(kind::PING, ACK, 0, [0; 8]))),
            named("SETTINGS", control(Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0, 1, 0, 0]))),
            named("PRIORITY", control(Frame::new(kind::PRIORITY, 0, 1, [0, 0, 0, 0, 16]))),
            named("WINDOW_UPDATE", control(Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]))),
            named("unknown frames", control(Frame::new(0xfa, 0, 0, []))),
            named("rapid reset", streams(&|stream| [get(stream), reset(stream)].concat())),
            named("made you reset", streams(&made)),
            named("CONTINUATION", (open, continuation, 100_000)),
            named("empty DATA", (post.clone(), Frame::new(kind::DATA, 0, 1, []).encode(), 1_000_000)),
            named("DATA of padding", (post, Frame::new(kind::DATA, PADDED, 1, [3, 0, 0, 0]).encode(), 1_000_000)),
        ]
    }

    /// Every flood once, on a connection of its own; the one that lasted longest.
    async fn flood_once(client: &TlsClient, edge: SocketAddr) -> (Duration, &'static str) {
        let mut longest = (Duration::ZERO, "none");
        for (what, first, again, times) in floods() {
            let mut frames = client.visit(edge, "flood.test").await.unwrap().frames(&[]).await.unwrap();
            frames.bytes(&first).await.unwrap();
            let begun = Instant::now();
            assert!(frames.flood(&again, times).await.ended, "{what} was all taken");
            longest = longest.max((begun.elapsed(), what));
        }
        longest
    }

    /// Somebody who does the same again and again, on a thread of its own: what the test itself measures is not to wait
    /// for what the flood's own client is doing.
    struct Again {
        stop: Arc<AtomicBool>,
        thread: JoinHandle<()>,
    }

    impl Again {
        fn and_again<F: Future<Output = ()>>(mut work: impl FnMut() -> F + Send + 'static) -> Self {
            let stop = Arc::<AtomicBool>::default();
            let stopped = stop.clone();
            let thread = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while !stopped.load(Ordering::Relaxed) {
                    runtime.block_on(work());
                }
            });
            Self { stop, thread }
        }

        async fn end(self) {
            self.stop.store(true, Ordering::Relaxed);
            // Not waited for here: its last round needs the gate, which runs on this very thread.
            tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn every_flood_of_http2_is_cut_within_a_second_and_others_hardly_notice() {
        let stack = Proxying::start().await;
        let (client, edge) = (stack.client(), stack.edge.https());
        let hostile = client.clone().alpn(&["h2"]);
        let quiet = stack.p99("known.test").await;
        // The first time, so that what a process allocates once is there.
        flood_once(&hostile, edge).await;
        let before = stack.edge.resident_kib();
        let (longest, what) = flood_once(&hostile, edge).await;
        assert!(longest <= SOON, "{what} took {longest:?}");
        wait::until(&format!("floods that are over leave {LEFT_KIB} KiB at most"), async || {
            // The allocator looks for what to give back when it is asked for more.
            stack.get("known.test", "/").await.unwrap();
            (stack.edge.resident_kib().saturating_sub(before) <= LEFT_KIB).then_some(())
        })
        .await;

        let rounds = Arc::<AtomicUsize>::default();
        let (visitor, count) = (hostile.clone(), rounds.clone());
        let flooding = Again::and_again(move || {
            let (visitor, count) = (visitor.clone(), count.clone());
            async move {
                flood_once(&visitor, edge).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait::until("a flood is on", async || (rounds.load(Ordering::Relaxed) > 0).then_some(())).await;
        let busy = stack.p99("known.test").await;
        flooding.end().await;
        assert!(busy <= quiet.max(NOISE) * 2, "p99 {quiet:?} became {busy:?}");
    }

    #[tokio::test]
    async fn twenty_thousand_invented_names_cost_no_order_few_questions_and_little_memory() {
        // The limits of one address are off, since all names here are invented at one.
        let stack = Issuing::start_with("[limits]\nask_rate = 50", Default::default()).await;
        let (client, edge) = (stack.client(), stack.edge.https());
        assert_eq!(stack.get("known.test", "/").await.unwrap().status(), StatusCode::OK);
        stack.gate.set("known.test", Reply::origin(&stack.origin.url()));
        stack.gate.set_default(Reply::Deny);
        let quiet = handshakes(&client, edge).await;
        let orders = stack.proxy.count(Kind::NewOrder);
        flood(edge, "first", 0..NAMES / 20).await;
        let before = stack.edge.resident_kib();

        let (begun, asked) = (Instant::now(), stack.gate.asked_in_all());
        let sent = Arc::<AtomicUsize>::default();
        let counted = sent.clone();
        let flooding = Again::and_again(move || {
            let counted = counted.clone();
            async move {
                let from = counted.load(Ordering::Relaxed);
                flood(edge, "random", from..from + 1000).await;
                counted.store(from + 1000, Ordering::Relaxed);
            }
        });
        wait::until("the flood is on", async || (sent.load(Ordering::Relaxed) > 0).then_some(())).await;
        let busy = handshakes(&client, edge).await;
        wait::until("all names were asked for", async || (sent.load(Ordering::Relaxed) >= NAMES).then_some(())).await;
        let (took, asked) = (begun.elapsed(), stack.gate.asked_in_all() - asked);
        flooding.end().await;

        assert!(busy <= quiet.max(NOISE) * 3, "p99 of a known name's handshakes: {quiet:?} became {busy:?}");
        // Ten seconds' worth at once, and fifty for each second since.
        assert!(asked as f64 <= 500.0 + 50.0 * (took.as_secs_f64() + 1.0), "{asked} questions in {took:?}");
        assert_eq!(stack.proxy.count(Kind::NewOrder), orders);
        wait::until(&format!("{NAMES} invented names add {ADDED_KIB} KiB at most"), async || {
            stack.get("known.test", "/").await.unwrap();
            (stack.edge.resident_kib().saturating_sub(before) <= ADDED_KIB).then_some(())
        })
        .await;
    }

    #[tokio::test]
    async fn ten_times_the_handshakes_and_three_in_ten_of_them_for_invented_names_hardly_slow_known_ones() {
        // Most of the invented names have to be refused without a question.
        let stack = Issuing::start_with("[limits]\nask_rate = 2", Default::default()).await;
        let known: Vec<_> = (0..7).map(|number| format!("known-{number}.test")).collect();
        for name in &known {
            assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
            stack.gate.set(name, Reply::origin(&stack.origin.url()));
        }
        stack.gate.set_default(Reply::Deny);
        let visitors =
            Visitors { client: stack.client(), edge: stack.edge.https(), known, invented: AtomicUsize::new(0) };
        // What a process does once is done.
        visitors.come(BURST_RATE, 1, Some).await;
        let (orders, asked, begun) = (stack.proxy.count(Kind::NewOrder), stack.gate.asked_in_all(), Instant::now());

        let mut measured = Vec::new();
        for _ in 0..3 {
            let quiet = p99(visitors.come(QUIET_RATE, SECONDS, Some).await);
            let invented = |n| (n % 10 < 7).then_some(n);
            let busy = p99(visitors.come(BURST_RATE, SECONDS, invented).await);
            measured.push((quiet, busy));
            if busy <= quiet.max(JITTER) * 3 {
                break;
            }
        }
        let (took, asked) = (begun.elapsed(), stack.gate.asked_in_all() - asked);

        let slowed = measured.iter().all(|(quiet, busy)| *busy > *quiet.max(&JITTER) * 3);
        assert!(!slowed, "p99 of known names' handshakes, quiet and busy: {measured:?}");
        // Ten seconds' worth at once, and two for each second since.
        assert!(asked >= 20 && asked as f64 <= 20.0 + 2.0 * (took.as_secs_f64() + 1.0), "{asked} in {took:?}");
        assert_eq!(stack.proxy.count(Kind::NewOrder), orders);
    }

    /// Who comes for known names, and for others.
    struct Visitors {
        client: TlsClient,
        edge: SocketAddr,
        known: Vec<String>,
        /// Names that were invented so far.
        invented: AtomicUsize,
    }

    impl Visitors {
        /// So many full handshakes in a second, whether those before them are done or not. Those that get a number are for a
        /// known name, the others for one that nobody has. From when each was due to the answer to its request.
        async fn come(&self, rate: u32, seconds: u32, known: impl Fn(usize) -> Option<usize>) -> Vec<Duration> {
            let mut arrivals = interval(Duration::from_secs(1) / rate);
            let mut visits = JoinSet::new();
            for n in 0..(rate * seconds) as usize {
                let due = arrivals.tick().await;
                let (client, edge) = (self.client.clone(), self.edge);
                match known(n) {
                    Some(number) => {
                        let name = self.known[number % self.known.len()].clone();
                        visits.spawn(async move {
                            let response = client.get(edge, &name, "/bytes/100").await.unwrap();
                            assert_eq!(response.status(), StatusCode::OK);
                            Some(due.elapsed())
                        });
                    }
                    None => {
                        let name = format!("burst-{}.test", self.invented.fetch_add(1, Ordering::Relaxed));
                        visits.spawn(async move {
                            let refused = client.visit(edge, &name).await.unwrap_err();
                            assert!(refused.alert().is_some(), "{refused:?}");
                            None
                        });
                    }
                }
            }
            visits.join_all().await.into_iter().flatten().collect()
        }
    }

    /// Hellos for names that nobody has; each is refused.
    async fn flood(edge: SocketAddr, what: &str, numbers: std::ops::Range<usize>) {
        let hellos = numbers.map(|number| async move {
            let name = format!("{what}-{number}.test");
            let answer = send_hello(edge, Sni::Name(name.as_bytes())).await.unwrap();
            assert!(matches!(answer, HelloAnswer::Alert { level: 2, .. }), "{name}: {answer:?}");
        });
        stream::iter(hellos).buffer_unordered(HELLOS).collect::<()>().await;
    }

    /// The 99th percentile of full handshakes for a known name, each with a request.
    async fn handshakes(client: &TlsClient, edge: SocketAddr) -> Duration {
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let begun = Instant::now();
            assert_eq!(client.get(edge, "known.test", "/bytes/100").await.unwrap().status(), StatusCode::OK);
            took.push(begun.elapsed());
        }
        p99(took)
    }
}
