//! Where the name leads, and what to change if that is not here.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;

use super::{Expectation, facts::Facts};
use crate::{
    Absence, Addresses, Answer, OwnerName, Role,
    check::{
        Finding, FindingCode, RecordValue,
        fronts::front_of,
        view::{View, shown, shown_addresses},
    },
};

/// What is known of one way to the name.
struct Way<'a> {
    facts: &'a Facts,
    target: &'a OwnerName,
    /// A CNAME is wanted, not addresses.
    wants_cname: bool,
}

pub(super) fn judge(facts: &Facts, expected: &Expectation<'_>) -> Vec<Finding> {
    let wants_cname = expected.desired.iter().any(|record| matches!(record.value, RecordValue::Cname(_)));
    let way = Way { facts, target: &expected.edge.name, wants_cname };
    let mut findings = match best(&facts.views).map(View::addresses) {
        None | Some(Answer::Indeterminate(_)) => Vec::new(),
        Some(Answer::Absent(absence)) => vec![way.absent(absence)],
        Some(Answer::Present(seen)) => way.present(&seen),
    };
    findings.extend(way.conflicts());
    findings.extend(way.disagreement());
    findings
}

/// The view that is believed: a server of the zone that said something, else the first resolver that did.
fn best(views: &[View]) -> Option<&View> {
    let definite = |role| views.iter().find(|view| view.voter.role == role && view.addresses().is_definite());
    definite(Role::Authority).or_else(|| definite(Role::Recursive))
}

impl Way<'_> {
    fn absent(&self, absence: Absence) -> Finding {
        let host = &self.facts.host;
        let (code, what) = match absence {
            Absence::NoName => (FindingCode::DnsNxdomain, "does not exist"),
            Absence::NoData => (FindingCode::DnsNoAddress, "has no address"),
        };
        let user = format!("There is no record for {host} yet. {}", self.advice());
        let finding = Finding::new(code, format!("{host} {what}"), user).pending();
        finding.at(host, self.kind()).expected(self.wanted())
    }

    fn present(&self, seen: &Addresses) -> Vec<Finding> {
        let mut findings = Vec::new();
        // Without the edge's own addresses nothing can be said against the customer's.
        if !self.leads_here(seen) && !self.facts.edge.is_empty() {
            findings.extend(self.elsewhere(seen));
        }
        findings.extend(self.wildcard(seen));
        findings
    }

    fn leads_here(&self, seen: &Addresses) -> bool {
        let ours = |ip| self.facts.edge.contains(ip);
        seen.chain.contains(self.target) || (!seen.addresses.is_empty() && seen.addresses.iter().all(ours))
    }

    fn elsewhere(&self, seen: &Addresses) -> Vec<Finding> {
        let strays: Vec<IpAddr> = seen.addresses.iter().filter(|ip| !self.facts.edge.contains(ip)).copied().collect();
        if let Some(front) = front_of(&seen.chain, &strays) {
            return vec![self.front(front, seen)];
        }
        if let Some(first) = seen.chain.first() {
            return vec![self.cname_elsewhere(first, seen)];
        }
        let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = strays.into_iter().partition(IpAddr::is_ipv4);
        let v4 = (!v4.is_empty()).then(|| self.address_elsewhere(FindingCode::AElsewhere, "A", &v4));
        let v6 = (!v6.is_empty()).then(|| self.address_elsewhere(FindingCode::AaaaElsewhere, "AAAA", &v6));
        // Beside ours, another address takes some of the visitors and the CA. Alone, it is where the name was before.
        let has_moved = seen.addresses.iter().any(|ip| self.facts.edge.contains(ip));
        let weigh = |finding: Finding| if has_moved { finding } else { finding.pending() };
        v4.into_iter().chain(v6).map(weigh).collect()
    }

    fn front(&self, front: &str, seen: &Addresses) -> Finding {
        let host = &self.facts.host;
        let user = format!(
            "{host} is served through {front}. Switch its proxy off for this name (“DNS only”), or remove the name \
             there. {}",
            self.advice()
        );
        Finding::new(FindingCode::CdnInFront, format!("{host} leads to {front}"), user)
            .at(host, self.kind())
            .expected(self.wanted())
            .seen(self.shown(seen))
    }

    fn cname_elsewhere(&self, first: &OwnerName, seen: &Addresses) -> Finding {
        let host = &self.facts.host;
        let (code, message) = match seen.addresses.is_empty() {
            true => (FindingCode::DnsNoAddress, format!("{host} is an alias of {first}, which has no address")),
            false => (FindingCode::CnameElsewhere, format!("{host} is an alias of {first}")),
        };
        let user = format!("{host} still points to {first}. {}", self.advice());
        let finding = Finding::new(code, message, user).pending();
        finding.at(host, "CNAME").expected(self.wanted()).seen(self.shown(seen))
    }

    fn address_elsewhere(&self, code: FindingCode, kind: &'static str, strays: &[IpAddr]) -> Finding {
        let host = &self.facts.host;
        let strays = shown(strays).unwrap_or_default();
        let family = |ip: &&IpAddr| ip.is_ipv4() == (kind == "A");
        let ours = shown(self.facts.edge.iter().filter(family));
        let advice = match (&ours, self.wants_cname) {
            (Some(ours), false) => format!("Change the {kind} record of {host} from {strays} to {ours}."),
            _ => format!("Delete the {kind} record of {host} with {strays}. {}", self.advice()),
        };
        let user = match kind {
            "AAAA" => format!("Visitors with IPv6 are sent to another server. {advice}"),
            _ => format!("{host} points to another server. {advice}"),
        };
        Finding::new(code, format!("{kind} of {host} leads to {strays}"), user)
            .at(host, kind)
            .expected(if self.wants_cname { None } else { ours })
            .seen(Some(strays))
    }

    fn wildcard(&self, seen: &Addresses) -> Option<Finding> {
        let sibling = self.facts.sibling.as_ref()?;
        if sibling.chain != seen.chain || sibling.addresses != seen.addresses {
            return None;
        }
        let host = &self.facts.host;
        let parent = host.parent()?;
        let user = format!("{host} is answered by the wildcard record of {parent}. {}", self.advice());
        let message = format!("names that nobody made below {parent} lead where {host} leads");
        let record = parent.child("*").ok()?;
        Some(
            Finding::new(FindingCode::WildcardAnswer, message, user)
                .warning()
                .at(&record, "CNAME")
                .seen(self.shown(seen)),
        )
    }

    /// A CNAME where none can be.
    fn conflicts(&self) -> Option<Finding> {
        let host = &self.facts.host;
        let aliased = self.facts.views.iter().any(has_alias);
        if self.facts.apex && aliased {
            return Some(self.apex_cname(format!("{host} is the top of its zone and has a CNAME")));
        }
        let knowable = !self.facts.edge.is_empty() || !aliased;
        let unmet = self.wants_cname && knowable && !self.any_leads_here();
        if self.facts.apex && unmet {
            return Some(self.apex_cname(format!("{host} is the top of its zone, where a CNAME cannot stand")));
        }
        let standing = beside(&self.facts.views);
        let is_standing = standing.is_some();
        let beside = standing.or_else(|| shown(&self.facts.neighbours).filter(|_| unmet && !aliased))?;
        let user = format!("A CNAME cannot stand beside other records. Move or delete the {beside} records of {host}.");
        let finding = Finding::new(FindingCode::CnameConflict, format!("{host} has {beside} beside a CNAME"), user);
        // Without a CNAME there is no conflict yet.
        let finding = if is_standing { finding } else { finding.pending() };
        Some(finding.at(host, "CNAME").expected(self.wanted()).seen(Some(beside)))
    }

    fn apex_cname(&self, message: String) -> Finding {
        let (host, target) = (&self.facts.host, self.target);
        let addresses = shown(&self.facts.edge).map(|ips| format!(", or A and AAAA records with {ips}"));
        let user = format!(
            "{host} is a main domain, which cannot be a CNAME. Use your provider's ALIAS, ANAME or flattened CNAME to \
             {target}{}.",
            addresses.unwrap_or_default()
        );
        let finding = Finding::new(FindingCode::ApexCname, message, user).at(host, "CNAME").expected(self.wanted());
        // Providers that flatten show the CNAME to nobody; one that shows it breaks mail, yet visitors arrive.
        if self.any_leads_here() { finding.warning() } else { finding.pending() }
    }

    fn any_leads_here(&self) -> bool {
        self.facts.views.iter().any(|view| view.addresses().present().is_some_and(|seen| self.leads_here(seen)))
    }

    /// Some servers lead here and others do not.
    fn disagreement(&self) -> Option<Finding> {
        let definite = self.facts.views.iter().filter(|view| view.addresses().is_definite());
        let here = |view: &&View| view.addresses().present().is_some_and(|seen| self.leads_here(seen));
        let (here, not): (Vec<&View>, Vec<&View>) = definite.partition(here);
        let other = not.first().filter(|_| !here.is_empty())?;
        let (host, server) = (&self.facts.host, other.voter.server);
        let message = format!("{} servers lead {host} here, {} do not, {server} for one", here.len(), not.len());
        let user = format!("The change of {host} is on its way; it can take as long as the old record's TTL.");
        let finding = Finding::new(FindingCode::DnsPropagating, message, user).warning();
        Some(finding.at(host, self.kind()).expected(self.wanted()).seen(shown_addresses(&other.addresses())))
    }

    fn kind(&self) -> &'static str {
        match self.wants_cname {
            true => "CNAME",
            false if self.facts.edge.iter().any(IpAddr::is_ipv4) => "A",
            false => "AAAA",
        }
    }

    fn wanted(&self) -> Option<String> {
        match self.wants_cname {
            true => Some(self.target.to_string()),
            false => shown(&self.facts.edge),
        }
    }

    fn advice(&self) -> String {
        let host = &self.facts.host;
        match (self.wanted(), self.wants_cname) {
            (Some(target), true) => format!("Make a CNAME record for {host} with the value {target}."),
            (Some(ips), false) => format!("Make A or AAAA records for {host} with {ips}."),
            (None, _) => format!("Point {host} to {}.", self.target),
        }
    }

    fn shown(&self, seen: &Addresses) -> Option<String> {
        shown_addresses(&Answer::Present(seen.clone()))
    }
}

fn has_alias(view: &View) -> bool {
    view.replies().any(|answer| answer.present().is_some_and(|reply| !reply.chain.is_empty()))
}

fn beside(views: &[View]) -> Option<String> {
    let replies = views.iter().flat_map(View::replies).filter_map(Answer::present);
    let kinds: Vec<&RecordType> = replies.flat_map(|reply| &reply.beside).collect();
    shown(kinds.first())
}
