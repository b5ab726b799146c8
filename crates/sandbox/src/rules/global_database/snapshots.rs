//! Snapshots of clusters: the system snapshots of lost writes are listed among MiniStack's, and every snapshot can be
//! copied and restored.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CopyDBClusterSnapshot.html>,
//! <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html>.
//! See docs/aws-behaviour.md#lost-writes-snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use jiff::Timestamp;

use super::{clusters, parameter, region_of};
use crate::rules::rule::{Next, Rule};
use crate::rules::{Scope, ask};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::form::Form;
use crate::wire::xml::Element;
use crate::world::aurora::databases::GlobalDatabases;
use crate::world::aurora::lost::{LostSnapshot, PREFIX, SnapshotName};

const SNAPSHOT: &str = "DBClusterSnapshot";
const ID: &str = "DBClusterSnapshotIdentifier";

/// What a snapshot has from its cluster.
const OF_THE_CLUSTER: [&str; 12] = [
    "DBClusterIdentifier",
    "Engine",
    "EngineVersion",
    "ClusterCreateTime",
    "Port",
    "MasterUsername",
    "StorageEncrypted",
    "KmsKeyId",
    "AvailabilityZones",
    "DbClusterResourceId",
    "IAMDatabaseAuthenticationEnabled",
    "AllocatedStorage",
];

/// The snapshots that MiniStack does not know.
pub(super) struct Snapshots {
    databases: GlobalDatabases,
    /// The copies, by their identifiers.
    copies: Mutex<HashMap<Scope, BTreeMap<String, Element>>>,
}

impl Snapshots {
    pub(super) fn new(databases: &GlobalDatabases) -> Self {
        Self { databases: databases.clone(), copies: Mutex::default() }
    }

    fn copies(&self, call: &Call) -> Vec<Element> {
        lock(&self.copies).get(&Scope::of(call)).map(|copies| copies.values().cloned().collect()).unwrap_or_default()
    }

    /// The system snapshots of lost writes in the call's Region, as they are listed.
    async fn lost(&self, call: &Call, next: Next<'_>) -> Result<Vec<Element>, Answer> {
        let lost = self.databases.lost(&call.account, &call.region);
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let clusters = clusters(call, next, &call.region).await?;
        let described = |snapshot: &LostSnapshot| {
            let is_its = |one: &&Element| one.text_of("DBClusterArn") == Some(&snapshot.cluster.arn);
            Some(system_snapshot(call, snapshot, clusters.iter().find(is_its)?))
        };
        Ok(lost.iter().filter_map(described).collect())
    }

    async fn describe(&self, call: &mut Call, next: Next<'_>) -> Result<Answer, Answer> {
        let mut own = self.copies(call);
        own.extend(self.lost(call, next).await?);
        let (id, kind) = (parameter(call, ID), parameter(call, "SnapshotType"));
        let cluster = parameter(call, "DBClusterIdentifier");
        let is_of = |one: &Element| {
            let name = cluster.rsplit(':').next().unwrap_or_default();
            cluster.is_empty() || one.text_of("DBClusterIdentifier") == Some(name)
        };
        // "If this identifier is for an automated snapshot, the SnapshotType parameter must also be specified."
        let is_kind = |one: &Element| {
            let own_kind = one.text_of("SnapshotType").unwrap_or_default();
            own_kind == kind || (kind.is_empty() && (id.is_empty() || own_kind == "manual"))
        };
        own.retain(|one| (id.is_empty() || is_named(one, id)) && is_of(one) && is_kind(one));
        if !id.is_empty() {
            if own.is_empty() && is_lost(id) {
                return Err(not_found(call, id));
            }
            if !own.is_empty() {
                return Ok(Answer::rds(&call.operation, vec![Element::with_children("DBClusterSnapshots", own)]));
            }
        }
        let mut answer = next.run(call).await;
        if !own.is_empty() {
            answer.edit_xml(|root| {
                let result = root.child_or_new("DescribeDBClusterSnapshotsResult");
                result.child_or_new("DBClusterSnapshots").children_mut().extend(own);
                true
            });
        }
        Ok(answer)
    }

    /// A snapshot of the call's account by its identifier or ARN, and its Region.
    async fn find(&self, call: &Call, next: Next<'_>, name: &str) -> Result<(Element, String), Answer> {
        let region = if name.starts_with("arn:") { region_of(name) } else { &call.region };
        let there = call.in_region(region);
        if !self.databases.connects(&call.account, &call.region, region) {
            let message = format!("The Region {region} cannot be reached.");
            return Err(Answer::refusal(call, StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", &message));
        }
        let mut known = self.copies(&there);
        known.extend(self.lost(&there, next).await?);
        let listed = ask(&there, next, "DescribeDBClusterSnapshots", &[]).await?;
        known.extend(
            listed.at(&["DescribeDBClusterSnapshotsResult", "DBClusterSnapshots", SNAPSHOT]).into_iter().cloned(),
        );
        let found = known.into_iter().find(|one| is_named(one, name));
        found.map(|found| (found, region.to_owned())).ok_or_else(|| not_found(call, name))
    }

    async fn copy(&self, call: &Call, next: Next<'_>) -> Result<Answer, Answer> {
        let (source, target) = (
            parameter(call, "SourceDBClusterSnapshotIdentifier"),
            parameter(call, "TargetDBClusterSnapshotIdentifier"),
        );
        let (mut snapshot, region) = self.find(call, next, source).await?;
        let target = target.to_ascii_lowercase();
        if self.find(call, next, &target).await.is_ok() {
            return Err(taken(call, &target));
        }
        let key = parameter(call, "KmsKeyId");
        if region != call.region && key.is_empty() && snapshot.text_of("StorageEncrypted") == Some("true") {
            // "To copy an encrypted DB cluster snapshot from another AWS Region, you must provide the following values:
            // KmsKeyId …"
            let message =
                "A KmsKeyId of this Region is required to copy an encrypted DB cluster snapshot from another Region.";
            return Err(Answer::client_error(call, "InvalidParameterCombination", message));
        }
        let from = snapshot.text_of(ID).unwrap_or_default().to_owned();
        let (from, to) =
            (SnapshotName { region: &region, id: &from }, SnapshotName { region: &call.region, id: &target });
        self.databases.data().copy(&call.account, from, to).await.map_err(|why| failed(call, &why))?;
        let source_arn = snapshot.text_of("DBClusterSnapshotArn").unwrap_or_default().to_owned();
        for (name, text) in [
            (ID, target.as_str()),
            ("DBClusterSnapshotArn", &arn(call, &target)),
            ("SourceDBClusterSnapshotArn", &source_arn),
            ("SnapshotType", "manual"),
        ] {
            snapshot.set_text_of(name, text);
        }
        if !key.is_empty() {
            snapshot.set_text_of("KmsKeyId", key);
        }
        let tags = tags(call.form());
        if !tags.is_empty() || parameter(call, "CopyTags") != "true" {
            snapshot.replace(Element::with_children("TagList", tags));
        }
        lock(&self.copies).entry(Scope::of(call)).or_default().insert(target, snapshot.clone());
        Ok(Answer::rds(&call.operation, vec![snapshot]))
    }

    /// Creates a cluster with what the snapshot says, and has its server begin with the snapshot's data.
    async fn restore(&self, call: &Call, next: Next<'_>) -> Result<Answer, Answer> {
        let (snapshot, region) = self.find(call, next, parameter(call, "SnapshotIdentifier")).await?;
        let text = |name: &str| snapshot.text_of(name).unwrap_or_default();
        if region != call.region {
            return Err(not_found(call, parameter(call, "SnapshotIdentifier")));
        }
        let mut form = call.form().clone();
        form.retain(|name| !["Action", "Version", "SnapshotIdentifier"].contains(&name));
        // What the snapshot says of it holds, unless the call may say something else.
        for name in ["EngineVersion", "Port", "KmsKeyId"] {
            if parameter(call, name).is_empty() && !text(name).is_empty() {
                form.set(name, text(name));
            }
        }
        for name in ["Engine", "MasterUsername", "StorageEncrypted"] {
            form.set(name, text(name));
        }
        let parameters: Vec<_> = form.pairs().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut create = call.ask_query("CreateDBCluster", &parameters);
        let created = next.run(&mut create).await;
        let root = match Element::parse(created.body()) {
            Ok(root) if created.is_success() => root,
            _ => return Err(created),
        };
        let cluster = root.at(&["CreateDBClusterResult", "DBCluster"]).first().map(|one| (*one).clone());
        let cluster = cluster.ok_or_else(|| failed(call, "the emulator's answer has no cluster"))?;
        let name = SnapshotName { region: &region, id: text(ID) };
        let cluster_arn = cluster.text_of("DBClusterArn").unwrap_or_default();
        self.databases.data().restore(&call.account, name, cluster_arn).await.map_err(|why| failed(call, &why))?;
        Ok(Answer::rds(&call.operation, vec![cluster]))
    }

    async fn delete(&self, call: &mut Call, next: Next<'_>) -> Result<Answer, Answer> {
        let id = parameter(call, ID).to_owned();
        if self.databases.lost(&call.account, &call.region).iter().any(|snapshot| snapshot.id == id) {
            // terraform-provider-aws, internal/service/rds/sweep.go
            let message = "Only manual snapshots may be deleted.";
            return Err(Answer::client_error(call, "InvalidDBClusterSnapshotStateFault", message));
        }
        let copy = lock(&self.copies).get_mut(&Scope::of(call)).and_then(|copies| copies.remove(&id));
        let answer = match copy {
            Some(mut copy) => {
                copy.set_text_of("Status", "deleted");
                Answer::rds(&call.operation, vec![copy])
            }
            None => next.run(call).await,
        };
        if answer.is_success() {
            let name = SnapshotName { region: &call.region, id: &id };
            self.databases.data().delete(&call.account, name).await.map_err(|why| failed(call, &why))?;
        }
        Ok(answer)
    }

    async fn create(&self, call: &mut Call, next: Next<'_>) -> Result<Answer, Answer> {
        let id = parameter(call, ID);
        if self.copies(call).iter().any(|copy| copy.text_of(ID) == Some(id)) {
            return Err(taken(call, id));
        }
        Ok(next.run(call).await)
    }
}

/// A system snapshot of a cluster's lost writes.
fn system_snapshot(call: &Call, snapshot: &LostSnapshot, cluster: &Element) -> Element {
    let taken: Timestamp = snapshot.taken;
    let texts = [
        (ID, snapshot.id.as_str()),
        ("DBClusterSnapshotArn", &arn(call, &snapshot.id)),
        ("SnapshotCreateTime", &taken.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        ("SnapshotType", "automated"),
        ("Status", "available"),
        ("PercentProgress", "100"),
        ("LicenseModel", "postgresql-license"),
    ];
    let mut children: Vec<Element> = texts.into_iter().map(|(name, text)| Element::with_text(name, text)).collect();
    children.extend(OF_THE_CLUSTER.iter().filter_map(|name| cluster.child(name).cloned()));
    Element::with_children(SNAPSHOT, children)
}

fn arn(call: &Call, id: &str) -> String {
    format!("arn:aws:rds:{}:{}:cluster-snapshot:{id}", call.region, call.account)
}

/// Whether a snapshot has this identifier or ARN.
fn is_named(snapshot: &Element, name: &str) -> bool {
    snapshot.text_of(ID).is_some_and(|id| id.eq_ignore_ascii_case(name))
        || snapshot.text_of("DBClusterSnapshotArn") == Some(name)
}

/// Whether an identifier or ARN is one of a system snapshot of lost writes.
fn is_lost(name: &str) -> bool {
    name.starts_with(PREFIX) || name.contains(&format!(":cluster-snapshot:{PREFIX}"))
}

fn tags(form: &Form) -> Vec<Element> {
    let tag = |index: usize| {
        let part = |name: &str| form.get(&format!("Tags.Tag.{index}.{name}"));
        let (key, value) = (part("Key")?, part("Value").unwrap_or_default());
        Some(Element::with_children("Tag", vec![Element::with_text("Key", key), Element::with_text("Value", value)]))
    };
    (1..).map_while(tag).collect()
}

fn not_found(call: &Call, name: &str) -> Answer {
    let message = format!("DBClusterSnapshot {name} not found.");
    Answer::refusal(call, StatusCode::NOT_FOUND, "DBClusterSnapshotNotFoundFault", &message)
}

fn taken(call: &Call, name: &str) -> Answer {
    let message =
        format!("Cannot create the DB cluster snapshot because one with the identifier {name} already exists.");
    Answer::client_error(call, "DBClusterSnapshotAlreadyExistsFault", &message)
}

/// The sandbox could not do it: why.
fn failed(call: &Call, why: &str) -> Answer {
    Answer::refusal(call, StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", why)
}

impl Rule for Snapshots {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "rds" {
                return next.run(call).await;
            }
            let answered = match call.operation.as_str() {
                "DescribeDBClusterSnapshots" => self.describe(call, next).await,
                "CopyDBClusterSnapshot" => self.copy(call, next).await,
                "RestoreDBClusterFromSnapshot" => self.restore(call, next).await,
                "DeleteDBClusterSnapshot" => self.delete(call, next).await,
                "CreateDBClusterSnapshot" => self.create(call, next).await,
                _ => Ok(next.run(call).await),
            };
            answered.unwrap_or_else(|refusal| refusal)
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.copies).clear();
    }
}
