//! Route 53's data plane: health checkers that look at endpoints.
//!
//! The rules are those of [`drctl_failover_dns`]. Around them, [`Checkers`] takes the looks of sixteen checkers in eight
//! Regions at every health check of an account. What Route 53 has is read from the emulator ([`Emulator`]), and only the
//! addresses of the sandbox itself are looked at ([`in_sandbox`]).

mod account;
mod checkers;
mod emulator;
mod probe;
mod tls;
mod verdict;
mod watch;
mod zones;

pub(crate) use checkers::{Checkers, Reporting, Rhythm};
pub(crate) use emulator::Emulator;
pub(crate) use probe::{Network, Place, Places, in_sandbox};
pub(crate) use verdict::{Report, Verdict};
pub(crate) use zones::{ReadError, Zones};
