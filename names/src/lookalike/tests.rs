use proptest::prelude::*;

use super::*;

use Suspicion::{Brand, Confusable, MixedScript};

fn name(text: &str) -> Hostname {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn listed(domains: &[&str]) -> Lookalikes {
    Lookalikes::new(domains.iter().copied().map(name))
}

#[test]
fn a_label_that_looks_like_another_is_told_from_one_in_a_language_of_its_own() {
    const CASES: &[(&str, &[Suspicion])] = &[
        // Cyrillic alone, Greek alone, letters of Latin that look like others.
        ("аррӏе.example", &[Confusable]),
        ("shop.соре.example", &[Confusable]),
        ("αυτο.example", &[]),
        ("ονο.example", &[Confusable]),
        ("pаypal.example", &[Confusable, MixedScript]),
        ("ıkea.example", &[Confusable]),
        ("ꜱhop.example", &[Confusable]),
        ("shop-аррӏе.example", &[Confusable, MixedScript]),
        // Scripts that no language mixes.
        ("абвabc.example", &[MixedScript]),
        ("кофе-cafe.example", &[MixedScript]),
        ("shopไทย.example", &[MixedScript]),
        ("hindi-हिन्दी.example", &[MixedScript]),
        // Scripts that languages do mix, and languages.
        ("日本語abc.example", &[]),
        ("こんにちは-abc.example", &[]),
        ("한국abc.example", &[]),
        ("中文abc.example", &[]),
        ("bücher.example", &[]),
        ("straße.example", &[]),
        ("pâtisserie.example", &[]),
        ("søren.example", &[]),
        ("læge.example", &[]),
        ("œuvre.example", &[]),
        ("кофе.example", &[]),
        ("сайт.орг", &[]),
        ("магазин.срб", &[]),
        ("עברית.example", &[]),
        ("हिन्दी.example", &[]),
        ("ᓄᓇᕗᑦ.example", &[]),
        ("i❤tacos.example", &[]),
        // ASCII is nobody's lookalike by itself.
        ("paypal.example", &[]),
        ("g00gle.example", &[]),
        ("www.a-b-c.example.com", &[]),
        ("a.b", &[]),
    ];
    for (text, expected) in CASES {
        assert_eq!(Lookalikes::default().suspicions(&name(text)), *expected, "{text}");
        let ascii = name(text).to_string();
        assert_eq!(Lookalikes::default().suspicions(&name(&ascii)), *expected, "{text} as {ascii}");
    }
}

#[test]
fn a_ligature_hides_no_letter_that_deceives() {
    assert_eq!(Lookalikes::default().suspicions(&name("cæsаr.example")), [Confusable, MixedScript]);
}

#[test]
fn the_name_of_a_listed_domain_is_found_in_every_place_and_shape() {
    let lookalikes = listed(&["paypal.com", "bank-of-x.example", "modern.de", "xn--mller-kva.de"]);
    for text in [
        "paypal.example",
        "PayPal.example",
        "paypal.com.evil.example",
        "paypal.login.example.com",
        "login.paypal.example.com",
        "paypal-secure.example",
        "secure-paypal.example",
        "my-paypal-login.shop.example",
        "paypal.de",
        "paypa1.example",
        "paypạl.example",
        "pàypal-login.example",
        "раураl.example",
        "secure.раураӏ.example",
        "bank-of-x-login.example",
        "bank-0f-x.example",
        "rnodern.example",
        "m0dern.example",
        "müller.example",
        "muller.example",
    ] {
        assert!(lookalikes.suspicions(&name(text)).contains(&Brand), "{text}");
    }
    for text in [
        "paypals.example",
        "mypaypal.example",
        "pay-pal.example",
        "bank-of.example",
        "of-x.example",
        "shop.example",
        "example.paypal",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(lookalikes.suspicions(&name(text)), [], "{text}");
    }
}

#[test]
fn a_listed_domain_is_what_it_looks_like_and_so_is_all_below_it() {
    let lookalikes = listed(&["paypal.com", "paypal.co.uk"]);
    for text in ["paypal.com", "www.paypal.com", "paypal.paypal.com", "paypal.co.uk", "paypal-shop.paypal.co.uk"] {
        assert_eq!(lookalikes.suspicions(&name(text)), [], "{text}");
    }
    for text in ["notpaypal.paypal.com.example", "paypal.com.co", "paypal.uk", "paypal-paypal.com"] {
        assert_eq!(lookalikes.suspicions(&name(text)), [Brand], "{text}");
    }
}

#[test]
fn reasons_have_words_of_their_own_in_one_order() {
    assert_eq!(Suspicion::ALL.map(Suspicion::code), ["brand", "confusable", "mixed_script"]);
    assert_eq!(listed(&["paypal.com"]).suspicions(&name("pаypal.example")), Suspicion::ALL);
}

/// What can stand for a letter: itself, a digit, a mark, another script.
const DISGUISES: &[(char, &[&str])] = &[
    ('a', &["a", "а", "à", "ạ", "α"]),
    ('e', &["e", "е", "é", "ẹ"]),
    ('i', &["i", "і", "ı", "í"]),
    ('l', &["l", "1", "ӏ", "ł"]),
    ('o', &["o", "0", "о", "ο", "ö", "ø"]),
    ('p', &["p", "р", "ρ"]),
    ('s', &["s", "ѕ", "ş"]),
    ('y', &["y", "у", "ý"]),
];

/// A word in disguise: each letter by whatever stands for it.
fn disguised(word: &'static str) -> impl Strategy<Value = String> {
    let letters = word.chars().map(|letter| {
        let ways = DISGUISES.iter().find(|(of, _)| *of == letter).map(|(_, ways)| ways.to_vec());
        prop::sample::select(ways.unwrap_or_else(|| panic!("no disguise of {letter}")))
    });
    letters.collect::<Vec<_>>().prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_disguise_hides_a_listed_name(
        word in disguised("paypal"),
        before in "([a-z]{1,8}-){0,2}",
        after in "(-[a-z]{1,8}){0,2}",
        above in "([a-z]{1,8}\\.){0,2}",
    ) {
        let lookalikes = listed(&["paypal.com"]);
        let Ok(name) = Hostname::parse(&format!("{before}{word}{after}.{above}example")) else { return Ok(()) };
        prop_assert!(lookalikes.suspicions(&name).contains(&Brand), "{}", name);
        let below = Hostname::parse(&format!("{before}{word}{after}.paypal.com")).unwrap();
        prop_assert!(!lookalikes.suspicions(&below).contains(&Brand), "{}", below);
    }

    #[test]
    fn ascii_is_suspected_of_nothing_but_a_listed_name(text in "[a-z0-9-]{1,20}(\\.[a-z0-9-]{1,12}){1,4}") {
        let Ok(name) = Hostname::parse(&text) else { return Ok(()) };
        prop_assume!(!name.as_str().contains("xn--"));
        prop_assert_eq!(Lookalikes::default().suspicions(&name), []);
    }

    #[test]
    fn any_name_is_looked_at_without_harm(text in "\\PC{1,30}(\\.\\PC{1,20}){1,3}") {
        let Ok(name) = Hostname::parse(&text) else { return Ok(()) };
        let found = listed(&["paypal.com"]).suspicions(&name);
        prop_assert!(found.is_sorted() && found.len() <= Suspicion::ALL.len());
        prop_assert!(found.is_empty() || !name.as_str().is_ascii() || name.as_str().contains("xn--") || found == [Brand]);
    }
}
