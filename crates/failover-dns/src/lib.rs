//! How Route 53 decides which record answers a name, computed here.
//!
//! AWS shows only the result of its decision, and no emulator makes it. So the documented rules are implemented here: the
//! status of a health check, given what was observed ([`check`], and [`quorum`] for several checkers), and the record that
//! answers a name, given the statuses ([`record`]). Nothing here makes a call, has a clock, or knows an SDK: whoever uses the
//! rules brings the checks, the records, and the observations.

pub mod check;
pub mod quorum;
pub mod record;
