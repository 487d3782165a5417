//! Budgets against a CA that counts for itself.

use std::collections::HashMap;

use clock::{Clock as _, ManualClock};
use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Let's Encrypt's, with an account that is small enough to be used up in a test.
const LIMITS: OrderLimits = OrderLimits {
    account: Some(Rate { most: 30, per: Duration::from_secs(3 * 3600) }),
    domain: Some(Rate { most: 12, per: Duration::from_secs(7 * 24 * 3600) }),
    name: Some(Rate { most: 5, per: Duration::from_secs(7 * 24 * 3600) }),
    renewals_exempt: true,
};

struct Scene {
    clock: Arc<ManualClock>,
    budget: Budget,
}

impl Scene {
    fn new(limits: OrderLimits) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000_000_000)));
        Self { budget: Budget::new(limits, Arc::clone(&clock) as SharedClock), clock }
    }

    /// Asks and does not wait: what may be ordered within half a minute counts as refused.
    fn ask(&self, name: &str, tenant: Option<&str>, lane: Lane) -> Result<Admission<'_>, Full> {
        use futures_poll::now_or_never;
        let (name, tenant) = (name.parse().unwrap(), tenant.map(|id| id.parse().unwrap()));
        let wanted = Wanted { name: &name, tenant: tenant.as_ref(), lane };
        let full = Full { limit: Limit::Account, until: self.clock.now() };
        now_or_never(self.budget.admit(wanted)).unwrap_or(Err(full))
    }

    /// Orders new certificates until a limit is reached: how many there were, and which limit it was.
    fn order_all(&self, names: impl Iterator<Item = String>, tenant: Option<&str>) -> (usize, Option<Full>) {
        let mut count = 0;
        for name in names {
            match self.ask(&name, tenant, Lane::New) {
                Ok(admission) => drop(admission.issued()),
                Err(full) => return (count, Some(full)),
            }
            count += 1;
        }
        (count, None)
    }
}

mod futures_poll {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    pub(super) fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

/// Names each of which has a registered domain of its own.
fn domains(of: &str) -> impl Iterator<Item = String> {
    (0..).map(move |n| format!("shop.{of}{n}.example"))
}

#[test]
fn an_empty_budget_holds_new_names_and_not_exempt_renewals() {
    let scene = Scene::new(LIMITS);
    let (count, full) = scene.order_all(domains("a"), None);
    let next = scene.clock.now() + 3 * HOUR / 30;
    assert_eq!((count, full), (30, Some(Full { limit: Limit::Account, until: next })));
    for _ in 0..100 {
        assert!(scene.ask("renewed.example", None, Lane::Renewal).is_ok());
    }
    scene.clock.set(next);
    assert_eq!(scene.order_all(domains("b"), None).0, 1);
}

#[test]
fn renewals_that_are_not_exempt_have_a_bucket_of_their_own() {
    let scene = Scene::new(OrderLimits { renewals_exempt: false, ..LIMITS });
    assert_eq!(scene.order_all(domains("a"), None).0, 30);
    for n in 0..30 {
        assert!(scene.ask("renewed.example", None, Lane::Renewal).is_ok(), "{n}");
    }
    assert!(scene.ask("renewed.example", None, Lane::Retry).is_err());
}

#[test]
fn one_domain_or_one_name_takes_no_more_than_the_ca_gives_it_and_others_go_on() {
    let scene = Scene::new(LIMITS);
    let (count, full) = scene.order_all((0..).map(|n| format!("n{n}.shop.example.co.uk")), None);
    let until = scene.clock.now() + 7 * DAY / 12;
    assert_eq!((count, full), (12, Some(Full { limit: Limit::Domain, until })));
    assert_eq!(scene.order_all(["shop.other.co.uk".to_owned()].into_iter(), None), (1, None));
    // Names below a suffix of the public list are strangers to each other.
    assert_eq!(scene.order_all((0..15).map(|n| format!("n{n}.github.io")), None), (15, None));

    let scene = Scene::new(LIMITS);
    let (count, full) = scene.order_all(std::iter::repeat("again.example".to_owned()), None);
    assert_eq!((count, full.map(|full| full.limit)), (5, Some(Limit::Name)));
    // The wildcard is another name of the same domain.
    let (count, full) = scene.order_all(std::iter::repeat("*.again.example".to_owned()), None);
    assert_eq!((count, full.map(|full| full.limit)), (5, Some(Limit::Name)));
    let (count, full) = scene.order_all((0..).map(|n| format!("n{n}.again.example")), None);
    assert_eq!((count, full.map(|full| full.limit)), (2, Some(Limit::Domain)));
}

#[test]
fn what_brings_no_certificate_counts_for_the_account_alone() {
    let scene = Scene::new(LIMITS);
    for n in 0..20 {
        assert!(scene.ask("never.example", None, Lane::New).is_ok(), "{n}");
    }
    let (count, full) = scene.order_all(domains("a"), None);
    assert_eq!((count, full.map(|full| full.limit)), (10, Some(Limit::Account)));
}

#[test]
fn a_tenant_with_any_number_of_names_leaves_the_others_their_part() {
    let scene = Scene::new(LIMITS);
    // It may have what nobody else needs, down to the half.
    let (count, full) = scene.order_all(domains("flood"), Some("flood"));
    assert_eq!((count, full.map(|full| full.limit)), (15, Some(Limit::Tenant)));
    for tenant in ["one", "two"] {
        let (count, full) = scene.order_all(domains(tenant), Some(tenant));
        assert_eq!((count, full.map(|full| full.limit)), (6, Some(Limit::Tenant)), "{tenant}");
    }
    // Of whom nobody knows the tenant, the account's limit is the only one.
    assert_eq!(scene.order_all(domains("unknown"), None).0, 3);
    // It does not pay for what it took beyond its part once there is enough again.
    scene.clock.advance(3 * HOUR);
    assert_eq!(scene.order_all(domains("again"), Some("flood")).0, 15);
}

#[test]
fn what_another_process_ordered_counts_once() {
    let (ours, theirs) = (Scene::new(LIMITS), Scene::new(LIMITS));
    let mut ordered = Vec::new();
    for name in domains("a").take(10) {
        let name: Subject = name.parse().unwrap();
        let at = theirs.ask(name.as_str(), None, Lane::New).unwrap().issued().unwrap();
        ordered.push((name, at));
        theirs.clock.advance(Duration::from_secs(1));
    }
    ours.clock.set(theirs.clock.now());
    for _ in 0..3 {
        for (name, at) in &ordered {
            ours.budget.count(name, None, *at);
            // Their own come back to them, too.
            theirs.budget.count(name, None, *at);
        }
    }
    assert_eq!(ours.budget.used(), theirs.budget.used());
    assert_eq!(ours.order_all(domains("b"), None), theirs.order_all(domains("b"), None));
    ours.budget.count(&"old.example".parse().unwrap(), None, ours.clock.now() - 8 * DAY);
    assert!(!ours.budget.counts(ours.clock.now() - 8 * DAY) && ours.budget.counts(ours.clock.now() - 6 * DAY));
}

#[test]
fn without_limits_nothing_is_held_and_nothing_is_noted() {
    let scene = Scene::new(OrderLimits::default());
    for _ in 0..1000 {
        assert_eq!(scene.ask("a.example", Some("t"), Lane::New).unwrap().issued(), None);
    }
    assert_eq!(scene.budget.used(), Use { left: None, tenants: 0, domains: 0, names: 0 });
}

#[test]
fn what_is_remembered_of_orders_is_bounded() {
    let scene = Scene::new(OrderLimits { account: None, ..LIMITS });
    assert_eq!(scene.order_all(domains("a").take(150_000), None), (150_000, None));
    let used = scene.budget.used();
    assert_eq!((used.domains, used.names), (100_000, 100_000));
    // What has come back is forgotten.
    scene.clock.advance(8 * DAY);
    scene.order_all(domains("b").take(2), None);
    assert!(scene.budget.used().names <= 2, "{:?}", scene.budget.used());
}

/// The CA's own count of one thing: tokens that come back evenly.
#[derive(Clone, Copy)]
struct Reference {
    tokens: f64,
    at: Timestamp,
}

impl Reference {
    fn refill(&mut self, rate: Rate, now: Timestamp) -> &mut Self {
        let back = now.since(self.at).as_secs_f64() * f64::from(rate.most) / rate.per.as_secs_f64();
        *self = Self { tokens: (self.tokens + back).min(f64::from(rate.most)), at: now };
        self
    }
}

/// A CA that takes what its published limits allow: orders count at once, certificates when they are issued.
#[derive(Default)]
struct Ca(HashMap<String, Reference>);

impl Ca {
    fn of(&mut self, key: String, rate: Rate, now: Timestamp) -> &mut Reference {
        let full = Reference { tokens: f64::from(rate.most), at: now };
        self.0.entry(key).or_insert(full).refill(rate, now)
    }

    /// Whether it takes an order; it rounds in our favour by a thousandth of a token.
    fn order(&mut self, name: &str, domain: &str, issues: bool, now: Timestamp) -> bool {
        let [account, of_domain, of_name] = [LIMITS.account, LIMITS.domain, LIMITS.name].map(Option::unwrap);
        let keys =
            [("account".to_owned(), account), (format!("d {domain}"), of_domain), (format!("n {name}"), of_name)];
        let takes = keys.clone().into_iter().all(|(key, rate)| self.of(key, rate, now).tokens >= 0.999);
        for (key, rate) in keys.into_iter().take(if issues { 3 } else { 1 }) {
            self.of(key, rate, now).tokens -= 1.0;
        }
        takes
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ca_never_refuses_what_the_budget_lets_through(
        steps in proptest::collection::vec((0_u64..9_000, 0_usize..4, 0_usize..6, 0_usize..3, any::<bool>()), 1..300),
    ) {
        let (scene, mut ca) = (Scene::new(LIMITS), Ca::default());
        for (pause, domain, host, tenant, issues) in steps {
            scene.clock.advance(Duration::from_secs(pause / 8));
            let (domain, tenant) = (format!("d{domain}.example"), format!("t{tenant}"));
            let name = format!("h{host}.{domain}");
            if let Ok(admission) = scene.ask(&name, Some(&tenant), Lane::New) {
                if issues {
                    admission.issued();
                }
                prop_assert!(ca.order(&name, &domain, issues, scene.clock.now()));
            }
        }
    }
}
