//! What all tests share: set-up, elements with tiny networks, frames, pipelines and their messages.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst_check::Harness;

/// How long anything may take that is not expected to take long; other work on the machine included.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Starts GStreamer with the plugin in it. Warnings of GLib and GStreamer end the process, as `G_DEBUG=fatal_warnings`
/// does, which works only where it is set before the process starts.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        glib::log_set_always_fatal(
            glib::LogLevels::LEVEL_CRITICAL | glib::LogLevels::LEVEL_WARNING,
        );
        gstsrfusion::plugin_register_static().unwrap();
    });
}

/// The folder of the tiny networks.
pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models/tiny")
        .canonicalize()
        .unwrap()
}

/// A file in the folder of the tiny networks, as a property takes it.
pub fn tiny_file(name: &str) -> String {
    tiny().join(name).to_str().unwrap().to_owned()
}

/// The element with tiny networks: bicubic in general, the negative for faces, a face in the middle of bright frames.
pub fn element() -> gst::Element {
    init();
    gst::ElementFactory::make("srfusion")
        .property("models-dir", tiny().to_str().unwrap())
        .property("general-model", "bicubic-x4")
        .property("face-model", "inverted-x4")
        .property("detector-model", "centre-face")
        .property_from_str("provider", "cpu")
        .build()
        .unwrap()
}

/// The caps of input frames.
pub fn caps(width: u32, height: u32) -> gst::Caps {
    gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgb, width, height)
        .fps(gst::Fraction::new(25, 1))
        .build()
        .unwrap()
        .to_caps()
        .unwrap()
}

/// A harness around `element` that takes frames of this size, with the bus that the element's messages go to.
pub fn harness(element: &gst::Element, width: u32, height: u32) -> (Harness, gst::Bus) {
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut harness = Harness::with_element(element, Some("sink"), Some("src"));
    harness.set_src_caps(caps(width, height));
    (harness, bus)
}

/// A frame of one colour, the `number`th at 25 frames per second.
pub fn frame(width: u32, height: u32, colour: [u8; 3], number: u64) -> gst::Buffer {
    let info = gst_video::VideoInfo::from_caps(&caps(width, height)).unwrap();
    let mut data = vec![0; info.size()];
    let (stride, row) = (info.stride()[0] as usize, 3 * width as usize);
    for line in data.chunks_mut(stride) {
        line[..row]
            .chunks_exact_mut(3)
            .for_each(|pixel| pixel.copy_from_slice(&colour));
    }
    let mut buffer = gst::Buffer::from_mut_slice(data);
    let step = 40 * gst::ClockTime::MSECOND;
    let made = buffer.get_mut().unwrap();
    made.set_pts(step * number);
    made.set_duration(step);
    buffer
}

/// The pixel at `x`, `y` of an output frame `width` wide.
pub fn pixel(buffer: &gst::Buffer, width: u32, x: u32, y: u32) -> [u8; 3] {
    let map = buffer.map_readable().unwrap();
    let stride = (3 * width as usize).next_multiple_of(4);
    let at = y as usize * stride + 3 * x as usize;
    map[at..at + 3].try_into().unwrap()
}

/// A pipeline that is stopped when a test drops it, also by failing.
pub struct Line(gst::Pipeline);

impl std::ops::Deref for Line {
    type Target = gst::Pipeline;
    fn deref(&self) -> &gst::Pipeline {
        &self.0
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// A pipeline with an element called `srfusion` set up as [`element`] does it, between `before` and `after`.
#[track_caller]
pub fn pipeline(before: &str, properties: &str, after: &str) -> Line {
    try_pipeline(before, properties, after).unwrap()
}

/// The same, where caps that do not fit may show when the elements are linked.
pub fn try_pipeline(before: &str, properties: &str, after: &str) -> Result<Line, glib::Error> {
    init();
    let models = tiny();
    let text = format!(
        "{before} ! srfusion name=srfusion models-dir=\"{}\" general-model=bicubic-x4 face-model=inverted-x4 \
         detector-model=centre-face provider=cpu {properties} ! {after}",
        models.display()
    );
    gst::parse::launch(&text).map(|made| Line(made.downcast().unwrap()))
}

/// The element in a pipeline made by [`pipeline`].
pub fn srfusion(pipeline: &gst::Pipeline) -> gst::Element {
    pipeline.by_name("srfusion").unwrap()
}

/// Messages of one run, in order.
#[derive(Debug, Default)]
pub struct Messages(pub Vec<gst::Message>);

impl Messages {
    /// Takes messages from `bus` until `done` says so.
    #[track_caller]
    pub fn until(bus: &gst::Bus, mut done: impl FnMut(&gst::Message) -> bool) -> Self {
        let end = Instant::now() + PATIENCE;
        let mut messages = Self::default();
        while Instant::now() < end {
            let Some(message) = bus.timed_pop(100 * gst::ClockTime::MSECOND) else {
                continue;
            };
            let last = done(&message);
            messages.0.push(message);
            if last {
                return messages;
            }
        }
        panic!("not seen after {PATIENCE:?}: {messages:?}");
    }

    /// What is on `bus` now.
    pub fn now(bus: &gst::Bus) -> Self {
        Self(bus.iter().collect())
    }

    /// The errors of `source`, as text.
    pub fn errors(&self, source: &impl IsA<gst::Object>) -> Vec<String> {
        self.0
            .iter()
            .filter(|message| message.src() == Some(source.upcast_ref()))
            .filter_map(|message| match message.view() {
                gst::MessageView::Error(error) => Some(error.error().message().to_owned()),
                _ => None,
            })
            .collect()
    }

    /// The types of progress messages.
    pub fn progress(&self) -> Vec<gst::ProgressType> {
        self.0
            .iter()
            .filter_map(|message| match message.view() {
                gst::MessageView::Progress(progress) => Some(progress.get().0),
                _ => None,
            })
            .collect()
    }
}

/// Whether a message ends a stream.
pub fn is_end(message: &gst::Message) -> bool {
    matches!(
        message.type_(),
        gst::MessageType::Eos | gst::MessageType::Error
    )
}

/// Plays until the end and stops. Fails on any error.
#[track_caller]
pub fn play(pipeline: &gst::Pipeline) -> Messages {
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let messages = Messages::until(&bus, is_end);
    let last = messages.0.last().unwrap();
    assert_eq!(last.type_(), gst::MessageType::Eos, "{last:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    messages
}

/// Collects every buffer that leaves the element of a pipeline.
pub fn collect(pipeline: &gst::Pipeline) -> Arc<Mutex<Vec<gst::Buffer>>> {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let pad = srfusion(pipeline).static_pad("src").unwrap();
    let sink = collected.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer() {
            sink.lock().unwrap().push(buffer.clone());
        }
        gst::PadProbeReturn::Ok
    });
    collected
}

/// Runs `act` and checks that it takes no longer than `limit`.
#[track_caller]
pub fn within<T>(limit: Duration, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    let took = start.elapsed();
    assert!(took < limit, "took {took:?}, expected less than {limit:?}");
    result
}
