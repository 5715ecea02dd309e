//! The thread that decodes and hands frames to the pipelines, segment by segment. Frames of segments that are finished are only
//! compared by their times, or, where the file can be sought, not decoded at all.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::video::cut;
use crate::video::decode::{Control, Decoder, Faults, Frame, Source};
use crate::video::pipeline::{Counters, Event, Recipe, Segment};
use crate::video::probe::TimeBase;
use crate::video::resume::Lead;
use crate::video::segment::{self, Seen, Writer};
use crate::video::times::Times;

/// How often a thread that waits for room looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);
/// How long before a segment faces are followed, in nanoseconds: longer than a face that is lost is held and faded.
const WARM: i64 = 700_000_000;
/// Most frames that are followed before a segment.
const WARM_FRAMES: usize = 24;
/// Segments at work at a time: one that gets frames, one whose encoder ends.
const AT_ONCE: usize = 2;

/// What the thread that feeds has to say at its end.
#[derive(Debug)]
pub struct Fed {
    /// Time of the first frame in units of the input's stream.
    pub start: i64,
    /// Length of the last frame in the same units.
    pub last: i64,
    /// Frames of the video.
    pub frames: u64,
    /// Of those, frames that an earlier run had made.
    pub reused: u64,
    /// Frames that were decoded for all this.
    pub decoded: u64,
    /// Frames whose time was made.
    pub made_times: u64,
    /// Jumps back of the input's clock.
    pub jumps: u64,
    /// What was wrong with the input.
    pub faults: Faults,
}

/// A segment whose pipeline is at work.
#[derive(Debug)]
pub struct AtWork {
    /// The pipeline.
    pub segment: Segment,
    /// Times of the frames that it has got.
    pub times: Vec<i64>,
    /// What was seen of the input, once it has got all of them.
    pub seen: Seen,
}

/// What both threads look at.
#[derive(Debug, Default)]
pub struct Shared {
    /// Pipelines at work.
    pub segments: Mutex<Vec<AtWork>>,
    /// That there is room for another.
    pub changed: Condvar,
    /// Whether all is to end.
    pub stopped: AtomicBool,
    /// Whether the thread that feeds has ended by a failure.
    pub failed: AtomicBool,
    /// Frames that need no work.
    pub skipped: AtomicU64,
    /// What passes through the pipelines.
    pub counters: Arc<Counters>,
    /// The decoder.
    pub decoder: Control,
}

/// Locks what a thread that panicked may have held.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame near the end of a segment, for the tracker of the next: its time in nanoseconds and its bytes.
type Recent = VecDeque<(i64, Vec<u8>)>;

/// Decodes and hands out frames until the end.
pub struct Feeder {
    /// How pipelines are made.
    pub recipe: Recipe,
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
    /// Times of the frames of the segments that are finished.
    pub done: BTreeMap<u64, Vec<i64>>,
    /// What the other threads look at.
    pub shared: Arc<Shared>,
    /// Where pipelines tell what happens.
    pub events: Sender<Event>,
    /// The last segment to be made, if not all are.
    pub until: Option<u64>,
    /// Where it stands.
    pub place: Place,
}

/// Where the thread stands in the video.
#[derive(Debug, Default)]
pub struct Place {
    start: Option<i64>,
    current: Option<u64>,
    /// Frame of a finished segment.
    at: usize,
    frames: u64,
    reused: u64,
    decoded: u64,
    recent: Recent,
    seen: Seen,
    /// Hashes of the segment's last frames.
    tail: VecDeque<String>,
    clean: bool,
}

impl Feeder {
    /// Decodes `source`; what lies before the end of `lead`, if there is one, only as far as it has to be.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] where a pipeline takes no more, those of the decoder, and segments that are there and do not fit.
    pub fn run(mut self, source: &Source, lead: Option<&Lead>) -> Result<Fed> {
        self.place.clean = true;
        let mut times = Times::new(self.step);
        let mut found = None;
        if let Some(lead) = lead {
            let from = lead.sought.then_some(lead.key);
            let decoder = Decoder::start(source, &self.shared.decoder, from)?;
            if let Some(decoder) = self.follow(decoder, lead)? {
                times = Times::after(lead.last, lead.step.unwrap_or(self.step));
                found = Some(decoder);
            } else if self.until.is_some() {
                return Err(Failure::Failed(
                    "the frames before the segment are not those that its input's packets tell of, or are damaged: it cannot be made by itself"
                        .into(),
                ));
            }
        }
        let mut decoder = match found {
            Some(decoder) => decoder,
            None => Decoder::start(source, &self.shared.decoder, None)?,
        };
        let mut ended = false;
        while !ended && let Some(frame) = decoder.next()? {
            self.place.decoded += 1;
            let time = frame.time;
            if let Some((time, frame)) = times.push(time, frame) {
                ended = self.is_behind(time);
                if !ended {
                    self.place.clean &= decoder.clean() && times.made + times.jumps == 0;
                    self.frame(time, times.step(), frame)?;
                }
            }
        }
        if ended {
            self.shared.decoder.stop();
        }
        while !ended && let Some((time, frame)) = times.pop() {
            self.place.clean &= decoder.clean() && times.made + times.jumps == 0;
            self.frame(time, times.step(), frame)?;
        }
        // Before the last segment is closed: if the decoder was killed, more of its frames would have come.
        let faults = decoder.faults()?;
        self.close()?;
        Ok(Fed {
            start: self.place.start.unwrap_or_default(),
            last: times.step(),
            frames: self.place.frames,
            reused: self.place.reused,
            decoded: self.place.decoded,
            made_times: times.made,
            jumps: times.jumps,
            faults,
        })
    }

    /// Whether a frame lies behind the last segment that is to be made.
    fn is_behind(&self, time: i64) -> bool {
        let since = time - self.place.start.unwrap_or(time);
        let number = cut::number(self.base, since, self.length);
        self.until.is_some_and(|until| number > until)
    }

    /// Decodes until the end of `lead`, so that the next frame is the first one that is missing. `None` where the frames are not
    /// exactly those that were there: then all has to be decoded.
    fn follow(&mut self, mut decoder: Decoder, lead: &Lead) -> Result<Option<Decoder>> {
        let mut recent = Recent::new();
        let mut tail = VecDeque::new();
        let mut segment = None;
        for (number, time) in lead.times.iter().enumerate() {
            let frame = loop {
                if self.shared.stopped.load(Ordering::SeqCst) {
                    return Err(Failure::Interrupted);
                }
                let Some(frame) = decoder.next()? else {
                    return Ok(None);
                };
                self.place.decoded += 1;
                // The decoder may have had to begin earlier.
                if frame.time.is_none_or(|time| time >= lead.key) {
                    break frame;
                }
            };
            if frame.time != Some(*time) || !lead.fits(number, &frame.data) {
                return Ok(None);
            }
            let nanoseconds = self.base.nanoseconds(time - lead.start);
            let own = cut::number(self.base, time - lead.start, self.length);
            if segment.replace(own) != Some(own) {
                // Every segment is shown frames of the one before it alone.
                recent.clear();
                tail.clear();
            }
            if number + WARM_FRAMES >= lead.times.len() {
                self.remember(&mut recent, nanoseconds, &frame.data);
                tail.push_back(segment::hash(&frame.data));
            }
        }
        if !decoder.clean() {
            // It cannot be told whether that belongs to what is missing.
            return Ok(None);
        }
        self.place = Place {
            start: Some(lead.start),
            current: Some(lead.segment),
            at: lead.in_segment,
            frames: lead.before,
            reused: lead.before,
            decoded: self.place.decoded,
            recent,
            tail,
            clean: true,
            ..Place::default()
        };
        self.shared.skipped.store(lead.before, Ordering::Relaxed);
        self.shared.decoder.set_given(lead.before);
        Ok(Some(decoder))
    }

    /// Keeps a frame for the tracker of the next segment, if it is near enough.
    fn remember(&self, recent: &mut Recent, nanoseconds: i64, data: &[u8]) {
        if self.recipe.tracks() && self.length - nanoseconds % self.length <= WARM {
            if recent.len() == WARM_FRAMES {
                recent.pop_front();
            }
            recent.push_back((nanoseconds, data.to_owned()));
        } else {
            recent.clear();
        }
    }

    /// Hands out one frame; `step` is its distance from the frame before.
    fn frame(&mut self, time: i64, step: i64, frame: Frame) -> Result<()> {
        if self.shared.stopped.load(Ordering::SeqCst) {
            return Err(Failure::Interrupted);
        }
        let start = *self.place.start.get_or_insert(time);
        let time = time - start;
        let nanoseconds = self.base.nanoseconds(time);
        let number = cut::number(self.base, time, self.length);
        if self.place.current != Some(number) {
            self.close()?;
            self.place.current = Some(number);
            let recent = std::mem::take(&mut self.place.recent);
            if !self.done.contains_key(&number) {
                self.open(number, recent)?;
            }
            let lead = std::mem::take(&mut self.place.tail);
            self.place.seen = Seen {
                lead: lead.into_iter().filter(|_| self.until.is_some()).collect(),
                before: self.place.frames,
                start,
                ..Seen::default()
            };
        }
        self.place.frames += 1;
        let mut recent = std::mem::take(&mut self.place.recent);
        self.remember(&mut recent, nanoseconds, &frame.data);
        self.place.recent = recent;
        if let Some(times) = self.done.get(&number) {
            if times.get(self.place.at) != Some(&time) {
                return Err(self.differs(number));
            }
            self.place.at += 1;
            self.place.reused += 1;
            self.shared.skipped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        if self.place.tail.len() == WARM_FRAMES {
            self.place.tail.pop_front();
        }
        self.place.tail.push_back(segment::hash(&frame.data));
        self.place.seen.interlaced += u64::from(frame.interlaced);
        self.place.seen.count(frame.size, 1);
        let duration = self.base.nanoseconds(step.max(1));
        self.push(number, nanoseconds, duration, Some(time), frame.data)
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
                .find(|work| work.segment.number == number);
            let Some(work) = found else {
                return Err(Failure::Interrupted);
            };
            work.times.extend(time);
            work.segment.entrance()
        };
        let unsigned = |value: i64| u64::try_from(value).unwrap_or_default();
        entrance.push(data, unsigned(nanoseconds), unsigned(duration))?;
        if time.is_some() {
            self.shared.counters.fed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Starts the pipeline of segment `number`, once there is room for it, and shows it the frames before, `recent`.
    fn open(&self, number: u64, recent: Recent) -> Result<()> {
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
            let audited = self.recipe.options.audit.is_some();
            let writer = Writer::create(&self.folder, number, &self.target, audited)?;
            let segment = Segment::start(
                &self.recipe,
                number,
                recent.len() as u64,
                writer,
                &self.shared.counters,
                &self.events,
            )?;
            segments.push(AtWork {
                segment,
                times: Vec::new(),
                seen: Seen::default(),
            });
        }
        for (nanoseconds, data) in recent {
            self.push(number, nanoseconds, 1, None, data)?;
        }
        Ok(())
    }

    /// Ends the segment that is being fed.
    fn close(&mut self) -> Result<()> {
        let Some(number) = self.place.current.take() else {
            return Ok(());
        };
        if let Some(times) = self.done.get(&number) {
            if times.len() != self.place.at {
                return Err(self.differs(number));
            }
            self.place.at = 0;
            return Ok(());
        }
        let mut segments = lock(&self.shared.segments);
        let found = segments
            .iter_mut()
            .find(|work| work.segment.number == number);
        if let Some(work) = found {
            work.seen = Seen {
                tail: self.place.tail.drain(..).collect(),
                clean: self.place.clean,
                ..std::mem::take(&mut self.place.seen)
            };
            work.segment.end();
        }
        Ok(())
    }

    fn differs(&self, number: u64) -> Failure {
        Failure::Failed(format!(
            "segment {number} that an earlier run left has other frames than the input gives now; run with --start-over"
        ))
    }
}
