//! Refusals of Amazon `CloudWatch`.

use super::Row;
use drctl_engine::Class;

pub(super) const ROWS: &[Row] = &[
    // MiniStack's answer for a dashboard, which it does not tag. AWS's code here is ResourceNotFoundException.
    ("cloudwatch", "TagResource", "ResourceNotFound", "Alarm resource", Class::Unsupported),
    // Of DeleteAlarms and GetDashboard.
    ("cloudwatch", "", "ResourceNotFound", "", Class::NotFound),
    // Of DeleteDashboards, by the error's name in its model.
    ("cloudwatch", "", "DashboardNotFoundError", "", Class::NotFound),
    // Of dashboards and tags: another change of the same resource is under way. See docs/aws-behaviour.md#cloudwatch-conflicts.
    ("cloudwatch", "", "ConflictException", "", Class::Transient),
    // Of DeleteAlarms: "the specified alarm is being modified".
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html
    ("cloudwatch", "DeleteAlarms", "ResourceConflict", "", Class::Transient),
];
