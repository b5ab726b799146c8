//! Whose a resource is: what drctl finds, adopts and tags, and what it leaves to others.

mod foreign_resources;
mod foreign_settings;
mod obstacles;
pub mod orphans;
mod tags;
mod untagged;
