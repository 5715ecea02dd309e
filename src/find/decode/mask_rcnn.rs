//! Mask R-CNN, as ONNX zoos and torchvision export it: `boxes` `[n, 4]`, corners in pixels of the input; `labels` `[n]`; `scores` `[n]`; and
//! `masks`, probabilities, `[n, 1, 28, 28]` in the box (the zoos) or `[n, 1, height, width]` of the whole input (torchvision). Exports seldom keep the
//! names, so outputs are told by their sides; labels come before scores unless their names say otherwise.
//!
//! What was found twice is left out inside of the graph.

use super::output::Output;
use crate::find::bbox::BBox;
use crate::find::detection::Detection;
use crate::find::instance::Probabilities;

/// Which output is which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    boxes: usize,
    labels: usize,
    scores: usize,
    masks: usize,
}

fn places<'a>(outputs: impl ExactSizeIterator<Item = (&'a str, &'a [i64])>) -> Option<Places> {
    if outputs.len() != 4 {
        return None;
    }
    let (mut boxes, mut masks, mut rows) = (None, None, Vec::new());
    let mut counts = Vec::new();
    for (place, (name, shape)) in outputs.enumerate() {
        counts.push(*shape.first()?);
        match *shape {
            [_, 4] => boxes = Some(place),
            [_, 1, height, width] if height > 0 && width > 0 => masks = Some(place),
            [_] => rows.push((name, place)),
            _ => return None,
        }
    }
    counts.dedup();
    let (&[first, second], [_]) = (rows.as_slice(), counts.as_slice()) else {
        return None;
    };
    let (labels, scores) = match first.0 {
        "scores" => (second, first),
        _ => (first, second),
    };
    Some(Places {
        boxes: boxes?,
        labels: labels.1,
        scores: scores.1,
        masks: masks?,
    })
}

/// Whether these outputs are of this family.
pub fn fits(outputs: &[(String, Vec<i64>)]) -> bool {
    let outputs = outputs.iter();
    places(outputs.map(|(name, shape)| (name.as_str(), shape.as_slice()))).is_some()
}

/// Appends the candidates of score `floor` or more, in pixels of the network's input of `width` x `height`, each with its mask.
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
    let wrong = || {
        let shapes: Vec<_> = outputs.iter().map(|output| output.shape).collect();
        format!(
            "outputs [n, 4], [n], [n] and [n, 1, height, width], as many of each, found {shapes:?}"
        )
    };
    let named = outputs.iter().map(|output| (output.name, output.shape));
    let places = places(named).ok_or_else(wrong)?;
    let output = |place: usize| outputs.get(place).ok_or_else(wrong);
    let (boxes, scores) = (output(places.boxes)?, output(places.scores)?);
    let (labels, masks) = (output(places.labels)?, output(places.masks)?);
    let (wide, high) = match *masks.shape {
        [.., high, wide] => (usize::try_from(wide), usize::try_from(high)),
        _ => return Err(wrong()),
    };
    let (Ok(wide), Ok(high)) = (wide, high) else {
        return Err(wrong());
    };
    let count = scores.values.len();
    let pixels = wide.checked_mul(high).filter(|pixels| *pixels > 0);
    let pixels = pixels.ok_or_else(wrong)?;
    if boxes.values.len() != 4 * count
        || labels.values.len() != count
        || count.checked_mul(pixels) != Some(masks.values.len())
    {
        return Err(wrong());
    }
    let is_whole = (wide, high) == (width, height);
    let is_meant =
        |label: f32| classes.is_none_or(|all| all.iter().any(|class| *class as f32 == label));
    let all = scores.values.iter().zip(labels.values);
    let all = all.zip(boxes.values.chunks_exact(4));
    for (((score, label), corners), values) in all.zip(masks.values.chunks_exact(pixels)) {
        let bbox = BBox {
            x0: corners[0],
            y0: corners[1],
            x1: corners[2],
            y1: corners[3],
        };
        if !(*score >= floor && bbox.is_valid() && is_meant(*label)) {
            continue;
        }
        let inside = BBox {
            x0: 0.0,
            y0: 0.0,
            x1: wide as f32,
            y1: high as f32,
        };
        let picture = Probabilities {
            values,
            width: wide,
            height: high,
        };
        let mask = picture.mask(if is_whole { bbox } else { inside });
        found.push(Detection {
            bbox,
            score: *score,
            points: None,
            mask: Some(mask.into()),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// A blob of probabilities in the unit square.
    fn blob(u: f64, v: f64) -> f64 {
        1.0 / (1.0 + (18.0 * ((u - 0.45).hypot(v - 0.55) - 0.3)).exp())
    }

    #[test]
    fn both_ways_of_masks_say_the_same_of_the_same_object() {
        let (width, height) = (160usize, 120usize);
        let boxes = [[30.5f32, 20.25, 110.0, 96.0], [120.0, 90.0, 170.0, 130.0]];
        let corners: Vec<f32> = boxes.as_flattened().to_vec();
        let inside: Vec<f32> = (0..2 * 28 * 28)
            .map(|i| {
                let (x, y) = (i % 28, i / 28 % 28);
                blob((x as f64 + 0.5) / 28.0, (y as f64 + 0.5) / 28.0) as f32
            })
            .collect();
        let whole: Vec<f32> = boxes
            .iter()
            .flat_map(|[x0, y0, x1, y1]| {
                (0..width * height).map(move |i| {
                    let (x, y) = ((i % width) as f64 + 0.5, (i / width) as f64 + 0.5);
                    let along =
                        |p: f64, low: f32, high: f32| (p - f64::from(low)) / f64::from(high - low);
                    let (u, v) = (along(x, *x0, *x1), along(y, *y0, *y1));
                    let is_in = (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v);
                    if is_in { blob(u, v) as f32 } else { 0.0 }
                })
            })
            .collect();
        let scores = [0.9, 0.4];
        let labels = [1.0, 17.0];
        for (masks, sides, names, swapped) in [
            (&inside, [28, 28], ["6568", "6570", "6572", "6887"], false),
            (
                &whole,
                [120, 160],
                ["boxes", "labels", "scores", "masks"],
                false,
            ),
            (
                &whole,
                [120, 160],
                ["boxes", "labels", "scores", "masks"],
                true,
            ),
        ] {
            let of_masks = [2, 1, sides[0], sides[1]];
            let mut outputs = vec![
                Output {
                    name: names[0],
                    shape: &[2, 4],
                    values: &corners,
                },
                Output {
                    name: names[1],
                    shape: &[2],
                    values: &labels,
                },
                Output {
                    name: names[2],
                    shape: &[2],
                    values: &scores,
                },
                Output {
                    name: names[3],
                    shape: &of_masks,
                    values: masks,
                },
            ];
            if swapped {
                outputs.swap(1, 2);
            }
            let mut found = Vec::new();
            decode(&outputs, (width, height), 0.5, None, &mut found).unwrap();
            let [object] = &found[..] else {
                panic!("{found:?}")
            };
            assert_eq!(object.score, 0.9);
            let [x0, y0, x1, y1] = boxes[0];
            assert_eq!(object.bbox, BBox { x0, y0, x1, y1 });
            for (cell, value) in object.mask.as_ref().unwrap().values().iter().enumerate() {
                // The mean over the cell of the blob itself, on a grid finer than any mask.
                let mut expected = 0.0;
                for i in 0..400 {
                    let u = ((cell % 28) as f64 + ((i % 20) as f64 + 0.5) / 20.0) / 28.0;
                    let v = ((cell / 28) as f64 + ((i / 20) as f64 + 0.5) / 20.0) / 28.0;
                    expected += ((blob(u, v) - 0.25) * 2.0).clamp(0.0, 1.0) / 400.0;
                }
                let far = (f64::from(*value) - expected).abs();
                assert!(
                    far < 0.04,
                    "{sides:?}, cell {cell}: {value}, expected {expected}"
                );
            }
            let mut both = Vec::new();
            decode(&outputs, (width, height), 0.3, None, &mut both).unwrap();
            assert_eq!(both.len(), 2);
            let mut some = Vec::new();
            decode(&outputs, (width, height), 0.3, Some(&[17, 3]), &mut some).unwrap();
            assert_eq!(some.iter().map(|d| d.score).collect::<Vec<_>>(), [0.4]);
        }
    }

    /// A picture of random probabilities, each cell's samples by a sum over all pixels in f64.
    #[test]
    fn whole_masks_are_sampled_bilinearly() {
        let mut random = Random(0x9ca5_cade_0000_0007);
        let (width, height) = (60usize, 44usize);
        let masks: Vec<f32> = (0..width * height)
            .map(|_| random.below(1001) as f32 / 1e3)
            .collect();
        let corners = [3.25f32, -4.0, 57.75, 38.5];
        let of_masks = [1, 1, height as i64, width as i64];
        let outputs = [
            Output {
                name: "boxes",
                shape: &[1, 4],
                values: &corners,
            },
            Output {
                name: "labels",
                shape: &[1],
                values: &[1.0],
            },
            Output {
                name: "scores",
                shape: &[1],
                values: &[0.8],
            },
            Output {
                name: "masks",
                shape: &of_masks,
                values: &masks,
            },
        ];
        let mut found = Vec::new();
        decode(&outputs, (width, height), 0.5, None, &mut found).unwrap();
        let tent = |d: f64| (1.0 - d.abs()).max(0.0);
        let at = |x: f64, y: f64| {
            let (x, y) = (
                x.clamp(0.5, width as f64 - 0.5),
                y.clamp(0.5, height as f64 - 0.5),
            );
            (0..width * height)
                .map(|i| {
                    let (u, v) = ((i % width) as f64 + 0.5, (i / width) as f64 + 0.5);
                    tent(x - u) * tent(y - v) * f64::from(masks[i])
                })
                .sum::<f64>()
        };
        let [x0, y0, x1, y1] = corners.map(f64::from);
        for (cell, value) in found[0].mask.as_ref().unwrap().values().iter().enumerate() {
            let mut expected = 0.0;
            for i in 0..4 {
                let u = ((cell % 28) as f64 + [0.25, 0.75][i % 2]) / 28.0;
                let v = ((cell / 28) as f64 + [0.25, 0.75][i / 2]) / 28.0;
                let p = at(x0 + u * (x1 - x0), y0 + v * (y1 - y0));
                expected += ((p - 0.25) * 2.0).clamp(0.0, 1.0) / 4.0;
            }
            assert!(
                (f64::from(*value) - expected).abs() < 1e-4,
                "{cell}: {value}, {expected}"
            );
        }
    }

    #[test]
    fn outputs_are_told_by_their_sides() {
        let named = |shapes: &[&[i64]]| -> Vec<(String, Vec<i64>)> {
            shapes
                .iter()
                .map(|shape| ("o".to_owned(), shape.to_vec()))
                .collect()
        };
        assert!(fits(&named(&[&[3, 4], &[3], &[3], &[3, 1, 28, 28]])));
        // Of a picture in which nothing is.
        assert!(fits(&named(&[&[0, 4], &[0], &[0], &[0, 1, 28, 28]])));
        for shapes in [
            &[&[3, 4][..], &[3], &[3]][..],
            &[&[3, 4], &[3], &[2], &[3, 1, 28, 28]],
            &[&[3, 4], &[3], &[3], &[3, 2, 28, 28]],
            &[&[3, 4], &[3], &[3], &[3, 1, 0, 28]],
            &[&[3, 5], &[3], &[3], &[3, 1, 28, 28]],
            &[&[3, 4], &[3, 4], &[3], &[3, 1, 28, 28]],
            &[&[3, 4], &[], &[3], &[3, 1, 28, 28]],
        ] {
            assert!(!fits(&named(shapes)), "{shapes:?}");
        }
        let short = [
            Output {
                name: "b",
                shape: &[1, 4],
                values: &[0.0; 4],
            },
            Output {
                name: "l",
                shape: &[1],
                values: &[1.0],
            },
            Output {
                name: "s",
                shape: &[1],
                values: &[1.0],
            },
            Output {
                name: "m",
                shape: &[1, 1, 28, 28],
                values: &[0.0; 28],
            },
        ];
        assert!(decode(&short, (64, 64), 0.5, None, &mut Vec::new()).is_err());
    }
}
