//! A connection to a camera: from the network, a device or a file to decoded frames and packets of sound. Made anew for every attempt.

use std::sync::Arc;

use gst::prelude::*;

use crate::clock::Clock;
use crate::config::{CameraConfig, Source, Transport};
use crate::elements::{Ending, make, play};

/// Sound that can be copied, by the name of its caps. What else there is, is left out.
const SOUND: &[&str] = &[
    "audio/mpeg",
    "audio/x-opus",
    "audio/x-alaw",
    "audio/x-mulaw",
];

/// What comes from a camera, told from its threads.
pub trait Receiver: Send + Sync + 'static {
    /// A frame has come, though it may not be decoded yet.
    fn arrived(&self);
    /// A decoded frame; its buffer's time is that of the cameras' clock.
    fn video(&self, caps: &gst::Caps, buffer: gst::Buffer);
    /// A packet of sound, likewise.
    fn sound(&self, caps: &gst::Caps, buffer: gst::Buffer);
    /// It is over. May be said more than once.
    fn ended(&self, ending: Ending);
}

/// A connection. Dropping it closes it.
#[derive(Debug)]
pub struct Input {
    pipeline: gst::Pipeline,
}

impl Drop for Input {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
        // It holds what it tells, and what it tells may hold it.
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
    }
}

/// What the callbacks of a connection share.
struct Wiring<R> {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    clock: Clock,
    receiver: R,
    /// Whether frames are to be held back until it is their time, as from a file.
    paced: bool,
    sound: bool,
    /// Whether a frame counts as come when it is decoded, not when its last packet is there: where there are no packets.
    decoded: bool,
}

impl<R: Receiver> Wiring<R> {
    /// Puts a pad to use, by what it carries.
    fn pad(self: &Arc<Self>, pad: &gst::Pad) {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let name = caps
            .structure(0)
            .map_or("", |structure| structure.name().as_str());
        let used = if name == "video/x-raw" {
            self.frames(pad)
        } else if self.sound && SOUND.contains(&name) {
            self.listen(pad)
        } else {
            self.ignore(pad)
        };
        if let Err(reason) = used {
            self.receiver.ended(Ending::Error(reason));
        }
    }

    fn add(&self, elements: &[&gst::Element]) -> Result<(), String> {
        let pipeline = self.pipeline.upgrade().ok_or("the connection is closed")?;
        let known = |error: gst::glib::BoolError| error.to_string();
        pipeline.add_many(elements).map_err(known)?;
        gst::Element::link_many(elements).map_err(known)?;
        for element in elements.iter().rev() {
            element.sync_state_with_parent().map_err(known)?;
        }
        Ok(())
    }

    fn link(pad: &gst::Pad, element: &gst::Element) -> Result<(), String> {
        let sink = element
            .static_pad("sink")
            .ok_or_else(|| format!("{} has no pad sink", element.name()))?;
        pad.link(&sink)
            .map(|_| ())
            .map_err(|error| format!("{} does not take {}: {error}", element.name(), pad.name()))
    }

    fn ignore(&self, pad: &gst::Pad) -> Result<(), String> {
        let sink = make("fakesink")?;
        sink.set_property("sync", false);
        sink.set_property("async", false);
        self.add(&[&sink])?;
        Self::link(pad, &sink)
    }

    /// From what the source gives on: finds out what it is and decodes its pictures, but not its sound.
    fn decode(self: &Arc<Self>, pad: &gst::Pad) -> Result<(), String> {
        let decoder = make("decodebin")?;
        decoder.connect("autoplug-continue", false, |values| {
            let caps = values
                .get(2)
                .and_then(|value| value.get::<gst::Caps>().ok());
            let ready = caps.is_some_and(|caps| {
                caps.structure(0).is_some_and(|structure| {
                    // Packets are only whole behind a parser; G.711 has none.
                    let whole = structure.name().starts_with("audio/x-")
                        || structure.get("framed") == Ok(true)
                        || structure.get("parsed") == Ok(true);
                    SOUND.contains(&structure.name().as_str()) && whole
                })
            });
            Some((!ready).to_value())
        });
        decoder.connect("element-added", false, |values| {
            let element = values.get(1)?.get::<gst::Element>().ok()?;
            // MJPEG: without this, a second stream is waited for before the first is shown.
            if element.factory()?.name() == "multipartdemux" {
                element.set_property("single-stream", true);
            }
            None
        });
        let wiring = Arc::downgrade(self);
        decoder.connect_pad_added(move |_, pad| {
            if let Some(wiring) = wiring.upgrade() {
                wiring.pad(pad);
            }
        });
        if !self.decoded {
            let wiring = Arc::downgrade(self);
            pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                if let Some(wiring) = wiring.upgrade()
                    && info.buffer().is_some_and(ends_frame)
                    && media(pad.current_caps().as_ref()).as_deref() == Some("video")
                {
                    wiring.receiver.arrived();
                }
                gst::PadProbeReturn::Ok
            });
        }
        self.add(&[&decoder])?;
        Self::link(pad, &decoder)
    }

    /// From decoded frames on: the newest counts.
    fn frames(self: &Arc<Self>, pad: &gst::Pad) -> Result<(), String> {
        let wiring = Arc::downgrade(self);
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let Some(wiring) = wiring.upgrade() else {
                return Err(gst::FlowError::Flushing);
            };
            if wiring.decoded {
                wiring.receiver.arrived();
            }
            wiring.pass(sink.upcast_ref(), &sample, |wiring, caps, buffer| {
                wiring.receiver.video(caps, buffer);
            });
            Ok(gst::FlowSuccess::Ok)
        });
        let sink = gst_app::AppSink::builder()
            .caps(&gst::Caps::builder("video/x-raw").build())
            .sync(self.paced)
            .async_(false)
            .max_buffers(2)
            .drop(true)
            .callbacks(callbacks.build())
            .build();
        self.add(&[sink.upcast_ref()])?;
        Self::link(pad, sink.upcast_ref())
    }

    fn listen(self: &Arc<Self>, pad: &gst::Pad) -> Result<(), String> {
        let queue = make("queue")?;
        let wiring = Arc::downgrade(self);
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let Some(wiring) = wiring.upgrade() else {
                return Err(gst::FlowError::Flushing);
            };
            wiring.pass(sink.upcast_ref(), &sample, |wiring, caps, buffer| {
                wiring.receiver.sound(caps, buffer);
            });
            Ok(gst::FlowSuccess::Ok)
        });
        let sink = gst_app::AppSink::builder()
            .sync(self.paced)
            .async_(false)
            .callbacks(callbacks.build())
            .build();
        self.add(&[&queue, sink.upcast_ref()])?;
        Self::link(pad, &queue)
    }

    /// Hands a sample on with the time of the cameras' clock.
    fn pass(
        &self,
        sink: &gst::Element,
        sample: &gst::SampleRef,
        hand: impl FnOnce(&Self, &gst::Caps, gst::Buffer),
    ) {
        let time = self.clock.since_start(sink, sample);
        // What has no time has come just now.
        let time = time.unwrap_or_else(|| self.clock.now());
        if let (Some(caps), Some(mut buffer)) = (sample.caps_owned(), sample.buffer_owned()) {
            let fields = buffer.make_mut();
            fields.set_pts(crate::clock::clock_time(time));
            fields.set_dts(gst::ClockTime::NONE);
            hand(self, &caps, buffer);
        }
    }
}

impl Input {
    /// Begins to connect.
    ///
    /// # Errors
    /// A missing element, or a source that cannot even be begun.
    pub fn open(
        camera: &CameraConfig,
        clock: &Clock,
        receiver: impl Receiver,
    ) -> Result<Self, String> {
        let input = Self {
            pipeline: gst::Pipeline::new(),
        };
        clock.lend(&input.pipeline);
        let wiring = Arc::new(Wiring {
            pipeline: input.pipeline.downgrade(),
            clock: clock.clone(),
            receiver,
            paced: matches!(camera.source, Source::File(_)),
            sound: camera.sound,
            decoded: !matches!(camera.source, Source::Rtsp(_)),
        });
        let source = source(camera)?;
        let known = |error: gst::glib::BoolError| error.to_string();
        input.pipeline.add(&source).map_err(known)?;
        let told = wiring.clone();
        match source.static_pad("src") {
            Some(pad) => wiring.decode(&pad)?,
            None => {
                source.connect_pad_added(move |_, pad| {
                    if let Err(reason) = wiring.decode(pad) {
                        wiring.receiver.ended(Ending::Error(reason));
                    }
                });
            }
        }
        let otherwise = format!("{} cannot be opened", camera.source.shown());
        play(&input.pipeline, &otherwise, move |ending| {
            told.receiver.ended(ending);
        })?;
        Ok(input)
    }
}

/// Whether an RTP packet is the last one of a frame.
fn ends_frame(buffer: &gst::Buffer) -> bool {
    let map = buffer.map_readable();
    map.is_ok_and(|map| map.get(1).is_some_and(|byte| byte & 0x80 != 0))
}

/// What RTP caps say that they carry.
fn media(caps: Option<&gst::Caps>) -> Option<String> {
    caps?.structure(0)?.get::<String>("media").ok()
}

/// The first element.
fn source(camera: &CameraConfig) -> Result<gst::Element, String> {
    let credentials = |element: &gst::Element| {
        if let Some(user) = &camera.user {
            element.set_property("user-id", user);
        }
        if let Some(password) = &camera.password {
            element.set_property("user-pw", password.reveal());
        }
    };
    Ok(match &camera.source {
        Source::Rtsp(url) => {
            let element = make("rtspsrc")?;
            element.set_property("location", url.as_str());
            let latency = u32::try_from(camera.latency.as_millis()).unwrap_or(u32::MAX);
            element.set_property("latency", latency);
            match camera.transport {
                Transport::Auto => {}
                Transport::Udp => element.set_property_from_str("protocols", "udp"),
                Transport::Tcp => element.set_property_from_str("protocols", "tcp"),
            }
            // Less than a stall, so that its own words are heard.
            element.set_property("tcp-timeout", 8_000_000_u64);
            credentials(&element);
            let taken = parking_lot::Mutex::new((false, false));
            let sound = camera.sound;
            element.connect("select-stream", false, move |values| {
                let caps = values
                    .get(2)
                    .and_then(|value| value.get::<gst::Caps>().ok());
                let media = media(caps.as_ref());
                let mut taken = taken.lock();
                // The first of each; metadata and further views are left out.
                let wanted = match media.as_deref() {
                    Some("video") => !std::mem::replace(&mut taken.0, true),
                    Some("audio") => sound && !std::mem::replace(&mut taken.1, true),
                    _ => false,
                };
                Some(wanted.to_value())
            });
            element
        }
        Source::Http(url) => {
            let element = make("souphttpsrc")?;
            element.set_property("location", url.as_str());
            element.set_property("is-live", true);
            element.set_property("do-timestamp", true);
            element.set_property("timeout", 8_u32);
            element.set_property("retries", 0_i32);
            credentials(&element);
            element
        }
        Source::V4l2(path) => {
            let element = make("v4l2src")?;
            element.set_property("device", path.to_string_lossy().as_ref());
            element
        }
        Source::File(path) => {
            let element = make("filesrc")?;
            element.set_property("location", path.to_string_lossy().as_ref());
            element
        }
    })
}
