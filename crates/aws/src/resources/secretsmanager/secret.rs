//! `secret`: a user's name and generated password, replicated to another Region.
//!
//! The value is generated here, sent to Secrets Manager, and never read back.

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::list_secrets::ListSecretsOutput;
use aws_sdk_secretsmanager::types::{ReplicaRegionType, ReplicationStatusType, SecretListEntry, StatusType};
use serde::{Deserialize, Serialize};

use super::{arn_in, describe, password, tag_map, tags};
use crate::resources::durations::{Latencies, Latency, step};
use crate::resources::kms::Key;
use crate::resources::permissions::{Grant, key, later, on};
use crate::resources::{
    Arn, Change, Class, Context, Creation, Deletion, Failure, Live, Phase, Reading, Ref, Resource, Synced, Tagging,
    TypeInfo, changed, live,
};
use crate::{NODE, TagMap};

/// A user's name and generated password, replicated to another Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name, the same in every Region. Immutable: forces replacement.
    pub name: String,
    /// What it is for. In-place.
    pub description: String,
    /// The key that encrypts its value. In-place.
    pub kms_key: Ref<Arn<Key>>,
    /// The user's name, which is in the value beside the password. The value is not read back, so a change of the name alone is
    /// not noticed. Immutable: forces replacement.
    pub username: String,
    /// The Region to which it is replicated; replicas in other Regions are removed. In-place.
    pub replica_region: String,
    /// The key of that Region that encrypts the replica. In-place.
    pub replica_kms_key: Ref<Arn<Key>>,
    /// Whether it is scheduled for deletion, which can still be cancelled. In-place.
    pub pending_deletion: bool,
}

impl Resource for Secret {
    const INFO: TypeInfo = TypeInfo {
        immutable: &[("name", "a secret cannot be renamed"), ("username", "it belongs to the password")],
        idempotent_create: true,
        holds_data: true,
        ..TypeInfo::usual("secret")
    };
    const SERVICE: &'static str = "secretsmanager";
    const LATENCIES: &'static [Latencies] = &[
        // "Secret" and "replica InSync", together; "replica remove" and "force delete", together.
        Latencies::of(
            1,
            Latency::of_steps([3.0, 6.0, 61.0], &[step("CreateSecret", 1, 1.0, 5.0)]),
            Latency::of_steps(
                [2.0, 10.0, 180.0],
                &[step("RemoveRegionsFromReplication", 1, 1.0, 4.0), step("DeleteSecret", 1, 1.0, 4.0)],
            ),
        ),
    ];
    const UPDATE_SECONDS: f64 = 6.0;
    // Secrets Manager uses the key on the caller's behalf:
    // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html AWS ends a secret's ARN in six
    // characters of its own. See docs/aws-behaviour.md#secret-arn-has-a-suffix.
    const PERMISSIONS: &'static [Grant] = &[
        on(
            &["arn:aws:secretsmanager:{region}:{account}:secret:{own}-a1b2c3"],
            "secretsmanager",
            "CreateSecret DescribeSecret ReplicateSecretToRegions TagResource",
        ),
        later(
            &["arn:aws:secretsmanager:{region}:{account}:secret:{own}-a1b2c3"],
            "secretsmanager",
            "DeleteSecret RemoveRegionsFromReplication RestoreSecret UpdateSecret",
        ),
        key(&[("kms:ViaService", "secretsmanager.{region}.amazonaws.com")], "Decrypt GenerateDataKey"),
    ];
    const TAGGING: Tagging = Tagging::SecretsManager;

    fn natural_id(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Empty: there are few secrets, and each is read by its name.
    async fn list(_: &Context) -> Result<Vec<Live>, Failure> {
        Ok(Vec::new())
    }

    /// Without replicas, which are deleted with their primary, and without secrets that are scheduled for deletion, which a
    /// listing leaves out.
    async fn sweep(cx: &Context) -> Result<Vec<Live>, Failure> {
        let secrets = &cx.clients().secrets;
        let pages =
            cx.pages("secretsmanager", "ListSecrets", || secrets.list_secrets().into_paginator().send()).await?;
        let prefix = cx.scope.name();
        let listed = pages.iter().flat_map(ListSecretsOutput::secret_list).filter_map(SecretListEntry::name);
        let names: Vec<String> = listed.filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect();
        let mut found = Vec::new();
        for name in &names {
            let Some(secret) = describe(cx, name).await? else { continue };
            // Not every endpoint shows it in its listing.
            let is_replica = secret.primary_region().is_some_and(|primary| primary != &*cx.region);
            if secret.deleted_date().is_none() && !is_replica {
                found.push(from_described(cx, name, &secret)?);
            }
        }
        Ok(found)
    }

    async fn read(cx: &Context, id: &str) -> Result<Option<Live>, Failure> {
        match describe(cx, id).await? {
            // Another owner's secret that is scheduled for deletion is not reported. That its name is still taken shows on
            // creation.
            Some(secret) if secret.deleted_date().is_some() && !cx.scope.is_ours(&tag_map(secret.tags())) => Ok(None),
            Some(secret) => from_described(cx, id, &secret).map(Some),
            None => Ok(None),
        }
    }

    /// Restores this node's secret if it is only scheduled for deletion (docs/aws-behaviour.md#secret-scheduled-for-deletion), so
    /// that whatever needs its password can still be used. [`Resource::sync`] does the rest. Otherwise a repetition with the same
    /// token, which has another password, is refused because the name is taken.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
    async fn create(&self, cx: &Context, creation: Creation<'_>) -> Result<String, Failure> {
        let value = password::new_value(&self.username)?;
        let call = cx
            .clients()
            .secrets
            .create_secret()
            .name(&self.name)
            .description(&self.description)
            .kms_key_id(self.kms_key.value())
            .client_request_token(creation.token)
            .secret_string(value.as_str())
            .set_tags(Some(tags(&creation.tags)))
            .set_add_replica_regions(self.replica().map(|replica| vec![replica]))
            .send();
        match cx.mutate("secretsmanager", "CreateSecret", call).await {
            Ok(_) => Ok(self.name.clone()),
            Err(failure) if matches!(failure.class, Class::Exists | Class::Transient) => {
                if self.restore(cx, &creation.tags).await? { Ok(self.name.clone()) } else { Err(failure) }
            }
            Err(failure) => Err(failure),
        }
    }

    async fn sync(&self, cx: &Context, live: &Live, changes: &[Change]) -> Result<Synced, Failure> {
        if changed(changes, "pending_deletion") {
            // Until then, AWS refuses everything else.
            let call = cx.clients().secrets.restore_secret().secret_id(&self.name).send();
            cx.mutate("secretsmanager", "RestoreSecret", call).await?;
        }
        if changed(changes, "description") || changed(changes, "kms_key") {
            let call = cx.clients().secrets.update_secret().secret_id(&live.id).description(&self.description);
            let call = call.kms_key_id(self.kms_key.value()).send();
            cx.mutate("secretsmanager", "UpdateSecret", call).await?;
        }
        let mut synced = Synced::default();
        if changed(changes, "replica_region") || changed(changes, "replica_kms_key") {
            match self.replicate(cx).await {
                Ok(later) => synced.in_progress = later,
                answer => synced.unless_unsupported("replica_kms_key", answer)?,
            }
        }
        Ok(synced)
    }

    /// First its replicas, which are deleted at once: AWS does not delete a secret that has replicas
    /// (docs/aws-behaviour.md#secret-has-replicas). It can be restored for seven days, the shortest period that AWS accepts.
    async fn delete(cx: &Context, live: &Live) -> Result<Deletion, Failure> {
        let name = &live.id;
        let Some(secret) = describe(cx, name).await? else { return Ok(Deletion::Requested) };
        if secret.deleted_date().is_some() {
            return Ok(Deletion::Scheduled);
        }
        let regions: Vec<&str> = secret.replication_status().iter().map(region).collect();
        if !regions.is_empty() {
            return remove_replicas(cx, name, &regions).await.map(Deletion::NotYet);
        }
        let call = cx.clients().secrets.delete_secret().secret_id(name).recovery_window_in_days(7).send();
        cx.mutate("secretsmanager", "DeleteSecret", call).await?;
        Ok(Deletion::Scheduled)
    }
}

impl Secret {
    fn replica(&self) -> Option<ReplicaRegionType> {
        let replica = ReplicaRegionType::builder().region(&self.replica_region);
        (!self.replica_region.is_empty()).then(|| replica.kms_key_id(self.replica_kms_key.value()).build())
    }

    /// Restores the secret of this name if it was scheduled for deletion. Returns whether it did.
    async fn restore(&self, cx: &Context, wanted: &TagMap) -> Result<bool, Failure> {
        let found = describe(cx, &self.name).await?.filter(|found| found.deleted_date().is_some());
        let Some(found) = found else { return Ok(false) };
        let tags = tag_map(found.tags());
        if !cx.scope.is_ours(&tags) || tags.get(NODE) != wanted.get(NODE) {
            let message =
                format!("{} is scheduled for deletion, and its tags do not say that it is drctl's", self.name);
            return Err(Failure::new(Class::Foreign, message)
                .help("Choose another stack name or environment, or wait until AWS has deleted it."));
        }
        let call = cx.clients().secrets.restore_secret().secret_id(&self.name).send();
        // Only one call, because a refusal of a second one would leave the secret without a record. It has this node's tags
        // already.
        cx.mutate("secretsmanager", "RestoreSecret", call).await?;
        Ok(true)
    }

    /// Takes the next step towards one replica with its key, and says what has to happen before the following step.
    async fn replicate(&self, cx: &Context) -> Result<Option<String>, Failure> {
        let Some(found) = describe(cx, &self.name).await? else { return Ok(Some("it to be visible".to_owned())) };
        let all = found.replication_status();
        let others: Vec<&str> = all.iter().map(region).filter(|region| *region != self.replica_region).collect();
        if !others.is_empty() {
            return remove_replicas(cx, &self.name, &others).await.map(Some);
        }
        let Some(replica) = self.replica() else { return Ok(None) };
        let there = cx.at(&self.replica_region);
        match all.first().and_then(ReplicationStatusType::status) {
            Some(StatusType::InProgress) => Ok(Some(format!("its replica in {} to be in sync", self.replica_region))),
            Some(StatusType::InSync) => {
                // The only property that a replica has of its own, which is set in its own Region.
                // https://docs.aws.amazon.com/secretsmanager/latest/userguide/standalone-secret.html
                // See docs/aws-behaviour.md#secret-replica-has-its-own-key.
                let call = there.clients().secrets.update_secret().secret_id(&self.name);
                let call = call.kms_key_id(self.replica_kms_key.value()).send();
                there.mutate("secretsmanager", "UpdateSecret", call).await?;
                Ok(None)
            }
            status => {
                if status.is_some() {
                    self.refuse_clash(cx, &there).await?;
                }
                let call = cx.clients().secrets.replicate_secret_to_regions().secret_id(&self.name);
                cx.mutate("secretsmanager", "ReplicateSecretToRegions", call.add_replica_regions(replica).send())
                    .await?;
                Ok(None)
            }
        }
    }

    /// A secret of the same name keeps the replica from being created (docs/aws-behaviour.md#secret-replica-name-taken). It is
    /// never overwritten, even if it is this stack's: it may hold the only copy of a password, e.g. as a replica that was
    /// promoted in a failover.
    async fn refuse_clash(&self, cx: &Context, there: &Context) -> Result<(), Failure> {
        let Some(found) = describe(there, &self.name).await? else { return Ok(()) };
        if found.primary_region() == Some(&*cx.region) {
            return Ok(());
        }
        let (name, region) = (&self.name, &there.region);
        let message =
            format!("{region} has a secret {name} of its own: the one in {} is not replicated there", cx.region);
        Err(Failure::new(Class::Foreign, message).help(format!(
            "Delete it there if its value is not needed (`aws secretsmanager delete-secret --region {region} --secret-id \
             {name} --force-delete-without-recovery`), then run `drctl up` again."
        )))
    }
}

async fn remove_replicas(cx: &Context, name: &str, regions: &[&str]) -> Result<String, Failure> {
    let call = cx.clients().secrets.remove_regions_from_replication().secret_id(name);
    let call = call.set_remove_replica_regions(Some(regions.iter().map(|&region| region.to_owned()).collect()));
    cx.mutate("secretsmanager", "RemoveRegionsFromReplication", call.send()).await?;
    Ok(format!("its replica in {} to be deleted", regions.join(", ")))
}

fn from_described(cx: &Context, id: &str, secret: &DescribeSecretOutput) -> Result<Live, Failure> {
    if let Some(primary) = secret.primary_region().filter(|primary| *primary != &*cx.region) {
        let message = format!("{id} is a replica here: its primary is in {primary}");
        return Err(Failure::new(Class::Foreign, message).help(format!(
            "Restore the previous Regions; or make it a secret of its own with `aws secretsmanager \
             stop-replication-to-replica --region {} --secret-id {id}`.",
            cx.region
        )));
    }
    let mut replicas: Vec<&ReplicationStatusType> = secret.replication_status().iter().collect();
    replicas.sort_by_key(|replica| region(replica));
    let phase = phase(&replicas);
    // A replica that failed does not exist. Several replicas differ from any desired one.
    replicas.retain(|replica| replica.status() != Some(&StatusType::Failed));
    let listed = |value: &dyn Fn(&ReplicationStatusType) -> String| {
        replicas.iter().map(|replica| value(replica)).collect::<Vec<_>>().join(", ")
    };
    let mut reading = Reading::default();
    let properties = Secret {
        name: id.to_owned(),
        // AWS leaves out an empty description, the key if it is Secrets Manager's own, and replication without replicas.
        description: secret.description().unwrap_or_default().to_owned(),
        kms_key: Ref::known(key_arn(cx, &cx.region, secret.kms_key_id())),
        username: reading.text("username", None),
        replica_region: listed(&|replica| region(replica).to_owned()),
        replica_kms_key: Ref::known(listed(&|replica| key_arn(cx, region(replica), replica.kms_key_id()))),
        pending_deletion: secret.deleted_date().is_some(),
    };
    let arn = secret.arn().unwrap_or_default();
    let mut found = live(&cx.scope, id, phase, &reading.of(properties), Some(tag_map(secret.tags()))).with_arn(arn);
    if let Some(version) = current(secret) {
        found = found.with_output("version", version);
    }
    if let Some(arn) = replicas.first().and_then(|replica| arn_in(arn, region(replica))) {
        found = found.with_output("replica_arn", arn);
    }
    Ok(found)
}

/// A replica that failed does not make the secret fail: a failed resource is replaced, and the secret is in use.
fn phase(replicas: &[&ReplicationStatusType]) -> Phase {
    let of = |status: &StatusType| replicas.iter().find(|replica| replica.status() == Some(status));
    if let Some(replica) = of(&StatusType::Failed) {
        let why = replica.status_message().unwrap_or("Secrets Manager does not say why").trim_end_matches('.');
        Phase::Pending(format!("without its replica in {}, which failed: {why}", region(replica)))
    } else if let Some(replica) = of(&StatusType::InProgress) {
        Phase::Pending(format!("waiting for its replica in {}", region(replica)))
    } else {
        Phase::Ready
    }
}

fn region(replica: &ReplicationStatusType) -> &str {
    replica.region().unwrap_or_default()
}

/// The version that callers get.
fn current(secret: &DescribeSecretOutput) -> Option<&str> {
    let (version, _) =
        secret.version_ids_to_stages()?.iter().find(|(_, stages)| stages.iter().any(|stage| stage == "AWSCURRENT"))?;
    Some(version)
}

/// Secrets Manager is documented to return "the key ID or alias ARN", and returns what it was given.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
fn key_arn(cx: &Context, region: &str, key: Option<&str>) -> String {
    match key {
        None => String::new(),
        Some(key) if key.starts_with("arn:") => key.to_owned(),
        Some(key) => {
            let kind = if key.starts_with("alias/") { "" } else { "key/" };
            format!("arn:aws:kms:{region}:{}:{kind}{key}", cx.scope.account)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(region: &str, status: StatusType, message: &str) -> ReplicationStatusType {
        ReplicationStatusType::builder().region(region).status(status).status_message(message).build()
    }

    #[test]
    fn a_failed_replica_is_waited_for_with_its_reason() {
        let ready = replica("us-east-2", StatusType::InSync, "");
        let coming = replica("us-west-2", StatusType::InProgress, "");
        let failed = replica("eu-west-1", StatusType::Failed, "Name is taken.");
        assert_eq!(phase(&[&ready]), Phase::Ready);
        assert_eq!(phase(&[]), Phase::Ready);
        assert_eq!(phase(&[&ready, &coming]), Phase::Pending("waiting for its replica in us-west-2".into()));
        let Phase::Pending(why) = phase(&[&coming, &failed]) else { panic!("it is pending") };
        assert_eq!(why, "without its replica in eu-west-1, which failed: Name is taken");
    }

    #[test]
    fn the_current_version_is_the_one_with_that_stage() {
        let secret = DescribeSecretOutput::builder()
            .version_ids_to_stages("v1", vec!["AWSPREVIOUS".into()])
            .version_ids_to_stages("v2", vec!["mine".into(), "AWSCURRENT".into()])
            .build();
        assert_eq!(current(&secret), Some("v2"));
        assert_eq!(current(&DescribeSecretOutput::builder().build()), None);
    }

    #[test]
    fn a_replicas_arn_differs_in_the_region_only() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:pay-prod/database-AbCdEf";
        let there = "arn:aws:secretsmanager:us-east-2:123456789012:secret:pay-prod/database-AbCdEf";
        assert_eq!(arn_in(arn, "us-east-2").as_deref(), Some(there));
        assert_eq!(arn_in("", "us-east-2"), None);
    }

    #[test]
    fn a_secrets_properties_do_not_hold_its_value() {
        let secret = Secret {
            name: "n".into(),
            description: String::new(),
            kms_key: Ref::known("k"),
            username: "payments".into(),
            replica_region: String::new(),
            replica_kms_key: Ref::known(""),
            pending_deletion: false,
        };
        let value = serde_json::to_value(&secret).expect("a plain struct");
        assert_eq!(serde_json::from_value::<Secret>(value.clone()).expect("its own form"), secret);
        assert!(value.get("password").is_none() && secret.replica().is_none());
    }
}
