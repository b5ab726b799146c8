//! What waits for what, and who is notified: the behaviours of AWS that are about the shape of the stack.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use drctl_aws::facts::OwnZone;
use drctl_aws::{Aws, Connection, Scope};
use drctl_engine::state::Address;
use drctl_engine::{Need, Node, Region};

async fn drawn(toml: &str) -> Graph {
    drawn_as(toml, false).await
}

/// The graph of a stack that drctl has protected before, or has not.
async fn drawn_as(toml: &str, protected: bool) -> Graph {
    drawn_with(toml, protected, None).await
}

/// The same, with the hosted zone that is on record.
async fn drawn_with(toml: &str, protected: bool, own_zone: Option<OwnZone>) -> Graph {
    let config = Config::parse("drctl.toml", toml, None).expect("a sound configuration");
    let account = "111122223333".to_owned();
    let zones = |region: &str| ["a", "b", "c"].map(|letter| format!("{region}{letter}"));
    let facts = Facts {
        account: account.clone(),
        primary_zones: zones(config.regions.primary.as_str()),
        secondary_zones: zones(config.regions.secondary.as_str()),
        protected,
        own_zone,
    };
    // Nothing is called.
    let nowhere =
        Connection { region: "us-east-1".into(), endpoint: Some("http://127.0.0.1:9".into()), account: Some(account) };
    let aws = std::sync::Arc::new(Aws::connect(&nowhere).await);
    let scope = Scope {
        stack: config.stack.name.clone(),
        environment: config.stack.environment.clone(),
        account: facts.account.clone(),
    };
    let registry = Registry::new(&aws, scope, &Region::from("us-east-1"));
    graph(&config, &facts, &registry).expect("a sound blueprint")
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

#[tokio::test]
async fn the_id_of_the_stacks_own_zone_does_not_make_it_somebody_elses() {
    let toml = "[dns]\ndomain = \"eu.example.com\"\nzone_id = \"Z0123456789ABCDEFGHIJ\"\n";
    let zone = |id: &str, name: Option<&str>| Some(OwnZone { id: id.to_owned(), name: name.map(str::to_owned) });
    let own = zone("Z0123456789ABCDEFGHIJ", Some("example.com"));
    // Its domain stays what it is: another one would be another zone.
    let graph = drawn_with(toml, false, own).await;
    assert_eq!(property(&graph, "global/hosted_zone/main", "name"), "example.com");
    assert_eq!(property(&graph, "global/record/api-primary", "zone")["$ref"], "global/hosted_zone/main");
    for other in [None, zone("Z1", Some("example.com"))] {
        let graph = drawn_with(toml, false, other).await;
        assert!(graph.get(&address("global/hosted_zone/main")).is_none());
        assert_eq!(property(&graph, "global/record/api-primary", "zone"), "Z0123456789ABCDEFGHIJ");
    }
}

/// The protection that a stack asks for.
async fn protection(toml: &str, protected: bool) -> Vec<Value> {
    let graph = drawn_as(toml, protected).await;
    let of = ["global/global_cluster/main", "primary/db_cluster/main", "secondary/db_cluster/main"];
    let clusters = of.into_iter().map(|of| property(&graph, of, "deletion_protection"));
    let table = ["deletion_protection", "replica_deletion_protection"];
    clusters.chain(table.map(|name| property(&graph, "global/dynamodb_table/sessions", name))).collect()
}

#[tokio::test]
async fn protection_is_lifted_only_where_drctl_has_switched_it_on() {
    let on = "[protection]\ndeletion = true\n";
    for protected in [false, true] {
        assert_eq!(protection(on, protected).await, vec![Value::Bool(true); 5]);
    }
    assert_eq!(protection("", true).await, vec![Value::Bool(false); 5]);
    assert_eq!(protection("", false).await, vec![Value::Null; 5], "what a person has switched on is left as it is");
}

/// What a node needs of another one, if it refers to it directly.
fn need(graph: &Graph, of: &str, on: &str) -> Option<Need> {
    graph.needs(&address(of)).into_iter().find(|(target, _)| *target == address(on)).map(|(_, need)| need)
}

/// Whether a resource is deleted before another one, however far apart they are in the graph.
fn goes_before(graph: &Graph, first: &str, last: &str) -> bool {
    let (mut open, mut seen) = (vec![address(first)], BTreeSet::new());
    while let Some(at) = open.pop() {
        if at == address(last) {
            return true;
        }
        if seen.insert(at.clone()) {
            open.extend(graph.needs(&at).into_iter().map(|(target, _)| target));
        }
    }
    false
}

fn property(graph: &Graph, of: &str, name: &str) -> Value {
    graph.get(&address(of)).unwrap_or_else(|| panic!("no {of}")).desired.get(name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn the_database_is_created_in_auroras_order_and_deleted_in_reverse() {
    let graph = drawn("").await;
    // The second member needs the first member's writer to be available. Which of the two is deleted first depends on which one
    // writes.
    assert_eq!(need(&graph, "secondary/db_cluster/main", "primary/db_instance/main"), Some(Need::First));
    assert_eq!(need(&graph, "primary/db_instance/main", "primary/db_cluster/main"), Some(Need::Exists));
    assert_eq!(need(&graph, "secondary/db_instance/main", "secondary/db_cluster/main"), Some(Need::Exists));
    // Instances before their cluster, the global cluster last. See docs/aws-behaviour.md#writer-leaves-last.
    for (first, last) in [
        ("secondary/db_instance/main", "secondary/db_cluster/main"),
        ("primary/db_instance/main", "primary/db_cluster/main"),
        ("primary/db_cluster/main", "global/global_cluster/main"),
    ] {
        assert!(goes_before(&graph, first, last), "{first} before {last}");
    }
    // See docs/aws-behaviour.md#cluster-names-span-regions.
    assert_ne!(
        property(&graph, "primary/db_cluster/main", "name"),
        property(&graph, "secondary/db_cluster/main", "name")
    );
    // Subnets in three zones, and the group is deleted after the cluster. See docs/aws-behaviour.md#group-in-use.
    assert_eq!(property(&graph, "primary/db_subnet_group/main", "subnets").as_array().map(Vec::len), Some(3));
    assert!(goes_before(&graph, "primary/db_cluster/main", "primary/db_subnet_group/main"));
}

#[tokio::test]
async fn the_function_does_not_wait_for_the_database() {
    let graph = drawn("").await;
    for database in ["primary/db_cluster/main", "global/global_cluster/main"] {
        assert!(!goes_before(&graph, "primary/api_stage/default", database));
        assert!(
            !goes_before(&graph, "primary/lambda_function/processor", database),
            "{database} is named, not waited for"
        );
    }
}

#[tokio::test]
async fn only_the_routes_that_route_53_calls_are_open() {
    let jwt = "[api]\nauth = \"jwt\"\njwt_issuer = \"https://id.acme.io\"\njwt_audience = [\"pay\"]\n";
    for (toml, clients) in [("", "AWS_IAM"), (jwt, "JWT"), ("[api]\nauth = \"none\"\n", "NONE")] {
        let graph = drawn(toml).await;
        for role in ["primary", "secondary"] {
            for (route, wanted) in [
                ("health", "NONE"),
                ("failover", "NONE"),
                ("health-deep", "AWS_IAM"),
                ("pay", clients),
                ("payment", clients),
            ] {
                let route = format!("{role}/api_route/{route}");
                assert_eq!(property(&graph, &route, "authorization_type"), wanted, "{toml}: {route}");
                let asks = need(&graph, &route, &format!("{role}/api_authorizer/tokens"));
                assert_eq!(asks.is_some(), wanted == "JWT", "{toml}: {route}");
            }
            let environment = property(&graph, &format!("{role}/lambda_function/processor"), "environment");
            let auth = environment["API_AUTH"].as_str().map(str::to_owned);
            assert_eq!(auth.as_deref(), Some(clients.trim_start_matches("AWS_").to_lowercase().as_str()));
        }
        let routes = graph.nodes().filter(|node| node.address.kind() == "api_route").count();
        assert_eq!(routes, 10, "every route is in the list above");
        let authorizers = graph.nodes().filter(|node| node.address.kind() == "api_authorizer").count();
        assert_eq!(authorizers, if clients == "JWT" { 2 } else { 0 });
    }
}

#[tokio::test]
async fn the_access_log_is_valid_json_for_every_request() {
    let graph = drawn("").await;
    let format = property(&graph, "primary/api_stage/default", "access_log_format");
    let format = format.as_str().expect("text");
    // API Gateway escapes nothing: fields that may contain a quotation mark must not be logged.
    for text in ["integrationErrorMessage", "error.message", "authorizer.error", "claims", "userAgent", "path"] {
        assert!(!format.contains(text), "{text} in {format}");
    }
    let fields: serde_json::Map<String, Value> = serde_json::from_str(format).expect("JSON");
    assert!(fields.values().all(|value| value.as_str().is_some_and(|value| value.starts_with("$context."))));
}

#[tokio::test]
async fn what_lambdas_interfaces_need_is_deleted_after_them() {
    let graph = drawn("").await;
    for role in ["primary", "secondary"] {
        let function = format!("{role}/lambda_function/processor");
        // The function is deleted first; subnets and its group after it; and its role only when the group could be, which
        // means that no interface is left. On the way up nothing waits for that.
        // See docs/aws-behaviour.md#lambda-interfaces-linger
        // and docs/aws-behaviour.md#execution-role-outlives-interfaces.
        for last in ["security_group/lambda", "subnet/private-a", "subnet/private-b", "subnet/private-c"] {
            assert!(goes_before(&graph, &function, &format!("{role}/{last}")), "{last}");
        }
        let group = format!("{role}/security_group/lambda");
        assert_eq!(need(&graph, &group, "global/iam_role/processor"), Some(Need::Outlives));
        // Log groups are deleted after what writes to them, or they would come back.
        // See docs/aws-behaviour.md#log-groups-come-back.
        for (writer, log) in [
            ("lambda_function/processor", "lambda"),
            ("api_stage/default", "api"),
            ("db_cluster/main", "database"),
            ("flow_log/vpc", "flow"),
        ] {
            assert!(goes_before(&graph, &format!("{role}/{writer}"), &format!("{role}/log_group/{log}")), "{log}");
        }
    }
}

#[tokio::test]
async fn roles_are_created_early() {
    let graph = drawn("").await;
    // By the time that they have to be assumed, they have been seen everywhere. Nothing but keys holds them up.
    // See docs/aws-behaviour.md#principal-not-visible-yet.
    for role in ["processor", "replication", "flow-logs"] {
        let needs = graph.needs(&address(&format!("global/iam_role/{role}")));
        assert!(needs.iter().all(|(target, _)| target.kind() == "kms_key"), "{role}: {needs:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_into_the_table_before_its_replica_exists() {
    let graph = drawn("").await;
    // The replica is part of the table, which is ready only with it, and waits for nothing but the keys.
    // See docs/aws-behaviour.md#replica-before-first-item.
    let needs = graph.needs(&address("global/dynamodb_table/sessions"));
    assert!(needs.iter().all(|(target, _)| target.kind() == "kms_key"), "{needs:?}");
    // Each Region's table has that Region's key. See docs/aws-behaviour.md#replica-key-is-fixed.
    let replica = property(&graph, "global/dynamodb_table/sessions", "replica");
    assert_eq!(replica["kms_key"]["$ref"], "secondary/kms_key/main");
    assert_eq!(property(&graph, "global/dynamodb_table/sessions", "kms_key")["$ref"], "primary/kms_key/main");
    // Protection in each Region, as configured. See docs/aws-behaviour.md#replica-settings-are-regional.
    let protected = drawn("[protection]\ndeletion = true\n").await;
    assert_eq!(property(&protected, "global/dynamodb_table/sessions", "replica_deletion_protection"), true);
}

#[tokio::test]
async fn replication_begins_when_both_buckets_are_versioned_and_ends_before_either_is_deleted() {
    let graph = drawn("").await;
    for replication in ["primary/s3_replication/data", "secondary/s3_replication/data"] {
        for bucket in ["primary/s3_bucket/data", "secondary/s3_bucket/data"] {
            // Ready means that versioning reads back, and both replications are deleted before either bucket is emptied.
            // See docs/aws-behaviour.md#versioning-seen-late and docs/aws-behaviour.md#replication-refills-the-bucket.
            assert_eq!(need(&graph, replication, bucket), Some(Need::Ready), "{replication} {bucket}");
        }
        assert_eq!(need(&graph, replication, "global/iam_role/replication"), Some(Need::Ready));
    }
}

#[tokio::test]
async fn nat_gateways_need_an_attached_internet_gateway() {
    let graph = drawn("").await;
    // A NAT gateway that is created before the internet gateway is attached fails afterwards; and it is deleted before its
    // address, and before that gateway. See docs/aws-behaviour.md#nat-gateway-fails-late and
    // docs/aws-behaviour.md#address-held-by-nat-gateway.
    for letter in ["a", "b", "c"] {
        let nat = format!("primary/nat_gateway/{letter}");
        assert_eq!(need(&graph, &nat, "primary/internet_gateway/main"), Some(Need::Ready));
        assert!(goes_before(&graph, &nat, &format!("primary/eip/nat-{letter}")));
    }
    // The group that refers to the other one is deleted first. See docs/aws-behaviour.md#security-group-referenced.
    assert!(goes_before(&graph, "primary/security_group/database", "primary/security_group/lambda"));
}

#[tokio::test]
async fn the_other_region_may_connect_from_its_address_ranges() {
    let graph = drawn("").await;
    // See docs/aws-behaviour.md#peering-between-regions-is-limited.
    for role in ["primary", "secondary"] {
        let rules = property(&graph, &format!("{role}/security_group/database"), "ingress");
        let rules = rules.as_array().expect("rules");
        let groups: Vec<&Value> = rules.iter().filter_map(|rule| rule.get("group")).collect();
        assert_eq!(groups.len(), 1, "{rules:?}");
        assert_eq!(groups[0]["$ref"], format!("{role}/security_group/lambda"));
        assert_eq!(rules.iter().filter(|rule| rule.get("cidr").is_some()).count(), 3, "{rules:?}");
    }
}

#[tokio::test]
async fn alarms_reach_a_topic() {
    let graph = drawn("[regions]\nprimary = \"eu-west-1\"\nsecondary = \"eu-central-1\"\n").await;
    // The key lets alarms use it, the topic lets alarms publish, and both are in the alarm's own Region.
    // See docs/aws-behaviour.md#alarms-need-the-topics-key and docs/aws-behaviour.md#alarms-reach-their-own-region.
    let policy = property(&graph, "primary/kms_key/main", "policy").to_string();
    assert!(policy.contains("cloudwatch.amazonaws.com"), "{policy}");
    assert!(property(&graph, "primary/sns_topic/alerts", "policy").to_string().contains("cloudwatch.amazonaws.com"));
    for node in graph.nodes().filter(|node| node.address.kind() == "alarm") {
        let topics: Vec<_> =
            graph.needs(&node.address).into_iter().filter(|(target, _)| target.kind() == "sns_topic").collect();
        assert_eq!(topics.len(), 1, "{}", node.address);
        let topic = graph.get(&topics[0].0).expect("a topic");
        assert_eq!(topic.region, node.region, "{}", node.address);
        assert_eq!(node.desired["actions"].as_array().map(Vec::len), Some(1));
    }
    let health = graph.get(&address("global/alarm/health-check-primary")).expect("the alarm");
    assert_eq!(&*health.region, "us-east-1");
}

#[tokio::test]
async fn a_name_serves_https_once_its_certificate_is_issued() {
    let graph = drawn("[dns]\ndomain = \"pay.example-bank.com\"\ncertificate = true\n").await;
    for role in ["primary", "secondary"] {
        // A domain needs an issued certificate; the certificate waits for its record, which needs only that it exists.
        // See docs/aws-behaviour.md#certificate-not-issued-yet.
        assert_eq!(
            need(&graph, &format!("{role}/api_domain/api"), &format!("{role}/certificate/api")),
            Some(Need::Ready)
        );
        // A mapping is deleted before its domain. See docs/aws-behaviour.md#mapping-holds-domain-and-api.
        assert!(goes_before(&graph, &format!("{role}/api_mapping/api"), &format!("{role}/api_domain/api")));
    }
    assert_eq!(need(&graph, "global/record/certificate", "primary/certificate/api"), Some(Need::Exists));
    // Records are deleted before the checks and the zone that they refer to.
    // See docs/aws-behaviour.md#zone-and-checks-in-use.
    assert!(goes_before(&graph, "global/record/api-primary", "global/health_check/primary"));
    assert!(goes_before(&graph, "global/health_check/primary", "global/health_check/failover-switch"));
    assert!(goes_before(&graph, "global/record/api-secondary", "global/hosted_zone/main"));
}

/// The statements of a policy that contain a text.
fn statements_about(policy: &Value, text: &str) -> Vec<Value> {
    let all = policy["Statement"].as_array().unwrap_or_else(|| panic!("no policy: {policy}"));
    all.iter().filter(|statement| statement.to_string().contains(text)).cloned().collect()
}

#[tokio::test]
async fn no_service_uses_the_key_for_another_account() {
    let graph = drawn("").await;
    for role in ["primary", "secondary"] {
        let policy = property(&graph, &format!("{role}/kms_key/main"), "policy");
        let by_services = statements_about(&policy, "\"Service\"");
        assert_eq!(by_services.len(), 2, "logs and alarms: {policy}");
        for statement in by_services {
            assert!(statement["Condition"].to_string().contains("111122223333"), "{statement}");
        }
    }
}

#[tokio::test]
async fn roles_use_the_key_only_through_services_of_its_region() {
    let graph = drawn("").await;
    for (role, inline, services) in [
        ("processor", "data", &["dynamodb", "lambda", "s3", "secretsmanager"][..]),
        ("processor", "run", &["logs"]),
        ("flow-logs", "write-flow-logs", &["logs"]),
        ("replication", "replicate", &["s3"]),
    ] {
        let policy = property(&graph, &format!("global/iam_role/{role}"), "policies")[inline].clone();
        let about = statements_about(&policy, "kms:");
        assert_eq!(about.len(), 2, "{role}: one for each key: {policy}");
        for (statement, (site, region)) in about.iter().zip([("primary", "us-east-1"), ("secondary", "us-east-2")]) {
            assert_eq!(statement["Resource"]["$ref"], format!("{site}/kms_key/main"), "{role}");
            let via = statement["Condition"]["StringEquals"]["kms:ViaService"].clone();
            let expected: Vec<String> =
                services.iter().map(|service| format!("{service}.{region}.amazonaws.com")).collect();
            let via: Vec<String> = match via {
                Value::String(one) => vec![one],
                several => serde_json::from_value(several).expect("a list"),
            };
            assert_eq!(via, expected, "{role}");
        }
    }
}

#[tokio::test]
async fn the_functions_code_may_not_change_the_network() {
    let graph = drawn("").await;
    let policies = property(&graph, "global/iam_role/processor", "policies");
    let about = statements_about(&policies["run"], "ec2:");
    let [allowed, denied] = about.as_slice() else { panic!("two: {about:?}") };
    assert_eq!((&allowed["Effect"], &denied["Effect"]), (&"Allow".into(), &"Deny".into()));
    for action in allowed["Action"].as_array().expect("actions") {
        assert!(denied["Action"].as_array().expect("actions").contains(action), "{action}");
    }
    let functions = ["us-east-1", "us-east-2"]
        .map(|region| format!("arn:aws:lambda:{region}:111122223333:function:payment-dr-dev-processor"));
    assert_eq!(denied["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"], serde_json::json!(functions));
    assert!(!policies.to_string().contains("DescribeTable"), "it is never called");
}

#[tokio::test]
async fn the_gateway_endpoints_lead_only_to_the_stacks_own_resources() {
    let graph = drawn("").await;
    for (role, region) in [("primary", "us-east-1"), ("secondary", "us-east-2")] {
        let bucket = property(&graph, &format!("{role}/s3_bucket/data"), "name");
        let bucket = bucket.as_str().expect("a name");
        let policy = property(&graph, &format!("{role}/vpc_endpoint/s3"), "policy");
        let [one] = statements_about(&policy, "Allow").try_into().expect("one statement");
        let expected = [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")];
        assert_eq!(one["Resource"], serde_json::json!(expected));
        let policy = property(&graph, &format!("{role}/vpc_endpoint/dynamodb"), "policy");
        let [one] = statements_about(&policy, "Allow").try_into().expect("one statement");
        let table = format!("arn:aws:dynamodb:{region}:111122223333:table/payment-dr-dev-sessions");
        assert_eq!(one["Resource"], table);
    }
}

#[tokio::test]
async fn s3_may_assume_its_role_without_a_condition_that_it_might_not_meet() {
    let graph = drawn("").await;
    let trust = property(&graph, "global/iam_role/replication", "assume_role_policy");
    let [one] = statements_about(&trust, "s3.amazonaws.com").try_into().expect("one statement");
    assert_eq!(one["Condition"], Value::Null, "{one}");
}

#[tokio::test]
async fn roles_have_the_configured_path_and_boundary() {
    let boundary = "arn:aws:iam::111122223333:policy/boundary";
    let graph = drawn(&format!("[iam]\npath = \"/payments/\"\npermissions_boundary = \"{boundary}\"\n")).await;
    let roles: Vec<_> = graph.nodes().filter(|node| node.address.kind() == "iam_role").collect();
    assert_eq!(roles.len(), 3);
    for role in roles {
        assert_eq!(
            (&role.desired["path"], &role.desired["permissions_boundary"]),
            (&"/payments/".into(), &boundary.into())
        );
    }
    // The role is named, not referred to.
    let arn = "arn:aws:iam::111122223333:role/payments/payment-dr-dev-flow-logs";
    assert_eq!(property(&graph, "primary/flow_log/vpc", "role_arn"), arn);
    let plain = drawn("").await;
    let arn = "arn:aws:iam::111122223333:role/payment-dr-dev-flow-logs";
    assert_eq!(property(&plain, "primary/flow_log/vpc", "role_arn"), arn);
}

#[tokio::test]
async fn configured_tags_are_on_everything_that_takes_tags_and_do_not_replace_drctls_own() {
    let toml = "[tags]\nCostCenter = \"4711\"\n";
    let (graph, plain) = (drawn(toml).await, drawn("").await);
    let mut tagged = 0;
    for (node, before) in graph.nodes().zip(plain.nodes()) {
        let Some(tags) = node.desired.get("tags") else { continue };
        for (key, value) in before.desired["tags"].as_object().expect("tags") {
            assert_eq!(&tags[key], value, "{}", node.address);
        }
        // Its tags are in its description, where there is no room for more.
        let is_real = node.address.kind() != "api_integration";
        assert_eq!(tags.get("CostCenter").is_some(), is_real, "{}", node.address);
        tagged += usize::from(is_real);
    }
    assert!(tagged > 100, "{tagged}");
    // Tags of alarms and dashboards are not read. A property that is read has to show that they have changed.
    for (of, name) in [("primary/alarm/lambda-errors", "description"), ("primary/dashboard/main", "body")] {
        assert_ne!(property(&graph, of, name), property(&plain, of, name));
    }
}

/// The documents count resources in prose, which no command shows.
#[tokio::test]
async fn the_documents_count_what_the_stack_has() {
    let graph = drawn("").await;
    let of = |kind: &str| graph.nodes().filter(|node| node.address.kind() == kind).collect::<Vec<_>>();
    let alarms = of("alarm");
    let primary = alarms.iter().filter(|node| node.address.role() == Role::Primary).count();
    // The others are expressions.
    let is_metric = |query: &Value| query["metric"] != "";
    let queries = |node: &Node| node.desired["queries"].as_array().expect("a list").clone();
    let metrics = alarms.iter().flat_map(|node| queries(node)).filter(is_metric).count();
    let (all, every) = (graph.nodes().count(), |kind: &str| of(kind).len());
    let readme = include_str!("../../README.md");
    let cost = include_str!("../../docs/cost.md");
    for (page, words) in [
        (readme, format!("{primary} alarms")),
        (readme, format!("# {all} resources in a few seconds")),
        (include_str!("../../docs/reliability.md"), format!("the whole stack, {all} resources")),
        (include_str!("../../docs/performance.md"), format!("real stack has {all} nodes")),
        (cost, format!("{} alarms on {metrics} metrics", alarms.len())),
        (cost, format!("{} Aurora instances", every("db_instance"))),
        (cost, format!("{} NAT gateways", every("nat_gateway"))),
        (cost, format!("{} public IPv4 addresses", every("eip"))),
        (cost, format!("{} KMS keys", every("kms_key"))),
        (cost, format!("{} health checks", every("health_check"))),
        (cost, format!("{} dashboards", every("dashboard"))),
    ] {
        assert!(page.contains(&words), "not in the page: {words}");
    }
}
