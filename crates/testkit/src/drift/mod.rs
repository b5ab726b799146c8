//! Changes by hand, behind drctl's back: one for every property that can be changed in place.

mod services;

use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, IpPermission, IpRange, Tag};

use crate::harness::Stack;

/// The address of the changed resource, and the property whose difference the plan has to show.
pub type Drift = (&'static str, &'static str);

struct Hands {
    ec2: aws_sdk_ec2::Client,
}

impl Hands {
    async fn find(&self, node: &str) -> String {
        let by_node = || Filter::builder().name("key").values("drctl:node").build();
        let tags = self.ec2.describe_tags().filters(by_node()).send().await.expect("tags");
        let found = tags.tags().iter().find(|tag| tag.value() == Some(node) && tag.resource_id().is_some());
        found.and_then(|tag| tag.resource_id()).unwrap_or_else(|| panic!("nothing is tagged {node}")).to_owned()
    }

    async fn table(&self, node: &str) -> aws_sdk_ec2::types::RouteTable {
        let by_node = Filter::builder().name("tag:drctl:node").values(node).build();
        let tables = self.ec2.describe_route_tables().filters(by_node).send().await.expect("tables");
        tables.route_tables().first().unwrap_or_else(|| panic!("no table {node}")).clone()
    }
}

/// Changes something of every kind. Returns what was changed.
pub async fn all(stack: &Stack, region: &str) -> Vec<Drift> {
    let config = stack.sdk(region).await;
    let hands = Hands { ec2: aws_sdk_ec2::Client::new(&stack.sdk_of("ec2", region).await) };
    let mut drifts = network(&hands).await;
    drifts.extend(rules_and_routes(&hands).await);
    drifts.extend(keys_logs_roles(&config).await);
    drifts.extend(services::services(stack, region).await);
    drifts
}

async fn network(hands: &Hands) -> Vec<Drift> {
    let ec2 = &hands.ec2;
    let off = || AttributeBooleanValue::builder().value(false).build();
    let vpc = hands.find("primary/vpc/main").await;
    ec2.modify_vpc_attribute().vpc_id(&vpc).enable_dns_hostnames(off()).send().await.expect("hostnames off");
    ec2.modify_vpc_attribute().vpc_id(&vpc).enable_dns_support(off()).send().await.expect("support off");
    let subnet = hands.find("primary/subnet/public-a").await;
    ec2.modify_subnet_attribute()
        .subnet_id(&subnet)
        .map_public_ip_on_launch(off())
        .send()
        .await
        .expect("no public IPs");
    let private = hands.find("primary/subnet/private-b").await;
    let key = |key: &str| Tag::builder().key(key).build();
    ec2.delete_tags()
        .resources(&private)
        .tags(key("drctl:environment"))
        .tags(key("drctl:stack"))
        .send()
        .await
        .expect("untagged");
    let named = Tag::builder().key("Name").value("somebody renamed it").build();
    let nat = hands.find("primary/nat_gateway/b").await;
    ec2.create_tags().resources(&nat).tags(named).send().await.expect("renamed");
    let endpoint = hands.find("primary/vpc_endpoint/s3").await;
    let table = hands.find("primary/route_table/private-c").await;
    ec2.modify_vpc_endpoint()
        .vpc_endpoint_id(&endpoint)
        .remove_route_table_ids(&table)
        .send()
        .await
        .expect("a table less");
    let everything =
        r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;
    let to_table = hands.find("primary/vpc_endpoint/dynamodb").await;
    let call = ec2.modify_vpc_endpoint().vpc_endpoint_id(&to_table).policy_document(everything);
    call.send().await.expect("everybody's tables");
    vec![
        ("primary/vpc/main", "dns_hostnames"),
        ("primary/vpc/main", "dns_support"),
        ("primary/subnet/public-a", "map_public_ip"),
        ("primary/subnet/private-b", "tags.drctl:environment"),
        ("primary/nat_gateway/b", "tags.Name"),
        ("primary/vpc_endpoint/s3", "route_tables"),
        ("primary/vpc_endpoint/dynamodb", "policy"),
    ]
}

async fn rules_and_routes(hands: &Hands) -> Vec<Drift> {
    let ec2 = &hands.ec2;
    let world = IpRange::builder().cidr_ip("0.0.0.0/0").build();
    let open = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).ip_ranges(world).build();
    let database = hands.find("primary/security_group/database").await;
    ec2.authorize_security_group_ingress()
        .group_id(&database)
        .ip_permissions(open.clone())
        .send()
        .await
        .expect("opened");
    let lambda = hands.find("primary/security_group/lambda").await;
    ec2.authorize_security_group_egress().group_id(&lambda).ip_permissions(open.clone()).send().await.expect("opened");
    let vpc = hands.find("primary/vpc/main").await;
    let of_vpc = Filter::builder().name("vpc-id").values(&vpc).build();
    let default = Filter::builder().name("group-name").values("default").build();
    let groups = ec2.describe_security_groups().filters(of_vpc).filters(default).send().await.expect("groups");
    let default = groups.security_groups().first().and_then(|group| group.group_id()).expect("a default group");
    ec2.authorize_security_group_ingress().group_id(default).ip_permissions(open).send().await.expect("opened");

    let table = hands.table("primary/route_table/private-a").await;
    let other_nat = hands.find("primary/nat_gateway/c").await;
    let id = table.route_table_id().expect("an id");
    let call = ec2.replace_route().route_table_id(id).destination_cidr_block("0.0.0.0/0").nat_gateway_id(other_nat);
    call.send().await.expect("another way out");
    let association = table.associations().iter().find_map(|a| a.subnet_id().and(a.route_table_association_id()));
    let public = hands.find("primary/route_table/public").await;
    let call = ec2.replace_route_table_association().association_id(association.expect("one")).route_table_id(public);
    call.send().await.expect("another table");
    vec![
        ("primary/security_group/database", "ingress"),
        ("primary/security_group/lambda", "egress"),
        ("primary/default_security_group/main", "ingress"),
        ("primary/route/private-a-nat", "target"),
        ("primary/route_table_association/private-a", "route_table"),
    ]
}

async fn keys_logs_roles(config: &aws_config::SdkConfig) -> Vec<Drift> {
    let kms = aws_sdk_kms::Client::new(config);
    let alias = "alias/payment-dr-dev";
    let key = kms.describe_key().key_id(alias).send().await.expect("the key");
    let key = key.key_metadata().expect("metadata").key_id().to_owned();
    kms.disable_key_rotation().key_id(&key).send().await.expect("no rotation");
    kms.update_key_description().key_id(&key).description("ours now").send().await.expect("described");
    let policy = kms.get_key_policy().key_id(&key).policy_name("default").send().await.expect("a policy");
    let widened = policy.policy().expect("text").replace("\"kms:Decrypt\"", "\"kms:Decrypt\",\"kms:Encrypt\"");
    kms.put_key_policy().key_id(&key).policy_name("default").policy(widened).send().await.expect("widened");

    let logs = aws_sdk_cloudwatchlogs::Client::new(config);
    let group = "/aws/vpc/payment-dr-dev-flow";
    logs.put_retention_policy().log_group_name(group).retention_in_days(1).send().await.expect("a day");

    let iam = aws_sdk_iam::Client::new(config);
    let role = "payment-dr-dev-flow-logs";
    let wide = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*"}]}"#;
    let call = iam.put_role_policy().role_name(role).policy_name("write-flow-logs").policy_document(wide);
    call.send().await.expect("widened");
    iam.update_role().role_name(role).description("ours now").send().await.expect("described");
    let anyone = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    iam.update_assume_role_policy().role_name(role).policy_document(anyone).send().await.expect("trusted");
    let bounded = iam.put_role_permissions_boundary().role_name(role);
    bounded.permissions_boundary("arn:aws:iam::aws:policy/PowerUserAccess").send().await.expect("bounded");
    vec![
        ("primary/kms_key/main", "rotation"),
        ("primary/kms_key/main", "description"),
        ("primary/kms_key/main", "policy"),
        ("primary/log_group/flow", "retention_days"),
        ("global/iam_role/flow-logs", "policies"),
        ("global/iam_role/flow-logs", "description"),
        ("global/iam_role/flow-logs", "assume_role_policy"),
        ("global/iam_role/flow-logs", "permissions_boundary"),
    ]
}
