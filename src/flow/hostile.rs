//! Detectors that give no numbers, infinite ones, or too many: what is found of them is faces of finite places, and the mask of those lies
//! between 0 and 1.

use std::time::Duration;

use proptest::prelude::*;

use crate::find::decode::{Family, Output, decode};
use crate::find::suppression::{MOST, suppress};
use crate::find::{BBox, Detection, InstanceMask};
use crate::follow::clock::Tick;
use crate::follow::track::Tracker;
use crate::mask::Mask;
use crate::picture::{Rect, Size};
use crate::settings::Parameters;
use crate::testing::hostile::{config, float};

/// Name, shape and values of an output.
type Named = (String, Vec<i64>, Vec<f32>);

/// Outputs under names and in shapes of a family, or not.
fn outputs(family: Family) -> BoxedStrategy<Vec<Named>> {
    let values = |most: usize| prop::collection::vec(float(), 0..most);
    match family {
        Family::Yolo => {
            let fields = prop::sample::select(vec![4_i64, 5, 15, 16, 20, 21, 0, -1]);
            (fields, 0_i64..9, any::<bool>(), values(180))
                .prop_map(|(fields, count, rows, values)| {
                    let shape = if rows {
                        vec![1, count, fields]
                    } else {
                        vec![1, fields, count]
                    };
                    vec![("output".to_owned(), shape, values)]
                })
                .boxed()
        }
        Family::UltraFace => (values(40), values(80), any::<bool>())
            .prop_map(|(scores, mut boxes, fit)| {
                if fit {
                    boxes.resize(2 * scores.len(), 0.5);
                }
                vec![
                    (
                        "scores".to_owned(),
                        vec![1, scores.len() as i64 / 2, 2],
                        scores,
                    ),
                    (
                        "boxes".to_owned(),
                        vec![1, boxes.len() as i64 / 4, 4],
                        boxes,
                    ),
                ]
            })
            .boxed(),
        Family::YuNet => prop::collection::vec((any::<bool>(), values(660)), 12)
            .prop_map(|all| {
                let names = ["cls", "obj", "bbox", "kps"]
                    .iter()
                    .zip([1, 1, 4, 10])
                    .flat_map(|(name, fields)| {
                        [8, 16, 32].map(|step| (format!("{name}_{step}"), step, fields))
                    });
                names
                    .zip(all)
                    .map(|((name, step, fields), (fit, mut values))| {
                        let cells = (64 / step) * (64 / step);
                        if fit {
                            let given = values.len().max(1);
                            values = (0..cells * fields)
                                .map(|at| values.get(at % given).copied().unwrap_or(0.9))
                                .collect();
                        }
                        (name, vec![1, cells as i64, fields as i64], values)
                    })
                    .collect()
            })
            .boxed(),
        Family::YoloSeg => (0_usize..3, 0_usize..5, any::<bool>(), values(300))
            .prop_map(|(classes, planes, fit, values)| {
                let rows = 4 + classes + planes;
                let mut all = vec![
                    ("output0".to_owned(), vec![1, rows as i64, 84], rows * 84),
                    (
                        "output1".to_owned(),
                        vec![1, planes as i64, 16, 16],
                        planes * 256,
                    ),
                ];
                let fill = |count: usize| tiled(&values, if fit { count } else { count / 2 });
                let all = all.drain(..);
                all.map(|(name, shape, count)| (name, shape, fill(count)))
                    .collect()
            })
            .boxed(),
        Family::MaskRcnn => {
            let sides = prop::sample::select(vec![(28_usize, 28_usize), (64, 64), (1, 3), (0, 9)]);
            (0_usize..5, sides, any::<bool>(), values(300))
                .prop_map(|(count, (high, wide), fit, values)| {
                    let n = count as i64;
                    let fill = |count: usize| tiled(&values, if fit { count } else { count / 2 });
                    let named = |name: &str, shape, count| (name.to_owned(), shape, fill(count));
                    vec![
                        named("boxes", vec![n, 4], 4 * count),
                        named("labels", vec![n], count),
                        named("scores", vec![n], count),
                        named(
                            "masks",
                            vec![n, 1, high as i64, wide as i64],
                            count * high * wide,
                        ),
                    ]
                })
                .boxed()
        }
    }
}

/// `count` of `values`, again and again.
fn tiled(values: &[f32], count: usize) -> Vec<f32> {
    let of = |at: usize| values.get(at % values.len().max(1)).copied();
    (0..count).map(|at| of(at).unwrap_or(0.7)).collect()
}

fn detections() -> impl Strategy<Value = Vec<Detection>> {
    let points = prop::option::of(prop::array::uniform5(prop::array::uniform2(float())));
    let shares = prop::option::of(prop::collection::vec(float(), 9));
    let detection = (prop::array::uniform4(float()), float(), points, shares);
    let detection = detection.prop_map(|([x0, y0, x1, y1], score, points, shares)| Detection {
        bbox: BBox { x0, y0, x1, y1 },
        score,
        points,
        mask: shares.map(|shares| InstanceMask::new(|x, y| shares[x / 10 * 3 + y / 10]).into()),
    });
    prop::collection::vec(detection, 0..12)
}

fn is_sound(detection: &Detection) -> bool {
    let numbers = detection.points.iter().flatten().flatten();
    let sides = [
        detection.bbox.width(),
        detection.bbox.height(),
        detection.bbox.area(),
    ];
    detection.bbox.is_valid()
        && numbers.chain(&sides).all(|value| value.is_finite())
        && detection.score.is_finite()
}

proptest! {
    #![proptest_config(config(1200))]

    #[test]
    fn what_is_decoded_of_anything_becomes_sound_detections(
        (family, all) in prop::sample::select(Family::ALL.to_vec())
            .prop_flat_map(|family| (Just(family), outputs(family))),
        floor in float(),
        classes in prop::option::of(prop::collection::vec(0_u32..4, 0..3)),
    ) {
        let outputs: Vec<_> = all
            .iter()
            .map(|(name, shape, values)| Output { name, shape, values })
            .collect();
        let mut found = Vec::new();
        if let Err(reason) = decode(family, &outputs, (64, 64), floor, classes.as_deref(), &mut found) {
            prop_assert!(!reason.is_empty());
        }
        suppress(&mut found, 0.4);
        prop_assert!(found.iter().all(is_sound), "{:?}", found);
    }

    /// Through the tracker, for several frames: nothing that was no number once stays.
    #[test]
    fn faces_and_mask_are_sound_whatever_is_found(
        frames in prop::collection::vec(prop::option::of(detections()), 1..8),
        steps in prop::collection::vec(0_u64..2000, 8),
    ) {
        let size = Size::new(64, 48);
        let parameters = Parameters { min_face_size: 1.0, ..Parameters::default() };
        let (mut tracker, mut mask) = (Tracker::default(), Mask::default());
        for (found, step) in frames.iter().zip(steps) {
            let tick = Tick { step: Duration::from_millis(step), jumped: step > 1900, ..Tick::default() };
            // Of a detector of ours, or handed in with the frame, which nobody has looked at.
            let found = found.clone().map(|mut found| {
                if step % 2 == 0 {
                    suppress(&mut found, 0.4);
                }
                found
            });
            let faces = tracker.advance(&tick, found.as_deref(), &parameters).to_vec();
            for face in &faces {
                let values = [face.bbox.x0, face.bbox.y0, face.bbox.x1, face.bbox.y1, face.score, face.weight];
                let points = face.points.iter().flatten().flatten();
                prop_assert!(values.iter().chain(points).all(|value| value.is_finite()), "{:?}", face);
                prop_assert!((0.0..=1.0).contains(&face.weight));
            }
            prop_assert!(faces.len() <= parameters.max_faces);
            mask.fill(&faces, size, parameters.mask_padding, parameters.mask_sigma);
            let large = size.scaled(4);
            let mut row = vec![0.0; large.width];
            for y in 0..large.height {
                mask.row(0, y, &mut row);
                prop_assert!(row.iter().all(|w| (0.0..=1.0).contains(w)));
            }
            let inside = |support: Rect| support.x + support.width <= size.width && support.y + support.height <= size.height;
            prop_assert!(mask.supports().all(|support| !support.is_empty() && inside(support)));
        }
    }
}

/// As many as a network of any size may give, all over the floor and none over another, are looked at in bounded time.
#[test]
fn more_faces_than_anybody_has_are_left_out() {
    let side = 700;
    let mut found: Vec<_> = (0..side * side)
        .map(|at| {
            let (x, y) = ((at % side) as f32 * 4.0, (at / side) as f32 * 4.0);
            Detection {
                bbox: BBox::from_centre(x, y, 3.0, 3.0),
                score: 0.5 + at as f32 * 1e-7,
                points: None,
                mask: None,
            }
        })
        .collect();
    let best = found.last().cloned().unwrap();
    suppress(&mut found, 0.4);
    assert_eq!(found.len(), MOST);
    assert_eq!(found[0], best);
}
