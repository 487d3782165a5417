//! Every limit of the edge in one table: its key, kind, default, range, and the sentence that justifies it.
//!
//! The struct, its defaults, the reader and the documentation table are all made from it, so they cannot disagree;
//! `config.default.toml` is held against it by a test.

use std::time::Duration;

use crate::{quantity::Quantity, section::Walk};

/// What documentation needs to know of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitDoc {
    /// The key under `[limits]`.
    pub name: &'static str,
    /// What it bounds and what happens at it.
    pub doc: &'static str,
    /// The default, as the file would spell it, without quotes.
    pub default: String,
    /// The least value that is accepted.
    pub least: String,
    /// The greatest value that is accepted.
    pub greatest: String,
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $default:expr, $least:expr => $greatest:expr;)+) => {
        /// The bounds of every queue, cache, body and wait. Sizes are bytes (`u64`), counts are `usize`.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $kind,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Every limit with its documentation, in the order of the reference file.
            pub fn table() -> Vec<LimitDoc> {
                vec![$(describe::<$kind>(stringify!($name), concat!($($doc),+), $default, ($least, $greatest)),)+]
            }

            pub(crate) fn read(walk: &mut Walk) -> Self {
                let mut section = walk.section("limits");
                Self { $($name: section.quantity::<$kind>(stringify!($name), ($least, $greatest), $default),)+ }
            }
        }
    };
}

fn describe<Q: Quantity>(name: &'static str, doc: &'static str, default: Q, (least, greatest): (Q, Q)) -> LimitDoc {
    LimitDoc { name, doc: doc.trim(), default: default.show(), least: least.show(), greatest: greatest.show() }
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn mins(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

limits! {
    /// From accept to the whole ClientHello; then the connection is closed. An honest client sends it in one flight.
    hello_timeout: Duration = secs(5), ms(100) => mins(1);
    /// From the ClientHello to the end of the handshake, without the wait for a certificate; then the connection is closed.
    handshake_timeout: Duration = secs(10), ms(100) => mins(2);
    /// How long a handshake waits for a certificate being ordered; then it ends with an alert while the order goes on.
    certificate_wait: Duration = secs(8), ms(0) => mins(2);
    /// Certificates and keys kept in memory; beyond it the least used are read from the store again.
    certificate_cache: u64 = 128 * MIB, MIB => 64 * GIB;
    /// How long the certificate and key of a name that the control plane has deleted stay in the store, for the name to come back to the same tenant without an order; then they are removed. What was another tenant's is removed at once.
    released_keep: Duration = days(7), secs(0) => days(90);
    /// Orders at the CA at once; further ones queue, renewals in a lane of their own.
    orders_in_flight: usize = 100, 1 => 10_000;
    /// From the start of an order to its certificate; then it counts as failed and its back-off begins.
    order_timeout: Duration = mins(5), secs(10) => mins(60);
    /// How long an edge that died keeps the others of its fleet from going on with its orders.
    order_lease: Duration = secs(15), secs(1) => mins(10);
    /// Connections to storage.postgres, beside one that listens.
    store_connections: usize = 8, 1 => 1000;
    /// How long a yes of the ask endpoint is believed when it names no time of its own.
    ask_allow_ttl: Duration = secs(60), secs(1) => days(1);
    /// How long a no of the ask endpoint is remembered, give or take a third so that names do not return together.
    ask_deny_ttl: Duration = secs(45), secs(1) => days(1);
    /// How long an error of the ask endpoint is remembered for a name, so that an outage is not made worse by questions.
    ask_error_ttl: Duration = secs(3), ms(100) => mins(5);
    /// How long a name that holds a certificate is served on its last yes while the ask endpoint fails, and a known name while the control plane does.
    ask_stale: Duration = days(7), secs(0) => days(90);
    /// Memory for answers of the ask endpoint; beyond it the least used are asked again. Visitors choose the keys.
    ask_cache: u64 = 64 * MIB, 64 * KIB => 16 * GIB;
    /// Questions to the ask endpoint at once; a further unknown name is refused as if the endpoint had failed.
    ask_in_flight: usize = 256, 1 => 65_536;
    /// Questions to the ask endpoint in a second about names that were never allowed, on average over ten; beyond it they are refused as if the endpoint had failed.
    ask_rate: usize = 100, 1 => 1_000_000;
    /// How long the control plane may take to answer, or to send the next piece of an answer; then it is tried again later.
    control_timeout: Duration = secs(10), ms(100) => mins(2);
    /// Names known from the control plane, about 150 bytes each; those above it are left to the ask endpoint.
    control_names: usize = 2_000_000, 1 => 100_000_000;
    /// Reports of certificates that wait for the control plane, on disk; above it new ones are dropped and counted.
    control_reports: usize = 50_000, 1 => 10_000_000;
    /// Names waiting to get a certificate before their first visit; those above it are found again by a walk over all names.
    ahead_queue: usize = 10_000, 1 => 10_000_000;
    /// Orders at once for names that nobody has visited yet, within orders_in_flight.
    ahead_in_flight: usize = 25, 1 => 10_000;
    /// Visitors' connections open at once; for a further one the longest idle one is closed, or it waits until one closes.
    connections: usize = 50_000, 1 => 10_000_000;
    /// Connections open at once from one IPv4 address or IPv6 /64; a further one is reset.
    connections_per_address: usize = 1000, 1 => 10_000_000;
    /// Connections whose handshake is not done, from accept on; a further one is reset.
    handshakes: usize = 5000, 1 => 10_000_000;
    /// The same from one IPv4 address or IPv6 /64.
    handshakes_per_address: usize = 200, 1 => 10_000_000;
    /// Handshakes begun in a second, on average over two; beyond it a connection is reset after its ClientHello. A resumed one counts a quarter.
    handshake_rate: usize = 5000, 1 => 1_000_000;
    /// The same from one IPv4 address or IPv6 /64.
    handshake_rate_per_address: usize = 100, 1 => 1_000_000;
    /// From accept to the whole PROXY protocol header of a balancer that owes one; then the connection is reset.
    proxy_header_timeout: Duration = secs(2), ms(100) => mins(1);
    /// Requests in flight for one hostname, WebSockets and streams included; a further one is answered with 503.
    requests_per_hostname: usize = 5000, 1 => 10_000_000;
    /// Bytes of bodies in a second for one hostname, requests' and answers' together, WebSockets and streams included; beyond it they wait for each other, and nothing is cut. What passes in a second may be saved up. 0B is no limit.
    hostname_bandwidth: u64 = 0, 0 => 64 * 1024 * GIB;
    /// Exchanges with an origin in a window that can open its breaker: when half of at least so many fail, its requests are answered with 503 at once.
    breaker_exchanges: usize = 20, 1 => 1_000_000;
    /// How long failures of an origin are remembered, from the first one.
    breaker_window: Duration = secs(30), secs(1) => mins(60);
    /// How long an origin is left alone before one request is sent to see whether it is back.
    breaker_pause: Duration = secs(5), ms(10) => mins(60);
    /// Memory that the process may have; 0B is what the machine and its control group allow.
    memory: u64 = 0, 0 => 64 * 1024 * GIB;
    /// Percent of it from which on idle connections are closed and connections are not kept; halfway from there to all of it, nothing new is taken and connections with many requests are cut.
    memory_high: usize = 85, 10 => 99;
    /// To resolve an origin, to connect, and again to finish TLS; then the answer is 504.
    connect_timeout: Duration = secs(3), ms(50) => mins(2);
    /// From the end of a request to the whole head of its answer, else 504; within the answer's body, the longest silence.
    response_header_timeout: Duration = secs(30), ms(100) => mins(60);
    /// Longest silence of a visitor inside a request's body; then the connection is closed.
    read_timeout: Duration = secs(30), ms(100) => mins(60);
    /// Longest wait for a visitor to take bytes of a response; then the connection is closed.
    write_timeout: Duration = secs(30), ms(100) => mins(60);
    /// Longest silence on a WebSocket, an event stream or a gRPC stream; then it is closed.
    stream_timeout: Duration = mins(60), secs(1) => days(1);
    /// Longest idle time of a client connection between requests; then it is closed.
    keepalive_timeout: Duration = secs(60), secs(1) => mins(60);
    /// Idle connections kept towards origins; a further one is closed instead of kept.
    origin_pool: usize = 1024, 0 => 1_000_000;
    /// How long an idle connection to an origin is kept; shorter than the origin's own limit, or requests meet a closed one.
    origin_idle: Duration = secs(60), secs(1) => mins(60);
    /// How long an origin's addresses are used before they are looked up again; one that cannot be dialled is left alone as long, 5 seconds at most.
    origin_addresses: Duration = secs(10), secs(1) => mins(10);
    /// Size of a request's head; a larger one is answered with 431. On h2 it is halved, as the size of the decoded fields.
    request_header_bytes: u64 = 32 * KIB, KIB => MIB;
    /// From the handshake, later from its first byte, to a request's whole head; then the answer is 408.
    request_header_timeout: Duration = secs(10), ms(100) => mins(2);
    /// Fields of a request, each part of a cookie that h2 sends apart included; beyond it the answer is 431.
    request_fields: usize = 100, 10 => 200;
    /// Size of a request's target; a longer one is answered with 414.
    request_target_bytes: u64 = 8 * KIB, KIB => 64 * KIB;
    /// Streams open at once on one h2 connection, as announced to the client.
    h2_streams: usize = 100, 1 => 10_000;
    /// h2 frames that carry neither request nor data, in 10 seconds, beside those that responses cause; then the connection is cut.
    h2_control_frames: usize = 1000, 100 => 1_000_000;
    /// From TERM to exit; requests that are still running then are cut.
    graceful_stop: Duration = secs(30), secs(0) => mins(60);
    /// How long a connection without a request may still bring one while the edge stops; its answer ends the connection.
    drain_wait: Duration = secs(2), ms(0) => mins(1);
    /// In an upgrade, how long either process waits for the other; without a successor the old one serves on.
    upgrade_wait: Duration = secs(60), secs(0) => days(1);
    /// How long no worker thread may turn; then the process says what it knows and aborts, for its supervisor to start another.
    watchdog: Duration = secs(10), secs(5) => mins(60);
    /// Access log lines waiting to be written; beyond it lines are dropped and counted, never a request delayed.
    access_log_queue: usize = 8192, 1 => 1_048_576;
    /// Lines that one place in the program may log within 10 seconds; further ones are counted, and the count is told.
    log_burst: usize = 20, 1 => 1_000_000;
    /// Worker threads; 0 means one per core.
    threads: usize = 0, 0 => 1024;
}
