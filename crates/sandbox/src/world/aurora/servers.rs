//! What the control plane of a global database has its servers do.

use std::time::Duration;

use futures::future::BoxFuture;

/// Why the servers could not do it, as a sentence.
pub(crate) type Failure = String;

/// A future of one of the methods of [`Servers`].
pub(crate) type Done<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// What became of the writes that a failover lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LostWrites {
    /// Nobody asked for them.
    Unwanted,
    /// They are in the snapshot, which exists from now on in the Region of the cluster that was the writer.
    Kept,
    /// The cluster that was the writer cannot be reached. [`Servers::rejoin`] will take the snapshot.
    Later,
}

/// How a cluster that was the writer came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejoined {
    /// The snapshot of the lost writes, if it was taken now: [`LostWrites::Later`].
    pub(crate) snapshot: Option<String>,
    /// Why everything had to be copied, if what only this cluster had could not just be undone.
    pub(crate) copied: Option<String>,
}

/// How far a member of a global database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberPosition {
    /// The cluster's ARN.
    pub(crate) arn: String,
    /// Whether it is the writer.
    pub(crate) is_writer: bool,
    /// The end of what can be read, in bytes since the beginning; `None` if the server does not run, or its Region is out.
    pub(crate) lsn: Option<u64>,
    /// How many bytes of the writer's changes cannot be read yet; 0 at the writer, `None` if one of the two is not known.
    pub(crate) lag_bytes: Option<u64>,
    /// How old what can be read is: zero if nothing is missing; `None` if it is not known.
    pub(crate) age: Option<Duration>,
    /// Whether it gets changes at the moment; true at the writer.
    pub(crate) connected: bool,
}

/// The servers of global databases, as their control plane sees them.
///
/// Clusters are named by their ARNs, global clusters and accounts by their ids. None of the methods takes AWS's time, and
/// none asks whether AWS would refuse: that is the control plane's business. Doing something that has been done already
/// is not an error.
pub(crate) trait Servers: Send + Sync {
    /// Makes `to` the writer in place of `from`, and loses nothing: `from` is fenced, `to` receives everything, is
    /// promoted, and `from` follows it. On failure, `from` is still the writer, and is not fenced.
    fn switch_over<'a>(&'a self, account: &'a str, global: &'a str, from: &'a str, to: &'a str) -> Done<'a, ()>;

    /// Makes `to` the writer with what has arrived there. `from` is stopped if its Region is reached from that of `to`;
    /// otherwise it goes on, and both can be written to, until [`Servers::rejoin`].
    ///
    /// `lost` is the id of the snapshot that keeps the data of `from` as it stands, with the writes that did not arrive.
    fn fail_over<'a>(
        &'a self,
        account: &'a str,
        global: &'a str,
        from: &'a str,
        to: &'a str,
        lost: Option<&'a str>,
    ) -> Done<'a, LostWrites>;

    /// Has a cluster that a failover replaced follow the writer. What only it has is undone; if the failover asked for a
    /// snapshot and could not have one, it is taken before.
    fn rejoin<'a>(&'a self, account: &'a str, global: &'a str, cluster: &'a str) -> Done<'a, Rejoined>;

    /// Makes a cluster read-only, and ends its sessions. It stays available to readers.
    fn fence<'a>(&'a self, account: &'a str, cluster: &'a str) -> Done<'a, ()>;

    /// Lets clients write to a cluster again.
    fn unfence<'a>(&'a self, account: &'a str, cluster: &'a str) -> Done<'a, ()>;

    /// How far the members are, the writer first.
    fn positions<'a>(&'a self, account: &'a str, global: &'a str) -> Done<'a, Vec<MemberPosition>>;
}
