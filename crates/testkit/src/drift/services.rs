//! Data, compute, edge and observability.

use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch};
use serde_json::Value;

use super::Drift;
use crate::harness::Stack;

/// Changes something of every service. Returns what was changed.
pub async fn services(stack: &Stack, region: &str) -> Vec<Drift> {
    let outputs = stack.run(&["outputs"]).exits(0).json();
    let mut drifts = buckets(stack, region, &outputs).await;
    drifts.extend(tables_and_secrets(stack, region, &outputs).await);
    drifts.extend(databases(stack, region).await);
    drifts.extend(compute(stack, region, &outputs).await);
    drifts.extend(watching(stack, region, &outputs).await);
    drifts.extend(names(stack, &outputs).await);
    drifts
}

fn text<'a>(outputs: &'a Value, name: &str) -> &'a str {
    outputs[name].as_str().unwrap_or_else(|| panic!("no output {name}: {outputs:#}"))
}

async fn buckets(stack: &Stack, region: &str, outputs: &Value) -> Vec<Drift> {
    let s3 = stack.s3(region).await;
    let bucket = text(outputs, "primary_s3_bucket_data_id");
    s3.delete_public_access_block().bucket(bucket).send().await.expect("open to the public");
    s3.delete_bucket_policy().bucket(bucket).send().await.expect("no policy");
    s3.delete_bucket_lifecycle().bucket(bucket).send().await.expect("no lifecycle");
    vec![
        ("primary/s3_bucket/data", "public_access_blocked"),
        ("primary/s3_bucket/data", "policy"),
        ("primary/s3_bucket/data", "noncurrent_days"),
    ]
}

async fn tables_and_secrets(stack: &Stack, region: &str, outputs: &Value) -> Vec<Drift> {
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk_of("dynamodb", region).await);
    let off = aws_sdk_dynamodb::types::PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(false)
        .build()
        .expect("complete");
    let table = text(outputs, "global_dynamodb_table_sessions_id");
    let call = dynamodb.update_continuous_backups().table_name(table).point_in_time_recovery_specification(off);
    call.send().await.expect("no recovery");
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.sdk_of("secretsmanager", region).await);
    let secret = text(outputs, "global_secret_database_arn");
    secrets.update_secret().secret_id(secret).description("ours now").send().await.expect("described");
    vec![("global/dynamodb_table/sessions", "recovery_days"), ("global/secret/database", "description")]
}

async fn databases(stack: &Stack, region: &str) -> Vec<Drift> {
    let rds = aws_sdk_rds::Client::new(&stack.sdk_of("rds", region).await);
    let cluster = "payment-dr-dev-primary";
    let call = rds.modify_db_cluster().db_cluster_identifier(cluster).backup_retention_period(1);
    call.apply_immediately(true).send().await.expect("a day of backups");
    let plain = aws_sdk_rds::types::Parameter::builder()
        .parameter_name("rds.force_ssl")
        .parameter_value("0")
        .apply_method(aws_sdk_rds::types::ApplyMethod::Immediate)
        .build();
    let group = "payment-dr-dev-postgresql17";
    let call = rds.modify_db_cluster_parameter_group().db_cluster_parameter_group_name(group).parameters(plain);
    call.send().await.expect("no TLS");
    vec![
        ("primary/db_cluster/main", "backup_retention_days"),
        ("primary/db_cluster_parameter_group/main", "parameters"),
    ]
}

async fn compute(stack: &Stack, region: &str, outputs: &Value) -> Vec<Drift> {
    let lambda = aws_sdk_lambda::Client::new(&stack.sdk_of("lambda", region).await);
    let function = "payment-dr-dev-processor";
    let environment = aws_sdk_lambda::types::Environment::builder().variables("LEDGER", "nowhere").build();
    let call = lambda.update_function_configuration().function_name(function).memory_size(256).environment(environment);
    call.send().await.expect("less memory");
    let apis = aws_sdk_apigatewayv2::Client::new(&stack.sdk_of("apigateway", region).await);
    let api = text(outputs, "primary_api_main_id");
    let slow = aws_sdk_apigatewayv2::types::RouteSettings::builder()
        .throttling_rate_limit(1.0)
        .throttling_burst_limit(1)
        .build();
    let call = apis.update_stage().api_id(api).stage_name("$default").default_route_settings(slow);
    call.send().await.expect("throttled");
    apis.update_api().api_id(api).description("ours now").send().await.expect("described");
    let routes = apis.get_routes().api_id(api).send().await.expect("routes");
    let pay = routes.items().iter().find(|route| route.route_key() == Some("POST /payments")).expect("the route");
    let open = aws_sdk_apigatewayv2::types::AuthorizationType::None;
    let call = apis.update_route().api_id(api).route_id(pay.route_id().unwrap_or_default()).authorization_type(open);
    call.send().await.expect("opened to the world");
    vec![
        ("primary/lambda_function/processor", "memory_mb"),
        ("primary/lambda_function/processor", "environment"),
        ("primary/api_stage/default", "throttle_rate"),
        ("primary/api/main", "description"),
        ("primary/api_route/pay", "authorization_type"),
    ]
}

async fn watching(stack: &Stack, region: &str, outputs: &Value) -> Vec<Drift> {
    let sns = aws_sdk_sns::Client::new(&stack.sdk_of("sns", region).await);
    let topic = text(outputs, "primary_sns_topic_alerts_arn");
    let call = sns.set_topic_attributes().topic_arn(topic).attribute_name("DisplayName").attribute_value("ours now");
    call.send().await.expect("renamed");
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&stack.sdk_of("cloudwatch", region).await);
    let nothing = r#"{"widgets":[]}"#;
    let call = cloudwatch.put_dashboard().dashboard_name("payment-dr-dev-primary").dashboard_body(nothing);
    call.send().await.expect("emptied");
    vec![("primary/sns_topic/alerts", "display_name"), ("primary/dashboard/main", "body")]
}

async fn names(stack: &Stack, outputs: &Value) -> Vec<Drift> {
    let route53 = aws_sdk_route53::Client::new(&stack.sdk_of("route53", "us-east-1").await);
    let check = text(outputs, "global_health_check_primary_endpoint_id");
    route53.update_health_check().health_check_id(check).failure_threshold(9).send().await.expect("patient");
    let zone = text(outputs, "global_hosted_zone_main_id");
    let records = route53.list_resource_record_sets().hosted_zone_id(zone).send().await.expect("records");
    let mut record = records
        .resource_record_sets()
        .iter()
        .find(|record| record.set_identifier() == Some("payment-dr-dev-secondary"))
        .expect("the secondary's record")
        .clone();
    record.ttl = Some(3600);
    let change = Change::builder().action(ChangeAction::Upsert).resource_record_set(record).build().expect("complete");
    let batch = ChangeBatch::builder().changes(change).build().expect("complete");
    route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch).send().await.expect("an hour");
    vec![("global/health_check/primary-endpoint", "failure_threshold"), ("global/record/api-secondary", "ttl")]
}
