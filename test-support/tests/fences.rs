//! The arrows between the crates of this workspace, and the few crates that may be used in one place only.
//!
//! `deny.toml` holds the second half as well; this test holds both where cargo-deny is not installed.

#![expect(clippy::unwrap_used, reason = "clippy knows only functions marked as tests; their fixtures are tests too")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Each member and what it may use of the others outside its tests. A member that is not here fails the test: a new
/// crate gets its arrows by decision.
const ARROWS: [(&str, &[&str]); 16] = [
    ("benches", &["*"]),
    ("certs", &["clock", "control-api", "names", "sealing", "telemetry"]),
    ("clock", &[]),
    ("config", &["names", "telemetry"]),
    ("control-api", &["names"]),
    ("control-client", &["clock", "control-api", "names", "telemetry"]),
    ("control-plane", &["clock", "config", "control-api", "dns", "names", "sealing", "telemetry"]),
    ("demo", &["names", "telemetry", "test-support"]),
    ("dns", &["clock", "names", "telemetry"]),
    ("edge", &["certs", "clock", "config", "control-api", "control-client", "dns", "names", "telemetry"]),
    ("names", &[]),
    ("sealing", &[]),
    ("telemetry", &[]),
    ("test-support", &["clock"]),
    ("tests", &["*"]),
    ("widget", &[]),
];

/// Who may name these crates. A name that ends with `-` stands for all crates that begin so.
const FENCED: [(&str, &[&str]); 6] = [
    ("hickory-proto", &["dns"]),
    ("instant-acme", &["certs"]),
    ("pingora-", &["edge"]),
    ("psl", &["names"]),
    ("sqlx", &["certs", "control-plane"]),
    ("unicode-security", &["names"]),
];

/// What must be nowhere in the tree: a second TLS stack.
const BANNED: [&str; 4] = ["boring", "native-tls", "openssl", "openssl-sys"];

struct Dependency {
    name: String,
    /// `None` for a normal one.
    kind: Option<String>,
}

#[test]
fn members_use_each_other_in_one_direction() {
    let members = members(&metadata());
    let arrows = BTreeMap::from(ARROWS);
    for (member, dependencies) in &members {
        let Some(allowed) = arrows.get(member.as_str()) else { panic!("{member} has no arrows in this test") };
        let used = dependencies.iter().filter(|used| used.kind.as_deref() != Some("dev"));
        for used in used.map(|used| &used.name).filter(|name| members.contains_key(*name)) {
            let free = allowed.contains(&"*") || allowed.contains(&used.as_str());
            assert!(free, "{member} may not use {used}: see the tree in ARCHITECTURE.md");
        }
    }
}

#[test]
fn the_edge_and_the_control_plane_never_meet() {
    let members = members(&metadata());
    for (from, to) in [("edge", "control-plane"), ("control-plane", "edge")] {
        assert!(!reachable(&members, from).contains(to), "{from} reaches {to}");
    }
}

#[test]
fn fenced_crates_are_named_by_their_keepers_only() {
    for (member, dependencies) in members(&metadata()) {
        for (fence, keepers) in FENCED {
            let crossed = dependencies.iter().find(|used| matches(&used.name, fence));
            let Some(used) = crossed.filter(|_| !keepers.contains(&member.as_str())) else { continue };
            panic!("{member} names {}, which belongs to {keepers:?}", used.name);
        }
    }
}

#[test]
fn there_is_one_tls_stack() {
    let lock = include_str!("../../Cargo.lock");
    let packages: BTreeSet<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(packages.contains("rustls"));
    let banned: Vec<_> = BANNED.iter().filter(|name| packages.contains(**name)).collect();
    assert!(banned.is_empty(), "{banned:?} came into the tree: `cargo tree -i` says by whom");
}

fn matches(name: &str, fence: &str) -> bool {
    if fence.ends_with('-') { name.starts_with(fence) } else { name == fence }
}

fn reachable(members: &BTreeMap<String, Vec<Dependency>>, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(member) = open.pop() {
        let used = members.get(&member).into_iter().flatten().filter(|used| used.kind.as_deref() != Some("dev"));
        for name in used.map(|used| &used.name).filter(|name| members.contains_key(*name)) {
            if seen.insert(name.clone()) {
                open.push(name.clone());
            }
        }
    }
    seen
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        // Without the dependencies' own manifests: those of other platforms are never downloaded.
        .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn members(metadata: &Value) -> BTreeMap<String, Vec<Dependency>> {
    let ids: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
    let packages = list(&metadata["packages"]).iter().filter(|package| ids.contains(&text(&package["id"])));
    packages
        .map(|package| {
            let dependencies = list(&package["dependencies"]).iter().map(|dependency| Dependency {
                name: text(&dependency["name"]),
                kind: dependency["kind"].as_str().map(str::to_owned),
            });
            (text(&package["name"]), dependencies.collect())
        })
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
