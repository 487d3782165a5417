//! [`Ways`]: which challenge to try first.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::ChallengeKind;

/// How often each challenge type proved control and how often it did not, since the process started.
#[derive(Default)]
pub(super) struct Ways {
    http: Record,
    alpn: Record,
}

#[derive(Default)]
struct Record {
    won: AtomicU32,
    lost: AtomicU32,
}

impl Record {
    /// Share of successes by Laplace's rule, in thousandths: an untried type stands at one half.
    fn score(&self) -> u64 {
        let (won, lost) = (u64::from(self.won.load(Ordering::Relaxed)), u64::from(self.lost.load(Ordering::Relaxed)));
        1000 * (won + 1) / (won + lost + 2)
    }
}

impl Ways {
    /// Both types, the more successful one first; TLS-ALPN-01 when equal, as it needs one port less.
    pub(super) fn order(&self) -> [ChallengeKind; 2] {
        match self.http.score() > self.alpn.score() {
            true => [ChallengeKind::Http01, ChallengeKind::TlsAlpn01],
            false => [ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
        }
    }

    pub(super) fn won(&self, kind: ChallengeKind) {
        if let Some(record) = self.record(kind) {
            record.won.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn lost(&self, kind: ChallengeKind) {
        if let Some(record) = self.record(kind) {
            record.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A record in the DNS is chosen by the name, not by past success.
    fn record(&self, kind: ChallengeKind) -> Option<&Record> {
        match kind {
            ChallengeKind::Dns01 => None,
            ChallengeKind::Http01 => Some(&self.http),
            ChallengeKind::TlsAlpn01 => Some(&self.alpn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChallengeKind::{Http01, TlsAlpn01};

    #[test]
    fn the_type_that_worked_more_often_is_tried_first() {
        let ways = Ways::default();
        assert_eq!(ways.order(), [TlsAlpn01, Http01]);
        ways.lost(TlsAlpn01);
        assert_eq!(ways.order(), [Http01, TlsAlpn01]);
        for _ in 0..9 {
            ways.won(TlsAlpn01);
        }
        assert_eq!(ways.order(), [TlsAlpn01, Http01]);
        ways.won(Http01);
        ways.lost(Http01);
        assert_eq!(ways.order(), [TlsAlpn01, Http01]);
    }
}
