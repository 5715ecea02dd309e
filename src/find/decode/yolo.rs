//! YOLO-face style detectors: one output, a candidate per column or per row, decoded to pixels inside the graph.
//!
//! Layouts, `N` candidates:
//!
//! | shape | source | fields of a candidate |
//! |---|---|---|
//! | `[1, 5, N]` | anchor-free, boxes alone | cx cy w h score |
//! | `[1, 15, N]` | anchor-free, points (ours) | cx cy w h score, 5 x (x y) |
//! | `[1, 20, N]` | YOLOv8-face | cx cy w h score, 5 x (x y visibility) |
//! | `[1, N, 16]` | YOLOv5-face | cx cy w h objectness, 5 x (x y), class score |

use super::output::Output;
use crate::find::bbox::BBox;
use crate::find::detection::Detection;

/// Where the fields of a candidate lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct YoloLayout {
    fields: usize,
    /// Values from one point to the next; 0 without points.
    point_step: usize,
    /// Whether a candidate is a row (its fields side by side) rather than a column.
    rows: bool,
    /// Field whose value multiplies the score.
    class_field: Option<usize>,
}

fn layout(shape: &[i64]) -> Option<YoloLayout> {
    let &[_, first, second] = shape else {
        return None;
    };
    let columns = |point_step| YoloLayout {
        fields: first as usize,
        point_step,
        rows: false,
        class_field: None,
    };
    match (first, second) {
        (5, _) => Some(columns(0)),
        (15, _) => Some(columns(2)),
        (20, _) => Some(columns(3)),
        (_, 16) => Some(YoloLayout {
            fields: 16,
            point_step: 2,
            rows: true,
            class_field: Some(15),
        }),
        _ => None,
    }
}

/// Whether these outputs are of this family.
pub fn fits(outputs: &[(String, Vec<i64>)]) -> bool {
    matches!(outputs, [(_, shape)] if layout(shape).is_some())
}

/// Appends the candidates of score `floor` or more, in pixels of the network's input.
///
/// # Errors
/// What was expected of the output and what was found.
pub fn decode(
    outputs: &[Output<'_>],
    floor: f32,
    found: &mut Vec<Detection>,
) -> Result<(), String> {
    let [output] = outputs else {
        return Err(format!("one output, found {}", outputs.len()));
    };
    let Some(layout) = layout(output.shape) else {
        return Err(format!(
            "an output [1, 5 | 15 | 20, N] or [1, N, 16], found {:?}",
            output.shape
        ));
    };
    let count = output.values.len() / layout.fields;
    let field = |i: usize, f: usize| {
        let index = if layout.rows {
            i * layout.fields + f
        } else {
            f * count + i
        };
        output.values[index]
    };
    for i in 0..count {
        let mut score = field(i, 4);
        if let Some(class_field) = layout.class_field {
            score *= field(i, class_field);
        }
        if score < floor || !score.is_finite() {
            continue;
        }
        let bbox = BBox::from_centre(field(i, 0), field(i, 1), field(i, 2), field(i, 3));
        let point = |p: usize| {
            [
                field(i, 5 + p * layout.point_step),
                field(i, 6 + p * layout.point_step),
            ]
        };
        let points =
            (layout.point_step > 0).then(|| [point(0), point(1), point(2), point(3), point(4)]);
        found.push(Detection {
            bbox,
            score,
            points,
            mask: None,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_rows_agree() {
        let candidate = [
            50.0, 40.0, 20.0, 30.0, 0.8, 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.,
        ];
        let weak = [
            5.0, 4.0, 2.0, 3.0, 0.2, 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.,
        ];
        let columns: Vec<f32> = candidate
            .iter()
            .zip(weak)
            .flat_map(|(a, b)| [*a, b])
            .collect();
        let rows: Vec<f32> = [&candidate[..], &[0.5], &weak[..], &[1.0]].concat();
        let mut found = Vec::new();
        decode(
            &[Output {
                name: "p",
                shape: &[1, 15, 2],
                values: &columns,
            }],
            0.3,
            &mut found,
        )
        .unwrap();
        decode(
            &[Output {
                name: "p",
                shape: &[1, 2, 16],
                values: &rows,
            }],
            0.3,
            &mut found,
        )
        .unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].bbox,
            BBox {
                x0: 40.0,
                y0: 25.0,
                x1: 60.0,
                y1: 55.0
            }
        );
        assert_eq!(found[0].points, found[1].points);
        assert_eq!(found[0].points.unwrap()[4], [9.0, 10.0]);
        assert!((found[1].score - 0.4).abs() < 1e-6);
        assert!(
            decode(
                &[Output {
                    name: "p",
                    shape: &[1, 7, 2],
                    values: &[0.0; 14]
                }],
                0.3,
                &mut found
            )
            .is_err()
        );
    }
}
