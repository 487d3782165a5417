//! Namecheap: XML over forms, a zone written as a whole, errors with 200, mail forwarding that a careless write resets.

use std::{collections::BTreeMap, sync::Arc};

use quick_xml::escape::escape;
use serde_json::{Value, json};

use super::gandi::{absolute, relative};
use crate::provider::{
    shim::{No, Req, Resp, Shim, usual},
    zone::{Entry, FakeZone, Rules},
};

struct Namecheap;

const KEY: &str = "canaryNamecheap0123456789abcdef01";
const MAIL: &str = "FWD";

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Namecheap)
}

fn answer(result: &str) -> Resp {
    let space = "xmlns=\"http://api.namecheap.com/xml.response\"";
    Resp::new(
        200,
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<ApiResponse Status=\"OK\" {space}><Errors /><Warnings />\
             <RequestedCommand>x</RequestedCommand><CommandResponse Type=\"x\">{result}</CommandResponse>\
             <ExecutionTime>0.1</ExecutionTime></ApiResponse>"
        ),
    )
}

fn host(zone: &FakeZone, entry: &Entry) -> String {
    let [address, name] =
        [entry.data.as_str(), &relative(zone, &entry.name, "@")].map(|text| escape(text).into_owned());
    format!(
        "<host HostId=\"{}\" Name=\"{name}\" Type=\"{}\" Address=\"{address}\" MXPref=\"{}\" TTL=\"{}\" \
         AssociatedAppTitle=\"\" FriendlyName=\"\" IsActive=\"true\" IsDDNSEnabled=\"false\" />",
        entry.id,
        entry.kind,
        entry.extra["pref"].as_str().unwrap(),
        entry.ttl
    )
}

fn write(zone: &mut FakeZone, form: &BTreeMap<String, String>) -> Result<(), No> {
    // What is not sent is gone; so is the way mail is handled.
    if form.get("EmailType").map(String::as_str) != Some(MAIL) {
        return Err(No::Invalid("mail forwarding would be reset".into()));
    }
    zone.entries.clear();
    for number in 1.. {
        let Some(name) = form.get(&format!("HostName{number}")) else { break };
        let field = |field: &str| form[&format!("{field}{number}")].clone();
        let name = absolute(zone, name);
        let (kind, data, ttl) = (field("RecordType"), field("Address"), field("TTL").parse().unwrap());
        // A target comes to have its final dot.
        let data = if kind == "CNAME" { format!("{}.", data.trim_end_matches('.')) } else { data };
        let pref = if kind == "MX" { field("MXPref") } else { "10".into() };
        zone.create(Entry { id: 0, name, kind, ttl, data, extra: json!({ "pref": pref }) })?;
    }
    Ok(())
}

impl Shim for Namecheap {
    fn key(&self) -> &'static str {
        "namecheap"
    }

    fn credential(&self) -> String {
        format!("someone:{KEY}:192.0.2.1")
    }

    fn malformed_credential(&self) -> Option<&'static str> {
        Some("someone:canary-key-without-address")
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.into()]
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 60, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        let form = req.form();
        form["ApiUser"] == "someone" && form["ApiKey"] == KEY && form["ClientIp"] == "192.0.2.1"
    }

    fn writes(&self, req: &Req) -> bool {
        req.body.contains("setHosts")
    }

    fn atomic(&self) -> bool {
        true
    }

    fn whole(&self) -> bool {
        true
    }

    fn extra(&self) -> Value {
        json!({ "pref": "10" })
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        match kind {
            "TXT" => value.to_owned(),
            "CNAME" => format!("{}.", value.trim_end_matches('.')),
            _ => value.to_owned(),
        }
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        if kind == "TXT" { data.to_owned() } else { data.trim_end_matches('.').to_ascii_lowercase() }
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let form = req.form();
        if (form["SLD"].as_str(), form["TLD"].as_str()) != ("customer", "test") {
            return Err(No::Missing);
        }
        match form["Command"].as_str() {
            "namecheap.domains.dns.getHosts" => {
                let hosts: String = zone.entries.iter().map(|entry| host(zone, entry)).collect();
                Ok(answer(&format!(
                    "<DomainDNSGetHostsResult Domain=\"customer.test\" EmailType=\"{MAIL}\" IsUsingOurDNS=\"true\">{hosts}\
                     </DomainDNSGetHostsResult>"
                )))
            }
            "namecheap.domains.dns.setHosts" => {
                zone.at_once(|zone| write(zone, &form))?;
                Ok(answer("<DomainDNSSetHostsResult Domain=\"customer.test\" IsSuccess=\"true\" />"))
            }
            _ => Err(No::Invalid("no such command".into())),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (_, sentence) = usual(no);
        let number = match no {
            No::Auth => "1011102",
            No::Forbidden => "1016103",
            No::Missing => "2019166",
            No::Rate(_) => "500000",
            No::Conflict | No::Invalid(_) => "2050900",
        };
        let resp = Resp::new(
            200,
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<ApiResponse Status=\"ERROR\" \
                 xmlns=\"http://api.namecheap.com/xml.response\"><Errors><Error Number=\"{number}\">{}</Error></Errors>\
                 <Warnings /><CommandResponse /></ApiResponse>",
                escape(sentence.as_str())
            ),
        );
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
