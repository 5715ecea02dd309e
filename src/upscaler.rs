//! The flow of a frame through all rooms, and the owner of all scratch memory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::SCALE;
use crate::cancel::Canceller;
use crate::config::{Config, NO_MODEL, Parameters, View};
use crate::detect::{Detection, letterbox, suppression};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameMut, Sample};
use crate::fuse;
use crate::generate::{FaceDetector, FaceLayer, Generator, OnnxDetector, OnnxGenerator, run_tiles};
use crate::mask::Mask;
use crate::model;
use crate::resample::{Kernel, Resampler};
use crate::runtime::library;
use crate::runtime::provider::Provider;
use crate::runtime::session::Network;
use crate::scene::SceneCut;
use crate::stats::Stats;
use crate::tile::{Limit, Rect, Tile, cover, merge_overlapping};
use crate::track::{self, Face, Tracker};

/// Intersection over union from which two candidates are one face.
const SUPPRESSION_IOU: f32 = 0.4;

/// Pixels of a tile, context included, where the user leaves the size to the planner: a 640x360 frame is one tile.
///
/// Measured with the shipped generators on two cores, in processor time per pixel that is kept, 640x360 tiles being 1: 128x128 1.4,
/// 256x256 1.2, 384x256 1.1, 640x480 1.03, 1280x720 0.97. Memory grows with the area, about 0.9 kB a pixel, and decides.
const TILE_AREA: usize = 240 * 1024;

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

/// Memory that is reused from frame to frame.
#[derive(Default)]
struct Scratch {
    tensor: Vec<f32>,
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
    tile_size: usize,
    tile_overlap: Option<usize>,
    canceller: Canceller,
    reports: Vec<ModelReport>,
    tracker: Tracker,
    scene: SceneCut,
    mask: Mask,
    layer: FaceLayer,
    scratch: Scratch,
    /// A `Resampler` of the sample type in use.
    resampler: Box<dyn std::any::Any + Send>,
    /// Frames until the next detection.
    until_detection: u32,
    stats: Stats,
}

impl Upscaler {
    /// The cheap part of [`Upscaler::open`], with the same errors: files there and whole, runtime library loads.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Setting`], [`Error::Runtime`].
    pub fn check(config: &Config) -> Result<()> {
        library::load(config.runtime_library.as_deref())?;
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
            let network = Network::open(&found.path, &found.name, &found.sha256, config, cancel)?;
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
        Self {
            general,
            face,
            detector,
            parameters: Parameters::default(),
            tile_size,
            tile_overlap,
            canceller: Canceller::new(),
            reports: Vec::new(),
            tracker: Tracker::default(),
            scene: SceneCut::default(),
            mask: Mask::default(),
            layer: FaceLayer::default(),
            scratch: Scratch::default(),
            resampler: Box::new(()),
            until_detection: 0,
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
        self.find_faces(&input, info)?;
        self.mask.fill(
            self.tracker.faces(),
            input.size(),
            self.parameters.mask_padding,
            self.parameters.mask_sigma,
        );
        self.draw(&input, output)?;
        self.stats.frames_out += 1;
        self.stats.faces = self.tracker.faces().len() as u64;
        self.stats.frames_with_faces += u64::from(self.stats.faces > 0);
        self.stats.last = start.elapsed();
        self.stats.total += self.stats.last;
        Ok(())
    }

    /// detect -> track
    fn find_faces<S: Sample>(&mut self, input: &Frame<'_, S>, info: &FrameInfo<'_>) -> Result<()> {
        let start = Instant::now();
        if self.scene.observe(input) {
            self.tracker.reset();
            self.until_detection = 0;
        }
        let due = self.until_detection == 0;
        let detections = match (info.faces, &mut self.detector) {
            (Some(faces), _) => Some(faces),
            (None, Some(detector)) if due => {
                let spec = detector.input();
                let placement = spec.place(input.size());
                let resampler = resampler::<S>(&mut self.resampler);
                letterbox::fill(
                    input,
                    &placement,
                    spec.encoding,
                    resampler,
                    &mut self.scratch.tensor,
                )?;
                let found = &mut self.scratch.detections;
                found.clear();
                detector.run(
                    &self.scratch.tensor,
                    placement.tensor,
                    track::score_floor(&self.parameters),
                    found,
                )?;
                suppression::suppress(found, SUPPRESSION_IOU);
                found
                    .iter_mut()
                    .for_each(|detection| placement.to_frame(detection));
                self.until_detection = self.parameters.detect_interval;
                Some(found.as_slice())
            }
            (None, Some(_)) => None,
            (None, None) => Some(&[][..]),
        };
        self.until_detection = self.until_detection.saturating_sub(1);
        self.tracker.advance(info.pts, detections, &self.parameters);
        self.stats.detect += start.elapsed();
        Ok(())
    }

    /// plan -> generate -> fuse
    fn draw<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
    ) -> Result<()> {
        let size = input.size();
        let whole = Rect::whole(size);
        let left = Rect {
            width: size.width / 2,
            ..whole
        };
        let right = Rect {
            x: left.width,
            width: size.width - left.width,
            ..whole
        };
        self.layer.clear();
        match self.parameters.view {
            View::Fused => self.draw_fused(input, whole, output),
            View::General => self.draw_one(input, output, false),
            View::Face => self.draw_one(input, output, true),
            View::Mask => {
                fuse::write_mask(output, whole, &self.mask, &mut self.scratch.fuse);
                Ok(())
            }
            View::Bicubic => self.draw_bicubic(input, whole, output),
            View::Split => {
                self.draw_bicubic(input, left, output)?;
                self.draw_fused(input, right, output)?;
                for y in 0..output.size().height {
                    let column = (right.x * SCALE * 3).min(output.size().width * 3 - 3);
                    output.row_mut(y)[column..column + 3].fill(S::from_f32(S::MAX));
                }
                Ok(())
            }
        }
    }

    fn plan(&self, radius: usize, frame: crate::Size, area: Rect) -> Vec<Tile> {
        let limit = if self.tile_size == 0 {
            Limit::Area(TILE_AREA)
        } else {
            Limit::Side(self.tile_size)
        };
        cover(frame, area, self.tile_overlap.unwrap_or(radius), limit)
    }

    /// The fused picture in `area`, input pixels.
    fn draw_fused<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        area: Rect,
        output: &mut FrameMut<'_, S>,
    ) -> Result<()> {
        let start = Instant::now();
        if let Some(radius) = self.face.as_ref().map(|face| face.radius()) {
            let mut supports = std::mem::take(&mut self.scratch.supports);
            supports.clear();
            supports.extend(
                self.mask
                    .supports()
                    .filter_map(|support| support.intersection(area)),
            );
            merge_overlapping(&mut supports);
            for &support in &supports {
                let tiles = self.plan(radius, input.size(), support);
                self.count_tiles(&tiles);
                self.layer.begin(support);
                if let Some(face) = &mut self.face {
                    let layer = &mut self.layer;
                    run_tiles(
                        face.as_mut(),
                        input,
                        &tiles,
                        &mut self.scratch.tensor,
                        &self.canceller,
                        |drawn| {
                            layer.draw(drawn);
                            Ok(())
                        },
                    )?;
                }
            }
            self.scratch.supports = supports;
            self.stats.face_pixels += self.layer.area() as u64;
        }
        self.stats.face += start.elapsed();
        let tiles = self.plan(self.general.radius(), input.size(), area);
        self.count_tiles(&tiles);
        self.write_tiles(input, &tiles, output, false)
    }

    /// One generator's picture of the whole frame.
    fn draw_one<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        face: bool,
    ) -> Result<()> {
        // Without a face generator its picture is the general one, as in the fusion.
        let face = face && self.face.is_some();
        let radius = match &self.face {
            Some(network) if face => network.radius(),
            _ => self.general.radius(),
        };
        let tiles = self.plan(radius, input.size(), Rect::whole(input.size()));
        self.count_tiles(&tiles);
        // An empty mask, so that nothing is blended in.
        let mask = std::mem::take(&mut self.mask);
        let result = self.write_tiles(input, &tiles, output, face);
        self.mask = mask;
        result
    }

    /// Runs a generator over `tiles` and writes them, fused with the face layer.
    fn write_tiles<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        tiles: &[Tile],
        output: &mut FrameMut<'_, S>,
        face: bool,
    ) -> Result<()> {
        let start = Instant::now();
        let mut fusing = Duration::ZERO;
        let network = match &mut self.face {
            Some(network) if face => network,
            _ => &mut self.general,
        };
        let (layer, mask, scratch) = (&self.layer, &self.mask, &mut self.scratch.fuse);
        run_tiles(
            network.as_mut(),
            input,
            tiles,
            &mut self.scratch.tensor,
            &self.canceller,
            |drawn| {
                let start = Instant::now();
                fuse::write_tile(output, drawn, layer, mask, scratch);
                fusing += start.elapsed();
                Ok(())
            },
        )?;
        let generating = start.elapsed().saturating_sub(fusing);
        *(if face {
            &mut self.stats.face
        } else {
            &mut self.stats.general
        }) += generating;
        self.stats.fuse += fusing;
        Ok(())
    }

    /// The bicubic picture in `area`, input pixels.
    fn draw_bicubic<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        area: Rect,
        output: &mut FrameMut<'_, S>,
    ) -> Result<()> {
        if area.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let resampler = resampler::<S>(&mut self.resampler);
        let scaled = resampler.resize(input, output.size(), Kernel::Bicubic)?;
        let columns = area.x * SCALE * 3..area.right() * SCALE * 3;
        for y in area.y * SCALE..area.bottom() * SCALE {
            output.row_mut(y)[columns.clone()].copy_from_slice(&scaled.row(y)[columns.clone()]);
        }
        self.stats.fuse += start.elapsed();
        Ok(())
    }

    fn count_tiles(&mut self, tiles: &[Tile]) {
        self.stats.tiles_total += tiles.len() as u64;
        self.stats.tiles_run += tiles.len() as u64;
    }
}

/// The resampler for samples `S`, made new if the last frame had others.
fn resampler<S: Sample>(slot: &mut Box<dyn std::any::Any + Send>) -> &mut Resampler<S> {
    if !slot.is::<Resampler<S>>() {
        *slot = Box::new(Resampler::<S>::default());
    }
    match slot.downcast_mut() {
        Some(resampler) => resampler,
        None => unreachable!("the slot was filled with this type above"),
    }
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
