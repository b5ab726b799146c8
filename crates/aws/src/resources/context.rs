//! Through which a resource calls AWS.

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
    /// The stack on whose behalf they are made.
    pub scope: Arc<Scope>,
    /// What a deletion keeps.
    pub disposal: Disposal,
    listings: Arc<Mutex<HashMap<(Region, &'static str), Shared>>>,
    within: Option<Duration>,
}

/// What a deletion keeps, and what may be lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disposal {
    /// Whether a cluster leaves a final snapshot.
    pub final_snapshots: bool,
    /// Whether a bucket may be deleted although it is not empty.
    pub empty_buckets: bool,
}

impl Default for Disposal {
    fn default() -> Self {
        Self { final_snapshots: true, empty_buckets: false }
    }
}

impl Context {
    /// A context for one run. Listings are cached while it lives.
    #[must_use]
    pub fn new(aws: Arc<Aws>, region: Region, scope: Arc<Scope>, disposal: Disposal) -> Self {
        Self { aws, region, scope, disposal, listings: Arc::default(), within: None }
    }

    /// The same context in another Region.
    #[must_use]
    pub fn at(&self, region: &str) -> Self {
        Self { region: region.into(), ..self.clone() }
    }

    /// The same context with a limit for each answer to a read. A read that exceeds it is not repeated.
    #[must_use]
    pub fn answering_within(&self, limit: Duration) -> Self {
        Self { within: Some(limit), ..self.clone() }
    }

    /// Forgets the listings, for all contexts that share them.
    pub fn forget(&self) {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The same context without any listing.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self { listings: Arc::default(), ..self.clone() }
    }

    /// The clients of the Region.
    #[must_use]
    pub fn clients(&self) -> Arc<Clients> {
        self.aws.at(&self.region)
    }

    /// Whether calls go to an endpoint that is not AWS.
    #[must_use]
    pub fn is_custom_endpoint(&self) -> bool {
        self.aws.is_custom_endpoint()
    }

    /// The credentials that calls are signed with.
    ///
    /// # Errors
    /// [`Class::Denied`](drctl_engine::Class::Denied) if there are no usable credentials.
    pub async fn credentials(&self) -> Result<aws_credential_types::Credentials, Failure> {
        self.aws.credentials().await
    }

    /// Makes a call that only reads. It is repeated if it is throttled or its answer is lost.
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

    /// All items, or all pages, of a paginated call.
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

    /// Makes a call that changes something. It is sent once.
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

    /// A listing from which several types read, which is made once per run: only for [`Resource::list`](super::Resource::list)
    /// and for weighing deletions.
    ///
    /// # Errors
    /// The failure of `make`; the next caller then tries again.
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
