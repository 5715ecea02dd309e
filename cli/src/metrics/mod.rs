//! What pictures and clips are judged by. Nothing here is on the way of a frame.
//!
//! [`fidelity`] and [`perceptual`] compare a picture with the true one, [`warping`] with the next of a clip, [`identity`] the faces in
//! them; [`motion`] tells where pixels go, [`resample`] scales as the field's test pictures were
//! scaled, and [`sequence`] does all of it to the frames of a clip.

mod fidelity;
mod identity;
mod luma;
mod motion;
mod perceptual;
mod picture;
mod resample;
mod sequence;
mod warping;

pub use fidelity::{BORDER, Difference, Score, score};
pub use identity::{Identities, Step};
pub use luma::Luma;
pub use perceptual::perceptual;
pub use picture::{Picture, crop, crop_to_multiple};
pub use resample::{Shrinker, resize};
pub use sequence::{Feed, JudgedFrame, Numbers, decibels, mean, measure, sampling};

#[cfg(test)]
mod tests;
