//! What several rules need to know about DynamoDB.

use serde_json::Value;

/// The refusal to delete a table from which replicas were created. See docs/aws-behaviour.md#table-was-a-source.
pub(super) const SOURCE_OF_REPLICAS: &str = "Replica cannot be deleted because it has acted as a source region for new \
                                             replica(s) being added to the table in the last 24 hours.";

/// The table of a call, by its name or its ARN.
pub(super) fn table_of(body: &Value) -> Option<String> {
    let name = body["TableName"].as_str().or_else(|| body["ResourceArn"].as_str())?;
    Some(name.rsplit_once(":table/").map_or(name, |(_, name)| name).to_owned())
}
