//! AWS Identity and Access Management.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Answers, NOTHING, compared, query, query_error, read};
use crate::resources::iam::Role;
use crate::resources::{Live, Owner, policy};

/// From cloud-custodian's recordings of iam.GetRole (`test_iam_role_remove_boundary`, `test_delete_role`): the document is encoded
/// as in a URL.
const ROLE: &str = "<Role><Path>/</Path><RoleName>pay-prod-processor</RoleName><RoleId>AROAEXAMPLEEXAMPLE00</RoleId>\
    <Arn>arn:aws:iam::123456789012:role/pay-prod-processor</Arn><CreateDate>2019-05-21T22:42:01Z</CreateDate>\
    <AssumeRolePolicyDocument>%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Sid%22%3A%22%22%2C%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D</AssumeRolePolicyDocument>\
    <Description>the processor</Description><MaxSessionDuration>3600</MaxSessionDuration>\
    <PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
    <PermissionsBoundaryArn>arn:aws:iam::123456789012:policy/bound</PermissionsBoundaryArn></PermissionsBoundary>\
    <Tags><member><Key>drctl:environment</Key><Value>prod</Value></member>\
    <member><Key>drctl:stack</Key><Value>pay</Value></member></Tags><RoleLastUsed/><OfTomorrow>1</OfTomorrow></Role>";

fn role() -> Role {
    Role {
        name: "pay-prod-processor".to_owned(),
        path: "/".to_owned(),
        permissions_boundary: "arn:aws:iam::123456789012:policy/bound".to_owned(),
        description: "the processor".to_owned(),
        assume_role_policy: policy::canonical(json!({ "Version": "2012-10-17", "Statement": [{
            "Sid": "", "Effect": "Allow", "Principal": { "Service": ["lambda.amazonaws.com"] }, "Action": ["sts:AssumeRole"],
        }]})),
        policies: BTreeMap::from([("own".to_owned(), own())]),
    }
}

fn own() -> serde_json::Value {
    policy::canonical(json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": ["arn:aws:s3:::pay-data/*"],
    }]}))
}

async fn read_role(role: &str, names: &str) -> Live {
    let document = "%7B%22Statement%22%3A%5B%7B%22Action%22%3A%5B%22s3%3AGetObject%22%2C%22s3%3APutObject%22%5D%2C\
        %22Effect%22%3A%22Allow%22%2C%22Resource%22%3A%22arn%3Aaws%3As3%3A%3A%3Apay-data%2F%2A%22%7D%5D%2C\
        %22Version%22%3A%222012-10-17%22%7D";
    let policy =
        format!("<RoleName>r</RoleName><PolicyName>own</PolicyName><PolicyDocument>{document}</PolicyDocument>");
    let names = format!("<PolicyNames>{names}</PolicyNames><IsTruncated>false</IsTruncated>");
    let answers = Answers::default()
        .to("GetRole", query("GetRole", role))
        .to("ListRolePolicies", query("ListRolePolicies", &names))
        .to("GetRolePolicy PolicyName=own", query("GetRolePolicy", &policy))
        .refused("GetRolePolicy PolicyName=gone", 404, query_error("NoSuchEntity", "The role policy cannot be found."));
    read::<Role>(answers, "pay-prod-processor").await
}

#[tokio::test]
async fn a_role_as_recorded_reads_as_it_was_made() {
    let live = read_role(ROLE, "<member>own</member>").await;
    assert_eq!(compared(&role(), &live), NOTHING);
    assert!(matches!(live.owner, Owner::Ours { .. }));
    assert_eq!(live.arn.as_deref(), Some("arn:aws:iam::123456789012:role/pay-prod-processor"));
}

/// It was deleted after it was listed: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html>.
#[tokio::test]
async fn a_policy_that_was_just_deleted_is_left_out_of_its_role() {
    let live = read_role(ROLE, "<member>gone</member><member>own</member>").await;
    assert_eq!(compared(&role(), &live), NOTHING);
}

/// From cloud-custodian's recordings of iam.GetRole and iam.ListRolePolicies: no description, no boundary, no tags, no policies.
#[tokio::test]
async fn what_a_role_was_created_without_reads_as_empty_and_its_trust_policy_is_not_compared() {
    let bare = "<Role><Path>/</Path><RoleName>pay-prod-processor</RoleName><RoleId>A</RoleId>\
        <Arn>arn:aws:iam::123456789012:role/pay-prod-processor</Arn><CreateDate>2019-05-21T22:42:01Z</CreateDate></Role>";
    let live = read_role(bare, "").await;
    let desired =
        Role { permissions_boundary: String::new(), description: String::new(), policies: BTreeMap::new(), ..role() };
    assert_eq!((compared(&desired, &live), live.owner), (vec![], Owner::Untagged));
    let live = read_role(&bare.replace("<Path>/</Path>", ""), "").await;
    assert_eq!(compared(&desired, &live), NOTHING, "it would be replaced");
}

/// A role with a boundary of an unknown kind.
#[tokio::test]
async fn a_boundary_of_an_unknown_kind_is_not_an_error() {
    let future = ROLE.replace("<PermissionsBoundaryType>Policy<", "<PermissionsBoundaryType>OfTomorrow<");
    assert_eq!(compared(&role(), &read_role(&future, "<member>own</member>").await), NOTHING);
}
