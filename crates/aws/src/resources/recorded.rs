//! How AWS's real answers are read.
//!
//! Each answer has the shape of one that was recorded from AWS or is shown in its documentation, with names of our own; its
//! source is cited beside it. A server that gives only these answers returns it, so that it passes through the SDK as in a real
//! run.

mod acm;
mod apigateway;
mod dynamodb;
mod ec2;
mod iam;
mod kms;
mod lambda;
mod logs;
mod rds;
mod route53;
mod s3;
mod secrets;
mod sns;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Context, Disposal, Live, Resource};
use crate::{Aws, Connection, Scope};
use drctl_engine::changes;

const ACCOUNT: &str = "123456789012";

/// The differences if there are none.
pub(super) const NOTHING: [(String, bool); 0] = [];

/// Answers to requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Vec<Answer>);

#[derive(Debug, Clone)]
struct Answer {
    to: &'static str,
    status: u16,
    body: String,
}

impl Answers {
    /// Adds a successful answer to requests with all these words: the operation, or method and path if a request does not name
    /// it; the Region; a parameter of the query or the form. The answer with the most words wins. Of several answers to the same
    /// words, each is given once, and the last one from then on.
    fn to(self, words: &'static str, body: impl Into<String>) -> Self {
        self.refused(words, 200, body)
    }

    /// Adds any other answer.
    fn refused(mut self, words: &'static str, status: u16, body: impl Into<String>) -> Self {
        self.0.push(Answer { to: words, status, body: body.into() });
        self
    }

    fn take(&mut self, request: &str) -> Answer {
        let asked = words(request);
        let fits = |answer: &Answer| answer.to.split(' ').all(|word| asked.iter().any(|other| other == word));
        let count = |answer: &Answer| answer.to.split(' ').count();
        let most = self.0.iter().filter(|answer| fits(answer)).map(count).max();
        let fitting: Vec<usize> =
            (0..self.0.len()).filter(|&at| fits(&self.0[at]) && Some(count(&self.0[at])) == most).collect();
        match fitting[..] {
            [] => panic!("no answer to {asked:?}"),
            [only] => self.0[only].clone(),
            [first, ..] => self.0.remove(first),
        }
    }
}

/// The words of a request.
fn words(request: &str) -> Vec<String> {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
    let mut first = head.split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let operation = header(head, "x-amz-target").and_then(|target| target.rsplit('.').next());
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
    let region = header(head, "authorization").and_then(|signed| signed.split('/').nth(2));
    let pairs = query.split('&').chain(body.split('&')).map(|pair| pair.trim_end_matches('='));
    [Some(method), Some(path.trim_end_matches('/')), operation, action, region]
        .into_iter()
        .flatten()
        .chain(pairs)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A request, once all of it has arrived.
fn whole(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length: usize = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let is_whole = body.len() >= length;
    is_whole.then_some(text)
}

/// Answers one request.
async fn serve(mut stream: TcpStream, answers: Arc<Mutex<Answers>>) -> std::io::Result<()> {
    let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
    let request = loop {
        let read = stream.read(&mut some).await?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&some[..read]);
        if let Some(request) = whole(&bytes) {
            break request;
        }
    };
    let Answer { status, body, .. } = answers.lock().unwrap_or_else(PoisonError::into_inner).take(&request);
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} Recorded\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// A context in us-east-1 for which AWS gives these answers, in every Region.
pub(super) async fn context(answers: Answers) -> Context {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    let answers = Arc::new(Mutex::new(answers));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&answers)));
        }
    });
    let connection =
        Connection { region: "us-east-1".to_owned(), endpoint: Some(endpoint), account: Some(ACCOUNT.to_owned()) };
    let scope = Scope { stack: "pay".into(), environment: "prod".into(), account: ACCOUNT.into() };
    Context::new(Aws::connect(&connection).await.into(), "us-east-1".into(), scope.into(), Disposal::default())
}

/// Reads the resource with this id.
async fn read<R: Resource>(answers: Answers, id: &str) -> Live {
    found::<R>(answers, id).await.expect("it is there")
}

/// The same, for a resource that may not exist.
async fn found<R: Resource>(answers: Answers, id: &str) -> Option<Live> {
    let id = id.to_owned();
    with(answers, async move |cx| R::read(&cx, &id).await).expect("it reads")
}

/// The result of some work if AWS gives these answers.
fn with<T: Send + 'static>(answers: Answers, work: impl AsyncFnOnce(Context) -> T + Send + 'static) -> T {
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { work(context(answers).await).await })
    };
    // In an unoptimised build, polling the futures of calls needs more stack than a test's thread has.
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(work).expect("a thread");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The properties that differ.
fn differing<R: Resource>(desired: &R, live: &Live) -> Vec<String> {
    compared(desired, live).into_iter().map(|(property, _)| property).collect()
}

/// The properties that differ, each with whether the resource has to be replaced for it.
pub(super) fn compared<R: Resource>(desired: &R, live: &Live) -> Vec<(String, bool)> {
    let Ok(Value::Object(desired)) = serde_json::to_value(desired) else { panic!("a struct is an object") };
    let changes = changes(&R::INFO, &desired, &live.properties);
    changes.into_iter().map(|change| (change.property, change.forces_replacement.is_some())).collect()
}

/// An answer of a service that uses the query protocol.
fn query(operation: &str, result: &str) -> String {
    format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>")
}

/// A refusal by such a service.
fn query_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>r</RequestId></ErrorResponse>"
    )
}

#[test]
fn the_answer_with_the_most_words_wins_and_answers_come_in_order() {
    let mut answers = Answers::default()
        .to("DescribeTable", "first")
        .to("DescribeTable", "second")
        .to("us-east-2 DescribeTable", "there")
        .to("GET /b versioning", "on");
    let mut ask = |request: &str| answers.take(request).body;
    let table = |region: &str| {
        format!(
            "POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.DescribeTable\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=1/20260101/{region}/dynamodb/aws4_request, Signature=0\r\n\r\n{{}}"
        )
    };
    assert_eq!(ask(&table("us-east-2")), "there");
    assert_eq!([1, 2, 3].map(|_| ask(&table("us-east-1"))), ["first", "second", "second"]);
    assert_eq!(ask("GET /b/?versioning HTTP/1.1\r\nhost: h\r\n\r\n"), "on");
}
