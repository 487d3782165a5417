//! Large zones and many plans.

use dns::check::{DesiredRecord, RecordKind};

use crate::{
    bench::{EDGE, World, after, request, want},
    shim::ZONE,
    zone::FakeZone,
};

/// Plans per adapter in a usual run; `NAMEGATE_RANDOM_PLANS` says otherwise.
const PLANS: usize = 20;
const NAMES: [&str; 5] =
    [ZONE, "shop.customer.test", "a.shop.customer.test", "_c.shop.customer.test", "b.customer.test"];

pub(crate) async fn two_writers_of_one_zone_wait_for_each_other(w: World) {
    let (zone, one, other) = (w.zone().await, w.provider(), w.provider());
    let plans = [want("a.customer.test", RecordKind::Cname, EDGE), want("b.customer.test", RecordKind::Cname, EDGE)];
    let others = w.server.others(&[]);
    let (first, second) = (w.preview(&request(&plans[..1])).await, w.preview(&request(&plans[1..])).await);
    let (first, second) = tokio::join!(one.apply(&zone, &first), other.apply(&zone, &second));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!((w.values("a.customer.test", "CNAME").len(), w.values("b.customer.test", "CNAME").len()), (1, 1));
    assert_eq!(w.server.others(&["a.customer.test", "b.customer.test"]), others);
}

pub(crate) async fn hundreds_of_records_survive_random_plans(w: World) {
    let plans = std::env::var("NAMEGATE_RANDOM_PLANS").ok().and_then(|text| text.parse().ok()).unwrap_or(PLANS);
    w.seeds((0..500_usize).map(|number| {
        let (kind, value) = match number % 5 {
            0 => ("A", format!("192.0.2.{}", number % 250)),
            1 => ("TXT", format!("text {number} \"quoted\"; v=1")),
            2 => ("MX", format!("{} mx.other.example.", number % 100)),
            3 => ("CNAME", "elsewhere.example".to_owned()),
            _ => ("AAAA", format!("2001:db8::{number:x}")),
        };
        (format!("r{number}.customer.test"), kind, value)
    }));
    let kept = |zone: &FakeZone| w.server.others_in(zone, &NAMES);
    // The top's own records that a plan may never touch.
    let top = |zone: &FakeZone| zone.set(ZONE, "MX").len() + zone.set(ZONE, "CAA").len();
    let looked = w.server.look();
    let (others, mail) = (kept(&looked), top(&looked));
    let (zone, provider) = (w.zone().await, w.provider());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut before: Vec<DesiredRecord> = Vec::new();
    for number in 0..plans {
        let wanted = dice.plan();
        let plan = provider.preview(&zone, &after(&before, &wanted)).await.unwrap();
        assert_eq!(plan.conflicts, [], "plan {number}");
        provider.apply(&zone, &plan).await.unwrap_or_else(|failed| panic!("plan {number}: {failed:?} {wanted:?}"));
        let looked = w.server.look();
        assert_eq!(kept(&looked), others, "plan {number}: {wanted:?}");
        assert_eq!(top(&looked), mail, "plan {number}");
        holds(&w, &looked, &before, &wanted);
        before = wanted;
    }
}

/// The zone holds what is wanted and nothing of what was wanted before.
fn holds(w: &World, zone: &FakeZone, before: &[DesiredRecord], wanted: &[DesiredRecord]) {
    let there = |record: &DesiredRecord| {
        let kind = record.value.kind().as_str();
        w.server.values_in(zone, &record.host.to_string(), kind).contains(&record.value.to_string())
    };
    assert!(wanted.iter().all(there), "{wanted:?}");
    assert!(
        !before
            .iter()
            .any(|old| !wanted.iter().any(|new| new.host == old.host && new.value == old.value) && there(old))
    );
}

/// A small generator whose plans are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn plan(&mut self) -> Vec<DesiredRecord> {
        let mut all: Vec<DesiredRecord> = Vec::new();
        for name in NAMES {
            match self.roll(5) {
                // Addresses of a name with an underscore are refused by careful servers.
                1 | 3 if name.starts_with('_') => {
                    self.some(&mut all, |n| want(name, RecordKind::Txt, &format!("cd-verify-{n}")));
                }
                0 if name != ZONE => {
                    all.push(want(name, RecordKind::Cname, ["edge1.saas.example", EDGE][self.roll(2)]))
                }
                1 => self.some(&mut all, |n| want(name, RecordKind::A, &format!("198.51.100.{n}"))),
                2 => self.some(&mut all, |n| want(name, RecordKind::Txt, &format!("cd-verify-{n}"))),
                3 => {
                    self.some(&mut all, |n| want(name, RecordKind::Aaaa, &format!("2001:db8:1::{n:x}")));
                    self.some(&mut all, |n| want(name, RecordKind::Txt, &format!("cd-verify-{n}")));
                }
                _ => {}
            }
        }
        all
    }

    fn some(&mut self, all: &mut Vec<DesiredRecord>, make: impl Fn(usize) -> DesiredRecord) {
        for _ in 0..=self.roll(3) {
            let record = make(1 + self.roll(9));
            if !all.contains(&record) {
                all.push(record);
            }
        }
    }
}
