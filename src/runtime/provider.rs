//! Execution providers as ONNX Runtime has them: their options, and whether they are there.

use std::path::PathBuf;

use ort::ep::{
    self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch,
};

use super::engine::{Port, Way};
use super::library;
use crate::error::{Error, Result};
use crate::settings::{Config, Precision, Provider};

/// The inputs that a provider which compiles is told to expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    /// Declared inputs; those of fixed sides need no profile.
    pub(super) inputs: Vec<Port>,
    pub(super) least: [usize; 4],
    pub(super) best: [usize; 4],
    pub(super) most: [usize; 4],
}

impl Profile {
    /// Best for inputs of `tile`, in batches of up to its first side, and good for smaller ones, as frames smaller than a tile
    /// have them; without one, for all sizes that tiles and regions may have, which needs memory for the largest and is slower
    /// for each.
    ///
    /// The sides are in the order of the input that `way` makes.
    pub(super) fn new(tile: Option<[usize; 4]>, way: &Way) -> Self {
        let (least, best, most) = match tile {
            Some([n, c, h, w]) => ([1, c, h.min(16), w.min(16)], [n, c, h, w], [n, c, h, w]),
            None => ([1, 3, 16, 16], [1, 3, 256, 256], [1, 3, 1024, 1024]),
        };
        Self {
            inputs: Vec::new(),
            least: way.shape(least),
            best: way.shape(best),
            most: way.shape(most),
        }
    }

    /// `name:1x3x16x16` for each input that has free sides.
    fn shapes(&self, sides: [usize; 4]) -> String {
        let texts = self.inputs.iter().filter(|port| port.shape.contains(&-1));
        let texts: Vec<_> = texts
            .map(|port| {
                let sides: Vec<_> = port
                    .shape
                    .iter()
                    .zip(sides)
                    .map(|(declared, side)| match usize::try_from(*declared) {
                        Ok(fixed) => fixed.to_string(),
                        Err(_) => side.to_string(),
                    })
                    .collect();
                format!("{}:{}", port.name, sides.join("x"))
            })
            .collect();
        texts.join(",")
    }
}

/// Names and values as ONNX Runtime's documentation has them.
type Options = Vec<(&'static str, String)>;

fn text(on: bool) -> String {
    (if on { "1" } else { "0" }).to_owned()
}

/// What a provider is told besides the settings and the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extras {
    /// Runs are to be captured in a CUDA graph.
    pub(super) graph: bool,
    /// Folder for what it compiles.
    pub(super) cache: Option<PathBuf>,
    /// File, in that folder, for a model that stands for what was compiled.
    pub(super) context: Option<PathBuf>,
}

fn tensorrt_options(
    config: &Config,
    precision: Precision,
    profile: &Profile,
    extras: &Extras,
) -> Options {
    let mut options = vec![
        ("device_id", config.device_id.to_string()),
        ("trt_fp16_enable", text(precision == Precision::Fp16)),
        // Between building for minutes and running slowly; TensorRT's own default.
        ("trt_builder_optimization_level", "3".to_owned()),
    ];
    if profile.inputs.iter().any(|port| port.shape.contains(&-1)) {
        options.push(("trt_profile_min_shapes", profile.shapes(profile.least)));
        options.push(("trt_profile_opt_shapes", profile.shapes(profile.best)));
        options.push(("trt_profile_max_shapes", profile.shapes(profile.most)));
    }
    if extras.graph {
        options.push(("trt_cuda_graph_enable", text(true)));
    }
    if let Some(dir) = &extras.cache {
        let dir = dir.to_string_lossy().into_owned();
        options.extend([
            ("trt_engine_cache_enable", text(true)),
            ("trt_engine_cache_prefix", "srfusion".to_owned()),
            ("trt_timing_cache_enable", text(true)),
            ("trt_timing_cache_path", dir.clone()),
        ]);
        match &extras.context {
            // The engine's folder is then that of the context file, which names the engine, and may do so only by a relative path.
            Some(file) => options.extend([
                ("trt_dump_ep_context_model", text(true)),
                (
                    "trt_ep_context_file_path",
                    file.to_string_lossy().into_owned(),
                ),
                ("trt_ep_context_embed_mode", "0".to_owned()),
            ]),
            None => options.push(("trt_engine_cache_path", dir)),
        }
    }
    options
}

fn cuda_options(config: &Config, graph: bool) -> Options {
    let mut options = vec![
        ("device_id", config.device_id.to_string()),
        // Tiles change size: memory follows them instead of doubling each time.
        ("arena_extend_strategy", "kSameAsRequested".to_owned()),
        // The default tries every algorithm for each new size, which holds up the first frame.
        ("cudnn_conv_algo_search", "HEURISTIC".to_owned()),
        // TensorFloat-32 has the range of single precision and 10 bits of mantissa: less than half a step of 255, but it is not
        // what precision=fp32 asks for.
        ("use_tf32", text(config.precision != Precision::Fp32)),
    ];
    if graph {
        options.push(("enable_cuda_graph", text(true)));
    }
    options
}

/// What else `provider` is told, for the key of its cache.
pub(super) fn fixed_options(
    provider: Provider,
    config: &Config,
    precision: Precision,
    way: &Way,
) -> String {
    match provider {
        Provider::TensorRt => {
            let profile = Profile::new(None, &Way::default());
            let options = tensorrt_options(config, precision, &profile, &Extras::default());
            let options = options
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            let options = options.collect::<Vec<_>>().join(" ");
            // What is compiled does not depend on whether runs of it are captured: one folder serves both.
            let compiled = Way {
                graph: None,
                ..*way
            };
            match compiled.key() {
                key if key.is_empty() => options,
                key => format!("{options} {key}"),
            }
        }
        _ => way.key(),
    }
}

/// Why `provider` does not compute in half precision with a model of single precision, if it does not.
pub(super) fn no_half(provider: Provider) -> Option<String> {
    match provider {
        Provider::Cuda => Some(
            "precision=fp16 needs a half precision model here; expected fp32 or auto".to_owned(),
        ),
        Provider::Cpu | Provider::Auto => Some(
            "precision=fp16 is not served by the CPU's kernels; expected fp32 or auto".to_owned(),
        ),
        Provider::OpenVino => Some(
            "precision=fp16 is not served by OpenVINO on the CPU; expected fp32 or auto".to_owned(),
        ),
        Provider::TensorRt => None,
    }
}

/// Whether the library, which must be loaded, was built with `provider`. Whether it works here is another matter.
pub(super) fn is_in_library(provider: Provider) -> bool {
    let built = match provider {
        Provider::TensorRt => ep::TensorRT::is_available(),
        Provider::Cuda => ep::CUDA::is_available(),
        Provider::OpenVino => ep::OpenVINO::is_available(),
        Provider::Cpu | Provider::Auto => Ok(true),
    };
    // Should it not be told, trying will tell.
    built.unwrap_or(true)
}

/// Refuses, before anything is opened, a provider that was asked for by name and that the library was not built with.
///
/// # Errors
/// [`Error::Runtime`] without a library, [`Error::Provider`] naming it.
pub fn check_named(config: &Config) -> Result<()> {
    let loaded = library::load(config.runtime_library.as_deref())?;
    if is_in_library(config.provider) {
        return Ok(());
    }
    let (provider, path) = (config.provider, loaded.path.display());
    Err(Error::Provider {
        model: config.general_model.clone(),
        requested: provider.to_string(),
        reasons: format!(
            "{provider}: {path} was built without it; set runtime-library to one that has it, or provider=auto takes the best that works"
        ),
    })
}

/// The runtime's registrations for `provider`, or the reason why the settings rule it out.
pub(super) fn registrations(
    provider: Provider,
    config: &Config,
    precision: Precision,
    profile: &Profile,
    extras: &Extras,
) -> std::result::Result<Vec<ExecutionProviderDispatch>, String> {
    if i32::try_from(config.device_id).is_err() {
        return Err(format!("no device {}", config.device_id));
    }
    let cuda = |graph| {
        let options = cuda_options(config, graph).into_iter();
        options
            .fold(ep::CUDA::default(), |cuda, (name, value)| {
                cuda.with_arbitrary_config(name, value)
            })
            .build()
    };
    let dispatches = match provider {
        Provider::TensorRt => {
            let options = tensorrt_options(config, precision, profile, extras).into_iter();
            let tensorrt = options.fold(ep::TensorRT::default(), |tensorrt, (name, value)| {
                tensorrt.with_arbitrary_config(name, value)
            });
            // CUDA takes the nodes that TensorRT cannot.
            vec![tensorrt.build(), cuda(false)]
        }
        Provider::Cuda => vec![cuda(extras.graph)],
        Provider::OpenVino => {
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
            vec![options.build()]
        }
        Provider::Cpu | Provider::Auto => {
            // With its arena the runtime keeps memory from run to run. Measured with general-x4: over runs of 32 to 512 pixels a
            // side it holds 266 MB, reached after 60 runs and the same after 150, and takes 0.82 of the processor time; without,
            // it swings between 99 and 416 MB, because every buffer is mapped and unmapped anew. Giving the memory back
            // after each run (memory.enable_memory_arena_shrinkage) held 152 MB between runs, but peaked at 333 MB.
            vec![ep::CPU::default().with_arena_allocator(true).build()]
        }
    };
    Ok(dispatches
        .into_iter()
        .map(ExecutionProviderDispatch::error_on_failure)
        .collect())
}

/// Opens and runs a network of one node on `provider`, for diagnosis.
///
/// # Errors
/// [`Error::Runtime`] without a library, [`Error::Provider`] with the reason otherwise.
pub fn try_provider(provider: Provider, config: &Config) -> Result<()> {
    let config = Config {
        provider,
        ..config.clone()
    };
    super::session::Network::open_bytes(RELU, "relu", &config).map(drop)
}

/// `output = Relu(input)`, f32[1, 3, 8, 8], as an ONNX file (IR version 8, opset 17).
#[rustfmt::skip]
const RELU: &[u8] = b"\x08\x08\x3a\x5d\x0a\x15\x0a\x05input\x12\x06output\x22\x04Relu\x12\x01gZ\x1f\x0a\x05input\x12\x16\x0a\
    \x14\x08\x01\x12\x10\x0a\x02\x08\x01\x0a\x02\x08\x03\x0a\x02\x08\x08\x0a\x02\x08\x08b\x20\x0a\x06outp\
    ut\x12\x16\x0a\x14\x08\x01\x12\x10\x0a\x02\x08\x01\x0a\x02\x08\x03\x0a\x02\x08\x08\x0a\x02\x08\x08B\x04\
    \x0a\x00\x10\x11";

#[cfg(test)]
mod tests {
    use super::*;

    fn free(name: &str, shape: [i64; 4]) -> Port {
        Port {
            name: name.into(),
            element: "f32".into(),
            is_f32: true,
            shape: shape.to_vec(),
        }
    }

    fn value<'a>(options: &'a Options, name: &str) -> Option<&'a str> {
        let found = options.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn tensorrt_is_told_shapes_precision_and_where_to_keep_things() {
        let config = Config {
            device_id: 2,
            ..Config::default()
        };
        let floats = Way::default();
        let mut profile = Profile::new(Some([4, 3, 256, 384]), &floats);
        profile.inputs.push(free("picture", [-1, 3, -1, -1]));
        let extras = Extras {
            cache: Some("/c/key".into()),
            ..Extras::default()
        };
        let options = tensorrt_options(&config, Precision::Fp16, &profile, &extras);
        for (name, expected) in [
            ("device_id", "2"),
            ("trt_fp16_enable", "1"),
            ("trt_profile_min_shapes", "picture:1x3x16x16"),
            ("trt_profile_opt_shapes", "picture:4x3x256x384"),
            ("trt_profile_max_shapes", "picture:4x3x256x384"),
            ("trt_engine_cache_enable", "1"),
            ("trt_engine_cache_path", "/c/key"),
            ("trt_timing_cache_enable", "1"),
            ("trt_timing_cache_path", "/c/key"),
        ] {
            assert_eq!(value(&options, name), Some(expected), "{name}");
        }
        for absent in ["trt_cuda_graph_enable", "trt_dump_ep_context_model"] {
            assert_eq!(value(&options, absent), None, "{absent}");
        }

        // All tiles of one size unless told; sides that the file fixes stay; a file without free sides needs no profile.
        let none = Extras::default();
        let mut any = Profile::new(None, &floats);
        any.inputs.push(free("images", [1, 3, -1, -1]));
        let options = tensorrt_options(&config, Precision::Fp32, &any, &none);
        assert_eq!(value(&options, "trt_fp16_enable"), Some("0"));
        assert_eq!(
            value(&options, "trt_profile_min_shapes"),
            Some("images:1x3x16x16")
        );
        assert_eq!(
            value(&options, "trt_profile_max_shapes"),
            Some("images:1x3x1024x1024")
        );
        assert_eq!(value(&options, "trt_engine_cache_enable"), None);
        any.inputs = vec![free("images", [1, 3, 640, 640])];
        let options = tensorrt_options(&config, Precision::Fp32, &any, &none);
        assert_eq!(value(&options, "trt_profile_min_shapes"), None);
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
            let options = cuda_options(&config, false);
            assert_eq!(value(&options, "use_tf32"), Some(expected));
            assert_eq!(value(&options, "enable_cuda_graph"), None);
        }
    }

    #[test]
    fn a_graph_and_a_context_file_are_asked_for_and_are_keys_of_their_own() {
        let config = Config::default();
        let encoding = crate::picture::tensor::Encoding::default();
        let bytes = Way {
            bytes: Some(encoding),
            graph: None,
        };
        let graph = Way {
            graph: Some([4, 3, 256, 384]),
            ..bytes
        };
        // Bytes are packed: the channels come last.
        let mut profile = Profile::new(Some([4, 3, 256, 384]), &bytes);
        profile.inputs.push(free("picture", [-1, -1, -1, 3]));
        let extras = Extras {
            graph: true,
            cache: Some("/c/key".into()),
            context: Some("/c/key/context.onnx".into()),
        };
        let options = tensorrt_options(&config, Precision::Fp16, &profile, &extras);
        for (name, expected) in [
            ("trt_profile_min_shapes", Some("picture:1x16x16x3")),
            ("trt_profile_max_shapes", Some("picture:4x256x384x3")),
            ("trt_cuda_graph_enable", Some("1")),
            ("trt_engine_cache_enable", Some("1")),
            // The runtime wants it relative to the context file: the same folder.
            ("trt_engine_cache_path", None),
            ("trt_timing_cache_path", Some("/c/key")),
            ("trt_dump_ep_context_model", Some("1")),
            ("trt_ep_context_file_path", Some("/c/key/context.onnx")),
            ("trt_ep_context_embed_mode", Some("0")),
        ] {
            assert_eq!(value(&options, name), expected, "{name}");
        }
        let options = cuda_options(&config, true);
        assert_eq!(value(&options, "enable_cuda_graph"), Some("1"));

        let bgr = Way {
            bytes: Some(crate::picture::tensor::Encoding {
                channels: crate::picture::tensor::Channels::Bgr,
                ..encoding
            }),
            graph: None,
        };
        let keys = [Way::default(), bytes, bgr, graph]
            .map(|way| fixed_options(Provider::TensorRt, &config, Precision::Fp16, &way));
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
        // What is compiled is the same with a graph: both sessions of a stream use it.
        assert_eq!(keys[1], keys[3]);
        assert_ne!(bytes.key(), graph.key());
        // What was compiled before there were other ways keeps its key.
        assert!(!keys[0].contains("bytes") && !keys[0].contains("graph"));
    }

    #[test]
    fn precisions_are_those_that_providers_gain_by() {
        use Precision::{Auto, Fp16, Fp32};
        for provider in Provider::ORDER {
            assert_eq!(provider.precision(Fp32), Fp32);
            assert_eq!(provider.precision(Fp16), Fp16);
            let gains = provider == Provider::TensorRt;
            assert_eq!(provider.precision(Auto), if gains { Fp16 } else { Fp32 });
        }
        assert!(Provider::TensorRt.reduces(Fp16) && !Provider::TensorRt.reduces(Fp32));
        // CUDA computes in what the file is made of.
        assert!(!Provider::Cuda.reduces(Fp16));
    }
}
