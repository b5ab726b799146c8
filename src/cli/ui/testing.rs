//! What the tests of the views share.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::PlanContext;
use super::text::columns;
use drctl_engine::state::{Address, Role};
use drctl_engine::{Action, Change, Class, Failure, Item, Live, Owner, Phase, Plan, Properties};

/// A writer whose clones share what was written.
#[derive(Clone, Default)]
pub(in crate::cli) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// What was written so far.
    pub(in crate::cli) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no writer panicked").clone()).expect("UTF-8")
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A parsed address.
pub(super) fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// A planned action with as little else as possible.
pub(super) fn item(at: &str, action: Action) -> Item {
    let address = address(at);
    let region = if address.role() == Role::Secondary { "us-east-2" } else { "us-east-1" };
    let there = matches!(action, Action::None | Action::Record | Action::Update | Action::Replace | Action::Delete);
    Item {
        id: there.then(|| format!("{}-0abc", address.kind())),
        address,
        region: region.to_owned(),
        action,
        reason: None,
        recorded: there,
        changes: Vec::new(),
        unsupported: BTreeMap::new(),
        failure: None,
        refusal: None,
        expected: Duration::from_secs(105),
        live: None,
        weight: None,
        depends_on: Vec::new(),
        waits_for: Vec::new(),
    }
}

/// A creation with these properties.
pub(super) fn creation(at: &str, properties: Value) -> Item {
    let Value::Object(properties) = properties else { panic!("properties are an object") };
    let changes = properties
        .into_iter()
        .map(|(property, new)| Change { property, old: Value::Null, new, forces_replacement: None })
        .collect();
    Item { changes, ..item(at, Action::Create) }
}

/// A property that differs.
pub(super) fn change(property: &str, old: Value, new: Value) -> Change {
    Change { property: property.to_owned(), old, new, forces_replacement: None }
}

/// A live resource in this phase.
pub(super) fn live(phase: Phase) -> Box<Live> {
    Box::new(Live {
        id: "x-0abc".to_owned(),
        arn: None,
        phase,
        owner: Owner::Implied,
        properties: Properties::new(),
        outputs: BTreeMap::new(),
        goes_after: Vec::new(),
    })
}

/// A refusal with everything that a refusal may have.
pub(super) fn refused() -> Failure {
    Failure {
        operation: Some("ec2:CreateVpc in us-east-1".to_owned()),
        code: Some("VpcLimitExceeded".to_owned()),
        request_id: Some("4f6e-11".to_owned()),
        ..Failure::new(Class::Refused, "The maximum number of VPCs has been reached")
            .help("Ask for a higher quota in Service Quotas (VPCs per Region), or delete a VPC that is no longer used.")
    }
}

/// A plan of these items.
pub(super) fn plan(items: Vec<Item>) -> Plan {
    Plan { items }
}

/// The context that all tests use.
pub(super) fn context(verbose: bool) -> PlanContext {
    PlanContext {
        title: "payment-dr-dev".to_owned(),
        account: "123456789012".to_owned(),
        primary_region: "us-east-1".to_owned(),
        secondary_region: "us-east-2".to_owned(),
        endpoint: None,
        verbose,
    }
}

/// Asserts that no line is too wide or contains control codes.
pub(super) fn assert_fits(text: &str, width: usize) {
    for line in text.lines() {
        assert!(columns(line) <= width, "{} columns of {width}: {line}", columns(line));
        assert!(!line.contains('\u{1b}'), "control codes: {line:?}");
    }
}
