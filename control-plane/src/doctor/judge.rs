//! [`judge`]: what the facts mean. Pure: the same facts are the same report.

mod names;
mod served;
#[cfg(test)]
mod tests;

use dns::check::Severity;

use super::{Check, Facts, GateAnswer, Report, Status};

/// Turns facts into a report.
pub fn judge(facts: &Facts) -> Report {
    let mut checks = vec![database(facts), connection(facts), names::delegation(facts)];
    checks.extend(names::challenge(facts));
    checks.extend([
        names::records(facts),
        names::caa(facts),
        names::findings(facts),
        gate(facts),
        served::ports(facts),
    ]);
    checks.extend([served::certificate(facts), served::chain(facts)]);
    let mut next: Vec<String> = Vec::new();
    for todo in checks.iter().filter_map(|check| check.todo.as_ref()) {
        if !next.contains(todo) {
            next.push(todo.clone());
        }
    }
    Report {
        hostname: facts.hostname.clone(),
        healthy: checks.iter().all(|check| !matches!(check.status, Status::Problem | Status::Unknown)),
        at: facts.at.to_string(),
        connection: facts.connection.clone(),
        checks,
        next,
    }
}

impl Check {
    fn new(name: &'static str, status: Status, summary: impl Into<String>) -> Self {
        Self { name, status, summary: summary.into(), details: Vec::new(), todo: None }
    }

    fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    fn todo(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }
}

fn database(facts: &Facts) -> Check {
    match &facts.database {
        Ok(kind) => Check::new("database", Status::Ok, format!("{kind} answers")),
        Err(why) => Check::new("database", Status::Unknown, format!("the database cannot be read: {why}"))
            .todo("Mend the database, or run this command where the control plane runs, with its --config."),
    }
}

fn connection(facts: &Facts) -> Check {
    let hostname = &facts.hostname;
    let Some(known) = &facts.connection else {
        return match &facts.database {
            Err(_) => Check::new("connection", Status::Skipped, "not looked for without a database"),
            Ok(_) => Check::new("connection", Status::Problem, format!("no account has a connection for {hostname}"))
                .todo(format!("Create a connection for {hostname} (POST /v1/connections), or check the spelling.")),
        };
    };
    let others = match known.others {
        0 => None,
        1 => Some("1 other connection wants the name".to_owned()),
        many => Some(format!("{many} other connections want the name")),
    };
    let origin = format!("{} of application {} in account {}", known.id, known.application_id, known.account_id);
    let check = |status, summary: String| {
        let problem = known.problem.clone().map(|problem| format!("the authority's last problem: {problem}"));
        Check::new("connection", status, summary).details([origin.clone()]).details(others.clone()).details(problem)
    };
    match (known.state, &known.why) {
        ("live", _) => check(Status::Ok, "is live".to_owned()),
        (state, Some(why)) => {
            let todo = known.user_message.clone().unwrap_or_else(|| why.clone());
            check(Status::Problem, format!("is {state}: {why}")).todo(todo)
        }
        (state, None) => check(Status::Problem, format!("is {state}")),
    }
}

fn gate(facts: &Facts) -> Check {
    let hostname = &facts.hostname;
    match (&facts.gate, &facts.connection) {
        (None, _) => Check::new("gate", Status::Skipped, "not asked without a database"),
        (Some(GateAnswer::Unknown(why)), _) => {
            Check::new("gate", Status::Unknown, format!("the gate cannot be asked: {why}"))
        }
        (Some(GateAnswer::Allowed { origin: Some(origin) }), _) => {
            Check::new("gate", Status::Ok, format!("edges may serve {hostname} from {origin}"))
        }
        (Some(GateAnswer::Allowed { origin: None }), _) => {
            Check::new("gate", Status::Warning, format!("edges may serve {hostname}, but no origin is set"))
                .details(["requests go to the edge's own default origin, if it has one".to_owned()])
                .todo("Set an origin for the connection or its application.")
        }
        (Some(GateAnswer::Denied), Some(known)) => {
            let is_blocked = facts.findings.iter().any(|finding| finding.severity == Severity::Blocking);
            let why = match (known.is_proven, is_blocked) {
                (false, _) => "ownership is not shown yet",
                (true, true) => "a record is in the way of a certificate; it opens with the look that finds it changed",
                (true, false) => "its time is over, or the next look opens it",
            };
            Check::new("gate", Status::Problem, format!("edges are told no: {why}"))
        }
        (Some(GateAnswer::Denied), None) => {
            Check::new("gate", Status::Problem, "edges are told no: there is no connection")
        }
    }
}
