//! Whose an API is: the account and Region of each, by id.
//!
//! A request to an API names neither. This is found out before all other rules, so that a request to an API in a Region
//! is as much of that Region as any call that is signed for it: for faults, for the Regions' conditions, and in the
//! record of calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::HOST;

use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::{Call, Protocol};

/// The owners of the APIs seen so far; also the rule that gives a request its account, Region, and service.
#[derive(Default)]
pub(in crate::rules) struct Owners {
    scopes: Mutex<HashMap<String, Scope>>,
}

impl Owners {
    /// The API that a request is for, and its owner; `None` if it is for no API, or for an unknown one.
    pub(super) fn of(&self, call: &Call) -> Option<(String, Scope)> {
        let host = call.headers.get(HOST)?.to_str().ok()?;
        let (api, _) = host.split_once(".execute-api.")?;
        let owner = lock(&self.scopes).get(api).cloned()?;
        Some((api.to_owned(), owner))
    }

    /// Notes an API that `call`'s caller was shown.
    pub(super) fn learn(&self, api: &str, call: &Call) {
        lock(&self.scopes).insert(api.to_owned(), Scope::of(call));
    }
}

impl Rule for Arc<Owners> {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if let Some((_, owner)) = self.of(call) {
                call.account = owner.account;
                call.region = owner.region;
                "execute-api".clone_into(&mut call.service);
                call.protocol = Protocol::RestJson;
            }
            next.run(call).await
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.scopes).clear();
    }
}
