//! The middle: decoded frames in, frames four times as large and fitted to the output's size out. It lives on while connections come and go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gst::prelude::*;
use gst_video::video_meta::VideoRegionOfInterestMeta;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::CameraConfig;
use crate::elements::{Ending, bin, child, pipeline, play};

/// Frames whose beginning is remembered; more are never under way.
const UNDER_WAY: usize = 16;

/// A face in a drawn frame, in its pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceSeen {
    /// The same number for the same face from frame to frame.
    pub track: u64,
    /// Left, top, width and height.
    pub rect: (u32, u32, u32, u32),
    /// The detector's confidence, 0 to 1.
    pub score: f64,
    /// How far it is faded in, 0 to 1.
    pub weight: f64,
    /// Not found in this frame, kept from an earlier one.
    pub held: bool,
}

/// A picture with what is needed to read it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Pixels.
    pub buffer: gst::Buffer,
    /// Their format.
    pub info: gst_video::VideoInfo,
}

/// A frame before and after, as the element had it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What went in.
    pub before: Picture,
    /// What came out, four times as wide and high.
    pub after: Picture,
    /// Its faces.
    pub faces: Vec<FaceSeen>,
}

/// What comes out of the middle, told from its threads.
pub trait Watcher: Send + Sync + 'static {
    /// A frame goes into the element.
    fn taken(&self);
    /// A frame was drawn within this time.
    fn drawn(&self, took: Duration, pair: Pair);
    /// A frame in the output's size and format.
    fn fitted(&self, buffer: gst::Buffer);
    /// It has failed.
    fn failed(&self, reason: String);
}

/// The middle. Dropping it ends it.
#[derive(Debug)]
pub struct Engine {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    fit: gst::Element,
    element: gst::Element,
    size: Mutex<Option<(u32, u32)>>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
    }
}

/// The element, between what brings frames to it and what takes them from it: it takes what decoders give, and gives what the output has.
fn upscaling() -> Result<gst::Bin, String> {
    bin("srfusion name=engine ! queue max-size-buffers=1 max-size-bytes=0 max-size-time=0")
}

/// Caps of the output.
pub fn output_caps((width, height): (u32, u32)) -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", width as i32)
        .field("height", height as i32)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .field("colorimetry", "bt709")
        .build()
}

/// The faces that the element found in a frame.
pub fn faces(buffer: &gst::BufferRef) -> Vec<FaceSeen> {
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .filter(|region| region.roi_type() == "face")
        .filter_map(|region| {
            let about = region
                .params()
                .find(|params| params.name() == "srfusion/face")?;
            Some(FaceSeen {
                track: about.get("track-id").ok()?,
                rect: region.rect(),
                score: about.get("score").ok()?,
                weight: about.get("weight").unwrap_or(1.0),
                held: about.get("held").unwrap_or(false),
            })
        })
        .collect()
}

/// Remembers when each frame went in, and what it was.
type BegunFrames = Mutex<VecDeque<(gst::ClockTime, Duration, Picture)>>;

fn picture(pad: &gst::Pad, buffer: &gst::Buffer) -> Option<Picture> {
    let caps = pad.current_caps()?;
    let info = gst_video::VideoInfo::from_caps(&caps).ok()?;
    Some(Picture {
        buffer: buffer.clone(),
        info,
    })
}

impl Engine {
    /// Makes the middle for a camera; the networks are opened in the background.
    ///
    /// # Errors
    /// A missing element, or a setting that the element does not take.
    pub fn start(
        camera: &CameraConfig,
        clock: &Clock,
        watcher: Arc<impl Watcher>,
    ) -> Result<Self, String> {
        let pipeline = pipeline(
            "appsrc name=source is-live=true format=time block=false leaky-type=downstream max-buffers=2 max-bytes=0 max-time=0 \
             ! identity name=place ! videoscale add-borders=true ! capsfilter name=fit \
             ! appsink name=sink sync=false async=false max-buffers=4",
        )?;
        let source: gst_app::AppSrc = child(&pipeline, "source")?;
        let sink: gst_app::AppSink = child(&pipeline, "sink")?;
        let fit: gst::Element = child(&pipeline, "fit")?;
        let place: gst::Element = child(&pipeline, "place")?;
        let middle = upscaling()?;
        let known = |error: gst::glib::BoolError| error.to_string();
        pipeline.add(&middle).map_err(known)?;
        source.unlink(&place);
        source.link(&middle).map_err(known)?;
        middle.link(&place).map_err(known)?;
        let element: gst::Element = child(&middle, "engine")?;
        // What there is no time for is interpolated rather than frames lost, unless the file says otherwise.
        element.set_property("deadline", -1i64);
        for (name, value) in &camera.engine {
            set(&element, name, value)?;
        }
        let near = std::env::current_exe().ok();
        if !camera.engine.iter().any(|(name, _)| name == "models-dir")
            // Linked into this program, the element does not know where to look.
            && let Ok(dir) = srfusion::models::find_models_dir(None, near.as_deref())
        {
            element.set_property("models-dir", dir.to_string_lossy().as_ref());
        }
        let begun: Arc<BegunFrames> = Arc::default();
        let (Some(before), Some(after)) = (element.static_pad("sink"), element.static_pad("src"))
        else {
            return Err("the element srfusion has no pads".into());
        };
        before.add_probe(gst::PadProbeType::BUFFER, {
            let (begun, watcher, clock) = (begun.clone(), watcher.clone(), clock.clone());
            move |pad, info| {
                if let Some(buffer) = info.buffer()
                    && let Some(pts) = buffer.pts()
                    && let Some(picture) = picture(pad, buffer)
                {
                    let mut begun = begun.lock();
                    begun.truncate(UNDER_WAY - 1);
                    begun.push_front((pts, clock.now(), picture));
                    drop(begun);
                    watcher.taken();
                }
                gst::PadProbeReturn::Ok
            }
        });
        after.add_probe(gst::PadProbeType::BUFFER, {
            let (watcher, clock) = (watcher.clone(), clock.clone());
            move |pad, info| {
                let Some(buffer) = info.buffer() else {
                    return gst::PadProbeReturn::Ok;
                };
                let mut begun = begun.lock();
                let place = begun
                    .iter()
                    .position(|(pts, ..)| Some(*pts) == buffer.pts());
                // Those before it were left out.
                let own = place.and_then(|place| begun.drain(place..).next());
                drop(begun);
                if let Some((_, start, before)) = own
                    && let Some(after) = picture(pad, buffer)
                {
                    let pair = Pair {
                        before,
                        after,
                        faces: faces(buffer),
                    };
                    watcher.drawn(clock.now().saturating_sub(start), pair);
                }
                gst::PadProbeReturn::Ok
            }
        });
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample({
            let watcher = watcher.clone();
            move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(buffer) = sample.buffer_owned() {
                    watcher.fitted(buffer);
                }
                Ok(gst::FlowSuccess::Ok)
            }
        });
        sink.set_callbacks(callbacks.build());
        clock.rule(&pipeline);
        let engine = Self {
            pipeline,
            source,
            fit,
            element,
            size: Mutex::new(None),
        };
        play(
            &engine.pipeline,
            "the element srfusion cannot be started",
            move |ending| {
                watcher.failed(match ending {
                    Ending::Error(reason) => reason,
                    Ending::Eos => "it has ended".into(),
                });
            },
        )?;
        Ok(engine)
    }

    /// Takes a frame, which is fitted to `size`. The oldest that waits gives way.
    pub fn push(&self, caps: &gst::Caps, buffer: gst::Buffer, size: (u32, u32)) {
        let mut fitted = self.size.lock();
        if *fitted != Some(size) {
            self.fit.set_property("caps", output_caps(size));
            *fitted = Some(size);
        }
        drop(fitted);
        let sample = gst::Sample::builder().caps(caps).buffer(&buffer).build();
        // A failure is told by the pipeline itself.
        let _ = self.source.push_sample(&sample);
    }

    /// Counters of the element.
    pub fn stats(&self) -> Option<gst::Structure> {
        self.element
            .find_property("stats")
            .and_then(|_| self.element.property::<Option<gst::Structure>>("stats"))
    }
}

/// Sets a property from its written form, which the configuration has been checked for.
fn set(element: &gst::Element, name: &str, text: &str) -> Result<(), String> {
    let spec = element
        .find_property(name)
        .ok_or_else(|| format!("the element srfusion has no property {name}"))?;
    let value = if spec.value_type() == gst::glib::Type::STRING {
        Ok(text.to_value())
    } else {
        gst::glib::Value::deserialize(text, spec.value_type())
    };
    let value = value.map_err(|_| format!("'{text}' is no value for {name} of srfusion"))?;
    element.set_property_from_value(name, &value);
    Ok(())
}
