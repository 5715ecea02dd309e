//! The record that `audit` asks for: what of a frame is known when it comes in, kept until it goes out, and handed to the engine's recorder,
//! which has a thread of its own. Both frames are hashed there: until then it holds them, at most as many as [`Record::held`] says.

use std::sync::Arc;
use std::time::Duration;

use gst::prelude::*;
use gst_video::VideoInfo;
use parking_lot::Mutex;
use srfusion::record::{
    self, FrameLine, GivenObject, Hashes, PICTURES, RecordEntry, Recorder, RecorderStats, State,
};
use srfusion::{Error, Format, GivenDetection, ObjectKind, Parameters, Recorded, Settings, Source};

use super::arrival::Arrival;
use super::frames::{Input, Shown, size};
use super::report;
use crate::log::CAT;

/// A record that is being written.
struct Writing {
    recorder: Arc<Recorder>,
    /// What was set when the run began.
    settings: Settings,
    formats: Arc<record::Formats>,
    deep: bool,
    /// What drew the last frame.
    state: Arc<State>,
}

/// The record of a run, if there is one.
#[derive(Default)]
pub(super) struct Record {
    writing: Mutex<Option<Writing>>,
    /// Of the run that has ended.
    last: Mutex<RecorderStats>,
}

/// What is told of a frame that came in.
pub(super) struct Facts<'a> {
    pub(super) pts: Option<gst::ClockTime>,
    /// Whether what was learnt from frames before it was forgotten.
    pub(super) fresh: bool,
    pub(super) budget: Option<Duration>,
    /// The objects that came with it, and the kinds that they are of.
    pub(super) given: Option<(&'a [ObjectKind], &'a [GivenDetection])>,
    pub(super) parameters: &'a Parameters,
    /// As the property says.
    pub(super) detail: f64,
    /// As the property says.
    pub(super) deadline: i64,
}

impl Record {
    /// A run begins with `settings`.
    ///
    /// # Errors
    /// There is no thread for the record.
    pub(super) fn begin(
        &self,
        element: &gst_base::BaseTransform,
        settings: &Settings,
    ) -> Result<(), gst::ErrorMessage> {
        *self.last.lock() = RecorderStats::default();
        let Some(path) = &settings.stream.audit else {
            return Ok(());
        };
        let weak = element.downgrade();
        let failed = move |notice| {
            if let Some(element) = weak.upgrade() {
                report::post(&element, &notice);
            }
        };
        let version = gst::version_string().to_string();
        let header = record::header("element", Some(version), None);
        let recorder = Recorder::start(path, header, failed).map_err(|error| {
            gst::error_msg!(
                gst::CoreError::Thread,
                ("The thread that writes the record cannot start: {error}")
            )
        })?;
        *self.writing.lock() = Some(Writing {
            recorder: Arc::new(recorder),
            settings: settings.clone(),
            formats: Arc::default(),
            deep: false,
            state: Arc::default(),
        });
        Ok(())
    }

    /// Frames of these formats come from now on.
    pub(super) fn set_infos(&self, infos: &(VideoInfo, VideoInfo), formats: &(Format, Format)) {
        let side = |info: &VideoInfo, format: &Format| {
            let caps = info.to_caps().ok().map(|caps| caps.to_string());
            record::side(format, size(info), caps)
        };
        if let Some(writing) = &mut *self.writing.lock() {
            writing.formats = Arc::new(record::Formats {
                input: side(&infos.0, &formats.0),
                output: side(&infos.1, &formats.1),
            });
            let depth = |format: &Format| format.layout().depth();
            writing.deep = depth(&formats.0).max(depth(&formats.1)) > 8;
        }
    }

    /// What a record needs to know of a frame that comes in; `None` without a record.
    pub(super) fn arrival(&self, facts: &Facts<'_>) -> Option<Box<Arrival>> {
        let writing = self.writing.lock();
        let writing = writing.as_ref()?;
        let mut settings = writing.settings.clone();
        settings.parameters = facts.parameters.clone();
        settings.config.detail = facts.detail;
        settings.stream.deadline = facts.deadline;
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let given = |(kinds, objects): (&[ObjectKind], &[GivenDetection])| {
            let known = objects.iter().filter_map(|(place, detection)| {
                Some(GivenObject::of(kinds.get(*place)?, detection))
            });
            known.collect()
        };
        Some(Box::new(Arrival {
            pts: facts.pts.map(gst::ClockTime::nseconds),
            fresh: facts.fresh,
            deadline: facts.budget.map(nanoseconds),
            given: facts.given.map(given),
            settings,
            formats: writing.formats.clone(),
            deep: writing.deep,
        }))
    }

    /// Adds a frame that goes out as `output`; a `patient` caller is never late.
    pub(super) fn add(
        &self,
        mut input: Input,
        recorded: Option<Recorded>,
        output: Shown,
        patient: bool,
    ) {
        let (Some(arrival), Some(recorded)) = (input.arrival.take(), recorded) else {
            return;
        };
        let Arrival {
            pts,
            fresh,
            deadline,
            given,
            settings,
            formats,
            deep,
        } = *arrival;
        let state = State {
            models: record::models(&recorded.models, deep),
            settings: record::settings(&settings),
            formats: (*formats).clone(),
        };
        let (recorder, state) = {
            let mut writing = self.writing.lock();
            let Some(writing) = writing.as_mut() else {
                return;
            };
            if *writing.state != state {
                writing.state = Arc::new(state);
            }
            (writing.recorder.clone(), writing.state.clone())
        };
        let sums = record::sums(&state.models, &recorded.kinds);
        let line = FrameLine {
            pts,
            fresh,
            deadline,
            given,
            ..FrameLine::of(&recorded.frame, &sums)
        };
        let hashing = move |with_output| Hashes {
            input: told(input.frame().map(|frame| record::sha256(&frame))),
            output: match with_output {
                true => told(output.with_frame(record::digest)),
                false => record::Digest::default(),
            },
        };
        // Not under the lock: it may reckon the hashes here.
        let entry = RecordEntry {
            line,
            state,
            hashing: Box::new(hashing),
        };
        recorder.add(entry, patient);
    }

    /// Frames that are held for it, at most.
    pub(super) fn held(&self) -> u32 {
        match &*self.writing.lock() {
            Some(_) => PICTURES as u32,
            None => 0,
        }
    }

    /// The run has ended: what is still to be written is waited for, as long as that gets on.
    pub(super) fn end(&self, element: &gst_base::BaseTransform) {
        let writing = self.writing.lock().take();
        let Some(Writing { recorder, .. }) = writing else {
            return;
        };
        if !recorder.end() {
            gst::warning!(
                CAT,
                obj = element,
                "The record's end is still being written; nobody waits for it any longer"
            );
        }
        *self.last.lock() = recorder.stats();
    }

    /// What was written.
    pub(super) fn stats(&self) -> RecorderStats {
        match &*self.writing.lock() {
            Some(writing) => writing.recorder.stats(),
            None => *self.last.lock(),
        }
    }
}

/// A frame that cannot be read has no hash; why is in the log.
fn told<T: Default>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| {
        gst::error!(CAT, "A frame of the record cannot be hashed: {error}");
        T::default()
    })
}
