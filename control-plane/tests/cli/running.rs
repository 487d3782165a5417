//! `run` and who supervises it.

use std::{
    os::unix::net::UnixDatagram,
    process::{Child, Stdio},
    time::Duration,
};

use test_support::wait;

use crate::harness::{Desk, Left};

/// Killed and awaited with the test.
struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        let sent = std::process::Command::new("kill").args([signal, &self.0.id().to_string()]).status();
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
