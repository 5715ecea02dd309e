//! Draws what was planned: runs tiles through the generators and fuses their pictures.

mod bands;
mod buffers;
mod colours;
mod compare;
pub(crate) mod drawer;
mod excess;
mod file;
pub(crate) mod fuse;
mod generator;
mod halftone;
mod identity;
mod pass;
mod transfer;
mod write;

pub use file::{ModelOrigin, NetworkFile};
pub use generator::{ByteLayout, Generator, GeneratorRole};
pub use identity::{Embedder, FACE_SIDE, FaceCrops, cosine};
pub use transfer::{Staging, Transfer};
