//! Resources that others have put into the stack's network keep it from being deleted. They are named at once, and when
//! they are gone, `down` continues.

use std::time::{Duration, Instant};

use aws_sdk_ec2::types::{Filter, GatewayType, VpcEndpointType};

use drctl_testkit::harness::Stack;
use drctl_testkit::survey::survey;

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];

/// Far less than the 75 minutes that drctl waits for what AWS itself leaves behind, however slow this machine is.
const AT_ONCE: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn foreign_resources_in_the_network_are_named_instead_of_being_waited_for() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let ec2 = aws_sdk_ec2::Client::new(&stack.sdk("us-east-1").await);
    let subnet_of = |node: &'static str| {
        let filter = Filter::builder().name("tag:drctl:node").values(node).build();
        let call = ec2.describe_subnets().filters(filter).send();
        async move { call.await.expect("subnets").subnets()[0].clone() }
    };
    let (a, b) = (subnet_of("primary/subnet/private-a").await, subnet_of("primary/subnet/public-b").await);
    let (vpc, subnet) = (a.vpc_id().expect("an id"), a.subnet_id().expect("an id"));
    let group = ec2.create_security_group().group_name("GuardDutyManagedSecurityGroup").description("x").vpc_id(vpc);
    let group = group.send().await.expect("a group").group_id.expect("an id");
    let endpoint = ec2
        .create_vpc_endpoint()
        .vpc_id(vpc)
        .service_name("com.amazonaws.us-east-1.guardduty-data")
        .vpc_endpoint_type(VpcEndpointType::Interface)
        .subnet_ids(subnet)
        .security_group_ids(&group);
    let endpoint =
        endpoint.send().await.expect("an endpoint").vpc_endpoint.expect("one").vpc_endpoint_id.expect("an id");
    let instance =
        ec2.run_instances().image_id("ami-1").min_count(1).max_count(1).subnet_id(b.subnet_id().expect("an id"));
    let instance = instance.send().await.expect("an instance").instances()[0].instance_id().expect("an id").to_owned();

    let began = Instant::now();
    let ran = stack.run(&["down", "--yes"]).exits(1);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    let ran = ran.says(&format!("{subnet} holds the interface of endpoint {endpoint}"));
    ran.says(&format!("of instance {instance}")).says("which is not drctl's").says("then run the same command again");

    ec2.delete_vpc_endpoints().vpc_endpoint_ids(&endpoint).send().await.expect("deleted");
    ec2.terminate_instances().instance_ids(&instance).send().await.expect("terminated");
    let acl = ec2.create_network_acl().vpc_id(vpc).send().await.expect("an ACL").network_acl.expect("one");
    let acl = acl.network_acl_id.expect("an id");
    let private = ec2.create_vpn_gateway().r#type(GatewayType::Ipsec1).send().await.expect("a gateway");
    let private = private.vpn_gateway.expect("one").vpn_gateway_id.expect("an id");
    ec2.attach_vpn_gateway().vpn_gateway_id(&private).vpc_id(vpc).send().await.expect("attached");
    let egress = ec2.create_egress_only_internet_gateway().vpc_id(vpc).send().await.expect("a gateway");
    let egress = egress.egress_only_internet_gateway.expect("one").egress_only_internet_gateway_id.expect("an id");
    let began = Instant::now();
    let ran = stack.run(&["down", "--yes"]).exits(1);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    ran.says(&format!("{vpc} holds the security group {group} (GuardDutyManagedSecurityGroup), which is not drctl's"))
        .says(&format!("{vpc} holds the network ACL {acl}, which is not drctl's"))
        .says(&format!("{vpc} is attached to the virtual private gateway {private}"))
        .says(&format!("{vpc} is attached to the egress-only internet gateway {egress}"));

    ec2.delete_network_acl().network_acl_id(&acl).send().await.expect("deleted");
    ec2.detach_vpn_gateway().vpn_gateway_id(&private).vpc_id(vpc).send().await.expect("detached");
    ec2.delete_vpn_gateway().vpn_gateway_id(&private).send().await.expect("deleted");
    let egress = ec2.delete_egress_only_internet_gateway().egress_only_internet_gateway_id(&egress);
    egress.send().await.expect("deleted");
    ec2.delete_security_group().group_id(&group).send().await.expect("deleted");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    let left = survey(&stack, REGIONS).await;
    assert!(left.is_empty(), "{left:#?}");
}
