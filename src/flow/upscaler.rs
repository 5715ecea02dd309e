//! One frame in, one frame out: the flow through all rooms, and the opening of the models.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::SCALE;
use crate::cancel::Canceller;
use crate::draw::drawer::{Drawer, News};
use crate::draw::pass::TileLimits;
use crate::draw::{Generator, Transfer};
use crate::error::{Error, Result};
use crate::find::Detector;
use crate::flow::Stats;
use crate::flow::decide::{Costs, Decider, Job};
use crate::follow::track::Face;
use crate::models;
use crate::notice::Notice;
use crate::open::{OnnxDetector, OnnxGenerator};
use crate::picture::{Frame, FrameMut, Sample, Size};
use crate::runtime::Network;
use crate::runtime::library;
use crate::runtime::provider;
use crate::settings::{Config, Parameters, Provider};

pub use crate::flow::decide::FrameInfo;

/// Pixels of a tile, context included, where the user leaves the size to the planner: a 640x360 frame is one tile.
///
/// Measured with the shipped generators on two cores, in processor time per pixel that is kept, 640x360 tiles being 1: 128x128 1.4,
/// 256x256 1.2, 384x256 1.1, 640x480 1.03, 1280x720 0.97. Memory grows with the area, about 0.9 kB a pixel, and decides.
const TILE_AREA: usize = 240 * 1024;

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
    /// How pictures get to it and back.
    pub transfer: Transfer,
}

/// Everything of an upscaler but the drawing: decides, keeps count, and knows what runs where.
pub(crate) struct Desk {
    pub(crate) decider: Decider,
    pub(crate) canceller: Canceller,
    pub(crate) stats: Stats,
    reports: Vec<ModelReport>,
    /// What a user should be told.
    notices: Vec<Notice>,
}

impl Desk {
    /// Whether `output` has the size that an `input` of this size has drawn.
    pub(crate) fn check_sizes(input: Size, output: Size) -> Result<()> {
        let expected = input.scaled(SCALE);
        if output == expected {
            return Ok(());
        }
        Err(Error::Shape {
            what: "output frame".into(),
            expected: expected.to_string(),
            found: output.to_string(),
        })
    }

    /// Decides on a frame; see [`Decider::decide`].
    pub(crate) fn decide<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        info: &FrameInfo<'_>,
        job: &mut Job,
    ) -> Result<()> {
        self.canceller.check()?;
        self.stats.frames_in += 1;
        let (adopted, notices) = self.decider.adopt_better();
        self.notices.extend(notices);
        self.report(models::DETECTOR, adopted);
        self.decider.decide(input, info, job, &mut self.stats)
    }

    /// Takes in what is new of the generators.
    pub(crate) fn hear(&mut self, news: News) {
        self.notices.extend(news.notices);
        for (role, transfer) in news.transfers {
            for report in self.reports.iter_mut().filter(|report| report.role == role) {
                report.transfer = transfer;
            }
        }
        for (role, provider) in news.adopted {
            self.report(role, Some(provider));
            self.decider.forget_drawn();
        }
    }

    /// Takes in what became of a frame with `faces`: what drawing it gave, whether it succeeded, and the time for all of it.
    pub(crate) fn settle(
        &mut self,
        faces: usize,
        result: &Result<()>,
        costs: Costs,
        work: &Stats,
        time: Duration,
    ) {
        self.decider.costs = costs;
        self.stats.add(work);
        if result.is_err() {
            self.decider.forget_drawn();
            return;
        }
        self.stats.frames_out += 1;
        self.stats.faces = faces as u64;
        self.stats.frames_with_faces += u64::from(faces > 0);
        self.stats.last = time;
        self.stats.total += time;
    }

    pub(crate) fn models(&self) -> &[ModelReport] {
        &self.reports
    }

    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn report(&mut self, role: &str, adopted: Option<Provider>) {
        let Some(provider) = adopted else { return };
        for report in self.reports.iter_mut().filter(|report| report.role == role) {
            report.refused.retain(|(refused, _)| *refused != provider);
            report.provider = provider;
        }
    }
}

/// Upscales frames four times. One per stream; not shared between threads.
pub struct Upscaler {
    desk: Desk,
    drawer: Drawer,
    job: Job,
}

impl Upscaler {
    /// The cheap part of [`Upscaler::open`], with the same errors: files there and whole, runtime library loads.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Setting`], [`Error::Runtime`], [`Error::Provider`].
    pub fn check(config: &Config) -> Result<()> {
        provider::check_named(config)?;
        models::resolve_all(config)?;
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
        let models = models::resolve_all(config)?;
        let count = 1 + usize::from(models.face.is_some()) + usize::from(models.detector.is_some());
        let mut reports = Vec::with_capacity(count);
        let mut open = |role: &'static str, found: &models::Resolved| -> Result<Network> {
            progress(&LoadStep {
                role,
                model: found.name.clone(),
                index: reports.len(),
                count,
            });
            cancel.check()?;
            // A generator on a provider that compiles is given one size of tiles only; others take any.
            let purpose = crate::open::prebuild::purpose(role, found);
            let network = Network::open_for(
                &found.path,
                &found.name,
                &found.sha256,
                purpose,
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
                transfer: network.transfer(),
            });
            Ok(network)
        };
        let general = open(models::GENERAL, &models.general)?;
        let face = models
            .face
            .as_ref()
            .map(|found| open(models::FACE, found))
            .transpose()?;
        let detector = models
            .detector
            .as_ref()
            .map(|found| open(models::DETECTOR, found))
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
                (models::GENERAL, _) => general.radius(),
                (models::FACE, Some(face)) => face.radius(),
                _ => 0,
            };
        }
        let mut upscaler = Self::assemble(
            Box::new(general),
            face.map(|network| Box::new(network) as Box<dyn Generator>),
            detector.map(|network| Box::new(network) as Box<dyn Detector>),
            config.tile_size,
            config.tile_overlap,
            cancel.clone(),
        );
        upscaler.desk.reports = reports;
        Ok(upscaler)
    }

    /// An upscaler of networks that are open already; `tile_size` and `tile_overlap` as in [`Config`].
    pub fn with_networks(
        general: Box<dyn Generator>,
        face: Option<Box<dyn Generator>>,
        detector: Option<Box<dyn Detector>>,
        tile_size: usize,
        tile_overlap: Option<usize>,
    ) -> Self {
        Self::assemble(
            general,
            face,
            detector,
            tile_size,
            tile_overlap,
            Canceller::new(),
        )
    }

    fn assemble(
        general: Box<dyn Generator>,
        face: Option<Box<dyn Generator>>,
        detector: Option<Box<dyn Detector>>,
        tile_size: usize,
        tile_overlap: Option<usize>,
        canceller: Canceller,
    ) -> Self {
        let limits = TileLimits {
            side: tile_size,
            area: TILE_AREA,
        };
        let drawer = Drawer::new(general, face, limits, tile_overlap, canceller.clone());
        let desk = Desk {
            decider: Decider::new(detector, drawer.costs()),
            canceller,
            stats: Stats::default(),
            reports: Vec::new(),
            notices: Vec::new(),
        };
        Self::of_parts(desk, drawer)
    }

    pub(crate) fn of_parts(desk: Desk, drawer: Drawer) -> Self {
        Self {
            desk,
            drawer,
            job: Job::default(),
        }
    }

    pub(crate) fn into_parts(self) -> (Desk, Drawer) {
        (self.desk, self.drawer)
    }

    /// The flag that stops it from another thread.
    pub fn canceller(&self) -> Canceller {
        self.desk.canceller.clone()
    }

    /// What runs where.
    pub fn models(&self) -> &[ModelReport] {
        self.desk.models()
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &Parameters {
        self.desk.decider.parameters()
    }

    /// Takes new parameters from the next frame on.
    ///
    /// # Errors
    /// [`Error::Setting`]; the old ones stay.
    pub fn set_parameters(&mut self, parameters: Parameters) -> Result<()> {
        self.desk.decider.set_parameters(parameters)
    }

    /// Forgets faces and time, as after a seek. Counters go on.
    pub fn reset(&mut self) {
        self.desk.decider.reset();
    }

    /// Faces of the last frame, in pixels of the input.
    pub fn faces(&self) -> &[Face] {
        self.desk.decider.faces()
    }

    /// Counters and times.
    pub fn stats(&self) -> &Stats {
        &self.desk.stats
    }

    /// What happened since the last call that a user should be told: a change of provider or of precision, with its reason.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.desk.take_notices()
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
        let Self { desk, drawer, job } = self;
        Desk::check_sizes(input.size(), output.size())?;
        let start = Instant::now();
        // Before anything is decided: after a change nothing that is kept counts.
        desk.hear(drawer.adopt_better());
        desk.decide(&input, info, job)?;
        let mut work = Stats::default();
        let result = drawer.draw(job, &input, output, &mut work);
        let costs = drawer.costs();
        desk.settle(job.faces.len(), &result, costs, &work, start.elapsed());
        result
    }
}

/// A generator whose receptive radius is in models.toml, or else measured.
fn generator(
    mut network: Network,
    found: &models::Resolved,
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
            crate::open::probe::receptive_radius(&mut network)?
        }
    };
    OnnxGenerator::new(network, radius, encoding)
}
