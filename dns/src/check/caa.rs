//! May our CA issue? CAA (RFC 8659) with the account and method parameters (RFC 8657), decided as the CA will.

use crate::CaaRecord;

/// How our CA knows itself and us.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaIdentity {
    /// The issuer domain names it answers to (`caaIdentities` of its directory). Empty: not known, so that only
    /// records that allow nobody are against it.
    pub domains: Vec<String>,
    /// Our account's URL there, when there is one already.
    pub account_uri: Option<String>,
    /// The validation methods that we can use (`http-01`). Empty: any.
    pub methods: Vec<String>,
}

/// What a set of CAA records means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaaVerdict {
    /// Issuance is free, or given to our CA.
    Allowed,
    /// Another account only.
    OtherAccount,
    /// By methods only that we do not use.
    OtherMethod,
    /// Other CAs only, or none.
    OtherIssuer,
    /// A critical property that no CA may ignore and ours is not known to understand.
    UnknownCritical,
}

/// Applies the nearest set of records, for a name or for a wildcard above it.
pub fn evaluate(records: &[CaaRecord], wildcard: bool, ca: &CaIdentity) -> CaaVerdict {
    if records.iter().any(|record| record.critical && !is_known(&record.tag)) {
        return CaaVerdict::UnknownCritical;
    }
    let tag = match wildcard && records.iter().any(|record| record.tag == "issuewild") {
        true => "issuewild",
        false => "issue",
    };
    let properties: Vec<_> = records.iter().filter(|record| record.tag == tag).collect();
    if properties.is_empty() {
        return CaaVerdict::Allowed;
    }
    // The most permissive property decides; of several that refuse, the one that was meant for our CA explains it.
    let verdicts = properties.into_iter().map(|property| judge(&property.value, ca));
    verdicts.min_by_key(|verdict| rank(*verdict)).unwrap_or(CaaVerdict::Allowed)
}

fn is_known(tag: &str) -> bool {
    matches!(tag, "issue" | "issuewild" | "iodef" | "issuemail" | "issuevmc" | "contactemail" | "contactphone")
}

fn rank(verdict: CaaVerdict) -> u8 {
    match verdict {
        CaaVerdict::Allowed => 0,
        CaaVerdict::OtherAccount => 1,
        CaaVerdict::OtherMethod => 2,
        CaaVerdict::OtherIssuer => 3,
        CaaVerdict::UnknownCritical => 4,
    }
}

/// `ca.example; accounturi=…; validationmethods=…`. What cannot be parsed names no issuer.
fn judge(value: &str, ca: &CaIdentity) -> CaaVerdict {
    let mut parts = value.split(';').map(str::trim);
    let issuer = parts.next().unwrap_or_default();
    let is_ours = |domain: &String| domain.eq_ignore_ascii_case(issuer);
    // Whoever our CA is, an empty issuer is not it.
    let may_be_ours = ca.domains.is_empty() && !issuer.is_empty();
    if !may_be_ours && !ca.domains.iter().any(is_ours) {
        return CaaVerdict::OtherIssuer;
    }
    for part in parts.filter(|part| !part.is_empty()) {
        let Some((tag, value)) = part.split_once('=') else { return CaaVerdict::OtherIssuer };
        let refused = refused_by(tag.trim(), value.trim(), ca);
        if refused != CaaVerdict::Allowed {
            return refused;
        }
    }
    CaaVerdict::Allowed
}

fn refused_by(tag: &str, value: &str, ca: &CaIdentity) -> CaaVerdict {
    if tag.eq_ignore_ascii_case("accounturi") && ca.account_uri.as_deref().is_some_and(|own| own != value) {
        return CaaVerdict::OtherAccount;
    }
    let mut methods = value.split(',').map(str::trim);
    let listed = methods.any(|method| ca.methods.iter().any(|own| own.eq_ignore_ascii_case(method)));
    match tag.eq_ignore_ascii_case("validationmethods") && !ca.methods.is_empty() && !listed {
        true => CaaVerdict::OtherMethod,
        false => CaaVerdict::Allowed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(text: &str) -> CaaRecord {
        let (critical, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (tag, value) = text.split_once(' ').unwrap();
        CaaRecord { critical, tag: tag.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_ca_without_a_name_is_refused_only_by_records_that_allow_nobody() {
        let verdict = |texts: &[&str]| {
            let records: Vec<_> = texts.iter().map(|text| record(text)).collect();
            evaluate(&records, false, &CaIdentity::default())
        };
        assert_eq!(verdict(&["issue ;"]), CaaVerdict::OtherIssuer);
        assert_eq!(verdict(&["issue ;", "issue digicert.com"]), CaaVerdict::Allowed);
        assert_eq!(verdict(&["issue letsencrypt.org"]), CaaVerdict::Allowed);
    }

    #[test]
    fn records_mean_what_the_ca_will_read_in_them() {
        use CaaVerdict::{Allowed, OtherAccount, OtherIssuer, OtherMethod, UnknownCritical};
        let ca = CaIdentity {
            domains: vec!["letsencrypt.org".into()],
            account_uri: Some("https://ca/acct/1".into()),
            methods: vec!["http-01".into(), "tls-alpn-01".into()],
        };
        // Records, verdict for the name, verdict for its wildcard.
        let cases: &[(&[&str], CaaVerdict, CaaVerdict)] = &[
            (&[], Allowed, Allowed),
            (&["iodef mailto:a@b.example"], Allowed, Allowed),
            (&["issue letsencrypt.org"], Allowed, Allowed),
            (&["issue LetsEncrypt.org "], Allowed, Allowed),
            (&["issue digicert.com"], OtherIssuer, OtherIssuer),
            (&["issue ;"], OtherIssuer, OtherIssuer),
            (&["issue digicert.com", "issue letsencrypt.org"], Allowed, Allowed),
            (&["issuewild ;"], Allowed, OtherIssuer),
            (&["issue ;", "issuewild letsencrypt.org"], OtherIssuer, Allowed),
            (&["issue letsencrypt.org; accounturi=https://ca/acct/1"], Allowed, Allowed),
            (&["issue letsencrypt.org; accounturi=https://ca/acct/2"], OtherAccount, OtherAccount),
            (&["issue letsencrypt.org; validationmethods=dns-01"], OtherMethod, OtherMethod),
            (&["issue letsencrypt.org; validationmethods=dns-01,http-01"], Allowed, Allowed),
            (&["issue letsencrypt.org; nonsense"], OtherIssuer, OtherIssuer),
            (&["issue notletsencrypt.org"], OtherIssuer, OtherIssuer),
            (&["!future 1", "issue letsencrypt.org"], UnknownCritical, UnknownCritical),
            (&["future 1"], Allowed, Allowed),
        ];
        for (texts, name, wildcard) in cases {
            let records: Vec<_> = texts.iter().map(|text| record(text)).collect();
            assert_eq!(evaluate(&records, false, &ca), *name, "{texts:?}");
            assert_eq!(evaluate(&records, true, &ca), *wildcard, "wildcard {texts:?}");
        }
    }

    fn ours() -> CaIdentity {
        CaIdentity {
            domains: vec!["ca.test".into(), "other.ca.test".into()],
            account_uri: Some("https://ca.test/acct/1".into()),
            methods: vec!["http-01".into()],
        }
    }

    /// Sets as they may be found: known and unknown tags, values that mean something and such that do not.
    fn sets() -> impl Strategy<Value = Vec<CaaRecord>> {
        let tag = "issue|issuewild|iodef|issuemail|future";
        let value = "(ca\\.test|CA\\.test|other\\.test|notca\\.test|)( ?; ?(accounturi=https://ca\\.test/acct/[12]|validationmethods=(dns-01|http-01|dns-01,http-01)|x=1|nonsense)){0,2};?";
        let record = (any::<bool>(), tag, value).prop_map(|(critical, tag, value)| CaaRecord { critical, tag, value });
        prop::collection::vec(record, 0..5)
    }

    proptest! {
        #[test]
        fn a_record_for_our_ca_allows_it_beside_whatever_stands_there(mut set in sets()) {
            let unknown = set.iter().any(|record| record.critical && record.tag == "future");
            set.push(record("issue Ca.Test"));
            let verdict = evaluate(&set, false, &ours());
            prop_assert_eq!(verdict, if unknown { CaaVerdict::UnknownCritical } else { CaaVerdict::Allowed });
        }

        #[test]
        fn the_order_of_records_means_nothing(set in sets(), wildcard: bool) {
            let turned: Vec<_> = set.iter().rev().cloned().collect();
            prop_assert_eq!(evaluate(&set, wildcard, &ours()), evaluate(&turned, wildcard, &ours()));
        }

        #[test]
        fn only_issue_and_what_nobody_knows_speak_about_a_name(set in sets()) {
            let speaks = |record: &&CaaRecord| record.tag == "issue" || record.tag == "future";
            let heard: Vec<_> = set.iter().filter(speaks).cloned().collect();
            prop_assert_eq!(evaluate(&set, false, &ours()), evaluate(&heard, false, &ours()));
        }

        #[test]
        fn a_set_that_names_somebody_else_alone_refuses(values in prop::collection::vec("[b-z]{1,8}\\.test(; ?x=1)?", 1..4)) {
            let set: Vec<_> = values.iter().map(|value| record(&format!("issue {value}"))).collect();
            let others = values.iter().all(|value| !value.starts_with("ca.test"));
            prop_assert_eq!(evaluate(&set, false, &ours()) == CaaVerdict::OtherIssuer, others);
        }
    }
}
