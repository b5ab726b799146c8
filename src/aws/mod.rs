//! AWS: clients per Region, the one way through which every call goes, and what its errors mean.

mod call;
mod classify;
mod clients;
mod limits;
mod refusals;
#[cfg(test)]
mod rows;
mod tags;

pub use clients::{Aws, Clients, Connection};
pub use limits::{Kind, Limits};
pub use tags::{ATTEMPT, ENVIRONMENT, NODE, STACK, Scope, TagMap};
