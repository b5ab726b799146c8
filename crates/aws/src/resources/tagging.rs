//! Setting tags, for every service that has them.

use super::{Change, Context};
use crate::TagMap;
use drctl_engine::{Class, Failure, Live};

/// How a type of resource is tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagging {
    /// It has no tags.
    None,
    /// By its id, with EC2's `CreateTags`.
    Ec2,
    /// By its id, with KMS's `TagResource`.
    Kms,
    /// By its ARN, with CloudWatch Logs' `TagResource`.
    Logs,
    /// By its name, with IAM's `TagRole`.
    IamRole,
    /// By its ARN, with SNS's `TagResource`.
    Sns,
    /// By its name, with S3's `PutBucketTagging`, which takes all tags at once.
    S3,
    /// By its ARN, with Secrets Manager's `TagResource`.
    SecretsManager,
    /// By its ARN, with `DynamoDB`'s `TagResource`.
    DynamoDb,
    /// By its ARN, with RDS's `AddTagsToResource`.
    Rds,
    /// By its ARN, with Lambda's `TagResource`.
    Lambda,
    /// By its ARN, with API Gateway's `TagResource`.
    ApiGateway,
    /// It takes none: drctl's tags are written to its description, which has no room for others.
    Description,
    /// By its ARN, with ACM's `AddTagsToCertificate`.
    Acm,
    /// By its ARN, with `CloudWatch`'s `TagResource`. They are never read: a mark in the resource says when to set them.
    CloudWatch,
    /// By its id and kind, with Route 53's `ChangeTagsForResource`.
    Route53,
}

impl Tagging {
    /// Whether its tags are tags for AWS, too, in bills and for policies.
    #[must_use]
    pub fn is_real(self) -> bool {
        !matches!(self, Self::None | Self::Description)
    }

    /// Whether other changes mean that the tags have to be set as well, because they are never read.
    pub(super) fn follow(self, changes: &[Change]) -> bool {
        self == Self::CloudWatch && super::cloudwatch::is_marked_anew(changes)
    }

    /// Sets tags, and leaves all others alone.
    ///
    /// # Errors
    /// What the call's answer means.
    pub async fn apply(self, cx: &Context, live: &Live, tags: &TagMap) -> Result<(), Failure> {
        let clients = cx.clients();
        match self {
            Self::None => Ok(()),
            Self::Ec2 => {
                let tags = tags
                    .iter()
                    .map(|(key, value)| aws_sdk_ec2::types::Tag::builder().key(key).value(value).build())
                    .collect();
                let call = clients.ec2.create_tags().resources(&live.id).set_tags(Some(tags)).send();
                cx.mutate("ec2", "CreateTags", call).await.map(drop)
            }
            Self::Kms => {
                let call = clients.kms.tag_resource().key_id(&live.id).set_tags(Some(super::kms::tags(tags)?)).send();
                cx.mutate("kms", "TagResource", call).await.map(drop)
            }
            Self::Logs => {
                let arn = live
                    .arn
                    .as_deref()
                    .ok_or_else(|| Failure::new(Class::Internal, format!("{} has no ARN", live.id)))?;
                let tags = tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                let call = clients.logs.tag_resource().resource_arn(arn).set_tags(Some(tags)).send();
                cx.mutate("logs", "TagResource", call).await.map(drop)
            }
            Self::IamRole => {
                let call = clients.iam.tag_role().role_name(&live.id).set_tags(Some(super::iam::tags(tags)?)).send();
                cx.mutate("iam", "TagRole", call).await.map(drop)
            }
            Self::Sns => super::sns::tag(cx, live, tags).await,
            Self::S3 => super::s3::tag(cx, live, tags).await,
            Self::SecretsManager => super::secretsmanager::tag(cx, live, tags).await,
            Self::DynamoDb => super::dynamodb::tag(cx, live, tags).await,
            Self::Rds => super::rds::tag(cx, live, tags).await,
            Self::Lambda => super::lambda::tag(cx, live, tags).await,
            Self::ApiGateway => super::apigatewayv2::tag(cx, live, tags).await,
            Self::Description => super::apigatewayv2::describe(cx, live, tags).await,
            Self::Acm => super::acm::tag(cx, live, tags).await,
            Self::CloudWatch => super::cloudwatch::tag(cx, live, tags).await,
            Self::Route53 => super::route53::tag(cx, live, tags).await,
        }
    }
}
