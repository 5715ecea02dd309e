//! What detectors' outputs mean: one file for each family. Pure.

use serde::{Deserialize, Serialize};

use super::detection::Detection;

mod output;
mod ultraface;
mod yolo;
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
}

impl Family {
    /// Name as models.toml spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yolo => "yolo",
            Self::YuNet => "yunet",
            Self::UltraFace => "ultraface",
        }
    }

    /// The family whose outputs have these names and, in a run, these shapes, if any.
    pub fn recognise(outputs: &[(String, Vec<i64>)]) -> Option<Self> {
        if yunet::fits(outputs) {
            Some(Self::YuNet)
        } else if ultraface::fits(outputs) {
            Some(Self::UltraFace)
        } else if yolo::fits(outputs) {
            Some(Self::Yolo)
        } else {
            None
        }
    }
}

/// Appends the candidates of score `floor` or more to `found`, in pixels of the network's input of `width` x `height`.
///
/// # Errors
/// The message says which output was expected and what was found.
pub fn decode(
    family: Family,
    outputs: &[Output<'_>],
    width: usize,
    height: usize,
    floor: f32,
    found: &mut Vec<Detection>,
) -> Result<(), String> {
    match family {
        Family::Yolo => yolo::decode(outputs, floor, found),
        Family::YuNet => yunet::decode(outputs, width, height, floor, found),
        Family::UltraFace => ultraface::decode(outputs, width, height, floor, found),
    }
}
