//! NVIDIA TensorRT: compiles a model for shapes that it is told, which takes minutes, and keeps what it compiled.

use std::path::{Path, PathBuf};

use ort::ep::{
    self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch,
};

use super::options::{OptionList, ProviderExtras, ShapeProfile, switch, words};
use crate::runtime::io_mode::IoMode;
use crate::settings::{Config, Precision};

/// Whether the library was built with it; should it not be told, trying will tell.
pub(super) fn is_in_library() -> bool {
    ep::TensorRT::is_available().unwrap_or(true)
}

pub(super) fn options(
    config: &Config,
    precision: Precision,
    profile: &ShapeProfile,
    extras: &ProviderExtras,
) -> OptionList {
    let mut options = vec![
        ("device_id", config.device_id.to_string()),
        ("trt_fp16_enable", switch(precision == Precision::Fp16)),
        // Between building for minutes and running slowly; TensorRT's own default.
        ("trt_builder_optimization_level", "3".to_owned()),
    ];
    if profile.inputs.iter().any(|port| port.shape.contains(&-1)) {
        options.push(("trt_profile_min_shapes", profile.shapes(profile.least)));
        options.push(("trt_profile_opt_shapes", profile.shapes(profile.best)));
        options.push(("trt_profile_max_shapes", profile.shapes(profile.most)));
    }
    if extras.graph {
        options.push(("trt_cuda_graph_enable", switch(true)));
    }
    if let Some(dir) = &extras.cache {
        let dir = dir.to_string_lossy().into_owned();
        options.extend([
            ("trt_engine_cache_enable", switch(true)),
            ("trt_engine_cache_prefix", "srfusion".to_owned()),
            ("trt_timing_cache_enable", switch(true)),
            ("trt_timing_cache_path", dir.clone()),
        ]);
        match &extras.context {
            // The engine's folder is then that of the context file, which names the engine, and may do so only by a relative path.
            Some(file) => options.extend([
                ("trt_dump_ep_context_model", switch(true)),
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

/// What else it is told, for the key of its cache.
pub(super) fn cache_options(config: &Config, precision: Precision, mode: &IoMode) -> String {
    let profile = ShapeProfile::new(None, &IoMode::default());
    let options = words(&options(
        config,
        precision,
        &profile,
        &ProviderExtras::default(),
    ));
    // What is compiled does not depend on whether runs of it are captured: one folder serves both.
    match mode.without_graph().key() {
        key if key.is_empty() => options,
        key => format!("{options} {key}"),
    }
}

/// The runtime's registration of it.
pub(super) fn registration(
    config: &Config,
    precision: Precision,
    profile: &ShapeProfile,
    extras: &ProviderExtras,
) -> ExecutionProviderDispatch {
    options(config, precision, profile, extras)
        .into_iter()
        .fold(ep::TensorRT::default(), |tensorrt, (name, value)| {
            tensorrt.with_arbitrary_config(name, value)
        })
        .build()
}

/// Version of the TensorRT library that the loader will take, as its file tells it: there is no way to ask before it is loaded.
pub(in crate::runtime) fn tensorrt_version() -> String {
    let listed = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&listed).collect();
    let configured = std::fs::read_dir("/etc/ld.so.conf.d")
        .into_iter()
        .flatten()
        .flatten();
    for file in configured {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        folders.extend(text.lines().map(|line| PathBuf::from(line.trim())));
    }
    folders.extend(["/usr/local/lib", "/usr/lib64", "/usr/lib", "/lib"].map(PathBuf::from));
    folders.push(format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH).into());
    folders
        .iter()
        .filter(|folder| folder.is_absolute())
        .find_map(|folder| version_of(&folder.join("libnvinfer.so.10")))
        .unwrap_or_else(|| "unknown".into())
}

/// `10.9.0` for a link to `libnvinfer.so.10.9.0`; size and time of a file whose name tells nothing more; `None` without one.
fn version_of(library: &Path) -> Option<String> {
    let file = library.canonicalize().ok()?;
    let name = file.file_name()?.to_str()?;
    let version = name.split_once(".so.").map_or("", |(_, version)| version);
    if version.contains('.') {
        return Some(version.to_owned());
    }
    let of = file.metadata().ok()?;
    let time = of.modified().ok()?.duration_since(std::time::UNIX_EPOCH);
    Some(format!("{}-{}", of.len(), time.map_or(0, |t| t.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Channels, Encoding};
    use crate::runtime::port::Port;

    fn free(name: &str, shape: [i64; 4]) -> Port {
        Port {
            name: name.into(),
            element: "f32".into(),
            is_f32: true,
            shape: shape.to_vec(),
        }
    }

    fn value<'a>(options: &'a OptionList, name: &str) -> Option<&'a str> {
        let found = options.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn tensorrt_is_told_shapes_precision_and_where_to_keep_things() {
        let config = Config {
            device_id: 2,
            ..Config::default()
        };
        let floats = IoMode::default();
        let mut profile = ShapeProfile::new(Some([4, 3, 256, 384]), &floats);
        profile.inputs.push(free("picture", [-1, 3, -1, -1]));
        let extras = ProviderExtras {
            cache: Some("/c/key".into()),
            ..ProviderExtras::default()
        };
        let options = super::options(&config, Precision::Fp16, &profile, &extras);
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
        let none = ProviderExtras::default();
        let mut any = ShapeProfile::new(None, &floats);
        any.inputs.push(free("images", [1, 3, -1, -1]));
        let options = super::options(&config, Precision::Fp32, &any, &none);
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
        let options = super::options(&config, Precision::Fp32, &any, &none);
        assert_eq!(value(&options, "trt_profile_min_shapes"), None);
    }

    #[test]
    fn a_graph_and_a_context_file_are_asked_for_and_are_keys_of_their_own() {
        let config = Config::default();
        let encoding = Encoding::default();
        let bytes = IoMode {
            bytes: Some(encoding),
            graph: None,
        };
        let graph = IoMode {
            graph: Some([4, 3, 256, 384]),
            ..bytes
        };
        // Bytes are packed: the channels come last.
        let mut profile = ShapeProfile::new(Some([4, 3, 256, 384]), &bytes);
        profile.inputs.push(free("picture", [-1, -1, -1, 3]));
        let extras = ProviderExtras {
            graph: true,
            cache: Some("/c/key".into()),
            context: Some("/c/key/context.onnx".into()),
        };
        let options = super::options(&config, Precision::Fp16, &profile, &extras);
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
        let options = super::super::cuda::options(&config, true);
        assert_eq!(value(&options, "enable_cuda_graph"), Some("1"));

        let bgr = IoMode {
            bytes: Some(Encoding {
                channels: Channels::Bgr,
                ..encoding
            }),
            graph: None,
        };
        let keys = [IoMode::default(), bytes, bgr, graph]
            .map(|mode| cache_options(&config, Precision::Fp16, &mode));
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
        // What is compiled is the same with a graph: both sessions of a stream use it.
        assert_eq!(keys[1], keys[3]);
        assert_ne!(bytes.key(), graph.key());
        // What was compiled before there were other ways keeps its key.
        assert!(!keys[0].contains("bytes") && !keys[0].contains("graph"));
    }

    #[test]
    fn the_version_is_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let link = folder.join("libnvinfer.so.10");
        assert_eq!(version_of(&link), None);
        std::fs::write(&link, "wheel").unwrap();
        assert!(version_of(&link).unwrap().starts_with("5-"));
        std::fs::remove_file(&link).unwrap();
        std::fs::write(folder.join("libnvinfer.so.10.9.0"), "").unwrap();
        std::os::unix::fs::symlink("libnvinfer.so.10.9.0", &link).unwrap();
        assert_eq!(version_of(&link).unwrap(), "10.9.0");
    }
}
