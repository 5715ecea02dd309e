//! The half of the flow that decides: find, follow, mask, plan. Looks at the frame and at the detector, never at what was drawn: a frame
//! can be decided on while the one before is still drawn. What it decides is a [`Plan`], which owns all that drawing needs but the
//! frame.

use std::time::{Duration, Instant};

use super::stats::Stats;
use crate::error::Result;
use crate::find::{Detection, Detector, letterbox, suppression};
use crate::follow::clock::{Clock, Tick};
use crate::follow::guard::{Guard, Likeness};
use crate::follow::scene::SceneCut;
use crate::follow::track::{self, Face, Tracker};
use crate::keep::compare::BLOCK;
use crate::keep::ledger::{Ledger, Rules};
use crate::keep::steady::Steady;
use crate::notice::Notice;
use crate::picture::shrink::Shrinker;
use crate::picture::{Frame, Size};
use crate::plan::budget::Budget;
use crate::plan::repeat::Shown;
use crate::plan::{Counts, Plan, Profiles};
use crate::settings::{Parameters, Provider, Reuse, View, no_identity_model};

/// Intersection over union from which two candidates are one face.
const SUPPRESSION_IOU: f32 = 0.4;

/// How long a picture in which nothing moves is not searched for faces.
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
    detector: Option<Box<dyn Detector>>,
    parameters: Parameters,
    clock: Clock,
    tracker: Tracker,
    guard: Guard,
    comparing: Comparing,
    /// Number of the next frame, and how many frames before it the latest is of which everything that was drawn is known.
    number: u64,
    lag: u64,
    /// Of the last frame, as it is drawn.
    faces: Vec<Face>,
    scene: SceneCut,
    ledger: Ledger,
    /// What stands still, averaged.
    steady: Steady,
    shrinker: Shrinker,
    shown: Shown,
    letterbox: Vec<f32>,
    detections: Vec<Detection>,
    /// Frames until the next detection.
    until_detection: u32,
    /// The clock when faces were last looked for.
    detected_at: Duration,
    /// Whether everything kept from earlier frames is to be forgotten.
    forget: bool,
}

impl Decider {
    /// Nothing is known of any frame.
    pub fn new(detector: Option<Box<dyn Detector>>, comparing: Comparing) -> Self {
        Self {
            detector,
            parameters: Parameters::default(),
            clock: Clock::default(),
            tracker: Tracker::default(),
            guard: Guard::default(),
            comparing,
            number: 0,
            lag: 1,
            faces: Vec::new(),
            scene: SceneCut::default(),
            ledger: Ledger::default(),
            steady: Steady::default(),
            shrinker: Shrinker::default(),
            shown: Shown::default(),
            letterbox: Vec::new(),
            detections: Vec::new(),
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
        self.parameters = parameters;
        Ok(())
    }

    /// Forgets faces and time, as after a seek.
    pub fn reset(&mut self) {
        self.clock.reset();
        self.tracker.reset();
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
        &self.faces
    }

    /// As [`Detector::adopt_better`] and [`Detector::take_notices`].
    pub fn adopt_better(&mut self) -> (Option<Provider>, Vec<Notice>) {
        match &mut self.detector {
            Some(detector) => (detector.adopt_better(), detector.take_notices()),
            None => (None, Vec::new()),
        }
    }

    /// As [`Detector::refused`].
    pub fn refused(&self) -> &[(Provider, String)] {
        self.detector
            .as_ref()
            .map_or(&[], |detector| detector.refused())
    }

    /// find -> follow -> mask -> plan. What `plan` says counts as drawn from now on; if it fails to be, tell
    /// [`Decider::forget_drawn`].
    ///
    /// # Errors
    /// The detector's.
    pub fn decide(
        &mut self,
        input: &Frame<'_>,
        info: &FrameInfo<'_>,
        profiles: &Profiles,
        budget: Option<&Budget>,
        plan: &mut Plan,
        stats: &mut Stats,
    ) -> Result<()> {
        let tick = self.clock.tick(info.pts);
        let mut ledger = std::mem::take(&mut self.ledger);
        let decided = self.decide_with(
            input,
            info,
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
        info: &FrameInfo<'_>,
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
        if let Some(detector) = &mut self.detector {
            detector.set_due(plan.due);
        }
        if self.scene.observe(input) {
            self.tracker.reset();
            self.until_detection = 0;
            self.forget = true;
        }
        if std::mem::take(&mut self.forget) {
            ledger.forget();
            self.steady.forget();
        }
        let reuse = self.parameters.reuse;
        if reuse == Reuse::Tolerant {
            self.steady.take(input, ledger.differences());
        } else {
            self.steady.forget();
        }
        let steady = std::mem::take(&mut self.steady);
        let mean = steady.frame();
        let seen = mean.as_ref().unwrap_or(input);
        let searches = self.detector.is_some() && info.faces.is_none();
        let watches = searches && self.parameters.detect_interval == 0;
        let compares = reuse != Reuse::None || watches;
        if compares {
            ledger.observe(seen, tick.now, &self.rules(seen, profiles));
            if mean.is_some() {
                ledger.drop_ripe(|cell, columns| steady.is_ripe(cell, columns));
            }
        } else {
            // What is not compared in every frame could not be trusted later, and its memory is not needed.
            *ledger = Ledger::default();
        }
        let looks = searches && self.is_due(ledger, tick.now);
        let compared = start.elapsed();
        if let Err(error) = self.find_faces(input, info, tick, looks, stats) {
            self.steady = steady;
            return Err(error);
        }
        stats.detect += start.elapsed().saturating_sub(compared);
        let start = Instant::now();
        plan.view = self.parameters.view;
        plan.faces.clear();
        plan.faces.extend_from_slice(self.tracker.faces());
        plan.number = self.number;
        self.number += 1;
        self.guard_faces(tick, plan, stats);
        self.faces.clone_from(&plan.faces);
        let (padding, sigma) = (self.parameters.mask_padding, self.parameters.mask_sigma);
        plan.mask.fill(&plan.faces, input.size(), padding, sigma);
        plan.decided = begin.elapsed();
        let budget = budget.map(|budget| budget.after(plan.decided));
        let kept = (reuse != Reuse::None).then_some((&mut *ledger, tick.now));
        let counts = plan.make(input.size(), profiles, kept, budget.as_ref());
        if compares {
            // Now that it is known what is drawn of it.
            ledger.remember(seen, looks);
        }
        plan.is_steady = mean.is_some();
        if let Some(mean) = &mean {
            plan.steady.copy(mean);
        }
        self.steady = steady;
        self.shown.note(plan);
        plan.compared.clear();
        if self.guards(plan.view) && !plan.parts.is_empty() {
            // What stands still looks as it did when it was compared, unless that left a doubt.
            plan.repeats &= !self.guard.doubts(tick.now);
            if !plan.repeats {
                self.guard.ask(tick.now, &plan.faces, &mut plan.compared);
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
        self.guard
            .advance(tick.now, tick.step, until, limit, &mut plan.faces);
        stats.faces_lowered += self.guard.lowered() as u64;
    }

    /// What may be kept.
    fn rules(&self, input: &Frame<'_>, profiles: &Profiles) -> Rules {
        // What is interpolated without a network depends on its surroundings too.
        let reach = input.format().reach();
        Rules {
            reuse: self.parameters.reuse,
            threshold: self.parameters.reuse_threshold as f32,
            refresh: self.parameters.refresh_time,
            context: profiles
                .fast
                .map_or(0, |fast| fast.context)
                .max(profiles.general.context)
                + reach,
            expert_context: profiles.face.map_or(0, |face| face.context) + reach,
        }
    }

    /// find -> follow
    fn find_faces(
        &mut self,
        input: &Frame<'_>,
        info: &FrameInfo<'_>,
        tick: &Tick,
        looks: bool,
        stats: &mut Stats,
    ) -> Result<()> {
        let detections = match (info.faces, &mut self.detector) {
            (Some(faces), _) => Some(faces),
            (None, Some(detector)) if looks => {
                let spec = detector.input();
                let placement = spec.place(input.size());
                let tensor = &mut self.letterbox;
                letterbox::fill(input, &placement, spec.encoding, &mut self.shrinker, tensor)?;
                let found = &mut self.detections;
                found.clear();
                let floor = track::score_floor(&self.parameters);
                detector.run(tensor, placement.tensor, floor, found)?;
                suppression::suppress(found, SUPPRESSION_IOU);
                found
                    .iter_mut()
                    .for_each(|detection| placement.map_back(detection));
                stats.detections += 1;
                Some(found.as_slice())
            }
            (None, Some(_)) => None,
            (None, None) => Some(&[][..]),
        };
        self.tracker.advance(tick, detections, &self.parameters);
        Ok(())
    }

    /// Whether faces are to be looked for in the frame that `ledger` has observed.
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
        // A quarter of the area of the smallest face that counts: what moves is seldom a whole face.
        let face = (self.parameters.min_face_size / BLOCK as f64).powi(2) / 4.0;
        let looked_at = now.saturating_sub(self.detected_at);
        let due = waited && (looked_at >= STILL_INTERVAL || ledger.moved(face as usize));
        if due {
            self.detected_at = now;
        }
        due
    }
}
