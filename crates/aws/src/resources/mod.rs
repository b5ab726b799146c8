//! Every type of resource, one file each, grouped by service, and the code that turns a type into the engine's [`Driver`].
//!
//! A resource is a plain struct of its desired properties. A live resource is read into the same struct, and the engine compares
//! the two by name. Each property's documentation ends with "In-place." or "Immutable: forces replacement."

pub mod acm;
pub mod apigatewayv2;
pub mod cloudwatch;
mod context;
pub mod durations;
pub mod dynamodb;
pub mod ec2;
pub mod iam;
pub mod kms;
pub mod lambda;
pub mod logs;
pub mod permissions;
pub mod policy;
mod protection;
pub mod rds;
mod reading;
#[cfg(test)]
mod recorded;
mod registry;
pub mod route53;
pub mod s3;
pub mod secretsmanager;
pub mod sns;
mod stake;
mod tagging;
mod typed;

pub use context::{Context, Disposal};
pub use reading::{Readable, Reading};
pub use registry::{Registered, Registry, TYPES, TypeEntry, entry, go_last, holds_data, kinds};
pub use tagging::Tagging;
pub use typed::{Arn, Creation, Handle, Id, Resource, Stack, changed, live};

use typed::{bears_name, goes_on, is_about_permission, read_each, read_named, readable, unidentified};

pub use drctl_engine::{
    AlsoDeleted, Attempt, Change, Class, Deletion, Failure, Live, Owner, Phase, Ref, Synced, TypeInfo, Weight,
};
