//! What is done with the servers of clusters, one thing after the other in each account: made, started, stopped, removed,
//! and copied.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use miette::Diagnostic as _;

use super::account::{Account, Catalogue, DEFAULT_DATABASE, Role, Snapshot, State};
use super::{Place, Shared, links};
use crate::error::with_causes;
use crate::world::postgres::{Login, Pipe, PostgresError, Programs, Server, Settings, Stop};

/// How often the removal of a folder is tried: the last process of a server that was just ended may still write there.
const REMOVALS: usize = 20;
const REMOVAL_INTERVAL: Duration = Duration::from_millis(100);

/// Why something failed, and what to do.
pub(super) fn explained(error: &PostgresError) -> String {
    let help = error.help().map(|help| format!(" {help}")).unwrap_or_default();
    with_causes(error) + &help
}

impl Place {
    /// Removes what an earlier sandbox left: the emulator has forgotten its clusters, too.
    pub(super) fn clean(&self) {
        let mut old = vec![];
        for kind in [SERVERS, SNAPSHOTS] {
            let away = self.home.join(format!("{OLD}{}", uuid::Uuid::new_v4().simple()));
            match std::fs::rename(self.home.join(kind), &away) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(%error, kind, "cannot move away what an earlier sandbox left"),
            }
        }
        for entry in std::fs::read_dir(&self.home).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(OLD) {
                old.push(entry.path());
            }
        }
        if old.is_empty() {
            return;
        }
        std::thread::spawn(move || {
            for folder in old {
                // Servers that are still ending may write there: the next sandbox tries again.
                if let Err(error) = std::fs::remove_dir_all(&folder) {
                    tracing::debug!(%error, folder = %folder.display(), "cannot remove what an earlier sandbox left");
                }
            }
        });
    }

    /// The folder of a server or a snapshot.
    fn folder(&self, kind: &str, account: &str, region: &str, name: &str) -> Result<PathBuf, String> {
        let mut folder = self.home.join(kind);
        for part in [account, region, name] {
            // The ids of Aurora's own snapshots have a colon.
            let part = part.replace(':', "_");
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
                return Err(format!(
                    "{part:?} cannot be the name of a folder. Choose an identifier of letters, digits, and hyphens."
                ));
            }
            folder.push(part);
        }
        Ok(folder)
    }
}

const SERVERS: &str = "servers";
const SNAPSHOTS: &str = "snapshots";
const OLD: &str = "old-";

impl Shared {
    fn place(&self) -> Result<&Place, String> {
        self.place.as_ref().ok_or_else(|| "this sandbox has no place for PostgreSQL servers.".to_owned())
    }

    /// PostgreSQL's programs, which are looked for when they are needed first.
    async fn programs(&self) -> Result<Programs, String> {
        let place = self.place()?;
        let folder = place.programs.as_ref().ok_or_else(|| {
            "PostgreSQL is not installed. Remove the folder `ministack-…` in drctl's cache folder; drctl then installs it again."
                .to_owned()
        })?;
        let found = self.programs.get_or_try_init(|| Programs::find(folder, &place.home)).await;
        found.cloned().map_err(|error| explained(&error))
    }
}

/// Makes what all new servers are copied from, so that the first of them is there sooner.
pub(super) async fn prepare(shared: &Shared) {
    let prepared = match shared.programs().await {
        Ok(programs) => programs.prepare().await.map_err(|error| explained(&error)),
        Err(why) => Err(why),
    };
    if let Err(why) = prepared {
        // Whoever creates an instance is told.
        tracing::warn!(why, "PostgreSQL cannot be used");
    }
}

/// What a server is made or started by.
struct Plan {
    arn: String,
    region: String,
    name: String,
    owner: Login,
    global: Option<String>,
    role: Role,
    server: Option<Arc<Server>>,
    door: Option<Arc<Pipe>>,
}

impl Plan {
    fn of(catalogue: &Catalogue, number: u64) -> Option<Self> {
        let cluster = catalogue.clusters.get(&number)?;
        Some(Self {
            arn: cluster.arn.clone(),
            region: cluster.region.clone(),
            name: cluster.name.clone(),
            owner: Login {
                user: cluster.owner.clone(),
                password: cluster.password.clone().unwrap_or_default(),
                database: cluster.database.clone().unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
            },
            global: cluster.global.clone(),
            role: cluster.role.clone(),
            server: cluster.server.clone(),
            door: cluster.door.clone(),
        })
    }
}

/// What became of the attempt to bring up a server.
#[derive(Debug, PartialEq, Eq)]
enum Brought {
    Up,
    /// What it needs is not there yet: the writer's server, or the connection to its Region. It is tried again when that
    /// changes.
    Later,
}

/// Has a cluster's server made or started, if it is [`State::Starting`] by then.
pub(super) fn enqueue_serve(shared: &Arc<Shared>, account: &Arc<Account>, number: u64) {
    let (shared, of) = (Arc::clone(shared), Arc::clone(account));
    drop(account.enqueue(async move { serve(&shared, &of, number).await }));
}

async fn serve(shared: &Arc<Shared>, account: &Arc<Account>, number: u64) {
    let is_wanted = |catalogue: &Catalogue| {
        catalogue.clusters.get(&number).is_some_and(|cluster| !cluster.deleted && cluster.state == State::Starting)
    };
    if !account.read(is_wanted) {
        return;
    }
    let brought = bring_up(shared, account, number).await;
    if brought == Ok(Brought::Later) {
        return;
    }
    account.change_one(number, |cluster| {
        cluster.state = match brought {
            Ok(_) => State::Serving,
            Err(why) => {
                tracing::error!(cluster = cluster.arn, why, "the PostgreSQL server of a cluster does not run");
                State::Failed(why)
            }
        };
    });
    waiting(shared, account);
}

/// Tries again what could not be done before.
pub(super) fn waiting(shared: &Arc<Shared>, account: &Arc<Account>) {
    let waiting: Vec<u64> = account.read(|catalogue| {
        let waits = catalogue.live().filter(|(_, cluster)| {
            let writer = cluster.global.as_deref().and_then(|global| catalogue.writer(global));
            cluster.state == State::Starting
                && cluster.role == Role::Secondary
                && writer.is_some_and(|(_, writer)| writer.server.is_some())
        });
        waits.map(|(number, _)| number).collect()
    });
    for number in waiting {
        enqueue_serve(shared, account, number);
    }
}

async fn bring_up(shared: &Arc<Shared>, account: &Arc<Account>, number: u64) -> Result<Brought, String> {
    let programs = shared.programs().await?;
    let Some(plan) = account.read(|catalogue| Plan::of(catalogue, number)) else { return Ok(Brought::Later) };
    let folder = shared.place()?.folder(SERVERS, &account.id, &plan.region, &plan.name)?;
    let failed = |error| explained(&error);
    match &plan.server {
        Some(server) => server.start().await.map_err(failed)?,
        None if plan.role == Role::Secondary => {
            if standby(shared, account, number, &plan, (&programs, &folder)).await? == Brought::Later {
                tracing::info!(cluster = plan.arn, "the writer cannot be reached: its copy has to wait");
                return Ok(Brought::Later);
            }
        }
        None => {
            let settings = Settings { owner: plan.owner.clone(), port: None, durable: false };
            let server = Server::create(&programs, &folder, &settings).await.map_err(failed)?;
            account.change_one(number, |cluster| cluster.server = Some(Arc::new(server)));
        }
    }
    set_password(account, number).await;
    open_door(account, number, plan.door).await?;
    links::apply(shared, account);
    Ok(Brought::Up)
}

/// Makes a copy of the writer's server, which follows it.
async fn standby(
    shared: &Shared,
    account: &Account,
    number: u64,
    plan: &Plan,
    (programs, folder): (&Programs, &Path),
) -> Result<Brought, String> {
    let writer = account.read(|catalogue| {
        let (_, writer) = catalogue.source(plan.global.as_deref()?)?;
        Some((writer.server.clone()?, writer.region.clone()))
    });
    let Some((writer, region)) = writer else { return Ok(Brought::Later) };
    let Some(port) = writer.port().filter(|_| links::connects(shared, &account.id, &region, &plan.region)) else {
        return Ok(Brought::Later);
    };
    let pipe = Pipe::open(port).await.map_err(|error| explained(&error))?;
    let server = Server::standby(programs, folder, &writer, &pipe, None).await.map_err(|error| explained(&error))?;
    account.change_one(number, |cluster| {
        cluster.server = Some(Arc::new(server));
        cluster.stream = Some(Arc::new(pipe));
        cluster.caught_up = tokio::time::Instant::now();
    });
    Ok(Brought::Up)
}

/// Leads clients to a server that has just started.
pub(super) async fn open_door(account: &Account, number: u64, door: Option<Arc<Pipe>>) -> Result<(), String> {
    let port = account.read(|catalogue| catalogue.clusters.get(&number)?.server.as_ref()?.port());
    let Some(port) = port else { return Ok(()) };
    if let Some(door) = door {
        door.set_target(port);
    } else {
        let door = Pipe::open(port).await.map_err(|error| explained(&error))?;
        account.change_one(number, |cluster| cluster.door = Some(Arc::new(door)));
    }
    Ok(())
}

/// Gives the server of a writer the password that it is to have.
pub(super) async fn set_password(account: &Account, number: u64) {
    let due = account.read(|catalogue| {
        let cluster = catalogue.clusters.get(&number)?;
        Some((cluster.server.clone().filter(|server| !server.is_standby())?, cluster.due_password.clone()?))
    });
    let Some((server, password)) = due else { return };
    if server.port().is_none() {
        return;
    }
    match server.set_owner_password(&password).await {
        Ok(()) => drop(account.change_one(number, |cluster| {
            // It may have changed again.
            if cluster.due_password.as_ref() == Some(&password) {
                cluster.due_password = None;
            }
        })),
        // It is tried again with the next start.
        Err(error) => tracing::error!(why = explained(&error), "cannot change the password of a cluster's master user"),
    }
}

/// Stops the server of a cluster that has no instance any more.
///
/// Not that of a member of a global database which others follow, or which follows another: on AWS, its storage goes on
/// without instances.
pub(super) async fn rest(account: &Account, number: u64) {
    let server = account.change(|catalogue| {
        let cluster = catalogue.clusters.get_mut(&number)?;
        if !cluster.instances.is_empty() || cluster.deleted {
            return None;
        }
        cluster.state = State::Idle;
        let (global, server) = (cluster.global.clone(), cluster.server.clone());
        let others = global.map_or(0, |global| catalogue.members(&global).count());
        server.filter(|_| others < 2)
    });
    stop_server(server).await;
}

/// Stops the server of a cluster.
pub(super) async fn stop(account: &Account, number: u64) {
    let server = account.read(|catalogue| catalogue.clusters.get(&number)?.server.clone());
    stop_server(server).await;
}

async fn stop_server(server: Option<Arc<Server>>) {
    let Some(server) = server else { return };
    if let Err(error) = server.stop(Stop::Fast).await {
        tracing::error!(why = explained(&error), "cannot stop the PostgreSQL server of a cluster");
    }
}

/// Removes the server of a cluster that was deleted.
pub(super) async fn remove(account: &Account, number: u64) {
    let server = account.read(|catalogue| catalogue.clusters.get(&number)?.server.clone());
    if let Some(server) = server
        && let Err(error) = server.remove().await
    {
        tracing::error!(why = explained(&error), "cannot remove the PostgreSQL server of a cluster");
    }
    account.change(|catalogue| catalogue.clusters.remove(&number));
}

/// Makes a cluster independent of the global cluster that it has left.
pub(super) async fn detach(shared: &Arc<Shared>, account: &Arc<Account>, number: u64) {
    let Some(plan) = account.read(|catalogue| Plan::of(catalogue, number)) else { return };
    let mut failure = None;
    if plan.role == Role::Secondary {
        failure = promote(shared, account, number, &plan).await.err();
    }
    account.change_one(number, |cluster| {
        cluster.global = None;
        cluster.role = Role::Writer;
        cluster.stream = None;
        cluster.fenced = false;
        // A writer goes on as it is. One that a failover has replaced, and that was stopped, starts again.
        let was_stopped = matches!(plan.role, Role::Replaced { .. }) && matches!(cluster.state, State::Unavailable(_));
        if plan.role != Role::Secondary && !was_stopped {
            return;
        }
        cluster.state = match failure {
            Some(why) => {
                tracing::error!(cluster = cluster.arn, why, "a cluster that left its global cluster does not run");
                State::Failed(why)
            }
            None if cluster.instances.is_empty() => State::Idle,
            None => State::Starting,
        };
    });
    serve(shared, account, number).await;
    rest(account, number).await;
}

/// Makes a secondary a server of its own, with what has arrived.
async fn promote(shared: &Arc<Shared>, account: &Arc<Account>, number: u64, plan: &Plan) -> Result<(), String> {
    // A member that never had an instance has its writer's data on AWS, too.
    if bring_up(shared, account, number).await? == Brought::Later {
        return Err(format!("{} has not received its data: its writer cannot be reached.", plan.name));
    }
    let found = account.read(|catalogue| {
        let cluster = catalogue.clusters.get(&number)?;
        Some((cluster.server.clone()?, cluster.stream.clone()))
    });
    let Some((server, stream)) = found else { return Ok(()) };
    if let Some(stream) = stream {
        stream.cut();
    }
    if server.is_standby() { server.promote().await.map_err(|error| explained(&error)) } else { Ok(()) }
}

/// Copies the data of a cluster for a snapshot.
pub(super) async fn snapshot(shared: &Shared, account: &Account, number: u64, id: &str) {
    if let Err(why) = keep(shared, account, number, id).await {
        tracing::error!(snapshot = id, why, "a snapshot has no data");
        account.change(|catalogue| {
            let region = catalogue.clusters.get(&number).map(|cluster| cluster.region.clone()).unwrap_or_default();
            if let Some(snapshot) = catalogue.snapshots.get_mut(&(region, id.to_owned())) {
                snapshot.failed = Some(why);
            }
        });
    }
}

/// Keeps the data of a cluster as the snapshot `id` in its Region.
pub(super) async fn keep(shared: &Shared, account: &Account, number: u64, id: &str) -> Result<(), String> {
    let found = account.read(|catalogue| {
        let cluster = catalogue.clusters.get(&number)?;
        Some((Snapshot::of(cluster), cluster.region.clone(), cluster.server.clone()))
    });
    let Some((entry, region, server)) = found else { return Ok(()) };
    let mut folder = None;
    if let Some(server) = server {
        let place = shared.place()?.folder(SNAPSHOTS, &account.id, &region, id)?;
        server.snapshot(&place).await.map_err(|error| explained(&error))?;
        folder = Some(place);
    }
    let key = (region, id.to_owned());
    account.change(|catalogue| catalogue.snapshots.entry(key).or_insert(entry).folder = folder);
    Ok(())
}

/// Makes the server of a cluster of a snapshot's data. It is started when the cluster gets an instance.
pub(super) async fn restore(
    shared: &Shared,
    account: &Account,
    key: &(String, String),
    arn: &str,
) -> Result<(), String> {
    let Some(number) = account.read(|catalogue| catalogue.find(arn).map(|(number, _)| number)) else { return Ok(()) };
    let restored = try_restore(shared, account, key, number).await;
    if let Err(why) = &restored {
        account.change_one(number, |cluster| cluster.state = State::Failed(why.clone()));
    }
    restored
}

async fn try_restore(shared: &Shared, account: &Account, key: &(String, String), number: u64) -> Result<(), String> {
    let snapshot = account.read(|catalogue| catalogue.snapshots.get(key).cloned());
    let snapshot = snapshot.ok_or_else(|| format!("there is no data of the snapshot {}", key.1))?;
    if let Some(why) = &snapshot.failed {
        return Err(format!("the snapshot {} has no data: {why}", key.1));
    }
    account.change_one(number, |cluster| {
        cluster.owner = snapshot.owner;
        cluster.database = snapshot.database;
        cluster.password = snapshot.password.or(cluster.password.take());
    });
    let Some(source) = &snapshot.folder else { return Ok(()) };
    let Some(plan) = account.read(|catalogue| Plan::of(catalogue, number)) else { return Ok(()) };
    let folder = shared.place()?.folder(SERVERS, &account.id, &plan.region, &plan.name)?;
    let failed = |error| explained(&error);
    let server = Server::restore(&shared.programs().await?, &folder, source, None).await.map_err(failed)?;
    server.stop(Stop::Fast).await.map_err(failed)?;
    account.change_one(number, |cluster| cluster.server = Some(Arc::new(server)));
    Ok(())
}

/// Copies a snapshot's data.
pub(super) async fn copy_snapshot(
    shared: &Shared,
    account: &Account,
    from: &(String, String),
    to: (String, String),
) -> Result<(), String> {
    let Some(mut copy) = account.read(|catalogue| catalogue.snapshots.get(from).cloned()) else { return Ok(()) };
    if let Some(source) = &copy.folder {
        let folder = shared.place()?.folder(SNAPSHOTS, &account.id, &to.0, &to.1)?;
        let server = Server::open(&shared.programs().await?, source).map_err(|error| explained(&error))?;
        server.snapshot(&folder).await.map_err(|error| explained(&error))?;
        copy.folder = Some(folder);
    }
    account.change(|catalogue| catalogue.snapshots.insert(to, copy));
    Ok(())
}

/// Removes a snapshot with its data.
pub(super) async fn remove_snapshot(account: &Account, key: &(String, String)) -> Result<(), String> {
    let snapshot = account.change(|catalogue| catalogue.snapshots.remove(key));
    match snapshot.and_then(|snapshot| snapshot.folder) {
        Some(folder) => remove_folder(folder).await,
        None => Ok(()),
    }
}

/// Removes everything of these accounts.
pub(super) async fn remove_accounts(shared: &Shared, accounts: Vec<Arc<Account>>) -> Result<(), String> {
    let removals = accounts.into_iter().map(|account| async move {
        account.end_work();
        let servers: Vec<Arc<Server>> = account.change(|catalogue| {
            catalogue.snapshots.clear();
            std::mem::take(&mut catalogue.clusters).into_values().filter_map(|cluster| cluster.server).collect()
        });
        let ended = join_all(servers.iter().map(|server| server.stop(Stop::Immediate))).await;
        for ended in ended {
            ended.map_err(|error| explained(&error))?;
        }
        let Some(place) = &shared.place else { return Ok(()) };
        for kind in [SERVERS, SNAPSHOTS] {
            remove_folder(place.home.join(kind).join(&account.id)).await?;
        }
        Ok(())
    });
    join_all(removals).await.into_iter().collect()
}

async fn remove_folder(folder: PathBuf) -> Result<(), String> {
    let mut attempt = 1;
    loop {
        let path = folder.clone();
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        match removed.map_err(io::Error::other).and_then(|removed| removed) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if attempt == REMOVALS => return Err(format!("cannot remove {}: {error}", folder.display())),
            Err(error) => tracing::debug!(%error, folder = %folder.display(), "a folder is still being written to"),
        }
        attempt += 1;
        tokio::time::sleep(REMOVAL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        let place = Place { programs: None, home: PathBuf::from("home") };
        for name in ["..", "a/b", "", "a b", "ü"] {
            assert!(place.folder(SERVERS, "111122223333", "us-east-1", name).is_err(), "{name:?}");
        }
        let of_aurora = place.folder(SNAPSHOTS, "111122223333", "us-east-1", "rds:lost-1");
        assert_eq!(of_aurora, Ok(PathBuf::from("home/snapshots/111122223333/us-east-1/rds_lost-1")));
    }
}
