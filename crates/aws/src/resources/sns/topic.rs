//! `sns_topic`: the topic that the alarms of a Region are published to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tags;
use crate::TagMap;
use crate::resources::durations::{Latencies, Latency};
use crate::resources::kms::Key;
use crate::resources::permissions::{Grant, later, on};
use crate::resources::{
    Arn, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, changed, live, policy, read_named, unidentified,
};

/// The topic that the alarms of a Region are published to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name. Immutable: forces replacement.
    pub name: String,
    /// The name of the sender in mails. In-place.
    pub display_name: String,
    /// The key that messages are encrypted with. Its policy must allow alarms to use it; otherwise they fire, and no one is
    /// notified (docs/aws-behaviour.md#alarms-need-the-topics-key). In-place.
    pub kms_key: Ref<Arn<Key>>,
    /// Its policy: who may publish, besides the identities of the account; in canonical form (see [`policy`]). In-place.
    pub policy: Value,
}

impl Resource for Topic {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a topic cannot be renamed")],
        idempotent_create: true,
        ..TypeInfo::usual("sns_topic")
    };
    const SERVICE: &'static str = "sns";
    const LATENCIES: &'static [Latencies] = &[
        // "SNS topic/sub; log group; alarm; dashboard".
        Latencies::of(
            2,
            Latency::of_call("CreateTopic", [1.0, 1.0, 3.0]),
            Latency::of_call("DeleteTopic", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:sns:{region}:{account}:{own}"],
            "sns",
            "CreateTopic GetTopicAttributes ListTagsForResource SetTopicAttributes TagResource",
        ),
        later(&["arn:aws:sns:{region}:{account}:{own}"], "sns", "DeleteTopic"),
    ];
    const TAGGING: Tagging = Tagging::Sns;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Lists nothing: `ListTopics` returns the topics of the whole account, without tags. Each topic is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let sns = &cx.clients().sns;
        let topics = cx.pages("sns", "ListTopics", || sns.list_topics().into_paginator().items().send()).await?;
        let names = topics.iter().filter_map(|topic| topic.topic_arn()?.rsplit(':').next());
        read_named::<Self>(cx, names.map(str::to_owned).collect()).await
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let sns = &cx.clients().sns;
        let arn = arn(cx, id);
        let answer = cx.read("sns", "GetTopicAttributes", || sns.get_topic_attributes().topic_arn(&arn).send()).await?;
        let attributes = answer.attributes.ok_or_else(|| unidentified(Self::INFO.kind))?;
        let tags = match cx
            .read("sns", "ListTagsForResource", || sns.list_tags_for_resource().resource_arn(&arn).send())
            .await
        {
            Ok(answer) => answer.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
            // Deleted since the previous call.
            Err(failure) if failure.class == Class::NotFound => return Ok(None),
            Err(failure) => return Err(failure),
        };
        // SNS leaves out a display name or a key where there is none.
        let text = |name: &str| attributes.get(name).cloned().unwrap_or_default();
        let document = attributes.get("Policy").map(|document| policy::parse(document));
        let mut reading = Reading::default();
        let properties = Topic {
            name: id.to_owned(),
            display_name: text("DisplayName"),
            kms_key: Ref::known(text("KmsMasterKeyId")),
            policy: reading.value("policy", document.transpose()?),
        };
        Ok(Some(live::<Self>(&cx.scope, id, Phase::Ready, &reading.of(properties), Some::<TagMap>(tags)).with_arn(arn)))
    }

    /// If a topic of this name exists, SNS answers with it if its tags and attributes are the same, and refuses the call otherwise.
    /// <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>.
    /// See docs/aws-behaviour.md#topic-exists-with-other-settings.
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .sns
            .create_topic()
            .name(&self.name)
            .attributes("DisplayName", &self.display_name)
            .attributes("KmsMasterKeyId", self.kms_key.value())
            .attributes("Policy", self.policy.to_string())
            .set_tags(Some(tags(&creation.tags)?))
            .send();
        cx.mutate("sns", "CreateTopic", call).await?;
        Ok(self.name.clone())
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        let sns = &cx.clients().sns;
        let arn = arn(cx, &live.id);
        let desired = [
            ("display_name", "DisplayName", self.display_name.clone()),
            ("kms_key", "KmsMasterKeyId", self.kms_key.value().to_owned()),
            ("policy", "Policy", self.policy.to_string()),
        ];
        for (_, attribute, value) in desired.into_iter().filter(|(property, ..)| changed(changes, property)) {
            let call =
                sns.set_topic_attributes().topic_arn(&arn).attribute_name(attribute).attribute_value(value).send();
            cx.mutate("sns", "SetTopicAttributes", call).await?;
        }
        Ok(Synced::default())
    }

    /// AWS deletes its subscriptions with it.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let call = cx.clients().sns.delete_topic().topic_arn(arn(cx, &live.id)).send();
        cx.mutate("sns", "DeleteTopic", call).await.map(|_| Deletion::Requested)
    }
}

/// The ARN of the topic of this name.
fn arn(cx: &Context, name: &str) -> String {
    format!("arn:aws:sns:{}:{}:{name}", cx.region, cx.scope.account)
}
