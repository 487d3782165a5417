//! What real clients send passes unharmed: byte for byte as they sent it, whole and in pieces.
//!
//! `fixtures/http1` holds requests that were recorded from programs (its README says which and how), and some that were
//! written down from the documentation of programs that could not be run.

use std::path::PathBuf;

use test_support::Echo;

use crate::stack::Proxying;

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/http1");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "http"));
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

/// The body of a recorded request, with the framing of chunks taken off.
fn body(request: &[u8]) -> Vec<u8> {
    let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let (head, mut rest) = request.split_at(end);
    if !String::from_utf8_lossy(head).to_lowercase().contains("transfer-encoding: chunked") {
        return rest.to_vec();
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            return body;
        }
        body.extend(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

#[tokio::test]
async fn recorded_requests_are_passed_on_as_they_came() {
    let stack = Proxying::start().await;
    let fixtures = fixtures();
    assert!(fixtures.len() >= 50, "{}", fixtures.len());
    for (name, request) in fixtures {
        let text = String::from_utf8_lossy(&request).into_owned();
        let mut words = text.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        for piece in [request.len(), 7, 1] {
            let mut raw = stack.raw("a.test").await;
            for bytes in request.chunks(piece) {
                raw.send(bytes).await.unwrap();
            }
            let mut response = raw.response_to(method).await.unwrap_or_else(|| panic!("{name}: no answer"));
            if response.status == 100 {
                response = raw.response().await.unwrap();
            }
            let upgrade = name.ends_with("websocket");
            assert_eq!(
                response.status,
                if upgrade { 101 } else { 200 },
                "{name} in pieces of {piece}: {}",
                response.head
            );
            if method == "HEAD" || upgrade {
                continue;
            }
            let echo = Echo::parse(&response.body);
            assert_eq!((echo.method.as_str(), echo.target.as_str()), (method, target), "{name}");
            assert_eq!(echo.body_bytes, body(&request).len(), "{name}");
            for field in ["user-agent", "accept", "cookie", "content-type", "sec-fetch-mode", "accept-language"] {
                let sent = text.lines().find_map(|line| {
                    let (found, value) = line.split_once(':')?;
                    found.eq_ignore_ascii_case(field).then(|| value.trim())
                });
                assert_eq!(echo.header(field), sent, "{name}: {field}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_every_recorded_request() {
    let stack = Proxying::start().await;
    let mut raw = stack.raw("a.test").await;
    let ends = ["connection: close", "HTTP/1.0", "HEAD ", "Upgrade: websocket"];
    let stays = |text: &str| !ends.iter().any(|end| text.contains(end));
    let mut answered = 0;
    for (name, request) in fixtures() {
        let text = String::from_utf8_lossy(&request).replace("Connection: close", "connection: close");
        if !stays(&text) {
            continue;
        }
        raw.send(&request).await.unwrap();
        let mut response = raw.response().await.unwrap_or_else(|| panic!("{name}: no answer"));
        if response.status == 100 {
            response = raw.response().await.unwrap();
        }
        assert_eq!(response.status, 200, "{name}");
        answered += 1;
    }
    assert!(answered >= 40, "{answered}");
}
