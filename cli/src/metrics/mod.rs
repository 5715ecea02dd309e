//! What pictures are judged by. Nothing here is on the way of a frame.
//!
//! [`fidelity`] compares a picture with the true one, [`resample`] scales as the field's test pictures were scaled.

mod fidelity;
mod picture;
mod resample;

pub use fidelity::{BORDER, Difference, Score, score};
pub use picture::{Picture, crop, crop_to_multiple};
pub use resample::resize;

#[cfg(test)]
mod tests;
