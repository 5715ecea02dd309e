//! Frames and what they are made of: sizes, formats, samples, colours, conversion to what networks take, interpolation. Knows no network.

pub(crate) mod byte_colours;
pub(crate) mod colour;
pub(crate) mod format;
mod frame;
mod geometry;
pub(crate) mod interpolate;
pub(crate) mod samples;
pub(crate) mod shrink;
pub(crate) mod tensor;
pub(crate) mod vector;

pub use format::{
    ChromaSite, ColourFamily, Component, Format, Matrix, PixelFormat, PixelLayout, Quantiser, Range,
};
pub use frame::{Frame, FrameMemory, FrameMut, Sample};
pub use geometry::{Rect, Size, merge_overlapping};
pub use tensor::{Channels, Encoding};
