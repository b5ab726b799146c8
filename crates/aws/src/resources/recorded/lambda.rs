//! AWS Lambda.

use std::collections::BTreeMap;

use super::{Answers, NOTHING, compared, found, read, with};
use crate::resources::lambda::{Function, Permission};
use crate::resources::{Class, Live, Owner, Phase, Ref, Resource as _};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5";

/// From cloud-custodian's recordings of lambda.GetFunction (`test_lambda_layer_concurrent_publish`, `test_eb_scheduler`, 2024).
const FUNCTION: &str = r#"{"FunctionName": "pay-prod-processor",
"FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:pay-prod-processor", "Runtime": "python3.13",
"Role": "arn:aws:iam::123456789012:role/pay-prod-processor", "Handler": "index.handler", "CodeSize": 168,
"Description": "the processor", "Timeout": 30, "MemorySize": 256, "LastModified": "2024-01-13T06:44:16.390+0000",
"CodeSha256": "vGPycvFY/krzGmxtrdge41pUwYXQ5jyzBfyVO53ockM=", "Version": "$LATEST",
"VpcConfig": {"SubnetIds": ["subnet-0b", "subnet-0a"], "SecurityGroupIds": ["sg-0a"], "VpcId": "vpc-0a", "Ipv6AllowedForDualStack": false},
"Environment": {"Variables": {"TABLE": "pay-prod-sessions"}},
"KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5",
"TracingConfig": {"Mode": "Active"}, "RevisionId": "2f5768c7-580d-414e-a8b8-5eec7fa6e97c", "State": "Active",
"LastUpdateStatus": "Successful", "PackageType": "Zip", "Architectures": ["x86_64"], "EphemeralStorage": {"Size": 512},
"SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
"RuntimeVersionConfig": {"RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:c98750"},
"LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/pay-prod-processor"}}"#;

fn function() -> Function {
    Function {
        name: "pay-prod-processor".to_owned(),
        description: "the processor".to_owned(),
        role: Ref::known("arn:aws:iam::123456789012:role/pay-prod-processor"),
        runtime: "python3.13".to_owned(),
        handler: "index.handler".to_owned(),
        memory_mb: 256,
        timeout_seconds: 30,
        package: "/nowhere".to_owned(),
        code_sha256: "vGPycvFY/krzGmxtrdge41pUwYXQ5jyzBfyVO53ockM=".to_owned(),
        environment: BTreeMap::from([("TABLE".to_owned(), "pay-prod-sessions".into())]),
        kms_key: Ref::known(KEY),
        subnets: ["subnet-0a", "subnet-0b"].map(Ref::known).to_vec(),
        security_groups: vec![Ref::known("sg-0a")],
        tracing: true,
        reserved_concurrency: None,
        log_group: "/aws/lambda/pay-prod-processor".to_owned(),
        last_update: "Successful".to_owned(),
        after: Vec::new(),
    }
}

async fn read_function(configuration: &str, more: &str) -> Live {
    let body =
        format!(r#"{{"Configuration": {configuration}, "Code": {{"RepositoryType": "S3", "Location": "l"}}{more}}}"#);
    let answers = Answers::default().to("GET /2015-03-31/functions/pay-prod-processor", body);
    read::<Function>(answers, "pay-prod-processor").await
}

#[tokio::test]
async fn a_function_as_recorded_reads_as_it_was_made() {
    let tags = r#", "Tags": {"drctl:stack": "pay", "drctl:environment": "prod"}"#;
    let live = read_function(FUNCTION, tags).await;
    assert_eq!((compared(&function(), &live), &live.phase), (vec![], &Phase::Ready));
    assert!(matches!(live.owner, Owner::Ours { .. }));
    let reserved = read_function(FUNCTION, r#", "Concurrency": {"ReservedConcurrentExecutions": 0}"#).await;
    let desired = Function { reserved_concurrency: Some(0), ..function() };
    assert_eq!(compared(&desired, &reserved), NOTHING);
}

#[tokio::test]
async fn fields_that_aws_adds_to_a_function_are_ignored() {
    let future = FUNCTION.replace(r#""Text""#, r#""OfTomorrow""#).replace(r#""x86_64""#, r#""of-tomorrow""#).replacen(
        '{',
        r#"{"OfTomorrow": {"a": [1]}, "#,
        1,
    );
    assert_eq!(compared(&function(), &read_function(&future, r#", "OfTomorrow": 1"#).await), NOTHING);
}

/// From cloud-custodian's recordings of lambda.GetFunction, including older ones: a function without a VPC has empty lists or
/// none, one without variables has no environment, and one without a key uses Lambda's own. What is returned of every function
/// may be missing while it is being created.
#[tokio::test]
async fn what_an_answer_about_a_function_lacks_has_a_meaning_or_does_not_differ() {
    let desired = Function {
        description: String::new(),
        environment: BTreeMap::new(),
        kms_key: Ref::known(""),
        subnets: Vec::new(),
        security_groups: Vec::new(),
        ..function()
    };
    let no_vpc = r#""VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}"#;
    for configuration in [r#"{"FunctionName": "pay-prod-processor"}"#.to_owned(), format!("{{{no_vpc}}}")] {
        let live = read_function(&configuration, "").await;
        assert_eq!((compared(&desired, &live), live.owner), (vec![], Owner::Untagged), "{configuration}");
    }
}

/// <https://docs.aws.amazon.com/lambda/latest/api/API_TagsError.html>: the tagging service failed, for any reason. The answer to
/// the separate call decides.
#[test]
fn tags_that_could_not_be_returned_are_read_with_a_separate_call() {
    let read = |status, tags: &'static str| {
        let function = format!(
            r#"{{"Configuration": {FUNCTION}, "TagsError": {{"ErrorCode": "ServiceException", "Message": "try again"}}}}"#
        );
        let answers = Answers::default().to("GET /2015-03-31/functions/pay-prod-processor", function).refused(
            "GET /2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Apay-prod-processor",
            status,
            tags,
        );
        with(answers, async |cx| Function::read(&cx, "pay-prod-processor").await)
    };
    let tagged = read(200, r#"{"Tags": {"drctl:stack": "pay", "drctl:environment": "prod"}}"#).expect("read");
    assert!(matches!(tagged.expect("it is there").owner, Owner::Ours { .. }));
    let denied =
        read(403, r#"{"__type": "AccessDeniedException", "Message": "not lambda:ListTags"}"#).expect_err("denied");
    assert_eq!((denied.class, denied.operation.as_deref()), (Class::Denied, Some("lambda:ListTags in us-east-1")));
}

/// From cloud-custodian's recording of lambda.GetPolicy: one text with every statement, and the key of a condition in another
/// case.
#[tokio::test]
async fn a_permission_is_found_in_the_policy_of_its_function() {
    let statement = |sid: &str| {
        format!(
            r#"{{\"Sid\":\"{sid}\",\"Effect\":\"Allow\",\"Principal\":{{\"Service\":\"apigateway.amazonaws.com\"}},\"Action\":\"lambda:InvokeFunction\",\"Resource\":\"arn:aws:lambda:us-east-1:123456789012:function:f\",\"Condition\":{{\"ArnLike\":{{\"AWS:SourceArn\":\"arn:aws:execute-api:us-east-1:123456789012:a1b2/*/*\"}}}}}}"#
        )
    };
    let document = format!(
        r#"{{"Policy": "{{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[{},{}]}}", "RevisionId": "r"}}"#,
        statement("other"),
        statement("api")
    );
    let answers = |body: String| Answers::default().to("GET /2015-03-31/functions/f/policy", body);
    let desired = Permission {
        function: Ref::known("f"),
        statement_id: "api".to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "apigateway.amazonaws.com".to_owned(),
        api: Ref::known("a1b2"),
    };
    assert_eq!(compared(&desired, &read::<Permission>(answers(document.clone()), "f/api").await), NOTHING);
    assert!(found::<Permission>(answers(document), "f/none").await.is_none());
    assert!(found::<Permission>(answers("{}".to_owned()), "f/api").await.is_none());
}
