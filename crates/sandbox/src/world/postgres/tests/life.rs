//! Making, starting, stopping, and fencing a server.

use std::net::{Ipv4Addr, TcpListener};

use miette::Diagnostic as _;
use rustix::process::Signal;

use super::super::programs::{self, Identity, Programs};
use super::super::{Login, Pipe, PostgresError, Server, Settings, Stop, Value};
use super::{Place, TestResult, client, create, folder_of_programs, login, pay, payments, state};
use crate::process;

#[tokio::test]
async fn a_server_that_is_stopped_in_either_way_starts_again_with_its_data() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    let port = server.port();
    pay(&server, 1..4).await?;
    assert_eq!(server.stop(Stop::Fast).await?, Stop::Fast);
    assert!(server.port().is_none() && !server.is_running().await);
    assert!(matches!(server.set_owner_password("x").await, Err(PostgresError::NotRunning { .. })));
    server.start().await?;
    server.start().await?;
    pay(&server, 4..6).await?;
    server.stop(Stop::Immediate).await?;
    server.start().await?;
    assert_eq!(payments(&server).await?, [1, 2, 3, 4, 5]);
    assert_eq!(server.port(), port, "clients find it where it was");

    // As a sandbox that was killed leaves it.
    drop(server);
    let server = Server::open(&place.programs, &place.folder("one"))?;
    server.start().await?;
    assert_eq!(payments(&server).await?, [1, 2, 3, 4, 5]);
    assert!(
        matches!(create(&place.programs, &place.folder("one")).await, Err(error) if error.to_string().contains("already"))
    );
    server.remove().await?;
    assert!(!place.folder("one").exists());
    assert!(matches!(Server::open(&place.programs, &place.folder("one")), Err(PostgresError::Incomplete { .. })));
    Ok(())
}

#[tokio::test]
async fn nobody_gets_in_but_over_loopback_and_with_a_password() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    let settings = client(&server)
        .await?
        .query(
            "select current_setting('listen_addresses'), current_setting('unix_socket_directories'), \
             current_setting('server_encoding'), current_setting('server_version'), current_setting('fsync')",
            &[],
        )
        .await?;
    let texts: Vec<Value> =
        ["127.0.0.1", "", "UTF8", place.programs.version(), "off"].map(|text| Value::String(text.into())).into();
    assert_eq!(settings.rows, [texts]);

    let refused = async |login: Login| state(server.client(&login).await);
    assert_eq!(refused(Login { password: "x".into(), ..login() }).await.as_deref(), Some("28P01"));
    assert_eq!(refused(Login { user: "x".into(), ..login() }).await.as_deref(), Some("28P01"));
    assert_eq!(refused(Login { database: "x".into(), ..login() }).await.as_deref(), Some("3D000"));
    server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn the_owner_gets_another_password_and_is_not_a_superuser() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    let old = client(&server).await?;
    for forbidden in ["alter system set fsync = on", "select pg_read_file('/etc/passwd')"] {
        assert_eq!(state(old.query(forbidden, &[]).await).as_deref(), Some("42501"), "{forbidden}");
    }
    old.batch("create extension pg_trgm; create schema more; create role reader").await?;

    server.set_owner_password("new 'one'").await?;
    old.batch("select 1").await?;
    assert_eq!(state(server.client(&login()).await).as_deref(), Some("28P01"));
    server.client(&server.owner("new 'one'")).await?;
    server.stop(Stop::Fast).await?;
    let log = std::fs::read_to_string(server.log())?;
    assert!(!log.contains("new ''one''") && !log.contains("it''s a secret"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_fenced_server_can_be_read_only_and_stays_fenced_over_a_restart() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    pay(&server, 1..2).await?;
    let open = client(&server).await?;
    open.batch("begin; insert into payments values (99)").await?;
    server.fence().await?;
    assert!(open.batch("commit").await.is_err(), "a transaction that was open has ended");
    let write = async || -> TestResult<_> {
        let client = client(&server).await?;
        Ok(state(client.query("insert into payments values (2)", &[]).await))
    };
    assert_eq!(write().await?.as_deref(), Some("25006"));
    assert_eq!(payments(&server).await?, [1]);
    // drctl itself can still write.
    server.set_owner_password(&login().password).await?;
    server.stop(Stop::Fast).await?;
    server.start().await?;
    assert_eq!(write().await?.as_deref(), Some("25006"));
    server.unfence().await?;
    assert_eq!(write().await?, None);
    server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() -> TestResult {
    let place = Place::new().await?;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = taken.local_addr()?.port();
    let settings = Settings { owner: login(), port: Some(port), durable: false };
    let error = Server::create(&place.programs, &place.folder("one"), &settings).await.err().ok_or("it started")?;
    assert!(matches!(error, PostgresError::PortTaken { port: named, .. } if named == port), "{error}");
    assert!(error.help().is_some_and(|help| help.to_string().contains("ss -ltnp")));

    // What the failed attempt left is no server, and is not in the way.
    drop(taken);
    let server = Server::create(&place.programs, &place.folder("one"), &settings).await?;
    assert_eq!(server.port(), Some(port));
    server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn names_that_cannot_be_used_are_refused() -> TestResult {
    let place = Place::new().await?;
    for user in ["", "drctl_admin", &"x".repeat(64), "a\0b"] {
        let settings = Settings { owner: Login { user: user.into(), ..login() }, port: None, durable: false };
        let error = Server::create(&place.programs, &place.folder("one"), &settings).await.err();
        assert!(matches!(error, Some(PostgresError::BadValue { .. })), "{user:?}: {error:?}");
    }
    let owner = Login { user: "Pay\"ments".into(), password: "p\\'".into(), database: "postgres".into() };
    let settings = Settings { owner: owner.clone(), port: None, durable: true };
    let server = Server::create(&place.programs, &place.folder("one"), &settings).await?;
    server.client(&owner).await?.batch("create table t (id int)").await?;
    server.remove().await?;
    Ok(())
}

/// A lock file survives `kill -9`, and the id in it may be another process's by now.
#[tokio::test]
async fn the_lock_file_of_a_dead_server_is_not_in_the_way() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    pay(&server, 1..3).await?;
    let lock_file = place.folder("one/data/postmaster.pid");
    let text = std::fs::read_to_string(&lock_file)?;
    let pid: u32 = text.lines().next().unwrap_or_default().parse()?;
    // A process that outlives the one that is killed, and has to be waited for.
    let busy = client(&server).await?;
    let working =
        tokio::spawn(async move { busy.query("select count(*) from generate_series(1, 20000000)", &[]).await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    process::signal(pid, Signal::KILL)?;
    while server.is_running().await {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    server.start().await?;
    assert_eq!(payments(&server).await?, [1, 2]);
    assert!(working.await?.is_err());

    server.stop(Stop::Immediate).await?;
    std::fs::write(&lock_file, text.replace(&pid.to_string(), &std::process::id().to_string()))?;
    server.start().await?;
    assert_eq!(payments(&server).await?, [1, 2]);
    server.remove().await?;
    Ok(())
}

/// A server that another sandbox left behind, and that does not end by itself.
#[tokio::test]
async fn a_server_that_was_left_behind_is_ended_by_the_next_start() -> TestResult {
    let place = Place::new().await?;
    let left = place.server("one").await?;
    pay(&left, 1..3).await?;
    let server = Server::open(&place.programs, &place.folder("one"))?;
    server.start().await?;
    assert!(!left.is_running().await);
    assert_eq!(payments(&server).await?, [1, 2]);
    server.remove().await?;
    Ok(())
}

/// Which ones work depends on the user and the machine: each that does is tried whole.
#[tokio::test]
async fn servers_work_under_every_identity_that_this_machine_allows() -> TestResult {
    let dir = tempfile::Builder::new().prefix("drctl-postgres-").tempdir()?;
    let folder = folder_of_programs().await?;
    let version = programs::version(&folder).await?;
    let (mut worked, mut refusals) = (0, Vec::new());
    let mut candidates = vec![Identity::Own, Identity::Namespace];
    // Nobody else can change the owner of a file.
    candidates.extend(rustix::process::geteuid().is_root().then_some(Identity::Account));
    for identity in candidates {
        if let Some(why) = programs::refusal(&folder, identity).await {
            refusals.push(format!("{identity:?}: {why}"));
            continue;
        }
        let version = version.clone();
        let place = dir.path().join(format!("{identity:?}"));
        let programs = Programs::with_identity(&folder, &place.join("home"), version, identity);
        let server = create(&programs, &place.join("one")).await?;
        pay(&server, 1..3).await?;
        let pipe = Pipe::open(server.port().ok_or("no port")?).await?;
        let standby = Server::standby(&programs, &place.join("two"), &server, &pipe, None).await?;
        server.stop(Stop::Immediate).await?;
        server.snapshot(&place.join("kept")).await?;
        standby.promote().await?;
        let back = Pipe::open(standby.port().ok_or("no port")?).await?;
        server.follow(&standby, &back).await?;
        let restored = Server::restore(&programs, &place.join("three"), &place.join("kept"), None).await?;
        for server in [&server, &standby, &restored] {
            assert_eq!(payments(server).await?, [1, 2], "{identity:?}");
            server.remove().await?;
        }
        worked += 1;
    }
    if rustix::process::geteuid().is_root() {
        assert!(refusals.iter().any(|why| why.starts_with("Own") && why.contains("root")), "{refusals:?}");
    }
    assert!(worked > 0, "PostgreSQL runs under no identity here: {refusals:?}");
    Ok(())
}
