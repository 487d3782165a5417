//! `make dev` as a newcomer meets it: start it, type what it prints, press Ctrl-C.

#![expect(clippy::unwrap_used, reason = "clippy knows only functions marked as tests; their fixtures are tests too")]

use std::{future::ready, net::TcpListener, path::Path, process::Stdio};

use test_support::wait;
use tokio::process::{Child, Command};

struct Dev {
    folder: tempfile::TempDir,
    child: Child,
    ports: [u16; 4],
}

impl Dev {
    async fn start() -> Self {
        let ports = free_ports();
        let mut dev = Self::launch(ports);
        let mut ended = None;
        let lines = wait::until("dev prints its last line", || {
            ended = dev.child.try_wait().unwrap();
            let text = dev.printed();
            ready((ended.is_some() || text.contains("https://stranger.test")).then_some(text))
        });
        let text = lines.await;
        assert!(ended.is_none(), "dev ended: {text}");
        dev
    }

    fn launch(ports: [u16; 4]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = std::fs::File::create(folder.path().join("output")).unwrap();
        let [https, http, admin, demo] = ports.map(|port| port.to_string());
        let child = Command::new(env!("CARGO_BIN_EXE_dev"))
            .envs([("NAMEGATE_DEV_HTTPS", https), ("NAMEGATE_DEV_HTTP", http)])
            .envs([("NAMEGATE_DEV_ADMIN", admin), ("NAMEGATE_DEV_DEMO", demo)])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { folder, child, ports }
    }

    fn printed(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output")).unwrap()
    }

    /// Types a printed line into a shell, in the same folder.
    async fn shell(&self, line: &str) -> (i32, String) {
        let output = Command::new("sh")
            .args(["-c", &line.replacen("curl ", "curl -sS --noproxy '*' --max-time 20 ", 1)])
            .current_dir(self.folder.path())
            .output()
            .await
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }

    async fn interrupt(&mut self) -> i32 {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
        self.child.wait().await.unwrap().code().unwrap_or(-1)
    }
}

/// Ports of 127.0.0.1 that were free a moment ago; `dev` takes them as a user's choice.
fn free_ports() -> [u16; 4] {
    let listeners: [TcpListener; 4] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap().port())
}

fn commands(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
async fn the_printed_commands_work_as_they_stand() {
    let mut dev = Dev::start().await;
    let text = dev.printed();
    let [visit, refused] = commands(&text)[..] else { panic!("two commands are printed: {text}") };
    assert!(text.trim_end().ends_with(refused), "the commands are the last lines: {text}");
    for _ in 0..2 {
        let (code, page) = dev.shell(visit).await;
        assert!(code == 0 && page.contains("<td>shop.customer.test</td>"), "{code} {page}");
    }
    let (code, error) = dev.shell(refused).await;
    assert!(code == 35 && error.contains("unrecognized name"), "{code} {error}");
    assert_eq!(dev.interrupt().await, 0);
    assert!(dev.ports.iter().all(|port| is_free(*port)), "something still listens: {:?}", dev.ports);
    assert!(Path::new(&dev.folder.path().join(".dev/edge.log")).exists());
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_way_out() {
    let ports = free_ports();
    let _taken = TcpListener::bind(("127.0.0.1", ports[0])).unwrap();
    let mut dev = Dev::launch(ports);
    assert_eq!(dev.child.wait().await.unwrap().code(), Some(1));
    let text = dev.printed();
    assert!(text.contains(&ports[0].to_string()) && text.contains("NAMEGATE_DEV_HTTPS="), "{text}");
}
