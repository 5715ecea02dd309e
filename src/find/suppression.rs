//! Greedy non-maximum suppression. Pure.

use super::Detection;

/// Most candidates that are looked at, the best: more than there are faces in any crowd, and few enough to compare each with each.
pub const MOST: usize = 4096;

/// Intersection over union from which two candidates are one object.
pub const IOU: f32 = 0.4;

/// Keeps the best candidate of each group that overlaps, best score first.
///
/// A candidate goes if its intersection over union with a better one is above `iou`, or if it lies for the most part inside a
/// better one (a face found again at another scale). Invalid boxes and scores go first, then all but the best [`MOST`]; points that are
/// no places go without their face.
pub fn suppress(candidates: &mut Vec<Detection>, iou: f32) {
    suppress_by(candidates, |candidate| candidate, iou);
    for candidate in candidates.iter_mut() {
        candidate.points = candidate.sound_points();
    }
}

/// The same of candidates that carry more than a detection: `detection` says which is theirs. Points are left as they are.
pub fn suppress_by<T>(candidates: &mut Vec<T>, detection: impl Fn(&T) -> &Detection, iou: f32) {
    candidates.retain(|candidate| detection(candidate).is_valid());
    candidates.sort_by(|a, b| detection(b).score.total_cmp(&detection(a).score));
    candidates.truncate(MOST);
    let mut kept = 0;
    for i in 0..candidates.len() {
        let is_new = candidates[..kept]
            .iter()
            .all(|better| !same_object(detection(better), detection(&candidates[i]), iou));
        if is_new {
            candidates.swap(kept, i);
            kept += 1;
        }
    }
    candidates.truncate(kept);
}

fn same_object(a: &Detection, b: &Detection, iou: f32) -> bool {
    if a.bbox.iou(b.bbox) > iou {
        return true;
    }
    let width = a.bbox.x1.min(b.bbox.x1) - a.bbox.x0.max(b.bbox.x0);
    let height = a.bbox.y1.min(b.bbox.y1) - a.bbox.y0.max(b.bbox.y0);
    let both = width.max(0.0) * height.max(0.0);
    both > 0.8 * a.bbox.area().min(b.bbox.area())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::BBox;

    fn at(x: f32, y: f32, side: f32, score: f32) -> Detection {
        Detection {
            bbox: BBox {
                x0: x,
                y0: y,
                x1: x + side,
                y1: y + side,
            },
            score,
            points: None,
            mask: None,
        }
    }

    #[test]
    fn one_per_face() {
        let mut candidates = vec![
            at(11.0, 10.0, 20.0, 0.8),
            at(10.0, 10.0, 20.0, 0.9),
            at(14.0, 14.0, 9.0, 0.7), // the same face, smaller
            at(40.0, 10.0, 20.0, 0.6),
            at(0.0, 0.0, f32::NAN, 1.0),
        ];
        suppress(&mut candidates, 0.4);
        assert_eq!(
            candidates.iter().map(|c| c.score).collect::<Vec<_>>(),
            [0.9, 0.6]
        );
    }
}
