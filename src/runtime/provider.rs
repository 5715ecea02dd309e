//! Execution providers: their names, the order in which `auto` tries them, and their options.

use std::path::PathBuf;

use ort::ep::{self, ExecutionProviderDispatch};

use crate::config::{Config, Precision};
use crate::error::{Error, Result};

/// Where a network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Provider {
    /// The first of the others that works.
    #[default]
    Auto,
    /// NVIDIA TensorRT.
    TensorRt,
    /// NVIDIA CUDA.
    Cuda,
    /// Intel OpenVINO.
    OpenVino,
    /// ONNX Runtime's own kernels.
    Cpu,
}

impl Provider {
    /// Every value.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::TensorRt,
        Self::Cuda,
        Self::OpenVino,
        Self::Cpu,
    ];
    /// What `auto` tries, in order.
    pub const ORDER: [Self; 4] = [Self::TensorRt, Self::Cuda, Self::OpenVino, Self::Cpu];

    /// Name as the element's property spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::OpenVino => "openvino",
            Self::Cpu => "cpu",
        }
    }

    /// The providers to try for this choice.
    pub fn candidates(self) -> Vec<Self> {
        if self == Self::Auto {
            Self::ORDER.to_vec()
        } else {
            vec![self]
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Provider {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|p| p.name() == name)
            .ok_or_else(|| Error::Setting {
                name: "provider".into(),
                expected: Self::ALL.map(Self::name).join(", "),
                found: name.to_owned(),
            })
    }
}

/// What decides whether something compiled for one network may serve another: one cache folder for each value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheKey {
    pub(super) sha256: String,
    pub(super) precision: Precision,
    pub(super) device_id: u32,
    pub(super) runtime: String,
    /// Sides of the network's input that the provider compiles for.
    pub(super) shape: [usize; 4],
}

impl CacheKey {
    /// The key as a folder name.
    pub(super) fn folder(&self) -> String {
        let [n, c, h, w] = self.shape;
        let hash: String = self.sha256.chars().take(16).collect();
        format!(
            "{hash}-{n}x{c}x{h}x{w}-{}-device{}-ort{}",
            self.precision.name(),
            self.device_id,
            self.runtime
        )
    }
}

/// The user's cache folder for srfusion.
pub(super) fn default_cache_dir() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|dir| dir.join("srfusion"))
}

/// The runtime's registration of `provider`, or the reason why the settings rule it out.
pub(super) fn registration(
    provider: Provider,
    config: &Config,
    key: &CacheKey,
) -> std::result::Result<ExecutionProviderDispatch, String> {
    let device =
        i32::try_from(config.device_id).map_err(|_| format!("no device {}", config.device_id))?;
    let cache = || {
        let dir = config
            .cache_dir
            .clone()
            .or_else(default_cache_dir)?
            .join(provider.name())
            .join(key.folder());
        // Without a cache the provider compiles anew each time: slower, not wrong.
        std::fs::create_dir_all(&dir).ok()?;
        Some(dir.to_string_lossy().into_owned())
    };
    let half = config.precision != Precision::Fp32;
    let dispatch = match provider {
        Provider::TensorRt => {
            let mut options = ep::TensorRT::default()
                .with_device_id(device)
                .with_fp16(half);
            if let Some(dir) = cache() {
                options = options
                    .with_engine_cache(true)
                    .with_engine_cache_path(&dir)
                    .with_timing_cache(true)
                    .with_timing_cache_path(&dir);
            }
            options.build()
        }
        Provider::Cuda if config.precision == Precision::Fp16 => {
            return Err(
                "precision=fp16 needs a half precision model here; expected fp32 or auto".into(),
            );
        }
        Provider::Cuda => ep::CUDA::default()
            .with_device_id(device)
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
            .build(),
        Provider::OpenVino => {
            let precision = if config.precision == Precision::Fp16 {
                "FP16"
            } else {
                "FP32"
            };
            let mut options = ep::OpenVINO::default()
                .with_device_type("CPU")
                .with_precision(precision);
            if let Some(dir) = cache() {
                options = options.with_cache_dir(dir);
            }
            options.build()
        }
        Provider::Cpu | Provider::Auto if config.precision == Precision::Fp16 => {
            return Err(
                "precision=fp16 is not served by the CPU's kernels; expected fp32 or auto".into(),
            );
        }
        Provider::Cpu | Provider::Auto => ep::CPU::default().build(),
    };
    Ok(dispatch.error_on_failure())
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
