//! What the edge's ports and the served certificate say.

use std::time::Duration;

use crate::doctor::{Check, Facts, GateAnswer, Greeting, GreetingError, Port, Served, Status, Trust};

/// A certificate that ends sooner has missed every renewal: those of 90 days are renewed 30 days before their end,
/// those of 6 days halfway.
const SOON: Duration = Duration::from_hours(48);

pub(super) fn ports(facts: &Facts) -> Check {
    if facts.ports.is_empty() {
        return Check::new("ports", Status::Unknown, "the edge has no address that could be tried")
            .todo("Set edge.addresses, give edge.cname an address, or name one with --edge.");
    }
    let closed: Vec<&Port> = facts.ports.iter().filter(|port| port.problem.is_some()).collect();
    let show = |port: &Port| match &port.problem {
        None => format!("{} is open", port.address),
        Some(problem) => format!("{} is closed: {problem}", port.address),
    };
    let check = |status, summary: &str| Check::new("ports", status, summary).details(facts.ports.iter().map(show));
    match (closed.iter().any(|port| port.is_tls), closed.is_empty()) {
        (_, true) => check(Status::Ok, "the edge is reachable from here"),
        (true, _) => check(Status::Problem, "the edge's port for TLS is closed, as seen from here")
            .todo("Start the edge, and let its firewall pass ports 80 and 443."),
        (false, _) => check(Status::Warning, "the edge's port for challenges is closed, as seen from here")
            .todo("Let port 80 through to the edge: HTTP-01 challenges and redirects need it."),
    }
}

pub(super) fn certificate(facts: &Facts) -> Check {
    let name = "certificate";
    let Some(worst) = facts.served.iter().max_by_key(|greeting| rank(facts, greeting)) else {
        return Check::new(name, Status::Unknown, "nobody could be greeted");
    };
    let details = facts.served.iter().map(|greeting| describe(facts, greeting));
    let (status, summary, todo) = verdict(facts, worst);
    let check = Check::new(name, status, format!("{}: {summary}", worst.address)).details(details);
    match todo {
        Some(todo) => check.todo(todo),
        None => check,
    }
}

pub(super) fn chain(facts: &Facts) -> Check {
    let name = "chain";
    let served = facts.served.iter().filter_map(|greeting| Some((greeting, greeting.outcome.as_ref().ok()?)));
    let served: Vec<(&Greeting, &Served)> = served.collect();
    let links = |served: &Served| {
        let link = |link: &crate::doctor::Link| format!("{} signed by {}", link.subject, link.issuer);
        served.chain.iter().map(link).collect::<Vec<_>>()
    };
    let Some((_, first)) = served.first() else {
        return Check::new(name, Status::Skipped, "no certificate was served");
    };
    let bad = served.iter().find(|(_, served)| served.trust != Trust::Trusted || !served.is_in_order());
    let Some((greeting, served)) = bad else {
        return Check::new(name, Status::Ok, "complete, and trusted here").details(links(first));
    };
    let check = |summary: String| {
        Check::new(name, Status::Problem, format!("{}: {summary}", greeting.address)).details(links(served))
    };
    match &served.trust {
        Trust::Refused(why) => check(format!("the chain is refused: {why}")),
        Trust::Unanchored => {
            let end = served.chain.last().map_or("", |link| link.issuer.as_str());
            check(format!("the chain ends at {end}, which is neither served nor trusted here")).todo(format!(
                "If {end} is a private authority, name its root with --ca; else the server must send the certificates \
                 between its own and the root."
            ))
        }
        Trust::Trusted => check("the certificates are out of order".to_owned())
            .todo("Let the server send its own certificate first and each signer after it."),
    }
}

/// The worse a greeting went, the higher.
fn rank(facts: &Facts, greeting: &Greeting) -> u8 {
    match verdict(facts, greeting).0 {
        Status::Problem => 3,
        Status::Unknown => 2,
        Status::Warning => 1,
        Status::Ok | Status::Skipped => 0,
    }
}

fn verdict(facts: &Facts, greeting: &Greeting) -> (Status, String, Option<String>) {
    let hostname = &facts.hostname;
    let served = match &greeting.outcome {
        Ok(served) => served,
        Err(error) => return (Status::Problem, error.to_string(), advice(facts, greeting, error)),
    };
    if !served.covers(hostname) {
        let names = served.names.join(", ");
        let todo = match greeting.is_edge {
            true => format!(
                "Look at the edge with `namegate-edge explain {hostname}`: it serves another name's certificate."
            ),
            false => format!("{hostname} leads to a server that is not ours; change its records as shown above."),
        };
        return (Status::Problem, format!("the certificate is for {names}, not for {hostname}"), Some(todo));
    }
    let renew = || Some(format!("Look at the edge with `namegate-edge explain {hostname}`: renewal has failed."));
    if facts.at >= served.not_after {
        return (Status::Problem, format!("the certificate ended at {}", served.not_after), renew());
    }
    if facts.at < served.not_before {
        let summary = format!("the certificate begins at {} only", served.not_before);
        return (Status::Problem, summary, Some("Check the clocks of this machine and of the authority.".to_owned()));
    }
    let summary = format!("for {hostname}, from {}, until {}", served.issuer(), served.not_after);
    match served.not_after.since(facts.at) < SOON {
        true => (Status::Warning, format!("ends soon: {summary}"), renew()),
        false => (Status::Ok, summary, None),
    }
}

fn advice(facts: &Facts, greeting: &Greeting, error: &GreetingError) -> Option<String> {
    let hostname = &facts.hostname;
    let is_open = matches!(facts.gate, Some(GateAnswer::Allowed { .. }));
    match (error, greeting.is_edge) {
        (GreetingError::Connect(_), true) => {
            Some("Start the edge, and let its firewall pass ports 80 and 443.".to_owned())
        }
        // The gate's own line says what is to be done first.
        (GreetingError::UnknownName, true) if !is_open => None,
        (GreetingError::UnknownName | GreetingError::Handshake(_), true) => Some(format!(
            "Ask the edge why with `namegate-edge explain {hostname}`: it serves the name only with a certificate."
        )),
        (_, false) => {
            Some(format!("{hostname} leads to {}, which is not ours; change its records.", greeting.address.ip()))
        }
    }
}

fn describe(facts: &Facts, greeting: &Greeting) -> String {
    let who = if greeting.is_edge { "edge" } else { "where the name leads" };
    format!("{who} {}: {}", greeting.address, verdict(facts, greeting).1)
}
