//! Making the segments of a video: one thread decodes and hands frames to the pipelines, one watches over all of it. While the
//! encoder of a segment gives out its last packets, the next segment has begun.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::progress::{Progress, Speed, Standing};
use crate::video::decode::{Decoder, Faults, Stopper};
use crate::video::pipeline::{Counters, Event, Recipe, Segment};
use crate::video::probe::TimeBase;
use crate::video::segment::{Record, Writer};
use crate::video::times::Times;
use crate::video::watch::{PATIENCE, Watch};
use crate::video::work::Work;

/// How often the thread that watches looks at Ctrl-C and moves the bar.
const TICK: Duration = Duration::from_millis(100);
/// How long before a segment faces are followed, in nanoseconds: longer than a face that is lost is held and faded.
const WARM: i64 = 700_000_000;
/// Most frames that are followed before a segment.
const WARM_FRAMES: usize = 24;
/// Segments at work at a time: one that gets frames, one whose encoder ends.
const AT_ONCE: usize = 2;

/// What is to be done.
#[derive(Debug)]
pub struct Task<'a> {
    /// How pipelines are made.
    pub recipe: Recipe,
    /// Where segments go.
    pub work: &'a Work,
    /// Name of the output for messages.
    pub target: String,
    /// Unit of the input's times.
    pub base: TimeBase,
    /// Length of a segment in nanoseconds.
    pub length: i64,
    /// Usual distance of frames in units.
    pub step: i64,
    /// Frames that the input most likely has, 0 if nobody knows.
    pub total: u64,
}

/// What was done.
#[derive(Debug)]
pub struct Outcome {
    /// Every segment, in order.
    pub records: Vec<Record>,
    /// Time of the first frame in units of the input's stream.
    pub start: i64,
    /// Length of the last frame in the same units.
    pub last: i64,
    /// What was wrong with the input.
    pub faults: Faults,
    /// Frames decoded.
    pub frames: u64,
    /// Frames that an earlier run had made.
    pub reused: u64,
    /// What the elements had to say.
    pub notices: Vec<String>,
    /// How the times were put right.
    pub made_times: u64,
    /// Jumps back of the input's clock.
    pub jumps: u64,
}

/// What the thread that feeds has to say at its end.
#[derive(Debug)]
struct Fed {
    start: i64,
    last: i64,
    frames: u64,
    reused: u64,
    made_times: u64,
    jumps: u64,
    faults: Faults,
}

/// What both threads look at.
#[derive(Debug, Default)]
struct Shared {
    /// Pipelines at work, with the times of the frames that they have got.
    segments: Mutex<Vec<(Segment, Vec<i64>)>>,
    changed: Condvar,
    stopped: AtomicBool,
    /// Whether the thread that feeds has ended by a failure.
    failed: AtomicBool,
    /// Frames that need no work.
    skipped: AtomicU64,
    counters: Arc<Counters>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame near the end of a segment, for the tracker of the next: its time in nanoseconds and its bytes.
type Recent = VecDeque<(i64, Vec<u8>)>;

/// Decodes and hands out frames until the end.
struct Feeder {
    recipe: Recipe,
    folder: std::path::PathBuf,
    target: String,
    base: TimeBase,
    length: i64,
    done: BTreeMap<u64, Vec<i64>>,
    shared: Arc<Shared>,
    events: Sender<Event>,
    start: Option<i64>,
    current: Option<u64>,
    at: usize,
    frames: u64,
    reused: u64,
    recent: Recent,
}

impl Feeder {
    fn run(mut self, mut decoder: Decoder, step: i64) -> Result<Fed> {
        let mut times = Times::new(step);
        while let Some(frame) = decoder.next()? {
            if let Some((time, data)) = times.push(frame.time, frame.data) {
                let step = times.step();
                self.frame(time, step, data)?;
            }
        }
        while let Some((time, data)) = times.pop() {
            let step = times.step();
            self.frame(time, step, data)?;
        }
        self.close()?;
        Ok(Fed {
            start: self.start.unwrap_or_default(),
            last: times.step(),
            frames: self.frames,
            reused: self.reused,
            made_times: times.made,
            jumps: times.jumps,
            faults: decoder.faults(),
        })
    }

    /// Hands out one frame; `step` is its distance from the frame before.
    fn frame(&mut self, time: i64, step: i64, data: Vec<u8>) -> Result<()> {
        if self.shared.stopped.load(Ordering::SeqCst) {
            return Err(Failure::Interrupted);
        }
        let time = time - *self.start.get_or_insert(time);
        let nanoseconds = self.base.nanoseconds(time);
        let number = u64::try_from(nanoseconds / self.length).unwrap_or_default();
        if self.current != Some(number) {
            self.close()?;
            self.current = Some(number);
            if !self.done.contains_key(&number) {
                self.open(number)?;
            }
        }
        self.frames += 1;
        if self.recipe.tracks() && self.length - nanoseconds % self.length <= WARM {
            if self.recent.len() == WARM_FRAMES {
                self.recent.pop_front();
            }
            self.recent.push_back((nanoseconds, data.clone()));
        } else {
            self.recent.clear();
        }
        if let Some(times) = self.done.get(&number) {
            if times.get(self.at) != Some(&time) {
                return Err(self.differs(number));
            }
            self.at += 1;
            self.reused += 1;
            self.shared.skipped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let duration = self.base.nanoseconds(step.max(1));
        self.push(number, nanoseconds, duration, Some(time), data)
    }

    /// Hands a frame to the pipeline of `number`, and notes its time if it is to come out again.
    fn push(
        &self,
        number: u64,
        nanoseconds: i64,
        duration: i64,
        time: Option<i64>,
        data: Vec<u8>,
    ) -> Result<()> {
        // Not under the lock: it waits for room.
        let entrance = {
            let mut segments = lock(&self.shared.segments);
            let found = segments
                .iter_mut()
                .find(|(segment, _)| segment.number == number);
            let Some((segment, times)) = found else {
                return Err(Failure::Interrupted);
            };
            times.extend(time);
            segment.entrance()
        };
        let unsigned = |value: i64| u64::try_from(value).unwrap_or_default();
        entrance.push(data, unsigned(nanoseconds), unsigned(duration))?;
        if time.is_some() {
            self.shared.counters.fed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Starts the pipeline of segment `number`, once there is room for it, and shows it the frames before.
    fn open(&mut self, number: u64) -> Result<()> {
        let recent = std::mem::take(&mut self.recent);
        {
            let mut segments = lock(&self.shared.segments);
            while segments.len() >= AT_ONCE {
                if self.shared.stopped.load(Ordering::SeqCst) {
                    return Err(Failure::Interrupted);
                }
                segments = self
                    .shared
                    .changed
                    .wait_timeout(segments, TICK)
                    .map_or_else(|error| error.into_inner().0, |(guard, _)| guard);
            }
            let writer = Writer::create(&self.folder, number, &self.target)?;
            let segment = Segment::start(
                &self.recipe,
                number,
                recent.len() as u64,
                writer,
                &self.shared.counters,
                &self.events,
            )?;
            segments.push((segment, Vec::new()));
        }
        for (nanoseconds, data) in recent {
            self.push(number, nanoseconds, 1, None, data)?;
        }
        Ok(())
    }

    /// Ends the segment that is being fed.
    fn close(&mut self) -> Result<()> {
        let Some(number) = self.current.take() else {
            return Ok(());
        };
        if let Some(times) = self.done.get(&number) {
            if times.len() != self.at {
                return Err(self.differs(number));
            }
            self.at = 0;
            return Ok(());
        }
        let segments = lock(&self.shared.segments);
        if let Some((segment, _)) = segments
            .iter()
            .find(|(segment, _)| segment.number == number)
        {
            segment.end();
        }
        Ok(())
    }

    fn differs(&self, number: u64) -> Failure {
        Failure::Failed(format!(
            "segment {number} that an earlier run left has other frames than the input gives now; run with --start-over"
        ))
    }
}

/// Runs `task` with what `decoder` gives, but for the segments that are there already; `records` gets every segment as it is
/// finished, so that they are known however this ends.
///
/// # Errors
/// Whatever went wrong first.
pub fn run(
    task: &Task<'_>,
    decoder: Decoder,
    records: &mut BTreeMap<u64, Record>,
    progress: &Progress,
) -> Result<Outcome> {
    let (events, incoming) = channel();
    let shared = Arc::new(Shared::default());
    let stopper = decoder.stopper();
    let decoded = decoder.given.clone();
    let feeder = Feeder {
        recipe: task.recipe.clone(),
        folder: task.work.folder().to_owned(),
        target: task.target.clone(),
        base: task.base,
        length: task.length,
        done: records
            .iter()
            .map(|(number, record)| (*number, record.times.clone()))
            .collect(),
        shared: shared.clone(),
        events,
        start: None,
        current: None,
        at: 0,
        frames: 0,
        reused: 0,
        recent: Recent::new(),
    };
    let step = task.step;
    let failed = shared.clone();
    let thread = std::thread::spawn(move || {
        let result = feeder.run(decoder, step);
        failed.failed.store(result.is_err(), Ordering::SeqCst);
        result
    });
    let mut watcher = Watcher {
        task,
        shared: &shared,
        stopper: &stopper,
        decoded: &decoded,
        notices: Vec::new(),
        kept: records
            .values()
            .map(|record| record.times.len() as u64)
            .sum(),
        speed: Speed::default(),
        provider: String::new(),
    };
    let result = watcher.watch(&incoming, &thread, records, progress);
    let notices = std::mem::take(&mut watcher.notices);
    if result.is_err() {
        stop(&shared, &stopper);
    }
    let fed = thread.join().unwrap_or_else(|_| {
        Err(Failure::Failed(
            "the thread that decodes ended by a fault".into(),
        ))
    });
    let fed = match (result, fed) {
        (Ok(()), Ok(fed)) => fed,
        (Err(failure), _) | (_, Err(failure)) if failure != Failure::Interrupted => {
            return Err(failure);
        }
        (Err(Failure::Interrupted), Err(failure)) if failure != Failure::Interrupted => {
            return Err(failure);
        }
        _ => {
            let said = incoming.try_iter().find_map(|event| match event {
                Event::Failed(failure) => Some(failure),
                _ => None,
            });
            let unsaid =
                || Failure::Failed("the pipeline took no more frames, and did not say why".into());
            return Err(match said {
                _ if interrupt::interrupted() => Failure::Interrupted,
                Some(failure) => failure,
                None => unsaid(),
            });
        }
    };
    Ok(Outcome {
        records: records.values().cloned().collect(),
        start: fed.start,
        last: fed.last,
        faults: fed.faults,
        frames: fed.frames,
        reused: fed.reused,
        notices,
        made_times: fed.made_times,
        jumps: fed.jumps,
    })
}

/// Ends everything that is at work.
fn stop(shared: &Arc<Shared>, stopper: &Stopper) {
    shared.stopped.store(true, Ordering::SeqCst);
    stopper.stop();
    // The feeder may wait for room while it holds no lock, or for the lock.
    let pipelines: Vec<_> = lock(&shared.segments)
        .iter()
        .map(|(segment, _)| segment.stopper())
        .collect();
    for pipeline in pipelines {
        // A failure of this leaves nothing to be done.
        let _ = pipeline.set_state(gst::State::Null);
    }
    shared.changed.notify_all();
}

/// The thread that waits and watches.
struct Watcher<'a> {
    task: &'a Task<'a>,
    shared: &'a Arc<Shared>,
    stopper: &'a Stopper,
    decoded: &'a AtomicU64,
    notices: Vec<String>,
    /// Frames in segments that an earlier run has left.
    kept: u64,
    speed: Speed,
    provider: String,
}

impl Watcher<'_> {
    fn watch(
        &mut self,
        incoming: &Receiver<Event>,
        thread: &JoinHandle<Result<Fed>>,
        records: &mut BTreeMap<u64, Record>,
        progress: &Progress,
    ) -> Result<()> {
        let mut watch = Watch::new(PATIENCE);
        let mut looked = Instant::now();
        loop {
            if interrupt::interrupted() {
                return Err(Failure::Interrupted);
            }
            match incoming.recv_timeout(TICK) {
                Ok(event) => self.take(event, records, progress)?,
                Err(RecvTimeoutError::Timeout) => {}
                // Every pipeline and the feeder are gone.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if looked.elapsed() >= Duration::from_secs(1) {
                looked = Instant::now();
                self.look(&mut watch)?;
                self.show(progress);
            }
            if thread.is_finished() && lock(&self.shared.segments).is_empty() {
                return incoming
                    .try_iter()
                    .try_for_each(|event| self.take(event, records, progress));
            }
            if self.shared.failed.load(Ordering::SeqCst) {
                // What a pipeline says explains why it took no more.
                incoming
                    .try_iter()
                    .try_for_each(|event| self.take(event, records, progress))?;
                return Err(Failure::Interrupted);
            }
        }
    }

    fn take(
        &mut self,
        event: Event,
        records: &mut BTreeMap<u64, Record>,
        progress: &Progress,
    ) -> Result<()> {
        match event {
            Event::Failed(failure) => Err(failure),
            Event::Notice(text) => {
                if !self.notices.contains(&text) {
                    progress.warn(&text);
                    self.notices.push(text);
                }
                Ok(())
            }
            Event::Doing(text) => {
                progress.message(&text);
                Ok(())
            }
            Event::Ended(number) => {
                let record = self.finish(number)?;
                records.insert(number, record);
                Ok(())
            }
        }
    }

    /// Makes a segment that has gone through count.
    fn finish(&self, number: u64) -> Result<Record> {
        let lost = || {
            Failure::Failed(format!(
                "segment {number} was lost; this is a fault of srfusion"
            ))
        };
        let (segment, times) = {
            let mut segments = lock(&self.shared.segments);
            let place = segments
                .iter()
                .position(|(segment, _)| segment.number == number)
                .ok_or_else(lost)?;
            segments.remove(place)
        };
        let writer = segment.take_writer().ok_or_else(lost)?;
        if writer.packets() != times.len() {
            return Err(Failure::Failed(format!(
                "{} frames went into segment {number}, but {} came out; this is a fault of srfusion or of the encoder {}",
                times.len(),
                writer.packets(),
                self.task.recipe.encoder.element
            )));
        }
        let findings = segment.findings.clone();
        let provider = segment.provider();
        let record = writer.finish(|record| {
            record.times = times;
            record.frames_with_faces = findings.with_faces.load(Ordering::SeqCst);
            record.most_faces = findings.most_faces.load(Ordering::SeqCst);
            record.provider = provider;
            record.size = *lock(&findings.size);
        });
        drop(segment);
        self.shared.changed.notify_all();
        record
    }

    fn look(&self, watch: &mut Watch) -> Result<()> {
        let counters = &self.shared.counters;
        let skipped = self.shared.skipped.load(Ordering::Relaxed);
        let passed = |counter: &AtomicU64| skipped + counter.load(Ordering::Relaxed);
        let places = vec![
            ("ffmpeg's decoder", self.decoded.load(Ordering::Relaxed)),
            ("the entrance of the pipeline", passed(&counters.fed)),
            ("srfusion", passed(&counters.upscaled)),
            (self.task.recipe.encoder.element, passed(&counters.encoded)),
        ];
        let pipelines: Vec<_> = lock(&self.shared.segments)
            .iter()
            .map(|(segment, _)| segment.stopper())
            .collect();
        let processes = [std::process::id(), self.stopper.process()];
        watch.look(&places, &processes, &pipelines)
    }

    /// Says how far it is.
    fn show(&mut self, progress: &Progress) {
        let upscaled = self.shared.counters.upscaled.load(Ordering::Relaxed);
        let skipped = self.shared.skipped.load(Ordering::Relaxed);
        let rate = self.speed.take(upscaled);
        if upscaled + skipped == 0 {
            return;
        }
        let provider = lock(&self.shared.segments)
            .last()
            .map(|(segment, _)| segment.provider());
        if let Some(provider) = provider.filter(|provider| !provider.is_empty()) {
            self.provider = provider;
        }
        let total = self.task.total;
        progress.standing(&Standing {
            done: upscaled + skipped,
            total,
            reused: skipped,
            left: (total > 0).then(|| total.saturating_sub(self.kept + upscaled)),
            rate,
            provider: self.provider.clone(),
        });
    }
}
