//! Settings that others have made on the stack's own resources are named before they are overwritten, and named where they
//! keep a resource from being deleted.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
};

use drctl_testkit::harness::Stack;

const DOMAIN: &str = "pay.others.dev";

async fn bucket(stack: &Stack) -> String {
    let s3 = stack.s3("us-east-1").await;
    let buckets = s3.list_buckets().send().await.expect("buckets");
    let names = buckets.buckets().iter().filter_map(|bucket| bucket.name());
    names.into_iter().find(|name| name.contains("us-east-1")).expect("the primary's").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_lifecycle_rule_is_named_before_it_is_overwritten() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let (s3, bucket) = (stack.s3("us-east-1").await, bucket(&stack).await);
    let held = s3.get_bucket_lifecycle_configuration().bucket(&bucket).send().await.expect("a lifecycle");
    let theirs = LifecycleRule::builder()
        .id("archive-receipts")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("receipts/").build())
        .expiration(LifecycleExpiration::builder().days(3650).build())
        .build()
        .expect("complete");
    let rules = held.rules().iter().cloned().chain([theirs]).collect();
    let both = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().expect("complete");
    let call = s3.put_bucket_lifecycle_configuration().bucket(&bucket).lifecycle_configuration(both);
    call.send().await.expect("a foreign rule");

    stack.run(&["plan", "--detailed-exitcode"]).exits(2).says("archive-receipts");
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_with_a_foreign_mapping_is_kept_and_the_mapping_is_named() {
    let stack = Stack::new();
    stack.configure(&format!("[dns]\ndomain = \"{DOMAIN}\"\ncertificate = true\n"));
    stack.run(&["up", "--yes"]).exits(0);
    let gateway = aws_sdk_apigatewayv2::Client::new(&stack.sdk("us-east-1").await);
    let domains = gateway.get_domain_names().send().await.expect("domains");
    let domain = domains.items().first().and_then(|domain| domain.domain_name()).expect("the stack's").to_owned();
    let api = gateway.create_api().name("refunds").protocol_type(aws_sdk_apigatewayv2::types::ProtocolType::Http);
    let api = api.send().await.expect("an API").api_id.expect("an id");
    gateway.create_stage().api_id(&api).stage_name("live").send().await.expect("a stage");
    let call = gateway.create_api_mapping().domain_name(&domain).api_id(&api).stage("live").api_mapping_key("refunds");
    let mapping = call.send().await.expect("a mapping").api_mapping_id.expect("an id");

    stack.run(&["down", "--yes"]).exits(1).says(&format!("refunds to {api}"));
    gateway.get_domain_name().domain_name(&domain).send().await.expect("the domain still exists");
    let call = gateway.delete_api_mapping().domain_name(&domain).api_mapping_id(&mapping);
    call.send().await.expect("deleted");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
