//! What stands in `deploy/` is what the program accepts.

use config::parse;

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
