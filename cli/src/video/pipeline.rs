//! The GStreamer pipeline of one segment: frames in, packets out.
//!
//! ```text
//! appsrc ! queue ! srfusion ! queue ! capsfilter ! encoder ! parser ! appsink
//! ```
//!
//! Nothing in it makes or drops frames but for those that only bring the tracker up to date, and every queue is bounded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use gst_video::VideoColorimetry;

use crate::arguments::UpscaleOptions;
use crate::elements::{engine, make, set, static_pad};
use crate::failure::{Failure, Result};
use crate::summary::KindCount;
use crate::video::decode::Shape;
use crate::video::encoder::{Codec, Encoder};
use crate::video::message::{describe, notice};
use crate::video::segment::{PacketRecord, Writer};
use crate::video::sei::Units;

/// What the pipelines of all segments are made from.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The user's options.
    pub options: UpscaleOptions,
    /// What encodes.
    pub encoder: &'static Encoder,
    /// Frames that go in.
    pub shape: Shape,
    /// Their colours and the output's.
    pub colours: (VideoColorimetry, VideoColorimetry),
    /// Bits of a sample for the encoder.
    pub bits: u32,
    /// Whether transparency is kept.
    pub transparent: bool,
    /// Where chroma lies.
    pub chroma_site: Option<&'static str>,
    /// Shape of a pixel, width by height.
    pub aspect: (i32, i32),
    /// Frames in a second, for the encoder.
    pub rate: (i32, i32),
}

/// What happened in a pipeline.
#[derive(Debug)]
pub enum Event {
    /// It cannot go on.
    Failed(Failure),
    /// What the user should know.
    Notice(String),
    /// What it is doing.
    Doing(String),
    /// A segment has gone through.
    Ended(u64),
}

/// What is counted over all segments of a run.
#[derive(Debug, Default)]
pub struct Counters {
    /// Frames that were handed to a pipeline.
    pub fed: AtomicU64,
    /// Frames that came out of the engine.
    pub upscaled: AtomicU64,
    /// Packets that came out of the encoder.
    pub encoded: AtomicU64,
}

/// What is found out about the frames of one segment.
#[derive(Debug, Default)]
pub struct Findings {
    /// Frames that had at least one face.
    pub with_faces: AtomicU64,
    /// Most faces in a frame.
    pub most_faces: AtomicU64,
    /// The same of other kinds of objects, by their names.
    pub kinds: Mutex<Vec<KindCount>>,
    /// Width and height of the output.
    pub size: Mutex<(u32, u32)>,
}

/// What the frames on their way through the encoder say of what drew them, by their times in nanoseconds.
#[derive(Debug, Default)]
struct Marks(Mutex<BTreeMap<i64, Vec<u8>>>);

impl Marks {
    /// What encoders make of a frame's time, at most, in nanoseconds.
    const SLACK: i64 = 500_000;

    fn put(&self, time: i64, said: Vec<u8>) {
        lock(&self.0).insert(time, said);
    }

    /// That of the key frame at `time`. Those of earlier frames are forgotten: no key frame comes that late.
    fn take(&self, time: i64) -> Option<Vec<u8>> {
        let mut marks = lock(&self.0);
        let later = marks.split_off(&(time + Self::SLACK + 1));
        let (found, said) = std::mem::replace(&mut *marks, later).pop_last()?;
        (time - found <= Self::SLACK).then_some(said)
    }
}

/// The pipeline of a segment.
#[derive(Debug)]
pub struct Segment {
    /// Which one.
    pub number: u64,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    engine: gst::Element,
    shape: Shape,
    /// Frames that were only followed.
    pub followed: u64,
    /// What is found out meanwhile.
    pub findings: Arc<Findings>,
    writer: Arc<Mutex<Option<Writer>>>,
}

impl Drop for Segment {
    fn drop(&mut self) {
        // Ends every thread of it; a failure of this leaves nothing to be done.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue of two decoded frames: enough for two threads to work side by side.
fn frame_queue(name: &str) -> Result<gst::Element> {
    let queue = make("queue")?;
    set(&queue, "name", name)?;
    for (name, value) in [
        ("max-size-buffers", "2"),
        ("max-size-bytes", "0"),
        ("max-size-time", "0"),
    ] {
        set(&queue, name, value)?;
    }
    Ok(queue)
}

impl Recipe {
    /// Caps of the frames that go in.
    fn input_caps(&self) -> gst::Caps {
        let mut caps = gst::Caps::builder("video/x-raw")
            .field("format", self.shape.layout.gstreamer.to_str().as_str())
            .field("width", self.shape.width as i32)
            .field("height", self.shape.height as i32)
            .field("framerate", gst::Fraction::new(self.rate.0, self.rate.1))
            .field(
                "pixel-aspect-ratio",
                gst::Fraction::new(self.aspect.0, self.aspect.1),
            )
            .field("interlace-mode", "progressive")
            .field("colorimetry", self.colours.0.to_string());
        if let Some(site) = self.chroma_site {
            caps = caps.field("chroma-site", site);
        }
        caps.build()
    }

    /// Caps of the frames for the encoder.
    fn encoder_caps(&self) -> Result<gst::Caps> {
        let bits = self.bits;
        let transparent = self
            .encoder
            .transparent(self.options.preset.as_deref())
            .filter(|_| self.transparent)
            .map(|(format, _)| format);
        let format = transparent.or(self.encoder.format(bits)).ok_or_else(|| {
            Failure::Usage(format!(
                "{} does not make {bits} bits",
                self.encoder.element
            ))
        })?;
        let mut caps = gst::Caps::builder("video/x-raw")
            .field("format", format)
            .field("colorimetry", self.colours.1.to_string());
        if let Some(site) = self.chroma_site
            && matches!(format, "I420" | "I420_10LE" | "NV12" | "P010_10LE")
        {
            caps = caps.field("chroma-site", site);
        }
        Ok(caps.build())
    }

    /// The view that the user asked for.
    fn view(&self) -> String {
        let properties = self.options.engine.properties();
        let found = properties.into_iter().find(|(name, _)| *name == "view");
        found.map_or_else(|| "fused".to_owned(), |(_, value)| value)
    }

    /// Whether drawn faces are compared with the input's.
    fn guards(&self) -> bool {
        let parameters = self.options.engine.parameters();
        parameters.is_ok_and(|parameters| parameters.identity_guard > 0.0)
    }

    /// Whether key frames say what drew them.
    fn marks(&self) -> bool {
        let takes = matches!(self.encoder.codec, Codec::H264 | Codec::H265);
        takes && !self.options.no_marks
    }

    /// Whether frames before a segment are needed to bring the trackers up to date.
    pub fn tracks(&self) -> bool {
        follows(&self.options.engine.config())
            && !matches!(self.view().as_str(), "bicubic" | "general")
    }
}

/// Whether anything is looked for and drawn by an expert.
fn follows(config: &srfusion::Config) -> bool {
    let none = |name: &str| name.is_empty() || name == srfusion::NO_MODEL;
    let faces = !none(&config.face_model) && !none(&config.detector_model);
    // A list that cannot be read is refused before.
    let kinds = config.wanted_kinds().unwrap_or_default();
    kinds.iter().any(|kind| faces || kind.subject != "face")
}

impl Segment {
    /// Builds and starts the pipeline of segment `number`, whose packets go to `writer`; the first `warm` frames are only
    /// followed, not drawn.
    ///
    /// # Errors
    /// If an element is missing or refuses a setting.
    pub fn start(
        recipe: &Recipe,
        number: u64,
        warm: u64,
        writer: Writer,
        counters: &Arc<Counters>,
        events: &Sender<Event>,
    ) -> Result<Self> {
        let failed = |error: gst::glib::BoolError| Failure::Failed(error.to_string());
        let source = make("appsrc")?
            .downcast::<gst_app::AppSrc>()
            .map_err(|_| Failure::Failed("appsrc is of another type".into()))?;
        source.set_caps(Some(&recipe.input_caps()));
        source.set_format(gst::Format::Time);
        source.set_property("block", true);
        source.set_max_bytes(
            2 * recipe
                .shape
                .layout
                .frame_bytes(recipe.shape.width, recipe.shape.height) as u64,
        );
        let before = frame_queue("before")?;
        // It takes frames as they are decoded, and gives them as they are encoded.
        let engine = engine(&recipe.options.engine)?;
        // A job that is broken off and goes on must not see it in its bytes.
        engine.set_property("deterministic", true);
        if let Some(path) = writer.audit() {
            set(&engine, "audit", &path.to_string_lossy())?;
        }
        engine.set_property("attach-marks", recipe.marks());
        let (after, filter) = (frame_queue("after")?, make("capsfilter")?);
        filter.set_property("caps", recipe.encoder_caps()?);
        let encode = recipe.encoder.make(
            recipe.options.quality,
            recipe.transparent,
            recipe.options.preset.as_deref(),
            &recipe.options.encoder_args,
        )?;
        let (parser, packets) = recipe.encoder.codec.packets();
        let sink = make("appsink")?
            .downcast::<gst_app::AppSink>()
            .map_err(|_| Failure::Failed("appsink is of another type".into()))?;
        sink.set_property("sync", false);
        let caps: gst::Caps = packets
            .parse()
            .map_err(|_| Failure::Failed(format!("{packets} are no caps")))?;
        sink.set_caps(Some(&caps));

        let mut chain: Vec<gst::Element> = vec![source.clone().upcast()];
        chain.extend([before, engine.clone(), after, filter, encode]);
        if let Some(parser) = parser {
            chain.push(make(parser)?);
        }
        chain.push(sink.clone().upcast());
        let pipeline = gst::Pipeline::new();
        pipeline.add_many(&chain).map_err(failed)?;
        gst::Element::link_many(&chain).map_err(failed)?;

        let findings = Arc::new(Findings::default());
        let marks = Arc::new(Marks::default());
        watch_engine(recipe, &engine, warm, &findings, &marks, counters)?;
        let writer = Arc::new(Mutex::new(Some(writer)));
        collect(
            &sink,
            &writer,
            recipe.encoder.codec,
            &marks,
            counters,
            events,
        );
        listen(&pipeline, number, events)?;
        // A failure here comes with a message on the bus, which says more.
        let _ = pipeline.set_state(gst::State::Playing);
        Ok(Self {
            number,
            pipeline,
            source,
            engine,
            shape: recipe.shape,
            followed: warm,
            findings,
            writer,
        })
    }

    /// Where frames go in, to be used without holding the segment.
    pub fn entrance(&self) -> Entrance {
        Entrance {
            source: self.source.clone(),
            shape: self.shape,
        }
    }

    /// Says that no frame comes any more.
    pub fn end(&self) {
        // Where it takes nothing any more its end has come already.
        let _ = self.source.end_of_stream();
    }

    /// Takes the writer, once the segment has ended.
    pub fn take_writer(&self) -> Option<Writer> {
        lock(&self.writer).take()
    }

    /// Where the networks ran.
    pub fn provider(&self) -> String {
        let provider: Option<String> = self.engine.property("active-provider");
        provider.unwrap_or_default()
    }

    /// Ends it at once, from any thread.
    pub fn stopper(&self) -> gst::Pipeline {
        self.pipeline.clone()
    }
}

/// Where frames go into a segment.
#[derive(Debug)]
pub struct Entrance {
    source: gst_app::AppSrc,
    shape: Shape,
}

impl Entrance {
    /// Hands in a frame; waits while there is no room. `time` and `duration` are in nanoseconds.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] where the pipeline takes none any more; its reason comes as an event.
    pub fn push(&self, data: Vec<u8>, time: u64, duration: u64) -> Result<()> {
        let buffer = frame_buffer(self.shape, data, time, duration)?;
        self.source
            .push_buffer(buffer)
            .map_err(|_| Failure::Interrupted)?;
        Ok(())
    }
}

/// A buffer of a frame of `shape`, whose planes are packed in `data`; `time` and `duration` are in nanoseconds.
///
/// # Errors
/// [`Failure::Failed`] for one that GStreamer does not take.
pub fn frame_buffer(shape: Shape, data: Vec<u8>, time: u64, duration: u64) -> Result<gst::Buffer> {
    let Shape {
        width,
        height,
        layout,
    } = shape;
    let mut buffer = gst::Buffer::from_mut_slice(data);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::from_nseconds(time));
        buffer.set_duration(gst::ClockTime::from_nseconds(duration));
        let mut offset = 0;
        let (mut offsets, mut strides) = (Vec::new(), Vec::new());
        for (line, lines) in layout.planes(width, height) {
            offsets.push(offset);
            strides.push(line as i32);
            offset += line * lines;
        }
        gst_video::VideoMeta::add_full(
            buffer,
            gst_video::VideoFrameFlags::empty(),
            layout.gstreamer,
            width,
            height,
            &offsets,
            &strides,
        )
        .map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(buffer)
}

/// Counts the frames of the engine; frames that come first, `warm` of them, are followed and not drawn, and go no further.
fn watch_engine(
    recipe: &Recipe,
    engine: &gst::Element,
    warm: u64,
    findings: &Arc<Findings>,
    marks: &Arc<Marks>,
    counters: &Arc<Counters>,
) -> Result<()> {
    // What is guarded has to be drawn to be compared: otherwise every segment would begin with what the one before had taken out.
    if warm > 0 && !recipe.guards() {
        // The mask is drawn without any network.
        set(engine, "view", "mask")?;
        let (seen, view, weak) = (AtomicU64::new(0), recipe.view(), engine.downgrade());
        static_pad(engine, "sink")?.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if seen.fetch_add(1, Ordering::Relaxed) == warm
                && let Some(engine) = weak.upgrade()
            {
                // A view that was typed is one that the element knows.
                let _ = set(&engine, "view", &view);
            }
            gst::PadProbeReturn::Ok
        });
    }
    let (seen, findings, counters) = (AtomicU64::new(0), findings.clone(), counters.clone());
    let marks = marks.clone();
    static_pad(engine, "src")?.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if seen.fetch_add(1, Ordering::Relaxed) < warm {
            return gst::PadProbeReturn::Drop;
        }
        if let Some(buffer) = info.buffer_mut() {
            // Taken off: an encoder that writes marks itself would write one for every frame.
            if let (Some(said), Some(time)) =
                (gstsrfusion::take_mark(buffer.make_mut()), buffer.pts())
            {
                // The segment begins at zero.
                marks.put(time.nseconds() as i64, said);
            }
            look_at_frame(pad, buffer, &findings);
            counters.upscaled.fetch_add(1, Ordering::Relaxed);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Counts the objects in a frame that are not faces: each region says its kind.
fn count_kinds(buffer: &gst::BufferRef, kinds: &mut Vec<KindCount>) {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for meta in buffer.iter_meta::<gst_video::VideoRegionOfInterestMeta>() {
        let own =
            |params: &gst::StructureRef| Some(params.name().strip_prefix("srfusion/")?.to_owned());
        let kind = meta.params().find_map(own);
        if let Some(kind) = kind.filter(|kind| kind != srfusion::FACES) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    for (kind, count) in counts {
        let known = kinds.iter().position(|known| known.kind == kind);
        let place = known.unwrap_or_else(|| {
            let kind = kind.clone();
            kinds.push(KindCount {
                kind,
                ..KindCount::default()
            });
            kinds.len() - 1
        });
        kinds[place].frames += 1;
        kinds[place].most = kinds[place].most.max(count);
    }
}

/// Looks at an upscaled frame: its objects and its size.
fn look_at_frame(pad: &gst::Pad, buffer: &gst::BufferRef, findings: &Findings) {
    let faces = buffer
        .iter_meta::<gst_video::VideoRegionOfInterestMeta>()
        .filter(|meta| meta.roi_type() == "face")
        .count();
    findings
        .with_faces
        .fetch_add(u64::from(faces > 0), Ordering::Relaxed);
    findings
        .most_faces
        .fetch_max(faces as u64, Ordering::Relaxed);
    count_kinds(buffer, &mut lock(&findings.kinds));
    if lock(&findings.size).0 == 0 {
        let info = pad
            .current_caps()
            .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
        if let Some(info) = info {
            *lock(&findings.size) = (info.width(), info.height());
        }
    }
}

/// Writes the packets that come to `sink`.
fn collect(
    sink: &gst_app::AppSink,
    writer: &Arc<Mutex<Option<Writer>>>,
    codec: Codec,
    marks: &Arc<Marks>,
    counters: &Arc<Counters>,
    events: &Sender<Event>,
) {
    let (writer, counters, events) = (writer.clone(), counters.clone(), events.clone());
    let marks = marks.clone();
    let failed = AtomicBool::new(false);
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            match write(&sample, &writer, codec, &marks) {
                Ok(()) => {
                    counters.encoded.fetch_add(1, Ordering::Relaxed);
                    Ok(gst::FlowSuccess::Ok)
                }
                Err(failure) => {
                    if !failed.swap(true, Ordering::Relaxed) {
                        // Nobody listens any more where this fails.
                        let _ = events.send(Event::Failed(failure));
                    }
                    Err(gst::FlowError::Eos)
                }
            }
        })
        .build();
    sink.set_callbacks(callbacks);
}

/// Writes one packet, that of a key frame with what the frame says of what drew it.
fn write(
    sample: &gst::Sample,
    writer: &Mutex<Option<Writer>>,
    codec: Codec,
    marks: &Marks,
) -> Result<()> {
    let missing = |what: &str| Failure::Failed(format!("the encoder gave a packet without {what}"));
    let buffer = sample.buffer().ok_or_else(|| missing("data"))?;
    let segment = sample
        .segment()
        .and_then(|segment| segment.downcast_ref::<gst::ClockTime>().cloned())
        .ok_or_else(|| missing("a segment of time"))?;
    let running = |time: Option<gst::ClockTime>| {
        let signed = segment.to_running_time_full(time?)?;
        Some(if signed.is_negative() {
            -(signed.abs().nseconds() as i64)
        } else {
            signed.abs().nseconds() as i64
        })
    };
    let time = running(buffer.pts()).ok_or_else(|| missing("a time"))?;
    let map = buffer
        .map_readable()
        .map_err(|_| missing("memory that can be read"))?;
    let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
    let marked = key
        .then(|| marks.take(time))
        .flatten()
        .and_then(|said| marked(sample, codec, &map, &said));
    let data = marked.as_deref().unwrap_or(&map);
    let mut writer = lock(writer);
    let Some(writer) = writer.as_mut() else {
        return Ok(());
    };
    if let Some(caps) = sample.caps() {
        writer.describe(&caps.to_string());
    }
    writer.write(
        data,
        PacketRecord {
            size: data.len() as u64,
            time,
            decode: running(buffer.dts()).unwrap_or(time),
            key,
        },
    )
}

/// The packet `data` of `sample` with what its frame has `said`; `None` where the coding has no place for it.
fn marked(sample: &gst::Sample, codec: Codec, data: &[u8], said: &[u8]) -> Option<Vec<u8>> {
    let header = sample
        .caps()?
        .structure(0)?
        .get::<gst::Buffer>("codec_data")
        .ok()?;
    let units = Units::of(codec, &header.map_readable().ok()?)?;
    units.insert(data, &gstsrfusion::MARK_UUID, said)
}

/// Hands on what the pipeline has to say.
fn listen(pipeline: &gst::Pipeline, number: u64, events: &Sender<Event>) -> Result<()> {
    let bus = pipeline
        .bus()
        .ok_or_else(|| Failure::Failed("the pipeline has no bus".into()))?;
    let events = events.clone();
    bus.set_sync_handler(move |_, message| {
        let event = match message.view() {
            gst::MessageView::Eos(_) => Some(Event::Ended(number)),
            gst::MessageView::Error(error) => Some(Event::Failed(describe(error))),
            gst::MessageView::Warning(warning) => {
                let (error, debug) = (warning.error(), warning.debug());
                Some(Event::Notice(notice(message.src(), error.message(), debug)))
            }
            gst::MessageView::Info(info) => {
                let (error, debug) = (info.error(), info.debug());
                Some(Event::Notice(notice(message.src(), error.message(), debug)))
            }
            gst::MessageView::Progress(step) => Some(Event::Doing(step.get().2.to_lowercase())),
            _ => None,
        };
        if let Some(event) = event {
            // Nobody listens any more where this fails.
            let _ = events.send(event);
        }
        gst::BusSyncReply::Drop
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_looked_for_is_followed() {
        let config = |objects: &str, face: &str| srfusion::Config {
            objects: objects.to_owned(),
            face_model: face.to_owned(),
            ..srfusion::Config::default()
        };
        assert!(follows(&config("face", "face-x4")));
        assert!(!follows(&config("face", "none")));
        assert!(follows(&config("face,text", "none")));
        assert!(follows(&config("text", "face-x4")));
        assert!(!follows(&config("none", "face-x4")));
    }
}
