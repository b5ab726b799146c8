//! The databases of the sandbox, for `drctl sandbox status`.

use std::fmt::Write as _;

use drctl_sandbox::{AuroraCluster, AuroraStatus};

/// A line for each cluster.
pub fn text(status: &AuroraStatus) -> String {
    let served =
        status.postgres.as_ref().map_or_else(String::new, |version| format!(", served by PostgreSQL {version}"));
    let mut text = format!("Aurora{served}:");
    for cluster in &status.clusters {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {}  {}  {}", cluster.region, cluster.cluster, described(cluster));
    }
    text
}

fn described(cluster: &AuroraCluster) -> String {
    if let Some(why) = &cluster.failure {
        return format!("failed: {why}");
    }
    let mut parts = vec![cluster.role.clone()];
    match cluster.port {
        Some(port) => parts.push(format!("at 127.0.0.1:{port}")),
        None => parts.push(cluster.state.clone()),
    }
    if let Some(lsn) = &cluster.lsn {
        parts.push(format!("LSN {lsn}"));
    }
    match (cluster.lag_bytes, cluster.age) {
        (Some(bytes @ 1..), Some(age)) => parts.push(format!("{bytes} bytes and {age:.1} s behind")),
        (Some(bytes @ 1..), None) => parts.push(format!("{bytes} bytes behind")),
        _ => {}
    }
    if cluster.lsn.is_some() && !cluster.connected {
        parts.push("not connected to the writer".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_says_what_it_is_and_how_far() {
        let writer = AuroraCluster {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            cluster: "pay".to_owned(),
            arn: String::new(),
            global: None,
            role: "writer".to_owned(),
            state: "available".to_owned(),
            port: Some(4711),
            database: None,
            owner: "owner".to_owned(),
            lsn: Some("0/3000148".to_owned()),
            lag_bytes: Some(0),
            age: Some(0.0),
            connected: true,
            failure: None,
        };
        let secondary = AuroraCluster {
            region: "us-east-2".to_owned(),
            role: "secondary".to_owned(),
            lag_bytes: Some(328),
            age: Some(2.04),
            connected: false,
            ..writer.clone()
        };
        let failed = AuroraCluster { failure: Some("no space.".to_owned()), ..writer.clone() };
        let status = AuroraStatus { postgres: Some("18.6".to_owned()), clusters: vec![writer, secondary, failed] };
        assert_eq!(
            text(&status),
            "Aurora, served by PostgreSQL 18.6:\n  us-east-1  pay  writer, at 127.0.0.1:4711, LSN 0/3000148\n  us-east-2  \
             pay  secondary, at 127.0.0.1:4711, LSN 0/3000148, 328 bytes and 2.0 s behind, not connected to the writer\n  \
             us-east-1  pay  failed: no space."
        );
    }
}
