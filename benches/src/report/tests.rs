use std::collections::BTreeMap;

use super::*;
use crate::{
    load::Sample,
    machine::Machine,
    results::{Participant, Samples},
};

fn results() -> Results {
    let sample = |cost| Sample { cost, p50_us: Some(100.0), p99_us: Some(900.0) };
    let round = Samples::from([(Kind::Namegate, sample(50.0)), (Kind::Nginx, sample(100.0))]);
    let missing = BTreeMap::from([("HAProxy", "answered HTTP/1.1 503".to_owned()), ("Caddy", "no chroot".to_owned())]);
    let participant = |name, missing: Option<&str>| Participant {
        name,
        version: Some("1.0".to_owned()),
        browser_group: None,
        missing: missing.map(str::to_owned),
    };
    Results {
        quick: false,
        machine: Machine { cores: 2, processor: None, memory_gib: Some(24), kernel: None, load: Some(16.31) },
        servers: vec![
            participant("namegate", None),
            participant("HAProxy", None),
            participant("Caddy", Some("no chroot")),
        ],
        works: vec![Compared::of(Work::Http1, &[round.clone(), round], missing)],
        issuance: vec![Measured { server: "Caddy", figures: None, missing: Some("no\nPebble".to_owned()) }],
        start_up: None,
    }
}

#[test]
fn the_ratio_stands_beside_what_it_was_made_of() {
    let text = summary(&results());
    let row = text.lines().find(|line| line.contains("HTTP/1.1")).expect("a row for the work");
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    assert_eq!(cells[2..9], ["CPU µs", "50.0", "nginx", "100", "0.50", "0.50..0.50", "2"]);
}

#[test]
fn what_was_not_measured_is_said_once_with_its_reason() {
    let text = markdown(&results());
    assert!(text.contains("- HAProxy, HTTP/1.1 keep-alive request: answered HTTP/1.1 503\n"));
    assert!(text.contains("- Caddy, all: no chroot\n"));
    assert!(!text.contains("- Caddy, HTTP/1.1"), "a server that never started is told of once");
    assert!(text.contains("- Caddy, new names: no Pebble\n"), "a reason is one line");
    assert!(text.contains("| not measured"));
}

#[test]
fn a_busy_machine_is_confessed() {
    assert!(markdown(&results()).contains("Load when the run began: 16.3. Above 1, other programs"));
}

#[test]
fn figures_have_three_digits() {
    assert_eq!([0.123, 1.234, 12.34, 123.4, 1234.5].map(figure), ["0.12", "1.23", "12.3", "123", "1234"]);
}
