//! The one way through which every call to AWS goes: rate limit, credentials, trace, classification, and repetition of reads.

use std::sync::PoisonError;
use std::time::Duration;

use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::advice::{self, amount};
use super::classify::{self, Cause, Refusal, SdkRefusal};
use super::clients::{Aws, global_name, home};
use super::limits::Kind;
use super::looking;
use super::renewal::Notice;
use drctl_engine::{Class, Failure, Region, Silent, backoff};

/// How often a read is tried if its answers are lost. A lost answer says nothing about the resource.
const READS: usize = 6;

/// How long a throttled read is repeated. Throttling is an answer, and a later one may differ: giving up after a few tries would
/// end the run because of a burst of half a minute.
const THROTTLED: Duration = Duration::from_mins(2);

/// The first pause between two tries of a read, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(400);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Aws {
    /// A read-only call, repeated when its answer was throttled or lost.
    ///
    /// # Errors
    /// What the last answer means.
    pub async fn read<T, E, F>(
        &self,
        region: &Region,
        service: &'static str,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: SdkRefusal,
    {
        self.read_within(None, region, service, operation, call).await
    }

    /// All items, or all pages, of a call that answers page by page.
    ///
    /// # Errors
    /// What the last answer means.
    pub async fn pages<T, E>(
        &self,
        region: &Region,
        service: &'static str,
        operation: &'static str,
        call: impl Fn() -> PaginationStream<Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<Vec<T>, Failure>
    where
        E: SdkRefusal,
    {
        self.read(region, service, operation, || call().collect()).await
    }

    /// Like `read`, for a Region that may have failed: if a single answer takes longer than `within`, the call is not repeated.
    ///
    /// # Errors
    /// What the last answer means; [`Class::TimedOut`] without one.
    pub async fn read_within<T, E, F>(
        &self,
        within: Option<Duration>,
        region: &Region,
        service: &'static str,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: SdkRefusal,
    {
        let region = &home(service, region);
        let _waiting = self.waiting.begin(region);
        if let Some(failure) = self.unheard.of(service, region) {
            return Err(Failure { operation: Some(classify::name(service, operation, region)), ..failure });
        }
        let limit = self.unheard.limit();
        let (began, mut heard) = (Instant::now(), Instant::now());
        let (mut attempt, mut lost, mut cut) = (0, 0, 0);
        loop {
            let generation = self.renewal.generation();
            let left = limit.map(|limit| limit.left(heard));
            let most = within.into_iter().chain(left).min();
            let refusal = match self.once(region, service, operation, Kind::Read, most, call()).await {
                Ok(output) => return Ok(output),
                Err(refusal) => refusal,
            };
            let Refusal { failure, cause } = refusal;
            match cause {
                Cause::Expired => {
                    Box::pin(self.renewed(region, generation, failure)).await?;
                    heard = Instant::now();
                    continue;
                }
                Cause::Clock(ahead) if self.is_first_of_clock(region, service, ahead) => continue,
                _ => {}
            }
            attempt += 1;
            lost += usize::from(failure.class != Class::Throttled);
            cut += usize::from(cause == Cause::Unanswered);
            if failure.code.is_some() {
                heard = Instant::now();
            }
            let pause = backoff(FIRST_PAUSE, LONGEST_PAUSE, attempt);
            let again = match failure.class {
                Class::Throttled => began.elapsed() < THROTTLED,
                Class::Ambiguous => lost < READS || failure.silent.is_some(),
                // Repeating the call does not help if the Region has failed, unless that was announced.
                Class::Unreachable => lost < 2 || failure.silent.is_some(),
                _ => false,
            };
            if !again || limit.is_some_and(|limit| limit.left(heard) <= pause) {
                // Every connection was cut: nothing answers there.
                let class = if cut == attempt { Class::Unreachable } else { failure.class };
                return Err(self.given_up(within, service, region, Failure { class, ..failure }));
            }
            tracing::debug!(%failure, attempt, "repeated");
            tokio::time::sleep(pause).await;
        }
    }

    /// The last failure of a read. If a Region or service did not answer, it is named in the failure and noted.
    fn given_up(&self, within: Option<Duration>, service: &'static str, region: &Region, failure: Failure) -> Failure {
        // Without an operation it is about this machine.
        if !matches!(failure.class, Class::Unreachable | Class::TimedOut) || failure.operation.is_none() {
            return failure;
        }
        let limit = self.unheard.limit().map(|limit| limit.answer);
        let failure = if failure.class == Class::TimedOut {
            let allowed = within.into_iter().chain(limit).min().unwrap_or_default();
            Failure { operation: failure.operation, ..self.unheard.failure(allowed, service, region) }
        } else {
            Failure { silent: Some(self.unheard.who(service, region)), ..failure }
        };
        // One that has less time than others may have answered them.
        if within.is_none_or(|within| limit.is_some_and(|limit| limit <= within)) {
            self.unheard.keep(service, region, &failure);
        }
        failure
    }

    /// A call that changes something. Sent once: only the engine knows whether it may be repeated. A call that was refused
    /// because of its credentials or its date, and would be accepted now, returns [`Class::Throttled`]. See
    /// docs/aws-behaviour.md#lost-answer.
    ///
    /// # Errors
    /// What the answer means.
    pub async fn mutate<T, E>(
        &self,
        region: &Region,
        service: &'static str,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: SdkRefusal,
    {
        let region = &home(service, region);
        let generation = self.renewal.generation();
        let Refusal { failure, cause } = match self.once(region, service, operation, Kind::Mutate, None, call).await {
            Ok(output) => return Ok(output),
            Err(refusal) => refusal,
        };
        let again = |why: &str| {
            let operation = Some(classify::name(service, operation, region));
            Failure { operation, ..Failure::new(Class::Throttled, why) }
        };
        match cause {
            Cause::Expired => {
                Box::pin(self.renewed(region, generation, failure)).await?;
                Err(again("the credentials were renewed"))
            }
            Cause::Clock(ahead) if self.is_first_of_clock(region, service, ahead) => {
                Err(again("the request was signed with a wrong date"))
            }
            _ => Err(failure),
        }
    }

    /// Whether a request that was dated wrongly is to be sent again: once. The SDK has read the service's time from the refusal
    /// and dates the next one by it (aws-runtime, `service_clock_skew.rs`), but only ever the next one.
    /// See docs/aws-behaviour.md#clock-skew.
    fn is_first_of_clock(&self, region: &Region, service: &'static str, ahead: Option<i64>) -> bool {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        if clocks.is_empty() {
            let off = ahead.map_or_else(|| "wrong".to_owned(), amount);
            tracing::warn!("this machine's clock is {off}: calls are dated by AWS's clock; set this one");
        }
        clocks.insert((region.clone(), service), false).unwrap_or(true)
    }

    /// What the answer means.
    async fn once<T, E>(
        &self,
        region: &Region,
        service: &'static str,
        operation: &'static str,
        kind: Kind,
        within: Option<Duration>,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Refusal>
    where
        E: SdkRefusal,
    {
        // Before a run, each command has a limit of its own.
        let run = self.renewal.patience().map(|run| (run, looking::silent(service, region)));
        if let Some((_, who)) = &run
            && let Some(failure) = self.silence.given_up(who)
        {
            return Err(Refusal { failure, cause: Cause::Other });
        }
        let note = |notice: &dyn Fn(&Silent) -> Option<Notice>| {
            if let Some((run, who)) = &run
                && let Some(notice) = notice(who)
            {
                // A run that has ended listens no more.
                drop(run.tell.send(notice));
            }
        };
        self.renewal.hold().await;
        self.limits.permit(region, service, operation, kind).await;
        let _waiting = self.waiting.begin(region);
        // No longer than was announced.
        let announced = run.as_ref().and_then(|(_, who)| self.silence.left(who));
        let limit = within.into_iter().chain(announced).min().unwrap_or(Duration::MAX);
        // Before the call, so that its time limit does not include this: STS may have to be called first, and more than once.
        match timeout(limit, Box::pin(self.wallet.get())).await {
            Ok(Ok(_)) => {}
            Ok(Err(none)) => return Err(self.without_credentials(none, region, service, operation)),
            // Nothing was sent, so the Region is not to blame.
            Err(_) => return Err(Refusal { failure: self.wallet.late(limit), cause: Cause::Other }),
        }
        let span = tracing::debug_span!("aws", service, operation, %region, request_id = tracing::field::Empty);
        async {
            let began = Instant::now();
            // On the heap: it is large, and what is awaited inside of it is polled on top of it.
            let Ok(answer) = timeout(limit, Box::pin(call)).await else {
                note(&|who| self.silence.lost(who, began));
                let given_up = run.as_ref().and_then(|(_, who)| self.silence.given_up(who));
                let given_up = given_up.map(|failure| Refusal { failure, cause: Cause::Other });
                return Err(given_up.unwrap_or_else(|| silent(limit, region, service, operation)));
            };
            match answer {
                Ok(output) => {
                    tracing::debug!("done");
                    self.unheard.heard(service, region);
                    note(&|who| self.silence.heard(who));
                    self.accepted(region, service);
                    Ok(output)
                }
                Err(error) => {
                    let mut refusal = classify::refusal(self, region, service, operation, &error);
                    let failure = &refusal.failure;
                    if error.raw_response().is_some() {
                        self.unheard.heard(service, region);
                        note(&|who| self.silence.heard(who));
                    } else if matches!(failure.class, Class::Ambiguous | Class::Unreachable) {
                        note(&|who| self.silence.lost(who, began));
                    }
                    if error.as_service_error().is_some() && failure.class != Class::Denied {
                        self.accepted(region, service);
                    }
                    if let Some(id) = &failure.request_id {
                        tracing::Span::current().record("request_id", id);
                    }
                    tracing::debug!(class = ?failure.class, code = failure.code, "{}", failure.message);
                    let is_lost = error.raw_response().is_none();
                    // Whoever was told that it is asked until some time relies on that.
                    let told = run.as_ref().map(|(_, who)| who).filter(|who| is_lost && self.silence.is_told(who));
                    refusal.failure.silent = told.cloned();
                    Err(refusal)
                }
            }
        }
        .instrument(span)
        .await
    }

    /// A caller is known where this came from, and its clock is right there.
    fn accepted(&self, region: &Region, service: &'static str) {
        self.renewal.passed();
        self.clocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((region.clone(), service))
            .and_modify(|first| *first = true);
        // What is one for all Regions says nothing of a single one.
        if global_name(service).is_none() {
            self.accepting.lock().unwrap_or_else(PoisonError::into_inner).insert(region.clone());
        }
    }

    /// Nothing was sent. During a run, missing credentials are treated like expired ones.
    fn without_credentials(&self, none: Failure, region: &Region, service: &str, operation: &str) -> Refusal {
        let mut failure = none;
        failure.operation = Some(classify::name(service, operation, region));
        if failure.help.is_none() {
            failure.help = advice::help(self, region, "sts", &failure, Cause::Other);
        }
        let is_end = failure.class == Class::Denied || self.renewal.is_patient();
        Refusal { failure, cause: if is_end { Cause::Expired } else { Cause::Other } }
    }
}

/// Nothing came within `limit`.
fn silent(limit: Duration, region: &Region, service: &str, operation: &str) -> Refusal {
    let operation = Some(classify::name(service, operation, region));
    Refusal { failure: Failure { operation, ..looking::failure(limit, service, region) }, cause: Cause::Other }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::SystemTime;

    use aws_sdk_sts::error::SdkError;
    use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError as Refusal;
    use aws_smithy_types::DateTime;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::date_time::Format;
    use aws_smithy_types::error::ErrorMetadata;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::{Connection, Patience};

    /// How often a read is tried whose first `times` answers are `refusal`, and how it ends.
    async fn tried(times: usize, refusal: impl Fn() -> SdkError<Refusal, HttpResponse>) -> (usize, Result<(), Class>) {
        let aws = Aws::unreached().await;
        let tries = Cell::new(0);
        let call = || {
            tries.set(tries.get() + 1);
            let answer = if tries.get() > times { Ok(()) } else { Err(refusal()) };
            std::future::ready(answer)
        };
        let end = aws.read(&"us-east-1".into(), "sts", "GetCallerIdentity", call).await;
        (tries.get(), end.map_err(|failure| failure.class))
    }

    fn answer(status: u16, code: &str) -> SdkError<Refusal, HttpResponse> {
        let response = HttpResponse::new(status.try_into().expect("a status"), SdkBody::empty());
        SdkError::service_error(Refusal::generic(ErrorMetadata::builder().code(code).build()), response)
    }

    fn cut() -> SdkError<Refusal, HttpResponse> {
        let why = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        SdkError::dispatch_failure(aws_smithy_runtime_api::client::result::ConnectorError::io(why.into()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_read_outlasts_a_burst() {
        let began = Instant::now();
        assert_eq!(tried(20, || answer(400, "Throttling")).await, (21, Ok(())));
        assert!(began.elapsed() > Duration::from_secs(30), "{:?}", began.elapsed());
        let (_, end) = tried(usize::MAX, || answer(400, "Throttling")).await;
        assert_eq!(end, Err(Class::Throttled));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_whose_answers_are_lost_is_given_up_after_a_few() {
        assert_eq!(tried(READS - 1, || answer(500, "InternalFailure")).await, (READS, Ok(())));
        assert_eq!(tried(usize::MAX, || answer(500, "InternalFailure")).await, (READS, Err(Class::Ambiguous)));
        assert_eq!(tried(usize::MAX, || answer(403, "AccessDenied")).await, (1, Err(Class::Denied)));
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_cuts_every_time_is_not_there() {
        assert_eq!(tried(usize::MAX, cut).await, (READS, Err(Class::Unreachable)));
        let once = Cell::new(true);
        let first = || if once.take() { answer(500, "InternalFailure") } else { cut() };
        assert_eq!(tried(usize::MAX, first).await, (READS, Err(Class::Ambiguous)));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_silent_while_aws_is_looked_at_is_named_and_not_asked_again() {
        let aws = Aws::unreached().await;
        let (sent, limit) = (Cell::new(0), Duration::from_secs(4));
        let never = || {
            sent.set(sent.get() + 1);
            std::future::pending::<Result<(), SdkError<Refusal, HttpResponse>>>()
        };
        let began = Instant::now();
        {
            let _looking = aws.looking(limit, limit);
            // As when a table of the other Region is read, and its replica here.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let failure = aws.read(&"us-east-2".into(), "dynamodb", "DescribeTable", never).await.expect_err("silent");
            assert_eq!(began.elapsed(), limit, "{failure}");
            let said = "dynamodb:DescribeTable in us-east-2: us-east-2 did not answer within 4 s";
            assert_eq!((failure.to_string().as_str(), failure.class), (said, Class::TimedOut));
        }
        let _looking = aws.looking(limit, limit);
        let failure = aws.read(&"us-east-2".into(), "rds", "DescribeDBClusters", never).await.expect_err("known");
        let said = "rds:DescribeDBClusters in us-east-2: us-east-2 did not answer within 4 s";
        assert_eq!((failure.to_string().as_str(), sent.get(), began.elapsed()), (said, 1, limit));
        // One for all Regions, wherever it is asked from.
        let failure = aws.read(&"us-east-2".into(), "iam", "ListRoles", never).await.expect_err("silent");
        assert_eq!(failure.to_string(), "iam:ListRoles in us-east-1: IAM did not answer within 4 s");
        assert!(failure.help.is_some_and(|help| help.contains("with its control plane in us-east-1")));
        // What changes something is always sent.
        let fine = std::future::ready(Ok::<(), SdkError<Refusal, HttpResponse>>(()));
        assert_eq!(aws.mutate(&"us-east-2".into(), "rds", "DeleteDBCluster", fine).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_throttles_for_longer_than_an_answer_may_take_is_not_silent() {
        let aws = Aws::unreached().await;
        let _looking = aws.looking(Duration::from_secs(6), Duration::from_mins(5));
        let tries = Cell::new(0);
        let call = || {
            tries.set(tries.get() + 1);
            let throttled = tries.get() < 10;
            std::future::ready(if throttled { Err(answer(400, "Throttling")) } else { Ok(()) })
        };
        let began = Instant::now();
        assert_eq!(aws.read(&"us-east-1".into(), "kms", "ListResourceTags", call).await, Ok(()));
        assert!(began.elapsed() > Duration::from_secs(10), "{:?}", began.elapsed());
    }

    fn unanswered() -> SdkError<Refusal, HttpResponse> {
        SdkError::timeout_error("no answer")
    }

    #[tokio::test(start_paused = true)]
    async fn a_region_that_does_not_answer_is_told_and_given_up_in_a_run_and_only_there() {
        let aws = Aws::unreached().await;
        let asked = Cell::new(0);
        let hangs = || async {
            asked.set(asked.get() + 1);
            tokio::time::sleep(Duration::from_secs(20)).await;
            Err::<(), _>(unanswered())
        };
        let gone = Region::from("us-east-2");
        // As a plan and the checks before it ask, and as often as ever.
        let failure = aws.read(&gone, "rds", "DescribeDBClusters", hangs).await.expect_err("no answer");
        assert_eq!((failure.class, asked.replace(0)), (Class::Unreachable, READS));

        let (_trigger, shutdown) = drctl_engine::cancel::shutdown();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let _run = aws.wait_for_credentials(Patience { limit: Duration::ZERO, shutdown, tell });
        tokio::time::sleep(Duration::from_mins(5)).await;
        let began = Instant::now();
        let failure = aws.read(&gone, "rds", "DescribeDBClusters", hangs).await.expect_err("no answer");
        assert!(began.elapsed() < Duration::from_secs(220), "{:?}", began.elapsed());
        assert_eq!(failure.class, Class::TimedOut, "the engine does not repeat that: {failure}");
        assert!(failure.message.starts_with("us-east-2 has not answered since "), "{failure}");
        let notices = std::iter::from_fn(|| told.try_recv().ok()).count();
        assert!((4..=7).contains(&notices), "every half minute, and when it is over: {notices}");
        assert!(began.elapsed() <= Duration::from_secs(181), "no longer than announced: {:?}", began.elapsed());
        // Nothing is sent there any more; the other Region answers, and so do the services that are one for all.
        let (began, sent) = (Instant::now(), asked.get());
        assert_eq!(aws.mutate(&gone, "ec2", "CreateVpc", hangs()).await, Err(failure));
        assert_eq!((began.elapsed(), asked.get()), (Duration::ZERO, sent));
        let fine = || std::future::ready(Ok::<(), SdkError<Refusal, HttpResponse>>(()));
        for (region, service) in [("us-east-1", "rds"), ("us-east-2", "iam")] {
            assert_eq!(aws.read(&region.into(), service, "Describe", fine).await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_is_lost_in_a_silence_that_was_told_says_so() {
        let aws = Aws::unreached().await;
        let (_trigger, shutdown) = drctl_engine::cancel::shutdown();
        let (tell, _told) = tokio::sync::mpsc::unbounded_channel();
        let _run = aws.wait_for_credentials(Patience { limit: Duration::ZERO, shutdown, tell });
        let gone = Region::from("us-east-2");
        let began = Instant::now();
        let mut seen = Vec::new();
        // As the engine repeats it.
        while seen.last() != Some(&(Class::TimedOut, false)) {
            let hangs = async {
                tokio::time::sleep(Duration::from_secs(12)).await;
                Err::<(), _>(unanswered())
            };
            let failure = aws.mutate(&gone, "rds", "DeleteDBInstance", hangs).await.expect_err("no answer");
            seen.push((failure.class, failure.silent.is_some()));
        }
        assert_eq!(seen[..2], [(Class::Ambiguous, false), (Class::Ambiguous, true)], "told after 15 s");
        assert!(seen[2..seen.len() - 1].iter().all(|one| *one == (Class::Ambiguous, true)), "{seen:?}");
        assert_eq!(began.elapsed(), Duration::from_mins(3));
    }

    /// STS, whose clock is `ahead` seconds before this one, and which takes only what is dated by it; or nothing, when it is
    /// stubborn. Counts what it is asked.
    async fn sts(ahead: i64, stubborn: bool) -> (Aws, std::sync::Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = std::sync::Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 16384];
                let read = stream.read(&mut request).await.expect("asked");
                count.fetch_add(1, Ordering::SeqCst);
                let now = DateTime::from_secs(DateTime::from(SystemTime::now()).secs() + ahead);
                let head = String::from_utf8_lossy(&request[..read]).into_owned();
                let dated = head.lines().find_map(|line| line.strip_prefix("x-amz-date: ")).expect("a date");
                let iso =
                    format!("{}-{}-{}:{}:{}", &dated[..4], &dated[4..6], &dated[6..11], &dated[11..13], &dated[13..]);
                let dated = DateTime::from_str(&iso, Format::DateTime).expect("a date").secs();
                let (status, body) = if stubborn || (dated - now.secs()).abs() > 300 {
                    let said = "Signature expired: 1 is now earlier than 2";
                    let error = format!("<Error><Code>SignatureDoesNotMatch</Code><Message>{said}</Message></Error>");
                    ("403 Forbidden", format!("<ErrorResponse>{error}</ErrorResponse>"))
                } else {
                    let account = "<GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult>";
                    ("200 OK", format!("<GetCallerIdentityResponse>{account}</GetCallerIdentityResponse>"))
                };
                let date = now.fmt(Format::HttpDate).expect("a date");
                let answer = format!(
                    "HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: \
                     close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.expect("answered");
            }
        });
        let account = Some("1".repeat(12));
        (Aws::connect(&Connection { region: "us-east-1".to_owned(), endpoint: Some(endpoint), account }).await, asked)
    }

    #[tokio::test]
    async fn a_wrong_clock_is_put_right_by_the_first_answer() {
        for ahead in [3600, -7200] {
            let (aws, asked) = sts(ahead, false).await;
            let region = Region::from("us-east-1");
            let limit = Duration::from_secs(10);
            assert_eq!(aws.account(std::slice::from_ref(&region), limit).await.as_deref(), Ok("111122223333"));
            assert_eq!(asked.load(Ordering::SeqCst), 2, "refused once");
            let sts = aws.at(&region).sts.clone();
            let again = aws.mutate(&region, "sts", "GetCallerIdentity", sts.get_caller_identity().send()).await;
            assert!(again.is_ok() && asked.load(Ordering::SeqCst) == 3, "{again:?}");
        }
    }

    #[tokio::test]
    async fn a_change_that_was_dated_wrongly_is_sent_again_by_whoever_repeats_changes() {
        let (aws, asked) = sts(3600, false).await;
        let region = Region::from("us-east-1");
        let sts = aws.at(&region).sts.clone();
        let send = || aws.mutate(&region, "sts", "GetCallerIdentity", sts.get_caller_identity().send());
        let first = send().await.expect_err("refused");
        assert_eq!(first.class, Class::Throttled, "{first}");
        assert!(send().await.is_ok() && asked.load(Ordering::SeqCst) == 2);
    }

    #[tokio::test]
    async fn a_clock_that_cannot_be_put_right_is_named() {
        let (aws, asked) = sts(3600, true).await;
        let region = Region::from("us-east-1");
        let failure = aws.account(&[region], Duration::from_secs(10)).await.expect_err("refused");
        assert_eq!((failure.class, asked.load(Ordering::SeqCst)), (Class::Denied, 2), "{failure}");
        let help = failure.help.expect("advice");
        assert!(help.starts_with("This machine's clock is wrong: it is 60 min behind AWS's."), "{help}");
    }

    /// What is advised when a call is refused so in `here`, after another Region has taken the credentials or not.
    async fn advised(code: &str, message: &str, elsewhere: bool) -> String {
        let aws = Aws::unreached().await;
        if elsewhere {
            let fine = || std::future::ready(Ok::<(), SdkError<Refusal, HttpResponse>>(()));
            aws.read(&"us-east-1".into(), "sts", "GetCallerIdentity", fine).await.expect("taken");
        }
        let refusal = || {
            let response = HttpResponse::new(403.try_into().expect("a status"), SdkBody::empty());
            let meta = ErrorMetadata::builder().code(code).message(message).build();
            std::future::ready(Err::<(), _>(SdkError::service_error(Refusal::generic(meta), response)))
        };
        let failure = aws.read(&"ap-east-1".into(), "ec2", "DescribeVpcs", refusal).await.expect_err("refused");
        assert_eq!(failure.class, Class::Denied, "{failure}");
        failure.help.expect("advice")
    }

    #[tokio::test]
    async fn a_region_that_is_not_enabled_is_told_from_credentials_that_are_wrong() {
        let unknown = "AWS was not able to validate the provided access credentials";
        for code in ["AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"] {
            let help = advised(code, unknown, true).await;
            let asked = "Is ap-east-1 enabled for the account (opt-in)? The other Region accepts the same \
                         credentials.";
            assert!(help.starts_with(asked), "{code}: {help}");
            let help = advised(code, unknown, false).await;
            assert!(help.starts_with("Set AWS_PROFILE"), "{code}: {help}");
        }
    }

    #[tokio::test]
    async fn each_kind_of_policy_that_denies_has_its_own_advice() {
        let caller = "User: arn:aws:iam::111122223333:user/ops is not authorized to perform: ec2:DescribeVpcs";
        for (why, expected) in [
            ("with an explicit deny in a service control policy", "a grant in the account cannot override that"),
            (
                "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1",
                "a grant in the account cannot override that",
            ),
            (
                "because no service control policy allows the ec2:DescribeVpcs action",
                "a grant in the account cannot \
                                                                                      override that",
            ),
            ("with an explicit deny in a resource control policy", "resource control policy of the organisation"),
            ("because no permissions boundary allows the ec2:DescribeVpcs action", "added to the boundary"),
            ("with an explicit deny in a permissions boundary", "added to the boundary"),
            ("because no session policy allows the ec2:DescribeVpcs action", "Assume the role"),
            ("with an explicit deny in a VPC endpoint policy", "VPC endpoint"),
            ("because no VPC endpoint policy allows the ec2:DescribeVpcs action", "VPC endpoint"),
            (
                "with an explicit deny in a resource-based policy",
                "denies it, and no grant to the caller can override \
                                                                  that",
            ),
            ("because no resource-based policy allows the ec2:DescribeVpcs action", "caller added to that policy"),
            ("with an explicit deny in an identity-based policy", "Remove that statement"),
            ("with an explicit deny", "another grant does not help"),
            ("because no identity-based policy allows the ec2:DescribeVpcs action", "Grant the action named above"),
        ] {
            for code in ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException"] {
                let help = advised(code, &format!("{caller} {why}"), false).await;
                assert!(help.contains(expected), "{why}: {help}");
            }
        }
    }
}
