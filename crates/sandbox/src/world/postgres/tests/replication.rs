//! A primary and its standby: what arrives, when, and what a promotion has.

use std::time::{Duration, Instant};

use super::super::{Followed, Pipe, Position, PostgresError, Server, Stop, Value};
use super::{Place, TestResult, client, pay, payments, state};

/// How long what is not late may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// A primary with three payments, and its standby.
async fn pair(place: &Place) -> TestResult<(Server, Pipe, Server)> {
    let primary = place.server("primary").await?;
    pay(&primary, 1..4).await?;
    let pipe = Pipe::open(primary.port().ok_or("no port")?).await?;
    let standby = Server::standby(&place.programs, &place.folder("standby"), &primary, &pipe, None).await?;
    Ok((primary, pipe, standby))
}

async fn caught_up(primary: &Server, standby: &Server) -> TestResult {
    Ok(standby.wait_for(primary.position().await?.readable(), SOON).await?)
}

/// Waits until changes are being sent to the standby, so that a cut has something to cut.
async fn streaming(primary: &Server) -> TestResult {
    let started = Instant::now();
    while !matches!(primary.position().await?, Position::Primary { standbys: 1, .. }) {
        assert!(started.elapsed() < SOON, "the standby does not connect");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::test]
async fn changes_arrive_and_a_standby_takes_none_of_its_own() -> TestResult {
    let place = Place::new().await?;
    let (primary, _pipe, standby) = pair(&place).await?;
    pay(&primary, 4..6).await?;
    caught_up(&primary, &standby).await?;
    assert_eq!(payments(&standby).await?, [1, 2, 3, 4, 5]);
    assert!(standby.is_standby() && !primary.is_standby());
    let refused = client(&standby).await?.query("insert into payments values (99)", &[]).await;
    assert_eq!(state(refused).as_deref(), Some("25006"));
    let lag = standby.lag(&primary).await?;
    assert_eq!((lag.bytes, lag.age), (0, Some(Duration::ZERO)));
    assert!(matches!(standby.set_owner_password("x").await, Err(PostgresError::WrongRole { .. })));
    assert!(matches!(primary.promote().await, Err(PostgresError::WrongRole { .. })));

    // The owner's password is the standby's too, and replication does not depend on it.
    primary.set_owner_password("another").await?;
    pay_as(&primary, "another", 6).await?;
    caught_up(&primary, &standby).await?;
    assert!(standby.client(&standby.owner("another")).await.is_ok());
    for server in [&standby, &primary] {
        server.remove().await?;
    }
    Ok(())
}

async fn pay_as(server: &Server, password: &str, id: i64) -> TestResult {
    let client = server.client(&server.owner(password)).await?;
    client.query("insert into payments values ($1)", &[Value::Long(id).into()]).await?;
    Ok(())
}

#[tokio::test]
async fn with_a_lag_of_a_second_changes_are_a_second_late_and_in_order() -> TestResult {
    let place = Place::new().await?;
    let (primary, pipe, standby) = pair(&place).await?;
    streaming(&primary).await?;
    caught_up(&primary, &standby).await?;
    pipe.set_lag(Duration::from_secs(1));
    let writer = client(&primary).await?;
    let mut committed = Vec::new();
    for id in 4..14 {
        committed.push((id, Instant::now()));
        writer.query("insert into payments values ($1)", &[Value::Long(id).into()]).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lag = standby.lag(&primary).await?;
    assert!(lag.bytes > 0, "{lag:?}");
    let reader = client(&standby).await?;
    let started = Instant::now();
    let mut seen = 0;
    while seen < 10 {
        assert!(started.elapsed() < SOON, "only {seen} changes have arrived");
        let rows = reader.query("select id from payments where id > 3 order by id", &[]).await?.rows;
        let now = Instant::now();
        // What is there is the beginning of what was committed, and nothing of it is early.
        for (row, (id, at)) in rows.iter().zip(&committed) {
            assert_eq!(row.as_slice(), [Value::Long(*id)]);
            let age = now - *at;
            assert!(age >= Duration::from_secs(1), "{id} is there after {age:?}");
        }
        seen = rows.len();
    }
    // A standby that connects anew while the pipe is late does not take a multiple of the lag for it.
    pipe.cut();
    pipe.restore();
    pipe.set_lag(Duration::from_secs(2));
    pay(&primary, 20..21).await?;
    let started = Instant::now();
    caught_up(&primary, &standby).await?;
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    for server in [&standby, &primary] {
        server.remove().await?;
    }
    Ok(())
}

#[tokio::test]
async fn after_a_cut_the_promoted_standby_has_exactly_what_arrived_and_the_old_primary_follows_it() -> TestResult {
    let place = Place::new().await?;
    let (primary, pipe, standby) = pair(&place).await?;
    streaming(&primary).await?;
    pay(&primary, 4..6).await?;
    caught_up(&primary, &standby).await?;
    pipe.cut();
    pay(&primary, 6..9).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(payments(&standby).await?, [1, 2, 3, 4, 5]);
    assert!(matches!(
        Server::standby(&place.programs, &place.folder("third"), &primary, &pipe, None).await,
        Err(PostgresError::Cut { .. })
    ));
    primary.stop(Stop::Immediate).await?;
    standby.promote().await?;
    assert!(!standby.is_standby());
    assert_eq!(payments(&standby).await?, [1, 2, 3, 4, 5]);
    pay(&standby, 10..12).await?;

    // What did not arrive is in the snapshot, and only there.
    primary.snapshot(&place.folder("tail")).await?;
    let back = Pipe::open(standby.port().ok_or("no port")?).await?;
    assert_eq!(primary.follow(&standby, &back).await?, Followed::Rewound);
    pay(&standby, 12..14).await?;
    caught_up(&standby, &primary).await?;
    assert!(primary.is_standby());
    assert_eq!(payments(&primary).await?, [1, 2, 3, 4, 5, 10, 11, 12, 13]);
    let restored = Server::restore(&place.programs, &place.folder("restored"), &place.folder("tail"), None).await?;
    assert_eq!(payments(&restored).await?, [1, 2, 3, 4, 5, 6, 7, 8]);
    pay(&restored, 20..21).await?;

    // And back again.
    standby.stop(Stop::Fast).await?;
    primary.promote().await?;
    pipe.restore();
    pipe.set_target(primary.port().ok_or("no port")?);
    standby.follow(&primary, &pipe).await?;
    pay(&primary, 14..15).await?;
    caught_up(&primary, &standby).await?;
    assert_eq!(payments(&standby).await?, [1, 2, 3, 4, 5, 10, 11, 12, 13, 14]);
    for server in [&restored, &standby, &primary] {
        server.remove().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_restored_pipe_delivers_what_it_owes() -> TestResult {
    let place = Place::new().await?;
    let (primary, pipe, standby) = pair(&place).await?;
    streaming(&primary).await?;
    pipe.cut();
    pay(&primary, 4..50).await?;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(payments(&standby).await?, [1, 2, 3]);
    pipe.restore();
    caught_up(&primary, &standby).await?;
    assert_eq!(payments(&standby).await?, payments(&primary).await?);

    pipe.set_rate(Some(200_000));
    let before = Instant::now();
    client(&primary)
        .await?
        .batch("create table bulk as select repeat(md5(n::text), 10) from generate_series(1, 1200) n")
        .await?;
    caught_up(&primary, &standby).await?;
    assert!(before.elapsed() > Duration::from_secs(1), "{:?}", before.elapsed());
    for server in [&standby, &primary] {
        server.remove().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_primary_that_is_stopped_in_order_owes_its_standby_nothing() -> TestResult {
    let place = Place::new().await?;
    let (primary, pipe, standby) = pair(&place).await?;
    streaming(&primary).await?;
    pipe.set_lag(Duration::from_millis(300));
    pay(&primary, 4..30).await?;
    assert_eq!(primary.stop(Stop::Fast).await?, Stop::Fast);
    standby.promote().await?;
    assert_eq!(payments(&standby).await?, (1..30).collect::<Vec<i64>>());
    let back = Pipe::open(standby.port().ok_or("no port")?).await?;
    assert_eq!(primary.follow(&standby, &back).await?, Followed::Rewound);
    caught_up(&standby, &primary).await?;
    for server in [&primary, &standby] {
        server.remove().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_old_primary_that_cannot_be_rewound_is_copied_anew() -> TestResult {
    let place = Place::new().await?;
    let (primary, pipe, standby) = pair(&place).await?;
    streaming(&primary).await?;
    pipe.cut();
    pay(&primary, 4..6).await?;
    primary.stop(Stop::Immediate).await?;
    standby.promote().await?;
    pay(&standby, 10..11).await?;
    // A sandbox that is killed in the middle leaves data that is neither the old nor the new.
    primary.remember(|description| description.rewinding = true)?;
    assert!(matches!(primary.start().await, Err(PostgresError::Incomplete { .. })));
    let back = Pipe::open(standby.port().ok_or("no port")?).await?;
    let followed = primary.follow(&standby, &back).await?;
    assert!(matches!(&followed, Followed::Copied { why } if why.contains("no complete")), "{followed:?}");
    caught_up(&standby, &primary).await?;
    assert_eq!(payments(&primary).await?, [1, 2, 3, 10]);

    // What rewinding begins with is gone.
    back.cut();
    pay(&standby, 11..13).await?;
    standby.stop(Stop::Immediate).await?;
    primary.promote().await?;
    pay(&primary, 20..21).await?;
    for entry in std::fs::read_dir(place.folder("standby/data/pg_wal"))? {
        let path = entry?.path();
        if path.is_file() {
            std::fs::remove_file(path)?;
        }
    }
    pipe.restore();
    pipe.set_target(primary.port().ok_or("no port")?);
    let followed = standby.follow(&primary, &pipe).await?;
    assert!(matches!(&followed, Followed::Copied { why } if why.contains("pg_rewind")), "{followed:?}");
    pay(&primary, 21..22).await?;
    caught_up(&primary, &standby).await?;
    assert_eq!(payments(&standby).await?, [1, 2, 3, 10, 20, 21]);
    for server in [&primary, &standby] {
        server.remove().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_pair_that_a_sandbox_left_goes_on_in_the_next_one() -> TestResult {
    let place = Place::new().await?;
    let (primary, pipe, standby) = pair(&place).await?;
    drop((primary, pipe, standby));
    let primary = Server::open(&place.programs, &place.folder("primary"))?;
    let standby = Server::open(&place.programs, &place.folder("standby"))?;
    assert!(standby.is_standby() && !primary.is_standby());
    // In this order, too: the standby waits.
    let pipe = Pipe::open(1).await?;
    standby.follow_through(&pipe).await?;
    standby.start().await?;
    assert_eq!(payments(&standby).await?, [1, 2, 3]);
    primary.start().await?;
    pipe.set_target(primary.port().ok_or("no port")?);
    pay(&primary, 4..5).await?;
    caught_up(&primary, &standby).await?;
    // Another pipe, while it runs.
    let other = Pipe::open(primary.port().ok_or("no port")?).await?;
    standby.follow_through(&other).await?;
    drop(pipe);
    pay(&primary, 5..6).await?;
    caught_up(&primary, &standby).await?;
    assert_eq!(payments(&standby).await?, [1, 2, 3, 4, 5]);

    // A snapshot of a standby is a server of its own.
    standby.snapshot(&place.folder("kept")).await?;
    let restored = Server::restore(&place.programs, &place.folder("restored"), &place.folder("kept"), None).await?;
    pay(&restored, 6..7).await?;
    assert_eq!(payments(&restored).await?, [1, 2, 3, 4, 5, 6]);
    for server in [&restored, &standby, &primary] {
        server.remove().await?;
    }
    Ok(())
}
