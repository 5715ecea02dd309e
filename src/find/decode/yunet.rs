//! YuNet: for each stride 8, 16 and 32 the outputs `cls_S`, `obj_S` `[1, n, 1]`, `bbox_S` `[1, n, 4]` and `kps_S` `[1, n, 10]`,
//! one candidate per cell of a `width / S` by `height / S` grid, row by row.
//!
//! Score `sqrt(cls * obj)`; centre `(cell + bbox[0..2]) * S`; size `exp(bbox[2..4]) * S`; points `(cell + kps) * S`.

use super::output::{Output, output};
use crate::find::bbox::BBox;
use crate::find::detection::Detection;

const STRIDES: [usize; 3] = [8, 16, 32];

/// Whether these outputs are of this family.
pub fn fits(outputs: &[(String, Vec<i64>)]) -> bool {
    outputs.len() == 12
        && ["cls", "obj", "bbox", "kps"].iter().all(|kind| {
            STRIDES.iter().all(|stride| {
                outputs
                    .iter()
                    .any(|(name, _)| *name == format!("{kind}_{stride}"))
            })
        })
}

/// Appends the candidates of score `floor` or more, in pixels of the network's input of `width` x `height`.
///
/// # Errors
/// What was expected of an output and what was found.
pub fn decode(
    outputs: &[Output<'_>],
    width: usize,
    height: usize,
    floor: f32,
    found: &mut Vec<Detection>,
) -> Result<(), String> {
    for stride in STRIDES {
        let (columns, cells) = (width / stride, (width / stride) * (height / stride));
        let values = |kind: &str, fields: usize| {
            let name = format!("{kind}_{stride}");
            let output = output(outputs, &name)?;
            if output.values.len() == cells * fields {
                Ok(output.values)
            } else {
                Err(format!(
                    "output {name} [1, {cells}, {fields}], found {:?}",
                    output.shape
                ))
            }
        };
        let (cls, obj, bbox, kps) = (
            values("cls", 1)?,
            values("obj", 1)?,
            values("bbox", 4)?,
            values("kps", 10)?,
        );
        let scale = stride as f32;
        for cell in 0..cells {
            let score = (cls[cell].clamp(0.0, 1.0) * obj[cell].clamp(0.0, 1.0)).sqrt();
            if score < floor {
                continue;
            }
            let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
            let b = &bbox[cell * 4..][..4];
            let k = &kps[cell * 10..][..10];
            let point = |p: usize| [(column + k[2 * p]) * scale, (row + k[2 * p + 1]) * scale];
            found.push(Detection {
                bbox: BBox::from_centre(
                    (column + b[0]) * scale,
                    (row + b[1]) * scale,
                    b[2].exp() * scale,
                    b[3].exp() * scale,
                ),
                score,
                points: Some([point(0), point(1), point(2), point(3), point(4)]),
                mask: None,
            });
        }
    }
    Ok(())
}
