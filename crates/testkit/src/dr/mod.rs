//! What the standby is for: finding out, and later deciding, which Region serves.

pub mod dns;
