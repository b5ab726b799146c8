//! The cloud as the engine sees it: one driver per type.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use super::model::{name_of, refers};
use super::types::{ResourceType, TYPES};
use super::{Call, Cloud, Op};
use crate::driver::{
    Attempt, Change, Deletion, Driver, DriverRegistry, Live, Region, Synced, TypeInfo, TypicalDurations,
};
use crate::failure::Failure;
use crate::reference::Properties;
use crate::state::Address;

struct CloudDriver {
    cloud: Cloud,
    of: &'static ResourceType,
}

impl CloudDriver {
    fn call(&self, op: Op, region: &Region, name: String) -> Call {
        let kind = self.of.traits.kind;
        Call { at: Instant::now(), op, kind, region: region.to_string(), name, token: None, refers: Vec::new() }
    }

    fn name(&self, region: &Region, id: &str) -> String {
        self.cloud.lock().find(self.of, region, id).map_or_else(|| id.to_owned(), |resource| resource.name.clone())
    }
}

impl Driver for CloudDriver {
    fn traits(&self) -> &TypeInfo {
        &self.of.traits
    }

    fn expected(&self, _: &Address) -> TypicalDurations {
        self.of.expected
    }

    fn natural_id(&self, desired: &Properties) -> Option<String> {
        let name = desired.get("name").and_then(Value::as_str)?;
        self.of.is_named.then(|| format!("{}/{name}", self.of.traits.kind))
    }

    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        let call = self.call(Op::List, region, self.of.traits.kind.to_owned());
        Box::pin(self.cloud.call(call, move |model| Ok(model.list(self.of, region))))
    }

    fn search<'a>(&'a self, region: &'a Region, attempt: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        let call = self.call(Op::Search, region, self.of.traits.kind.to_owned());
        let call = Call { token: Some(attempt.token.clone()), ..call };
        Box::pin(self.cloud.call(call, move |model| Ok(model.search(self.of, region, attempt))))
    }

    fn read<'a>(&'a self, region: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        let call = self.call(Op::Read, region, self.name(region, id));
        Box::pin(self.cloud.call(call, move |model| Ok(model.read(self.of, region, id))))
    }

    fn create<'a>(
        &'a self,
        region: &'a Region,
        desired: &'a Properties,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        let call = self.call(Op::Create, region, name_of(desired));
        let call = Call { token: Some(attempt.token.clone()), refers: refers(desired), ..call };
        Box::pin(self.cloud.call(call, move |model| model.create(self.of, region, desired, attempt)))
    }

    fn sync<'a>(
        &'a self,
        region: &'a Region,
        live: &'a Live,
        desired: &'a Properties,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>> {
        let call = self.call(Op::Sync, region, name_of(desired));
        let call = Call { refers: refers(desired), ..call };
        Box::pin(self.cloud.call(call, move |model| model.sync(self.of, region, &live.id, desired, changes)))
    }

    fn delete<'a>(&'a self, region: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Deletion, Failure>> {
        let call = self.call(Op::Delete, region, self.name(region, &live.id));
        Box::pin(self.cloud.call(call, move |model| model.delete(self.of, region, &live.id)))
    }
}

impl DriverRegistry for Cloud {
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>> {
        let of = TYPES.iter().find(|known| known.traits.kind == kind)?;
        Some(Arc::new(CloudDriver { cloud: self.clone(), of }))
    }
}
