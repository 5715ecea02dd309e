//! Drawing frames of a video once more, as a record says that they were drawn, with a record of its own to compare.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::video_meta::VideoRegionOfInterestMeta;
use srfusion::record::{FrameLine, State};

use crate::arguments::EngineOptions;
use crate::elements::{engine, make, set, static_pad};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::video::film::Film;
use crate::video::pipeline::frame_buffer;

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(600);

/// A stretch of frames to be drawn again.
#[derive(Debug)]
pub struct Stretch<'a> {
    /// For each frame of the film to be handed in, in order, its line; `None` for one whose line is missing.
    pub frames: BTreeMap<u64, Option<&'a FrameLine>>,
    /// How many of the first are only followed, not drawn.
    pub followed: u64,
    /// What drew them.
    pub state: &'a State,
}

/// Hands the frames of `stretch` to the element `srfusion` and has it write a record at `path`. `near` says where models may lie.
///
/// # Errors
/// What keeps them from being drawn.
pub fn draw(
    film: &Film,
    stretch: &Stretch<'_>,
    options: &EngineOptions,
    path: &Path,
) -> Result<()> {
    let failed = |error: gst::glib::BoolError| Failure::Failed(error.to_string());
    let caps = |text: &Option<String>| -> Result<gst::Caps> {
        let text = text.as_deref().unwrap_or_default();
        text.parse()
            .map_err(|_| Failure::Failed(format!("the record has no caps but '{text}'")))
    };
    let formats = &stretch.state.formats;
    let mut input = caps(&formats.input.caps)?;
    // The same samples, in the order in which they are decoded here.
    let layout = film.shape.layout;
    let order = layout.gstreamer.to_str().to_string();
    input.make_mut().set("format", order);
    let source = make("appsrc")?
        .downcast::<gst_app::AppSrc>()
        .map_err(|_| Failure::Failed("appsrc is of another type".into()))?;
    source.set_caps(Some(&input));
    source.set_format(gst::Format::Time);
    source.set_property("block", true);
    source.set_max_bytes(2 * layout.frame_bytes(film.shape.width, film.shape.height) as u64);
    let engine = engine(options)?;
    for (name, value) in &stretch.state.settings {
        let given = options.properties().iter().any(|(own, _)| own == name);
        if !given && !value.is_empty() && name != "view" {
            set(&engine, name, value)?;
        }
    }
    set(&engine, "audit", &path.to_string_lossy())?;
    let view = stretch
        .state
        .settings
        .get("view")
        .cloned()
        .unwrap_or_default();
    show(&engine, stretch.followed, view)?;
    let (filter, sink) = (make("capsfilter")?, make("fakesink")?);
    filter.set_property("caps", caps(&formats.output.caps)?);
    let pipeline = gst::Pipeline::new();
    let chain = [source.clone().upcast(), engine, filter, sink];
    pipeline.add_many(&chain).map_err(failed)?;
    gst::Element::link_many(&chain).map_err(failed)?;
    let running = RunningAgain(pipeline);
    // A failure here comes with a message on the bus, which says more.
    let _ = running.0.set_state(gst::State::Playing);
    let last = stretch.frames.keys().next_back().copied();
    film.each(|frame| {
        if let Some(line) = stretch.frames.get(&frame.number) {
            let pts = line.and_then(|line| line.pts);
            let time = pts.unwrap_or(u64::try_from(frame.time).unwrap_or_default());
            let step = u64::try_from(frame.step).unwrap_or_default();
            let mut buffer = frame_buffer(film.shape, frame.data, time, step)?;
            give_objects(&mut buffer, *line);
            if source.push_buffer(buffer).is_err() {
                // Why is on the bus.
                return Ok(false);
            }
        }
        Ok(Some(frame.number) < last)
    })?;
    let _ = source.end_of_stream();
    wait(&running.0)
}

/// Ends a pipeline however it is left.
struct RunningAgain(gst::Pipeline);

impl Drop for RunningAgain {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// Has the first `followed` frames followed alone, and the others drawn as `view`.
fn show(engine: &gst::Element, followed: u64, view: String) -> Result<()> {
    set(engine, "view", if followed > 0 { "mask" } else { &view })?;
    let (seen, weak) = (AtomicU64::new(0), engine.downgrade());
    static_pad(engine, "sink")?.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if seen.fetch_add(1, Ordering::Relaxed) == followed
            && followed > 0
            && let Some(engine) = weak.upgrade()
        {
            // A view on record is one that the element knows.
            let _ = set(&engine, "view", &view);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Puts the objects on a frame that came with it.
fn give_objects(buffer: &mut gst::Buffer, line: Option<&FrameLine>) {
    let given = line.and_then(|line| line.given.as_ref());
    let Some(buffer) = buffer.get_mut() else {
        return;
    };
    for object in given.into_iter().flatten() {
        let [x0, y0, x1, y1] = object.bounds.map(|side| side.max(0.0) as u32);
        let rect = (x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0));
        let kind = object.kind.as_deref().unwrap_or(srfusion::FACES);
        let roi_type = object.roi_type.as_deref().unwrap_or(kind);
        VideoRegionOfInterestMeta::add(buffer, roi_type, rect).add_param(
            gst::Structure::builder(format!("srfusion/{kind}"))
                .field("score", f64::from(object.score))
                .build(),
        );
    }
}

/// Waits for the end of `pipeline`, and ends it, so that its record is whole.
fn wait(pipeline: &gst::Pipeline) -> Result<()> {
    let bus = pipeline
        .bus()
        .ok_or_else(|| Failure::Failed("the pipeline has no bus".into()))?;
    let mut since = Instant::now();
    loop {
        if interrupt::interrupted() {
            return Err(Failure::Interrupted);
        }
        let Some(message) = bus.timed_pop(200 * gst::ClockTime::MSECOND) else {
            if since.elapsed() > PATIENCE {
                return Err(Failure::Failed("drawing a frame again did not end".into()));
            }
            continue;
        };
        since = Instant::now();
        match message.view() {
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Error(error) => {
                return Err(Failure::Failed(error.error().message().to_owned()));
            }
            _ => {}
        }
    }
    let _ = pipeline.set_state(gst::State::Null);
    Ok(())
}
