//! Decides what the generators run on. Pure integer work.

pub mod runs;
pub mod tiles;
