//! The state of a connection as this API says it: a projection of the facets, kept nowhere.

use crate::core::{CertificateState, Claim, Deadline, DnsWrite, FacetQuery, Lifecycle, Ownership, Routing};

/// Every word.
pub(crate) const WORDS: [&str; 12] = [
    "created",
    "pending_ownership",
    "verifying",
    "verified",
    "dns_writing",
    "propagating",
    "issuing_cert",
    "live",
    "drifted",
    "stalled",
    "failed",
    "archived",
];

/// Not ours to write, or not any more.
const BY_HAND: &[DnsWrite] = &[DnsWrite::None, DnsWrite::Failed];
/// Written by us.
const WRITTEN: &[DnsWrite] = &[DnsWrite::Done];
/// We are not writing.
const SETTLED: &[DnsWrite] = &[DnsWrite::None, DnsWrite::Done, DnsWrite::Failed];
/// Not looked at, or without an address.
const NOWHERE: &[Routing] = &[Routing::Unknown, Routing::NotResolving];

/// The word of a claim.
pub fn state_word(claim: &Claim) -> &'static str {
    match (claim.lifecycle, claim.deadline, claim.ownership) {
        (Lifecycle::Archived, ..) => "archived",
        (Lifecycle::Failed, ..) => "failed",
        (_, Deadline::Passed, _) => "stalled",
        (_, _, Ownership::Unproven) => of_unproven(claim, "pending_ownership"),
        (_, _, Ownership::Seen) => of_unproven(claim, "verifying"),
        (_, _, Ownership::Proven) => of_proven(claim),
    }
}

/// Nobody waits for an owner while we write. The gate does: it opens when what we wrote is seen.
fn of_unproven(claim: &Claim, by_hand: &'static str) -> &'static str {
    match claim.dns_write {
        DnsWrite::Writing => "dns_writing",
        DnsWrite::Done => "propagating",
        DnsWrite::Failed | DnsWrite::None => by_hand,
    }
}

fn of_proven(claim: &Claim) -> &'static str {
    let was_live = claim.live_at.is_some();
    let has_ended = claim.certificate == CertificateState::Expired;
    match claim.routing {
        _ if claim.dns_write == DnsWrite::Writing => "dns_writing",
        Routing::Pointing if !was_live => "issuing_cert",
        Routing::Pointing if !has_ended => "live",
        _ if was_live => "drifted",
        Routing::Wrong => "propagating",
        _ if claim.dns_write == DnsWrite::Done => "propagating",
        Routing::NotResolving | Routing::Pointing | Routing::Unknown => "verified",
    }
}

/// The facets that a word stands for; `None` when it is not a word.
pub(crate) fn facets_of(word: &str) -> Option<Vec<FacetQuery>> {
    let any = FacetQuery::default;
    let active = || FacetQuery { lifecycle: Some(Lifecycle::Active), stalled: Some(false), ..any() };
    let by_hand = |ownership| FacetQuery { ownership: Some(ownership), dns_write: BY_HAND, ..active() };
    let proven = || FacetQuery { ownership: Some(Ownership::Proven), dns_write: SETTLED, ..active() };
    let new = |routing, dns_write| FacetQuery { routing, was_live: Some(false), dns_write, ..proven() };
    Some(match word {
        "archived" => vec![FacetQuery { lifecycle: Some(Lifecycle::Archived), ..any() }],
        "failed" => vec![FacetQuery { lifecycle: Some(Lifecycle::Failed), ..any() }],
        "stalled" => vec![FacetQuery { stalled: Some(true), lifecycle: Some(Lifecycle::Active), ..any() }],
        "pending_ownership" => vec![by_hand(Ownership::Unproven)],
        "verifying" => vec![by_hand(Ownership::Seen)],
        "dns_writing" => vec![FacetQuery { dns_write: &[DnsWrite::Writing], ..active() }],
        "verified" => vec![new(NOWHERE, BY_HAND)],
        "propagating" => {
            let unproven = [Ownership::Unproven, Ownership::Seen];
            let mut all = vec![new(&[Routing::Wrong], SETTLED), new(NOWHERE, WRITTEN)];
            all.extend(unproven.map(|ownership| FacetQuery { dns_write: WRITTEN, ..by_hand(ownership) }));
            all
        }
        "issuing_cert" => vec![new(&[Routing::Pointing], SETTLED)],
        "live" => {
            vec![FacetQuery { routing: &[Routing::Pointing], was_live: Some(true), expired: Some(false), ..proven() }]
        }
        "drifted" => vec![
            FacetQuery {
                routing: &[Routing::Unknown, Routing::NotResolving, Routing::Wrong],
                was_live: Some(true),
                ..proven()
            },
            FacetQuery { routing: &[Routing::Pointing], was_live: Some(true), expired: Some(true), ..proven() },
        ],
        // A claim waits for its owner as soon as it is made.
        "created" => vec![FacetQuery {
            lifecycle: Some(Lifecycle::Active),
            stalled: Some(true),
            ownership: Some(Ownership::Seen),
            ..any()
        }],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Environment, Flag, Kind, Moment, Preflight, SetupType, Surface};

    fn claim() -> Claim {
        let now = Moment::from_millis(1_000);
        Claim {
            id: String::new(),
            account_id: String::new(),
            application_id: String::new(),
            environment: Environment::Test,
            surface: Surface::ConnectDomain,
            hostname: names::Hostname::parse("shop.customer.com").unwrap(),
            kind: Kind::Subdomain,
            setup_type: SetupType::Manual,
            provider: None,
            batch_id: None,
            origin: None,
            keep_host: Flag(false),
            redirect: None,
            ownership: Ownership::Unproven,
            routing: Routing::Unknown,
            preflight: Preflight::Unknown,
            dns_write: DnsWrite::None,
            certificate: CertificateState::None,
            lifecycle: Lifecycle::Active,
            deadline: Deadline::Running,
            deadline_at: None,
            reason: None,
            error_code: None,
            proof: None,
            verified_at: None,
            pointing_at: None,
            live_at: None,
            drift_since: None,
            absent_streak: 0,
            check_count: 0,
            last_checked_at: None,
            next_check_at: None,
            next_attempt_at: None,
            generation: 0,
            version: 1,
            created_at: now,
            updated_at: now,
            archived_at: None,
            write_since: None,
            written_at: None,
        }
    }

    /// Every claim that there can be, as far as a state word cares.
    fn every_claim() -> Vec<Claim> {
        let mut all = vec![claim()];
        let mut vary = |make: &dyn Fn(&Claim) -> Vec<Claim>| all = all.iter().flat_map(make).collect();
        vary(&|c| Lifecycle::ALL.iter().map(|&lifecycle| Claim { lifecycle, ..c.clone() }).collect());
        vary(&|c| Deadline::ALL.iter().map(|&deadline| Claim { deadline, ..c.clone() }).collect());
        vary(&|c| Ownership::ALL.iter().map(|&ownership| Claim { ownership, ..c.clone() }).collect());
        vary(&|c| DnsWrite::ALL.iter().map(|&dns_write| Claim { dns_write, ..c.clone() }).collect());
        vary(&|c| Routing::ALL.iter().map(|&routing| Claim { routing, ..c.clone() }).collect());
        vary(&|c| CertificateState::ALL.iter().map(|&certificate| Claim { certificate, ..c.clone() }).collect());
        vary(&|c| [None, Some(c.created_at)].map(|live_at| Claim { live_at, ..c.clone() }).to_vec());
        all
    }

    /// Whether a query finds the claim, as the statement in `db::claims` does.
    fn finds(query: &FacetQuery, claim: &Claim) -> bool {
        query.lifecycle.is_none_or(|wanted| wanted == claim.lifecycle)
            && query.stalled.is_none_or(|wanted| wanted == (claim.deadline == Deadline::Passed))
            && query.ownership.is_none_or(|wanted| wanted == claim.ownership)
            && (query.dns_write.is_empty() || query.dns_write.contains(&claim.dns_write))
            && (query.routing.is_empty() || query.routing.contains(&claim.routing))
            && query.was_live.is_none_or(|wanted| wanted == claim.live_at.is_some())
            && query.expired.is_none_or(|wanted| wanted == (claim.certificate == CertificateState::Expired))
    }

    #[test]
    fn a_filter_finds_exactly_the_claims_that_have_its_word() {
        for claim in every_claim() {
            let word = state_word(&claim);
            for filter in WORDS.iter().filter(|filter| **filter != "created") {
                let found = facets_of(filter).unwrap().iter().any(|query| finds(query, &claim));
                assert_eq!(found, *filter == word, "{filter} and {claim:?}, which is {word}");
            }
        }
    }
}
