//! The half of the flow that decides: find, follow, mask, plan. Looks at the frame and at the detector, never at what was drawn: a frame
//! can be decided on while the one before is still drawn. What it decides is a [`Plan`], which owns all that drawing needs but the
//! frame.

use std::time::{Duration, Instant};

use super::seeker::{Seeker, Shrunk};
use super::stats::Stats;
use crate::error::Result;
use crate::find::Detection;
use crate::follow::clock::{Clock, Tick};
use crate::follow::guard::{Guard, Likeness};
use crate::follow::scene::SceneCut;
use crate::follow::track::Face;
use crate::keep::compare::BLOCK;
use crate::keep::ledger::{Ledger, Rules};
use crate::keep::steady::Steady;
use crate::notice::Notice;
use crate::picture::{Frame, Size};
use crate::plan::budget::Budget;
use crate::plan::repeat::Shown;
use crate::plan::{Counts, Plan, Profiles};
use crate::settings::{ObjectKind, Parameters, Provider, Reuse, View, no_identity_model};

/// How long a picture in which nothing moves is not searched for objects.
const STILL_INTERVAL: Duration = Duration::from_secs(1);

/// What the caller knows of a frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameInfo<'a> {
    /// Presentation time, on any scale that grows with the stream.
    pub pts: Option<Duration>,
    /// Faces found by somebody else, in pixels of the frame; the detector is then not run.
    pub faces: Option<&'a [Detection]>,
    /// The time that it may take from being handed in to being done; `None` for as long as it takes. Objects are drawn in any case; what
    /// of the rest there is no time for is interpolated, and drawn in the frames to come while it stands still.
    pub budget: Option<Duration>,
}

/// An object of a kind other than faces that comes with a frame: the kind's place among [`crate::Upscaler::kinds`], and where it is in pixels of the
/// frame.
pub type GivenDetection = (usize, Detection);

/// News of a kind's detector.
pub struct DetectorNews {
    /// The kind's place.
    pub kind: usize,
    /// The better provider that it has changed over to.
    pub adopted: Option<Provider>,
    /// As [`crate::Detector::refused`].
    pub refused: Vec<(Provider, String)>,
    /// What a user should be told.
    pub notices: Vec<Notice>,
}

/// Whether drawn faces can be compared with the input's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparing {
    /// There is a network for it.
    Possible,
    /// There is none.
    Impossible,
    /// There is none, nor a face network whose faces would be compared.
    Needless,
}

/// Decides on one frame after the other.
pub struct Decider {
    /// One of each kind.
    seekers: Vec<Seeker>,
    /// Which of the kinds is faces.
    faces: Option<usize>,
    parameters: Parameters,
    clock: Clock,
    guard: Guard,
    comparing: Comparing,
    /// Number of the next frame, and how many frames before it the latest is of which everything that was drawn is known.
    number: u64,
    lag: u64,
    /// Of the last frame, kind by kind, as they are drawn.
    objects: Vec<Vec<Face>>,
    scene: SceneCut,
    ledger: Ledger,
    /// What stands still, averaged.
    steady: Steady,
    shrunk: Shrunk,
    shown: Shown,
    /// What comes with a frame of one kind.
    given: Vec<Detection>,
    /// Frames until the next detection.
    until_detection: u32,
    /// The clock when objects were last looked for.
    detected_at: Duration,
    /// Whether everything kept from earlier frames is to be forgotten.
    forget: bool,
}

impl Decider {
    /// Nothing is known of any frame.
    pub fn new(seekers: Vec<Seeker>, comparing: Comparing) -> Self {
        Self {
            faces: seekers.iter().position(|seeker| seeker.kind().is_faces()),
            objects: vec![Vec::new(); seekers.len()],
            seekers,
            parameters: Parameters::default(),
            clock: Clock::default(),
            guard: Guard::default(),
            comparing,
            number: 0,
            lag: 1,
            scene: SceneCut::default(),
            ledger: Ledger::default(),
            steady: Steady::default(),
            shrunk: Shrunk::default(),
            shown: Shown::default(),
            given: Vec::new(),
            until_detection: 0,
            detected_at: Duration::ZERO,
            forget: false,
        }
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Takes new parameters from the next frame on.
    ///
    /// # Errors
    /// [`crate::Error::Setting`]; the old ones stay.
    pub fn set_parameters(&mut self, parameters: Parameters) -> Result<()> {
        parameters.validate()?;
        if parameters.identity_guard > 0.0 && self.comparing == Comparing::Impossible {
            return Err(no_identity_model(parameters.identity_guard));
        }
        self.seekers
            .iter_mut()
            .for_each(|seeker| seeker.set_parameters(&parameters));
        self.parameters = parameters;
        Ok(())
    }

    /// The kinds of objects.
    pub fn kinds(&self) -> impl ExactSizeIterator<Item = &ObjectKind> {
        self.seekers.iter().map(Seeker::kind)
    }

    /// Which of the kinds is faces, if that is one.
    pub fn faces_kind(&self) -> Option<usize> {
        self.faces
    }

    /// Forgets objects and time, as after a seek.
    pub fn reset(&mut self) {
        self.clock.reset();
        self.seekers.iter_mut().for_each(Seeker::reset);
        self.guard.reset();
        self.scene.reset();
        self.until_detection = 0;
        self.forget = true;
    }

    /// Sets how many frames are under way at a time: that many frames before the next to be decided on, everything is drawn.
    pub fn set_lag(&mut self, lag: usize) {
        self.lag = lag.max(1) as u64;
    }

    /// Is told how like the input's a face is that was drawn in frame `number`.
    pub fn tell(&mut self, number: u64, likeness: Likeness) {
        self.guard.tell(number, likeness);
    }

    /// Whether the same frame over and over would be drawn with the same weights.
    pub fn is_settled(&self) -> bool {
        self.guard.is_settled()
    }

    /// Has nothing that was drawn so far counted on from the next frame on.
    pub fn forget_drawn(&mut self) {
        self.forget = true;
    }

    /// Faces of the last frame, in pixels of the input.
    pub fn faces(&self) -> &[Face] {
        let faces = self.faces.and_then(|kind| self.objects.get(kind));
        faces.map_or(&[], Vec::as_slice)
    }

    /// Objects of the last frame, kind by kind, in pixels of the input.
    pub fn objects(&self) -> &[Vec<Face>] {
        &self.objects
    }

    /// Takes better providers into use for detectors, and tells what is new of them.
    pub fn adopt_better(&mut self) -> Vec<DetectorNews> {
        let mut news = Vec::new();
        for (kind, seeker) in self.seekers.iter_mut().enumerate() {
            let Some(detector) = seeker.detector_mut() else {
                continue;
            };
            let (adopted, notices) = (detector.adopt_better(), detector.take_notices());
            if adopted.is_some() || !notices.is_empty() {
                news.push(DetectorNews {
                    kind,
                    adopted,
                    refused: detector.refused().to_vec(),
                    notices,
                });
            }
        }
        news
    }

    /// find -> follow -> mask -> plan. `objects`, where they come with the frame, are those of all kinds but faces. What `plan` says counts as
    /// drawn from now on; if it fails to be, tell [`Decider::forget_drawn`].
    ///
    /// # Errors
    /// The detector's, and [`crate::Error::Memory`].
    pub fn decide(
        &mut self,
        input: &Frame<'_>,
        (info, objects): (&FrameInfo<'_>, Option<&[GivenDetection]>),
        profiles: &Profiles,
        budget: Option<&Budget>,
        plan: &mut Plan,
        stats: &mut Stats,
    ) -> Result<()> {
        let tick = self.clock.tick(info.pts);
        let mut ledger = std::mem::take(&mut self.ledger);
        let decided = self.decide_with(
            input,
            (info, objects),
            &tick,
            profiles,
            budget,
            plan,
            &mut ledger,
            stats,
        );
        self.ledger = ledger;
        let counts = decided?;
        stats.tiles_total += counts.cells;
        stats.tiles_run += counts.cells_run;
        stats.tiles_reused += counts.cells_kept;
        stats.pixels_total += counts.pixels;
        stats.tiles_fast += counts.cells_fast;
        stats.tiles_late += counts.cells_late;
        stats.pixels_late += counts.pixels_late;
        Ok(())
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one call, to have the books back whatever happens"
    )]
    fn decide_with(
        &mut self,
        input: &Frame<'_>,
        (info, objects): (&FrameInfo<'_>, Option<&[GivenDetection]>),
        tick: &Tick,
        profiles: &Profiles,
        budget: Option<&Budget>,
        plan: &mut Plan,
        ledger: &mut Ledger,
        stats: &mut Stats,
    ) -> Result<Counts> {
        let begin = Instant::now();
        let start = begin;
        plan.due = info.budget.and_then(|budget| begin.checked_add(budget));
        for detector in self.seekers.iter_mut().filter_map(Seeker::detector_mut) {
            detector.set_due(plan.due);
        }
        if self.scene.observe(input) {
            self.seekers.iter_mut().for_each(Seeker::reset);
            self.until_detection = 0;
            self.forget = true;
        }
        if std::mem::take(&mut self.forget) {
            ledger.forget();
            self.steady.forget();
        }
        let reuse = self.parameters.reuse;
        if reuse == Reuse::Tolerant {
            self.steady.take(input, ledger.differences())?;
        } else {
            self.steady.forget();
        }
        let steady = std::mem::take(&mut self.steady);
        let mean = steady.frame();
        let seen = mean.as_ref().unwrap_or(input);
        let is_given = |kind: usize| match Some(kind) == self.faces {
            true => info.faces.is_some(),
            false => objects.is_some(),
        };
        let mut seekers = self.seekers.iter().enumerate();
        let searches = seekers.any(|(kind, seeker)| seeker.detector().is_some() && !is_given(kind));
        let watches = searches && self.parameters.detect_interval == 0;
        let compares = reuse != Reuse::None || watches;
        if compares {
            let observed = ledger.observe(seen, tick.now, &self.rules(seen, profiles));
            if let Err(error) = observed {
                self.steady = steady;
                return Err(error);
            }
            if mean.is_some() {
                ledger.drop_ripe(|cell, columns| steady.is_ripe(cell, columns));
            }
        } else {
            // What is not compared in every frame could not be trusted later, and its memory is not needed.
            *ledger = Ledger::default();
        }
        let looks = searches && self.is_due(ledger, tick.now);
        let compared = start.elapsed();
        if let Err(error) = self.find(input, (info, objects), tick, looks, stats) {
            self.steady = steady;
            return Err(error);
        }
        stats.detect += start.elapsed().saturating_sub(compared);
        let start = Instant::now();
        plan.view = self.parameters.view;
        plan.faces = self.faces;
        plan.objects.resize_with(self.seekers.len(), Vec::new);
        for (objects, seeker) in plan.objects.iter_mut().zip(&self.seekers) {
            objects.clear();
            objects.extend_from_slice(seeker.objects());
        }
        plan.number = self.number;
        self.number += 1;
        self.guard_faces(tick, plan, stats);
        self.objects.clone_from(&plan.objects);
        plan.mask.clear();
        for (kind, (objects, seeker)) in plan.objects.iter().zip(&self.seekers).enumerate() {
            // What no network draws covers nothing.
            if seeker.draws || plan.view == View::Mask {
                let Parameters {
                    mask_padding,
                    mask_sigma,
                    ..
                } = seeker.parameters;
                let size = input.size();
                plan.mask.add(kind, objects, size, mask_padding, mask_sigma);
            }
        }
        plan.decided = begin.elapsed();
        let budget = budget.map(|budget| budget.after(plan.decided));
        let kept = (reuse != Reuse::None).then_some((&mut *ledger, tick.now));
        let counts = plan.make(input.size(), profiles, kept, budget.as_ref());
        if compares {
            // Now that it is known what is drawn of it.
            ledger.remember(seen, looks);
        }
        plan.is_steady = mean.is_some();
        let copied = mean.as_ref().map_or(Ok(()), |mean| plan.steady.copy(mean));
        self.steady = steady;
        if let Err(error) = copied {
            // What the plan says is not drawn.
            self.forget = true;
            return Err(error);
        }
        self.shown.note(plan);
        plan.compared.clear();
        if self.guards(plan.view) && !plan.parts.is_empty() {
            // What stands still looks as it did when it was compared, unless that left a doubt.
            plan.repeats &= !self.guard.doubts(tick.now);
            if !plan.repeats {
                let faces = self.faces.and_then(|kind| plan.objects.get(kind));
                let faces = faces.map_or(&[][..], Vec::as_slice);
                self.guard.ask(tick.now, faces, &mut plan.compared);
            }
        }
        stats.plan += start.elapsed() + compared;
        Ok(counts)
    }

    /// Plans a frame of `size` pixels anew, whose plan counts on what is not there. Nothing of it is kept, and nothing that was
    /// drawn so far is counted on from the next frame on.
    pub fn replan(&mut self, size: Size, profiles: &Profiles, plan: &mut Plan) {
        self.forget = true;
        plan.make(size, profiles, None, None);
    }

    /// Whether drawn faces are compared with the input's in a frame that shows `view`.
    fn guards(&self, view: View) -> bool {
        self.comparing == Comparing::Possible
            && self.parameters.identity_guard > 0.0
            && matches!(view, View::Fused | View::Split)
    }

    /// Lowers the weights of faces that were not drawn alike.
    fn guard_faces(&mut self, tick: &Tick, plan: &mut Plan, stats: &mut Stats) {
        if !self.guards(plan.view) {
            self.guard.reset();
            return;
        }
        let limit = self.parameters.identity_guard as f32;
        let until = plan.number.checked_sub(self.lag);
        let faces = self.faces.and_then(|kind| plan.objects.get_mut(kind));
        let faces = faces.map_or(&mut [][..], Vec::as_mut_slice);
        self.guard.advance(tick.now, tick.step, until, limit, faces);
        stats.faces_lowered += self.guard.lowered() as u64;
    }

    /// What may be kept.
    fn rules(&self, input: &Frame<'_>, profiles: &Profiles) -> Rules {
        // What is interpolated without a network depends on its surroundings too.
        let reach = input.format().reach();
        let experts = profiles.experts.iter().flatten();
        let farthest = experts.map(|expert| expert.context).max();
        Rules {
            reuse: self.parameters.reuse,
            threshold: self.parameters.reuse_threshold as f32,
            refresh: self.parameters.refresh_time,
            context: profiles
                .fast
                .map_or(0, |fast| fast.context)
                .max(profiles.general.context)
                + reach,
            expert_context: farthest.unwrap_or(0) + reach,
        }
    }

    /// find -> follow
    fn find(
        &mut self,
        input: &Frame<'_>,
        (info, objects): (&FrameInfo<'_>, Option<&[GivenDetection]>),
        tick: &Tick,
        looks: bool,
        stats: &mut Stats,
    ) -> Result<()> {
        self.shrunk.renew();
        for (kind, seeker) in self.seekers.iter_mut().enumerate() {
            let given = if Some(kind) == self.faces {
                info.faces
            } else {
                objects.map(|objects| {
                    let own = objects.iter().filter(|(of, _)| *of == kind);
                    self.given.clear();
                    self.given
                        .extend(own.map(|(_, detection)| detection.clone()));
                    self.given.as_slice()
                })
            };
            let ran = seeker.advance(input, given, tick, looks, &mut self.shrunk)?;
            stats.detections += u64::from(ran);
            stats.kinds[kind].detections += u64::from(ran);
        }
        Ok(())
    }

    /// Whether objects are to be looked for in the frame that `ledger` has observed.
    fn is_due(&mut self, ledger: &mut Ledger, now: Duration) -> bool {
        let waited = self.until_detection == 0;
        self.until_detection = self.until_detection.saturating_sub(1);
        let interval = self.parameters.detect_interval;
        if interval > 0 {
            if waited {
                self.until_detection = interval - 1;
            }
            return waited;
        }
        // A quarter of the area of the smallest object that counts: what moves is seldom a whole one.
        let sizes = self
            .seekers
            .iter()
            .filter(|seeker| seeker.detector().is_some());
        let smallest = sizes
            .map(|seeker| seeker.parameters.min_face_size)
            .fold(f64::INFINITY, f64::min);
        let object = (smallest / BLOCK as f64).powi(2) / 4.0;
        let looked_at = now.saturating_sub(self.detected_at);
        let due = waited && (looked_at >= STILL_INTERVAL || ledger.moved(object as usize));
        if due {
            self.detected_at = now;
        }
        due
    }
}
