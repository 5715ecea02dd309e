//! UltraFace: outputs `scores` `[1, N, 2]` (background, face) and `boxes` `[1, N, 4]` (corners as fractions of the input's sides).

use super::output::{Output, output};
use crate::find::bbox::BBox;
use crate::find::detection::Detection;

/// Whether these outputs are of this family.
pub fn fits(outputs: &[(String, Vec<i64>)]) -> bool {
    let last = |name: &str| {
        outputs
            .iter()
            .find(|(n, _)| n == name)
            .and_then(|(_, shape)| shape.last().copied())
    };
    outputs.len() == 2 && last("scores") == Some(2) && last("boxes") == Some(4)
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
    let (scores, boxes) = (output(outputs, "scores")?, output(outputs, "boxes")?);
    if scores.values.len() * 2 != boxes.values.len() {
        return Err(format!(
            "scores [1, N, 2] and boxes [1, N, 4], found {:?} and {:?}",
            scores.shape, boxes.shape
        ));
    }
    let (width, height) = (width as f32, height as f32);
    for (score, b) in scores
        .values
        .chunks_exact(2)
        .zip(boxes.values.chunks_exact(4))
    {
        if score[1] >= floor {
            let bbox = BBox {
                x0: b[0] * width,
                y0: b[1] * height,
                x1: b[2] * width,
                y1: b[3] * height,
            };
            found.push(Detection {
                bbox,
                score: score[1],
                points: None,
                mask: None,
            });
        }
    }
    Ok(())
}
