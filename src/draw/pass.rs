//! The pass of a generator over tiles of a frame.

use std::any::TypeId;

use super::generator::Generator;
use crate::SCALE;
use crate::cancel::Canceller;
use crate::error::{Error, Result};
use crate::picture::{Encoding, Frame, Rect, Sample, Size, tensor};
use crate::plan::runs::{self as plan, Cost, Run, RunTimes, Shapes};
use crate::plan::tiles::{Limit, Tile};

/// The pixels of a tile's window.
#[derive(Debug, Clone, Copy)]
pub enum Pixels<'a> {
    /// f32[3, window.height * 4, window.width * 4].
    Floats(&'a [f32]),
    /// u8[window.height * 4, window.width * 4, 3], packed RGB.
    Bytes(&'a [u8]),
}

/// A generator's result for one tile.
#[derive(Debug, Clone, Copy)]
pub struct Drawn<'a> {
    /// Where it lies.
    pub tile: Tile,
    /// What was drawn.
    pub pixels: Pixels<'a>,
    /// What floats mean.
    pub encoding: Encoding,
}

impl Drawn<'_> {
    /// Row `y` (output pixels of the frame) of colour `channel` (0 red, 1 green, 2 blue), the core's columns only. Empty for bytes.
    #[inline]
    pub fn core_row(&self, channel: usize, y: usize) -> &[f32] {
        let Pixels::Floats(values) = self.pixels else {
            return &[];
        };
        let (window, core) = (self.tile.window.scaled(SCALE), self.tile.core.scaled(SCALE));
        let plane = self.encoding.planes()[channel];
        let start =
            plane * window.size().area() + (y - window.y) * window.width + (core.x - window.x);
        &values[start..start + core.width]
    }

    /// Row `y` (output pixels of the frame), packed RGB, the core's columns only, if it is of bytes.
    #[inline]
    pub fn core_bytes(&self, y: usize) -> Option<&[u8]> {
        let Pixels::Bytes(bytes) = self.pixels else {
            return None;
        };
        let (window, core) = (self.tile.window.scaled(SCALE), self.tile.core.scaled(SCALE));
        let start = 3 * ((y - window.y) * window.width + (core.x - window.x));
        Some(&bytes[start..start + 3 * core.width])
    }
}

/// How large tiles may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileLimits {
    /// Longest side in input pixels, context included; 0 leaves it to `area`.
    pub side: usize,
    /// Most pixels of a tile, context included. Halved where memory did not suffice.
    pub area: usize,
}

/// Pixels below which a tile is not made smaller: a machine without the memory for these can do nothing.
const LEAST_AREA: usize = 64 * 64;

impl TileLimits {
    fn shapes(self, generator: &dyn Generator) -> Shapes {
        match (generator.fixed_tile(), self.side) {
            (Some((tile, batch)), 0) => Shapes::Fixed { tile, batch },
            (Some((_, batch)), side) => Shapes::Fixed {
                tile: Size::new(side, side),
                batch,
            },
            (None, 0) => Shapes::Free(Limit::Area(self.area)),
            (None, side) => Shapes::Free(Limit::Side(side)),
        }
    }

    /// Smaller tiles than `largest`, if there are any worth trying.
    fn smaller(self, largest: usize) -> Option<Self> {
        let area = largest.min(self.area) / 2;
        (area >= LEAST_AREA).then_some(Self { side: 0, area })
    }
}

/// What [`run_areas`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Runs of the generator.
    pub runs: u64,
    /// Input pixels that it saw, context included.
    pub pixels: u64,
}

/// What a generator's passes share: its limits, what its runs cost, and memory. One for each generator and stream.
#[derive(Debug)]
pub struct Pass {
    /// How large tiles may be.
    pub limits: TileLimits,
    /// Context around a tile in input pixels; `None` takes the generator's receptive radius.
    pub overlap: Option<usize>,
    times: RunTimes,
    /// Packed tiles on the way to a generator that takes bytes.
    bytes: Vec<u8>,
}

impl Pass {
    /// A pass of which nothing is known yet.
    pub fn new(limits: TileLimits, overlap: Option<usize>) -> Self {
        Self {
            limits,
            overlap,
            times: RunTimes::default(),
            bytes: Vec::new(),
        }
    }

    /// What a run of `generator` costs.
    pub fn cost(&self, generator: &dyn Generator) -> Cost {
        Cost {
            context: self.overlap.unwrap_or(generator.radius()),
            per_run: self.times.per_run(),
        }
    }
}

/// Runs `generator` over `areas`, disjoint rectangles of `frame` in input pixels, and hands the result of each tile, with the index of
/// its area, to `draw`, which returns whether the values were finite numbers. `scratch` is reused memory. Where memory does
/// not suffice, smaller tiles are tried, now and from then on; `draw` may then see a tile twice.
///
/// # Errors
/// [`Error::Cancelled`] between runs, the generator's, and [`Error::Inference`] for values that are no numbers.
pub fn run_areas<S: Sample>(
    generator: &mut dyn Generator,
    pass: &mut Pass,
    frame: &Frame<'_, S>,
    areas: &[Rect],
    scratch: &mut Vec<f32>,
    cancel: &Canceller,
    mut draw: impl FnMut(usize, &Drawn<'_>) -> bool,
) -> Result<Work> {
    loop {
        let shapes = pass.limits.shapes(generator);
        let runs = plan::runs(frame.size(), areas, pass.cost(generator), shapes);
        match run_all(generator, pass, frame, &runs, scratch, cancel, &mut draw) {
            Err(Error::OutOfMemory { model, message }) => {
                let largest = runs.iter().map(Run::pixels).max().unwrap_or(0);
                match pass.limits.smaller(largest) {
                    Some(limits) if generator.fixed_tile().is_none() => pass.limits = limits,
                    _ => return Err(Error::OutOfMemory { model, message }),
                }
            }
            Err(error) => return Err(error),
            Ok(()) => {
                return Ok(Work {
                    runs: runs.len() as u64,
                    pixels: runs.iter().map(|run| run.pixels() as u64).sum(),
                });
            }
        }
    }
}

fn run_all<S: Sample>(
    generator: &mut dyn Generator,
    pass: &mut Pass,
    frame: &Frame<'_, S>,
    runs: &[Run],
    scratch: &mut Vec<f32>,
    cancel: &Canceller,
    draw: &mut impl FnMut(usize, &Drawn<'_>) -> bool,
) -> Result<()> {
    let encoding = generator.encoding();
    let name = generator.name().to_owned();
    let not_finite = || Error::Inference {
        model: name.clone(),
        message: "its output has values that are not finite numbers".to_owned(),
    };
    let Pass { times, bytes, .. } = pass;
    for run in runs {
        cancel.check()?;
        let (length, count) = (3 * run.window.area(), run.tiles.len());
        let output = length * SCALE * SCALE;
        let mut draw_one = |&(area, tile): &(usize, Tile), pixels: Pixels<'_>| {
            draw(
                area,
                &Drawn {
                    tile,
                    pixels,
                    encoding,
                },
            )
        };
        if generator.takes_bytes()
            && let Some(first) = run.tiles.first()
            && as_bytes(frame.row(first.1.window.y)).is_some()
        {
            if bytes.len() < count * length {
                bytes.resize(count * length, 0);
            }
            for ((_, tile), packed) in run.tiles.iter().zip(bytes.chunks_exact_mut(length)) {
                pack(frame, tile.window, packed);
            }
            let input = &bytes[..count * length];
            let took = generator.run_bytes(input, count, run.window, &mut |drawn| {
                for (place, bytes) in run.tiles.iter().zip(drawn.chunks_exact(output)) {
                    draw_one(place, Pixels::Bytes(bytes));
                }
                Ok(())
            })?;
            times.observe(run.pixels(), took);
            continue;
        }
        // Never shorter than before, so that nothing is filled with zeros only to be written over.
        if scratch.len() < count * length {
            scratch.resize(count * length, 0.0);
        }
        for ((_, tile), values) in run.tiles.iter().zip(scratch.chunks_exact_mut(length)) {
            tensor::from_frame(frame, tile.window, encoding, values);
        }
        let took = generator.run(
            &scratch[..count * length],
            count,
            run.window,
            &mut |values| {
                let mut finite = true;
                for (place, values) in run.tiles.iter().zip(values.chunks_exact(output)) {
                    finite &= draw_one(place, Pixels::Floats(values));
                }
                if finite { Ok(()) } else { Err(not_finite()) }
            },
        )?;
        times.observe(run.pixels(), took);
    }
    Ok(())
}

/// 8-bit samples as they are; `None` for others.
fn as_bytes<S: Sample>(samples: &[S]) -> Option<&[u8]> {
    (TypeId::of::<S>() == TypeId::of::<u8>()).then(|| bytemuck::cast_slice(samples))
}

/// Bytes as samples of 8 bits; `None` where samples are others.
pub(crate) fn as_samples<S: Sample>(bytes: &[u8]) -> Option<&[S]> {
    (TypeId::of::<S>() == TypeId::of::<u8>()).then(|| bytemuck::cast_slice(bytes))
}

/// Copies `window` of a frame of 8-bit samples to `packed`, row after row.
fn pack<S: Sample>(frame: &Frame<'_, S>, window: Rect, packed: &mut [u8]) {
    for (y, target) in packed.chunks_exact_mut(3 * window.width).enumerate() {
        let row = &frame.row(window.y + y)[3 * window.x..3 * window.right()];
        if let Some(row) = as_bytes(row) {
            target.copy_from_slice(row);
        }
    }
}
