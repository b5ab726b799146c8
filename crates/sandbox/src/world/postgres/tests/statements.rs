//! Statements, their parameters, and their results.

use std::time::Duration;

use super::super::{Client, ClientError, Hint, Parameter, Value};
use super::{Place, TestResult, client, state};

/// Values whose text is PostgreSQL's own.
const WRITTEN: &[&str] = &[
    "12.3400::numeric",
    "-0.00000005::numeric",
    "12345678901234567890.123456789::numeric",
    "10000::numeric",
    "1e20::numeric",
    "0.00::numeric",
    "'NaN'::numeric",
    "'-Infinity'::numeric",
    "'2026-02-28'::date",
    "'0044-03-15 BC'::date",
    "'infinity'::date",
    "'23:59:59.000001'::time",
    "'12:00:00.5+05:30'::timetz",
    "'12:00:00-08'::timetz",
    "'2026-11-29 18:13:00.25'::timestamp",
    "'1969-12-31 23:59:59.999999'::timestamp",
    "'0001-12-31 23:00:00 BC'::timestamp",
    "'-infinity'::timestamp",
    "'2026-11-29 18:13:00+02'::timestamptz",
    "'1 year 2 mons -3 days 04:05:06.7'::interval",
    "'-1 mons +2 days'::interval",
    "'-04:05:06'::interval",
    "'0'::interval",
    "'1 day'::interval",
    "'10.1.2.3'::inet",
    "'10.1.0.0/16'::cidr",
    "'::1/64'::inet",
    "'6f9619ff-8b86-d011-b42d-00c04fc964ff'::uuid",
    "'{\"a\": [1, 2]}'::json",
    "'{\"a\": [1, 2]}'::jsonb",
    "'x'::\"char\"",
    "'ab'::char(4)",
    "'16/B374D848'::pg_lsn",
    "'open'::mood",
    "'a'::citext",
];

async fn one(client: &Client, sql: &str, parameters: &[Parameter]) -> Result<Value, ClientError> {
    let rows = client.query(sql, parameters).await?.rows;
    Ok(rows.into_iter().flatten().next().unwrap_or(Value::Null))
}

#[tokio::test]
async fn values_are_what_postgresql_writes() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    let client = client(&server).await?;
    client
        .batch("create type mood as enum ('open'); create extension citext; create domain price as numeric(8, 2)")
        .await?;
    for value in WRITTEN {
        let rows = client.query(&format!("select {value}, format('%s', {value})"), &[]).await?.rows;
        let [decoded, written] = rows[0].as_slice() else { return Err(format!("{rows:?}").into()) };
        assert_eq!(decoded, written, "{value}");
    }
    for (sql, expected) in [
        ("true", Value::Bool(true)),
        ("7::int2", Value::Long(7)),
        ("-7::int4", Value::Long(-7)),
        ("9223372036854775807::int8", Value::Long(i64::MAX)),
        ("'pg_class'::regclass::oid", Value::Long(1259)),
        ("1.5::float4", Value::Double(1.5)),
        ("'-infinity'::float8", Value::Double(f64::NEG_INFINITY)),
        ("'\\x00ff'::bytea", Value::Bytes(vec![0, 255])),
        ("null::int4", Value::Null),
        ("12.5::price", Value::String("12.50".into())),
        ("'{}'::int4[]", Value::Array(Vec::new())),
        (
            "'{{1,null},{3,4}}'::int4[]",
            Value::Array(vec![
                Value::Array(vec![Value::Long(1), Value::Null]),
                Value::Array(vec![Value::Long(3), Value::Long(4)]),
            ]),
        ),
        ("array['a', null]", Value::Array(vec![Value::String("a".into()), Value::Null])),
        ("pg_sleep(0)", Value::Null),
    ] {
        assert_eq!(one(&client, &format!("select {sql}"), &[]).await?, expected, "{sql}");
    }
    let unsupported = client.query("select 1 as n, point '(1, 2)' as place", &[]).await;
    assert!(
        matches!(&unsupported, Err(ClientError::UnsupportedType { column, type_name }) if column == "place" && type_name == "point"),
        "{unsupported:?}"
    );
    assert_eq!(one(&client, "select 1", &[]).await?, Value::Long(1), "the connection can still be used");
    server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn parameters_have_the_types_that_they_are_declared_with() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    let client = client(&server).await?;
    let text = |text: &str| Parameter::from(Value::String(text.into()));
    for (parameter, type_name) in [
        (Value::Bool(true).into(), "boolean"),
        (Value::Long(1).into(), "bigint"),
        (Value::Double(0.1).into(), "double precision"),
        (text("it's"), "text"),
        (Value::Bytes(vec![1, 0, 2]).into(), "bytea"),
        (Value::Array(vec![Value::Long(1), Value::Null]).into(), "bigint[]"),
        (Value::Array(vec![Value::String("a\"b,\\".into())]).into(), "text[]"),
        (Parameter::hinted("2026-11-29", Hint::Date), "date"),
        (Parameter::hinted("12.50", Hint::Decimal), "numeric"),
        (Parameter::hinted("{\"a\": 1}", Hint::Json), "json"),
        (Parameter::hinted("18:30:00.5", Hint::Time), "time without time zone"),
        (Parameter::hinted("2026-11-29 18:30:00.5", Hint::Timestamp), "timestamp without time zone"),
        (Parameter::hinted("6f9619ff-8b86-d011-b42d-00c04fc964ff", Hint::Uuid), "uuid"),
    ] {
        let rows = client.query("select $1, pg_typeof($1)::text", std::slice::from_ref(&parameter)).await?.rows;
        assert_eq!(rows, [[parameter.value, Value::String(type_name.into())]]);
    }

    client.batch("create table t (id uuid, at date, n int4)").await?;
    // A string is not turned into anything else by itself; a null is whatever is needed.
    let id = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
    assert_eq!(state(client.query("insert into t (id) values ($1)", &[text(id)]).await).as_deref(), Some("42804"));
    let nulls = [Value::Null.into(), Value::Null.into(), Value::Long(1).into()];
    assert_eq!(client.query("insert into t values ($1, $2, $3)", &nulls).await?.affected, 1);
    let hinted = [Parameter::hinted(id, Hint::Uuid), Parameter { value: Value::Null, hint: Some(Hint::Date) }];
    client.query("insert into t values ($1, $2)", &hinted).await?;
    assert_eq!(state(client.query("select $1", &[Parameter::hinted("x", Hint::Uuid)]).await).as_deref(), Some("22P02"));
    server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn results_say_what_their_columns_are() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    let client = client(&server).await?;
    client
        .batch(
            "create table t (id bigserial primary key, n int generated always as identity, name varchar(20), tags text[]); \
             insert into t (name) values ('a'), ('b')",
        )
        .await?;
    let rows = client.query("select id, n, name as label, tags, 1 + 1 as sum from t where false", &[]).await?;
    let columns: Vec<_> =
        rows.columns.iter().map(|c| (c.name.as_str(), c.type_name.as_str(), c.type_modifier)).collect();
    assert_eq!(
        columns,
        [("id", "int8", -1), ("n", "int4", -1), ("label", "varchar", 24), ("tags", "_text", -1), ("sum", "int4", -1)]
    );
    assert!(rows.rows.is_empty());
    let origins = client.origins(&rows.columns).await?;
    let seen: Vec<_> = origins.iter().flatten().map(|o| (o.column.as_str(), o.nullable, o.auto_increment)).collect();
    assert_eq!(seen, [("id", false, true), ("n", false, true), ("name", true, false), ("tags", true, false)]);
    assert!(origins[4].is_none() && origins[0].as_ref().is_some_and(|o| o.schema == "public" && o.table == "t"));

    let updated = client.query("update t set name = 'c'", &[]).await?;
    assert_eq!((updated.affected, updated.columns.len()), (2, 0));
    let returned = client.query("delete from t where name = 'c' returning id", &[]).await?;
    assert_eq!((returned.affected, returned.rows.len()), (2, 2));
    assert_eq!(client.query("", &[]).await?.affected, 0);
    server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn a_result_beyond_its_limit_is_not_kept_and_its_statement_is_carried_out() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    let client = client(&server).await?;
    client.batch("create table t (text text)").await?;
    // A row is its text, the number of its columns in two bytes, and the length of each in four.
    let insert = "insert into t select repeat('é', 5) from generate_series(1, 10) returning text";
    assert_eq!(client.query_within(insert, &[], 160).await?.rows.len(), 10);
    let refused = client.query_within(insert, &[], 159).await;
    assert!(matches!(refused, Err(ClientError::TooLarge { limit: 159 })), "{refused:?}");
    assert_eq!(one(&client, "select count(*) from t", &[]).await?, Value::Long(20));
    server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn refusals_have_their_code_and_message_and_statements_can_be_cancelled() -> TestResult {
    let place = Place::new().await?;
    let server = place.server("one").await?;
    let client = client(&server).await?;
    let refused = async |sql: &str| match client.query(sql, &[]).await {
        Err(ClientError::Sql(error)) => Ok(error),
        other => Err(format!("{sql}: {other:?}")),
    };
    let error = refused("select * from nothing").await?;
    assert_eq!((error.state.as_str(), error.position), ("42P01", Some(15)));
    assert_eq!(error.message, "relation \"nothing\" does not exist");
    assert_eq!(refused("select 1; select 2").await?.state, "42601");
    let error = refused("select $1::text").await?;
    assert_eq!(error.state, "08P01");
    assert_eq!(error.message, "bind message supplies 0 parameters, but prepared statement \"\" requires 1");
    client.batch("create table t (id int primary key); insert into t values (1)").await?;
    let error = refused("insert into t values (1)").await?;
    assert_eq!((error.state.as_str(), error.constraint.as_deref()), ("23505", Some("t_pkey")));
    assert!(error.detail.is_some_and(|detail| detail.contains("already exists")));

    let canceller = client.canceller();
    let cancelling = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        canceller.cancel().await
    });
    assert_eq!(refused("select pg_sleep(60)").await?.state, "57014");
    cancelling.await??;

    // A transaction is the connection's.
    client.batch("begin").await?;
    client.query("insert into t values (2)", &[]).await?;
    assert_eq!(refused("select 1 / 0").await?.state, "22012");
    assert_eq!(refused("select 1").await?.state, "25P02");
    client.batch("rollback").await?;
    assert_eq!(one(&client, "select count(*) from t", &[]).await?, Value::Long(1));

    server.end_sessions().await?;
    assert!(matches!(client.query("select 1", &[]).await, Err(ClientError::Closed | ClientError::Sql(_))));
    assert!(client.is_closed());
    let port = server.port().ok_or("no port")?;
    server.stop(super::super::Stop::Fast).await?;
    let unreachable = Client::connect(port, &super::login()).await;
    assert!(matches!(unreachable, Err(ClientError::Unreachable { .. })), "{unreachable:?}");
    Ok(())
}
