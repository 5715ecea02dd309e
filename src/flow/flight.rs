//! Several frames under way, in order: while one is drawn on a thread of its own, the next is decided on. Pays where the two use
//! different things: a device draws while the processor compares frames and looks for faces.
//!
//! The parts are those of [`Upscaler`], and so are the results: a decision depends on nothing that drawing finds out, but for what
//! runs cost. Where a frame fails, what was decided on it is drawn anew, see [`crate::draw::drawer::Drawer::draw`].

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cancel::Canceller;
use crate::draw::drawer::{Drawer, News};
use crate::error::{Error, Result};
use crate::flow::Stats;
use crate::flow::decide::{Costs, FrameInfo, Job};
use crate::flow::upscaler::{Desk, ModelReport, Upscaler};
use crate::follow::track::Face;
use crate::models;
use crate::notice::Notice;
use crate::picture::{Frame, FrameMut, Sample};
use crate::settings::Parameters;
use crate::settings::Provider;

/// Most frames under way at a time: each holds an input and an output frame.
pub const MAX_DEPTH: usize = 8;

/// A frame to upscale, handed over for as long as that takes.
pub trait Source: Send + 'static {
    /// The type of its samples.
    type Sample: Sample;
    /// The frame; the same whenever it is asked for.
    ///
    /// # Errors
    /// [`Error::Shape`] where it is none.
    fn frame(&self) -> Result<Frame<'_, Self::Sample>>;
}

/// A frame to draw into, [`crate::SCALE`] times as wide and high as its [`Source`].
pub trait Target<S>: Send + 'static {
    /// The frame; the same whenever it is asked for.
    ///
    /// # Errors
    /// [`Error::Shape`] where it is none.
    fn frame_mut(&mut self) -> Result<FrameMut<'_, S>>;
}

/// A frame that is done.
#[derive(Debug)]
pub struct Finished<I, O> {
    /// What was upscaled.
    pub input: I,
    /// What it was drawn into.
    pub output: O,
    /// Its faces, in pixels of the input.
    pub faces: Vec<Face>,
    /// Time from [`Flight::submit`] until it was done, whenever it was asked for.
    pub took: Duration,
}

/// A frame on its way to be drawn.
struct Task<I, O> {
    ticket: u64,
    job: Job,
    input: I,
    output: O,
    /// When it was submitted, and the time for deciding.
    start: Instant,
    decided: Duration,
}

/// A frame that was drawn or has failed.
struct Landed<I, O> {
    ticket: u64,
    job: Job,
    frames: Option<(I, O)>,
    result: Result<()>,
    news: News,
    costs: Costs,
    work: Stats,
    /// Time for deciding and drawing, and time since it was submitted.
    time: Duration,
    took: Duration,
}

/// Who draws.
enum Crew<I, O> {
    /// The caller.
    Here(Box<Drawer>),
    /// A thread.
    Away(Worker<I, O>),
    /// Nobody: the thread was lost.
    Gone,
}

/// The thread that draws.
struct Worker<I, O> {
    /// `None` only while it is ended.
    tasks: Option<Sender<Task<I, O>>>,
    landed: Receiver<Landed<I, O>>,
    /// Frames with earlier tickets are given up.
    first: Arc<AtomicU64>,
    /// Gives the drawer back when there are no more tasks; `None` only while it is ended.
    thread: Option<JoinHandle<Option<Box<Drawer>>>>,
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
pub struct Flight<I: Source, O: Target<I::Sample>> {
    desk: Desk,
    crew: Crew<I, O>,
    depth: usize,
    /// What the caller itself drew.
    done: VecDeque<Landed<I, O>>,
    /// Jobs that were drawn, for their memory.
    spare: Vec<Job>,
    /// Of the next frame.
    ticket: u64,
    /// Of the first frame that was not given up.
    first: u64,
    in_flight: usize,
}

impl<I: Source, O: Target<I::Sample>> Flight<I, O> {
    /// Goes on where `upscaler` is, with one frame under way.
    pub fn new(upscaler: Upscaler) -> Self {
        let (desk, drawer) = upscaler.into_parts();
        Self {
            desk,
            crew: Crew::Here(Box::new(drawer)),
            depth: 1,
            done: VecDeque::new(),
            spare: Vec::new(),
            ticket: 0,
            first: 0,
            in_flight: 0,
        }
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
        self.in_flight
    }

    /// Decides on `input` and has it drawn into `output`. With a depth of more than one this returns as soon as it is decided on.
    ///
    /// # Errors
    /// [`Error::Setting`] if as many frames as may be are under way, [`Error::Shape`], [`Error::Cancelled`], the detector's; the
    /// frame is lost then, those under way are not. Errors of drawing come out of [`Flight::next`].
    pub fn submit(&mut self, input: I, info: &FrameInfo<'_>, mut output: O) -> Result<()> {
        if self.in_flight >= self.depth {
            return Err(Error::Setting {
                name: "frames-in-flight".into(),
                expected: format!("fewer than {} frames under way", self.depth),
                found: self.in_flight.to_string(),
            });
        }
        let start = Instant::now();
        self.station()?;
        if let Crew::Here(drawer) = &mut self.crew {
            self.desk.hear(drawer.adopt_better());
        }
        let mut job = self.spare.pop().unwrap_or_default();
        let decided = {
            let frame = input.frame()?;
            Desk::check_sizes(frame.size(), output.frame_mut()?.size())?;
            self.desk.decide(&frame, info, &mut job)
        };
        if let Err(error) = decided {
            self.spare.push(job);
            return Err(error);
        }
        let task = Task {
            ticket: self.ticket,
            job,
            input,
            output,
            start,
            decided: start.elapsed(),
        };
        match &mut self.crew {
            Crew::Here(drawer) => self.done.push_back(draw(drawer, task, News::default())),
            Crew::Away(worker) => {
                // A thread that has ended is noticed when its result is asked for.
                if let Some(tasks) = &worker.tasks {
                    let _ = tasks.send(task);
                }
            }
            Crew::Gone => return Err(lost()),
        }
        self.ticket += 1;
        self.in_flight += 1;
        Ok(())
    }

    /// Waits for the oldest frame under way. `None` if there is none.
    ///
    /// # Errors
    /// Those of [`Upscaler::process`]; [`Error::Runtime`] if drawing it panicked. The frame is lost then; the others are not.
    #[allow(clippy::should_implement_trait, reason = "it is not over after None")]
    pub fn next(&mut self) -> Option<Result<Finished<I, O>>> {
        while self.in_flight > 0 {
            match self.receive(true) {
                Ok(Some(landed)) => {
                    if let Some(finished) = self.settle(landed) {
                        return Some(finished);
                    }
                }
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// The oldest frame under way, if it is done.
    ///
    /// # Errors
    /// Those of [`Flight::next`].
    pub fn ready(&mut self) -> Option<Result<Finished<I, O>>> {
        while self.in_flight > 0 {
            match self.receive(false) {
                Ok(Some(landed)) => {
                    if let Some(finished) = self.settle(landed) {
                        return Some(finished);
                    }
                }
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// Gives up the frames under way. Waits for none: what is being drawn is dropped when that ends.
    pub fn abandon(&mut self) {
        self.first = self.ticket;
        if let Crew::Away(worker) = &self.crew {
            worker.first.store(self.first, Ordering::Release);
        }
        if self.in_flight > 0 {
            self.desk.decider.forget_drawn();
        }
        self.in_flight = 0;
        while let Ok(Some(landed)) = self.receive(false) {
            self.settle(landed);
        }
    }

    /// Forgets faces and time, as after a seek, from the next frame on. Frames under way and counters go on.
    pub fn reset(&mut self) {
        self.desk.decider.reset();
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

    /// Counters and times; those of drawing count when a frame is given out.
    pub fn stats(&self) -> &Stats {
        &self.desk.stats
    }

    /// As [`Upscaler::take_notices`].
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.desk.take_notices()
    }

    /// Has the drawing done where the depth wants it, as soon as no frame is under way or a thread is needed.
    fn station(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.crew, Crew::Gone) {
            Crew::Here(drawer) if self.depth > 1 => match Worker::start(drawer, self.first) {
                Ok(worker) => self.crew = Crew::Away(worker),
                Err((drawer, error)) => {
                    self.crew = Crew::Here(drawer);
                    return Err(error);
                }
            },
            Crew::Away(worker) if self.depth == 1 && self.in_flight == 0 => {
                let (drawer, rest) = worker.end();
                for landed in rest {
                    self.settle(landed);
                }
                self.crew = Crew::Here(drawer.ok_or_else(lost)?);
            }
            other => self.crew = other,
        }
        Ok(())
    }

    /// What has come back first, given up or not; waits for it if asked to.
    fn receive(&mut self, wait: bool) -> Result<Option<Landed<I, O>>> {
        if let Some(landed) = self.done.pop_front() {
            return Ok(Some(landed));
        }
        let Crew::Away(worker) = &self.crew else {
            return Ok(None);
        };
        let received = if wait {
            worker.landed.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            worker.landed.try_recv()
        };
        match received {
            Ok(landed) => Ok(Some(landed)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                self.crew = Crew::Gone;
                self.in_flight = 0;
                Err(lost())
            }
        }
    }

    /// Takes in what has come back; `None` for a frame that was given up.
    fn settle(&mut self, landed: Landed<I, O>) -> Option<Result<Finished<I, O>>> {
        let Landed {
            ticket,
            job,
            frames,
            result,
            news,
            costs,
            work,
            time,
            took,
        } = landed;
        self.desk.hear(news);
        if ticket < self.first {
            self.desk.stats.add(&work);
            self.spare.push(job);
            return None;
        }
        self.in_flight -= 1;
        self.desk
            .settle(job.faces.len(), &result, costs, &work, time);
        let faces = job.faces.clone();
        self.spare.push(job);
        let finished = result.and_then(|()| {
            let (input, output) = frames.ok_or(Error::Cancelled)?;
            Ok(Finished {
                input,
                output,
                faces,
                took,
            })
        });
        Some(finished)
    }
}

impl<I: Source, O: Target<I::Sample>> Worker<I, O> {
    /// Starts the thread; gives the drawer back if there is none to be had.
    fn start(drawer: Box<Drawer>, first: u64) -> std::result::Result<Self, (Box<Drawer>, Error)> {
        let (tasks, todo) = channel::<Task<I, O>>();
        let (sender, landed) = channel();
        // The drawer follows, lest it is lost with a thread that cannot be started.
        let (hand_over, taken) = channel::<Box<Drawer>>();
        let given_up = Arc::new(AtomicU64::new(first));
        let first = given_up.clone();
        let body = move || {
            let mut drawer = taken.recv().ok()?;
            for task in todo {
                let is_given_up = |ticket| ticket < given_up.load(Ordering::Acquire);
                let mut landed = if is_given_up(task.ticket) {
                    skip(&drawer, task)
                } else {
                    let news = drawer.adopt_better();
                    draw(&mut drawer, task, news)
                };
                if is_given_up(landed.ticket) {
                    landed.frames = None;
                }
                if sender.send(landed).is_err() {
                    break;
                }
            }
            Some(drawer)
        };
        let thread = std::thread::Builder::new()
            .name("srfusion-draw".into())
            .spawn(body);
        match thread {
            Ok(thread) => {
                // Cannot fail: the thread waits for it.
                let _ = hand_over.send(drawer);
                Ok(Self {
                    tasks: Some(tasks),
                    landed,
                    first,
                    thread: Some(thread),
                })
            }
            Err(error) => Err((
                drawer,
                Error::Runtime(format!("no thread to draw in: {error}")),
            )),
        }
    }
}

impl<I, O> Worker<I, O> {
    /// Ends the thread after the tasks that it has; the drawer, unless it was lost, and what has landed.
    fn end(mut self) -> (Option<Box<Drawer>>, Vec<Landed<I, O>>) {
        self.tasks = None;
        let thread = self.thread.take();
        let drawer = thread.and_then(|thread| thread.join().ok().flatten());
        (drawer, self.landed.try_iter().collect())
    }
}

impl<I, O> Drop for Worker<I, O> {
    fn drop(&mut self) {
        // Nobody wants what is still to be drawn.
        self.first.store(u64::MAX, Ordering::Release);
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// As [`Flight::suggested_depth`].
fn suggested_depth(models: &[ModelReport]) -> usize {
    let apart = |report: &ModelReport| {
        report.role != models::DETECTOR
            && matches!(report.provider, Provider::Cuda | Provider::TensorRt)
    };
    1 + usize::from(models.iter().any(apart))
}

fn lost() -> Error {
    Error::Runtime("the thread that draws frames has ended; a new start is needed".into())
}

/// Draws `task`; `news` are those from before it.
fn draw<I: Source, O: Target<I::Sample>>(
    drawer: &mut Drawer,
    task: Task<I, O>,
    news: News,
) -> Landed<I, O> {
    let Task {
        ticket,
        mut job,
        input,
        mut output,
        start,
        decided,
    } = task;
    let begun = Instant::now();
    let mut work = Stats::default();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let (input, mut output) = (input.frame()?, output.frame_mut()?);
        drawer.draw(&mut job, &input, &mut output, &mut work)
    }));
    let result = result.unwrap_or_else(|panic| Err(Error::Runtime(told(panic.as_ref()))));
    Landed {
        ticket,
        job,
        frames: Some((input, output)),
        result,
        news,
        costs: drawer.costs(),
        work,
        time: decided + begun.elapsed(),
        took: start.elapsed(),
    }
}

/// What comes back of a task that was given up.
fn skip<I, O>(drawer: &Drawer, task: Task<I, O>) -> Landed<I, O> {
    Landed {
        ticket: task.ticket,
        job: task.job,
        frames: None,
        result: Err(Error::Cancelled),
        news: News::default(),
        costs: drawer.costs(),
        work: Stats::default(),
        time: task.decided,
        took: task.start.elapsed(),
    }
}

/// The words of a panic.
fn told(panic: &(dyn Any + Send)) -> String {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned());
    let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("drawing a frame panicked: {}", words.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

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
                report(models::GENERAL, general),
                report(models::FACE, Provider::Cpu),
                report(models::DETECTOR, detector),
            ];
            assert_eq!(suggested_depth(&models), depth, "{general}, {detector}");
        }
        assert_eq!(suggested_depth(&[]), 1);
    }
}
