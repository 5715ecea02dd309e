//! Reading a clip frame by frame, as 8-bit luma and, of the frames that are asked for, in colour. A picture is a clip of one frame.
//! [`convert`] makes colours of planes.

mod convert;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::{VideoChromaSite, VideoColorMatrix, VideoColorimetry, VideoFrameExt, VideoInfo};
use srfusion::Size;

use convert::{Channel, Colours, Site};

use crate::failure::{Failure, Result};
use crate::metrics::{Luma, Picture};
use crate::{elements, interrupt};

/// How long to wait for one frame, and how often to look whether the user has had enough.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(200);

/// Stands for the colorimetry of frames that have no luma.
const RGB: &str = "RGB";

/// A frame as it was decoded.
#[derive(Debug, Clone)]
pub struct DecodedFrame {
    /// Presentation time from the clip's start.
    pub time: Duration,
    buffer: gst::Buffer,
    info: VideoInfo,
}

impl DecodedFrame {
    /// The matrix of its colours.
    fn matrix(&self) -> VideoColorMatrix {
        self.info.colorimetry().matrix()
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        Size::new(self.info.width() as usize, self.info.height() as usize)
    }

    /// Its luma, as coded; of a frame of RGB that of [`Luma::of`].
    ///
    /// # Errors
    /// [`Failure::Failed`] for memory that cannot be read.
    pub fn luma(&self) -> Result<Luma> {
        if self.info.is_rgb() {
            return Ok(Luma::of(&self.picture()?.frame()?));
        }
        let frame = self.map()?;
        let size = self.size();
        let plane = frame.plane_data(0).map_err(unreadable)?;
        let stride = frame.plane_stride()[0] as usize;
        Ok(Luma::new(
            packed(plane, stride, size.width, size.height),
            size,
        )?)
    }

    /// Whether its luma means the same as that of `other`.
    fn compares_with(&self, other: &Self) -> bool {
        let range = |shot: &Self| shot.info.colorimetry().range();
        self.info.is_rgb() == other.info.is_rgb()
            && self.matrix() == other.matrix()
            && range(self) == range(other)
    }

    /// In colour.
    ///
    /// # Errors
    /// [`Failure::Failed`] for memory that cannot be read.
    pub fn picture(&self) -> Result<Picture> {
        let frame = self.map()?;
        let size = self.size();
        let plane = |index: usize| -> Result<Channel<'_>> {
            Ok(Channel {
                data: frame.plane_data(index as u32).map_err(unreadable)?,
                stride: frame.plane_stride()[index] as usize,
                size: Size::new(
                    frame.comp_width(index as u32) as usize,
                    frame.comp_height(index as u32) as usize,
                ),
            })
        };
        let samples = if self.info.is_rgb() {
            let all = plane(0)?;
            packed(all.data, all.stride, size.width * 3, size.height)
        } else {
            let site = self.info.chroma_site();
            let site = Site {
                // Where nothing is said, as H.264 and H.265 have it.
                first_column: site.is_empty() || site.contains(VideoChromaSite::H_COSITED),
                first_row: site.contains(VideoChromaSite::V_COSITED),
            };
            let range = self.info.colorimetry().range();
            let colours = Colours::new(self.matrix(), range, size.height);
            convert::rgb(plane(0)?, [plane(1)?, plane(2)?], site, colours)
        };
        Ok(Picture { size, samples })
    }

    fn map(&self) -> Result<gst_video::VideoFrameRef<&gst::BufferRef>> {
        gst_video::VideoFrameRef::from_buffer_ref_readable(&self.buffer, &self.info)
            .map_err(unreadable)
    }
}

fn unreadable(error: gst::glib::BoolError) -> Failure {
    Failure::Failed(error.to_string())
}

/// A clip being read.
pub struct Clip {
    path: PathBuf,
    pipeline: gst::Pipeline,
    sink: gst::Element,
    start: Option<gst::ClockTime>,
    ahead: Option<DecodedFrame>,
    read: usize,
}

impl Drop for Clip {
    fn drop(&mut self) {
        // Ends every thread of it; a failure of this leaves nothing to be done.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Clip {
    /// Opens a clip; its luma is converted where it has other colours than `like`.
    ///
    /// # Errors
    /// [`Failure::Failed`] naming the file.
    pub fn open(path: &Path, like: Option<&Self>) -> Result<Self> {
        let model = like.and_then(|like| like.ahead.as_ref());
        let matrix = model.map_or(VideoColorMatrix::Unknown, DecodedFrame::matrix);
        let clip = Self::start(path, None, matrix)?;
        match (&clip.ahead, model) {
            (Some(shot), Some(model)) if !shot.compares_with(model) => {
                let wanted = match model.info.is_rgb() {
                    true => RGB.to_owned(),
                    false => model.info.colorimetry().to_string(),
                };
                Self::start(path, Some(wanted), matrix)
            }
            _ => Ok(clip),
        }
    }

    fn start(path: &Path, colorimetry: Option<String>, matrix: VideoColorMatrix) -> Result<Self> {
        if !path.is_file() {
            let reason = "expected the name of a video or a picture";
            return Err(Failure::Failed(format!(
                "cannot read {}: {reason}",
                path.display()
            )));
        }
        let failed = |reason: String| fail(path, &reason);
        let pipeline = gst::parse::launch(
            "filesrc name=in ! decodebin ! videoconvert name=first dither=none ! videoflip video-direction=auto \
             ! videoconvert dither=none ! appsink name=out sync=false max-buffers=3",
        )
        .map_err(|error| failed(error.to_string()))?
        .downcast::<gst::Pipeline>()
        .map_err(|_| failed("GStreamer made no pipeline".into()))?;
        let named = |name: &str| {
            pipeline
                .by_name(name)
                .ok_or_else(|| failed(format!("no element {name}")))
        };
        named("in")?.set_property("location", path);
        let sink = named("out")?;
        let first = elements::static_pad(&named("first")?, "sink")?;
        first.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(gst::PadProbeData::Event(event)) = &mut info.data
                && let gst::EventView::Caps(caps) = event.view()
                && let Some(complete) = complete(caps.caps(), matrix)
            {
                let sequence = event.seqnum();
                *event = gst::event::Caps::builder(&complete)
                    .seqnum(sequence)
                    .build();
            }
            gst::PadProbeReturn::Ok
        });
        let caps = match colorimetry {
            None => "video/x-raw,format=(string){ I420, Y42B, Y444, RGB }".into(),
            Some(text) if text == RGB => "video/x-raw,format=(string)RGB".into(),
            Some(text) => format!(
                "video/x-raw,format=(string){{ I420, Y42B, Y444 }},colorimetry=(string){text}"
            ),
        };
        elements::set(&sink, "caps", &caps)?;
        // A failure here comes with a message on the bus, which says more.
        let _ = pipeline.set_state(gst::State::Playing);
        let mut clip = Self {
            path: path.to_owned(),
            pipeline,
            sink,
            start: None,
            ahead: None,
            read: 0,
        };
        clip.ahead = clip.pull()?;
        if clip.ahead.is_none() {
            return Err(failed("it has no frame".into()));
        }
        Ok(clip)
    }

    /// Number of frames, as far as the file tells: exact or not.
    pub fn expected(&self) -> Option<usize> {
        let rate = self.ahead.as_ref()?.info.fps();
        let duration = self.pipeline.query_duration::<gst::ClockTime>()?;
        let seconds = duration.nseconds() as f64 / 1e9;
        let frames = seconds * f64::from(rate.numer()) / f64::from(rate.denom());
        (frames >= 1.0).then_some(frames.round() as usize)
    }

    /// Size of the next frame.
    pub fn size(&self) -> Option<Size> {
        self.ahead.as_ref().map(DecodedFrame::size)
    }

    /// Frames read so far.
    pub fn read(&self) -> usize {
        self.read
    }

    /// The next frame, `None` at the end.
    ///
    /// # Errors
    /// [`Failure::Failed`] naming the file, [`Failure::Interrupted`].
    pub fn next(&mut self) -> Result<Option<DecodedFrame>> {
        let Some(shot) = self.ahead.take() else {
            return Ok(None);
        };
        self.ahead = self.pull()?;
        self.read += 1;
        Ok(Some(shot))
    }

    fn pull(&mut self) -> Result<Option<DecodedFrame>> {
        let waiting = Instant::now();
        loop {
            let sample = self
                .sink
                .emit_by_name::<Option<gst::Sample>>("try-pull-sample", &[&TICK.nseconds()]);
            if interrupt::interrupted() {
                return Err(Failure::Interrupted);
            }
            if let Some(sample) = sample {
                return self.shot(&sample).map(Some);
            }
            let message = self
                .pipeline
                .bus()
                .and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
            if let Some(gst::MessageView::Error(error)) =
                message.as_ref().map(|message| message.view())
            {
                return Err(fail(&self.path, &error.error().to_string()));
            }
            if self.sink.property::<bool>("eos") {
                return Ok(None);
            }
            if waiting.elapsed() > PATIENCE {
                let reason = format!("no frame came within {} s", PATIENCE.as_secs());
                return Err(fail(&self.path, &reason));
            }
        }
    }

    fn shot(&mut self, sample: &gst::Sample) -> Result<DecodedFrame> {
        let broken = || fail(&self.path, "GStreamer gave a frame without a format");
        let info = sample.caps().ok_or_else(broken)?;
        let info = VideoInfo::from_caps(info).map_err(|_| broken())?;
        let buffer = sample.buffer_owned().ok_or_else(broken)?;
        let pts = buffer.pts().unwrap_or_default();
        let start = *self.start.get_or_insert(pts);
        Ok(DecodedFrame {
            time: pts.saturating_sub(start).into(),
            buffer,
            info,
        })
    }
}

/// The caps of decoded frames with the matrix filled in, where it alone is unknown: GStreamer would throw away the range with it, and read a
/// video of full range as one of limited range. `matrix` is taken where it is known, else what is customary for the height.
fn complete(caps: &gst::CapsRef, matrix: VideoColorMatrix) -> Option<gst::Caps> {
    let info = VideoInfo::from_caps(caps).ok()?;
    let text = caps.structure(0)?.get::<String>("colorimetry").ok();
    let found = text.and_then(|text| VideoColorimetry::from_str(&text).ok())?;
    if !info.is_yuv() || found.matrix() != VideoColorMatrix::Unknown {
        return None;
    }
    let matrix = match matrix {
        VideoColorMatrix::Unknown => convert::customary(info.height() as usize),
        known => known,
    };
    let colorimetry =
        VideoColorimetry::new(found.range(), matrix, found.transfer(), found.primaries());
    let mut caps = caps.to_owned();
    caps.make_mut().set("colorimetry", colorimetry.to_string());
    Some(caps)
}

/// `count` rows of `width` bytes, `stride` bytes apart in `plane`, put together.
fn packed(plane: &[u8], stride: usize, width: usize, count: usize) -> Vec<u8> {
    let mut samples = Vec::with_capacity(width * count);
    for row in plane.chunks(stride).take(count) {
        samples.extend_from_slice(&row[..width]);
    }
    samples
}

fn fail(path: &Path, reason: &str) -> Failure {
    Failure::Failed(format!("cannot read {}: {reason}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_range_survives_an_unknown_matrix() {
        gst::init().unwrap();
        let caps = |colorimetry: &str, height: i32| {
            gst::Caps::builder("video/x-raw")
                .field("format", "I420")
                .field("width", 64)
                .field("height", height)
                .field("framerate", gst::Fraction::new(25, 1))
                .field("colorimetry", colorimetry)
                .build()
        };
        let of = |colorimetry, height, matrix| {
            let complete = complete(&caps(colorimetry, height), matrix)?;
            let info = VideoInfo::from_caps(&complete).unwrap();
            Some((info.colorimetry().matrix(), info.colorimetry().range()))
        };
        use VideoColorMatrix::{Bt601, Bt709, Unknown};
        use gst_video::VideoColorRange::Range0_255;
        assert_eq!(of("1:0:0:0", 480, Unknown), Some((Bt601, Range0_255)));
        assert_eq!(of("1:0:0:0", 720, Unknown), Some((Bt709, Range0_255)));
        assert_eq!(of("1:0:0:0", 720, Bt601), Some((Bt601, Range0_255)));
        assert_eq!(of("bt709", 480, Bt601), None);
    }
}
