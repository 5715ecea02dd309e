//! Everything that can be typed: commands and options, and their translation into the engine's configuration and into
//! the element's properties. Reads no file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use srfusion::{Config, Parameters};

/// Upscale pictures and videos four times, with a network of its own for faces.
#[derive(Debug, Parser)]
#[command(
    name = "srfusion",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Exit status: 0 done, 1 failed, 2 wrong usage.")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upscale a picture or a video four times.
    Upscale(Box<UpscaleOptions>),
    /// Measure PSNR and SSIM of upscaled pictures against the true ones.
    Eval(Box<EvalOptions>),
    /// Measure the speed beside a bare loop over ONNX Runtime and the machine's multiply-add peak.
    Bench(Box<BenchOptions>),
    /// Look at model files.
    Models(ModelsOptions),
    /// Say whether this machine has what srfusion needs, and what to do where it has not.
    Doctor(DoctorOptions),
}

/// Options of `upscale`.
#[derive(Debug, Args)]
#[command(after_help = "\
Pictures: PNG, JPEG, WebP, BMP, TIFF in and out, 8 or 16 bit, colour or grey, with or without transparency.
Videos: whatever GStreamer decodes in; .mp4 .m4v .mov .mkv with H.264 and .webm with VP9 out. Every frame keeps its time,
sound is copied where the container takes it, and colours keep the input's matrix and range.
OUT appears only when it is complete.")]
pub struct UpscaleOptions {
    /// Picture or video to upscale.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// File to write; its extension says what it becomes. An existing file is replaced.
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Print the result as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors and warnings.
    #[arg(long, short)]
    pub quiet: bool,
    /// Constant quality of the encoded video, 0 (best, huge) to 50.
    #[arg(long, value_name = "N", default_value_t = 17, value_parser = clap::value_parser!(u32).range(0..=50))]
    pub crf: u32,
    /// Quality of a JPEG, 1 to 100 (best).
    #[arg(long, value_name = "N", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub jpeg_quality: u8,
    /// Encoder element for the video, instead of the first of those known that is installed.
    #[arg(long, value_name = "ELEMENT")]
    pub encoder: Option<String>,
    /// Leave the sound out.
    #[arg(long)]
    pub no_sound: bool,
    /// What the engine is to do.
    #[command(flatten)]
    pub engine: EngineOptions,
}

/// Options of `eval`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each picture of HR_DIR is cut to sides that are multiples of 4, made four times smaller, upscaled, and compared with what it was:
on luma (BT.601, 16 to 235) of 8-bit pictures, 4 pixels of the border left out; SSIM with a Gaussian window of 11x11 and sigma
1.5. Smaller pictures are made as MATLAB's imresize makes them (bicubic, antialiased), or taken from --lr. Bicubic enlargement
by the same function stands beside. Losslessly stored pictures give the numbers of the Python evaluation in models/training.")]
pub struct EvalOptions {
    /// Folder of true pictures.
    #[arg(value_name = "HR_DIR")]
    pub truth: PathBuf,
    /// Folder of pictures four times smaller, with the same names (or with `x4` before the extension), instead of making them.
    #[arg(long, value_name = "DIR")]
    pub lr: Option<PathBuf>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub quiet: bool,
    /// What the engine is to do; of the views `fused`, `general`, `face` and `bicubic` can be measured.
    #[command(flatten)]
    pub engine: EngineOptions,
}

/// Options of `bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
Rows take turns, each round beginning with another; medians are printed, and ratios are medians of the ratios within a round.
Frames are in memory before anything is timed. The row `bare` runs the general generator on whole frames from 32-bit floats to
32-bit floats with the engine's session options, with nothing before and after; `whole` runs both generators so. The peak is a
large matrix product in the same runtime. Times of one machine at one hour: compare within one run, not between runs.")]
pub struct BenchOptions {
    /// Video to take frames from, instead of making them.
    #[arg(value_name = "CLIP")]
    pub clip: Option<PathBuf>,
    /// Frames to make.
    #[arg(long, value_enum, default_value_t = SyntheticName::Moving, conflicts_with = "clip")]
    pub synthetic: SyntheticName,
    /// Size of the frames to make.
    #[arg(long, value_name = "WxH", value_parser = size, default_value = "640x360", conflicts_with = "clip")]
    pub size: srfusion::Size,
    /// Number of frames, or of the clip's frames at most.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..))]
    pub frames: u32,
    /// Frames at the clip's start to leave out.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u32,
    /// Standard deviation of `noise`, in levels of 255.
    #[arg(long, value_name = "LEVELS", default_value_t = 2.0)]
    pub noise: f64,
    /// Share of the area that moves in `moving`.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.25, value_parser = fraction)]
    pub share: f64,
    /// Picture whose largest face is shown in `faces`.
    #[arg(long, value_name = "FILE")]
    pub portrait: Option<PathBuf>,
    /// Number of faces in `faces`.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub faces: u32,
    /// Height of a face in `faces`, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=4096))]
    pub face_height: u32,
    /// What to measure, in order [default: engine,element,bare, with a face generator also general,whole].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW,...")]
    pub rows: Vec<RowName>,
    /// Rounds in which every row has a turn.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Also compare the pictures: `engine` with a fusion of whole frames, `exact` and `tolerant` with `none`.
    #[arg(long)]
    pub check: bool,
    /// Leave the multiply-add peak out.
    #[arg(long)]
    pub no_peak: bool,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub quiet: bool,
    /// What the engine is to do.
    #[command(flatten)]
    pub engine: EngineOptions,
}

/// Streams that `bench` can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SyntheticName {
    /// The same picture again and again
    Static,
    /// The same picture with new noise in every frame
    Noise,
    /// A part of the picture moves, the rest stands still
    Moving,
    /// Faces sway before a picture that stands still
    Faces,
}

/// What `bench` can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowName {
    /// The engine as the options have it
    Engine,
    /// The element as the options have it, in a pipeline
    Element,
    /// The engine without faces
    General,
    /// The engine with `--reuse none`
    None,
    /// The engine with `--reuse exact`
    Exact,
    /// The engine with `--reuse tolerant`
    Tolerant,
    /// The general generator on whole frames, nothing around it
    Bare,
    /// Both generators on whole frames, nothing around them
    Whole,
}

impl RowName {
    /// The name as it is typed.
    pub fn text(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Element => "element",
            Self::General => "general",
            Self::None => "none",
            Self::Exact => "exact",
            Self::Tolerant => "tolerant",
            Self::Bare => "bare",
            Self::Whole => "whole",
        }
    }
}

/// Options and commands of `models`.
#[derive(Debug, Args)]
pub struct ModelsOptions {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// Commands of `models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models of the catalogue.
    List(CatalogueOptions),
    /// Find out what an ONNX file is and whether it can be used.
    Probe(ProbeOptions),
    /// Compare each model file with its sha256 in the catalogue.
    Verify(CatalogueOptions),
    /// Have the provider compile the models now, so that streams need not wait for it.
    Prebuild(PrebuildOptions),
}

impl ModelsOptions {
    /// Whether the output is to be JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            ModelsCommand::List(options) | ModelsCommand::Verify(options) => options.json,
            ModelsCommand::Probe(options) => options.json,
            ModelsCommand::Prebuild(options) => options.json,
        }
    }
}

/// Options of the commands that read the catalogue.
#[derive(Debug, Args)]
pub struct CatalogueOptions {
    /// Folder of models.toml.
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `srfusion models prebuild`
#[derive(Debug, clap::Args)]
pub struct PrebuildOptions {
    /// Size of the frames that will come, in input pixels; may be given several times.
    #[arg(long = "size", value_name = "WIDTHxHEIGHT", value_parser = size)]
    pub sizes: Vec<srfusion::Size>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// The models.
    #[command(flatten)]
    pub models: ModelOptions,
    /// Where and how to run models.
    #[command(flatten)]
    pub runtime: RuntimeOptions,
}

/// Options of `models probe`.
#[derive(Debug, Args)]
pub struct ProbeOptions {
    /// The ONNX file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Where and how to run it.
    #[command(flatten)]
    pub runtime: RuntimeOptions,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// Folder of models.toml.
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Where and how to run models.
    #[command(flatten)]
    pub runtime: RuntimeOptions,
}

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

/// Name of a value as it is typed.
fn name(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

/// Reads `400ms`, `0.4s`, `400us`, `400ns` or `400` (nanoseconds, as the element's property).
fn duration(text: &str) -> Result<Duration, String> {
    let units = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("", 1e-9),
    ];
    let wrong = || format!("expected a time such as 400ms or 0.4s, found '{text}'");
    let (number, unit) = units
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// Reads `640x360`.
fn size(text: &str) -> Result<srfusion::Size, String> {
    const LONGEST: usize = 16_384;
    let side = |text: &str| {
        let side = text.parse().ok();
        side.filter(|side| (1..=LONGEST).contains(side))
    };
    text.split_once('x')
        .and_then(|(width, height)| Some(srfusion::Size::new(side(width)?, side(height)?)))
        .ok_or_else(|| {
            format!("expected a size such as 640x360, sides up to {LONGEST}, found '{text}'")
        })
}

/// Reads a number from 0 to 1.
fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| format!("expected a number from 0 to 1, found '{text}'"))
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
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("400ms").unwrap(), Duration::from_millis(400));
        assert_eq!(duration("0.4s").unwrap(), Duration::from_millis(400));
        assert_eq!(duration("250000").unwrap(), Duration::from_micros(250));
        assert_eq!(duration("7us").unwrap(), Duration::from_micros(7));
        for wrong in ["", "s", "-1s", "4m", "ms", "nans"] {
            assert!(duration(wrong).unwrap_err().contains(wrong));
        }
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
        let typed = "srfusion upscale a.png b.png --view mask --hold-time 1s --tile-overlap -1 --threads 3 --smoothing 0.5 --frames-in-flight 2";
        let Command::Upscale(options) =
            Arguments::try_parse_from(typed.split(' ')).unwrap().command
        else {
            unreachable!()
        };
        let (config, parameters) = (
            options.engine.config(),
            options.engine.parameters().unwrap(),
        );
        assert_eq!((config.threads, config.tile_overlap), (3, None));
        assert_eq!(
            (parameters.view, parameters.hold_time),
            (srfusion::View::Mask, Duration::from_secs(1))
        );
        let properties = options.engine.properties();
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
