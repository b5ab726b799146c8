//! How long AWS takes, and with which calls: the latency model, one row per type, where it matters one per role or name.
//!
//! A row gives a whole duration as the model does, shortest, typical and longest, and the steps that make it up: calls that are
//! answered, and what AWS does after the last answer until the next step may come. A step's seconds are typical ones; they
//! stretch with the whole.
//!
//! This is the only place that says how long anything takes: plans, the progress of a run and simulations all read it.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use drctl_engine::Expected;
use drctl_engine::state::{Address, Role};

/// Which of the durations on record are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// The typical one of each.
    Typical,
    /// The longest of each.
    Worst,
    /// Each drawn between its shortest and its longest, the typical one being the likeliest, as this seed decides.
    Seed(u64),
}

/// One step of making or deleting something.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The operation that is called.
    operation: &'static str,
    /// How often, one after the other.
    calls: u32,
    /// Seconds until each is answered.
    answer: f64,
    /// Seconds that AWS takes after that.
    rest: f64,
}

/// Making or deleting something: seconds in all, and the steps to it.
#[derive(Debug)]
struct Way {
    least: f64,
    typical: f64,
    most: f64,
    steps: &'static [Step],
}

/// Which resources of its type a row is about.
#[derive(Debug)]
enum Which {
    /// Those of one role.
    In(Role),
    /// Those whose names begin so.
    Named(&'static str),
    /// All that no row before this one is about.
    Any,
}

/// What is known of a type.
#[derive(Debug)]
pub struct Row {
    kind: &'static str,
    which: Which,
    /// The service, as its limits know it.
    pub service: &'static str,
    /// How many calls one look at it takes.
    pub looks: u32,
    create: Way,
    delete: Way,
}

/// A step as it lasts in one simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The operation that is called.
    pub operation: &'static str,
    /// How often, one after the other.
    pub calls: u32,
    /// How long each takes to be answered.
    pub answer: Duration,
    /// What AWS takes after that.
    pub rest: Duration,
}

impl Part {
    /// All calls together.
    #[must_use]
    pub fn calling(&self) -> Duration {
        self.answer * self.calls
    }

    /// From the first call to the end.
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.calling() + self.rest
    }
}

const fn step(operation: &'static str, calls: u32, answer: f64, rest: f64) -> Step {
    Step { operation, calls, answer, rest }
}

const fn way(seconds: [f64; 3], steps: &'static [Step]) -> Way {
    let [least, typical, most] = seconds;
    Way { least, typical, most, steps }
}

const fn row(kind: &'static str, service: &'static str, looks: u32, create: Way, delete: Way) -> Row {
    Row { kind, which: Which::Any, service, looks, create, delete }
}

/// Who is made with one call, and gone with another.
macro_rules! plain {
    ($kind:literal, $service:literal, $looks:literal, $make:literal $made:tt, $unmake:literal $gone:tt) => {{
        const CREATE: &[Step] = &[step($make, 1, $made[1], 0.0)];
        const DELETE: &[Step] = &[step($unmake, 1, $gone[1], 0.0)];
        row($kind, $service, $looks, way($made, CREATE), way($gone, DELETE))
    }};
}

/// Who takes more steps than that.
macro_rules! long {
    ($kind:literal, $service:literal, $looks:literal, $create:tt $($making:expr),+; $delete:tt $($unmaking:expr),*) => {{
        const CREATE: &[Step] = &[$($making),+];
        const DELETE: &[Step] = &[$($unmaking),*];
        row($kind, $service, $looks, way($create, CREATE), way($delete, DELETE))
    }};
}

const fn only(which: Which, row: Row) -> Row {
    Row { which, ..row }
}

/// "ENI reclaim": how long a function's interfaces hold what they are in, from when it has left its VPC.
const INTERFACES: Way = way([300.0, 1100.0, 2700.0], &[]);

/// The rows. Each names the model's row that its figures are from; what has none there is marked as estimated.
static ROWS: &[Row] = &[
    // "VPC (+DNS attrs)".
    long!("vpc", "ec2", 3, [3.0, 12.0, 40.0] step("CreateVpc", 1, 2.0, 4.0), step("ModifyVpcAttribute", 2, 3.0, 0.0);
        [1.0, 1.0, 10.0] step("DeleteVpc", 1, 1.0, 0.0)),
    // "IGW create+attach".
    long!("internet_gateway", "ec2", 1, [1.0, 1.0, 5.0] step("CreateInternetGateway", 1, 0.5, 0.0),
        step("AttachInternetGateway", 1, 0.5, 0.0); [1.0, 1.0, 18.0] step("DetachInternetGateway", 2, 0.5, 0.0)),
    // "subnet (11 s with MapPublicIp)": measured were 5 and 8. What interfaces add to the deletion comes on top.
    only(
        Which::Named("public-"),
        long!("subnet", "ec2", 1, [5.0, 8.0, 11.0] step("CreateSubnet", 1, 1.0, 1.0),
        step("ModifySubnetAttribute", 1, 6.0, 0.0); [1.0, 1.0, 5.0] step("DeleteSubnet", 1, 1.0, 0.0)),
    ),
    // "subnet".
    long!("subnet", "ec2", 1, [1.0, 2.0, 11.0] step("CreateSubnet", 1, 1.0, 1.0);
        [1.0, 1.0, 5.0] step("DeleteSubnet", 1, 1.0, 0.0)),
    // "EIP".
    plain!("eip", "ec2", 1, "AllocateAddress" [1.0, 1.0, 3.0], "ReleaseAddress" [1.0, 1.0, 5.0]),
    // "NAT gateway".
    long!("nat_gateway", "ec2", 1, [90.0, 105.0, 180.0] step("CreateNatGateway", 1, 1.0, 104.0);
        [40.0, 65.0, 100.0] step("DeleteNatGateway", 1, 1.0, 64.0)),
    // "route table / route / assoc".
    plain!("route_table", "ec2", 1, "CreateRouteTable" [1.0, 1.0, 5.0], "DeleteRouteTable" [1.0, 1.0, 3.0]),
    plain!("route", "ec2", 1, "CreateRoute" [1.0, 1.0, 5.0], "DeleteRoute" [1.0, 1.0, 3.0]),
    plain!("route_table_association", "ec2", 1, "AssociateRouteTable" [1.0, 1.0, 5.0],
        "DisassociateRouteTable" [1.0, 1.0, 3.0]),
    // "security group". What interfaces add to the deletion comes on top.
    long!("security_group", "ec2", 2, [2.0, 3.0, 6.0] step("CreateSecurityGroup", 1, 1.0, 0.0),
        step("AuthorizeSecurityGroupIngress", 2, 1.0, 0.0); [1.0, 1.0, 5.0] step("DeleteSecurityGroup", 1, 1.0, 0.0)),
    // "security group": emptied, as it is there with its VPC, and goes with it.
    long!("default_security_group", "ec2", 2, [2.0, 3.0, 6.0] step("RevokeSecurityGroupIngress", 1, 1.0, 0.0),
        step("RevokeSecurityGroupEgress", 2, 1.0, 0.0); [0.0, 0.0, 0.0]),
    // Estimated, as its type expects.
    long!("vpc_endpoint", "ec2", 1, [2.0, 5.0, 20.0] step("CreateVpcEndpoint", 1, 1.0, 4.0);
        [2.0, 10.0, 30.0] step("DeleteVpcEndpoints", 1, 1.0, 9.0)),
    // Estimated, as its type expects.
    plain!("flow_log", "ec2", 1, "CreateFlowLogs" [1.0, 2.0, 5.0], "DeleteFlowLogs" [1.0, 1.0, 3.0]),
    // "VPC peering request; accept (x-Region)", together.
    long!("vpc_peering", "ec2", 2, [5.0, 7.0, 40.0] step("CreateVpcPeeringConnection", 1, 2.0, 0.0),
        step("AcceptVpcPeeringConnection", 1, 1.0, 3.0), step("ModifyVpcPeeringConnectionOptions", 2, 0.5, 0.0);
        [1.0, 3.0, 30.0] step("DeleteVpcPeeringConnection", 1, 1.0, 2.0)),
    // "IAM role+policy". That it is not known everywhere at once is left out.
    long!("iam_role", "iam", 4, [1.0, 2.0, 5.0] step("CreateRole", 1, 1.0, 0.0), step("PutRolePolicy", 1, 1.0, 0.0);
        [1.0, 2.0, 10.0] step("DeleteRole", 2, 1.0, 0.0)),
    // "KMS key (+policy read-back)"; "schedule 1".
    long!("kms_key", "kms", 4, [1.0, 10.0, 60.0] step("CreateKey", 1, 8.0, 1.0), step("EnableKeyRotation", 1, 1.0, 0.0);
        [1.0, 1.0, 3.0] step("ScheduleKeyDeletion", 1, 1.0, 0.0)),
    // "KMS alias".
    plain!("kms_alias", "kms", 1, "CreateAlias" [1.0, 1.0, 5.0], "DeleteAlias" [1.0, 1.0, 3.0]),
    // "SNS topic/sub; log group; alarm; dashboard".
    long!("log_group", "logs", 2, [1.0, 1.0, 3.0] step("CreateLogGroup", 1, 0.5, 0.0),
        step("PutRetentionPolicy", 1, 0.5, 0.0); [1.0, 1.0, 3.0] step("DeleteLogGroup", 1, 1.0, 0.0)),
    plain!("sns_topic", "sns", 2, "CreateTopic" [1.0, 1.0, 3.0], "DeleteTopic" [1.0, 1.0, 3.0]),
    plain!("sns_subscription", "sns", 1, "Subscribe" [1.0, 1.0, 3.0], "Unsubscribe" [1.0, 1.0, 3.0]),
    plain!("alarm", "cloudwatch", 1, "PutMetricAlarm" [1.0, 1.0, 3.0], "DeleteAlarms" [1.0, 1.0, 3.0]),
    plain!("dashboard", "cloudwatch", 1, "PutDashboard" [1.0, 1.0, 3.0], "DeleteDashboards" [1.0, 1.0, 3.0]),
    // "Secret" and "replica InSync", together; "replica remove" and "force delete", together.
    long!("secret", "secretsmanager", 1, [3.0, 6.0, 61.0] step("CreateSecret", 1, 1.0, 5.0);
        [2.0, 10.0, 180.0] step("RemoveRegionsFromReplication", 1, 1.0, 4.0), step("DeleteSecret", 1, 1.0, 4.0)),
    // "DB subnet / param group".
    plain!("db_subnet_group", "rds", 2, "CreateDBSubnetGroup" [1.0, 2.0, 5.0], "DeleteDBSubnetGroup" [1.0, 2.0, 5.0]),
    long!("db_cluster_parameter_group", "rds", 3, [1.0, 2.0, 5.0] step("CreateDBClusterParameterGroup", 1, 1.0, 0.0),
        step("ModifyDBClusterParameterGroup", 1, 1.0, 0.0);
        [1.0, 2.0, 5.0] step("DeleteDBClusterParameterGroup", 1, 2.0, 0.0)),
    // "Aurora global cluster (empty)".
    long!("global_cluster", "rds", 1, [3.0, 8.0, 30.0] step("CreateGlobalCluster", 1, 2.0, 6.0);
        [5.0, 10.0, 300.0] step("DeleteGlobalCluster", 1, 2.0, 8.0)),
    // "Aurora secondary cluster"; "RemoveFromGlobal `promoting`, then 60", which at worst is as slow as any cluster.
    only(
        Which::In(Role::Secondary),
        long!("db_cluster", "rds", 2,
        [120.0, 400.0, 1800.0] step("CreateDBCluster", 1, 3.0, 397.0);
        [70.0, 180.0, 900.0] step("RemoveFromGlobalCluster", 1, 3.0, 117.0), step("DeleteDBCluster", 1, 2.0, 58.0)),
    ),
    // "Aurora cluster". The one that writes leaves its global cluster without being promoted.
    long!("db_cluster", "rds", 2, [30.0, 45.0, 120.0] step("CreateDBCluster", 1, 3.0, 42.0);
        [40.0, 63.0, 300.0] step("RemoveFromGlobalCluster", 1, 3.0, 2.0), step("DeleteDBCluster", 1, 2.0, 56.0)),
    // "Aurora secondary instance".
    only(
        Which::In(Role::Secondary),
        long!("db_instance", "rds", 1,
        [350.0, 600.0, 1200.0] step("CreateDBInstance", 1, 2.0, 598.0);
        [180.0, 400.0, 750.0] step("DeleteDBInstance", 1, 2.0, 398.0)),
    ),
    // "Aurora writer instance r6g.large".
    long!("db_instance", "rds", 1, [300.0, 400.0, 900.0] step("CreateDBInstance", 1, 2.0, 398.0);
        [180.0, 420.0, 750.0] step("DeleteDBInstance", 1, 2.0, 418.0)),
    // "DDB table (on-demand)", "DDB replica, empty table", and twice "DDB PITR / TTL / tags"; the deletion with the 10 to 35 s
    // in which the replica's Region still knows it.
    long!("dynamodb_table", "dynamodb", 5, [22.0, 48.0, 170.0] step("CreateTable", 1, 0.5, 9.5),
        step("UpdateTable", 1, 0.5, 27.5), step("UpdateContinuousBackups", 2, 3.0, 0.0),
        step("UpdateTimeToLive", 1, 1.0, 3.0); [110.0, 245.0, 885.0] step("UpdateTable", 1, 0.5, 229.5),
        step("DeleteTable", 1, 0.5, 14.5)),
    // "S3 bucket + config calls"; "empty".
    long!("s3_bucket", "s3", 8, [2.0, 5.0, 60.0] step("CreateBucket", 1, 1.5, 0.0),
        step("PutBucketVersioning", 7, 0.5, 0.0); [1.0, 2.0, 10.0] step("DeleteBucket", 1, 2.0, 0.0)),
    // "S3 replication config".
    plain!("s3_replication", "s3", 1, "PutBucketReplication" [1.0, 5.0, 120.0], "DeleteBucketReplication" [1.0, 1.0, 3.0]),
    // "Lambda fn (VPC, new SG+subnet combo)"; "Lambda config update (SG swap)", then "API".
    long!("lambda_function", "lambda", 1, [10.0, 45.0, 180.0] step("CreateFunction", 1, 2.0, 43.0);
        [6.0, 32.0, 130.0] step("UpdateFunctionConfiguration", 1, 1.0, 29.0), step("DeleteFunction", 1, 2.0, 0.0)),
    // Estimated, as its type expects.
    plain!("lambda_permission", "lambda", 1, "AddPermission" [1.0, 1.0, 3.0], "RemovePermission" [1.0, 1.0, 3.0]),
    // "APIGWv2 api+integ+routes+stage": a quarter each.
    plain!("api", "apigateway", 1, "CreateApi" [0.5, 1.0, 5.0], "DeleteApi" [1.0, 2.0, 30.0]),
    plain!("api_integration", "apigateway", 1, "CreateIntegration" [0.5, 1.0, 5.0], "DeleteIntegration" [1.0, 1.0, 3.0]),
    plain!("api_authorizer", "apigateway", 1, "CreateAuthorizer" [0.5, 1.0, 5.0], "DeleteAuthorizer" [1.0, 1.0, 3.0]),
    plain!("api_route", "apigateway", 1, "CreateRoute" [0.5, 1.0, 5.0], "DeleteRoute" [1.0, 1.0, 3.0]),
    plain!("api_stage", "apigateway", 1, "CreateStage" [0.5, 1.0, 5.0], "DeleteStage" [1.0, 1.0, 3.0]),
    // "APIGWv2 domain (Regional)".
    plain!("api_domain", "apigateway", 1, "CreateDomainName" [2.0, 10.0, 90.0], "DeleteDomainName" [1.0, 3.0, 60.0]),
    plain!("api_mapping", "apigateway", 1, "CreateApiMapping" [0.5, 1.0, 5.0], "DeleteApiMapping" [1.0, 1.0, 3.0]),
    // "ACM cert DNS-validated": from when the record is there that validates it.
    long!("certificate", "acm", 2, [30.0, 120.0, 1800.0] step("RequestCertificate", 1, 1.0, 119.0);
        [1.0, 2.0, 60.0] step("DeleteCertificate", 1, 2.0, 0.0)),
    // "R53 zone", accelerated recovery included.
    long!("hosted_zone", "route53", 2, [30.0, 45.0, 60.0] step("CreateHostedZone", 1, 2.0, 0.0),
        step("UpdateHostedZoneFeatures", 1, 1.0, 42.0); [30.0, 40.0, 60.0]
        step("UpdateHostedZoneFeatures", 1, 1.0, 38.0), step("DeleteHostedZone", 1, 1.0, 0.0)),
    // "R53 health check create".
    plain!("health_check", "route53", 2, "CreateHealthCheck" [1.0, 1.0, 3.0], "DeleteHealthCheck" [1.0, 1.0, 3.0]),
    // "record INSYNC": nothing waits for that, only for the answer.
    plain!("record", "route53", 1, "ChangeResourceRecordSets" [1.0, 1.0, 3.0],
        "ChangeResourceRecordSets" [1.0, 1.0, 3.0]),
];

/// Seconds that a change in place typically takes, where AWS goes on with it after the call is answered. Estimated from the
/// steps that the change shares with the type's creation; an instance class is changed with a restart in the maintenance of one
/// instance, which takes about as long as a new instance.
const UPDATES: &[(&str, f64)] = &[
    ("api_domain", 10.0),
    ("db_cluster", 60.0),
    ("db_instance", 400.0),
    ("dynamodb_table", 28.0),
    ("global_cluster", 60.0),
    ("hosted_zone", 42.0),
    ("lambda_function", 30.0),
    ("s3_replication", 5.0),
    ("secret", 6.0),
    ("subnet", 6.0),
    ("vpc", 6.0),
    ("vpc_endpoint", 5.0),
];

/// Seconds that any other change in place takes: about one call.
const UPDATE: f64 = 1.0;

/// What is known of a resource's type.
#[must_use]
pub fn row_of(address: &Address) -> Option<&'static Row> {
    ROWS.iter().filter(|row| row.kind == address.kind()).find(|row| match row.which {
        Which::In(role) => role == address.role(),
        Which::Named(beginning) => address.name().starts_with(beginning),
        Which::Any => true,
    })
}

/// How long a resource typically takes; `None` for a type without a row.
#[must_use]
pub fn expected(address: &Address) -> Option<Expected> {
    let row = row_of(address)?;
    let update = UPDATES.iter().find(|(kind, _)| *kind == row.kind).map_or(UPDATE, |(_, seconds)| *seconds);
    Some(Expected { create: seconds(row.create.typical), update: seconds(update), delete: seconds(row.delete.typical) })
}

impl Row {
    /// The steps of its making, as they last.
    #[must_use]
    pub fn create(&self, address: &Address, draw: Draw) -> Vec<Part> {
        self.create.parts(draw, address, "create")
    }

    /// The steps of its deletion, as they last; none for what nobody deletes.
    #[must_use]
    pub fn delete(&self, address: &Address, draw: Draw) -> Vec<Part> {
        self.delete.parts(draw, address, "delete")
    }
}

/// How long a function's interfaces hold what they are in, from when it has left its VPC.
#[must_use]
pub fn interfaces(function: &Address, draw: Draw) -> Duration {
    seconds(INTERFACES.drawn(draw, function, "interfaces"))
}

impl Way {
    fn drawn(&self, draw: Draw, address: &Address, what: &str) -> f64 {
        match draw {
            Draw::Typical => self.typical,
            Draw::Worst => self.most,
            Draw::Seed(seed) => triangular([self.least, self.typical, self.most], chance(seed, address, what)),
        }
    }

    fn parts(&self, draw: Draw, address: &Address, what: &str) -> Vec<Part> {
        let stretch = if self.typical > 0.0 { self.drawn(draw, address, what) / self.typical } else { 0.0 };
        let part = |step: &Step| Part {
            operation: step.operation,
            calls: step.calls,
            answer: seconds(step.answer * stretch),
            rest: seconds(step.rest * stretch),
        };
        self.steps.iter().map(part).collect()
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// From 0 to 1, below 1: the same for the same resource and seed, whatever else there is.
fn chance(seed: u64, address: &Address, what: &str) -> f64 {
    let digest = Sha256::digest(format!("{seed} {address} {what}").as_bytes());
    let drawn = digest.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    f64::from(drawn) / (f64::from(u32::MAX) + 1.0)
}

/// The value below which a triangular distribution has this share.
fn triangular([least, typical, most]: [f64; 3], share: f64) -> f64 {
    let range = most - least;
    if range <= 0.0 {
        return typical;
    }
    let below = typical - least;
    if share * range < below {
        least + (share * range * below).sqrt()
    } else {
        most - ((1.0 - share) * range * (most - typical)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::kinds;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn every_type_has_a_row_in_every_role() {
        for kind in kinds() {
            for role in [Role::Primary, Role::Secondary, Role::Global] {
                assert!(row_of(&Address::new(role, kind, "main")).is_some(), "{role}/{kind}");
            }
        }
        assert!(ROWS.iter().all(|row| kinds().contains(&row.kind)), "a row of no type");
        assert!(UPDATES.iter().all(|(kind, _)| kinds().contains(kind)), "an update of no type");
    }

    #[test]
    fn steps_add_up_to_the_whole_and_the_typical_lies_between() {
        for row in ROWS {
            for way in [&row.create, &row.delete] {
                let sum: f64 = way.steps.iter().map(|step| f64::from(step.calls) * step.answer + step.rest).sum();
                assert!(close(sum, way.typical), "{}: {sum} of {}", row.kind, way.typical);
                assert!(way.least <= way.typical && way.typical <= way.most, "{}", row.kind);
            }
        }
    }

    #[test]
    fn the_roles_that_aurora_tells_apart_are_told_apart() {
        let whole = |at: &str, made: bool| {
            let address: Address = at.parse().expect("an address");
            let row = row_of(&address).expect("a row");
            let parts = if made { row.create(&address, Draw::Typical) } else { row.delete(&address, Draw::Typical) };
            parts.iter().map(Part::whole).sum::<Duration>().as_secs()
        };
        assert_eq!((whole("primary/db_cluster/main", true), whole("secondary/db_cluster/main", true)), (45, 400));
        assert_eq!((whole("primary/db_instance/main", true), whole("secondary/db_instance/main", true)), (400, 600));
        // Row 19: promoting, then deleted.
        assert_eq!((whole("primary/db_cluster/main", false), whole("secondary/db_cluster/main", false)), (63, 180));
        let expected = |at: &str| expected(&at.parse().expect("an address")).expect("a row");
        assert_eq!(expected("secondary/db_cluster/main").create.as_secs(), 400);
        assert_eq!(expected("primary/db_instance/main").delete.as_secs(), 420);
        assert_eq!(expected("primary/alarm/api-errors").update.as_secs(), 1);
        assert_eq!((whole("primary/subnet/public-a", true), whole("primary/subnet/private-a", true)), (8, 2));
    }

    #[test]
    fn what_is_drawn_lies_between_the_bounds_and_only_the_seed_decides() {
        let address = Address::new(Role::Primary, "nat_gateway", "a");
        let draw = |seed| INTERFACES.drawn(Draw::Seed(seed), &address, "x");
        let drawn: Vec<f64> = (0..200).map(draw).collect();
        assert!(drawn.iter().all(|seconds| (300.0..=2700.0).contains(seconds)), "{drawn:?}");
        assert!(drawn.iter().any(|seconds| *seconds < 1100.0) && drawn.iter().any(|seconds| *seconds > 1100.0));
        assert!(close(draw(7), draw(7)) && !close(draw(7), draw(8)));
    }

    #[test]
    fn the_triangle_has_its_corners_and_its_top() {
        let bounds = [10.0, 20.0, 50.0];
        assert!(close(triangular(bounds, 0.0), 10.0) && close(triangular(bounds, 1.0), 50.0));
        assert!(close(triangular(bounds, 0.25), 20.0), "a quarter of the width lies below the top");
        assert!(close(triangular([3.0, 3.0, 3.0], 0.5), 3.0));
    }
}
