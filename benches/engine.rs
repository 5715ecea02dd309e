//! What the engine does around its networks, timed on one core: whole frames with networks that cost nothing, the plan, and the
//! mask. Run with `cargo bench --bench engine [-- PART OF A NAME]`; medians of alternating rounds are printed, nothing is asserted.
//! `-- guard`, and nothing else, times the identity guard with the shipped networks on all cores: one face, with and without it by turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use srfusion::Encoding;
use srfusion::Generator;
use srfusion::testing::FixedFaces;
use srfusion::testing::parts::{Cells, Limit, Mask, Profile, Shapes, rectangles, runs};
use srfusion::{BBox, Detection};
use srfusion::{
    ByteLayout, Channels, ColourFamily, Error, Format, Frame, FrameInfo, FrameMemory, FrameMut,
    Parameters, PixelFormat, Range, Result, Reuse, SCALE, Size, Upscaler,
};

#[path = "engine/guard.rs"]
mod guard;

/// The frame that the promises speak of.
const SIZE: Size = Size::new(640, 360);
/// Rounds, in each of which every measurement has a turn.
const ROUNDS: usize = 15;
/// Frames or calls of one turn.
const TURN: usize = 12;
/// Receptive radius of the shipped generators.
const RADIUS: usize = 10;

/// How a stand-in for a network takes pictures and gives them.
#[derive(Clone, Copy)]
struct Traits {
    channels: Channels,
    bytes: bool,
}

const COLOURS: Traits = Traits {
    channels: Channels::Rgb,
    bytes: false,
};

/// A generator whose results are there before it is asked.
struct Blank {
    traits: Traits,
    floats: Vec<f32>,
    bytes: Vec<u8>,
}

impl Blank {
    fn new(traits: Traits) -> Self {
        Self {
            traits,
            floats: Vec::new(),
            bytes: Vec::new(),
        }
    }
}

impl Generator for Blank {
    fn name(&self) -> &str {
        "blank"
    }

    fn radius(&self) -> usize {
        RADIUS
    }

    fn encoding(&self) -> Encoding {
        Encoding {
            channels: self.traits.channels,
            ..Encoding::default()
        }
    }

    fn byte_layout(&self) -> Option<ByteLayout> {
        self.traits.bytes.then_some(ByteLayout::Planar)
    }

    fn run_bytes(
        &mut self,
        input: &[u8],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Duration> {
        black_box(input);
        let length = count * self.traits.channels.count() * size.scaled(SCALE).area();
        if self.bytes.len() < length {
            self.bytes = (0..length).map(|i| (i % 251) as u8).collect();
        }
        take(&self.bytes[..length]).map(|()| Duration::ZERO)
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        black_box(input);
        let length = count * self.traits.channels.count() * size.scaled(SCALE).area();
        if self.floats.len() < length {
            self.floats = (0..length).map(|i| (i % 997) as f32 / 997.0).collect();
        }
        take(&self.floats[..length]).map(|()| Duration::ZERO)
    }
}

/// One thing to time.
struct Measurement {
    name: String,
    turn: Box<dyn FnMut() -> Result<()>>,
    times: Vec<Duration>,
}

impl Measurement {
    fn new(name: String, turn: impl FnMut() -> Result<()> + 'static) -> Self {
        Self {
            name,
            turn: Box::new(turn),
            times: Vec::new(),
        }
    }
}

/// Two pictures that differ in every block of pixels, of colours that there are: hardly any codes of luma and colour differences stand for
/// such.
fn pictures(format: Format) -> Result<[FrameMemory; 2]> {
    let mut pictures = [FrameMemory::default(), FrameMemory::default()];
    for (seed, picture) in pictures.iter_mut().enumerate() {
        picture.fit(&format, SIZE);
        let mut frame = picture.frame(format, SIZE)?;
        let layout = format.layout();
        for plane in 0..layout.planes {
            for y in 0..layout.rows(plane, SIZE.height) {
                let row = frame.plane_row_mut(plane, y).iter_mut().enumerate();
                let code = |x| (x * 7 + y * 31 + seed * 90) as u8;
                row.for_each(|(x, byte)| {
                    *byte = match (format.layout().family, plane) {
                        (ColourFamily::Yuv, 0) => 64 + code(x) / 2,
                        (ColourFamily::Yuv, _) => 120 + code(x) / 16,
                        _ => code(x),
                    };
                });
            }
        }
    }
    Ok(pictures)
}

/// A frame after another through the flow; `moving` alternates between two pictures.
fn frames(
    (pixels, traits): (PixelFormat, Traits),
    reuse: Reuse,
    faces: &[BBox],
    moving: bool,
) -> Result<impl FnMut() -> Result<()> + use<>> {
    let detections = faces
        .iter()
        .map(|&bbox| Detection {
            bbox,
            score: 0.9,
            points: None,
            mask: None,
        })
        .collect();
    let mut upscaler = Upscaler::with_networks(
        Box::new(Blank::new(traits)),
        Some(Box::new(Blank::new(traits))),
        Some(Box::new(FixedFaces(detections))),
        0,
        None,
    )?;
    upscaler.set_parameters(Parameters {
        reuse,
        ..Parameters::default()
    })?;
    // What colours have by default, so that the rows are those of what people play.
    let format = Format {
        range: match pixels {
            PixelFormat::Rgb => Range::Full,
            _ => Range::Limited,
        },
        ..Format::rgb(pixels)
    };
    let mut pictures = pictures(format)?;
    let out = SIZE.scaled(SCALE);
    let mut result = FrameMemory::default();
    result.fit(&format, out);
    let mut index: u32 = 0;
    Ok(move || {
        let picture = &mut pictures[if moving { index as usize % 2 } else { 0 }];
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * index),
            ..FrameInfo::default()
        };
        index += 1;
        upscaler.process(
            picture.frame(format, SIZE)?.as_frame(),
            &info,
            &mut result.frame(format, out)?,
        )
    })
}

/// `count` faces of 64 pixels, in a row.
fn faces(count: usize) -> Vec<BBox> {
    let place = |i: usize| (i * 640 / count) as f32 + 20.0;
    (0..count)
        .map(|i| BBox {
            x0: place(i),
            y0: 140.0,
            x1: place(i) + 52.0,
            y1: 204.0,
        })
        .collect()
}

/// Rectangles and runs for the cells of a frame of `size` that `is_marked` names by column and row.
fn plan(size: Size, is_marked: fn(usize, usize) -> bool) -> impl FnMut() -> Result<()> {
    let mut cells = Cells::new(size);
    let columns = cells.columns();
    for (i, mark) in cells.marked_mut().iter_mut().enumerate() {
        *mark = is_marked(i % columns, i / columns);
    }
    let profile = Profile {
        context: RADIUS,
        stride: 1,
        per_run: 300,
        shapes: Shapes::Free(Limit::Area(240 * 1024)),
    };
    move || {
        let areas = rectangles(black_box(&cells), profile);
        black_box(runs(size, &areas, &profile));
        Ok(())
    }
}

/// The mask of four faces, made and read row by row.
fn mask() -> Result<impl FnMut() -> Result<()>> {
    let mut found = Vec::new();
    let mut upscaler = Upscaler::with_networks(Box::new(Blank::new(COLOURS)), None, None, 0, None)?;
    let detections: Vec<_> = faces(4)
        .into_iter()
        .map(|bbox| Detection {
            bbox,
            score: 0.9,
            points: None,
            mask: None,
        })
        .collect();
    let out = SIZE.scaled(SCALE);
    let (picture, mut result) = (vec![0u8; 3 * SIZE.area()], vec![0u8; 3 * out.area()]);
    for index in 0..20 {
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * index),
            faces: Some(&detections),
            ..FrameInfo::default()
        };
        upscaler.process(
            Frame::new(&picture, SIZE, 3 * SIZE.width)?,
            &info,
            &mut FrameMut::new(&mut result, out, 3 * out.width)?,
        )?;
        found = upscaler.faces().to_vec();
    }
    if found.len() != 4 {
        return Err(Error::Shape {
            what: "faces of the mask".into(),
            expected: "4".into(),
            found: found.len().to_string(),
        });
    }
    let mut mask = Mask::default();
    let mut row = vec![0.0; out.width];
    let Parameters {
        mask_padding,
        mask_sigma,
        ..
    } = Parameters::default();
    Ok(move || {
        mask.fill(&found, SIZE, mask_padding, mask_sigma);
        for y in 0..out.height {
            black_box(mask.row(0, y, &mut row));
        }
        Ok(())
    })
}

fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Every measurement in each of the rounds, of which the first warms up.
fn measure(all: &mut [Measurement]) -> Result<()> {
    for round in 0..=ROUNDS {
        for measurement in &mut *all {
            let start = Instant::now();
            for _ in 0..TURN {
                (measurement.turn)()?;
            }
            if round > 0 {
                measurement.times.push(start.elapsed() / TURN as u32);
            }
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    // Cargo adds an option of its own.
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    if wanted == ["guard"] {
        return guard::time();
    }
    let mut all = Vec::new();
    let luma = |bytes| Traits {
        channels: Channels::Y,
        bytes,
    };
    for (kind, of) in [
        ("RGB", (PixelFormat::Rgb, COLOURS)),
        ("NV12, network of colours", (PixelFormat::Nv12, COLOURS)),
        (
            "NV12, network of colours in bytes",
            (
                PixelFormat::Nv12,
                Traits {
                    bytes: true,
                    ..COLOURS
                },
            ),
        ),
        ("NV12, network of luma", (PixelFormat::Nv12, luma(false))),
        (
            "NV12, network of luma in bytes",
            (PixelFormat::Nv12, luma(true)),
        ),
        ("P010, network of luma", (PixelFormat::P010Le, luma(false))),
    ] {
        let four = faces(4);
        let mut add = |what: &str, reuse, faces: &[BBox], moving| -> Result<()> {
            let name = format!("{kind}: {what}");
            all.push(Measurement::new(name, frames(of, reuse, faces, moving)?));
            Ok(())
        };
        add("nothing compared", Reuse::None, &[], true)?;
        add("every cell new", Reuse::Exact, &[], true)?;
        add("every cell new, tolerant", Reuse::Tolerant, &[], true)?;
        add("nothing new", Reuse::Exact, &[], false)?;
        add("every cell new, four faces", Reuse::Exact, &four, true)?;
    }
    all.extend([
        Measurement::new(
            "plan of 61 blots".into(),
            // Every third blot is marked.
            plan(SIZE, |x, y| (x / 5 + y / 4) % 3 == 0),
        ),
        Measurement::new(
            "plan of 600 scattered cells of 1280x720".into(),
            plan(Size::new(1280, 720), |x, y| {
                (x * 7919 + y * 104_729) % 24 == 0
            }),
        ),
        Measurement::new("mask of four faces".into(), mask()?),
    ]);
    all.retain(|one| wanted.is_empty() || wanted.iter().any(|part| one.name.contains(part)));
    measure(&mut all)?;
    let out = SIZE.scaled(SCALE);
    println!("{SIZE} to {out}, one core, medians of {ROUNDS} rounds of {TURN}");
    let Some(first) = all.first().map(|first| median(&first.times)) else {
        eprintln!("expected a part of a name, found {}", wanted.join(" "));
        return Ok(());
    };
    for Measurement { name, times, .. } in &all {
        let time = median(times);
        println!(
            "{name}: {:.3} ms, {:.2} of the first, {:.0} frames per second",
            time * 1e3,
            time / first,
            1.0 / time
        );
    }
    Ok(())
}
