//! The snapshots of writes that failovers lost, and what snapshots hold.
//!
//! Before Aurora rebuilds the old primary, it takes a snapshot of its volume, named
//! `rds:unplanned-global-failover-CLUSTER-TIMESTAMP`: a system snapshot, which is deleted after the old primary's backup
//! retention period. <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-disaster-recovery.html>.
//! See docs/aws-behaviour.md#lost-writes-snapshot.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::FutureExt;
use jiff::Timestamp;

use super::operation::Member;
use super::servers::{Done, LostWrites, MemberPosition, Rejoined, Servers};
use crate::sync::lock;

/// What the names of these snapshots begin with.
pub(crate) const PREFIX: &str = "rds:unplanned-global-failover-";

/// A system snapshot of lost writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostSnapshot {
    /// Its identifier.
    pub(crate) id: String,
    /// The cluster that it is of, in whose Region it is.
    pub(crate) cluster: Member,
    pub(crate) taken: Timestamp,
}

/// The name of a snapshot of a cluster's lost writes that is taken now. The format of the time is an estimate, after the
/// names of automated snapshots, such as `rds:myaurora-2019-06-04-09-16`.
pub(super) fn name(cluster: &str) -> String {
    format!("{PREFIX}{cluster}-{}", Timestamp::now().strftime("%Y-%m-%d-%H-%M-%S"))
}

/// A snapshot by its Region and identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotName<'a> {
    pub(crate) region: &'a str,
    pub(crate) id: &'a str,
}

/// The data in snapshots. A snapshot whose data nobody keeps is not an error: there is nothing to do then.
pub(crate) trait SnapshotData: Send + Sync {
    /// Keeps the data of a snapshot under another name, too.
    fn copy<'a>(&'a self, account: &'a str, from: SnapshotName<'a>, to: SnapshotName<'a>) -> Done<'a, ()>;

    /// Forgets the data of a snapshot.
    fn delete<'a>(&'a self, account: &'a str, snapshot: SnapshotName<'a>) -> Done<'a, ()>;

    /// Has a new cluster, which has no instance yet, begin with the data of a snapshot.
    fn restore<'a>(&'a self, account: &'a str, snapshot: SnapshotName<'a>, cluster: &'a str) -> Done<'a, ()>;
}

/// No servers: of global databases, there is the control plane alone.
#[derive(Debug, Default)]
pub(crate) struct NoServers {
    /// The snapshots that were asked for and are not taken yet, by account and cluster.
    wanted: Mutex<BTreeMap<(String, String), String>>,
}

fn done<'a, T: Send + 'a>(value: T) -> Done<'a, T> {
    async { Ok(value) }.boxed()
}

impl Servers for NoServers {
    fn switch_over<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str, _: &'a str) -> Done<'a, ()> {
        done(())
    }

    fn fail_over<'a>(
        &'a self,
        account: &'a str,
        _: &'a str,
        from: &'a str,
        _: &'a str,
        lost: Option<&'a str>,
    ) -> Done<'a, LostWrites> {
        let Some(lost) = lost else { return done(LostWrites::Unwanted) };
        lock(&self.wanted).insert((account.to_owned(), from.to_owned()), lost.to_owned());
        done(LostWrites::Later)
    }

    fn rejoin<'a>(&'a self, account: &'a str, _: &'a str, cluster: &'a str) -> Done<'a, Rejoined> {
        let snapshot = lock(&self.wanted).remove(&(account.to_owned(), cluster.to_owned()));
        done(Rejoined { snapshot, copied: None })
    }

    fn fence<'a>(&'a self, _: &'a str, _: &'a str) -> Done<'a, ()> {
        done(())
    }

    fn unfence<'a>(&'a self, _: &'a str, _: &'a str) -> Done<'a, ()> {
        done(())
    }

    fn positions<'a>(&'a self, _: &'a str, _: &'a str) -> Done<'a, Vec<MemberPosition>> {
        done(Vec::new())
    }
}

impl SnapshotData for NoServers {
    fn copy<'a>(&'a self, _: &'a str, _: SnapshotName<'a>, _: SnapshotName<'a>) -> Done<'a, ()> {
        done(())
    }

    fn delete<'a>(&'a self, _: &'a str, _: SnapshotName<'a>) -> Done<'a, ()> {
        done(())
    }

    fn restore<'a>(&'a self, _: &'a str, _: SnapshotName<'a>, _: &'a str) -> Done<'a, ()> {
        done(())
    }
}
