//! The laws of the engine, on a cloud in memory and a state on disk. The clock is paused, so minutes of waiting take no time.

mod change;
mod disk;
mod intents;
mod order;
mod ownership;
mod refusals;
mod regions;
mod removal;
mod signals;
