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
