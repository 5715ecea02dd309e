//! `srfusion upscale --compare`: one picture that shows what the networks do to an input. For a video, the frame with the largest
//! face: bicubic, fused and face mask side by side, whole frames above, the face below.
//!
//! The video runs through the element with `view=mask`, which finds and follows faces but draws nothing, so that only the one frame
//! is drawn. It is drawn with the boxes that the element had for it, smoothed over time.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use gst_video::prelude::*;
use image::RgbImage;
use image::imageops::{self, FilterType};
use serde::Serialize;
use srfusion::{
    BBox, Detection, Frame, FrameInfo, FrameMut, Parameters, SCALE, Size, Upscaler, View,
};

use crate::arguments::UpscaleOptions;
use crate::draft::Draft;
use crate::elements::{self, engine, make, set, static_pad};
use crate::failure::{Failure, Result};
use crate::label::{self, LETTER};
use crate::progress::Progress;
use crate::{interrupt, picture, video};

/// Most frames that are searched for a face.
const SEARCHED: u32 = 1500;
/// Width of one of the three columns in pixels.
const COLUMN: u32 = 640;
/// Largest height of the row of faces in pixels.
const FACE_ROW: u32 = 480;
/// Margin around a face, as a fraction of its height, on both sides together.
const FACE_MARGIN: f32 = 0.6;
/// How often the loop that waits looks at Ctrl-C.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// What the columns show, in their order.
const COLUMNS: [(View, &str); 3] = [
    (View::Bicubic, "bicubic"),
    (View::Fused, "srfusion"),
    (View::Mask, "face mask"),
];

/// What was done, as `--json` prints it.
#[derive(Debug, Serialize)]
struct ComparisonSummary {
    input: String,
    output: String,
    kind: &'static str,
    /// Frames searched; 1 for a picture.
    frames: u64,
    frames_with_faces: u64,
    /// Which frame is shown, counted from 0.
    frame: u64,
    /// Left, top, width and height of the largest face in it, in pixels of the output.
    face: Option<[u32; 4]>,
    /// Where the networks ran.
    provider: String,
}

/// The frame to be shown.
#[derive(Debug, Clone)]
struct Chosen {
    index: u64,
    picture: RgbImage,
    /// The faces that the element had in it, in its pixels; `None` to have them found.
    faces: Option<Vec<Detection>>,
}

/// What the streaming thread finds out.
#[derive(Debug, Default)]
struct Search {
    frames: u64,
    frames_with_faces: u64,
    /// Frames that went into the element and have not come out.
    inside: VecDeque<gst::Buffer>,
    /// Size of the largest face so far, its area times its weight, and its frame.
    best: Option<(f64, Chosen)>,
    /// A frame from the second half of what was seen, should none have a face.
    any: Option<Chosen>,
}

/// Finds the frame, draws it, and writes the comparison.
///
/// # Errors
/// Whatever kept the comparison from being written.
pub fn run(options: &UpscaleOptions, is_picture: bool, progress: &Progress) -> Result<()> {
    let output = options.output.display().to_string();
    let extension = options.output.extension().unwrap_or_default();
    let format = picture::format_by_extension(&extension.to_string_lossy().to_lowercase())
        .ok_or_else(|| {
            Failure::Usage(format!(
                "{output}: a comparison is a picture; expected one of {}",
                picture::EXTENSIONS.join(" ")
            ))
        })?;
    let draft = Draft::create(&options.output)?;
    let (frames, frames_with_faces, chosen) = if is_picture {
        let read = picture::read_rgb8(&options.input)?;
        let picture = image_of(read.samples, read.size)?;
        let chosen = Chosen {
            index: 0,
            picture,
            faces: None,
        };
        (1, 0, chosen)
    } else {
        video::check_size(&options.input)?;
        search(options, progress)?
    };
    progress.message("drawing");
    let drawn = draw(options, &chosen)?;
    let montage = montage(&drawn.pictures, drawn.face);
    montage
        .save_with_format(draft.path(), format)
        .map_err(|error| Failure::Failed(format!("cannot write {output}: {error}")))?;
    if interrupt::interrupted() {
        return Err(Failure::Interrupted);
    }
    draft.finish()?;
    progress.clear();
    let summary = ComparisonSummary {
        input: options.input.display().to_string(),
        output,
        kind: "comparison",
        frames,
        frames_with_faces: frames_with_faces.max(u64::from(is_picture && drawn.face.is_some())),
        frame: chosen.index,
        face: drawn.face,
        provider: drawn.provider,
    };
    if options.json {
        crate::table::print_json(&summary)?;
    } else if !options.quiet {
        println!("{}", summary.text());
    }
    Ok(())
}

impl ComparisonSummary {
    /// The line that is printed for people.
    fn text(&self) -> String {
        let face = match self.face {
            Some([_, _, width, height]) => format!("largest face {width}x{height}"),
            None => "no face was found".to_owned(),
        };
        format!(
            "{}: bicubic, fused, face mask of frame {} of {} (counted from 0), {face}, faces in {} frames, on {}",
            self.output, self.frame, self.frames, self.frames_with_faces, self.provider
        )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn image_of(samples: Vec<u8>, size: Size) -> Result<RgbImage> {
    let side = |side: usize| u32::try_from(side).ok();
    side(size.width)
        .zip(side(size.height))
        .and_then(|(width, height)| RgbImage::from_raw(width, height, samples))
        .ok_or_else(|| Failure::Failed(format!("a picture of {size} is larger than it can be")))
}

/// Runs the video through the element and keeps the frame with the largest face. Returns how many frames there were, how many had a
/// face, and that frame.
fn search(options: &UpscaleOptions, progress: &Progress) -> Result<(u64, u64, Chosen)> {
    elements::init()?;
    let input = options.input.display();
    let pipeline = gst::Pipeline::new();
    let (source, decode) = (make("filesrc")?, make("decodebin")?);
    source.set_property("location", &options.input);
    let chain = [
        make("videoconvert")?,
        make("deinterlace")?,
        make("videoconvert")?,
        make("capsfilter")?,
        make("videoconvert")?,
        make("videoflip")?,
        make("capsfilter")?,
        make("identity")?,
        engine(&options.engine)?,
        make("fakesink")?,
    ];
    let [
        _,
        deinterlace,
        _,
        wide,
        _,
        flip,
        narrow,
        limit,
        engine,
        sink,
    ] = &chain;
    set(deinterlace, "fields", "top")?;
    // GStreamer 1.22's direct way from 4:2:0 to 8-bit RGB is too dark.
    set(wide, "caps", "video/x-raw,format=AYUV64")?;
    set(flip, "video-direction", "auto")?;
    set(narrow, "caps", "video/x-raw,format=RGB")?;
    set(limit, "eos-after", &(SEARCHED + 1).to_string())?;
    set(engine, "view", "mask")?;
    set(sink, "sync", "false")?;

    let failed = |error: gst::glib::BoolError| Failure::Failed(error.to_string());
    pipeline.add_many([&source, &decode]).map_err(failed)?;
    pipeline.add_many(&chain).map_err(failed)?;
    source.link(&decode).map_err(failed)?;
    gst::Element::link_many(&chain).map_err(failed)?;
    let entry = static_pad(&chain[0], "sink")?;
    decode.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let video = caps
            .structure(0)
            .is_some_and(|structure| structure.name().starts_with("video/"));
        if video && !entry.is_linked() {
            // A format that nobody takes ends the pipeline with an error of its own.
            let _ = pad.link(&entry);
        }
    });

    let search = Arc::new(Mutex::new(Search::default()));
    static_pad(engine, "sink")?.add_probe(gst::PadProbeType::BUFFER, {
        let search = search.clone();
        move |_, info| {
            if let Some(buffer) = info.buffer() {
                lock(&search).inside.push_back(buffer.clone());
            }
            gst::PadProbeReturn::Ok
        }
    });
    let entry = static_pad(engine, "sink")?;
    static_pad(engine, "src")?.add_probe(gst::PadProbeType::BUFFER, {
        let search = search.clone();
        move |_, info| {
            if let Some(buffer) = info.buffer() {
                lock(&search).look_at(buffer, &entry);
            }
            gst::PadProbeReturn::Ok
        }
    });

    let outcome = wait(&pipeline, &options.input, || {
        progress.message(&format!(
            "{} frames searched for faces",
            lock(&search).frames
        ));
    });
    // Ends every thread of it; a failure of this leaves nothing to be done.
    let _ = pipeline.set_state(gst::State::Null);
    outcome?;
    let mut search = lock(&search);
    let chosen = search.best.take().map(|(_, chosen)| chosen);
    let chosen = chosen.or_else(|| search.any.take()).ok_or_else(|| {
        Failure::Failed(format!(
            "{input} holds no video of which a frame can be decoded"
        ))
    })?;
    Ok((search.frames, search.frames_with_faces, chosen))
}

/// Runs the pipeline to its end; `tick` is called now and then.
fn wait(pipeline: &gst::Pipeline, input: &Path, tick: impl Fn()) -> Result<()> {
    let bus = pipeline
        .bus()
        .ok_or_else(|| Failure::Failed("the pipeline has no bus".into()))?;
    // A failure here comes with a message on the bus, which says more.
    let _ = pipeline.set_state(gst::State::Playing);
    loop {
        let message =
            bus.timed_pop_filtered(TICK, &[gst::MessageType::Eos, gst::MessageType::Error]);
        if interrupt::interrupted() {
            return Err(Failure::Interrupted);
        }
        match message.as_ref().map(|message| message.view()) {
            None => tick(),
            Some(gst::MessageView::Error(error)) => {
                return Err(Failure::Failed(format!(
                    "cannot read the video in {}: {}",
                    input.display(),
                    error.error()
                )));
            }
            Some(_) => return Ok(()),
        }
    }
}

impl Search {
    /// Looks at a frame of the element's output; `entry` is the element's sink pad.
    fn look_at(&mut self, output: &gst::BufferRef, entry: &gst::Pad) {
        // One frame comes out for each that goes in, in order.
        let input = self.inside.pop_front();
        let index = self.frames;
        self.frames += 1;
        let mut largest = 0.0_f64;
        let faces: Vec<_> = output
            .iter_meta::<gst_video::VideoRegionOfInterestMeta>()
            .filter(|region| region.roi_type() == "face")
            .map(|region| {
                let scale = SCALE as f32;
                let (x, y, width, height) = region.rect();
                let field = |name: &str| {
                    let value = region
                        .params()
                        .find_map(|params| params.get::<f64>(name).ok());
                    value.unwrap_or(1.0)
                };
                largest = largest.max(f64::from(width) * f64::from(height) * field("weight"));
                Detection {
                    bbox: BBox {
                        x0: x as f32 / scale,
                        y0: y as f32 / scale,
                        x1: (x + width) as f32 / scale,
                        y1: (y + height) as f32 / scale,
                    },
                    score: field("score") as f32,
                    points: None,
                    mask: None,
                }
            })
            .collect();
        self.frames_with_faces += u64::from(!faces.is_empty());
        let better =
            !faces.is_empty() && self.best.as_ref().is_none_or(|(size, _)| largest > *size);
        let any = self.best.is_none() && index.is_power_of_two() || index == 0;
        if !(better || any) {
            return;
        }
        let Some(picture) = input.and_then(|buffer| read(&buffer, entry)) else {
            return;
        };
        let chosen = Chosen {
            index,
            picture,
            faces: Some(faces),
        };
        if better {
            self.best = Some((largest, chosen));
        } else {
            self.any = Some(chosen);
        }
    }
}

/// The picture in a frame that goes through `pad`.
fn read(buffer: &gst::Buffer, pad: &gst::Pad) -> Option<RgbImage> {
    let caps = pad.current_caps()?;
    let info = gst_video::VideoInfo::from_caps(&caps).ok()?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).ok()?;
    let stride = usize::try_from(*frame.plane_stride().first()?).ok()?;
    let row = info.width() as usize * 3;
    let data = frame.plane_data(0).ok()?;
    let mut samples = Vec::with_capacity(row * info.height() as usize);
    for line in data.chunks(stride).take(info.height() as usize) {
        samples.extend_from_slice(line.get(..row)?);
    }
    RgbImage::from_raw(info.width(), info.height(), samples)
}

/// What was drawn of the frame.
struct Drawn {
    /// One for each of [`COLUMNS`], of the output's size.
    pictures: Vec<RgbImage>,
    /// Left, top, width and height of the largest face in pixels of the output.
    face: Option<[u32; 4]>,
    provider: String,
}

/// Draws the frame in every view of [`COLUMNS`].
fn draw(options: &UpscaleOptions, chosen: &Chosen) -> Result<Drawn> {
    let canceller = interrupt::canceller();
    let mut upscaler = Upscaler::open(&options.engine.config(), &canceller, &mut |_| ())?;
    let parameters = options.engine.parameters()?;
    let picture = &chosen.picture;
    let size = Size::new(picture.width() as usize, picture.height() as usize);
    let large = size.scaled(SCALE);
    let mut pictures = Vec::new();
    let mut face = None;
    for (view, _) in COLUMNS {
        upscaler.reset();
        upscaler.set_parameters(Parameters {
            view,
            // In a single picture there is no time to fade a face in, and no earlier one to keep anything of.
            fade_time: Duration::ZERO,
            reuse: srfusion::Reuse::None,
            ..parameters.clone()
        })?;
        let mut data = vec![0; large.area() * 3];
        let input = Frame::new(picture.as_raw(), size, size.width * 3)?;
        let mut output = FrameMut::new(&mut data, large, large.width * 3)?;
        let info = FrameInfo {
            faces: chosen.faces.as_deref(),
            ..FrameInfo::default()
        };
        upscaler.process(input, &info, &mut output)?;
        for notice in upscaler.take_notices() {
            eprintln!("srfusion: {notice}");
        }
        if view == View::Fused {
            face = largest(upscaler.faces().iter().map(|face| face.bbox), large);
        }
        pictures.push(image_of(data, large)?);
    }
    let mut providers: Vec<_> = upscaler
        .models()
        .iter()
        .map(|model| model.provider.name())
        .collect();
    providers.dedup();
    Ok(Drawn {
        pictures,
        face,
        provider: providers.join(", "),
    })
}

/// The largest of `boxes`, which are in input pixels, in pixels of an output of size `large`.
fn largest(boxes: impl Iterator<Item = BBox>, large: Size) -> Option<[u32; 4]> {
    let inside = |at: f32, side: usize| (at * SCALE as f32).clamp(0.0, side as f32) as u32;
    boxes
        .map(|face| {
            let (x0, y0) = (inside(face.x0, large.width), inside(face.y0, large.height));
            let (x1, y1) = (inside(face.x1, large.width), inside(face.y1, large.height));
            [x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0)]
        })
        .filter(|[_, _, width, height]| *width > 0 && *height > 0)
        .max_by_key(|[_, _, width, height]| width * height)
}

/// The columns side by side: whole pictures above; below, where there is a face, its surroundings, at full size if they fit.
fn montage(pictures: &[RgbImage], face: Option<[u32; 4]>) -> RgbImage {
    let Some(first) = pictures.first() else {
        return RgbImage::new(0, 0);
    };
    let (width, height) = first.dimensions();
    let above = (COLUMN * height / width).max(1);
    let crop = face.map(|face| surroundings(face, (width, height)));
    let below = crop.map_or(0, |[_, _, width, height]| (COLUMN * height / width).max(1));
    let count = u32::try_from(pictures.len()).unwrap_or(1);
    let mut montage = RgbImage::new(COLUMN * count, above + below);
    let labels = COLUMNS.iter().map(|(_, label)| label);
    for ((column, picture), text) in (0..count).zip(pictures).zip(labels) {
        let left = i64::from(column * COLUMN);
        let whole = imageops::resize(picture, COLUMN, above, FilterType::Triangle);
        imageops::replace(&mut montage, &whole, left, 0);
        if let Some([x, y, width, height]) = crop {
            let part = imageops::crop_imm(picture, x, y, width, height).to_image();
            let part = imageops::resize(&part, COLUMN, below, FilterType::Lanczos3);
            imageops::replace(&mut montage, &part, left, i64::from(above));
        }
        let corner = (column * COLUMN + LETTER / 2, LETTER / 2);
        label::write(&mut montage, text, corner, LETTER);
    }
    montage
}

/// The rectangle of 4:3 around a face that shows it with a margin, at least a column wide, inside a picture of `size`.
fn surroundings([x, y, width, height]: [u32; 4], size: (u32, u32)) -> [u32; 4] {
    let tall = (height as f32 * (1.0 + FACE_MARGIN)) as u32;
    let tall = tall.max(FACE_ROW).min(size.1).min(size.0 * 3 / 4).max(1);
    let wide = (tall * 4 / 3).clamp(1, size.0);
    let start =
        |centre: u32, side: u32, limit: u32| centre.saturating_sub(side / 2).min(limit - side);
    [
        start(x + width / 2, wide, size.0),
        start(y + height / 2, tall, size.1),
        wide,
        tall,
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn the_surroundings_of_a_face_lie_in_the_picture_and_hold_it() {
        for (face, size) in [
            ([0, 0, 40, 50], (1024, 768)),
            ([980, 700, 44, 68], (1024, 768)),
            ([100, 100, 600, 660], (1024, 768)),
            ([10, 10, 20, 20], (64, 48)),
            ([3, 200, 90, 100], (100, 4000)),
            ([0, 0, 1, 1], (1, 1)),
        ] {
            let [x, y, width, height] = surroundings(face, size);
            assert!(width > 0 && height > 0, "{face:?}");
            assert!(x + width <= size.0 && y + height <= size.1, "{face:?}");
            let centre = (face[0] + face[2] / 2, face[1] + face[3] / 2);
            assert!((x..=x + width).contains(&centre.0), "{face:?}");
            assert!((y..=y + height).contains(&centre.1), "{face:?}");
        }
    }

    #[test]
    fn the_largest_face_is_in_pixels_of_the_output_and_inside_it() {
        let boxes = [
            BBox {
                x0: 2.0,
                y0: 3.0,
                x1: 4.0,
                y1: 5.0,
            },
            BBox {
                x0: 20.0,
                y0: 10.0,
                x1: 40.0,
                y1: 30.0,
            },
            BBox {
                x0: -90.0,
                y0: 0.0,
                x1: -10.0,
                y1: 30.0,
            },
        ];
        assert_eq!(
            largest(boxes.into_iter(), Size::new(128, 96)),
            Some([80, 40, 48, 56])
        );
        assert_eq!(largest(std::iter::empty(), Size::new(128, 96)), None);
    }

    #[test]
    fn columns_stand_side_by_side_with_their_labels() {
        let grey = |level| RgbImage::from_pixel(256, 192, Rgb([level; 3]));
        let pictures = [grey(40), grey(80), grey(120)];
        let whole = montage(&pictures, None);
        assert_eq!(whole.dimensions(), (1920, 480));
        let both = montage(&pictures, Some([100, 100, 30, 40]));
        assert_eq!(both.dimensions(), (1920, 960));
        for (column, level) in [(0, 40), (1, 80), (2, 120)] {
            // Far from the label, in the whole picture and in the face.
            for y in [400, 900] {
                assert_eq!(both.get_pixel(column * 640 + 320, y).0, [level; 3]);
            }
            let label = imageops::crop_imm(&both, column * 640, 0, 300, 60).to_image();
            assert!(label.pixels().any(|pixel| pixel.0 == [255; 3]), "{column}");
        }
    }
}
