//! Each misconfiguration has a code of its own, and says what to change.

use dns::check::{
    EdgeTargets, Expectation, Finding, FindingCode, RecordKind, Severity, caa::CaIdentity, desired_records, preflight,
};
use hickory_proto::rr::RecordType;

use crate::{
    authority::Fault,
    scene::{EDGE, EDGE_V4, EDGE_V6, HOST, Scene, ZONE, edge, hostname},
};

fn ca() -> CaIdentity {
    CaIdentity {
        domains: vec!["letsencrypt.org".into()],
        account_uri: Some("https://ca.test/acct/1".into()),
        methods: vec!["http-01".into()],
    }
}

async fn findings(scene: &Scene, host: &str) -> Vec<Finding> {
    findings_of(scene, host, &edge()).await
}

async fn findings_of(scene: &Scene, host: &str, edge: &EdgeTargets) -> Vec<Finding> {
    let host = hostname(host);
    let desired = desired_records(&host, edge, 300);
    preflight(&scene.resolvers, &host, &Expectation { edge, desired: &desired, ca: &ca() }).await
}

/// Code, record, expected, seen.
fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        assert!(!finding.user_message.is_empty() && !finding.message.is_empty());
        let record = finding.record.as_ref().map(|record| format!("{} {}", record.host, record.kind));
        let part = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        format!("{}: {} | {} | {}", finding.code.as_str(), part(&record), part(&finding.expected), part(&finding.seen))
    };
    findings.iter().map(line).collect()
}

#[tokio::test]
async fn a_name_that_is_right_has_no_findings() {
    let scene = Scene::new().await;
    scene.everywhere(|server| {
        server.cname(HOST, EDGE).caa(ZONE, "issue", "letsencrypt.org");
        server.ip_of(ZONE, EDGE_V4).ip_of(ZONE, EDGE_V6).mx(ZONE);
    });
    assert_eq!(lines(&findings(&scene, HOST).await), [""; 0]);
    assert_eq!(lines(&findings(&scene, ZONE).await), [""; 0]);
}

#[tokio::test]
async fn each_wrong_address_is_named_with_what_to_do() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.ip_of(ZONE, EDGE_V4).ip_of(ZONE, "2001:db8::bad"));
    let found = findings(&scene, ZONE).await;
    assert_eq!(lines(&found), ["aaaa_elsewhere: customer.test AAAA | 2001:db8::10 | 2001:db8::bad"]);
    assert_eq!(
        found[0].user_message,
        "Visitors with IPv6 are sent to another server. Change the AAAA record of customer.test from 2001:db8::bad to \
         2001:db8::10."
    );
    scene.everywhere(|server| _ = server.ip_of(HOST, "192.0.2.99").ip_of(HOST, "2001:db8::bad"));
    let expected = [
        "a_elsewhere: shop.customer.test A | - | 192.0.2.99",
        "aaaa_elsewhere: shop.customer.test AAAA | - | 2001:db8::bad",
    ];
    assert_eq!(lines(&findings(&scene, HOST).await), expected);
}

#[tokio::test]
async fn an_address_is_stray_beside_ours_and_merely_old_alone() {
    let scene = Scene::new().await;
    let severities = async || -> Vec<Severity> { findings(&scene, HOST).await.iter().map(|f| f.severity).collect() };
    assert_eq!(severities().await, [Severity::Pending], "there is no record yet");
    scene.everywhere(|server| _ = server.ip_of(HOST, "192.0.2.99").ip_of(HOST, "2001:db8::bad"));
    assert_eq!(severities().await, [Severity::Pending; 2], "this is where the name was before");
    scene.everywhere(|server| _ = server.remove(HOST).ip_of(HOST, EDGE_V4).ip_of(HOST, "2001:db8::bad"));
    assert_eq!(severities().await, [Severity::Blocking]);
    scene.everywhere(|server| _ = server.remove(HOST).ip_of(HOST, EDGE_V6).ip_of(HOST, "192.0.2.99"));
    assert_eq!(severities().await, [Severity::Blocking]);
}

#[tokio::test]
async fn another_service_in_front_is_called_by_its_name() {
    let scene = Scene::new().await;
    scene.everywhere(|server| {
        server.ip_of(HOST, "104.21.1.2");
        server.cname("www.customer.test", "d1.cloudfront.net").ip_of("d1.cloudfront.net", "192.0.2.50");
    });
    let found = findings(&scene, HOST).await;
    let expected = "cdn_in_front: shop.customer.test CNAME | edge.saas.test | 104.21.1.2";
    assert_eq!(lines(&found), [expected]);
    assert!(found[0].user_message.contains("Cloudflare"), "{}", found[0].user_message);
    let found = findings(&scene, "www.customer.test").await;
    assert!(found[0].message.contains("CloudFront"), "{found:?}");
}

#[tokio::test]
async fn names_that_lead_nowhere_are_told_apart() {
    let scene = Scene::new().await;
    let all = async |host: &str| lines(&findings(&scene, host).await).join("; ");
    assert_eq!(all(HOST).await, "dns_nxdomain: shop.customer.test CNAME | edge.saas.test | -");
    scene.everywhere(|server| {
        _ = server
            .add(HOST, hickory_proto::rr::RData::HINFO(hickory_proto::rr::rdata::HINFO::new("a".into(), "b".into())))
    });
    assert_eq!(all(HOST).await, "dns_no_address: shop.customer.test CNAME | edge.saas.test | -");
    scene.everywhere(|server| _ = server.cname("w.customer.test", "gone.other.test"));
    let expected = "dns_no_address: w.customer.test CNAME | edge.saas.test | CNAME gone.other.test";
    assert_eq!(all("w.customer.test").await, expected);
    scene.everywhere(|server| _ = server.cname("e.customer.test", "o.other.test").ip_of("o.other.test", "192.0.2.99"));
    let expected = "cname_elsewhere: e.customer.test CNAME | edge.saas.test | CNAME o.other.test, 192.0.2.99";
    assert_eq!(all("e.customer.test").await, expected);
}

#[tokio::test]
async fn zones_that_cannot_be_resolved_are_told_apart() {
    const CASES: &[(Fault, FindingCode)] = &[
        (Fault::Bogus, FindingCode::DnsBogus),
        (Fault::BogusUnsaid, FindingCode::DnsBogus),
        (Fault::ServFail, FindingCode::DnsServfail),
        (Fault::Refused, FindingCode::DnsUnreachable),
        (Fault::Silence, FindingCode::DnsUnreachable),
    ];
    for (fault, code) in CASES {
        let scene = Scene::new().await;
        scene.everywhere(|server| _ = server.cname(HOST, EDGE));
        scene.recursive.iter().for_each(|server| _ = server.fault(HOST, *fault));
        let found = findings(&scene, HOST).await;
        let codes: Vec<_> = found.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [*code], "{fault:?}: the zone's servers answer, the world cannot ask them");
        let severity = if *code == FindingCode::DnsBogus { Severity::Blocking } else { Severity::Unclear };
        assert_eq!(found[0].severity, severity, "{fault:?}");
    }
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, "b.customer.test").cname("b.customer.test", HOST));
    let codes: Vec<_> = findings(&scene, HOST).await.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&FindingCode::CnameLoop), "{codes:?}");
}

#[tokio::test]
async fn caa_is_read_up_the_tree_as_the_ca_reads_it() {
    const CASES: &[(&str, &str, &str)] = &[
        (
            ZONE,
            "digicert.com",
            "caa_forbids: customer.test CAA | 0 issue \"letsencrypt.org\" | 0 issue \"digicert.com\"",
        ),
        (HOST, ";", "caa_forbids: shop.customer.test CAA | 0 issue \"letsencrypt.org\" | 0 issue \";\""),
        (
            "test",
            "letsencrypt.org; accounturi=https://ca.test/acct/2",
            "caa_account: test CAA | 0 issue \"letsencrypt.org\" | 0 issue \"letsencrypt.org; \
             accounturi=https://ca.test/acct/2\"",
        ),
        (
            ZONE,
            "letsencrypt.org; validationmethods=dns-01",
            "caa_method: customer.test CAA | 0 issue \"letsencrypt.org\" | 0 issue \"letsencrypt.org; \
             validationmethods=dns-01\"",
        ),
    ];
    for (at, value, expected) in CASES {
        let scene = Scene::new().await;
        scene.everywhere(|server| {
            server.ip_of(HOST, EDGE_V4).caa(at, "issue", value);
        });
        assert_eq!(lines(&findings(&scene, HOST).await), [*expected]);
    }
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, EDGE).fault_for(ZONE, RecordType::CAA, Fault::ServFail));
    assert_eq!(lines(&findings(&scene, HOST).await), ["caa_unreadable: shop.customer.test CAA | - | servfail"]);
}

#[tokio::test]
async fn a_cname_beside_other_records_or_at_an_apex_is_a_conflict() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.mx(HOST).txt(HOST, &["v=spf1 -all"]));
    let expected = [
        "dns_no_address: shop.customer.test CNAME | edge.saas.test | -",
        "cname_conflict: shop.customer.test CNAME | edge.saas.test | MX, TXT",
    ];
    assert_eq!(lines(&findings(&scene, HOST).await), expected);
    // A server that lets both stand is against the standard, and what wins is chance.
    scene.everywhere(|server| _ = server.cname(HOST, EDGE));
    let found = findings(&scene, HOST).await;
    assert_eq!(lines(&found), ["cname_conflict: shop.customer.test CNAME | edge.saas.test | MX"]);

    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(ZONE, EDGE));
    let found = findings(&scene, ZONE).await;
    assert!(found.iter().any(|f| f.code == FindingCode::ApexCname && f.severity == Severity::Warning), "{found:?}");
    let nameless = EdgeTargets { addresses: Vec::new(), ..edge() };
    let scene = Scene::new().await;
    let found = findings_of(&scene, ZONE, &nameless).await;
    assert!(found.iter().any(|f| f.code == FindingCode::ApexCname && f.severity == Severity::Pending), "{found:?}");
}

#[tokio::test]
async fn a_wildcard_is_mentioned_and_does_not_block() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname("*.customer.test", EDGE));
    let found = findings(&scene, HOST).await;
    assert_eq!(
        lines(&found),
        ["wildcard_answer: *.customer.test CNAME | - | CNAME edge.saas.test, 192.0.2.10, 2001:db8::10"]
    );
    assert_eq!(found[0].severity, Severity::Warning);
}

#[tokio::test]
async fn servers_that_disagree_are_mentioned() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(HOST, EDGE));
    scene.recursive[1].remove(HOST).ip_of(HOST, "192.0.2.99");
    let expected = ["dns_propagating: shop.customer.test CNAME | edge.saas.test | 192.0.2.99"];
    assert_eq!(lines(&findings(&scene, HOST).await), expected);
}

#[tokio::test]
async fn names_that_no_store_or_ca_takes_are_refused_before_anything_else() {
    let scene = Scene::without_authority().await;
    let long = format!("{}.{}.{}.{}.test", "a".repeat(60), "b".repeat(63), "c".repeat(63), "d".repeat(57));
    assert_eq!(long.len(), 251);
    let deep = "a.b.c.d.e.f.g.h.i.j.test";
    for (host, code) in [(long.as_str(), FindingCode::NameTooLong), (deep, FindingCode::NameTooDeep)] {
        let found = findings(&scene, host).await;
        assert!(found.iter().any(|finding| finding.code == code), "{host}: {found:?}");
    }
}

#[tokio::test]
async fn an_edge_that_cannot_be_resolved_puts_no_blame_on_the_customer() {
    let scene = Scene::new().await;
    let nameless = EdgeTargets { addresses: Vec::new(), ..edge() };
    scene.everywhere(|server| _ = server.fault(EDGE, Fault::ServFail).ip_of(HOST, EDGE_V4));
    assert_eq!(lines(&findings_of(&scene, HOST, &nameless).await), [""; 0]);
}

#[test]
fn a_code_is_the_same_in_text_and_in_json() {
    let json = |code: FindingCode| serde_json::to_value(code).unwrap();
    for code in [FindingCode::AElsewhere, FindingCode::CaaForbids, FindingCode::DnsNxdomain] {
        assert_eq!(json(code), code.as_str());
    }
    assert_eq!(serde_json::to_value(RecordKind::Cname).unwrap(), "CNAME");
}
