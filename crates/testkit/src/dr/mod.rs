//! Disaster recovery: determining, and later deciding, which Region serves.

pub mod dns;
