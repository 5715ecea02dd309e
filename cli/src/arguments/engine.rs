//! What the engine is to do, with which models and where: the options that several commands take, and their translation
//! into the engine's configuration and into the element's properties.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use srfusion::{Config, Parameters};

use crate::arguments::values::{duration, name};

/// Where and how networks run. Each option is spelt as the element's property.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Runtime (as the properties of the element srfusion)")]
pub struct RuntimeOptions {
    /// ONNX Runtime's shared library [default: ORT_DYLIB_PATH, what scripts/setup installed, the system's].
    #[arg(long, value_name = "FILE")]
    pub runtime_library: Option<PathBuf>,
    /// Execution provider; `auto` takes the first that works, a named one must work.
    #[arg(long, value_enum)]
    pub provider: Option<ProviderName>,
    /// Index of the accelerator.
    #[arg(long, value_name = "N")]
    pub device_id: Option<u32>,
    /// Arithmetic of the networks.
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionName>,
    /// Threads that a network may use, 0 for all cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub threads: Option<u32>,
    /// Folder for what providers compile.
    #[arg(long, value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
}

/// Which models to run. Each option is spelt as the element's property.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Models (as the properties of the element srfusion)")]
pub struct ModelOptions {
    /// General generator: a name in models.toml or an ONNX file [default: general-x4].
    #[arg(long, value_name = "NAME|FILE")]
    pub general_model: Option<String>,
    /// Face generator, likewise; `none` runs the general generator alone [default: face-x4].
    #[arg(long, value_name = "NAME|FILE")]
    pub face_model: Option<String>,
    /// Face detector, likewise; `none` finds no face [default: face-detector].
    #[arg(long, value_name = "NAME|FILE")]
    pub detector_model: Option<String>,
    /// Folder of models.toml [default: SRFUSION_MODELS, beside the program, the installed one].
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
}

impl ModelOptions {
    /// Puts what was given into `config`.
    pub fn apply(&self, config: &mut Config) {
        for (setting, given) in [
            (&mut config.general_model, &self.general_model),
            (&mut config.face_model, &self.face_model),
            (&mut config.detector_model, &self.detector_model),
        ] {
            if let Some(name) = given {
                setting.clone_from(name);
            }
        }
        config.models_dir.clone_from(&self.models_dir);
    }
}

/// What the engine is to do. Each option is spelt as the element's property; what is not given keeps its default there.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Engine (as the properties of the element srfusion)")]
pub struct EngineOptions {
    /// The models.
    #[command(flatten)]
    pub models: ModelOptions,
    /// Longest side of a tile in input pixels, 0 to have it chosen.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(0..=65536))]
    pub tile_size: Option<u32>,
    /// Context around a tile in input pixels, -1 for the generator's receptive radius.
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-1..=4096))]
    pub tile_overlap: Option<i32>,
    /// Frames under way at a time, for videos: the next is compared and searched for faces while one is drawn; 0 is 2 where a device
    /// draws, else 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=srfusion::MAX_DEPTH as i64))]
    pub frames_in_flight: Option<u32>,
    /// Margin of the face mask, as a fraction of the face's box.
    #[arg(long, value_name = "FRACTION")]
    pub mask_padding: Option<f64>,
    /// Softness of the face mask's edge, as a fraction of the face's box.
    #[arg(long, value_name = "FRACTION")]
    pub mask_sigma: Option<f64>,
    /// Frames from one detection to the next; 0 is every frame in which something moved.
    #[arg(long, value_name = "FRAMES")]
    pub detect_interval: Option<u32>,
    /// Score from which a face is believed, 0 to 1.
    #[arg(long, value_name = "SCORE")]
    pub min_confidence: Option<f64>,
    /// Height in input pixels from which a face counts.
    #[arg(long, value_name = "PIXELS")]
    pub min_face_size: Option<f64>,
    /// Most faces followed at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub max_faces: Option<u32>,
    /// How strongly boxes are smoothed over time, 0 (not at all) to 1.
    #[arg(long, value_name = "STRENGTH")]
    pub smoothing: Option<f64>,
    /// How long a face that is lost is kept: `400ms`, `0.4s`, or a number of nanoseconds.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub hold_time: Option<Duration>,
    /// How long a face fades in and out, written likewise.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub fade_time: Option<Duration>,
    /// Which results of earlier frames are kept.
    #[arg(long, value_enum)]
    pub reuse: Option<ReuseName>,
    /// Difference in levels of 255 that `--reuse tolerant` takes for noise, 0 to estimate it.
    #[arg(long, value_name = "LEVELS")]
    pub reuse_threshold: Option<f64>,
    /// Longest time that `--reuse tolerant` keeps a result that is not exact, written as `--fade-time`.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub refresh_time: Option<Duration>,
    /// What to show.
    #[arg(long, value_enum)]
    pub view: Option<ViewName>,
    /// Where and how networks run.
    #[command(flatten)]
    pub runtime: RuntimeOptions,
}

/// Names of the ways to keep earlier results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReuseName {
    /// Every frame is drawn anew
    None,
    /// Where no pixel changed; the picture is the same
    Exact,
    /// Where pixels changed by no more than the camera's noise
    Tolerant,
}

impl From<ReuseName> for srfusion::Reuse {
    fn from(name: ReuseName) -> Self {
        match name {
            ReuseName::None => Self::None,
            ReuseName::Exact => Self::Exact,
            ReuseName::Tolerant => Self::Tolerant,
        }
    }
}

/// Names of the execution providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProviderName {
    /// The first of the others that works
    Auto,
    /// NVIDIA TensorRT
    #[value(name = "tensorrt")]
    TensorRt,
    /// NVIDIA CUDA
    Cuda,
    /// Intel OpenVINO
    #[value(name = "openvino")]
    OpenVino,
    /// ONNX Runtime's own kernels
    Cpu,
}

impl From<ProviderName> for srfusion::Provider {
    fn from(name: ProviderName) -> Self {
        match name {
            ProviderName::Auto => Self::Auto,
            ProviderName::TensorRt => Self::TensorRt,
            ProviderName::Cuda => Self::Cuda,
            ProviderName::OpenVino => Self::OpenVino,
            ProviderName::Cpu => Self::Cpu,
        }
    }
}

/// Names of the precisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    /// Half precision where the provider gains by it
    Auto,
    /// Single precision
    Fp32,
    /// Half precision
    Fp16,
}

impl From<PrecisionName> for srfusion::Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Auto => Self::Auto,
            PrecisionName::Fp32 => Self::Fp32,
            PrecisionName::Fp16 => Self::Fp16,
        }
    }
}

/// Names of the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ViewName {
    /// The general and the face generator's pictures, fused
    Fused,
    /// The general generator's picture
    General,
    /// The face generator's picture
    Face,
    /// The face mask
    Mask,
    /// Bicubic on the left, fused on the right
    Split,
    /// Bicubic interpolation
    Bicubic,
}

impl From<ViewName> for srfusion::View {
    fn from(name: ViewName) -> Self {
        match name {
            ViewName::Fused => Self::Fused,
            ViewName::General => Self::General,
            ViewName::Face => Self::Face,
            ViewName::Mask => Self::Mask,
            ViewName::Split => Self::Split,
            ViewName::Bicubic => Self::Bicubic,
        }
    }
}

impl RuntimeOptions {
    /// Puts what was given into `config`.
    pub fn apply(&self, config: &mut Config) {
        let Self {
            runtime_library,
            provider,
            device_id,
            precision,
            threads,
            cache_dir,
        } = self.clone();
        config.runtime_library = runtime_library.or(config.runtime_library.take());
        config.provider = provider.map_or(config.provider, Into::into);
        config.device_id = device_id.unwrap_or(config.device_id);
        config.precision = precision.map_or(config.precision, Into::into);
        config.threads = threads.map_or(config.threads, |threads| threads as usize);
        config.cache_dir = cache_dir.or(config.cache_dir.take());
    }

    /// What was given, as properties of the element with their values in GStreamer's notation.
    fn properties(&self) -> Vec<(&'static str, Option<String>)> {
        let path = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| path.to_string_lossy().into_owned())
        };
        vec![
            ("runtime-library", path(&self.runtime_library)),
            ("provider", self.provider.as_ref().map(name)),
            ("device-id", self.device_id.map(|id| id.to_string())),
            ("precision", self.precision.as_ref().map(name)),
            ("threads", self.threads.map(|threads| threads.to_string())),
            ("cache-dir", path(&self.cache_dir)),
        ]
    }
}

/// The configuration that every command starts from: models are looked for near this program.
pub fn config_here() -> Config {
    Config {
        near: std::env::current_exe().ok(),
        ..Config::default()
    }
}

impl EngineOptions {
    /// What is fixed when models are opened.
    pub fn config(&self) -> Config {
        let mut config = config_here();
        self.models.apply(&mut config);
        config.tile_size = self
            .tile_size
            .map_or(config.tile_size, |side| side as usize);
        config.tile_overlap = self
            .tile_overlap
            .and_then(|overlap| usize::try_from(overlap).ok());
        self.runtime.apply(&mut config);
        config
    }

    /// What may change between frames.
    ///
    /// # Errors
    /// [`srfusion::Error::Setting`] naming the option that is out of range.
    pub fn parameters(&self) -> srfusion::Result<Parameters> {
        let default = Parameters::default();
        let parameters = Parameters {
            view: self.view.map_or(default.view, Into::into),
            mask_padding: self.mask_padding.unwrap_or(default.mask_padding),
            mask_sigma: self.mask_sigma.unwrap_or(default.mask_sigma),
            detect_interval: self.detect_interval.unwrap_or(default.detect_interval),
            min_confidence: self.min_confidence.unwrap_or(default.min_confidence),
            min_face_size: self.min_face_size.unwrap_or(default.min_face_size),
            max_faces: self
                .max_faces
                .map_or(default.max_faces, |faces| faces as usize),
            smoothing: self.smoothing.unwrap_or(default.smoothing),
            hold_time: self.hold_time.unwrap_or(default.hold_time),
            fade_time: self.fade_time.unwrap_or(default.fade_time),
            reuse: self.reuse.map_or(default.reuse, Into::into),
            reuse_threshold: self.reuse_threshold.unwrap_or(default.reuse_threshold),
            refresh_time: self.refresh_time.unwrap_or(default.refresh_time),
        };
        parameters.validate()?;
        Ok(parameters)
    }

    /// What was given, as properties of the element with their values in GStreamer's notation. `models-dir` is left to
    /// the caller, who knows where this program lies.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let nanoseconds = |time: Option<Duration>| time.map(|time| time.as_nanos().to_string());
        let mut properties = vec![
            ("general-model", self.models.general_model.clone()),
            ("face-model", self.models.face_model.clone()),
            ("detector-model", self.models.detector_model.clone()),
            ("tile-size", self.tile_size.map(|side| side.to_string())),
            (
                "tile-overlap",
                self.tile_overlap.map(|overlap| overlap.to_string()),
            ),
            (
                "frames-in-flight",
                self.frames_in_flight.map(|frames| frames.to_string()),
            ),
            ("mask-padding", number(self.mask_padding)),
            ("mask-sigma", number(self.mask_sigma)),
            (
                "detect-interval",
                self.detect_interval.map(|frames| frames.to_string()),
            ),
            ("min-confidence", number(self.min_confidence)),
            ("min-face-size", number(self.min_face_size)),
            ("max-faces", self.max_faces.map(|faces| faces.to_string())),
            ("smoothing", number(self.smoothing)),
            ("hold-time", nanoseconds(self.hold_time)),
            ("fade-time", nanoseconds(self.fade_time)),
            ("reuse", self.reuse.as_ref().map(name)),
            ("reuse-threshold", number(self.reuse_threshold)),
            ("refresh-time", nanoseconds(self.refresh_time)),
            ("view", self.view.as_ref().map(name)),
        ];
        properties.extend(self.runtime.properties());
        properties
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        options: EngineOptions,
    }

    #[test]
    fn names_are_those_of_the_engine() {
        for value in ProviderName::value_variants() {
            assert_eq!(name(value), srfusion::Provider::from(*value).name());
        }
        for value in PrecisionName::value_variants() {
            assert_eq!(name(value), srfusion::Precision::from(*value).name());
        }
        for value in ReuseName::value_variants() {
            assert_eq!(name(value), srfusion::Reuse::from(*value).name());
        }
    }

    #[test]
    fn options_reach_both_sides() {
        let typed = "srfusion --view mask --hold-time 1s --tile-overlap -1 --threads 3 --smoothing 0.5 --frames-in-flight 2";
        let options = Typed::try_parse_from(typed.split(' ')).unwrap().options;
        let (config, parameters) = (options.config(), options.parameters().unwrap());
        assert_eq!((config.threads, config.tile_overlap), (3, None));
        assert_eq!(
            (parameters.view, parameters.hold_time),
            (srfusion::View::Mask, Duration::from_secs(1))
        );
        let properties = options.properties();
        for expected in [
            ("view", "mask"),
            ("hold-time", "1000000000"),
            ("tile-overlap", "-1"),
            ("threads", "3"),
            ("smoothing", "0.5"),
            ("frames-in-flight", "2"),
        ] {
            assert!(
                properties
                    .iter()
                    .any(|(name, value)| (*name, value.as_str()) == expected),
                "{properties:?}"
            );
        }
        assert_eq!(properties.len(), 6);
    }
}
