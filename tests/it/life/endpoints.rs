//! Regions are configuration: the whole life of a stack in several pairs of Regions, with and without us-east-1. The
//! control planes of IAM and Route 53 and the metric of the health checks are in us-east-1, whatever the pair.

use drctl_testkit::harness::Stack;
use drctl_testkit::life;
use drctl_testkit::survey::survey;

async fn a_life_in(primary: &str, secondary: &str) {
    let stack = Stack::new();
    stack.configure(&format!("[regions]\nprimary = \"{primary}\"\nsecondary = \"{secondary}\"\n"));
    life::whole_life_of(stack, [primary, secondary]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_against_the_sandbox() {
    life::whole_life_of(Stack::new(), ["us-east-1", "us-east-2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_in_europe() {
    a_life_in("eu-west-1", "eu-central-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_with_us_east_1_as_the_standby() {
    a_life_in("us-west-2", "us-east-1").await;
}

#[test]
fn global_services_are_called_in_us_east_1_whatever_the_pair() {
    let stack = Stack::new();
    stack.configure("[regions]\nprimary = \"eu-west-1\"\nsecondary = \"eu-central-1\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    let calls = stack.calls();
    let regions_of = |service: &str| {
        let mut regions: Vec<_> =
            calls.iter().filter(|call| call["service"] == service).filter_map(|call| call["region"].as_str()).collect();
        regions.sort_unstable();
        regions.dedup();
        regions
    };
    assert_eq!(regions_of("iam"), ["us-east-1"]);
    assert_eq!(regions_of("route53"), ["us-east-1"]);
    for service in ["ec2", "rds", "lambda", "apigateway", "dynamodb", "s3"] {
        assert_eq!(regions_of(service), ["eu-central-1", "eu-west-1"], "{service}");
    }
    // The metric HealthCheckStatus exists only in us-east-1, and an alarm notifies only within its Region.
    // See docs/aws-behaviour.md#alarms-reach-their-own-region.
    let made = |operation: &str| {
        calls.iter().filter(|call| call["operation"] == operation && call["region"] == "us-east-1").count()
    };
    assert_eq!((made("PutMetricAlarm"), made("CreateTopic"), made("CreateKey")), (1, 1, 1));
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_with_a_certificate_and_email_subscriptions() {
    let stack = Stack::new();
    stack.configure(
        "[dns]\ndomain = \"pay.example-bank.com\"\ncertificate = true\n[alerts]\nemails = [\"on.call@example-bank.com\", \
         \"cto@example-bank.com\"]\n",
    );
    let regions = ["us-east-1", "us-east-2"];
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let built = survey(&stack, regions).await;
    let count = |kind: &str| built.keys().filter(|key| key.split(' ').nth(1) == Some(kind)).count();
    assert_eq!((count("certificate"), count("api_domain"), count("record")), (2, 2, 3), "{built:#?}");
    for region in regions {
        let sns = aws_sdk_sns::Client::new(&stack.sdk(region).await);
        let subscriptions = sns.list_subscriptions().send().await.expect("subscriptions");
        assert_eq!(subscriptions.subscriptions().len(), 2, "{region}: {subscriptions:?}");
    }
    let outputs = stack.run(&["outputs"]).exits(0).json();
    assert_eq!(outputs["public_name"], "api.pay.example-bank.com");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    let left = survey(&stack, regions).await;
    assert!(left.is_empty(), "left behind: {left:#?}");
}
