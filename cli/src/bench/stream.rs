//! The frames that a measurement runs on: a clip decoded into memory, or pictures made here, so that neither decoding nor the
//! making is measured.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use srfusion::{
    BBox, Canceller, Config, FrameInfo, FrameMut, Parameters, SCALE, Size, Upscaler, View,
};

use crate::arguments::{BenchOptions, SyntheticName};
use crate::failure::{Failure, Result};
use crate::metrics::{self, Picture};
use crate::{elements, picture};

/// Frame duration where frames have no times.
const FRAME: Duration = Duration::from_millis(40);
/// Margin around a face that is put into a picture, as a fraction of its box: hair, ears and neck.
const AROUND_FACE: f64 = 0.5;
/// Longest side at which a portrait's face is looked for.
const PORTRAIT: usize = 640;

/// Frames of one size.
pub struct BenchStream {
    /// What it is called in reports.
    pub name: String,
    /// Width and height.
    pub size: Size,
    /// Number of frames.
    pub frames: usize,
    source: StreamSource,
}

enum StreamSource {
    Clip(Vec<Timed>),
    Synthetic(SyntheticScene),
}

/// A frame's time and its samples, packed RGB.
type Timed = (Duration, Vec<u8>);

/// A picture that changes, or does not, from frame to frame.
struct SyntheticScene {
    kind: SyntheticName,
    still: Vec<u8>,
    /// Standard deviation of the noise in levels of 255.
    noise: f64,
    /// Fraction of the area that moves.
    share: f64,
    faces: Vec<Sprite>,
}

/// A cut-out face and where it stands.
struct Sprite {
    picture: Picture,
    x: usize,
    y: usize,
}

impl BenchStream {
    /// The stream that `options` ask for; `config` opens the detector that finds the portrait's face.
    ///
    /// # Errors
    /// [`Failure::Failed`] for a clip or portrait that cannot be used, [`Failure::Usage`] for sizes that do not go together.
    pub fn open(options: &BenchOptions, config: &Config) -> Result<Self> {
        match &options.clip {
            Some(clip) => Self::clip(clip, options.skip as usize, options.frames as usize),
            None => Self::synthetic(options, config),
        }
    }

    fn clip(path: &Path, skip: usize, limit: usize) -> Result<Self> {
        let (size, frames) = decode(path, skip, limit)?;
        Ok(Self {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            size,
            frames: frames.len(),
            source: StreamSource::Clip(frames),
        })
    }

    fn synthetic(options: &BenchOptions, config: &Config) -> Result<Self> {
        let (kind, size) = (options.synthetic, options.size);
        let mut faces = Vec::new();
        if kind == SyntheticName::Faces {
            let Some(portrait) = &options.portrait else {
                return Err(Failure::Usage(
                    "--synthetic faces needs --portrait: a picture with one face, shown upright"
                        .into(),
                ));
            };
            let face = cut_face(portrait, f64::from(options.face_height), config)?;
            faces = place(face, options.faces as usize, size)?;
        }
        let name = match kind {
            SyntheticName::Static => "static".to_owned(),
            SyntheticName::Noise => format!("noise of {} levels", options.noise),
            SyntheticName::Moving => format!("{:.0} % of the area moving", options.share * 100.0),
            SyntheticName::Faces => {
                format!("{} faces {} px high", options.faces, options.face_height)
            }
        };
        let scene = SyntheticScene {
            kind,
            still: texture(size, 0),
            noise: options.noise,
            share: options.share,
            faces,
        };
        Ok(Self {
            name,
            size,
            frames: options.frames as usize,
            source: StreamSource::Synthetic(scene),
        })
    }

    /// Bytes that the frames take in memory.
    pub fn memory(&self) -> u64 {
        match &self.source {
            StreamSource::Clip(frames) => frames.iter().map(|(_, data)| data.len() as u64).sum(),
            StreamSource::Synthetic(scene) => scene.still.len() as u64,
        }
    }

    /// Makes `frame` the frame of number `index`, packed RGB, and returns its time.
    pub fn read(&self, index: usize, frame: &mut Vec<u8>) -> Duration {
        frame.clear();
        match &self.source {
            StreamSource::Clip(frames) => {
                let (time, data) = &frames[index % frames.len()];
                frame.extend_from_slice(data);
                *time
            }
            StreamSource::Synthetic(scene) => {
                frame.extend_from_slice(&scene.still);
                scene.draw(self.size, index, frame);
                FRAME * index as u32
            }
        }
    }
}

impl SyntheticScene {
    /// Changes `frame`, the still picture, into that of frame `index`.
    fn draw(&self, size: Size, index: usize, frame: &mut [u8]) {
        match self.kind {
            SyntheticName::Static => {}
            SyntheticName::Noise => {
                for (place, sample) in frame.iter_mut().enumerate() {
                    let at = (index as u64) << 40 | place as u64;
                    // The sum of four uniform numbers is near enough to a normal one; its variance is a third.
                    let sum: f64 = (0..4).map(|k| unit(at ^ k << 60) * 2.0 - 1.0).sum();
                    let noise = sum * 0.75_f64.sqrt() * self.noise;
                    *sample = (f64::from(*sample) + noise).round().clamp(0.0, 255.0) as u8;
                }
            }
            SyntheticName::Moving => {
                let side = self.share.sqrt();
                let part = |length: usize| ((length as f64 * side).round() as usize).min(length);
                let (width, height) = (part(size.width), part(size.height));
                let (left, top) = ((size.width - width) / 2, (size.height - height) / 2);
                for y in top..top + height {
                    // Every row shows the picture shifted, further with each frame.
                    let row = &self.still[y * size.width * 3..(y + 1) * size.width * 3];
                    for x in left..left + width {
                        let from = (x + 7 * index + 1) % size.width;
                        let to = (y * size.width + x) * 3;
                        frame[to..to + 3].copy_from_slice(&row[from * 3..from * 3 + 3]);
                    }
                }
            }
            SyntheticName::Faces => {
                for sprite in &self.faces {
                    // A slow sway, so that no face is a still picture.
                    let x = sprite.x + (index % 4).min(4 - index % 4);
                    let Size { width, height } = sprite.picture.size;
                    let rows = sprite.picture.samples.chunks_exact(width * 3);
                    for (y, row) in rows.enumerate().take(height) {
                        let to = ((sprite.y + y) * size.width + x) * 3;
                        frame[to..to + row.len()].copy_from_slice(row);
                    }
                }
            }
        }
    }
}

/// A number in `0.0..1.0` that depends on `at` alone and looks random (splitmix64).
fn unit(at: u64) -> f64 {
    let mut z = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ z >> 31) as f64 / u64::MAX as f64
}

/// A picture with structure of every size, packed RGB.
fn texture(size: Size, seed: u64) -> Vec<u8> {
    let corner = |x: usize, y: usize, cell: usize, c: u64| {
        unit(seed ^ c << 56 | (cell as u64) << 44 | (y as u64) << 22 | x as u64)
    };
    let mut picture = Vec::with_capacity(size.area() * 3);
    for y in 0..size.height {
        for x in 0..size.width {
            for c in 0..3 {
                let mut value = 0.0;
                for (cell, weight) in [(64, 0.5), (16, 0.3), (4, 0.2)] {
                    let (left, top) = (x / cell, y / cell);
                    let (u, v) = (
                        (x % cell) as f64 / cell as f64,
                        (y % cell) as f64 / cell as f64,
                    );
                    let row =
                        |y| (1.0 - u) * corner(left, y, cell, c) + u * corner(left + 1, y, cell, c);
                    value += weight * ((1.0 - v) * row(top) + v * row(top + 1));
                }
                picture.push((value * 255.0).round() as u8);
            }
        }
    }
    picture
}

/// The largest face of a portrait with what is around it, scaled to a face of `height` pixels.
fn cut_face(path: &Path, height: f64, config: &Config) -> Result<Picture> {
    let portrait = picture::read_rgb8(path)?;
    let longest = portrait.size.width.max(portrait.size.height) as f64;
    let portrait = match PORTRAIT as f64 / longest {
        scale if scale < 1.0 => metrics::resize(&portrait.frame()?, scale)?,
        _ => portrait,
    };
    let mut finder = Upscaler::open(config, &Canceller::new(), &mut |_| ())?;
    finder.set_parameters(Parameters {
        view: View::Mask,
        ..Parameters::default()
    })?;
    let size = portrait.size.scaled(SCALE);
    let mut mask = vec![0u8; size.area() * 3];
    let mut output = FrameMut::new(&mut mask, size, size.width * 3)?;
    finder.process(portrait.frame()?, &FrameInfo::default(), &mut output)?;
    let face = finder.faces().iter().map(|face| face.bbox);
    let largest = face.max_by(|a, b| (a.y1 - a.y0).total_cmp(&(b.y1 - b.y0)));
    let Some(BBox { x0, y0, x1, y1 }) = largest else {
        return Err(Failure::Failed(format!(
            "{}: no face found in it",
            path.display()
        )));
    };
    let (wide, high) = (f64::from(x1 - x0), f64::from(y1 - y0));
    let margin = |low: f32, high: f32, by: f64, side: usize| {
        let low = (f64::from(low) - by * AROUND_FACE).max(0.0) as usize;
        let high = (f64::from(high) + by * AROUND_FACE).min(side as f64) as usize;
        (low, high)
    };
    let (left, right) = margin(x0, x1, wide, portrait.size.width);
    let (top, bottom) = margin(y0, y1, high, portrait.size.height);
    let samples = portrait
        .samples
        .chunks_exact(portrait.size.width * 3)
        .take(bottom)
        .skip(top)
        .flat_map(|row| &row[left * 3..right * 3])
        .copied()
        .collect();
    let cut = Picture {
        size: Size::new(right - left, bottom - top),
        samples,
    };
    Ok(metrics::resize(&cut.frame()?, height / high)?)
}

/// `count` copies of a face spread over a frame of `size`.
fn place(face: Picture, count: usize, size: Size) -> Result<Vec<Sprite>> {
    // Room to sway.
    let (width, height) = (face.size.width + 4, face.size.height);
    let (columns, rows) = (size.width / width, size.height / height);
    if columns * rows < count {
        return Err(Failure::Usage(format!(
            "--faces {count}: a frame of {size} has room for {} faces of this height",
            columns * rows
        )));
    }
    // As even a grid as the faces fill.
    let wanted = (1..=columns)
        .find(|columns| columns * rows.min(*columns) >= count)
        .unwrap_or(columns);
    let lines = count.div_ceil(wanted.max(1)).max(1);
    Ok((0..count)
        .map(|i| Sprite {
            picture: face.clone(),
            x: (i % wanted) * size.width / wanted + (size.width / wanted - width) / 2,
            y: (i / wanted) * size.height / lines + (size.height / lines - height) / 2,
        })
        .collect())
}

/// What a decoding pipeline has found so far.
#[derive(Default)]
struct Decoded {
    seen: usize,
    size: Option<Size>,
    frames: Vec<Timed>,
}

/// Frames of a video from number `skip` on, at most `limit`, as packed RGB with their times.
fn decode(path: &Path, skip: usize, limit: usize) -> Result<(Size, Vec<Timed>)> {
    let failed =
        |reason: String| Failure::Failed(format!("cannot read {}: {reason}", path.display()));
    if !path.is_file() {
        return Err(failed("expected the name of a video".into()));
    }
    let pipeline = gst::parse::launch(
        "filesrc name=in ! decodebin ! videoconvert ! capsfilter name=wide ! videoconvert \
         ! video/x-raw,format=RGB ! fakesink name=out sync=false",
    )
    .map_err(|error| failed(error.to_string()))?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| failed("GStreamer made no pipeline".into()))?;
    let named = |name: &str| {
        pipeline
            .by_name(name)
            .ok_or_else(|| failed(format!("no element {name}")))
    };
    named("in")?.set_property("location", path);
    elements::set(&named("wide")?, "caps", "video/x-raw,format=AYUV64")?;
    let found = Arc::new(Mutex::new(Decoded::default()));
    let pad = elements::static_pad(&named("out")?, "sink")?;
    pad.add_probe(gst::PadProbeType::BUFFER, {
        let (found, weak) = (found.clone(), pipeline.downgrade());
        move |pad, info| {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.seen += 1;
            let full = found.frames.len() == limit;
            if let (Some(buffer), true, false) = (info.buffer(), found.seen > skip, full) {
                keep(&mut found, pad, buffer);
            }
            if found.frames.len() == limit
                && let Some(pipeline) = weak.upgrade()
            {
                let end = gst::message::Application::new(gst::Structure::new_empty("enough"));
                // Without a bus there is nobody left to tell.
                let _ = pipeline.post_message(end);
            }
            gst::PadProbeReturn::Ok
        }
    });
    let bus = pipeline
        .bus()
        .ok_or_else(|| failed("the pipeline has no bus".into()))?;
    // A failure here comes with a message on the bus, which says more.
    let _ = pipeline.set_state(gst::State::Playing);
    let end = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(120),
        &[
            gst::MessageType::Eos,
            gst::MessageType::Error,
            gst::MessageType::Application,
        ],
    );
    let _ = pipeline.set_state(gst::State::Null);
    match end.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => return Err(failed(error.error().to_string())),
        None => return Err(failed("it was not decoded within two minutes".into())),
        _ => {}
    }
    let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    match found.size {
        Some(size) => Ok((size, found.frames)),
        None => Err(failed(format!("it has no frame after the first {skip}"))),
    }
}

/// Adds a decoded frame, if it has the size of those before it.
fn keep(found: &mut Decoded, pad: &gst::Pad, buffer: &gst::BufferRef) {
    let info = pad
        .current_caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
    let (Some(info), Ok(map)) = (info, buffer.map_readable()) else {
        return;
    };
    let size = Size::new(info.width() as usize, info.height() as usize);
    if *found.size.get_or_insert(size) != size {
        return;
    }
    let rows = map.chunks(info.stride()[0] as usize).take(size.height);
    let data = rows
        .flat_map(|row| &row[..size.width * 3])
        .copied()
        .collect();
    let time = buffer
        .pts()
        .map_or(FRAME * found.frames.len() as u32, Into::into);
    found.frames.push((time, data));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn scene(kind: SyntheticName, size: Size) -> BenchStream {
        BenchStream {
            name: String::new(),
            size,
            frames: 3,
            source: StreamSource::Synthetic(SyntheticScene {
                kind,
                still: texture(size, 0),
                noise: 2.0,
                share: 0.25,
                faces: Vec::new(),
            }),
        }
    }

    /// Fraction of the pixels that differ between frames 1 and 2.
    fn changed(stream: &BenchStream) -> f64 {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        stream.read(1, &mut first);
        stream.read(2, &mut second);
        let pixels = first.chunks_exact(3).zip(second.chunks_exact(3));
        pixels.filter(|(a, b)| a != b).count() as f64 / stream.size.area() as f64
    }

    #[test]
    fn as_much_changes_as_is_said() {
        let size = Size::new(80, 60);
        assert_eq!(changed(&scene(SyntheticName::Static, size)), 0.0);
        assert!(changed(&scene(SyntheticName::Noise, size)) > 0.9);
        let moving = changed(&scene(SyntheticName::Moving, size));
        assert!((moving - 0.25).abs() < 0.01, "{moving}");
    }

    #[test]
    fn noise_has_its_deviation() {
        let stream = scene(SyntheticName::Noise, Size::new(100, 100));
        let StreamSource::Synthetic(still) = &stream.source else {
            unreachable!()
        };
        let mut frame = Vec::new();
        stream.read(0, &mut frame);
        let squares = frame.iter().zip(&still.still);
        let sum: f64 = squares
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum();
        let deviation = (sum / frame.len() as f64).sqrt();
        assert!((deviation - 2.0).abs() < 0.1, "{deviation}");
    }

    #[test]
    fn faces_do_not_overlap() {
        let face = Picture {
            size: Size::new(30, 40),
            samples: vec![9; 30 * 40 * 3],
        };
        let size = Size::new(200, 100);
        for count in 1..=10 {
            let sprites = place(face.clone(), count, size).unwrap();
            assert_eq!(sprites.len(), count);
            for (i, a) in sprites.iter().enumerate() {
                assert!(a.x + 34 <= size.width && a.y + 40 <= size.height);
                for b in &sprites[i + 1..] {
                    assert!(a.x.abs_diff(b.x) >= 34 || a.y.abs_diff(b.y) >= 40);
                }
            }
        }
        assert!(place(face, 11, size).is_err());
    }
}
