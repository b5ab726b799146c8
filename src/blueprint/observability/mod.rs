//! Observability: alarms, the subscriptions to their mails, and dashboards.

mod dashboard;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{GLOBAL, Placement, RegionSite, base, compute, data, named};
use drctl_aws::facts::Facts;
use drctl_aws::resources::apigatewayv2::Api;
use drctl_aws::resources::cloudwatch::{self, Alarm, Query};
use drctl_aws::resources::ec2::NatGateway;
use drctl_aws::resources::route53::HealthCheck;
use drctl_aws::resources::s3::RULE_ID;
use drctl_aws::resources::sns::{Subscription, Topic};
use drctl_aws::resources::{Handle, Id, Ref, Resource, Stack};
use drctl_config::Config;
use drctl_engine::GraphError;
use drctl_engine::state::{Address, Role};

const AT_LEAST: &str = "GreaterThanOrEqualToThreshold";
const BELOW: &str = "LessThanThreshold";

/// The parts of one Region that are observed.
pub(super) struct Observed {
    /// The topic that alarms are sent to.
    pub topic: Handle<Topic>,
    /// The API.
    pub api: Handle<Api>,
    /// The NAT gateways.
    pub nat_gateways: Vec<Handle<NatGateway>>,
}

/// Adds everything.
pub(super) fn build(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    sites: &[RegionSite<'_>; 2],
    parts: &[Observed; 2],
    primary_check: &Ref<Id<HealthCheck>>,
) -> Result<(), GraphError> {
    let [here, there] = sites;
    let mut alarms = Vec::new();
    for ((site, other), part) in [(here, there), (there, here)].into_iter().zip(parts) {
        let mut watches = service(config, part);
        watches.extend(replication(config, facts, site, other));
        alarms = watches.iter().map(|watch| watch.name).collect();
        for watch in watches {
            alarm(stack, config, &site.placement, &part.topic, watch)?;
        }
        mails(stack, config, &site.placement, &part.topic)?;
    }
    let view = dashboard::View { config, facts, sites, parts, primary_check, alarms };
    for site in sites {
        dashboard::build(stack, &view, &site.placement)?;
    }
    let placement = Placement { role: Role::Global, region: GLOBAL, account: &facts.account };
    let topic = match sites.iter().zip(parts).find(|(site, _)| site.region == GLOBAL) {
        Some((_, part)) => part.topic.clone(),
        None => topic_for_the_check(stack, config, &placement)?,
    };
    alarm(stack, config, &placement, &topic, health(primary_check))
}

/// An alarm reaches topics of its own Region only, and the one on the deciding check has to live where
/// the check's metric does. A stack that does not use this Region gets a topic there, with the key that encrypts it.
/// See docs/aws-behaviour.md#alarms-reach-their-own-region.
fn topic_for_the_check(
    stack: &mut Stack<'_>,
    config: &Config,
    placement: &Placement<'_>,
) -> Result<Handle<Topic>, GraphError> {
    let key = base::key(stack, config, placement)?;
    let topic = base::topic(stack, config, placement, &key)?;
    mails(stack, config, placement, &topic)?;
    Ok(topic)
}

/// When an alarm goes off, and what it says.
struct Watch {
    name: &'static str,
    text: &'static str,
    queries: Vec<Query>,
    threshold: f64,
    comparison: &'static str,
    /// How many minutes have to be bad.
    bad: i32,
    /// The number of minutes that are considered.
    of: i32,
    missing_data: &'static str,
}

impl Watch {
    /// An alarm on the first bad minute. A minute without data is good. This is for counts of failures: the threshold says how
    /// many are tolerated, and a minute without requests has no data.
    fn count(name: &'static str, text: &'static str, query: Query, bound: u32) -> Self {
        let threshold = f64::from(bound);
        let comparison = AT_LEAST;
        Self { name, text, queries: vec![query], threshold, comparison, bad: 1, of: 1, missing_data: "notBreaching" }
    }

    /// An alarm on three bad minutes of five. This is for durations: a single slow minute is a cold start or a burst, not a
    /// problem.
    fn time(name: &'static str, text: &'static str, query: Query, bound: u32) -> Self {
        Self { bad: 3, of: 5, ..Self::count(name, text, query, bound) }
    }
}

/// Alarms on what serves: the function, the API, the NAT gateways.
fn service(config: &Config, part: &Observed) -> Vec<Watch> {
    let alerts = &config.alerts;
    let function = json!(compute::function_name(&config.name()));
    let lambda =
        |what: &str, statistic: &str| metric("AWS/Lambda", what, statistic, [("FunctionName", function.clone())]);
    // An HTTP API's metrics have other names than a REST API's.
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
    let id = json!(part.api.id().exists());
    let api = |what: &str, statistic: &str| metric("AWS/ApiGateway", what, statistic, [("ApiId", id.clone())]);
    vec![
        Watch::count(
            "lambda-errors",
            "The payment function is failing.",
            lambda("Errors", "Sum"),
            alerts.lambda_errors,
        ),
        Watch::count(
            "lambda-throttles",
            "Lambda rejects payments: the function's concurrency is used up.",
            lambda("Throttles", "Sum"),
            alerts.lambda_throttles,
        ),
        Watch::time(
            "lambda-duration",
            "The payment function is slow: the p99 of its duration is too high.",
            lambda("Duration", "p99"),
            alerts.lambda_p99_ms,
        ),
        Watch::count("api-errors", "The API returns 5xx errors.", api("5xx", "Sum"), alerts.api_errors),
        Watch::time(
            "api-latency",
            "The API is slow: the p99 of its latency is too high.",
            api("Latency", "p99"),
            alerts.api_p99_ms,
        ),
        Watch {
            // Callers retry, so only connections that fail minute after minute are a problem. A gateway that is being created
            // has no data yet.
            queries: port_errors(&part.nat_gateways),
            ..Watch::time(
                "nat-ports",
                "NAT gateways have run out of ports for new connections to one destination.",
                no_metric(),
                1,
            )
        },
    ]
}

/// Alarms on replication, in both directions.
fn replication(config: &Config, facts: &Facts, site: &RegionSite<'_>, other: &RegionSite<'_>) -> Vec<Watch> {
    let alerts = &config.alerts;
    let (table, cluster) = (data::table_name(&config.name()), data::cluster_name(config, site));
    let bucket = |site: &RegionSite<'_>| json!(data::bucket_name(config, facts, site.region));
    let s3 = |what: &str, statistic: &str, from: &RegionSite<'_>, to: &RegionSite<'_>| {
        let dimensions =
            [("SourceBucket", bucket(from)), ("DestinationBucket", bucket(to)), ("RuleId", json!(RULE_ID))];
        metric("AWS/S3", what, statistic, dimensions)
    };
    vec![
        Watch {
            // Without writes, there is no data, and a lag that was too long has not ended because there is no data. By default,
            // CloudWatch treats all metrics of DynamoDB like this.
            // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
            missing_data: "ignore",
            ..Watch::time(
                "dynamodb-lag",
                "Sessions are replicated to the other Region too slowly: a failover now would lose some of them.",
                // The metric is published in the Region that was written to.
                metric(
                    "AWS/DynamoDB",
                    "ReplicationLatency",
                    "Maximum",
                    [("TableName", json!(table)), ("ReceivingRegion", json!(other.region))],
                ),
                milliseconds(alerts.dynamodb_lag_seconds),
            )
        },
        Watch {
            // The metric is the age of the oldest object that has not arrived yet, which a burst does not raise, so the first
            // minute counts. How missing data is treated is AWS's advice for all metrics of replication.
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
            missing_data: "ignore",
            ..Watch::count(
                "s3-lag",
                "Receipts of the other Region are replicated too slowly: a failover now would lose some of them.",
                // The metric is published in the Region of the destination, unlike the one for failures.
                // https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
                s3("ReplicationLatency", "Maximum", other, site),
                alerts.s3_lag_seconds,
            )
        },
        Watch {
            // A failed replication is not retried, so it does not become good because there is no data.
            missing_data: "ignore",
            ..Watch::count(
                "s3-failures",
                "Receipts of this Region were not replicated, and will not be retried: see S3 Batch Replication.",
                s3("OperationsFailedReplication", "Sum", site, other),
                1,
            )
        },
        // Only a secondary cluster publishes its lag. This cluster may become one, or cease to be one while the alarm is on, so
        // missing data is good here. The metric exists only with both dimensions.
        // See docs/aws-behaviour.md#aurora-lag-metrics.
        Watch::time(
            "aurora-lag",
            "The database of this Region lags behind the other one: a failover now would lose the difference.",
            metric(
                "AWS/RDS",
                "AuroraGlobalDBRPOLag",
                "Maximum",
                [("DBClusterIdentifier", json!(cluster)), ("SourceRegion", json!(other.region))],
            ),
            milliseconds(alerts.aurora_lag_seconds),
        ),
    ]
}

/// The alarm on the check that DNS follows. There is no reason to wait longer, since the check itself waits for three failures.
/// Without data, it is unknown what DNS answers.
fn health(check: &Ref<Id<HealthCheck>>) -> Watch {
    Watch {
        comparison: BELOW,
        missing_data: "breaching",
        ..Watch::count(
            "health-check-primary",
            "Route 53 considers the primary unhealthy, or a failover was requested: the public name points to the standby.",
            metric("AWS/Route53", "HealthCheckStatus", "Minimum", [("HealthCheckId", json!(check.clone().exists()))]),
            1,
        )
    }
}

/// The failures of all gateways together.
fn port_errors(gateways: &[Handle<NatGateway>]) -> Vec<Query> {
    let of = |gateway: &Handle<NatGateway>| {
        // AWS accepts an alarm on a gateway that is being created.
        metric("AWS/NATGateway", "ErrorPortAllocation", "Sum", [("NatGatewayId", json!(gateway.id().exists()))])
    };
    if let [one] = gateways {
        return vec![of(one)];
    }
    let mut queries: Vec<Query> = gateways
        .iter()
        .enumerate()
        .map(|(at, gateway)| Query { id: format!("m{}", at + 1), returns: false, ..of(gateway) })
        .collect();
    // The sum of all gateways. One without data counts as 0.
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    let expression = "SUM(METRICS())".to_owned();
    queries.push(Query { id: "total".to_owned(), expression, label: "All NAT gateways".to_owned(), ..no_metric() });
    queries
}

/// A metric with one value per minute.
fn metric<const N: usize>(namespace: &str, metric: &str, statistic: &str, dimensions: [(&str, Value); N]) -> Query {
    Query {
        namespace: namespace.to_owned(),
        metric: metric.to_owned(),
        dimensions: named(dimensions),
        statistic: statistic.to_owned(),
        period: 60,
        ..no_metric()
    }
}

fn no_metric() -> Query {
    Query {
        id: "m1".to_owned(),
        expression: String::new(),
        namespace: String::new(),
        metric: String::new(),
        dimensions: BTreeMap::new(),
        statistic: String::new(),
        period: 0,
        label: String::new(),
        returns: true,
    }
}

fn milliseconds(seconds: u32) -> u32 {
    seconds.saturating_mul(1000)
}

/// Adds an alarm that sends a message to a topic of its Region when it goes off and when it is over.
fn alarm(
    stack: &mut Stack<'_>,
    config: &Config,
    placement: &Placement<'_>,
    topic: &Handle<Topic>,
    watch: Watch,
) -> Result<(), GraphError> {
    let alarm = Alarm {
        name: alarm_name(config, watch.name),
        description: format!("{}\n{}", watch.text, mark::<Alarm>(config, placement.role, watch.name)),
        queries: watch.queries,
        threshold: watch.threshold,
        comparison: watch.comparison.to_owned(),
        evaluation_periods: watch.of,
        datapoints: watch.bad,
        missing_data: watch.missing_data.to_owned(),
        actions: vec![topic.arn()],
    };
    stack.add(placement.role, watch.name, placement.region, &alarm).map(drop)
}

fn alarm_name(config: &Config, name: &str) -> String {
    format!("{}-{name}", config.name())
}

fn mark<R: Resource>(config: &Config, role: Role, name: &str) -> String {
    let node = Address::new(role, R::INFO.kind, name);
    cloudwatch::mark(&config.stack.name, &config.stack.environment, &node, &config.tags)
}

/// Adds the subscriptions to the mails of a topic.
fn mails(
    stack: &mut Stack<'_>,
    config: &Config,
    placement: &Placement<'_>,
    topic: &Handle<Topic>,
) -> Result<(), GraphError> {
    for email in &config.alerts.emails {
        let subscription = Subscription { topic: topic.arn(), endpoint: email.clone() };
        stack.add(placement.role, &node_name(email), placement.region, &subscription)?;
    }
    Ok(())
}

/// A node's name, derived from an e-mail address alone, in the letters that such names may have. A suffix distinguishes addresses
/// that would have the same name.
fn node_name(email: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let plain = email.to_ascii_lowercase().replace(|letter: char| !is_plain(letter), "-");
    format!("{plain}-{}", &hex::encode(Sha256::digest(email.as_bytes()))[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_e_mail_addresses_have_different_node_names() {
        let names = ["On.Call+dr@example.com", "on.call-dr@example.com", "on.call+dr@example.com"].map(node_name);
        for name in &names {
            assert!(name.starts_with("on.call-dr-example.com-"), "{name}");
            let address = Address::new(Role::Primary, "sns_subscription", name);
            assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    }
}
