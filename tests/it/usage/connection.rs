//! How AWS is reached: settings, profiles, proxies, certificates; Regions that do not answer; credentials that expire.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use drctl_testkit::harness::{Ran, Stack};

fn run(mut command: Command) -> Ran {
    Ran::new(&["…"], command.output().expect("drctl runs"))
}

/// A command without an endpoint. Its callers must make sure that it cannot reach AWS.
fn without_endpoint(stack: &Stack, args: &[&str]) -> Command {
    let mut command = stack.command(args);
    command.env_remove("AWS_ENDPOINT_URL");
    command
}

#[test]
fn an_empty_setting_counts_as_unset() {
    let stack = Stack::new();
    let mut command = stack.command(&["plan"]);
    for name in [
        "AWS_ENDPOINT_URL_STS",
        "AWS_ENDPOINT_URL_EC2",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_CA_BUNDLE",
        "AWS_SESSION_TOKEN",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_MAX_ATTEMPTS",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ] {
        command.env(name, "");
    }
    run(command).exits(0);
    // Without an endpoint and without credentials, the missing credentials are reported.
    let mut command = without_endpoint(&stack, &["plan"]);
    command.env("AWS_ENDPOINT_URL", "").env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    run(command).exits(5).says("no usable credentials").says("AWS_PROFILE");
}

#[test]
fn an_invalid_endpoint_is_bad_usage() {
    let stack = Stack::new();
    for (name, value, said) in [
        ("AWS_ENDPOINT_URL", "localhost:4566", "AWS_ENDPOINT_URL has no scheme: write http://localhost:4566"),
        ("AWS_ENDPOINT_URL", "foo", "AWS_ENDPOINT_URL has no scheme: write http://foo"),
        ("AWS_ENDPOINT_URL", "http://", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "http://localhost:notaport", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "secrets:1", "AWS_ENDPOINT_URL_SECRETS_MANAGER has no scheme"),
    ] {
        for words in [&["plan"][..], &["status"], &["up", "--yes"]] {
            let mut command = stack.command(words);
            command.env(name, value);
            let ran = run(command).exits(3).says(said);
            assert!(!ran.stderr.contains("SdkBody"), "{}", ran.stderr);
        }
    }
}

#[test]
fn a_profile_that_does_not_exist_is_reported_before_any_call() {
    let stack = Stack::new();
    std::fs::write(stack.path("config"), "[profile payments-prd]\nregion = us-east-1\n").expect("written");
    for variable in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
        let mut command = stack.command(&["plan"]);
        command.env("AWS_CONFIG_FILE", stack.path("config")).env(variable, "payments-prd-typo");
        run(command).exits(5).says("there is no profile `payments-prd-typo`").says("payments-prd");
    }
    assert_eq!(stack.calls().len(), 0, "no call may be made");
    // A profile that exists is used: its keys are those of the account.
    let keys = format!("[ops]\naws_access_key_id = {}\naws_secret_access_key = x\n", stack.account);
    std::fs::write(stack.path("credentials"), keys).expect("written");
    let mut command = stack.command(&["plan"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_SHARED_CREDENTIALS_FILE", stack.path("credentials")).env("AWS_DEFAULT_PROFILE", "ops");
    run(command).exits(0).says(&stack.account);
}

/// What a container offers its processes: the credentials of another account. Counts how often it is asked.
struct Container {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Container {
    const ACCOUNT: &str = "999999999999";

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4096];
                let body = format!(
                    r#"{{"AccessKeyId":"{}","SecretAccessKey":"x","Token":"y","Expiration":"2099-01-01T00:00:00Z"}}"#,
                    Self::ACCOUNT
                );
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
                let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                drop(stream.read(&mut request).and_then(|_| stream.write_all(answer.as_bytes())));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// drctl in this container, with a config file and without keys in its environment.
    fn command(&self, stack: &Stack, profile: Option<&str>, config: &str) -> Command {
        std::fs::write(stack.path("config"), config).expect("written");
        let mut command = stack.command(&["plan"]);
        command
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("HOME", stack.path("home"))
            .env("AWS_CONFIG_FILE", stack.path("config"))
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://127.0.0.1:{}/role", self.port))
            .envs(profile.map(|profile| ("AWS_PROFILE", profile)));
        command
    }

    fn run(&self, stack: &Stack, profile: Option<&str>, config: &str) -> Ran {
        run(self.command(stack, profile, config))
    }
}

/// The rest of a section whose heading is `HEADING`, of the profile `SELECTED` in `FILE`; what is wrong with it; what helps.
const BROKEN: &[(&str, &str, &str)] = &[
    (
        "role_arn = r\nsource_profile = bsae\n[profile base]\ncredential_process = x\n",
        "`source_profile` under HEADING in FILE is `bsae`, and there is no such profile",
        "Did you mean `base`? There are: base",
    ),
    (
        "role_arn = r\nsource_profile = mid\n[profile mid]\nrole_arn = r\nsource_profile = SELECTED\n",
        "`source_profile` under [profile mid] in FILE leads back to the profile `SELECTED`",
        "Name a profile there that has credentials of its own",
    ),
    (
        "role_arn = r\nsource_profile = SELECTED\n",
        "`source_profile` under HEADING in FILE is `SELECTED`, and HEADING in FILE has no credentials",
        "or name another profile in `source_profile`",
    ),
    (
        "role_arn = r\nsource_profile = base\n[profile base]\nregion = us-east-1\n",
        "`source_profile` under HEADING in FILE is `base`, and [profile base] in FILE has no credentials",
        "Write `aws_access_key_id` and `aws_secret_access_key`, `credential_process`, `sso_session`, or `role_arn` there",
    ),
    ("source_profile = base\n", "HEADING in FILE has `source_profile`, but no `role_arn`", "Write `role_arn` there"),
    (
        "role_arn = r\n",
        "HEADING in FILE has `role_arn`, but neither `source_profile` nor `credential_source`",
        "Write `source_profile = NAME`",
    ),
    ("role_arn =\n", "`role_arn` under HEADING in FILE is empty", "Write its value, or remove the line"),
    (
        "role_arn = r\nsource_profile = base\ncredential_source = EcsContainer\n",
        "HEADING in FILE has both `source_profile` and `credential_source`",
        "Remove one of them",
    ),
    (
        "role_arn = r\ncredential_source = Ec2InstanceMetaData1\n",
        "`credential_source` under HEADING in FILE is `Ec2InstanceMetaData1`, which does not exist",
        "Write `EcsContainer` or `Ec2InstanceMetadata`",
    ),
    (
        "role_arn = r\ncredential_source = Environment\n",
        "is `Environment`, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
        "name it in `source_profile` instead",
    ),
    (
        "role_arn = r\ncredential_source = Ec2InstanceMetadata\n",
        "is `Ec2InstanceMetadata`, and AWS_EC2_METADATA_DISABLED is `true`",
        "Run drctl where these credentials are",
    ),
    (
        "web_identity_token_file = token\n",
        "HEADING in FILE has `web_identity_token_file`, but no `role_arn`",
        "Write `role_arn = arn:aws:iam::ACCOUNT:role/NAME` there",
    ),
    (
        "role_arn = r\nweb_identity_token_file = /nonexistent/token\n",
        "`web_identity_token_file` under HEADING in FILE is /nonexistent/token, which cannot be read: No such file",
        "Write the full path of the token's file",
    ),
    (
        "sso_session = crop\nsso_account_id = 1\nsso_role_name = r\n[sso-session corp]\nsso_region = us-east-1\n",
        "`sso_session` under HEADING in FILE is `crop`, and there is no [sso-session crop] in FILE",
        "Did you mean `corp`?",
    ),
    (
        "sso_session = corp\nsso_account_id = 1\nsso_role_name = r\n[sso-session corp]\nsso_region = us-east-1\n",
        "[sso-session corp] in FILE has no `sso_start_url`",
        "Write `sso_start_url` there",
    ),
    (
        "sso_session = corp\nsso_region = us-east-1\n[sso-session corp]\nsso_region = us-east-1\n",
        "HEADING in FILE has `sso_region` as well as `sso_session`",
        "Remove `sso_region` there",
    ),
    (
        "sso_session = corp\n[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example\n",
        "HEADING in FILE has `sso_session`, but no `sso_account_id`",
        "`aws configure sso --profile SELECTED` asks for it",
    ),
    (
        "sso_start_url = https://corp.example\nsso_account_id = 1\nsso_role_name = r\n",
        "HEADING in FILE has `sso_start_url`, but no `sso_region`",
        "Write `sso_region` there",
    ),
    (
        "sso_start_url = https://corp.example\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = r\n",
        "the profile `SELECTED` gives no credentials: ",
        "Log in with `aws sso login --profile SELECTED`",
    ),
    (
        "login_session = arn:aws:iam::111122223333:user/me\n",
        "HEADING in FILE logs in with `aws login`, which drctl cannot read",
        "aws configure export-credentials --profile SELECTED",
    ),
    (
        "aws_access_key_id = x\n",
        "HEADING in FILE has `aws_access_key_id`, but no `aws_secret_access_key`",
        "Write `aws_secret_access_key` there",
    ),
    (
        "credential_process = /nonexistent/program\n",
        "the profile `SELECTED` gives no credentials: ",
        "The command is `credential_process` under HEADING in FILE. Run it on its own",
    ),
    (
        "credential_process = echo first you log in >&2; exit 3\n",
        "the profile `SELECTED` gives no credentials: Error retrieving credentials: external process exited with code exit \
         status: 3. Stderr: first you log in",
        "The command is `credential_process` under HEADING in FILE. Run it on its own",
    ),
    (
        "credential_process = echo '<html>'\n",
        "could not parse response",
        "print JSON with `Version` 1, `AccessKeyId`, and `SecretAccessKey`",
    ),
];

#[test]
fn a_profile_that_cannot_be_used_is_never_replaced_by_other_credentials() {
    let stack = Stack::new();
    let container = Container::start();
    for (rest, what, help) in BROKEN {
        for (variable, name, heading) in [(Some("prod"), "prod", "[profile prod]"), (None, "default", "[default]")] {
            let file = stack.path("config").display().to_string();
            let fill = |text: &str| text.replace("SELECTED", name).replace("HEADING", heading).replace("FILE", &file);
            let ran = container.run(&stack, variable, &format!("{heading}\n{}", fill(rest)));
            let ran = ran.exits(5).says(&format!("the profile `{name}`")).says(&fill(what)).says(&fill(help));
            assert!(!ran.stderr.contains("Set AWS_PROFILE"), "{rest}: {}", ran.stderr);
            assert_eq!(container.asked(), 0, "{rest}: {}", ran.stderr);
        }
    }
    assert_eq!(stack.calls().len(), 0, "no call may be made");
    // A profile that is named has to say where its credentials come from; the default profile need not.
    let silent = "region = us-east-1\n";
    container
        .run(&stack, Some("prod"), &format!("[profile prod]\n{silent}"))
        .exits(5)
        .says("the profile `prod`, which AWS_PROFILE names, cannot be used: [profile prod]")
        .says("has no credentials")
        .says("To use the credentials of this machine (its container or instance), unset AWS_PROFILE");
    assert_eq!(container.asked(), 0);
    container.run(&stack, None, &format!("[default]\n{silent}")).exits(0).says(Container::ACCOUNT);
    let asked = container.asked();
    assert!(asked > 0, "the container's credentials are used when nothing else is selected");
    container
        .run(&stack, Some("prod"), "[profile prod]\ncredential_source = EcsContainer\n")
        .exits(0)
        .says(Container::ACCOUNT);
    assert!(container.asked() > asked, "and when they are selected");
}

#[test]
fn a_profile_whose_settings_are_in_order_is_used() {
    let stack = Stack::new();
    let container = Container::start();
    let json = format!(r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"x"}}"#, stack.account);
    std::fs::write(stack.path("credentials.json"), json).expect("written");
    let process = format!("credential_process = cat {}\n", stack.path("credentials.json").display());
    for config in [
        format!("[profile prod]\n{process}"),
        format!(
            "[profile prod]\nrole_arn = arn:aws:iam::{0}:role/ops\nsource_profile = base\n[profile base]\n{process}",
            stack.account
        ),
    ] {
        container.run(&stack, Some("prod"), &config).exits(0).says(&stack.account);
    }
    assert!(stack.calls().iter().any(|call| call["operation"] == "AssumeRole"), "{:?}", stack.calls());
    assert_eq!(container.asked(), 0);
    // A command that waits for somebody is told from a Region that does not answer.
    let mut command = container.command(&stack, Some("prod"), "[profile prod]\ncredential_process = sleep 20\n");
    command.args(["--timeout", "2"]);
    run(command).exits(1).says("`credential_process` under [profile prod]").says("on its own: it may wait for input");
    // What AWS refuses is explained by where the credentials come from.
    stack.faults("[[fault]]\ndoes = \"refuse\"\nstatus = 403\ncode = \"InvalidClientTokenId\"\nmessage = \"no\"\n");
    let ran = container.run(&stack, Some("prod"), &format!("[profile prod]\n{process}")).exits(5);
    let ran = ran.says("of the profile `prod`: they come from `credential_process` under [profile prod]");
    assert!(!ran.stderr.contains("Set AWS_PROFILE"), "{}", ran.stderr);
}

#[test]
fn a_profile_that_is_not_read_is_told_from_one_that_does_not_exist() {
    let stack = Stack::new();
    let container = Container::start();
    let prod = "\ncredential_process = x\n";
    container
        .run(&stack, Some("prod"), &format!("[prod]{prod}"))
        .exits(5)
        .says("there is no profile `prod`")
        .says("is not read as a profile: write [profile prod]");
    container
        .run(&stack, Some("pord"), &format!("[profile prod]{prod}"))
        .exits(5)
        .says("there is no profile `pord`")
        .says("Did you mean `prod`? There are: prod.");
    // A file that exists and cannot be read may have the profile.
    for profile in [Some("prod"), None] {
        let mut command = stack.command(&["plan"]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_CONFIG_FILE", "/");
        command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://127.0.0.1:{}/role", container.port));
        command.envs(profile.map(|profile| ("AWS_PROFILE", profile)));
        run(command).exits(3).says("the AWS profiles cannot be read: /: ");
    }
    assert_eq!(container.asked(), 0);
}

#[test]
fn keys_in_the_environment_come_before_the_profile_and_that_is_said() {
    let stack = Stack::new();
    std::fs::write(stack.path("config"), "[profile ops]\ncredential_process = false\n").expect("written");
    let with_profile = || {
        let mut command = stack.command(&["plan"]);
        command.env("AWS_CONFIG_FILE", stack.path("config")).env("AWS_PROFILE", "ops");
        command
    };
    let notice =
        "they take precedence over AWS_PROFILE, as in the AWS CLI: the credentials of the profile `ops` are not used";
    run(with_profile()).exits(0).says(&stack.account).says(notice);
    let mut json = with_profile();
    json.arg("--json");
    let ran = run(json).exits(0).says(notice);
    assert!(!ran.stdout.contains("they take precedence over"), "{}", ran.stdout);
    stack.faults("[[fault]]\ndoes = \"refuse\"\nstatus = 403\ncode = \"InvalidClientTokenId\"\nmessage = \"no\"\n");
    run(with_profile()).exits(5).says("or unset them to use the profile `ops` that AWS_PROFILE names");
    stack.no_faults();
    let mut half = with_profile();
    half.env_remove("AWS_SECRET_ACCESS_KEY");
    run(half).exits(5).says("AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not").says("Set both, or unset");
}

#[test]
fn the_endpoints_in_a_profile_are_used() {
    let stack = Stack::new();
    let endpoint = format!("http://{}", stack.address());
    let config = format!(
        "[default]\nendpoint_url = http://127.0.0.1:1\nservices = lab\n[services lab]\nsts =\n  endpoint_url = {endpoint}\nec2 =\n  endpoint_url = {endpoint}\n"
    );
    std::fs::write(stack.path("config"), config).expect("written");
    let mut command = without_endpoint(&stack, &["status", "--timeout", "3"]);
    command.env("AWS_CONFIG_FILE", stack.path("config"));
    // STS and EC2 are at the endpoints in the profile; the other services are not reachable.
    run(command).exits(1).says("http://127.0.0.1:1");
    assert!(stack.calls().iter().any(|call| call["service"] == "sts"));
}

#[test]
fn a_local_endpoint_is_never_reached_through_a_proxy() {
    let stack = Stack::new();
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        let mut command = stack.command(&["plan"]);
        command.env(proxy, "http://127.0.0.1:9");
        run(command).exits(0);
    }
    let mut command = stack.command(&["plan"]);
    command.env("AWS_ENDPOINT_URL", format!("http://localhost:{}", stack.address().port()));
    command.env("HTTP_PROXY", "http://127.0.0.1:9");
    run(command).exits(0);
    // An endpoint elsewhere is reached through the proxy, and a proxy that does not answer is named.
    let mut command = without_endpoint(&stack, &["plan", "--timeout", "5"]);
    command.env("AWS_ENDPOINT_URL", "http://aws.example:4566").env("http_proxy", "http://127.0.0.1:9");
    run(command).exits(1).says("the proxy that http_proxy names");
}

#[test]
fn without_certificates_only_tls_is_impossible() {
    let stack = Stack::new();
    let bare = |mut command: Command| {
        command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
        run(command)
    };
    bare(stack.command(&["plan"])).exits(0);
    for words in [&["plan"][..], &["up", "--yes"]] {
        bare(without_endpoint(&stack, words))
            .exits(1)
            .says("no CA certificates on this machine: install ca-certificates, or set SSL_CERT_FILE");
    }
}

/// A TLS server with a certificate from the test's own CA. It answers every request with an expired token.
fn tls_server() -> u16 {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("connection/server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("connection/server.key")).expect("a key");
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    let config = Arc::new(config.expect("they belong together"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port();
    // The thread ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), Ok(tls)) = (stream, rustls::ServerConnection::new(config.clone())) else { continue };
            let mut stream = rustls::StreamOwned::new(tls, stream);
            let mut request = [0; 16384];
            if stream.read(&mut request).is_ok() {
                let body =
                    "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>x</Message></Error></ErrorResponse>";
                let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/xml\r\nConnection: close\r\n";
                let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                drop(stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()));
                stream.conn.send_close_notify();
                drop(stream.flush());
            }
        }
    });
    port
}

#[test]
fn a_private_ca_is_trusted_when_it_is_named() {
    let stack = Stack::new();
    let url = format!("https://localhost:{}", tls_server());
    std::fs::write(stack.path("ca.pem"), include_bytes!("connection/ca.pem")).expect("written");
    let config = format!("[default]\nca_bundle = {}\n", stack.path("ca.pem").display());
    std::fs::write(stack.path("config"), config).expect("written");
    let plan = |name: &str, value: std::path::PathBuf| {
        let mut command = stack.command(&["plan", "--timeout", "10"]);
        command.env("AWS_ENDPOINT_URL", &url).env(name, value).env("HTTPS_PROXY", "http://127.0.0.1:9");
        run(command)
    };
    plan("AWS_CA_BUNDLE", stack.path("ca.pem")).exits(5).says("ExpiredToken");
    plan("AWS_CONFIG_FILE", stack.path("config")).exits(5).says("ExpiredToken");
    plan("SSL_CERT_FILE", stack.path("ca.pem")).exits(5).says("ExpiredToken");
    let ran = plan("AWS_CA_BUNDLE", "".into()).exits(1).says("UnknownIssuer").says("AWS_CA_BUNDLE");
    assert!(!ran.stderr.contains("Is something listening"), "{}", ran.stderr);
    plan("AWS_CA_BUNDLE", stack.path("nowhere.pem")).exits(3).says("AWS_CA_BUNDLE names");
}

/// A running drctl, and the lines that it prints on stderr as they arrive.
struct Running {
    child: Child,
    lines: Receiver<(Instant, String)>,
    began: Instant,
    said: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let began = Instant::now();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, began, said: String::new() }
    }

    /// Waits for a line on stderr. Returns how long after the start it arrived.
    #[track_caller]
    fn line(&mut self, with: &str, within: Duration) -> Duration {
        let until = Instant::now() + within;
        while let Ok((at, line)) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(with) {
                return at - self.began;
            }
        }
        panic!("no `{with}` in:\n{}", self.said);
    }

    /// Waits for the end. Returns the exit code, all of stderr, and the duration.
    fn end(mut self) -> (Option<i32>, String, Duration) {
        let code = self.child.wait().expect("ended").code();
        let took = self.began.elapsed();
        while let Ok((_, line)) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        (code, self.said, took)
    }
}

#[test]
fn whichever_region_hangs_the_verdict_is_in_time_and_progress_is_shown_at_once() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    for fault in ["region = \"us-east-1\"", "region = \"us-east-2\"", "service = \"sts\"", "service = \"*\""] {
        stack.faults(&format!("[[fault]]\n{fault}\ndoes = \"hang\"\n"));
        for words in [["status", "--timeout", "3"], ["plan", "--timeout", "3"]] {
            let mut running = Running::start(stack.command(&words));
            let first = running.line("waiting for", Duration::from_secs(3));
            assert!(first < Duration::from_secs(1), "{words:?}, {fault}: {first:?}");
            let (_, said, took) = running.end();
            assert!(took < Duration::from_secs(5), "{words:?}, {fault}: {took:?}\n{said}");
        }
        let began = Instant::now();
        stack.run(&["recover", "--timeout", "3"]);
        assert!(began.elapsed() < Duration::from_secs(5), "{fault}: {:?}", began.elapsed());
    }
    // Only the primary's STS is gone: the account is known from the other Region, and everything works.
    stack.faults("[[fault]]\nregion = \"us-east-1\"\nservice = \"sts\"\ndoes = \"hang\"\n");
    stack.run(&["status", "--timeout", "3"]).exits(0);
    stack.faults("[[fault]]\nregion = \"us-east-1\"\ndoes = \"hang\"\n");
    let began = Instant::now();
    let status = stack.run(&["status", "--timeout", "3"]).exits(1).says("us-east-1");
    assert!(status.stdout.contains("us-east-2"), "{}", status.stdout);
    // Half of the stack is not known, so nothing of the other half is deleted.
    let before = stack.calls().len();
    let down = stack.run(&["down", "--yes", "--timeout", "3"]).exits(1).says("us-east-1");
    down.says("resources could not be read").says("Nothing was changed");
    let changing = crate::ownership::orphans::changes(&stack, before);
    assert!(changing.is_empty(), "{changing:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    stack.no_faults();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn a_region_that_stops_answering_during_a_run_is_named_with_its_time_limit() {
    let stack = Stack::new();
    let mut running = Running::start(stack.command(&["up", "--yes"]));
    running.line("✓", Duration::from_mins(1));
    stack.faults("[[fault]]\nregion = \"us-east-2\"\ndoes = \"hang\"\n");
    // A call is given up after 20 s.
    running.line("us-east-2 has not answered since ", Duration::from_secs(40));
    running.line("us-east-2 has not answered since ", Duration::from_mins(1));
    stack.no_faults();
    running.line("us-east-2 answers again, after ", Duration::from_secs(40));
    let (code, said, _) = running.end();
    assert_eq!(code, Some(0), "nothing of it has failed: {said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains(". drctl calls it until ")
            && words.contains(" at the latest. After that, the steps that need it fail"),
        "{said}"
    );
    assert!(!words.contains("us-east-1 has not answered"), "{said}");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn credentials_that_expire_during_a_run_pause_it_until_they_are_renewed() {
    let stack = Stack::new();
    for command in [&["up", "--yes"][..], &["down", "--yes", "--no-final-snapshot"]] {
        let mut running = Running::start(stack.command(command));
        // The run has started.
        running.line("✓", Duration::from_mins(1));
        stack.faults("[[fault]]\ndoes = \"expire-credentials\"\n");
        running.line("The credentials have expired", Duration::from_mins(1));
        std::thread::sleep(Duration::from_secs(5));
        stack.no_faults();
        running.line("The credentials were renewed", Duration::from_secs(30));
        let (code, said, _) = running.end();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.matches("The credentials have expired").count(), 1, "{said}");
    }
}

#[test]
fn json_output_reports_the_pause_once() {
    let stack = Stack::new();
    let mut command = stack.command(&["up", "--yes", "--json"]);
    command.env("DRCTL_CREDENTIALS_WAIT", "3");
    stack.faults("[[fault]]\nkind = \"mutation\"\nfirst = 20\ndoes = \"slow\"\nseconds = 0.0\n[[fault]]\nkind = \"mutation\"\ndoes = \"expire-credentials\"\n");
    let ran = run(command).exits(5);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let notices: Vec<_> = lines.iter().filter(|line| line["event"] == "notice").collect();
    let of_expiry =
        |notice: &&&serde_json::Value| notice["message"].as_str().is_some_and(|m| m.contains("have expired"));
    assert_eq!(notices.iter().filter(of_expiry).count(), 1, "{notices:?}");
    stack.no_faults();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn the_first_signal_ends_the_pause() {
    let stack = Stack::new();
    let mut running = Running::start(stack.command(&["up", "--yes"]));
    running.line("✓", Duration::from_mins(1));
    stack.faults("[[fault]]\ndoes = \"expire-credentials\"\n");
    running.line("The credentials have expired", Duration::from_mins(1));
    let signalled = Instant::now();
    kill_process(Pid::from_child(&running.child), Signal::INT).expect("interrupted");
    let (code, said, _) = running.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
    stack.no_faults();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn credentials_of_another_account_do_not_continue_the_run() {
    let stack = Stack::new();
    let keys = |account: &str| {
        let text = format!("[default]\naws_access_key_id = {account}\naws_secret_access_key = x\n");
        std::fs::write(stack.path("credentials"), text).expect("written");
    };
    keys(&stack.account);
    let mut command = stack.command(&["up", "--yes"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_SHARED_CREDENTIALS_FILE", stack.path("credentials"));
    let mut running = Running::start(command);
    running.line("✓", Duration::from_mins(1));
    stack.faults("[[fault]]\ndoes = \"expire-credentials\"\n");
    running.line("The credentials have expired", Duration::from_mins(1));
    keys("999999999999");
    let (code, said, _) = running.end();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("999999999999") && said.contains(&stack.account), "{said}");
    stack.no_faults();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn refusals_are_explained_by_their_reason() {
    let stack = Stack::new();
    let unknown = "AWS was not able to validate the provided access credentials";
    for (which, status, code, message, said) in [
        (
            "region = \"us-east-2\"\nservice = \"ec2\"",
            401,
            "AuthFailure",
            unknown,
            "Is us-east-2 enabled for the account (opt-in)? The other Region accepts the same credentials.",
        ),
        ("", 401, "AuthFailure", unknown, "The credentials are those in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (
            "service = \"sts\"",
            403,
            "SignatureDoesNotMatch",
            "Signature expired: 20261129T100000Z is now earlier than 20261129T103000Z (20261129T103500Z - 5 min.)",
            "This machine's clock is wrong",
        ),
        ("service = \"ec2\"", 400, "RequestExpired", "Request has expired.", "This machine's clock is wrong"),
        (
            "service = \"s3\"",
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "This machine's clock is wrong",
        ),
        (
            "service = \"ec2\"",
            403,
            "UnauthorizedOperation",
            "You are not authorized to perform this operation with an explicit deny in a service control policy",
            "A service control policy of the organisation forbids it, and a grant in the account cannot override that",
        ),
    ] {
        stack.faults(&format!(
            "[[fault]]\n{which}\ndoes = \"refuse\"\nstatus = {status}\ncode = \"{code}\"\nmessage = \"{message}\"\n"
        ));
        stack.run(&["plan"]).exits(5).says(said);
    }
}
