//! What is known of clusters, instances and global clusters, whatever the emulator remembers.

use std::collections::HashMap;
use std::time::Instant;

use crate::wire::call::Call;
use crate::wire::xml::Element;

/// What is listed with a status.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its name in operations and in the answers to them.
    pub(super) name: &'static str,
    pub(super) describe: &'static str,
    /// The listing's element, and an item's in it.
    pub(super) set: &'static str,
    pub(super) item: &'static str,
    pub(super) id: &'static str,
    pub(super) status: &'static str,
    /// How long it takes to be gone.
    pub(super) deleting: f64,
    /// How AWS refuses a name that is taken, and a state that does not allow the call.
    pub(super) taken: &'static str,
    pub(super) busy: &'static str,
}

pub(super) static CLUSTER: Kind = Kind {
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
pub(super) static INSTANCE: Kind = Kind {
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
pub(super) static GLOBAL: Kind = Kind {
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
    /// Empty for a global cluster: every region sees the same one.
    pub(super) region: String,
    pub(super) kind: &'static str,
    pub(super) id: String,
}

impl Key {
    pub(super) fn of(call: &Call, kind: &Kind, id: &str) -> Self {
        let region = if kind.name == GLOBAL.name { String::new() } else { call.region.clone() };
        Self { account: call.account.clone(), region, kind: kind.name, id: id.to_owned() }
    }

    /// Of a cluster, by its ARN.
    pub(super) fn of_cluster(call: &Call, arn: &str) -> Option<Self> {
        let mut parts = arn.split(':').skip(3);
        let region = parts.next()?.to_owned();
        Some(Self { account: call.account.clone(), region, kind: CLUSTER.name, id: parts.nth(2)?.to_owned() })
    }
}

#[derive(Debug)]
pub(super) struct Known {
    /// Its state at first, and until when.
    pub(super) state: &'static str,
    pub(super) until: Instant,
    /// When it is gone, once it is deleted; and what it was last seen as, which the emulator does not remember.
    pub(super) gone: Option<Instant>,
    pub(super) item: Element,
    /// An instance's cluster.
    pub(super) within: String,
    /// A cluster's global cluster, and whether it is a secondary member of it.
    pub(super) global: String,
    pub(super) secondary: bool,
}

impl Known {
    pub(super) fn state(&self, now: Instant) -> Option<&'static str> {
        if self.gone.is_some() { Some("deleting") } else { (now < self.until).then_some(self.state) }
    }
}

pub(super) type Memory = HashMap<Key, Known>;

/// The clusters of a global cluster that are not on their way out.
pub(super) fn members<'a>(
    known: &'a Memory,
    account: &'a str,
    global: &'a str,
) -> impl Iterator<Item = (&'a Key, &'a Known)> {
    known.iter().filter(move |(key, one)| key.account == account && !global.is_empty() && one.global == global)
}

/// The instances of a cluster that are not on their way out.
pub(super) fn instances<'a>(known: &'a Memory, cluster: &'a Key) -> impl Iterator<Item = (&'a Key, &'a Known)> {
    known.iter().filter(move |(key, one)| {
        let here = key.account == cluster.account && key.region == cluster.region && key.kind == INSTANCE.name;
        here && one.within == cluster.id && one.gone.is_none()
    })
}
