//! From files to networks that run: contracts checked, unknown models probed, adapters put around them, engines built ahead.

mod compose;
mod detailed;
mod detector;
mod embedder;
mod enlarger;
mod file_network;
mod form;
mod gain;
mod generator;
mod interpolated;
mod opening;
mod padded;
mod plane_scaler;
pub mod prebuild;
pub mod probe;
mod quantised;
mod resampled;
pub mod tuned;
mod twice;
mod upscaler;
mod whole_file;

#[cfg(test)]
mod tests;

pub use detector::OnnxDetector;
pub use embedder::OnnxEmbedder;
pub use form::Form;
pub use gain::Gain;
pub use generator::OnnxGenerator;
pub use opening::generator;
pub use upscaler::{EightBits, eight_bits, purpose};
