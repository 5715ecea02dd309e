//! Colours beyond black and white. Luma and colour differences of limited range can say them, bytes of red, green and blue cannot: networks of bytes
//! are given colours that are cut to these. What was cut off is enlarged by interpolation and added to what such a network has drawn, or bright
//! saturated colours would lose some of their mean. Pure, and nothing where nothing was cut off.

use std::ops::Range;

use crate::picture::colour::{self, RowScratch};
use crate::picture::interpolate::{GridAxis, Interpolator};
use crate::picture::tensor::excess;
use crate::picture::{ColourFamily, Format, Frame, Matrix, PixelFormat};

/// What was cut off of a tile's input, on the grids of the output's components. Memory is reused from tile to tile.
#[derive(Debug, Default)]
pub struct Excess {
    interpolators: [Interpolator; 3],
    /// Samples of a row, of each component.
    counts: [usize; 3],
    /// The matrix of luma and colour differences, if these are made; colours otherwise.
    matrix: Option<Matrix>,
    row: Vec<f32>,
    colours: [Vec<f32>; 3],
    shared: RowScratch,
}

impl Excess {
    /// Begins a tile of `input` that is written in pixels `columns` of format `to`: as luma and colour differences, each on its own grid, if
    /// `by_component`, or else as colours of pixels.
    pub fn begin(
        &mut self,
        input: &Frame<'_>,
        to: &Format,
        columns: Range<usize>,
        by_component: bool,
    ) {
        let pixel = PixelFormat::Gray8.layout().components()[0];
        let (from, size) = (input.format(), input.size());
        self.matrix = by_component.then_some(to.matrix);
        let components = to.layout().colours().iter();
        let grids = components.filter(|_| by_component).chain([&pixel; 3]);
        let slots = self.interpolators.iter_mut().zip(&mut self.counts);
        for ((interpolator, count), grid) in slots.zip(grids) {
            let shift = grid.x_shift;
            let wanted = (columns.start >> shift)..columns.end.div_ceil(1 << shift);
            *count = wanted.len();
            interpolator.begin(
                GridAxis::across(&pixel, from.site, grid, to.site),
                GridAxis::down(&pixel, from.site, grid, to.site),
                (size.width, size.height),
                wanted,
            );
        }
    }

    /// Adds what was cut off of component `index`, times `gain`, to the last samples of its row `y`.
    pub fn add(
        &mut self,
        input: &Frame<'_>,
        index: usize,
        y: usize,
        gain: f32,
        samples: &mut [f32],
    ) {
        let Self {
            interpolators,
            counts,
            matrix,
            row,
            colours,
            shared,
        } = self;
        let read = |number: usize, first: usize, to: &mut [f32]| {
            colours.iter_mut().for_each(|row| row.resize(to.len(), 0.0));
            let rows = colours.each_mut().map(Vec::as_mut_slice);
            colour::rgb_row(input, number, first..first + to.len(), rows, shared);
            for value in colours.iter_mut().flatten() {
                *value = excess(*value);
            }
            let rows = colours.each_ref().map(Vec::as_slice);
            match (*matrix, index) {
                (None, _) => to.copy_from_slice(rows[index]),
                (Some(matrix), 0) => colour::luma(matrix, rows, to),
                (Some(matrix), _) => colour::difference(matrix, index, rows, to),
            }
        };
        row.resize(counts[index], 0.0);
        interpolators[index].row(y, read, row);
        let last = &row[counts[index].saturating_sub(samples.len())..];
        for (sample, excess) in samples.iter_mut().zip(last) {
            *sample += excess * gain;
        }
    }
}

/// Whether samples of `to` are made component by component where planes of bytes are written in one step.
pub fn is_by_component(to: &Format) -> bool {
    to.layout().family != ColourFamily::Rgb
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::draw::{ByteLayout, Generator};
    use crate::error::Result;
    use crate::flow::{FrameInfo, Upscaler};
    use crate::picture::{Component, Encoding, FrameMemory, Range, Size};
    use crate::settings::{Parameters, Reuse};

    /// Repeats pixels, in bytes.
    struct Repeat(ByteLayout);

    impl Generator for Repeat {
        fn name(&self) -> &str {
            "repeat"
        }
        fn radius(&self) -> usize {
            2
        }
        fn encoding(&self) -> Encoding {
            Encoding::default()
        }
        fn byte_layout(&self) -> Option<ByteLayout> {
            Some(self.0)
        }
        fn run(
            &mut self,
            _: &[f32],
            _: usize,
            _: Size,
            _: &mut dyn FnMut(&[f32]) -> Result<()>,
        ) -> Result<Duration> {
            unreachable!("bytes suffice")
        }
        fn run_bytes(
            &mut self,
            input: &[u8],
            count: usize,
            size: Size,
            take: &mut dyn FnMut(&[u8]) -> Result<()>,
        ) -> Result<Duration> {
            let step = match self.0 {
                ByteLayout::Packed => 3,
                ByteLayout::Planar => 1,
            };
            let mut drawn = Vec::new();
            for row in input.chunks_exact(step * size.width) {
                let pixels = row.chunks_exact(step);
                let wide: Vec<u8> = pixels.flat_map(|pixel| pixel.repeat(4)).collect();
                drawn.extend(wide.repeat(4));
            }
            assert_eq!(drawn.len(), 16 * 3 * count * size.area());
            take(&drawn).map(|()| Duration::ZERO)
        }
    }

    const SIZE: Size = Size::new(64, 32);

    fn limited(pixels: PixelFormat) -> Format {
        Format {
            range: Range::Limited,
            ..Format::rgb(pixels)
        }
    }

    /// Mean code of each component.
    fn means(frame: &Frame<'_>) -> Vec<f64> {
        let (layout, size) = (frame.format().layout(), frame.size());
        let mean = |(index, component): (usize, &Component)| {
            let (width, height) = (component.width(size.width), component.height(size.height));
            let mut row = vec![0.0; width];
            let mut sum = 0.0;
            for y in 0..height {
                frame.read(index, y, 0, &mut row);
                sum += row.iter().map(|code| f64::from(*code)).sum::<f64>();
            }
            sum / (width * height) as f64
        };
        layout.components().iter().enumerate().map(mean).collect()
    }

    /// `codes` of luma and both differences in the left half, beside grey.
    fn frame(format: Format, codes: [f32; 3]) -> FrameMemory {
        let mut memory = FrameMemory::default();
        memory.fit(&format, SIZE);
        let mut frame = memory.frame(format, SIZE).unwrap();
        for (index, component) in format.layout().components().iter().enumerate() {
            let (width, height) = (component.width(SIZE.width), component.height(SIZE.height));
            let grey = [120.0, 128.0, 128.0][index];
            let code = |x: usize| if x < width / 2 { codes[index] } else { grey };
            let row: Vec<f32> = (0..width).map(code).collect();
            (0..height).for_each(|y| frame.write(index, y, 0, &row));
        }
        memory
    }

    fn upscaled(
        layout: ByteLayout,
        input: &mut FrameMemory,
        from: Format,
        to: Format,
    ) -> FrameMemory {
        let generator = Box::new(Repeat(layout));
        let mut upscaler = Upscaler::with_networks(generator, None, None, 0, None).unwrap();
        let parameters = Parameters {
            reuse: Reuse::None,
            ..Parameters::default()
        };
        upscaler.set_parameters(parameters).unwrap();
        let (mut output, out) = (FrameMemory::default(), SIZE.scaled(4));
        output.fit(&to, out);
        let input = input.frame(from, SIZE).unwrap();
        let mut target = output.frame(to, out).unwrap();
        upscaler
            .process(input.as_frame(), &FrameInfo::default(), &mut target)
            .unwrap();
        output
    }

    /// Whatever the colours, the mean is the input's: also where bytes of red, green and blue cannot say them.
    #[test]
    fn the_mean_of_every_component_is_kept() {
        for pixels in [PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Y444] {
            let format = limited(pixels);
            for layout in [ByteLayout::Planar, ByteLayout::Packed] {
                for codes in [
                    [235.0, 90.0, 120.0],
                    [250.0, 128.0, 128.0],
                    [30.0, 200.0, 128.0],
                    [120.0, 128.0, 230.0],
                ] {
                    let mut input = frame(format, codes);
                    let expected = means(&input.frame(format, SIZE).unwrap().as_frame());
                    let mut output = upscaled(layout, &mut input, format, format);
                    let output = output.frame(format, SIZE.scaled(4)).unwrap();
                    for (found, expected) in means(&output.as_frame()).iter().zip(&expected) {
                        assert!(
                            (found - expected).abs() < 0.4,
                            "{pixels:?} {layout:?} {codes:?}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    /// Networks of bytes see full range, whatever the input's is and the output's.
    #[test]
    fn limited_colours_are_no_bytes_of_full_range() {
        let (yuv, rgb) = (limited(PixelFormat::Nv12), limited(PixelFormat::Rgb));
        for layout in [ByteLayout::Planar, ByteLayout::Packed] {
            for (from, to) in [
                (yuv, rgb),
                (yuv, Format::RGB),
                (rgb, Format::RGB),
                (rgb, rgb),
            ] {
                // The same grey everywhere.
                let mut input = frame(from, [120.0, 128.0, 128.0]);
                if from == rgb {
                    let mut frame = input.frame(rgb, SIZE).unwrap();
                    (0..SIZE.height).for_each(|y| frame.row_mut(y).fill(120));
                }
                let mut output = upscaled(layout, &mut input, from, to);
                let output = output.frame(to, SIZE.scaled(4)).unwrap();
                let wanted = if to == rgb {
                    120.0
                } else {
                    (120.0 - 16.0) / 219.0 * 255.0
                };
                for mean in means(&output.as_frame()) {
                    assert!((mean - wanted).abs() < 0.6, "{layout:?} {to:?}: {mean}");
                }
            }
        }
    }

    /// What lies far from such colours is drawn as if there were none, to the bit.
    #[test]
    fn other_colours_are_not_touched() {
        let format = limited(PixelFormat::Nv12);
        for (layout, to) in [
            (ByteLayout::Planar, format),
            (ByteLayout::Packed, format),
            (ByteLayout::Planar, Format::RGB),
        ] {
            let draw = |codes| upscaled(layout, &mut frame(format, codes), format, to);
            let mut plain = draw([150.0, 120.0, 130.0]);
            let mut bright = draw([250.0, 60.0, 128.0]);
            let out = SIZE.scaled(4);
            let (plain, bright) = (
                plain.frame(to, out).unwrap(),
                bright.frame(to, out).unwrap(),
            );
            let (plain, bright) = (plain.as_frame(), bright.as_frame());
            for plane in 0..to.layout().planes {
                for y in 0..to.layout().rows(plane, out.height) {
                    let (plain, bright) = (plain.plane_row(plane, y), bright.plane_row(plane, y));
                    let begin = plain.len() / 2 + 48;
                    assert_eq!(plain[begin..], bright[begin..], "{layout:?} {plane} {y}");
                }
            }
        }
    }
}
