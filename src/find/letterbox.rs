//! The step from a frame to a detector's tensor, and from the tensor's pixels back to the frame's.
//!
//! The frame keeps its shape, is put into the upper left corner, and the rest of the tensor is black.

use super::Detection;
use crate::error::Result;
use crate::memory;
use crate::picture::colour;
use crate::picture::shrink::Shrinker;
use crate::picture::tensor::{TensorRows, planes_from_frame};
use crate::picture::{ColourFamily, Encoding, Frame, Rect, Size};

/// What a detector takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputSpec {
    /// Sides that the model fixes; `None` where they are free.
    pub fixed: Option<Size>,
    /// Sides must be multiples of this where they are free.
    pub stride: usize,
    /// Longest side that frames are shrunk to where sides are free, in pixels.
    pub longest: usize,
    /// Value range and order of channels.
    pub encoding: Encoding,
}

/// Where a frame lies in the tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Sides of the tensor.
    pub tensor: Size,
    /// Sides of the frame inside it.
    pub inner: Size,
    /// Frame pixels per tensor pixel in x and y.
    pub step: (f32, f32),
}

impl InputSpec {
    /// Where a frame of `frame` pixels goes. Frames are shrunk to fit, never enlarged.
    pub fn place(&self, frame: Size) -> Placement {
        let room = self.fixed.unwrap_or(Size::new(self.longest, self.longest));
        let ratio = (room.width as f64 / frame.width as f64)
            .min(room.height as f64 / frame.height as f64)
            .min(1.0);
        let shrink =
            |side: usize, most: usize| ((side as f64 * ratio).round() as usize).clamp(1, most);
        let inner = Size::new(
            shrink(frame.width, room.width),
            shrink(frame.height, room.height),
        );
        let stride = self.stride.max(1);
        let free = Size::new(
            inner.width.next_multiple_of(stride),
            inner.height.next_multiple_of(stride),
        );
        Placement {
            tensor: self.fixed.unwrap_or(free),
            inner,
            step: (
                frame.width as f32 / inner.width as f32,
                frame.height as f32 / inner.height as f32,
            ),
        }
    }
}

impl Placement {
    /// Moves a detection from tensor pixels to frame pixels.
    pub fn map_back(&self, detection: &mut Detection) {
        let (sx, sy) = self.step;
        let b = &mut detection.bbox;
        (b.x0, b.x1, b.y0, b.y1) = (b.x0 * sx, b.x1 * sx, b.y0 * sy, b.y1 * sy);
        for point in detection.points.iter_mut().flatten() {
            *point = [point[0] * sx, point[1] * sy];
        }
    }
}

/// Fills `tensor`, resized to f32[1, 3, placement.tensor.height, placement.tensor.width], with the frame.
///
/// # Errors
/// [`crate::Error::Shape`] if the resampler refuses the sizes, [`crate::Error::Memory`].
pub fn fill(
    frame: &Frame<'_>,
    placement: &Placement,
    encoding: Encoding,
    shrinker: &mut Shrinker,
    tensor: &mut Vec<f32>,
) -> Result<()> {
    let Placement {
        tensor: outer,
        inner,
        ..
    } = *placement;
    let what = "input of a detector";
    let layout = frame.format().layout();
    if inner == frame.size()
        && inner.width == outer.width
        && layout.family == ColourFamily::Rgb
        && encoding.channels.count() == 3
    {
        // Nothing is shrunk and nothing is left beside it: one step from samples to values.
        memory::resize(tensor, 3 * outer.area(), encoding.black, what)?;
        let whole = Rect::whole(inner);
        let scratch = &mut TensorRows::default();
        planes_from_frame(frame, whole, encoding, outer.area(), tensor, scratch);
        for plane in tensor.chunks_exact_mut(outer.area()) {
            plane[inner.area()..].fill(encoding.black);
        }
        return Ok(());
    }
    let colours = shrinker.rgb(frame, inner)?;
    tensor.clear();
    memory::resize(tensor, 3 * outer.area(), encoding.black, what)?;
    let span = encoding.white - encoding.black;
    for (plane, colour) in encoding.planes().into_iter().zip(colours) {
        for (y, row) in colour.chunks_exact(inner.width).enumerate() {
            let line = &mut tensor[plane * outer.area() + y * outer.width..][..inner.width];
            line.copy_from_slice(row);
            colour::scale(line, span, encoding.black);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::BBox;
    use crate::picture::Channels;

    #[test]
    fn there_and_back() {
        let encoding = Encoding {
            black: 0.0,
            white: 255.0,
            ..Encoding::default()
        };
        let spec = InputSpec {
            fixed: None,
            stride: 32,
            longest: 640,
            encoding,
        };
        let placement = spec.place(Size::new(1280, 720));
        assert_eq!(
            (placement.tensor, placement.inner),
            (Size::new(640, 384), Size::new(640, 360))
        );
        let mut detection = Detection {
            bbox: BBox {
                x0: 10.,
                y0: 20.,
                x1: 30.,
                y1: 50.,
            },
            score: 1.0,
            points: Some([[1.0, 2.0]; 5]),
            mask: None,
        };
        placement.map_back(&mut detection);
        assert_eq!(
            detection.bbox,
            BBox {
                x0: 20.,
                y0: 40.,
                x1: 60.,
                y1: 100.
            }
        );
        assert_eq!(detection.points.unwrap()[0], [2.0, 4.0]);
        assert_eq!(spec.place(Size::new(100, 50)).tensor, Size::new(128, 64));
        let fixed = InputSpec {
            fixed: Some(Size::new(320, 240)),
            ..spec
        };
        assert_eq!(fixed.place(Size::new(640, 360)).inner, Size::new(320, 180));
    }

    #[test]
    fn a_frame_that_fits_is_what_the_shrinker_gives() {
        let encoding = Encoding {
            black: -0.5,
            white: 200.0,
            channels: Channels::Bgr,
        };
        let spec = InputSpec {
            fixed: None,
            stride: 8,
            longest: 64,
            encoding,
        };
        let data: Vec<u8> = (0..16 * 5 * 3).map(|i| (i * 37 % 251) as u8).collect();
        let frame = Frame::new(&data, Size::new(16, 5), 48).unwrap();
        let placement = spec.place(frame.size());
        assert_eq!(placement.tensor, Size::new(16, 8));
        let mut shrinker = Shrinker::default();
        // What an earlier frame left has to go.
        let mut tensor = vec![f32::NAN; 7];
        fill(&frame, &placement, encoding, &mut shrinker, &mut tensor).unwrap();
        let colours = shrinker.rgb(&frame, frame.size()).unwrap();
        for (plane, colour) in [2, 1, 0].into_iter().zip(colours) {
            for (i, value) in tensor[plane * 128..][..128].iter().enumerate() {
                let wanted = colour.get(i).map_or(-0.5, |v| v * 200.5 - 0.5);
                assert!((value - wanted).abs() < 1e-3, "{plane} {i}");
            }
        }
    }

    #[test]
    fn frame_in_the_corner_black_around() {
        let encoding = Encoding {
            black: -1.0,
            white: 1.0,
            ..Encoding::default()
        };
        let data = vec![255u8; 5 * 3 * 3];
        let frame = Frame::new(&data, Size::new(5, 3), 15).unwrap();
        let spec = InputSpec {
            fixed: None,
            stride: 8,
            longest: 64,
            encoding,
        };
        let placement = spec.place(frame.size());
        let mut tensor = Vec::new();
        fill(
            &frame,
            &placement,
            encoding,
            &mut Shrinker::default(),
            &mut tensor,
        )
        .unwrap();
        for (i, value) in tensor.iter().enumerate() {
            let (x, y) = (i % 8, i / 8 % 8);
            assert_eq!(*value, if x < 5 && y < 3 { 1.0 } else { -1.0 });
        }
    }
}
