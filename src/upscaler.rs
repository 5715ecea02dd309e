//! The flow of a frame through all rooms, and the owner of all scratch memory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::SCALE;
use crate::cancel::Canceller;
use crate::change::{BLOCK, Watch};
use crate::config::{Config, NO_MODEL, Parameters, Reuse, View};
use crate::detect::{Detection, letterbox, suppression};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameMut, Sample};
use crate::fuse;
use crate::generate::{
    Drawn, FaceDetector, FaceLayer, Generator, OnnxDetector, OnnxGenerator, Pass, TileLimits,
    run_areas,
};
use crate::mask::Mask;
use crate::model;
use crate::plan::{self, Cells};
use crate::resample::{Kernel, Resampler};
use crate::reuse::Kept;
use crate::runtime::library;
use crate::runtime::provider::{self, Provider};
use crate::runtime::session::Network;
use crate::scene::SceneCut;
use crate::stats::Stats;
use crate::tile::{Rect, merge_overlapping};
use crate::track::{self, Face, Tracker};

/// Intersection over union from which two candidates are one face.
const SUPPRESSION_IOU: f32 = 0.4;

/// Pixels of a tile, context included, where the user leaves the size to the planner: a 640x360 frame is one tile.
///
/// Measured with the shipped generators on two cores, in processor time per pixel that is kept, 640x360 tiles being 1: 128x128 1.4,
/// 256x256 1.2, 384x256 1.1, 640x480 1.03, 1280x720 0.97. Memory grows with the area, about 0.9 kB a pixel, and decides.
const TILE_AREA: usize = 240 * 1024;

/// How long a picture in which nothing moves is not searched for faces.
const STILL_INTERVAL: Duration = Duration::from_secs(1);
/// Time from frame to frame where the frames carry none, and the longest that counts.
const NOMINAL_STEP: Duration = Duration::from_millis(40);
const LONGEST_STEP: Duration = Duration::from_secs(2);

/// What the caller knows of a frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameInfo<'a> {
    /// Presentation time, on any scale that grows with the stream.
    pub pts: Option<Duration>,
    /// Faces found by somebody else, in pixels of the frame; the detector is then not run.
    pub faces: Option<&'a [Detection]>,
}

/// A step of opening the models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadStep {
    /// What the model is for: `general model`, `face model` or `detector model`.
    pub role: &'static str,
    /// Its name or path.
    pub model: String,
    /// Steps done before this one.
    pub index: usize,
    /// Steps in all.
    pub count: usize,
}

/// What runs where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelReport {
    /// What the model is for, as in [`LoadStep::role`].
    pub role: &'static str,
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Where it runs.
    pub provider: Provider,
    /// Providers tried before, each with the reason why it was not taken.
    pub refused: Vec<(Provider, String)>,
    /// Receptive radius in input pixels; 0 for a detector.
    pub receptive_radius: usize,
}

/// What is remembered of frames with samples `S`.
struct PerSample<S: Sample> {
    resampler: Resampler<S>,
    kept: Kept<S>,
    watch: Watch<S>,
}

impl<S: Sample> Default for PerSample<S> {
    fn default() -> Self {
        Self {
            resampler: Resampler::default(),
            kept: Kept::default(),
            watch: Watch::default(),
        }
    }
}

/// Memory that is reused from frame to frame.
#[derive(Default)]
struct Scratch {
    wanted: Cells,
    still: Cells,
    tensor: Vec<f32>,
    letterbox: Vec<f32>,
    detections: Vec<Detection>,
    supports: Vec<Rect>,
    fuse: fuse::Scratch,
}

/// Upscales frames four times. One per stream; not shared between threads.
pub struct Upscaler {
    general: Box<dyn Generator>,
    face: Option<Box<dyn Generator>>,
    detector: Option<Box<dyn FaceDetector>>,
    parameters: Parameters,
    general_pass: Pass,
    face_pass: Pass,
    canceller: Canceller,
    reports: Vec<ModelReport>,
    tracker: Tracker,
    scene: SceneCut,
    mask: Mask,
    layer: FaceLayer,
    scratch: Scratch,
    /// A `PerSample` of the sample type in use.
    memory: Box<dyn std::any::Any + Send>,
    /// Time since the first frame, as far as frames tell it.
    clock: Duration,
    /// Time of the last frame.
    pts: Option<Duration>,
    /// Frames until the next detection.
    until_detection: u32,
    /// The clock when faces were last looked for.
    detected_at: Duration,
    /// Whether everything kept from earlier frames is to be forgotten.
    forget: bool,
    /// What a user should be told.
    notices: Vec<String>,
    stats: Stats,
}

impl Upscaler {
    /// The cheap part of [`Upscaler::open`], with the same errors: files there and whole, runtime library loads.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Setting`], [`Error::Runtime`], [`Error::Provider`].
    pub fn check(config: &Config) -> Result<()> {
        provider::check_named(config)?;
        model::resolve_all(config)?;
        Ok(())
    }

    /// Opens the models of `config` and runs each once. Takes from a fraction of a second to, on providers that compile,
    /// minutes; `progress` is told before each model, and `cancel` stops it as well as every later [`Upscaler::process`].
    ///
    /// # Errors
    /// Those of [`Upscaler::check`], [`Error::Contract`], [`Error::Provider`], [`Error::Cancelled`].
    pub fn open(
        config: &Config,
        cancel: &Canceller,
        progress: &mut dyn FnMut(&LoadStep),
    ) -> Result<Self> {
        library::load(config.runtime_library.as_deref())?;
        let models = model::resolve_all(config)?;
        let count = 1 + usize::from(models.face.is_some()) + usize::from(models.detector.is_some());
        let mut reports = Vec::with_capacity(count);
        let mut open = |role: &'static str, found: &model::Resolved| -> Result<Network> {
            progress(&LoadStep {
                role,
                model: found.name.clone(),
                index: reports.len(),
                count,
            });
            cancel.check()?;
            // A generator on a provider that compiles is given one size of tiles only; others take any.
            let tile = model::prebuild::tile(role);
            let network = Network::open_for(
                &found.path,
                &found.name,
                &found.sha256,
                tile,
                config,
                cancel,
            )?;
            reports.push(ModelReport {
                role,
                name: found.name.clone(),
                path: found.path.clone(),
                provider: network.provider(),
                refused: network.refused().to_vec(),
                receptive_radius: 0,
            });
            Ok(network)
        };
        let general = open(model::GENERAL, &models.general)?;
        let face = models
            .face
            .as_ref()
            .map(|found| open(model::FACE, found))
            .transpose()?;
        let detector = models
            .detector
            .as_ref()
            .map(|found| open(model::DETECTOR, found))
            .transpose()?;
        let general = generator(general, &models.general, cancel)?;
        let face = match (face, &models.face) {
            (Some(network), Some(found)) => Some(generator(network, found, cancel)?),
            _ => None,
        };
        let detector = match (detector, &models.detector) {
            (Some(network), Some(found)) => Some(OnnxDetector::new(network, found.family, |f| {
                found.input(f)
            })?),
            _ => None,
        };
        for report in &mut reports {
            report.receptive_radius = match (report.role, &face) {
                (model::GENERAL, _) => general.radius(),
                (model::FACE, Some(face)) => face.radius(),
                _ => 0,
            };
        }
        let mut upscaler = Self::with_networks(
            Box::new(general),
            face.map(|network| Box::new(network) as Box<dyn Generator>),
            detector.map(|network| Box::new(network) as Box<dyn FaceDetector>),
            config.tile_size,
            config.tile_overlap,
        );
        upscaler.reports = reports;
        upscaler.canceller = cancel.clone();
        Ok(upscaler)
    }

    /// An upscaler of networks that are open already; `tile_size` and `tile_overlap` as in [`Config`].
    pub fn with_networks(
        general: Box<dyn Generator>,
        face: Option<Box<dyn Generator>>,
        detector: Option<Box<dyn FaceDetector>>,
        tile_size: usize,
        tile_overlap: Option<usize>,
    ) -> Self {
        let limits = TileLimits {
            side: tile_size,
            area: TILE_AREA,
        };
        let pass = || Pass::new(limits, tile_overlap);
        Self {
            general,
            face,
            detector,
            parameters: Parameters::default(),
            general_pass: pass(),
            face_pass: pass(),
            canceller: Canceller::new(),
            reports: Vec::new(),
            tracker: Tracker::default(),
            scene: SceneCut::default(),
            mask: Mask::default(),
            layer: FaceLayer::default(),
            scratch: Scratch::default(),
            memory: Box::new(()),
            clock: Duration::ZERO,
            pts: None,
            until_detection: 0,
            detected_at: Duration::ZERO,
            forget: false,
            notices: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// The flag that stops it from another thread.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// What runs where.
    pub fn models(&self) -> &[ModelReport] {
        &self.reports
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Takes new parameters from the next frame on.
    ///
    /// # Errors
    /// [`Error::Setting`]; the old ones stay.
    pub fn set_parameters(&mut self, parameters: Parameters) -> Result<()> {
        parameters.validate()?;
        self.parameters = parameters;
        Ok(())
    }

    /// Forgets faces and time, as after a seek. Counters go on.
    pub fn reset(&mut self) {
        self.tracker.reset();
        self.scene.reset();
        self.until_detection = 0;
        self.forget = true;
    }

    /// Faces of the last frame, in pixels of the input.
    pub fn faces(&self) -> &[Face] {
        self.tracker.faces()
    }

    /// Counters and times.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Upscales `input` into `output`, which must be [`SCALE`] times as wide and high. After an error the output is undefined,
    /// and the next frame may be tried.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Inference`], [`Error::Cancelled`].
    pub fn process<S: Sample>(
        &mut self,
        input: Frame<'_, S>,
        info: &FrameInfo<'_>,
        output: &mut FrameMut<'_, S>,
    ) -> Result<()> {
        let expected = input.size().scaled(SCALE);
        if output.size() != expected {
            let found = output.size().to_string();
            return Err(Error::Shape {
                what: "output frame".into(),
                expected: expected.to_string(),
                found,
            });
        }
        self.canceller.check()?;
        let start = Instant::now();
        self.stats.frames_in += 1;
        self.tick(info.pts);
        self.adopt_better();
        let mut memory = take_memory::<S>(&mut self.memory);
        if std::mem::take(&mut self.forget) {
            memory.kept.clear();
            memory.watch.clear();
            self.layer.clear();
        }
        let result = self.flow(&input, info, output, &mut memory);
        self.memory = memory;
        result?;
        self.stats.frames_out += 1;
        self.stats.faces = self.tracker.faces().len() as u64;
        self.stats.frames_with_faces += u64::from(self.stats.faces > 0);
        self.stats.last = start.elapsed();
        self.stats.total += self.stats.last;
        Ok(())
    }

    /// Takes better providers into use that have become ready since the last frame, and collects what there is to tell.
    fn adopt_better(&mut self) {
        let mut adopted = [None; 3];
        let generators = [Some(&mut self.general), self.face.as_mut()];
        for ((network, role), adopted) in generators
            .into_iter()
            .zip([model::GENERAL, model::FACE])
            .zip(&mut adopted)
        {
            let Some(network) = network else { continue };
            *adopted = network.adopt_better().map(|provider| (role, provider));
            self.notices.extend(network.take_notices());
            // Another provider rounds otherwise, which must not show as a seam between kept cells and new ones.
            self.forget |= adopted.is_some();
        }
        if let Some(detector) = &mut self.detector {
            adopted[2] = detector.adopt_better().map(|p| (model::DETECTOR, p));
            self.notices.extend(detector.take_notices());
        }
        for (role, provider) in adopted.into_iter().flatten() {
            for report in self.reports.iter_mut().filter(|report| report.role == role) {
                report.refused.retain(|(refused, _)| *refused != provider);
                report.provider = provider;
            }
        }
    }

    /// What happened since the last call that a user should be told: a change of provider or of precision, with its reason.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Sets the clock for a frame of time `pts`.
    fn tick(&mut self, pts: Option<Duration>) {
        let step = match (pts, self.pts) {
            (Some(now), Some(before)) => now.saturating_sub(before).min(LONGEST_STEP),
            _ => NOMINAL_STEP,
        };
        self.clock += step;
        self.pts = pts;
    }

    /// detect -> track -> mask -> plan -> generate -> fuse
    fn flow<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        info: &FrameInfo<'_>,
        output: &mut FrameMut<'_, S>,
        memory: &mut PerSample<S>,
    ) -> Result<()> {
        self.find_faces(input, info, memory)?;
        self.mask.fill(
            self.tracker.faces(),
            input.size(),
            self.parameters.mask_padding,
            self.parameters.mask_sigma,
        );
        self.draw(input, output, memory)
    }

    /// detect -> track
    fn find_faces<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        info: &FrameInfo<'_>,
        memory: &mut PerSample<S>,
    ) -> Result<()> {
        let start = Instant::now();
        if self.scene.observe(input) {
            self.tracker.reset();
            memory.kept.clear();
            memory.watch.clear();
            self.until_detection = 0;
        }
        let due = self.detector.is_some() && info.faces.is_none() && self.is_due(input, memory);
        let detections = match (info.faces, &mut self.detector) {
            (Some(faces), _) => Some(faces),
            (None, Some(detector)) if due => {
                let spec = detector.input();
                let placement = spec.place(input.size());
                letterbox::fill(
                    input,
                    &placement,
                    spec.encoding,
                    &mut memory.resampler,
                    &mut self.scratch.letterbox,
                )?;
                let found = &mut self.scratch.detections;
                found.clear();
                detector.run(
                    &self.scratch.letterbox,
                    placement.tensor,
                    track::score_floor(&self.parameters),
                    found,
                )?;
                suppression::suppress(found, SUPPRESSION_IOU);
                found
                    .iter_mut()
                    .for_each(|detection| placement.to_frame(detection));
                self.stats.detections += 1;
                Some(found.as_slice())
            }
            (None, Some(_)) => None,
            (None, None) => Some(&[][..]),
        };
        self.tracker.advance(info.pts, detections, &self.parameters);
        self.stats.detect += start.elapsed();
        Ok(())
    }

    /// Whether faces are to be looked for in this frame.
    fn is_due<S: Sample>(&mut self, input: &Frame<'_, S>, memory: &mut PerSample<S>) -> bool {
        let waited = self.until_detection == 0;
        self.until_detection = self.until_detection.saturating_sub(1);
        let interval = self.parameters.detect_interval;
        if interval > 0 {
            if waited {
                self.until_detection = interval - 1;
            }
            return waited;
        }
        // A quarter of the area of the smallest face that counts: what moves is seldom a whole face.
        let face = (self.parameters.min_face_size / BLOCK as f64).powi(2) / 4.0;
        let looked_at = self.clock.saturating_sub(self.detected_at);
        let due =
            waited && (looked_at >= STILL_INTERVAL || memory.watch.moved(input, face as usize));
        if due {
            memory.watch.remember(input);
            self.detected_at = self.clock;
        }
        due
    }

    /// plan -> generate -> fuse
    fn draw<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        memory: &mut PerSample<S>,
    ) -> Result<()> {
        let whole = Rect::whole(input.size());
        let view = self.parameters.view;
        if matches!(view, View::Face | View::Mask | View::Bicubic) {
            // What is kept would have to be compared with every frame to stay of use.
            memory.kept.clear();
            self.layer.clear();
        }
        match view {
            View::Fused | View::General => self.draw_fused(input, whole, output, memory),
            View::Face if self.face.is_some() => self.run_face(input, &[whole], |_, drawn| {
                fuse::write_tile(output, None, drawn)
            }),
            // Without a face generator its picture is the general one, as in the fusion.
            View::Face => self.draw_fused(input, whole, output, memory),
            View::Mask => {
                fuse::write_mask(output, whole, &self.mask, &mut self.scratch.fuse);
                Ok(())
            }
            View::Bicubic => self.draw_bicubic(input, whole, output, memory),
            View::Split => {
                let left = Rect {
                    width: whole.width / 2,
                    ..whole
                };
                let right = Rect {
                    x: left.width,
                    width: whole.width - left.width,
                    ..whole
                };
                // Fused first: it is drawn in whole cells, which may reach over the middle.
                self.draw_fused(input, right, output, memory)?;
                self.draw_bicubic(input, left, output, memory)?;
                for y in 0..output.size().height {
                    let column = (right.x * SCALE * 3).min(output.size().width * 3 - 3);
                    output.row_mut(y)[column..column + 3].fill(S::from_f32(S::MAX));
                }
                Ok(())
            }
        }
    }

    /// The fused picture in `area`, input pixels, and perhaps some pixels around it. The general one where the view says so.
    fn draw_fused<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        area: Rect,
        output: &mut FrameMut<'_, S>,
        memory: &mut PerSample<S>,
    ) -> Result<()> {
        let start = Instant::now();
        let size = input.size();
        let kept = &mut memory.kept;
        let reuse = self.parameters.reuse != Reuse::None;
        let fused = self.parameters.view != View::General && self.face.is_some();
        let cost = self.general_pass.cost(self.general.as_ref());
        let context = cost.context;
        if reuse {
            kept.observe(input, context, self.clock, &self.parameters);
        } else {
            kept.release();
        }
        let nowhere = Mask::default();
        let mask = if fused { &self.mask } else { &nowhere };
        let wanted = &mut self.scratch.wanted;
        plan::general_cells(size, area, mask, wanted);
        let count = wanted.count() as u64;
        self.stats.tiles_total += count;
        if reuse {
            kept.unmark_valid(wanted);
        }
        let mut areas = plan::rectangles(wanted, cost);
        // Cells that hold but lie inside a rectangle are drawn with it.
        let drawn: usize = areas
            .iter()
            .map(|area| wanted.touching(*area).size().area())
            .sum();
        self.stats.tiles_run += (drawn as u64).min(count);
        self.stats.tiles_reused += count.saturating_sub(drawn as u64);
        self.stats.pixels_total += size.area() as u64;
        self.stats.plan += start.elapsed();

        if reuse {
            let mut still = std::mem::take(&mut self.scratch.still);
            plan::general_cells(size, area, &nowhere, &mut still);
            for area in &areas {
                still.set_touching(*area, false);
            }
            let mut picture = kept.picture()?;
            self.draw_general(input, &areas, &mut picture, Some(output))?;
            let start = Instant::now();
            for stretch in still.stretches() {
                fuse::copy(&picture.as_frame(), stretch, output);
            }
            self.stats.fuse += start.elapsed();
            self.scratch.still = still;
            kept.note_drawn(&areas, self.clock);
        } else {
            self.draw_general(input, &areas, output, None)?;
        }
        areas.clear();
        if !fused {
            // Regions that are not looked at in every frame cannot be told to hold.
            self.layer.clear();
            return Ok(());
        }

        let mut supports = std::mem::take(&mut self.scratch.supports);
        supports.clear();
        supports.extend(
            self.mask
                .supports()
                .filter_map(|support| support.intersection(area)),
        );
        merge_overlapping(&mut supports);
        let face_context = self
            .face
            .as_ref()
            .map_or(0, |face| self.face_pass.cost(face.as_ref()).context);
        let (parameters, clock, kept) = (&self.parameters, self.clock, &memory.kept);
        let holds =
            |rect: Rect, drawn: Duration| kept.holds(rect, face_context, drawn, clock, parameters);
        let holds: Option<&dyn Fn(Rect, Duration) -> bool> =
            if reuse { Some(&holds) } else { None };
        areas.extend(self.layer.begin(size, &supports, clock, holds));
        let mut layer = std::mem::take(&mut self.layer);
        let result = self.run_face(input, &areas, |area, drawn| layer.draw(area, drawn));
        if result.is_err() {
            // Half a region must not be taken for a whole one later.
            layer.clear();
        }
        self.layer = layer;
        result?;
        let start = Instant::now();
        for (index, support) in supports.iter().enumerate() {
            let scratch = &mut self.scratch.fuse;
            fuse::blend(output, &self.layer, index, *support, &self.mask, scratch);
            self.stats.face_pixels += support.scaled(SCALE).size().area() as u64;
        }
        self.stats.fuse += start.elapsed();
        self.scratch.supports = supports;
        Ok(())
    }

    /// Runs the general generator over `areas` and writes them into `picture` and into `second`, if there is one.
    fn draw_general<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        areas: &[Rect],
        picture: &mut FrameMut<'_, S>,
        mut second: Option<&mut FrameMut<'_, S>>,
    ) -> Result<()> {
        let start = Instant::now();
        let mut writing = Duration::ZERO;
        let work = run_areas(
            self.general.as_mut(),
            &mut self.general_pass,
            input,
            areas,
            &mut self.scratch.tensor,
            &self.canceller,
            |_, drawn| {
                let start = Instant::now();
                let finite = fuse::write_tile(picture, second.as_deref_mut(), drawn);
                writing += start.elapsed();
                finite
            },
        )?;
        self.stats.runs += work.runs;
        self.stats.pixels_run += work.pixels;
        self.stats.general += start.elapsed().saturating_sub(writing);
        self.stats.fuse += writing;
        Ok(())
    }

    /// Runs the face generator over `areas` and hands each tile, with the index of its area, to `draw`.
    fn run_face<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        areas: &[Rect],
        draw: impl FnMut(usize, &Drawn<'_>) -> bool,
    ) -> Result<()> {
        let Some(face) = &mut self.face else {
            return Ok(());
        };
        let start = Instant::now();
        let work = run_areas(
            face.as_mut(),
            &mut self.face_pass,
            input,
            areas,
            &mut self.scratch.tensor,
            &self.canceller,
            draw,
        )?;
        self.stats.runs += work.runs;
        self.stats.face_pixels_run += work.pixels;
        self.stats.face += start.elapsed();
        Ok(())
    }

    /// The bicubic picture in `area`, input pixels.
    fn draw_bicubic<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        area: Rect,
        output: &mut FrameMut<'_, S>,
        memory: &mut PerSample<S>,
    ) -> Result<()> {
        if area.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let scaled = memory
            .resampler
            .resize(input, output.size(), Kernel::Bicubic)?;
        fuse::copy(&scaled, area, output);
        self.stats.fuse += start.elapsed();
        Ok(())
    }
}

/// What `slot` holds for samples `S`, made new if the last frame had others. Put it back after use.
fn take_memory<S: Sample>(slot: &mut Box<dyn std::any::Any + Send>) -> Box<PerSample<S>> {
    std::mem::replace(slot, Box::new(()))
        .downcast()
        .unwrap_or_default()
}

/// A generator whose receptive radius is in models.toml, or else measured.
fn generator(
    mut network: Network,
    found: &model::Resolved,
    cancel: &Canceller,
) -> Result<OnnxGenerator> {
    let encoding = found.encoding();
    let radius = match found.receptive_radius {
        Some(radius) => radius,
        None => {
            // The contract first: probing a network of another kind would blame the wrong thing.
            let checked = OnnxGenerator::new(network, 0, encoding)?;
            network = checked.into_network();
            cancel.check()?;
            model::probe::receptive_radius(&mut network)?
        }
    };
    OnnxGenerator::new(network, radius, encoding)
}

/// Whether `name` stands for no model.
pub(crate) fn is_none(name: &str) -> bool {
    name.is_empty() || name == NO_MODEL
}
