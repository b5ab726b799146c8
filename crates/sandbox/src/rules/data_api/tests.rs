//! The API as a whole, on a real server.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::future::join_all;
use tempfile::TempDir;

use super::transactions::Lifetime;
use super::*;
use crate::install;
use crate::rules::rule::tests::{Scripted, ok, text};
use crate::sync::lock;
use crate::wire::call::tests::rest;
use crate::world::postgres::{Programs, Server, Settings, Value};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const CLUSTER: &str = "arn:aws:rds:us-east-1:111122223333:cluster:payments";
const OTHER: &str = "arn:aws:rds:us-east-1:111122223333:cluster:other";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:payments-a1b2c3";

/// The clusters of a test, by their ARNs.
struct Clusters(Mutex<HashMap<String, Result<Reach, Unavailable>>>);

impl Databases for Clusters {
    fn reach<'a>(&'a self, account: &'a str, cluster: &'a str) -> BoxFuture<'a, Result<Reach, Unavailable>> {
        assert_eq!(account, "111122223333");
        let reach = lock(&self.0).get(cluster).cloned().unwrap_or(Err(Unavailable::NoSuchCluster));
        async move { reach }.boxed()
    }
}

struct Fixture {
    api: DataApi,
    clusters: Arc<Clusters>,
    server: Server,
    origin: Scripted,
    programs: Programs,
    dir: TempDir,
}

impl Fixture {
    async fn new() -> TestResult<Self> {
        let dir = tempfile::Builder::new().prefix("drctl-data-api-").tempdir()?;
        let python = install::ensure(&|_| {}).await?;
        let folder = install::postgres_of(&python).ok_or("PostgreSQL is not installed")?;
        let programs = Programs::find(&folder, &dir.path().join("home")).await?;
        let server = Server::create(&programs, &dir.path().join("one"), &settings()).await?;
        let reach = reach(&server)?;
        let clusters = HashMap::from([(CLUSTER.to_owned(), Ok(reach.clone())), (OTHER.to_owned(), Ok(reach))]);
        let clusters = Arc::new(Clusters(Mutex::new(clusters)));
        let databases: Arc<dyn Databases> = Arc::<Clusters>::clone(&clusters);
        let origin = Scripted::new(|call| {
            let secret = |password: &str| {
                let value = json!({"username": "payments", "password": password});
                ok(&json!({"SecretString": value.to_string()}).to_string())
            };
            match call.json()["SecretId"].as_str() {
                Some(SECRET) => secret("it's a secret"),
                Some("wrong") => secret("hush"),
                _ => Answer::client_error(call, "ResourceNotFoundException", "Secrets Manager can't find it."),
            }
        });
        let api = DataApi::new(databases, &Regions::default());
        Ok(Self { api, clusters, server, origin, programs, dir })
    }

    /// The status and the body of an answer; the body of a refusal has its code.
    async fn call(&self, path: &str, body: &Json) -> (u16, Json) {
        let mut request = json!({"resourceArn": CLUSTER, "secretArn": SECRET, "database": "ledger"});
        for (name, value) in body.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        let mut call = rest("rds-data", "POST", path, &request.to_string());
        let answer = self.api.apply(&mut call, Next::new(&[], &self.origin)).await;
        let mut body: Json = serde_json::from_str(&text(&answer)).unwrap_or_default();
        if let Some(code) = answer.headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok()) {
            body["code"] = json!(code);
        }
        (answer.status.as_u16(), body)
    }

    async fn done(&self, path: &str, body: &Json) -> TestResult<Json> {
        match self.call(path, body).await {
            (200, body) => Ok(body),
            refused => Err(format!("{path} {body}: {refused:?}").into()),
        }
    }

    async fn run(&self, sql: &str) -> TestResult<Json> {
        self.done("/Execute", &json!({"sql": sql})).await
    }

    async fn begin(&self) -> TestResult<String> {
        text_of(&self.done("/BeginTransaction", &json!({})).await?, "transactionId").ok_or_else(|| "no id".into())
    }

    async fn refused(&self, path: &str, body: &Json) -> String {
        let (status, body) = self.call(path, body).await;
        let part = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        format!("{status} {}: {}", part("code"), part("message"))
    }

    async fn count(&self, table: &str) -> TestResult<Option<i64>> {
        let answer = self.run(&format!("select count(*) from {table}")).await?;
        Ok(answer["records"][0][0]["longValue"].as_i64())
    }

    fn set(&self, cluster: &str, reach: Result<Reach, Unavailable>) {
        lock(&self.clusters.0).insert(cluster.to_owned(), reach);
    }
}

fn text_of(value: &Json, member: &str) -> Option<String> {
    value[member].as_str().map(str::to_owned)
}

fn settings() -> Settings {
    let owner = Login { user: "payments".into(), password: "it's a secret".into(), database: "ledger".into() };
    Settings { owner, port: None, durable: false }
}

fn reach(server: &Server) -> TestResult<Reach> {
    Ok(Reach {
        port: server.port().ok_or("it does not run")?,
        database: Some("ledger".into()),
        owner: "payments".into(),
        is_writer: true,
        region: "us-east-1".into(),
        cluster: "payments".into(),
    })
}

/// A statement of the payment function, as its source has it.
fn statement_of_function(name: &str) -> TestResult<String> {
    let source = include_str!("../../../../../lambda/payment_processor.py");
    let after = source.split_once(&format!("    {name} = ")).ok_or(name.to_owned())?.1;
    let quotes = if after.starts_with("\"\"\"") { "\"\"\"" } else { "\"" };
    Ok(after[quotes.len()..].split_once(quotes).ok_or("it does not end")?.0.to_owned())
}

#[tokio::test]
async fn the_payment_function_s_statements_work() -> TestResult {
    let fixture = Fixture::new().await?;
    let [table, insert, select] = ["TABLE", "INSERT", "SELECT"].map(statement_of_function);
    let (table, insert, select) = (table?, insert?, select?);
    let text = |name: &str, value: &str| json!({"name": name, "value": {"stringValue": value}});
    let number = |name: &str, value: i64| json!({"name": name, "value": {"longValue": value}});
    let find = json!({"sql": select, "parameters": [text("id", "pay_1")]});
    assert_eq!(
        fixture.refused("/Execute", &find).await,
        "400 DatabaseErrorException: ERROR: relation \"payments\" does not exist; Position: 68; SQLState: 42P01"
    );
    for _ in 0..2 {
        assert_eq!(fixture.run(&table).await?, json!({"generatedFields": [], "numberOfRecordsUpdated": 0}));
    }
    let payment = json!([
        text("id", "pay_1"),
        number("amount", 1250),
        text("currency", "EUR"),
        text("reference", "it's :id \\ 'é'"),
        text("region", "us-east-1"),
        number("created_at_ms", 1_795_975_980_123),
    ]);
    for updated in [1, 0] {
        let stored = fixture.done("/Execute", &json!({"sql": insert, "parameters": payment})).await?;
        assert_eq!(stored, json!({"generatedFields": [], "numberOfRecordsUpdated": updated}));
    }
    let found = fixture.done("/Execute", &find).await?;
    let fields: Vec<_> = payment.as_array().into_iter().flatten().map(|parameter| &parameter["value"]).collect();
    assert_eq!(found, json!({"records": [fields], "numberOfRecordsUpdated": 0}));
    assert_eq!(fixture.run("SELECT 1").await?["records"], json!([[{"longValue": 1}]]));
    fixture.server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn results_have_the_shape_that_the_request_wants() -> TestResult {
    let fixture = Fixture::new().await?;
    fixture.run("create table t (id serial primary key, price numeric(8, 2), tags text[])").await?;
    let sql = "insert into t (price, tags) values (12.5, '{a,b}') returning id, price as cost, tags";
    let inserted = fixture.done("/Execute", &json!({"sql": sql, "includeResultMetadata": true})).await?;
    let record = json!([{"longValue": 1}, {"stringValue": "12.50"}, {"arrayValue": {"stringValues": ["a", "b"]}}]);
    assert_eq!((&inserted["records"], &inserted["numberOfRecordsUpdated"]), (&json!([record]), &json!(1)));
    let described = |column: usize, member: &str| inserted["columnMetadata"][column][member].clone();
    assert_eq!((described(0, "typeName"), described(0, "nullable")), (json!("serial"), json!(0)));
    assert_eq!((described(1, "label"), described(1, "scale")), (json!("cost"), json!(2)));
    assert_eq!((described(1, "tableName"), described(2, "typeName")), (json!("t"), json!("_text")));

    let options = json!({"decimalReturnType": "DOUBLE_OR_LONG", "longReturnType": "STRING"});
    let request = json!({"sql": "select * from t", "formatRecordsAs": "JSON", "resultSetOptions": options});
    let formatted = fixture.done("/Execute", &request).await?;
    assert_eq!(formatted["formattedRecords"], json!(r#"[{"id":"1","price":12.5,"tags":["a","b"]}]"#));
    assert!(formatted.get("records").is_none() && formatted.get("columnMetadata").is_none());

    let typed = json!([
        {"name": "a", "value": {"stringValue": "2026-11-29 18:30:00.5"}, "typeHint": "TIMESTAMP"},
        {"name": "b", "value": {"blobValue": "AP8="}},
        {"name": "c", "value": {"isNull": true}},
        {"name": "d", "value": {"booleanValue": true}},
        {"name": "e", "value": {"doubleValue": 0.5}},
    ]);
    let sql = "select :a, :b, :c::int, :d, :e, '2026-11-29 18:30:00+02'::timestamptz";
    let read = fixture.done("/Execute", &json!({"sql": sql, "parameters": typed})).await?;
    let expected = json!([
        {"stringValue": "2026-11-29 18:30:00.500"},
        {"blobValue": "AP8="},
        {"isNull": true},
        {"booleanValue": true},
        {"doubleValue": 0.5},
        {"stringValue": "2026-11-29 16:30:00"},
    ]);
    assert_eq!(read["records"], json!([expected]));
    fixture.server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn what_aws_refuses_is_refused_in_its_words() -> TestResult {
    let fixture = Fixture::new().await?;
    for (sql, expected) in [
        ("select 1; select 2", "400 ValidationException: Multistatements aren't supported."),
        (
            "select 1 = 'a'::text",
            "400 DatabaseErrorException: ERROR: operator does not exist: integer = text; Hint: No operator matches the \
             given name and argument types. You might need to add explicit type casts.; Position: 10; SQLState: 42883",
        ),
        (
            "select :a",
            "400 DatabaseErrorException: ERROR: bind message supplies 0 parameters, but prepared statement \"\" \
             requires 1; SQLState: 08P01",
        ),
        (
            "select a[1:2] from (values ('{1}'::int[])) as t (a)",
            "400 DatabaseErrorException: ERROR: syntax error at or near \"$1\"; Position: 11; SQLState: 42601",
        ),
        (
            "select '1 day'::interval",
            "400 UnsupportedResultException: The result contains the unsupported data type INTERVAL.",
        ),
        (
            "select point '(1, 2)'",
            "400 UnsupportedResultException: The result contains the unsupported data type POINT.",
        ),
        ("select '{{1,2}}'::int[]", "400 UnsupportedResultException: The result contains a multidimensional array."),
        ("select repeat('x', 1048576)", "400 UnsupportedResultException: The result exceeds the size limit 1 MB."),
        ("select 'infinity'::timestamp", "500 InternalFailure: "),
    ] {
        assert_eq!(fixture.refused("/Execute", &json!({"sql": sql})).await, expected, "{sql}");
    }
    // A semicolon at the end is no second statement, and a type that no row has is not refused.
    assert_eq!(fixture.run("select $$a :b c$$;").await?["records"], json!([[{"stringValue": "a $1 c"}]]));
    assert_eq!(fixture.run("select '1 day'::interval where false").await?["records"], json!([]));
    assert!(fixture.refused("/ExecuteSql", &json!({})).await.starts_with("400 BadRequestException"));

    let call = json!({"sql": "select 1"});
    let with = |name: &str, value: &str| {
        let mut call = call.clone();
        call[name] = json!(value);
        call
    };
    let login = "ERROR: password authentication failed for user \"payments\"; SQLState: 28P01";
    let database = "ERROR: database \"nothing\" does not exist; SQLState: 3D000";
    let cluster = "arn:aws:rds:us-east-1:111122223333:cluster:nothing";
    let elsewhere = "arn:aws:rds:us-east-2:111122223333:cluster:payments";
    for (request, expected) in [
        (with("secretArn", "wrong"), format!("400 DatabaseErrorException: {login}")),
        (with("secretArn", "none"), "400 SecretsErrorException: Secrets Manager can't find it.".to_owned()),
        (with("database", "nothing"), format!("400 DatabaseErrorException: {database}")),
        // The user's name is the default, whatever the cluster was created with.
        (with("database", ""), format!("400 DatabaseErrorException: {}", database.replace("nothing", "payments"))),
        (
            with("resourceArn", cluster),
            format!("400 HttpEndpointNotEnabledException: HttpEndpoint is not enabled for resource {cluster}"),
        ),
        (
            with("resourceArn", elsewhere),
            format!("400 HttpEndpointNotEnabledException: HttpEndpoint is not enabled for resource {elsewhere}"),
        ),
    ] {
        assert_eq!(fixture.refused("/Execute", &request).await, expected);
    }
    let foreign = with("resourceArn", "arn:aws:rds:us-east-1:444455556666:cluster:payments");
    assert!(fixture.refused("/Execute", &foreign).await.starts_with("403 AccessDeniedException"));
    fixture.set(OTHER, Err(Unavailable::Reader));
    let reader = fixture.refused("/Execute", &with("resourceArn", OTHER)).await;
    assert!(reader.starts_with("504 DatabaseUnavailableException"), "{reader}");
    fixture.server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn a_transaction_lives_from_call_to_call() -> TestResult {
    let fixture = Fixture::new().await?;
    fixture.run("create table t (id int primary key)").await?;
    let id = fixture.begin().await?;
    let statement = |id: &str, sql: &str| json!({"transactionId": id, "sql": sql});
    let end = |id: &str| json!({"transactionId": id, "database": ""});
    fixture.done("/Execute", &statement(&id, "insert into t values (1)")).await?;
    assert_eq!(fixture.count("t").await?, Some(0), "nobody else sees what is not committed");
    let committed = fixture.done("/CommitTransaction", &end(&id)).await?;
    assert_eq!(
        (committed, fixture.count("t").await?),
        (json!({"transactionStatus": "Transaction Committed"}), Some(1))
    );
    let gone = format!("404 TransactionNotFoundException: Transaction {id} is not found");
    for path in ["/CommitTransaction", "/RollbackTransaction"] {
        assert_eq!(fixture.refused(path, &end(&id)).await, gone);
    }

    let id = fixture.begin().await?;
    fixture.done("/Execute", &statement(&id, "insert into t values (2)")).await?;
    let elsewhere = json!({"transactionId": id, "sql": "select 1", "resourceArn": OTHER});
    assert!(fixture.refused("/Execute", &elsewhere).await.starts_with("404 TransactionNotFoundException"));
    let other_database = json!({"transactionId": id, "sql": "select 1", "database": "postgres"});
    assert!(fixture.refused("/Execute", &other_database).await.starts_with("400 BadRequestException"));
    let rolled_back = fixture.done("/RollbackTransaction", &end(&id)).await?;
    assert_eq!((rolled_back, fixture.count("t").await?), (json!({"transactionStatus": "Rollback Complete"}), Some(1)));

    // After an error, nothing is carried out, and nothing can be committed.
    let id = fixture.begin().await?;
    fixture.done("/Execute", &statement(&id, "insert into t values (3)")).await?;
    let duplicate = fixture.refused("/Execute", &statement(&id, "insert into t values (1)")).await;
    assert!(duplicate.ends_with("violates unique constraint \"t_pkey\"; SQLState: 23505"), "{duplicate}");
    let aborted = "400 DatabaseErrorException: ERROR: current transaction is aborted, commands ignored until end of \
                   transaction block; SQLState: 25P02";
    assert_eq!(fixture.refused("/Execute", &statement(&id, "select 1")).await, aborted);
    assert_eq!(fixture.refused("/CommitTransaction", &end(&id)).await, aborted);
    assert_eq!(fixture.count("t").await?, Some(1));

    // One statement at a time.
    let id = fixture.begin().await?;
    let (slow, select) = (statement(&id, "select pg_sleep(0.5)"), statement(&id, "select 1"));
    let quick = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        fixture.refused("/Execute", &select).await
    };
    let (slow, quick) = tokio::join!(fixture.done("/Execute", &slow), quick);
    assert_eq!(quick, "400 DatabaseErrorException: Transaction is still running a query");
    assert_eq!(slow?["records"], json!([[{"stringValue": ""}]]));
    fixture.done("/CommitTransaction", &end(&id)).await?;
    fixture.server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_nobody_uses_is_rolled_back() -> TestResult {
    let mut fixture = Fixture::new().await?;
    let lifetime = |unused: u64, at_most: u64| {
        Transactions::with(Lifetime { unused: Duration::from_millis(unused), at_most: Duration::from_millis(at_most) })
    };
    fixture.run("create table t (id int primary key)").await?;
    for transactions in [lifetime(1500, 60_000), lifetime(60_000, 2500)] {
        fixture.api.transactions = transactions;
        let id = fixture.begin().await?;
        let statement = |sql: &str| json!({"transactionId": id, "sql": sql});
        fixture.done("/Execute", &statement("insert into t values (1)")).await?;
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(800)).await;
            fixture.done("/Execute", &statement("select 1")).await?;
        }
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let gone = fixture.refused("/Execute", &statement("select 1")).await;
        assert!(gone.starts_with("404 TransactionNotFoundException"), "{gone}");
        // Its lock is gone, too: this would wait for it.
        fixture.run("insert into t values (1)").await?;
        fixture.run("delete from t").await?;
    }
    fixture.server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn a_batch_runs_for_each_set_or_not_at_all() -> TestResult {
    let fixture = Fixture::new().await?;
    fixture.run("create table t (id int8 primary key)").await?;
    let batch = |ids: &[i64]| {
        let set = |id: &i64| json!([{"name": "id", "value": {"longValue": id}}]);
        json!({"sql": "insert into t values (:id)", "parameterSets": ids.iter().map(set).collect::<Vec<_>>()})
    };
    let done = fixture.done("/BatchExecute", &batch(&[1, 2])).await?;
    assert_eq!(done, json!({"updateResults": [{"generatedFields": []}, {"generatedFields": []}]}));
    let refused = fixture.refused("/BatchExecute", &batch(&[3, 1])).await;
    assert!(refused.contains("SQLState: 23505"), "{refused}");
    assert_eq!(fixture.count("t").await?, Some(2));

    let id = fixture.begin().await?;
    let mut within = batch(&[3, 4]);
    within["transactionId"] = json!(id);
    fixture.done("/BatchExecute", &within).await?;
    assert_eq!(fixture.count("t").await?, Some(2));
    fixture.done("/CommitTransaction", &json!({"transactionId": id})).await?;
    assert_eq!(fixture.count("t").await?, Some(4));
    fixture.server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn many_statements_at_once_share_connections_and_nothing_else() -> TestResult {
    let fixture = Fixture::new().await?;
    fixture.run("create table t (id int8 primary key)").await?;
    let insert = async |id: i64| {
        let parameters = json!([{"name": "id", "value": {"longValue": id}}]);
        let sql = "insert into t select :id from pg_sleep(0.02) returning id";
        let answer = fixture.done("/Execute", &json!({"sql": sql, "parameters": parameters})).await?;
        if answer["records"] == json!([[{"longValue": id}]]) { Ok(()) } else { Err(format!("{id}: {answer}").into()) }
    };
    for done in join_all((0..100).map(insert)).await {
        let done: TestResult = done;
        done?;
    }
    assert_eq!(fixture.count("t").await?, Some(100));
    let kept = fixture.api.pool.len();
    assert!((1..=24).contains(&kept), "{kept}");

    // What a statement leaves in its session, the next one does not find.
    fixture.run("set search_path = nowhere").await?;
    fixture.run("begin").await?;
    fixture.run("insert into t values (1000)").await?;
    fixture.run("create temporary table mine ()").await?;
    assert_eq!(fixture.count("t").await?, Some(101));
    assert!(fixture.refused("/Execute", &json!({"sql": "select from mine"})).await.contains("42P01"));
    assert_eq!(fixture.run("show statement_timeout").await?["records"], json!([[{"stringValue": "45s"}]]));

    fixture.api.reset();
    assert_eq!(fixture.api.pool.len(), 0);
    assert_eq!(fixture.count("t").await?, Some(101));
    fixture.server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_or_goes_on() -> TestResult {
    let mut fixture = Fixture::new().await?;
    fixture.run("create table t (id int primary key)").await?;
    let id = fixture.begin().await?;
    let statement = |sql: &str| json!({"transactionId": id, "sql": sql});
    fixture.done("/Execute", &statement("set statement_timeout = 100")).await?;
    assert_eq!(
        fixture.refused("/Execute", &statement("select pg_sleep(5)")).await,
        "400 StatementTimeoutException: canceling statement due to statement timeout"
    );

    fixture.api.waits_for = Duration::from_millis(200);
    let slow = json!({"sql": "insert into t select 1 from pg_sleep(1.5)", "continueAfterTimeout": true});
    let (status, body) = fixture.call("/Execute", &slow).await;
    assert_eq!((status, &body["code"]), (400, &json!("StatementTimeoutException")));
    assert!(body["dbConnectionId"].as_i64().is_some_and(|session| session > 0), "{body}");
    assert_eq!(fixture.count("t").await?, Some(0));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(fixture.count("t").await?, Some(1));
    let quick = json!({"sql": "select 1", "continueAfterTimeout": true});
    assert_eq!(fixture.done("/Execute", &quick).await?["records"], json!([[{"longValue": 1}]]));
    fixture.server.remove().await?;
    Ok(())
}

#[tokio::test]
async fn another_writer_gets_other_connections() -> TestResult {
    let fixture = Fixture::new().await?;
    fixture.run("select 1").await?;
    let id = fixture.begin().await?;
    let other = Server::create(&fixture.programs, &fixture.dir.path().join("two"), &settings()).await?;
    other.client(&settings().owner).await?.batch("create table here ()").await?;
    fixture.set(CLUSTER, Ok(reach(&other)?));
    assert_eq!(fixture.count("here").await?, Some(0));
    let gone = fixture.refused("/CommitTransaction", &json!({"transactionId": id})).await;
    assert!(gone.starts_with("404 TransactionNotFoundException"), "{gone}");
    assert_eq!(fixture.api.pool.len(), 1, "only the connection to the new writer");

    // The sessions at the old server have ended.
    let owner = settings().owner;
    let others = "select count(*) from pg_stat_activity where usename = 'payments' and pid <> pg_backend_pid()";
    let sessions = fixture.server.client(&owner).await?.query(others, &[]).await?.rows;
    assert_eq!(sessions, [[Value::Long(0)]]);
    fixture.set(CLUSTER, Err(Unavailable::NotAvailable("failing-over".into())));
    let away = fixture.refused("/Execute", &json!({"sql": "select 1"})).await;
    assert!(away.starts_with("504 DatabaseUnavailableException"), "{away}");
    assert_eq!(fixture.api.pool.len(), 0);
    fixture.server.remove().await?;
    other.remove().await?;
    Ok(())
}
