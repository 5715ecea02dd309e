//! Intel OpenVINO, on the CPU.

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};

use super::options::ProviderExtras;
use crate::settings::Config;

/// Whether the library was built with it; should it not be told, trying will tell.
pub(super) fn is_in_library() -> bool {
    ep::OpenVINO::is_available().unwrap_or(true)
}

/// The runtime's registration of it.
pub(super) fn registration(config: &Config, extras: &ProviderExtras) -> ExecutionProviderDispatch {
    let mut options = ep::OpenVINO::default()
        .with_device_type("CPU")
        .with_precision("FP32");
    if config.threads != 0 {
        // It has threads of its own, which the session's number does not reach.
        options = options.with_num_threads(config.threads);
    }
    if let Some(dir) = &extras.cache {
        options = options.with_cache_dir(dir.to_string_lossy());
    }
    options.build()
}
