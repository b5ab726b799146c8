//! What MiniStack 1.5.33 leaves out, and the rules that fill it in.
//!
//! A rule can go as soon as MiniStack no longer does what stands next to it: look at the named functions, which are in
//! its package `ministack`, before a new version of it is installed. Without these rules, drctl could neither show nor
//! repair drift in those properties, and could delete in any order.
//!
//! | rule | needed because in MiniStack 1.5.33 |
//! |---|---|
//! | `selection` | `services/ec2.py`: `_describe_addresses` and `_describe_vpc_endpoints` apply no filters, and other lists only some; an id that does not exist gives an empty list instead of a refusal |
//! | `flow_logs` | `services/ec2.py`: `_create_flow_logs` reads the tags of a `flow-log`, and keeps no role, log group, interval, or format |
//! | `addresses` | `services/ec2.py`: `_describe_nat_gateways` shows no addresses and `_describe_addresses` no gateways; `_release_address` and `_detach_internet_gateway` do not check whether an address is in use |
//! | `endpoint_policies` | `services/ec2.py`: `_create_vpc_endpoint` drops the policy, and `_vpce_fields_xml` never shows one |
//! | `peering_options` | `services/ec2.py` has no `ModifyVpcPeeringConnectionOptions` |
//! | `routes` | `services/ec2.py`: `_create_route` and `_associate_route_table` add a second one next to the first; `_replace_route` turns a target that is not a gateway, a NAT gateway, or an instance into `local` |
//! | `dependents` | `services/ec2.py`: `_delete_subnet`, `_delete_route_table`, `_delete_internet_gateway`, and `_delete_security_group` check no dependents, and `_delete_vpc` checks neither route tables, endpoints, nor peering connections |
//! | `vpc_dependents` | `services/ec2.py`: `_delete_vpc` checks neither network ACLs, virtual private gateways, nor egress-only internet gateways |
//! | `interfaces` | `services/ec2.py`: `_describe_network_interfaces` does not list those of instances and applies no filters; subnets and groups are deleted while an interface is in them |
//! | `serialised_changes` | (nothing in MiniStack: the rules after it read before they act, and need it) |
//! | `keys` | keys that are disabled or pending deletion are changed and used; see there, by name |
//! | `log_keys` | `services/cloudwatch_logs.py` has neither `AssociateKmsKey` nor `DisassociateKmsKey` |
//! | `apigateway_tags` | `services/apigateway.py`: `_tag_resource` changes the tags of `GetTags`, while `_get_apis` and the other reads go on showing those of the creation |
//! | `authorizers` | `services/apigateway.py`: `_delete_authorizer` does not look at routes, and `_create_route` does not look at authorizers |
//! | `execute_api` | `app.py` takes an unsigned request to an API's host name for one in the default account, and any `Authorization` header for a signature of the API's owner; see there |
//! | `acm` | `services/acm.py`: `_request_certificate` ignores the key algorithm and the token, and `_cert_shape` always says `RSA_2048` |
//! | `rds` | `services/rds.py`: `_create_db_cluster_impl` keeps no log exports, `_sync_cluster_endpoints` renames endpoints, an instance's key of Performance Insights is empty, and `_modify_db_instance` ignores its promotion tier, Performance Insights, and minor upgrades |
//! | `aurora` | `services/rds.py` accepts what AWS refuses of global databases, parameters, versions, and snapshots; see there, by name |
//! | `default_groups` | `services/rds.py`: `_modify_global_cluster_impl` leaves the clusters of a major upgrade in their parameter groups |
//! | `preflight_classes` | `services/rds.py`: `_describe_orderable_options` has the same ten classes for every engine, in two zones |
//! | `preflight_upgrades` | `services/rds.py`: `_describe_engine_versions` answers an empty `ValidUpgradeTarget` |
//! | `dynamodb_tables` | `services/dynamodb.py`: `_create_replica` copies the source's key, `_update_continuous_backups` drops the recovery period, and `_delete_table` deletes a source before its replicas |
//! | `secret_keys` | `services/secretsmanager.py`: `_list_secrets` shows no `KmsKeyId` |
//! | `secret_replicas` | `services/secretsmanager.py`: `_create_secret` ignores replica Regions, and only says of a name scheduled for deletion that it exists; there is no `RemoveRegionsFromReplication`; `_delete_secret` does not look at replicas |
//! | `route53` | `services/route53.py`: `_build_health_check_el` writes booleans as `True`, `_parse_health_check_config` looks for children one element too deep, and there is no `ListTagsForResources` |
//! | `health_check_status` | `services/route53.py` has no health checkers: neither `GetHealthCheckStatus` and `GetHealthCheckLastFailureReason`, nor their metrics |
//! | `dns_answer` | `services/route53.py` answers no names, and has no `TestDNSAnswer` |
//! | `cloudwatch`, `cloudwatch_cbor` | `services/cloudwatch.py` reads CBOR with the package cbor2, which MiniStack does not require |
//! | `cloudwatch_math` | `services/cloudwatch.py`: `_put_metric_alarm` drops `Metrics` |

mod acm;
mod addresses;
mod apigateway_tags;
mod aurora;
mod authorizers;
mod cloudwatch;
mod cloudwatch_cbor;
mod cloudwatch_math;
mod default_groups;
mod dependents;
mod dns_answer;
mod dynamodb_tables;
mod endpoint_policies;
mod execute_api;
mod flow_logs;
mod health_check_status;
mod interfaces;
mod keys;
mod log_keys;
mod peering_options;
mod preflight_classes;
mod preflight_upgrades;
mod rds;
mod route53;
mod routes;
mod secret_keys;
mod secret_replicas;
mod selection;
mod serialised_changes;
mod vpc_dependents;

use std::sync::Arc;

use crate::rules::rule::Rule;
use crate::world::World;
pub(super) use execute_api::Owners;

/// The rules that add to answers. The selection comes first, since it selects by what the others have filled in.
/// `owners`: whose the APIs are. `scale`: how many times faster than AWS time passes; `None` if nothing takes time.
pub(super) fn of_answers(world: &World, owners: &Arc<Owners>, scale: Option<f64>) -> Vec<Box<dyn Rule>> {
    let mut rules: Vec<Box<dyn Rule>> = vec![
        Box::new(selection::Selection),
        Box::new(flow_logs::FlowLogs::default()),
        Box::new(addresses::Addresses::default()),
        Box::new(endpoint_policies::EndpointPolicies::default()),
        Box::new(peering_options::PeeringOptions::default()),
        Box::new(log_keys::LogKeys::default()),
        Box::new(execute_api::ExecuteApi::new(Arc::clone(owners))),
        Box::new(rds::Rds::default()),
        Box::new(default_groups::DefaultGroups),
        Box::new(preflight_classes::PreflightClasses),
        Box::new(preflight_upgrades::PreflightUpgrades),
        Box::new(dynamodb_tables::DynamoDbTables::default()),
        Box::new(secret_keys::SecretKeys),
        Box::new(secret_replicas::SecretReplicas::default()),
        Box::new(health_check_status::HealthCheckStatus::new(world)),
        Box::new(dns_answer::DnsAnswer::new(world)),
        Box::new(route53::Route53),
        // After this rule, CloudWatch's calls are in JSON.
        Box::new(cloudwatch::CborToJson),
        Box::new(cloudwatch_math::AlarmMetrics::default()),
    ];
    rules.extend(aurora::rules());
    // After those, since a final snapshot needs its key, too.
    rules.extend(keys::rules(scale));
    rules
}

/// The rules that guard what the emulator keeps. The serialised changes come first: what the other rules have read must
/// still hold when they act on it.
pub(super) fn of_resources() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(serialised_changes::SerialisedChanges::default()),
        Box::new(routes::Routes),
        Box::new(dependents::DEPENDENTS),
        Box::new(vpc_dependents::VPC_DEPENDENTS),
        Box::new(authorizers::AUTHORIZERS),
        Box::new(interfaces::Interfaces),
        Box::new(apigateway_tags::ApiGatewayTags),
        Box::new(acm::Acm::default()),
    ]
}

#[cfg(test)]
mod tests {
    use crate::install::MINISTACK_VERSION;

    /// A new version of the emulator fails this test: check which rules are still needed, and say so in the table.
    #[test]
    fn the_table_has_every_rule_and_the_version_that_is_installed() {
        let source = include_str!("mod.rs");
        for heading in ["//! What MiniStack ", "//! | rule | needed because in MiniStack "] {
            let line = source.lines().find(|line| line.starts_with(heading)).unwrap_or_default();
            assert!(line.contains(MINISTACK_VERSION), "{line}");
        }
        let rules = source.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        for rule in rules {
            let row = |line: &str| line.starts_with("//! | `") && line.contains(&format!("`{rule}`"));
            assert!(source.lines().any(row), "{rule}");
        }
    }
}
