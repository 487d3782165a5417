//! A process that ends anywhere, and answers that never come.

use dns::check::RecordKind;

use crate::{
    bench::{CHALLENGE, EDGE, HOST, World, after, cname, txt, want},
    server::Fault,
};

const OLD: &str = "z.customer.test";

fn wanted() -> dns::provider::Request {
    let old = [want(OLD, RecordKind::A, "192.0.2.10"), want(OLD, RecordKind::A, "192.0.2.11")];
    after(&old, &[cname(), txt("cd-verify-1"), txt("cd-verify-2"), want(OLD, RecordKind::A, "192.0.2.20")])
}

async fn prepared(shim: &std::sync::Arc<dyn crate::shim::Shim>) -> World {
    let w = World::new(shim).await;
    let records = [
        (HOST, "A", "203.0.113.7"),
        (HOST, "AAAA", "2001:db8::7"),
        (CHALLENGE, "TXT", "of-someone-else"),
        (OLD, "A", "192.0.2.10"),
        (OLD, "A", "192.0.2.11"),
    ];
    w.seeds(records.map(|(name, kind, value)| (name.to_owned(), kind, value.to_owned())));
    w
}

fn is_done(w: &World) {
    assert_eq!((w.values(HOST, "CNAME"), w.values(HOST, "A").len()), (vec![EDGE.to_owned()], 0));
    assert_eq!(w.values(HOST, "AAAA"), [""; 0]);
    assert_eq!(w.values(CHALLENGE, "TXT"), ["cd-verify-1", "cd-verify-2", "of-someone-else"]);
    assert_eq!(w.values(OLD, "A"), ["192.0.2.20"]);
}

/// Cuts each write once, the n-th in the n-th run.
async fn cut(w: World, fault: Fault) {
    let names = [HOST, CHALLENGE, OLD];
    for nth in 1..20 {
        let w = prepared(&w.shim).await;
        let others = w.server.others(&names);
        let (zone, plan) = (w.zone().await, w.preview(&wanted()).await);
        let (mut count, fault) = (0, fault.clone());
        w.server.faults(move |seen| {
            count += usize::from(seen.writes);
            (seen.writes && count == nth).then(|| fault.clone())
        });
        let applied = w.provider().apply(&zone, &plan).await.unwrap();
        is_done(&w);
        assert_eq!(w.server.others(&names), others, "{nth}");
        if applied.rounds == 1 {
            return;
        }
    }
    panic!("a plan of so many writes?");
}

pub(crate) async fn a_cut_before_any_write_is_completed(w: World) {
    cut(w, Fault::CutBefore).await;
}

pub(crate) async fn a_cut_after_any_write_makes_no_duplicate(w: World) {
    cut(w, Fault::CutAfter).await;
}

pub(crate) async fn killed_between_any_two_calls_the_next_run_completes_it(w: World) {
    let names = [HOST, CHALLENGE, OLD];
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        for nth in 1..40 {
            let w = prepared(&w.shim).await;
            let others = w.server.others(&names);
            let (zone, plan) = (w.zone().await, w.preview(&wanted()).await);
            let held = fault.clone();
            w.server.faults(move |seen| (seen.number == nth).then(|| held.clone()));
            let provider = w.provider();
            let ended = tokio::select! {
                applied = provider.apply(&zone, &plan) => Some(applied.unwrap()),
                // The call hangs; here the process ends.
                () = w.server.called(nth) => None,
            };
            drop(provider);
            w.server.well();
            let plan = w.preview(&wanted()).await;
            w.provider().apply(&zone, &plan).await.unwrap();
            is_done(&w);
            assert_eq!(w.server.others(&names), others, "{nth}");
            if ended.is_some() {
                break;
            }
            assert!(nth < 39, "a plan of so many calls?");
        }
    }
}
