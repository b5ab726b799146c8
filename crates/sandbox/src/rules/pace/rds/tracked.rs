//! The clusters, instances, and global clusters that the pace tracks, independently of what the emulator remembers.

use std::collections::HashMap;
use std::time::Instant;

use crate::wire::call::Call;
use crate::wire::xml::Element;

/// A type of resource that is listed with a status.
#[derive(Debug)]
pub(super) struct ResourceType {
    /// Its name in operations and in their answers.
    pub(super) name: &'static str,
    pub(super) describe: &'static str,
    /// The element of the listing, and the element of an item in it.
    pub(super) set: &'static str,
    pub(super) item: &'static str,
    pub(super) id: &'static str,
    pub(super) status: &'static str,
    /// How many seconds a deletion takes.
    pub(super) deleting: f64,
    /// The codes with which AWS refuses a name that is taken, and a state that does not allow the call.
    pub(super) taken: &'static str,
    pub(super) busy: &'static str,
}

pub(super) static CLUSTER: ResourceType = ResourceType {
    name: "DBCluster",
    describe: "DescribeDBClusters",
    set: "DBClusters",
    item: "DBCluster",
    id: "DBClusterIdentifier",
    status: "Status",
    deleting: 63.0,
    taken: "DBClusterAlreadyExistsFault",
    busy: "InvalidDBClusterStateFault",
};
pub(super) static INSTANCE: ResourceType = ResourceType {
    name: "DBInstance",
    describe: "DescribeDBInstances",
    set: "DBInstances",
    item: "DBInstance",
    id: "DBInstanceIdentifier",
    status: "DBInstanceStatus",
    deleting: 420.0,
    taken: "DBInstanceAlreadyExists",
    busy: "InvalidDBInstanceState",
};
pub(super) static GLOBAL: ResourceType = ResourceType {
    name: "GlobalCluster",
    describe: "DescribeGlobalClusters",
    set: "GlobalClusters",
    item: "GlobalClusterMember",
    id: "GlobalClusterIdentifier",
    status: "Status",
    deleting: 10.0,
    taken: "GlobalClusterAlreadyExistsFault",
    busy: "InvalidGlobalClusterStateFault",
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) account: String,
    /// Empty for a global cluster, which every Region sees.
    pub(super) region: String,
    pub(super) kind: &'static str,
    pub(super) id: String,
}

impl Key {
    pub(super) fn of(call: &Call, kind: &ResourceType, id: &str) -> Self {
        let region = if kind.name == GLOBAL.name { String::new() } else { call.region.clone() };
        Self { account: call.account.clone(), region, kind: kind.name, id: id.to_owned() }
    }

    /// The key of a cluster, by its ARN.
    pub(super) fn of_cluster(call: &Call, arn: &str) -> Option<Self> {
        let mut parts = arn.split(':').skip(3);
        let region = parts.next()?.to_owned();
        Some(Self { account: call.account.clone(), region, kind: CLUSTER.name, id: parts.nth(2)?.to_owned() })
    }
}

#[derive(Debug)]
pub(super) struct Tracked {
    /// Its first state, and until when it is in that state.
    pub(super) state: &'static str,
    pub(super) until: Instant,
    /// When its deletion is finished, if it is being deleted; and its last description, which the emulator does not
    /// remember.
    pub(super) deleted_at: Option<Instant>,
    pub(super) item: Element,
    /// The cluster of an instance.
    pub(super) cluster_id: String,
    /// The global cluster of a cluster, and whether it is a secondary member of it.
    pub(super) global_id: String,
    pub(super) is_secondary: bool,
}

impl Tracked {
    pub(super) fn state(&self, now: Instant) -> Option<&'static str> {
        if self.deleted_at.is_some() { Some("deleting") } else { (now < self.until).then_some(self.state) }
    }
}

pub(super) type TrackedResources = HashMap<Key, Tracked>;

/// The clusters of a global cluster that are not being deleted.
pub(super) fn members<'a>(
    tracked: &'a TrackedResources,
    account: &'a str,
    global_id: &'a str,
) -> impl Iterator<Item = (&'a Key, &'a Tracked)> {
    tracked
        .iter()
        .filter(move |(key, one)| key.account == account && !global_id.is_empty() && one.global_id == global_id)
}

/// The instances of a cluster that are not being deleted.
pub(super) fn instances<'a>(
    tracked: &'a TrackedResources,
    cluster: &'a Key,
) -> impl Iterator<Item = (&'a Key, &'a Tracked)> {
    tracked.iter().filter(move |(key, one)| {
        let is_in_region = key.account == cluster.account && key.region == cluster.region && key.kind == INSTANCE.name;
        is_in_region && one.cluster_id == cluster.id && one.deleted_at.is_none()
    })
}
