//! What tells people how the stack fares: alarms, who gets their mails, and dashboards.

mod dashboard;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{GLOBAL, Plot, Site, base, compute, data, named};
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

/// What of one Region is watched.
pub(super) struct Observed {
    /// Where its alarms go.
    pub topic: Handle<Topic>,
    /// Its API.
    pub api: Handle<Api>,
    /// Its ways out.
    pub nat_gateways: Vec<Handle<NatGateway>>,
}

/// Adds everything.
pub(super) fn build(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    sites: &[Site<'_>; 2],
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
            alarm(stack, config, &site.plot, &part.topic, watch)?;
        }
        mails(stack, config, &site.plot, &part.topic)?;
    }
    let view = dashboard::View { config, facts, sites, parts, primary_check, alarms };
    for site in sites {
        dashboard::build(stack, &view, &site.plot)?;
    }
    let plot = Plot { role: Role::Global, region: GLOBAL, account: &facts.account };
    let topic = match sites.iter().zip(parts).find(|(site, _)| site.region == GLOBAL) {
        Some((_, part)) => part.topic.clone(),
        None => topic_for_the_check(stack, config, &plot)?,
    };
    alarm(stack, config, &plot, &topic, health(primary_check))
}

/// An alarm reaches topics of its own Region only, and the one on the deciding check has to live where the check's metric does. A
/// stack without that Region gets a topic there, with a key, as an encrypted one needs.
/// See docs/aws-behaviour.md#alarms-reach-their-own-region.
fn topic_for_the_check(stack: &mut Stack<'_>, config: &Config, plot: &Plot<'_>) -> Result<Handle<Topic>, GraphError> {
    let key = base::key(stack, config, plot)?;
    let topic = base::topic(stack, config, plot, &key)?;
    mails(stack, config, plot, &topic)?;
    Ok(topic)
}

/// When an alarm goes off.
struct Watch {
    name: &'static str,
    says: &'static str,
    queries: Vec<Query>,
    threshold: f64,
    comparison: &'static str,
    /// How many minutes have to be bad.
    bad: i32,
    /// Of how many.
    of: i32,
    missing_data: &'static str,
}

impl Watch {
    /// At the first bad minute; and where nothing happened, nothing is bad. Fits counts of what went wrong: the bound is the
    /// patience, and a minute without requests has no data.
    fn count(name: &'static str, says: &'static str, query: Query, bound: u32) -> Self {
        let threshold = f64::from(bound);
        let comparison = AT_LEAST;
        Self { name, says, queries: vec![query], threshold, comparison, bad: 1, of: 1, missing_data: "notBreaching" }
    }

    /// In three of five minutes. Fits times: a single slow minute is a cold start or a burst, not trouble.
    fn time(name: &'static str, says: &'static str, query: Query, bound: u32) -> Self {
        Self { bad: 3, of: 5, ..Self::count(name, says, query, bound) }
    }
}

/// What serves: the function, the API, the ways out.
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
        Watch::count("lambda-errors", "The payment function fails.", lambda("Errors", "Sum"), alerts.lambda_errors),
        Watch::count(
            "lambda-throttles",
            "Lambda turns payments away: the function's concurrency is used up.",
            lambda("Throttles", "Sum"),
            alerts.lambda_throttles,
        ),
        Watch::time(
            "lambda-duration",
            "The slowest hundredth of the payment function's executions takes too long.",
            lambda("Duration", "p99"),
            alerts.lambda_p99_ms,
        ),
        Watch::count("api-errors", "The API answers 5xx.", api("5xx", "Sum"), alerts.api_errors),
        Watch::time(
            "api-latency",
            "The slowest hundredth of the API's answers takes too long.",
            api("Latency", "p99"),
            alerts.api_p99_ms,
        ),
        Watch {
            // Callers try again, so that only connections that fail minute after minute are trouble. A gateway that is being
            // made has no data yet.
            queries: port_errors(&part.nat_gateways),
            ..Watch::time(
                "nat-ports",
                "NAT gateways have no ports left for new connections to one destination.",
                no_metric(),
                1,
            )
        },
    ]
}

/// How far the other Region's data, or this one's, is behind.
fn replication(config: &Config, facts: &Facts, site: &Site<'_>, other: &Site<'_>) -> Vec<Watch> {
    let alerts = &config.alerts;
    let (table, cluster) = (data::table_name(&config.name()), data::cluster_name(config, site));
    let bucket = |site: &Site<'_>| json!(data::bucket_name(config, facts, site.region));
    let s3 = |what: &str, statistic: &str, from: &Site<'_>, to: &Site<'_>| {
        let dimensions =
            [("SourceBucket", bucket(from)), ("DestinationBucket", bucket(to)), ("RuleId", json!(RULE_ID))];
        metric("AWS/S3", what, statistic, dimensions)
    };
    vec![
        Watch {
            // No writes, no data; and a lag that was too long has not gone because it fell silent. CloudWatch treats all of
            // DynamoDB's metrics so by default.
            // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
            missing_data: "ignore",
            ..Watch::time(
                "dynamodb-lag",
                "Sessions reach the other Region too late: a failover now would lose them.",
                // Published in the Region that was written to.
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
            // The figure is the age of the oldest object that is not here yet, which no burst makes: the first minute counts.
            // What to do without data is AWS's advice for all metrics of replication.
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
            missing_data: "ignore",
            ..Watch::count(
                "s3-lag",
                "Receipts of the other Region arrive too late: a failover now would lose them.",
                // Published in the Region of the destination, unlike the failures.
                // https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
                s3("ReplicationLatency", "Maximum", other, site),
                alerts.s3_lag_seconds,
            )
        },
        Watch {
            // What failed is not tried again by itself: it does not become good by silence.
            missing_data: "ignore",
            ..Watch::count(
                "s3-failures",
                "Receipts of this Region were not replicated, and will not be by themselves: see S3 Batch Replication.",
                s3("OperationsFailedReplication", "Sum", site, other),
                1,
            )
        },
        // Only a secondary cluster publishes its lag; this one may become one, or cease to be one while the alarm is on. So
        // silence is good here. The dimensions are both or nothing. See docs/aws-behaviour.md#aurora-lag-metrics.
        Watch::time(
            "aurora-lag",
            "This Region's database is behind the other's: a failover now would lose the difference.",
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

/// The check that DNS goes by. It has no trend to wait for, it has already waited for three failures; and when it is not
/// heard of, nobody knows what DNS answers.
fn health(check: &Ref<Id<HealthCheck>>) -> Watch {
    Watch {
        comparison: BELOW,
        missing_data: "breaching",
        ..Watch::count(
            "health-check-primary",
            "Route 53 takes the primary for unhealthy, or failover was ordered: the public name leads to the standby.",
            metric("AWS/Route53", "HealthCheckStatus", "Minimum", [("HealthCheckId", json!(check.clone().exists()))]),
            1,
        )
    }
}

/// The failures of all gateways together; of a single one, its own.
fn port_errors(gateways: &[Handle<NatGateway>]) -> Vec<Query> {
    let of = |gateway: &Handle<NatGateway>| {
        // AWS takes an alarm on what is still being made.
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
    // As many gateways as there are; a part without data counts as 0.
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    let expression = "SUM(METRICS())".to_owned();
    queries.push(Query { id: "total".to_owned(), expression, label: "All NAT gateways".to_owned(), ..no_metric() });
    queries
}

/// A figure of every minute.
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

/// Adds an alarm that tells a topic of its Region that it went off, and that it is over.
fn alarm(
    stack: &mut Stack<'_>,
    config: &Config,
    plot: &Plot<'_>,
    topic: &Handle<Topic>,
    watch: Watch,
) -> Result<(), GraphError> {
    let alarm = Alarm {
        name: alarm_name(config, watch.name),
        description: format!("{}\n{}", watch.says, mark::<Alarm>(config, plot.role, watch.name)),
        queries: watch.queries,
        threshold: watch.threshold,
        comparison: watch.comparison.to_owned(),
        evaluation_periods: watch.of,
        datapoints: watch.bad,
        missing_data: watch.missing_data.to_owned(),
        actions: vec![topic.arn()],
    };
    stack.add(plot.role, watch.name, plot.region, &alarm).map(drop)
}

fn alarm_name(config: &Config, name: &str) -> String {
    format!("{}-{name}", config.name())
}

fn mark<R: Resource>(config: &Config, role: Role, name: &str) -> String {
    let node = Address::new(role, R::TRAITS.kind, name);
    cloudwatch::mark(&config.stack.name, &config.stack.environment, &node, &config.tags)
}

/// Adds who gets a topic's mails.
fn mails(stack: &mut Stack<'_>, config: &Config, plot: &Plot<'_>, topic: &Handle<Topic>) -> Result<(), GraphError> {
    for email in &config.alerts.emails {
        let subscription = Subscription { topic: topic.arn(), endpoint: email.clone() };
        stack.add(plot.role, &node_name(email), plot.region, &subscription)?;
    }
    Ok(())
}

/// A node's name that follows from an e-mail address alone, in the letters that names of nodes have. What that makes alike
/// is kept apart by the end.
fn node_name(email: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let plain = email.to_ascii_lowercase().replace(|letter: char| !is_plain(letter), "-");
    format!("{plain}-{}", &hex::encode(Sha256::digest(email.as_bytes()))[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mail_addresses_make_names_of_nodes_that_are_apart() {
        let names = ["On.Call+dr@example.com", "on.call-dr@example.com", "on.call+dr@example.com"].map(node_name);
        for name in &names {
            assert!(name.starts_with("on.call-dr-example.com-"), "{name}");
            let address = Address::new(Role::Primary, "sns_subscription", name);
            assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    }
}
