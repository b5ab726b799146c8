//! What happens in the world around AWS: Regions that fail, and come back.

mod aurora;
mod data_api;
mod dns;
mod global_database;
mod lost_writes;
mod regions;
mod replication;
mod switchover;
