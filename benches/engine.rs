//! What the engine does around its networks, timed on one core: whole frames with networks that cost nothing, the plan, and the
//! mask. Run with `cargo bench --bench engine`; medians of alternating rounds are printed, nothing is asserted.

use std::hint::black_box;
use std::time::{Duration, Instant};

use srfusion::Encoding;
use srfusion::Generator;
use srfusion::testing::FixedFaces;
use srfusion::testing::parts::{Cells, Limit, Mask, Profile, Shapes, rectangles, runs};
use srfusion::{BBox, Detection};
use srfusion::{
    Error, Frame, FrameInfo, FrameMut, Parameters, Result, Reuse, SCALE, Size, Upscaler,
};

/// The frame that the promises speak of.
const SIZE: Size = Size::new(640, 360);
/// Rounds, in each of which every measurement has a turn.
const ROUNDS: usize = 15;
/// Frames or calls of one turn.
const TURN: usize = 12;
/// Receptive radius of the shipped generators.
const RADIUS: usize = 10;

/// A generator whose results are there before it is asked.
#[derive(Default)]
struct Blank(Vec<f32>);

impl Generator for Blank {
    fn name(&self) -> &str {
        "blank"
    }

    fn radius(&self) -> usize {
        RADIUS
    }

    fn encoding(&self) -> Encoding {
        Encoding::default()
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        black_box(input);
        let length = count * 3 * size.scaled(SCALE).area();
        if self.0.len() < length {
            self.0 = (0..length).map(|i| (i % 997) as f32 / 997.0).collect();
        }
        take(&self.0[..length]).map(|()| Duration::ZERO)
    }
}

/// One thing to time.
struct Measurement {
    name: &'static str,
    turn: Box<dyn FnMut() -> Result<()>>,
    times: Vec<Duration>,
}

impl Measurement {
    fn new(name: &'static str, turn: impl FnMut() -> Result<()> + 'static) -> Self {
        Self {
            name,
            turn: Box::new(turn),
            times: Vec::new(),
        }
    }
}

/// Two pictures that differ in every block of pixels.
fn pictures() -> [Vec<u8>; 2] {
    [0, 1].map(|seed| {
        let sample = |i: usize| (i * 7 + i / 1920 * 31 + seed * 90) as u8;
        (0..3 * SIZE.area()).map(sample).collect()
    })
}

/// A frame after another through the flow; `moving` alternates between two pictures.
fn frames(
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
        })
        .collect();
    let mut upscaler = Upscaler::with_networks(
        Box::new(Blank::default()),
        Some(Box::new(Blank::default())),
        Some(Box::new(FixedFaces(detections))),
        0,
        None,
    )?;
    upscaler.set_parameters(Parameters {
        reuse,
        ..Parameters::default()
    })?;
    let pictures = pictures();
    let out = SIZE.scaled(SCALE);
    let mut result = vec![0u8; 3 * out.area()];
    let mut index: u32 = 0;
    Ok(move || {
        let picture = &pictures[if moving { index as usize % 2 } else { 0 }];
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * index),
            ..FrameInfo::default()
        };
        index += 1;
        upscaler.process(
            Frame::new(picture, SIZE, 3 * SIZE.width)?,
            &info,
            &mut FrameMut::new(&mut result, out, 3 * out.width)?,
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

/// Rectangles and runs for cells of which every third is marked, in blots.
fn plan() -> impl FnMut() -> Result<()> {
    let mut cells = Cells::new(SIZE);
    let columns = cells.columns();
    for (i, mark) in cells.marked_mut().iter_mut().enumerate() {
        let (x, y) = (i % columns, i / columns);
        *mark = (x / 5 + y / 4) % 3 == 0;
    }
    let profile = Profile {
        context: RADIUS,
        stride: 1,
        per_run: 300,
        shapes: Shapes::Free(Limit::Area(240 * 1024)),
    };
    move || {
        let areas = rectangles(black_box(&cells), profile);
        black_box(runs(SIZE, &areas, &profile));
        Ok(())
    }
}

/// The mask of four faces, made and read row by row.
fn mask() -> Result<impl FnMut() -> Result<()>> {
    let mut found = Vec::new();
    let mut upscaler = Upscaler::with_networks(Box::new(Blank::default()), None, None, 0, None)?;
    let detections: Vec<_> = faces(4)
        .into_iter()
        .map(|bbox| Detection {
            bbox,
            score: 0.9,
            points: None,
        })
        .collect();
    let out = SIZE.scaled(SCALE);
    let (picture, mut result) = (vec![0u8; 3 * SIZE.area()], vec![0u8; 3 * out.area()]);
    for index in 0..20 {
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * index),
            faces: Some(&detections),
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

fn main() -> Result<()> {
    let mut all = [
        Measurement::new("frame, nothing compared", frames(Reuse::None, &[], true)?),
        Measurement::new("frame, every cell new", frames(Reuse::Exact, &[], true)?),
        Measurement::new(
            "frame, every cell new, tolerant",
            frames(Reuse::Tolerant, &[], true)?,
        ),
        Measurement::new("frame, nothing new", frames(Reuse::Exact, &[], false)?),
        Measurement::new(
            "frame, every cell new, four faces",
            frames(Reuse::Exact, &faces(4), true)?,
        ),
        Measurement::new("plan of 61 blots", plan()),
        Measurement::new("mask of four faces", mask()?),
    ];
    for round in 0..=ROUNDS {
        for measurement in &mut all {
            let start = Instant::now();
            for _ in 0..TURN {
                (measurement.turn)()?;
            }
            // The first round warms up.
            if round > 0 {
                measurement.times.push(start.elapsed() / TURN as u32);
            }
        }
    }
    let out = SIZE.scaled(SCALE);
    println!("{SIZE} to {out}, one core, medians of {ROUNDS} rounds of {TURN}");
    let first = median(&all[0].times);
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
