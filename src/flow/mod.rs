//! The way of a frame through all rooms.

pub(crate) mod decide;
mod flight;
mod stats;
mod upscaler;

pub use decide::FrameInfo;
pub use flight::{Finished, Flight, MAX_DEPTH, Source, Target};
pub use stats::Stats;
pub use upscaler::{LoadStep, ModelReport, Upscaler};
