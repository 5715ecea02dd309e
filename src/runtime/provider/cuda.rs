//! NVIDIA CUDA: runs a model as it is.

use ort::ep::{
    self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch,
};

use super::options::{OptionList, switch};
use crate::settings::{Config, Precision};

/// Whether the library was built with it; should it not be told, trying will tell.
pub(super) fn is_in_library() -> bool {
    ep::CUDA::is_available().unwrap_or(true)
}

pub(super) fn options(config: &Config, graph: bool) -> OptionList {
    let mut options = vec![
        ("device_id", config.device_id.to_string()),
        // Tiles change size: memory follows them instead of doubling each time.
        ("arena_extend_strategy", "kSameAsRequested".to_owned()),
        // The default tries every algorithm for each new size, which holds up the first frame.
        ("cudnn_conv_algo_search", "HEURISTIC".to_owned()),
        // TensorFloat-32 has the range of single precision and 10 bits of mantissa: less than half a step of 255, but it is not
        // what precision=fp32 asks for.
        ("use_tf32", switch(config.precision != Precision::Fp32)),
    ];
    if graph {
        options.push(("enable_cuda_graph", switch(true)));
    }
    options
}

/// The runtime's registration of it. `graph` has runs captured in a CUDA graph.
pub(super) fn registration(config: &Config, graph: bool) -> ExecutionProviderDispatch {
    options(config, graph)
        .into_iter()
        .fold(ep::CUDA::default(), |cuda, (name, value)| {
            cuda.with_arbitrary_config(name, value)
        })
        .build()
}

/// Names of the NVIDIA devices as the driver tells them; empty without one.
pub(in crate::runtime) fn device_names() -> String {
    let mut names: Vec<String> = std::fs::read_dir("/proc/driver/nvidia/gpus")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|gpu| std::fs::read_to_string(gpu.path().join("information")).ok())
        .filter_map(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
            Some(line.trim().to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(options: &'a OptionList, name: &str) -> Option<&'a str> {
        let found = options.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn cuda_is_told_to_keep_to_single_precision_where_that_is_asked() {
        for (precision, expected) in [
            (Precision::Fp32, "0"),
            (Precision::Auto, "1"),
            (Precision::Fp16, "1"),
        ] {
            let config = Config {
                precision,
                ..Config::default()
            };
            let options = options(&config, false);
            assert_eq!(value(&options, "use_tf32"), Some(expected));
            assert_eq!(value(&options, "enable_cuda_graph"), None);
        }
    }
}
