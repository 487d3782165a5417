//! The results as text: the summary that is printed and the page that is kept. Pure.
//!
//! What could not be measured is written as such, with the reason; no cell is ever filled from an earlier run.

mod table;

use std::fmt::Write;

use crate::{
    results::{Compared, Issuance, Measured, Ratio, Results, StartUp, Summary},
    server::Kind,
    work::Work,
};
use table::Table;

/// Stands where a figure is missing.
const NONE: &str = "not measured";

/// The tables with the answers, for the terminal.
pub fn summary(results: &Results) -> String {
    let mut text = String::new();
    for part in [ratios(results), issuance(results), start_up(results)].iter().filter(|part| !part.is_empty()) {
        text.push_str(part);
        text.push('\n');
    }
    text + &missing(results)
}

/// The whole page.
pub fn markdown(results: &Results) -> String {
    let sections = [
        head(results),
        ratios(results),
        costs(results),
        latencies(results),
        issuance(results),
        start_up(results),
        missing(results),
        method(results),
    ];
    let filled: Vec<String> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    filled.join("\n")
}

fn head(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = String::from("# Cost against other servers\n\nWritten by `make bench`");
    text.push_str(if results.quick { " as a quick smoke run: too short to be believed.\n\n" } else { ".\n\n" });
    let _ = writeln!(
        text,
        "Machine: {} cores ({}), {} GiB, Linux {}.\n",
        machine.cores,
        machine.processor.as_deref().unwrap_or("unknown processor"),
        machine.memory_gib.map_or_else(|| "?".to_owned(), |gib| gib.to_string()),
        machine.kernel.as_deref().unwrap_or("?"),
    );
    if let Some(load) = machine.load {
        let _ = writeln!(
            text,
            "Load when the run began: {load:.1}. Above 1, other programs shared the cores and their caches: costs are\n\
             higher and ratios less sure than on an idle machine.\n"
        );
    }
    let mut table = Table::new(&["server", "version", "key exchange with a browser's offer"]);
    for server in &results.servers {
        let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".to_owned());
        table.row([server.name.to_owned(), cell(&server.version), cell(&server.browser_group)]);
    }
    text + &table.to_string()
}

fn ratios(results: &Results) -> String {
    if results.works.is_empty() {
        return String::new();
    }
    let mut table =
        Table::new(&["work", "unit", "namegate", "best peer", "its cost", "ratio", "rounds low..high", "rounds"]);
    for compared in &results.works {
        table.row(ratio_row(compared));
    }
    format!("## Ratio to the best peer (below 1: the edge costs less)\n\n{table}")
}

fn ratio_row(compared: &Compared) -> [String; 8] {
    let best = compared.best_peer.as_deref();
    let (ratio, spread, rounds) = match compared.ours {
        Some(Ratio { median, low, high, rounds }) => {
            (format!("{median:.2}"), format!("{low:.2}..{high:.2}"), rounds.to_string())
        }
        None => (NONE.to_owned(), "-".to_owned(), compared.rounds.len().to_string()),
    };
    [
        compared.work.title().to_owned(),
        compared.unit.to_owned(),
        cost_of(compared, Kind::Namegate.name()),
        best.unwrap_or(NONE).to_owned(),
        best.map_or_else(|| "-".to_owned(), |best| cost_of(compared, best)),
        ratio,
        spread,
        rounds,
    ]
}

fn cost_of(compared: &Compared, server: &str) -> String {
    find(compared, server).map_or_else(|| NONE.to_owned(), |summary| figure(summary.cost))
}

fn find<'a>(compared: &'a Compared, server: &str) -> Option<&'a Summary> {
    compared.servers.iter().find(|summary| summary.server == server)
}

fn costs(results: &Results) -> String {
    let cell = |summary: &Summary| match summary.ratio {
        Some(ratio) => format!("{} ({:.2})", figure(summary.cost), ratio.median),
        None => figure(summary.cost),
    };
    let label = |work: Work| format!("{}, {}", work.title(), work.unit());
    let table = by_server(results, |_| true, label, cell);
    format!("## Cost of each server, median of the rounds (and its ratio to the best peer)\n\n{table}")
}

fn latencies(results: &Results) -> String {
    let cell = |summary: &Summary| match (summary.p50_us, summary.p99_us) {
        (Some(p50), Some(p99)) => format!("{} / {}", figure(p50), figure(p99)),
        _ => "-".to_owned(),
    };
    let table = by_server(results, |work| work != Work::Idle, |work| work.title().to_owned(), cell);
    format!(
        "## Latency p50 / p99 in µs, median of the rounds\n\n\
         Under the same closed load, on the client's side, with the server's core busy: it tells of queueing as much as\n\
         of work.\n\n{table}"
    )
}

fn by_server(
    results: &Results,
    wanted: fn(Work) -> bool,
    label: fn(Work) -> String,
    cell: impl Fn(&Summary) -> String,
) -> Table {
    let mut columns = vec!["work"];
    columns.extend(Kind::ALL.map(Kind::name));
    let mut table = Table::new(&columns);
    for compared in results.works.iter().filter(|compared| wanted(compared.work)) {
        let mut row = vec![label(compared.work)];
        row.extend(Kind::ALL.map(|kind| find(compared, kind.name()).map_or_else(|| NONE.to_owned(), &cell)));
        table.row(row);
    }
    table
}

fn issuance(results: &Results) -> String {
    if results.issuance.is_empty() {
        return String::new();
    }
    let columns = ["server", "first visit p50", "p99", "failed", "burst", "certificates per second", "failed"];
    let mut table = Table::new(&columns);
    for measured in &results.issuance {
        table.row(issuance_row(measured));
    }
    format!("## New names, against Pebble\n\n{table}")
}

fn issuance_row(measured: &Measured<Issuance>) -> Vec<String> {
    let mut row = vec![measured.server.to_owned()];
    match &measured.figures {
        None => row.push(NONE.to_owned()),
        Some(figures) => row.extend([
            milliseconds(figures.first_visit_p50_ms),
            milliseconds(figures.first_visit_p99_ms),
            format!("{} of {}", figures.visits_failed, figures.visits),
            format!("{} names, {} at a time", figures.burst, figures.burst_at_a_time),
            figure(figures.burst_per_second),
            figures.burst_failed.to_string(),
        ]),
    }
    row
}

fn start_up(results: &Results) -> String {
    let Some(measured) = &results.start_up else { return String::new() };
    let Some(figures) = &measured.figures else { return format!("## Start with a full store\n\n{NONE}\n") };
    let StartUp { certificates, ready_ms, ready_mib, settled_ms, settled_mib, cold_visit_p50_ms } = figures;
    let mut table = Table::new(&["certificates in the store", "moment", "after", "resident memory"]);
    table.row([certificates.to_string(), "ready".to_owned(), milliseconds(Some(*ready_ms)), mib(*ready_mib)]);
    table.row([
        certificates.to_string(),
        "background walk ended".to_owned(),
        milliseconds(Some(*settled_ms)),
        mib(*settled_mib),
    ]);
    let cold = milliseconds(*cold_visit_p50_ms);
    format!(
        "## Start with a full store\n\n{table}\nThe first visit to a name of that store, right after: {cold}.\n\
         The walk counts as ended when the process has used less than 2 % of its core for two seconds; its end is known\n\
         to half a second.\n"
    )
}

/// One line for every figure that a reader may look for and not find.
fn missing(results: &Results) -> String {
    let servers = results.servers.iter().filter_map(|server| Some((server.name, "all", server.missing.as_deref()?)));
    let works = results.works.iter().flat_map(|compared| {
        let absent = |name: &str| results.servers.iter().any(|server| server.name == name && server.missing.is_some());
        let missing = compared.missing.iter().filter(move |(name, _)| !absent(name));
        missing.map(|(name, reason)| (*name, compared.work.title(), reason.as_str()))
    });
    let issuance = results.issuance.iter().filter_map(|one| Some((one.server, "new names", one.missing.as_deref()?)));
    let start = results.start_up.iter().filter_map(|one| Some((one.server, "start", one.missing.as_deref()?)));
    let lines: String = servers
        .chain(works)
        .chain(issuance)
        .chain(start)
        .map(|(server, what, reason)| format!("- {server}, {what}: {}\n", one_line(reason)))
        .collect();
    if lines.is_empty() { lines } else { format!("## Not measured, and why\n\n{lines}") }
}

fn method(results: &Results) -> String {
    let mut text = String::from(
        "## How it is measured\n\n\
         - Each server has one core to itself; client and origin share another. nginx, HAProxy and Caddy are Debian 13's\n  \
           packages in a chroot, configured as in `benches/peers/`; the edge is the release build. The floor is a relay\n  \
           that does nothing but TLS (rustls and tokio): what no proxy can fall below.\n\
         - CPU is the scheduler's account of all threads of the server (`/proc/<pid>/task/*/schedstat`), divided by the\n  \
           operations; the client's CPU is not in it.\n\
         - Rounds are interleaved: every server in turn in each, a new one first each time. A round gives one ratio to its\n  \
           own best peer; the ratio shown is the median of the rounds. The floor is no peer.\n\
         - All clients offer TLS 1.3 with TLS_AES_128_GCM_SHA256 and X25519 alone (the hybrid row: X25519MLKEM768 alone),\n  \
           so that no server is measured on a cheaper handshake. One ECDSA P-256 certificate and its intermediate for all.\n\
         - Resumed means resumed: the client checks each handshake.\n\
         - The origin answers 512 bytes over HTTP/1.1 with keep-alive, in the same process as the client.\n",
    );
    for compared in &results.works {
        let _ = writeln!(text, "- {}: {}.", compared.work.title(), compared.work.method());
    }
    if !results.issuance.is_empty() {
        text.push_str(
            "- New names: one visitor at a time, then the burst, from TCP connect to the last byte of the proxied answer;\n  \
             a fresh Pebble for each server, without validation sleeps and without refused nonces; one name before the\n  \
             first pays for the ACME account. Caddy paces itself: by default CertMagic orders at most 10 in 10 seconds.\n",
        );
    }
    text
}

/// Three digits that matter, no more.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn milliseconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{} ms", figure(value)))
}

fn mib(value: f64) -> String {
    format!("{} MiB", figure(value))
}

fn one_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
