//! Route 53: XML, signatures, batches that happen as a whole, octal escapes.

use std::sync::Arc;

use quick_xml::{de, escape::escape};
use serde::Deserialize;

use crate::provider::{
    shim::{No, Req, Resp, Shim, ZONE_ID, usual, zonefile_decode, zonefile_encode},
    zone::{FakeZone, Rules},
};

struct Route53;

pub fn shim() -> Arc<dyn Shim> {
    Arc::new(Route53)
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "ChangeBatch")]
    batch: Changes,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(rename = "Changes")]
    changes: ChangeList,
}

#[derive(Deserialize)]
struct ChangeList {
    #[serde(rename = "Change")]
    all: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    action: String,
    resource_record_set: Set,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Set {
    name: String,
    r#type: String,
    #[serde(rename = "TTL")]
    ttl: u32,
    resource_records: Records,
}

#[derive(Deserialize)]
struct Records {
    #[serde(rename = "ResourceRecord")]
    all: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    value: String,
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const SPACE: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";

fn escaped(name: &str) -> String {
    format!("{}.", name.replace('*', "\\052"))
}

fn set_xml(zone: &FakeZone, name: &str, kind: &str) -> String {
    let set = zone.set(name, kind);
    let values: String = set
        .iter()
        .map(|entry| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(entry.data.as_str())))
        .collect();
    format!(
        "<ResourceRecordSet><Name>{}</Name><Type>{kind}</Type><TTL>{}</TTL><ResourceRecords>{values}</ResourceRecords>\
         <NewField>1</NewField></ResourceRecordSet>",
        escaped(name),
        set[0].ttl
    )
}

fn listing(zone: &FakeZone, req: &Req) -> Resp {
    let sets = zone.sets();
    let from = req.query.get("name").map(|name| (name.clone(), req.query["type"].clone()));
    let start = from.map_or(0, |from| sets.iter().position(|(n, k)| (escaped(n), k.clone()) == from).unwrap());
    let per_page = req.number("maxitems", 100).min(100);
    let page: String = sets.iter().skip(start).take(per_page).map(|(name, kind)| set_xml(zone, name, kind)).collect();
    let next = sets.get(start + per_page).map(|(name, kind)| {
        format!("<NextRecordName>{}</NextRecordName><NextRecordType>{kind}</NextRecordType>", escaped(name))
    });
    let truncated = next.is_some();
    Resp::new(
        200,
        format!(
            "{HEAD}<ListResourceRecordSetsResponse {SPACE}><ResourceRecordSets>{page}</ResourceRecordSets>\
             <IsTruncated>{truncated}</IsTruncated>{}<MaxItems>{per_page}</MaxItems></ListResourceRecordSetsResponse>",
            next.unwrap_or_default()
        ),
    )
}

fn change(zone: &mut FakeZone, body: &str) -> Result<(), No> {
    let batch: Batch = de::from_str(body).map_err(|_| No::Invalid("malformed".into()))?;
    zone.at_once(|zone| run(zone, batch))
}

fn run(zone: &mut FakeZone, batch: Batch) -> Result<(), No> {
    for Change { action, resource_record_set: set } in batch.batch.changes.all {
        let name = set.name.trim_end_matches('.').to_owned();
        let mut values: Vec<String> = set.resource_records.all.into_iter().map(|record| record.value).collect();
        let there = zone.set(&name, &set.r#type);
        match action.as_str() {
            "DELETE" => {
                let mut known: Vec<_> = there.iter().map(|entry| entry.data.clone()).collect();
                known.sort();
                values.sort();
                if known != values || there.iter().any(|entry| entry.ttl != set.ttl) {
                    return Err(No::Invalid("the values provided do not match the current values".into()));
                }
                zone.put_set(&name, &set.r#type, 0, &[])?;
            }
            "CREATE" if !there.is_empty() => return Err(No::Conflict),
            "CREATE" => zone.put_set(&name, &set.r#type, set.ttl, &values)?,
            _ => return Err(No::Invalid("no such action".into())),
        }
    }
    Ok(())
}

impl Shim for Route53 {
    fn key(&self) -> &'static str {
        "route53"
    }

    fn credential(&self) -> String {
        "AKIAcanaryEXAMPLE:canary/Xyz+0123456789abcdefABCDEF".into()
    }

    fn malformed_credential(&self) -> Option<&'static str> {
        Some("only-one-part")
    }

    fn secrets(&self) -> Vec<String> {
        vec!["canary/Xyz+0123456789abcdefABCDEF".into()]
    }

    fn zone_id(&self) -> Option<&'static str> {
        Some(ZONE_ID)
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: 0, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        let header = req.header("authorization");
        header.starts_with("AWS4-HMAC-SHA256 Credential=AKIAcanaryEXAMPLE/")
            && header.contains("/us-east-1/route53/aws4_request")
            && req.header("x-amz-date").len() == 16
    }

    fn atomic(&self) -> bool {
        true
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        zonefile_encode(kind, value)
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        zonefile_decode(kind, data)
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        let (method, path) = req.parts();
        match (method, path.get(1..).unwrap_or_default()) {
            ("GET", ["hostedzone", ZONE_ID]) => Ok(Resp::new(
                200,
                format!(
                    "{HEAD}<GetHostedZoneResponse {SPACE}><HostedZone><Id>/hostedzone/{ZONE_ID}</Id><Name>{}.</Name>\
                     <Config><PrivateZone>false</PrivateZone></Config></HostedZone></GetHostedZoneResponse>",
                    zone.name
                ),
            )),
            ("GET", ["hostedzone", ZONE_ID, "rrset"]) => Ok(listing(zone, req)),
            ("POST", ["hostedzone", ZONE_ID, "rrset"]) => {
                change(zone, &req.body)?;
                let info = "<Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt>";
                Ok(Resp::new(200, format!("{HEAD}<Response {SPACE}><ChangeInfo>{info}</ChangeInfo></Response>")))
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, sentence) = usual(no);
        let (status, code) = match no {
            No::Auth => (403, "InvalidClientTokenId"),
            No::Conflict | No::Invalid(_) => (400, "InvalidChangeBatch"),
            No::Forbidden => (403, "AccessDenied"),
            No::Missing => (status, "NoSuchHostedZone"),
            No::Rate(_) => (400, "Throttling"),
        };
        let body = match code {
            "InvalidChangeBatch" => format!(
                "{HEAD}<InvalidChangeBatch {SPACE}><Messages><Message>{}</Message></Messages></InvalidChangeBatch>",
                escape(sentence.as_str())
            ),
            code => format!(
                "{HEAD}<ErrorResponse {SPACE}><Error><Type>Sender</Type><Code>{code}</Code><Message>{}</Message></Error>\
                 </ErrorResponse>",
                escape(sentence.as_str())
            ),
        };
        let resp = Resp::new(status, body);
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
