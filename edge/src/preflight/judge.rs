//! What is a definite "no", in words: the exact record, where it stands, and how to mend it. Pure.

use certs::{Applicant, Obstacle};
use dns::{
    Absence, Addresses, Answer,
    check::{caa::CaaVerdict, order::CaaSet},
};
use names::Hostname;

use super::Inside;

/// Every code, for metrics that must exist before they count.
pub(super) const CODES: [&str; 7] =
    ["caa_account", "caa_forbids", "caa_method", "dns_inside", "dns_no_address", "dns_nxdomain", "points_elsewhere"];
/// Longest list of records that is told, in characters: as much as a line of a log bears.
const LONGEST: usize = 600;

/// Whether no CA would find an address.
pub(super) fn addresses(name: &Hostname, addresses: &Answer<Addresses>, inside: &Inside) -> Option<Obstacle> {
    match addresses {
        Answer::Absent(Absence::NoName) => Some(Obstacle {
            code: "dns_nxdomain",
            found: format!("{name} does not exist in the DNS"),
            remedy: format!("Make the record that leads {name} here"),
        }),
        Answer::Absent(Absence::NoData) => Some(Obstacle {
            code: "dns_no_address",
            found: format!("{name} has neither an A nor an AAAA record, nor an alias that leads to one"),
            remedy: format!("Make the record that leads {name} here"),
        }),
        Answer::Present(found) if all_inside(found, inside) => Some(Obstacle {
            code: "dns_inside",
            found: format!(
                "{name} leads to {} alone, where no certificate authority on the Internet can look",
                list(found.addresses.iter().map(ToString::to_string))
            ),
            remedy: format!(
                "Point {name} to an address of this edge on the Internet; for a private authority set \
                 acme.preflight.checks = \"off\""
            ),
        }),
        Answer::Present(_) | Answer::Indeterminate(_) => None,
    }
}

fn all_inside(found: &Addresses, inside: &Inside) -> bool {
    let Addresses { addresses, unknown, .. } = found;
    !addresses.is_empty() && unknown.is_none() && !addresses.iter().any(|address| inside.admits(*address))
}

/// Why CAA records keep a CA from issuing.
pub(super) fn caa(name: &Hostname, set: &CaaSet, verdict: CaaVerdict, applicant: &Applicant<'_>) -> Obstacle {
    let at = &set.at;
    let ca = applicant.identities.first().map_or("the certificate authority", String::as_str);
    let shown = set.records.iter().map(|record| {
        let flags = u8::from(record.critical) << 7;
        format!("{at} CAA {flags} {} \"{}\"", record.tag, record.value)
    });
    let shown = list(shown);
    let (code, found) = match verdict {
        CaaVerdict::OtherAccount => ("caa_account", "name another account (accounturi)"),
        CaaVerdict::OtherMethod => ("caa_method", "allow other ways of validation only (validationmethods)"),
        CaaVerdict::UnknownCritical => ("caa_forbids", "hold a critical property that authorities do not know"),
        CaaVerdict::Allowed | CaaVerdict::OtherIssuer => ("caa_forbids", "do not allow it"),
    };
    let remedy = match (verdict, applicant.identities.first()) {
        (CaaVerdict::OtherAccount, Some(ca)) => {
            format!("Add {at} CAA 0 issue \"{ca}; accounturi={}\", or one without accounturi", applicant.account)
        }
        (CaaVerdict::UnknownCritical, _) => "Delete the critical one".to_owned(),
        (_, Some(ca)) => format!("Add {at} CAA 0 issue \"{ca}\", or delete the CAA records of {at}"),
        (_, None) => format!("Delete the CAA records of {at}"),
    };
    Obstacle { code, found: format!("{ca} may not issue for {name}: the CAA records of {at} {found}: {shown}"), remedy }
}

/// Somebody else is where the name leads.
pub(super) fn elsewhere(name: &Hostname, seen: &[String]) -> Obstacle {
    let seen = list(seen.iter().cloned());
    Obstacle {
        code: "points_elsewhere",
        found: format!("another server answers for {name}: {seen}"),
        remedy: format!(
            "Point the A, AAAA or CNAME record of {name} to this edge; where it does and this edge cannot see itself, set \
             acme.preflight.checks = \"dns\""
        ),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let all = items.collect::<Vec<_>>().join(", ");
    match all.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", all.get(..end).unwrap_or_default()),
        None => all,
    }
}

#[cfg(test)]
mod tests {
    use certs::ChallengeKind;
    use dns::{CaaRecord, Reason};

    use super::*;

    fn name() -> Hostname {
        "shop.example".parse().unwrap()
    }

    fn leads_to(addresses: &[&str], unknown: Option<Reason>) -> Answer<Addresses> {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Answer::Present(Addresses { chain: Vec::new(), addresses, unknown })
    }

    #[test]
    fn only_what_is_certain_about_addresses_is_an_obstacle() {
        let open = |networks: &[&str]| Inside {
            all: false,
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        };
        let none = open(&[]);
        let cases: &[(Answer<Addresses>, &Inside, Option<&str>)] = &[
            (Answer::Absent(Absence::NoName), &none, Some("dns_nxdomain")),
            (Answer::Absent(Absence::NoData), &none, Some("dns_no_address")),
            (Answer::Indeterminate(Reason::ServFail), &none, None),
            (Answer::Indeterminate(Reason::Timeout), &none, None),
            (leads_to(&["1.1.1.1"], None), &none, None),
            (leads_to(&["10.0.0.1"], None), &none, Some("dns_inside")),
            (leads_to(&["169.254.169.254", "fd00::1", "::ffff:10.0.0.1"], None), &none, Some("dns_inside")),
            (leads_to(&["10.0.0.1", "1.1.1.1"], None), &none, None),
            (leads_to(&["10.0.0.1"], Some(Reason::Timeout)), &none, None),
            (leads_to(&[], Some(Reason::Timeout)), &none, None),
            (leads_to(&["10.0.0.1"], None), &open(&["10.0.0.0/8"]), None),
            (leads_to(&["::ffff:10.0.0.1"], None), &open(&["10.0.0.0/8"]), None),
            (leads_to(&["10.0.0.1"], None), &open(&["10.1.0.0/16"]), Some("dns_inside")),
        ];
        for (answer, inside, code) in cases {
            assert_eq!(addresses(&name(), answer, inside).map(|found| found.code), *code, "{answer:?}");
        }
        assert_eq!(addresses(&name(), &leads_to(&["10.0.0.1"], None), &Inside { all: true, networks: vec![] }), None);
    }

    #[test]
    fn a_caa_obstacle_names_the_records_as_a_zone_file_has_them_and_where_they_stand() {
        let record = |critical, tag: &str, value: &str| CaaRecord { critical, tag: tag.into(), value: value.into() };
        let records = vec![record(false, "issue", "other.example"), record(true, "future", "1")];
        let set = CaaSet { at: "example".parse().unwrap(), records };
        let identities = ["ca.example".to_owned()];
        let methods = [ChallengeKind::Http01];
        let applicant = Applicant { identities: &identities, account: "https://ca.example/acct/1", methods: &methods };
        let text = |verdict| caa(&name(), &set, verdict, &applicant).to_string();
        assert_eq!(
            text(CaaVerdict::OtherIssuer),
            "ca.example may not issue for shop.example: the CAA records of example do not allow it: example CAA 0 issue \
             \"other.example\", example CAA 128 future \"1\". Add example CAA 0 issue \"ca.example\", or delete the CAA \
             records of example"
        );
        assert!(text(CaaVerdict::OtherAccount).contains("ca.example; accounturi=https://ca.example/acct/1"));
        let nameless = Applicant { identities: &[], ..applicant };
        let text = caa(&name(), &set, CaaVerdict::OtherIssuer, &nameless).to_string();
        assert!(text.ends_with("Delete the CAA records of example"), "{text}");
    }

    #[test]
    fn a_zone_with_a_thousand_records_makes_no_page() {
        let seen: Vec<_> = (0..1000).map(|n| format!("192.0.2.{n} answers 404")).collect();
        assert!(elsewhere(&name(), &seen).to_string().len() < LONGEST + 300);
    }
}
