//! Making the segments of a video: one thread decodes and hands frames to the pipelines (`feed`), one watches over all of it. While
//! the encoder of a segment gives out its last packets, the next segment has begun.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::progress::{Progress, Speed, Standing};
use crate::video::decode::{Faults, Source};
use crate::video::feed::{AtWork, Fed, Feeder, Place, Shared, lock};
use crate::video::pipeline::{Event, Recipe};
use crate::video::probe::TimeBase;
use crate::video::resume::Lead;
use crate::video::segment::Record;
use crate::video::watch::{PATIENCE, Watch};

/// How often the thread that watches looks at Ctrl-C and moves the bar.
const TICK: Duration = Duration::from_millis(100);

/// What is to be done.
#[derive(Debug)]
pub struct Task {
    /// How pipelines are made.
    pub recipe: Recipe,
    /// What is decoded.
    pub source: Source,
    /// Where segments go.
    pub folder: PathBuf,
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
    /// The last segment to be made, if not all are.
    pub until: Option<u64>,
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
    /// Frames of the video.
    pub frames: u64,
    /// Frames that an earlier run had made.
    pub reused: u64,
    /// Frames that were decoded for all this.
    pub decoded: u64,
    /// What the elements had to say.
    pub notices: Vec<String>,
    /// How the times were put right.
    pub made_times: u64,
    /// Jumps back of the input's clock.
    pub jumps: u64,
}

/// Runs `task`, but for the segments that are there already; `records` gets every segment as it is finished, so that they are known
/// however this ends. `lead` says where decoding may begin.
///
/// # Errors
/// Whatever went wrong first.
pub fn run(
    task: &Task,
    lead: Option<Lead>,
    records: &mut BTreeMap<u64, Record>,
    progress: &Progress,
) -> Result<Outcome> {
    let (events, incoming) = channel();
    let shared = Arc::new(Shared::default());
    let feeder = Feeder {
        recipe: task.recipe.clone(),
        folder: task.folder.clone(),
        target: task.target.clone(),
        base: task.base,
        length: task.length,
        step: task.step,
        done: records
            .iter()
            .map(|(number, record)| (*number, record.times.clone()))
            .collect(),
        shared: shared.clone(),
        events,
        until: task.until,
        place: Place::default(),
    };
    let source = task.source.clone();
    let failed = shared.clone();
    let thread = std::thread::spawn(move || {
        let result = feeder.run(&source, lead.as_ref());
        failed.failed.store(result.is_err(), Ordering::SeqCst);
        result
    });
    let mut watcher = Watcher {
        task,
        shared: &shared,
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
        stop(&shared);
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
        decoded: fed.decoded,
        notices,
        made_times: fed.made_times,
        jumps: fed.jumps,
    })
}

/// Ends everything that is at work.
fn stop(shared: &Arc<Shared>) {
    shared.stopped.store(true, Ordering::SeqCst);
    shared.decoder.stop();
    // The feeder may wait for room while it holds no lock, or for the lock.
    let pipelines: Vec<_> = lock(&shared.segments)
        .iter()
        .map(|work| work.segment.stopper())
        .collect();
    for pipeline in pipelines {
        // A failure of this leaves nothing to be done.
        let _ = pipeline.set_state(gst::State::Null);
    }
    shared.changed.notify_all();
}

/// The thread that waits and watches.
struct Watcher<'a> {
    task: &'a Task,
    shared: &'a Arc<Shared>,
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
        let AtWork {
            segment,
            times,
            seen,
        } = {
            let mut segments = lock(&self.shared.segments);
            let place = segments
                .iter()
                .position(|work| work.segment.number == number)
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
        let followed = segment.followed;
        if writer.audit().is_some() {
            // Its end writes the rest of the engine's record. A failure of this leaves nothing to be done.
            let _ = segment.stopper().set_state(gst::State::Null);
        }
        let record = writer.finish(|record| {
            record.followed = followed;
            record.times = times;
            record.frames_with_faces = findings.with_faces.load(Ordering::SeqCst);
            record.most_faces = findings.most_faces.load(Ordering::SeqCst);
            record.kinds = std::mem::take(&mut *lock(&findings.kinds));
            record.provider = provider;
            record.size = *lock(&findings.size);
            record.seen = seen;
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
            ("ffmpeg's decoder", self.shared.decoder.given()),
            ("the entrance of the pipeline", passed(&counters.fed)),
            ("srfusion", passed(&counters.upscaled)),
            (self.task.recipe.encoder.element, passed(&counters.encoded)),
        ];
        let pipelines: Vec<_> = lock(&self.shared.segments)
            .iter()
            .map(|work| work.segment.stopper())
            .collect();
        let mut processes = vec![std::process::id()];
        processes.extend(self.shared.decoder.process());
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
            .map(|work| work.segment.provider());
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
