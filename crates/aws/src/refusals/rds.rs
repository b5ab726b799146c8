//! Amazon RDS's.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // A second deletion of what is going, after a lost answer to the first one.
    ("rds", "DeleteDBInstance", "InvalidDBInstanceState", "already being deleted", Class::NotFound),
    ("rds", "DeleteDBCluster", "InvalidDBClusterStateFault", "already being deleted", Class::NotFound),
    // The writer's instance is not available, or the global cluster is not: "Source cluster is in a state which is not valid
    // for physical replication". aws-behaviour row 18.
    //
    // Everything else in such states passes, too: a cluster that is creating, modifying or promoting, one that is still a
    // member ("remove it from globalcluster first"), a primary that still has secondary ones, a last instance ("Delete the
    // replica cluster before"), a global cluster that "is not empty". aws-behaviour row 19.
    ("rds", "", "InvalidDBClusterStateFault", "", Class::NotYet),
    ("rds", "", "InvalidGlobalClusterStateFault", "", Class::NotYet),
    ("rds", "", "InvalidDBInstanceState", "", Class::NotYet),
    ("rds", "", "InvalidResourceStateFault", "", Class::NotYet),
    // In use until the last instance is gone. aws-behaviour row 34.
    ("rds", "", "InvalidDBSubnetGroupStateFault", "", Class::NotYet),
    ("rds", "", "InvalidDBParameterGroupState", "", Class::NotYet),
    // Protection that was taken off a moment ago: "please disable deletion protection and try again".
    // terraform-provider-aws, internal/service/rds/cluster.go.
    ("rds", "DeleteDBCluster", "InvalidParameterCombination", "deletion protection", Class::NotYet),
    ("rds", "DeleteGlobalCluster", "InvalidParameterCombination", "deletion protection", Class::NotYet),
    // terraform-provider-aws, internal/service/rds/global_cluster.go.
    ("rds", "RemoveFromGlobalCluster", "InvalidParameterValue", "is not found in global cluster", Class::NotFound),
    // Made a moment ago, and not visible everywhere yet; the global cluster in another Region, above all.
    ("rds", "CreateDBCluster", "GlobalClusterNotFoundFault", "", Class::Transient),
    ("rds", "CreateDBCluster", "DBSubnetGroupNotFoundFault", "", Class::Transient),
    ("rds", "CreateDBCluster", "DBClusterParameterGroupNotFound", "", Class::Transient),
    ("rds", "CreateDBCluster", "DBParameterGroupNotFound", "", Class::Transient),
    ("rds", "CreateDBInstance", "DBClusterNotFoundFault", "", Class::Transient),
    ("rds", "CreateDBSubnetGroup", "InvalidSubnet", "", Class::Transient),
    ("rds", "ModifyDBSubnetGroup", "InvalidSubnet", "", Class::Transient),
    ("rds", "ModifyDBCluster", "DBClusterParameterGroupNotFound", "", Class::Transient),
    ("rds", "ModifyDBCluster", "DBParameterGroupNotFound", "", Class::Transient),
    ("rds", "", "KMSKeyNotAccessibleFault", "", Class::Transient),
    // Codes without the ending by which others are recognised.
    ("rds", "", "DBInstanceNotFound", "", Class::NotFound),
    ("rds", "", "DBParameterGroupNotFound", "", Class::NotFound),
    ("rds", "", "DBClusterParameterGroupNotFound", "", Class::NotFound),
    ("rds", "", "DBClusterAlreadyExistsFault", "", Class::Exists),
    ("rds", "", "DBInstanceAlreadyExists", "", Class::Exists),
    ("rds", "", "GlobalClusterAlreadyExistsFault", "", Class::Exists),
    ("rds", "", "DBSubnetGroupAlreadyExists", "", Class::Exists),
    ("rds", "", "DBParameterGroupAlreadyExists", "", Class::Exists),
];
