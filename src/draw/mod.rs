//! Draws what was planned: runs tiles through the generators and fuses their pictures.

pub(crate) mod drawer;
pub(crate) mod faces;
pub(crate) mod fuse;
mod generator;
pub(crate) mod pass;
mod transfer;

pub use generator::Generator;
pub use transfer::{Staging, Transfer};
