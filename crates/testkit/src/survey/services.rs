//! Everything except the network.

use aws_sdk_route53::types::{ResourceTagSet, RrType, TagResourceType};

use super::{Survey, add, with_global};
use crate::harness::Stack;

/// What exists in both Regions besides the network, and what is global.
pub async fn services(stack: &Stack, regions: [&str; 2], found: &mut Survey) {
    for region in with_global(regions) {
        keys_and_logs(stack, region, found).await;
        data(stack, region, found).await;
        databases(stack, region, found).await;
        compute(stack, region, found).await;
        watching(stack, region, found).await;
    }
    global(stack, regions, found).await;
}

async fn keys_and_logs(stack: &Stack, region: &str, found: &mut Survey) {
    let kms = aws_sdk_kms::Client::new(&stack.sdk_of("kms", region).await);
    for alias in kms.list_aliases().send().await.expect("aliases").aliases() {
        let name = alias.alias_name().unwrap_or_default();
        if !name.starts_with("alias/aws/") {
            add(found, region, "kms_alias", name, String::new());
        }
    }
    for key in kms.list_keys().send().await.expect("keys").keys() {
        let id = key.key_id().expect("an id");
        let described = kms.describe_key().key_id(id).send().await.expect("a key");
        let key = described.key_metadata().expect("metadata");
        // A key cannot be deleted, only scheduled for deletion.
        if key.deletion_date().is_none() && key.key_manager() != Some(&aws_sdk_kms::types::KeyManagerType::Aws) {
            let rotation = kms.get_key_rotation_status().key_id(id).send().await.expect("rotation");
            let detail = format!("enabled {} rotation {}", key.enabled(), rotation.key_rotation_enabled());
            add(found, region, "kms_key", key.description().unwrap_or_default(), detail);
        }
    }
    let logs = aws_sdk_cloudwatchlogs::Client::new(&stack.sdk_of("logs", region).await);
    for group in logs.describe_log_groups().send().await.expect("log groups").log_groups() {
        let detail = format!("{:?} key {}", group.retention_in_days(), group.kms_key_id().is_some());
        add(found, region, "log_group", group.log_group_name().unwrap_or_default(), detail);
    }
    let sns = aws_sdk_sns::Client::new(&stack.sdk_of("sns", region).await);
    for topic in sns.list_topics().send().await.expect("topics").topics() {
        let arn = topic.topic_arn().expect("an ARN");
        let described = sns.get_topic_attributes().topic_arn(arn).send().await.expect("attributes");
        let encrypted = described.attributes().is_some_and(|all| all.contains_key("KmsMasterKeyId"));
        let name = arn.rsplit(':').next().unwrap_or_default();
        add(found, region, "sns_topic", name, format!("encrypted {encrypted}"));
    }
}

async fn data(stack: &Stack, region: &str, found: &mut Survey) {
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.sdk_of("secretsmanager", region).await);
    // The list leaves out those that are scheduled for deletion.
    for secret in secrets.list_secrets().send().await.expect("secrets").secret_list() {
        add(
            found,
            region,
            "secret",
            secret.name().unwrap_or_default(),
            format!("key {}", secret.kms_key_id().is_some()),
        );
    }
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk_of("dynamodb", region).await);
    for name in dynamodb.list_tables().send().await.expect("tables").table_names() {
        let described = dynamodb.describe_table().table_name(name).send().await.expect("a table");
        let table = described.table().expect("a table");
        let backups = dynamodb.describe_continuous_backups().table_name(name).send().await.expect("backups");
        let recovery = backups.continuous_backups_description().and_then(|b| b.point_in_time_recovery_description());
        let on =
            recovery.and_then(|r| r.point_in_time_recovery_status()).map(AsRef::as_ref).unwrap_or_default().to_owned();
        add(found, region, "dynamodb_table", name, format!("{} replicas, recovery {on}", table.replicas().len()));
    }
    let s3 = stack.s3(region).await;
    for bucket in s3.list_buckets().send().await.expect("buckets").buckets() {
        let name = bucket.name().unwrap_or_default();
        // Emulators list the buckets of all Regions in each Region.
        if !name.contains(&format!("-{region}-")) {
            continue;
        }
        let versioning = s3.get_bucket_versioning().bucket(name).send().await.expect("versioning");
        let replication = s3.get_bucket_replication().bucket(name).send().await;
        let rules = replication.ok().and_then(|r| r.replication_configuration).map_or(0, |r| r.rules.len());
        let detail = format!("{:?}, {rules} replication rules", versioning.status());
        // The end of the name follows from the account.
        add(found, region, "s3_bucket", name.rsplit_once('-').map_or(name, |(name, _)| name), detail);
    }
}

async fn databases(stack: &Stack, region: &str, found: &mut Survey) {
    let rds = aws_sdk_rds::Client::new(&stack.sdk_of("rds", region).await);
    for group in rds.describe_db_subnet_groups().send().await.expect("subnet groups").db_subnet_groups() {
        let name = group.db_subnet_group_name().unwrap_or_default();
        if name != "default" {
            add(found, region, "db_subnet_group", name, format!("{} subnets", group.subnets().len()));
        }
    }
    let groups = rds.describe_db_cluster_parameter_groups().send().await.expect("parameter groups");
    for group in groups.db_cluster_parameter_groups() {
        let name = group.db_cluster_parameter_group_name().unwrap_or_default();
        if !name.starts_with("default.") {
            add(found, region, "db_cluster_parameter_group", name, String::new());
        }
    }
    for cluster in rds.describe_db_clusters().send().await.expect("clusters").db_clusters() {
        let detail = format!(
            "{} {} encrypted {:?} protected {:?}",
            cluster.engine().unwrap_or_default(),
            cluster.engine_version().unwrap_or_default(),
            cluster.storage_encrypted(),
            cluster.deletion_protection(),
        );
        add(found, region, "db_cluster", cluster.db_cluster_identifier().unwrap_or_default(), detail);
    }
    for instance in rds.describe_db_instances().send().await.expect("instances").db_instances() {
        let class = instance.db_instance_class().unwrap_or_default().to_owned();
        add(found, region, "db_instance", instance.db_instance_identifier().unwrap_or_default(), class);
    }
}

async fn compute(stack: &Stack, region: &str, found: &mut Survey) {
    let lambda = aws_sdk_lambda::Client::new(&stack.sdk_of("lambda", region).await);
    for function in lambda.list_functions().send().await.expect("functions").functions() {
        let name = function.function_name().unwrap_or_default();
        let policy = lambda.get_policy().function_name(name).send().await.is_ok();
        add(found, region, "lambda_function", name, format!("permitted {policy}"));
    }
    let apis = aws_sdk_apigatewayv2::Client::new(&stack.sdk_of("apigateway", region).await);
    for api in apis.get_apis().send().await.expect("APIs").items() {
        let id = api.api_id().unwrap_or_default();
        let routes = apis.get_routes().api_id(id).send().await.expect("routes").items().len();
        let integrations = apis.get_integrations().api_id(id).send().await.expect("integrations").items().len();
        let stages = apis.get_stages().api_id(id).send().await.expect("stages").items().len();
        let detail = format!("{routes} routes, {integrations} integrations, {stages} stages");
        add(found, region, "api", api.name().unwrap_or_default(), detail);
    }
    for domain in apis.get_domain_names().send().await.expect("domains").items() {
        add(found, region, "api_domain", domain.domain_name().unwrap_or_default(), String::new());
    }
    let acm = aws_sdk_acm::Client::new(&stack.sdk_of("acm", region).await);
    for certificate in acm.list_certificates().send().await.expect("certificates").certificate_summary_list() {
        add(found, region, "certificate", certificate.domain_name().unwrap_or_default(), String::new());
    }
}

async fn watching(stack: &Stack, region: &str, found: &mut Survey) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&stack.sdk_of("cloudwatch", region).await);
    for alarm in cloudwatch.describe_alarms().send().await.expect("alarms").metric_alarms() {
        let actions = alarm.alarm_actions().len() + alarm.ok_actions().len();
        add(found, region, "alarm", alarm.alarm_name().unwrap_or_default(), format!("{actions} actions"));
    }
    for dashboard in cloudwatch.list_dashboards().send().await.expect("dashboards").dashboard_entries() {
        add(found, region, "dashboard", dashboard.dashboard_name().unwrap_or_default(), String::new());
    }
}

async fn global(stack: &Stack, regions: [&str; 2], found: &mut Survey) {
    let iam = aws_sdk_iam::Client::new(&stack.sdk_of("iam", "us-east-1").await);
    for role in iam.list_roles().send().await.expect("roles").roles() {
        let policies = iam.list_role_policies().role_name(role.role_name()).send().await.expect("policies");
        add(found, "global", "iam_role", role.role_name(), policies.policy_names().join(","));
    }
    let rds = aws_sdk_rds::Client::new(&stack.sdk_of("rds", regions[0]).await);
    for cluster in rds.describe_global_clusters().send().await.expect("global clusters").global_clusters() {
        let detail = format!("{} members", cluster.global_cluster_members().len());
        add(found, "global", "global_cluster", cluster.global_cluster_identifier().unwrap_or_default(), detail);
    }
    let route53 = aws_sdk_route53::Client::new(&stack.sdk_of("route53", "us-east-1").await);
    for zone in route53.list_hosted_zones().send().await.expect("zones").hosted_zones() {
        add(found, "global", "hosted_zone", zone.name(), String::new());
        let records = route53.list_resource_record_sets().hosted_zone_id(zone.id()).send().await.expect("records");
        for record in records.resource_record_sets() {
            if !matches!(record.r#type(), RrType::Ns | RrType::Soa) {
                let name = format!("{} {}", record.name(), record.set_identifier().unwrap_or_default());
                let detail = format!("{} checked {}", record.r#type().as_str(), record.health_check_id().is_some());
                add(found, "global", "record", &name, detail);
            }
        }
    }
    for check in route53.list_health_checks().send().await.expect("health checks").health_checks() {
        let config = check.health_check_config().expect("a configuration");
        // Named by its tag, because the name of the host that it probes is random.
        let call = route53.list_tags_for_resource().resource_type(TagResourceType::Healthcheck).resource_id(check.id());
        let answer = call.send().await.expect("tags");
        let tags = answer.resource_tag_set().map(ResourceTagSet::tags).unwrap_or_default();
        let node = tags.iter().find(|tag| tag.key() == Some("drctl:node")).and_then(|tag| tag.value());
        let name = node.unwrap_or(config.r#type().as_str());
        add(found, "global", "health_check", name, format!("inverted {:?}", config.inverted()));
    }
}
