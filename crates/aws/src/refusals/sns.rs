//! Refusals of Amazon SNS.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // "Topic already exists with different tags", or "… attributes": the name is taken, and reading the topic shows its owner.
    // https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html.
    // See docs/aws-behaviour.md#topic-exists-with-other-settings.
    ("sns", "CreateTopic", "InvalidParameter", "already exists with different", Class::Exists),
    // A key that was created a moment ago, or whose policy is not visible to SNS yet.
    // See docs/aws-behaviour.md#key-not-visible-to-topics.
    ("sns", "", "KMSNotFound", "", Class::Transient),
    ("sns", "", "KMSAccessDenied", "", Class::Transient),
    ("sns", "", "KMSInvalidState", "", Class::Transient),
    // More than one change of a topic's tags at the same time.
    ("sns", "", "ConcurrentAccess", "", Class::Transient),
    ("sns", "", "StaleTag", "", Class::Transient),
    // Of ListTagsForResource and TagResource; GetTopicAttributes says NotFound.
    ("sns", "", "ResourceNotFound", "", Class::NotFound),
    // SNS's own codes for what other services call AccessDenied and Throttling.
    // https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html
    ("sns", "", "AuthorizationError", "", Class::Denied),
    ("sns", "", "InvalidSecurity", "", Class::Denied),
    ("sns", "", "Throttled", "", Class::Throttled),
];
