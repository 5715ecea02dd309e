//! Execution providers as ONNX Runtime has them: their options, and whether they are there.

pub(super) mod context;
mod cpu;
mod cuda;
mod openvino;
mod options;
mod select;
mod tensorrt;

pub(super) use cuda::device_names;
pub(super) use options::{ProviderExtras, ShapeProfile};
pub use select::check_named;
pub(crate) use select::only_processor;
pub(super) use select::{cache_options, is_in_library, no_half, registrations, session_options};
pub(super) use tensorrt::tensorrt_version;
