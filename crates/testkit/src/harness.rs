//! One sandbox for the whole test run, one account for each test, and the real binary.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary under test: the one that was built with the tests, unless `DRCTL_BINARY` names another one, e.g. a release build.
pub fn drctl() -> &'static str {
    static BINARY: OnceLock<String> = OnceLock::new();
    BINARY.get_or_init(|| {
        let binary = std::env::var_os("DRCTL_BINARY").map_or_else(built, PathBuf::from);
        // Absolute, because it runs in other folders.
        let binary = std::path::absolute(binary).expect("a path");
        assert!(binary.exists(), "there is no {}", binary.display());
        binary.into_os_string().into_string().expect("a path in UTF-8")
    })
}

/// The binary that cargo has built for this test run: it is next to the folder of the test's own binary.
fn built() -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    let folder = test.parent().and_then(Path::parent).expect("the test's binary is in the target folder's `deps`");
    folder.join("drctl")
}

/// How long the sandbox may take to start: its first start installs MiniStack.
const START: Duration = Duration::from_mins(5);

/// A sandbox that ends with this test run.
pub struct Shared {
    pub endpoint: String,
    // Its stdin is held open, so that the sandbox ends when this test run ends, however it ends.
    _process: Child,
    _folder: tempfile::TempDir,
}

/// The endpoint that the tests use: `DRCTL_TEST_ENDPOINT` if it is set (LocalStack), otherwise a sandbox of this run.
pub fn endpoint() -> &'static str {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    static GIVEN: OnceLock<Option<String>> = OnceLock::new();
    if let Some(given) = GIVEN.get_or_init(|| std::env::var("DRCTL_TEST_ENDPOINT").ok()) {
        return given;
    }
    &SHARED.get_or_init(|| start(&[])).endpoint
}

/// Starts a sandbox with these options.
pub fn start(options: &[&str]) -> Shared {
    let folder = tempfile::tempdir().expect("a folder for the sandbox");
    let log = std::fs::File::create(folder.path().join("serve.log")).expect("a log");
    let mut process = Command::new(drctl())
        .args(["sandbox", "serve", "--exit-with-stdin", "--dir"])
        .arg(folder.path())
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the sandbox starts");
    let record = folder.path().join("sandbox.json");
    let until = Instant::now() + START;
    loop {
        if let Some(record) = read_json(&record) {
            let port = record["port"].as_u64().expect("a port");
            return Shared { endpoint: format!("http://127.0.0.1:{port}"), _process: process, _folder: folder };
        }
        let ended = process.try_wait().expect("its status");
        assert!(
            ended.is_none() && Instant::now() < until,
            "the sandbox did not start ({ended:?}):\n{}",
            std::fs::read_to_string(folder.path().join("serve.log")).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// A stack for one test: an account, a working folder, and drctl in that folder.
pub struct Stack {
    pub account: String,
    endpoint: String,
    /// Services at another endpoint: the end of the name `AWS_ENDPOINT_URL_…`, and the endpoint.
    elsewhere: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
    /// Configurations by endpoint and Region. Each has an HTTP client with certificates, which takes a while to create.
    configs: Mutex<HashMap<(String, String), aws_config::SdkConfig>>,
}

impl Stack {
    pub fn new() -> Self {
        Self::at(endpoint())
    }

    pub fn at(endpoint: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // A given endpoint outlives the test run, so the process id keeps the accounts of different runs apart.
        let account =
            format!("{:06}{:06}", std::process::id() % 900_000 + 100_000, NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            account,
            endpoint: endpoint.to_owned(),
            elsewhere: Vec::new(),
            folder: tempfile::tempdir().expect("a folder"),
            configs: Mutex::default(),
        }
    }

    /// The same stack, with some services at another endpoint.
    #[allow(dead_code, reason = "only for tests against LocalStack")]
    pub fn with(mut self, services: &[&'static str], endpoint: &str) -> Self {
        self.elsewhere.extend(services.iter().map(|service| (*service, endpoint.to_owned())));
        self
    }

    /// Where this stack's AWS is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn configure(&self, toml: &str) {
        std::fs::write(self.path("drctl.toml"), toml).expect("written");
    }

    /// drctl in the stack's folder, without any variable of this machine's environment that could change what it does.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(drctl());
        command.args(args).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        for name in ["PATH", "HOME", "XDG_CACHE_HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .envs(self.elsewhere.iter().map(|(service, url)| (format!("AWS_ENDPOINT_URL_{service}"), url)))
            .env("AWS_ACCESS_KEY_ID", &self.account)
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("COLUMNS", "100");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::new(args, self.command(args).output().expect("drctl runs"))
    }

    /// The SDK's own view of the account, to check drctl's view.
    pub async fn sdk(&self, region: &str) -> aws_config::SdkConfig {
        self.sdk_of("", region).await
    }

    /// The same for a service that may be at another endpoint. Its name is as in `crates/aws/src/refusals`.
    pub async fn sdk_of(&self, service: &str, region: &str) -> aws_config::SdkConfig {
        let name = match service {
            "apigateway" => "APIGATEWAYV2".to_owned(),
            "route53" => "ROUTE_53".to_owned(),
            "secretsmanager" => "SECRETS_MANAGER".to_owned(),
            _ => service.to_uppercase(),
        };
        let elsewhere = self.elsewhere.iter().find(|(other, _)| *other == name).map(|(_, url)| url);
        let key = (elsewhere.cloned().unwrap_or_default(), region.to_owned());
        if let Some(config) = self.configs.lock().expect("the configurations").get(&key) {
            return config.clone();
        }
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .endpoint_url(elsewhere.unwrap_or(&self.endpoint))
            .region(aws_types::region::Region::new(region.to_owned()))
            .credentials_provider(aws_credential_types::Credentials::new(&self.account, "test", None, None, "test"))
            .load()
            .await;
        self.configs.lock().expect("the configurations").insert(key, config.clone());
        config
    }

    /// The SDK's S3 client, with the addressing that emulators need.
    pub async fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        let config = self.sdk_of("s3", region).await;
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build())
    }

    /// The address of the endpoint.
    pub fn address(&self) -> std::net::SocketAddr {
        self.endpoint.trim_start_matches("http://").parse().expect("an address")
    }

    /// Sends a request about this account to the sandbox's own interface.
    #[track_caller]
    fn ask_sandbox(&self, method: &str, what: &str, body: &str) -> Value {
        let url = self.endpoint.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(url).expect("the sandbox answers");
        let separator = if what.contains('?') { '&' } else { '?' };
        let request = format!(
            "{method} /_drctl/{what}{separator}account={} HTTP/1.0\r\nHost: {url}\r\nContent-Length: {}\r\n\r\n{body}",
            self.account,
            body.len()
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer arrives");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.0 200"), "{method} {what}: {answer}");
        serde_json::from_str(body).expect("JSON")
    }

    /// The calls that this account has made so far, without those of its functions. Only the sandbox records them.
    pub fn calls(&self) -> Vec<Value> {
        self.recorded("calls", false)
    }

    /// The same calls, with their requests.
    pub fn requests(&self) -> Vec<Value> {
        self.recorded("calls?requests=1", false)
    }

    /// The calls that this account's functions have made so far.
    pub fn calls_of_functions(&self) -> Vec<Value> {
        self.recorded("calls", true)
    }

    fn recorded(&self, what: &str, by_functions: bool) -> Vec<Value> {
        let mut calls = self.ask_sandbox("GET", what, "").as_array().expect("a list").clone();
        calls.retain(|call| call["function"].is_string() == by_functions);
        calls
    }

    /// Orders what Regions shall be for this account: `{"us-east-1": {"is": "out"}}`. Returns all orders.
    pub fn regions(&self, orders: &Value) -> Value {
        self.ask_sandbox("PUT", "regions", &orders.to_string())
    }

    /// Orders how long replication takes for this account: `{"dynamodb": {"lag": 2}}`. Returns the lags, and what is on
    /// its way.
    pub fn lags(&self, orders: &Value) -> Value {
        self.ask_sandbox("PUT", "replication", &orders.to_string())
    }

    /// Aurora's clusters of this account, and the servers behind them.
    pub fn aurora(&self) -> Value {
        self.ask_sandbox("GET", "aurora", "")
    }

    /// How `psql` gets to this account's cluster in a Region: `program`, `port`, `user`, `database`, and `password`.
    pub fn psql(&self, region: &str) -> Value {
        let body = serde_json::json!({"account": self.account, "region": region});
        self.ask_sandbox("POST", "psql", &body.to_string())
    }

    /// What Route 53 decides for this account: `address`, where its own name server listens, and under `accounts` its names and
    /// its health checks.
    pub fn dns(&self) -> Value {
        self.ask_sandbox("GET", "dns", "")
    }

    /// Puts faults in force for this account, in place of the previous ones.
    pub fn faults(&self, toml: &str) {
        self.ask_sandbox("PUT", "faults", toml);
    }

    /// Lifts the faults. Returns how often each one occurred.
    pub fn no_faults(&self) -> Value {
        self.ask_sandbox("DELETE", "faults", "")
    }

    /// Waits until a call is held by a fault of this account.
    pub fn held(&self) -> Value {
        self.ask_sandbox("GET", "held", "")
    }
}

/// The servers of a test that is over would take memory and disk from those to come: a sandbox has hundreds of tests.
impl Drop for Stack {
    fn drop(&mut self) {
        let url = self.endpoint.trim_start_matches("http://");
        // Another emulator does not know the request, and a sandbox that has ended has no servers.
        if let Ok(mut stream) = std::net::TcpStream::connect(url) {
            let request = format!("DELETE /_drctl/aurora?account={} HTTP/1.0\r\nHost: {url}\r\n\r\n", self.account);
            let sent = std::io::Write::write_all(&mut stream, request.as_bytes());
            let mut answer = String::new();
            let _answered = sent.and_then(|()| stream.read_to_string(&mut answer));
        }
    }
}

/// The result of a command.
pub struct Ran {
    what: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn new(args: &[&str], output: Output) -> Self {
        Self {
            what: args.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "drctl {}\n--- stdout\n{}\n--- stderr\n{}",
            self.what,
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Messages are wrapped and framed, so only the words are compared.
        let said: String =
            [&self.stdout, &self.stderr].map(|s| squeezed(&s.replace(['│', '╰', '─', '×', '▶'], " "))).join(" ");
        assert!(
            said.contains(&squeezed(text)),
            "drctl {} does not say `{text}`\n--- stdout\n{}\n--- stderr\n{}",
            self.what,
            self.stdout,
            self.stderr
        );
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}
