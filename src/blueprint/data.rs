//! Where data is stored in both Regions, and what replicates it: secret, Aurora, sessions table, buckets.

use sha2::{Digest as _, Sha256};

use super::base::RegionBase;
use super::network::{POSTGRES, RegionNetwork};
use super::{GLOBAL, RegionSite, named, whole};
use drctl_aws::facts::Facts;
use drctl_aws::resources::dynamodb::{Replica, Table};
use drctl_aws::resources::iam::Role as IamRole;
use drctl_aws::resources::policy::{self, Statement};
use drctl_aws::resources::rds::{DbCluster, DbClusterParameterGroup, DbInstance, DbSubnetGroup, GlobalCluster};
use drctl_aws::resources::s3::{Bucket, Replication};
use drctl_aws::resources::secretsmanager::Secret;
use drctl_aws::resources::{Handle, Stack};
use drctl_config::{Config, InstanceClass};
use drctl_engine::GraphError;
use drctl_engine::state::Role;

/// What other parts of the blueprint need.
pub(super) struct Data {
    /// The name and password of the database's owner.
    pub secret: Handle<Secret>,
}

/// Adds everything.
pub(super) fn build(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    sites: &[RegionSite<'_>; 2],
    bases: &[RegionBase; 2],
    networks: &[RegionNetwork; 2],
) -> Result<Data, GraphError> {
    let secret = secret(stack, config, sites, bases)?;
    database(stack, config, sites, bases, networks, &secret)?;
    sessions(stack, config, sites, bases)?;
    buckets(stack, config, facts, sites, bases)?;
    Ok(Data { secret })
}

fn secret(
    stack: &mut Stack<'_>,
    config: &Config,
    [primary, secondary]: &[RegionSite<'_>; 2],
    [here, there]: &[RegionBase; 2],
) -> Result<Handle<Secret>, GraphError> {
    let name = config.name();
    let secret = Secret {
        name: secret_name(&name),
        description: format!("{name}: owner of the Aurora clusters"),
        kms_key: here.key.arn(),
        username: config.database.master_username.clone(),
        replica_region: secondary.region.to_owned(),
        replica_kms_key: there.key.arn(),
        pending_deletion: false,
    };
    stack.add(Role::Global, "database", primary.region, &secret)
}

/// Aurora requires this order: the global cluster, the first member, its writer, and only when that is available the second
/// member.
/// See docs/aws-behaviour.md#writer-instance-before-secondary.
fn database(
    stack: &mut Stack<'_>,
    config: &Config,
    [primary, secondary]: &[RegionSite<'_>; 2],
    [here, there]: &[RegionBase; 2],
    [here_network, there_network]: &[RegionNetwork; 2],
    secret: &Handle<Secret>,
) -> Result<(), GraphError> {
    let name = config.name();
    let global = GlobalCluster {
        name: name.clone(),
        engine_version: config.database.engine_version.to_string(),
        database_name: config.database.database_name.clone(),
        deletion_protection: primary.deletion_protection,
        encrypted: true,
    };
    let global = stack.add(Role::Global, "main", primary.region, &global)?;
    let writer = cluster(stack, config, primary, here, here_network, &global, secret)?;
    let writer = stack.add(primary.role, "main", primary.region, &writer)?;
    let writer = stack.add(primary.role, "main", primary.region, &instance(config, primary, here, &writer))?;
    let reader = DbCluster {
        // On the way up, the first member's writer comes first. On the way down, the member that does not write is deleted first.
        after: vec![there.database_log.id().any(), writer.id().any().first()],
        ..cluster(stack, config, secondary, there, there_network, &global, secret)?
    };
    let reader = stack.add(secondary.role, "main", secondary.region, &reader)?;
    stack.add(secondary.role, "main", secondary.region, &instance(config, secondary, there, &reader))?;
    Ok(())
}

/// Adds what the cluster of a Region needs, and returns the cluster.
fn cluster(
    stack: &mut Stack<'_>,
    config: &Config,
    site: &RegionSite<'_>,
    base: &RegionBase,
    network: &RegionNetwork,
    global: &Handle<GlobalCluster>,
    secret: &Handle<Secret>,
) -> Result<DbCluster, GraphError> {
    let name = config.name();
    let database = &config.database;
    let subnets = DbSubnetGroup {
        name: name.clone(),
        description: format!("{name}: the private subnets"),
        subnets: network.private.iter().map(Handle::id).collect(),
    };
    let subnets = stack.add(site.role, "main", site.region, &subnets)?;
    let major = database.engine_version.major;
    let parameters = DbClusterParameterGroup {
        name: format!("{name}-postgresql{major}"),
        family: format!("aurora-postgresql{major}"),
        description: format!("{name}: TLS only"),
        parameters: named([("rds.force_ssl", "1".to_owned())]),
    };
    let parameters = stack.add(site.role, "main", site.region, &parameters)?;
    let (min_acu, max_acu) = match database.instance_class {
        InstanceClass::Serverless => (whole(database.min_acu), whole(database.max_acu)),
        InstanceClass::Provisioned(_) => (0, 0),
    };
    Ok(DbCluster {
        name: cluster_name(config, site),
        engine_version: database.engine_version.to_string(),
        global_cluster: global.id(),
        database_name: database.database_name.clone(),
        master_username: database.master_username.clone(),
        master_secret: secret.arn().exists(),
        secret_version: secret.output("version").exists(),
        subnet_group: subnets.id(),
        parameter_group: parameters.id(),
        security_groups: vec![network.database.id()],
        kms_key: base.key.arn(),
        port: i32::from(POSTGRES),
        deletion_protection: site.deletion_protection,
        backup_retention_days: whole(database.backup_retention_days),
        backup_window: database.backup_window.to_string(),
        maintenance_window: database.maintenance_window.to_string(),
        iam_authentication: true,
        log_exports: vec!["postgresql".to_owned()],
        http_endpoint: true,
        copy_tags_to_snapshots: true,
        min_acu,
        max_acu,
        after: vec![base.database_log.id().any()],
    })
}

fn instance(config: &Config, site: &RegionSite<'_>, base: &RegionBase, cluster: &Handle<DbCluster>) -> DbInstance {
    DbInstance {
        name: format!("{}-1", cluster_name(config, site)),
        // Aurora accepts an instance for a cluster that is being created.
        cluster: cluster.id().exists(),
        class: config.database.instance_class.to_string(),
        publicly_accessible: false,
        performance_insights: true,
        performance_insights_kms_key: base.key.arn(),
        // Both Regions have to run the same version, or a switchover is refused. So only an operator upgrades.
        auto_minor_version_upgrade: false,
        maintenance_window: config.database.maintenance_window.to_string(),
        promotion_tier: 1,
        after: Vec::new(),
    }
}

fn sessions(
    stack: &mut Stack<'_>,
    config: &Config,
    [primary, secondary]: &[RegionSite<'_>; 2],
    [here, there]: &[RegionBase; 2],
) -> Result<(), GraphError> {
    let recovery_days = whole(config.sessions.recovery_days);
    let table = Table {
        name: table_name(&config.name()),
        hash_key: "pk".to_owned(),
        billing_mode: "PAY_PER_REQUEST".to_owned(),
        stream_view: "NEW_AND_OLD_IMAGES".to_owned(),
        kms_key: here.key.arn(),
        ttl_attribute: config.sessions.ttl_attribute.clone(),
        recovery_days,
        deletion_protection: primary.deletion_protection,
        replica: Replica { region: secondary.region.to_owned(), kms_key: there.key.arn(), recovery_days },
        replica_deletion_protection: secondary.deletion_protection,
    };
    stack.add(Role::Global, "sessions", primary.region, &table)?;
    Ok(())
}

/// Replication is set up in both directions from the start: a failover must not need S3's control plane, which is in us-east-1.
/// See docs/aws-behaviour.md#global-control-planes.
/// See docs/aws-behaviour.md#replication-refills-the-bucket.
fn buckets(
    stack: &mut Stack<'_>,
    config: &Config,
    facts: &Facts,
    sites: &[RegionSite<'_>; 2],
    bases: &[RegionBase; 2],
) -> Result<(), GraphError> {
    let role = stack.add(Role::Global, "replication", GLOBAL, &replication_role(config, facts, sites, bases))?;
    let mut bucket = |site: &RegionSite<'_>, base: &RegionBase| {
        let bucket = Bucket {
            name: bucket_name(config, facts, site.region),
            versioned: true,
            kms_key: base.key.arn(),
            bucket_key: true,
            public_access_blocked: true,
            ownership: "BucketOwnerEnforced".to_owned(),
            policy: bucket_policy(&bucket_arn(config, facts, site.region)),
            noncurrent_days: whole(config.storage.noncurrent_days),
            incomplete_upload_days: whole(config.storage.incomplete_upload_days),
        };
        stack.add(site.role, "data", site.region, &bucket)
    };
    let [here, there] = [bucket(&sites[0], &bases[0])?, bucket(&sites[1], &bases[1])?];
    for (site, from, to, base) in [(&sites[0], &here, &there, &bases[1]), (&sites[1], &there, &here, &bases[0])] {
        let replication = Replication {
            bucket: from.id(),
            role: role.arn(),
            destination: to.arn(),
            destination_kms_key: base.key.arn(),
            time_control_minutes: 15,
            delete_markers: true,
            replica_modifications: true,
            after: Vec::new(),
        };
        stack.add(site.role, "data", site.region, &replication)?;
    }
    Ok(())
}

/// TLS only. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html>
fn bucket_policy(arn: &str) -> serde_json::Value {
    policy::document([Statement::deny(["s3:*"])
        .sid("TlsOnly")
        .by("AWS", ["*"])
        .on([arn.to_owned(), format!("{arn}/*")])
        .when("Bool", "aws:SecureTransport", ["false"])])
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html>, and for the keys
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html>.
fn replication_role(config: &Config, facts: &Facts, sites: &[RegionSite<'_>; 2], bases: &[RegionBase; 2]) -> IamRole {
    let name = config.name();
    let arns: Vec<String> = sites.iter().map(|site| bucket_arn(config, facts, site.region)).collect();
    let objects: Vec<String> = arns.iter().map(|arn| format!("{arn}/*")).collect();
    let mut statements = vec![
        Statement::allow(["s3:GetReplicationConfiguration", "s3:ListBucket"]).on(arns),
        Statement::allow([
            "s3:GetObjectVersionForReplication",
            "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionTagging",
            "s3:ReplicateObject",
            "s3:ReplicateDelete",
            "s3:ReplicateTags",
        ])
        .on(objects),
    ];
    for (site, base) in sites.iter().zip(bases) {
        let statement = Statement::allow(["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"])
            .on_output(&base.key.arn())
            .when("StringEquals", "kms:ViaService", [format!("s3.{}.amazonaws.com", site.region)]);
        statements.push(statement);
    }
    IamRole {
        name: format!("{name}-replication"),
        path: config.iam.path.clone(),
        permissions_boundary: config.iam.permissions_boundary.clone(),
        description: format!("{name}: S3 replication between the two buckets"),
        // There is no condition, as on AWS's page: it is not documented that S3 sends the account or the bucket of the source
        // when it assumes the role for replication. If it does not, S3 would accept the configuration, and every object would end
        // as `FAILED`. Only a caller with the permission to pass a role of this account can give it to S3.
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html See
        // docs/aws-behaviour.md#replication-role-without-condition.
        assume_role_policy: policy::document(
            [Statement::allow(["sts:AssumeRole"]).by("Service", ["s3.amazonaws.com"])],
        ),
        policies: named([("replicate", policy::document(statements))]),
    }
}

/// Names of clusters are unique across the Regions of a global database.
/// See docs/aws-behaviour.md#cluster-names-span-regions.
pub(super) fn cluster_name(config: &Config, site: &RegionSite<'_>) -> String {
    format!("{}-{}", config.name(), site.role)
}

pub(super) fn cluster_arn(config: &Config, site: &RegionSite<'_>) -> String {
    format!("arn:aws:rds:{}:{}:cluster:{}", site.region, site.placement.account, cluster_name(config, site))
}

pub(super) fn table_arn(config: &Config, site: &RegionSite<'_>) -> String {
    format!("arn:aws:dynamodb:{}:{}:table/{}", site.region, site.placement.account, table_name(&config.name()))
}

pub(super) fn table_name(name: &str) -> String {
    format!("{name}-sessions")
}

pub(super) fn secret_name(name: &str) -> String {
    format!("{name}-database")
}

/// Bucket names are unique in all of AWS. The suffix is derived from the account, the environment, and the Region, so that it does
/// not have to be remembered.
/// See docs/aws-behaviour.md#bucket-names-are-global.
pub(super) fn bucket_name(config: &Config, facts: &Facts, region: &str) -> String {
    let owner = format!("{},{},{region}", facts.account, config.stack.environment);
    format!("{}-{region}-{}", config.name(), &hex::encode(Sha256::digest(owner.as_bytes()))[..8])
}

pub(super) fn bucket_arn(config: &Config, facts: &Facts, region: &str) -> String {
    format!("arn:aws:s3:::{}", bucket_name(config, facts, region))
}
