//! What happens in the world around AWS: Regions that fail, and come back.

mod aurora;
mod data_api;
mod dns;
mod global_database;
mod regions;
mod replication;
