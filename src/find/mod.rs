//! Finds objects in a frame: shrinks it to what a detector takes, decodes what comes out, drops what was found twice. The networks
//! themselves are behind [`Detector`].

pub(crate) mod decode;
mod detection;
mod detector;
mod instance;
pub(crate) mod letterbox;
pub(crate) mod suppression;

pub use decode::Family;
pub use detection::{BBox, Detection, Points};
pub use detector::Detector;
pub use instance::InstanceMask;
pub use letterbox::InputSpec;
