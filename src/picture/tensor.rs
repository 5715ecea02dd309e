//! Pieces of a frame as networks take them, f32 or u8 in NCHW layout. Knows value ranges and channel orders, no network.

use super::colour::{self, RowScratch};
use super::format::{ColourFamily, Matrix, PixelFormat};
use super::vector::widest;
use super::{Frame, Rect};

/// Planes of a tensor, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luma alone: samples of Y' as they are in the frame, whatever its range and matrix, so that nothing is converted.
    Y,
}

impl Channels {
    /// Number of planes.
    pub const fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Y => 1,
        }
    }
}

/// How sample values become tensor values: black to `black`, white to `white`, linear in between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoding {
    /// Tensor value of black; of code 0 for luma.
    pub black: f32,
    /// Tensor value of white; of the largest code for luma.
    pub white: f32,
    /// Order of the planes.
    pub channels: Channels,
}

impl Default for Encoding {
    fn default() -> Self {
        Self {
            black: 0.0,
            white: 1.0,
            channels: Channels::Rgb,
        }
    }
}

/// The matrix by which luma is made of frames of red, green and blue for networks of luma, and red, green and blue of their output.
pub const LUMA_MATRIX: Matrix = Matrix::Bt601;

impl Encoding {
    /// Plane of the tensor that holds red, green and blue; the one plane of luma is that of all.
    pub const fn planes(self) -> [usize; 3] {
        match self.channels {
            Channels::Rgb => [0, 1, 2],
            Channels::Bgr => [2, 1, 0],
            Channels::Y => [0, 0, 0],
        }
    }
}

/// Row buffers, reused from piece to piece.
#[derive(Debug, Clone, Default)]
pub struct TensorRows {
    rows: [Vec<f32>; 3],
    luma: Vec<f32>,
    shared: RowScratch,
}

/// Hands each row of `window` of `frame`, as numbers from black 0 to white 1, to `take`: planes in the order red, green, blue, or luma
/// alone three times. Luma of a frame that has it is its code over the largest.
pub fn rows(
    frame: &Frame<'_>,
    window: Rect,
    channels: Channels,
    scratch: &mut TensorRows,
    mut take: impl FnMut(usize, [&[f32]; 3]),
) {
    let TensorRows { rows, luma, shared } = scratch;
    rows.iter_mut()
        .for_each(|row| row.resize(window.width, 0.0));
    luma.resize(window.width, 0.0);
    let layout = frame.format().layout();
    let as_it_is = channels == Channels::Y && layout.family != ColourFamily::Rgb;
    for y in 0..window.height {
        let [red, green, blue] = rows;
        if as_it_is {
            frame.read(0, window.y + y, window.x, red);
            colour::scale(red, 1.0 / layout.components()[0].max(), 0.0);
            take(y, [red, red, red]);
            continue;
        }
        let columns = window.x..window.right();
        colour::rgb_row(
            frame,
            window.y + y,
            columns,
            [&mut *red, &mut *green, &mut *blue],
            shared,
        );
        if channels == Channels::Y {
            colour::luma(LUMA_MATRIX, [red, green, blue], luma);
            take(y, [luma, luma, luma]);
        } else {
            take(y, [red, green, blue]);
        }
    }
}

/// Writes `window` of `frame` into `tensor`, which is f32[1, c, window.height, window.width].
///
/// Panics if the window leaves the frame or the tensor is too short; both come from the planner.
pub fn from_frame(
    frame: &Frame<'_>,
    window: Rect,
    encoding: Encoding,
    tensor: &mut [f32],
    scratch: &mut TensorRows,
) {
    planes_from_frame(
        frame,
        window,
        encoding,
        window.width * window.height,
        tensor,
        scratch,
    );
}

/// [`from_frame`] into planes that begin `area` samples apart, and go on with rows that are left as they are.
pub fn planes_from_frame(
    frame: &Frame<'_>,
    window: Rect,
    encoding: Encoding,
    area: usize,
    tensor: &mut [f32],
    scratch: &mut TensorRows,
) {
    let span = encoding.white - encoding.black;
    let format = frame.format();
    let count = encoding.channels.count();
    if count == 3 && format.pixels == PixelFormat::Rgb {
        let q = format.quantiser(0);
        let gain = span / q.scale;
        let shift = encoding.black - q.offset * gain;
        let order = encoding.channels;
        from_packed_bytes(frame, window, (gain, shift), order, area, tensor);
        return;
    }
    if (count == 3) == (format.layout().family == ColourFamily::Rgb) {
        // Components as they are: one step from code to value.
        for (index, plane) in encoding.planes().into_iter().enumerate().take(count) {
            let (scale, offset) = match (count, format.quantiser(index)) {
                (3, q) => (q.scale, q.offset),
                _ => (format.layout().components()[0].max(), 0.0),
            };
            let gain = span / scale;
            for y in 0..window.height {
                let line = &mut tensor[plane * area + y * window.width..][..window.width];
                frame.read(index, window.y + y, window.x, line);
                colour::scale(line, gain, encoding.black - offset * gain);
            }
        }
        return;
    }
    rows(frame, window, encoding.channels, scratch, |y, colours| {
        let planes = encoding.planes().into_iter().zip(colours);
        for (plane, row) in planes.take(encoding.channels.count()) {
            let line = &mut tensor[plane * area + y * window.width..][..window.width];
            line.copy_from_slice(row);
            colour::scale(line, span, encoding.black);
        }
    });
}

/// [`from_frame`] for red, green and blue beside one another in bytes: all three in one pass.
fn from_packed_bytes(
    frame: &Frame<'_>,
    window: Rect,
    (gain, shift): (f32, f32),
    order: Channels,
    area: usize,
    tensor: &mut [f32],
) {
    let (first, rest) = tensor.split_at_mut(area);
    let (second, third) = rest.split_at_mut(area);
    let (red, green, blue) = match order {
        Channels::Bgr => (third, second, first),
        Channels::Rgb | Channels::Y => (first, second, third),
    };
    widest(
        #[inline(always)]
        || {
            for y in 0..window.height {
                let row = &frame.row(window.y + y)[3 * window.x..3 * window.right()];
                let line = y * window.width..(y + 1) * window.width;
                let planes = red[line.clone()]
                    .iter_mut()
                    .zip(&mut green[line.clone()])
                    .zip(&mut blue[line]);
                for (pixel, ((r, g), b)) in row.as_chunks::<3>().0.iter().zip(planes) {
                    *r = f32::from(pixel[0]) * gain + shift;
                    *g = f32::from(pixel[1]) * gain + shift;
                    *b = f32::from(pixel[2]) * gain + shift;
                }
            }
        },
    );
}

/// How far a number may lie beyond black or white and still become their byte by rounding.
const ROUNDING: f32 = 0.5 / 255.0;

/// What bytes cannot hold of `value`: by how much it lies beyond black or white, where it would not become their byte by rounding.
#[inline(always)]
pub fn excess(value: f32) -> f32 {
    value - value.clamp(-ROUNDING, 1.0 + ROUNDING)
}

/// Whether bytes cannot hold all `values`.
#[inline(always)]
pub fn exceed(values: &[f32]) -> bool {
    // Without an early exit the loop is vectorised.
    values
        .iter()
        .fold(false, |any, value| any | (excess(*value) != 0.0))
}

/// Writes `window` of `frame` into `tensor`, which is u8[1, c, window.height, window.width], black 0 and white 255. Returns whether anything lies
/// beyond these, see [`excess`].
///
/// Panics as [`from_frame`].
pub fn bytes_from_frame(
    frame: &Frame<'_>,
    window: Rect,
    channels: Channels,
    tensor: &mut [u8],
    scratch: &mut TensorRows,
) -> bool {
    let area = window.width * window.height;
    let layout = frame.format().layout();
    let planes = Encoding {
        channels,
        ..Encoding::default()
    }
    .planes();
    let luma = layout.components()[0];
    let is_row = channels == Channels::Y
        && layout.family != ColourFamily::Rgb
        && (luma.word, luma.step) == (1, 1);
    if is_row {
        // Nothing is converted at all.
        for (y, line) in tensor[..area].chunks_exact_mut(window.width).enumerate() {
            let row = frame.plane_row(luma.plane, window.y + y);
            line.copy_from_slice(&row[window.x..window.right()]);
        }
        return false;
    }
    let mut exceeds = false;
    rows(frame, window, channels, scratch, |y, colours| {
        for (plane, row) in planes.into_iter().zip(colours).take(channels.count()) {
            let line = &mut tensor[plane * area + y * window.width..][..window.width];
            widest(
                #[inline(always)]
                || {
                    for (byte, value) in line.iter_mut().zip(row) {
                        *byte = (value * 255.0 + 0.5) as u8;
                    }
                    exceeds |= exceed(row);
                },
            );
        }
    });
    exceeds
}

/// Whether every value is a number: neither infinite nor NaN.
///
/// Half precision networks overflow silently; what they leave behind would be drawn as black.
#[inline(always)]
pub fn all_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    // Without an early exit the loop is vectorised, and a result is nearly always finite.
    !values
        .iter()
        .fold(false, |bad, v| bad | (v.to_bits() & EXPONENT == EXPONENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Format, Range, Size};

    const WINDOW: Rect = Rect {
        x: 1,
        y: 1,
        width: 2,
        height: 2,
    };

    #[test]
    fn window_range_and_order() {
        let data: Vec<u8> = (0..4 * 3 * 3 + 6).map(|v| v as u8).collect();
        let frame = Frame::new(&data, Size::new(4, 3), 13).unwrap();
        let values = |black, white, channels: Channels| {
            let mut values = vec![f32::NAN; 4 * channels.count()];
            let encoding = Encoding {
                black,
                white,
                channels,
            };
            from_frame(
                &frame,
                WINDOW,
                encoding,
                &mut values,
                &mut TensorRows::default(),
            );
            values
        };
        let expected = [16., 19., 29., 32., 17., 20., 30., 33., 18., 21., 31., 34.];
        let rgb = values(0.0, 255.0, Channels::Rgb);
        for (value, expected) in rgb.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-4, "{value} {expected}");
        }
        let bgr = values(-1.0, 1.0, Channels::Bgr);
        for (plane, source) in [(0, 2), (1, 1), (2, 0)] {
            for i in 0..4 {
                let expected = rgb[source * 4 + i] / 127.5 - 1.0;
                assert!((bgr[plane * 4 + i] - expected).abs() < 1e-6);
            }
        }
        let luma = values(0.0, 255.0, Channels::Y);
        for (i, value) in luma.iter().enumerate() {
            let expected = 0.299 * rgb[i] + 0.587 * rgb[4 + i] + 0.114 * rgb[8 + i];
            assert!((value - expected).abs() < 1e-4);
        }
        let mut bytes = [0; 12];
        let exceeds = bytes_from_frame(
            &frame,
            WINDOW,
            Channels::Rgb,
            &mut bytes,
            &mut TensorRows::default(),
        );
        assert!(!exceeds);
        assert_eq!(bytes.map(f32::from), expected);
    }

    /// What has luma gives it as it is, of any depth and range.
    #[test]
    fn luma_is_not_converted() {
        let size = Size::new(4, 4);
        let luma: Vec<u8> = (0..16).map(|v| v * 15 + 9).collect();
        let chroma = [77u8; 8];
        let mut format = Format::rgb(PixelFormat::Nv12);
        format.range = Range::Limited;
        let frame = Frame::of(format, size, &[(&luma, 4), (&chroma, 4)]).unwrap();
        let mut bytes = [0; 4];
        bytes_from_frame(
            &frame,
            WINDOW,
            Channels::Y,
            &mut bytes,
            &mut TensorRows::default(),
        );
        assert_eq!(bytes, [luma[5], luma[6], luma[9], luma[10]]);
        let wide: Vec<u8> = luma
            .iter()
            .flat_map(|v| (u16::from(*v) << 8).to_le_bytes())
            .collect();
        format.pixels = PixelFormat::P010Le;
        let frame = Frame::of(format, size, &[(&wide, 8), (&[0; 16], 8)]).unwrap();
        let mut values = [0.0; 4];
        let encoding = Encoding {
            channels: Channels::Y,
            ..Encoding::default()
        };
        from_frame(
            &frame,
            WINDOW,
            encoding,
            &mut values,
            &mut TensorRows::default(),
        );
        for (value, byte) in values.iter().zip(bytes) {
            assert!((value - f32::from(byte) * 4.0 / 1023.0).abs() < 1e-6);
        }
    }

    #[test]
    fn finite() {
        assert!(all_finite(&[0.0, -1e30, f32::MIN_POSITIVE]));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(!all_finite(&[0.0, bad, 1.0]));
        }
    }
}
