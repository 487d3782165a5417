//! What a guarded HTTP/2 connection hands to the library, whatever room there is and however it comes; and the time that a
//! visitor has to take what is sent.

use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::metrics::Metrics;

const LIMITS: GuardLimits = GuardLimits {
    head: HeadLimits { bytes: 32 * 1024, fields: 100, target: 8 * 1024 },
    head_timeout: Duration::from_secs(10),
    write_timeout: Duration::from_secs(30),
    control_frames: 1000,
};
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const POST: &[u8] = b"\0\0\x04\x01\x04\0\0\0\x01post";
const TRAILERS: &[u8] = b"\0\0\x08\x01\x0d\0\0\0\x01\x02block\0\0";
const GIVEN: &[u8] = b"\0\0\x01\x01\x01\0\0\0\x01\x8f\0\0\x05\x09\x04\0\0\0\x01block";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0question";

fn guarded<S>(io: S) -> Guard<S> {
    Guard::http2(io, &LIMITS, Metrics::new(&Registry::new()).unwrap().cuts())
}

#[tokio::test]
async fn trailers_are_passed_on_whole_whatever_room_there_is() {
    let came = [PREFACE, POST, TRAILERS, PING, &PING[..5]].concat();
    let expected = [PREFACE, POST, GIVEN, PING, &PING[..5]].concat();
    for piece in [1, 2, 5, 1000] {
        for room in [1, 3, 10, 1000] {
            let (mut visitor, edge) = tokio::io::duplex(piece);
            let mut guard = guarded(edge);
            // Each drops its end when it is done, so that the other does not wait for it.
            let send = async {
                let sent = visitor.write_all(&came).await;
                drop(visitor);
                sent
            };
            let read = async move {
                let (mut out, mut buffer) = (Vec::<u8>::new(), vec![0; room]);
                loop {
                    match guard.read(&mut buffer).await.unwrap() {
                        0 => return out,
                        read => out.extend(&buffer[..read]),
                    }
                }
            };
            let (sent, out) = tokio::join!(send, read);
            assert_eq!(out, expected, "pieces of {piece}, room for {room}");
            sent.unwrap();
        }
    }
}

#[tokio::test]
async fn an_idle_connection_holds_no_memory_for_trailers() {
    let (mut visitor, edge) = tokio::io::duplex(1000);
    let mut guard = guarded(edge);
    visitor.write_all(&[PREFACE, POST, TRAILERS].concat()).await.unwrap();
    let mut out = vec![0; PREFACE.len() + POST.len() + GIVEN.len()];
    guard.read_exact(&mut out).await.unwrap();
    let Protocol::Http2(frames) = &mut guard.protocol else { panic!("it speaks HTTP/2") };
    assert_eq!(frames.altered().capacity(), 0);
}

/// A flush that may have a hundred parts is given its time for each of them.
#[tokio::test(start_paused = true)]
async fn whoever_takes_a_part_in_time_has_as_long_for_the_next() {
    let (edge, _visitor) = tokio::io::duplex(10);
    let mut guard = guarded(edge);
    guard.write_all(&[0; 10]).await.unwrap();
    let cut_after = async |guard: &mut Guard<tokio::io::DuplexStream>, limit| {
        let begun = Instant::now();
        let cut = tokio::time::timeout(limit, guard.write_all(b"more")).await;
        cut.is_ok().then(|| (begun.elapsed(), cut.unwrap().unwrap_err().kind()))
    };
    let nearly = LIMITS.write_timeout - Duration::from_secs(1);
    for _ in 0..5 {
        assert_eq!(cut_after(&mut guard, nearly).await, None);
        let moves = |cx: &mut Context<'_>| {
            guard.write_moves(cx);
            Poll::Ready(())
        };
        std::future::poll_fn(moves).await;
    }
    let cut = cut_after(&mut guard, LIMITS.write_timeout * 2).await;
    assert_eq!(cut, Some((LIMITS.write_timeout, io::ErrorKind::TimedOut)));
}
