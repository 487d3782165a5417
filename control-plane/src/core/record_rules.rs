//! Which records a client may ask its customers to publish.
//!
//! They are shown to people who copy them into a form, and they decide when a name counts as pointing here: what cannot
//! be published, or has nothing to do with the name, is refused at the door.

use dns::{
    OwnerName,
    check::{RecordKind, RecordValue},
};

use super::{CoreError, DesiredRecord, TemplateRecord, name_rules::Claimable};

/// Longest value: a 4096-bit DKIM key is under 800.
const MAX_VALUE: usize = 2048;
/// Longest owner name or template of one.
const MAX_HOST: usize = 255;
/// RFC 2181 section 8.
const MAX_TTL: i64 = i32::MAX as i64;
/// Types that lead the name somewhere.
const ROUTING: [&str; 5] = ["A", "AAAA", "ALIAS", "ANAME", "CNAME"];
/// Types that are shown and, but for TXT, not looked at.
const OTHER: [&str; 5] = ["CAA", "MX", "NS", "SRV", "TXT"];

/// Looks at the records of one connection.
pub(super) fn check_records(records: &[DesiredRecord], name: &Claimable) -> Result<(), CoreError> {
    for (index, record) in records.iter().enumerate() {
        check_record(record, name).map_err(|(field, detail)| at("/dns_records", index, field, detail))?;
    }
    let leads = |record: &DesiredRecord| {
        ROUTING.contains(&record.record_type.as_str()) && is_same(&record.host, name.hostname.as_str())
    };
    match records.is_empty() || records.iter().any(leads) {
        true => Ok(()),
        false => {
            let detail = format!("none of the records leads {} anywhere: one of {}", name.hostname, ROUTING.join(", "));
            Err(CoreError::invalid("/dns_records", detail))
        }
    }
}

/// Looks at a template; what its placeholders become is looked at with each connection.
pub(super) fn check_template(template: &[TemplateRecord]) -> Result<(), CoreError> {
    for (index, record) in template.iter().enumerate() {
        let shape = check_shape(&record.host, &record.record_type, &record.value, record.ttl, record.priority);
        shape.map_err(|(field, detail)| at("/record_template", index, field, detail))?;
    }
    Ok(())
}

type Fault = (&'static str, String);

fn at(list: &str, index: usize, field: &str, detail: String) -> CoreError {
    CoreError::invalid(format!("{list}/{index}/{field}"), detail)
}

fn check_record(record: &DesiredRecord, name: &Claimable) -> Result<(), Fault> {
    let DesiredRecord { host, record_type, value, ttl, priority } = record;
    check_shape(host, record_type, value, *ttl, *priority)?;
    let owner: OwnerName = host.parse().map_err(|error| ("host", format!("not a DNS name: {error}")))?;
    let owner = owner.to_string();
    if !is_same(&owner, &name.apex) && !owner.trim_end_matches('.').ends_with(&format!(".{}", name.apex)) {
        return Err(("host", format!("not within {}", name.apex)));
    }
    let kind = match record_type.as_str() {
        "A" => RecordKind::A,
        "AAAA" => RecordKind::Aaaa,
        "ALIAS" | "ANAME" | "CNAME" => RecordKind::Cname,
        _ => return Ok(()),
    };
    RecordValue::parse(kind, value).map(drop).map_err(|error| ("value", error.to_string()))
}

fn check_shape(host: &str, record_type: &str, value: &str, ttl: i64, priority: Option<i64>) -> Result<(), Fault> {
    let is_text = |text: &str, most: usize| !text.is_empty() && text.len() <= most && !text.contains(char::is_control);
    if !is_text(host, MAX_HOST) {
        return Err(("host", format!("between 1 and {MAX_HOST} visible characters")));
    }
    if !ROUTING.contains(&record_type) && !OTHER.contains(&record_type) {
        return Err(("type", format!("one of {}, {}", ROUTING.join(", "), OTHER.join(", "))));
    }
    if !is_text(value, MAX_VALUE) {
        return Err(("value", format!("between 1 and {MAX_VALUE} visible characters")));
    }
    if !(0..=MAX_TTL).contains(&ttl) {
        return Err(("ttl", format!("between 0 and {MAX_TTL} seconds")));
    }
    if priority.is_some_and(|priority| !(0..=i64::from(u16::MAX)).contains(&priority)) {
        return Err(("priority", format!("between 0 and {}", u16::MAX)));
    }
    Ok(())
}

fn is_same(host: &str, name: &str) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{CoreSettings, name_rules::claimable};

    #[test]
    fn records_that_cannot_be_published_are_refused_with_their_place() {
        let name = claimable("shop.customer.co.uk", &CoreSettings::default()).unwrap();
        let check = |host: &str, record_type: &str, value: &str, ttl: i64| {
            let record = DesiredRecord {
                host: host.to_owned(),
                record_type: record_type.to_owned(),
                value: value.to_owned(),
                ttl,
                priority: None,
            };
            match check_records(&[record], &name) {
                Ok(()) => String::new(),
                Err(CoreError::Invalid { pointer, .. }) => pointer,
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(check("shop.customer.co.uk", "CNAME", "edge.example", 300), "");
        assert_eq!(check("Shop.Customer.co.uk.", "A", "192.0.2.1", 300), "");
        assert_eq!(check("other.co.uk", "CNAME", "edge.example", 300), "/dns_records/0/host");
        assert_eq!(check("xcustomer.co.uk", "CNAME", "edge.example", 300), "/dns_records/0/host");
        assert_eq!(check("a b", "CNAME", "edge.example", 300), "/dns_records/0/host");
        assert_eq!(check("shop.customer.co.uk", "BOGUS", "edge.example", 300), "/dns_records/0/type");
        assert_eq!(check("shop.customer.co.uk", "A", "edge.example", 300), "/dns_records/0/value");
        assert_eq!(check("shop.customer.co.uk", "A", "192.0.2.1", -1), "/dns_records/0/ttl");
        assert_eq!(check("shop.customer.co.uk", "TXT", "anything", 300), "/dns_records", "it leads nowhere");
        assert_eq!(check("www.customer.co.uk", "CNAME", "edge.example", 300), "/dns_records", "another name");
    }
}
