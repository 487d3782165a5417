//! What stands in `deploy/` is what the program accepts.

use std::collections::BTreeSet;

use config::{Mode, parse, parse_control};

#[test]
fn the_example_for_production_is_accepted_as_it_stands() {
    let text = include_str!("../../deploy/edge.toml");
    let config = parse("/etc/namegate/edge.toml", text, []).unwrap();
    assert_eq!(config.listen.https.len(), 2);
    assert!(config.acme.directory.iter().all(|url| url.host_str() == Some("acme-v02.api.letsencrypt.org")));
    assert!(include_str!("../../deploy/namegate-edge.service").contains("StateDirectory=namegate\n"));
    assert_eq!(config.storage.path.to_str(), Some("/var/lib/namegate"));
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let pin = include_str!("../../rust-toolchain.toml");
    let (_, after) = pin.split_once("channel = \"").unwrap();
    let (channel, _) = after.split_once('"').unwrap();
    assert!(include_str!("../../deploy/Dockerfile").contains(&format!("FROM rust:{channel}-")));
}

#[test]
fn a_stop_by_the_service_manager_leaves_time_for_the_graceful_one() {
    let unit = include_str!("../../deploy/namegate-edge.service");
    let seconds = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(seconds.parse::<u64>().unwrap() > config::Limits::default().graceful_stop.as_secs());
}

#[test]
fn the_control_planes_example_is_accepted_as_it_stands_and_fits_its_unit() {
    let text = include_str!("../../deploy/control.toml");
    let config = parse_control("/etc/namegate/control.toml", text, [], Mode::Production).unwrap();
    assert_eq!(config.database.url.read().unwrap().expose(), "sqlite:///var/lib/namegate-control/control.db");
    let unit = include_str!("../../deploy/namegate-control.service");
    assert!(unit.contains("StateDirectory=namegate-control\n"));
    assert!(unit.contains("--config /etc/namegate/control.toml\n"));
}

#[test]
fn the_control_plane_is_confined_as_the_edge_is() {
    let lines = |unit: &'static str| -> BTreeSet<&str> {
        let is_fence = |line: &&str| {
            [
                "Protect",
                "Private",
                "Restrict",
                "NoNew",
                "SystemCall",
                "Lock",
                "Memory",
                "RemoveIPC",
                "UMask",
                "LimitCORE",
            ]
            .iter()
            .any(|start| line.starts_with(start) && !line.starts_with("RestartPrevent"))
        };
        unit.lines().filter(is_fence).collect()
    };
    let edge = lines(include_str!("../../deploy/namegate-edge.service"));
    assert!(edge.len() > 15, "{edge:?}");
    assert_eq!(lines(include_str!("../../deploy/namegate-control.service")), edge);
    let control = include_str!("../../deploy/namegate-control.service");
    assert!(control.contains("\nCapabilityBoundingSet=\n"), "it needs no capability at all");
}
