//! A cluster's place in its global database: which one it is in, whether it writes, and which other clusters are in it.

use aws_sdk_rds::types::{DbCluster as Described, GlobalCluster as Global, GlobalClusterMember};

/// A cluster's place in a global database. A switchover or a failover changes it, so it is read and never remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Membership {
    /// The global cluster's name; empty for a cluster that is not in one.
    pub global: String,
    /// Whether it is a copy of another member. A cluster that is not in a global database writes, too.
    pub is_secondary: bool,
    /// The ARNs of the other members.
    pub others: Vec<String>,
}

impl Membership {
    /// A cluster and its global cluster do not always agree
    /// (<https://github.com/terraform-aws-modules/terraform-aws-rds-aurora/issues/495>): it has left once both say so.
    /// See docs/aws-behaviour.md#membership-seen-late.
    pub(super) fn of(cluster: &Described, globals: &[Global]) -> Self {
        let listed = Self::listed(globals, |arn| Some(arn) == cluster.db_cluster_arn());
        let named = cluster.global_cluster_identifier().filter(|name| !name.is_empty());
        match (listed, named) {
            (Some(listed), _) => listed,
            // AWS sets it for secondary members: terraform-provider-aws, website/docs/r/rds_cluster.html.markdown.
            (None, named) => Self {
                global: named.unwrap_or_default().to_owned(),
                is_secondary: cluster.replication_source_identifier().is_some_and(|source| !source.is_empty()),
                others: Vec::new(),
            },
        }
    }

    /// The membership of the cluster that an instance serves.
    pub(super) fn of_cluster(name: &str, region: &str, globals: &[Global]) -> Self {
        Self::listed(globals, |arn| place(arn) == Some((region, name))).unwrap_or_default()
    }

    fn listed(globals: &[Global], is_it: impl Fn(&str) -> bool) -> Option<Self> {
        globals.iter().find_map(|global| {
            let members = global.global_cluster_members();
            let is_member = |member: &&GlobalClusterMember| member.db_cluster_arn().is_some_and(&is_it);
            let member = members.iter().find(is_member)?;
            let others = members.iter().filter(|member| !is_member(member));
            Some(Self {
                global: global.global_cluster_identifier().unwrap_or_default().to_owned(),
                is_secondary: member.is_writer() == Some(false),
                others: others.filter_map(|other| other.db_cluster_arn().map(str::to_owned)).collect(),
            })
        })
    }

    /// The members that have to leave before this one: the member that writes is the last to leave.
    /// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-detaching.html>.
    /// See docs/aws-behaviour.md#writer-leaves-last.
    pub(super) fn leave_before(&self) -> Vec<String> {
        if self.is_secondary { Vec::new() } else { self.others.clone() }
    }
}

/// The ARN of the member that writes, if there is one.
pub(super) fn writer(global: &Global) -> Option<&str> {
    let members = global.global_cluster_members();
    members.iter().find(|member| member.is_writer() == Some(true)).and_then(GlobalClusterMember::db_cluster_arn)
}

/// Region and name of the cluster with this ARN: `arn:aws:rds:REGION:ACCOUNT:cluster:NAME`.
pub(super) fn place(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.split(':').skip(3);
    let region = parts.next()?;
    Some((region, parts.nth(2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(writer: &str, reader: &str) -> Global {
        let member = |arn: &str, writes| GlobalClusterMember::builder().db_cluster_arn(arn).is_writer(writes).build();
        Global::builder()
            .global_cluster_identifier("g")
            .global_cluster_members(member(writer, true))
            .global_cluster_members(member(reader, false))
            .build()
    }

    fn cluster(arn: &str) -> Described {
        Described::builder().db_cluster_arn(arn).build()
    }

    #[test]
    fn a_cluster_is_a_member_until_both_sides_say_otherwise() {
        let globals = [global("arn:a", "arn:b")];
        let saying = |arn: &str| {
            let cluster = Described::builder().db_cluster_arn(arn).global_cluster_identifier("g");
            cluster.replication_source_identifier("arn:a").build()
        };
        let place = |membership: Membership| (membership.global, membership.is_secondary);
        assert_eq!(place(Membership::of(&cluster("arn:a"), &globals)), ("g".to_owned(), false));
        assert_eq!(place(Membership::of(&cluster("arn:b"), &globals)), ("g".to_owned(), true));
        assert_eq!(place(Membership::of(&saying("arn:b"), &[])), ("g".to_owned(), true));
        assert_eq!(place(Membership::of(&cluster("arn:b"), &[])), (String::new(), false));
    }

    #[test]
    fn the_member_that_writes_leaves_last() {
        let [a, b] = ["a", "b"].map(|name| format!("arn:aws:rds:us-east-1:111122223333:cluster:{name}"));
        for (writer, reader) in [(&a, &b), (&b, &a)] {
            let globals = [global(writer, reader)];
            assert_eq!(Membership::of(&cluster(writer), &globals).leave_before(), std::slice::from_ref(reader));
            assert_eq!(Membership::of(&cluster(reader), &globals).leave_before(), [""; 0]);
            let (region, name) = place(writer).expect("an ARN");
            assert_eq!(Membership::of_cluster(name, region, &globals).leave_before(), std::slice::from_ref(reader));
        }
        assert_eq!(writer(&global(&a, &b)), Some(a.as_str()));
    }

    #[test]
    fn the_arn_of_a_member_says_where_it_is() {
        let arn = "arn:aws:rds:us-east-2:111122223333:cluster:pay-prod";
        assert_eq!(place(arn), Some(("us-east-2", "pay-prod")));
        assert_eq!(place("arn:aws:rds:us-east-2"), None);
    }
}
