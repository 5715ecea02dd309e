//! YOLO with masks, as Ultralytics exports it (YOLOv8-seg, YOLO11-seg): an output `[1, 4 + classes + m, N]` with a candidate a column, cx cy w h,
//! a score for each class, and m coefficients (32); and an output `[1, m, height / 4, width / 4]`, the prototypes. A candidate's mask is the
//! logistic function of the sum of the prototypes by its coefficients, inside of its box.
//!
//! A candidate is of the class whose score is the best.

use super::output::Output;
use crate::find::bbox::BBox;
use crate::find::detection::Detection;
use crate::find::instance::{InstanceMask, Probabilities};
use crate::find::suppression::{IOU, suppress_by};

/// Candidates for each pixel of a prototype, times 256: of strides 8, 16 and 32, of 64 too, and of 4 too. Tells this from outputs with a
/// candidate a row, which look alike but for that.
const DENSITIES: [usize; 3] = [84, 85, 340];

/// What the outputs are, by their shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SegLayout {
    /// Which output has the candidates; the other has the prototypes.
    candidates: usize,
    /// Fields of a candidate before its coefficients.
    fields: usize,
    coefficients: usize,
    count: usize,
    /// Of a prototype.
    width: usize,
    height: usize,
}

fn layout<'a>(shapes: impl ExactSizeIterator<Item = &'a [i64]>) -> Option<SegLayout> {
    if shapes.len() != 2 {
        return None;
    }
    let side = |side: i64| usize::try_from(side).ok().filter(|side| *side > 0);
    let (mut candidates, mut prototypes) = (None, None);
    for (place, shape) in shapes.enumerate() {
        match *shape {
            [1, rows, count] => candidates = Some((place, side(rows)?, side(count)?)),
            [1, planes, height, width] => {
                prototypes = Some((side(planes)?, side(height)?, side(width)?));
            }
            _ => return None,
        }
    }
    let ((candidates, rows, count), (coefficients, height, width)) = (candidates?, prototypes?);
    let fields = rows
        .checked_sub(coefficients)
        .filter(|fields| *fields > 4)?;
    let pixels = width.checked_mul(height)?;
    let cells = count.checked_mul(256)?;
    rows.checked_mul(count)?;
    coefficients.checked_mul(pixels)?;
    let is_dense = |density: &usize| pixels.checked_mul(*density) == Some(cells);
    DENSITIES.iter().any(is_dense).then_some(SegLayout {
        candidates,
        fields,
        coefficients,
        count,
        width,
        height,
    })
}

/// Whether these outputs are of this family.
pub fn fits(outputs: &[(String, Vec<i64>)]) -> bool {
    layout(outputs.iter().map(|(_, shape)| shape.as_slice())).is_some()
}

/// Appends the candidates of score `floor` or more, in pixels of the network's input of `width` x `height`, each with its mask. What was found twice
/// is left out already: a mask is not made of every candidate.
///
/// # Errors
/// What was expected of the outputs and what was found.
pub fn decode(
    outputs: &[Output<'_>],
    (width, height): (usize, usize),
    floor: f32,
    classes: Option<&[u32]>,
    found: &mut Vec<Detection>,
) -> Result<(), String> {
    let shapes = || outputs.iter().map(|output| output.shape);
    let wrong = || {
        let shapes: Vec<_> = shapes().collect();
        format!(
            "outputs [1, 4 + classes + m, N] and [1, m, height / 4, width / 4], found {shapes:?}"
        )
    };
    let layout = layout(shapes()).ok_or_else(wrong)?;
    let [first, second] = outputs else {
        return Err(wrong());
    };
    let (candidates, prototypes) = match layout.candidates {
        0 => (first.values, second.values),
        _ => (second.values, first.values),
    };
    let (count, pixels) = (layout.count, layout.width * layout.height);
    let rows = layout.fields + layout.coefficients;
    if candidates.len() != rows * count || prototypes.len() != layout.coefficients * pixels {
        return Err(wrong());
    }
    let known = layout.fields - 4;
    if let Some(class) = classes.and_then(|all| all.iter().find(|class| **class as usize >= known))
    {
        return Err(format!(
            "class {class} of classes, found {known} classes, from 0 on"
        ));
    }
    let mut best = vec![(f32::NEG_INFINITY, 0); count];
    let scores = candidates[4 * count..layout.fields * count].chunks_exact(count);
    for (class, scores) in (0_u32..).zip(scores) {
        for (best, score) in best.iter_mut().zip(scores) {
            if *score > best.0 {
                *best = (*score, class);
            }
        }
    }
    let is_meant = |class: &u32| classes.is_none_or(|classes| classes.contains(class));
    let field = |index: usize, field: usize| candidates[field * count + index];
    let good = best.iter().enumerate();
    let good = good.filter(|(_, (score, class))| *score >= floor && is_meant(class));
    let mut good: Vec<_> = good
        .map(|(index, (score, _))| {
            let [x, y, w, h] = [0, 1, 2, 3].map(|place| field(index, place));
            let detection = Detection {
                bbox: BBox::from_centre(x, y, w, h),
                score: *score,
                points: None,
                mask: None,
            };
            (detection, index)
        })
        .collect();
    suppress_by(&mut good, |(detection, _)| detection, IOU);
    let scale = (
        layout.width as f32 / width as f32,
        layout.height as f32 / height as f32,
    );
    let mut memory = Vec::new();
    found.extend(good.into_iter().map(|(detection, index)| {
        let coefficients = (layout.fields..rows).map(|place| field(index, place));
        let area = detection.bbox.scaled(scale);
        let mask = mask(&layout, coefficients, prototypes, area, &mut memory);
        Detection {
            mask: Some(mask.into()),
            ..detection
        }
    }));
    Ok(())
}

/// The mask in `area`, in pixels of the prototypes, that `coefficients` make of them. `memory` is reused.
fn mask(
    layout: &SegLayout,
    coefficients: impl Iterator<Item = f32>,
    prototypes: &[f32],
    area: BBox,
    memory: &mut Vec<f32>,
) -> InstanceMask {
    // The pixels that samples inside of the box are interpolated from.
    let range = |low: f32, high: f32, length: usize| {
        let first = ((low - 1.0).max(0.0) as usize).min(length - 1);
        let end = ((high + 1.0).max(0.0).ceil() as usize).clamp(first + 1, length);
        (first, end)
    };
    let (left, right) = range(area.x0, area.x1, layout.width);
    let (top, bottom) = range(area.y0, area.y1, layout.height);
    let wide = right - left;
    memory.clear();
    memory.resize(wide * (bottom - top), 0.0);
    let planes = prototypes.chunks_exact(layout.width * layout.height);
    for (coefficient, plane) in coefficients.zip(planes) {
        let rows = plane.chunks_exact(layout.width).skip(top);
        for (sums, row) in memory.chunks_exact_mut(wide).zip(rows) {
            for (sum, value) in sums.iter_mut().zip(&row[left..right]) {
                *sum += coefficient * value;
            }
        }
    }
    for value in memory.iter_mut() {
        *value = 1.0 / (1.0 + (-*value).exp());
    }
    let (x, y) = (left as f32, top as f32);
    let picture = Probabilities {
        values: memory,
        width: wide,
        height: bottom - top,
    };
    picture.mask(BBox {
        x0: area.x0 - x,
        y0: area.y0 - y,
        x1: area.x1 - x,
        y1: area.y1 - y,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// Outputs for an input of 128x64 with `classes` classes and 32 prototypes, of random numbers; the candidates at `boxes` alone have a score.
    fn outputs(random: &mut Random, classes: usize, boxes: &[[f32; 5]]) -> (Vec<f32>, Vec<f32>) {
        let mut number = |span: f32| (random.below(2001) as f32 / 1000.0 - 1.0) * span;
        let (count, pixels) = (16 * 8 + 8 * 4 + 4 * 2, 32 * 16);
        let prototypes: Vec<f32> = (0..32 * pixels).map(|_| number(1.0)).collect();
        let mut candidates: Vec<f32> = (0..(36 + classes) * count).map(|_| number(0.6)).collect();
        candidates[4 * count..(4 + classes) * count].fill(0.01);
        for (index, [x, y, w, h, score]) in boxes.iter().enumerate() {
            let column = 3 + 40 * index;
            for (row, value) in [*x, *y, *w, *h].into_iter().enumerate() {
                candidates[row * count + column] = value;
            }
            candidates[(4 + index % classes) * count + column] = *score;
        }
        (candidates, prototypes)
    }

    /// The same in f64 as plainly as it can be said: the whole plane of probabilities, then each cell's samples.
    fn reference(
        candidates: &[f32],
        prototypes: &[f32],
        classes: usize,
        column: usize,
    ) -> Vec<f64> {
        let (count, wide, high) = (168, 32usize, 16usize);
        let value = |row: usize| f64::from(candidates[row * count + column]);
        let plane: Vec<f64> = (0..wide * high)
            .map(|pixel| {
                let sum: f64 = (0..32)
                    .map(|k| {
                        value(4 + classes + k) * f64::from(prototypes[k * wide * high + pixel])
                    })
                    .sum();
                1.0 / (1.0 + (-sum).exp())
            })
            .collect();
        let at = |x: f64, y: f64| {
            // Weights of all pixels by their distance: a tent of width one.
            let mut sum = 0.0;
            let (x, y) = (
                x.clamp(0.5, wide as f64 - 0.5),
                y.clamp(0.5, high as f64 - 0.5),
            );
            for v in 0..high {
                for u in 0..wide {
                    let tent = |d: f64| (1.0 - d.abs()).max(0.0);
                    sum +=
                        tent(x - u as f64 - 0.5) * tent(y - v as f64 - 0.5) * plane[v * wide + u];
                }
            }
            sum
        };
        let (left, top) = (
            (value(0) - value(2) / 2.0) / 4.0,
            (value(1) - value(3) / 2.0) / 4.0,
        );
        let (w, h) = (value(2) / 4.0, value(3) / 4.0);
        let (sx, sy) = ((w / 28.0).ceil() as usize, (h / 28.0).ceil() as usize);
        let mut cells = Vec::new();
        for row in 0..28 {
            for cell in 0..28 {
                let mut sum = 0.0;
                for j in 0..sy {
                    for i in 0..sx {
                        let u = (cell as f64 + (i as f64 + 0.5) / sx as f64) / 28.0;
                        let v = (row as f64 + (j as f64 + 0.5) / sy as f64) / 28.0;
                        sum += ((at(left + u * w, top + v * h) - 0.25) * 2.0).clamp(0.0, 1.0);
                    }
                }
                cells.push(sum / (sx * sy) as f64);
            }
        }
        cells
    }

    #[test]
    fn masks_are_the_logistic_function_of_prototypes_by_coefficients_in_the_box() {
        let mut random = Random(0x5e90_1234_abcd_0001);
        for (classes, swapped) in [(1, false), (3, true)] {
            // Small, wide, over the edges, and one that is the second again.
            let boxes = [
                [20.0, 30.0, 13.0, 17.5, 0.7],
                [70.0, 20.5, 100.0, 30.0, 0.9],
                [124.0, 60.0, 30.0, 22.0, 0.5],
                [71.0, 20.0, 98.0, 31.0, 0.8],
            ];
            let (candidates, prototypes) = outputs(&mut random, classes, &boxes);
            let rows = 36 + classes as i64;
            let (of_candidates, of_prototypes) = ([1, rows, 168], [1, 32, 16, 32]);
            let mut named = vec![
                Output {
                    name: "output0",
                    shape: &of_candidates,
                    values: &candidates,
                },
                Output {
                    name: "output1",
                    shape: &of_prototypes,
                    values: &prototypes,
                },
            ];
            if swapped {
                named.reverse();
            }
            let mut found = Vec::new();
            decode(&named, (128, 64), 0.3, None, &mut found).unwrap();
            let scores: Vec<_> = found.iter().map(|d| d.score).collect();
            if classes > 1 {
                // Of the classes in which they were put.
                let mut some = Vec::new();
                decode(&named, (128, 64), 0.3, Some(&[0, 2]), &mut some).unwrap();
                let some: Vec<_> = some.iter().map(|d| d.score).collect();
                assert_eq!(some, [0.8, 0.7, 0.5]);
                let error = decode(&named, (128, 64), 0.3, Some(&[1, 3]), &mut Vec::new());
                assert!(error.unwrap_err().contains("found 3 classes"));
            }
            assert_eq!(scores, [0.9, 0.7, 0.5]);
            assert_eq!(found[1].bbox, BBox::from_centre(20.0, 30.0, 13.0, 17.5));
            for (detection, column) in found.iter().zip([43, 3, 83]) {
                let expected = reference(&candidates, &prototypes, classes, column);
                let mask = detection.mask.as_ref().unwrap().values();
                let worst = mask.iter().zip(&expected);
                let worst = worst
                    .map(|(m, e)| (f64::from(*m) - e).abs())
                    .fold(0.0, f64::max);
                assert!(worst < 1e-4, "column {column}: {worst}");
                let spread = mask
                    .iter()
                    .fold([1.0f32, 0.0], |[l, h], v| [l.min(*v), h.max(*v)]);
                assert!(
                    spread[0] < 0.1 && spread[1] > 0.9,
                    "{spread:?}: nothing was tested"
                );
            }
        }
    }

    #[test]
    fn other_outputs_are_refused() {
        let named = |shapes: &[&[i64]]| -> Vec<(String, Vec<i64>)> {
            shapes
                .iter()
                .map(|shape| ("o".to_owned(), shape.to_vec()))
                .collect()
        };
        assert!(fits(&named(&[&[1, 116, 8400], &[1, 32, 160, 160]])));
        assert!(fits(&named(&[&[1, 32, 16, 16], &[1, 37, 84]])));
        for shapes in [
            &[&[1, 116, 8400][..]][..],
            // A candidate a row: YOLOv5-seg, and YOLO without suppression.
            &[&[1, 25200, 117], &[1, 32, 160, 160]],
            &[&[1, 300, 38], &[1, 32, 160, 160]],
            &[&[1, 36, 8400], &[1, 32, 160, 160]],
            &[&[1, 116, 8400], &[1, 116, 8400]],
            &[&[1, -1, 8400], &[1, 32, 160, 160]],
            &[&[1, 116, 8400], &[1, 32, i64::MAX, i64::MAX]],
        ] {
            assert!(!fits(&named(shapes)), "{shapes:?}");
        }
        let short = [
            Output {
                name: "a",
                shape: &[1, 37, 84],
                values: &[0.0; 37 * 84 - 1],
            },
            Output {
                name: "b",
                shape: &[1, 32, 16, 16],
                values: &[0.0; 32 * 256],
            },
        ];
        let error = decode(&short, (64, 64), 0.5, None, &mut Vec::new()).unwrap_err();
        assert!(error.contains("[1, 37, 84]"), "{error}");
    }
}
