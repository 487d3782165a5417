//! API keys as text: a prefix of their surface, `test` or `live`, 30 base62 characters, and 6 more of their CRC-32, as in
//! `ng_test_…`.
//!
//! The checksum lets a typo or an invented key be refused without a question to the database. Only the SHA-256 is kept:
//! 178 random bits cannot be guessed from it, so a slow hash would buy nothing.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};

use super::Environment;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM: usize = 30;
const CHECKSUM: usize = 6;

/// SHA-256 of a text.
pub(crate) fn sha256(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// The secret itself. Has no `Debug`: it is shown once, to the one who made it.
pub(crate) struct SecretKey(String);

impl SecretKey {
    /// A new one.
    pub(crate) fn generate(prefix: &str, environment: Environment) -> Self {
        let body = random_base62(RANDOM);
        let checksum = checksum(&body);
        Self(format!("{prefix}_{environment}_{body}{checksum}"))
    }

    /// A key of development. It has no checksum, so it must be known.
    pub(crate) fn demo(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Reads what a client sent; `None` for what cannot be a key of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Whose prefix it is, its hash says.
        let (_, body) = text.rsplit_once('_')?;
        let (random, sum) = body.split_at_checked(RANDOM)?;
        (sum.len() == CHECKSUM && checksum(random) == sum).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept.
    pub(crate) fn sha256(&self) -> Vec<u8> {
        sha256(&self.0)
    }

    /// The first 8 characters, for people.
    pub(crate) fn prefix(&self) -> String {
        self.0.chars().take(8).collect()
    }

    /// The last 4 characters, for people.
    pub(crate) fn last4(&self) -> String {
        self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default().to_owned()
    }
}

/// `length` random characters of the alphabet, all equally likely.
pub(crate) fn random_base62(length: usize) -> String {
    let random = SystemRandom::new();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        // The system's generator fails only where there is none at all; a weaker one would be worse than stopping.
        #[expect(clippy::expect_used, reason = "no key may ever be made without randomness")]
        random.fill(&mut bytes).expect("the system must have a random number generator");
        // 248 is the largest multiple of 62 in a byte: taking more would favour the first letters.
        let letters = bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        text.extend(letters.take(length - text.len()).map(|letter| char::from(*letter)));
    }
    text
}

fn checksum(body: &str) -> String {
    let mut rest = crc32(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// CRC-32 as in zlib; keys are short, so no table.
fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (0_u32.wrapping_sub(crc & 1))))
    };
    !bytes.iter().fold(u32::MAX, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_crc_of_zlib() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_key_with_a_typo_is_refused_without_a_question() {
        let key = SecretKey::generate("sk", Environment::Live);
        assert_eq!(key.expose().len(), "sk_live_".len() + 36);
        assert!(SecretKey::parse(key.expose()).is_some());
        let swapped = if key.expose().ends_with('a') { "b" } else { "a" };
        let typo = format!("{}{swapped}", &key.expose()[..key.expose().len() - 1]);
        assert!(SecretKey::parse(&typo).is_none());
        for text in ["", "sk_test_", "sk_live_short", "Bearer", "sk_test_demo", "sk_test_é"] {
            assert!(SecretKey::parse(text).is_none(), "{text}");
        }
    }
}
