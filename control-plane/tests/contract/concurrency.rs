//! Races: what must be true however requests meet.

use control_plane::core::{CoreError, CoreSettings, Looker, NewConnection, PlanLimits, Routing, UsageKind};
use futures::future::join_all;

use crate::harness::{Bench, Tenant, issued, on_both, on_both_with, pointing, proven};

/// One round: both accounts create and verify at once; whoever is second is told.
async fn race(tenants: [Tenant; 2], round: usize) {
    let hostname = format!("shop{round}.customer.com");
    let runs = tenants.into_iter().map(|tenant| {
        let hostname = hostname.clone();
        tokio::spawn(async move {
            let wish = NewConnection { hostname, takeover: true, ..NewConnection::default() };
            let made = tenant.connect_with(wish).await.unwrap();
            tenant.see(&made.claim.id, proven()).await
        })
    });
    let results: Vec<_> = join_all(runs).await.into_iter().map(Result::unwrap).collect();
    let open = results.iter().filter(|result| result.as_ref().is_ok_and(|made| made.claim.is_open())).count();
    assert_eq!(open, 1, "round {round}: {results:?}");
    let lost = results.iter().filter(|result| matches!(result, Err(CoreError::HostnameConflict { .. }))).count();
    assert_eq!(lost, 1, "round {round}");
}

async fn race_1000_rounds(bench: Bench) {
    const ROUNDS: usize = 1000;
    /// Names that are raced for at the same time, so that other names' transactions come between.
    const AT_ONCE: usize = 4;
    let tenants = [bench.tenant("a").await, bench.tenant("b").await];
    let lanes = (0..AT_ONCE).map(|lane| {
        let tenants = tenants.clone();
        tokio::spawn(async move {
            for round in (lane..ROUNDS).step_by(AT_ONCE) {
                race(tenants.clone(), round).await;
            }
        })
    });
    join_all(lanes).await.into_iter().for_each(|lane| lane.unwrap());
    // The gate says the same: each name once, each open.
    assert_eq!(bench.core.gate_count().await.unwrap(), i64::try_from(ROUNDS).unwrap());
}

/// Four thousand transactions each: nothing runs beside them.
mod alone {
    use super::race_1000_rounds;
    use crate::harness::{on_postgres, on_sqlite};

    #[test]
    fn two_accounts_racing_for_one_hostname_end_with_one_active_claim_each_of_1000_rounds_on_sqlite() {
        on_sqlite(race_1000_rounds);
    }

    #[test]
    fn two_accounts_racing_for_one_hostname_end_with_one_active_claim_each_of_1000_rounds_on_postgres() {
        on_postgres(race_1000_rounds);
    }
}

#[test]
fn a_quota_of_10_under_50_concurrent_creates_gives_exactly_10() {
    let settings = CoreSettings {
        default_plan: control_plane::core::Plan::Free,
        free: PlanLimits { connect: Some(10) },
        ..CoreSettings::default()
    };
    on_both_with(settings, |bench| async move {
        let tenant = bench.tenant("a").await;
        let runs = (0..50).map(|n| {
            let tenant = tenant.clone();
            tokio::spawn(async move { tenant.connect(&format!("shop{n}.customer.com")).await })
        });
        let results: Vec<_> = join_all(runs).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 10);
        let over = |result: &&Result<_, _>| matches!(result, Err(CoreError::QuotaExceeded { limit: 10, .. }));
        assert_eq!(results.iter().filter(over).count(), 40);
        let used = bench.core.usage(&tenant.caller.account_id).await.unwrap();
        assert_eq!(used.iter().find(|usage| usage.kind == UsageKind::Connect).unwrap().used, 10);
    });
}

#[test]
fn verb_worker_and_report_at_once_fire_the_pair_exactly_once() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        for round in 0..50 {
            let hostname = format!("shop{round}.customer.com");
            let id = tenant.verified(&hostname).await.claim.id;
            let look = |looker| {
                let (core, id) = (bench.core.clone(), id.clone());
                tokio::spawn(async move {
                    core.apply_check(&id, &pointing(Routing::Pointing), looker).await.map(drop).unwrap();
                })
            };
            let report = |n: u32| {
                let (core, report) = (bench.core.clone(), issued(&format!("{round}-{n}"), &hostname));
                tokio::spawn(async move { core.take_reports(&[report]).await.unwrap() })
            };
            let runs = [look(Looker::Verb), look(Looker::Worker), report(1), report(2), look(Looker::Verb)];
            join_all(runs).await.into_iter().for_each(|run| run.unwrap());
            let events = bench.core.events(&tenant.caller, 0, 1000).await.unwrap();
            let of_name: Vec<_> = events.iter().filter(|event| event.hostname.as_deref() == Some(&hostname)).collect();
            let kinds: Vec<_> = of_name.iter().map(|event| event.kind.as_str()).collect();
            assert_eq!(kinds, ["ownership.proven", "certificate.issued", "claim.live"], "round {round}");
            let numbers: Vec<_> = of_name.iter().map(|event| event.hostname_seq.unwrap()).collect();
            assert_eq!(numbers, [1, 2, 3]);
        }
    });
}

#[test]
fn the_feed_never_shows_a_change_before_an_earlier_one() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let reader = {
            let core = bench.core.clone();
            tokio::spawn(async move {
                let (mut after, mut seen) = (0, 0);
                while seen < 60 {
                    for row in core.gate_changes(after, 7).await.unwrap() {
                        assert!(row.seq > after);
                        after = row.seq;
                        seen += 1;
                    }
                    tokio::task::yield_now().await;
                }
            })
        };
        let writers = (0..60).map(|n| {
            let tenant = tenant.clone();
            tokio::spawn(async move { tenant.verified(&format!("shop{n}.customer.com")).await })
        });
        join_all(writers).await.into_iter().for_each(|run| drop(run.unwrap()));
        // Had one become visible behind the reader's back, it would never see all sixty.
        tokio::time::timeout(std::time::Duration::from_secs(30), reader).await.unwrap().unwrap();
    });
}
