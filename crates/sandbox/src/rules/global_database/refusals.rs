//! What AWS refuses of a switchover or failover, and of other calls while one is in progress.
//!
//! The conditions are those of
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-disaster-recovery.html>, the codes
//! those that botocore's model lists for the operations. Which code belongs to which condition, and the texts, AWS has
//! not published: see docs/aws-behaviour.md#switchover-and-failover-refusals.

use http::StatusCode;

use super::{clusters, globals, instances, parameter, region_of};
use crate::rules::rule::Next;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;
use crate::world::aurora::databases::GlobalDatabases;
use crate::world::aurora::operation::Member;

const GLOBAL_STATE: &str = "InvalidGlobalClusterStateFault";
const CLUSTER_STATE: &str = "InvalidDBClusterStateFault";

/// Days for which a cluster keeps its automated snapshots, if it does not say.
const RETENTION_DAYS: u64 = 1;
const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// An operation that AWS accepts.
pub(super) struct Accepted {
    /// The global cluster as it is listed.
    pub(super) global: Element,
    /// The global cluster's identifier as it is written there.
    pub(super) id: String,
    pub(super) from: Member,
    pub(super) to: Member,
    pub(super) others: Vec<Member>,
    pub(super) loses_data: bool,
    /// For how many seconds the primary cluster keeps its automated snapshots.
    pub(super) retention: u64,
}

/// Checks a call for a switchover or failover; `Err` is AWS's refusal.
pub(super) async fn check(databases: &GlobalDatabases, call: &Call, next: Next<'_>) -> Result<Accepted, Answer> {
    let (wanted, target) = (parameter(call, "GlobalClusterIdentifier"), parameter(call, "TargetDbClusterIdentifier"));
    let loses_data = loses_data(call)?;
    for (name, value) in [("GlobalClusterIdentifier", wanted), ("TargetDbClusterIdentifier", target)] {
        if value.is_empty() {
            let message = format!("The request must contain the parameter {name}.");
            return Err(Answer::client_error(call, "MissingParameter", &message));
        }
    }
    // "This parameter isn't case-sensitive."
    let is_it =
        |global: &Element| global.text_of("GlobalClusterIdentifier").is_some_and(|id| id.eq_ignore_ascii_case(wanted));
    let Some(global) = globals(call, next).await?.into_iter().find(is_it) else {
        return Err(not_found(call, "GlobalClusterNotFoundFault", &format!("Global cluster {wanted} not found.")));
    };
    let id = global.text_of("GlobalClusterIdentifier").unwrap_or_default().to_owned();
    let state = |code: &str, message: &str| Err(Answer::client_error(call, code, message));

    let members = Members::of(&global);
    let Some(writer) = members.writer() else {
        return state(GLOBAL_STATE, &format!("Global cluster {id} has no primary DB cluster."));
    };
    if !members.0.iter().any(|(arn, _)| arn == target) {
        return Err(no_member(call, next, target, &id).await?);
    }
    if writer == target {
        return state(GLOBAL_STATE, &format!("DB cluster {target} is already the primary DB cluster of {id}."));
    }
    // <https://github.com/aws/aws-sdk/issues/822>: all that is known of calls in another Region.
    let expected = region_of(if loses_data { target } else { writer });
    if call.region != expected {
        tracing::warn!(operation = call.operation, called = call.region, expected, "called in the wrong Region");
        let message = "An internal error has occurred. Please try your query again at a later time.";
        return Err(Answer::refusal(call, StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", message));
    }
    if databases.progress(&call.account, &id).is_some() {
        return state(GLOBAL_STATE, &format!("Global cluster {id} is already being switched or failed over."));
    }
    if databases.is_behind(&call.account, target) {
        return state(CLUSTER_STATE, &format!("DB cluster {target} is still being resynchronized."));
    }

    let (from, to) = (Found::ask(call, next, writer).await?, Found::ask(call, next, target).await?);
    if minor_version(from.version()) != minor_version(to.version()) {
        let message = format!(
            "The primary DB cluster runs engine version {}, and DB cluster {target} runs {}: both must have the same major and \
             minor version.",
            from.version(),
            to.version()
        );
        return state(GLOBAL_STATE, &message);
    }
    if to.member.instances.is_empty() {
        let message = format!("DB cluster {target} has no DB instance: add one before a switchover or failover to it.");
        return state(CLUSTER_STATE, &message);
    }
    // A failover takes no notice of the primary.
    let involved: &[&Found] = if loses_data { &[&to] } else { &[&from, &to] };
    for found in involved {
        if let Some(status) = found.unavailable(call, next).await? {
            let message = format!("DB cluster {} isn't currently in the available state: {status}.", found.member.arn);
            return state(CLUSTER_STATE, &message);
        }
    }
    let mut others = Vec::new();
    for (arn, _) in members.0.iter().filter(|(arn, _)| arn != writer && arn != target) {
        others.push(Found::ask(call, next, arn).await?.member);
    }
    let retention = from.cluster.text_of("BackupRetentionPeriod").and_then(|days| days.parse().ok());
    let retention = retention.unwrap_or(RETENTION_DAYS) * SECONDS_OF_A_DAY;
    Ok(Accepted { id, from: from.member, to: to.member, others, loses_data, retention, global })
}

/// Whether the call is for a failover. `FailoverGlobalCluster` is for a switchover unless it allows data loss.
fn loses_data(call: &Call) -> Result<bool, Answer> {
    if call.operation == "SwitchoverGlobalCluster" {
        return Ok(false);
    }
    let form = call.form();
    if form.get("AllowDataLoss").is_some() && form.get("Switchover").is_some() {
        let message = "AllowDataLoss and Switchover cannot both be specified.";
        return Err(Answer::client_error(call, "InvalidParameterCombination", message));
    }
    Ok(form.get("AllowDataLoss").is_some_and(|value| value.eq_ignore_ascii_case("true")))
}

/// The refusal of a target that is no member. A name is unique only within a Region, so AWS does not find a cluster by its
/// name here. <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_FailoverGlobalCluster.html>,
/// `TargetDbClusterIdentifier`. See docs/aws-behaviour.md#switch-by-arn.
async fn no_member(call: &Call, next: Next<'_>, target: &str, id: &str) -> Result<Answer, Answer> {
    let exists = target.starts_with("arn:")
        && clusters(call, next, region_of(target)).await?.iter().any(|one| one.text_of("DBClusterArn") == Some(target));
    Ok(if exists {
        let message = format!("DB cluster {target} is not a secondary DB cluster of global cluster {id}.");
        Answer::client_error(call, GLOBAL_STATE, &message)
    } else {
        not_found(call, "DBClusterNotFoundFault", &format!("DBCluster {target} not found."))
    })
}

fn not_found(call: &Call, code: &str, message: &str) -> Answer {
    Answer::refusal(call, StatusCode::NOT_FOUND, code, message)
}

/// The members of a global cluster: ARN, and whether it is the writer.
struct Members(Vec<(String, bool)>);

impl Members {
    fn of(global: &Element) -> Self {
        let members = global.at(&["GlobalClusterMembers", "GlobalClusterMember"]).into_iter();
        let member = |one: &Element| {
            (one.text_of("DBClusterArn").unwrap_or_default().to_owned(), one.text_of("IsWriter") == Some("true"))
        };
        Self(members.map(member).collect())
    }

    fn writer(&self) -> Option<&str> {
        self.0.iter().find(|(_, is_writer)| *is_writer).map(|(arn, _)| arn.as_str())
    }
}

/// A cluster as it is listed.
struct Found {
    member: Member,
    cluster: Element,
}

impl Found {
    async fn ask(call: &Call, next: Next<'_>, arn: &str) -> Result<Self, Answer> {
        let found = clusters(call, next, region_of(arn)).await?;
        let cluster = found.into_iter().find(|one| one.text_of("DBClusterArn") == Some(arn));
        let read = cluster.and_then(|cluster| {
            let mut instances = cluster.at(&["DBClusterMembers", "DBClusterMember"]);
            instances.sort_by_key(|one| one.text_of("IsClusterWriter") != Some("true"));
            let names = instances.iter().filter_map(|one| one.text_of("DBInstanceIdentifier").map(str::to_owned));
            Some(Self { member: Member::of(arn, names.collect())?, cluster })
        });
        read.ok_or_else(|| not_found(call, "DBClusterNotFoundFault", &format!("DBCluster {arn} not found.")))
    }

    fn version(&self) -> &str {
        self.cluster.text_of("EngineVersion").unwrap_or_default()
    }

    /// Why it cannot be switched: the status of the cluster, or of its instances if none of them is available.
    async fn unavailable(&self, call: &Call, next: Next<'_>) -> Result<Option<String>, Answer> {
        let status = self.cluster.text_of("Status").unwrap_or_default();
        if status != "available" {
            return Ok(Some(format!("it is {status}")));
        }
        let all = instances(call, next, &self.member.region).await?;
        let is_of_it = |one: &&Element| {
            one.text_of("DBInstanceIdentifier").is_some_and(|name| self.member.instances.iter().any(|own| own == name))
        };
        let own: Vec<&str> =
            all.iter().filter(is_of_it).map(|one| one.text_of("DBInstanceStatus").unwrap_or_default()).collect();
        let serves = own.is_empty() || own.contains(&"available");
        Ok((!serves).then(|| format!("its DB instance is {}", own.join(", "))))
    }
}

/// Major and minor version: `16.1` of `16.1.6`.
fn minor_version(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

/// Refuses changes that AWS refuses while a switchover or failover is in progress: those of the global cluster, and of
/// the clusters and instances whose roles change.
pub(super) fn while_in_progress(databases: &GlobalDatabases, call: &Call) -> Result<(), Answer> {
    if call.reads() {
        return Ok(());
    }
    let global = parameter(call, "GlobalClusterIdentifier");
    if !global.is_empty() && databases.progress(&call.account, global).is_some() {
        let message = format!("Global cluster {global} is being switched or failed over.");
        return Err(Answer::client_error(call, GLOBAL_STATE, &message));
    }
    let (cluster, instance) = (parameter(call, "DBClusterIdentifier"), parameter(call, "DBInstanceIdentifier"));
    let is_it = |member: &Member| {
        let is_named = member.region == call.region && member.name == cluster;
        let has = member.region == call.region && member.instances.iter().any(|one| one == instance);
        is_named || (!cluster.is_empty() && member.arn == cluster) || has
    };
    let Some(global) = databases.operation_on(&call.account, is_it) else { return Ok(()) };
    let (code, name) = if cluster.is_empty() { ("InvalidDBInstanceState", instance) } else { (CLUSTER_STATE, cluster) };
    let why = format!("its global cluster {global} is being switched or failed over");
    Err(Answer::client_error(call, code, &format!("{name} isn't currently in the available state: {why}.")))
}
