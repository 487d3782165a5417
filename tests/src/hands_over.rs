//! Stopping and upgrading without a failed request.

use std::{process::ExitStatus, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use test_support::{
    Kind, Rival,
    client::{
        WebSocket,
        frames::{ACK, END_STREAM, Ended, Frame, kind},
        http as client_http,
    },
    wait,
};

use crate::stack::{Issuing, Proxying, load::Load};

#[tokio::test]
async fn a_graceful_stop_lets_requests_in_flight_end() {
    let mut stack = Proxying::start().await;
    stack.origin.hold();
    let mut slow = stack.client().visit(stack.edge.https(), "slow.test").await.unwrap().http().await.unwrap();
    let request = tokio::spawn(async move { slow.get("slow.test", "/hold").await });
    stack.origin.reached(1).await;
    stack.edge.signal("TERM");
    stack.edge.logs("draining").await;
    let address = stack.edge.https();
    wait::until("nothing is accepted any more", async || {
        tokio::net::TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    stack.origin.release();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    let ended = wait::until("the edge ends", async || stack.edge.exited()).await;
    assert!(ended.success());
    stack.edge.restart().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_stop() {
    let mut stack = Proxying::start_with("[limits]\ngraceful_stop = \"60s\"").await;
    let client = stack.client();
    let mut h1 = client.visit(stack.edge.https(), "idle.test").await.unwrap().http().await.unwrap();
    assert_eq!(h1.get("idle.test", "/").await.unwrap().status(), StatusCode::OK);
    let h2 = client.alpn(&["h2"]);
    let mut h2 = h2.visit(stack.edge.https(), "idle.test").await.unwrap().http().await.unwrap();
    assert_eq!(h2.get("idle.test", "/").await.unwrap().status(), StatusCode::OK);
    let stopped = tokio::time::timeout(Duration::from_secs(50), stack.edge.terminate()).await;
    assert!(stopped.expect("idle connections are closed at once").success());
}

#[tokio::test]
async fn upgrades_under_load_fail_no_request() {
    let mut stack = Proxying::start().await;
    assert_eq!(stack.get("up.test", "/").await.unwrap().status(), StatusCode::OK);
    let load = Load::on(&stack, "up.test");
    for _ in 0..3 {
        let before = load.answered();
        let old = stack.edge.upgrade().await;
        let ended = wait::until("the old process ends", async || old.exited()).await;
        assert!(ended.success());
        load.until_answered(before + 300).await;
    }
    assert!(load.stop().await >= 900);
}

#[tokio::test]
async fn an_upgrade_that_fails_to_start_leaves_the_old_process_serving() {
    let mut stack = Proxying::start_with("[limits]\nupgrade_wait = \"2s\"").await;
    let good = std::fs::read_to_string(stack.edge.config_path()).unwrap();
    std::fs::write(stack.edge.config_path(), "nonsense").unwrap();
    stack.edge.signal("QUIT");
    assert_eq!(stack.edge.command(&["run", "--upgrade"]).await.code, 1);
    stack.edge.logs("no new process took over").await;
    std::fs::write(stack.edge.config_path(), good).unwrap();
    assert_eq!(stack.get("still.test", "/").await.unwrap().status(), StatusCode::OK);
    assert!(stack.edge.terminate().await.success());
}

#[tokio::test]
async fn a_stop_is_heard_while_sockets_are_offered() {
    let mut stack = Proxying::start_with("[limits]\nupgrade_wait = \"1h\"").await;
    stack.edge.signal("QUIT");
    stack.edge.logs("offering the listening sockets").await;
    assert!(stack.edge.terminate().await.success());
}

#[tokio::test]
async fn readiness_goes_before_the_listeners_do() {
    let stack = Issuing::start().await;
    stack.origin.hold();
    let mut slow = stack.client();
    slow = slow.alpn(&["http/1.1"]);
    let mut http = slow.visit(stack.edge.https(), "drain.test").await.unwrap().http().await.unwrap();
    let request = tokio::spawn(async move { http.get("drain.test", "/hold").await });
    stack.origin.reached(1).await;
    stack.edge.signal("TERM");
    let ready = format!("http://{}/readyz", stack.edge.admin());
    wait::until("readiness is gone while the drain goes on", async || {
        client_http::get(&ready).await.is_ok_and(|response| response.status() == 503).then_some(())
    })
    .await;
    stack.origin.release();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(stack.proxy.accepted(Kind::NewOrder), 1);
}

/// Says something through a WebSocket and hears it again.
async fn echoes(socket: &mut WebSocket) {
    socket.send("still there?".into()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "still there?");
}

async fn websocket(stack: &Proxying, name: &str) -> WebSocket {
    let visit = stack.client().visit(stack.edge.https(), name).await.unwrap();
    let mut socket = visit.websocket(name, "/ws").await.unwrap();
    echoes(&mut socket).await;
    socket
}

#[tokio::test]
async fn an_h2_connection_gets_goaway_twice_and_its_stream_is_answered() {
    let stack = Proxying::start_with("[limits]\ngraceful_stop = \"10m\"").await;
    stack.origin.hold();
    let mut frames = stack.frames("away.test", &[]).await;
    frames.send(&Frame::get(1, "away.test", "/hold")).await.unwrap();
    stack.origin.reached(1).await;
    stack.edge.signal("TERM");
    // First one that promises to take whatever is on its way (RFC 9113 section 6.8), and a PING that tells when it came.
    let first = frames.until(kind::GOAWAY).await.unwrap();
    assert_eq!((&first.payload[..4], first.error_code()), (&[0x7f, 0xff, 0xff, 0xff][..], Some(0)));
    let ping = frames.until(kind::PING).await.unwrap();
    // A request that crossed the GOAWAY is served.
    frames
        .send(&Frame::headers(3, END_STREAM, &test_support::client::frames::request("GET", "away.test", "/bytes/3")))
        .await
        .unwrap();
    assert_eq!(frames.outcome(3).await, Ended::Status(200));
    frames.send(&Frame::new(kind::PING, ACK, 0, ping.payload)).await.unwrap();
    let last = frames.until(kind::GOAWAY).await.unwrap();
    assert_eq!((&last.payload[..4], last.error_code()), (&[0, 0, 0, 3][..], Some(0)));
    stack.origin.release();
    assert_eq!(frames.outcome(1).await, Ended::Status(200));
    assert!(frames.ends_in_order().await);
    assert!(wait::until("the edge ends", async || stack.edge.exited()).await.success());
}

#[tokio::test]
async fn what_is_open_at_the_end_of_a_drain_ends_in_order() {
    let stack = Proxying::start_with("[limits]\ngraceful_stop = \"500ms\"").await;
    stack.origin.hold();
    let mut socket = websocket(&stack, "end.test").await;
    let mut frames = stack.frames("end.test", &[]).await;
    frames.send(&Frame::get(1, "end.test", "/hold")).await.unwrap();
    stack.origin.reached(1).await;
    let mut h1 = stack.client().alpn(&["http/1.1"]).visit(stack.edge.https(), "end.test").await.unwrap().raw();
    h1.send(b"GET /hold HTTP/1.1\r\nHost: end.test\r\n\r\n").await.unwrap();
    stack.origin.reached(2).await;
    stack.edge.signal("TERM");
    let goaway = frames.until(kind::GOAWAY).await.unwrap();
    assert_eq!(goaway.error_code(), Some(0));
    assert!(frames.ends_in_order().await, "HTTP/2 has had its GOAWAY");
    // No frame of the origin's was cut in two, and what is below says that this is the end.
    let end = socket.next().await;
    assert!(matches!(&end, Some(Err(error)) if error.to_string().contains("without closing handshake")), "{end:?}");
    assert!(wait::until("the edge ends", async || stack.edge.exited()).await.success());
    stack.edge.logs("connections were cut at the end of the grace period").await;
    let line = stack.access_line(101).await;
    assert_eq!(line["request"]["uri"], "/ws", "the tunnel has its line: {line}");
}

/// The old process serves, whatever became of the one that was to follow it.
async fn serves_on(stack: &Proxying, name: &str) {
    stack.edge.logs("no new process took over").await;
    assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
}

async fn ended(rival: &Rival) -> ExitStatus {
    wait::until("the new process ends", async || rival.exited()).await
}

#[tokio::test]
async fn a_new_process_that_ends_while_it_starts_leaves_the_old_one_serving() {
    let mut stack = Proxying::start_with("[limits]\nupgrade_wait = \"10m\"").await;
    assert_eq!(stack.get("still.test", "/").await.unwrap().status(), StatusCode::OK);
    // It takes the sockets, and cannot have one more.
    let taken = std::net::TcpListener::bind((stack.host.ip(), 0)).unwrap();
    let (https, more) = (stack.edge.https(), taken.local_addr().unwrap());
    stack.edge.configure(|options| {
        *options = options.clone().set(&format!("[listen]\nhttps = [\"{https}\", \"{more}\"]"));
    });
    stack.edge.signal("QUIT");
    let rival = stack.edge.rival();
    assert!(!ended(&rival).await.success());
    serves_on(&stack, "still.test").await;
    assert!(stack.edge.terminate().await.success());
}

#[tokio::test]
async fn a_new_process_that_hangs_while_it_starts_leaves_the_old_one_serving() {
    for late in [false, true] {
        let mut stack = Proxying::start_with("[limits]\nupgrade_wait = \"2s\"").await;
        assert_eq!(stack.get("still.test", "/").await.unwrap().status(), StatusCode::OK);
        // Reading a pipe lasts until somebody has written to it: a disk that does not answer.
        let root = stack.edge.storage().join("pki/namegate/root.key");
        let key = std::fs::read(&root).unwrap();
        std::fs::remove_file(&root).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&root).status().unwrap().success());
        stack.edge.signal("QUIT");
        let rival = stack.edge.rival();
        serves_on(&stack, "still.test").await;
        assert!(rival.exited().is_none());
        match late {
            // It is ready after all, when nobody waits for it any more: there are never two.
            true => {
                let written = tokio::task::spawn_blocking(move || std::fs::write(root, key));
                written.await.unwrap().unwrap();
                assert!(!ended(&rival).await.success());
                stack.edge.logs("has stopped waiting and serves on").await;
            }
            false => rival.kill9(),
        }
        assert_eq!(stack.get("still.test", "/").await.unwrap().status(), StatusCode::OK);
        assert!(stack.edge.terminate().await.success());
    }
}

mod alone {
    use super::*;

    const SOCKETS: usize = 100;
    const STREAMS: usize = 200;
    const REQUESTS: usize = 30_000;

    #[tokio::test]
    async fn an_upgrade_among_tunnels_streams_and_thirty_thousand_requests_fails_none() {
        let mut stack = Proxying::start_with("[limits]\ngraceful_stop = \"10m\"").await;
        assert_eq!(stack.get("up.test", "/").await.unwrap().status(), StatusCode::OK);
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            sockets.push(websocket(&stack, "up.test").await);
        }
        stack.origin.hold();
        let mut streams = Vec::new();
        for _ in 0..4 {
            let mut frames = stack.frames("up.test", &[]).await;
            for n in 0..STREAMS as u32 / 4 {
                frames.send(&Frame::get(2 * n + 1, "up.test", "/hold")).await.unwrap();
            }
            streams.push(frames);
        }
        stack.origin.reached(STREAMS).await;
        let load = Load::on(&stack, "up.test");
        load.until_answered(REQUESTS / 3).await;
        let old = stack.edge.upgrade().await;
        load.until_answered(REQUESTS / 3 * 2).await;
        for socket in &mut sockets {
            echoes(socket).await;
        }
        assert!(old.exited().is_none(), "the old process has tunnels and streams");
        stack.origin.release();
        for frames in &mut streams {
            let mut answered = 0;
            while let Some(frame) = frames.next().await {
                assert_ne!(frame.kind, kind::RST_STREAM);
                answered += usize::from(frame.kind == kind::HEADERS);
                if frame.kind == kind::PING && frame.flags & ACK == 0 {
                    frames.send(&Frame::new(kind::PING, ACK, 0, frame.payload)).await.unwrap();
                }
            }
            assert_eq!(answered, STREAMS / 4);
        }
        load.until_answered(REQUESTS).await;
        assert!(load.stop().await >= REQUESTS);
        for mut socket in sockets {
            socket.close(None).await.unwrap();
            while socket.next().await.is_some_and(|message| message.is_ok()) {}
        }
        assert!(wait::until("the old process ends", async || old.exited()).await.success());
    }
}
