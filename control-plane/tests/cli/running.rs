//! `run` and who supervises it.

use std::{
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use test_support::wait;

use crate::harness::{Desk, Left};

/// Killed and awaited with the test.
struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_service_manager_is_told_when_it_serves_and_when_it_stops() {
    let desk = Desk::sqlite();
    let manager = UnixDatagram::bind(desk.path("notify")).unwrap();
    manager.set_read_timeout(Some(wait::LIMIT)).unwrap();
    let heard = || {
        let mut bytes = [0; 256];
        let length = manager.recv(&mut bytes).expect("the manager must be told");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut command = desk.here(&["run"]);
    command.env("NOTIFY_SOCKET", desk.path("notify")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().unwrap());
    assert_eq!(heard().trim(), "READY=1");
    running.signal("-TERM");
    assert_eq!(heard().trim(), "STOPPING=1");
    let ended = wait::within(Duration::from_secs(60), || std::future::ready(running.0.try_wait().unwrap()));
    assert!(ended.await.expect("it must end").success());
}

#[tokio::test]
async fn a_new_name_that_looks_like_anothers_is_a_line_in_the_log() {
    let desk = Desk::sqlite();
    let settings = std::fs::read_to_string(desk.path("control.toml")).unwrap();
    desk.write("control.toml", &format!("{settings}[review]\nbrands = ['paypal.com']\n"));
    let app = desk.run(&["apps", "create", "Sites", "--new-account", "Acme"]).json()["id"].as_str().unwrap().to_owned();
    let key = desk.run(&["keys", "create", &app, "server", "--scope", "connections:write"]).json();
    let log = std::fs::File::create(desk.path("log")).unwrap();
    let mut command = desk.here(&["run"]);
    let _running = Running(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(desk.path("log")).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let address = wait::until("it listens", || {
        std::future::ready(lines().iter().find_map(|line| line["address"].as_str().map(str::to_owned)))
    })
    .await;
    let connect = |hostname: &str| {
        let auth = format!("Authorization: Bearer {}", key["secret"].as_str().unwrap());
        let body = serde_json::json!({"application_id": app, "hostname": hostname}).to_string();
        let args = ["-sSf", "-H", &auth, "-d", &body, &format!("http://{address}/v1/connections")];
        let left: Left = Command::new("curl").args(args).output().unwrap().into();
        left.json()
    };
    connect("shop.customer.com");
    let made = connect("pаypal.customer.com");
    let told = wait::until("it is told", || {
        let told: Vec<Value> = lines().into_iter().filter(|line| !line["review"].is_null()).collect();
        std::future::ready((!told.is_empty()).then_some(told))
    })
    .await;
    let [line] = told.as_slice() else { panic!("{told:?}") };
    let field = |name: &str| line[name].as_str().unwrap_or_default();
    assert_eq!((field("level"), field("review")), ("WARN", "brand,confusable,mixed_script"));
    assert_eq!((field("hostname"), &line["connection"]), (made["hostname"].as_str().unwrap(), &made["id"]));
}

#[test]
fn what_may_pass_by_itself_ends_with_75_and_what_does_not_with_1() {
    let desk = Desk::sqlite();
    let settings = std::fs::read_to_string(desk.path("control.toml")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    desk.write("control.toml", &settings.replace("127.0.0.1:0", &address));
    let left: Left = desk.run(&["run"]);
    assert_eq!(left.code, 75, "{left:?}");
    assert!(left.stderr.contains(&format!("cannot listen on {address}")), "{left:?}");
}
