//! The services whose resources are ready as soon as the call is answered: only the answer takes time.

use super::ServicePace;

/// The durations of the operations of one service, in seconds on AWS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latencies {
    service: &'static str,
    rows: &'static [(&'static str, f64)],
}

/// One table per service.
pub(super) const TABLES: [Latencies; 10] = [
    // "IAM role + policy": 2 typical to create and to delete, shared by the calls.
    Latencies {
        service: "iam",
        rows: &[
            ("CreateRole", 1.0),
            ("PutRolePolicy", 1.0),
            ("UpdateAssumeRolePolicy", 1.0),
            ("UpdateRole", 1.0),
            ("TagRole", 0.5),
            ("UntagRole", 0.5),
            ("DeleteRolePolicy", 1.0),
            ("DeleteRole", 1.0),
        ],
    },
    // "KMS key (+ policy read-back)": 10 typical; alias 1; scheduling the deletion 1.
    Latencies {
        service: "kms",
        rows: &[
            ("CreateKey", 8.0),
            ("PutKeyPolicy", 2.0),
            ("EnableKeyRotation", 1.0),
            ("CreateAlias", 1.0),
            ("UpdateAlias", 1.0),
            ("DeleteAlias", 1.0),
            ("ScheduleKeyDeletion", 1.0),
            ("CancelKeyDeletion", 1.0),
            ("EnableKey", 1.0),
        ],
    },
    // "log group": 1 typical.
    Latencies {
        service: "logs",
        rows: &[
            ("CreateLogGroup", 1.0),
            ("PutRetentionPolicy", 0.5),
            ("AssociateKmsKey", 1.0),
            ("DisassociateKmsKey", 1.0),
            ("DeleteLogGroup", 1.0),
        ],
    },
    // "S3 bucket + config calls": 5 typical for all of them; replication 5.
    Latencies {
        service: "s3",
        rows: &[
            ("CreateBucket", 2.0),
            ("PutBucketVersioning", 0.5),
            ("PutBucketEncryption", 0.5),
            ("PutPublicAccessBlock", 0.5),
            ("PutBucketOwnershipControls", 0.5),
            ("PutBucketPolicy", 0.5),
            ("PutBucketLifecycleConfiguration", 0.5),
            ("PutBucketTagging", 0.5),
            ("PutBucketReplication", 5.0),
            ("DeleteBucketReplication", 1.0),
            ("DeleteObjects", 1.0),
            ("DeleteBucket", 1.0),
            // Objects are a matter of milliseconds.
            ("PutObject", 0.03),
            ("DeleteObject", 0.03),
        ],
    },
    // "APIGWv2 api + integ + routes + stage": 4 typical; domain 10; deletion 2 and 3.
    Latencies {
        service: "apigateway",
        rows: &[
            ("CreateApi", 1.0),
            ("DeleteApi", 1.0),
            ("CreateStage", 1.0),
            ("CreateDomainName", 10.0),
            ("UpdateDomainName", 10.0),
            ("DeleteDomainName", 3.0),
            ("CreateApiMapping", 1.0),
            ("DeleteApiMapping", 1.0),
        ],
    },
    // "ACM cert": requesting takes a second; the time until a certificate is issued is not modelled.
    Latencies { service: "acm", rows: &[("RequestCertificate", 1.0), ("DeleteCertificate", 1.0)] },
    // "Secret": 1 typical; its replica 5, which is shown as ready at once.
    Latencies {
        service: "secretsmanager",
        rows: &[
            ("CreateSecret", 5.0),
            ("UpdateSecret", 1.0),
            ("RestoreSecret", 1.0),
            ("RemoveRegionsFromReplication", 5.0),
            ("DeleteSecret", 1.0),
        ],
    },
    // "SNS topic/sub": 1 typical.
    Latencies { service: "sns", rows: &[("CreateTopic", 1.0), ("Subscribe", 1.0), ("DeleteTopic", 1.0)] },
    // "alarm; dashboard": 1 typical.
    Latencies {
        service: "monitoring",
        rows: &[("PutMetricAlarm", 1.0), ("PutDashboard", 1.0), ("DeleteAlarms", 1.0), ("DeleteDashboards", 1.0)],
    },
    // "R53 zone": 45 typical, most of it until the name servers answer; "record INSYNC": 35, for which nothing waits.
    Latencies {
        service: "route53",
        rows: &[
            ("CreateHostedZone", 2.0),
            ("ChangeResourceRecordSets", 1.0),
            ("CreateHealthCheck", 1.0),
            ("DeleteHealthCheck", 1.0),
            ("DeleteHostedZone", 1.0),
        ],
    },
];

impl ServicePace for Latencies {
    fn service(&self) -> &'static str {
        self.service
    }

    fn seconds(&self, operation: &str) -> Option<f64> {
        seconds_of(self.rows, operation)
    }
}

/// The seconds of an operation in a table.
pub(super) fn seconds_of(rows: &[(&str, f64)], operation: &str) -> Option<f64> {
    rows.iter().find(|(name, _)| *name == operation).map(|(_, seconds)| *seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_one_row() {
        for table in TABLES {
            let mut names: Vec<&str> = table.rows.iter().map(|(name, _)| *name).collect();
            names.sort_unstable();
            let rows = names.len();
            names.dedup();
            assert_eq!(names.len(), rows, "{}", table.service);
        }
    }
}
