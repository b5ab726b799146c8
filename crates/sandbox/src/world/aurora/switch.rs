//! How a global database gets another writer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use jiff::Timestamp;

use super::account::{Account, Role, State};
use super::life::explained;
use super::servers::{Done, Failure, LostWrites, MemberPosition, Rejoined, Servers};
use super::{Aurora, Shared, life, links};
use crate::world::postgres::{Followed, Pipe, Position, Server, Stop};

/// The state of a cluster that another one is replacing.
const SWITCHING: &str = "switching-over";
/// The state of a cluster that a failover has replaced, until it rejoins.
pub(super) const REPLACED: &str = "failing-over";

/// How long the new writer may take to receive everything, apart from the lag.
const IN_SYNC_WITHIN: Duration = Duration::from_mins(1);
/// How long the writer is given to see its secondary connected: it connects anew every half second after a cut.
const CONNECTED_WITHIN: Duration = Duration::from_secs(15);
/// How long a server may take to say how far it is.
const POSITION_WITHIN: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_millis(20);

/// Two members of a global database.
struct Pair {
    from: u64,
    to: u64,
    from_server: Arc<Server>,
    to_server: Arc<Server>,
    stream: Arc<Pipe>,
    /// Whether anything gets from one to the other.
    connects: bool,
}

/// What a switch finds.
enum Found {
    /// The target is the writer already.
    Already,
    /// Neither has ever had an instance: there are no servers, only roles.
    Roles(u64, u64),
    Pair(Pair),
}

fn find(shared: &Shared, account: &Account, global: &str, from: &str, to: &str) -> Result<Found, Failure> {
    account.read(|catalogue| {
        let member = |arn: &str| {
            let found = catalogue.members(global).find(|(_, cluster)| cluster.arn == arn);
            found.ok_or_else(|| format!("{arn} is not a member of the global cluster {global}"))
        };
        let ((from, old), (to, new)) = (member(from)?, member(to)?);
        if new.role == Role::Writer {
            return Ok(Found::Already);
        }
        if old.role != Role::Writer {
            return Err(format!("{} is not the writer of {global}", old.name));
        }
        if old.server.is_none() && new.server.is_none() {
            return Ok(Found::Roles(from, to));
        }
        let server = |server: &Option<Arc<Server>>, name: &str| {
            server.clone().ok_or_else(|| format!("the cluster {name} has no server: it never had an instance"))
        };
        let connects = links::connects(shared, &account.id, &old.region, &new.region);
        Ok(Found::Pair(Pair {
            from,
            to,
            from_server: server(&old.server, &old.name)?,
            to_server: server(&new.server, &new.name)?,
            stream: new.stream.clone().ok_or_else(|| format!("the cluster {} follows nobody", new.name))?,
            connects,
        }))
    })
}

fn swap_roles(account: &Account, from: u64, to: u64) {
    account.change_one(from, |cluster| cluster.role = Role::Secondary);
    account.change_one(to, |cluster| cluster.role = Role::Writer);
}

async fn switch_over(
    shared: Arc<Shared>,
    account: Arc<Account>,
    global: String,
    from: String,
    to: String,
) -> Result<(), Failure> {
    let pair = match find(&shared, &account, &global, &from, &to)? {
        Found::Already => return Ok(()),
        Found::Roles(from, to) => {
            swap_roles(&account, from, to);
            return Ok(());
        }
        Found::Pair(pair) => pair,
    };
    if !pair.connects {
        return Err("the Regions of the two clusters do not reach each other".to_owned());
    }
    if let Err(why) = in_sync(&account, &pair).await {
        let unfenced = pair.from_server.unfence().await;
        account.change_one(pair.from, |cluster| cluster.fenced = false);
        if let Err(error) = unfenced {
            tracing::error!(why = explained(&error), "cannot let clients write again after a switchover that failed");
        }
        return Err(why);
    }
    account.change_one(pair.from, |cluster| cluster.state = State::Unavailable(SWITCHING));
    // The rest of the log, which has no commits, is sent with the stop.
    let stopped = pair.from_server.stop(Stop::Fast).await;
    let promoted = match stopped {
        Ok(_) => pair.to_server.promote().await,
        Err(error) => Err(error),
    };
    if let Err(error) = promoted {
        return Err(undo(&shared, &account, &pair, explained(&error)).await);
    }
    crown(&shared, &account, &global, &pair).await?;
    // From here on, the switchover has happened, whatever becomes of the old writer.
    if let Err(why) = follow(&shared, &account, &global, pair.from).await {
        give_up(&account, pair.from, why);
    }
    Ok(())
}

/// Fences the writer, and waits until its successor has everything.
async fn in_sync(account: &Account, pair: &Pair) -> Result<(), Failure> {
    let failed = |error| explained(&error);
    let started = Instant::now();
    // A writer that does not send its changes would not wait for them to arrive when it is stopped.
    while !matches!(pair.from_server.position().await.map_err(failed)?, Position::Primary { standbys: 1.., .. }) {
        if started.elapsed() > CONNECTED_WITHIN {
            return Err("the target cluster gets no changes from the writer".to_owned());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    pair.from_server.fence().await.map_err(failed)?;
    account.change_one(pair.from, |cluster| cluster.fenced = true);
    let end = pair.from_server.position().await.map_err(failed)?.readable();
    let limit = IN_SYNC_WITHIN + pair.stream.lag() * 2;
    pair.to_server.wait_for(end, limit).await.map_err(failed)
}

/// Makes the old writer what it was, after its successor could not be promoted.
async fn undo(shared: &Arc<Shared>, account: &Arc<Account>, pair: &Pair, why: String) -> Failure {
    let back = async {
        pair.from_server.unfence().await?;
        pair.from_server.start().await
    };
    match back.await {
        Ok(()) => {
            account.change_one(pair.from, |cluster| {
                cluster.state = State::Serving;
                cluster.fenced = false;
            });
            let door = account.read(|catalogue| catalogue.clusters.get(&pair.from)?.door.clone());
            if let Err(why) = life::open_door(account, pair.from, door).await {
                give_up(account, pair.from, why);
            }
            links::apply(shared, account);
            why
        }
        Err(error) => {
            give_up(account, pair.from, explained(&error));
            format!("{why} The old writer does not run any more, either.")
        }
    }
}

fn give_up(account: &Account, number: u64, why: String) {
    account.change_one(number, |cluster| {
        tracing::error!(cluster = cluster.arn, why, "the PostgreSQL server of a cluster does not run");
        cluster.state = State::Failed(why);
    });
}

/// Makes the promoted cluster the writer, whom the other secondaries follow. What becomes of the old one is not decided
/// here.
async fn crown(shared: &Arc<Shared>, account: &Arc<Account>, global: &str, pair: &Pair) -> Result<(), Failure> {
    let others: Vec<u64> = account.change(|catalogue| {
        if let Some(old) = catalogue.clusters.get_mut(&pair.from) {
            old.role = Role::Replaced { lost: None };
            old.fenced = false;
        }
        if let Some(new) = catalogue.clusters.get_mut(&pair.to) {
            new.role = Role::Writer;
            new.stream = None;
            if new.state != State::Idle {
                new.state = State::Serving;
            }
        }
        let others = catalogue.members(global).filter(|(_, other)| other.is_secondary_of(Some(global)));
        others.filter(|(_, other)| other.server.is_some()).map(|(number, _)| number).collect()
    });
    for number in others {
        if let Err(why) = follow(shared, account, global, number).await {
            give_up(account, number, why);
        }
    }
    links::apply(shared, account);
    Ok(())
}

/// Has a member follow the writer, in whatever state it is.
async fn follow(
    shared: &Arc<Shared>,
    account: &Arc<Account>,
    global: &str,
    number: u64,
) -> Result<Option<String>, Failure> {
    let failed = |error| explained(&error);
    let (server, door, writer) = account
        .read(|catalogue| {
            let (_, writer) = catalogue.writer(global)?;
            let cluster = catalogue.clusters.get(&number)?;
            Some((cluster.server.clone()?, cluster.door.clone(), writer.server.clone()?))
        })
        .ok_or_else(|| format!("the global cluster {global} has no writer"))?;
    let port = writer.port().ok_or("the writer's server does not run")?;
    let pipe = Pipe::open(port).await.map_err(failed)?;
    let followed = server.follow(&writer, &pipe).await.map_err(failed)?;
    account.change_one(number, |cluster| {
        cluster.role = Role::Secondary;
        cluster.stream = Some(Arc::new(pipe));
        cluster.fenced = false;
        cluster.caught_up = tokio::time::Instant::now();
        cluster.state = if cluster.instances.is_empty() { State::Idle } else { State::Serving };
    });
    life::open_door(account, number, door).await?;
    links::apply(shared, account);
    Ok(match followed {
        Followed::Rewound => None,
        Followed::Copied { why } => Some(why),
    })
}

async fn fail_over(
    shared: Arc<Shared>,
    account: Arc<Account>,
    global: String,
    from: String,
    to: String,
    lost: Option<String>,
) -> Result<LostWrites, Failure> {
    let pair = match find(&shared, &account, &global, &from, &to)? {
        Found::Already => return Ok(LostWrites::Unwanted),
        Found::Roles(from, to) => {
            swap_roles(&account, from, to);
            return Ok(LostWrites::Unwanted);
        }
        Found::Pair(pair) => pair,
    };
    // What is under way is lost, and a stopped server would still send it.
    pair.stream.cut();
    if pair.connects {
        account.change_one(pair.from, |cluster| cluster.state = State::Unavailable(REPLACED));
        pair.from_server.stop(Stop::Immediate).await.map_err(|error| explained(&error))?;
    }
    if let Err(error) = pair.to_server.promote().await {
        return Err(undo(&shared, &account, &pair, explained(&error)).await);
    }
    crown(&shared, &account, &global, &pair).await?;
    // A password that was just changed may be among what was lost.
    account.change_one(pair.to, |cluster| cluster.due_password.clone_from(&cluster.password));
    life::set_password(&account, pair.to).await;
    let Some(id) = lost else { return Ok(LostWrites::Unwanted) };
    if pair.connects {
        life::keep(&shared, &account, pair.from, &id).await?;
        return Ok(LostWrites::Kept);
    }
    account.change_one(pair.from, |cluster| cluster.role = Role::Replaced { lost: Some(id) });
    Ok(LostWrites::Later)
}

async fn rejoin(shared: Arc<Shared>, account: Arc<Account>, global: String, arn: String) -> Result<Rejoined, Failure> {
    let found = account.read(|catalogue| {
        let (number, cluster) = catalogue.members(&global).find(|(_, cluster)| cluster.arn == arn)?;
        let (_, writer) = catalogue.writer(&global)?;
        let connects = links::connects(&shared, &account.id, &writer.region, &cluster.region);
        Some((number, cluster.role.clone(), cluster.server.clone(), cluster.state.clone(), connects))
    });
    let (number, role, server, state, connects) =
        found.ok_or_else(|| format!("{arn} is not a member of the global cluster {global}, or that has no writer"))?;
    let lost = match role {
        Role::Replaced { lost } => lost,
        // A switchover may have left it without a server.
        Role::Secondary if matches!(state, State::Failed(_)) => None,
        Role::Secondary | Role::Writer => return Ok(Rejoined { snapshot: None, copied: None }),
    };
    if !connects {
        return Err("the Regions of the cluster and of the writer do not reach each other".to_owned());
    }
    account.change_one(number, |cluster| cluster.state = State::Unavailable(REPLACED));
    if let Some(server) = server {
        server.stop(Stop::Immediate).await.map_err(|error| explained(&error))?;
    }
    if let Some(id) = &lost {
        life::keep(&shared, &account, number, id).await?;
        // Taken: a repetition must not take it again.
        account.change_one(number, |cluster| cluster.role = Role::Replaced { lost: None });
    }
    let copied = follow(&shared, &account, &global, number).await?;
    Ok(Rejoined { snapshot: lost, copied })
}

async fn set_fenced(account: &Account, arn: &str, fenced: bool) -> Result<(), Failure> {
    let found = account.read(|catalogue| {
        let (number, cluster) = catalogue.find(arn)?;
        Some((number, cluster.server.clone()?))
    });
    let (number, server) = found.ok_or_else(|| format!("the cluster {arn} has no server"))?;
    let done = if fenced { server.fence().await } else { server.unfence().await };
    done.map_err(|error| explained(&error))?;
    account.change_one(number, |cluster| cluster.fenced = fenced);
    Ok(())
}

/// How far a server is, if it says so in time.
async fn position(server: Option<&Arc<Server>>) -> Option<Position> {
    match tokio::time::timeout(POSITION_WITHIN, server?.position()).await {
        Ok(Ok(position)) => Some(position),
        Ok(Err(error)) => {
            tracing::debug!(error = explained(&error), "a server does not say how far it is");
            None
        }
        Err(_) => None,
    }
}

/// How far the members of a global cluster are.
pub(super) async fn positions(shared: &Shared, account: &Account, global: &str) -> Vec<MemberPosition> {
    let mut members: Vec<_> = account.read(|catalogue| {
        let member = |(number, cluster): (u64, &super::account::Cluster)| {
            let answers = links::answers(shared, &account.id, &cluster.region);
            let is_writer = cluster.role == Role::Writer;
            (number, cluster.arn.clone(), is_writer, cluster.server.clone().filter(|_| answers), cluster.caught_up)
        };
        catalogue.members(global).map(member).collect()
    });
    members.sort_by_key(|(number, _, is_writer, ..)| (!is_writer, *number));
    let mut positions = Vec::new();
    let mut end = None;
    for (number, arn, is_writer, server, caught_up) in members {
        let position = position(server.as_ref()).await;
        let lsn = position.map(|position| u64::from(position.readable()));
        if is_writer {
            end = lsn;
        }
        let lag_bytes = end.zip(lsn).map(|(end, lsn)| end.saturating_sub(lsn));
        let now = tokio::time::Instant::now();
        if lag_bytes == Some(0) {
            account.change_quietly(number, |cluster| cluster.caught_up = now);
        }
        let age = match (lag_bytes, position) {
            (Some(0), _) => Some(Duration::ZERO),
            // After a pause, the newest transaction that can be read is older than what is missing.
            (Some(_), Some(Position::Standby { last_commit: Some(commit), .. })) => {
                let commit = Timestamp::now().duration_since(commit).try_into().unwrap_or(Duration::ZERO);
                Some(commit.min(now - caught_up))
            }
            (Some(_), _) => Some(now - caught_up),
            (None, _) => None,
        };
        let connected = match position {
            Some(Position::Primary { .. }) => true,
            Some(Position::Standby { connected, .. }) => connected,
            None => false,
        };
        positions.push(MemberPosition { arn, is_writer, lsn, lag_bytes, age, connected });
    }
    positions
}

impl Aurora {
    /// Does something in the account's queue, and waits for it.
    async fn in_turn<T, W>(
        &self,
        account: &str,
        work: impl FnOnce(Arc<Shared>, Arc<Account>) -> W,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let account = self.known(account).ok_or_else(|| format!("the account {account} has no clusters"))?;
        let done = account.enqueue(work(Arc::clone(&self.shared), Arc::clone(&account)));
        done.await.unwrap_or_else(|_| Err(super::REMOVED.to_owned()))
    }
}

impl Servers for Aurora {
    fn switch_over<'a>(&'a self, account: &'a str, global: &'a str, from: &'a str, to: &'a str) -> Done<'a, ()> {
        let (global, from, to) = (global.to_owned(), from.to_owned(), to.to_owned());
        self.in_turn(account, move |shared, account| switch_over(shared, account, global, from, to)).boxed()
    }

    fn fail_over<'a>(
        &'a self,
        account: &'a str,
        global: &'a str,
        from: &'a str,
        to: &'a str,
        lost: Option<&'a str>,
    ) -> Done<'a, LostWrites> {
        let (global, from, to, lost) = (global.to_owned(), from.to_owned(), to.to_owned(), lost.map(str::to_owned));
        self.in_turn(account, move |shared, account| fail_over(shared, account, global, from, to, lost)).boxed()
    }

    fn rejoin<'a>(&'a self, account: &'a str, global: &'a str, cluster: &'a str) -> Done<'a, Rejoined> {
        let (global, cluster) = (global.to_owned(), cluster.to_owned());
        self.in_turn(account, move |shared, account| rejoin(shared, account, global, cluster)).boxed()
    }

    fn fence<'a>(&'a self, account: &'a str, cluster: &'a str) -> Done<'a, ()> {
        let cluster = cluster.to_owned();
        self.in_turn(account, move |_, account| async move { set_fenced(&account, &cluster, true).await }).boxed()
    }

    fn unfence<'a>(&'a self, account: &'a str, cluster: &'a str) -> Done<'a, ()> {
        let cluster = cluster.to_owned();
        self.in_turn(account, move |_, account| async move { set_fenced(&account, &cluster, false).await }).boxed()
    }

    fn positions<'a>(&'a self, account: &'a str, global: &'a str) -> Done<'a, Vec<MemberPosition>> {
        async move {
            let account = self.known(account).ok_or_else(|| format!("the account {account} has no clusters"))?;
            Ok(positions(&self.shared, &account, global).await)
        }
        .boxed()
    }
}
