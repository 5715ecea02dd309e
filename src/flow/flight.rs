//! Several frames under way, in order: while one is drawn on a thread of its own, the next is decided on. Pays where the two use
//! different things: a device draws while the processor compares frames and looks for faces.
//!
//! The halves are those of [`Upscaler`], and so are the results: a decision depends on nothing that drawing finds out, but for what
//! runs cost. Where a frame fails, those that count on what it should have drawn come back undrawn, are planned anew and drawn in
//! their turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use super::decide::{FrameInfo, GivenDetection};
use super::report::{ModelReport, Recorded};
use super::stats::Stats;
use super::stream::{Stream, check_sizes};
use super::upscaler::Upscaler;
use super::worker::{DrawnFrame, Task, Worker, draw};
use crate::cancel::Canceller;
use crate::draw::drawer::{Drawer, Outcome};
use crate::error::{Error, Result};
use crate::follow::track::Face;
use crate::notice::Notice;
use crate::plan::{Plan, Shares};
use crate::settings::{MAX_FRAMES_IN_FLIGHT, ObjectKind, Parameters, Provider, is_detector};

pub use super::worker::{Source, Target};

/// Most frames under way at a time: each holds an input and an output frame.
pub const MAX_DEPTH: usize = MAX_FRAMES_IN_FLIGHT;

/// A frame that is done.
#[derive(Debug)]
pub struct Finished<I, O> {
    /// What was upscaled.
    pub input: I,
    /// What it was drawn into.
    pub output: O,
    /// Its faces, in pixels of the input.
    pub faces: Vec<Face>,
    /// Its other objects, each with its kind's place among [`Flight::kinds`].
    pub objects: Vec<(usize, Face)>,
    /// Whether it is, sample by sample, the frame before it: `output` is not drawn then. Only after [`Flight::skip_repeats`].
    pub repeats: bool,
    /// By what it was drawn.
    pub shares: Shares,
    /// Time from [`Flight::submit`] until it was done, whenever it was asked for, and the time that it might have taken.
    pub took: Duration,
    /// See `took`.
    pub budget: Option<Duration>,
    /// What drew it. Only after [`Flight::keep_records`].
    pub recorded: Option<Recorded>,
}

/// Where frames are drawn.
enum Place<I, O> {
    /// By the caller.
    Here(Box<Drawer>),
    /// On a thread.
    Thread(Worker<I, O>),
    /// Nowhere: the thread was lost.
    Lost,
}

/// Upscales frames four times, several at a time. One per stream; not shared between threads.
///
/// ```text
/// loop {
///     flight.submit(input, &info, output)?;
///     while flight.in_flight() >= flight.depth() {
///         finished = flight.next()
///     }
/// }
/// ```
///
/// Dropping it waits for the frame that is being drawn: raise its [`Canceller`] before where that would be long.
pub struct Flight<I: Source, O: Target> {
    stream: Stream,
    place: Place<I, O>,
    depth: usize,
    /// Frames that are drawn or have failed, before they are given out in order.
    done: BTreeMap<u64, DrawnFrame<I, O>>,
    /// Plans that were drawn, for their memory.
    spare: Vec<Plan>,
    /// Of the next frame to come in, and of the next to be given out.
    ticket: u64,
    next: u64,
    /// Called from the thread that draws when it has drawn a frame.
    finished: Option<Callback>,
    skips_repeats: bool,
}

/// What is called from the thread that draws.
pub type Callback = std::sync::Arc<dyn Fn() + Send + Sync>;

impl<I: Source, O: Target> Flight<I, O> {
    /// Goes on where `upscaler` is, with one frame under way.
    pub fn new(upscaler: Upscaler) -> Self {
        let (stream, drawer) = upscaler.into_parts();
        Self {
            stream,
            place: Place::Here(Box::new(drawer)),
            depth: 1,
            done: BTreeMap::new(),
            spare: Vec::new(),
            ticket: 0,
            next: 0,
            finished: None,
            skips_repeats: false,
        }
    }

    /// Has `callback` called whenever [`Flight::ready`] may have a frame to give that it did not have before: from the thread that
    /// draws, with more than one frame under way, and when that thread ends. Counts from the next time that such a thread is started.
    pub fn on_finished(&mut self, callback: impl Fn() + Send + Sync + 'static) {
        self.finished = Some(std::sync::Arc::new(callback));
    }

    /// Has a frame that is, sample by sample, the one before it not drawn but marked, see [`Finished::repeats`]: for callers that keep the
    /// output of the frame before.
    pub fn skip_repeats(&mut self) {
        self.skips_repeats = true;
    }

    /// Has every frame tell what drew it from now on, see [`Finished::recorded`].
    pub fn keep_records(&mut self) {
        self.stream.origins.get_or_insert_default();
    }

    /// How many frames may be under way. With one, every frame is drawn by [`Flight::submit`] itself.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Sets how many frames may be under way, 1 to [`MAX_DEPTH`]. Frames that are under way stay so.
    ///
    /// # Errors
    /// [`Error::Setting`]; the old number stays.
    pub fn set_depth(&mut self, depth: usize) -> Result<()> {
        if !(1..=MAX_DEPTH).contains(&depth) {
            return Err(Error::Setting {
                name: "frames-in-flight".into(),
                expected: format!("1 to {MAX_DEPTH}"),
                found: depth.to_string(),
            });
        }
        self.depth = depth;
        Ok(())
    }

    /// The number of frames under way that suits the providers in use: two where generators run on a device of their own.
    pub fn suggested_depth(&self) -> usize {
        suggested_depth(self.models())
    }

    /// Frames that were submitted and not given out yet.
    pub fn in_flight(&self) -> usize {
        (self.ticket - self.next) as usize
    }

    /// Decides on `input` and has it drawn into `output`. With a depth of more than one this returns as soon as it is decided on.
    ///
    /// # Errors
    /// [`Error::Setting`] if as many frames as may be are under way, [`Error::Shape`], [`Error::Cancelled`], the detector's; the
    /// frame is lost then, those under way are not. Errors of drawing come out of [`Flight::next`].
    pub fn submit(&mut self, input: I, info: &FrameInfo<'_>, output: O) -> Result<()> {
        self.submit_with(input, info, None, output)
    }

    /// The same with objects of kinds other than faces that somebody else has found: where there are `objects`, those kinds are not looked for.
    ///
    /// # Errors
    /// Those of [`Flight::submit`].
    pub fn submit_with(
        &mut self,
        input: I,
        info: &FrameInfo<'_>,
        objects: Option<&[GivenDetection]>,
        mut output: O,
    ) -> Result<()> {
        if self.in_flight() >= self.depth {
            return Err(Error::Setting {
                name: "frames-in-flight".into(),
                expected: format!("fewer than {} frames under way", self.depth),
                found: self.in_flight().to_string(),
            });
        }
        let start = Instant::now();
        self.settle_place()?;
        if let Place::Here(drawer) = &mut self.place {
            self.stream.update(drawer.adopt_better());
        }
        self.stream.decider.set_lag(self.depth);
        let mut plan = self.spare.pop().unwrap_or_default();
        let decided = {
            let frame = input.frame()?;
            let target = output.frame_mut()?;
            check_sizes(frame.size(), target.size())?;
            self.stream
                .decide(&frame, (info, objects), target.format(), &mut plan)
        };
        if let Err(error) = decided {
            self.spare.push(plan);
            return Err(error);
        }
        plan.repeats &= self.skips_repeats;
        let task = Task {
            ticket: self.ticket,
            plan,
            input,
            output,
            start,
            busy: start.elapsed(),
            budget: info.budget,
        };
        self.start(task)?;
        self.ticket += 1;
        Ok(())
    }

    /// Has `task` drawn.
    fn start(&mut self, mut task: Task<I, O>) -> Result<()> {
        loop {
            match &mut self.place {
                Place::Here(drawer) => {
                    let drawn = draw(drawer, task, Vec::new());
                    match self.take_in(drawn) {
                        Some(again) => task = again,
                        None => return Ok(()),
                    }
                }
                Place::Thread(worker) => {
                    worker.send(task);
                    return Ok(());
                }
                Place::Lost => return Err(lost()),
            }
        }
    }

    /// Waits for the oldest frame under way. `None` if there is none.
    ///
    /// # Errors
    /// Those of [`Upscaler::process`]; [`Error::Internal`] if drawing it panicked. The frame is lost then; the others are not.
    #[allow(clippy::should_implement_trait, reason = "it is not over after None")]
    pub fn next(&mut self) -> Option<Result<Finished<I, O>>> {
        self.give(true)
    }

    /// The oldest frame under way, if it is done.
    ///
    /// # Errors
    /// Those of [`Flight::next`].
    pub fn ready(&mut self) -> Option<Result<Finished<I, O>>> {
        self.give(false)
    }

    fn give(&mut self, wait: bool) -> Option<Result<Finished<I, O>>> {
        while self.in_flight() > 0 {
            if let Some(drawn) = self.done.remove(&self.next) {
                self.next += 1;
                return Some(self.settle(drawn));
            }
            match self.receive(wait) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.next = self.ticket;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// Gives up the frames under way. Waits for none: what is being drawn is dropped when that ends.
    pub fn abandon(&mut self) {
        if self.in_flight() > 0 {
            self.stream.decider.forget_drawn();
        }
        self.next = self.ticket;
        if let Place::Thread(worker) = &self.place {
            worker.give_up(self.next);
        }
        while let Ok(true) = self.receive(false) {}
        let dropped = std::mem::take(&mut self.done).into_values();
        self.spare.extend(dropped.map(|drawn| drawn.plan));
    }

    /// Forgets faces and time, as after a seek, from the next frame on. Frames under way and counters go on.
    pub fn reset(&mut self) {
        self.stream.decider.reset();
    }

    /// The flag that stops it from another thread.
    pub fn canceller(&self) -> Canceller {
        self.stream.canceller.clone()
    }

    /// What runs where.
    pub fn models(&self) -> &[ModelReport] {
        self.stream.models()
    }

    /// As [`Upscaler::kinds`].
    pub fn kinds(&self) -> &Arc<[ObjectKind]> {
        self.stream.kinds()
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &Parameters {
        self.stream.decider.parameters()
    }

    /// Takes new parameters from the next frame on.
    ///
    /// # Errors
    /// [`Error::Setting`]; the old ones stay.
    pub fn set_parameters(&mut self, parameters: Parameters) -> Result<()> {
        self.stream.decider.set_parameters(parameters)
    }

    /// As [`Upscaler::set_detail`].
    ///
    /// # Errors
    /// [`Error::Setting`]; it stays as it was.
    pub fn set_detail(&mut self, detail: f64) -> Result<()> {
        self.stream.set_detail(detail)
    }

    /// Counters and times; those of drawing count when a frame is given out.
    pub fn stats(&self) -> &Stats {
        &self.stream.stats
    }

    /// As [`Upscaler::take_notices`].
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.stream.take_notices()
    }

    /// Has the drawing done where the depth wants it, as soon as no frame is under way or a thread is needed.
    fn settle_place(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.place, Place::Lost) {
            Place::Here(drawer) if self.depth > 1 => {
                match Worker::start(drawer, self.next, self.finished.clone()) {
                    Ok(worker) => self.place = Place::Thread(worker),
                    Err((drawer, error)) => {
                        self.place = Place::Here(drawer);
                        return Err(error);
                    }
                }
            }
            Place::Thread(worker) if self.depth == 1 && self.in_flight() == 0 => {
                let (drawer, rest) = worker.end();
                self.place = Place::Here(drawer.ok_or_else(lost)?);
                for drawn in rest {
                    // Given up, all of them.
                    self.take_in(drawn);
                }
            }
            other => self.place = other,
        }
        Ok(())
    }

    /// Takes in what has come back first from the thread, and has it drawn again if it must be; waits for it if asked to. Returns whether
    /// there was anything.
    fn receive(&mut self, wait: bool) -> Result<bool> {
        let Place::Thread(worker) = &self.place else {
            return Ok(false);
        };
        match worker.receive(wait) {
            Ok(drawn) => {
                if let Some(task) = self.take_in(drawn) {
                    self.start(task)?;
                }
                Ok(true)
            }
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => {
                self.place = Place::Lost;
                Err(lost())
            }
        }
    }

    /// Takes in what has come back; the task anew if it must be drawn once more.
    fn take_in(&mut self, mut drawn: DrawnFrame<I, O>) -> Option<Task<I, O>> {
        self.stream.update(std::mem::take(&mut drawn.updates));
        if self.stream.origins.is_some() {
            // Of this frame: those after it may be drawn elsewhere by the time that it is given out.
            drawn.models = Some(self.stream.models().to_vec());
        }
        self.stream.account(&drawn.plan, &drawn.work);
        self.stream
            .time(drawn.time, &drawn.plan, &drawn.work, drawn.budget);
        if drawn.ticket < self.next {
            self.spare.push(drawn.plan);
            return None;
        }
        let Ok(outcome) = &drawn.outcome else {
            self.done.insert(drawn.ticket, drawn);
            return None;
        };
        if matches!(outcome, Outcome::Complete) {
            self.done.insert(drawn.ticket, drawn);
            return None;
        }
        let again = drawn.into_task().and_then(|(mut task, outcome)| {
            let size = task.input.frame().map(|frame| frame.size());
            let to = task.output.frame_mut().map(|frame| *frame.format());
            let planned =
                size.and_then(|size| self.stream.replan(&mut task.plan, size, &to?, outcome));
            match planned {
                Ok(()) => Ok(task),
                Err(error) => Err(Box::new(task.failed(error))),
            }
        });
        match again {
            Ok(task) => Some(task),
            Err(drawn) => {
                self.done.insert(drawn.ticket, *drawn);
                None
            }
        }
    }

    /// The frame that `drawn` is.
    fn settle(&mut self, drawn: DrawnFrame<I, O>) -> Result<Finished<I, O>> {
        let DrawnFrame {
            plan,
            frames,
            outcome,
            time,
            took,
            budget,
            models,
            ..
        } = drawn;
        self.stream.settle(&plan, &outcome, time);
        let (faces, repeats) = (plan.faces().to_vec(), plan.repeats);
        let others = plan.objects.iter().enumerate();
        let objects = others
            .filter(|(kind, _)| Some(*kind) != plan.faces)
            .flat_map(|(kind, objects)| objects.iter().map(move |object| (kind, object.clone())))
            .collect();
        let shares = plan.counts.shares();
        let recorded = outcome
            .is_ok()
            .then(|| self.stream.recorded(&plan))
            .flatten();
        let recorded = recorded.map(|recorded| Recorded {
            models: models.unwrap_or(recorded.models),
            ..recorded
        });
        self.spare.push(plan);
        outcome?;
        self.stream.stats.frames_repeated += u64::from(repeats);
        let (input, output) = frames.ok_or(Error::Cancelled)?;
        Ok(Finished {
            input,
            output,
            faces,
            objects,
            repeats,
            shares,
            took,
            budget,
            recorded,
        })
    }
}

/// As [`Flight::suggested_depth`].
fn suggested_depth(models: &[ModelReport]) -> usize {
    let apart = |report: &ModelReport| {
        !is_detector(report.role) && matches!(report.provider, Provider::Cuda | Provider::TensorRt)
    };
    1 + usize::from(models.iter().any(apart))
}

fn lost() -> Error {
    Error::Internal("the thread that draws frames has ended".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{DETECTOR, FACE, GENERAL};

    #[test]
    fn two_frames_where_a_device_draws() {
        let report = |role, provider| ModelReport {
            role,
            name: String::new(),
            path: "model.onnx".into(),
            provider,
            refused: Vec::new(),
            receptive_radius: 0,
            transfer: Default::default(),
            origin: Default::default(),
        };
        for (general, detector, depth) in [
            (Provider::Cpu, Provider::Cpu, 1),
            (Provider::OpenVino, Provider::OpenVino, 1),
            // Nothing is drawn while it waits for its detector.
            (Provider::Cpu, Provider::Cuda, 1),
            (Provider::Cuda, Provider::Cpu, 2),
            (Provider::TensorRt, Provider::Cuda, 2),
        ] {
            let models = [
                report(GENERAL, general),
                report(FACE, Provider::Cpu),
                report(DETECTOR, detector),
            ];
            assert_eq!(suggested_depth(&models), depth, "{general}, {detector}");
        }
        assert_eq!(suggested_depth(&[]), 1);
    }
}
