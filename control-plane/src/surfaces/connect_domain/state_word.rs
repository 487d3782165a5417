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

/// The word of a claim.
pub fn state_word(claim: &Claim) -> &'static str {
    match (claim.lifecycle, claim.deadline, claim.ownership) {
        (Lifecycle::Archived, ..) => "archived",
        (Lifecycle::Failed, ..) => "failed",
        (_, Deadline::Passed, _) => "stalled",
        (_, _, Ownership::Unproven) => "pending_ownership",
        (_, _, Ownership::Seen) => "verifying",
        (_, _, Ownership::Proven) => of_proven(claim),
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
        Routing::NotResolving | Routing::Pointing | Routing::Unknown => "verified",
    }
}

/// The facets that a word stands for; `None` when it is not a word.
pub(crate) fn facets_of(word: &str) -> Option<Vec<FacetQuery>> {
    let any = FacetQuery::default;
    let active = || FacetQuery { lifecycle: Some(Lifecycle::Active), stalled: Some(false), ..any() };
    let proven = || FacetQuery { ownership: Some(Ownership::Proven), writing: Some(false), ..active() };
    Some(match word {
        "archived" => vec![FacetQuery { lifecycle: Some(Lifecycle::Archived), ..any() }],
        "failed" => vec![FacetQuery { lifecycle: Some(Lifecycle::Failed), ..any() }],
        "stalled" => vec![FacetQuery { stalled: Some(true), lifecycle: Some(Lifecycle::Active), ..any() }],
        "pending_ownership" => vec![FacetQuery { ownership: Some(Ownership::Unproven), ..active() }],
        "verifying" => vec![FacetQuery { ownership: Some(Ownership::Seen), ..active() }],
        "dns_writing" => vec![FacetQuery { writing: Some(true), ..proven() }],
        "verified" => {
            vec![FacetQuery { routing: &[Routing::Unknown, Routing::NotResolving], was_live: Some(false), ..proven() }]
        }
        "propagating" => vec![FacetQuery { routing: &[Routing::Wrong], was_live: Some(false), ..proven() }],
        "issuing_cert" => vec![FacetQuery { routing: &[Routing::Pointing], was_live: Some(false), ..proven() }],
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
