//! The laws of the engine, on a cloud in memory and a state on disk. Time is paused: minutes of waiting take none.

mod change;
mod disk;
mod intents;
mod order;
mod ownership;
mod refusals;
mod regions;
mod removal;
mod signals;
