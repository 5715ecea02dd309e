//! An object found in a frame.

use std::sync::Arc;

use super::bbox::{BBox, FURTHEST};
use super::instance::InstanceMask;

/// Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture; `[x, y]` in pixels.
pub type Points = [[f32; 2]; 5];

/// An object found in one frame, whatever its kind. Faces were the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Where.
    pub bbox: BBox,
    /// How sure, `0.0..=1.0`.
    pub score: f32,
    /// Five points, where the detector gives them.
    pub points: Option<Points>,
    /// Where in its box it is, where the detector gives that.
    pub mask: Option<Arc<InstanceMask>>,
}

impl Detection {
    /// Whether its box and its score are what a box and a score can be.
    pub fn is_valid(&self) -> bool {
        self.bbox.is_valid() && self.score.is_finite()
    }

    /// The points, if all of them are places.
    pub fn sound_points(&self) -> Option<Points> {
        let is_place = |value: &f32| value.abs() <= FURTHEST;
        self.points
            .filter(|points| points.iter().flatten().all(is_place))
    }
}
