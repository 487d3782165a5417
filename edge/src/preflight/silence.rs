//! [`Silence`]: resolvers that say nothing at all are left alone for a while.
//!
//! In a network that lets no question out, each first visit would else wait for the whole of a look's time.

use std::time::Duration;

use clock::{SharedClock, Timestamp};
use parking_lot::Mutex;

/// Looks in a row that heard nothing. Zones of strangers may be silent too, and one that answers starts the count anew.
const IN_A_ROW: u32 = 5;
/// How long nobody is asked then.
const REST: Duration = Duration::from_secs(30);

pub(super) struct Silence {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_a_row: u32,
    until: Option<Timestamp>,
}

impl Silence {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Whether nobody is to be asked now. Past the rest the next look finds out, and a single silence more is enough.
    pub(super) fn rests(&self) -> bool {
        self.state.lock().until.is_some_and(|until| self.clock.now() < until)
    }

    pub(super) fn learn(&self, is_silent: bool) {
        let mut state = self.state.lock();
        if !is_silent {
            *state = State::default();
            return;
        }
        state.in_a_row = state.in_a_row.saturating_add(1);
        if state.in_a_row >= IN_A_ROW {
            state.until = Some(self.clock.now() + REST);
            tracing::warn!(name: "preflight.silence", rest_seconds = REST.as_secs(), "no resolver of acme.preflight.resolvers answers; orders are placed without a look");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clock::ManualClock;

    use super::*;

    #[test]
    fn resolvers_that_say_nothing_are_left_alone_until_one_look_finds_out() {
        let clock = ManualClock::new(Timestamp::from_secs(1000));
        let silence = Silence::new(Arc::new(clock.clone()));
        for _ in 1..IN_A_ROW {
            silence.learn(true);
        }
        silence.learn(false);
        for _ in 1..IN_A_ROW {
            silence.learn(true);
            assert!(!silence.rests());
        }
        silence.learn(true);
        assert!(silence.rests());
        clock.advance(REST);
        assert!(!silence.rests());
        silence.learn(true);
        assert!(silence.rests(), "still nobody there");
        clock.advance(REST);
        silence.learn(false);
        silence.learn(true);
        assert!(!silence.rests());
    }
}
