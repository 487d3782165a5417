//! Configuration, reload, explain, metrics and logs, as an operator meets them.

use http::StatusCode;
use test_support::{Kind, Reply, client::http as client_http};

use crate::stack::{Issuing, Proxying};

#[tokio::test]
async fn validate_reports_every_mistake_with_its_place() {
    let stack = Proxying::start().await;
    let file = stack.edge.config_path();
    let broken = "[listen]\nhttps = [\"not an address\"]\ncolour = \"blue\"\n\n[ask]\nurl = \"ftp://x\"\ntimeout = 5\n\n[acme]\n\
                  contact = [\"ops@example.test\"]\n\n[limits]\nhello_timeout = \"soon\"\nhelo_timeout = \"5s\"\n\n[extra]\n";
    std::fs::write(&file, broken).unwrap();
    let output = stack.edge.command(&["validate", "--format", "table"]).await;
    assert_eq!(output.code, 1);
    for place in [":2:", ":3:", ":6:", ":7:", ":10:", ":13:", ":14:", ":16:"] {
        assert!(output.stderr.contains(place), "no mistake at line {place}\n{}", output.stderr);
    }
    assert!(output.stderr.contains("hello_timeout"), "the near miss is named: {}", output.stderr);
    let json = stack.edge.command(&["validate", "--format", "json"]).await;
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, report["valid"].as_bool()), (1, Some(false)));
    assert!(report["mistakes"].as_array().unwrap().len() >= 8);
}

#[tokio::test]
async fn a_reload_with_mistakes_keeps_the_old_configuration() {
    let mut stack = Proxying::start().await;
    stack.gate.set("default.test", Reply::AllowEmpty);
    assert_eq!(stack.get("default.test", "/").await.unwrap().status(), StatusCode::NOT_FOUND);
    let good = std::fs::read_to_string(stack.edge.config_path()).unwrap();
    std::fs::write(stack.edge.config_path(), "[proxy]\ndefault_origin = 7\n").unwrap();
    assert_eq!(stack.edge.command(&["reload"]).await.code, 1);
    stack.edge.signal("HUP");
    stack.edge.logs("configuration not reloaded").await;
    assert_eq!(stack.get("other.test", "/").await.unwrap().status(), StatusCode::OK);
    std::fs::write(stack.edge.config_path(), good).unwrap();
    let url = stack.origin.url();
    stack.edge.configure(|options| *options = options.clone().default_origin_url(&url));
    let reloaded = stack.edge.command(&["reload", "--format", "json"]).await;
    assert_eq!(reloaded.code, 0, "{}{}", reloaded.stdout, reloaded.stderr);
    assert_eq!(stack.get("default.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_reload_says_what_needs_a_restart() {
    let mut stack = Proxying::start().await;
    stack.edge.configure(|options| *options = options.clone().set("[limits]\nthreads = 2\nh2_streams = 50"));
    let reloaded = stack.edge.command(&["reload", "--format", "json"]).await;
    let report: serde_json::Value = serde_json::from_str(&reloaded.stdout).unwrap();
    assert_eq!(report["needs_restart"], serde_json::json!(["limits"]));
}

#[tokio::test]
async fn explain_tells_what_would_happen_and_does_none_of_it() {
    let stack = Issuing::start().await;
    stack.gate.set("denied.test", Reply::Deny);
    let explain = async |name: &str| -> serde_json::Value {
        let output = stack.edge.command(&["explain", name, "--format", "json"]).await;
        assert_eq!(output.code, 0, "{}", output.stderr);
        serde_json::from_str(&output.stdout).unwrap()
    };
    assert_eq!(explain("new.test").await["outcome"], "order");
    assert_eq!(explain("denied.test").await["outcome"], "refuse");
    assert_eq!(explain("_bad.test").await["outcome"], "refuse");
    assert_eq!(explain("127.0.0.1").await["outcome"], "refuse");
    assert_eq!(stack.proxy.count(Kind::NewOrder), 0, "explaining orders nothing");
    assert_eq!(stack.get("New.TEST", "/").await.unwrap().status(), StatusCode::OK);
    let served = explain("NEW.test.").await;
    assert_eq!((served["hostname"].as_str(), served["outcome"].as_str()), (Some("new.test"), Some("serve")));
    assert_eq!(served["origin"]["url"], stack.origin.url());
    assert_eq!(served["certificate"]["state"], "serving", "{served:#}");
}

#[tokio::test]
async fn health_and_metrics_tell_the_state() {
    let stack = Issuing::start().await;
    let url = |path: &str| format!("http://{}{path}", stack.edge.admin());
    for path in ["/livez", "/readyz", "/healthz", "/version", "/metrics", "/readyz?verbose"] {
        assert_eq!(client_http::get(&url(path)).await.unwrap().status(), StatusCode::OK, "{path}");
    }
    assert_eq!(stack.get("m.test", "/").await.unwrap().status(), StatusCode::OK);
    // A visitor has the last byte before the edge has counted the request.
    stack.edge.until_metric("namegate_edge_http_requests_total{code=\"2xx\"}", 1.0).await;
    let text = client_http::get(&url("/metrics")).await.unwrap();
    let text = String::from_utf8_lossy(text.body()).into_owned();
    for series in [
        "namegate_edge_ask_duration_seconds_bucket",
        "namegate_edge_certificate_wait_seconds_bucket",
        "namegate_edge_tls_handshakes_total{kind=\"full\"} 1",
        "namegate_edge_http_requests_total{code=\"2xx\"} 1",
        "namegate_edge_store_operation_duration_seconds_bucket",
        "namegate_edge_acme_stage_seconds_bucket",
        "namegate_edge_certificate_renewal_heartbeat_timestamp_seconds",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(series), "{series} is missing in\n{text}");
    }
    assert!(!text.contains("m.test"), "no label holds a hostname");
}

#[tokio::test]
async fn the_admin_listener_refuses_a_browser() {
    let stack = Proxying::start().await;
    let mut http = client_http::Http::connect(stack.edge.admin()).await.unwrap();
    let mut request = http.request("POST", &stack.edge.admin().to_string(), "/reload", client_http::no_body());
    request.headers_mut().insert("origin", http::HeaderValue::from_static("https://evil.test"));
    assert_eq!(http.send(request).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(
        http.get("rebound.evil.test", "/explain?hostname=a.test").await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn the_access_log_speaks_caddys_field_names_and_keeps_no_secret() {
    let stack = Proxying::start().await;
    stack
        .gate
        .set("log.test", Reply::Allow(serde_json::json!({"origin": stack.origin.url(), "connection_id": "con_7"})));
    let client = stack.client().alpn(&["h2"]);
    let mut http = client.visit(stack.edge.https(), "log.test").await.unwrap().http().await.unwrap();
    let mut request = http.request("POST", "log.test", "/path?q=1", client_http::body("12345"));
    request.headers_mut().insert("cookie", http::HeaderValue::from_static("session=canary-cookie"));
    request.headers_mut().insert("authorization", http::HeaderValue::from_static("Bearer canary-token"));
    request.headers_mut().insert("user-agent", http::HeaderValue::from_static("promise/1"));
    assert_eq!(http.send(request).await.unwrap().status(), StatusCode::OK);
    let line = stack.access_line(200).await;
    assert_eq!(line["logger"], "http.log.access");
    assert_eq!(line["request"]["method"], "POST");
    assert_eq!(line["request"]["host"], "log.test");
    assert_eq!(line["request"]["uri"], "/path?q=1");
    assert_eq!(line["request"]["proto"], "HTTP/2.0");
    assert_eq!(line["request"]["tls"]["server_name"], "log.test");
    assert_eq!(line["request"]["tls"]["proto"], "h2");
    assert_eq!(line["request"]["headers"]["User-Agent"][0], "promise/1");
    assert_eq!(line["bytes_read"], 5);
    assert_eq!(line["connection_id"], "con_7");
    assert_eq!(line["upstream"]["addr"], stack.origin.authority());
    assert!(line["size"].as_u64().unwrap() > 0 && line["duration"].as_f64().unwrap() > 0.0);
    assert!(!stack.edge.log().contains("canary"), "no cookie and no token in any log");
}

#[tokio::test]
async fn no_private_key_reaches_a_log() {
    let stack = Issuing::start().await;
    assert_eq!(stack.get("key.test", "/").await.unwrap().status(), StatusCode::OK);
    let mut keys = Vec::new();
    collect_keys(&stack.edge.storage(), &mut keys);
    assert!(keys.len() >= 2, "the account's and the certificate's: {}", keys.len());
    let log = stack.edge.log();
    for key in keys {
        let secret: String = key.lines().filter(|line| !line.starts_with("-----")).collect();
        assert!(!log.contains(&secret[..40]), "a private key stands in the log");
    }
}

fn collect_keys(folder: &std::path::Path, keys: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            collect_keys(&entry.path(), keys);
        } else if entry.path().extension().is_some_and(|ending| ending == "key") {
            keys.push(std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let stack = Proxying::start().await;
    let output = stack.edge.command(&["run"]).await;
    assert_ne!(output.code, 0);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("cannot listen on") && said.contains(&stack.edge.https().to_string()), "{said}");
}

#[tokio::test]
async fn the_log_names_every_listener() {
    let stack = Proxying::start().await;
    for address in [stack.edge.https(), stack.edge.http(), stack.edge.admin()] {
        stack.edge.logs(&format!("\"address\":\"{address}\"")).await;
    }
}

#[tokio::test]
async fn a_service_manager_is_told_of_every_phase() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut stack = Proxying::start().await;
    let path = path.display().to_string();
    stack.edge.configure(|options| *options = options.clone().env("NOTIFY_SOCKET", &path));
    stack.edge.restart().await;
    assert!(told(&socket).await.contains("READY=1"));
    stack.edge.signal("HUP");
    let reloading = told(&socket).await;
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(told(&socket).await.contains("READY=1"));
    assert!(stack.edge.terminate().await.success());
    assert!(told(&socket).await.contains("STOPPING=1"));
}

/// `WatchdogSec=` of the unit: systemd hears of a runtime that turns, again and again, and would end one that does not.
#[tokio::test]
async fn a_service_manager_hears_that_the_runtime_turns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut stack = Proxying::start_with("[limits]\nwatchdog = \"5s\"").await;
    let path = path.display().to_string();
    stack.edge.configure(|options| *options = options.clone().env("NOTIFY_SOCKET", &path));
    stack.edge.restart().await;
    assert!(told(&socket).await.contains("READY=1"));
    for _ in 0..3 {
        assert!(told(&socket).await.contains("WATCHDOG=1"));
    }
}

async fn told(socket: &tokio::net::UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), socket.recv(&mut bytes)).await;
    String::from_utf8_lossy(&bytes[..read.expect("the edge tells its phase").unwrap()]).into_owned()
}
