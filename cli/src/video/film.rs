//! All frames of a video as `upscale` decodes them, for what looks at a film again.

use std::path::Path;

use srfusion::PixelFormat;

use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::video::decode::{Control, Decoder, Shape, Source};
use crate::video::layout::Layout;
use crate::video::probe::{Input, Stream, TimeBase};
use crate::video::times::Times;
use crate::video::tools::Tools;

/// A decoded frame of a film.
#[derive(Debug)]
pub struct FilmFrame {
    /// Its number, from 0.
    pub number: u64,
    /// Nanoseconds after the first.
    pub time: i64,
    /// Its distance from the one before, in nanoseconds.
    pub step: i64,
    /// Its samples, plane after plane, rows packed.
    pub data: Vec<u8>,
}

/// A video that can be decoded.
#[derive(Debug)]
pub struct Film {
    source: Source,
    base: TimeBase,
    step: i64,
    /// What frames are.
    pub shape: Shape,
    /// Name of the coding.
    pub codec: String,
}

impl Film {
    /// Opens the video at `path`, whose frames are on record in GStreamer's `formats`: with their transparency if one of these has it.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it is none.
    pub fn open(path: &Path, formats: &[&str]) -> Result<Self> {
        let tools = Tools::find()?;
        let input = Input::open(path)?;
        let video: Stream = input.video()?.clone();
        let frame = input.first_frame(&video)?;
        // As `upscale` has it: turned upright, in the format that holds as much.
        let turned = video.rotation() % 180 != 0;
        let (width, height) = if turned {
            (frame.height, frame.width)
        } else {
            (frame.width, frame.height)
        };
        let transparent = formats
            .iter()
            .filter_map(|name| PixelFormat::from_name(name))
            .any(|format| format.layout().alpha);
        let shape = Shape {
            width,
            height,
            layout: if transparent {
                Layout::transparent(&frame.pix_fmt)
            } else {
                Layout::of(&frame.pix_fmt)
            },
        };
        let base = video.unit();
        let (num, den) = video.rate().map_or((25, 1), |rate| (rate.num, rate.den));
        let second = i64::from(den) * 1_000_000_000;
        Ok(Self {
            source: Source::new(&tools, &input, &video, shape),
            base,
            step: base.units(second / i64::from(num.max(1))),
            shape,
            codec: video.codec_name.clone(),
        })
    }

    /// Whether frames of GStreamer's format `name` hold the same samples as these, though maybe in another order.
    pub fn has_samples_of(&self, name: &str) -> bool {
        let own = PixelFormat::from_name(self.shape.layout.gstreamer.to_str().as_str());
        let (Some(own), Some(other)) = (own, PixelFormat::from_name(name)) else {
            return false;
        };
        let kind = |format: PixelFormat| {
            let layout = format.layout();
            let shifts = layout.subsampling();
            (layout.family, layout.depth(), layout.alpha, shifts)
        };
        kind(own) == kind(other)
    }

    /// Decodes it and hands every frame to `take`, until that returns false.
    ///
    /// # Errors
    /// Those of the decoder and of `take`; [`Failure::Interrupted`].
    pub fn each(&self, mut take: impl FnMut(FilmFrame) -> Result<bool>) -> Result<()> {
        let control = Control::default();
        let mut decoder = Decoder::start(&self.source, &control, None)?;
        let mut times = Times::new(self.step);
        let (mut start, mut number) = (None, 0);
        let mut give = |time: i64, step: i64, data: Vec<u8>| {
            let since = time - *start.get_or_insert(time);
            number += 1;
            take(FilmFrame {
                number: number - 1,
                time: self.base.nanoseconds(since),
                step: self.base.nanoseconds(step.max(1)),
                data,
            })
        };
        while let Some(frame) = decoder.next()? {
            if interrupt::interrupted() {
                return Err(Failure::Interrupted);
            }
            if let Some((time, data)) = times.push(frame.time, frame.data)
                && !give(time, times.step(), data)?
            {
                control.stop();
                return Ok(());
            }
        }
        while let Some((time, data)) = times.pop() {
            if !give(time, times.step(), data)? {
                break;
            }
        }
        // Somebody may have ended it: then there were more.
        decoder.faults()?;
        Ok(())
    }
}
