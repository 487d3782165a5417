use std::task::{Context, Waker};

use super::*;

pub(super) const LIMITS: FairLimits = FairLimits {
    address_connections: 3,
    address_handshakes: 2,
    address_rate: Rate::per_second(10),
    handshakes: 6,
    rate: Rate::per_second(20),
};

fn fair() -> Arc<Fair> {
    Fair::new(&Registry::new()).unwrap()
}

fn address(text: &str) -> Option<Address> {
    Some(text.parse::<IpAddr>().unwrap().into())
}

#[test]
fn an_ipv6_network_of_64_bits_is_one_address() {
    assert_eq!(address("2001:db8:0:1::1"), address("2001:db8:0:1:ffff::2"));
    assert_ne!(address("2001:db8:0:1::1"), address("2001:db8:0:2::1"));
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    assert_ne!(address("::1"), address("0.0.0.0"));
}

#[test]
fn an_address_has_its_connections_and_its_handshakes_and_gives_them_back() {
    let fair = fair();
    let one = fair.seat(address("192.0.2.1"), &LIMITS).unwrap();
    let two = fair.seat(address("192.0.2.1"), &LIMITS).unwrap();
    assert_eq!(fair.seat(address("192.0.2.1"), &LIMITS).unwrap_err(), Refused::AddressHandshakes);
    one.secured(false, &LIMITS);
    one.secured(false, &LIMITS);
    two.end_handshake();
    let three = fair.seat(address("192.0.2.1"), &LIMITS).unwrap();
    assert_eq!(fair.seat(address("192.0.2.1"), &LIMITS).unwrap_err(), Refused::AddressConnections);
    let other = fair.seat(address("192.0.2.2"), &LIMITS).unwrap();
    drop(three);
    let three = fair.seat(address("192.0.2.1"), &LIMITS).unwrap();
    drop((one, two, three, other));
    assert_eq!((fair.counts.len(), fair.crowd.len(), fair.metrics.handshakes.get()), (0, 0, 0));
}

#[test]
fn handshakes_of_everybody_are_bounded_and_trusted_balancers_count_there_only() {
    let fair = fair();
    let seats: Vec<_> = (0..6).map(|_| fair.seat(None, &LIMITS).unwrap()).collect();
    assert_eq!(fair.seat(None, &LIMITS).unwrap_err(), Refused::Handshakes);
    assert_eq!(fair.seat(address("192.0.2.1"), &LIMITS).unwrap_err(), Refused::Handshakes);
    assert_eq!(fair.counts.len(), 0, "a refused address leaves no trace");
    seats.iter().for_each(|seat| seat.end_handshake());
    fair.seat(address("192.0.2.1"), &LIMITS).unwrap();
}

#[tokio::test(start_paused = true)]
async fn handshakes_a_second_are_bounded_for_one_address_and_for_everybody() {
    let fair = fair();
    let begin = |address, count| {
        let begun = (0..count).map(|_| fair.seat(address, &LIMITS).unwrap().begin_handshake(&LIMITS));
        begun.filter_map(Result::err).collect::<Vec<_>>()
    };
    assert_eq!(begin(address("192.0.2.1"), 22), [Refused::AddressHandshakeRate; 2]);
    assert_eq!(begin(address("192.0.2.2"), 20), []);
    assert_eq!(begin(address("192.0.2.3"), 1), [Refused::HandshakeRate]);
    tokio::time::advance(std::time::Duration::from_millis(100)).await;
    assert_eq!(begin(None, 3), [Refused::HandshakeRate], "two tokens in a tenth of a second");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_handshake_costs_less() {
    let fair = fair();
    let resumed = (0..30).map(|_| {
        let seat = fair.seat(address("192.0.2.1"), &LIMITS).unwrap();
        seat.begin_handshake(&LIMITS).unwrap();
        seat.secured(true, &LIMITS);
    });
    assert_eq!(resumed.count(), 30);
}

/// Whether a visitor that does nothing is still there.
fn stays(seat: &Seat) -> bool {
    let forever = std::pin::pin!(std::future::pending::<()>());
    let waiting = std::pin::pin!(seat.unless_shed(forever));
    waiting.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[test]
fn the_longest_idle_is_asked_to_leave_and_nobody_who_is_busy() {
    let fair = fair();
    let limits = FairLimits { handshakes: 100, ..LIMITS };
    let seats: Vec<_> = (0..4)
        .map(|_| {
            fair.beat();
            fair.seat(None, &limits).unwrap()
        })
        .collect();
    (0..3).for_each(|_| fair.beat());
    let [oldest, busy, older, newest] = &seats[..] else { panic!() };
    let request = busy.begin_request();
    assert_eq!(fair.shed(1, Shortage::Memory), 1);
    assert_eq!([oldest, busy, older, newest].map(|seat| stays(seat)), [false, true, true, true]);
    assert_eq!(fair.shed(9, Shortage::Memory), 2);
    assert_eq!([busy, older, newest].map(|seat| stays(seat)), [true, false, false]);
    drop(request);
    assert_eq!(fair.shed(9, Shortage::Memory), 0, "its last words may still be on the way");
    (0..2).for_each(|_| fair.beat());
    assert_eq!(fair.shed(9, Shortage::Memory), 1);
    assert!(!stays(busy));
}

#[test]
fn those_with_the_most_requests_are_cut_and_nobody_with_a_few() {
    let fair = fair();
    let limits = FairLimits { handshakes: 100, ..LIMITS };
    let seats: Vec<_> = (0..4).map(|_| fair.seat(None, &limits).unwrap()).collect();
    let [few, many, more, idle] = &seats[..] else { panic!() };
    let begin = |seat: &Arc<Seat>, count| (0..count).map(|_| seat.begin_request()).collect::<Vec<_>>();
    let requests = [begin(few, CROWDED - 1), begin(many, CROWDED), begin(more, CROWDED + 1)];
    assert_eq!(fair.cut(1, Shortage::MemoryFull), 1);
    assert_eq!([few, many, more, idle].map(|seat| stays(seat)), [true, true, false, true]);
    assert_eq!(fair.cut(9, Shortage::MemoryFull), 1);
    assert_eq!([few, many, idle].map(|seat| stays(seat)), [true, false, true]);
    assert_eq!(fair.cut(9, Shortage::MemoryFull), 0, "nobody is cut twice");
    drop(requests);
}

#[tokio::test]
async fn who_is_asked_to_leave_is_woken() {
    let fair = fair();
    let seat = fair.seat(None, &LIMITS).unwrap();
    let ask = async {
        tokio::task::yield_now().await;
        (0..3).for_each(|_| fair.beat());
        assert_eq!(fair.shed(1, Shortage::Descriptors), 1);
    };
    let forever = std::pin::pin!(std::future::pending::<()>());
    let (left, ()) = tokio::join!(seat.unless_shed(forever), ask);
    assert_eq!(left, None);
}
