//! The fusion weight `w` of equation (2): each object's padded box convolved with a normalised Gaussian. Pure.
//!
//! ```text
//! w = max over objects of  a * (box * G),   G ~ N(0, diag(sx^2, sy^2)),   sx = s * box width,  sy = s * box height     (2)
//! ```
//!
//! with `a` the object's weight from the tracker. Box and Gaussian are separable, so `box * G` is the product of one curve in x
//! and one in y: exact, sub-pixel, and without an image-sized buffer. `G` is cut at [`CUT`] standard deviations and normalised
//! again, so that `w` is exactly 0 outside a known rectangle, the support, where the expert need not run. Objects of several kinds have one `w` each kind; where
//! they overlap the larger one counts alone.
//!
//! Of an object that was found with a mask, that takes the place of its box: see `silhouette.rs`.

mod gauss;
mod silhouette;

use std::ops::Range;

use crate::SCALE;
use crate::find::BBox;
use crate::follow::track::Face;
use crate::picture::Rect;
use crate::picture::Size;
use crate::picture::vector::widest;

pub use gauss::{CUT, cut_normal_cdf};
use silhouette::Silhouette;

/// Weight from which an expert's picture is taken alone: the general one's share would be a quarter of a level of 255.
pub const OPAQUE: f32 = 1.0 - 1.0 / 1024.0;

/// One factor of an object's mask along one axis of the output frame.
#[derive(Debug, Clone, Default, PartialEq)]
struct Curve {
    /// First output pixel of the support.
    start: usize,
    /// Values from there on, each in 0..=1.
    values: Vec<f32>,
}

impl Curve {
    /// The box `low..high` (input pixels) convolved with the Gaussian of standard deviation `sigma` (input pixels), sampled at
    /// the centres of output pixels inside `0..length` (input pixels). Returns the support in whole input pixels.
    fn fill(&mut self, low: f64, high: f64, sigma: f64, length: usize) -> (usize, usize) {
        let clip = |v: f64| v.clamp(0.0, length as f64);
        let (first, last) = (
            clip((low - CUT * sigma).floor()) as usize,
            clip((high + CUT * sigma).ceil()) as usize,
        );
        self.start = first * SCALE;
        self.values.clear();
        self.values.extend((first * SCALE..last * SCALE).map(|x| {
            let u = (x as f64 + 0.5) / SCALE as f64;
            let value = if sigma > 0.0 {
                cut_normal_cdf((u - low) / sigma) - cut_normal_cdf((u - high) / sigma)
            } else {
                f64::from(u8::from(low <= u && u < high))
            };
            value.max(0.0) as f32
        }));
        (first, last)
    }

    /// First output pixel and length of the stretch with values of at least `least`; a curve rises and falls once.
    fn stretch(&self, least: f32) -> Option<(usize, usize)> {
        let first = self.values.iter().position(|v| *v >= least)?;
        let length = self.values[first..]
            .iter()
            .take_while(|v| **v >= least)
            .count();
        Some((self.start + first, length))
    }

    fn at(&self, x: usize) -> f32 {
        x.checked_sub(self.start)
            .and_then(|i| self.values.get(i))
            .copied()
            .unwrap_or(0.0)
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
struct ObjectMask {
    /// Place of its kind among the stream's.
    kind: usize,
    x: Curve,
    y: Curve,
    weight: f32,
    /// Input pixels.
    support: Option<Rect>,
    /// What takes the place of the curves where more than the box is known.
    silhouette: Silhouette,
}

impl ObjectMask {
    /// Has it be of the box `b`, in an input frame of `size` pixels. Returns its support.
    fn fill_box(&mut self, b: BBox, size: Size, padding: f64, sigma: f64) -> Option<Rect> {
        let (x0, x1, y0, y1) = (
            f64::from(b.x0),
            f64::from(b.x1),
            f64::from(b.y0),
            f64::from(b.y1),
        );
        let (width, height) = (x1 - x0, y1 - y0);
        let (left, right) = self.x.fill(
            x0 - padding * width,
            x1 + padding * width,
            sigma * width,
            size.width,
        );
        let (top, bottom) = self.y.fill(
            y0 - padding * height,
            y1 + padding * height,
            sigma * height,
            size.height,
        );
        self.silhouette.clear();
        (left < right && top < bottom).then(|| Rect {
            x: left,
            y: top,
            width: right - left,
            height: bottom - top,
        })
    }
}

/// The mask of one frame, all objects together. Keeps its memory from frame to frame.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    objects: Vec<ObjectMask>,
    count: usize,
}

impl PartialEq for Mask {
    fn eq(&self, other: &Self) -> bool {
        // What lies behind is memory for objects to come.
        self.objects[..self.count] == other.objects[..other.count]
    }
}

impl Mask {
    /// Makes the mask of `faces`, all of the first kind, for an input frame of `size` pixels; see [`Mask::add`].
    pub fn fill(&mut self, faces: &[Face], size: Size, padding: f64, sigma: f64) {
        self.clear();
        self.add(0, faces, size, padding, sigma);
    }

    /// Has it be of no object.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds `objects` of the kind in this place for an input frame of `size` pixels.
    ///
    /// `padding` is the margin on each side and `sigma` the Gaussian's standard deviation, both as fractions of the box's
    /// width (in x) and height (in y). An object's own mask is dilated by that margin, and convolved likewise. The mask may
    /// reach over the frame's edge, where it is cut, not compressed.
    pub fn add(&mut self, kind: usize, objects: &[Face], size: Size, padding: f64, sigma: f64) {
        for object in objects.iter().filter(|object| object.weight > 0.0) {
            if self.count == self.objects.len() {
                self.objects.push(ObjectMask::default());
            }
            let b = object.bbox;
            if !(b.x1 > b.x0 && b.y1 > b.y0) {
                continue;
            }
            let support = match &object.mask {
                None => self.objects[self.count].fill_box(b, size, padding, sigma),
                Some(shape) => {
                    // It was made in an earlier frame, for this object's place among them or another.
                    let mut places = self.objects.iter();
                    let known = places.find_map(|other| other.silhouette.of(shape, padding, sigma));
                    let mask = &mut self.objects[self.count];
                    (mask.x, mask.y) = (Curve::default(), Curve::default());
                    mask.silhouette.fill(shape, padding, sigma, known);
                    mask.silhouette.place(b, size)
                }
            };
            let Some(support) = support else {
                continue;
            };
            let mask = &mut self.objects[self.count];
            mask.kind = kind;
            mask.weight = object.weight.min(1.0);
            mask.support = Some(support);
            self.count += 1;
        }
    }

    /// Kind of each object, and the rectangle outside which its `w` is 0, in input pixels; kind by kind, in the order in which they were added.
    pub fn regions(&self) -> impl Iterator<Item = (usize, Rect)> {
        self.objects[..self.count]
            .iter()
            .filter_map(|object| Some((object.kind, object.support?)))
    }

    /// Rectangle of each object outside which its `w` is 0, in input pixels.
    #[cfg(test)]
    pub fn supports(&self) -> impl Iterator<Item = Rect> {
        self.regions().map(|(_, support)| support)
    }

    /// A rectangle of each object, in output pixels, inside which `w` is at least `OPAQUE`.
    pub fn opaque(&self) -> impl Iterator<Item = Rect> {
        self.objects[..self.count].iter().filter_map(|object| {
            if object.silhouette.is_there() {
                return object.silhouette.rectangle(OPAQUE / object.weight);
            }
            // Both factors at least the root of what is asked: not all of the opaque pixels, but a rectangle of them.
            let least = (OPAQUE / object.weight).sqrt();
            let (x, width) = object.x.stretch(least)?;
            let (y, height) = object.y.stretch(least)?;
            Some(Rect {
                x,
                y,
                width,
                height,
            })
        })
    }

    /// Whether `w` is 0 everywhere.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether an object of another kind than `kind` reaches into `area`, input pixels.
    pub fn has_rivals(&self, kind: usize, area: Rect) -> bool {
        self.regions()
            .any(|(other, support)| other != kind && support.overlaps(area))
    }

    /// `w`, whatever the kind, of the output pixels `x..x + w.len()` of output row `y`. Returns whether any of them may be above 0.
    pub fn row(&self, x: usize, y: usize, w: &mut [f32]) -> bool {
        self.row_where(|_| true, x, y, w)
    }

    /// The same of the kinds whose places are in `kinds`.
    pub fn row_of(&self, kinds: Range<usize>, x: usize, y: usize, w: &mut [f32]) -> bool {
        self.row_where(|kind| kinds.contains(&kind), x, y, w)
    }

    #[inline]
    fn row_where(&self, counts: impl Fn(usize) -> bool, x: usize, y: usize, w: &mut [f32]) -> bool {
        w.fill(0.0);
        let mut any = false;
        for object in &self.objects[..self.count] {
            if !counts(object.kind) {
                continue;
            }
            if object.silhouette.is_there() {
                any |= object.silhouette.raise(object.weight, x, y, w);
                continue;
            }
            let factor = object.weight * object.y.at(y);
            if factor <= 0.0 {
                continue;
            }
            let (start, end) = (
                object.x.start.max(x),
                (object.x.start + object.x.values.len()).min(x + w.len()),
            );
            if start >= end {
                continue;
            }
            any = true;
            let values = &object.x.values[start - object.x.start..end - object.x.start];
            let w = &mut w[start - x..end - x];
            widest(
                #[inline(always)]
                || {
                    for (w, value) in w.iter_mut().zip(values) {
                        let own = factor * value;
                        *w = if own > *w { own } else { *w };
                    }
                },
            );
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::InstanceMask;

    pub(crate) fn face(x0: f32, y0: f32, x1: f32, y1: f32, weight: f32) -> Face {
        Face {
            id: 1,
            bbox: BBox { x0, y0, x1, y1 },
            score: 1.0,
            points: None,
            weight,
            held: false,
            mask: None,
        }
    }

    /// (2) by brute force in two dimensions: the box as an indicator on a grid finer than the output's, convolved with the
    /// sampled, cut and normalised Gaussian.
    fn reference(faces: &[Face], size: Size, padding: f64, sigma: f64) -> Vec<f64> {
        const FINE: usize = 25; // grid points per output pixel along a side; odd, so that one lies in the centre
        let out = size.scaled(SCALE);
        let mut w = vec![0.0f64; out.area()];
        let step = 1.0 / (SCALE * FINE) as f64;
        for face in faces {
            let b = face.bbox;
            let (width, height) = (f64::from(b.x1 - b.x0), f64::from(b.y1 - b.y0));
            let axis = |low: f64, high: f64, sigma: f64, length: usize| -> Vec<f64> {
                let reach = (CUT * sigma / step).ceil() as i64;
                let kernel: Vec<f64> = (-reach..=reach)
                    .map(|k| (-0.5 * (k as f64 * step / sigma).powi(2)).exp())
                    .collect();
                let sum: f64 = kernel.iter().sum();
                (0..length * SCALE)
                    .map(|x| {
                        let centre = (x * FINE + FINE / 2) as i64;
                        kernel
                            .iter()
                            .enumerate()
                            .filter(|(k, _)| {
                                let u = ((centre + *k as i64 - reach) as f64 + 0.5) * step;
                                low <= u && u < high
                            })
                            .map(|(_, g)| g / sum)
                            .sum()
                    })
                    .collect()
            };
            let cx = axis(
                f64::from(b.x0) - padding * width,
                f64::from(b.x1) + padding * width,
                sigma * width,
                size.width,
            );
            let cy = axis(
                f64::from(b.y0) - padding * height,
                f64::from(b.y1) + padding * height,
                sigma * height,
                size.height,
            );
            for (y, cy) in cy.iter().enumerate() {
                for (x, cx) in cx.iter().enumerate() {
                    let value = f64::from(face.weight) * cx * cy;
                    let w = &mut w[y * out.width + x];
                    *w = w.max(value);
                }
            }
        }
        w
    }

    #[test]
    fn equals_brute_force_convolution() {
        let cases: [(&str, Size, Vec<Face>); 5] = [
            (
                "one face",
                Size::new(33, 21),
                vec![face(8.3, 4.7, 20.1, 17.9, 1.0)],
            ),
            (
                "cut by the edges",
                Size::new(19, 17),
                vec![face(-4.0, 9.5, 7.25, 23.0, 1.0)],
            ),
            (
                "overlapping",
                Size::new(31, 19),
                vec![
                    face(3.0, 3.0, 14.0, 15.0, 0.6),
                    face(9.5, 5.5, 22.0, 18.0, 1.0),
                ],
            ),
            (
                "tiny",
                Size::new(11, 9),
                vec![face(4.4, 3.3, 6.0, 5.2, 1.0)],
            ),
            ("none", Size::new(7, 5), vec![]),
        ];
        for (what, size, faces) in cases {
            let mut mask = Mask::default();
            mask.fill(&faces, size, 0.15, 0.1);
            let expected = reference(&faces, size, 0.15, 0.1);
            let mut row = vec![0.0; size.width * SCALE];
            for (y, line) in expected.chunks(size.width * SCALE).enumerate() {
                mask.row(0, y, &mut row);
                for (x, (w, e)) in row.iter().zip(line).enumerate() {
                    // One of 255 in the picture is 1/255 in w at most; the reference's own grid costs up to half a grid point
                    // times the slope, most for a face of two pixels.
                    let tolerance = if what == "tiny" { 0.012 } else { 1.0 / 255.0 };
                    assert!(
                        (f64::from(*w) - e).abs() < tolerance,
                        "{what}: w({x},{y}) = {w}, expected {e}"
                    );
                }
            }
        }
    }

    #[test]
    fn support_is_exact_and_parts_of_a_row_agree() {
        let size = Size::new(40, 30);
        let faces = [
            face(10.2, 8.1, 19.7, 20.3, 0.9),
            face(30.0, 2.0, 39.0, 12.0, 0.5),
        ];
        let mut mask = Mask::default();
        mask.fill(&faces, size, 0.2, 0.12);
        let supports: Vec<Rect> = mask.supports().map(|r| r.scaled(SCALE)).collect();
        let mut row = vec![0.0; size.width * SCALE];
        let mut part = vec![0.0; 37];
        for y in 0..size.height * SCALE {
            mask.row(0, y, &mut row);
            mask.row(50, y, &mut part);
            assert_eq!(part, row[50..87]);
            for (x, w) in row.iter().enumerate() {
                let pixel = Rect {
                    x,
                    y,
                    width: 1,
                    height: 1,
                };
                assert!((0.0..=1.0).contains(w));
                assert!(
                    *w == 0.0 || supports.iter().any(|s| s.overlaps(pixel)),
                    "w({x},{y}) = {w} outside"
                );
            }
        }
        mask.fill(&[], size, 0.2, 0.12);
        assert!(mask.is_empty() && !mask.row(0, 40, &mut row));
    }

    #[test]
    fn centre_of_a_face_is_the_face_network_alone() {
        let mut mask = Mask::default();
        mask.fill(
            &[face(10.0, 10.0, 30.0, 34.0, 1.0)],
            Size::new(40, 44),
            0.15,
            0.1,
        );
        let mut w = [0.0];
        mask.row(20 * SCALE, 22 * SCALE, &mut w);
        assert_eq!(w, [1.0]);
    }

    #[test]
    fn moving_by_a_fraction_of_a_pixel_moves_the_mask_by_little() {
        let size = Size::new(60, 60);
        let at = |shift: f32| {
            let mut mask = Mask::default();
            mask.fill(
                &[face(20.0 + shift, 20.0, 40.0 + shift, 40.0, 1.0)],
                size,
                0.15,
                0.1,
            );
            let mut row = vec![0.0; 240];
            mask.row(0, 120, &mut row);
            row
        };
        let (a, b) = (at(0.0), at(0.05));
        let step = a
            .iter()
            .zip(&b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        // The steepest slope of the curve is 1 / (sigma * sqrt(2 pi)) per input pixel, sigma = 2 pixels here.
        assert!(step > 0.0 && step < 0.05 * 0.2 * 1.1, "{step}");
    }

    /// All of `w`, row by row.
    fn all(mask: &Mask, size: Size) -> Vec<f32> {
        let width = size.width * SCALE;
        let mut all = vec![0.0; size.scaled(SCALE).area()];
        for (y, row) in all.chunks_exact_mut(width).enumerate() {
            mask.row(0, y, row);
        }
        all
    }

    #[test]
    fn a_mask_that_is_all_of_the_box_is_the_box() {
        let size = Size::new(40, 34);
        let boxes = [
            face(8.3, 4.7, 20.1, 17.9, 0.8),
            face(-4.0, 19.5, 37.25, 43.0, 1.0),
        ];
        let full = std::sync::Arc::new(InstanceMask::full());
        let masked = boxes.clone().map(|face| Face {
            mask: Some(full.clone()),
            ..face
        });
        let (mut of_boxes, mut of_masks) = (Mask::default(), Mask::default());
        of_boxes.fill(&boxes, size, 0.15, 0.1);
        of_masks.fill(&masked, size, 0.15, 0.1);
        let (expected, found) = (all(&of_boxes, size), all(&of_masks, size));
        let pairs = expected.iter().zip(&found);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1.0 / 255.0, "{worst}");
        assert!(of_boxes.supports().eq(of_masks.supports()));
        assert_eq!(of_masks.opaque().count(), 1);
        // Memory of one is no part of the other.
        of_masks.fill(&boxes, size, 0.15, 0.1);
        assert_eq!(of_masks, of_boxes);
        assert_eq!(all(&of_masks, size), expected);
    }

    #[test]
    fn a_mask_is_another_where_an_object_is_another() {
        let size = Size::new(30, 30);
        let half = |left: bool| {
            let mask = InstanceMask::new(|x, _| f32::from(u8::from((x < 14) == left)));
            [Face {
                mask: Some(std::sync::Arc::new(mask)),
                ..face(5.0, 5.0, 25.0, 25.0, 1.0)
            }]
        };
        let (mut first, mut second) = (Mask::default(), Mask::default());
        first.fill(&half(true), size, 0.0, 0.05);
        second.fill(&half(false), size, 0.0, 0.05);
        assert!(first != second);
        let at = |mask: &Mask, x: usize| all(mask, size)[60 * size.width * SCALE + x];
        assert!(at(&first, 40) > 0.999 && at(&first, 80) == 0.0);
        assert!(at(&second, 40) == 0.0 && at(&second, 80) > 0.999);
        // The same table made anew, and that of another frame where it is the same.
        second.fill(&half(true), size, 0.0, 0.05);
        assert_eq!(first, second);
        let mut nothing = half(true);
        nothing[0].mask = Some(std::sync::Arc::new(InstanceMask::new(|_, _| 0.0)));
        first.fill(&nothing, size, 0.0, 0.05);
        assert!(first.is_empty());
    }
}
