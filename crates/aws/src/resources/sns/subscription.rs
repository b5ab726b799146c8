//! `sns_subscription`: an e-mail address that receives a topic's messages.

use aws_sdk_sns::types::Subscription as Described;
use serde::{Deserialize, Serialize};

use super::Topic;
use crate::resources::durations::{Latencies, Latency};
use crate::resources::permissions::{Grant, TOPIC, later, on};
use crate::resources::{
    Arn, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Readable, Ref, Resource, Synced, Tagging,
    TypeInfo, live,
};

const EMAIL: &str = "email";

/// An e-mail address that receives a topic's messages. AWS first asks the recipient to confirm. Until then the subscription is
/// pending, which is as far as drctl can bring it. See docs/aws-behaviour.md#email-subscriptions-stay-pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic. Immutable: forces replacement.
    pub topic: Ref<Arn<Topic>>,
    /// The e-mail address. Immutable: forces replacement.
    pub endpoint: String,
}

impl Resource for Subscription {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[
            ("topic", "a subscription cannot be moved to another topic"),
            ("endpoint", "the address of a subscription cannot be changed"),
        ],
        // An address is subscribed to a topic once. For a second call, AWS only sends the request for confirmation again.
        idempotent_create: true,
        ..TypeInfo::usual("sns_subscription")
    };
    const SERVICE: &'static str = "sns";
    const LATENCIES: &'static [Latencies] = &[
        // "SNS topic/sub; log group; alarm; dashboard".
        Latencies::of(
            1,
            Latency::of_call("Subscribe", [1.0, 1.0, 3.0]),
            Latency::of_call("Unsubscribe", [1.0, 1.0, 3.0]),
        ),
    ];
    const PERMISSIONS: &'static [Grant] =
        &[on(TOPIC, "sns", "ListSubscriptionsByTopic Subscribe"), later(&["?*"], "sns", "Unsubscribe")];
    const TAGGING: Tagging = Tagging::None;

    /// The topic's name and the address: while it is pending, it has no ARN.
    fn natural_id(&self) -> Option<String> {
        let (_, topic) = self.topic.value().rsplit_once(':')?;
        Some(id(topic, &self.endpoint))
    }

    /// Lists the subscriptions of the stack's own topic. Others are read by their id.
    async fn list(cx: &Context) -> Result<Vec<Live>, Failure> {
        let topic = format!("{}-alerts", cx.scope.name());
        let found = of_topic(cx, &topic).await?;
        Ok(found.iter().filter_map(Described::endpoint).map(|endpoint| read_as(cx, &topic, endpoint)).collect())
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        let Some((topic, endpoint)) = parts(id) else { return Ok(None) };
        Ok(find(cx, topic, endpoint).await?.map(|_| read_as(cx, topic, endpoint)))
    }

    async fn create(&self, cx: &Context, _: Creation<'_>) -> Result<String, Failure> {
        let call = cx
            .clients()
            .sns
            .subscribe()
            .topic_arn(self.topic.value())
            .protocol(EMAIL)
            .endpoint(&self.endpoint)
            .return_subscription_arn(true)
            .send();
        cx.mutate("sns", "Subscribe", call).await?;
        Ok(self.natural_id().unwrap_or_default())
    }

    /// It has no property that can be changed in place.
    async fn sync(&self, _: &Context, _: &Live, _: &[Change]) -> Result<Synced, Failure> {
        Ok(Synced::default())
    }

    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let Some((topic, endpoint)) = parts(&live.id) else { return Ok(Deletion::Requested) };
        let Some(found) = find(cx, topic, endpoint).await? else { return Ok(Deletion::Requested) };
        let Some(arn) = found.subscription_arn().filter(|arn| arn.starts_with("arn:")) else {
            // https://docs.aws.amazon.com/sns/latest/dg/sns-delete-subscription-topic.html
            return Ok(Deletion::LeftBehind("AWS deletes it after 48 hours if it is not confirmed".to_owned()));
        };
        let call = cx.clients().sns.unsubscribe().subscription_arn(arn).send();
        cx.mutate("sns", "Unsubscribe", call).await.map(|_| Deletion::Requested)
    }
}

fn id(topic: &str, endpoint: &str) -> String {
    format!("{topic}/{endpoint}")
}

/// The topic and the address in an id. A topic's name has no slash; an address may have one.
fn parts(id: &str) -> Option<(&str, &str)> {
    id.split_once('/')
}

/// All e-mail subscriptions of a topic; none if the topic does not exist.
async fn of_topic(cx: &Context, topic: &str) -> Result<Vec<Described>, Failure> {
    let sns = &cx.clients().sns;
    let arn = arn_of(cx, topic);
    let answer = cx
        .pages("sns", "ListSubscriptionsByTopic", || {
            let call = sns.list_subscriptions_by_topic().topic_arn(&arn);
            call.into_paginator().items().send()
        })
        .await;
    let mut found = match answer {
        Err(failure) if failure.class == Class::NotFound => Vec::new(),
        answer => answer?,
    };
    // A cancelled subscription stays listed for a while, with this word instead of an ARN.
    found.retain(|one| one.protocol() == Some(EMAIL) && one.subscription_arn() != Some("Deleted"));
    Ok(found)
}

async fn find(cx: &Context, topic: &str, endpoint: &str) -> Result<Option<Described>, Failure> {
    let is_it = |one: &Described| one.endpoint().is_some_and(|found| found.eq_ignore_ascii_case(endpoint));
    Ok(of_topic(cx, topic).await?.into_iter().find(is_it))
}

/// Whether it is confirmed is not an output: nothing refers to that, and the answer to a mail is not a change of the stack. For the
/// same reason it has no ARN here, which it gets only on confirmation.
fn read_as(cx: &Context, topic: &str, endpoint: &str) -> Live {
    let properties = Subscription { topic: Ref::known(arn_of(cx, topic)), endpoint: endpoint.to_owned() };
    live(&cx.scope, &id(topic, endpoint), Phase::Ready, &Readable::complete(properties), None)
}

/// The ARN of the topic of this name.
fn arn_of(cx: &Context, topic: &str) -> String {
    format!("arn:aws:sns:{}:{}:{topic}", cx.region, cx.scope.account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drctl_engine::state::{Address, Role};

    #[test]
    fn the_id_follows_from_topic_and_address_and_is_read_back() {
        let topic = "arn:aws:sns:us-east-1:123456789012:pay-prod-alerts";
        let subscription = Subscription { topic: Ref::known(topic), endpoint: "a/b+c@example.com".to_owned() };
        let id = subscription.natural_id().expect("resolved");
        assert_eq!(parts(&id), Some(("pay-prod-alerts", "a/b+c@example.com")));
        let topic = Ref::output(Address::new(Role::Primary, "sns_topic", "alerts"), "arn");
        assert_eq!(Subscription { topic, ..subscription }.natural_id(), None);
    }
}
