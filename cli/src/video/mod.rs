//! Videos: a GStreamer pipeline around the element `srfusion`, run to its end.
//!
//! ```text
//! filesrc ! parsebin -- video -- multiqueue ! decodebin ! (deinterlace) ! queue ! videoconvert ! capsfilter
//!                   |                ! videoconvert ! videoflip ! srfusion ! queue ! videoconvert ! capsfilter
//!                   |                ! encoder ! parser -- muxer
//!                   `-- sound -- multiqueue ! (parser, or decoder and encoder) ----------------------------'
//! ```
//!
//! Nothing in it makes or drops frames, and every queue is bounded. `container` knows the kinds of files, `colour` the
//! colours, `timescale` the units of time, `sound` the sound.

mod colour;
mod container;
mod sound;
mod timescale;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::arguments::UpscaleOptions;
use crate::draft::Draft;
use crate::elements::{self, engine, make, set, static_pad};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::progress::Progress;
use crate::summary::{SoundTrack, Summary, rate};

pub use container::{Container, encoders_found};

/// How often the loop that waits looks at Ctrl-C and moves the bar.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// How long after the first stream of an input its video may appear; they come together.
const STREAMS_TIME: Duration = Duration::from_secs(10);
/// Packets that wait in one queue, and more only while another queue is empty.
const QUEUE_BUFFERS: &str = "5";
/// Bytes of coded data that may wait in one queue.
const QUEUE_BYTES: u32 = 64 << 20;

fn link(source: &gst::Pad, sink: &gst::Pad) -> Result<()> {
    source.link(sink).map(drop).map_err(|error| {
        let name = |pad: &gst::Pad| {
            pad.parent_element()
                .map(|element| element.name().to_string())
                .unwrap_or_default()
        };
        Failure::Failed(format!(
            "{} cannot be linked to {}: {error}",
            name(source),
            name(sink)
        ))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the streaming threads find out, for the thread that waits.
#[derive(Debug, Default)]
struct Findings {
    /// The first thing that went wrong outside an element.
    failure: Mutex<Option<Failure>>,
    sound: Mutex<Vec<SoundTrack>>,
    warnings: Mutex<Vec<String>>,
    /// Pad to ask for the input's duration.
    video: Mutex<Option<gst::Pad>>,
    /// When the first stream of any kind appeared.
    first_stream: Mutex<Option<Instant>>,
    /// Whether a decoder has given its pad.
    decoding: AtomicBool,
    decoded: AtomicU64,
    upscaled: AtomicU64,
    encoded: AtomicU64,
    with_faces: AtomicU64,
    most_faces: AtomicU64,
    /// Running time of the last frame upscaled, in nanoseconds.
    position: AtomicU64,
    /// Whether a deep input was warned of.
    seen: AtomicBool,
    /// Width and height of the output.
    size: Mutex<(u32, u32)>,
}

impl Findings {
    fn warn(&self, text: impl Into<String>) {
        lock(&self.warnings).push(text.into());
    }

    /// Keeps the first failure, and wakes the thread that waits.
    fn fail(&self, pipeline: &gst::Pipeline, failure: Failure) {
        lock(&self.failure).get_or_insert(failure);
        let message = gst::message::Application::builder(gst::Structure::new_empty("failure"))
            .src(pipeline)
            .build();
        // Without a bus there is nobody left to tell.
        let _ = pipeline.post_message(message);
    }
}

/// The pipeline and what is needed of it while it runs.
struct Graph {
    pipeline: gst::Pipeline,
    engine: gst::Element,
    findings: Arc<Findings>,
}

impl Drop for Graph {
    fn drop(&mut self) {
        // Ends every thread of it; a failure of this leaves nothing to be done.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Counts buffers that pass `pad`, after `look` has looked at them.
fn count(
    pad: &gst::Pad,
    findings: &Arc<Findings>,
    counter: fn(&Findings) -> &AtomicU64,
    look: impl Fn(&gst::Pad, &gst::BufferRef, &Findings) + Send + Sync + 'static,
) {
    let findings = findings.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer() {
            look(pad, buffer, &findings);
            counter(&findings).fetch_add(1, Ordering::Relaxed);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Looks at an upscaled frame: its faces, its size and its time.
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
    let segment = pad.sticky_event::<gst::event::Segment>(0);
    let running = segment.as_ref().and_then(|event| {
        event
            .segment()
            .downcast_ref::<gst::ClockTime>()
            .and_then(|segment| segment.to_running_time(buffer.pts()))
    });
    if buffer.flags().contains(gst::BufferFlags::DISCONT) || lock(&findings.size).0 == 0 {
        let info = pad
            .current_caps()
            .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
        if let Some(info) = info {
            *lock(&findings.size) = (info.width(), info.height());
        }
    }
    if let Some(running) = running {
        findings
            .position
            .store(running.nseconds(), Ordering::Relaxed);
    }
}

impl Graph {
    fn build(
        options: &UpscaleOptions,
        container: &'static Container,
        target: &Path,
    ) -> Result<Self> {
        let findings = Arc::new(Findings::default());
        let encoder = container.encoder(options.encoder.as_deref())?;
        let pipeline = gst::Pipeline::new();

        let source = make("filesrc")?;
        source.set_property("location", &options.input);
        let (parse, queues, decode) = (make("parsebin")?, make("multiqueue")?, make("decodebin")?);
        set(&queues, "max-size-bytes", &QUEUE_BYTES.to_string())?;
        // No limit in time: it is hard, and an encoder that holds more pictures than last that long would wait for the muxer, the
        // muxer for the pictures, and the demuxer for room for the sound. A limit in buffers grows while another queue is empty.
        set(&queues, "max-size-time", "0")?;
        set(&queues, "max-size-buffers", QUEUE_BUFFERS)?;

        let (before, widen, wide) = (frame_queue()?, make("videoconvert")?, make("capsfilter")?);
        let (convert, flip) = (make("videoconvert")?, make("videoflip")?);
        // Turned before the networks see it: faces are found upright.
        set(&flip, "video-direction", "auto")?;
        let engine = engine(&options.engine)?;
        let (after, back, filter) = (frame_queue()?, make("videoconvert")?, make("capsfilter")?);
        // 0 is one thread for each core: these frames have sixteen times the input's pixels.
        set(&back, "n-threads", "0")?;
        let encode = encoder.make(options.crf)?;
        let muxer = make(container.muxer)?;
        let sink = make("filesink")?;
        sink.set_property("location", target);

        let failed = |error: gst::glib::BoolError| Failure::Failed(error.to_string());
        let chain = [
            &before, &widen, &wide, &convert, &flip, &engine, &after, &back, &filter, &encode,
        ];
        pipeline
            .add_many([&source, &parse, &queues, &decode, &muxer, &sink])
            .map_err(failed)?;
        pipeline.add_many(chain).map_err(failed)?;
        source.link(&parse).map_err(failed)?;
        gst::Element::link_many(chain).map_err(failed)?;
        muxer.link(&sink).map_err(failed)?;

        let track = muxer
            .request_pad_simple("video_%u")
            .ok_or_else(|| Failure::Failed(format!("{} takes no video", container.muxer)))?;
        match encoder.parser {
            Some(name) => {
                let parser = make(name)?;
                pipeline.add(&parser).map_err(failed)?;
                encode.link(&parser).map_err(failed)?;
                link(&static_pad(&parser, "src")?, &track)?;
            }
            None => link(&static_pad(&encode, "src")?, &track)?,
        }
        if track.find_property("trak-timescale").is_some() {
            let units = timescale::of(&options.input).unwrap_or(timescale::COMMON);
            track.set_property("trak-timescale", units);
            // The start of a track that begins late is counted in the movie's units.
            set(&muxer, "movie-timescale", &units.to_string())?;
        }

        let entry = static_pad(&before, "sink")?;
        keep_colours(&entry, &wide, &filter, &findings);
        count(
            &entry,
            &findings,
            |findings| &findings.decoded,
            |_, _, _| (),
        );
        count(
            &static_pad(&engine, "src")?,
            &findings,
            |findings| &findings.upscaled,
            look_at_frame,
        );
        count(
            &track,
            &findings,
            |findings| &findings.encoded,
            |_, _, _| (),
        );

        let video = Entrance {
            pipeline: pipeline.downgrade(),
            findings: findings.clone(),
            entry,
        };
        decode.connect_pad_added(move |_, pad| video.connect(pad));
        let demuxed = Demuxed {
            pipeline: pipeline.downgrade(),
            findings: findings.clone(),
            queues,
            decode,
            muxer,
            container,
            sound: !options.no_sound,
            linked: AtomicBool::new(false),
        };
        parse.connect_pad_added(move |_, pad| demuxed.connect(pad));
        Ok(Self {
            pipeline,
            engine,
            findings,
        })
    }

    /// Runs the pipeline until its end.
    fn run(&self, input: &str, progress: &Progress) -> Result<()> {
        let bus = self
            .pipeline
            .bus()
            .ok_or_else(|| Failure::Failed("the pipeline has no bus".into()))?;
        let mut missing = Vec::new();
        // A failure here comes with a message on the bus, which says more.
        let started = self.pipeline.set_state(gst::State::Playing);
        let mut quiet_since = Instant::now();
        loop {
            let message = bus.timed_pop(TICK);
            if interrupt::interrupted() {
                return Err(Failure::Interrupted);
            }
            let Some(message) = message else {
                if started.is_err() && quiet_since.elapsed() > Duration::from_secs(1) {
                    return Err(Failure::Failed(
                        "the pipeline did not start, and did not say why".into(),
                    ));
                }
                self.show(progress);
                let waiting = lock(&self.findings.first_stream)
                    .is_some_and(|time| time.elapsed() > STREAMS_TIME);
                if waiting && lock(&self.findings.video).is_none() {
                    return Err(no_video(input));
                }
                continue;
            };
            quiet_since = Instant::now();
            match message.view() {
                gst::MessageView::Eos(_) => return Ok(()),
                gst::MessageView::Error(error) => {
                    return Err(lock(&self.findings.failure)
                        .take()
                        .unwrap_or_else(|| describe(error, input, &missing)));
                }
                gst::MessageView::Application(_) => {
                    if let Some(failure) = lock(&self.findings.failure).take() {
                        return Err(failure);
                    }
                }
                gst::MessageView::Element(element) => {
                    if let Some(structure) = element.structure()
                        && structure.name() == "missing-plugin"
                        && let Ok(name) = structure.get::<String>("name")
                    {
                        missing.push(name);
                    }
                }
                // Comes before the streams do; a pipeline without a video would wait for one for ever.
                gst::MessageView::StreamCollection(message) => {
                    let collection = message.stream_collection();
                    if !collection.is_empty()
                        && !collection.iter().any(|stream| {
                            stream
                                .stream_type()
                                .intersects(gst::StreamType::VIDEO | gst::StreamType::UNKNOWN)
                        })
                    {
                        return Err(no_video(input));
                    }
                }
                gst::MessageView::Progress(step) => progress.message(&step.get().2.to_lowercase()),
                _ => {}
            }
        }
    }

    /// Moves the bar.
    fn show(&self, progress: &Progress) {
        let frames = self.findings.upscaled.load(Ordering::Relaxed);
        if frames == 0 {
            return;
        }
        let duration = lock(&self.findings.video)
            .as_ref()
            .and_then(|pad| pad.query_duration::<gst::ClockTime>());
        if let Some(duration) = duration {
            progress.length(duration.into());
        }
        progress.position(Duration::from_nanos(
            self.findings.position.load(Ordering::Relaxed),
        ));
        progress.message(&format!("{frames} frames"));
    }
}

/// A queue of two decoded frames: enough for two threads to work side by side.
fn frame_queue() -> Result<gst::Element> {
    let queue = make("queue")?;
    for (name, value) in [
        ("max-size-buffers", "2"),
        ("max-size-bytes", "0"),
        ("max-size-time", "0"),
    ] {
        set(&queue, name, value)?;
    }
    Ok(queue)
}

/// Has `filter` ask for the colours of the frames that come in at `entry`, and `wide` for a format in which they are
/// converted well, at the start and whenever they change.
fn keep_colours(
    entry: &gst::Pad,
    wide: &gst::Element,
    filter: &gst::Element,
    findings: &Arc<Findings>,
) {
    let (wide, filter) = (wide.downgrade(), filter.downgrade());
    let findings = findings.clone();
    entry.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let Some(gst::PadProbeData::Event(event)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        let gst::EventView::Caps(caps) = event.view() else {
            return gst::PadProbeReturn::Ok;
        };
        let input = colour::complete(&caps.caps_owned());
        let (Some(wide), Some(filter)) = (wide.upgrade(), filter.upgrade()) else {
            return gst::PadProbeReturn::Ok;
        };
        if let Ok(info) = gst_video::VideoInfo::from_caps(&input) {
            wide.set_property("caps", colour::wide_caps(&info));
            filter.set_property("caps", colour::encoder_caps(&info, &input));
            if colour::is_deep(&info) && !findings.seen.swap(true, Ordering::Relaxed) {
                findings.warn("the input has more than 8 bits a sample: they are rounded to 8");
            }
        }
        if input.as_ref() != caps.caps() {
            *event = gst::event::Caps::builder(&input)
                .seqnum(event.seqnum())
                .build();
        }
        gst::PadProbeReturn::Ok
    });
}

/// Where decoded frames enter.
struct Entrance {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    findings: Arc<Findings>,
    entry: gst::Pad,
}

impl Entrance {
    fn connect(&self, pad: &gst::Pad) {
        if let Some(pipeline) = self.pipeline.upgrade()
            && !self.findings.decoding.swap(true, Ordering::SeqCst)
            && let Err(failure) = self.try_connect(&pipeline, pad)
        {
            self.findings.fail(&pipeline, failure);
        }
    }

    fn try_connect(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<()> {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let mode = caps
            .structure(0)
            .and_then(|s| s.get::<String>("interlace-mode").ok());
        if mode.is_none_or(|mode| mode == "progressive") {
            return link(pad, &self.entry);
        }
        // One frame for each that comes in, made of its upper field: the networks would take combs for detail.
        self.findings
            .warn("the input is interlaced: each frame is made from its upper field");
        let (convert, deinterlace) = (make("videoconvert")?, make("deinterlace")?);
        set(&deinterlace, "fields", "top")?;
        let failed = |error: gst::glib::BoolError| Failure::Failed(error.to_string());
        pipeline
            .add_many([&convert, &deinterlace])
            .map_err(failed)?;
        convert.link(&deinterlace).map_err(failed)?;
        link(&static_pad(&deinterlace, "src")?, &self.entry)?;
        for element in [&deinterlace, &convert] {
            element.sync_state_with_parent().map_err(failed)?;
        }
        link(pad, &static_pad(&convert, "sink")?)
    }
}

/// What is done with the streams of the input.
struct Demuxed {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    findings: Arc<Findings>,
    queues: gst::Element,
    decode: gst::Element,
    muxer: gst::Element,
    container: &'static Container,
    sound: bool,
    /// Whether a video was found.
    linked: AtomicBool,
}

impl Demuxed {
    fn connect(&self, pad: &gst::Pad) {
        if let Some(pipeline) = self.pipeline.upgrade()
            && let Err(failure) = self.try_connect(&pipeline, pad)
        {
            self.findings.fail(&pipeline, failure);
        }
    }

    fn try_connect(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<()> {
        lock(&self.findings.first_stream).get_or_insert_with(Instant::now);
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let name = caps
            .structure(0)
            .map(|s| s.name().to_string())
            .unwrap_or_default();
        let picture = name.starts_with("video/") || name.starts_with("image/");
        if picture && !self.linked.swap(true, Ordering::SeqCst) {
            *lock(&self.findings.video) = Some(pad.clone());
            return link(&self.queued(pad)?, &static_pad(&self.decode, "sink")?);
        }
        if name.starts_with("audio/") && self.sound {
            let track = sound::join(
                pipeline,
                &self.muxer,
                self.container,
                &self.queued(pad)?,
                &caps,
            )?;
            match track.action {
                "encoded" => self.findings.warn(format!(
                    "the output's kind of file does not take sound as {name}: it is encoded anew"
                )),
                "dropped" => self.findings.warn(format!(
                    "the output's kind of file does not take sound as {name}, and none of {} is installed: it is dropped",
                    self.container.sound_encoders.join(", ")
                )),
                _ => {}
            }
            lock(&self.findings.sound).push(track);
            return Ok(());
        }
        if name.starts_with("audio/") {
            lock(&self.findings.sound).push(SoundTrack {
                format: name,
                action: "dropped",
            });
        } else {
            self.findings
                .warn(format!("a further stream of the input is left out: {name}"));
        }
        let fake = make("fakesink")?;
        set(&fake, "async", "false")?;
        set(&fake, "sync", "false")?;
        pipeline
            .add(&fake)
            .map_err(|error| Failure::Failed(error.to_string()))?;
        fake.sync_state_with_parent()
            .map_err(|error| Failure::Failed(error.to_string()))?;
        link(pad, &static_pad(&fake, "sink")?)
    }

    /// Leads `pad` through a queue of its own.
    fn queued(&self, pad: &gst::Pad) -> Result<gst::Pad> {
        let sink = self
            .queues
            .request_pad_simple("sink_%u")
            .ok_or_else(|| Failure::Failed("multiqueue takes no further stream".into()))?;
        link(pad, &sink)?;
        static_pad(&self.queues, &sink.name().replace("sink", "src"))
    }
}

fn no_video(input: &str) -> Failure {
    Failure::Failed(format!("{input}: no video in it"))
}

/// The user's words for an error of an element.
fn describe(error: &gst::message::Error, input: &str, missing: &[String]) -> Failure {
    let cause = error.error();
    let factory = error
        .src()
        .and_then(|source| source.downcast_ref::<gst::Element>())
        .and_then(|element| element.factory())
        .map(|factory| factory.name().to_string())
        .unwrap_or_default();
    if factory == "srfusion" {
        return Failure::Failed(cause.message().to_owned());
    }
    if cause.matches(gst::StreamError::TypeNotFound) || cause.matches(gst::StreamError::WrongType) {
        return Failure::Failed(format!(
            "{input}: neither a picture nor a video that GStreamer knows"
        ));
    }
    if !missing.is_empty() {
        return Failure::Failed(format!(
            "{input}: GStreamer has no {}; on Debian it is most likely in gstreamer1.0-libav, gstreamer1.0-plugins-bad or gstreamer1.0-plugins-ugly",
            missing.join(", no ")
        ));
    }
    // The first line of the details is a place in GStreamer's source, the others say what happened.
    let details = error
        .debug()
        .map(|debug| debug.lines().skip(1).collect::<Vec<_>>().join(" "))
        .unwrap_or_default();
    let details = if details.is_empty() {
        details
    } else {
        format!(" ({})", details.trim())
    };
    Failure::Failed(format!("{input}: {factory}: {}{details}", cause.message()))
}

/// Upscales a video.
///
/// # Errors
/// Whatever kept it from being written.
pub fn upscale(
    options: &UpscaleOptions,
    container: &'static Container,
    progress: &Progress,
) -> Result<Summary> {
    let started = Instant::now();
    elements::init()?;
    // The element would say the same, but it does not know where this program lies.
    srfusion::Upscaler::check(&options.engine.config())?;
    let draft = Draft::create(&options.output)?;
    let encoder = container.encoder(options.encoder.as_deref())?;
    let graph = Graph::build(options, container, draft.path())?;
    let input = options.input.display().to_string();
    progress.message("opening");
    graph.run(&input, progress)?;

    let provider: Option<String> = graph.engine.property("active-provider");
    let findings = graph.findings.clone();
    // Stops the threads and closes the file.
    drop(graph);
    let number = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let (decoded, frames) = (number(&findings.decoded), number(&findings.encoded));
    if decoded == 0 {
        return Err(Failure::Failed(format!(
            "{input}: not one frame could be decoded"
        )));
    }
    if frames != decoded {
        return Err(Failure::Failed(format!(
            "{input}: {decoded} frames were decoded, but {frames} written; this is a fault of srfusion or of the encoder {}",
            encoder.element
        )));
    }
    draft.finish()?;
    let warnings = std::mem::take(&mut *lock(&findings.warnings));
    warnings.iter().for_each(|warning| progress.warn(warning));
    let time = started.elapsed();
    let (width, height) = *lock(&findings.size);
    let sound = std::mem::take(&mut *lock(&findings.sound));
    Ok(Summary {
        input,
        output: options.output.display().to_string(),
        kind: "video",
        width,
        height,
        frames,
        seconds: time.as_secs_f64(),
        frames_per_second: rate(frames, time),
        provider: provider.unwrap_or_default(),
        frames_with_faces: number(&findings.with_faces),
        most_faces: number(&findings.most_faces),
        encoder: Some(encoder.element.to_owned()),
        sound,
        warnings,
    })
}
