//! The element itself: properties, state changes, events and queries, and one frame through the engine.
//! Maps buffers and calls; what is computed is decided in the engine.
//!
//! Locks, in the order in which they are taken; no two are held together, and none over a message, a query or a
//! network's run:
//!
//! 1. `settings` - what the user set
//! 2. `slot` - the engine and what may be done with it (see `loader`)
//! 3. `stream` - caps of both sides, and what the latency query needs
//! 4. `report` - what the last frame left behind for `stats` and `active-provider`

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::base_transform::{
    GenerateOutputSuccess, InputBuffer, PrepareOutputBufferSuccess,
};
use gst_base::subclass::prelude::*;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;

use srfusion::{
    Canceller, Config, Error, FrameInfo, ModelReport, NO_MODEL, Parameters, Stats, Upscaler,
};
use srfusion::{Finished, Flight, MAX_DEPTH};

use super::frames::{Input, Output, size};
use super::loader::{Lease, Refusal, Slot, lock};
use super::{Precision, Provider, Reuse, View, caps, latency, meta};
use crate::error::to_error_message;
use crate::log::{CAT, connect_runtime};

const PROP_GENERAL_MODEL: &str = "general-model";
const PROP_FACE_MODEL: &str = "face-model";
const PROP_DETECTOR_MODEL: &str = "detector-model";
const PROP_MODELS_DIR: &str = "models-dir";
const PROP_RUNTIME_LIBRARY: &str = "runtime-library";
const PROP_PROVIDER: &str = "provider";
const PROP_ACTIVE_PROVIDER: &str = "active-provider";
const PROP_DEVICE_ID: &str = "device-id";
const PROP_PRECISION: &str = "precision";
const PROP_THREADS: &str = "threads";
const PROP_CACHE_DIR: &str = "cache-dir";
const PROP_TILE_SIZE: &str = "tile-size";
const PROP_TILE_OVERLAP: &str = "tile-overlap";
const PROP_MASK_PADDING: &str = "mask-padding";
const PROP_MASK_SIGMA: &str = "mask-sigma";
const PROP_DETECT_INTERVAL: &str = "detect-interval";
const PROP_MIN_CONFIDENCE: &str = "min-confidence";
const PROP_MIN_FACE_SIZE: &str = "min-face-size";
const PROP_MAX_FACES: &str = "max-faces";
const PROP_SMOOTHING: &str = "smoothing";
const PROP_HOLD_TIME: &str = "hold-time";
const PROP_FADE_TIME: &str = "fade-time";
const PROP_USE_ROI_META: &str = "use-roi-meta";
const PROP_ATTACH_ROI_META: &str = "attach-roi-meta";
const PROP_REUSE: &str = "reuse";
const PROP_REUSE_THRESHOLD: &str = "reuse-threshold";
const PROP_REFRESH_TIME: &str = "refresh-time";
const PROP_VIEW: &str = "view";
const PROP_FRAMES_IN_FLIGHT: &str = "frames-in-flight";
const PROP_LATENCY: &str = "latency";
const PROP_STATS: &str = "stats";

/// Longest side of a frame that a property may speak of.
const MAX_SIDE: u32 = i32::MAX as u32 / srfusion::SCALE as u32;
/// Most faces that may be followed at a time.
const MAX_FACES: u32 = 1024;
/// Most threads that a network may be given.
const MAX_THREADS: u32 = 1024;

/// Code of the progress messages.
const PROGRESS: &str = "open";

/// How long a stop waits for a loader thread that was told to stop. A model that is being opened cannot be interrupted, and
/// a stop must not hang; but a program that ends right after it should not pull the rug from under the thread.
const LOADER_GRACE: Duration = Duration::from_millis(500);

/// Earliest time after the start at which a failure to open the models is posted. gst-launch-1.0 of GStreamer 1.22 looks
/// at the bus once right after it has set the state, and if it finds an error there it waits for ever.
const EARLIEST_FAILURE: Duration = Duration::from_millis(200);

/// What the user set.
#[derive(Debug, Clone)]
struct Settings {
    /// Read when the models are opened.
    config: Config,
    /// Read before every frame.
    parameters: Parameters,
    use_roi_meta: bool,
    attach_roi_meta: bool,
    /// Read when the models are opened. Zero leaves it to the provider.
    frames_in_flight: u32,
    /// Zero has it measured.
    latency: gst::ClockTime,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config::default(),
            parameters: Parameters::default(),
            use_roi_meta: false,
            attach_roi_meta: true,
            frames_in_flight: 0,
            latency: gst::ClockTime::ZERO,
        }
    }
}

/// Caps of both sides, and what the latency query needs.
#[derive(Debug, Default)]
struct Stream {
    /// Input and output.
    infos: Option<(gst_video::VideoInfo, gst_video::VideoInfo)>,
    meter: latency::Meter,
    /// The number of frames under way that was asked for when the models were opened, and the one in force.
    asked: usize,
    depth: usize,
    /// Frames that the engine has and has not given out.
    in_flight: usize,
    /// Time from one frame to the next, where caps or frames tell, and the time of the last.
    step: Option<gst::ClockTime>,
    pts: Option<gst::ClockTime>,
    /// Whether upstream was live when the latency was asked for last.
    live: bool,
    /// Whether it was said that frames take longer than the latency set.
    warned: bool,
}

/// What outlives the run, so that it can be read at its end.
#[derive(Debug, Default)]
struct Report {
    stats: Stats,
    /// What computes or computed the networks.
    provider: Option<String>,
    /// How pictures get or got to them and back.
    transfer: Option<String>,
    /// Most frames under way at a time.
    depth: usize,
    /// Whether the models are open.
    active: bool,
}

/// The engine, with the frames that it has.
type Engine = Flight<Input, Output>;

/// Instance of the element.
#[derive(Default)]
pub struct SrFusion {
    settings: Mutex<Settings>,
    slot: Slot<Engine, Canceller>,
    stream: Mutex<Stream>,
    report: Mutex<Report>,
}

/// Durations of frames and of messages as clocks count them.
fn clock_time(duration: Duration) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX - 1))
}

/// The providers that run the models, for `active-provider`: one name if they are the same, else each with its models.
fn provider_text(models: &[ModelReport]) -> Option<String> {
    by_model(models, ", ", |model| model.provider.name().to_owned())
}

/// How pictures get to the models and back, for `stats`, likewise.
fn transfer_text(models: &[ModelReport]) -> Option<String> {
    by_model(models, "; ", |model| model.transfer.to_string())
}

/// What `word` says of the models: once if it is the same for all, else of each.
fn by_model(
    models: &[ModelReport],
    between: &str,
    word: impl Fn(&ModelReport) -> String,
) -> Option<String> {
    let first = word(models.first()?);
    if models.iter().all(|model| word(model) == first) {
        return Some(first);
    }
    let each: Vec<_> = models
        .iter()
        .map(|model| format!("{} ({})", word(model), model.role))
        .collect();
    Some(each.join(between))
}

/// What the property `stats` gives. Stages are means over the frames finished.
fn stats_structure(report: &Report) -> gst::Structure {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let stats = &report.stats;
    let frames = stats.frames_out.max(1) as f64;
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let mean = |duration: Duration| ms(duration) / frames;
    gst::Structure::builder("srfusion-stats")
        .field("frames-in", stats.frames_in)
        .field("frames-out", stats.frames_out)
        .field("faces", stats.faces)
        .field("tiles-total", stats.tiles_total)
        .field("tiles-run", stats.tiles_run)
        .field("tiles-reused", stats.tiles_reused)
        .field("frames-with-faces", stats.frames_with_faces)
        .field("detections", stats.detections)
        .field("face-pixels", stats.face_pixels)
        .field("detect-ms", mean(stats.detect))
        .field("plan-ms", mean(stats.plan))
        .field("general-ms", mean(stats.general))
        .field("face-ms", mean(stats.face))
        .field("fuse-ms", mean(stats.fuse))
        .field("total-ms", mean(stats.total))
        .field("last-ms", ms(stats.last))
        .field("provider", text(&report.provider))
        .field("transfer", text(&report.transfer))
        .field("frames-in-flight", report.depth as u64)
        .build()
}

impl SrFusion {
    fn progress(&self, type_: gst::ProgressType, text: &str) {
        gst::debug!(CAT, imp = self, "Progress {type_:?}: {text}");
        let message = gst::message::Progress::builder(type_, PROGRESS, text)
            .src(&*self.obj())
            .build();
        self.post_message(message);
    }

    /// The configuration to open, with what follows from other settings filled in.
    fn config(&self) -> (Config, Parameters) {
        let settings = lock(&self.settings).clone();
        let mut config = settings.config;
        if settings.use_roi_meta {
            config.detector_model = NO_MODEL.to_owned();
        }
        // Models are looked for beside the plugin; an element that was registered by a program has no plugin file.
        config.near = self
            .obj()
            .factory()
            .and_then(|factory| factory.plugin())
            .and_then(|plugin| plugin.filename());
        (config, settings.parameters)
    }

    /// NULL to READY: what can be checked at once.
    fn check(&self) -> Result<(), Error> {
        connect_runtime();
        let (config, parameters) = self.config();
        parameters.validate()?;
        Upscaler::check(&config)
    }

    /// Starts the loader thread for a new run.
    fn load(&self) -> Result<(), gst::ErrorMessage> {
        let (config, parameters) = self.config();
        let asked = lock(&self.settings).frames_in_flight as usize;
        {
            let mut stream = lock(&self.stream);
            (stream.asked, stream.depth) = (asked, asked.max(1));
        }
        let (generation, canceller) = self.slot.begin();
        self.progress(gst::ProgressType::Start, "Opening models");
        let element = self.obj().downgrade();
        let body = move || {
            let started = Instant::now();
            let mut step = |step: &srfusion::LoadStep| {
                if let Some(element) = element.upgrade() {
                    element.imp().loading(generation, step);
                }
            };
            // A panic must not end the thread silently: the first frame would wait for ever.
            let opened = catch_unwind(AssertUnwindSafe(|| {
                let mut upscaler = Upscaler::open(&config, &canceller, &mut step)?;
                upscaler.set_parameters(parameters)?;
                Ok(Box::new(Flight::new(upscaler)))
            }))
            .unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                Err(Error::Runtime(format!(
                    "opening the models panicked: {}",
                    text.unwrap_or_default()
                )))
            });
            // The last reference may have gone meanwhile; then nobody waits for the result.
            if let Some(element) = element.upgrade() {
                element.imp().loaded(generation, opened, started.elapsed());
                element.imp().slot.left();
            }
        };
        match std::thread::Builder::new()
            .name("srfusion-load".to_owned())
            .spawn(body)
        {
            Ok(_) => Ok(()),
            Err(error) => {
                self.slot.left();
                self.slot.end();
                Err(gst::error_msg!(
                    gst::CoreError::Thread,
                    ("The thread that opens the models cannot start: {error}")
                ))
            }
        }
    }

    /// Loader thread: a model is about to be opened.
    fn loading(&self, generation: u64, step: &srfusion::LoadStep) {
        if self.slot.is_loading(generation) {
            let text = format!(
                "Opening {} {} ({} of {})",
                step.role,
                step.model,
                step.index + 1,
                step.count
            );
            self.progress(gst::ProgressType::Continue, &text);
        }
    }

    /// Loader thread: the models are open, or cannot be.
    fn loaded(&self, generation: u64, opened: Result<Box<Engine>, Error>, took: Duration) {
        match opened {
            Ok(mut engine) => {
                self.set_depth(&mut engine);
                for model in engine.models() {
                    gst::info!(
                        CAT,
                        imp = self,
                        "{} {} ({}) runs on {} ({}), receptive radius {}",
                        model.role,
                        model.name,
                        model.path.display(),
                        model.provider.name(),
                        model.transfer,
                        model.receptive_radius,
                    );
                    for (provider, reason) in &model.refused {
                        gst::info!(
                            CAT,
                            imp = self,
                            "{} does not run on {}: {reason}",
                            model.name,
                            provider.name()
                        );
                    }
                }
                let provider = provider_text(engine.models());
                let transfer = transfer_text(engine.models());
                let (stats, depth) = (*engine.stats(), engine.depth());
                if !self.slot.deliver(generation, Some(engine)) {
                    gst::debug!(
                        CAT,
                        imp = self,
                        "Models are open, but the run they were for is over"
                    );
                    return;
                }
                let text = format!(
                    "Models open on {} after {took:.1?}",
                    provider.as_deref().unwrap_or("no provider")
                );
                *lock(&self.report) = Report {
                    stats,
                    provider,
                    transfer,
                    depth,
                    active: true,
                };
                self.obj().notify(PROP_ACTIVE_PROVIDER);
                self.progress(gst::ProgressType::Complete, &text);
                self.slot.reveal(generation);
            }
            Err(error) => {
                self.slot
                    .linger(generation, EARLIEST_FAILURE.saturating_sub(took));
                if !self.slot.deliver(generation, None) {
                    gst::debug!(
                        CAT,
                        imp = self,
                        "Opening models ended with the run it was for: {error}"
                    );
                    return;
                }
                self.post_error_message(to_error_message(&error));
                self.progress(gst::ProgressType::Error, &error.to_string());
                self.slot.reveal(generation);
            }
        }
    }

    /// The engine, once it is there, set up as it is wanted now.
    fn engine(&self) -> Result<Lease<'_, Engine, Canceller>, gst::FlowError> {
        let mut engine = match self.slot.lease() {
            Ok(engine) => engine,
            Err(Refusal::Flushing) => return Err(gst::FlowError::Flushing),
            Err(Refusal::Failed) => {
                gst::debug!(CAT, imp = self, "No frames without models");
                // The loader has said on the bus what is wrong. After an error the source would add one of its own that
                // says nothing and buries the one that does.
                return Err(gst::FlowError::Flushing);
            }
        };
        if std::mem::take(&mut engine.fresh) {
            gst::debug!(CAT, imp = self, "Starting anew: faces are forgotten");
            engine.reset();
        }
        self.set_depth(&mut engine);
        Ok(engine)
    }

    /// Sets how many frames may be under way: as many as were asked for, else what suits the provider.
    fn set_depth(&self, engine: &mut Engine) {
        let asked = lock(&self.stream).asked;
        let depth = match asked {
            0 => engine.suggested_depth(),
            asked => asked,
        };
        if depth != engine.depth()
            && let Err(error) = engine.set_depth(depth)
        {
            gst::warning!(CAT, imp = self, "{error}");
        }
        let depth = engine.depth();
        let (changed, live) = {
            let mut stream = lock(&self.stream);
            let changed = std::mem::replace(&mut stream.depth, depth) != depth;
            (changed, stream.live)
        };
        if changed {
            gst::info!(CAT, imp = self, "{depth} frames in flight");
            // Pools must have room for the frames that are held.
            self.obj().reconfigure_src();
            if live {
                self.post_message(gst::message::Latency::builder().src(&*self.obj()).build());
            }
        }
    }

    /// Hands one frame to the engine.
    fn submit(&self, inbuf: gst::Buffer) -> Result<(), gst::FlowError> {
        let Some((in_info, out_info)) = lock(&self.stream).infos.clone() else {
            gst::debug!(CAT, imp = self, "A frame without caps");
            return Err(gst::FlowError::NotNegotiated);
        };
        let (parameters, use_roi_meta, attach_roi_meta) = {
            let settings = lock(&self.settings);
            (
                settings.parameters.clone(),
                settings.use_roi_meta,
                settings.attach_roi_meta,
            )
        };
        let outbuf = match self.parent_prepare_output_buffer(InputBuffer::Readable(&inbuf))? {
            PrepareOutputBufferSuccess::Buffer(outbuf) => outbuf,
            PrepareOutputBufferSuccess::InputBuffer => return Err(gst::FlowError::Error),
        };
        let in_size = size(&in_info);
        let (pts, step) = (inbuf.pts(), inbuf.duration());
        let faces = use_roi_meta.then(|| meta::detections(&inbuf, in_size));
        let mut engine = self.engine()?;
        let submitted = (|| {
            if *engine.parameters() != parameters {
                engine.set_parameters(parameters)?;
            }
            let input = Input::map(inbuf, &in_info)?;
            let output = Output::map(outbuf, &out_info, attach_roi_meta.then_some(in_size))?;
            let info = FrameInfo {
                pts: pts.map(Duration::from),
                faces: faces.as_deref(),
            };
            engine.submit(input, &info, output)
        })();
        self.note_step(pts, step);
        if submitted.is_ok() || engine.in_flight() == 0 {
            return self.note(engine, submitted);
        }
        // Those before it are good: they go out before it is told that this one is not.
        drop(engine);
        self.drain(true)?;
        let engine = self.engine()?;
        self.note(engine, submitted)
    }

    /// Takes the time from frame to frame into account, which frames in flight add to the latency.
    fn note_step(&self, pts: Option<gst::ClockTime>, duration: Option<gst::ClockTime>) {
        let mut stream = lock(&self.stream);
        let before = std::mem::replace(&mut stream.pts, pts);
        let apart = || pts?.checked_sub(before?);
        stream.step = duration
            .or_else(apart)
            .filter(|step| !step.is_zero())
            .or(stream.step);
    }

    /// Gives the engine back after `result`, and says what is new.
    fn note<T>(
        &self,
        mut engine: Lease<'_, Engine, Canceller>,
        result: Result<T, Error>,
    ) -> Result<T, gst::FlowError> {
        if result.is_err() {
            // With one frame at a time, those after it would never have come in.
            engine.abandon();
        }
        let (stats, depth, in_flight) = (*engine.stats(), engine.depth(), engine.in_flight());
        let notices = engine.take_notices();
        let news = (!notices.is_empty()).then(|| {
            (
                provider_text(engine.models()),
                transfer_text(engine.models()),
            )
        });
        drop(engine);
        lock(&self.stream).in_flight = in_flight;
        if let Some((provider, transfer)) = news {
            {
                let mut report = lock(&self.report);
                (report.provider, report.transfer) = (provider, transfer);
            }
            self.obj().notify(PROP_ACTIVE_PROVIDER);
        }
        for notice in notices {
            gst::element_imp_warning!(self, gst::LibraryError::Settings, ["{}", notice.text]);
        }
        {
            let mut report = lock(&self.report);
            (report.stats, report.depth) = (stats, depth);
        }
        result.map_err(|error| match error {
            Error::Cancelled => {
                gst::debug!(CAT, imp = self, "Frame given up: flushing");
                gst::FlowError::Flushing
            }
            error => {
                self.post_error_message(to_error_message(&error));
                gst::FlowError::Error
            }
        })
    }

    /// The buffer of a frame that is done.
    fn give_out(
        &self,
        engine: Lease<'_, Engine, Canceller>,
        finished: Result<Finished<Input, Output>, Error>,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let Finished {
            output,
            faces,
            took,
            ..
        } = self.note(engine, finished)?;
        let regions_of = output.regions_of;
        let mut buffer = output.into_buffer();
        if let Some(in_size) = regions_of {
            meta::attach(buffer.make_mut(), &faces, in_size);
        }
        // scripts/demo reads this line, and the one that says where a model runs.
        gst::log!(
            CAT,
            imp = self,
            "Frame at {} took {took:.1?}, {} faces",
            buffer.pts().display(),
            faces.len()
        );
        self.account(took);
        Ok(buffer)
    }

    /// Has every frame that is under way done and sends it on: what comes next must not overtake them. `wait` is false to send only
    /// those that are done.
    fn drain(&self, wait: bool) -> Result<(), gst::FlowError> {
        let result = self.try_drain(wait);
        if let Err(error) = result {
            gst::debug!(CAT, imp = self, "Frames under way are dropped: {error}");
            self.abandon();
        }
        result
    }

    fn try_drain(&self, wait: bool) -> Result<(), gst::FlowError> {
        while lock(&self.stream).in_flight > 0 {
            let mut engine = self.engine()?;
            let next = if wait { engine.next() } else { engine.ready() };
            let Some(finished) = next else { break };
            let buffer = self.give_out(engine, finished)?;
            self.obj().src_pad().push(buffer)?;
        }
        Ok(())
    }

    /// Drops the frames that are under way.
    fn abandon(&self) {
        if lock(&self.stream).in_flight == 0 {
            return;
        }
        // While flushing the engine is not to be had; the end of the flush comes here again.
        if let Ok(mut engine) = self.engine() {
            engine.abandon();
            drop(engine);
            lock(&self.stream).in_flight = 0;
        }
    }

    /// Takes the time of a frame into account for the latency.
    fn account(&self, took: Duration) {
        let set = lock(&self.settings).latency;
        let (changed, late) = {
            let mut stream = lock(&self.stream);
            let changed = stream.meter.push(took).is_some() && set.is_zero() && stream.live;
            let late = stream.live && !set.is_zero() && clock_time(took) > set && !stream.warned;
            stream.warned |= late;
            (changed, late)
        };
        if late {
            gst::warning!(
                CAT,
                imp = self,
                "A frame took {took:.1?}, more than the latency of {set} that was set"
            );
        }
        if changed {
            gst::debug!(CAT, imp = self, "The latency measured has changed");
            self.post_message(gst::message::Latency::builder().src(&*self.obj()).build());
        }
    }

    /// What frames in flight add to the latency: each waits for as many that come after it.
    fn held_back(&self) -> gst::ClockTime {
        let stream = lock(&self.stream);
        let step = stream
            .infos
            .as_ref()
            .and_then(|(info, _)| {
                let (frames, seconds) = (info.fps().numer(), info.fps().denom());
                let frames = u64::try_from(frames).ok().filter(|frames| *frames > 0)?;
                gst::ClockTime::SECOND.mul_div_round(u64::try_from(seconds).ok()?, frames)
            })
            .or(stream.step)
            .unwrap_or_default();
        step * stream.depth.saturating_sub(1) as u64
    }

    /// Latency set, else measured.
    fn latency(&self) -> gst::ClockTime {
        let set = lock(&self.settings).latency;
        if set.is_zero() {
            clock_time(lock(&self.stream).meter.reported())
        } else {
            set
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for SrFusion {
    const NAME: &'static str = "GstSrFusion";
    type Type = super::SrFusion;
    type ParentType = gst_video::VideoFilter;
}

/// Puts the value of the property `name` into `settings`. Returns whether there is such a property.
fn apply(
    settings: &mut Settings,
    name: &str,
    value: &glib::Value,
) -> Result<bool, glib::value::ValueTypeMismatchError> {
    let Settings {
        config, parameters, ..
    } = settings;
    // An empty path is none, as from a shell variable that is not set.
    let path = || {
        value
            .get::<Option<PathBuf>>()
            .map(|path| path.filter(|path| path != Path::new("")))
    };
    let model = |default: &str| {
        value
            .get::<Option<String>>()
            .map(|name| name.unwrap_or_else(|| default.to_owned()))
    };
    match name {
        PROP_GENERAL_MODEL => config.general_model = model(srfusion::DEFAULT_GENERAL_MODEL)?,
        PROP_FACE_MODEL => config.face_model = model(srfusion::DEFAULT_FACE_MODEL)?,
        PROP_DETECTOR_MODEL => config.detector_model = model(srfusion::DEFAULT_DETECTOR_MODEL)?,
        PROP_MODELS_DIR => config.models_dir = path()?,
        PROP_RUNTIME_LIBRARY => config.runtime_library = path()?,
        PROP_PROVIDER => config.provider = value.get::<Provider>()?.into(),
        PROP_DEVICE_ID => config.device_id = value.get()?,
        PROP_PRECISION => config.precision = value.get::<Precision>()?.into(),
        PROP_THREADS => config.threads = value.get::<u32>()? as usize,
        PROP_CACHE_DIR => config.cache_dir = path()?,
        PROP_TILE_SIZE => {
            config.tile_size = usize::try_from(value.get::<i32>()?).unwrap_or_default()
        }
        // Negative is the receptive radius.
        PROP_TILE_OVERLAP => config.tile_overlap = usize::try_from(value.get::<i32>()?).ok(),
        PROP_MASK_PADDING => parameters.mask_padding = value.get()?,
        PROP_MASK_SIGMA => parameters.mask_sigma = value.get()?,
        PROP_DETECT_INTERVAL => parameters.detect_interval = value.get()?,
        PROP_MIN_CONFIDENCE => parameters.min_confidence = value.get()?,
        PROP_MIN_FACE_SIZE => parameters.min_face_size = value.get()?,
        PROP_MAX_FACES => parameters.max_faces = value.get::<u32>()? as usize,
        PROP_SMOOTHING => parameters.smoothing = value.get()?,
        PROP_HOLD_TIME => parameters.hold_time = Duration::from_nanos(value.get()?),
        PROP_FADE_TIME => parameters.fade_time = Duration::from_nanos(value.get()?),
        PROP_REUSE => parameters.reuse = value.get::<Reuse>()?.into(),
        PROP_REUSE_THRESHOLD => parameters.reuse_threshold = value.get()?,
        PROP_REFRESH_TIME => parameters.refresh_time = Duration::from_nanos(value.get()?),
        PROP_VIEW => parameters.view = value.get::<View>()?.into(),
        PROP_USE_ROI_META => settings.use_roi_meta = value.get()?,
        PROP_ATTACH_ROI_META => settings.attach_roi_meta = value.get()?,
        PROP_FRAMES_IN_FLIGHT => settings.frames_in_flight = value.get()?,
        PROP_LATENCY => {
            settings.latency =
                gst::ClockTime::from_nseconds(value.get::<u64>()?.min(i64::MAX as u64))
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// What the user set as the value of the property `name`; `None` for properties that are not settings.
fn setting(settings: &Settings, name: &str) -> Option<glib::Value> {
    let Settings {
        config, parameters, ..
    } = settings;
    let ns = |duration: Duration| clock_time(duration).nseconds();
    let int = |size: usize| i32::try_from(size).unwrap_or(i32::MAX);
    let uint = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    Some(match name {
        PROP_GENERAL_MODEL => config.general_model.to_value(),
        PROP_FACE_MODEL => config.face_model.to_value(),
        PROP_DETECTOR_MODEL => config.detector_model.to_value(),
        PROP_MODELS_DIR => config.models_dir.to_value(),
        PROP_RUNTIME_LIBRARY => config.runtime_library.to_value(),
        PROP_PROVIDER => Provider::from(config.provider).to_value(),
        PROP_DEVICE_ID => config.device_id.to_value(),
        PROP_PRECISION => Precision::from(config.precision).to_value(),
        PROP_THREADS => uint(config.threads).to_value(),
        PROP_CACHE_DIR => config.cache_dir.to_value(),
        PROP_TILE_SIZE => int(config.tile_size).to_value(),
        PROP_TILE_OVERLAP => config.tile_overlap.map_or(-1, int).to_value(),
        PROP_MASK_PADDING => parameters.mask_padding.to_value(),
        PROP_MASK_SIGMA => parameters.mask_sigma.to_value(),
        PROP_DETECT_INTERVAL => parameters.detect_interval.to_value(),
        PROP_MIN_CONFIDENCE => parameters.min_confidence.to_value(),
        PROP_MIN_FACE_SIZE => parameters.min_face_size.to_value(),
        PROP_MAX_FACES => uint(parameters.max_faces).to_value(),
        PROP_SMOOTHING => parameters.smoothing.to_value(),
        PROP_HOLD_TIME => ns(parameters.hold_time).to_value(),
        PROP_FADE_TIME => ns(parameters.fade_time).to_value(),
        PROP_REUSE => Reuse::from(parameters.reuse).to_value(),
        PROP_REUSE_THRESHOLD => parameters.reuse_threshold.to_value(),
        PROP_REFRESH_TIME => ns(parameters.refresh_time).to_value(),
        PROP_VIEW => View::from(parameters.view).to_value(),
        PROP_USE_ROI_META => settings.use_roi_meta.to_value(),
        PROP_ATTACH_ROI_META => settings.attach_roi_meta.to_value(),
        PROP_FRAMES_IN_FLIGHT => settings.frames_in_flight.to_value(),
        _ => return None,
    })
}

impl ObjectImpl for SrFusion {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(properties);
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let name = pspec.name();
        // The type was checked before this is called.
        match apply(&mut lock(&self.settings), name, value) {
            Ok(true) => gst::debug!(CAT, imp = self, "{name} is now {value:?}"),
            Ok(false) => gst::error!(CAT, imp = self, "No property {name} can be set"),
            Err(error) => gst::error!(CAT, imp = self, "Property {name} keeps its value: {error}"),
        }
        if name == PROP_LATENCY {
            let live = {
                let mut stream = lock(&self.stream);
                stream.warned = false;
                stream.live
            };
            if live {
                self.post_message(gst::message::Latency::builder().src(&*self.obj()).build());
            }
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let name = pspec.name();
        match name {
            PROP_LATENCY => self.latency().nseconds().to_value(),
            PROP_ACTIVE_PROVIDER => {
                let report = lock(&self.report);
                report
                    .provider
                    .as_ref()
                    .filter(|_| report.active)
                    .to_value()
            }
            PROP_STATS => stats_structure(&lock(&self.report)).to_value(),
            _ => setting(&lock(&self.settings), name).unwrap_or_else(|| {
                gst::error!(CAT, imp = self, "No property {name} can be read");
                glib::Value::from_type(pspec.value_type())
            }),
        }
    }
}

/// The element's properties. Defaults come from [`Settings`], bounds from what the engine accepts.
fn properties() -> Vec<glib::ParamSpec> {
    let Settings {
        config,
        parameters,
        use_roi_meta,
        attach_roi_meta,
        frames_in_flight,
        latency,
    } = Settings::default();
    let string =
        |name: &'static str, nick: &'static str, blurb: &'static str, default: Option<&str>| {
            glib::ParamSpecString::builder(name)
                .nick(nick)
                .blurb(blurb)
                .default_value(default)
                .mutable_ready()
                .build()
        };
    let fraction = |name: &'static str,
                    nick: &'static str,
                    blurb: &'static str,
                    maximum: f64,
                    default: f64| {
        glib::ParamSpecDouble::builder(name)
            .nick(nick)
            .blurb(blurb)
            .minimum(0.0)
            .maximum(maximum)
            .default_value(default)
            .mutable_playing()
            .build()
    };
    let time =
        |name: &'static str, nick: &'static str, blurb: &'static str, default: gst::ClockTime| {
            glib::ParamSpecUInt64::builder(name)
                .nick(nick)
                .blurb(blurb)
                .maximum(i64::MAX as u64)
                .default_value(default.nseconds())
                .mutable_playing()
                .build()
        };
    vec![
        string(
            PROP_GENERAL_MODEL,
            "General model",
            "Generator for the whole frame: a name in models.toml or the path of an ONNX file",
            Some(&config.general_model),
        ),
        string(
            PROP_FACE_MODEL,
            "Face model",
            "Generator for faces: a name in models.toml, the path of an ONNX file, or none for the general generator alone",
            Some(&config.face_model),
        ),
        string(
            PROP_DETECTOR_MODEL,
            "Detector model",
            "Face detector: a name in models.toml or the path of an ONNX file; not loaded with use-roi-meta",
            Some(&config.detector_model),
        ),
        string(
            PROP_MODELS_DIR,
            "Models folder",
            "Folder of models.toml; by default SRFUSION_MODELS, else beside the plugin, else the installed one",
            None,
        ),
        string(
            PROP_RUNTIME_LIBRARY,
            "Runtime library",
            "ONNX Runtime's shared library; by default ORT_DYLIB_PATH, else what the set-up installed, else the system's",
            None,
        ),
        glib::ParamSpecEnum::builder_with_default(PROP_PROVIDER, Provider::from(config.provider))
            .nick("Provider")
            .blurb("What computes the networks; auto takes the first that works, a named one that does not work is an error")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder(PROP_ACTIVE_PROVIDER)
            .nick("Active provider")
            .blurb("What computes the networks now, once the models are open")
            .read_only()
            .build(),
        glib::ParamSpecUInt::builder(PROP_DEVICE_ID)
            .nick("Device")
            .blurb("Index of the accelerator among those of the provider")
            .maximum(i32::MAX as u32)
            .default_value(config.device_id)
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default(PROP_PRECISION, Precision::from(config.precision))
            .nick("Precision")
            .blurb("Arithmetic of the networks")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder(PROP_THREADS)
            .nick("Threads")
            .blurb("Threads that a network may use on the processor (0 = all cores)")
            .maximum(MAX_THREADS)
            .default_value(config.threads as u32)
            .mutable_ready()
            .build(),
        string(
            PROP_CACHE_DIR,
            "Cache folder",
            "Folder for what a provider compiles, such as TensorRT engines; by default one in the user's cache folder",
            None,
        ),
        glib::ParamSpecInt::builder(PROP_TILE_SIZE)
            .nick("Tile size")
            .blurb("Longest side of a tile in input pixels, context included (0 = chosen)")
            .minimum(0)
            .maximum(MAX_SIDE as i32)
            .default_value(config.tile_size as i32)
            .mutable_ready()
            .build(),
        glib::ParamSpecInt::builder(PROP_TILE_OVERLAP)
            .nick("Tile overlap")
            .blurb("Context around a tile in input pixels; less than the generator's receptive radius shows seams (-1 = receptive radius)")
            .minimum(-1)
            .maximum(MAX_SIDE as i32)
            .default_value(config.tile_overlap.map_or(-1, |overlap| overlap as i32))
            .mutable_ready()
            .build(),
        fraction(
            PROP_MASK_PADDING,
            "Mask padding",
            "Margin added on each side of a face's box, as a fraction of its width and height",
            2.0,
            parameters.mask_padding,
        ),
        fraction(
            PROP_MASK_SIGMA,
            "Mask sigma",
            "Standard deviation of the mask's Gaussian edge, as a fraction of the box's width and height",
            1.0,
            parameters.mask_sigma,
        ),
        glib::ParamSpecUInt::builder(PROP_DETECT_INTERVAL)
            .nick("Detection interval")
            .blurb("Frames from one detection to the next (1 = every frame, 0 = every frame in which something moved, else once a second)")
            .maximum(i32::MAX as u32)
            .default_value(parameters.detect_interval)
            .mutable_playing()
            .build(),
        fraction(
            PROP_MIN_CONFIDENCE,
            "Minimum confidence",
            "Score from which a new face is believed; one that is followed already may score less",
            1.0,
            parameters.min_confidence,
        ),
        fraction(
            PROP_MIN_FACE_SIZE,
            "Minimum face size",
            "Height in input pixels from which a face counts",
            f64::from(MAX_SIDE),
            parameters.min_face_size,
        ),
        glib::ParamSpecUInt::builder(PROP_MAX_FACES)
            .nick("Most faces")
            .blurb("Most faces followed at a time")
            .maximum(MAX_FACES)
            .default_value(parameters.max_faces as u32)
            .mutable_playing()
            .build(),
        fraction(
            PROP_SMOOTHING,
            "Smoothing",
            "How strongly the position of a face is smoothed over time (0 = not at all); adds no latency",
            0.999,
            parameters.smoothing,
        ),
        time(
            PROP_HOLD_TIME,
            "Hold time",
            "How long a face that is no longer found is kept before it fades, in nanoseconds",
            clock_time(parameters.hold_time),
        ),
        time(
            PROP_FADE_TIME,
            "Fade time",
            "How long a face takes to fade in and out, in nanoseconds",
            clock_time(parameters.fade_time),
        ),
        glib::ParamSpecBoolean::builder(PROP_USE_ROI_META)
            .nick("Use regions")
            .blurb("Take faces from the input's region of interest metas of type face instead of detecting them")
            .default_value(use_roi_meta)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder(PROP_ATTACH_ROI_META)
            .nick("Attach regions")
            .blurb("Attach each face to the output as a region of interest meta of type face, in output pixels")
            .default_value(attach_roi_meta)
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default(PROP_REUSE, Reuse::from(parameters.reuse))
            .nick("Reuse")
            .blurb("Which results of earlier frames are kept where the picture stands still")
            .mutable_playing()
            .build(),
        fraction(
            PROP_REUSE_THRESHOLD,
            "Reuse threshold",
            "Difference in levels of 255 that reuse=tolerant takes for noise (0 = estimated from the stream)",
            64.0,
            parameters.reuse_threshold,
        ),
        time(
            PROP_REFRESH_TIME,
            "Refresh time",
            "Longest time that reuse=tolerant keeps a result that is not exact, in nanoseconds (0 = for ever)",
            clock_time(parameters.refresh_time),
        ),
        glib::ParamSpecEnum::builder_with_default(PROP_VIEW, View::from(parameters.view))
            .nick("View")
            .blurb("What the output shows")
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder(PROP_FRAMES_IN_FLIGHT)
            .nick("Frames in flight")
            .blurb("Frames under way at a time: with more than one, the next is compared and searched for faces while one is drawn; each adds a frame's duration to the latency (0 = chosen: 2 where a device draws, else 1)")
            .maximum(MAX_DEPTH as u32)
            .default_value(frames_in_flight)
            .mutable_ready()
            .build(),
        time(
            PROP_LATENCY,
            "Latency",
            "Time for a frame that is reported to live pipelines, in nanoseconds (0 = measured); reads as what is reported, without the durations that frames-in-flight adds",
            latency,
        ),
        glib::ParamSpecBoxed::builder::<gst::Structure>(PROP_STATS)
            .nick("Statistics")
            .blurb("frames-in, frames-out, faces, frames-with-faces, tiles-total, tiles-run, tiles-reused, face-pixels, detections, mean milliseconds per stage and frame, provider, transfer, frames-in-flight")
            .read_only()
            .build(),
    ]
}

impl GstObjectImpl for SrFusion {}

impl ElementImpl for SrFusion {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Super-resolution with a face network",
                "Filter/Effect/Converter/Video/Scaler",
                "Upscales video four times and draws faces with a network of their own, under a smooth mask",
                "The srfusion authors",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            [
                ("sink", gst::PadDirection::Sink, caps::sink()),
                ("src", gst::PadDirection::Src, caps::src()),
            ]
            .into_iter()
            .filter_map(|(name, direction, caps)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok()
            })
            .collect()
        });
        TEMPLATES.as_ref()
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::NullToReady => {
                if let Err(error) = self.check() {
                    self.post_error_message(to_error_message(&error));
                    return Err(gst::StateChangeError);
                }
            }
            // Before the pads are deactivated, which waits for the frame under way.
            gst::StateChange::PausedToReady => self.slot.close(),
            _ => (),
        }
        self.parent_change_state(transition)
    }
}

impl BaseTransformImpl for SrFusion {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.report) = Report::default();
        self.load()
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        if self.slot.end() {
            self.progress(gst::ProgressType::Canceled, "Opening models was canceled");
        }
        if !self.slot.wait_for_loaders(LOADER_GRACE) {
            gst::info!(
                CAT,
                imp = self,
                "A model is still being opened; it is dropped when that ends"
            );
        }
        *lock(&self.stream) = Stream::default();
        let ran = std::mem::take(&mut lock(&self.report).active);
        if ran {
            self.obj().notify(PROP_ACTIVE_PROVIDER);
        }
        Ok(())
    }

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let other = caps::transform(direction, caps, filter);
        gst::debug!(
            CAT,
            imp = self,
            "From {direction:?} caps {caps} to {other}, filter {filter:?}"
        );
        Some(other)
    }

    fn transform_meta<'a>(
        &self,
        outbuf: &mut gst::BufferRef,
        meta: gst::MetaRef<'a, gst::Meta>,
        _inbuf: &'a gst::BufferRef,
    ) -> bool {
        let (taken, attached) = {
            let settings = lock(&self.settings);
            (settings.use_roi_meta, settings.attach_roi_meta)
        };
        if taken && attached && meta::is_face(&meta) {
            // Attached again after tracking.
            return false;
        }
        let infos = lock(&self.stream).infos.clone();
        infos.is_some_and(|(in_info, out_info)| meta::transform(outbuf, &meta, &in_info, &out_info))
    }

    fn submit_input_buffer(
        &self,
        is_discont: bool,
        inbuf: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let flags = inbuf.flags();
        // Without times the tracker cannot see how large the gap is.
        let gap = inbuf.pts().is_none() && flags.contains(gst::BufferFlags::DISCONT);
        if flags.intersects(gst::BufferFlags::DISCONT | gst::BufferFlags::RESYNC) {
            // What is marked is what comes next.
            self.drain(true)?;
        }
        if gap || flags.contains(gst::BufferFlags::RESYNC) {
            self.slot.refresh();
        }
        let submitted = self.parent_submit_input_buffer(is_discont, inbuf)?;
        if submitted == gst_base::BASE_TRANSFORM_FLOW_DROPPED {
            // Too late for this one, and for those under way not a moment to lose.
            self.drain(false)?;
        }
        Ok(submitted)
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        loop {
            if lock(&self.stream).in_flight > 0 {
                let mut engine = self.engine()?;
                // What is done goes first; this is called again for the frame that waits.
                let full = engine.in_flight() >= engine.depth();
                let next = if full { engine.next() } else { engine.ready() };
                if let Some(finished) = next {
                    let buffer = self.give_out(engine, finished)?;
                    return Ok(GenerateOutputSuccess::Buffer(buffer));
                }
            }
            match self.take_queued_buffer() {
                Some(inbuf) => self.submit(inbuf)?,
                None => return Ok(GenerateOutputSuccess::NoOutput),
            }
        }
    }

    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        let held = lock(&self.stream).depth.saturating_sub(1) as u32;
        if held > 0 {
            let pools: Vec<_> = query.allocation_pools().collect();
            for (index, (pool, size, min, max)) in pools.into_iter().enumerate() {
                // One that cannot give more than it counts on would run dry, and nothing would move again.
                let bounded = max > 0 && max < min.saturating_add(held);
                let (pool, max) = if bounded { (None, 0) } else { (pool, max) };
                let min = min.saturating_add(held);
                query.set_nth_allocation_pool(index as u32, pool.as_ref(), size, min, max);
            }
        }
        self.parent_decide_allocation(query)
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        if direction == gst::PadDirection::Sink && query.is_serialized() {
            // Asked between two frames, and answered so. What goes wrong is told by the next frame or on the bus.
            let _ = self.drain(true);
        }
        if !BaseTransformImplExt::parent_query(self, direction, query) {
            return false;
        }
        if direction == gst::PadDirection::Src
            && let gst::QueryViewMut::Latency(query) = query.view_mut()
        {
            let ours = self.latency().saturating_add(self.held_back());
            let (live, min, max) = query.result();
            lock(&self.stream).live = live;
            // While a frame is worked on the one after waits in upstream's buffer; frames in flight wait here.
            query.set(
                live,
                min.saturating_add(ours),
                max.map(|max| max.saturating_add(ours)),
            );
            gst::debug!(
                CAT,
                imp = self,
                "Latency: live {live}, {min} and {ours} of ours"
            );
        }
        true
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        gst::log!(CAT, imp = self, "Handling {event:?}");
        if event.is_serialized() && event.type_() != gst::EventType::FlushStop {
            // It comes after the frames under way. What goes wrong is on the bus, and keeps no event back.
            let _ = self.drain(true);
        }
        match event.view() {
            gst::EventView::FlushStart(_) => self.slot.flush_start(),
            gst::EventView::FlushStop(_) => {
                self.slot.flush_stop();
                self.abandon();
            }
            // Times of another segment say nothing about the distance to the last frame.
            gst::EventView::Segment(_) => self.slot.refresh(),
            _ => (),
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, mut event: gst::Event) -> bool {
        if event.type_() == gst::EventType::Navigation {
            // Pointer positions come in output pixels; every navigation event keeps them under these names.
            let structure = event.make_mut().structure_mut();
            for name in ["pointer_x", "pointer_y"] {
                if let Ok(position) = structure.get::<f64>(name) {
                    structure.set(name, position / srfusion::SCALE as f64);
                }
            }
        }
        self.parent_src_event(event)
    }
}

impl VideoFilterImpl for SrFusion {
    fn set_info(
        &self,
        incaps: &gst::Caps,
        in_info: &gst_video::VideoInfo,
        outcaps: &gst::Caps,
        out_info: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        let expected = size(in_info).scaled(srfusion::SCALE);
        if size(out_info) != expected {
            return Err(gst::loggable_error!(
                CAT,
                "Output of {} expected for {incaps}, found {outcaps}",
                expected
            ));
        }
        gst::info!(CAT, imp = self, "From {incaps} to {outcaps}");
        // Downstream is told of the new caps after this.
        let _ = self.drain(true);
        lock(&self.stream).infos = Some((in_info.clone(), out_info.clone()));
        self.slot.refresh();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(role: &'static str, provider: srfusion::Provider) -> ModelReport {
        ModelReport {
            role,
            name: role.to_owned(),
            path: PathBuf::new(),
            provider,
            refused: Vec::new(),
            receptive_radius: 0,
            transfer: Default::default(),
        }
    }

    #[test]
    fn provider_is_one_name_where_it_is_one_provider() {
        use srfusion::Provider::{Cpu, Cuda};
        assert_eq!(provider_text(&[]), None);
        let same = [report("general model", Cpu), report("face detector", Cpu)];
        assert_eq!(provider_text(&same).as_deref(), Some("cpu"));
        let mixed = [report("general model", Cuda), report("face detector", Cpu)];
        assert_eq!(
            provider_text(&mixed).as_deref(),
            Some("cuda (general model), cpu (face detector)")
        );
        assert_eq!(transfer_text(&mixed).as_deref(), Some("floats"));
        let mut bytes = report("general model", Cuda);
        bytes.transfer.bytes = true;
        assert_eq!(
            transfer_text(&[bytes, report("face detector", Cpu)]).as_deref(),
            Some("bytes (general model); floats (face detector)")
        );
    }

    #[test]
    fn stages_are_means_over_frames() {
        gst::init().unwrap();
        let stats = Stats {
            frames_in: 5,
            frames_out: 4,
            detect: Duration::from_millis(10),
            last: Duration::from_millis(3),
            ..Stats::default()
        };
        let structure = stats_structure(&Report {
            stats,
            provider: Some("cpu".to_owned()),
            transfer: Some("floats".to_owned()),
            depth: 2,
            active: true,
        });
        assert_eq!(structure.get::<&str>("transfer"), Ok("floats"));
        assert_eq!(structure.get::<u64>("frames-in-flight"), Ok(2));
        assert_eq!(structure.get::<f64>("detect-ms"), Ok(2.5));
        assert_eq!(structure.get::<f64>("last-ms"), Ok(3.0));
        assert_eq!(structure.get::<u64>("frames-in"), Ok(5));
        assert_eq!(structure.get::<&str>("provider"), Ok("cpu"));
        // No frame yet is no division by zero.
        assert_eq!(
            stats_structure(&Report::default()).get::<f64>("total-ms"),
            Ok(0.0)
        );
    }

    #[test]
    fn every_setting_can_be_set_and_read_back() {
        gst::init().unwrap();
        let mut settings = Settings::default();
        for property in properties() {
            let name = property.name();
            let read = setting(&settings, name);
            let writable = property.flags().contains(glib::ParamFlags::WRITABLE);
            assert_eq!(
                apply(&mut settings, name, property.default_value()),
                Ok(writable),
                "{name}"
            );
            if let Some(read) = read {
                assert_eq!(
                    format!("{read:?}"),
                    format!("{:?}", property.default_value()),
                    "{name}"
                );
            }
        }
        let defaults = Settings::default();
        assert_eq!(
            (settings.config, settings.parameters),
            (defaults.config, defaults.parameters)
        );
    }
}
