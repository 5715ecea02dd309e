//! The thread that writes a record. Whoever draws frames hands lines over and never waits for it: where the thread cannot follow, lines are
//! left out, counted, and the gap is in the record.
//!
//! Hashing a frame takes time too. Up to [`PICTURES`] frames may wait for the thread to do it, with their memory; beyond that a caller that
//! has time does it itself, and one that has none goes without the line.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::digest::Digest;
use super::lines::{End, FrameLine, Header, Line, Lost, State};
use super::state::runtime;
use crate::notice::Notice;

/// Most lines that wait to be written.
pub const QUEUE: usize = 1024;
/// Most frames that wait, with their memory, to be hashed.
pub const PICTURES: usize = 4;
/// Most rectangles in all lines that wait, so that their memory is bounded whatever is in them.
const RECTANGLES: usize = 1 << 20;
/// How long the end of a record is waited for while nothing of it is written.
const GRACE: Duration = Duration::from_secs(2);

/// What is kept of a frame's samples on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hashes {
    /// sha256 of the input.
    pub input: String,
    /// Of the output.
    pub output: Digest,
}

/// Reckons the hashes of a frame, that of its output only if asked to.
pub type Hashing = Box<dyn FnOnce(bool) -> Hashes + Send>;

/// A line to be written, and what it takes to complete it.
pub struct RecordEntry {
    /// The line, without hashes.
    pub line: FrameLine,
    /// What drew it.
    pub state: Arc<State>,
    /// Its hashes, still to be reckoned.
    pub hashing: Hashing,
}

/// Either what is to be reckoned or what was.
enum Sum {
    Todo(Hashing),
    Done(Hashes),
}

struct WaitingLine {
    line: FrameLine,
    state: Arc<State>,
    sum: Sum,
    rectangles: usize,
    /// Lines that were left out before it.
    lost: u64,
}

#[derive(Default)]
struct WriterQueue {
    waiting: VecDeque<WaitingLine>,
    /// Frames that wait for their hashes, that of the thread included.
    pictures: usize,
    rectangles: usize,
    /// Lines left out since the last one that was taken.
    lost: u64,
    /// Nothing comes any more.
    ended: bool,
    /// The thread has written all of it.
    done: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecorderStats {
    /// Frames whose line is in the record.
    pub frames: u64,
    /// Frames whose line was left out, because the thread could not follow.
    pub lost: u64,
    /// Lines that could not be written.
    pub errors: u64,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<WriterQueue>,
    changed: Condvar,
    frames: AtomicU64,
    lost: AtomicU64,
    errors: AtomicU64,
    /// Grows whenever the thread gets on.
    progress: AtomicU64,
}

/// A record that is being written.
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Writes `line` in one piece.
///
/// # Errors
/// Those of the file.
pub fn write_line(to: &mut impl Write, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    to.write_all(&text)
}

/// Rectangles of a line.
fn rectangles(line: &FrameLine) -> usize {
    let kept = line.kept.iter().chain(&line.owed);
    let experts = line.experts.iter().map(|expert| &expert.drawn);
    let experts = line.face.iter().chain(experts);
    let networks = line.general.as_ref().map_or(0, |drawn| drawn.rects.len())
        + experts
            .map(|drawn| drawn.rects.len() + 3 * drawn.parts.len())
            .sum::<usize>();
    let objects = line.objects.len() + line.given.as_ref().map_or(0, Vec::len);
    networks
        + objects
        + line.interpolated.len()
        + line.covered.len()
        + kept.map(|kept| 1 + kept.rects.len()).sum::<usize>()
}

impl Recorder {
    /// Begins a record at the end of the file at `path`, which is opened by the thread: that may take as long as it likes. `header` gets its
    /// state from the first frame. `failed` is called, from the thread, when a line cannot be written the first time.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        path: &Path,
        header: Header,
        failed: impl Fn(Notice) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut writer = Writer {
            path: path.to_owned(),
            file: None,
            torn: false,
            missing: 0,
            header: Some(header),
            state: None,
            last: None,
            shared: shared.clone(),
            failed: Box::new(failed),
        };
        let thread = std::thread::Builder::new()
            .name("srfusion-record".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands a line over. Never waits; but where frames wait for their hashes already, those of a `patient` caller are reckoned here. To be
    /// called by one thread at a time.
    pub fn add(&self, entry: RecordEntry, patient: bool) {
        let RecordEntry {
            line,
            state,
            hashing,
        } = entry;
        let shared = &self.shared;
        let rectangles = rectangles(&line);
        let here = {
            let mut queue = shared.queue.lock();
            let is_full =
                queue.waiting.len() >= QUEUE || queue.rectangles + rectangles > RECTANGLES;
            let is_busy = queue.pictures >= PICTURES;
            if is_full || (is_busy && !patient) {
                queue.lost += 1;
                shared.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            queue.pictures += usize::from(!is_busy);
            is_busy
        };
        let sum = if here {
            Sum::Done(hashing(true))
        } else {
            Sum::Todo(hashing)
        };
        let mut queue = shared.queue.lock();
        queue.rectangles += rectangles;
        let lost = std::mem::take(&mut queue.lost);
        queue.waiting.push_back(WaitingLine {
            line,
            state,
            sum,
            rectangles,
            lost,
        });
        drop(queue);
        shared.changed.notify_all();
    }

    /// What was written so far.
    pub fn stats(&self) -> RecorderStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RecorderStats {
            frames: of(&self.shared.frames),
            lost: of(&self.shared.lost),
            errors: of(&self.shared.errors),
        }
    }

    /// Ends the record: waits for what is still to be written, as long as that gets on. Returns whether all was; if not, the thread goes on
    /// by itself.
    pub fn end(&self) -> bool {
        let thread = self.thread.lock().take();
        let Some(thread) = thread else {
            return true;
        };
        let shared = &self.shared;
        let mut queue = shared.queue.lock();
        queue.ended = true;
        shared.changed.notify_all();
        let (mut seen, mut since) = (0, Instant::now());
        while !queue.done && !thread.is_finished() {
            let now = shared.progress.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() >= GRACE {
                return false;
            }
            shared.changed.wait_for(&mut queue, GRACE / 20);
        }
        drop(queue);
        // A thread that panicked has nothing more to say.
        thread.join().is_ok()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread's own.
struct Writer {
    path: PathBuf,
    file: Option<File>,
    /// A line may have been written in part.
    torn: bool,
    /// Frames that have no line and whose gap is not in the record yet.
    missing: u64,
    /// Until it is written.
    header: Option<Header>,
    state: Option<Arc<State>>,
    /// The last frame that was drawn and not repeated, and its output's digest.
    last: Option<(u64, Digest)>,
    shared: Arc<Shared>,
    failed: Box<dyn Fn(Notice) + Send>,
}

impl Writer {
    fn run(&mut self) {
        // Before the first frame: a file that cannot be written is told of at once.
        if let Err(error) = self.open() {
            self.tell(&error);
        }
        while let Some(waiting) = self.next() {
            self.frame(waiting);
        }
        let stats = &self.shared;
        let frames = stats.frames.load(Ordering::Relaxed);
        let end = End {
            frames,
            lost: stats.lost.load(Ordering::Relaxed),
        };
        let gap = self.shared.queue.lock().lost;
        self.missing += gap;
        self.lines(&[Line::End(end)]);
        self.shared.queue.lock().done = true;
        self.shared.changed.notify_all();
    }

    /// The next line; `None` at the end.
    fn next(&self) -> Option<WaitingLine> {
        let mut queue = self.shared.queue.lock();
        loop {
            if let Some(waiting) = queue.waiting.pop_front() {
                queue.rectangles -= waiting.rectangles;
                return Some(waiting);
            }
            if queue.ended {
                return None;
            }
            self.shared.changed.wait(&mut queue);
        }
    }

    fn frame(&mut self, waiting: WaitingLine) {
        let WaitingLine {
            mut line,
            state,
            sum,
            lost,
            ..
        } = waiting;
        let shown = self
            .last
            .as_ref()
            .filter(|(frame, _)| Some(*frame) == line.repeats);
        let hashes = match sum {
            Sum::Done(hashes) => hashes,
            Sum::Todo(hashing) => {
                let mut hashes = hashing(shown.is_none());
                if let Some((_, output)) = shown {
                    hashes.output = output.clone();
                }
                self.shared.queue.lock().pictures -= 1;
                hashes
            }
        };
        self.missing += lost;
        self.last = Some((line.repeats.unwrap_or(line.frame), hashes.output.clone()));
        (line.input, line.output) = (hashes.input, hashes.output);
        let mut lines = Vec::new();
        if self.state.as_ref() != Some(&state) {
            lines.push(match self.header.take() {
                Some(header) => Line::Header(Header {
                    // Loaded by now.
                    onnx_runtime: runtime(),
                    state: (*state).clone(),
                    ..header
                }),
                None => Line::Change((*state).clone()),
            });
        }
        lines.push(Line::Frame(line));
        if self.lines(&lines) {
            self.state = Some(state);
            self.shared.frames.fetch_add(1, Ordering::Relaxed);
        } else {
            if let Some(Line::Header(header)) = lines.into_iter().next() {
                self.header = Some(header);
            }
            self.missing += 1;
        }
        self.shared.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes `lines`, and before them, but after a header, that some are missing.
    fn lines(&mut self, lines: &[Line]) -> bool {
        let written = self.try_lines(lines);
        if let Err(error) = &written {
            self.tell(error);
        }
        written.is_ok()
    }

    fn try_lines(&mut self, lines: &[Line]) -> std::io::Result<()> {
        // Once more where it could not be opened before: what was in the way may be gone.
        self.open()?;
        let mut text = Vec::new();
        if self.torn {
            text.push(b'\n');
        }
        let gap = |text: &mut Vec<u8>| match self.missing {
            0 => Ok(()),
            lost => write_line(text, &Line::Lost(Lost { lost })),
        };
        let has_header = matches!(lines.first(), Some(Line::Header(_)));
        if !has_header {
            gap(&mut text)?;
        }
        for (index, line) in lines.iter().enumerate() {
            write_line(&mut text, line)?;
            if has_header && index == 0 {
                gap(&mut text)?;
            }
        }
        if let Some(file) = &mut self.file {
            self.torn = true;
            file.write_all(&text)?;
            self.torn = false;
        }
        self.missing = 0;
        Ok(())
    }

    fn open(&mut self) -> std::io::Result<()> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).open(&self.path)?;
            // What an earlier run has left may end in the middle of a line.
            let kind = file.metadata()?;
            self.torn = kind.is_file() && kind.len() > 0;
            self.file = Some(file);
        }
        Ok(())
    }

    /// Counts a failure; the first is told.
    fn tell(&self, error: &std::io::Error) {
        if self.shared.errors.fetch_add(1, Ordering::Relaxed) == 0 {
            (self.failed)(Notice::worse(format!(
                "the record {} cannot be written: {error}; frames go on without it, and what is missing is counted",
                self.path.display()
            )));
        }
    }
}
