//! Record sets in Route 53: what identifies them, how they are listed, and how they are changed.

use aws_sdk_route53::operation::list_resource_record_sets::ListResourceRecordSetsOutput;
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecordSet as Described, RrType};

use super::plain_name;
use super::record::{is_named_ours, is_validation};
use crate::Scope;
use crate::resources::{AlsoDeleted, Class, Context, Failure};

/// What identifies a record set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub zone: String,
    pub name: String,
    pub record_type: String,
    pub set_identifier: String,
}

impl Key {
    pub(super) fn id(&self) -> String {
        format!("{}/{}/{}/{}", self.zone, self.name, self.record_type, self.set_identifier)
    }

    pub(super) fn parse(id: &str) -> Option<Self> {
        let mut parts = id.splitn(4, '/').map(str::to_owned);
        let mut next = || parts.next();
        Some(Self { zone: next()?, name: next()?, record_type: next()?, set_identifier: next()? })
    }

    pub(super) fn is_of(&self, record: &Described) -> bool {
        plain_name(record.name()) == self.name
            && record.r#type().as_str() == self.record_type
            && record.set_identifier().unwrap_or_default() == self.set_identifier
    }
}

/// The id of a record as it is described.
#[must_use]
pub fn record_id(zone: &str, record: &Described) -> String {
    Key {
        zone: zone.to_owned(),
        name: plain_name(record.name()),
        record_type: record.r#type().as_str().to_owned(),
        set_identifier: record.set_identifier().unwrap_or_default().to_owned(),
    }
    .id()
}

/// Whether another record of the same name keeps a record of this type, identifier, and role from being created. A CNAME record is
/// the only record of its name, a record without an identifier is the only one of its type, all other records of a type have the
/// same routing policy, and in a failover each has another role.
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy.html>. See
/// docs/aws-behaviour.md#records-exclude-each-other.
#[must_use]
pub fn excludes(record_type: &str, set_identifier: &str, failover: &str, other: &Described) -> bool {
    match other.r#type() {
        // Every zone has such records at its top. Further down, NS records delegate to another zone.
        RrType::Soa => false,
        RrType::Ns => record_type == "CNAME",
        kind if kind.as_str() != record_type => *kind == RrType::Cname || record_type == "CNAME",
        _ if set_identifier.is_empty() || other.set_identifier().is_none() => true,
        _ => other.failover().is_none_or(|role| role.as_str() == failover),
    }
}

/// Whether a change was refused because of its content. Route 53 answers `InvalidChangeBatch`, at times in a document of another
/// form, in which the SDK does not find the code:
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>. See
/// docs/aws-behaviour.md#record-deleted-by-value.
pub(super) fn is_refused_batch(failure: &Failure) -> bool {
    matches!(failure.class, Class::Refused | Class::Exists)
        && matches!(failure.code.as_deref(), None | Some("InvalidChangeBatch"))
}

pub(super) async fn change(cx: &Context, zone: &str, action: ChangeAction, record: Described) -> Result<(), Failure> {
    let batch = Change::builder()
        .action(action)
        .resource_record_set(record)
        .build()
        .and_then(|change| ChangeBatch::builder().changes(change).build())
        .map_err(|e| Failure::new(Class::Internal, format!("a change that Route 53 does not accept: {e}")))?;
    let call = cx.clients().route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch).send();
    cx.mutate("route53", "ChangeResourceRecordSets", call).await.map(drop)
}

/// `None` if the record or its zone does not exist.
pub(super) async fn find(cx: &Context, key: &Key) -> Result<Option<Described>, Failure> {
    match sets(cx, &key.zone, Some(&key.name)).await {
        Ok(records) => Ok(records.into_iter().find(|record| key.is_of(record))),
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The records of a zone, or of one name in it.
pub(super) async fn sets(cx: &Context, zone: &str, name: Option<&str>) -> Result<Vec<Described>, Failure> {
    let mut found = Vec::new();
    let mut page = list_from(cx, zone, name, None).await?;
    loop {
        for record in page.resource_record_sets() {
            match name {
                // The answer is sorted: the records that follow have other names.
                Some(name) if plain_name(record.name()) != name => return Ok(found),
                _ => found.push(record.clone()),
            }
        }
        if !page.is_truncated() {
            return Ok(found);
        }
        page = list_from(cx, zone, name, Some(&page)).await?;
    }
}

/// A page of sorted records: from a name on, or the page after another.
async fn list_from(
    cx: &Context,
    zone: &str,
    name: Option<&str>,
    after: Option<&ListResourceRecordSetsOutput>,
) -> Result<ListResourceRecordSetsOutput, Failure> {
    let route53 = &cx.clients().route53;
    let start = after.map_or(name, ListResourceRecordSetsOutput::next_record_name);
    let call = || {
        route53
            .list_resource_record_sets()
            .hosted_zone_id(zone)
            .set_start_record_name(start.map(str::to_owned))
            .set_start_record_type(after.and_then(|page| page.next_record_type().cloned()))
            .set_start_record_identifier(after.and_then(|page| page.next_record_identifier().map(str::to_owned)))
            // One name has few records. For a whole zone, pages are as large as Route 53 allows.
            .max_items(if name.is_some() { 20 } else { 300 })
            .send()
    };
    cx.read("route53", "ListResourceRecordSets", call).await
}

/// Records that keep a zone from being deleted, each with its name and type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// The stack's own, which are not deleted with the zone because the state does not hold them.
    pub own: Vec<String>,
    /// All others.
    pub others: Vec<String>,
}

impl Left {
    /// A sentence for each of the two kinds, with what to do about it.
    pub(super) fn sentences(&self, zone: &str) -> Vec<String> {
        let listed = |records: &[String]| {
            let first = records.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
            if records.len() > 10 { format!("{first} and {} more", records.len() - 10) } else { first }
        };
        let own = || {
            format!(
                "{zone} still has records of this stack that are not in the state: {}; run `drctl up` first, which records them",
                listed(&self.own)
            )
        };
        let others = || format!("{zone} still has records that this stack has not created: {}", listed(&self.others));
        let own = (!self.own.is_empty()).then(own);
        own.into_iter().chain((!self.others.is_empty()).then(others)).collect()
    }
}

/// The records of a zone, except those that every zone has and those that are also deleted.
pub(super) async fn left_in(cx: &Context, zone: &str, also: &AlsoDeleted) -> Result<Left, Failure> {
    Ok(left_of(&cx.scope, zone, &sets(cx, zone, None).await?, also))
}

fn left_of(scope: &Scope, zone: &str, records: &[Described], also: &AlsoDeleted) -> Left {
    // The zone's own SOA record is at its top, and its NS record beside it.
    let top = records.iter().find(|record| *record.r#type() == RrType::Soa).map(|record| record.name().to_owned());
    let left = records.iter().filter(|record| {
        let is_its_own = matches!(record.r#type(), RrType::Soa | RrType::Ns) && Some(record.name()) == top.as_deref();
        !is_its_own && !also.contains(&record_id(zone, record))
    });
    let validates_own = |record: &Described| {
        let of = |own: &Described| is_named_ours(scope, own) && record.name().ends_with(&format!(".{}", own.name()));
        is_validation(record) && records.iter().any(of)
    };
    let (own, others): (Vec<_>, Vec<_>) =
        left.partition(|record| is_named_ours(scope, record) || validates_own(record));
    let names = |records: Vec<&Described>| {
        let name = |record: &Described| {
            let identifier = record.set_identifier().map(|identifier| format!(" ({identifier})")).unwrap_or_default();
            format!("{} {}{identifier}", plain_name(record.name()), record.r#type().as_str())
        };
        records.into_iter().map(name).collect()
    };
    Left { own: names(own), others: names(others) }
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::ResourceRecord;

    use super::*;

    fn record(name: &str, kind: RrType, identifier: Option<&str>) -> Described {
        let record = Described::builder().name(name).r#type(kind).set_set_identifier(identifier.map(str::to_owned));
        record.build().expect("complete")
    }

    #[test]
    fn ids_name_zone_name_type_and_identifier() {
        for id in ["Z1/api.example.com/CNAME/primary", "Z1/api.example.com/CNAME/", "Z1/api.example.com/CNAME/a/b"] {
            assert_eq!(Key::parse(id).map(|key| key.id()).as_deref(), Some(id));
        }
        assert_eq!(Key::parse("Z1/api.example.com/CNAME"), None);
    }

    #[test]
    fn a_record_is_identified_by_its_plain_name_its_type_and_its_identifier() {
        let key = Key::parse("Z1/api.example.com/CNAME/primary").expect("an id");
        assert!(key.is_of(&record("API.example.com.", RrType::Cname, Some("primary"))));
        assert!(!key.is_of(&record("api.example.com.", RrType::Cname, None)));
        assert!(!key.is_of(&record("api.example.com.", RrType::A, Some("primary"))));
        assert!(!key.is_of(&record("www.example.com.", RrType::Cname, Some("primary"))));
    }

    #[test]
    fn records_of_the_stack_that_the_state_has_lost_are_not_called_anybody_elses() {
        let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: "123456789012".into() };
        let value = ResourceRecord::builder().value("_2.x.acm-validations.aws.").build().expect("complete");
        let validates = |name: &str| {
            let record = Described::builder().name(name).r#type(RrType::Cname);
            record.resource_records(value.clone()).build().expect("complete")
        };
        let records = [
            record("example.com.", RrType::Soa, None),
            record("example.com.", RrType::Ns, None),
            record("api.example.com.", RrType::Cname, Some("pay-prod-primary")),
            record("api.example.com.", RrType::Cname, Some("pay-prod-secondary")),
            record("mail.example.com.", RrType::Txt, None),
            validates("_1.api.example.com."),
            validates("_1.www.example.com."),
        ];
        let also = ["Z1/api.example.com/CNAME/pay-prod-secondary"].into_iter().collect();
        let left = left_of(&scope, "Z1", &records, &also);
        assert_eq!(left.own, ["api.example.com CNAME (pay-prod-primary)", "_1.api.example.com CNAME"]);
        assert_eq!(left.others, ["mail.example.com TXT", "_1.www.example.com CNAME"]);
        let [own, others] = &left.sentences("Z1")[..] else { panic!("{left:?}") };
        assert!(
            own.contains("not in the state: api.example.com CNAME") && own.contains("run `drctl up` first"),
            "{own}"
        );
        assert_eq!(
            others,
            "Z1 still has records that this stack has not created: mail.example.com TXT, _1.www.example.com CNAME"
        );
        assert_eq!(Left::default().sentences("Z1"), Vec::<String>::new());
    }

    #[test]
    fn a_refused_change_is_recognised_even_without_a_code() {
        let failure = |class, code: Option<&str>| Failure {
            code: code.map(str::to_owned),
            ..Failure::new(class, "HTTP status 400 without a message")
        };
        assert!(is_refused_batch(&failure(Class::Refused, None)));
        assert!(is_refused_batch(&failure(Class::Exists, Some("InvalidChangeBatch"))));
        assert!(!is_refused_batch(&failure(Class::Refused, Some("InvalidInput"))));
        assert!(!is_refused_batch(&failure(Class::Ambiguous, None)));
    }
}
