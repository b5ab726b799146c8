//! What a resource reaches AWS through.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use tokio::sync::OnceCell;

use crate::classify::SdkRefusal;
use crate::{Aws, Clients, Scope};
use drctl_engine::{Failure, Region};

type Shared = Arc<OnceCell<Arc<dyn Any + Send + Sync>>>;

/// AWS in one Region, on behalf of one stack.
#[derive(Clone)]
pub struct Context {
    aws: Arc<Aws>,
    /// The Region that calls go to.
    pub region: Region,
    /// On whose behalf.
    pub scope: Arc<Scope>,
    /// What is kept of what is deleted.
    pub disposal: Disposal,
    listings: Arc<Mutex<HashMap<(Region, &'static str), Shared>>>,
    within: Option<Duration>,
}

/// What is kept of what is deleted, and what may go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disposal {
    /// Whether a cluster leaves a final snapshot.
    pub final_snapshots: bool,
    /// Whether a bucket may be deleted that is not empty.
    pub empty_buckets: bool,
}

impl Default for Disposal {
    fn default() -> Self {
        Self { final_snapshots: true, empty_buckets: false }
    }
}

impl Context {
    /// A context for one run: listings are kept as long as it lives.
    #[must_use]
    pub fn new(aws: Arc<Aws>, region: Region, scope: Arc<Scope>, disposal: Disposal) -> Self {
        Self { aws, region, scope, disposal, listings: Arc::default(), within: None }
    }

    /// The same in another Region.
    #[must_use]
    pub fn at(&self, region: &str) -> Self {
        Self { region: region.into(), ..self.clone() }
    }

    /// The same, where a single answer to a read may take so long. Nobody is asked again after that.
    #[must_use]
    pub fn answering_within(&self, limit: Duration) -> Self {
        Self { within: Some(limit), ..self.clone() }
    }

    /// Forgets the listings, for everyone who shares them.
    pub fn forget(&self) {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The same, with no listing made yet.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self { listings: Arc::default(), ..self.clone() }
    }

    /// The clients of the Region.
    #[must_use]
    pub fn clients(&self) -> Arc<Clients> {
        self.aws.at(&self.region)
    }

    /// Whether calls go to something else than AWS.
    #[must_use]
    pub fn is_custom_endpoint(&self) -> bool {
        self.aws.is_custom_endpoint()
    }

    /// The credentials that calls are signed with.
    ///
    /// # Errors
    /// [`Class::Denied`](drctl_engine::Class::Denied) without usable ones.
    pub async fn credentials(&self) -> Result<aws_credential_types::Credentials, Failure> {
        self.aws.credentials().await
    }

    /// A call that only looks; repeated when its answer was throttled or lost.
    ///
    /// # Errors
    /// What the last answer means.
    pub async fn read<T, E, F>(
        &self,
        service: &'static str,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: SdkRefusal,
    {
        self.aws.read_within(self.within, &self.region, service, operation, call).await
    }

    /// All items, or all pages, of a call that answers page by page.
    ///
    /// # Errors
    /// What the answer means.
    pub async fn pages<T, E>(
        &self,
        service: &'static str,
        operation: &'static str,
        call: impl Fn() -> PaginationStream<Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<Vec<T>, Failure>
    where
        E: SdkRefusal,
    {
        self.read(service, operation, || call().collect()).await
    }

    /// A call that changes something. Sent once.
    ///
    /// # Errors
    /// What the answer means.
    pub async fn mutate<T, E>(
        &self,
        service: &'static str,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: SdkRefusal,
    {
        self.aws.mutate(&self.region, service, operation, call).await
    }

    /// A listing that several types read from, made once per run: only for [`Resource::list`](super::Resource::list).
    ///
    /// # Errors
    /// What `make` fails with; then the next one tries again.
    pub async fn shared<T: Send + Sync + 'static, F>(
        &self,
        name: &'static str,
        make: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let cell = {
            let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
            listings.entry((self.region.clone(), name)).or_default().clone()
        };
        let listing = cell
            .get_or_try_init(|| async { make().await.map(|listing| Arc::new(listing) as Arc<dyn Any + Send + Sync>) })
            .await?
            .clone();
        listing
            .downcast()
            .map_err(|_| Failure::new(drctl_engine::Class::Internal, format!("two listings are called {name}")))
    }
}
