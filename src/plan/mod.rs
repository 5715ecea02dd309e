//! Decides what the generators run on: from what is wanted of a frame, what of it is kept and what runs cost to the complete list of
//! runs. Pure integer work; a frame is planned once, and drawn as planned.

pub(crate) mod budget;
pub(crate) mod cost;
pub(crate) mod estimate;
mod planner;
pub(crate) mod rectangles;
pub(crate) mod repeat;
pub(crate) mod runs;
pub(crate) mod tiles;

pub use planner::{Counts, Plan, Profiles, Shares};
