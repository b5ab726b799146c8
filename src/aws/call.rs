//! The one way through which every call to AWS goes: rate limit, trace, classification, and repetition of reads.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::classify;
use super::clients::Aws;
use super::limits::Kind;
use crate::engine::{Class, Failure, Region, backoff};

/// How often a read is tried whose answer is lost: that says nothing about what it asked for.
const READS: usize = 6;

/// How long a read is repeated that is throttled. That is an answer, and the next one differs: in a burst of half a minute who
/// gives up after a few tries has ended the run for nothing.
const THROTTLED: Duration = Duration::from_mins(2);

/// The first pause between two tries of a read, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(400);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Aws {
    /// A call that only looks; repeated when its answer was throttled or lost.
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
        E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
    {
        self.read_within(None, region, service, operation, call).await
    }

    /// The same, of a Region that may be gone: when a single answer takes longer than `within`, nobody is asked again.
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
        E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
    {
        let began = Instant::now();
        let (mut attempt, mut lost, mut cut) = (0, 0, 0);
        loop {
            let (failure, broke_off) = match self.once(region, service, operation, Kind::Read, within, call()).await {
                Ok(output) => return Ok(output),
                Err(refused) => refused,
            };
            attempt += 1;
            lost += usize::from(failure.class != Class::Throttled);
            cut += usize::from(broke_off);
            let again = match failure.class {
                Class::Throttled => began.elapsed() < THROTTLED,
                Class::Ambiguous => lost < READS,
                // A Region that is gone is not made better by asking longer.
                Class::Unreachable => lost < 2,
                _ => false,
            };
            if !again {
                // Cut every time: nobody is there.
                let class = if cut == attempt { Class::Unreachable } else { failure.class };
                return Err(Failure { class, ..failure });
            }
            tracing::debug!(%failure, attempt, "repeated");
            tokio::time::sleep(backoff(FIRST_PAUSE, LONGEST_PAUSE, attempt)).await;
        }
    }

    /// A call that changes something. Sent once: only the engine knows whether it may be repeated.
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
        E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
    {
        self.once(region, service, operation, Kind::Mutate, None, call).await.map_err(|(failure, _)| failure)
    }

    /// What the answer means; and of what failed, whether the connection broke off.
    async fn once<T, E>(
        &self,
        region: &Region,
        service: &'static str,
        operation: &'static str,
        kind: Kind,
        within: Option<Duration>,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, (Failure, bool)>
    where
        E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
    {
        self.limits.permit(region, service, operation, kind).await;
        let span = tracing::debug_span!("aws", service, operation, %region, request_id = tracing::field::Empty);
        async {
            let limit = within.unwrap_or(Duration::MAX);
            let Ok(answer) = timeout(limit, call).await else {
                return Err((classify::silence(limit, region, service, operation), false));
            };
            match answer {
                Ok(output) => {
                    tracing::debug!("done");
                    Ok(output)
                }
                Err(error) => {
                    let failure = classify::failure(self, region, service, operation, &error);
                    if let Some(id) = &failure.request_id {
                        tracing::Span::current().record("request_id", id);
                    }
                    tracing::debug!(class = ?failure.class, code = failure.code, "{}", failure.message);
                    Err((failure, classify::broke_off(&error)))
                }
            }
        }
        .instrument(span)
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use aws_sdk_sts::error::SdkError;
    use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError as Refusal;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;
    use crate::aws::Connection;

    /// How often a read is tried whose first `times` answers are `refusal`, and how it ends.
    async fn tried(times: usize, refusal: impl Fn() -> SdkError<Refusal, HttpResponse>) -> (usize, Result<(), Class>) {
        let connection = Connection {
            region: "us-east-1".to_owned(),
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            account: Some("1".repeat(12)),
        };
        let aws = Aws::connect(&connection).await;
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
}
