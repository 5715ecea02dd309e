//! One frame in, one frame out: the flow through all rooms.

use std::sync::Arc;
use std::time::Instant;

use super::decide::{Comparing, Decider, FrameInfo, GivenDetection};
use super::detail::DetailControl;
use super::report::{ModelReport, Recorded};
use super::seeker::Seeker;
use super::stats::Stats;
use super::stream::{Stream, check_sizes};
use crate::cancel::Canceller;
use crate::draw::drawer::{Drawer, Outcome, Work, traits};
use crate::draw::{Embedder, Generator};
use crate::error::{Error, Result};
use crate::find::Detector;
use crate::follow::track::Face;
use crate::notice::Notice;
use crate::picture::{Frame, FrameMut};
use crate::plan::Plan;
use crate::plan::cost::{Profiler, TileSettings};
use crate::settings::{MAX_KINDS, ObjectKind, Parameters};

/// Upscales frames four times. One per stream; not shared between threads.
pub struct Upscaler {
    stream: Stream,
    drawer: Drawer,
    plan: Plan,
    recorded: Option<Recorded>,
}

/// A kind of objects and its networks.
pub struct Expert {
    /// The kind.
    pub kind: ObjectKind,
    /// What draws its objects; without, they are followed and told of, and drawn as everything else is.
    pub generator: Option<Box<dyn Generator>>,
    /// What finds them; without, they come with the frames.
    pub detector: Option<Box<dyn Detector>>,
}

impl Expert {
    /// That of faces.
    fn of_faces(
        generator: Option<Box<dyn Generator>>,
        detector: Option<Box<dyn Detector>>,
    ) -> Self {
        Self {
            kind: ObjectKind::faces(),
            generator,
            detector,
        }
    }
}

/// The networks that an upscaler runs.
pub(crate) struct NetworkSet {
    pub(crate) general: Box<dyn Generator>,
    pub(crate) fast: Option<Box<dyn Generator>>,
    /// One for each kind of objects.
    pub(crate) experts: Vec<Expert>,
    pub(crate) embedder: Option<Box<dyn Embedder>>,
}

impl NetworkSet {
    /// The general one alone.
    pub(crate) fn of(general: Box<dyn Generator>) -> Self {
        Self {
            general,
            fast: None,
            experts: Vec::new(),
            embedder: None,
        }
    }
}

impl Upscaler {
    /// An upscaler of networks that are open already; `tile_size` and `tile_overlap` as in [`crate::Config`].
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for tiles that would be context and hardly anything else.
    pub fn with_networks(
        general: Box<dyn Generator>,
        face: Option<Box<dyn Generator>>,
        detector: Option<Box<dyn Detector>>,
        tile_size: usize,
        tile_overlap: Option<usize>,
    ) -> Result<Self> {
        let tiles = TileSettings {
            side: tile_size,
            overlap: tile_overlap,
        };
        let networks = NetworkSet {
            experts: vec![Expert::of_faces(face, detector)],
            ..NetworkSet::of(general)
        };
        Self::assemble(networks, tiles, Canceller::new(), Vec::new())
    }

    /// The same with an expert for each of several kinds of objects; its tiles are chosen. Where objects overlap and their weights are
    /// alike the kind that comes first is drawn.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for more kinds than [`MAX_KINDS`], or one of them twice.
    pub fn with_experts(general: Box<dyn Generator>, experts: Vec<Expert>) -> Result<Self> {
        let networks = NetworkSet {
            experts,
            ..NetworkSet::of(general)
        };
        let tiles = TileSettings::default();
        Self::assemble(networks, tiles, Canceller::new(), Vec::new())
    }

    /// The same with a generator that takes less time, for what `general` has no time for in frames with a [`FrameInfo::budget`].
    ///
    /// # Errors
    /// As [`Upscaler::with_networks`].
    pub fn with_fast_network(
        general: Box<dyn Generator>,
        fast: Box<dyn Generator>,
        face: Option<Box<dyn Generator>>,
        detector: Option<Box<dyn Detector>>,
    ) -> Result<Self> {
        let networks = NetworkSet {
            fast: Some(fast),
            experts: vec![Expert::of_faces(face, detector)],
            ..NetworkSet::of(general)
        };
        let tiles = TileSettings::default();
        Self::assemble(networks, tiles, Canceller::new(), Vec::new())
    }

    /// The same with a network that compares drawn faces with the input's, for [`Parameters::identity_guard`]; its tiles are chosen.
    ///
    /// # Errors
    /// Those of [`Upscaler::with_networks`].
    pub fn with_guard(
        general: Box<dyn Generator>,
        face: Box<dyn Generator>,
        detector: Box<dyn Detector>,
        embedder: Box<dyn Embedder>,
    ) -> Result<Self> {
        let networks = NetworkSet {
            experts: vec![Expert::of_faces(Some(face), Some(detector))],
            embedder: Some(embedder),
            ..NetworkSet::of(general)
        };
        let tiles = TileSettings::default();
        Self::assemble(networks, tiles, Canceller::new(), Vec::new())
    }

    /// The same with the flag that stops it and with what is known of the models.
    pub(crate) fn assemble(
        networks: NetworkSet,
        tiles: TileSettings,
        canceller: Canceller,
        reports: Vec<ModelReport>,
    ) -> Result<Self> {
        let NetworkSet {
            general,
            fast,
            experts,
            embedder,
        } = networks;
        check_kinds(&experts)?;
        let profiler = |generator: &dyn Generator| Profiler::new(traits(generator), tiles);
        let general_profiler = profiler(general.as_ref())?;
        let fast_profiler = fast.as_deref().map(profiler).transpose()?;
        let kinds = experts.len();
        let (mut seekers, mut profilers, mut generators) = (
            Vec::with_capacity(kinds),
            Vec::with_capacity(kinds),
            Vec::with_capacity(kinds),
        );
        let mut draws_faces = false;
        for (place, expert) in experts.into_iter().enumerate() {
            let draws = expert.generator.is_some();
            draws_faces |= draws && expert.kind.is_faces();
            profilers.push(expert.generator.as_deref().map(profiler).transpose()?);
            generators.push(expert.generator);
            let (kind, detector) = (expert.kind, expert.detector);
            seekers.push(Seeker::new(kind, detector, draws, (place, kinds)));
        }
        let comparing = match (&embedder, draws_faces) {
            (Some(_), _) => Comparing::Possible,
            (None, true) => Comparing::Impossible,
            (None, false) => Comparing::Needless,
        };
        let decider = Decider::new(seekers, comparing);
        let drawer = Drawer::new(general, fast, generators, embedder, canceller.clone());
        let stream = Stream::new(
            decider,
            general_profiler,
            fast_profiler,
            profilers,
            canceller,
            reports,
        );
        Ok(Self {
            stream,
            drawer,
            plan: Plan::default(),
            recorded: None,
        })
    }

    /// Adds to what a user should be told.
    pub(crate) fn notify(&mut self, notices: Vec<Notice>) {
        self.stream.notify(notices);
    }

    /// Has nothing learnt from how long runs take, see [`crate::Config::deterministic`].
    pub(crate) fn set_deterministic(&mut self, deterministic: bool) {
        self.stream.deterministic = deterministic;
    }

    /// Has so many threads write what networks draw; one if nothing is said. Pictures do not depend on it.
    pub fn set_threads(&mut self, threads: usize) {
        self.drawer.set_threads(threads);
    }

    /// The stream's state, for tests.
    #[cfg(test)]
    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The half that decides and the half that draws.
    pub(super) fn into_parts(self) -> (Stream, Drawer) {
        (self.stream, self.drawer)
    }

    /// Has every frame tell what drew it from now on, see [`Upscaler::take_recorded`].
    pub fn keep_records(&mut self) {
        self.stream.origins.get_or_insert_default();
    }

    /// What drew the last frame that succeeded; `None` unless [`Upscaler::keep_records`] was called before.
    pub fn take_recorded(&mut self) -> Option<Recorded> {
        self.recorded.take()
    }

    /// The flag that stops it from another thread.
    pub fn canceller(&self) -> Canceller {
        self.stream.canceller.clone()
    }

    /// What runs where.
    pub fn models(&self) -> &[ModelReport] {
        self.stream.models()
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &Parameters {
        self.stream.decider.parameters()
    }

    /// Takes new parameters from the next frame on.
    ///
    /// # Errors
    /// [`crate::Error::Setting`]; the old ones stay.
    pub fn set_parameters(&mut self, parameters: Parameters) -> Result<()> {
        self.stream.decider.set_parameters(parameters)
    }

    /// How much of the natural look generators with a partner have from now on, 0 to 1, see [`crate::Config::detail`]. The other networks are opened in
    /// the background: frames are drawn as before until each is ready, and then nothing that is kept counts. Where there is no partner that is told
    /// once, see [`Upscaler::take_notices`].
    ///
    /// # Errors
    /// [`crate::Error::Setting`]; it stays as it was.
    pub fn set_detail(&mut self, detail: f64) -> Result<()> {
        self.stream.set_detail(detail)
    }

    /// Has [`Upscaler::set_detail`] turn this knob.
    pub(crate) fn control_detail(&mut self, control: DetailControl) {
        self.stream.detail = control;
    }

    /// Forgets faces and time, as after a seek. Counters go on.
    pub fn reset(&mut self) {
        self.stream.decider.reset();
    }

    /// Faces of the last frame, in pixels of the input.
    pub fn faces(&self) -> &[Face] {
        self.stream.decider.faces()
    }

    /// Objects of the last frame, faces among them, in pixels of the input: a list for each of [`Upscaler::kinds`].
    pub fn objects(&self) -> &[Vec<Face>] {
        self.stream.decider.objects()
    }

    /// The kinds of objects that are looked for and drawn by an expert.
    pub fn kinds(&self) -> &Arc<[ObjectKind]> {
        self.stream.kinds()
    }

    /// Whether the same frame over and over would be drawn with the same weights: false while [`Parameters::identity_guard`] has something
    /// to compare or to lower.
    pub fn is_settled(&self) -> bool {
        self.stream.decider.is_settled()
    }

    /// Counters and times.
    pub fn stats(&self) -> &Stats {
        &self.stream.stats
    }

    /// What happened since the last call that a user should be told: a change of provider or of precision, with its reason.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.stream.take_notices()
    }

    /// Upscales `input` into `output`, which must be [`crate::SCALE`] times as wide and high. After an error the output is undefined,
    /// and the next frame may be tried.
    ///
    /// # Errors
    /// [`crate::Error::Shape`], [`crate::Error::Inference`], [`crate::Error::OutOfMemory`], [`crate::Error::Cancelled`].
    pub fn process(
        &mut self,
        input: Frame<'_>,
        info: &FrameInfo<'_>,
        output: &mut FrameMut<'_>,
    ) -> Result<()> {
        self.process_with(input, info, None, output)
    }

    /// The same with objects of kinds other than faces that somebody else has found: where there are `objects`, those kinds are not looked for.
    ///
    /// # Errors
    /// Those of [`Upscaler::process`].
    pub fn process_with(
        &mut self,
        input: Frame<'_>,
        info: &FrameInfo<'_>,
        objects: Option<&[GivenDetection]>,
        output: &mut FrameMut<'_>,
    ) -> Result<()> {
        let Self {
            stream,
            drawer,
            plan,
            recorded,
        } = self;
        *recorded = None;
        check_sizes(input.size(), output.size())?;
        let start = Instant::now();
        // Before anything is decided: after a change nothing that is kept counts.
        stream.update(drawer.adopt_better());
        stream.decide(&input, (info, objects), output.format(), plan)?;
        // The output that is handed in holds nothing yet.
        plan.repeats = false;
        let mut work = Work::default();
        let result = loop {
            match drawer.draw(plan, &input, output, &mut work) {
                Ok(Outcome::Complete) => break Ok(()),
                Ok(outcome) => {
                    if let Err(error) = stream.replan(plan, input.size(), output.format(), outcome)
                    {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        stream.account(plan, &work);
        stream.time(start.elapsed(), plan, &work, info.budget);
        stream.settle(plan, &result, start.elapsed());
        if result.is_ok() {
            *recorded = stream.recorded(plan);
        }
        result
    }
}

/// Whether the kinds of `experts` can be told apart, and are not too many.
fn check_kinds(experts: &[Expert]) -> Result<()> {
    let names: Vec<&str> = experts.iter().map(|e| e.kind.subject.as_str()).collect();
    let is_twice = |place: usize| names[..place].contains(&names[place]);
    if names.len() <= MAX_KINDS && !(0..names.len()).any(is_twice) {
        return Ok(());
    }
    Err(Error::Setting {
        name: "objects".into(),
        expected: format!("at most {MAX_KINDS} kinds, each once"),
        found: names.join(","),
    })
}
