//! How long a change at the control plane takes until a visitor of the edge sees it.
//!
//! `cargo run --release -p benches --bin visibility`: a real control plane (SQLite), a real edge that follows its feed,
//! one machine. A visitor on a standing connection asks again and again. The time is taken from before the API request
//! is sent, so it holds the commit too, until the first answer that is another one.
//!
//! For the figures of a release build, build `namegate-edge` and `namegate-control` with `--release` first.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that cannot be taken stops where it stands; what was measured is printed"
)]

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use test_support::{
    ControlOptions, ControlProcess, Dns, EdgeOptions, EdgeProcess, Loopback, Origin, Pebble, PebbleOptions,
    client::{TlsClient, http::Http},
    wait,
};
use tokio::time::Instant;

/// Changes of one name's origin.
const CHANGES: usize = 300;
/// Names that are deleted.
const DELETIONS: usize = 100;
/// A change that is not seen after this time is a failure of what is measured, not a figure of it.
const LONGEST: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() {
    let bed = Bed::start().await;
    print("origin changed", &bed.changes().await);
    print("name deleted", &bed.deletions().await);
}

fn print(what: &str, times: &[Duration]) {
    let mut times = times.to_vec();
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    let (p50, p99, most) = (at(50), at(99), at(100));
    println!("{what}: {} times, p50 {p50:.1?}, p99 {p99:.1?}, longest {most:.1?}", times.len());
}

struct Bed {
    control: ControlProcess,
    edge: EdgeProcess,
    dns: Pebble,
    origins: [Origin; 2],
    application: String,
}

impl Bed {
    async fn start() -> Self {
        let host = Loopback::take();
        // Its DNS server alone is used: the edge signs for itself.
        let dns = Pebble::start(&host, PebbleOptions::default()).await;
        dns.dns().set_default(None).await;
        dns.dns().set_a(ControlOptions::TARGET, &[host.ip()]).await;
        let control = ControlProcess::start(ControlOptions::on(&host).dns(dns.dns())).await;
        let options = EdgeOptions::on(&host).control(&control).set("[acme]\nissuer = \"internal\"");
        let edge = EdgeProcess::start(options.set("[log]\nlevel = \"info\"")).await;
        let origins = [Origin::start(&host).await, Origin::start(&host).await];
        let (_, application) = control.send("POST", "/v1/applications", Some(&json!({"name": "Bench"}))).await;
        let application = application["id"].as_str().unwrap().to_owned();
        Self { control, edge, dns, origins, application }
    }

    /// A live name, and a connection to it that stands.
    async fn live(&self, hostname: &str) -> (String, Http) {
        let body = json!({"application_id": self.application, "hostname": hostname, "origin": self.origins[0].url()});
        let (status, made) = self.control.send("POST", "/v1/connections", Some(&body)).await;
        assert_eq!(status, 201, "{made}");
        publish(self.dns.dns(), &made).await;
        let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
        for verb in ["verify", "records:check"] {
            self.control.send("POST", &format!("{path}/{verb}"), None).await;
        }
        wait::until("the name is live", async || (self.control.get(&path).await.1["state"] == "live").then_some(()))
            .await;
        let root = std::fs::read_to_string(self.edge.storage().join("pki/namegate/root.crt")).unwrap();
        let visit = TlsClient::trusting(&root).visit(self.edge.https(), hostname).await.unwrap();
        (path, visit.http().await.unwrap())
    }

    async fn changes(&self) -> Vec<Duration> {
        let name = "changing.customer.com";
        let (path, mut http) = self.live(name).await;
        let mut times = Vec::new();
        for number in 1..=CHANGES {
            let next = &self.origins[number % 2];
            let (before, start) = (next.requests(), Instant::now());
            let patch = json!({"origin": next.url()});
            let (patched, seen) = tokio::join!(self.control.send("PATCH", &path, Some(&patch)), async {
                while next.requests() == before {
                    assert_eq!(http.get(name, "/").await.unwrap().status(), StatusCode::OK);
                    assert!(start.elapsed() < LONGEST, "the change was not seen");
                }
                start.elapsed()
            });
            assert_eq!(patched.0, 200, "{}", patched.1);
            times.push(seen);
        }
        times
    }

    async fn deletions(&self) -> Vec<Duration> {
        let mut times = Vec::new();
        for number in 0..DELETIONS {
            let name = format!("gone{number}.customer.com");
            let (path, mut http) = self.live(&name).await;
            assert_eq!(http.get(&name, "/").await.unwrap().status(), StatusCode::OK);
            let start = Instant::now();
            let (deleted, seen) = tokio::join!(self.control.send("DELETE", &path, None), async {
                while http.get(&name, "/").await.unwrap().status() == StatusCode::OK {
                    assert!(start.elapsed() < LONGEST, "the deletion was not seen");
                }
                start.elapsed()
            });
            assert_eq!(deleted.0, 200, "{}", deleted.1);
            times.push(seen);
        }
        times
    }
}

/// Publishes challenge and records as the customer would.
async fn publish(dns: &Dns, made: &Value) {
    let challenge = &made["ownership_challenge"];
    dns.set_txt(challenge["name"].as_str().unwrap(), challenge["value"].as_str().unwrap()).await;
    for record in made["desired_records"].as_array().unwrap() {
        dns.set_cname(record["host"].as_str().unwrap(), record["value"].as_str().unwrap()).await;
    }
}
