//! `namegate-control doctor`: what an operator sees of a name on its way, with everything real around it.

use std::net::Ipv4Addr;

use serde_json::Value;
use test_support::{
    ControlOptions, ControlProcess, EdgeOptions, EdgeProcess, Loopback, Origin, Pebble, PebbleOptions, client::Output,
};

const NAME: &str = "shop.customer.com";

struct Clinic {
    control: ControlProcess,
    edge: EdgeProcess,
    pebble: Pebble,
    host: Loopback,
    _origin: Origin,
}

impl Clinic {
    /// An edge whose own CA signs asks a control plane that looks at Pebble's DNS.
    async fn open() -> Self {
        let host = Loopback::take();
        let pebble = Pebble::start(&host, PebbleOptions::default()).await;
        pebble.dns().set_default(None).await;
        pebble.dns().set_a(ControlOptions::TARGET, &[host.ip()]).await;
        let origin = Origin::start(&host).await;
        // Nothing is reported, so a name is live as soon as it points here.
        let options = ControlOptions::on(&host).dns(pebble.dns()).origin(&origin.url());
        let options = options.set("[edge]\nreports = false\n[worker]\nenabled = false\n[acme]\ncaa = [\"ca.test\"]");
        let control = ControlProcess::start(options).await;
        let ask = format!("{}/internal/ask", control.url());
        let edge =
            EdgeOptions::on(&host).ask_url(&ask).set("[acme]\nissuer = \"internal\"\n[limits]\nask_deny_ttl = \"1s\"");
        let edge = EdgeProcess::start(edge).await;
        Self { control, edge, pebble, host, _origin: origin }
    }

    async fn doctor(&self) -> (i32, Value) {
        let root = self.edge.storage().join("pki/namegate/root.crt");
        let (http, https) = (self.edge.http().port().to_string(), self.edge.https().port().to_string());
        let ports = ["--http-port", &http, "--https-port", &https, "--ca", root.to_str().unwrap()];
        let output = self.control.output(&[&["doctor", NAME][..], &ports].concat()).await;
        (output.code, json(&output))
    }

    async fn run(&self, args: &[&str]) -> Value {
        let output = self.control.output(args).await;
        assert_eq!(output.code, 0, "{args:?}: {output:?}");
        json(&output)
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn status<'r>(report: &'r Value, name: &str) -> &'r str {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"));
    check["status"].as_str().unwrap()
}

#[tokio::test]
async fn the_doctor_leads_a_name_from_nothing_to_healthy_one_advice_at_a_time() {
    let clinic = Clinic::open().await;
    let (code, report) = clinic.doctor().await;
    assert_eq!((code, &report["healthy"]), (1, &Value::Bool(false)));
    assert_eq!((status(&report, "connection"), status(&report, "gate")), ("problem", "problem"), "{report}");
    assert_eq!((status(&report, "ports"), status(&report, "certificate")), ("ok", "problem"), "{report}");
    assert!(report["next"][0].as_str().unwrap().starts_with("Create a connection"), "{report}");

    let app = clinic.run(&["apps", "list"]).await[0]["id"].as_str().unwrap().to_owned();
    let made = clinic.run(&["connections", "create", &app, NAME]).await;
    let (challenge, id) = (&made["challenge"], made["id"].as_str().unwrap());
    let (_, report) = clinic.doctor().await;
    let advice = format!("with the value {}", challenge["value"].as_str().unwrap());
    assert!(report["next"].as_array().unwrap().iter().any(|next| next.as_str().unwrap().contains(&advice)), "{report}");
    assert_eq!((status(&report, "challenge"), status(&report, "records")), ("problem", "problem"), "{report}");

    let dns = clinic.pebble.dns();
    dns.set_txt(challenge["name"].as_str().unwrap(), challenge["value"].as_str().unwrap()).await;
    dns.set_cname(NAME, ControlOptions::TARGET).await;
    assert_eq!(clinic.run(&["connections", "check", id]).await["state"], "live");
    // The edge may still remember its no for a second; then the doctor's own greeting gets the certificate.
    let healthy = test_support::wait::until("the name is healthy", async || {
        let (code, report) = clinic.doctor().await;
        (code == 0).then_some(report)
    });
    let report = healthy.await;
    assert_eq!((&report["healthy"], &report["next"]), (&Value::Bool(true), &Value::Array(Vec::new())), "{report}");
    assert_eq!((status(&report, "certificate"), status(&report, "chain")), ("ok", "ok"), "{report}");
    assert_eq!(report["connection"]["id"], *id);
}

#[tokio::test]
async fn a_stray_record_a_forbidding_caa_and_a_lost_database_are_each_told() {
    let clinic = Clinic::open().await;
    let dns = clinic.pebble.dns();
    // Nothing listens there.
    dns.set_a(NAME, &[Ipv4Addr::new(127, 0, 0, 9)]).await;
    dns.set_caa(NAME, "issue", "other.test").await;
    let (code, report) = clinic.doctor().await;
    assert_eq!(code, 1);
    assert_eq!((status(&report, "records"), status(&report, "caa")), ("problem", "problem"), "{report}");
    let next = report["next"].to_string();
    assert!(next.contains("Change the CNAME record") && next.contains("0 issue \\\"ca.test\\\""), "{next}");

    let nowhere = format!("postgres://nobody@{}/none", clinic.host.at(1));
    let config = clinic.control.output(&["doctor", NAME, "--format", "table"]).await;
    assert!(config.stdout.contains("What to do next\n  1. "), "{config:?}");
    let lost = ControlProcess::prepare(ControlOptions::on(&clinic.host).dns(dns).database(&nowhere));
    let output = lost.output(&["doctor", NAME]).await;
    let report = json(&output);
    assert_eq!((output.code, status(&report, "database"), status(&report, "records")), (1, "unknown", "problem"));
}
