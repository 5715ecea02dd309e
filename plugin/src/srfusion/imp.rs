//! The element itself: what GStreamer calls, handed on to whoever does it. Properties go to `settings`, state changes to `opening`, frames
//! and whatever must stay in order with them to `flow`.
//!
//! The base class is that of video filters, which negotiates caps, makes pools, copies what belongs to a buffer and skips frames that are
//! late. It sends on what [`BaseTransformImpl::generate_output`] returns, on the thread that brought the input, which suits one frame at a
//! time. With more than one in flight that function returns nothing: a task of the source pad sends each frame on when it is done (as
//! livesync does, with one mutex and one condition variable between the two threads, see `outgoing`), and what is in order with frames
//! (events, queries, new caps) waits until that has sent those before it. A filter written from scratch would have to repeat the rest.
//!
//! What the base class cannot know then is done here: DISCONT after a frame that was skipped goes on the next frame taken in, and messages
//! about skipped frames count those that the task has sent on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::{
    GenerateOutputSuccess, InputBuffer, PrepareOutputBufferSuccess,
};
use gst_base::subclass::prelude::*;
use gst_video::subclass::prelude::*;
use parking_lot::Mutex;
use srfusion::{Error, Settings};

use super::flow::{Flow, FrameSettings, RunSettings, post_latency};
use super::frames::size;
use super::settings::{PROP_ACTIVE_PROVIDER, PROP_LATENCY, PROP_STATS, clock_time};
use super::{caps, formats, meta, opening, settings};
use crate::error::to_error_message;
use crate::log::CAT;

glib::wrapper! {
    /// The element `srfusion`: upscales video four times, with a face network where faces are.
    pub struct SrFusion(ObjectSubclass<Instance>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Instance of the element.
#[derive(Default)]
pub struct Instance {
    /// What the user set. Nothing else is locked while this is.
    settings: Mutex<Settings>,
    flow: Arc<Flow>,
    /// Why caps were refused last. They come again with every buffer that follows, and would be refused in the same words each time.
    refused: Mutex<Option<String>>,
}

impl Instance {
    /// Calls `act` with the element as the base class knows it.
    fn with_element<T>(&self, act: impl FnOnce(&gst_base::BaseTransform) -> T) -> T {
        act(self.obj().upcast_ref())
    }

    /// The plugin's file; an element that was registered by a program has none.
    fn plugin_file(&self) -> Option<PathBuf> {
        self.obj().factory()?.plugin()?.filename()
    }

    /// The base class's message about a skipped frame, with the frames counted that it has not sent on itself.
    fn counted(&self, qos: &gst::message::Qos) -> gst::Message {
        let (live, running_time, stream_time, timestamp, duration) = qos.get();
        let (jitter, proportion, quality) = qos.values();
        let (_, dropped) = qos.stats();
        let processed = gst::format::Buffers::from_u64(self.flow.report.frames_out());
        let builder = gst::message::Qos::builder(live)
            .running_time(running_time)
            .stream_time(stream_time)
            .timestamp(timestamp)
            .duration(duration)
            .values(jitter, proportion, quality)
            .src(&*self.obj())
            .seqnum(qos.seqnum());
        match dropped {
            gst::GenericFormattedValue::Buffers(Some(dropped)) => {
                builder.stats(processed, dropped).build()
            }
            _ => builder.build(),
        }
    }

    /// Says why caps are refused, once.
    fn refuse(&self, error: &Error) {
        let words = error.to_string();
        let before = self.refused.lock().replace(words.clone());
        if before != Some(words) {
            self.post_error_message(to_error_message(error));
        }
    }

    /// Whether the output for frames of `caps` is one that a buffer can hold: GStreamer knows no frames of 4 GiB, and would refuse
    /// them without a word of the reason.
    fn can_enlarge(&self, caps: &gst::CapsRef) -> bool {
        let Some((width, height)) = caps::sides(caps) else {
            return true;
        };
        let Ok(info) = gst_video::VideoInfo::from_caps(caps) else {
            return true;
        };
        let scale = srfusion::SCALE as u32;
        let (large, high) = (width.saturating_mul(scale), height.saturating_mul(scale));
        let output = gst_video::VideoInfo::builder(info.format(), large, high).build();
        if output.is_ok_and(|output| output.size() > 0) {
            return true;
        }
        self.refuse(&Error::Shape {
            what: "input frame".to_owned(),
            expected: "a size whose output, four times as wide and high, takes less than 4 GiB"
                .to_owned(),
            found: format!("{width}x{height} of {}", info.format()),
        });
        false
    }

    fn set(&self, name: &str, value: &glib::Value) {
        let (result, latency) = {
            let mut settings = self.settings.lock();
            let result = settings::put(&mut settings, name, value);
            (result, settings.stream.latency)
        };
        match result {
            Ok(()) => gst::debug!(CAT, imp = self, "{name} is now {value:?}"),
            Err(error) => gst::error!(CAT, imp = self, "Property {name} keeps its value: {error}"),
        }
        if name == PROP_LATENCY && self.flow.latency.set(latency) {
            self.with_element(post_latency);
        }
    }

    fn get(&self, name: &str) -> Option<glib::Value> {
        match name {
            PROP_LATENCY => {
                let reported = clock_time(self.flow.latency.reported());
                Some(reported.nseconds().to_value())
            }
            PROP_ACTIVE_PROVIDER => Some(self.flow.report.active_provider().to_value()),
            PROP_STATS => Some(self.flow.stats().to_value()),
            _ => settings::get(&self.settings.lock(), name),
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for Instance {
    const NAME: &'static str = "GstSrFusion";
    type Type = SrFusion;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for Instance {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(settings::properties);
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        // GLib's functions, unlike GStreamer's, are called without protection from panics by the bindings.
        if catch_unwind(AssertUnwindSafe(|| self.set(pspec.name(), value))).is_err() {
            gst::error!(CAT, imp = self, "Setting {} panicked", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let value = catch_unwind(AssertUnwindSafe(|| self.get(pspec.name())));
        value.ok().flatten().unwrap_or_else(|| {
            gst::error!(CAT, imp = self, "{} cannot be read", pspec.name());
            pspec.default_value().clone()
        })
    }
}

impl GstObjectImpl for Instance {}

impl ElementImpl for Instance {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Super-resolution with a face network",
                "Filter/Effect/Converter/Video/Scaler",
                "Upscales video four times and draws faces with a network of their own, under a smooth mask",
                "The srfusion authors",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            [
                ("sink", gst::PadDirection::Sink, caps::sink()),
                ("src", gst::PadDirection::Src, caps::src()),
            ]
            .into_iter()
            .filter_map(|(name, direction, caps)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok()
            })
            .collect()
        });
        TEMPLATES.as_ref()
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::NullToReady => {
                let settings = self.settings.lock().clone();
                if let Err(error) = opening::check(&settings, self.plugin_file()) {
                    self.post_error_message(to_error_message(&error));
                    return Err(gst::StateChangeError);
                }
            }
            // Before the pads are deactivated, which waits for the frames under way.
            gst::StateChange::PausedToReady => self.flow.close(),
            _ => (),
        }
        self.parent_change_state(transition)
    }

    fn post_message(&self, message: gst::Message) -> bool {
        let message = match message.view() {
            gst::MessageView::Qos(qos) if self.flow.held() > 0 => self.counted(qos),
            _ => message,
        };
        self.parent_post_message(message)
    }
}

impl BaseTransformImpl for Instance {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *self.refused.lock() = None;
        let settings = self.settings.lock().clone();
        self.flow.begin(RunSettings {
            use_roi_meta: settings.stream.use_roi_meta,
            frames_in_flight: settings.stream.frames_in_flight,
        });
        let plugin = self.plugin_file();
        self.with_element(|element| {
            self.flow.record.begin(element, &settings)?;
            opening::load(&self.flow, element, &settings, plugin)
        })
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        // Also where the start has failed half-way.
        self.flow.close();
        self.with_element(|element| {
            // The pad is deactivated by now, and the task has nothing to wait for.
            if let Err(error) = element.src_pad().stop_task() {
                gst::warning!(CAT, obj = element, "The sending thread goes on: {error}");
            }
            opening::end(&self.flow, element);
            self.flow.record.end(element);
        });
        self.flow.end();
        Ok(())
    }

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let other = caps::transform(direction, caps, filter);
        gst::debug!(
            CAT,
            imp = self,
            "From {direction:?} caps {caps} to {other}, filter {filter:?}"
        );
        Some(other)
    }

    fn fixate_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        others: gst::Caps,
    ) -> gst::Caps {
        caps::fixate(direction, caps, others)
    }

    fn transform_meta<'a>(
        &self,
        outbuf: &mut gst::BufferRef,
        meta: gst::MetaRef<'a, gst::Meta>,
        _inbuf: &'a gst::BufferRef,
    ) -> bool {
        if self.flow.replaces(&meta) {
            // Attached again after tracking.
            return false;
        }
        let infos = self.flow.infos();
        infos.is_some_and(|(in_info, out_info)| meta::transform(outbuf, &meta, &in_info, &out_info))
    }

    fn submit_input_buffer(
        &self,
        is_discont: bool,
        inbuf: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        // First, so that whether the frame is late is asked as late as may be.
        self.with_element(|element| self.flow.make_room(element))?;
        let flags = inbuf.flags();
        // Without times the tracker cannot see how large the gap is.
        let gap = inbuf.pts().is_none() && flags.contains(gst::BufferFlags::DISCONT);
        if gap || flags.contains(gst::BufferFlags::RESYNC) {
            self.flow.slot.refresh();
        }
        let submitted = self.parent_submit_input_buffer(is_discont, inbuf)?;
        if submitted == gst_base::BASE_TRANSFORM_FLOW_DROPPED {
            self.flow.outgoing.mark_discont();
            self.flow.quality.dropped();
        }
        Ok(submitted)
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let Some(inbuf) = self.take_queued_buffer() else {
            return Ok(GenerateOutputSuccess::NoOutput);
        };
        let settings = {
            let settings = self.settings.lock();
            FrameSettings {
                parameters: settings.parameters.clone(),
                detail: settings.config.detail,
                attach_roi_meta: settings.stream.attach_roi_meta,
                attach_marks: settings.stream.attach_marks,
                deadline: settings.stream.deadline,
            }
        };
        self.flow.begin_frame(&settings);
        let outbuf = match self.parent_prepare_output_buffer(InputBuffer::Readable(&inbuf))? {
            PrepareOutputBufferSuccess::Buffer(outbuf) => outbuf,
            PrepareOutputBufferSuccess::InputBuffer => return Err(gst::FlowError::Error),
        };
        let output =
            self.with_element(|element| self.flow.submit(element, inbuf, outbuf, settings));
        Ok(match output? {
            Some(buffer) => GenerateOutputSuccess::Buffer(buffer),
            None => GenerateOutputSuccess::NoOutput,
        })
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        self.parent_propose_allocation(decide_query, query)?;
        if decide_query.is_some() {
            query.add_allocation_meta::<gst_video::video_meta::VideoCropMeta>(None);
        }
        hold(query, self.flow.held() + self.flow.record.held());
        Ok(())
    }

    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // And the output that was sent on last, which may go out again.
        hold(query, self.flow.held() + 1 + self.flow.record.held());
        self.parent_decide_allocation(query)
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        if direction == gst::PadDirection::Sink && query.is_serialized() {
            // Asked between two frames, and answered so. What goes wrong is told by the next frame or on the bus.
            let _ = self.with_element(|element| self.flow.drain(element));
        }
        if !BaseTransformImplExt::parent_query(self, direction, query) {
            return false;
        }
        if direction == gst::PadDirection::Src
            && let gst::QueryViewMut::Latency(query) = query.view_mut()
        {
            let (live, min, max) = query.result();
            let ours = clock_time(self.flow.latency.asked(live));
            // While a frame is worked on the one after waits in upstream's buffer.
            query.set(
                live,
                min.saturating_add(ours),
                max.map(|max| max.saturating_add(ours)),
            );
            gst::debug!(
                CAT,
                imp = self,
                "Latency: live {live}, {min} and {ours} of ours"
            );
        }
        true
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        gst::log!(CAT, imp = self, "Handling {event:?}");
        if let gst::EventView::Caps(caps) = event.view()
            && !self.can_enlarge(caps.caps())
        {
            return false;
        }
        match event.type_() {
            gst::EventType::FlushStart => self.flow.flush_start(),
            gst::EventType::FlushStop => self.with_element(|element| self.flow.flush_stop(element)),
            type_ => {
                if event.is_serialized() {
                    // It comes after the frames under way. What goes wrong is on the bus, and keeps no event back.
                    let _ = self.with_element(|element| self.flow.drain(element));
                }
                if type_ == gst::EventType::Segment {
                    // Times of another segment say nothing about the distance to the last frame.
                    self.flow.slot.refresh();
                }
            }
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, mut event: gst::Event) -> bool {
        if event.type_() == gst::EventType::Navigation {
            // Pointer positions come in output pixels; every navigation event keeps them under these names.
            let structure = event.make_mut().structure_mut();
            for name in ["pointer_x", "pointer_y"] {
                if let Ok(position) = structure.get::<f64>(name) {
                    structure.set(name, position / srfusion::SCALE as f64);
                }
            }
        }
        self.parent_src_event(event)
    }
}

/// Has every pool in `query` make `held` buffers more.
fn hold(query: &mut gst::query::Allocation, held: u32) {
    if held == 0 {
        return;
    }
    let pools: Vec<_> = query.allocation_pools().collect();
    for (index, (pool, size, min, max)) in pools.into_iter().enumerate() {
        // One that cannot give more than it counts on would run dry, and nothing would move again.
        let bounded = max > 0 && max < min.saturating_add(held);
        let (pool, max) = if bounded { (None, 0) } else { (pool, max) };
        let min = min.saturating_add(held);
        query.set_nth_allocation_pool(index as u32, pool.as_ref(), size, min, max);
    }
}

impl VideoFilterImpl for Instance {
    fn set_info(
        &self,
        incaps: &gst::Caps,
        in_info: &gst_video::VideoInfo,
        outcaps: &gst::Caps,
        out_info: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        let expected = size(in_info).scaled(srfusion::SCALE);
        if size(out_info) != expected {
            return Err(gst::loggable_error!(
                CAT,
                "Output of {} expected for {incaps}, found {outcaps}",
                expected
            ));
        }
        let tell = |error: Error| {
            self.refuse(&error);
            gst::loggable_error!(CAT, "{error}")
        };
        if !caps::is_progressive(in_info) {
            return Err(tell(Error::Shape {
                what: "interlace-mode of the input (put a deinterlace element before srfusion)"
                    .to_owned(),
                expected: "progressive video".to_owned(),
                found: in_info.interlace_mode().to_str().to_string(),
            }));
        }
        let formats = formats::format(in_info).and_then(|from| {
            formats::check_light(in_info, out_info)?;
            Ok((from, formats::format(out_info)?))
        });
        let formats = formats.map_err(tell)?;
        *self.refused.lock() = None;
        gst::info!(CAT, imp = self, "From {incaps} to {outcaps}");
        // Downstream is told of the new caps after this.
        let _ = self.with_element(|element| self.flow.drain(element));
        self.flow
            .set_infos((in_info.clone(), out_info.clone()), formats);
        Ok(())
    }
}
