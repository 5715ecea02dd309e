//! The pass of a generator over the runs of a plan: samples in, tiles out.

use std::any::TypeId;
use std::time::Duration;

use super::generator::{ByteLayout, Generator};
use crate::SCALE;
use crate::cancel::Canceller;
use crate::error::{Error, Result};
use crate::picture::{Encoding, Frame, Rect, Sample, tensor};
use crate::plan::runs::Run;
use crate::plan::tiles::Tile;

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
pub struct DrawnTile<'a> {
    /// Where it lies.
    pub tile: Tile,
    /// What was drawn.
    pub pixels: Pixels<'a>,
    /// What floats mean.
    pub encoding: Encoding,
}

impl DrawnTile<'_> {
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

/// Memory for tiles on their way to a generator, reused from run to run.
#[derive(Debug, Default)]
pub struct TileMemory {
    floats: Vec<f32>,
    /// Packed tiles for a generator that takes bytes.
    bytes: Vec<u8>,
}

/// Runs `generator` over `runs` of `frame` and hands the result of each tile, with its index, to `draw`, which returns whether
/// the values were finite numbers. `observe` is told the input pixels of each run and the time that computing took.
///
/// # Errors
/// [`Error::Cancelled`] between runs, the generator's, and [`Error::Inference`] for values that are no numbers.
pub fn run_all<S: Sample>(
    generator: &mut dyn Generator,
    frame: &Frame<'_, S>,
    runs: &[Run],
    memory: &mut TileMemory,
    cancel: &Canceller,
    mut observe: impl FnMut(usize, Duration),
    mut draw: impl FnMut(usize, &DrawnTile<'_>) -> bool,
) -> Result<()> {
    let encoding = generator.encoding();
    for run in runs {
        cancel.check()?;
        let (length, count) = (3 * run.window.area(), run.tiles.len());
        let output = length * SCALE * SCALE;
        let mut draw_one = |&(index, tile): &(usize, Tile), pixels: Pixels<'_>| {
            draw(
                index,
                &DrawnTile {
                    tile,
                    pixels,
                    encoding,
                },
            )
        };
        let first = run.tiles.first();
        let is_bytes = first.is_some_and(|first| as_bytes(frame.row(first.1.window.y)).is_some());
        if is_bytes && generator.byte_layout() == Some(ByteLayout::Packed) {
            let bytes = &mut memory.bytes;
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
            observe(run.pixels(), took);
            continue;
        }
        let floats = &mut memory.floats;
        // Never shorter than before, so that nothing is filled with zeros only to be written over.
        if floats.len() < count * length {
            floats.resize(count * length, 0.0);
        }
        for ((_, tile), values) in run.tiles.iter().zip(floats.chunks_exact_mut(length)) {
            tensor::from_frame(frame, tile.window, encoding, values);
        }
        let mut finite = true;
        let input = &floats[..count * length];
        let took = generator.run(input, count, run.window, &mut |values| {
            for (place, values) in run.tiles.iter().zip(values.chunks_exact(output)) {
                finite &= draw_one(place, Pixels::Floats(values));
            }
            Ok(())
        })?;
        observe(run.pixels(), took);
        if !finite {
            return Err(Error::Inference {
                model: generator.name().to_owned(),
                message: "its output has values that are not finite numbers".to_owned(),
            });
        }
    }
    Ok(())
}

/// 8-bit samples as they are; `None` for others.
fn as_bytes<S: Sample>(samples: &[S]) -> Option<&[u8]> {
    (TypeId::of::<S>() == TypeId::of::<u8>()).then(|| bytemuck::cast_slice(samples))
}

/// Bytes as samples of 8 bits; `None` where samples are others.
pub(super) fn as_samples<S: Sample>(bytes: &[u8]) -> Option<&[S]> {
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
