//! Records, and which of them answers a name.
//!
//! The rules are from
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html> and
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-types.html>.

use crate::check::Checks;

/// The role of a record in a failover pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// It answers as long as it is healthy.
    Primary,
    /// It answers while the primary is not healthy.
    Secondary,
}

/// A record set, as far as it matters for the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name it answers.
    pub name: String,
    /// `CNAME`, `A` and so on.
    pub record_type: String,
    /// What distinguishes it from others of the same name and type; empty if it is the only one.
    pub set_identifier: String,
    /// Its role in a failover pair.
    pub failover: Option<Failover>,
    /// The check that has to be healthy for it to answer.
    pub health_check: Option<String>,
    /// For how many seconds resolvers may keep the answer; `None` for an alias, which has the TTL of its target.
    pub ttl: Option<u32>,
    /// What it answers.
    pub target: Target,
}

/// What a record answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// These values.
    Values(Vec<String>),
    /// The answer of another name.
    Alias {
        /// The other name.
        name: String,
        /// Whether that is a name in the same zone, rather than the name of an AWS resource.
        in_zone: bool,
        /// Whether the record is as healthy as its target.
        evaluate_target_health: bool,
    },
}

impl Record {
    /// The values, or the one name that an alias stands for.
    #[must_use]
    pub fn leads_to(&self) -> Vec<&str> {
        match &self.target {
            Target::Values(values) => values.iter().map(String::as_str).collect(),
            Target::Alias { name, .. } => vec![name.as_str()],
        }
    }
}

/// Records of one zone.
#[derive(Debug, Clone, Default)]
pub struct Records(Vec<Record>);

impl Records {
    /// Creates this from the records of a zone, or from those that matter.
    #[must_use]
    pub fn new(records: Vec<Record>) -> Self {
        Self(records)
    }

    /// All of them, in the order of the zone.
    pub fn all(&self) -> impl Iterator<Item = &Record> {
        self.0.iter()
    }

    /// The record that answers a name; `None` if the name has no record. If the name has records of several types, this is
    /// about the type of the failover pair.
    #[must_use]
    pub fn answer(&self, name: &str, checks: &Checks) -> Option<&Record> {
        let group = self.named(name);
        let first = group.iter().find(|record| record.failover.is_some()).or(group.first()).copied()?;
        self.answer_of(name, &first.record_type, checks)
    }

    /// The record that answers a name and a type; `None` if there is no such record.
    ///
    /// In a failover pair, that is the primary if it is healthy; otherwise the secondary if it is healthy; otherwise the
    /// primary, because then "Route 53 considers all the records in the group to be healthy". A single record answers in
    /// any case. Among records with other policies, which drctl does not create, it is the first healthy one.
    #[must_use]
    pub fn answer_of(&self, name: &str, record_type: &str, checks: &Checks) -> Option<&Record> {
        let mut group = self.named(name);
        group.retain(|record| record.record_type == record_type);
        // The sort is stable: without roles, the order stays.
        group.sort_by_key(|record| record.failover == Some(Failover::Secondary));
        let healthy = group.iter().find(|record| self.is_healthy(record, checks, &mut Vec::new()));
        healthy.or(group.first()).copied()
    }

    fn named(&self, name: &str) -> Vec<&Record> {
        self.0.iter().filter(|record| is_same(&record.name, name)).collect()
    }

    /// Whether a record may answer. "Records without a health check are always healthy"; a record with a check is healthy
    /// if the check is; an alias that evaluates its target's health is healthy only if its target is. `above` are the names
    /// that led here, because an alias may not lead back to itself.
    fn is_healthy<'a>(&'a self, record: &'a Record, checks: &Checks, above: &mut Vec<&'a str>) -> bool {
        if record.health_check.as_ref().is_some_and(|check| !checks.healthy(check)) {
            return false;
        }
        match &record.target {
            Target::Alias { name, in_zone: true, evaluate_target_health: true } => {
                if above.iter().any(|above| is_same(above, name)) {
                    return false;
                }
                above.push(&record.name);
                let mut targets = self.named(name).into_iter().filter(|other| other.record_type == record.record_type);
                let healthy = targets.any(|other| self.is_healthy(other, checks, above));
                above.pop();
                healthy
            }
            // API Gateway "is highly available by design": as a target, it is healthy.
            // https://docs.aws.amazon.com/Route53/latest/APIReference/API_AliasTarget.html
            Target::Alias { .. } | Target::Values(_) => true,
        }
    }
}

/// A name in the form in which names are compared: case and a dot at the end make no difference.
#[must_use]
pub fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether two names are the same: case and a dot at the end make no difference.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Check, Kind, Observation};

    /// The checks `p` and `s`. Those in `unhealthy` are unhealthy.
    fn checks(unhealthy: &[&str]) -> Checks {
        let endpoint = |id: &str| Check {
            id: id.to_owned(),
            kind: Kind::Endpoint { host: id.to_owned(), path: "/".to_owned(), failure_threshold: 1 },
            inverted: false,
            disabled: false,
        };
        let mut checks = Checks::new(["p", "s"].map(endpoint));
        for id in unhealthy {
            checks.observe(id, &Observation::Answered(500));
        }
        checks
    }

    fn record(role: Option<Failover>, check: Option<&str>, value: &str) -> Record {
        Record {
            name: "api.example.com".to_owned(),
            record_type: "CNAME".to_owned(),
            set_identifier: value.to_owned(),
            failover: role,
            health_check: check.map(str::to_owned),
            ttl: Some(60),
            target: Target::Values(vec![value.to_owned()]),
        }
    }

    fn alias(of: &Record, name: &str, in_zone: bool, evaluate_target_health: bool) -> Record {
        let target = Target::Alias { name: name.to_owned(), in_zone, evaluate_target_health };
        Record { target, ttl: None, ..of.clone() }
    }

    /// The secondary is first, because the order in a zone is by set identifier and has no meaning.
    fn pair() -> Records {
        let secondary = record(Some(Failover::Secondary), Some("s"), "secondary");
        Records::new(vec![secondary, record(Some(Failover::Primary), Some("p"), "primary")])
    }

    fn answer(records: &Records, unhealthy: &[&str]) -> String {
        let checks = checks(unhealthy);
        records.answer("API.example.com.", &checks).map(|record| record.leads_to().join(",")).unwrap_or_default()
    }

    /// "When the primary resource is healthy, Route 53 responds with the primary; when it is unhealthy, with the secondary."
    #[test]
    fn the_primary_answers_while_it_is_healthy_and_then_the_secondary() {
        assert_eq!(answer(&pair(), &[]), "primary");
        assert_eq!(answer(&pair(), &["s"]), "primary");
        assert_eq!(answer(&pair(), &["p"]), "secondary");
    }

    /// "If none of the records is healthy, all records are considered healthy", and then the policy chooses the primary.
    #[test]
    fn with_neither_healthy_the_primary_answers() {
        assert_eq!(answer(&pair(), &["p", "s"]), "primary");
    }

    /// "Records without a health check are always healthy."
    #[test]
    fn a_record_without_a_check_is_always_healthy() {
        let secondary = record(Some(Failover::Secondary), None, "secondary");
        let records = Records::new(vec![record(Some(Failover::Primary), Some("p"), "primary"), secondary.clone()]);
        assert_eq!(answer(&records, &["p", "s"]), "secondary");
        let records = Records::new(vec![secondary, record(Some(Failover::Primary), None, "primary")]);
        assert_eq!(answer(&records, &["p", "s"]), "primary");
    }

    #[test]
    fn a_record_that_is_alone_answers_in_any_case() {
        assert_eq!(answer(&Records::new(vec![record(None, Some("p"), "only")]), &["p"]), "only");
        let lone = Records::new(vec![record(Some(Failover::Secondary), Some("s"), "secondary")]);
        assert_eq!(answer(&lone, &["s"]), "secondary");
        assert_eq!(answer(&Records::default(), &[]), "");
    }

    #[test]
    fn only_records_of_the_name_and_of_the_pairs_type_answer() {
        let text = Record { record_type: "TXT".to_owned(), ..record(None, None, "text") };
        let other = Record { name: "www.example.com".to_owned(), ..record(None, None, "other") };
        let primary = record(Some(Failover::Primary), Some("p"), "primary");
        assert_eq!(answer(&Records::new(vec![text, other, primary]), &["p"]), "primary");
    }

    /// A marker beside the name, as drctl builds it: both pairs follow the same check.
    #[test]
    fn each_type_of_a_name_is_answered_by_its_own_records() {
        let of_type = |record: Record, kind: &str| Record { record_type: kind.to_owned(), ..record };
        let pair = [(Failover::Primary, Some("p")), (Failover::Secondary, None)];
        let records = pair.into_iter().flat_map(|(role, check)| {
            ["A", "TXT"].map(|kind| of_type(record(Some(role), check, &format!("{kind} {role:?}")), kind))
        });
        let records = Records::new(records.collect());
        for (unhealthy, role) in [(&[][..], "Primary"), (&["p"][..], "Secondary")] {
            for kind in ["A", "TXT"] {
                let checks = checks(unhealthy);
                let answer = records.answer_of("api.example.com", kind, &checks).map(Record::leads_to);
                assert_eq!(answer, Some(vec![format!("{kind} {role}").as_str()]));
            }
        }
        assert_eq!(records.answer_of("api.example.com", "AAAA", &checks(&[])), None);
        assert_eq!(records.all().count(), 4);
    }

    /// `EvaluateTargetHealth`: "an alias resource record set inherits the health of the referenced AWS resource".
    #[test]
    fn an_alias_of_an_aws_resource_follows_its_own_check() {
        let records = Records::new(vec![
            alias(&record(Some(Failover::Primary), Some("p"), "1"), "d-1.execute-api", false, true),
            alias(&record(Some(Failover::Secondary), Some("s"), "2"), "d-2.execute-api", false, true),
        ]);
        assert_eq!(answer(&records, &[]), "d-1.execute-api");
        assert_eq!(answer(&records, &["p"]), "d-2.execute-api");
    }

    #[test]
    fn an_alias_in_the_zone_is_as_healthy_as_its_target_if_it_evaluates_it() {
        let of_zone = |evaluate| {
            let target = Record { name: "east.example.com".to_owned(), ..record(None, Some("p"), "east") };
            let primary = alias(&record(Some(Failover::Primary), None, "1"), "East.example.com.", true, evaluate);
            Records::new(vec![target, primary, record(Some(Failover::Secondary), None, "secondary")])
        };
        assert_eq!(answer(&of_zone(true), &[]), "East.example.com.");
        assert_eq!(answer(&of_zone(true), &["p"]), "secondary");
        assert_eq!(answer(&of_zone(false), &["p"]), "East.example.com.");
    }

    #[test]
    fn an_alias_that_refers_to_itself_is_not_healthy() {
        let primary = alias(&record(Some(Failover::Primary), None, "1"), "loop.example.com", true, true);
        let back = Record { name: "loop.example.com".to_owned(), ..alias(&primary, "api.example.com", true, true) };
        let secondary = record(Some(Failover::Secondary), None, "secondary");
        assert_eq!(answer(&Records::new(vec![primary, back, secondary]), &[]), "secondary");
    }
}
