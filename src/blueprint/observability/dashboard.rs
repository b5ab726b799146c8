//! The dashboards: both Regions side by side, the primary on the left.

use serde_json::{Value, json};

use super::{Observed, alarm_name, mark};
use crate::blueprint::{GLOBAL, Placement, RegionSite, compute, data};
use drctl_aws::facts::Facts;
use drctl_aws::resources::cloudwatch::Dashboard;
use drctl_aws::resources::route53::HealthCheck;
use drctl_aws::resources::s3::RULE_ID;
use drctl_aws::resources::{Id, Ref, Stack};
use drctl_config::Config;
use drctl_engine::GraphError;
use drctl_engine::state::Role;

/// The width of a dashboard, in its own units.
const WIDTH: u32 = 24;

/// The width of a Region's column.
const HALF: u32 = WIDTH / 2;

/// The height of the title.
const TITLE: u32 = 3;

/// The height of everything else.
const HEIGHT: u32 = 6;

/// What a dashboard shows.
pub(super) struct View<'a> {
    pub config: &'a Config,
    pub facts: &'a Facts,
    pub sites: &'a [RegionSite<'a>; 2],
    pub parts: &'a [Observed; 2],
    pub primary_check: &'a Ref<Id<HealthCheck>>,
    /// The short names of the alarms that each Region has.
    pub alarms: Vec<&'static str>,
}

/// Adds the dashboard of one Region, which shows both. Dashboards are global, so their names have to differ. There are two, so
/// that one can still be changed through its own Region when the other Region is down.
pub(super) fn build(stack: &mut Stack<'_>, view: &View<'_>, placement: &Placement<'_>) -> Result<(), GraphError> {
    let [here, there] = view.sites;
    let mut widgets = vec![title(view.config, placement)];
    for ((site, other), part) in [(here, there), (there, here)].into_iter().zip(view.parts) {
        widgets.extend(column(view, site, other, part));
    }
    widgets.push(health(view.primary_check));
    let body = json!({ "widgets": widgets });
    let dashboard = Dashboard { name: format!("{}-{}", view.config.name(), placement.role), body };
    stack.add(placement.role, "main", placement.region, &dashboard).map(drop)
}

fn title(config: &Config, placement: &Placement<'_>) -> Value {
    let name = config.name();
    let mark = mark::<Dashboard>(config, placement.role, "main");
    let markdown = format!("# {name}\nManaged by drctl, which reverts manual changes.\n\n{mark}");
    widget("text", [0, 0, WIDTH, TITLE], &json!({ "markdown": markdown }))
}

/// The column of one Region: its alarms, and graphs below them.
fn column(view: &View<'_>, site: &RegionSite<'_>, other: &RegionSite<'_>, part: &Observed) -> Vec<Value> {
    let x = if site.role == Role::Primary { 0 } else { HALF };
    let titled = |what: &str| format!("{what}: {} ({})", site.region, site.role);
    let arn = |alarm: &&str| {
        let name = alarm_name(view.config, alarm);
        format!("arn:aws:cloudwatch:{}:{}:alarm:{name}", site.region, site.placement.account)
    };
    let alarms: Vec<String> = view.alarms.iter().map(arn).collect();
    let alarms = json!({ "title": titled("Alarms"), "alarms": alarms });
    let mut widgets = vec![widget("alarm", [x, TITLE, HALF, HEIGHT], &alarms)];
    let graphs = [traffic(view, part), errors(view, part), lags(view, site, other), replication(view, site, other)];
    for (row, (what, statistic, metrics)) in (1..).zip(graphs.into_iter().flatten()) {
        let place = [x, TITLE + row * HEIGHT, HALF, HEIGHT];
        widgets.push(graph(place, &titled(what), site.region, statistic, &metrics));
    }
    widgets
}

/// A title, the statistic of each minute, and metrics.
type Graph = (&'static str, &'static str, Vec<Value>);

fn function(view: &View<'_>) -> String {
    compute::function_name(&view.config.name())
}

fn traffic(view: &View<'_>, part: &Observed) -> Vec<Graph> {
    let (api, function) = (part.api.id().exists(), function(view));
    let count = vec![
        json!(["AWS/ApiGateway", "Count", "ApiId", api, { "label": "API requests" }]),
        json!(["AWS/Lambda", "Invocations", "FunctionName", function, { "label": "executions" }]),
    ];
    let time = vec![
        json!(["AWS/ApiGateway", "Latency", "ApiId", api, { "label": "API" }]),
        json!(["AWS/Lambda", "Duration", "FunctionName", function, { "label": "function" }]),
    ];
    vec![("Traffic per minute", "Sum", count), ("Latency (p99), ms", "p99", time)]
}

fn errors(view: &View<'_>, part: &Observed) -> Vec<Graph> {
    let (api, function) = (part.api.id().exists(), function(view));
    let mut errors = vec![
        json!(["AWS/ApiGateway", "5xx", "ApiId", api, { "label": "API 5xx" }]),
        json!(["AWS/ApiGateway", "4xx", "ApiId", api, { "label": "API 4xx" }]),
        json!(["AWS/Lambda", "Errors", "FunctionName", function, { "label": "function errors" }]),
        json!(["AWS/Lambda", "Throttles", "FunctionName", function, { "label": "function throttles" }]),
    ];
    errors.extend(part.nat_gateways.iter().map(|gateway| {
        let label = format!("NAT gateway {} out of ports", gateway.address().name());
        json!(["AWS/NATGateway", "ErrorPortAllocation", "NatGatewayId", gateway.id().exists(), { "label": label }])
    }));
    vec![("Errors per minute", "Sum", errors)]
}

fn lags(view: &View<'_>, site: &RegionSite<'_>, other: &RegionSite<'_>) -> Vec<Graph> {
    let (table, cluster) = (data::table_name(&view.config.name()), data::cluster_name(view.config, site));
    let there = other.region;
    let sessions = format!("sessions to {there}");
    let database = format!("database from {there}");
    let metrics = vec![
        json!([
            "AWS/DynamoDB", "ReplicationLatency", "TableName", table, "ReceivingRegion", there,
            { "label": sessions },
        ]),
        json!([
            "AWS/RDS", "AuroraGlobalDBRPOLag", "DBClusterIdentifier", cluster, "SourceRegion", there,
            { "label": database },
        ]),
    ];
    vec![("Replication lag of table and database, ms", "Maximum", metrics)]
}

fn replication(view: &View<'_>, site: &RegionSite<'_>, other: &RegionSite<'_>) -> Vec<Graph> {
    let bucket = |site: &RegionSite<'_>| data::bucket_name(view.config, view.facts, site.region);
    let (own, others) = (bucket(site), bucket(other));
    let lag = format!("lag from {}, s", other.region);
    let failed = format!("failures to {}", other.region);
    let metrics = vec![
        json!([
            "AWS/S3", "ReplicationLatency", "SourceBucket", others, "DestinationBucket", own, "RuleId", RULE_ID,
            { "label": lag },
        ]),
        json!([
            "AWS/S3", "OperationsFailedReplication", "SourceBucket", own, "DestinationBucket", others, "RuleId", RULE_ID,
            { "label": failed, "stat": "Sum" },
        ]),
    ];
    vec![("Replication of receipts", "Maximum", metrics)]
}

/// Below both columns: the check that DNS follows.
fn health(check: &Ref<Id<HealthCheck>>) -> Value {
    let check = check.clone().exists();
    let label = "1: the name points to the primary";
    let metrics = [json!(["AWS/Route53", "HealthCheckStatus", "HealthCheckId", check, { "label": label }])];
    // Below the alarms and five graphs.
    let place = [0, TITLE + 6 * HEIGHT, WIDTH, HEIGHT];
    graph(place, &format!("Health of the primary: {GLOBAL}"), GLOBAL, "Minimum", &metrics)
}

fn graph(place: [u32; 4], title: &str, region: &str, statistic: &str, metrics: &[Value]) -> Value {
    let properties = json!({
        "title": title,
        "region": region,
        "view": "timeSeries",
        "stacked": false,
        "period": 60,
        "stat": statistic,
        "metrics": metrics,
    });
    widget("metric", place, &properties)
}

/// A widget of a type, at x and y, with width and height.
fn widget(kind: &str, [x, y, width, height]: [u32; 4], properties: &Value) -> Value {
    json!({ "type": kind, "x": x, "y": y, "width": width, "height": height, "properties": properties })
}
