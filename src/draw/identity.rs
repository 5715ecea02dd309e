//! How alike two pictures of a face are: the face cut out, turned upright and scaled to what embedding networks take, and the cosine of what
//! they make of it. The network itself is behind [`Embedder`].
//!
//! A face is turned and scaled so that its five points lie as in ArcFace's template of 112x112 pixels, by least squares; without points its
//! box, made square about its centre, is scaled to the whole template. Each sample of the template is the mean of `k * k` bilinear samples
//! of the picture, `k` the whole number of the picture's pixels that it covers along a side, rounded up; pictures of which it covers more
//! than two are shrunk first.

use crate::error::Result;
use crate::find::BBox;
use crate::follow::track::Face;
use crate::memory;
use crate::picture::shrink::Shrinker;
use crate::picture::{Frame, Rect, Size};

/// Side of the picture that embeddings are made of.
pub const FACE_SIDE: usize = 112;
/// Where eyes, nose and mouth corners lie in it.
const TEMPLATE: [[f64; 2]; 5] = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
];
/// Mean and deviation of ImageNet's channels, R G B, samples from 0 to 1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// Pixels of the picture along a side of a sample from which it is shrunk first.
const MOST_COVERED: f64 = 2.0;

/// A network that tells people apart.
pub trait Embedder: Send {
    /// What messages call it.
    fn name(&self) -> &str;
    /// Changes over to a better provider that has become ready; called between frames.
    fn adopt_better(&mut self) {}
    /// Makes a vector of `face`, f32[1, 3, [`FACE_SIDE`], [`FACE_SIDE`]] as [`FaceCrops::take`] gives it, and puts it into `embedding` at
    /// length 1.
    ///
    /// # Errors
    /// The runtime's, and [`crate::Error::Contract`] for a vector of length 0 or with values that are not finite numbers.
    fn embed(&mut self, face: &[f32], embedding: &mut Vec<f32>) -> Result<()>;
}

/// The cosine of two vectors of length 1, `-1.0..=1.0`; 0 if they have not the same number of values.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    let sum: f64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum();
    sum.clamp(-1.0, 1.0) as f32
}

/// The similarity from the template to the picture, `x' = a x - b y + c`, `y' = b x + a y + d`, in pixels whose centres are at halves.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Similarity {
    a: f64,
    b: f64,
    c: f64,
    d: f64,
}

impl Similarity {
    /// The least squares fit of the template onto `points`.
    fn fit(points: &[[f64; 2]; 5]) -> Self {
        let mean = |of: &[[f64; 2]; 5], axis: usize| of.iter().map(|p| p[axis]).sum::<f64>() / 5.0;
        let (tx, ty) = (mean(&TEMPLATE, 0), mean(&TEMPLATE, 1));
        let (px, py) = (mean(points, 0), mean(points, 1));
        let (mut a, mut b, mut norm) = (0.0, 0.0, 0.0);
        for (t, p) in TEMPLATE.iter().zip(points) {
            let (x, y, u, v) = (t[0] - tx, t[1] - ty, p[0] - px, p[1] - py);
            a += x * u + y * v;
            b += x * v - y * u;
            norm += x * x + y * y;
        }
        let (a, b) = (a / norm, b / norm);
        Self {
            a,
            b,
            c: px - a * tx + b * ty,
            d: py - b * tx - a * ty,
        }
    }

    /// The template over the square about a box's centre.
    fn square(bbox: BBox) -> Self {
        let (cx, cy) = bbox.centre();
        let side = f64::from(bbox.width().max(bbox.height()));
        Self {
            a: side / FACE_SIDE as f64,
            b: 0.0,
            c: f64::from(cx) - side / 2.0,
            d: f64::from(cy) - side / 2.0,
        }
    }

    /// That of `face`, in pixels of the frame in which it was found.
    fn of(face: &Face) -> Self {
        match face.points {
            Some(points) => Self::fit(&points.map(|point| point.map(f64::from))),
            None => Self::square(face.bbox),
        }
    }

    /// The same in a picture `scale` times as large, of which the part from the pixel `origin` on is there.
    fn within(self, scale: f64, origin: (usize, usize)) -> Self {
        Self {
            a: self.a * scale,
            b: self.b * scale,
            c: self.c * scale - origin.0 as f64,
            d: self.d * scale - origin.1 as f64,
        }
    }

    fn at(self, x: f64, y: f64) -> (f64, f64) {
        (
            self.a * x - self.b * y + self.c,
            self.b * x + self.a * y + self.d,
        )
    }

    /// The picture's pixels along a side of a sample.
    fn covered(self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The pixels of a frame of `size` that the template lies over, and one around; its left and upper sides are multiples of `grid`. `None`
    /// if there are none.
    fn bounds(self, size: Size, grid: (usize, usize)) -> Option<Rect> {
        let side = FACE_SIDE as f64;
        let corners = [(0.0, 0.0), (side, 0.0), (0.0, side), (side, side)];
        let corners = corners.map(|(x, y)| self.at(x, y));
        let least = |of: fn(&(f64, f64)) -> f64| corners.iter().map(of).fold(f64::MAX, f64::min);
        let most = |of: fn(&(f64, f64)) -> f64| corners.iter().map(of).fold(f64::MIN, f64::max);
        let first = |at: f64, grid: usize| (at.floor().max(1.0) as usize - 1) / grid * grid;
        let last =
            |at: f64, length: usize| ((at.ceil().max(0.0) as usize).saturating_add(1)).min(length);
        let (x, y) = (first(least(|p| p.0), grid.0), first(least(|p| p.1), grid.1));
        let (right, bottom) = (
            last(most(|p| p.0), size.width),
            last(most(|p| p.1), size.height),
        );
        (x < right && y < bottom).then(|| Rect {
            x,
            y,
            width: right - x,
            height: bottom - y,
        })
    }
}

/// Cuts faces out. Keeps its memory from one to the next.
#[derive(Default)]
pub struct FaceCrops {
    shrinker: Shrinker,
}

impl FaceCrops {
    /// Puts `face` into `crop`: f32[3, [`FACE_SIDE`], [`FACE_SIDE`]], red, green, blue, normalised as ImageNet's. `frame` is the part from
    /// `origin` (in its own pixels) on of a picture `scale` times as large as that in which the face was found; outside, its border goes on.
    /// Returns whether any of the face lies in it.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if the resampler refuses the sizes.
    pub fn take(
        &mut self,
        frame: &Frame<'_>,
        origin: (usize, usize),
        scale: usize,
        face: &Face,
        crop: &mut Vec<f32>,
    ) -> Result<bool> {
        let way = Similarity::of(face).within(scale as f64, origin);
        if ![way.a, way.b, way.c, way.d].iter().all(|v| v.is_finite()) {
            return Ok(false);
        }
        let (x_shift, y_shift) = frame.format().layout().subsampling();
        let Some(area) = way.bounds(frame.size(), (1 << x_shift, 1 << y_shift)) else {
            return Ok(false);
        };
        let ratio = (way.covered() / MOST_COVERED).max(1.0);
        let shrunk = |side: usize| ((side as f64 / ratio).ceil() as usize).clamp(1, side);
        let size = Size::new(shrunk(area.width), shrunk(area.height));
        let planes = self.shrinker.rgb(&frame.cut(area)?, size)?;
        let step = (
            size.width as f64 / area.width as f64,
            size.height as f64 / area.height as f64,
        );
        let most = step.0.max(step.1);
        let count = ((way.covered() * most - 1e-9).ceil() as usize).clamp(1, 4);
        let side = FACE_SIDE;
        crop.clear();
        memory::resize(crop, 3 * side * side, 0.0, "a face to compare")?;
        for row in 0..side {
            for column in 0..side {
                let mut sum = [0.0; 3];
                for part in 0..count * count {
                    let part_of = |index: usize| (index as f64 + 0.5) / count as f64;
                    let (x, y) = way.at(
                        column as f64 + part_of(part % count),
                        row as f64 + part_of(part / count),
                    );
                    let (x, y) = ((x - area.x as f64) * step.0, (y - area.y as f64) * step.1);
                    let found = bilinear(planes, size, x - 0.5, y - 0.5);
                    sum.iter_mut()
                        .zip(found)
                        .for_each(|(sum, value)| *sum += value);
                }
                for (channel, sum) in sum.iter().enumerate() {
                    let value = sum / (count * count) as f32;
                    let value = (value - MEAN[channel]) / DEVIATION[channel];
                    crop[(channel * side + row) * side + column] = value;
                }
            }
        }
        Ok(true)
    }
}

/// A picture of three planes at a place in pixels, centres at whole numbers; the border pixel outside.
fn bilinear(planes: [&[f32]; 3], size: Size, x: f64, y: f64) -> [f32; 3] {
    let x = x.clamp(0.0, (size.width - 1) as f64);
    let y = y.clamp(0.0, (size.height - 1) as f64);
    let (left, top) = (x as usize, y as usize);
    let (u, v) = ((x - left as f64) as f32, (y - top as f64) as f32);
    let (right, bottom) = (
        (left + 1).min(size.width - 1),
        (top + 1).min(size.height - 1),
    );
    planes.map(|plane| {
        let at = |x: usize, y: usize| plane[y * size.width + x];
        let above = at(left, top) * (1.0 - u) + at(right, top) * u;
        let below = at(left, bottom) * (1.0 - u) + at(right, bottom) * u;
        above * (1.0 - v) + below * v
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Format, PixelFormat};

    fn face(bbox: BBox, points: Option<[[f32; 2]; 5]>) -> Face {
        Face {
            id: 0,
            bbox,
            score: 1.0,
            points,
            weight: 1.0,
            held: false,
            mask: None,
        }
    }

    fn bbox(x0: f32, y0: f32, side: f32) -> BBox {
        BBox {
            x0,
            y0,
            x1: x0 + side,
            y1: y0 + side,
        }
    }

    fn value(code: f32, channel: usize) -> f32 {
        (code / 255.0 - MEAN[channel]) / DEVIATION[channel]
    }

    #[test]
    fn the_template_is_found_where_it_was_put() {
        // Turned by a quarter, three times as large, moved.
        let points = TEMPLATE.map(|[x, y]| [-3.0 * y + 500.0, 3.0 * x + 20.0]);
        let way = Similarity::fit(&points);
        for (found, expected) in [(way.a, 0.0), (way.b, 3.0), (way.c, 500.0), (way.d, 20.0)] {
            assert!((found - expected).abs() < 1e-9, "{way:?}");
        }
    }

    #[test]
    fn a_face_is_averaged_as_it_is_made_smaller() {
        // Columns of black and white alternate: two pixels, or eight, of the picture on each of the template's give grey.
        let size = Size::new(1000, 1000);
        let samples: Vec<u8> = (0..size.area() * 3)
            .map(|i| ((i / 3) % 2 * 255) as u8)
            .collect();
        let frame = Frame::new(&samples, size, 3000).unwrap();
        let (mut crops, mut crop) = (FaceCrops::default(), Vec::new());
        for scale in [2, 8] {
            let face = face(bbox(10.0, 10.0, 112.0), None);
            assert!(crops.take(&frame, (0, 0), scale, &face, &mut crop).unwrap());
            let grey = (0.5 - MEAN[1]) / DEVIATION[1];
            let side = FACE_SIDE;
            for row in 8..side - 8 {
                for column in 8..side - 8 {
                    let found = crop[(side + row) * side + column];
                    assert!((found - grey).abs() < 0.02, "{scale}: {found} {grey}");
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_picture_gives_what_the_whole_gives() {
        let size = Size::new(320, 256);
        let samples: Vec<u8> = (0..size.area() * 3)
            .map(|i| {
                let (x, y) = (i / 3 % size.width, i / 3 / size.width);
                ((x * x / 37 + y * 3 + i % 3 * 40) % 256) as u8
            })
            .collect();
        let whole = Frame::new(&samples, size, 960).unwrap();
        let part = whole
            .cut(Rect {
                x: 64,
                y: 32,
                width: 200,
                height: 200,
            })
            .unwrap();
        // Turned a little, as faces are.
        let points =
            TEMPLATE.map(|[x, y]| [x * 0.27 - y * 0.04 + 28.0, x * 0.04 + y * 0.27 + 16.0]);
        let points = points.map(|point| point.map(|v| v as f32));
        let face = face(bbox(28.0, 16.0, 30.0), Some(points));
        let (mut crops, mut a, mut b) = (FaceCrops::default(), Vec::new(), Vec::new());
        assert!(crops.take(&whole, (0, 0), 4, &face, &mut a).unwrap());
        assert!(crops.take(&part, (64, 32), 4, &face, &mut b).unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn outside_the_border_goes_on_and_nothing_is_nothing() {
        let mut samples = vec![200_u8; 32 * 32 * 3];
        samples[..3].fill(10);
        let frame = Frame::new(&samples, Size::new(32, 32), 96).unwrap();
        let (mut crops, mut crop) = (FaceCrops::default(), Vec::new());
        let corner = face(bbox(-20.0, -20.0, 20.5), None);
        assert!(crops.take(&frame, (0, 0), 1, &corner, &mut crop).unwrap());
        assert!((crop[0] - value(10.0, 0)).abs() < 1e-4);
        let far = face(bbox(900.0, 900.0, 30.0), None);
        assert!(!crops.take(&frame, (0, 0), 1, &far, &mut crop).unwrap());
        let nothing = face(bbox(f32::NAN, 0.0, 30.0), None);
        assert!(!crops.take(&frame, (0, 0), 1, &nothing, &mut crop).unwrap());
    }

    #[test]
    fn other_formats_give_the_same_face() {
        // Grey as NV12 and as RGB.
        let size = Size::new(64, 64);
        let luma = vec![120_u8; size.area()];
        let chroma = vec![128_u8; size.area() / 2];
        let mut format = Format::rgb(PixelFormat::Nv12);
        format.range = crate::picture::Range::Full;
        let frame = Frame::of(format, size, &[(&luma, 64), (&chroma, 64)]).unwrap();
        let mut crop = Vec::new();
        let face = face(bbox(9.0, 11.0, 40.0), None);
        assert!(
            FaceCrops::default()
                .take(&frame, (0, 0), 1, &face, &mut crop)
                .unwrap()
        );
        for (channel, plane) in crop.chunks_exact(FACE_SIDE * FACE_SIDE).enumerate() {
            let expected = value(120.0, channel);
            assert!(plane.iter().all(|v| (v - expected).abs() < 0.02));
        }
    }

    #[test]
    fn cosines_of_known_vectors() {
        assert_eq!(cosine(&[1.0, 0.0], &[1.0, 0.0]), 1.0);
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 1.0]), 0.0);
        assert_eq!(cosine(&[1.0, 0.0], &[-1.0, 0.0]), -1.0);
        assert_eq!(cosine(&[1.0], &[1.0, 0.0]), 0.0);
    }
}
