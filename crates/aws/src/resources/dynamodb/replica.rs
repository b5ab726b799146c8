//! A table's replica in another Region: where it is, and how it is added and deleted.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    CreateReplicationGroupMemberAction, DeleteReplicationGroupMemberAction, ReplicaDescription, ReplicaStatus,
    ReplicationGroupUpdate, SseDescription, TableDescription, TableStatus,
};
use futures::future::try_join;
use serde::{Deserialize, Serialize};

use super::{describe, malformed, settings, tags_of};
use crate::TagMap;
use crate::resources::kms::Key;
use crate::resources::{Arn, Class, Context, Failure, Live, Owner, Phase, Ref, protection};

/// How long the replica's Region may take for a single answer about the replica.
const ANSWER: Duration = Duration::from_secs(6);

/// A table's replica in another Region. All empty and zero when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Its Region. With another Region, the replica is deleted, and another one is created there. In-place.
    pub region: String,
    /// The key of its Region that encrypts it. A replica keeps the key with which it was created: a change is refused, with what
    /// to do instead (docs/aws-behaviour.md#replica-key-is-fixed). In-place.
    pub kms_key: Ref<Arn<Key>>,
    /// How many days back it can be restored to, 1 to 35; 0 switches that off. In-place.
    pub recovery_days: i32,
}

/// What was found out about a table's replica.
pub(super) enum Seen {
    /// There is none, or only one whose creation failed.
    None,
    /// It is there, with these tags, and protected against deletion or not if AWS says so.
    There { replica: Replica, protection: Option<bool>, tags: TagMap },
    /// It is being created or deleted, or cannot be used: the phase of the table because of that.
    Unsettled(Phase),
}

impl Replica {
    pub(super) fn none() -> Self {
        Self { region: String::new(), kms_key: Ref::known(""), recovery_days: 0 }
    }

    /// The replica as it was when the table was last read.
    pub(super) fn of(live: &Live) -> Self {
        live.properties.get("replica").and_then(|found| Self::deserialize(found).ok()).unwrap_or_else(Self::none)
    }

    /// Takes the next step towards having the replica in its Region and nowhere else, and says what has to happen before the
    /// following step. `table` must be `ACTIVE`: it takes one such change at a time
    /// (docs/aws-behaviour.md#one-table-change-at-a-time).
    pub(super) async fn place(&self, cx: &Context, table: &TableDescription) -> Result<Option<String>, Failure> {
        let name = table.table_name().unwrap_or_default();
        for other in elsewhere(cx, table).filter(|replica| region(replica) != self.region) {
            if matches!(owner(cx, name, region(other)).await?, Owner::Ours { .. }) {
                return remove(cx, name, other).await.map(Some);
            }
        }
        if self.region.is_empty() {
            return Ok(None);
        }
        let Some(entry) = elsewhere(cx, table).find(|replica| region(replica) == self.region) else {
            return self.add(cx, name).await.map(Some);
        };
        match entry.replica_status() {
            Some(ReplicaStatus::CreationFailed) => remove(cx, name, entry).await.map(Some),
            Some(status) if is_out_of_use(status) => {
                Ok(Some(format!("its replica in {} to leave the state {status}", self.region)))
            }
            _ => Ok(None),
        }
    }

    /// Adds it. The answer promises nothing (docs/aws-behaviour.md#replica-may-vanish): the next read shows whether it exists.
    async fn add(&self, cx: &Context, table: &str) -> Result<String, Failure> {
        if let Some(found) = describe(&cx.at(&self.region), table).await? {
            return self.in_the_way(cx, &found);
        }
        let create = CreateReplicationGroupMemberAction::builder()
            .region_name(&self.region)
            .kms_master_key_id(self.kms_key.value())
            .build()
            .map_err(malformed)?;
        update(cx, table, ReplicationGroupUpdate::builder().create(create).build()).await?;
        Ok(format!("its replica in {} to be created", self.region))
    }

    /// A table of this name in the replica's Region: either a replica of this one that is being created or deleted, or a table of
    /// its own (docs/aws-behaviour.md#replica-name-taken).
    fn in_the_way(&self, cx: &Context, found: &TableDescription) -> Result<String, Failure> {
        let passes = matches!(found.table_status(), Some(TableStatus::Creating | TableStatus::Deleting));
        if passes || elsewhere(&cx.at(&self.region), found).any(|replica| region(replica) == &*cx.region) {
            return Ok(format!("{} to complete the replica's last change", self.region));
        }
        let name = found.table_name().unwrap_or_default();
        Err(Failure::new(
            Class::Foreign,
            format!("{} has a table {name} that is not a replica of the one in {}", self.region, cx.region),
        )
        .help(
            "Its data may be needed: it may be a replica that lost its key for 20 hours. Save the data, delete that table, and run \
             `drctl up` again; or choose another stack name.",
        ))
    }

    /// Sets how far back the replica can be restored. To be called once the replica is in its desired Region.
    pub(super) async fn sync_recovery(&self, cx: &Context, table: &str, held: &Self) -> Result<(), Failure> {
        if self.kms_key != held.kms_key {
            return Err(key_is_fixed(table, &self.region));
        }
        if self.recovery_days != held.recovery_days {
            settings::set_recovery_days(&cx.at(&self.region), table, self.recovery_days).await?;
        }
        Ok(())
    }
}

/// DynamoDB refuses every way of changing a customer's key of a global table:
/// <https://github.com/hashicorp/terraform-provider-aws/pull/29102>. See docs/aws-behaviour.md#replica-key-is-fixed.
pub(super) fn key_is_fixed(table: &str, region: &str) -> Failure {
    Failure::new(Class::Refused, format!("the keys of {table} cannot be changed while it has its replica in {region}"))
        .help(format!(
            "Delete the replica (`aws dynamodb update-table --table-name {table} --replica-updates \
             '[{{\"Delete\":{{\"RegionName\":\"{region}\"}}}}]'` in the table's Region) and run `drctl up`: it sets the \
             key and adds the replica again. Until then there is no second copy."
        ))
}

/// The Region in which a replica was found.
pub(super) fn region_of(live: &Live) -> Option<&str> {
    live.properties.get("replica")?.get("region")?.as_str().filter(|region| !region.is_empty())
}

/// Looks at the replica of a table. Of several, the one that this stack has tagged.
pub(super) async fn observe(cx: &Context, table: &TableDescription) -> Result<Seen, Failure> {
    let name = table.table_name().unwrap_or_default();
    let replicas: Vec<&ReplicaDescription> = elsewhere(cx, table).collect();
    let Some(mut entry) = replicas.first().copied() else {
        // In the first seconds, a new replica is not listed. One that is still missing later was never created.
        // See docs/aws-behaviour.md#replica-may-vanish.
        return Ok(match table.table_status() {
            Some(TableStatus::Updating) => Seen::Unsettled(Phase::Pending(TableStatus::Updating.as_str().to_owned())),
            _ => Seen::None,
        });
    };
    if replicas.len() > 1 {
        for replica in &replicas {
            if matches!(owner(cx, name, region(replica)).await?, Owner::Ours { .. }) {
                entry = replica;
                break;
            }
        }
    }
    let region = region(entry);
    let waiting = |state: &str| Phase::Pending(format!("waiting for its replica in {region}, which is {state}"));
    let stalled = |state: &str| Phase::Stalled(format!("without its replica in {region}, which is {state}"));
    match entry.replica_status() {
        Some(ReplicaStatus::CreationFailed) => return Ok(Seen::None),
        // See docs/aws-behaviour.md#replica-loses-its-key.
        Some(status @ ReplicaStatus::InaccessibleEncryptionCredentials) => {
            return Ok(Seen::Unsettled(stalled(&format!(
                "{status}: cut off from its key; enable the key, or after 20 hours it is no longer a replica"
            ))));
        }
        Some(status @ (ReplicaStatus::Creating | ReplicaStatus::Deleting)) => {
            return Ok(Seen::Unsettled(waiting(status.as_str())));
        }
        // See docs/aws-behaviour.md#table-statuses.
        Some(status) if is_out_of_use(status) => return Ok(Seen::Unsettled(stalled(status.as_str()))),
        _ => {}
    }
    let there = cx.at(region).answering_within(ANSWER);
    let found = look(&there, name).await?;
    // It is listed as active here, and does not exist there yet. Everything except DescribeTable would be refused there.
    // See docs/aws-behaviour.md#new-replica-answers-describe-only.
    Ok(found.unwrap_or_else(|| Seen::Unsettled(waiting("not visible there yet"))))
}

/// The replica as its own Region, `there`, returns it.
async fn look(there: &Context, table: &str) -> Result<Option<Seen>, Failure> {
    let Some(found) = describe(there, table).await? else { return Ok(None) };
    if found.table_status() == Some(&TableStatus::Creating) {
        return Ok(None);
    }
    let (days, tags) = try_join(settings::recovery_days(there, table), tags_of(there, table)).await?;
    let Some(recovery_days) = days else { return Ok(None) };
    // If it is left out, the replica is encrypted with a key of DynamoDB's own.
    let key = found.sse_description().and_then(SseDescription::kms_master_key_arn).unwrap_or_default();
    let replica = Replica { region: there.region.to_string(), kms_key: Ref::known(key), recovery_days };
    Ok(Some(Seen::There { replica, protection: found.deletion_protection_enabled(), tags }))
}

/// The Regions of the replicas to be deleted with a table.
///
/// # Errors
/// [`Class::Foreign`] when one of them is not this stack's: DynamoDB does not delete the table before them, and drctl does not
/// delete them.
pub(super) async fn to_remove<'a>(
    cx: &Context,
    table: &'a TableDescription,
) -> Result<Vec<&'a ReplicaDescription>, Failure> {
    let name = table.table_name().unwrap_or_default();
    let replicas: Vec<&ReplicaDescription> = elsewhere(cx, table).collect();
    for replica in replicas.iter().filter(|replica| replica.replica_status() != Some(&ReplicaStatus::Deleting)) {
        let is_ours = match owner(cx, name, region(replica)).await? {
            Owner::Ours { .. } | Owner::Implied => true,
            // An interrupted run may not have tagged it yet.
            Owner::Untagged => replicas.len() == 1,
            Owner::Foreign(_) => false,
        };
        if !is_ours {
            let message = format!("{name} has a replica in {} that drctl must not delete", region(replica));
            return Err(Failure::new(Class::Foreign, message).help("Delete that replica, then run the command again."));
        }
    }
    Ok(replicas)
}

/// What a table that is not `ACTIVE` has to finish first.
pub(super) fn at_work(table: &TableDescription) -> String {
    let leaving = table.replicas().iter().find(|replica| replica.replica_status() == Some(&ReplicaStatus::Deleting));
    match leaving {
        Some(replica) => format!("its replica in {} to be deleted", region(replica)),
        None => "its last change to be finished".to_owned(),
    }
}

/// Takes the next step towards deleting a replica, and says what to wait for.
pub(super) async fn remove(cx: &Context, table: &str, replica: &ReplicaDescription) -> Result<String, Failure> {
    let region = region(replica);
    if replica.replica_status() != Some(&ReplicaStatus::Deleting) {
        let delete = DeleteReplicationGroupMemberAction::builder().region_name(region).build().map_err(malformed)?;
        update(cx, table, ReplicationGroupUpdate::builder().delete(delete).build()).await?;
    }
    Ok(format!("its replica in {region} to be deleted"))
}

/// What would keep AWS from deleting a table: its protection, that of its replicas, and replicas that are not this stack's.
///
/// # Errors
/// What a call's answer means.
pub(super) async fn hindrances(cx: &Context, live: &Live) -> Result<Vec<String>, Failure> {
    let id = &live.id;
    let switch = format!("dynamodb update-table --table-name {id} --no-deletion-protection-enabled");
    let mut hindrances: Vec<String> = protection::hindrance(cx, live, &switch).into_iter().collect();
    let Some(table) = describe(cx, id).await? else { return Ok(hindrances) };
    match to_remove(cx, &table).await {
        Ok(replicas) => {
            for region in replicas.iter().map(|replica| region(replica)) {
                if is_protected(cx, id, region).await? {
                    hindrances.push(protection::sentence(id, region, &switch));
                }
            }
        }
        Err(failure) if failure.class == Class::Foreign => hindrances.push(failure.message),
        Err(failure) => return Err(failure),
    }
    Ok(hindrances)
}

/// Refuses to delete replicas if one of them is protected.
///
/// # Errors
/// [`Class::Refused`] if one is, and what a call's answer means.
pub(super) async fn refuse_protected(
    cx: &Context,
    table: &str,
    replicas: &[&ReplicaDescription],
) -> Result<(), Failure> {
    for region in replicas.iter().map(|replica| region(replica)) {
        if is_protected(cx, table, region).await? {
            return Err(protection::refusal(&format!("the replica of {table} in {region}")));
        }
    }
    Ok(())
}

async fn is_protected(cx: &Context, table: &str, region: &str) -> Result<bool, Failure> {
    let found = describe(&cx.at(region), table).await?;
    Ok(found.is_some_and(|found| found.deletion_protection_enabled() == Some(true)))
}

async fn update(cx: &Context, table: &str, change: ReplicationGroupUpdate) -> Result<(), Failure> {
    let call = cx.clients().dynamodb.update_table().table_name(table).replica_updates(change).send();
    cx.mutate("dynamodb", "UpdateTable", call).await.map(drop)
}

/// The owner of a replica. A replica whose table does not exist, or not yet, has no tags.
async fn owner(cx: &Context, table: &str, region: &str) -> Result<Owner, Failure> {
    let there = cx.at(region);
    match describe(&there, table).await?.and_then(|found| found.table_status) {
        None | Some(TableStatus::Creating | TableStatus::Deleting) => Ok(Owner::Untagged),
        Some(_) => Ok(cx.scope.owner(&tags_of(&there, table).await?)),
    }
}

/// A table's replicas in Regions other than its own.
fn elsewhere<'a>(cx: &Context, table: &'a TableDescription) -> impl Iterator<Item = &'a ReplicaDescription> {
    let here = cx.region.clone();
    table.replicas().iter().filter(move |replica| region(replica) != &*here)
}

/// Whether a replica in this state cannot be read or changed. A state that AWS has added since is not one of them.
fn is_out_of_use(status: &ReplicaStatus) -> bool {
    matches!(
        status,
        ReplicaStatus::Creating
            | ReplicaStatus::Deleting
            | ReplicaStatus::RegionDisabled
            | ReplicaStatus::InaccessibleEncryptionCredentials
            | ReplicaStatus::Archiving
            | ReplicaStatus::Archived
            | ReplicaStatus::ReplicationNotAuthorized
    )
}

fn region(replica: &ReplicaDescription) -> &str {
    replica.region_name().unwrap_or_default()
}
