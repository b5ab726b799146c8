//! The whole life of a stack against LocalStack: `localstack/test` starts it and runs this test.
//!
//! The target is not part of `cargo test` (`test = false` in Cargo.toml), because LocalStack needs a version of Python that a
//! machine may lack. Without an endpoint, the test fails and says so.

use drctl_testkit::{harness, life};

/// What MiniStack serves. The open edition of LocalStack lacks the first four, or has them only with Java or Docker. RDS
/// has to see its subnets, so EC2 is where RDS is. LocalStack 4.14 cannot serve the last two to this SDK: `DescribeAlarms`
/// in CBOR fails (500), and the booleans of health checks are written `True`, which is not a boolean in XML.
const ELSEWHERE: [&str; 7] = ["RDS", "APIGATEWAYV2", "DYNAMODB", "LAMBDA", "EC2", "CLOUDWATCH", "ROUTE_53"];

/// A stack on LocalStack, with the sandbox's MiniStack for the rest.
fn stack(endpoint: &str) -> harness::Stack {
    static MINISTACK: std::sync::OnceLock<harness::Shared> = std::sync::OnceLock::new();
    let ministack = MINISTACK.get_or_init(|| harness::start(&[]));
    harness::Stack::at(endpoint).with(&ELSEWHERE, &ministack.endpoint)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_against_localstack() {
    let given = std::env::var("DRCTL_TEST_ENDPOINT");
    assert!(given.is_ok(), "no LocalStack: run `localstack/test`, which starts one and sets DRCTL_TEST_ENDPOINT");
    life::whole_life_of(stack(harness::endpoint()), ["us-east-1", "us-east-2"]).await;
}
