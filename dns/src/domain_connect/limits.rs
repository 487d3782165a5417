//! How much of a stranger's word is taken.

use std::time::Duration;

/// A question to a provider, with resolving, connecting and the answer. A customer waits in front of the screen.
pub(super) const REQUEST: Duration = Duration::from_secs(5);
/// Bytes of an answer. Settings are about 600 bytes; some providers answer with the whole template.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Bytes of the record at `_domainconnect`: one character-string.
pub(super) const MAX_PLACE: usize = 255;
/// Bytes of an address in the settings.
pub(super) const MAX_URL: usize = 2048;
/// Characters of a provider's name that are shown.
pub(super) const MAX_NAME: usize = 100;
/// How long settings and the word about a template are believed, good or bad: a domain that is looked at every second
/// costs its provider a request a minute.
pub(super) const MEMORY: Duration = Duration::from_mins(1);
/// Zones whose settings are remembered, about 1 KiB each.
pub(super) const MOST_REMEMBERED: u64 = 10_000;
/// Questions to providers at a time.
pub(super) const AT_A_TIME: usize = 32;
