//! Services whose resources are there as soon as the call is answered: only the answer takes its time.

use super::ServicePace;

/// The durations of one service, in seconds at AWS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latencies {
    service: &'static str,
    rows: &'static [(&'static str, f64)],
}

/// One table per service.
pub(super) const TABLES: [Latencies; 3] = [
    // "IAM role + policy": 2 typical to create and to delete, of which each call is a part.
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
];

impl ServicePace for Latencies {
    fn service(&self) -> &'static str {
        self.service
    }

    fn seconds(&self, operation: &str) -> Option<f64> {
        row(self.rows, operation)
    }
}

/// The seconds of an operation in a table.
pub(super) fn row(rows: &[(&str, f64)], operation: &str) -> Option<f64> {
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
