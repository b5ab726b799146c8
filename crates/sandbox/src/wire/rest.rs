//! The names of REST operations, read from method, path, and query, for the services that drctl calls.
//!
//! Other requests are named by method and path; they are passed on and recorded all the same.

use http::{Method, Uri};

/// The operation of a request to a REST service.
pub(super) fn operation(service: &str, method: &Method, uri: &Uri) -> String {
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let query = uri.query().unwrap_or_default();
    let known = match service {
        "s3" => s3(method, &path, query),
        "lambda" => lambda(method, &path),
        "apigateway" => apigateway(method, &path),
        "route53" => route53(method, &path),
        "rds-data" => rds_data(method, &path),
        _ => None,
    };
    known.unwrap_or_else(|| format!("{method} {}", uri.path()))
}

/// Whether a query has a parameter, with a value or without.
fn has(query: &str, name: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some(name))
}

/// The subresources of a bucket, with the names that operations use for them.
const BUCKET: [(&str, &str); 12] = [
    ("versioning", "BucketVersioning"),
    ("encryption", "BucketEncryption"),
    ("policy", "BucketPolicy"),
    ("tagging", "BucketTagging"),
    ("replication", "BucketReplication"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("object-lock", "ObjectLockConfiguration"),
    ("location", "BucketLocation"),
    ("versions", "ObjectVersions"),
    ("uploads", "MultipartUploads"),
];

fn s3(method: &Method, path: &[&str], query: &str) -> Option<String> {
    let verb = match *method {
        Method::PUT => "Put",
        Method::GET => "Get",
        Method::DELETE => "Delete",
        Method::HEAD => "Head",
        Method::POST => "Post",
        _ => return None,
    };
    let name = match path {
        [] => "ListBuckets".to_owned(),
        [_] => match BUCKET.iter().find(|(name, _)| has(query, name)) {
            Some((_, what @ ("ObjectVersions" | "MultipartUploads"))) => format!("List{what}"),
            // AWS names this one differently.
            Some(("lifecycle", _)) if verb == "Delete" => "DeleteBucketLifecycle".to_owned(),
            Some((_, what)) => format!("{verb}{what}"),
            None if verb == "Post" && has(query, "delete") => "DeleteObjects".to_owned(),
            None if verb == "Put" => "CreateBucket".to_owned(),
            None if verb == "Get" => "ListObjects".to_owned(),
            None => format!("{verb}Bucket"),
        },
        _ if has(query, "uploadId") && verb == "Delete" => "AbortMultipartUpload".to_owned(),
        _ => format!("{verb}Object"),
    };
    Some(name)
}

fn lambda(method: &Method, path: &[&str]) -> Option<String> {
    // The first part of the path is the date of the operation's version.
    let name = match (method.as_str(), path.get(1..)?) {
        ("POST", ["functions"]) => "CreateFunction",
        ("GET", ["functions"]) => "ListFunctions",
        ("GET", ["functions", _]) => "GetFunction",
        ("DELETE", ["functions", _]) => "DeleteFunction",
        ("GET", ["functions", _, "configuration"]) => "GetFunctionConfiguration",
        ("PUT", ["functions", _, "configuration"]) => "UpdateFunctionConfiguration",
        ("PUT", ["functions", _, "code"]) => "UpdateFunctionCode",
        ("PUT", ["functions", _, "concurrency"]) => "PutFunctionConcurrency",
        ("GET", ["functions", _, "concurrency"]) => "GetFunctionConcurrency",
        ("DELETE", ["functions", _, "concurrency"]) => "DeleteFunctionConcurrency",
        ("POST", ["functions", _, "policy"]) => "AddPermission",
        ("GET", ["functions", _, "policy"]) => "GetPolicy",
        ("DELETE", ["functions", _, "policy", _]) => "RemovePermission",
        ("POST", ["functions", _, "invocations"]) => "Invoke",
        ("GET", ["account-settings"]) => "GetAccountSettings",
        (verb, ["tags", ..]) => return tags(verb, "ListTags"),
        _ => return None,
    };
    Some(name.to_owned())
}

fn apigateway(method: &Method, path: &[&str]) -> Option<String> {
    let (resource, is_one) = match path.get(1..)? {
        ["apis"] => ("Api", false),
        ["apis", _] => ("Api", true),
        ["apis", _, "integrations"] => ("Integration", false),
        ["apis", _, "integrations", _] => ("Integration", true),
        ["apis", _, "authorizers"] => ("Authorizer", false),
        ["apis", _, "authorizers", _] => ("Authorizer", true),
        ["apis", _, "routes"] => ("Route", false),
        ["apis", _, "routes", _] => ("Route", true),
        ["apis", _, "stages"] => ("Stage", false),
        ["apis", _, "stages", _] => ("Stage", true),
        ["domainnames"] => ("DomainName", false),
        ["domainnames", _] => ("DomainName", true),
        ["domainnames", _, "apimappings"] => ("ApiMapping", false),
        ["domainnames", _, "apimappings", _] => ("ApiMapping", true),
        ["tags", ..] => return tags(method.as_str(), "GetTags"),
        _ => return None,
    };
    match (method.as_str(), is_one) {
        ("POST", false) => Some(format!("Create{resource}")),
        ("GET", false) => Some(format!("Get{resource}s")),
        ("GET", true) => Some(format!("Get{resource}")),
        ("PATCH", true) => Some(format!("Update{resource}")),
        ("DELETE", true) => Some(format!("Delete{resource}")),
        _ => None,
    }
}

fn route53(method: &Method, path: &[&str]) -> Option<String> {
    let name = match (method.as_str(), path.get(1..)?) {
        ("POST", ["hostedzone"]) => "CreateHostedZone",
        ("GET", ["hostedzone"]) => "ListHostedZones",
        ("GET", ["hostedzonesbyname"]) => "ListHostedZonesByName",
        ("GET", ["hostedzone", _]) => "GetHostedZone",
        ("POST", ["hostedzone", _]) => "UpdateHostedZoneComment",
        ("DELETE", ["hostedzone", _]) => "DeleteHostedZone",
        ("POST", ["hostedzone", _, "features"]) => "UpdateHostedZoneFeatures",
        ("GET", ["hostedzone", _, "rrset"]) => "ListResourceRecordSets",
        ("POST", ["hostedzone", _, "rrset"]) => "ChangeResourceRecordSets",
        ("POST", ["healthcheck"]) => "CreateHealthCheck",
        ("GET", ["healthcheck"]) => "ListHealthChecks",
        ("GET", ["healthcheck", _]) => "GetHealthCheck",
        ("POST", ["healthcheck", _]) => "UpdateHealthCheck",
        ("DELETE", ["healthcheck", _]) => "DeleteHealthCheck",
        ("GET", ["healthcheck", _, "status"]) => "GetHealthCheckStatus",
        ("GET", ["healthcheck", _, "lastfailurereason"]) => "GetHealthCheckLastFailureReason",
        ("GET", ["testdnsanswer"]) => "TestDNSAnswer",
        ("GET", ["change", _]) => "GetChange",
        ("POST", ["tags", _]) => "ListTagsForResources",
        ("GET", ["tags", _, _]) => "ListTagsForResource",
        ("POST", ["tags", _, _]) => "ChangeTagsForResource",
        _ => return None,
    };
    Some(name.to_owned())
}

fn rds_data(method: &Method, path: &[&str]) -> Option<String> {
    let name = match (method.as_str(), path) {
        ("POST", ["Execute"]) => "ExecuteStatement",
        ("POST", ["BatchExecute"]) => "BatchExecuteStatement",
        ("POST", [name @ ("BeginTransaction" | "CommitTransaction" | "RollbackTransaction" | "ExecuteSql")]) => name,
        _ => return None,
    };
    Some(name.to_owned())
}

/// The operations on tags. `read` is the name of the one that reads them, which differs between the two services.
fn tags(verb: &str, read: &str) -> Option<String> {
    let name = match verb {
        "POST" => "TagResource",
        "GET" => read,
        "DELETE" => "UntagResource",
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(service: &str, method: &str, uri: &str) -> String {
        let method = method.parse().expect("a method");
        operation(service, &method, &uri.parse().expect("a URI"))
    }

    #[test]
    fn operations_on_buckets_and_objects_differ_in_path_and_query() {
        assert_eq!(named("s3", "PUT", "/b"), "CreateBucket");
        assert_eq!(named("s3", "PUT", "/b/"), "CreateBucket");
        assert_eq!(named("s3", "PUT", "/b?versioning"), "PutBucketVersioning");
        assert_eq!(named("s3", "GET", "/b?versions&max-keys=1000"), "ListObjectVersions");
        assert_eq!(named("s3", "POST", "/b?delete"), "DeleteObjects");
        assert_eq!(named("s3", "DELETE", "/b?lifecycle"), "DeleteBucketLifecycle");
        assert_eq!(named("s3", "PUT", "/b/k?partNumber=1&uploadId=2"), "PutObject");
        assert_eq!(named("s3", "DELETE", "/b/k?uploadId=2"), "AbortMultipartUpload");
        assert_eq!(named("s3", "GET", "/"), "ListBuckets");
    }

    #[test]
    fn operations_of_json_services_are_read_from_their_paths() {
        assert_eq!(named("lambda", "POST", "/2015-03-31/functions"), "CreateFunction");
        assert_eq!(named("lambda", "PUT", "/2015-03-31/functions/f/configuration"), "UpdateFunctionConfiguration");
        assert_eq!(named("lambda", "POST", "/2017-03-31/tags/arn%3Aaws"), "TagResource");
        assert_eq!(named("lambda", "DELETE", "/2015-03-31/functions/f"), "DeleteFunction");
        assert_eq!(named("lambda", "PUT", "/2015-03-31/functions/f/code"), "UpdateFunctionCode");
        assert_eq!(named("lambda", "POST", "/2015-03-31/functions/f/invocations"), "Invoke");
        assert_eq!(named("lambda", "DELETE", "/2017-10-31/functions/f/concurrency"), "DeleteFunctionConcurrency");
        assert_eq!(named("apigateway", "GET", "/v2/tags/arn%3Aaws"), "GetTags");
        assert_eq!(named("apigateway", "GET", "/v2/apis?maxResults=500"), "GetApis");
        assert_eq!(named("apigateway", "PATCH", "/v2/apis/a1/authorizers/b2"), "UpdateAuthorizer");
        assert_eq!(named("apigateway", "DELETE", "/v2/domainnames/api.x.org/apimappings/1"), "DeleteApiMapping");
        assert_eq!(named("route53", "POST", "/2013-04-01/hostedzone/Z1/rrset"), "ChangeResourceRecordSets");
        assert_eq!(named("route53", "GET", "/2013-04-01/testdnsanswer?hostedzoneid=Z1"), "TestDNSAnswer");
        assert_eq!(named("route53", "POST", "/2013-04-01/hostedzone/Z1/rrset/"), "ChangeResourceRecordSets");
    }

    #[test]
    fn operations_of_the_data_api_are_not_named_as_their_paths() {
        assert_eq!(named("rds-data", "POST", "/Execute"), "ExecuteStatement");
        assert_eq!(named("rds-data", "POST", "/BatchExecute"), "BatchExecuteStatement");
        assert_eq!(named("rds-data", "POST", "/CommitTransaction"), "CommitTransaction");
        assert_eq!(named("rds-data", "GET", "/Execute"), "GET /Execute");
    }

    #[test]
    fn unknown_operations_are_named_by_method_and_path() {
        assert_eq!(named("athena", "GET", "/x/y?z"), "GET /x/y");
        assert_eq!(named("lambda", "GET", "/2015-03-31/layers"), "GET /2015-03-31/layers");
    }
}
