//! What detectors' outputs mean: one file for each family. Pure.

use serde::{Deserialize, Serialize};

use super::detection::Detection;

mod mask_rcnn;
mod output;
mod ultraface;
mod yolo;
mod yolo_seg;
mod yunet;

pub use output::Output;

/// How a detector's outputs are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// One output with a column or row per candidate: box, score, and points; see `yolo.rs`.
    Yolo,
    /// Twelve outputs, four for each stride; see `yunet.rs`.
    YuNet,
    /// Two outputs, scores and corners; see `ultraface.rs`.
    UltraFace,
    /// Candidates with coefficients, and prototypes of masks; see `yolo_seg.rs`.
    #[serde(rename = "yolo-seg")]
    YoloSeg,
    /// Boxes, labels, scores and masks; see `mask_rcnn.rs`.
    #[serde(rename = "mask-rcnn")]
    MaskRcnn,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 5] = [
        Self::Yolo,
        Self::YuNet,
        Self::UltraFace,
        Self::YoloSeg,
        Self::MaskRcnn,
    ];

    /// The names of all, for messages.
    pub fn names() -> String {
        let names = Self::ALL.map(Self::name);
        names.join(", ")
    }

    /// Name as models.toml spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yolo => "yolo",
            Self::YuNet => "yunet",
            Self::UltraFace => "ultraface",
            Self::YoloSeg => "yolo-seg",
            Self::MaskRcnn => "mask-rcnn",
        }
    }

    /// Whether its outputs say of which class an object is.
    pub const fn tells_classes(self) -> bool {
        matches!(self, Self::YoloSeg | Self::MaskRcnn)
    }

    /// The family whose outputs have these names and, in a run, these shapes, if any.
    pub fn recognise(outputs: &[(String, Vec<i64>)]) -> Option<Self> {
        if yunet::fits(outputs) {
            Some(Self::YuNet)
        } else if ultraface::fits(outputs) {
            Some(Self::UltraFace)
        } else if yolo::fits(outputs) {
            Some(Self::Yolo)
        } else if yolo_seg::fits(outputs) {
            Some(Self::YoloSeg)
        } else if mask_rcnn::fits(outputs) {
            Some(Self::MaskRcnn)
        } else {
            None
        }
    }
}

/// Appends the candidates of score `floor` or more to `found`, in pixels of the network's input of `width` x `height`. Of a family that tells classes
/// those of `classes` alone, if there are any.
///
/// # Errors
/// The message says which output was expected and what was found.
pub fn decode(
    family: Family,
    outputs: &[Output<'_>],
    (width, height): (usize, usize),
    floor: f32,
    classes: Option<&[u32]>,
    found: &mut Vec<Detection>,
) -> Result<(), String> {
    match family {
        Family::Yolo => yolo::decode(outputs, floor, found),
        Family::YuNet => yunet::decode(outputs, width, height, floor, found),
        Family::UltraFace => ultraface::decode(outputs, width, height, floor, found),
        Family::YoloSeg => yolo_seg::decode(outputs, (width, height), floor, classes, found),
        Family::MaskRcnn => mask_rcnn::decode(outputs, (width, height), floor, classes, found),
    }
}
