//! What clusters there are and how they are, and how `psql` gets to one.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::account::{Account, Cluster, DEFAULT_DATABASE, Role, State};
use super::servers::MemberPosition;
use super::{Aurora, REACHED_WITHIN, switch};
use crate::sync::lock;
use crate::world::postgres::Lsn;

/// The clusters of a sandbox, and the PostgreSQL that serves them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuroraStatus {
    /// PostgreSQL's version, whatever version the clusters have in name; none before it was needed.
    pub postgres: Option<String>,
    /// The clusters, by account, Region, and name.
    pub clusters: Vec<AuroraCluster>,
}

/// A cluster, and its server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuroraCluster {
    /// The account.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The identifier.
    pub cluster: String,
    /// The ARN.
    pub arn: String,
    /// The id of the global cluster that it is a member of.
    pub global: Option<String>,
    /// `writer`, `secondary`, or `replaced`: a failover made another cluster the writer, and this one has not rejoined.
    pub role: String,
    /// `available`, `starting`, `no instance`, `failed`, or AWS's word for another state.
    pub state: String,
    /// The port on loopback at which it takes SQL.
    pub port: Option<u16>,
    /// The database that it was created with.
    pub database: Option<String>,
    /// The master user.
    pub owner: String,
    /// The end of what can be read, in PostgreSQL's notation.
    pub lsn: Option<String>,
    /// How many bytes of the writer's changes cannot be read yet.
    pub lag_bytes: Option<u64>,
    /// How many seconds old what can be read is.
    pub age: Option<f64>,
    /// Whether it gets changes from the writer; true at the writer.
    pub connected: bool,
    /// Why it failed, and what to do.
    pub failure: Option<String>,
}

/// How `psql` gets to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PsqlAccess {
    /// The program; `None` if PostgreSQL is not installed.
    pub(crate) program: Option<PathBuf>,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) database: String,
    /// The password, if the sandbox knows it.
    pub(crate) password: Option<String>,
    /// `us-east-1 writer`, for the prompt.
    pub(crate) place: String,
}

fn role(cluster: &Cluster) -> &'static str {
    match cluster.role {
        Role::Writer => "writer",
        Role::Secondary => "secondary",
        Role::Replaced { .. } => "replaced",
    }
}

fn state(cluster: &Cluster) -> (&'static str, Option<String>) {
    match &cluster.state {
        State::Failed(why) => ("failed", Some(why.clone())),
        _ if cluster.instances.is_empty() => ("no instance", None),
        State::Idle | State::Starting => ("starting", None),
        State::Serving => ("available", None),
        State::Unavailable(word) => (word, None),
    }
}

fn described(account: &Account, cluster: &Cluster) -> AuroraCluster {
    let (state, failure) = state(cluster);
    AuroraCluster {
        account: account.id.clone(),
        region: cluster.region.clone(),
        cluster: cluster.name.clone(),
        arn: cluster.arn.clone(),
        global: cluster.global.clone(),
        role: role(cluster).to_owned(),
        state: state.to_owned(),
        port: cluster.door.as_ref().filter(|_| state == "available").map(|door| door.port()),
        database: cluster.database.clone(),
        owner: cluster.owner.clone(),
        lsn: None,
        lag_bytes: None,
        age: None,
        connected: false,
        failure,
    }
}

impl AuroraCluster {
    fn add(&mut self, position: &MemberPosition) {
        self.lsn = position.lsn.map(|lsn| Lsn::from(lsn).to_string());
        self.lag_bytes = position.lag_bytes;
        self.age = position.age.map(|age| age.as_secs_f64());
        self.connected = position.connected;
    }
}

impl Aurora {
    fn accounts(&self, only: Option<&str>) -> Vec<Arc<Account>> {
        let accounts = lock(&self.shared.accounts);
        let mut found: Vec<_> =
            accounts.values().filter(|account| only.is_none_or(|only| account.id == only)).cloned().collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found
    }

    /// The clusters of an account, or of all accounts.
    pub(crate) async fn status(&self, account: Option<&str>) -> AuroraStatus {
        let mut clusters = Vec::new();
        for account in self.accounts(account) {
            let mut found: Vec<AuroraCluster> =
                account.read(|catalogue| catalogue.live().map(|(_, cluster)| described(&account, cluster)).collect());
            found.sort_by(|one, other| (&one.region, &one.cluster).cmp(&(&other.region, &other.cluster)));
            let mut positions = Vec::new();
            let mut globals: Vec<&str> = found.iter().filter_map(|cluster| cluster.global.as_deref()).collect();
            globals.sort_unstable();
            globals.dedup();
            for global in globals {
                positions.extend(switch::positions(&self.shared, &account, global).await);
            }
            for cluster in &mut found {
                if let Some(position) = positions.iter().find(|position| position.arn == cluster.arn) {
                    cluster.add(position);
                }
            }
            clusters.extend(found);
        }
        let postgres = self.shared.programs.get().map(|programs| programs.version().to_owned());
        AuroraStatus { postgres, clusters }
    }

    /// How `psql` gets to the cluster of a Region, or to the writer. Waits for a server that is starting.
    ///
    /// # Errors
    ///
    /// When there is no such cluster or more than one, or when it takes no SQL.
    pub(crate) async fn psql(&self, account: Option<&str>, region: Option<&str>) -> Result<PsqlAccess, String> {
        let deadline = Instant::now() + REACHED_WITHIN;
        loop {
            let (account, number) = self.choose(account, region)?;
            let mut changed = account.changed();
            let access = account.read(|catalogue| {
                let Some(cluster) = catalogue.clusters.get(&number) else {
                    return Err("the cluster has just been deleted".to_owned());
                };
                let (state, failure) = state(cluster);
                match (state, &cluster.door, failure) {
                    (_, _, Some(why)) => Err(format!("the server of the cluster {} does not run: {why}", cluster.name)),
                    ("starting", ..) => Ok(None),
                    ("available", Some(door), _) => Ok(Some(PsqlAccess {
                        program: self
                            .shared
                            .place
                            .as_ref()
                            .and_then(|place| Some(place.programs.as_ref()?.join("psql"))),
                        port: door.port(),
                        user: cluster.owner.clone(),
                        database: cluster.database.clone().unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
                        password: cluster.password.clone(),
                        place: format!("{} {}", cluster.region, role(cluster)),
                    })),
                    (word, ..) => Err(format!("the cluster {} takes no SQL: {word}", cluster.name)),
                }
            });
            if let Some(access) = access? {
                return Ok(access);
            }
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                return Err("the cluster's server is still being started".to_owned());
            }
        }
    }

    /// The account's cluster in the Region, or its writer.
    fn choose(&self, account: Option<&str>, region: Option<&str>) -> Result<(Arc<Account>, u64), String> {
        let mut found = Vec::new();
        for account in self.accounts(account) {
            let numbers: Vec<(u64, String)> = account.read(|catalogue| {
                let is_meant = |cluster: &Cluster| match region {
                    Some(region) => cluster.region == region,
                    None => cluster.role == Role::Writer,
                };
                let meant = catalogue.live().filter(|(_, cluster)| is_meant(cluster));
                meant.map(|(number, cluster)| (number, format!("{} in {}", cluster.name, cluster.region))).collect()
            });
            found.extend(numbers.into_iter().map(|(number, name)| (Arc::clone(&account), number, name)));
        }
        match found.as_slice() {
            [(account, number, _)] => Ok((Arc::clone(account), *number)),
            [] => Err(match region {
                Some(region) => format!("there is no Aurora cluster in {region}"),
                None => "there is no Aurora cluster".to_owned(),
            }),
            several => {
                let names = several.iter().map(|(account, _, name)| format!("{name} (account {})", account.id));
                Err(format!("there are several clusters: {}. Name the Region.", names.collect::<Vec<_>>().join(", ")))
            }
        }
    }
}

impl PsqlAccess {
    /// The command, with the password in its environment.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed.
    pub(crate) fn command(&self) -> Result<Command, String> {
        let program = self.program.as_ref().ok_or("PostgreSQL is not installed with this sandbox")?;
        let mut command = Command::new(program);
        // What the user's environment says is about other servers.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .args(["--host=127.0.0.1", &format!("--port={}", self.port)])
            .args([format!("--username={}", self.user), format!("--dbname={}", self.database)])
            .arg(format!("--set=PROMPT1={} %/%R%x%# ", self.place));
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_the_environment_and_not_among_the_arguments() -> Result<(), String> {
        let access = PsqlAccess {
            program: Some("/opt/bin/psql".into()),
            port: 4711,
            user: "payments".to_owned(),
            database: "ledger".to_owned(),
            password: Some("hush".to_owned()),
            place: "us-east-1 writer".to_owned(),
        };
        let command = access.command()?;
        let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert!(arguments.contains(&"--port=4711".to_owned()) && arguments.contains(&"--dbname=ledger".to_owned()));
        assert!(!arguments.join(" ").contains("hush"), "{arguments:?}");
        assert!(command.get_envs().any(|(name, value)| name == "PGPASSWORD" && value == Some("hush".as_ref())));
        assert!(PsqlAccess { program: None, ..access }.command().is_err());
        Ok(())
    }
}
