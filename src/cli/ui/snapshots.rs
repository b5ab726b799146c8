//! What people see, as files to read in a review: each view at 80 and at 140 columns. After an intended change:
//! `INSTA_UPDATE=always cargo test snapshots`, and read the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::status::{self, StatusDetails};
use super::testing::{address, change, context, creation, item, live, plan, refused};
use super::{Style, loss, plan as plan_view, summary};
use drctl_engine::{Action, Class, Failure, Item, Outcome, PathSegment, Phase, Plan, Refusal, Report, Weight};

/// Compares what a view renders at both widths.
fn both(name: &str, view: impl Fn(&Style) -> String) {
    for width in [80, 140] {
        insta::assert_snapshot!(format!("{name}_{width}"), view(&Style::plain(width)));
    }
}

/// A plan with one item of every kind.
fn everything() -> Plan {
    let cidr = drctl_engine::Change {
        forces_replacement: Some("the primary CIDR block of a VPC cannot be changed"),
        ..change("cidr", json!("10.0.0.0/16"), json!("10.9.0.0/16"))
    };
    let kept = Some(Ok(Weight { kept: Some("a snapshot needs it".to_owned()), ..Weight::default() }));
    plan(vec![
        creation(
            "primary/subnet/public-a",
            json!({ "cidr": "10.9.0.0/20", "zone": "us-east-1a", "map_public_ip": true }),
        ),
        Item { changes: vec![cidr], ..item("primary/vpc/main", Action::Replace) },
        Item {
            changes: vec![
                change("threshold", json!(1.0), json!(5.0)),
                change("tags.team", json!(null), json!("payments")),
            ],
            ..item("primary/alarm/api-errors", Action::Update)
        },
        Item { reason: Some("its outputs have changed".to_owned()), ..item("secondary/api/main", Action::Record) },
        Item { live: Some(live(Phase::Ready)), ..item("secondary/s3_bucket/data", Action::Delete) },
        Item {
            reason: Some("it is kept: a snapshot needs it".to_owned()),
            weight: kept,
            live: Some(live(Phase::Ready)),
            ..item("secondary/kms_key/main", Action::Delete)
        },
        Item { failure: Some(refused()), ..item("global/hosted_zone/main", Action::Unknown) },
        item("primary/route_table/public", Action::None),
    ])
}

#[test]
fn a_plan_with_one_of_everything() {
    both("plan", |style| plan_view::render(&everything(), &context(false), style));
}

#[test]
fn a_refused_plan() {
    let names: Vec<_> = ["secondary/db_cluster/main", "secondary/db_instance/main"].map(address).into();
    let refusal = Refusal {
        replaced: true,
        why: "subnet_group: a cluster cannot be moved to other subnets".to_owned(),
        names,
        impossible: None,
    };
    let weight = Some(Ok(Weight { stake: Some("the database in pay-secondary".to_owned()), ..Weight::default() }));
    let plan =
        plan(vec![Item { refusal: Some(refusal), weight, ..item("secondary/db_cluster/main", Action::Refused) }]);
    both("refused", |style| {
        let ways = loss::ways_out(&plan, true);
        let lines: Vec<String> = ways.lines().map(str::to_owned).collect();
        let view = plan_view::render(&plan, &context(false), style);
        format!("{view}\n{}\n{}\n", loss::refused(&plan), loss::wrapped(&lines, style.width))
    });
}

#[test]
fn a_status_with_deviations() {
    both("status", |style| status::render(&everything(), &StatusDetails::default(), &context(false), style));
    let all = StatusDetails { all: true, ..StatusDetails::default() };
    both("status_all", |style| status::render(&everything(), &all, &context(false), style));
}

#[test]
fn the_summary_of_a_run_that_failed() {
    let skipped = Failure::new(Class::Refused, "primary/vpc/main failed");
    let outcomes = vec![
        (address("primary/vpc/main"), Action::Create, Outcome::Failed(refused())),
        (address("primary/subnet/public-a"), Action::Create, Outcome::Skipped(address("primary/vpc/main"))),
        (address("secondary/vpc/main"), Action::Create, Outcome::Done),
        (address("secondary/nat_gateway/a"), Action::Create, Outcome::Done),
        (address("secondary/eip/a"), Action::Create, Outcome::Failed(skipped)),
    ];
    let took = |seconds| Duration::from_secs(seconds);
    let report = Report {
        outcomes,
        interrupted: false,
        only_deleted: BTreeSet::new(),
        under_way: BTreeSet::new(),
        state: None,
        took: took(125),
        durations: BTreeMap::from([(address("secondary/nat_gateway/a"), took(105))]),
        critical_path: vec![
            PathSegment { address: address("secondary/vpc/main"), took: took(4) },
            PathSegment { address: address("secondary/nat_gateway/a"), took: took(105) },
        ],
        kept: Vec::new(),
    };
    both("summary", |style| summary::render(&report, style));
}
