//! What is written to disk: recordings and HTTP Live Streaming. Each is a pipeline of its own, so that a full disk does not touch the rest.

use std::path::Path;
use std::sync::Arc;

use gst::prelude::*;
use parking_lot::Mutex;

use crate::clock::{Clock, clock_time};
use crate::config::{CameraConfig, Hls, Record};
use crate::elements::{Ending, child, make, pipeline, play};
use crate::hub::{Hub, Outlet, description};

/// How long the end of a file is waited for.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A playlist and its segments.
    Hls(Hls),
    /// Recordings.
    Record(Record),
}

impl Kind {
    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hls(_) => "HLS",
            Self::Record(_) => "recording",
        }
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Hls(hls) => &hls.folder,
            Self::Record(record) => &record.folder,
        }
    }

    /// Whether sound of this kind can be written.
    fn takes(&self, sound: &gst::Caps) -> bool {
        let name = sound
            .structure(0)
            .map(|structure| structure.name().as_str());
        match self {
            // MPEG-TS has no G.711.
            Self::Hls(_) => matches!(name, Some("audio/mpeg" | "audio/x-opus")),
            Self::Record(_) => true,
        }
    }

    /// The sink, without its inputs.
    fn sink(&self, camera: &CameraConfig) -> Result<gst::Element, String> {
        match self {
            Self::Hls(hls) => {
                let sink = make("hlssink2")?;
                let path = |name: &str| hls.folder.join(name).to_string_lossy().into_owned();
                sink.set_property("location", path("segment%06d.ts"));
                sink.set_property("playlist-location", path("index.m3u8"));
                let seconds = hls.segment.as_secs().clamp(1, 3_600) as u32;
                sink.set_property("target-duration", seconds);
                sink.set_property("playlist-length", hls.length);
                // Whoever reads an older playlist finds its segments still.
                sink.set_property("max-files", hls.length + 3);
                Ok(sink)
            }
            Self::Record(record) => {
                let sink = make("splitmuxsink")?;
                let muxer = make("matroskamux")?;
                muxer.set_property("offset-to-zero", true);
                sink.set_property("muxer", &muxer);
                sink.set_property("max-size-time", clock_time(record.segment).nseconds());
                let (folder, name) = (record.folder.clone(), camera.name.clone());
                let last = Mutex::new((String::new(), 0_u32));
                sink.connect("format-location", false, move |_| {
                    let now = gst::glib::DateTime::now_utc();
                    let time = now.and_then(|now| now.format("%Y%m%dT%H%M%SZ"));
                    let time = time.map(|time| time.to_string()).unwrap_or_default();
                    // Two within a second get different names.
                    let mut last = last.lock();
                    let number = if last.0 == time { last.1 + 1 } else { 0 };
                    *last = (time.clone(), number);
                    let mut file = folder.join(format!("{name}-{time}.mkv"));
                    let mut number = number;
                    while number > 0 || file.exists() {
                        number = number.max(1);
                        file = folder.join(format!("{name}-{time}-{number}.mkv"));
                        if !file.exists() {
                            break;
                        }
                        number += 1;
                    }
                    Some(file.to_string_lossy().to_value())
                });
                Ok(sink)
            }
        }
    }
}

/// An output at work. Dropping it ends its files properly.
#[derive(Debug)]
pub struct Leg {
    pipeline: gst::Pipeline,
    outlet: Arc<Outlet>,
    hub: Arc<Hub>,
    sound: Option<gst::Caps>,
    done: Arc<(Mutex<bool>, parking_lot::Condvar)>,
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.hub.leave(&self.outlet);
        self.outlet.end();
        let (done, signal) = &*self.done;
        let mut done = done.lock();
        if !*done {
            signal.wait_for(&mut done, PATIENCE.into());
        }
        drop(done);
        let _ = self.pipeline.set_state(gst::State::Null);
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
    }
}

/// What brings sound to the form that muxers take.
fn parser(sound: &gst::Caps) -> &'static str {
    let structure = sound.structure(0);
    match structure.map(|structure| structure.name().as_str()) {
        Some("audio/mpeg") => {
            let version = structure.and_then(|structure| structure.get::<i32>("mpegversion").ok());
            if version == Some(1) {
                "! mpegaudioparse"
            } else {
                "! aacparse"
            }
        }
        Some("audio/x-opus") => "! opusparse",
        _ => "",
    }
}

/// Has every gap in the sound that leaves `element` go on as an empty buffer: in GStreamer 1.22 splitmuxsink waits after a gap until there is
/// sound again, and holds the picture back until then.
fn fill(element: &gst::Element) -> Result<(), String> {
    let pad = element
        .static_pad("src")
        .ok_or_else(|| format!("{} has no pad src", element.name()))?;
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |pad, info| {
        let Some(gst::EventView::Gap(gap)) = info.event().map(|event| event.view()) else {
            return gst::PadProbeReturn::Ok;
        };
        let (start, duration) = gap.get();
        let mut buffer = gst::Buffer::new();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(start);
            buffer.set_dts(start);
            buffer.set_duration(duration);
            buffer.set_flags(gst::BufferFlags::GAP);
        }
        // A failure is told by the next packet.
        let _ = pad.push(buffer);
        info.data = None;
        gst::PadProbeReturn::Handled
    });
    Ok(())
}

impl Leg {
    /// Begins with the next key frame, with `sound` if it can be written.
    ///
    /// # Errors
    /// A folder that cannot be made, a missing element, GStreamer's reason.
    pub fn start(
        kind: &Kind,
        camera: &CameraConfig,
        clock: &Clock,
        hub: &Arc<Hub>,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let folder = kind.folder();
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        if let Kind::Hls(_) = kind {
            // What an earlier run has left belongs to no playlist any more.
            for item in crate::retention::files(folder, "segment", ".ts") {
                let _ = std::fs::remove_file(item.what);
            }
        }
        let sound = hub.sound_caps().filter(|sound| kind.takes(sound));
        let video = description("video");
        // The sink's own queues are between the two.
        let mut text = format!("{video} ! h264parse name=last");
        if let Some(sound) = &sound {
            text += &format!(
                " {} {} ! identity name=last-sound",
                description("sound"),
                parser(sound)
            );
        }
        let pipeline = pipeline(&text)?;
        let sink = kind.sink(camera)?;
        let known = |error: gst::glib::BoolError| error.to_string();
        pipeline.add(&sink).map_err(known)?;
        let join = |from: &str, to: &str| -> Result<(), String> {
            let from: gst::Element = child(&pipeline, from)?;
            from.link_pads(Some("src"), &sink, Some(to)).map_err(known)
        };
        join("last", "video")?;
        let mut sound_source = None;
        if let Some(caps) = &sound {
            let name = if matches!(kind, Kind::Hls(_)) {
                "audio"
            } else {
                "audio_%u"
            };
            join("last-sound", name)?;
            let last: gst::Element = child(&pipeline, "last-sound")?;
            fill(&last)?;
            let source: gst_app::AppSrc = child(&pipeline, "sound")?;
            source.set_caps(Some(caps));
            sound_source = Some(source);
        }
        let outlet = Outlet::new(child(&pipeline, "video")?, sound_source, false);
        let done = Arc::new((Mutex::new(false), parking_lot::Condvar::new()));
        clock.rule(&pipeline);
        let leg = Self {
            pipeline,
            outlet,
            hub: hub.clone(),
            sound,
            done: done.clone(),
        };
        let otherwise = format!("cannot write to {}", folder.display());
        play(&leg.pipeline, &otherwise, move |ending| {
            *done.0.lock() = true;
            done.1.notify_all();
            if let Ending::Error(reason) = ending {
                failed(reason);
            }
        })?;
        hub.join(leg.outlet.clone());
        Ok(leg)
    }

    /// Whether the camera's sound has come to be another than the one that is written.
    pub fn outdated(&self, kind: &Kind) -> bool {
        let now = self.hub.sound_caps().filter(|sound| kind.takes(sound));
        now.is_some() && now != self.sound
    }
}
