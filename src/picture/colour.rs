//! Colours of pixels as numbers: red, green, blue and luma 0..=1 from black to white, colour differences -0.5..=0.5; values beyond, which
//! limited ranges leave room for, are kept. Rows of a frame are read as such here, and colours changed from one kind into the other. Pure.

use std::ops::Range;

use super::format::{ColourFamily, Format, Matrix};
use super::frame::Frame;
use super::vector::widest;

/// A matrix's numbers, see [`Matrix`].
#[derive(Debug, Clone, Copy)]
struct Coefficients {
    red: f32,
    green: f32,
    blue: f32,
    /// Red minus luma for a difference of 1, and blue minus luma.
    cr_span: f32,
    cb_span: f32,
}

impl Coefficients {
    fn of(matrix: Matrix) -> Self {
        let [red, green, blue] = matrix.weights();
        Self {
            red: red as f32,
            green: green as f32,
            blue: blue as f32,
            cr_span: (2.0 - 2.0 * red) as f32,
            cb_span: (2.0 - 2.0 * blue) as f32,
        }
    }
}

/// Luma of red, green and blue.
pub fn luma(matrix: Matrix, colours: [&[f32]; 3], to: &mut [f32]) {
    luma_codes(matrix, colours, 1.0, 0.0, to);
}

/// Luma of red, green and blue, multiplied and added to.
pub fn luma_codes(
    matrix: Matrix,
    [red, green, blue]: [&[f32]; 3],
    gain: f32,
    shift: f32,
    to: &mut [f32],
) {
    let k = Coefficients::of(matrix);
    let (kr, kg, kb) = (k.red * gain, k.green * gain, k.blue * gain);
    widest(
        #[inline(always)]
        || {
            for (((y, r), g), b) in to.iter_mut().zip(red).zip(green).zip(blue) {
                *y = kr * r + kg * g + kb * b + shift;
            }
        },
    );
}

/// The difference of blue (`index` 1) or red (2) from luma, of red, green and blue.
pub fn difference(matrix: Matrix, index: usize, rows: [&[f32]; 3], to: &mut [f32]) {
    let k = Coefficients::of(matrix);
    let (of, gain) = match index {
        1 => (rows[2], 1.0 / k.cb_span),
        _ => (rows[0], 1.0 / k.cr_span),
    };
    let [red, green, blue] = rows;
    widest(
        #[inline(always)]
        || {
            for ((((to, r), g), b), of) in to.iter_mut().zip(red).zip(green).zip(blue).zip(of) {
                *to = (of - (k.red * r + k.green * g + k.blue * b)) * gain;
            }
        },
    );
}

/// Makes luma and colour differences red, green and blue, in place.
pub fn to_rgb(matrix: Matrix, [first, second, third]: [&mut [f32]; 3]) {
    let k = Coefficients::of(matrix);
    let (green_cb, green_cr) = (k.blue * k.cb_span / k.green, k.red * k.cr_span / k.green);
    widest(
        #[inline(always)]
        || {
            for ((a, b), c) in first.iter_mut().zip(second).zip(third) {
                let (y, cb, cr) = (*a, *b, *c);
                *a = y + k.cr_span * cr;
                *b = y - green_cb * cb - green_cr * cr;
                *c = y + k.cb_span * cb;
            }
        },
    );
}

/// Multiplies and adds, in place.
pub fn scale(values: &mut [f32], gain: f32, shift: f32) {
    if (gain, shift) == (1.0, 0.0) {
        return;
    }
    widest(
        #[inline(always)]
        || values.iter_mut().for_each(|v| *v = *v * gain + shift),
    );
}

/// Codes of component `index` of `format` as numbers, in place.
pub fn to_numbers(format: &Format, index: usize, codes: &mut [f32]) {
    let q = format.quantiser(index);
    scale(codes, 1.0 / q.scale, -q.offset / q.scale);
}

/// Row buffers for [`rgb_row`], reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct RowScratch {
    upper: Vec<f32>,
    lower: Vec<f32>,
}

/// Pixels `columns` of row `y` of `frame` as red, green and blue. Colour differences that pixels share are interpolated linearly.
pub fn rgb_row(
    frame: &Frame<'_>,
    y: usize,
    columns: Range<usize>,
    [red, green, blue]: [&mut [f32]; 3],
    scratch: &mut RowScratch,
) {
    let format = frame.format();
    frame.read(0, y, columns.start, red);
    to_numbers(format, 0, red);
    match format.layout().family {
        ColourFamily::Gray => {
            green.copy_from_slice(red);
            blue.copy_from_slice(red);
        }
        ColourFamily::Rgb => {
            for (index, row) in [(1, green), (2, blue)] {
                frame.read(index, y, columns.start, row);
                to_numbers(format, index, row);
            }
        }
        ColourFamily::Yuv => {
            for (index, row) in [(1, &mut *green), (2, &mut *blue)] {
                shared_row(frame, index, y, columns.clone(), row, scratch);
                to_numbers(format, index, row);
            }
            to_rgb(format.matrix, [red, green, blue]);
        }
    }
}

/// Codes of colour difference `index` for pixels `columns` of row `y`.
fn shared_row(
    frame: &Frame<'_>,
    index: usize,
    y: usize,
    columns: Range<usize>,
    to: &mut [f32],
    scratch: &mut RowScratch,
) {
    let (format, size) = (frame.format(), frame.size());
    let component = format.layout().components()[index];
    if (component.x_shift, component.y_shift) == (0, 0) {
        frame.read(index, y, columns.start, to);
        return;
    }
    let (width, height) = (component.width(size.width), component.height(size.height));
    let (above, share) = place(y, component.y_shift, format.site.top);
    let row = |at: isize| at.clamp(0, height as isize - 1) as usize;
    // The samples that are needed, from the one before the first pixel's own.
    let first = (columns.start >> component.x_shift) as isize - 1;
    let length =
        ((columns.end - 1) >> component.x_shift) + 3 - (columns.start >> component.x_shift);
    let begin = first.max(0) as usize;
    let end = ((first + length as isize) as usize).min(width);
    let place_of = (begin as isize - first) as usize;
    let read = |number: usize, held: &mut Vec<f32>| {
        held.resize(length, 0.0);
        frame.read(
            index,
            number,
            begin,
            &mut held[place_of..place_of + end - begin],
        );
        let (left, right) = (held[place_of], held[place_of + end - begin - 1]);
        held[..place_of].fill(left);
        held[place_of + end - begin..].fill(right);
    };
    let RowScratch { upper, lower } = scratch;
    read(row(above), upper);
    if share > 0.0 {
        read(row(above + 1), lower);
        for (a, b) in upper.iter_mut().zip(lower.iter()) {
            *a += share * (b - *a);
        }
    }
    let phases: [(isize, f32); 4] =
        std::array::from_fn(|x| place(x, component.x_shift, format.site.left));
    let mask = (1usize << component.x_shift) - 1;
    for (x, value) in columns.zip(to) {
        let (before, share) = phases[x & mask];
        let at = (((x >> component.x_shift) as isize + before) - first) as usize;
        *value = upper[at] + share * (upper[at + 1] - upper[at]);
    }
}

/// The sample at or before pixel `index`, and the share of the one after it.
fn place(index: usize, shift: u32, on_first: bool) -> (isize, f32) {
    let side = (1usize << shift) as f32;
    let at = if on_first {
        index as f32 / side
    } else {
        (index as f32 + 0.5) / side - 0.5
    };
    (at.floor() as isize, at - at.floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::format::{ChromaSite, PixelFormat};
    use crate::picture::{Range as CodeRange, Size};

    #[test]
    fn there_and_back() {
        for matrix in [
            Matrix::Bt601,
            Matrix::Bt709,
            Matrix::Fcc,
            Matrix::Smpte240M,
            Matrix::Bt2020,
        ] {
            let rgb = [
                vec![0.0, 1.0, 0.25, 0.9],
                vec![1.0, 0.0, 0.5, 0.9],
                vec![0.3, 0.0, 1.0, 0.9],
            ];
            let rows = || rgb.each_ref().map(Vec::as_slice);
            let (mut y, mut cb, mut cr) = (vec![0.0; 4], vec![0.0; 4], vec![0.0; 4]);
            luma(matrix, rows(), &mut y);
            difference(matrix, 1, rows(), &mut cb);
            difference(matrix, 2, rows(), &mut cr);
            // Grey has no difference; red's own is the largest there is.
            assert!((y[3] - 0.9).abs() < 1e-6 && cb[3].abs() < 1e-6 && cr[3].abs() < 1e-6);
            assert!((cr[1] - 0.5).abs() < 1e-6);
            to_rgb(matrix, [&mut y, &mut cb, &mut cr]);
            for (found, expected) in [&y, &cb, &cr]
                .into_iter()
                .flatten()
                .zip(rgb.iter().flatten())
            {
                assert!((found - expected).abs() < 1e-6, "{matrix:?}");
            }
        }
    }

    /// A ramp of colour difference is a ramp at the pixels too, wherever its samples lie.
    #[test]
    fn shared_samples_are_read_at_their_place() {
        let size = Size::new(16, 8);
        for (left, top) in [(false, false), (true, false), (true, true)] {
            let format = Format {
                pixels: PixelFormat::I420,
                matrix: Matrix::Bt709,
                range: CodeRange::Full,
                site: ChromaSite { left, top },
            };
            let luma = vec![128u8; 128];
            // Ten codes a sample across and four down, at the samples' own places.
            let plane: Vec<u8> = (0..32)
                .map(|i| (20 + i % 8 * 10 + i / 8 * 4) as u8)
                .collect();
            let frame = Frame::of(format, size, &[(&luma, 16), (&plane, 8), (&plane, 8)]).unwrap();
            let mut row = vec![0.0; 10];
            for y in 2..6 {
                shared_row(&frame, 1, y, 3..13, &mut row, &mut RowScratch::default());
                for (x, found) in (3..13).zip(&row) {
                    let at =
                        |i: usize, first: bool| i as f32 / 2.0 - if first { 0.0 } else { 0.25 };
                    let expected = 20.0 + at(x, left) * 10.0 + at(y, top) * 4.0;
                    assert!(
                        (found - expected).abs() < 1e-4,
                        "{x},{y}: {found} {expected}"
                    );
                }
            }
        }
    }
}
