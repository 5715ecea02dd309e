//! The pass of a generator over the runs of a plan: samples in, tiles out.

use std::ops::Range;
use std::time::Duration;

use super::generator::{ByteLayout, Generator};
use crate::SCALE;
use crate::cancel::Canceller;
use crate::error::{Error, Result};
use crate::memory;
use crate::picture::tensor::{self, all_finite};
use crate::picture::{Channels, Encoding, Frame, PixelFormat, Rect, colour};
use crate::picture::{samples, vector};
use crate::plan::runs::Run;
use crate::plan::tiles::Tile;

/// The pixels of a tile's window.
#[derive(Debug, Clone, Copy)]
pub enum Pixels<'a> {
    /// f32[c, window.height * 4, window.width * 4].
    Floats(&'a [f32]),
    /// u8 in that order.
    Bytes(&'a [u8], ByteLayout),
}

/// A generator's result for one tile.
#[derive(Debug, Clone, Copy)]
pub struct DrawnTile<'a> {
    /// Where it lies.
    pub tile: Tile,
    /// What was drawn.
    pub pixels: Pixels<'a>,
    /// What floats mean, and the order of planes.
    pub encoding: Encoding,
    /// Whether the network was given bytes of colours of which some lie beyond black or white: what these could not hold is to be added.
    pub exceeds: bool,
}

impl<'a> DrawnTile<'a> {
    /// Place of output pixel `x`, `y` of the frame in a plane of the window, and the pixels of a plane.
    #[inline]
    fn place(&self, x: usize, y: usize) -> (usize, usize) {
        let window = self.tile.window.scaled(SCALE);
        let at = (y - window.y) * window.width + (x - window.x);
        (at, window.size().area())
    }

    /// Reads row `y` of colour `channel` (0 red, 1 green, 2 blue; or luma), pixels `columns`, output pixels of the frame, as numbers from
    /// black 0 to white 1. Returns whether all were finite.
    pub fn read(&self, channel: usize, y: usize, columns: Range<usize>, to: &mut [f32]) -> bool {
        let (at, area) = self.place(columns.start, y);
        let plane = self.encoding.planes()[channel];
        match self.pixels {
            Pixels::Floats(values) => {
                let row = &values[plane * area + at..][..columns.len()];
                to.copy_from_slice(row);
                let gain = 1.0 / (self.encoding.white - self.encoding.black);
                colour::scale(to, gain, -self.encoding.black * gain);
                all_finite(row)
            }
            Pixels::Bytes(bytes, layout) => {
                let (format, index, row) = match layout {
                    ByteLayout::Packed => (PixelFormat::Rgb, channel, &bytes[3 * at..]),
                    ByteLayout::Planar => (PixelFormat::Gray8, 0, &bytes[plane * area + at..]),
                };
                samples::read(row, &format.layout().components()[index], 0, to);
                colour::scale(to, 1.0 / 255.0, 0.0);
                true
            }
        }
    }

    /// Pixels `columns` of row `y`, output pixels of the frame, red, green and blue, if they are floats of these.
    #[inline]
    pub fn float_rows(&self, y: usize, columns: Range<usize>) -> Option<[&'a [f32]; 3]> {
        let (Pixels::Floats(values), 3) = (self.pixels, self.encoding.channels.count()) else {
            return None;
        };
        let (at, area) = self.place(columns.start, y);
        let row = |plane: usize| &values[plane * area + at..][..columns.len()];
        Some(self.encoding.planes().map(row))
    }

    /// Whether it is of planes of bytes of red, green and blue.
    pub fn is_byte_planes(&self) -> bool {
        matches!(self.pixels, Pixels::Bytes(_, ByteLayout::Planar))
            && self.encoding.channels.count() == 3
    }

    /// Pixels `columns` of row `y`, output pixels of the frame, red, green and blue, if they are planes of bytes of these.
    #[inline]
    pub fn byte_rows(&self, y: usize, columns: Range<usize>) -> Option<[&'a [u8]; 3]> {
        let (Pixels::Bytes(bytes, ByteLayout::Planar), 3) =
            (self.pixels, self.encoding.channels.count())
        else {
            return None;
        };
        let (at, area) = self.place(columns.start, y);
        let row = |plane: usize| &bytes[plane * area + at..][..columns.len()];
        Some(self.encoding.planes().map(row))
    }

    /// Row `y` of the core, output pixels of the frame, if it is of bytes of packed red, green and blue.
    #[inline]
    pub fn packed_row(&self, y: usize) -> Option<&'a [u8]> {
        let Pixels::Bytes(bytes, ByteLayout::Packed) = self.pixels else {
            return None;
        };
        let core = self.tile.core.scaled(SCALE);
        let (at, _) = self.place(core.x, y);
        Some(&bytes[3 * at..3 * (at + core.width)])
    }

    /// Row `y` of the core, output pixels of the frame, if it is of bytes of luma.
    #[inline]
    pub fn luma_bytes(&self, y: usize) -> Option<&'a [u8]> {
        let (Pixels::Bytes(bytes, ByteLayout::Planar), Channels::Y) =
            (self.pixels, self.encoding.channels)
        else {
            return None;
        };
        let core = self.tile.core.scaled(SCALE);
        let (at, _) = self.place(core.x, y);
        Some(&bytes[at..at + core.width])
    }
}

/// Memory for tiles on their way to a generator, reused from run to run.
#[derive(Debug, Default)]
pub struct TileMemory {
    floats: Vec<f32>,
    bytes: Vec<u8>,
    /// Of each tile of a run, see [`DrawnTile::exceeds`].
    exceeding: Vec<bool>,
    scratch: tensor::TensorRows,
}

/// What a generator gave in one run.
struct GivenValues {
    wanted: usize,
    found: usize,
    times: usize,
}

impl GivenValues {
    /// `wanted` values are expected, once.
    fn new(wanted: usize) -> Self {
        Self {
            wanted,
            found: 0,
            times: 0,
        }
    }

    /// Notes that there are `found` values; whether they are as many as they should be.
    fn note(&mut self, found: usize) -> bool {
        self.found = found;
        self.times += 1;
        found == self.wanted
    }

    /// What was not drawn would be what the memory held before.
    fn check(&self, model: &str) -> Result<()> {
        let Self {
            wanted,
            found,
            times,
        } = self;
        if times == &1 && found == wanted {
            return Ok(());
        }
        Err(Error::Contract {
            model: model.to_owned(),
            expected: format!("{wanted} values of a run, once"),
            found: format!("{found} values, {times} times"),
        })
    }
}

/// Runs `generator` over `runs` of `frame` and hands the result of each tile, with its index, to `draw`, which returns whether
/// the values were finite numbers. Pictures go as bytes where the generator takes them and `bytes` says that 8 bits suffice. `observe` is
/// told the input pixels of each run and the time that computing took.
///
/// # Errors
/// [`Error::Cancelled`] between runs, the generator's and those of `draw`, [`Error::Contract`] for more or fewer values than there should be,
/// [`Error::Inference`] for values that are no numbers, and [`Error::Memory`].
#[allow(clippy::too_many_arguments, reason = "what a pass needs, once")]
pub fn run_all(
    generator: &mut dyn Generator,
    frame: &Frame<'_>,
    bytes: bool,
    runs: &[Run],
    memory: &mut TileMemory,
    cancel: &Canceller,
    mut observe: impl FnMut(usize, Duration),
    mut draw: impl FnMut(usize, &DrawnTile<'_>) -> Result<bool>,
) -> Result<()> {
    let encoding = generator.encoding();
    let TileMemory {
        floats,
        bytes: packed,
        exceeding,
        scratch,
    } = memory;
    for run in runs {
        cancel.check()?;
        let length = encoding.channels.count() * run.window.area();
        let count = run.tiles.len();
        let output = length * SCALE * SCALE;
        let mut draw_one = |&(index, tile): &(usize, Tile), pixels: Pixels<'_>, exceeds: bool| {
            draw(
                index,
                &DrawnTile {
                    tile,
                    pixels,
                    encoding,
                    exceeds,
                },
            )
        };
        if let (Some(layout), true) = (generator.byte_layout(), bytes) {
            if packed.len() < count * length {
                memory::resize(packed, count * length, 0, "tiles for a network")?;
            }
            exceeding.clear();
            for ((_, tile), to) in run.tiles.iter().zip(packed.chunks_exact_mut(length)) {
                let (window, channels) = (tile.window, encoding.channels);
                let exceeds = match layout {
                    ByteLayout::Packed => pack(frame, window, to, scratch),
                    ByteLayout::Planar => {
                        tensor::bytes_from_frame(frame, window, channels, to, scratch)
                    }
                };
                exceeding.push(exceeds && channels != Channels::Y);
            }
            let input = &packed[..count * length];
            let mut given = GivenValues::new(count * output);
            let took = generator.run_bytes(input, count, run.window, &mut |drawn| {
                if given.note(drawn.len()) {
                    let tiles = run.tiles.iter().zip(&*exceeding);
                    for ((place, exceeds), bytes) in tiles.zip(drawn.chunks_exact(output)) {
                        draw_one(place, Pixels::Bytes(bytes, layout), *exceeds)?;
                    }
                }
                Ok(())
            })?;
            given.check(generator.name())?;
            observe(run.pixels(), took);
            continue;
        }
        // Never shorter than before, so that nothing is filled with zeros only to be written over.
        if floats.len() < count * length {
            memory::resize(floats, count * length, 0.0, "tiles for a network")?;
        }
        for ((_, tile), values) in run.tiles.iter().zip(floats.chunks_exact_mut(length)) {
            tensor::from_frame(frame, tile.window, encoding, values, scratch);
        }
        let mut finite = true;
        let input = &floats[..count * length];
        let mut given = GivenValues::new(count * output);
        let took = generator.run(input, count, run.window, &mut |values| {
            if given.note(values.len()) {
                for (place, values) in run.tiles.iter().zip(values.chunks_exact(output)) {
                    finite &= draw_one(place, Pixels::Floats(values), false)?;
                }
            }
            Ok(())
        })?;
        given.check(generator.name())?;
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

/// Writes `window` of a frame to `packed`, red, green and blue beside one another, row after row. Returns whether anything lies beyond black or
/// white.
fn pack(
    frame: &Frame<'_>,
    window: Rect,
    packed: &mut [u8],
    scratch: &mut tensor::TensorRows,
) -> bool {
    let q = frame.format().quantiser(0);
    if frame.format().pixels == PixelFormat::Rgb && (q.offset, q.scale) == (0.0, 255.0) {
        for (y, to) in packed.chunks_exact_mut(3 * window.width).enumerate() {
            to.copy_from_slice(&frame.row(window.y + y)[3 * window.x..3 * window.right()]);
        }
        return false;
    }
    let mut exceeds = false;
    tensor::rows(frame, window, Channels::Rgb, scratch, |y, colours| {
        let to = &mut packed[3 * window.width * y..][..3 * window.width];
        vector::pack_bytes(colours, 255.0, 0.0, to);
        exceeds |= colours.iter().any(|row| tensor::exceed(row));
    });
    exceeds
}
