//! Frames and what they are made of: sizes, samples, conversion to what networks take, resampling. Knows no network.

mod frame;
mod geometry;
pub(crate) mod resample;
pub(crate) mod tensor;
pub(crate) mod typed_memory;
pub(crate) mod vector;

pub use frame::{Frame, FrameMut, Sample};
pub use geometry::{Rect, Size, merge_overlapping};
pub use tensor::{Channels, Encoding};
