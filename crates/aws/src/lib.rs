//! AWS: clients per Region, the one function through which every call goes, and the meaning of its errors.

mod advice;
mod call;
mod certificates;
mod classify;
mod clients;
mod credentials;
pub mod facts;
mod http;
mod limits;
mod looking;
mod origin;
pub mod preflight;
mod profiles;
#[cfg(test)]
mod refusal_cases;
mod refusals;
mod renewal;
pub mod resources;
mod settings;
mod silence;
mod tags;
mod waiting;

pub use clients::{Aws, Clients, Connection};
pub use limits::{Kind, Limits};
pub use looking::Looking;
pub use renewal::{Notice, Patience, Patient};
pub use settings::{Settings, Unusable};
pub use tags::{ATTEMPT, ENVIRONMENT, NODE, STACK, Scope, TagMap};
