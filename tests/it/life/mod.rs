//! The life of a whole stack: built, used, switched over, deleted, in several Regions, and under AWS's rules.

pub mod aws_rules;
mod data_plane;
mod endpoints;
mod pace;
