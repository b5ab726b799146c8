//! What happens when something goes wrong: kills, lost answers, refusals, AWS's surprises, a bad disk, a Region that is gone.

#[cfg(target_os = "linux")]
mod disk;
mod injected;
mod kill;
#[cfg(target_os = "linux")]
mod matrix;
mod omitted;
mod random_stack;
#[cfg(target_os = "linux")]
mod refusals;
pub mod region_outage;
#[cfg(target_os = "linux")]
mod shim;
mod surprises;
