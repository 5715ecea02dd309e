//! The part of the flow that decides: where faces are, how they are masked, what still holds of earlier frames and what must be
//! drawn. Looks at the frame and at the detector, never at what was drawn: a frame can be decided on while the one before is still
//! drawn. What it decides is a [`Job`], which owns all that drawing needs but the frame.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::find::Detector;
use crate::find::{Detection, letterbox, suppression};
use crate::flow::Stats;
use crate::follow::scene::SceneCut;
use crate::follow::track::{self, Face, Tracker};
use crate::keep::cells::Cells;
use crate::keep::compare::{BLOCK, Watch};
use crate::keep::ledger::{Kept, Part, Regions};
use crate::mask::Mask;
use crate::notice::Notice;
use crate::picture::resample::Resampler;
use crate::picture::{Frame, Sample, Size};
use crate::picture::{Rect, merge_overlapping};
use crate::plan::runs::{self as plan, Cost};
use crate::settings::Provider;
use crate::settings::{Parameters, Reuse, View};

/// Intersection over union from which two candidates are one face.
const SUPPRESSION_IOU: f32 = 0.4;

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

/// What is to be drawn of a frame. Rectangles are in input pixels. Reused from frame to frame for its memory.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// What the output shows.
    pub view: View,
    /// Faces of the frame, in pixels of the input.
    pub faces: Vec<Face>,
    /// Their mask.
    pub mask: Mask,
    /// Where the fused picture, or the general one alone, is wanted. Empty if another is shown.
    pub area: Rect,
    /// Whether faces are fused in.
    pub fused: bool,
    /// Whether the general picture is kept, and taken from what was kept where it holds.
    pub keeps: bool,
    /// Whether this draws anew whatever is kept for later frames.
    pub fresh: bool,
    /// What the general generator must draw: disjoint.
    pub areas: Vec<Rect>,
    /// The cells that are taken from the general picture that is kept.
    pub still: Cells,
    /// Where the face generator's picture comes from.
    pub parts: Vec<Part>,
}

impl Job {
    /// Has everything drawn anew, as if nothing were kept. `cost` is that of the general generator.
    pub fn renew(&mut self, size: Size, cost: Cost) {
        if self.area.is_empty() {
            return;
        }
        let nowhere = Mask::default();
        let mask = if self.fused { &self.mask } else { &nowhere };
        let mut wanted = Cells::new(size);
        plan::general_cells(size, self.area, mask, &mut wanted);
        self.areas = plan::rectangles(&wanted, cost);
        self.settle_still(size);
        for index in 0..self.parts.len() {
            let place = self.parts[index].place;
            // Several parts may lie in one region, which is drawn once.
            self.parts[index].fresh = self.parts[..index].iter().all(|part| part.place != place);
        }
    }

    /// What is not drawn is taken from what is kept, also where the face's picture will cover it.
    fn settle_still(&mut self, size: Size) {
        let still = &mut self.still;
        plan::general_cells(size, self.area, &Mask::default(), still);
        for area in &self.areas {
            still.set_touching(*area, false);
        }
    }
}

/// What the decisions know of the generators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Of the general generator.
    pub general: Cost,
    /// Context of the face generator in input pixels, if there is one.
    pub face_context: Option<usize>,
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
    letterbox: Vec<f32>,
    detections: Vec<Detection>,
    supports: Vec<Rect>,
}

/// Decides on one frame after the other.
pub struct Decider {
    detector: Option<Box<dyn Detector>>,
    /// What generators cost, as far as is known.
    pub costs: Costs,
    parameters: Parameters,
    tracker: Tracker,
    scene: SceneCut,
    regions: Regions,
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
}

impl Decider {
    /// Nothing is known of any frame.
    pub fn new(detector: Option<Box<dyn Detector>>, costs: Costs) -> Self {
        Self {
            detector,
            costs,
            parameters: Parameters::default(),
            tracker: Tracker::default(),
            scene: SceneCut::default(),
            regions: Regions::default(),
            scratch: Scratch::default(),
            memory: Box::new(()),
            clock: Duration::ZERO,
            pts: None,
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
        self.parameters = parameters;
        Ok(())
    }

    /// Forgets faces and time, as after a seek.
    pub fn reset(&mut self) {
        self.tracker.reset();
        self.scene.reset();
        self.until_detection = 0;
        self.forget = true;
    }

    /// Has nothing that was drawn so far counted on from the next frame on.
    pub fn forget_drawn(&mut self) {
        self.forget = true;
    }

    /// Faces of the last frame, in pixels of the input.
    pub fn faces(&self) -> &[Face] {
        self.tracker.faces()
    }

    /// As [`Detector::adopt_better`] and [`Detector::take_notices`].
    pub fn adopt_better(&mut self) -> (Option<Provider>, Vec<Notice>) {
        match &mut self.detector {
            Some(detector) => (detector.adopt_better(), detector.take_notices()),
            None => (None, Vec::new()),
        }
    }

    /// detect -> track -> mask -> plan. What `job` says counts as drawn from now on; if it fails to be, tell
    /// [`Decider::forget_drawn`].
    ///
    /// # Errors
    /// The detector's.
    pub fn decide<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        info: &FrameInfo<'_>,
        job: &mut Job,
        stats: &mut Stats,
    ) -> Result<()> {
        self.tick(info.pts);
        let mut memory = take_memory::<PerSample<S>>(&mut self.memory);
        job.fresh = std::mem::take(&mut self.forget);
        if job.fresh {
            memory.kept.clear();
            memory.watch.clear();
            self.regions.clear();
        }
        let found = self.find_faces(input, info, &mut memory, stats);
        if found.is_ok() {
            let start = Instant::now();
            job.mask.fill(
                self.tracker.faces(),
                input.size(),
                self.parameters.mask_padding,
                self.parameters.mask_sigma,
            );
            self.plan(input, &mut memory, job, stats);
            stats.plan += start.elapsed();
        } else {
            // The job that was to forget is lost.
            self.forget |= job.fresh;
        }
        self.memory = memory;
        found
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

    /// detect -> track
    fn find_faces<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        info: &FrameInfo<'_>,
        memory: &mut PerSample<S>,
        stats: &mut Stats,
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
                stats.detections += 1;
                Some(found.as_slice())
            }
            (None, Some(_)) => None,
            (None, None) => Some(&[][..]),
        };
        self.tracker.advance(info.pts, detections, &self.parameters);
        stats.detect += start.elapsed();
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

    /// What must be drawn, and what holds.
    fn plan<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        memory: &mut PerSample<S>,
        job: &mut Job,
        stats: &mut Stats,
    ) {
        let whole = Rect::whole(input.size());
        let has_face = self.costs.face_context.is_some();
        job.view = self.parameters.view;
        job.faces.clear();
        job.faces.extend_from_slice(self.tracker.faces());
        job.areas.clear();
        job.parts.clear();
        if matches!(job.view, View::Face | View::Mask | View::Bicubic) {
            // What is kept would have to be compared with every frame to stay of use.
            memory.kept.clear();
            self.regions.clear();
        }
        job.area = match job.view {
            View::Fused | View::General => whole,
            // Without a face generator its picture is the general one, as in the fusion.
            View::Face if !has_face => whole,
            View::Face | View::Mask | View::Bicubic => Rect::default(),
            View::Split => Rect {
                x: whole.width / 2,
                width: whole.width - whole.width / 2,
                ..whole
            },
        };
        job.fused = has_face && matches!(job.view, View::Fused | View::Split);
        job.keeps = !job.area.is_empty() && self.parameters.reuse != Reuse::None;
        job.fresh |= !job.keeps;
        if !job.area.is_empty() {
            self.plan_general(input, memory, job, stats);
            self.plan_faces(input.size(), memory, job);
        }
    }

    /// Where the general generator must run.
    fn plan_general<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        memory: &mut PerSample<S>,
        job: &mut Job,
        stats: &mut Stats,
    ) {
        let (size, kept, cost) = (input.size(), &mut memory.kept, self.costs.general);
        if job.keeps {
            kept.observe(input, cost.context, self.clock, &self.parameters);
        } else {
            kept.release();
        }
        let nowhere = Mask::default();
        let mask = if job.fused { &job.mask } else { &nowhere };
        let wanted = &mut self.scratch.wanted;
        plan::general_cells(size, job.area, mask, wanted);
        let count = wanted.count() as u64;
        stats.tiles_total += count;
        if job.keeps {
            kept.unmark_valid(wanted);
        }
        job.areas = plan::rectangles(wanted, cost);
        // Cells that hold but lie inside a rectangle are drawn with it.
        let drawn: usize = job
            .areas
            .iter()
            .map(|area| wanted.touching(*area).size().area())
            .sum();
        stats.tiles_run += (drawn as u64).min(count);
        stats.tiles_reused += count.saturating_sub(drawn as u64);
        stats.pixels_total += size.area() as u64;
        if job.keeps {
            job.settle_still(size);
            kept.note_drawn(&job.areas, self.clock);
        }
    }

    /// Where the face generator must run.
    fn plan_faces<S: Sample>(&mut self, size: Size, memory: &PerSample<S>, job: &mut Job) {
        if !job.fused {
            // Regions that are not looked at in every frame cannot be told to hold.
            self.regions.clear();
            return;
        }
        let supports = &mut self.scratch.supports;
        supports.clear();
        supports.extend(
            job.mask
                .supports()
                .filter_map(|support| support.intersection(job.area)),
        );
        merge_overlapping(supports);
        let context = self.costs.face_context.unwrap_or(0);
        let (parameters, clock, kept) = (&self.parameters, self.clock, &memory.kept);
        let holds =
            |rect: Rect, drawn: Duration| kept.holds(rect, context, drawn, clock, parameters);
        let holds: Option<&dyn Fn(Rect, Duration) -> bool> =
            if job.keeps { Some(&holds) } else { None };
        self.regions
            .begin(size, supports, clock, holds, &mut job.parts);
    }
}

/// What `slot` holds, made new if that was something else. Put it back after use.
pub(crate) fn take_memory<T: Default + Send + 'static>(
    slot: &mut Box<dyn std::any::Any + Send>,
) -> Box<T> {
    std::mem::replace(slot, Box::new(()))
        .downcast()
        .unwrap_or_default()
}
