//! Amazon API Gateway, version 2.

use super::{Answers, NOTHING, compared, found, read};
use crate::resources::apigatewayv2::{Api, ApiMapping, Authorizer, DomainName, Integration, Route, Stage};
use crate::resources::{Live, Owner, Phase, Ref};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:pay-prod-api";

/// From AWS's example of `get-api` in the AWS CLI's reference.
#[tokio::test]
async fn an_api_as_shown_by_aws_reads_as_it_was_made() {
    let body = r#"{"apiEndpoint": "https://a1b2.execute-api.us-east-1.amazonaws.com", "apiId": "a1b2",
        "apiKeySelectionExpression": "$request.header.x-api-key", "createdDate": "2020-03-28T00:32:37Z", "name": "pay-prod",
        "description": "payments", "disableExecuteApiEndpoint": true, "protocolType": "OF_TOMORROW", "ofTomorrow": [1],
        "routeSelectionExpression": "$request.method $request.path",
        "tags": {"drctl:stack": "pay", "drctl:environment": "prod"}}"#;
    let desired =
        Api { name: "pay-prod".to_owned(), description: "payments".to_owned(), disable_execute_api_endpoint: true };
    let live = read::<Api>(Answers::default().to("GET /v2/apis/a1b2", body), "a1b2").await;
    assert_eq!(
        (compared(&desired, &live), live.outputs["host"].as_str()),
        (vec![], "a1b2.execute-api.us-east-1.amazonaws.com")
    );
    assert!(matches!(live.owner, Owner::Ours { .. }));
    // As in the example, without a description and a switch.
    let bare = r#"{"apiId": "a1b2", "name": "pay-prod", "tags": {}}"#;
    let live = read::<Api>(Answers::default().to("GET /v2/apis/a1b2", bare), "a1b2").await;
    let plain = Api { description: String::new(), disable_execute_api_endpoint: false, ..desired };
    assert_eq!((compared(&plain, &live), live.owner), (vec![], Owner::Untagged));
    let live = read::<Api>(Answers::default().to("GET /v2/apis/a1b2", r#"{"apiId": "a1b2"}"#), "a1b2").await;
    assert_eq!(compared(&plain, &live), NOTHING);
}

/// From AWS's example of `get-stage` in the AWS CLI's reference, which has neither logging nor throttling; their names are from
/// the API's reference. Rates are written as doubles.
#[tokio::test]
async fn a_stage_as_shown_by_aws_reads_as_it_was_made() {
    let read = |body: &'static str| {
        read::<Stage>(Answers::default().to("GET /v2/apis/a1b2/stages/%24default", body), "a1b2/$default")
    };
    let desired = Stage {
        api: Ref::known("a1b2"),
        name: "$default".to_owned(),
        auto_deploy: true,
        throttle_rate: 100,
        throttle_burst: 200,
        access_log_group: Ref::known("arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/apis/pay-prod"),
        access_log_format: "$context.requestId".to_owned(),
        detailed_metrics: true,
    };
    let live = read(
        r#"{"accessLogSettings": {"destinationArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/apis/pay-prod",
            "format": "$context.requestId"}, "autoDeploy": true, "createdDate": "2020-04-08T00:36:05Z",
            "defaultRouteSettings": {"detailedMetricsEnabled": true, "throttlingBurstLimit": 200, "throttlingRateLimit": 100.0},
            "deploymentId": "x1zwyv", "lastUpdatedDate": "2020-04-08T00:36:13Z", "routeSettings": {}, "stageName": "$default",
            "stageVariables": {}, "tags": {}, "ofTomorrow": {"a": 1}}"#,
    )
    .await;
    assert_eq!(compared(&desired, &live), NOTHING);
    let bare = read(
        r#"{"defaultRouteSettings": {"detailedMetricsEnabled": false}, "routeSettings": {}, "stageName": "$default"}"#,
    );
    let differs = compared(&desired, &bare.await);
    assert!(differs.iter().all(|(_, replaced)| !replaced), "{differs:?}");
}

fn listed(words: &'static str, item: &str) -> Answers {
    Answers::default().to(words, format!(r#"{{"items": [{{"ofTomorrow": [1]}}, {item}]}}"#))
}

/// From AWS's examples of `get-integrations` and `get-routes` in the AWS CLI's reference.
#[tokio::test]
async fn integrations_and_routes_as_shown_by_aws_read_as_they_were_made() {
    let item = format!(
        r#"{{"apiGatewayManaged": false, "connectionType": "INTERNET", "integrationId": "c3d4", "integrationMethod": "POST",
            "integrationType": "AWS_PROXY", "integrationUri": "{FUNCTION}", "payloadFormatVersion": "2.0",
            "timeoutInMillis": 10000}}"#
    );
    let answers = listed("GET /v2/apis/a1b2/integrations", &item);
    let desired = Integration {
        api: Ref::known("a1b2"),
        function: Ref::known(FUNCTION),
        payload_format: "2.0".to_owned(),
        timeout_ms: 10_000,
    };
    assert_eq!(compared(&desired, &read::<Integration>(answers, "a1b2/c3d4").await), NOTHING);
    let bare = format!(r#"{{"integrationId": "c3d4", "integrationUri": "{FUNCTION}"}}"#);
    let plain = Integration { payload_format: "1.0".to_owned(), timeout_ms: 30_000, ..desired };
    let live = read::<Integration>(listed("GET /v2/apis/a1b2/integrations", &bare), "a1b2/c3d4").await;
    assert_eq!(compared(&plain, &live), NOTHING);
    let least =
        read::<Integration>(listed("GET /v2/apis/a1b2/integrations", r#"{"integrationId": "c3d4"}"#), "a1b2/c3d4");
    assert_eq!(compared(&plain, &least.await), NOTHING);

    let route = |more: &str| {
        let item =
            format!(r#"{{"routeId": "e5f6", "routeKey": "GET /payments", "target": "integrations/c3d4"{more}}}"#);
        read::<Route>(listed("GET /v2/apis/a1b2/routes", &item), "a1b2/GET /payments")
    };
    let desired = Route {
        api: Ref::known("a1b2"),
        key: "GET /payments".to_owned(),
        integration: Ref::known("a1b2/c3d4"),
        authorization_type: "NONE".to_owned(),
        authorizer: Ref::known(""),
    };
    let fields = r#", "apiKeyRequired": false, "authorizationType": "NONE""#;
    assert_eq!(compared(&desired, &route(fields).await), NOTHING);
    assert_eq!(compared(&desired, &route("").await), NOTHING);
    let future = route(r#", "authorizationType": "OF_TOMORROW""#).await;
    assert_eq!(compared(&desired, &future), [("authorization_type".to_owned(), false)]);
}

/// From AWS's example of `get-authorizers` in the AWS CLI's reference: a JWT authorizer.
#[tokio::test]
async fn an_authorizer_as_shown_by_aws_reads_as_it_was_made() {
    let desired = Authorizer {
        api: Ref::known("a1b2"),
        name: "jwt".to_owned(),
        issuer: "https://login.example.com".to_owned(),
        audience: vec!["a".to_owned(), "b".to_owned()],
        identity_source: vec!["$request.header.Authorization".to_owned()],
    };
    let item = r#"{"authorizerId": "g7h8", "authorizerType": "JWT", "identitySource": ["$request.header.Authorization"],
        "jwtConfiguration": {"audience": ["b", "a"], "issuer": "https://login.example.com"}, "name": "jwt"}"#;
    let live = read::<Authorizer>(listed("GET /v2/apis/a1b2/authorizers", item), "a1b2/jwt").await;
    assert_eq!(compared(&desired, &live), NOTHING);
    let bare = |item: &str| read::<Authorizer>(listed("GET /v2/apis/a1b2/authorizers", item), "a1b2/jwt");
    assert_eq!(compared(&desired, &bare(r#"{"name": "jwt"}"#).await), NOTHING);
    let other = compared(&desired, &bare(r#"{"name": "jwt", "authorizerType": "REQUEST"}"#).await);
    assert_eq!(other, [("issuer".to_owned(), false), ("audience".to_owned(), false)]);
}

async fn domain(configurations: &str) -> Live {
    let body = format!(
        r#"{{"apiMappingSelectionExpression": "$request.basepath", "domainName": "api.example.com",
            "domainNameConfigurations": {configurations}, "tags": {{}}}}"#
    );
    read::<DomainName>(Answers::default().to("GET /v2/domainnames/api.example.com", body), "api.example.com").await
}

/// From AWS's example of `get-domain-name` in the AWS CLI's reference.
#[tokio::test]
async fn a_domain_name_as_shown_by_aws_reads_as_it_was_made() {
    let desired = DomainName {
        name: "api.example.com".to_owned(),
        certificate: Ref::known("arn:aws:acm:us-east-1:123456789012:certificate/123"),
        security_policy: "TLS_1_2".to_owned(),
    };
    let configuration = r#"[{"apiGatewayDomainName": "d-1234.execute-api.us-east-1.amazonaws.com",
        "certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/123", "domainNameStatus": "AVAILABLE",
        "endpointType": "REGIONAL", "hostedZoneId": "Z3AQBSTGFYJSTF", "securityPolicy": "TLS_1_2", "ipAddressType": "of-tomorrow"}]"#;
    let live = domain(configuration).await;
    assert_eq!((compared(&desired, &live), &live.phase), (vec![], &Phase::Ready));
    assert_eq!(live.outputs["target_zone"], "Z3AQBSTGFYJSTF");
    for least in ["[]", "[{}]"] {
        assert_eq!(compared(&desired, &domain(least).await), NOTHING, "{least}");
    }
}

/// From AWS's example of `get-api-mappings` in the AWS CLI's reference: the key of the root is empty or left out.
#[tokio::test]
async fn the_mapping_of_the_root_is_found_among_others() {
    let mappings = |items: &str| {
        let body = format!(
            r#"{{"items": [{{"apiId": "x", "apiMappingId": "1", "apiMappingKey": "v1", "stage": "prod"}}{items}]}}"#
        );
        let answers = Answers::default().to("GET /v2/domainnames/api.example.com/apimappings", body);
        found::<ApiMapping>(answers, "api.example.com/")
    };
    let desired = ApiMapping {
        domain: Ref::known("api.example.com"),
        api: Ref::known("a1b2"),
        stage: "$default".to_owned(),
        after: Vec::new(),
    };
    for key in [r#""apiMappingKey": "","#, ""] {
        let root = format!(r#", {{"apiId": "a1b2", "apiMappingId": "2", {key} "stage": "$default"}}"#);
        assert_eq!(compared(&desired, &mappings(&root).await.expect("there")), NOTHING, "{key}");
    }
    let least = mappings(r#", {"apiMappingId": "2"}"#).await.expect("there");
    assert_eq!(compared(&desired, &least), NOTHING);
    assert!(mappings("").await.is_none());
}
