//! Amazon RDS.

use std::collections::BTreeMap;

use super::{Answers, NOTHING, compared, differing, found, query, query_error, read, with};
use crate::resources::rds::{DbCluster, DbClusterParameterGroup, DbInstance, DbSubnetGroup, GlobalCluster};
use crate::resources::{AlsoDeleted, Failure, Live, Owner, Phase, Ref, Resource as _, Synced};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5";

/// From cloud-custodian's recordings of rds.DescribeDBClusters (`test_rdscluster_pending_maintenance`, 2023), as far as drctl
/// reads it; like the recording, it does not name the global cluster.
const CLUSTER: &str = "
<AllocatedStorage>1</AllocatedStorage><BackupRetentionPeriod>7</BackupRetentionPeriod>
<DBClusterIdentifier>pay-prod-primary</DBClusterIdentifier>
<DBClusterParameterGroup>pay-prod-primary</DBClusterParameterGroup><DBSubnetGroup>pay-prod-primary</DBSubnetGroup>
<Status>available</Status>
<Endpoint>pay-prod-primary.cluster-c0.us-east-1.rds.amazonaws.com</Endpoint>
<ReaderEndpoint>pay-prod-primary.cluster-ro-c0.us-east-1.rds.amazonaws.com</ReaderEndpoint>
<MultiAZ>true</MultiAZ><Engine>aurora-postgresql</Engine><EngineVersion>17.7</EngineVersion><Port>5432</Port>
<MasterUsername>payments</MasterUsername><PreferredBackupWindow>03:00-04:00</PreferredBackupWindow>
<PreferredMaintenanceWindow>sun:05:00-sun:06:00</PreferredMaintenanceWindow>
<ReadReplicaIdentifiers/>
<DBClusterMembers><DBClusterMember><DBInstanceIdentifier>pay-prod-primary-1</DBInstanceIdentifier>
<IsClusterWriter>true</IsClusterWriter><DBClusterParameterGroupStatus>in-sync</DBClusterParameterGroupStatus>
<PromotionTier>1</PromotionTier></DBClusterMember></DBClusterMembers>
<VpcSecurityGroups>
<VpcSecurityGroupMembership><VpcSecurityGroupId>sg-0b</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroupMembership>
<VpcSecurityGroupMembership><VpcSecurityGroupId>sg-0a</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroupMembership>
</VpcSecurityGroups>
<HostedZoneId>Z2R2ITUGPM61AM</HostedZoneId><StorageEncrypted>true</StorageEncrypted>
<KmsKeyId>arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5</KmsKeyId>
<DbClusterResourceId>cluster-XP5VWPUF3MXW6MBFEXS7PDL4R4</DbClusterResourceId>
<DBClusterArn>arn:aws:rds:us-east-1:123456789012:cluster:pay-prod-primary</DBClusterArn><AssociatedRoles/>
<IAMDatabaseAuthenticationEnabled>true</IAMDatabaseAuthenticationEnabled>
<EnabledCloudwatchLogsExports><member>postgresql</member></EnabledCloudwatchLogsExports>
<EngineMode>provisioned</EngineMode><DeletionProtection>true</DeletionProtection>
<HttpEndpointEnabled>false</HttpEndpointEnabled><ActivityStreamStatus>stopped</ActivityStreamStatus>
<CopyTagsToSnapshot>true</CopyTagsToSnapshot><CrossAccountClone>false</CrossAccountClone><DomainMemberships/>
<TagList>
<Tag><Key>drctl:stack</Key><Value>pay</Value></Tag><Tag><Key>drctl:environment</Key><Value>prod</Value></Tag>
<Tag><Key>drctl:secret-version</Key><Value>v1</Value></Tag><Tag><Key>empty</Key></Tag>
</TagList>";

/// From AWS's example of `describe-global-clusters` in the AWS CLI's reference, with the members from the API's reference.
/// The ARN has no Region.
const GLOBAL: &str = "
<GlobalClusterIdentifier>pay-prod</GlobalClusterIdentifier>
<GlobalClusterResourceId>cluster-f5982077e3b5aabb</GlobalClusterResourceId>
<GlobalClusterArn>arn:aws:rds::123456789012:global-cluster:pay-prod</GlobalClusterArn>
<Status>available</Status><Engine>aurora-postgresql</Engine><EngineVersion>17.7</EngineVersion>
<DatabaseName>payments</DatabaseName>
<StorageEncrypted>true</StorageEncrypted><DeletionProtection>true</DeletionProtection>
<GlobalClusterMembers>
<GlobalClusterMember><DBClusterArn>arn:aws:rds:us-east-2:123456789012:cluster:pay-prod-secondary</DBClusterArn>
<Readers/><IsWriter>false</IsWriter><GlobalWriteForwardingStatus>disabled</GlobalWriteForwardingStatus></GlobalClusterMember>
<GlobalClusterMember><DBClusterArn>arn:aws:rds:us-east-1:123456789012:cluster:pay-prod-primary</DBClusterArn>
<Readers><member>arn:aws:rds:us-east-2:123456789012:cluster:pay-prod-secondary</member></Readers><IsWriter>true</IsWriter>
</GlobalClusterMember>
</GlobalClusterMembers>";

fn clusters(inner: &str) -> String {
    query("DescribeDBClusters", &format!("<DBClusters><DBCluster>{inner}</DBCluster></DBClusters>"))
}

fn globals(inner: &str) -> String {
    query(
        "DescribeGlobalClusters",
        &format!("<GlobalClusters><GlobalClusterMember>{inner}</GlobalClusterMember></GlobalClusters>"),
    )
}

fn cluster() -> DbCluster {
    DbCluster {
        name: "pay-prod-primary".to_owned(),
        engine_version: "17.7".to_owned(),
        global_cluster: Ref::known("pay-prod"),
        database_name: "payments".to_owned(),
        master_username: "payments".to_owned(),
        master_secret: Ref::known("arn:aws:secretsmanager:us-east-1:123456789012:secret:pay-prod-db-a1b2c3"),
        secret_version: Ref::known("v1"),
        subnet_group: Ref::known("pay-prod-primary"),
        parameter_group: Ref::known("pay-prod-primary"),
        security_groups: vec![Ref::known("sg-0a"), Ref::known("sg-0b")],
        kms_key: Ref::known(KEY),
        port: 5432,
        deletion_protection: Some(true),
        backup_retention_days: 7,
        backup_window: "03:00-04:00".to_owned(),
        maintenance_window: "sun:05:00-sun:06:00".to_owned(),
        iam_authentication: true,
        log_exports: vec!["postgresql".to_owned()],
        http_endpoint: false,
        copy_tags_to_snapshots: true,
        min_acu: 0,
        max_acu: 0,
        after: Vec::new(),
    }
}

async fn read_cluster(inner: &str, global: &str) -> crate::resources::Live {
    let answers =
        Answers::default().to("DescribeDBClusters", clusters(inner)).to("DescribeGlobalClusters", globals(global));
    read::<DbCluster>(answers, "pay-prod-primary").await
}

#[tokio::test]
async fn a_cluster_as_recorded_reads_as_it_was_made() {
    let live = read_cluster(CLUSTER, GLOBAL).await;
    assert_eq!(compared(&cluster(), &live), NOTHING);
    assert_eq!((&live.phase, matches!(live.owner, Owner::Ours { .. })), (&Phase::Ready, true));
    assert_eq!(live.arn.as_deref(), Some("arn:aws:rds:us-east-1:123456789012:cluster:pay-prod-primary"));
    assert_eq!(live.goes_after, ["arn:aws:rds:us-east-2:123456789012:cluster:pay-prod-secondary"]);
    // A tag without a value has an empty value.
    assert_eq!(live.properties["tags"]["empty"], "");
}

/// cloud-custodian's recordings of clusters without log exports leave the element out (`test_rdsclusterparamgroup_filter`), and
/// AWS's example of `describe-db-clusters` lacks several others.
#[tokio::test]
async fn what_an_answer_about_a_cluster_lacks_is_not_a_difference() {
    let least = "<DBClusterIdentifier>pay-prod-primary</DBClusterIdentifier>
        <DBClusterArn>arn:aws:rds:us-east-1:123456789012:cluster:pay-prod-primary</DBClusterArn>
        <TagList><Tag><Key>drctl:secret-version</Key><Value>v1</Value></Tag></TagList>";
    assert_eq!(compared(&cluster(), &read_cluster(least, GLOBAL).await), NOTHING);
}

#[tokio::test]
async fn fields_that_aws_adds_to_a_cluster_are_ignored() {
    let future = CLUSTER
        .replace("<EngineMode>provisioned<", "<EngineMode>of-tomorrow<")
        .replace("<ActivityStreamStatus>stopped<", "<ActivityStreamStatus>of-tomorrow<")
        + "<OfTomorrow><Deep><member>1</member></Deep></OfTomorrow>";
    assert_eq!(compared(&cluster(), &read_cluster(&future, GLOBAL).await), NOTHING);
}

/// AWS adds and removes states: the Aurora User Guide, "Viewing Aurora DB cluster status".
#[tokio::test]
async fn a_cluster_in_an_unknown_state_is_waited_for() {
    let state = CLUSTER.replace("<Status>available<", "<Status>of-tomorrow<");
    let live = read_cluster(&state, GLOBAL).await;
    assert_eq!((live.phase.clone(), compared(&cluster(), &live)), (Phase::Pending("of-tomorrow".to_owned()), vec![]));
}

#[tokio::test]
async fn a_security_group_that_is_being_removed_does_not_count() {
    let leaving = CLUSTER.replacen(
        "<VpcSecurityGroups>",
        "<VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-0c</VpcSecurityGroupId>\
         <Status>removing</Status></VpcSecurityGroupMembership>",
        1,
    );
    assert_eq!(compared(&cluster(), &read_cluster(&leaving, GLOBAL).await), NOTHING);
}

/// Capacities are written as doubles: AWS's model, `ServerlessV2ScalingConfigurationInfo`.
#[tokio::test]
async fn whole_capacities_are_compared_as_whole_numbers() {
    let serverless = CLUSTER.to_owned()
        + "<ServerlessV2ScalingConfiguration><MinCapacity>2.0</MinCapacity><MaxCapacity>16.0</MaxCapacity>
           </ServerlessV2ScalingConfiguration>";
    let desired = DbCluster { min_acu: 2, max_acu: 16, ..cluster() };
    assert_eq!(compared(&desired, &read_cluster(&serverless, GLOBAL).await), NOTHING);
    let half = serverless.replace("<MinCapacity>2.0<", "<MinCapacity>0.5<");
    assert_eq!(differing(&desired, &read_cluster(&half, GLOBAL).await), ["min_acu"]);
    let without = serverless.replace("<MinCapacity>2.0</MinCapacity>", "");
    assert_eq!(compared(&desired, &read_cluster(&without, GLOBAL).await), NOTHING);
}

/// From cloud-custodian's recordings of rds.DescribeDBClusters (`test_rdscluster_config`): an empty list is an empty
/// element, or no element.
#[tokio::test]
async fn a_cluster_without_security_groups_differs() {
    let open = CLUSTER.find("<VpcSecurityGroups>").zip(CLUSTER.find("<HostedZoneId>"));
    let (from, to) = open.expect("both are there");
    let open = format!("{}<VpcSecurityGroups/>{}", &CLUSTER[..from], &CLUSTER[to..]);
    assert_eq!(compared(&cluster(), &read_cluster(&open, GLOBAL).await), [("security_groups".to_owned(), false)]);
}

#[tokio::test]
async fn a_cluster_outside_of_any_global_cluster_differs() {
    let answers = Answers::default()
        .to("DescribeDBClusters", clusters(CLUSTER))
        .to("DescribeGlobalClusters", query("DescribeGlobalClusters", "<GlobalClusters/>"));
    let live = read::<DbCluster>(answers, "pay-prod-primary").await;
    assert_eq!(compared(&cluster(), &live), [("global_cluster".to_owned(), true)]);
}

fn global() -> GlobalCluster {
    GlobalCluster {
        name: "pay-prod".to_owned(),
        engine_version: "17.7".to_owned(),
        database_name: "payments".to_owned(),
        deletion_protection: Some(true),
        encrypted: true,
    }
}

async fn read_global(inner: &str) -> crate::resources::Live {
    read::<GlobalCluster>(Answers::default().to("DescribeGlobalClusters", globals(inner)), "pay-prod").await
}

#[tokio::test]
async fn a_global_cluster_as_shown_by_aws_reads_as_it_was_made() {
    let live = read_global(GLOBAL).await;
    assert_eq!((compared(&global(), &live), &live.phase), (vec![], &Phase::Ready));
    assert_eq!(live.arn.as_deref(), Some("arn:aws:rds::123456789012:global-cluster:pay-prod"));
    assert!(!live.outputs.contains_key("endpoint"), "AWS's example has none");
}

/// AWS's example has neither a database's name nor tags.
#[tokio::test]
async fn what_an_answer_about_a_global_cluster_lacks_is_not_a_difference() {
    for least in ["", "<DatabaseName/>", "<OfTomorrow>1</OfTomorrow>"] {
        let least = format!("<GlobalClusterIdentifier>pay-prod</GlobalClusterIdentifier>{least}");
        assert_eq!(compared(&global(), &read_global(&least).await), NOTHING, "{least}");
    }
}

#[tokio::test]
async fn a_global_cluster_whose_minor_version_was_raised_by_others_does_not_differ() {
    let raised = GLOBAL.replace("<EngineVersion>17.7<", "<EngineVersion>17.9<");
    assert_eq!(compared(&global(), &read_global(&raised).await), NOTHING);
}

/// The result of raising the minor version if AWS refuses to upgrade the global cluster itself with these words.
fn upgraded(refusal: &str, members: Answers) -> Result<Synced, Failure> {
    let refusal = query_error("InvalidParameterValue", refusal);
    let answers = members.to("DescribeGlobalClusters", globals(GLOBAL)).refused("ModifyGlobalCluster", 400, refusal);
    let desired = GlobalCluster { engine_version: "17.9".to_owned(), ..global() };
    with(answers, async move |cx| {
        let live = GlobalCluster::read(&cx, "pay-prod").await?.expect("it is there");
        let Ok(serde_json::Value::Object(properties)) = serde_json::to_value(&desired) else { panic!("an object") };
        let changes = drctl_engine::changes(&GlobalCluster::INFO, &properties, &live.properties);
        desired.sync(&cx, &live, &changes).await
    })
}

/// terraform-provider-aws recognises the refusal of a minor version by these words:
/// `internal/service/rds/global_cluster.go`. The members are then upgraded one by one, the readers first.
#[test]
fn members_are_upgraded_one_by_one_if_a_global_cluster_takes_only_major_versions() {
    let members = Answers::default()
        .to("us-east-2 DescribeDBClusters", clusters(CLUSTER))
        .to("us-east-2 ModifyDBCluster", query("ModifyDBCluster", ""));
    let refusal = "ModifyGlobalCluster only supports Major Version Upgrades. To patch the members of your global cluster to a \
                   newer minor version you need to call ModifyDbCluster in each one of them.";
    let synced = upgraded(refusal, members).expect("the reader's upgrade is under way");
    assert_eq!(synced.in_progress.as_deref(), Some("its secondary clusters to be upgraded"));
}

/// Any other refusal with the same code is about the version. There is no answer for a call to a member.
#[test]
fn a_version_that_is_not_offered_is_refused_before_the_members_are_touched() {
    let refusal = "Cannot find version 17.9 for aurora-postgresql";
    let failure = upgraded(refusal, Answers::default()).expect_err("it is refused");
    assert_eq!((failure.code.as_deref(), failure.message.as_str()), (Some("InvalidParameterValue"), refusal));
    assert_eq!(failure.operation.as_deref(), Some("rds:ModifyGlobalCluster in us-east-1"));
}

/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeGlobalClusters.html>
#[tokio::test]
async fn a_global_cluster_that_does_not_exist_is_none() {
    let refusal = query_error("GlobalClusterNotFoundFault", "Global cluster pay-prod not found");
    let answers = Answers::default().refused("DescribeGlobalClusters", 404, refusal);
    assert!(found::<GlobalCluster>(answers, "pay-prod").await.is_none());
}

/// From cloud-custodian's recordings of rds.DescribeDBInstances (`test_security_hub_rds`, `test_rds_add_security_group`: an
/// Aurora instance, with its tier).
const INSTANCE: &str = "
<DBInstanceIdentifier>pay-prod-primary-1</DBInstanceIdentifier><DBInstanceClass>db.r6g.large</DBInstanceClass>
<Engine>aurora-postgresql</Engine><DBInstanceStatus>available</DBInstanceStatus><MasterUsername>payments</MasterUsername>
<Endpoint><Address>pay-prod-primary-1.c0.us-east-1.rds.amazonaws.com</Address><Port>5432</Port>
<HostedZoneId>Z2R2ITUGPM61AM</HostedZoneId></Endpoint>
<AllocatedStorage>1</AllocatedStorage><DBSecurityGroups/>
<PreferredMaintenanceWindow>sun:05:00-sun:06:00</PreferredMaintenanceWindow><PendingModifiedValues/><MultiAZ>false</MultiAZ>
<EngineVersion>17.7</EngineVersion><AutoMinorVersionUpgrade>false</AutoMinorVersionUpgrade>
<PubliclyAccessible>false</PubliclyAccessible><StorageType>aurora</StorageType><DbInstancePort>0</DbInstancePort>
<DBClusterIdentifier>pay-prod-primary</DBClusterIdentifier><StorageEncrypted>true</StorageEncrypted>
<DbiResourceId>db-LP44WMFWEWF5JTMNJHOSIBR254</DbiResourceId><DomainMemberships/>
<MonitoringInterval>0</MonitoringInterval><PromotionTier>1</PromotionTier>
<DBInstanceArn>arn:aws:rds:us-east-1:123456789012:db:pay-prod-primary-1</DBInstanceArn>
<PerformanceInsightsEnabled>true</PerformanceInsightsEnabled>
<PerformanceInsightsKMSKeyId>arn:aws:kms:us-east-1:123456789012:key/8785aeb9-a616-4e2b-bbd3-df3cde76bcc5</PerformanceInsightsKMSKeyId>
<TagList><Tag><Key>drctl:stack</Key><Value>pay</Value></Tag><Tag><Key>drctl:environment</Key><Value>prod</Value></Tag></TagList>";

fn instance() -> DbInstance {
    DbInstance {
        name: "pay-prod-primary-1".to_owned(),
        cluster: Ref::known("pay-prod-primary"),
        class: "db.r6g.large".to_owned(),
        publicly_accessible: false,
        performance_insights: true,
        performance_insights_kms_key: Ref::known(KEY),
        auto_minor_version_upgrade: false,
        maintenance_window: "sun:05:00-sun:06:00".to_owned(),
        promotion_tier: 1,
        after: Vec::new(),
    }
}

async fn read_instance(inner: &str) -> crate::resources::Live {
    let answer = query("DescribeDBInstances", &format!("<DBInstances><DBInstance>{inner}</DBInstance></DBInstances>"));
    read::<DbInstance>(Answers::default().to("DescribeDBInstances", answer), "pay-prod-primary-1").await
}

#[tokio::test]
async fn an_instance_as_recorded_reads_as_it_was_made() {
    let live = read_instance(INSTANCE).await;
    assert_eq!((compared(&instance(), &live), &live.phase), (vec![], &Phase::Ready));
    assert_eq!(live.outputs["endpoint"], "pay-prod-primary-1.c0.us-east-1.rds.amazonaws.com");
}

/// While an instance is being created, it has neither an endpoint nor Performance Insights (`test_security_hub_rds`).
#[tokio::test]
async fn what_an_answer_about_an_instance_lacks_is_not_a_difference() {
    let least = "<DBInstanceIdentifier>pay-prod-primary-1</DBInstanceIdentifier><OfTomorrow>1</OfTomorrow>\
                 <DBInstanceStatus>of-tomorrow</DBInstanceStatus>";
    let live = read_instance(least).await;
    assert_eq!((compared(&instance(), &live), live.phase), (vec![], Phase::Pending("of-tomorrow".to_owned())));
    assert!(live.outputs.is_empty());
}

/// From cloud-custodian's recordings of rds.DescribeDBSubnetGroups (`test_rdscluster_subnet`), which has neither tags nor
/// the subnets in the order in which they were given.
#[tokio::test]
async fn a_subnet_group_as_recorded_reads_as_it_was_made() {
    let desired = DbSubnetGroup {
        name: "pay-prod-primary".to_owned(),
        description: "pay-prod".to_owned(),
        subnets: ["subnet-0a", "subnet-0b"].map(Ref::known).to_vec(),
    };
    let subnet = |id: &str, more: &str| {
        format!(
            "<Subnet><SubnetIdentifier>{id}</SubnetIdentifier><SubnetStatus>Active</SubnetStatus>\
             <SubnetAvailabilityZone><Name>us-east-1a</Name></SubnetAvailabilityZone>{more}</Subnet>"
        )
    };
    let two = subnet("subnet-0b", "<SubnetOutpost/>") + &subnet("subnet-0a", "<OfTomorrow>1</OfTomorrow>");
    let live = |subnets: &str, tags: &str| {
        let group = format!(
            "<DBSubnetGroups><DBSubnetGroup><DBSubnetGroupName>pay-prod-primary</DBSubnetGroupName>\
             <DBSubnetGroupDescription>pay-prod</DBSubnetGroupDescription><VpcId>vpc-0a</VpcId>\
             <SubnetGroupStatus>Complete</SubnetGroupStatus><Subnets>{subnets}</Subnets>\
             <DBSubnetGroupArn>arn:aws:rds:us-east-1:123456789012:subgrp:pay-prod-primary</DBSubnetGroupArn>\
             </DBSubnetGroup></DBSubnetGroups>"
        );
        let answers = Answers::default()
            .to("DescribeDBSubnetGroups", query("DescribeDBSubnetGroups", &group))
            .to("ListTagsForResource", query("ListTagsForResource", &format!("<TagList>{tags}</TagList>")));
        read::<DbSubnetGroup>(answers, "pay-prod-primary")
    };
    let found = live(&two, "<Tag><Key>drctl:stack</Key><Value>other</Value></Tag>").await;
    assert_eq!(compared(&desired, &found), NOTHING);
    assert!(matches!(found.owner, Owner::Foreign(_)));
    // `test_rdssubnetgroup_unused`: one without subnets.
    assert_eq!(compared(&desired, &live("", "").await), [("subnets".to_owned(), false)]);
    let least = "<DBSubnetGroups><DBSubnetGroup><DBSubnetGroupName>pay-prod-primary</DBSubnetGroupName></DBSubnetGroup>\
                 </DBSubnetGroups>";
    let answers = Answers::default()
        .to("DescribeDBSubnetGroups", query("DescribeDBSubnetGroups", least))
        .to("ListTagsForResource", query("ListTagsForResource", "<TagList/>"));
    assert_eq!(compared(&desired, &read::<DbSubnetGroup>(answers, "pay-prod-primary").await), NOTHING);
}

/// From cloud-custodian's recordings of rds.DescribeDBClusterParameterGroups and rds.DescribeDBClusterParameters
/// (`test_rdsclusterparamgroup_copy`, `_filter`, `_modify`): a parameter that was not set has a source and, often, no value.
#[tokio::test]
async fn a_parameter_group_as_recorded_reads_as_it_was_made() {
    let desired = DbClusterParameterGroup {
        name: "pay-prod-primary".to_owned(),
        family: "aurora-postgresql17".to_owned(),
        description: "pay-prod".to_owned(),
        parameters: BTreeMap::from([
            ("rds.force_ssl".to_owned(), "1".to_owned()),
            ("log_min_duration_statement".to_owned(), "500".to_owned()),
        ]),
    };
    let group = query(
        "DescribeDBClusterParameterGroups",
        "<DBClusterParameterGroups><DBClusterParameterGroup>\
         <DBClusterParameterGroupName>pay-prod-primary</DBClusterParameterGroupName>\
         <DBParameterGroupFamily>aurora-postgresql17</DBParameterGroupFamily><Description>pay-prod</Description>\
         <DBClusterParameterGroupArn>arn:aws:rds:us-east-1:123456789012:cluster-pg:pay-prod-primary</DBClusterParameterGroupArn>\
         </DBClusterParameterGroup></DBClusterParameterGroups>",
    );
    let parameter = |name: &str, value: &str, source: &str| {
        format!(
            "<Parameter><ParameterName>{name}</ParameterName>{value}<Description>d</Description><Source>{source}</Source>\
             <ApplyType>dynamic</ApplyType><DataType>list</DataType><IsModifiable>true</IsModifiable>\
             <ApplyMethod>pending-reboot</ApplyMethod><SupportedEngineModes><member>provisioned</member>\
             <member>of-tomorrow</member></SupportedEngineModes></Parameter>"
        )
    };
    let parameters = |inner: &str| query("DescribeDBClusterParameters", &format!("<Parameters>{inner}</Parameters>"));
    let given = parameter("log_min_duration_statement", "<ParameterValue>500</ParameterValue>", "user");
    let ssl = parameter("rds.force_ssl", "<ParameterValue>1</ParameterValue>", "system");
    // An endpoint may ignore the filter, as one did: only the requested parameters count.
    let others = parameter("tls_version", "", "engine-default")
        + &parameter("binlog_format", "<ParameterValue>OFF</ParameterValue>", "of-tomorrow");
    let answers = Answers::default()
        .to("DescribeDBClusterParameterGroups", group)
        .to("DescribeDBClusterParameters Source=user", parameters(&(others.clone() + &given)))
        .to("DescribeDBClusterParameters", parameters(&(others + &ssl)))
        .to("ListTagsForResource", query("ListTagsForResource", "<TagList/>"));
    let live = read::<DbClusterParameterGroup>(answers, "pay-prod-primary").await;
    assert_eq!((compared(&desired, &live), live.owner), (vec![], Owner::Untagged));
}

/// Family and description cannot be changed: read as empty, they would force a replacement.
#[tokio::test]
async fn what_an_answer_about_a_parameter_group_lacks_does_not_replace_it() {
    let desired = DbClusterParameterGroup {
        name: "pay-prod-primary".to_owned(),
        family: "aurora-postgresql17".to_owned(),
        description: "pay-prod".to_owned(),
        parameters: BTreeMap::new(),
    };
    let least = "<DBClusterParameterGroups><DBClusterParameterGroup>\
                 <DBClusterParameterGroupName>pay-prod-primary</DBClusterParameterGroupName>\
                 </DBClusterParameterGroup></DBClusterParameterGroups>";
    let answers = Answers::default()
        .to("DescribeDBClusterParameterGroups", query("DescribeDBClusterParameterGroups", least))
        .to("DescribeDBClusterParameters", query("DescribeDBClusterParameters", "<Parameters/>"))
        .to("ListTagsForResource", query("ListTagsForResource", "<TagList/>"));
    let live = read::<DbClusterParameterGroup>(answers, "pay-prod-primary").await;
    assert_eq!(compared(&desired, &live), NOTHING);
}

/// A group of another major version is a group of another name, so the plan replaces it, and the cluster leaves it.
#[test]
fn a_group_is_not_held_by_a_cluster_that_leaves_it() {
    let own = "arn:aws:rds:us-east-1:123456789012:cluster:pay-prod-primary";
    let answers = Answers::default()
        .to("DescribeDBClusters", clusters(CLUSTER))
        .to("DescribeDBInstances", query("DescribeDBInstances", "<DBInstances/>"));
    let (held, left) = with(answers, async |cx| {
        let live = Live {
            id: "pay-prod-primary".to_owned(),
            arn: None,
            phase: Phase::Ready,
            owner: Owner::Implied,
            properties: serde_json::Map::new(),
            outputs: BTreeMap::new(),
            goes_after: Vec::new(),
        };
        let weigh =
            async |also: &AlsoDeleted| DbClusterParameterGroup::weigh(&cx, &live, also).await.expect("an answer");
        let none = AlsoDeleted::default();
        let leaves = none.clone().leaving([(own.to_owned(), "pay-prod-primary".to_owned())]);
        (weigh(&none).await.hindrances, weigh(&leaves).await.hindrances)
    });
    let [held] = &held[..] else { panic!("{held:?}") };
    assert!(
        held.contains("uses the parameter group pay-prod-primary") && !held.contains("is not in the state"),
        "{held}"
    );
    assert_eq!(left, Vec::<String>::new());
}
