//! Finds objects in a frame: shrinks it to what a detector takes, decodes what comes out, drops what was found twice. The networks
//! themselves are behind [`Detector`].

mod bbox;
pub(crate) mod decode;
mod detection;
mod detector;
mod instance;
pub(crate) mod letterbox;
pub(crate) mod suppression;

pub use bbox::BBox;
pub use decode::Family;
pub use detection::{Detection, Points};
pub use detector::Detector;
pub use instance::InstanceMask;
pub use letterbox::InputSpec;
