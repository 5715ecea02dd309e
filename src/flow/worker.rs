//! The thread that draws frames, and what goes to it and comes back.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::report::ModelReport;
use crate::draw::drawer::{Drawer, Outcome, Update, Work};
use crate::error::{Error, Result};
use crate::picture::{Frame, FrameMut};
use crate::plan::Plan;

/// A frame to upscale, handed over for as long as that takes.
pub trait Source: Send + 'static {
    /// The frame; the same whenever it is asked for.
    ///
    /// # Errors
    /// [`Error::Shape`] where it is none.
    fn frame(&self) -> Result<Frame<'_>>;
}

/// A frame to draw into, [`crate::SCALE`] times as wide and high as its [`Source`].
pub trait Target: Send + 'static {
    /// The frame; the same whenever it is asked for.
    ///
    /// # Errors
    /// [`Error::Shape`] where it is none.
    fn frame_mut(&mut self) -> Result<FrameMut<'_>>;
}

/// A frame on its way to be drawn.
pub struct Task<I, O> {
    pub ticket: u64,
    pub plan: Plan,
    pub input: I,
    pub output: O,
    /// When it was submitted, and the time that was spent on it.
    pub start: Instant,
    pub busy: Duration,
    /// The time that it may take.
    pub budget: Option<Duration>,
}

/// A frame that was drawn or has failed.
pub struct DrawnFrame<I, O> {
    pub ticket: u64,
    pub plan: Plan,
    /// `None` if it was given up.
    pub frames: Option<(I, O)>,
    pub outcome: Result<Outcome>,
    /// News of the generators from before it.
    pub updates: Vec<Update>,
    pub work: Work,
    pub start: Instant,
    /// Time that was spent on it, and time since it was submitted.
    pub time: Duration,
    pub took: Duration,
    /// The time that it might have taken.
    pub budget: Option<Duration>,
    /// What ran where, where that is recorded.
    pub models: Option<Vec<ModelReport>>,
}

impl<I, O> Task<I, O> {
    /// What comes back of it where it failed without being drawn.
    pub fn failed(self, error: Error) -> DrawnFrame<I, O> {
        DrawnFrame {
            ticket: self.ticket,
            plan: self.plan,
            frames: Some((self.input, self.output)),
            outcome: Err(error),
            updates: Vec::new(),
            work: Work::default(),
            start: self.start,
            time: self.busy,
            took: self.start.elapsed(),
            budget: self.budget,
            models: None,
        }
    }
}

impl<I, O> DrawnFrame<I, O> {
    /// The task once more, and what became of it.
    ///
    /// # Errors
    /// Itself, failed, if there is nothing to be drawn any more.
    pub fn into_task(self) -> std::result::Result<(Task<I, O>, Outcome), Box<Self>> {
        match (self.frames, self.outcome) {
            (Some((input, output)), Ok(outcome)) => Ok((
                Task {
                    ticket: self.ticket,
                    plan: self.plan,
                    input,
                    output,
                    start: self.start,
                    busy: self.time,
                    budget: self.budget,
                },
                outcome,
            )),
            (frames, outcome) => Err(Box::new(Self {
                frames,
                outcome: outcome.and(Err(Error::Cancelled)),
                ..self
            })),
        }
    }
}

/// Calls when it is dropped, also by a panic.
struct AtEnd(Option<Arc<dyn Fn() + Send + Sync>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(call) = &self.0 {
            call();
        }
    }
}

/// The thread that draws.
pub struct Worker<I, O> {
    /// `None` only while it is ended. In boxes: a channel has memory for some thirty at a time, which would be as large as a small frame.
    tasks: Option<Sender<Box<Task<I, O>>>>,
    drawn: Receiver<Box<DrawnFrame<I, O>>>,
    /// Frames with earlier tickets are given up.
    first: Arc<AtomicU64>,
    /// Gives the drawer back when there are no more tasks; `None` only while it is ended.
    thread: Option<JoinHandle<Option<Box<Drawer>>>>,
}

impl<I: Source, O: Target> Worker<I, O> {
    /// Starts the thread, which calls `finished` after each frame and when it ends; gives the drawer back if there is none to be had. Frames with
    /// tickets before `first` are not drawn.
    pub fn start(
        drawer: Box<Drawer>,
        first: u64,
        finished: Option<Arc<dyn Fn() + Send + Sync>>,
    ) -> std::result::Result<Self, (Box<Drawer>, Error)> {
        let (tasks, todo) = channel::<Box<Task<I, O>>>();
        let (sender, drawn) = channel();
        // The drawer follows, lest it is lost with a thread that cannot be started.
        let (hand_over, taken) = channel::<Box<Drawer>>();
        let given_up = Arc::new(AtomicU64::new(first));
        let first = given_up.clone();
        let body = move || {
            // Locals are dropped in reverse order: the channel is closed before the call that has it looked at.
            let finished = AtEnd(finished);
            let sender = sender;
            let mut drawer = taken.recv().ok()?;
            for task in todo {
                let is_given_up = |ticket| ticket < given_up.load(Ordering::Acquire);
                let mut done = if is_given_up(task.ticket) {
                    task.failed(Error::Cancelled)
                } else {
                    let updates = drawer.adopt_better();
                    draw(&mut drawer, *task, updates)
                };
                if is_given_up(done.ticket) {
                    done.frames = None;
                }
                if sender.send(Box::new(done)).is_err() {
                    break;
                }
                if let Some(finished) = &finished.0 {
                    finished();
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
                    drawn,
                    first,
                    thread: Some(thread),
                })
            }
            Err(error) => Err((
                drawer,
                Error::Thread {
                    what: "drawing frames".into(),
                    reason: error.to_string(),
                },
            )),
        }
    }
}

impl<I, O> Worker<I, O> {
    /// Has `task` drawn in its turn.
    pub fn send(&self, task: Task<I, O>) {
        // A thread that has ended is noticed when its result is asked for.
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(Box::new(task));
        }
    }

    /// What was drawn first of all that has not been received; waits for it if asked to.
    pub fn receive(&self, wait: bool) -> std::result::Result<DrawnFrame<I, O>, TryRecvError> {
        let received = if wait {
            self.drawn.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            self.drawn.try_recv()
        };
        received.map(|drawn| *drawn)
    }

    /// Gives up the frames with tickets before `first`.
    pub fn give_up(&self, first: u64) {
        self.first.store(first, Ordering::Release);
    }

    /// Ends the thread after the tasks that it has; the drawer, unless it was lost, and what was not received.
    pub fn end(mut self) -> (Option<Box<Drawer>>, Vec<DrawnFrame<I, O>>) {
        self.tasks = None;
        let thread = self.thread.take();
        let drawer = thread.and_then(|thread| thread.join().ok().flatten());
        (drawer, self.drawn.try_iter().map(|drawn| *drawn).collect())
    }
}

impl<I, O> Drop for Worker<I, O> {
    fn drop(&mut self) {
        // Nobody wants what is still to be drawn.
        self.give_up(u64::MAX);
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Draws `task`; `updates` are those from before it.
pub fn draw<I: Source, O: Target>(
    drawer: &mut Drawer,
    task: Task<I, O>,
    updates: Vec<Update>,
) -> DrawnFrame<I, O> {
    let Task {
        ticket,
        plan,
        input,
        mut output,
        start,
        busy,
        budget,
    } = task;
    let begun = Instant::now();
    let mut work = Work::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (input, mut output) = (input.frame()?, output.frame_mut()?);
        drawer.draw(&plan, &input, &mut output, &mut work)
    }));
    let outcome = outcome.unwrap_or_else(|panic| Err(Error::Internal(told(panic.as_ref()))));
    DrawnFrame {
        ticket,
        plan,
        frames: Some((input, output)),
        outcome,
        updates,
        work,
        start,
        time: busy + begun.elapsed(),
        took: start.elapsed(),
        budget,
        models: None,
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
