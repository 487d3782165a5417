//! A log that cannot be written stops nothing, one that strangers write is bounded, and nothing that is secret leaves the
//! process: not in a log, not in a metric, not in a crash.

use std::{
    fs::File,
    io::Read as _,
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode, header};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use test_support::{
    Ca,
    client::{
        HelloAnswer, Sni, TlsClient,
        http::{self as client_http, get as http_get},
        send_hello,
    },
    wait,
};

use crate::stack::Proxying;

/// Starts the edge again with both outputs going there.
async fn write_to(stack: &mut Proxying, output: impl Into<OwnedFd>) {
    let output: OwnedFd = output.into();
    stack.edge.kill9();
    stack.edge.launch_as(|command| {
        command.stdout(output.try_clone().unwrap()).stderr(output);
    });
    stack.edge.ready().await;
}

fn lost(log: &str, reason: &str) -> String {
    format!("namegate_edge_log_lines_lost_total{{log=\"{log}\",reason=\"{reason}\"}}")
}

async fn serves(stack: &Proxying, requests: usize) {
    let mut http = stack.client().visit(stack.edge.https(), "logged.test").await.unwrap().http().await.unwrap();
    for _ in 0..requests {
        assert_eq!(http.get("logged.test", "/").await.unwrap().status(), StatusCode::OK);
    }
    let refused = send_hello(stack.edge.https(), Sni::Absent).await.unwrap();
    assert!(!matches!(refused, HelloAnswer::ServerHello));
}

#[tokio::test]
async fn a_full_disk_under_the_logs_stops_nothing() {
    let mut stack = Proxying::start().await;
    write_to(&mut stack, File::options().write(true).open("/dev/full").unwrap()).await;
    serves(&stack, 20).await;
    stack.edge.until_metric(&lost("access", "not_written"), 20.0).await;
    stack.edge.until_metric(&lost("diagnostics", "not_written"), 1.0).await;
    assert!(stack.edge.terminate().await.success());
}

#[tokio::test]
async fn a_closed_pipe_under_the_logs_stops_nothing() {
    let mut stack = Proxying::start().await;
    let (reader, writer) = std::io::pipe().unwrap();
    write_to(&mut stack, writer).await;
    drop(reader);
    serves(&stack, 20).await;
    stack.edge.until_metric(&lost("access", "not_written"), 20.0).await;
    assert!(stack.edge.terminate().await.success());
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_holds_up_no_request() {
    let settings = "[limits]\naccess_log_queue = 16\n[log]\nlevel = \"info\"";
    let mut stack = Proxying::start_with(settings).await;
    let (mut reader, writer) = std::io::pipe().unwrap();
    write_to(&mut stack, writer).await;
    // A pipe holds 64 KiB, a line has about half a KiB.
    serves(&stack, 500).await;
    stack.edge.until_metric(&lost("access", "queue_full"), 100.0).await;
    // And once somebody reads, lines come again.
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).map(|_| text)
    });
    serves(&stack, 1).await;
    assert!(stack.edge.terminate().await.success());
    let text = String::from_utf8(reading.join().unwrap().unwrap()).unwrap();
    assert!(text.lines().filter(|line| line.contains("handled request")).count() > 50);
    assert!(text.contains("\"stopped\""), "the last lines are written");
}

#[tokio::test]
async fn strangers_cannot_flood_the_log_and_it_says_what_it_left_out() {
    let mut stack = Proxying::start_with("[limits]\nlog_burst = 5\n[log]\nlevel = \"info\"").await;
    const VISITS: usize = 60;
    for _ in 0..VISITS {
        send_hello(stack.edge.https(), Sni::Absent).await.unwrap();
    }
    let ends = "namegate_edge_connection_ends_total{reason=\"hello_no_name\"}";
    stack.edge.until_metric(ends, VISITS as f64).await;
    stack.edge.until_metric(&lost("diagnostics", "left_out"), 1.0).await;
    assert!(stack.edge.terminate().await.success());
    let log = stack.edge.log();
    let of_visits = |line: &&str| line.contains("\"module\":\"edge::listen\"") && line.contains("left_out");
    let left_out = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["left_out"].as_u64().unwrap();
    let left_out: u64 = log.lines().filter(of_visits).map(left_out).sum();
    let told = log.matches("\"reason\":\"hello_no_name\"").count();
    assert_eq!(told + usize::try_from(left_out).unwrap(), VISITS, "{log}");
    assert!(told < VISITS / 2, "{told} of {VISITS} lines were written");
}

/// What must not leave the process, and the forms in which it could.
struct Canary {
    name: &'static str,
    forms: Vec<Vec<u8>>,
}

impl Canary {
    fn text(name: &'static str, text: &str) -> Self {
        Self { name, forms: vec![text.as_bytes().to_vec()] }
    }

    /// A private key: the secret number as it is in memory, in hexadecimal, and in the text of its file.
    fn key(pem: &str) -> Self {
        let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap() else {
            panic!("the CA of the tests writes PKCS#8")
        };
        // SEC1's private number is the 32 bytes behind its own tag and length (RFC 5915).
        let bytes = der.secret_pkcs8_der();
        let at = bytes.windows(2).position(|tag| tag == [0x04, 0x20]).unwrap() + 2;
        let number = bytes[at..at + 32].to_vec();
        let hex: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = pem.lines().nth(1).unwrap().as_bytes().to_vec();
        let forms = vec![STANDARD.encode(&number).into_bytes(), hex.to_uppercase().into(), hex.into(), line, number];
        Self { name: "private key", forms }
    }

    fn assert_not_in(&self, bytes: &[u8], place: &str) {
        for form in &self.forms {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "the {} is in {place}", self.name);
        }
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_crash_and_the_most_talkative_log_leave_no_secret_behind() {
    let mut stack = Proxying::start_with("[log]\nlevel = \"trace\"").await;
    let ca = Ca::new("Canary");
    let identity = ca.issue(&["canary.test"]);
    let folder = stack.edge.storage().join("certificates/imported/canary.test");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("canary.test.crt"), identity.chain_pem).unwrap();
    std::fs::write(folder.join("canary.test.key"), &identity.key_pem).unwrap();
    std::fs::write(folder.join("canary.test.json"), "{\"sans\":[\"canary.test\"]}").unwrap();
    let secret = "canary-5b3f9a";
    let canaries = [Canary::key(&identity.key_pem), Canary::text("visitor's secret", secret)];
    let client = TlsClient::trusting(&ca.root_pem());
    let crashes = tempfile::tempdir().unwrap();

    for (signal, number) in [("ABRT", 6), ("SEGV", 11)] {
        stack.edge.kill9();
        allow_cores();
        stack.edge.launch_as(|command| {
            command.current_dir(crashes.path());
        });
        stack.edge.ready().await;
        for alpn in ["http/1.1", "h2"] {
            let client = client.clone().alpn(&[alpn]);
            let mut http = client.visit(stack.edge.https(), "canary.test").await.unwrap().http().await.unwrap();
            for path in ["/echo", "/cut"] {
                let mut request =
                    http.request("POST", "canary.test", path, client_http::body(format!("body {secret}")));
                let value = HeaderValue::from_str(&format!("Bearer {secret}")).unwrap();
                for name in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION] {
                    request.headers_mut().insert(name, value.clone());
                }
                // The second is answered with 502 or cut off, which is what is wanted.
                let _ = http.send(request).await;
            }
        }
        stack.edge.logs("\"status\":200").await;
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", stack.edge.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        for path in ["/metrics", "/explain?hostname=canary.test", "/readyz?verbose"] {
            let answer = http_get(&format!("http://{}{path}", stack.edge.admin())).await.unwrap();
            canaries.iter().for_each(|canary| canary.assert_not_in(answer.body(), path));
        }
        // Again until it ends: Rust's own handler takes the first SIGSEGV for one that will come back.
        let ended = wait::until("the edge crashes", async || {
            let ended = stack.edge.exited();
            if ended.is_none() {
                stack.edge.signal(signal);
            }
            ended
        });
        let ended = ended.await;
        assert_eq!((ended.signal(), ended.core_dumped()), (Some(number), false));
    }
    assert_eq!(files(crashes.path()), Vec::<PathBuf>::new(), "a core file");
    let own = stack.edge.config_path();
    for file in files(own.parent().unwrap()).into_iter().filter(|file| !file.ends_with("canary.test.key")) {
        let bytes = std::fs::read(&file).unwrap();
        canaries.iter().for_each(|canary| canary.assert_not_in(&bytes, &file.display().to_string()));
    }
}

/// As a shell with `ulimit -c unlimited` would start it; where that is forbidden, cores are anyway.
fn allow_cores() {
    let own = std::process::id().to_string();
    let _ = Command::new("prlimit").args(["--pid", &own, "--core=unlimited:unlimited"]).output();
}
