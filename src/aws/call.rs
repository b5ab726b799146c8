//! The one way through which every call to AWS goes: rate limit, trace, classification, and repetition of reads.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use tracing::Instrument as _;

use super::classify;
use super::clients::Aws;
use super::limits::Kind;
use crate::engine::{Class, Failure, Region};

/// How often a read is tried: an answer that was lost or throttled says nothing about what it asked for.
const READS: u32 = 5;

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
        let mut attempt = 0;
        loop {
            let (failure, broke_off) = match self.once(region, service, operation, Kind::Read, call()).await {
                Ok(output) => return Ok(output),
                Err(refused) => refused,
            };
            attempt += 1;
            let tries = match failure.class {
                Class::Throttled | Class::Ambiguous => READS,
                // A Region that is gone is not made better by asking longer.
                Class::Unreachable => 2,
                _ => 1,
            };
            if attempt >= tries {
                // Cut every time: nobody is there.
                let class = if broke_off { Class::Unreachable } else { failure.class };
                return Err(Failure { class, ..failure });
            }
            tracing::debug!(%failure, attempt, "repeated");
            tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(attempt)).await;
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
        self.once(region, service, operation, Kind::Mutate, call).await.map_err(|(failure, _)| failure)
    }

    /// What the answer means; and of what failed, whether the connection broke off.
    async fn once<T, E>(
        &self,
        region: &Region,
        service: &'static str,
        operation: &'static str,
        kind: Kind,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, (Failure, bool)>
    where
        E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
    {
        self.limits.permit(region, service, operation, kind).await;
        let span = tracing::debug_span!("aws", service, operation, %region, request_id = tracing::field::Empty);
        async {
            match call.await {
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
