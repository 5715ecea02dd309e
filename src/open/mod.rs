//! From files to networks that run: contracts checked, unknown models probed, engines built ahead.

mod detector;
mod generator;
pub mod prebuild;
pub mod probe;
mod radius;
mod upscaler;

pub use detector::OnnxDetector;
pub use generator::{COMPILED_TILE, OnnxGenerator};
pub use upscaler::purpose;
