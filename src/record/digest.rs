//! What a record keeps of a frame's samples: their sha256 and the means of a few dozen tiles. docs/evidence.md has the definition; whoever
//! changes one must change the other, and the version in [`super::lines::VERSION`].
//!
//! Both are of samples and not of bytes: rows without what lies between them, components in one order, whatever their order in memory. So NV12
//! and I420 of one picture have one digest, which is also that of the bytes that `ffmpeg -f rawvideo` writes.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::picture::{ColourFamily, Component, Frame};

/// Columns and rows of the tiles whose means are kept.
pub const TILES: (usize, usize) = (8, 6);
/// Means are kept in this part of a code.
pub const MEAN_UNIT: u64 = 16;

/// What is kept of a frame's samples.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Digest {
    /// sha256 of the samples, lower-case hexadecimal.
    pub sha256: String,
    /// For each component of colour, row by row, the mean of each tile in sixteenths of a code, rounded down.
    pub means: Vec<u64>,
}

/// The digest of `frame`.
pub fn digest(frame: &Frame<'_>) -> Digest {
    let mut hash = Sha256::new();
    samples(frame, &mut |bytes| hash.update(bytes));
    Digest {
        sha256: hex(&hash.finalize()),
        means: means(frame),
    }
}

/// The sha256 of `frame` alone.
pub fn sha256(frame: &Frame<'_>) -> String {
    let mut hash = Sha256::new();
    samples(frame, &mut |bytes| hash.update(bytes));
    hex(&hash.finalize())
}

/// Lower-case hexadecimal digits of `bytes`.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hands the samples of `frame` to `take`, piece by piece: of RGB pixel by pixel, of others component by component, each row by row; a byte
/// for a sample of up to 8 bits, else two, the lower first.
pub fn samples(frame: &Frame<'_>, take: &mut dyn FnMut(&[u8])) {
    let layout = frame.format().layout();
    let (components, size) = (layout.components(), frame.size());
    // Alpha of RGB10A2 has two bits: all samples of a frame have the width of the first.
    let wide = layout.depth() > 8;
    let mut line = Vec::new();
    if layout.family == ColourFamily::Rgb {
        let pixel = components.len() * (1 + usize::from(wide));
        for y in 0..size.height {
            let packed = components.iter().enumerate().all(|(index, c)| {
                (c.plane, c.word, c.offset, c.step) == (0, 1, index, components.len())
            });
            if packed {
                take(&frame.plane_row(0, y)[..size.width * pixel]);
                continue;
            }
            line.clear();
            line.resize(size.width * pixel, 0);
            for (index, component) in components.iter().enumerate() {
                let row = frame.plane_row(component.plane, y);
                let at = index * (1 + usize::from(wide));
                put(row, component, size.width, wide, &mut line[at..], pixel);
            }
            take(&line);
        }
        return;
    }
    for component in components {
        let (width, height) = (component.width(size.width), component.height(size.height));
        for y in 0..height {
            let row = frame.plane_row(component.plane, y);
            let step = 1 + usize::from(wide);
            if component.step == step && component.word == step && component.shift == 0 {
                take(&row[component.offset..][..width * step]);
                continue;
            }
            line.clear();
            line.resize(width * step, 0);
            put(row, component, width, wide, &mut line, step);
            take(&line);
        }
    }
}

/// Writes `count` samples of `component` from `row` into `to`, `step` bytes apart.
fn put(row: &[u8], component: &Component, count: usize, wide: bool, to: &mut [u8], step: usize) {
    for index in 0..count {
        let code = code(row, component, index);
        let at = index * step;
        to[at] = code as u8;
        if wide {
            to[at + 1] = (code >> 8) as u8;
        }
    }
}

/// Sample `index` of `component` in `row`, as networks are given it.
#[inline(always)]
fn code(row: &[u8], component: &Component, index: usize) -> u32 {
    let at = component.offset + index * component.step;
    match component.word {
        1 => u32::from(row[at]),
        2 => u32::from(u16::from_le_bytes([row[at], row[at + 1]])) >> component.shift,
        // Several in a word.
        _ => {
            let word = [row[at], row[at + 1], row[at + 2], row[at + 3]];
            (u32::from_le_bytes(word) >> component.shift) & ((1 << component.depth) - 1)
        }
    }
}

/// The means of tiles: column `c` of [`TILES`] begins at sample `c * width / columns`, rows likewise; 0 for a tile without samples.
fn means(frame: &Frame<'_>) -> Vec<u64> {
    let (columns, rows) = TILES;
    let (layout, size) = (frame.format().layout(), frame.size());
    let mut all = Vec::with_capacity(layout.colours().len() * columns * rows);
    for component in layout.colours() {
        let (width, height) = (component.width(size.width), component.height(size.height));
        let edge = |tile: usize, tiles: usize, side: usize| tile * side / tiles;
        for row in 0..rows {
            let lines = edge(row, rows, height)..edge(row + 1, rows, height);
            let mut sums = vec![0_u64; columns];
            for y in lines.clone() {
                let line = frame.plane_row(component.plane, y);
                for (column, sum) in sums.iter_mut().enumerate() {
                    let range = edge(column, columns, width)..edge(column + 1, columns, width);
                    *sum += if component.step == 1 {
                        let bytes = &line[component.offset..][range];
                        bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>()
                    } else {
                        range.map(|x| u64::from(code(line, component, x))).sum()
                    };
                }
            }
            for (column, sum) in sums.into_iter().enumerate() {
                let width = edge(column + 1, columns, width) - edge(column, columns, width);
                let count = (width * lines.len()) as u64;
                all.push((MEAN_UNIT * sum).checked_div(count).unwrap_or(0));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Format, FrameMemory, PixelFormat, Size};
    use crate::testing::Random;

    fn format(pixels: PixelFormat) -> Format {
        Format {
            pixels,
            ..Format::RGB
        }
    }

    /// The samples as the definition has them, read one by one through the engine's own reader of codes.
    fn slowly(frame: &Frame<'_>) -> Vec<u8> {
        let layout = frame.format().layout();
        let plane = |index: usize| -> Vec<Vec<f32>> {
            let component = &layout.components()[index];
            let (width, height) = (
                component.width(frame.size().width),
                component.height(frame.size().height),
            );
            let row = |y| {
                let mut row = vec![0.0; width];
                frame.read(index, y, 0, &mut row);
                row
            };
            (0..height).map(row).collect()
        };
        let planes: Vec<_> = (0..layout.components().len()).map(plane).collect();
        let codes: Vec<f32> = if layout.family == ColourFamily::Rgb {
            let size = frame.size();
            let pixels = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x)));
            pixels
                .flat_map(|(y, x)| planes.iter().map(move |plane| plane[y][x]))
                .collect()
        } else {
            planes.into_iter().flatten().flatten().collect()
        };
        let bytes = |code: &f32| {
            let code = *code as u16;
            match layout.depth() {
                0..=8 => vec![code as u8],
                _ => code.to_le_bytes().to_vec(),
            }
        };
        codes.iter().flat_map(bytes).collect()
    }

    #[test]
    fn every_format_is_read_as_the_definition_says_and_padding_is_not() {
        let mut random = Random(0x1234_5678_9abc_def1);
        let size = Size::new(13, 7);
        for pixels in PixelFormat::all() {
            let format = format(pixels);
            let layout = format.layout();
            let planes: Vec<(Vec<u8>, usize)> = (0..layout.planes)
                .map(|plane| {
                    let stride = layout.row_bytes(plane, size.width) + 5;
                    let bytes = stride * layout.rows(plane, size.height);
                    let data = (0..bytes).map(|_| random.below(256) as u8).collect();
                    (data, stride)
                })
                .collect();
            let borrowed: Vec<_> = planes.iter().map(|(data, s)| (&data[..], *s)).collect();
            let frame = Frame::of(format, size, &borrowed).unwrap();
            let mut found = Vec::new();
            samples(&frame, &mut |bytes| found.extend_from_slice(bytes));
            assert_eq!(found, slowly(&frame), "{}", layout.name);
            // What lies between rows and beside samples may be anything.
            let mut others = planes.clone();
            for (plane, (data, stride)) in others.iter_mut().enumerate() {
                let row = layout.row_bytes(plane, size.width);
                data.chunks_mut(*stride)
                    .for_each(|line| line[row..].fill(0));
            }
            let borrowed: Vec<_> = others.iter().map(|(data, s)| (&data[..], *s)).collect();
            let other = Frame::of(format, size, &borrowed).unwrap();
            assert_eq!(digest(&frame), digest(&other), "{}", layout.name);
            // One sample is enough.
            let (index, y) = (layout.colours().len() - 1, 1);
            let component = layout.components()[index];
            let last = component.width(size.width) - 1;
            let (data, stride) = &mut others[component.plane];
            let byte = y * *stride + component.offset + last * component.step;
            let bit = 1_u32 << component.shift;
            data[byte + bit.trailing_zeros() as usize / 8] ^= 1 << (bit.trailing_zeros() % 8);
            let borrowed: Vec<_> = others.iter().map(|(data, s)| (&data[..], *s)).collect();
            let other = Frame::of(format, size, &borrowed).unwrap();
            assert_ne!(digest(&frame).sha256, digest(&other).sha256);
        }
    }

    #[test]
    fn the_order_in_memory_makes_no_difference() {
        let size = Size::new(6, 4);
        let luma: Vec<u8> = (0..24).collect();
        let (blue, red) = (
            [100, 101, 102, 103, 104, 105],
            [200, 201, 202, 203, 204, 205],
        );
        let pairs: Vec<u8> = blue.iter().zip(&red).flat_map(|(b, r)| [*b, *r]).collect();
        let planar = [(&luma[..], 6), (&blue[..], 3), (&red[..], 3)];
        let planar = Frame::of(format(PixelFormat::I420), size, &planar).unwrap();
        let paired = [(&luma[..], 6), (&pairs[..], 6)];
        let paired = Frame::of(format(PixelFormat::Nv12), size, &paired).unwrap();
        assert_eq!(digest(&planar), digest(&paired));
        // By sha256sum: of the bytes 0 to 23, 100 to 105, 200 to 205.
        let mut bytes = luma.clone();
        bytes.extend(blue.iter().chain(&red));
        assert_eq!(sha256(&planar), hex(&Sha256::digest(&bytes)));
    }

    #[test]
    fn means_are_those_of_the_tiles() {
        let size = Size::new(16, 12);
        let mut memory = FrameMemory::default();
        memory.fit(&Format::RGB, size);
        let mut frame = memory.frame(Format::RGB, size).unwrap();
        for y in 0..12 {
            for x in 0..16 {
                let pixel = &mut frame.row_mut(y)[3 * x..3 * x + 3];
                pixel.copy_from_slice(&[x as u8, y as u8, 255]);
            }
        }
        let found = digest(&frame.as_frame()).means;
        assert_eq!(found.len(), 3 * 48);
        // Columns 0 and 1 have a mean of a half, 2 and 3 of two and a half.
        assert_eq!(found[..3], [8, 40, 72]);
        assert_eq!(found[48..48 + 9], [8, 8, 8, 8, 8, 8, 8, 8, 40]);
        assert!(found[96..].iter().all(|mean| *mean == 255 * 16));
        // Fewer samples than tiles.
        let size = Size::new(3, 2);
        memory.fit(&Format::RGB, size);
        let frame = memory.frame(Format::RGB, size).unwrap();
        assert_eq!(digest(&frame.as_frame()).means.len(), 3 * 48);
    }
}
