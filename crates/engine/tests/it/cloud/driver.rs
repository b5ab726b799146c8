//! The cloud as the engine sees it: one driver per type.

use std::sync::Arc;

use drctl_engine::{Attempt, Change, Driver, Drivers, Failure, Live, Properties, Region, Removal, Synced, Traits};
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use super::{Call, Cloud, KINDS, Kind, Op, name_of, refers};

/// One type's driver.
struct FakeDriver {
    cloud: Cloud,
    kind: &'static Kind,
}

impl FakeDriver {
    fn arriving(&self, op: Op, region: &Region, name: String) -> Call {
        let kind = self.kind.traits.kind;
        Call { at: Instant::now(), op, kind, region: region.to_string(), name, token: None, refers: Vec::new() }
    }

    fn name(&self, region: &Region, id: &str) -> String {
        self.cloud.lock().find(self.kind, region, id).map_or_else(|| id.to_owned(), |thing| thing.name.clone())
    }
}

impl Driver for FakeDriver {
    fn traits(&self) -> &Traits {
        &self.kind.traits
    }

    fn natural_id(&self, desired: &Properties) -> Option<String> {
        let name = desired.get("name").and_then(Value::as_str)?;
        self.kind.named.then(|| format!("{}/{name}", self.kind.traits.kind))
    }

    fn list<'a>(&'a self, region: &'a Region) -> BoxFuture<'a, Result<Vec<Live>, Failure>> {
        let call = self.arriving(Op::List, region, self.kind.traits.kind.to_owned());
        Box::pin(self.cloud.call(call, move |inner| Ok(inner.list(self.kind, region))))
    }

    fn search<'a>(&'a self, region: &'a Region, attempt: &'a Attempt) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        let call = self.arriving(Op::Search, region, self.kind.traits.kind.to_owned());
        let call = Call { token: Some(attempt.token.clone()), ..call };
        Box::pin(self.cloud.call(call, move |inner| Ok(inner.search(self.kind, region, attempt))))
    }

    fn read<'a>(&'a self, region: &'a Region, id: &'a str) -> BoxFuture<'a, Result<Option<Live>, Failure>> {
        let call = self.arriving(Op::Read, region, self.name(region, id));
        Box::pin(self.cloud.call(call, move |inner| Ok(inner.read(self.kind, region, id))))
    }

    fn create<'a>(
        &'a self,
        region: &'a Region,
        desired: &'a Properties,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        let call = self.arriving(Op::Create, region, name_of(desired));
        let call = Call { token: Some(attempt.token.clone()), refers: refers(desired), ..call };
        Box::pin(self.cloud.call(call, move |inner| inner.create(self.kind, region, desired, attempt)))
    }

    fn sync<'a>(
        &'a self,
        region: &'a Region,
        live: &'a Live,
        desired: &'a Properties,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Synced, Failure>> {
        let call = self.arriving(Op::Sync, region, name_of(desired));
        let call = Call { refers: refers(desired), ..call };
        Box::pin(self.cloud.call(call, move |inner| inner.sync(self.kind, region, &live.id, desired, changes)))
    }

    fn delete<'a>(&'a self, region: &'a Region, live: &'a Live) -> BoxFuture<'a, Result<Removal, Failure>> {
        let call = self.arriving(Op::Delete, region, self.name(region, &live.id));
        Box::pin(self.cloud.call(call, move |inner| inner.delete(self.kind, region, &live.id)))
    }
}

impl Drivers for Cloud {
    fn driver(&self, kind: &str) -> Option<Arc<dyn Driver>> {
        let kind = KINDS.iter().find(|known| known.traits.kind == kind)?;
        Some(Arc::new(FakeDriver { cloud: self.clone(), kind }))
    }
}
