//! Clusters with real servers. None of these tests is skipped: one that cannot start PostgreSQL fails, and says why.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::servers::{LostWrites, Servers as _};
use super::*;
use crate::install;
use crate::world::postgres::{Client, ClientError, Login, Parameter, Value};
use crate::world::regions::{RegionOrder, RegionState};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";
const HOME: &str = "us-east-1";
const AWAY: &str = "us-east-2";
const GLOBAL: &str = "payments";

/// How long what is not late may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A world with databases.
pub(crate) struct Sandbox {
    pub(crate) aurora: Aurora,
    regions: Regions,
    dir: TempDir,
}

pub(crate) async fn programs() -> TestResult<PathBuf> {
    let python = install::ensure(&|_| {}).await?;
    install::postgres_of(&python).ok_or_else(|| "PostgreSQL is not installed".into())
}

impl Sandbox {
    pub(crate) async fn new() -> TestResult<Self> {
        Self::with(Some(programs().await?))
    }

    pub(crate) fn with(programs: Option<PathBuf>) -> TestResult<Self> {
        let dir = tempfile::Builder::new().prefix("drctl-aurora-").tempdir()?;
        let regions = Regions::default();
        let place = Place { programs, home: dir.path().join("postgres") };
        Ok(Self { aurora: Aurora::new(Some(place), &regions, None), regions, dir })
    }

    /// Creates a cluster with an instance, as a member of the global database.
    fn member(&self, region: &str) {
        self.create(region, "ledger", Some(GLOBAL));
        self.aurora.instance_created(ACCOUNT, region, "ledger", "ledger-1");
    }

    fn create(&self, region: &str, name: &str, global: Option<&str>) {
        let is_secondary = global.is_some_and(|global| self.aurora.writer_of(ACCOUNT, global).is_some());
        let new = NewCluster {
            arn: arn(region, name),
            owner: "payments".to_owned(),
            password: (!is_secondary).then(|| "it's a secret".to_owned()),
            database: Some("ledger".to_owned()),
            http_endpoint: true,
            global: global.map(str::to_owned),
        };
        self.aurora.cluster_created(ACCOUNT, new);
    }

    /// A global database with a payment in it.
    async fn pair() -> TestResult<Self> {
        let sandbox = Self::new().await?;
        sandbox.member(HOME);
        sandbox.member(AWAY);
        sandbox.at(HOME).await?.batch("create table payments (id bigint primary key)").await?;
        sandbox.pay(HOME, 1..2).await?;
        sandbox.arrives(AWAY, &[1]).await?;
        Ok(sandbox)
    }

    /// A connection to the cluster of a Region, as people get it.
    async fn at(&self, region: &str) -> TestResult<Client> {
        Ok(self.connect(ACCOUNT, region).await??)
    }

    async fn connect(&self, account: &str, region: &str) -> Result<Result<Client, ClientError>, String> {
        let access = self.aurora.psql(Some(account), Some(region)).await?;
        let password = access.password.unwrap_or_default();
        Ok(Client::connect(access.port, &Login { user: access.user, password, database: access.database }).await)
    }

    /// Adds payments with these ids, each in a transaction of its own.
    async fn pay(&self, region: &str, ids: std::ops::Range<i64>) -> TestResult {
        let client = self.at(region).await?;
        for id in ids {
            client.query("insert into payments values ($1)", &[Parameter::from(Value::Long(id))]).await?;
        }
        Ok(())
    }

    async fn payments(&self, region: &str) -> TestResult<Vec<i64>> {
        let rows = self.at(region).await?.query("select id from payments order by id", &[]).await?.rows;
        let id = |row: &Vec<Value>| match row.as_slice() {
            [Value::Long(id)] => Ok(*id),
            other => Err(format!("{other:?} is not an id").into()),
        };
        rows.iter().map(id).collect()
    }

    /// Waits until a Region has these payments.
    async fn arrives(&self, region: &str, ids: &[i64]) -> TestResult {
        let started = Instant::now();
        loop {
            // While the table itself has not arrived, there is no answer.
            let found = self.payments(region).await.map_err(|error| format!("{error:?}"));
            if found.as_deref() == Ok(ids) {
                return Ok(());
            }
            if started.elapsed() > SOON {
                return Err(format!("{region} has {found:?} instead of {ids:?}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn order(&self, region: &str, is: RegionState) -> TestResult {
        let orders = BTreeMap::from([(region.to_owned(), RegionOrder::new(is))]);
        Ok(self.regions.order(None, &orders)?)
    }

    async fn reach(&self, region: &str, name: &str) -> Result<Reach, Unavailable> {
        self.aurora.reach(ACCOUNT, &arn(region, name)).await
    }
}

fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:rds:{region}:{ACCOUNT}:cluster:{name}")
}

#[tokio::test]
async fn a_cluster_gets_its_server_with_its_first_instance_and_keeps_its_data() -> TestResult {
    let sandbox = Sandbox::new().await?;
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::NoSuchCluster));
    sandbox.create(HOME, "ledger", None);
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::NoInstance));
    assert!(sandbox.aurora.psql(None, None).await.is_err_and(|why| why.contains("no instance")));
    sandbox.aurora.instance_created(ACCOUNT, HOME, "ledger", "one");
    let reach = sandbox.reach(HOME, "ledger").await?;
    let expected = Reach {
        port: reach.port,
        database: Some("ledger".to_owned()),
        owner: "payments".to_owned(),
        is_writer: true,
        region: HOME.to_owned(),
        cluster: "ledger".to_owned(),
    };
    assert_eq!(reach, expected);
    sandbox.at(HOME).await?.batch("create table payments (id bigint primary key)").await?;
    sandbox.pay(HOME, 1..3).await?;
    let folder = sandbox.dir.path().join("postgres/servers").join(ACCOUNT).join(HOME).join("ledger");
    assert!(folder.join("data").exists());

    sandbox.aurora.http_endpoint_set(ACCOUNT, HOME, &arn(HOME, "ledger"), false);
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::HttpEndpointDisabled));
    sandbox.aurora.http_endpoint_set(ACCOUNT, HOME, "ledger", true);

    // A second instance, and then none.
    sandbox.aurora.instance_created(ACCOUNT, HOME, "ledger", "two");
    sandbox.aurora.instance_deleted(ACCOUNT, HOME, "one");
    assert_eq!(sandbox.payments(HOME).await?, [1, 2]);
    sandbox.aurora.instance_deleted(ACCOUNT, HOME, "two");
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::NoInstance));
    sandbox.aurora.instance_created(ACCOUNT, HOME, "ledger", "three");
    assert_eq!(sandbox.payments(HOME).await?, [1, 2]);
    assert_eq!(sandbox.reach(HOME, "ledger").await?.port, reach.port, "clients find it where it was");

    sandbox.aurora.power(ACCOUNT, HOME, "ledger", false);
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::NotAvailable("stopped".to_owned())));
    sandbox.aurora.power(ACCOUNT, HOME, "ledger", true);
    assert_eq!(sandbox.payments(HOME).await?, [1, 2]);

    sandbox.aurora.instance_deleted(ACCOUNT, HOME, "three");
    sandbox.aurora.cluster_deleted(ACCOUNT, HOME, "ledger");
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::NoSuchCluster));
    // The name is free at once, and the new cluster has nothing of the old one's.
    sandbox.create(HOME, "ledger", None);
    sandbox.aurora.instance_created(ACCOUNT, HOME, "ledger", "one");
    assert!(sandbox.payments(HOME).await.is_err());
    sandbox.aurora.reset(None).await?;
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn a_cluster_without_a_database_of_its_own_has_the_default_one() -> TestResult {
    let sandbox = Sandbox::new().await?;
    let new = NewCluster {
        arn: arn(HOME, "bare"),
        owner: "owner".to_owned(),
        password: Some("secret".to_owned()),
        database: None,
        http_endpoint: true,
        global: None,
    };
    sandbox.aurora.cluster_created(ACCOUNT, new);
    sandbox.aurora.instance_created(ACCOUNT, HOME, "bare", "one");
    assert_eq!(sandbox.reach(HOME, "bare").await?.database, None);
    sandbox.at(HOME).await?.batch("create table t (id int)").await?;
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn changes_reach_the_other_region_late_by_the_lag_and_not_while_it_is_out() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    assert_eq!(sandbox.reach(AWAY, "ledger").await, Err(Unavailable::Reader));
    assert!(sandbox.pay(AWAY, 9..10).await.is_err(), "a secondary takes no writes");
    let lag = Duration::from_millis(1500);
    sandbox.aurora.set_lag(Some(ACCOUNT), Some(lag));
    let written = Instant::now();
    sandbox.pay(HOME, 2..3).await?;
    let early = sandbox.payments(AWAY).await?;
    assert!(early == [1] || written.elapsed() >= lag, "{early:?} after {:?}", written.elapsed());
    sandbox.arrives(AWAY, &[1, 2]).await?;
    assert!(written.elapsed() >= lag, "{:?}", written.elapsed());
    sandbox.aurora.set_lag(Some(ACCOUNT), None);

    sandbox.order(AWAY, RegionState::Isolated)?;
    sleep(Duration::from_millis(50)).await;
    sandbox.pay(HOME, 3..4).await?;
    sleep(Duration::from_millis(700)).await;
    assert_eq!(sandbox.payments(AWAY).await?, [1, 2], "clients get in, and changes do not");
    sandbox.order(AWAY, RegionState::Out)?;
    sleep(Duration::from_millis(50)).await;
    let hangs = timeout(Duration::from_millis(500), sandbox.connect(ACCOUNT, AWAY)).await;
    assert!(hangs.is_err(), "a Region that is out answers no SQL");
    let positions = sandbox.aurora.positions(ACCOUNT, GLOBAL).await?;
    assert!(positions[0].is_writer && positions[0].lsn.is_some() && positions[1].lsn.is_none(), "{positions:?}");
    sandbox.order(AWAY, RegionState::Up)?;
    sandbox.arrives(AWAY, &[1, 2, 3]).await?;

    let status = sandbox.aurora.status(None).await;
    assert!(status.postgres.is_some());
    let shown: Vec<_> = status.clusters.iter().map(|one| (one.region.as_str(), one.role.as_str())).collect();
    assert_eq!(shown, [(HOME, "writer"), (AWAY, "secondary")]);
    assert!(status.clusters.iter().all(|one| one.lag_bytes.is_some() && one.connected), "{status:?}");
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn the_password_of_the_master_user_is_the_logins() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    let port = sandbox.reach(HOME, "ledger").await?.port;
    let login = |password: &str| Login {
        user: "payments".to_owned(),
        password: password.to_owned(),
        database: "ledger".to_owned(),
    };
    let state = async |port, password: &str| {
        Client::connect(port, &login(password)).await.err().and_then(|error| error.state().map(str::to_owned))
    };
    assert_eq!(state(port, "wrong").await.as_deref(), Some("28P01"));
    sandbox.aurora.password_changed(ACCOUNT, HOME, "ledger", "another");
    let started = Instant::now();
    while state(port, "another").await.is_some() {
        assert!(started.elapsed() < SOON, "the password does not change");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(state(port, "it's a secret").await.as_deref(), Some("28P01"));
    sandbox.pay(HOME, 2..3).await?;
    sandbox.arrives(AWAY, &[1, 2]).await?;

    // One that is changed while nothing runs holds from the next start on.
    sandbox.create(HOME, "alone", None);
    sandbox.aurora.instance_created(ACCOUNT, HOME, "alone", "alone-1");
    let port = sandbox.reach(HOME, "alone").await?.port;
    sandbox.aurora.instance_deleted(ACCOUNT, HOME, "alone-1");
    // By when this is done, everything before it is, too.
    sandbox.aurora.delete_snapshot(ACCOUNT, (HOME, "none")).await?;
    sandbox.aurora.password_changed(ACCOUNT, HOME, "alone", "later");
    sandbox.aurora.instance_created(ACCOUNT, HOME, "alone", "alone-1");
    sandbox.reach(HOME, "alone").await?;
    assert_eq!(state(port, "later").await, None);
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_switchover_loses_nothing_and_the_old_writer_follows() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    let (home, away) = (arn(HOME, "ledger"), arn(AWAY, "ledger"));
    sandbox.aurora.set_lag(Some(ACCOUNT), Some(Duration::from_millis(300)));
    sandbox.pay(HOME, 2..20).await?;
    let port = sandbox.reach(HOME, "ledger").await?.port;
    sandbox.aurora.switch_over(ACCOUNT, GLOBAL, &home, &away).await?;
    assert_eq!(sandbox.payments(AWAY).await?, (1..20).collect::<Vec<i64>>());
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::Reader));
    assert!(sandbox.reach(AWAY, "ledger").await?.is_writer);
    // It was done before.
    sandbox.aurora.switch_over(ACCOUNT, GLOBAL, &home, &away).await?;
    assert!(sandbox.aurora.switch_over(ACCOUNT, GLOBAL, &away, &arn(HOME, "none")).await.is_err());
    sandbox.aurora.set_lag(Some(ACCOUNT), None);
    sandbox.pay(AWAY, 20..22).await?;
    sandbox.arrives(HOME, &(1..22).collect::<Vec<i64>>()).await?;

    // And back, after a fence that the control plane has put up before.
    sandbox.aurora.fence(ACCOUNT, &away).await?;
    assert!(!sandbox.reach(AWAY, "ledger").await?.is_writer);
    assert!(sandbox.pay(AWAY, 30..31).await.is_err(), "it is fenced");
    sandbox.aurora.switch_over(ACCOUNT, GLOBAL, &away, &home).await?;
    sandbox.pay(HOME, 22..24).await?;
    sandbox.arrives(AWAY, &(1..24).collect::<Vec<i64>>()).await?;
    assert_eq!(sandbox.reach(HOME, "ledger").await?.port, port, "clients find it where it was");
    // Regions that do not reach each other do not switch, and go on as they were.
    sandbox.order(AWAY, RegionState::Isolated)?;
    assert!(sandbox.aurora.switch_over(ACCOUNT, GLOBAL, &home, &away).await.is_err());
    sandbox.pay(HOME, 24..25).await?;
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_failover_without_the_writers_region_loses_exactly_what_the_snapshot_has() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    let (home, away) = (arn(HOME, "ledger"), arn(AWAY, "ledger"));
    sandbox.order(HOME, RegionState::Isolated)?;
    sleep(Duration::from_millis(50)).await;
    sandbox.pay(HOME, 2..4).await?;
    let lost = sandbox.aurora.fail_over(ACCOUNT, GLOBAL, &home, &away, Some("rds:lost-1")).await?;
    assert_eq!(lost, LostWrites::Later);
    assert_eq!(sandbox.payments(AWAY).await?, [1]);
    sandbox.pay(AWAY, 10..12).await?;
    // It does not know that it was replaced, and its clients go on.
    assert!(sandbox.reach(HOME, "ledger").await?.is_writer);
    sandbox.pay(HOME, 4..5).await?;
    assert!(sandbox.aurora.rejoin(ACCOUNT, GLOBAL, &home).await.is_err(), "its Region is not back");

    sandbox.order(HOME, RegionState::Up)?;
    let rejoined = sandbox.aurora.rejoin(ACCOUNT, GLOBAL, &home).await?;
    assert_eq!((rejoined.snapshot.as_deref(), rejoined.copied), (Some("rds:lost-1"), None));
    sandbox.arrives(HOME, &[1, 10, 11]).await?;
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::Reader));
    assert_eq!(sandbox.aurora.rejoin(ACCOUNT, GLOBAL, &home).await?.snapshot, None, "it has rejoined");

    // The snapshot, and a copy of it in the other Region, have what was lost.
    sandbox.aurora.copy_snapshot(ACCOUNT, (HOME, "rds:lost-1"), (AWAY, "kept")).await?;
    sandbox.aurora.delete_snapshot(ACCOUNT, (HOME, "rds:lost-1")).await?;
    sandbox.create("eu-west-1", "restored", None);
    assert!(sandbox.aurora.restore(ACCOUNT, (HOME, "rds:lost-1"), &arn("eu-west-1", "restored")).await.is_err());
    sandbox.aurora.copy_snapshot(ACCOUNT, (AWAY, "kept"), ("eu-west-1", "kept")).await?;
    sandbox.aurora.cluster_deleted(ACCOUNT, "eu-west-1", "restored");
    sandbox.create("eu-west-1", "restored", None);
    sandbox.aurora.restore(ACCOUNT, ("eu-west-1", "kept"), &arn("eu-west-1", "restored")).await?;
    sandbox.aurora.instance_created(ACCOUNT, "eu-west-1", "restored", "restored-1");
    assert_eq!(sandbox.payments("eu-west-1").await?, [1, 2, 3, 4]);
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_failover_with_the_writers_region_stops_the_writer_and_keeps_what_was_under_way() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    let (home, away) = (arn(HOME, "ledger"), arn(AWAY, "ledger"));
    sandbox.aurora.set_lag(Some(ACCOUNT), Some(Duration::from_mins(1)));
    sandbox.pay(HOME, 2..5).await?;
    let lost = sandbox.aurora.fail_over(ACCOUNT, GLOBAL, &home, &away, Some("lost")).await?;
    assert_eq!(lost, LostWrites::Kept);
    assert_eq!(sandbox.payments(AWAY).await?, [1]);
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::NotAvailable("failing-over".to_owned())));
    sandbox.aurora.set_lag(Some(ACCOUNT), None);
    sandbox.aurora.rejoin(ACCOUNT, GLOBAL, &home).await?;
    sandbox.arrives(HOME, &[1]).await?;
    sandbox.create(HOME, "restored", None);
    sandbox.aurora.restore(ACCOUNT, (HOME, "lost"), &arn(HOME, "restored")).await?;
    sandbox.aurora.instance_created(ACCOUNT, HOME, "restored", "restored-1");
    let port = sandbox.reach(HOME, "restored").await?.port;
    let login = Login { user: "payments".into(), password: "it's a secret".into(), database: "ledger".into() };
    let rows = Client::connect(port, &login).await?.query("select count(*) from payments", &[]).await?.rows;
    assert_eq!(rows, [[Value::Long(4)]]);
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_member_that_leaves_has_its_data_for_itself() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    sandbox.aurora.left(ACCOUNT, AWAY, &arn(AWAY, "ledger"));
    let started = Instant::now();
    while sandbox.reach(AWAY, "ledger").await.is_err() {
        assert!(started.elapsed() < SOON, "it is not promoted");
        sleep(Duration::from_millis(20)).await;
    }
    sandbox.pay(AWAY, 10..11).await?;
    sandbox.pay(HOME, 2..3).await?;
    assert_eq!(sandbox.payments(AWAY).await?, [1, 10]);
    assert_eq!(sandbox.payments(HOME).await?, [1, 2]);

    // Without an instance, too; and the final snapshot has the data.
    sandbox.create("eu-west-1", "ledger", Some(GLOBAL));
    sandbox.aurora.left(ACCOUNT, "eu-west-1", "ledger");
    sandbox.aurora.snapshot_created(ACCOUNT, "eu-west-1", "ledger", "final");
    sandbox.aurora.cluster_deleted(ACCOUNT, "eu-west-1", "ledger");
    sandbox.create("eu-west-1", "again", None);
    sandbox.aurora.restore(ACCOUNT, ("eu-west-1", "final"), &arn("eu-west-1", "again")).await?;
    sandbox.aurora.instance_created(ACCOUNT, "eu-west-1", "again", "again-1");
    assert_eq!(sandbox.payments("eu-west-1").await?, [1, 2]);
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_member_that_leaves_before_it_has_its_copy_gets_it_from_a_writer_that_is_deleted() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    // Everything is asked for before the first of it is done.
    sandbox.create("eu-west-1", "ledger", Some(GLOBAL));
    sandbox.aurora.instance_created(ACCOUNT, "eu-west-1", "ledger", "one");
    sandbox.aurora.left(ACCOUNT, "eu-west-1", "ledger");
    sandbox.aurora.left(ACCOUNT, HOME, &arn(HOME, "ledger"));
    sandbox.aurora.cluster_deleted(ACCOUNT, HOME, "ledger");
    sandbox.arrives("eu-west-1", &[1]).await?;
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_has_ended_is_started_again_for_whoever_asks() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    let folder = sandbox.dir.path().join("postgres/servers").join(ACCOUNT).join(HOME).join("ledger/data");
    let text = std::fs::read_to_string(folder.join("postmaster.pid"))?;
    let pid: u32 = text.lines().next().unwrap_or_default().parse()?;
    crate::process::signal(pid, rustix::process::Signal::QUIT)?;
    let started = Instant::now();
    while crate::process::exists(pid) {
        assert!(started.elapsed() < SOON, "it does not end");
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_millis(200)).await;
    sandbox.reach(HOME, "ledger").await?;
    sandbox.pay(HOME, 2..3).await?;
    sandbox.arrives(AWAY, &[1, 2]).await?;
    sandbox.aurora.reset(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_postgresql_that_cannot_run_is_a_failed_instance_that_says_why() -> TestResult {
    let dir = tempfile::tempdir()?;
    for (programs, words) in [(Some(dir.path().to_owned()), "cannot be used"), (None, "is not installed")] {
        let sandbox = Sandbox::with(programs)?;
        sandbox.create(HOME, "ledger", None);
        sandbox.aurora.instance_created(ACCOUNT, HOME, "ledger", "one");
        assert!(sandbox.aurora.has_failed(ACCOUNT, HOME, "ledger", SOON).await);
        let why = sandbox.reach(HOME, "ledger").await.err().map(|why| why.to_string()).unwrap_or_default();
        assert!(why.contains(words) && why.ends_with('.'), "{why}");
        let status = sandbox.aurora.status(Some(ACCOUNT)).await;
        assert_eq!(status.clusters[0].state, "failed");
        assert!(status.clusters[0].failure.as_ref().is_some_and(|why| why.contains(words)));
    }
    Ok(())
}

#[tokio::test]
async fn accounts_do_not_disturb_each_other_and_one_is_emptied_alone() -> TestResult {
    let sandbox = Sandbox::pair().await?;
    let new = NewCluster {
        arn: format!("arn:aws:rds:{HOME}:{OTHER}:cluster:ledger"),
        owner: "payments".to_owned(),
        password: Some("secret".to_owned()),
        database: Some("ledger".to_owned()),
        http_endpoint: true,
        global: Some(GLOBAL.to_owned()),
    };
    sandbox.aurora.cluster_created(OTHER, new);
    sandbox.aurora.instance_created(OTHER, HOME, "ledger", "ledger-1");
    sandbox.connect(OTHER, HOME).await??.batch("create table payments (id bigint)").await?;
    let several = sandbox.aurora.psql(None, None).await;
    assert!(several.as_ref().is_err_and(|why| why.contains("several") && why.contains(OTHER)), "{several:?}");
    sandbox.aurora.reset(Some(ACCOUNT)).await?;
    assert_eq!(sandbox.reach(HOME, "ledger").await, Err(Unavailable::NoSuchCluster));
    sandbox.connect(OTHER, HOME).await??.batch("insert into payments values (1)").await?;
    let servers = sandbox.dir.path().join("postgres/servers");
    assert!(!servers.join(ACCOUNT).exists() && servers.join(OTHER).exists());
    // A later sandbox in the same folder begins with nothing: the emulator does, too.
    sandbox.aurora.reset(None).await?;
    std::fs::create_dir_all(servers.join(OTHER))?;
    let place = Place { programs: None, home: sandbox.dir.path().join("postgres") };
    let _next = Aurora::new(Some(place), &sandbox.regions, None);
    assert!(!servers.exists());
    Ok(())
}
