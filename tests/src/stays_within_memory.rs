//! However many hostile connections come, the process stays within the memory that it may have and goes on serving.

mod alone {
    use futures::{StreamExt as _, stream};
    use http::StatusCode;
    use test_support::{
        Reply,
        client::{
            Raw, Sni, TlsClient,
            frames::{END_HEADERS, END_STREAM, Frame, Frames, block, kind, request},
            send_hello,
        },
        wait,
    };

    use crate::stack::Proxying;

    /// What the process may have: several times what it has by itself in a debug build, and a fraction of what those
    /// who come would like it to hold.
    const MEMORY_KIB: u64 = 160 * 1024;
    /// What it never takes of it, not even for a moment.
    const MARGIN_KIB: u64 = MEMORY_KIB / 32;
    /// Connections of each kind.
    const EACH: usize = 120;
    /// That are opened at once.
    const AT_ONCE: usize = 16;
    /// Requests of the good visitor that have to be served while all the others stand.
    const SERVED: usize = 100;

    /// What a hostile connection is after.
    #[derive(Debug, Clone, Copy)]
    enum After {
        /// A hundred answers over HTTP/2, windows of nothing.
        Shut,
        /// The same with windows as large as can be, and a socket that nobody reads.
        Unread,
        /// A hundred heads that grow a hundredfold (HPACK, RFC 7541).
        Bombs,
        /// A head that never ends.
        SlowHead,
        /// A large answer over HTTP/1 that nobody takes.
        SlowRead,
    }

    const ALL: [After; 5] = [After::Shut, After::Unread, After::Bombs, After::SlowHead, After::SlowRead];

    /// A connection that stands, whatever the edge has done to it since.
    enum Held {
        Http1(#[expect(dead_code, reason = "held, and nothing else")] Raw),
        Http2(#[expect(dead_code, reason = "held, and nothing else")] Frames),
    }

    /// Opens one; `None` where the edge does not take it.
    async fn open(stack: &Proxying, after: After) -> Option<Held> {
        let alpn = if matches!(after, After::SlowHead | After::SlowRead) { "http/1.1" } else { "h2" };
        let visit = stack.client().alpn(&[alpn]).visit(stack.edge.https(), "hostile.test").await.ok()?;
        Some(match after {
            After::SlowHead => raw(visit.raw(), "GET / HTTP/1.1\r\nHost: hostile.test\r\nX: ").await?,
            After::SlowRead => raw(visit.raw(), "GET /hold/100000000 HTTP/1.1\r\nHost: hostile.test\r\n\r\n").await?,
            After::Shut => frames(visit.frames(&[(4, 0)]).await.ok()?, &answers()).await?,
            After::Unread => {
                let mut open = visit.frames(&[(4, (1 << 31) - 1)]).await.ok()?;
                let window = Frame::new(kind::WINDOW_UPDATE, 0, 0, ((1_u32 << 31) - 70_000).to_be_bytes());
                open.send(&window).await.ok()?;
                frames(open, &answers()).await?
            }
            After::Bombs => frames(visit.frames(&[]).await.ok()?, &bombs()).await?,
        })
    }

    async fn raw(mut raw: Raw, bytes: &str) -> Option<Held> {
        raw.send(bytes).await.ok()?;
        Some(Held::Http1(raw))
    }

    async fn frames(mut frames: Frames, bytes: &[u8]) -> Option<Held> {
        frames.bytes(bytes).await.ok()?;
        Some(Held::Http2(frames))
    }

    fn answers() -> Vec<u8> {
        (0..100).flat_map(|n| Frame::get(2 * n + 1, "hostile.test", "/hold/10000000").encode()).collect()
    }

    /// A field of 4 KB, named once and repeated by its index three times in each head: within the limits of one head.
    fn bombs() -> Vec<u8> {
        let mut first = block(&request("GET", "hostile.test", "/hold"));
        first.extend([0x40, 1, b'a']);
        first.extend(&block(&[("", &"x".repeat(3900))])[2..]);
        let mut next = block(&request("GET", "hostile.test", "/hold"));
        next.extend([0x80 | 62; 3]);
        let head = |n: u32| {
            Frame::new(
                kind::HEADERS,
                END_HEADERS | END_STREAM,
                2 * n + 1,
                if n == 0 { first.clone() } else { next.clone() },
            )
        };
        (0..100).flat_map(|n| head(n).encode()).collect()
    }

    /// A visitor who does nothing but ask, and tries again when turned away.
    async fn served(client: &TlsClient, stack: &Proxying) -> Option<()> {
        let response = client.get(stack.edge.https(), "good.test", "/bytes/1000").await.ok()?;
        (response.status() == StatusCode::OK && response.body().len() == 1000).then_some(())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn hundreds_of_hostile_connections_take_no_more_than_there_is_and_a_good_visitor_is_served() {
        // Nobody is given up because its time is up.
        let patient = "write_timeout = \"10m\"\nresponse_header_timeout = \"10m\"\nbreaker_exchanges = 1000000";
        let stack = Proxying::start_with(&format!("[limits]\nmemory = \"{MEMORY_KIB}KiB\"\n{patient}")).await;
        for name in ["hostile.test", "good.test"] {
            stack.gate.set(name, Reply::origin(&stack.origin.url()));
        }
        stack.gate.set_default(Reply::Deny);
        let client = stack.client().without_resumption();
        served(&client, &stack).await.unwrap();
        assert!(stack.edge.resident_kib() < MEMORY_KIB / 2, "there is room for what is to come");

        // They ask while there is room, and the answers come all at once when there is none.
        stack.origin.hold();
        let attempts = (0..EACH).flat_map(|_| ALL).map(|after| open(&stack, after));
        let opened = stream::iter(attempts).buffer_unordered(AT_ONCE).filter_map(std::future::ready);
        let hostile: Vec<Held> = opened.collect().await;
        let invented = (0..EACH).map(|n| {
            let (edge, name) = (stack.edge.https(), format!("invented-{n}.test"));
            async move { send_hello(edge, Sni::Name(name.as_bytes())).await.is_ok() }
        });
        stream::iter(invented).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
        stack.origin.release();

        for n in 0..SERVED {
            let what = format!("request {n} of a good visitor is served");
            wait::until(&what, async || served(&client, &stack).await).await;
        }
        stack.edge.until_metric("namegate_edge_connections_shed_total{reason=\"memory_full\"}", 1.0).await;
        assert!(stack.edge.exited().is_none());
        let peak = stack.edge.peak_kib();
        assert!(peak <= MEMORY_KIB - MARGIN_KIB, "{peak} KiB of {MEMORY_KIB}");
        drop(hostile);
    }
}
