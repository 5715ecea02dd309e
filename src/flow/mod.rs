//! The way of a frame through all rooms: one half decides, the other draws.

mod decide;
mod detail;
mod flight;
#[cfg(test)]
mod hostile;
mod neighbours;
mod report;
mod seeker;
mod stats;
mod stream;
mod upscaler;
mod worker;

pub use decide::{FrameInfo, GivenDetection};
pub(crate) use detail::DetailControl;
pub use flight::{Finished, Flight, MAX_DEPTH};
pub use report::{LoadStep, ModelReport, Recorded};
pub use stats::{KindStats, Stats};
pub(crate) use upscaler::NetworkSet;
pub use upscaler::{Expert, Upscaler};
pub use worker::{Source, Target};
