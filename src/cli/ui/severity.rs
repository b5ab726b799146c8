//! How bad it is when a resource is missing or differs: a table, one row per type.
//!
//! The table is about the architecture as a whole. A deviation is critical if a Region cannot serve or take over because of it,
//! or if data is lost or exposed. It is major if it lowers the protection while everything still works. The rest is minor.

use serde::Serialize;

use super::status::{Health, health};
use drctl_engine::{Action, Item};

/// How bad a deviation is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A Region does not serve, cannot take over, or data is lost or exposed.
    Critical,
    /// Everything works, but with less protection, or no one is alerted.
    Major,
    /// Everything works as well as before.
    Minor,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Major, Self::Minor];

    /// The word shown to people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Major => "major",
            Self::Minor => "minor",
        }
    }
}

use Severity::{Critical, Major, Minor};

/// What it means when a resource of a type is missing, when it differs, and when one of its properties differs.
struct Row {
    kind: &'static str,
    gone: (Severity, &'static str),
    differs: (Severity, &'static str),
    properties: &'static [(&'static str, Severity, &'static str)],
}

const fn row(
    kind: &'static str,
    gone: (Severity, &'static str),
    differs: (Severity, &'static str),
    properties: &'static [(&'static str, Severity, &'static str)],
) -> Row {
    Row { kind, gone, differs, properties }
}

const NETWORK: (Severity, &str) = (Critical, "part of the network is missing");
const API: (Severity, &str) = (Critical, "this Region does not serve the API");
const API_DIFFERS: (Severity, &str) = (Major, "the API is not served as configured");
const NAMES: (Severity, &str) = (Critical, "the public name does not point to this Region");
const ROUTES: (Severity, &str) = (Critical, "part of the network has no route to its destination");
const ENCRYPTION: &str = "it is not encrypted with the configured key";
const PROTECTION: &str = "it can be deleted by mistake";

/// The table.
const ROWS: &[Row] = &[
    // Types that hold data, and what they need.
    row(
        "global_cluster",
        (Critical, "the database is not replicated to the other Region"),
        (Major, "the global database is not as configured"),
        &[
            ("deletion_protection", Major, PROTECTION),
            ("encrypted", Critical, "the database is not encrypted"),
            ("engine_version", Major, "the database runs another engine version"),
        ],
    ),
    row(
        "db_cluster",
        (Critical, "this Region has no working database"),
        (Major, "the database is not as configured"),
        &[
            ("global_cluster", Critical, "the database is not replicated to the other Region"),
            ("source_region", Critical, "the database is not replicated to the other Region"),
            ("security_groups", Critical, "access to the database is not as configured"),
            ("port", Critical, "the function cannot reach the database"),
            ("subnet_group", Critical, "the database is in other subnets"),
            ("kms_key", Critical, ENCRYPTION),
            ("master_secret", Critical, "the function cannot read the database's password"),
            ("backup_retention_days", Major, "backups are kept for a different time"),
            ("deletion_protection", Major, PROTECTION),
            ("maintenance_window", Minor, "maintenance happens at a different time"),
            ("backup_window", Minor, "backups are taken at a different time"),
            ("copy_tags_to_snapshots", Minor, "snapshots are tagged differently"),
        ],
    ),
    row(
        "db_instance",
        (Critical, "the database of this Region does not answer"),
        (Major, "the database instance is not as configured"),
        &[
            ("publicly_accessible", Critical, "the database is reachable from the internet"),
            ("performance_insights", Minor, "the database is monitored differently"),
            ("performance_insights_kms_key", Minor, "the database is monitored differently"),
            ("maintenance_window", Minor, "maintenance happens at a different time"),
            ("auto_minor_version_upgrade", Minor, "minor versions are upgraded differently"),
        ],
    ),
    row(
        "db_subnet_group",
        (Critical, "the database has no subnets"),
        (Major, "the database may be placed in other subnets"),
        &[],
    ),
    row(
        "db_cluster_parameter_group",
        (Major, "the database's parameters are missing"),
        (Major, "the database's parameters are not as configured"),
        &[],
    ),
    row(
        "dynamodb_table",
        (Critical, "the sessions table is missing, or does not work in both Regions"),
        (Major, "the sessions table is not as configured"),
        &[
            ("replica_deletion_protection", Major, PROTECTION),
            ("replica", Critical, "the sessions table's replica in the other Region is missing or differs"),
            ("stream_view", Critical, "the sessions table has no stream for its replication"),
            ("kms_key", Critical, ENCRYPTION),
            ("recovery_days", Major, "the sessions table cannot be restored to a point in time as configured"),
            ("ttl_attribute", Minor, "sessions expire differently"),
        ],
    ),
    row(
        "s3_bucket",
        (Critical, "a bucket is missing"),
        (Major, "the bucket is not as configured"),
        &[
            ("versioned", Critical, "without versioning, the bucket is not replicated"),
            ("public_access_blocked", Critical, "the bucket can be made public"),
            ("policy", Critical, "access to the bucket is not as configured"),
            ("kms_key", Critical, ENCRYPTION),
            ("bucket_key", Minor, "encryption needs more KMS calls"),
            ("incomplete_upload_days", Minor, "incomplete uploads are kept for a different time"),
        ],
    ),
    row(
        "s3_replication",
        (Critical, "objects are not replicated to the other Region"),
        (Critical, "objects are not replicated as configured"),
        &[],
    ),
    row(
        "secret",
        (Critical, "the database's password is missing"),
        (Major, "the secret is not as configured"),
        &[
            ("pending_deletion", Critical, "the secret is scheduled for deletion, and cannot be read"),
            ("replica_region", Critical, "the secret has no replica in the other Region"),
            ("replica_kms_key", Critical, "the secret's replica is not encrypted with the configured key"),
            ("kms_key", Critical, ENCRYPTION),
            ("description", Minor, "the description differs"),
        ],
    ),
    row(
        "kms_key",
        (Critical, "data encrypted with this key cannot be read"),
        (Major, "the key is not as configured"),
        &[
            ("enabled", Critical, "data encrypted with this key cannot be read"),
            (
                "pending_deletion",
                Critical,
                "the key is scheduled for deletion; until it is restored, its data cannot be read",
            ),
            ("policy", Critical, "access to the key is not as configured"),
            ("description", Minor, "the description differs"),
        ],
    ),
    row("kms_alias", (Minor, "the key has no alias"), (Minor, "the alias points to another key"), &[]),
    // Types that serve the API.
    row(
        "lambda_function",
        API,
        (Major, "the function is not as configured"),
        &[
            ("subnets", Critical, "the function is in other subnets"),
            ("security_groups", Critical, "the function may be unable to reach the database"),
            ("role", Critical, "the function has different permissions"),
            ("environment", Critical, "the function runs with different settings"),
            ("reserved_concurrency", Critical, "the function may be throttled"),
            ("description", Minor, "the description differs"),
            ("tracing", Minor, "calls are traced differently"),
        ],
    ),
    row("lambda_permission", API, (Critical, "the API is not allowed to call the function"), &[]),
    row(
        "api",
        API,
        API_DIFFERS,
        &[
            ("disable_execute_api_endpoint", Critical, "the health check does not reach the API as configured"),
            ("description", Minor, "the description differs"),
        ],
    ),
    row("api_integration", API, (Critical, "the API does not call the function as configured"), &[]),
    row("api_authorizer", API, (Critical, "the API authorises callers differently"), &[]),
    row("api_route", API, (Critical, "a route of the API is not as configured"), &[]),
    row(
        "api_stage",
        API,
        API_DIFFERS,
        &[
            ("access_log_group", Minor, "requests are logged differently"),
            ("access_log_format", Minor, "requests are logged differently"),
            ("detailed_metrics", Minor, "the API is monitored differently"),
        ],
    ),
    row("api_domain", NAMES, (Major, "the public name is not served as configured"), &[]),
    row("api_mapping", NAMES, (Critical, "the public name is mapped to another API"), &[]),
    row("certificate", NAMES, (Major, "the certificate is not as configured"), &[]),
    row(
        "iam_role",
        (Critical, "what uses this role has no permissions"),
        (Critical, "permissions are not as configured"),
        &[("description", Minor, "the description differs")],
    ),
    // Types that fail over.
    row(
        "hosted_zone",
        (Critical, "the public name does not exist"),
        (Major, "the zone is not as configured"),
        &[("comment", Minor, "the comment differs")],
    ),
    row(
        "health_check",
        (Critical, "a failure would not be noticed, and DNS would not fail over"),
        (Critical, "failures are not noticed as configured, and DNS may not fail over"),
        &[("disabled", Critical, "the health check is not enabled as configured, and DNS may not fail over")],
    ),
    row(
        "record",
        (Critical, "DNS does not point to this Region"),
        (Critical, "DNS does not point where it should"),
        &[("ttl", Major, "clients notice a failover later")],
    ),
    // The network.
    row(
        "vpc",
        NETWORK,
        (Major, "the network is not as configured"),
        &[
            ("dns_support", Critical, "names are not resolved in the network as configured"),
            ("dns_hostnames", Critical, "names are not resolved in the network as configured"),
        ],
    ),
    row("subnet", NETWORK, (Major, "the subnet is not as configured"), &[]),
    row("internet_gateway", NETWORK, ROUTES, &[]),
    row(
        "security_group",
        (Critical, "the function and the database cannot reach each other"),
        (Critical, "network access is not as configured"),
        &[("description", Minor, "the description differs")],
    ),
    row(
        "default_security_group",
        (Minor, "the default security group has not been emptied"),
        (Major, "the default security group lets traffic through"),
        &[],
    ),
    row(
        "nat_gateway",
        (Major, "one zone has no route to the internet"),
        (Major, "the route to the internet is not as configured"),
        &[],
    ),
    row("eip", (Major, "one zone has no public address"), (Minor, "the address is not as configured"), &[]),
    row("route_table", NETWORK, (Major, "the route table is not as configured"), &[]),
    row("route", (Major, ROUTES.1), (Major, "traffic takes a different route"), &[]),
    row("route_table_association", (Major, ROUTES.1), (Major, "traffic takes a different route"), &[]),
    row(
        "vpc_peering",
        (Major, "the Regions' networks are not connected"),
        (Major, "the connection between the Regions is not as configured"),
        &[],
    ),
    row(
        "vpc_endpoint",
        (Minor, "traffic to AWS goes through the NAT gateways"),
        (Minor, "the endpoint is not as configured"),
        &[],
    ),
    // Types that watch the rest.
    row(
        "alarm",
        (Major, "no one is alerted when this fails"),
        (Major, "the alarm does not watch what it should"),
        &[("actions", Major, "no one is alerted when this fails"), ("description", Minor, "the description differs")],
    ),
    row(
        "sns_topic",
        (Major, "alarms are not delivered to anyone"),
        (Major, "alarms may not be delivered"),
        &[("display_name", Minor, "the display name differs")],
    ),
    row("sns_subscription", (Major, "alarms do not reach this address"), (Major, "alarms reach another address"), &[]),
    row("log_group", (Minor, "logs are not kept"), (Minor, "logs are kept differently"), &[]),
    row("flow_log", (Minor, "traffic is not recorded"), (Minor, "traffic is recorded differently"), &[]),
    row("dashboard", (Minor, "the dashboard is missing"), (Minor, "the dashboard shows something else"), &[]),
];

/// The row of a type that has none: it is taken seriously.
const OTHER: (Severity, &str) = (Major, "it is not as configured");

/// How bad the health of a resource is, and what that means; `None` if nothing is wrong, or nothing is known.
#[must_use]
pub fn severity(item: &Item) -> Option<(Severity, &'static str)> {
    let row = ROWS.iter().find(|row| row.kind == item.address.kind());
    let gone = row.map_or(OTHER, |row| row.gone);
    match health(item) {
        Health::Present | Health::Unknown => None,
        Health::Missing | Health::NotMade if item.action == Action::Delete => {
            Some((Minor, "only its record is left; it is no longer configured"))
        }
        Health::Missing | Health::NotMade | Health::Failed | Health::Deleting => Some(gone),
        Health::Leftover => Some((Minor, "it is no longer configured")),
        Health::Pending => {
            let severity = if gone.0 == Critical { Major } else { Minor };
            Some((severity, "it is being created or changed, and not yet available"))
        }
        Health::Drifted => {
            let of = |property: &str| {
                if property.starts_with("tags.") || property == "tags" {
                    return (Minor, "its tags differ");
                }
                let Some(row) = row else { return OTHER };
                let known = row.properties.iter().find(|(name, ..)| {
                    property == *name || property.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
                });
                known.map_or(row.differs, |(_, severity, why)| (*severity, *why))
            };
            // Of several properties that are equally bad, the first one counts: types list the most important ones first.
            let found = item.changes.iter().map(|change| of(&change.property)).min_by_key(|(severity, _)| *severity);
            Some(found.or(row.map(|row| row.differs)).unwrap_or(OTHER))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::ui::testing::{change, item, live};
    use drctl_aws::resources::{holds_data, kinds};
    use drctl_engine::Phase;

    fn drifted(at: &str, properties: &[&str]) -> Item {
        let changes = properties.iter().map(|property| change(property, json!(1), json!(2))).collect();
        Item { changes, live: Some(live(Phase::Ready)), ..item(at, Action::Update) }
    }

    fn missing(at: &str) -> Item {
        Item {
            recorded: true,
            reason: Some("it is recorded, and no longer in AWS".to_owned()),
            ..item(at, Action::Create)
        }
    }

    #[test]
    fn every_type_has_exactly_one_row() {
        for kind in kinds() {
            assert_eq!(ROWS.iter().filter(|row| row.kind == kind).count(), 1, "{kind}");
        }
        assert_eq!(ROWS.len(), kinds().len());
    }

    #[test]
    fn losing_what_holds_data_or_fails_over_is_critical() {
        let data = kinds().into_iter().filter(|kind| holds_data(kind));
        for kind in data.chain(["s3_replication", "health_check", "record", "hosted_zone"]) {
            let found = severity(&missing(&format!("secondary/{kind}/x"))).map(|(severity, _)| severity);
            assert_eq!(found, Some(Critical), "{kind}");
        }
    }

    #[test]
    fn a_deviation_is_as_bad_as_its_worst_property() {
        let cases = [
            (drifted("global/dynamodb_table/sessions", &["ttl_attribute", "replica"]), Some(Critical)),
            (drifted("global/dynamodb_table/sessions", &["ttl_attribute"]), Some(Minor)),
            (drifted("primary/kms_key/main", &["pending_deletion"]), Some(Critical)),
            (drifted("global/secret/database", &["pending_deletion"]), Some(Critical)),
            (drifted("global/health_check/primary-endpoint", &["disabled"]), Some(Critical)),
            (drifted("primary/security_group/database", &["ingress"]), Some(Critical)),
            (drifted("primary/alarm/api-errors", &["threshold"]), Some(Major)),
            (drifted("primary/alarm/api-errors", &["tags.Name"]), Some(Minor)),
            (drifted("primary/dashboard/main", &["body"]), Some(Minor)),
            (missing("primary/nat_gateway/a"), Some(Major)),
            (item("primary/vpc/main", Action::Create), Some(Critical)),
            (item("primary/vpc/main", Action::None), None),
            (item("primary/vpc/main", Action::Unknown), None),
            (Item { live: Some(live(Phase::Ready)), ..item("primary/vpc/old", Action::Delete) }, Some(Minor)),
            (item("primary/db_cluster/old", Action::Delete), Some(Minor)),
            (
                Item {
                    live: Some(live(Phase::Pending("creating".to_owned()))),
                    ..item("secondary/db_instance/main", Action::Record)
                },
                Some(Major),
            ),
            (
                Item {
                    live: Some(live(Phase::Failed("failed".to_owned()))),
                    ..item("secondary/db_instance/main", Action::Replace)
                },
                Some(Critical),
            ),
        ];
        for (item, expected) in cases {
            assert_eq!(severity(&item).map(|(severity, _)| severity), expected, "{item:?}");
        }
    }
}
