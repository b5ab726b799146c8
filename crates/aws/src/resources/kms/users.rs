//! Resources that can be read only with a key. While any of them exists, the key is kept.
//!
//! KMS itself does not check: it schedules the deletion of a key that is in use, and a database that is encrypted with it stops
//! at once. See docs/aws-behaviour.md#key-in-use and docs/aws-behaviour.md#snapshot-needs-its-key.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::operation::list_backups::ListBackupsOutput;
use aws_sdk_dynamodb::types::{
    BackupDescription, BackupDetails, BackupSummary, BackupType, BackupTypeFilter, SourceTableFeatureDetails,
    SseDescription, TableDescription,
};
use aws_sdk_rds::types::{DbCluster, DbClusterSnapshot, DbInstance, DbSnapshot};
use aws_sdk_secretsmanager::operation::list_secrets::ListSecretsOutput;
use aws_sdk_secretsmanager::types::SecretListEntry;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use futures::try_join;

use crate::resources::rds::{Databases, databases, listed_databases, unless_unsupported};
use crate::resources::typed::{bears_name, is_about_permission};
use crate::resources::{AlsoDeleted, Class, Context, Failure, Live};

/// How many tables or backups are described at a time.
const AT_A_TIME: usize = 8;

/// How the name of the backup ends that DynamoDB leaves of a deleted table. See docs/aws-behaviour.md#deleted-table-leaves-a-backup.
const LAST_BACKUP: &str = "$DeletedTableBackup";

/// The key that the stack's alias meant as long as it existed.
const OWN_ALIAS: &str = "the key of the stack's alias";

/// Something that is encrypted with a customer managed key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    /// What it is: `cluster`.
    kind: &'static str,
    /// Its name.
    name: String,
    /// What identifies it in a plan: the ARN of a database; the name of a table or a secret, which may be the replica of one in
    /// another Region.
    known_as: String,
    /// The key's ARN or id.
    key: String,
}

impl User {
    fn of(kind: &'static str, name: Option<&str>, known_as: Option<&str>, key: Option<&str>) -> Option<Self> {
        let (name, key) = (name?.to_owned(), key.filter(|key| !key.is_empty())?.to_owned());
        Some(Self { kind, known_as: known_as.unwrap_or(&name).to_owned(), name, key })
    }

    fn is_under(&self, key: &Live) -> bool {
        self.key == key.id || self.key == OWN_ALIAS || Some(&self.key) == key.arn.as_ref()
    }
}

/// Why a key will be kept once everything in `also` is deleted; `None` if it will not. What is encrypted in a Region is listed
/// once for all keys.
///
/// # Errors
/// What a call's answer means.
pub(super) async fn expected(cx: &Context, key: &Live, also: &AlsoDeleted) -> Result<Option<String>, Failure> {
    let users = cx.shared("kms_users", || all(cx, listed_databases(cx))).await?;
    Ok(reason(&remaining(&users, key, also, cx.disposal.final_snapshots)))
}

/// Why a key has to be kept at present; `None` if it does not.
///
/// # Errors
/// What a call's answer means.
pub(super) async fn at_present(cx: &Context, key: &Live) -> Result<Option<String>, Failure> {
    Ok(reason(&remaining(
        &all(cx, async { databases(cx).await.map(Arc::new) }).await?,
        key,
        &AlsoDeleted::default(),
        false,
    )))
}

/// What will still be encrypted with a key.
fn remaining(users: &[User], key: &Live, also: &AlsoDeleted, final_snapshots: bool) -> Vec<String> {
    let users = users.iter().filter(|user| user.is_under(key));
    let stays = users.filter_map(|user| match (also.contains(&user.known_as), user.kind) {
        (false, kind) => Some(format!("the {kind} {}", user.name)),
        (true, "cluster") if final_snapshots => Some(format!("the final snapshot of {}", user.name)),
        (true, _) => None,
    });
    stays.collect()
}

fn reason(users: &[String]) -> Option<String> {
    let it = if users.len() == 1 { "it" } else { "them" };
    let needs = || format!("{} can be read only with it. Delete {it} when no longer needed", users.join(", "));
    // Nobody can delete it.
    let of_dynamodb = users.iter().any(|user| user.ends_with(LAST_BACKUP));
    let expires = if of_dynamodb {
        ". DynamoDB deletes a backup of a deleted table after 35 days; `drctl down --no-final-snapshot` gives it up now"
    } else {
        ""
    };
    (!users.is_empty()).then(|| format!("{}, then run `drctl down` again{expires}", needs()))
}

/// Everything in the Region that drctl knows to look for: databases, their snapshots, tables, their backups, and secrets.
async fn all(
    cx: &Context,
    databases: impl Future<Output = Result<Arc<Databases>, Failure>>,
) -> Result<Vec<User>, Failure> {
    let (databases, snapshots, tables, backups, secrets) =
        try_join!(databases, snapshots(cx), tables(cx), backups(cx), secrets(cx))?;
    let clusters = databases.clusters.iter();
    let mut users: Vec<User> = clusters
        .filter_map(|it: &DbCluster| {
            User::of("cluster", it.db_cluster_identifier(), it.db_cluster_arn(), it.kms_key_id())
        })
        .collect();
    // The storage of instances in a cluster belongs to the cluster.
    let alone = databases.instances.iter().filter(|it| it.db_cluster_identifier().is_none_or(str::is_empty));
    users.extend(alone.filter_map(|it: &DbInstance| {
        User::of("database", it.db_instance_identifier(), it.db_instance_arn(), it.kms_key_id())
    }));
    users.extend(snapshots.into_iter().chain(tables).chain(backups).chain(secrets));
    Ok(users)
}

/// Manual snapshots, which outlive their databases.
async fn snapshots(cx: &Context) -> Result<Vec<User>, Failure> {
    let rds = &cx.clients().rds;
    let of_clusters = cx.pages("rds", "DescribeDBClusterSnapshots", || {
        rds.describe_db_cluster_snapshots().snapshot_type("manual").into_paginator().items().send()
    });
    let of_instances = cx.pages("rds", "DescribeDBSnapshots", || {
        rds.describe_db_snapshots().snapshot_type("manual").into_paginator().items().send()
    });
    let of_clusters = unless_unsupported(of_clusters.await)?;
    let of_instances = unless_unsupported(of_instances.await)?;
    let clusters = of_clusters.iter().filter_map(|it: &DbClusterSnapshot| {
        User::of("snapshot", it.db_cluster_snapshot_identifier(), it.db_cluster_snapshot_arn(), it.kms_key_id())
    });
    let instances = of_instances.iter().filter_map(|it: &DbSnapshot| {
        User::of("snapshot", it.db_snapshot_identifier(), it.db_snapshot_arn(), it.kms_key_id())
    });
    Ok(clusters.chain(instances).collect())
}

async fn tables(cx: &Context) -> Result<Vec<User>, Failure> {
    let dynamodb = &cx.clients().dynamodb;
    let names = cx.pages("dynamodb", "ListTables", || dynamodb.list_tables().into_paginator().items().send()).await?;
    let users = stream::iter(names)
        .map(|name| async move {
            let call = || dynamodb.describe_table().table_name(&name).send();
            let table = match cx.read("dynamodb", "DescribeTable", call).await {
                // Deleted since it was listed.
                Err(failure) if failure.class == Class::NotFound => None,
                answer => answer?.table,
            };
            let key = table.as_ref().and_then(TableDescription::sse_description);
            Ok::<_, Failure>(User::of("table", Some(&name), None, key.and_then(SseDescription::kms_master_key_arn)))
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<Vec<_>>();
    Ok(users.await?.into_iter().flatten().collect())
}

/// Backups of tables, which outlive their tables: those that somebody has made, by AWS Backup as well, and those that DynamoDB leaves
/// of deleted tables. Of the stack's own table, the latter counts like a final snapshot.
/// See docs/aws-behaviour.md#table-backup-needs-its-key.
async fn backups(cx: &Context) -> Result<Vec<User>, Failure> {
    let (dynamodb, stack) = (&cx.clients().dynamodb, cx.scope.name());
    let is_given_up = |backup: &BackupSummary| {
        let is_own = backup.table_name().is_some_and(|table| bears_name(&stack, table));
        is_own && backup.backup_type() == Some(&BackupType::System) && !cx.disposal.final_snapshots
    };
    let (mut arns, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
    loop {
        let call = || {
            let call = dynamodb.list_backups().backup_type(BackupTypeFilter::All);
            call.set_exclusive_start_backup_arn(after.clone()).send()
        };
        let page = unless_unsupported(cx.read("dynamodb", "ListBackups", call).await.map(Some))?;
        let listed = page.as_ref().map(ListBackupsOutput::backup_summaries).unwrap_or_default();
        let stay = listed.iter().filter(|backup| !is_given_up(backup));
        arns.extend(stay.filter_map(|backup| backup.backup_arn().map(str::to_owned)));
        after = page.and_then(|page| page.last_evaluated_backup_arn);
        if after.is_none() {
            break;
        }
    }
    let users = stream::iter(arns)
        .map(|arn| async move {
            let call = || dynamodb.describe_backup().backup_arn(&arn).send();
            let backup = match cx.read("dynamodb", "DescribeBackup", call).await {
                // Deleted since it was listed.
                Err(failure) if failure.class == Class::NotFound => None,
                answer => answer?.backup_description,
            };
            Ok::<_, Failure>(backup.as_ref().and_then(|backup| of_backup(&arn, backup)))
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<Vec<_>>();
    Ok(users.await?.into_iter().flatten().collect())
}

fn of_backup(arn: &str, backup: &BackupDescription) -> Option<User> {
    let key = backup.source_table_feature_details().and_then(SourceTableFeatureDetails::sse_description);
    let name = backup.backup_details().map(BackupDetails::backup_name);
    User::of("backup", name, Some(arn), key.and_then(SseDescription::kms_master_key_arn))
}

/// Secrets, without those that are scheduled for deletion, which a listing leaves out. The key may be given by an alias.
/// See docs/aws-behaviour.md#secret-keys-are-listed.
async fn secrets(cx: &Context) -> Result<Vec<User>, Failure> {
    let secrets = &cx.clients().secrets;
    let listed = cx.pages("secretsmanager", "ListSecrets", || secrets.list_secrets().into_paginator().send()).await?;
    let listed = listed.iter().flat_map(ListSecretsOutput::secret_list);
    let mut users: Vec<User> =
        listed.filter_map(|it: &SecretListEntry| User::of("secret", it.name(), None, it.kms_key_id())).collect();
    let aliases: BTreeSet<String> = users.iter().map(|user| user.key.clone()).filter(|key| is_alias(key)).collect();
    for alias in aliases {
        let key = match super::describe(cx, &alias).await {
            Ok(key) => key.and_then(|key| key.arn),
            // Not this stack's: its key lets the account describe it.
            Err(failure) if is_about_permission(&failure) => None,
            Err(failure) => return Err(failure),
        };
        // The stack's own alias is deleted before its key.
        let own = || is_own_alias(&super::stack_alias(cx), &alias).then(|| OWN_ALIAS.to_owned());
        if let Some(key) = key.or_else(own) {
            users.iter_mut().filter(|user| user.key == alias).for_each(|user| user.key.clone_from(&key));
        }
    }
    Ok(users)
}

/// Whether the name or the ARN of an alias is the stack's.
fn is_own_alias(own: &str, alias: &str) -> bool {
    alias == own || alias.strip_suffix(own).is_some_and(|rest| rest.ends_with(':'))
}

/// Whether a key is given by the name or the ARN of an alias.
fn is_alias(key: &str) -> bool {
    key.starts_with("alias/") || key.contains(":alias/")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::resources::{Owner, Phase};

    fn key() -> Live {
        Live {
            id: "1234".to_owned(),
            arn: Some("arn:aws:kms:us-east-1:111122223333:key/1234".to_owned()),
            phase: Phase::Ready,
            owner: Owner::Implied,
            properties: serde_json::Map::new(),
            outputs: BTreeMap::new(),
            goes_after: Vec::new(),
        }
    }

    fn user(kind: &'static str, name: &str) -> User {
        User {
            kind,
            name: name.to_owned(),
            known_as: name.to_owned(),
            key: "arn:aws:kms:us-east-1:111122223333:key/1234".to_owned(),
        }
    }

    #[test]
    fn a_key_is_kept_for_what_stays_and_for_the_snapshots_that_will_be_taken() {
        let users = [user("cluster", "pay-primary"), user("table", "pay-idempotency"), user("cluster", "restored")];
        let also: AlsoDeleted = ["pay-primary", "pay-idempotency"].into_iter().collect();
        let stays = remaining(&users, &key(), &also, true);
        assert_eq!(stays, ["the final snapshot of pay-primary", "the cluster restored"]);
        assert_eq!(remaining(&users[..2], &key(), &also, false), Vec::<String>::new());
        let said = reason(&stays).expect("two");
        assert!(
            said.ends_with("can be read only with it. Delete them when no longer needed, then run `drctl down` again")
        );
        assert_eq!(reason(&[]), None);
        let backup = reason(&["the backup pay-sessions$DeletedTableBackup".to_owned()]).expect("one");
        assert!(backup.ends_with("after 35 days; `drctl down --no-final-snapshot` gives it up now"), "{backup}");
    }

    #[test]
    fn what_another_key_encrypts_is_not_counted_and_a_key_is_also_known_by_its_id() {
        let other = User { key: "arn:aws:kms:us-east-1:111122223333:key/5678".to_owned(), ..user("secret", "a") };
        let by_id = User { key: "1234".to_owned(), ..user("secret", "b") };
        let none = AlsoDeleted::default();
        assert_eq!(remaining(&[other, by_id], &key(), &none, false), ["the secret b"]);
        assert_eq!(User::of("secret", Some("c"), None, None), None, "encrypted with the AWS managed key");
        // The alias is deleted before the key.
        let by_alias = User { key: OWN_ALIAS.to_owned(), ..user("secret", "d") };
        assert_eq!(remaining(&[by_alias], &key(), &none, false), ["the secret d"]);
        for (alias, is_own) in [
            ("alias/pay-prod", true),
            ("arn:aws:kms:us-east-1:111122223333:alias/pay-prod", true),
            ("alias/pay-prod-2", false),
            ("alias/alias/pay-prod", false),
        ] {
            assert_eq!(is_own_alias("alias/pay-prod", alias), is_own, "{alias}");
        }
    }
}
