//! [`Head`]: the start of a frame, gathered from the pieces that it comes in.

use super::HEADERS;

/// A frame's header (RFC 9113 section 4.1).
const HEADER: usize = 9;
/// A dependency and a weight, which nobody follows any more (section 5.3.2).
const RANK: usize = 5;
const LONGEST: usize = HEADER + 1 + RANK;

/// The first byte of the payload says how much of its end is padding.
pub(super) const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// A frame's header, and of HEADERS also what stands before the field block: how much padding follows it, and a rank
/// (RFC 9113 section 6.2), each if its flag is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Head {
    /// Takes what it lacks from the start of `bytes`; returns how much that was.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let taken = self.fill(HEADER, bytes);
        taken + self.fill(self.size(), bytes.get(taken..).unwrap_or_default())
    }

    fn fill(&mut self, size: usize, bytes: &[u8]) -> usize {
        let free = self.bytes.get_mut(usize::from(self.len)..size).unwrap_or_default();
        let taken = free.len().min(bytes.len());
        free.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        self.len += taken as u8;
        taken
    }

    /// Of a frame that ends within what its flags promise, as much as there is.
    fn size(&self) -> usize {
        HEADER + self.before_block().min(self.length())
    }

    fn before_block(&self) -> usize {
        match self.kind() {
            HEADERS => usize::from(self.has(PADDED)) + if self.has(PRIORITY) { RANK } else { 0 },
            _ => 0,
        }
    }

    /// Whether nothing of it has come.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether all of it has come. What is said below holds from then on.
    pub(super) fn is_whole(&self) -> bool {
        usize::from(self.len) >= self.size()
    }

    /// What has come of it.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The payload's length in bytes, with what of it stands here.
    pub(super) fn length(&self) -> usize {
        let [a, b, c, ..] = self.bytes;
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    /// How much of the payload follows.
    pub(super) fn follows(&self) -> usize {
        (HEADER + self.length()).saturating_sub(usize::from(self.len))
    }

    pub(super) fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.bytes;
        kind
    }

    pub(super) fn flags(&self) -> u8 {
        let [_, _, _, _, flags, ..] = self.bytes;
        flags
    }

    /// Whether this flag is set.
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags() & flag != 0
    }

    /// The stream's number as it came, with the bit that means nothing.
    pub(super) fn stream_bytes(&self) -> [u8; 4] {
        let [_, _, _, _, _, a, b, c, d, ..] = self.bytes;
        [a, b, c, d]
    }

    /// The stream's number.
    pub(super) fn stream(&self) -> u32 {
        u32::from_be_bytes(self.stream_bytes()) & !(1 << 31)
    }
}

/// The parts of HEADERS.
pub(super) struct Parts<'a> {
    pub(super) rank: &'a [u8],
    /// Length of the field block, or of what this frame has of it, in bytes.
    pub(super) block: usize,
    pub(super) padding: usize,
}

impl Head {
    /// HEADERS taken apart; none when they are shorter than their parts, which is an error of the connection.
    pub(super) fn parts(&self) -> Option<Parts<'_>> {
        let before = self.bytes.get(HEADER..HEADER + self.before_block())?;
        let (padding, rank) = match before {
            [padding, rank @ ..] if self.has(PADDED) => (usize::from(*padding), rank),
            rank => (0, rank),
        };
        let block = self.length().checked_sub(before.len() + padding)?;
        Some(Parts { rank, block, padding })
    }
}
