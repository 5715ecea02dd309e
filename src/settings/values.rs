//! What a user chooses: the configuration fixed at load time and the parameters that may change between frames.
//! Plain values with their defaults; nothing is opened here.

use std::path::PathBuf;
use std::time::Duration;

use super::choices::{Precision, Provider, Reuse, View};

/// The shipped general generator's name in models.toml.
pub const DEFAULT_GENERAL_MODEL: &str = "general-x4";
/// The shipped generator's name in models.toml that draws what the general one has no time for.
pub const DEFAULT_FAST_MODEL: &str = "general-x4-fast";
/// The shipped face generator's name in models.toml.
pub const DEFAULT_FACE_MODEL: &str = "face-x4";
/// The shipped face detector's name in models.toml.
pub const DEFAULT_DETECTOR_MODEL: &str = "face-detector";
/// The kinds of objects that are looked for unless others are asked for.
pub const DEFAULT_OBJECTS: &str = "face";
/// Value of [`Config::face_model`] that runs the general generator alone.
pub const NO_MODEL: &str = "none";

/// Whether `name` stands for no model.
pub(crate) fn is_none(name: &str) -> bool {
    name.is_empty() || name == NO_MODEL
}

/// What is read once, when the models are opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// General generator: a name in models.toml or a path to an ONNX file.
    pub general_model: String,
    /// Generator for what the general one has no time for, likewise: of use only where frames have a budget. [`NO_MODEL`] for none.
    pub general_fast_model: String,
    /// Kinds of objects that are looked for and drawn by an expert, joined by commas: see [`super::wanted_kinds`]. Those but faces are what
    /// models.toml says.
    pub objects: String,
    /// Whether objects come with the frames, so that no detector is opened.
    pub given_objects: bool,
    /// Face generator, likewise; [`NO_MODEL`] runs the general generator alone.
    pub face_model: String,
    /// How much of the natural look generators have that models.toml names a partner for: their weights are (1 - detail) times their own and
    /// detail times the partner's. `0.0..=1.0`; see [`crate::Upscaler::set_detail`] for changes later on.
    pub detail: f64,
    /// Face detector, likewise; [`NO_MODEL`] if faces come with the frames.
    pub detector_model: String,
    /// Longest side in pixels of what the detector is given, where its file leaves that free; 0 takes what models.toml says.
    pub detector_size: usize,
    /// Face embedding network for [`Parameters::identity_guard`]; none ships.
    pub identity_model: Option<PathBuf>,
    /// Folder of models.toml; `None` looks for it (see [`crate::models::find_models_dir`]).
    pub models_dir: Option<PathBuf>,
    /// Where this program or plugin lies, a starting point for finding models.
    pub near: Option<PathBuf>,
    /// ONNX Runtime's shared library; `None` looks for it (see [`crate::runtime::library::candidates`]).
    pub runtime_library: Option<PathBuf>,
    /// Execution provider.
    pub provider: Provider,
    /// Provider that is tried first where any will do: what was measured to be the fastest, if [`crate::open::tuned`] knows of one.
    pub fastest: Option<Provider>,
    /// Index of the accelerator.
    pub device_id: u32,
    /// Arithmetic.
    pub precision: Precision,
    /// Threads that a network may use, and up to four of which write what it has drawn; 0 is all cores.
    pub threads: usize,
    /// Folder for what providers compile; `None` is the user's cache folder.
    pub cache_dir: Option<PathBuf>,
    /// Whether what runs are thought to cost is not learnt from how long they take, so that the same frames are cut into the same runs whatever
    /// else the machine does.
    pub deterministic: bool,
    /// Longest side of a tile in input pixels, context included; 0 lets the planner choose.
    pub tile_size: usize,
    /// Context around a tile in input pixels; `None` takes the generator's receptive radius, or with tolerance its near radius.
    pub tile_overlap: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            general_model: DEFAULT_GENERAL_MODEL.to_owned(),
            general_fast_model: NO_MODEL.to_owned(),
            objects: DEFAULT_OBJECTS.to_owned(),
            given_objects: false,
            face_model: DEFAULT_FACE_MODEL.to_owned(),
            detail: 0.0,
            detector_model: DEFAULT_DETECTOR_MODEL.to_owned(),
            detector_size: 0,
            identity_model: None,
            models_dir: None,
            near: None,
            runtime_library: None,
            provider: Provider::Auto,
            fastest: None,
            device_id: 0,
            precision: Precision::Auto,
            threads: 0,
            cache_dir: None,
            deterministic: false,
            tile_size: 0,
            tile_overlap: None,
        }
    }
}

impl Config {
    /// The providers to try, in this order.
    pub fn candidates(&self) -> Vec<Provider> {
        let mut candidates = self.provider.candidates();
        if let Some(fastest) = self.fastest
            && self.provider == Provider::Auto
        {
            candidates.retain(|provider| *provider != fastest);
            candidates.insert(0, fastest);
        }
        candidates
    }
}

/// What may change between two frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// What to show.
    pub view: View,
    /// Margin added on each side of a face's box, as a fraction of the box's width and height. `0.0..=2.0`.
    pub mask_padding: f64,
    /// Standard deviation of the mask's Gaussian, as a fraction of the box's width and height. `0.0..=1.0`.
    pub mask_sigma: f64,
    /// Frames from one detection to the next; 1 detects in every frame, 0 in every frame in which something moved and seldom in
    /// others.
    pub detect_interval: u32,
    /// Score from which a new face is believed. `0.0..=1.0`.
    pub min_confidence: f64,
    /// Height in input pixels from which a face counts.
    pub min_face_size: f64,
    /// Most faces followed at a time.
    pub max_faces: usize,
    /// How strongly a face's box is smoothed over time; 0 not at all, towards 1 ever more. `0.0..1.0`.
    pub smoothing: f64,
    /// How long a face that is no longer found is kept before it fades.
    pub hold_time: Duration,
    /// How long a face takes to fade in and out.
    pub fade_time: Duration,
    /// How like the face of the input a drawn face must be, as the cosine of their embeddings; where it is less, the face network's weight is
    /// lowered. 0 leaves every weight as it is. `0.0..=1.0`.
    pub identity_guard: f64,
    /// Which results of earlier frames may stand for new ones.
    pub reuse: Reuse,
    /// Difference, in levels of 255 averaged over a block of pixels, that [`Reuse::Tolerant`] takes for noise; 0 estimates it from
    /// the stream. `0.0..=64.0`.
    pub reuse_threshold: f64,
    /// Longest time for which [`Reuse::Tolerant`] keeps a result that is not exact; zero is for ever.
    pub refresh_time: Duration,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            view: View::Fused,
            mask_padding: 0.05,
            mask_sigma: 0.10,
            detect_interval: 0,
            min_confidence: 0.6,
            min_face_size: 12.0,
            max_faces: 16,
            smoothing: 0.8,
            hold_time: Duration::from_millis(400),
            fade_time: Duration::from_millis(300),
            identity_guard: 0.0,
            reuse: Reuse::default(),
            reuse_threshold: 0.0,
            refresh_time: Duration::from_secs(10),
        }
    }
}

/// What concerns streams of frames rather than the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSettings {
    /// Whether faces are the regions of the input frames, so that no detector is opened.
    pub use_roi_meta: bool,
    /// Whether faces are attached to the output frames as regions.
    pub attach_roi_meta: bool,
    /// Whether each output frame says what drew it, as user data for encoders.
    pub attach_marks: bool,
    /// Frames under way at a time, at most [`MAX_FRAMES_IN_FLIGHT`]; 0 leaves it to the provider.
    pub frames_in_flight: usize,
    /// Time that a frame may take, in nanoseconds: 0 is as long as it takes, -1 a frame's duration where the pipeline is live.
    pub deadline: i64,
    /// [`Config::general_fast_model`] where there is a deadline; without, it is not opened.
    pub general_fast_model: String,
    /// Time for a frame that is reported to live pipelines; zero has it measured.
    pub latency: Duration,
    /// File that a record of what was drawn by what is written to.
    pub audit: Option<PathBuf>,
}

/// Most frames under way at a time: each holds an input and an output frame.
pub const MAX_FRAMES_IN_FLIGHT: usize = 8;

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            use_roi_meta: false,
            attach_roi_meta: true,
            attach_marks: true,
            frames_in_flight: 0,
            deadline: 0,
            general_fast_model: DEFAULT_FAST_MODEL.to_owned(),
            latency: Duration::ZERO,
            audit: None,
        }
    }
}

/// Everything that a user may choose; [`super::SETTINGS`] says what it is called.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// Read when the models are opened.
    pub config: Config,
    /// Read before every frame.
    pub parameters: Parameters,
    /// Of a stream.
    pub stream: StreamSettings,
}
