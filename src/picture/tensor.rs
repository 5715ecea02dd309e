//! Frame samples to f32 tensors in NCHW layout and back. Knows value ranges and channel orders, no network.

use crate::picture::Rect;
use crate::picture::vector::widest;
use crate::picture::{Frame, Sample};

/// Order of the colour planes in a tensor.
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
    /// Tensor value of sample 0.
    pub black: f32,
    /// Tensor value of the largest sample.
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

/// Writes `window` of `frame` into `tensor`, which is f32[1, 3, window.height, window.width].
///
/// Panics if the window leaves the frame or the tensor is too short; both come from the planner.
pub fn from_frame<S: Sample>(
    frame: &Frame<'_, S>,
    window: Rect,
    encoding: Encoding,
    tensor: &mut [f32],
) {
    let area = window.width * window.height;
    let gain = (encoding.white - encoding.black) / S::MAX;
    let (first, rest) = tensor[..3 * area].split_at_mut(area);
    let (second, third) = rest.split_at_mut(area);
    let (red, green, blue) = match encoding.channels {
        Channels::Rgb => (first, second, third),
        Channels::Bgr => (third, second, first),
        Channels::Y => return,
    };
    widest(
        #[inline(always)]
        || {
            for y in 0..window.height {
                let row = &frame.row(window.y + y)[window.x * 3..][..window.width * 3];
                let line = y * window.width..(y + 1) * window.width;
                let planes = red[line.clone()]
                    .iter_mut()
                    .zip(&mut green[line.clone()])
                    .zip(&mut blue[line]);
                for (pixel, ((r, g), b)) in row.as_chunks::<3>().0.iter().zip(planes) {
                    *r = pixel[0].to_f32() * gain + encoding.black;
                    *g = pixel[1].to_f32() * gain + encoding.black;
                    *b = pixel[2].to_f32() * gain + encoding.black;
                }
            }
        },
    );
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
    use crate::picture::Size;

    #[test]
    fn window_range_and_order() {
        let data: Vec<u8> = (0..4 * 3 * 3 + 6).map(|v| v as u8).collect();
        let frame = Frame::new(&data, Size::new(4, 3), 13).unwrap();
        let window = Rect {
            x: 1,
            y: 1,
            width: 2,
            height: 2,
        };
        let mut rgb = vec![f32::NAN; 12];
        from_frame(
            &frame,
            window,
            Encoding {
                black: 0.0,
                white: 255.0,
                channels: Channels::Rgb,
            },
            &mut rgb,
        );
        assert_eq!(
            rgb,
            [16., 19., 29., 32., 17., 20., 30., 33., 18., 21., 31., 34.]
        );
        let mut bgr = vec![f32::NAN; 12];
        from_frame(
            &frame,
            window,
            Encoding {
                black: -1.0,
                white: 1.0,
                channels: Channels::Bgr,
            },
            &mut bgr,
        );
        for (plane, source) in [(0, 2), (1, 1), (2, 0)] {
            for i in 0..4 {
                let expected = rgb[source * 4 + i] / 127.5 - 1.0;
                assert!((bgr[plane * 4 + i] - expected).abs() < 1e-6);
            }
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
