//! The control plane of global databases: switchovers and failovers in progress, and what they leave behind.
//!
//! An operation is a task that goes through AWS's stages in AWS's time, has the [`Servers`] do what they have to, and
//! records events. The emulator's records stay the truth about who is the writer: whoever asks it tells it beforehand
//! who has become the writer ([`GlobalDatabases::moved`]). What is in progress is shown on top of its answers. See
//! docs/aws-behaviour.md#global-database-in-operation.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::events::{Event, Events, Happening};
use super::lost::{self, LostSnapshot, NoServers, SnapshotData, SnapshotName};
use super::operation::{
    CANCELLING, Ending, FENCED, Fence, GIVING_UP, LOOKING, Member, NOT_FENCED, Order, PENDING, Phase, Progress,
};
use super::servers::{Failure, LostWrites, Servers};
use crate::sync::lock;
use crate::world::regions::{Place, Regions};

/// How long to wait before the servers are asked again for something that they could not do.
const AGAIN: Duration = Duration::from_secs(2);

/// The status of a cluster, and of its instances, that an operation or a rebuild works on.
const MODIFYING: &str = "modifying";
/// The status of instances while the writer changes: they are restarted.
const REBOOTING: &str = "rebooting";

/// The global databases of all accounts. Clones share them.
#[derive(Clone)]
pub(crate) struct GlobalDatabases {
    shared: Arc<Shared>,
}

struct Shared {
    regions: Regions,
    servers: Arc<dyn Servers>,
    data: Arc<dyn SnapshotData>,
    /// How many times faster than AWS time passes; `None` if nothing takes time.
    scale: Option<f64>,
    state: Mutex<State>,
    events: Events,
    /// The number of changes of the state so far.
    changes: watch::Sender<u64>,
}

/// An account, and a global cluster's identifier or a cluster's ARN.
type Key = (String, String);

#[derive(Default)]
struct State {
    /// By global cluster.
    running: HashMap<Key, Running>,
    /// By global cluster: the ARN of the writer, of which the emulator has not been told.
    moved: BTreeMap<Key, String>,
    /// By cluster: those that a failover left behind.
    behind: HashMap<Key, Behind>,
    /// With their accounts.
    lost: Vec<(String, LostSnapshot)>,
    /// Ended with the state.
    tasks: JoinSet<()>,
}

/// An operation in progress.
struct Running {
    progress: Progress,
    members: [Member; 2],
    /// Whether the writer is being changed.
    is_cut: bool,
    /// Whether it waits for somebody rather than for time to pass.
    is_stuck: bool,
}

/// A cluster that a failover left behind.
struct Behind {
    member: Member,
    /// Whether its Region is back, so that it is being rebuilt.
    is_rebuilt: bool,
}

impl fmt::Debug for GlobalDatabases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalDatabases").finish_non_exhaustive()
    }
}

impl GlobalDatabases {
    /// Global databases in these Regions, on these servers. `scale`: how many times faster than AWS time passes; `None`
    /// if nothing takes time.
    pub(crate) fn new(
        regions: Regions,
        servers: Arc<dyn Servers>,
        data: Arc<dyn SnapshotData>,
        scale: Option<f64>,
    ) -> Self {
        let (state, events, changes) = Default::default();
        Self { shared: Arc::new(Shared { regions, servers, data, scale, state, events, changes }) }
    }

    /// Global databases without servers: there is the control plane alone.
    pub(crate) fn without_servers(regions: Regions, scale: Option<f64>) -> Self {
        Self::new(regions, Arc::new(NoServers::default()), Arc::new(NoServers::default()), scale)
    }

    /// The data of snapshots.
    pub(crate) fn data(&self) -> &dyn SnapshotData {
        self.shared.data.as_ref()
    }

    /// Whether things take time.
    pub(crate) fn takes_time(&self) -> bool {
        self.shared.scale.is_some()
    }

    /// Whether anything gets from one Region to another, for RDS.
    pub(crate) fn connects(&self, account: &str, from: &str, to: &str) -> bool {
        let [from, to] = [from, to].map(|region| Place { region, service: "rds" });
        self.shared.regions.connects(account, from, to)
    }

    /// Starts an operation; `false` if one is in progress on this global cluster. `unstuck` is done when an operation that
    /// is stuck, as its course has it, goes on.
    pub(crate) fn start(&self, order: Order, unstuck: BoxFuture<'static, ()>) -> bool {
        let progress = Progress {
            phase: Phase::Pending,
            from: order.from.arn.clone(),
            to: order.to.arn.clone(),
            loses_data: order.loses_data,
        };
        let members = [order.from.clone(), order.to.clone()];
        let key = (order.account.clone(), order.global.clone());
        let is_new = self.change(|state| {
            if state.running.contains_key(&key) {
                return false;
            }
            state.running.insert(key, Running { progress, members, is_cut: false, is_stuck: false });
            true
        });
        if is_new {
            let this = self.clone();
            self.spawn(async move {
                if order.loses_data {
                    this.fail_over(&order, unstuck).await;
                } else {
                    this.switch_over(&order, unstuck).await;
                }
            });
        }
        is_new
    }

    /// The operation in progress on a global cluster.
    pub(crate) fn progress(&self, account: &str, global: &str) -> Option<Progress> {
        let state = lock(&self.shared.state);
        state.running.get(&key(account, global)).map(|running| running.progress.clone())
    }

    /// The global cluster on which an operation is in progress that promotes or demotes this cluster.
    pub(crate) fn operation_on(&self, account: &str, is_it: impl Fn(&Member) -> bool) -> Option<String> {
        let state = lock(&self.shared.state);
        let found = state.running.iter().find(|((of, _), running)| of == account && running.members.iter().any(&is_it));
        found.map(|((_, global), _)| global.clone())
    }

    /// Whether a failover left this cluster behind, and it is not synchronised yet.
    pub(crate) fn is_behind(&self, account: &str, arn: &str) -> bool {
        lock(&self.shared.state).behind.contains_key(&key(account, arn))
    }

    /// The status of a cluster that something is done to.
    pub(crate) fn cluster_status(&self, account: &str, region: &str, name: &str) -> Option<&'static str> {
        let is_it = |member: &Member| member.region == region && member.name == name;
        let state = lock(&self.shared.state);
        let changes = |running: &Running| matches!(running.progress.phase, Phase::SwitchingOver | Phase::FailingOver);
        let operated = state
            .running
            .iter()
            .any(|((of, _), running)| of == account && changes(running) && running.members.iter().any(is_it));
        let rebuilt = state.behind.iter().any(|((of, _), one)| of == account && one.is_rebuilt && is_it(&one.member));
        (operated || rebuilt).then_some(MODIFYING)
    }

    /// The status of an instance that something is done to.
    pub(crate) fn instance_status(&self, account: &str, region: &str, name: &str) -> Option<&'static str> {
        let is_of = |member: &Member| member.region == region && member.instances.iter().any(|one| one == name);
        let state = lock(&self.shared.state);
        let cut = state
            .running
            .iter()
            .any(|((of, _), running)| of == account && running.is_cut && running.members.iter().any(is_of));
        let rebuilt = state.behind.iter().any(|((of, _), one)| of == account && one.is_rebuilt && is_of(&one.member));
        if cut { Some(REBOOTING) } else { rebuilt.then_some(MODIFYING) }
    }

    /// The global clusters whose writer has changed without the emulator having been told, each with the writer's ARN.
    pub(crate) fn moved(&self, account: &str) -> Vec<(String, String)> {
        let state = lock(&self.shared.state);
        let moved = state.moved.iter().filter(|((of, _), _)| of == account);
        moved.map(|((_, global), writer)| (global.clone(), writer.clone())).collect()
    }

    /// The emulator has been told.
    pub(crate) fn told(&self, account: &str, global: &str) {
        self.change(|state| state.moved.remove(&key(account, global)));
    }

    /// A cluster has left its global cluster, or has been deleted: it is not rebuilt any more.
    pub(crate) fn left(&self, account: &str, arn: &str) {
        self.change(|state| state.behind.remove(&key(account, arn)));
    }

    /// The events of an account in a Region, the oldest first.
    pub(crate) fn events(&self, account: &str, region: &str) -> Vec<Event> {
        self.shared.events.of(account, region)
    }

    /// The snapshots of lost writes in a Region.
    pub(crate) fn lost(&self, account: &str, region: &str) -> Vec<LostSnapshot> {
        let state = lock(&self.shared.state);
        let found = state.lost.iter().filter(|(of, snapshot)| of == account && snapshot.cluster.region == region);
        found.map(|(_, snapshot)| snapshot.clone()).collect()
    }

    /// Deletes the snapshots of a cluster's lost writes, as it happens to the automated backups of a deleted cluster.
    pub(crate) async fn delete_lost(&self, account: &str, region: &str, cluster: &str) {
        for snapshot in self.lost(account, region).iter().filter(|snapshot| snapshot.cluster.name == cluster) {
            self.delete_snapshot(account, snapshot).await;
        }
    }

    /// Waits until nothing goes on by itself on an account's global databases: operations are over or stuck, and whatever is
    /// behind waits for its Region.
    pub(crate) async fn at_rest(&self, account: &str) {
        let mut changes = self.shared.changes.subscribe();
        let goes_on = || {
            let state = lock(&self.shared.state);
            state.running.iter().any(|((of, _), running)| of == account && !running.is_stuck)
                || state.behind.iter().any(|((of, _), one)| of == account && one.is_rebuilt)
        };
        while goes_on() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends all operations, and forgets everything.
    pub(crate) fn reset(&self) {
        self.change(|state| *state = State::default());
        self.shared.events.reset();
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut lock(&self.shared.state));
        self.shared.changes.send_modify(|changes| *changes += 1);
        changed
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = lock(&self.shared.state);
        while state.tasks.try_join_next().is_some() {}
        state.tasks.spawn(task);
    }

    /// Lets this many of AWS's seconds pass.
    async fn pass(&self, seconds: f64) {
        if let Some(scale) = self.shared.scale {
            tokio::time::sleep(Duration::try_from_secs_f64(seconds / scale).unwrap_or_default()).await;
        }
    }

    /// Waits until two Regions reach each other.
    async fn connected(&self, account: &str, from: &str, to: &str) {
        let mut changed = self.shared.regions.changed();
        while !self.connects(account, from, to) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn update(&self, order: &Order, update: impl FnOnce(&mut Running)) {
        self.change(|state| state.running.get_mut(&key(&order.account, &order.global)).map(update));
    }

    fn enter(&self, order: &Order, phase: Phase) {
        tracing::debug!(global = order.global, phase = phase.name(), "a global database is switched or failed over");
        self.update(order, |running| running.progress.phase = phase);
    }

    /// An operation is over. If it succeeded, the writer has changed.
    fn end(&self, order: &Order, succeeded: bool) {
        let key = key(&order.account, &order.global);
        self.change(|state| {
            state.running.remove(&key);
            if succeeded {
                state.moved.insert(key, order.to.arn.clone());
            }
        });
    }

    fn record(&self, order: &Order, place: &Member, happening: &Happening, about: &Member) {
        self.shared.events.record(&order.account, place, happening, about);
    }

    /// Records an event of a switchover in the Regions of both clusters, where AWS records most of them.
    fn record_in_both(&self, order: &Order, happening: &Happening, about: &Member) {
        for place in [&order.from, &order.to] {
            self.record(order, place, happening, about);
        }
    }

    /// The time for which an operation is pending, and what it waits for then.
    async fn pending(&self, order: &Order, ending: Ending, unstuck: BoxFuture<'static, ()>) {
        self.pass(PENDING).await;
        if ending == Ending::Stuck {
            self.update(order, |running| running.is_stuck = true);
            unstuck.await;
            self.update(order, |running| running.is_stuck = false);
        }
    }

    async fn switch_over(&self, order: &Order, unstuck: BoxFuture<'static, ()>) {
        let ending = order.course.switchover;
        self.record_in_both(order, &Happening::SwitchoverStarted, &order.to);
        self.pending(order, ending, unstuck).await;
        let can_start = ending != Ending::Cancelled
            && tokio::select! {
                biased;
                () = self.connected(&order.account, &order.from.region, &order.to.region) => true,
                () = self.pass(GIVING_UP) => false,
            };
        if !can_start {
            self.enter(order, Phase::Cancelling);
            self.pass(CANCELLING).await;
            self.record_in_both(order, &Happening::SwitchoverCancelled, &order.to);
            self.end(order, false);
            return;
        }
        self.enter(order, Phase::SwitchingOver);
        match self.change_roles(order).await {
            Ok(()) => {
                self.record_in_both(order, &Happening::SwitchoverFinished, &order.to);
                self.record(order, &order.to, &Happening::WriterEndpointMoved, &order.to);
                self.end(order, true);
            }
            Err(why) => {
                tracing::warn!(global = order.global, why, "a switchover failed");
                self.record_in_both(order, &Happening::SwitchoverFailed, &order.to);
                self.end(order, false);
            }
        }
    }

    /// The part of a switchover in which roles change. On failure, they are as they were.
    async fn change_roles(&self, order: &Order) -> Result<(), Failure> {
        let Order { account, global, from, to, .. } = order;
        let servers = &self.shared.servers;
        let [before, cut, after] = order.course.durations.stages().switchover;
        self.wait_for_the_late(order).await?;
        self.pass(before).await;
        if order.course.switchover == Ending::Fails {
            return Err("its course was chosen so".to_owned());
        }
        self.update(order, |running| running.is_cut = true);
        servers.fence(account, &from.arn).await?;
        self.pass(cut).await;
        if let Err(why) = servers.switch_over(account, global, &from.arn, &to.arn).await {
            servers.unfence(account, &from.arn).await?;
            return Err(why);
        }
        self.record_in_both(order, &Happening::OldPrimaryShutDown, from);
        self.record_in_both(order, &Happening::Promoted, to);
        self.update(order, |running| running.is_cut = false);
        self.pass(after).await;
        Ok(())
    }

    /// Waits for members that are behind, for as long as they catch up. The rest of the changes arrives when there are no
    /// new ones.
    async fn wait_for_the_late(&self, order: &Order) -> Result<(), Failure> {
        let mut before = None;
        loop {
            let positions = self.shared.servers.positions(&order.account, &order.global).await?;
            let late: Vec<_> = positions.iter().filter(|one| one.lag_bytes.is_some_and(|bytes| bytes > 0)).collect();
            let bytes: u64 = late.iter().filter_map(|one| one.lag_bytes).sum();
            if bytes == 0 || before.is_some_and(|before| bytes >= before) {
                return Ok(());
            }
            before = Some(bytes);
            let lag = |one: &&super::servers::MemberPosition| {
                format!("{} is {} ms behind", one.arn, one.age.unwrap_or_default().as_millis())
            };
            let lags: Vec<String> = late.iter().map(lag).collect();
            self.record(order, &order.from, &Happening::Waiting(lags.join(", ")), &order.from);
            self.pass(LOOKING).await;
        }
    }

    async fn fail_over(&self, order: &Order, unstuck: BoxFuture<'static, ()>) {
        self.pending(order, order.course.failover, unstuck).await;
        self.enter(order, Phase::FailingOver);
        match self.promote(order).await {
            Ok(kept) => {
                self.record(order, &order.to, &Happening::FailedOver, &order.to);
                self.record(order, &order.to, &Happening::WriterEndpointMoved, &order.to);
                self.leave_behind(order, kept);
            }
            Err(why) => {
                tracing::warn!(global = order.global, why, "a failover failed");
                self.record(order, &order.to, &Happening::FailoverFailed, &order.to);
                self.end(order, false);
            }
        }
    }

    /// The part of a failover in which roles change. Returns the snapshot of lost writes, if it could be taken. On failure,
    /// the roles are as they were.
    async fn promote(&self, order: &Order) -> Result<Option<String>, Failure> {
        let Order { account, global, from, to, .. } = order;
        let servers = &self.shared.servers;
        let [before, after] = order.course.durations.stages().failover;
        self.update(order, |running| running.is_cut = true);
        let is_reached = self.connects(account, &from.region, &to.region);
        let is_fenced = is_reached && order.course.fence == Fence::Holds && self.fence(account, &from.arn).await;
        let (happening, taken) =
            if is_fenced { (Happening::WritesBlocked, FENCED) } else { (Happening::WritesNotBlocked, NOT_FENCED) };
        self.pass(taken).await;
        // "If the old primary cluster is reachable on the network, Aurora records these events there. If not, Aurora records
        // the events on the new primary cluster."
        self.record(order, if is_reached { from } else { to }, &happening, from);
        self.pass(before - taken).await;
        let promoted = if order.course.failover == Ending::Fails {
            Err("its course was chosen so".to_owned())
        } else {
            let lost = self.unused_name(account, from);
            let promoted = servers.fail_over(account, global, &from.arn, &to.arn, Some(&lost)).await;
            promoted.map(|writes| (writes == LostWrites::Kept).then_some(lost))
        };
        self.update(order, |running| running.is_cut = false);
        match promoted {
            Ok(kept) => {
                self.pass(after).await;
                Ok(kept)
            }
            Err(why) if is_fenced => {
                servers.unfence(account, &from.arn).await?;
                Err(why)
            }
            Err(why) => Err(why),
        }
    }

    async fn fence(&self, account: &str, cluster: &str) -> bool {
        let fenced = self.shared.servers.fence(account, cluster).await;
        if let Err(why) = &fenced {
            tracing::warn!(cluster, why, "the writes at a cluster cannot be blocked");
        }
        fenced.is_ok()
    }

    /// A failover is over: the other members have to be rebuilt.
    fn leave_behind(&self, order: &Order, kept: Option<String>) {
        let all = [&order.from].into_iter().chain(&order.others);
        let left: Vec<Member> = all.filter(|member| !self.is_behind(&order.account, &member.arn)).cloned().collect();
        self.change(|state| {
            for member in &left {
                // What can be rebuilt at once is not at rest in the meantime.
                let is_rebuilt = self.connects(&order.account, &member.region, &order.to.region);
                state.behind.insert(key(&order.account, &member.arn), Behind { member: member.clone(), is_rebuilt });
            }
        });
        self.end(order, true);
        for (member, kept) in left.into_iter().zip([kept].into_iter().chain(std::iter::repeat(None))) {
            let (this, order) = (self.clone(), order.clone());
            self.spawn(async move { this.rebuild(&order, &member, kept).await });
        }
    }

    /// Rebuilds a member that a failover left behind, once its Region is back; `kept` is the snapshot of its lost writes, if
    /// it has been taken.
    async fn rebuild(&self, order: &Order, member: &Member, kept: Option<String>) {
        let Order { account, global, to, .. } = order;
        let this_one = key(account, &member.arn);
        self.connected(account, &member.region, &to.region).await;
        if self.change(|state| state.behind.get_mut(&this_one).map(|one| one.is_rebuilt = true)).is_none() {
            return;
        }
        self.record(order, member, &Happening::ResyncStarted, member);
        let rejoined = loop {
            match self.shared.servers.rejoin(account, global, &member.arn).await {
                Ok(rejoined) => break rejoined,
                Err(why) => tracing::warn!(cluster = member.arn, why, "a cluster cannot follow the new primary yet"),
            }
            // Nobody has to wait for it.
            self.change(|state| state.behind.get_mut(&this_one).map(|one| one.is_rebuilt = false));
            tokio::time::sleep(AGAIN).await;
            if !self.is_behind(account, &member.arn) {
                return;
            }
        };
        if let Some(id) = kept.or(rejoined.snapshot) {
            self.keep(order, LostSnapshot { id, cluster: member.clone(), taken: Timestamp::now() });
        }
        self.record(order, member, &Happening::VolumeReplacementStarted, member);
        self.pass(order.course.durations.stages().rebuild).await;
        if !self.is_behind(account, &member.arn) {
            return;
        }
        self.record(order, member, &Happening::VolumeReplaced, member);
        self.record(order, member, &Happening::ResyncFinished, member);
        self.change(|state| state.behind.remove(&this_one));
    }

    /// A name for the snapshot of a cluster's lost writes. If time is short, the names of two are told apart by a number.
    fn unused_name(&self, account: &str, cluster: &Member) -> String {
        let taken = self.lost(account, &cluster.region);
        let name = lost::name(&cluster.name);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let is_free = |name: &String| !taken.iter().any(|snapshot| snapshot.id == *name);
        std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name)
    }

    /// Shows a snapshot until its retention period is over.
    fn keep(&self, order: &Order, snapshot: LostSnapshot) {
        self.change(|state| state.lost.push((order.account.clone(), snapshot.clone())));
        if self.takes_time() {
            let (this, account, retention) = (self.clone(), order.account.clone(), order.retention);
            self.spawn(async move {
                this.pass(retention.as_secs_f64()).await;
                this.delete_snapshot(&account, &snapshot).await;
            });
        }
    }

    async fn delete_snapshot(&self, account: &str, snapshot: &LostSnapshot) {
        self.change(|state| state.lost.retain(|(of, one)| of != account || one != snapshot));
        let name = SnapshotName { region: &snapshot.cluster.region, id: &snapshot.id };
        if let Err(why) = self.shared.data.delete(account, name).await {
            tracing::warn!(snapshot = snapshot.id, why, "the data of a snapshot cannot be deleted");
        }
    }
}

fn key(account: &str, name: &str) -> Key {
    (account.to_owned(), name.to_owned())
}
