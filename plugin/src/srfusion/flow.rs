//! Frames through the engine: in on the streaming thread, and out on it as well where one is under way at a time; where there may be
//! more, on the source pad's task, as soon as each is done.
//!
//! Locks, in the order in which they are taken; none is held over a message, a query, a push or a network's run. The engine is not
//! behind a lock but borrowed from its [`Slot`], and whoever has it may take the others.
//!
//! 1. `slot` - the engine and what may be done with it
//! 2. `outgoing` - how many frames are under way, and what came of sending them on
//! 3. `stream` - caps of both sides, and what was set when the run began
//! 4. `latency`, `report`, `quality`, `record`

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst_base::prelude::*;
use gst_video::VideoInfo;
use parking_lot::Mutex;
use srfusion::{
    Canceller, Error, Finished, Flight, Format, FrameInfo, Notice, ObjectKind, Parameters, Reuse,
};

use super::frames::{Attached, Input, Output, Shown, size};
use super::latency::Latency;
use super::mark::{self, Networks};
use super::meta;
use super::outgoing::Outgoing;
use super::quality::{self, Quality};
use super::record::{Facts, Record};
use super::report::{self, Providers, Report};
use super::settings::{PROP_ACTIVE_PROVIDER, clock_time};
use super::slot::{Lease, Refusal, Slot};
use crate::error::to_error_message;
use crate::log::CAT;

/// The engine, with the frames that it has.
pub(super) type Engine = Flight<Input, Output>;

/// The engine while a thread has it.
type Borrowed<'a> = Lease<'a, Engine, Canceller>;

/// What was set when the run began; what is set later waits for the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RunSettings {
    /// Faces come with the frames; there is no detector.
    pub(super) use_roi_meta: bool,
    /// Frames under way at a time; zero leaves it to the provider.
    pub(super) frames_in_flight: usize,
}

/// What holds for one frame.
#[derive(Debug, Clone)]
pub(super) struct FrameSettings {
    pub(super) parameters: Parameters,
    /// How much of the natural look generators have.
    pub(super) detail: f64,
    /// Faces are attached as regions.
    pub(super) attach_roi_meta: bool,
    /// A mark is attached.
    pub(super) attach_marks: bool,
    /// Nanoseconds that it may take, as the property `deadline` says.
    pub(super) deadline: i64,
}

#[derive(Debug, Default)]
struct Stream {
    /// Caps of input and output.
    infos: Option<(VideoInfo, VideoInfo)>,
    formats: Option<(Format, Format)>,
    run: RunSettings,
    /// The kinds of objects, once the models are open.
    kinds: Option<Arc<[ObjectKind]>>,
    /// It was told that a region is of no kind.
    told_stranger: bool,
    /// Of the frame that the streaming thread has.
    attach_roi_meta: bool,
    /// Most frames under way at a time.
    depth: usize,
    /// The output that was sent on last, whose memory goes out again where a frame repeats it, and whether one may come that does.
    last: Option<gst::Buffer>,
    keeps_last: bool,
    /// What was learnt was forgotten before the next frame that comes in.
    fresh: bool,
}

/// The way of frames through the element.
#[derive(Default)]
pub(super) struct Flow {
    pub(super) slot: Slot<Engine, Canceller>,
    /// Shared with the engine's drawing thread, which tells it that a frame is done.
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) latency: Latency,
    pub(super) report: Report,
    pub(super) quality: Quality,
    pub(super) record: Record,
    stream: Mutex<Stream>,
}

impl Flow {
    /// A run begins; nothing has been taken in. To be called before the models are opened.
    pub(super) fn begin(&self, run: RunSettings) {
        *self.stream.lock() = Stream {
            run,
            depth: run.frames_in_flight.max(1),
            ..Stream::default()
        };
        self.latency.reset();
        self.quality.reset();
        self.outgoing.open();
    }

    /// The run is about to end, and with it every wait. Before the pads are deactivated, which waits for the streaming threads.
    pub(super) fn close(&self) {
        self.outgoing.close();
        self.slot.close();
    }

    /// The run has ended.
    pub(super) fn end(&self) {
        *self.stream.lock() = Stream::default();
        self.latency.reset();
    }

    /// Caps of input and output.
    pub(super) fn set_infos(&self, infos: (VideoInfo, VideoInfo), formats: (Format, Format)) {
        self.record.set_infos(&infos, &formats);
        let mut stream = self.stream.lock();
        (stream.infos, stream.formats) = (Some(infos), Some(formats));
        self.slot.refresh();
    }

    /// Caps of input and output.
    pub(super) fn infos(&self) -> Option<(VideoInfo, VideoInfo)> {
        self.stream.lock().infos.clone()
    }

    /// Whether `meta` of the frame that the streaming thread has is a region of an object that is attached anew.
    pub(super) fn replaces(&self, meta: &gst::MetaRef<'_, gst::Meta>) -> bool {
        let stream = self.stream.lock();
        let kinds = stream.kinds.as_deref().unwrap_or_default();
        stream.run.use_roi_meta && stream.attach_roi_meta && meta::is_object(meta, kinds)
    }

    /// Says once in a run that regions of the type `stranger` are of no kind.
    fn tell_stranger(
        &self,
        element: &gst_base::BaseTransform,
        kinds: &[ObjectKind],
        stranger: &str,
    ) {
        if std::mem::replace(&mut self.stream.lock().told_stranger, true) {
            return;
        }
        let types: Vec<_> = kinds.iter().map(|kind| kind.roi_type.as_str()).collect();
        let notice = Notice::info(format!(
            "regions of type {stranger} are no objects of the kinds that objects asks for, whose regions are of type {}: they are left as they are",
            types.join(", ")
        ));
        report::post(element, &notice);
    }

    /// What the property `stats` gives.
    pub(super) fn stats(&self) -> gst::Structure {
        let mut structure = self.report.structure();
        let record = self.record.stats();
        structure.set("audit-frames", record.frames);
        structure.set("audit-lost", record.lost);
        structure.set("audit-errors", record.errors);
        structure
    }

    /// Frames that are held while others come in and go out, beyond the one that every filter has.
    pub(super) fn held(&self) -> u32 {
        match self.stream.lock().depth {
            0 | 1 => 0,
            // Those in the engine; one more is being sent on meanwhile.
            depth => depth as u32,
        }
    }

    /// The engine, once it is there.
    fn engine(&self, element: &gst_base::BaseTransform) -> Result<Borrowed<'_>, gst::FlowError> {
        let mut engine = match self.slot.lease() {
            Ok(engine) => engine,
            Err(Refusal::Flushing) => return Err(gst::FlowError::Flushing),
            Err(Refusal::Failed) => {
                gst::debug!(CAT, obj = element, "No frames without models");
                // The loader has said on the bus what is wrong. After an error the source would add one of its own that
                // says nothing and buries the one that does.
                return Err(gst::FlowError::Flushing);
            }
        };
        if std::mem::take(&mut engine.fresh) {
            gst::debug!(CAT, obj = element, "Starting anew: faces are forgotten");
            engine.reset();
            self.stream.lock().fresh = true;
        }
        Ok(engine)
    }

    /// Sets how many frames may be under way: as many as were asked for, else what suits the provider, which may change.
    fn set_depth(&self, element: &gst_base::BaseTransform, engine: &mut Engine) {
        let depth = match self.stream.lock().run.frames_in_flight {
            0 => engine.suggested_depth(),
            asked => asked,
        };
        if depth != engine.depth()
            && let Err(error) = engine.set_depth(depth)
        {
            gst::warning!(CAT, obj = element, "{error}");
        }
        let depth = engine.depth();
        if std::mem::replace(&mut self.stream.lock().depth, depth) != depth {
            gst::info!(CAT, obj = element, "{depth} frames in flight");
            // Pools on both sides must have room for the frames that are held.
            element.reconfigure_src();
            element.reconfigure_sink();
        }
    }

    /// Waits until another frame can be taken in.
    ///
    /// # Errors
    /// Why one could not be sent on, which may have been an earlier one; Flushing.
    pub(super) fn make_room(
        &self,
        element: &gst_base::BaseTransform,
    ) -> Result<(), gst::FlowError> {
        let depth = {
            let mut engine = self.engine(element)?;
            self.set_depth(element, &mut engine);
            let mut stream = self.stream.lock();
            if stream.kinds.is_none() {
                stream.kinds = Some(engine.kinds().clone());
            }
            engine.depth()
        };
        let result = self.outgoing.wait_for_room(depth);
        if result.is_err() {
            self.abandon(element);
            return result;
        }
        if depth == 1 {
            // There were more, and the last of them may be on its way.
            self.drain(element)?;
        }
        // Asks downstream, which takes it for a question that comes after the frames under way.
        if element.src_pad().needs_reconfigure() {
            self.drain(element)?;
        }
        Ok(())
    }

    /// A frame is about to be taken in with these settings.
    pub(super) fn begin_frame(&self, settings: &FrameSettings) {
        let mut stream = self.stream.lock();
        stream.attach_roi_meta = settings.attach_roi_meta;
        stream.keeps_last = settings.parameters.reuse != Reuse::None;
    }

    /// The time that a frame may take, as the property says: where that is the frame's duration, only in a live pipeline.
    fn budget(&self, buffer: &gst::Buffer, info: &VideoInfo, deadline: i64) -> Option<Duration> {
        match u64::try_from(deadline) {
            Ok(0) => None,
            Ok(nanoseconds) => Some(Duration::from_nanos(nanoseconds)),
            Err(_) if !self.latency.is_live() => None,
            Err(_) => buffer.duration().map(Duration::from).or_else(|| {
                let (frames, seconds) = (info.fps().numer(), info.fps().denom());
                let rate = f64::from(frames) / f64::from(seconds.max(1));
                (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate))
            }),
        }
    }

    /// Takes one frame in. Returns its output where it is drawn at once.
    ///
    /// # Errors
    /// Those of the flow; what is wrong is on the bus.
    pub(super) fn submit(
        self: &Arc<Self>,
        element: &gst_base::BaseTransform,
        inbuf: gst::Buffer,
        mut outbuf: gst::Buffer,
        settings: FrameSettings,
    ) -> Result<Option<gst::Buffer>, gst::FlowError> {
        let (infos, run) = {
            let stream = self.stream.lock();
            (stream.infos.clone().zip(stream.formats), stream.run)
        };
        let Some(((in_info, out_info), (from, to))) = infos else {
            gst::debug!(CAT, obj = element, "A frame without caps");
            return Err(gst::FlowError::NotNegotiated);
        };
        if self.outgoing.take_discont() {
            outbuf.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        let in_size = size(&in_info);
        let pts = inbuf.pts();
        let budget = self.budget(&inbuf, &in_info, settings.deadline);
        if self.latency.set_deadline(budget) {
            post_latency(element);
        }
        let mut engine = self.engine(element)?;
        let kinds = engine.kinds().clone();
        let given = run
            .use_roi_meta
            .then(|| meta::objects(&inbuf, in_size, &kinds));
        if let Some(stranger) = given.as_ref().and_then(|given| given.stranger.as_deref()) {
            self.tell_stranger(element, &kinds, stranger);
        }
        let arrival = self.record.arrival(&Facts {
            pts,
            fresh: std::mem::take(&mut self.stream.lock().fresh),
            budget,
            given: given.as_ref().map(|given| (&*kinds, given.all.as_slice())),
            parameters: &settings.parameters,
            detail: settings.detail,
            deadline: settings.deadline,
        });
        let submitted = (|| {
            let attached = Attached {
                faces_in: in_size,
                regions: settings.attach_roi_meta,
                mark: settings.attach_marks.then_some(settings.parameters.view),
            };
            if *engine.parameters() != settings.parameters {
                engine.set_parameters(settings.parameters)?;
            }
            engine.set_detail(settings.detail)?;
            let mut input = Input::map(inbuf, &in_info, from)?;
            input.arrival = arrival;
            let output = Output::map(outbuf, &out_info, to, attached)?;
            let info = FrameInfo {
                pts: pts.map(Duration::from),
                faces: given.as_ref().map(|given| given.faces.as_slice()),
                budget,
            };
            let objects = given.as_ref().map(|given| given.all.as_slice());
            engine.submit_with(input, &info, objects, output)
        })();
        self.outgoing.set_in_flight(engine.in_flight());
        if let Err(error) = submitted {
            if engine.in_flight() > 0 {
                // Those before it are good: they go out before it is told that this one is not.
                drop(engine);
                self.drain(element)?;
                engine = self.engine(element)?;
            }
            return self.note(element, engine, Err(error), false);
        }
        if engine.depth() == 1 {
            return match engine.next() {
                Some(finished) => self.give_out(element, engine, finished, false).map(Some),
                None => self.note(element, engine, Ok(None), false),
            };
        }
        self.note(element, engine, Ok(()), false)?;
        self.start_sending(element)?;
        Ok(None)
    }

    /// Has the source pad's task send frames on, unless it does already.
    fn start_sending(
        self: &Arc<Self>,
        element: &gst_base::BaseTransform,
    ) -> Result<(), gst::FlowError> {
        let pad = element.src_pad();
        let task = {
            let (flow, element) = (self.clone(), element.downgrade());
            move || flow.send_next(&element)
        };
        self.outgoing
            .start(|| pad.start_task(task))
            .map_err(|error| {
                gst::element_error!(
                    element,
                    gst::CoreError::Thread,
                    ("The thread that sends frames on cannot start: {error}")
                );
                gst::FlowError::Error
            })
    }

    /// The source pad's task: waits for a frame and sends it on.
    fn send_next(&self, element: &glib::WeakRef<gst_base::BaseTransform>) {
        let goes_on = self.outgoing.wait_for_finished();
        let Some(element) = element.upgrade() else {
            self.outgoing.sent(Err(gst::FlowError::Flushing));
            return;
        };
        if !goes_on {
            // Deactivating the pad waits for the task to leave; the end of the run joins it.
            let _ = element.src_pad().pause_task();
            return;
        }
        // A panic must not end the thread silently: the streaming thread would wait for ever.
        let sent = catch_unwind(AssertUnwindSafe(|| self.send_finished(&element)));
        let sent = sent.unwrap_or_else(|_| {
            gst::element_error!(
                element,
                gst::LibraryError::Failed,
                ("Sending a frame on panicked; this is a fault of the element")
            );
            Err(gst::FlowError::Error)
        });
        if let Err(error) = sent {
            gst::debug!(CAT, obj = element, "A frame was not sent on: {error}");
        }
        self.outgoing.sent(sent);
    }

    /// Sends the oldest frame on if it is done. Returns whether it was.
    fn send_finished(&self, element: &gst_base::BaseTransform) -> Result<bool, gst::FlowError> {
        let mut engine = self.engine(element)?;
        let Some(finished) = engine.ready() else {
            return Ok(false);
        };
        let buffer = self.give_out(element, engine, finished, true)?;
        element.src_pad().push(buffer)?;
        Ok(true)
    }

    /// Waits until every frame under way has been sent on: what comes next must not overtake them. Where that fails they are dropped.
    ///
    /// # Errors
    /// Why one could not be sent on; Flushing.
    pub(super) fn drain(&self, element: &gst_base::BaseTransform) -> Result<(), gst::FlowError> {
        let result = self.outgoing.wait_until_sent();
        if let Err(error) = result {
            gst::debug!(CAT, obj = element, "Frames under way are dropped: {error}");
            self.abandon(element);
        }
        result
    }

    /// Drops the frames that are under way.
    fn abandon(&self, element: &gst_base::BaseTransform) {
        if self.outgoing.in_flight() == 0 {
            return;
        }
        // While flushing the engine is not to be had; the end of the flush comes here again.
        if let Ok(mut engine) = self.engine(element) {
            engine.abandon();
            self.outgoing.set_in_flight(engine.in_flight());
        }
    }

    /// FLUSH_START, before it is passed on.
    pub(super) fn flush_start(&self) {
        self.outgoing.flush_start();
        self.slot.flush_start();
    }

    /// FLUSH_STOP, before it is passed on: until then nothing that was under way can leave.
    pub(super) fn flush_stop(&self, element: &gst_base::BaseTransform) {
        self.outgoing.settle();
        self.slot.flush_stop();
        self.abandon(element);
        self.outgoing.flush_stop();
    }

    /// Gives the engine back after `result`, and says what is new; `sends` where it is the sending thread that will say what came of the frame.
    fn note<T>(
        &self,
        element: &gst_base::BaseTransform,
        mut engine: Borrowed<'_>,
        result: Result<T, Error>,
        sends: bool,
    ) -> Result<T, gst::FlowError> {
        if result.is_err() {
            // With one frame at a time, those after it would never have come in.
            engine.abandon();
        }
        match sends && result.is_err() {
            true => self.outgoing.set_failing(engine.in_flight()),
            false => self.outgoing.set_in_flight(engine.in_flight()),
        }
        self.report.count(*engine.stats(), engine.depth());
        let notices = engine.take_notices();
        let moved = !notices.is_empty();
        if moved {
            self.report.moved(Providers::of(engine.models()));
        }
        drop(engine);
        if moved {
            element.notify(PROP_ACTIVE_PROVIDER);
        }
        for notice in notices {
            report::post(element, &notice);
        }
        result.map_err(|error| match error {
            Error::Cancelled => {
                gst::debug!(CAT, obj = element, "Frame given up: flushing");
                gst::FlowError::Flushing
            }
            error => {
                element.post_error_message(to_error_message(&error));
                gst::FlowError::Error
            }
        })
    }

    /// The buffer of a frame that is done; `sends` as in [`Flow::note`].
    fn give_out(
        &self,
        element: &gst_base::BaseTransform,
        engine: Borrowed<'_>,
        finished: Result<Finished<Input, Output>, Error>,
        sends: bool,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let networks = Networks::of(engine.models());
        let kinds = engine.kinds().clone();
        let Finished {
            input,
            output,
            faces,
            objects,
            repeats,
            shares,
            took,
            budget,
            recorded,
        } = self.note(element, engine, finished, sends)?;
        let attached = output.attached;
        let shown = output.described();
        let mut buffer = output.into_buffer();
        {
            let mut stream = self.stream.lock();
            if let (true, Some(last)) = (repeats, &stream.last) {
                // Times, flags and metas are this frame's own.
                let made = buffer.make_mut();
                made.remove_all_memory();
                last.iter_memories_owned()
                    .for_each(|memory| made.append_memory(memory));
            }
            stream.last = stream.keeps_last.then(|| buffer.clone());
        }
        if attached.regions {
            for (place, kind) in kinds.iter().enumerate() {
                let own = objects.iter().filter(|(of, _)| *of == place);
                let own = own.map(|(_, object)| object);
                let faces = faces.iter().filter(|_| kind.is_faces());
                meta::attach(buffer.make_mut(), kind, faces.chain(own), attached.faces_in);
            }
        }
        if let Some(view) = attached.mark {
            let others = objects
                .iter()
                .filter_map(|(place, object)| Some((kinds.get(*place)?.subject.as_str(), object)));
            let said = mark::say(&networks, view, &faces, others, attached.faces_in);
            mark::attach(buffer.make_mut(), &said);
        }
        if recorded.is_some() {
            let shown = Shown {
                buffer: buffer.clone(),
                info: shown.0,
                format: shown.1,
            };
            self.record
                .add(input, recorded, shown, !self.latency.is_live());
        }
        // scripts/demo reads this line, and the one that says where a model runs.
        gst::log!(
            CAT,
            obj = element,
            "Frame at {} took {took:.1?}, {} faces",
            buffer.pts().display(),
            faces.len()
        );
        if let Some(told) = self.quality.push(&shares, took, budget, Instant::now()) {
            let message = quality::message(element, &told, self.latency.is_live(), &buffer);
            // Without a bus nobody wants to know.
            let _ = element.post_message(message);
        }
        let outcome = self.latency.push(took);
        if let Some(set) = outcome.late {
            let set = clock_time(set);
            gst::warning!(
                CAT,
                obj = element,
                "A frame took {took:.1?}, more than the latency of {set} that was set"
            );
        }
        if outcome.changed {
            gst::debug!(CAT, obj = element, "The latency measured has changed");
            post_latency(element);
        }
        Ok(buffer)
    }
}

/// Has the pipeline ask for the latency again.
pub(super) fn post_latency(element: &gst_base::BaseTransform) {
    let message = gst::message::Latency::builder().src(element).build();
    // Without a bus nobody wants to know.
    let _ = element.post_message(message);
}
