//! "Did you mean": the known word nearest to an unknown one.

/// The candidate nearest to `word`, when it is near enough to be a slip of the hand rather than another word.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    // One slip in three letters, at least one, so that `ur` finds `url` and `foo` does not.
    let limit = word.chars().count().div_ceil(3).max(1);
    let distance = |candidate: &&str| strsim::osa_distance(&word, &candidate.to_ascii_lowercase());
    let scored = candidates.into_iter().map(|candidate| (distance(&candidate), candidate));
    let near = scored.filter(|(distance, candidate)| {
        // A longer or shorter form of the same word (`retry`, `retry_after`) is a likely slip as well.
        *distance <= limit || (word.len() >= 4 && (candidate.starts_with(&word) || word.starts_with(candidate)))
    });
    near.min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_found_and_other_words_are_not() {
        const KEYS: [&str; 5] = ["url", "timeout", "connect_timeout", "eab_hmac_file", "path"];
        const CASES: &[(&str, Option<&str>)] = &[
            ("ulr", Some("url")),
            ("ur", Some("url")),
            ("URL", Some("url")),
            ("timout", Some("timeout")),
            ("connect-timeout", Some("connect_timeout")),
            ("conect_timeout", Some("connect_timeout")),
            ("eab_hmac", Some("eab_hmac_file")),
            ("colour", None),
            ("", None),
        ];
        for (word, expected) in CASES {
            assert_eq!(nearest(word, KEYS), *expected, "{word}");
        }
    }
}
