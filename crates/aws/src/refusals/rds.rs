//! Refusals of Amazon RDS.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // A second deletion, after a lost answer to the first one. See docs/aws-behaviour.md#deletion-ordered-already.
    ("rds", "DeleteDBInstance", "InvalidDBInstanceState", "already being deleted", Class::NotFound),
    ("rds", "DeleteDBCluster", "InvalidDBClusterStateFault", "already being deleted", Class::NotFound),
    // The writer's instance is not available, or the global cluster is not: "Source cluster is in a state which is not valid
    // for physical replication". See docs/aws-behaviour.md#writer-instance-before-secondary.
    //
    // Everything else in such states passes, too: a cluster that is creating, modifying or promoting, one that is still a
    // member ("remove it from globalcluster first"), a primary that still has secondary ones, a last instance ("Delete the
    // replica cluster before"), a global cluster that "is not empty". See docs/aws-behaviour.md#rds-statuses,
    // docs/aws-behaviour.md#member-leaves-before-deletion, docs/aws-behaviour.md#writer-leaves-last and
    // docs/aws-behaviour.md#global-cluster-not-empty-yet.
    ("rds", "", "InvalidDBClusterStateFault", "", Class::NotYet),
    ("rds", "", "InvalidGlobalClusterStateFault", "", Class::NotYet),
    ("rds", "", "InvalidDBInstanceState", "", Class::NotYet),
    ("rds", "", "InvalidResourceStateFault", "", Class::NotYet),
    // In use until the last instance has been deleted. See docs/aws-behaviour.md#group-in-use.
    ("rds", "", "InvalidDBSubnetGroupStateFault", "", Class::NotYet),
    ("rds", "", "InvalidDBParameterGroupState", "", Class::NotYet),
    // Protection that was lifted a moment ago: "please disable deletion protection and try again".
    // terraform-provider-aws, internal/service/rds/cluster.go. See docs/aws-behaviour.md#member-leaves-before-deletion.
    ("rds", "DeleteDBCluster", "InvalidParameterCombination", "deletion protection", Class::NotYet),
    ("rds", "DeleteGlobalCluster", "InvalidParameterCombination", "deletion protection", Class::NotYet),
    // terraform-provider-aws, internal/service/rds/global_cluster.go. See docs/aws-behaviour.md#member-gone-already.
    ("rds", "RemoveFromGlobalCluster", "InvalidParameterValue", "is not found in global cluster", Class::NotFound),
    // Created a moment ago, and not visible everywhere yet; above all, the global cluster in another Region.
    // See docs/aws-behaviour.md#membership-seen-late.
    ("rds", "CreateDBCluster", "GlobalClusterNotFoundFault", "", Class::Transient),
    ("rds", "CreateDBCluster", "DBSubnetGroupNotFoundFault", "", Class::Transient),
    ("rds", "CreateDBCluster", "DBClusterParameterGroupNotFound", "", Class::Transient),
    ("rds", "CreateDBCluster", "DBParameterGroupNotFound", "", Class::Transient),
    ("rds", "CreateDBInstance", "DBClusterNotFoundFault", "", Class::Transient),
    ("rds", "CreateDBSubnetGroup", "InvalidSubnet", "", Class::Transient),
    ("rds", "ModifyDBSubnetGroup", "InvalidSubnet", "", Class::Transient),
    ("rds", "ModifyDBCluster", "DBClusterParameterGroupNotFound", "", Class::Transient),
    ("rds", "ModifyDBCluster", "DBParameterGroupNotFound", "", Class::Transient),
    // See docs/aws-behaviour.md#key-not-accessible.
    ("rds", "", "KMSKeyNotAccessibleFault", "", Class::Transient),
    // Codes without the suffix by which others are recognised.
    ("rds", "", "DBInstanceNotFound", "", Class::NotFound),
    ("rds", "", "DBParameterGroupNotFound", "", Class::NotFound),
    ("rds", "", "DBClusterParameterGroupNotFound", "", Class::NotFound),
    ("rds", "", "DBClusterAlreadyExistsFault", "", Class::Exists),
    ("rds", "", "DBInstanceAlreadyExists", "", Class::Exists),
    ("rds", "", "GlobalClusterAlreadyExistsFault", "", Class::Exists),
    ("rds", "", "DBSubnetGroupAlreadyExists", "", Class::Exists),
    ("rds", "", "DBParameterGroupAlreadyExists", "", Class::Exists),
];
