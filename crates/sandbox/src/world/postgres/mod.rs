//! Real PostgreSQL servers on this machine: made, started, stopped, replicated, promoted, rewound, and asked.
//!
//! Nothing here knows AWS. A [`Server`] is a cluster of databases in a folder of its own, served on a port of loopback by
//! the programs of a pinned Python package, which is installed with the emulator. Between a primary and its standby is a
//! [`Pipe`], which can make changes late, slow them down, or cut them off. A [`Client`] runs statements.
//!
//! | part | what it does |
//! |---|---|
//! | `programs` | finds PostgreSQL's programs, and an identity for them if drctl is root |
//! | `supervised` | programs that end with the sandbox, whatever ends it |
//! | `server`, `description` | makes, starts, stops, and fences a server; its folder and its settings |
//! | `replication`, `pipe` | standbys, promotion, an old primary that follows the new one; how late changes are |
//! | `snapshot`, `tree` | copies of a server's data |
//! | `client`, `parameter`, `value`, `text` | statements, their parameters, and their results |
//!
//! # Where it differs from Aurora
//!
//! - Each member has a copy of the data, and replication is PostgreSQL's physical streaming instead of shared storage. A
//!   standby that was cut off for more than 256 MB of changes has to be copied anew.
//! - An old primary is rewound (`pg_rewind`) instead of getting a new volume; what only it had is in no snapshot unless
//!   one is taken before.
//! - `fsync` is off unless [`Settings::durable`] says otherwise: the end of a server loses nothing, the end of the machine
//!   may.
//! - The package is built without OpenSSL, ICU, and libxml: no TLS, no locales but C and C.UTF-8, no `xml`.
//! - All servers of a sandbox are copies of one template, so that PostgreSQL cannot tell by their system identifier that
//!   two of them have nothing to do with each other.
//!
//! # What it costs
//!
//! Measured on two cores that others were using too (load 2 to 4), debug build, medians of twenty pairs:
//!
//! | | |
//! |---|---|
//! | the template, once per sandbox (initdb) | 0.5 s |
//! | a new server, with its role and database | 0.09 s |
//! | a standby of it | 0.13 s |
//! | start, and orderly stop | 0.03 s, 0.01 s |
//! | promotion | 0.02 s |
//! | an old primary rewound, restarted, and caught up | 0.18 s |
//! | snapshot of a running server, and a server from it | 0.12 s, 0.08 s |
//! | memory (proportional set size) of a server | 7.3 MB when new, 8.0 MB after some use; the supervisor's part is 0.2 MB |
//! | processes of a server | 7, of which 2 are the supervisor |
//! | disk of a server | 36 MB |
//!
//! A hundred servers, two for each of fifty accounts, are 0.8 GB of memory and 3.6 GB of disk.
//!
//! No process is left behind if the sandbox is killed, at whatever moment: `supervised` says how.

mod client;
mod description;
mod error;
mod parameter;
mod pipe;
mod programs;
mod replication;
mod server;
mod snapshot;
mod supervised;
mod text;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use client::{Canceller, Client, ClientError, Column, Login, Origin, Rows, SqlError};
pub use error::PostgresError;
pub use parameter::{Hint, Parameter};
pub use pipe::Pipe;
pub use programs::Programs;
pub use replication::{Followed, Lag, Lsn, Position};
pub use server::{Server, Settings, Stop};
pub use value::Value;
