//! Face detection: what a detector returns, the step from a frame to its tensor and back, and one decoder per family.
//!
//! [`letterbox`] and the decoders are pure; the network itself runs in [`crate::runtime`].

use serde::{Deserialize, Serialize};

pub mod letterbox;
pub mod suppression;
pub mod ultraface;
pub mod yolo;
pub mod yunet;

/// A box in pixels of a frame, edges included as fractions: pixel `i` covers `i..i + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BBox {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

impl BBox {
    /// The box of this centre and size.
    pub fn from_centre(cx: f32, cy: f32, width: f32, height: f32) -> Self {
        Self {
            x0: cx - width / 2.0,
            y0: cy - height / 2.0,
            x1: cx + width / 2.0,
            y1: cy + height / 2.0,
        }
    }

    /// Width in pixels.
    pub fn width(self) -> f32 {
        self.x1 - self.x0
    }

    /// Height in pixels.
    pub fn height(self) -> f32 {
        self.y1 - self.y0
    }

    /// Centre `(x, y)`.
    pub fn centre(self) -> (f32, f32) {
        ((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }

    /// Area in pixels; 0 for a box turned inside out.
    pub fn area(self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// Area in both over area in either, `0.0..=1.0`.
    pub fn iou(self, other: Self) -> f32 {
        let width = self.x1.min(other.x1) - self.x0.max(other.x0);
        let height = self.y1.min(other.y1) - self.y0.max(other.y0);
        let both = width.max(0.0) * height.max(0.0);
        let either = self.area() + other.area() - both;
        if either > 0.0 { both / either } else { 0.0 }
    }

    /// Whether every coordinate is a number and the box has an inside.
    pub fn is_valid(self) -> bool {
        [self.x0, self.y0, self.x1, self.y1]
            .iter()
            .all(|v| v.is_finite())
            && self.x1 > self.x0
            && self.y1 > self.y0
    }
}

/// Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture; `[x, y]` in pixels.
pub type Points = [[f32; 2]; 5];

/// A face found in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Where.
    pub bbox: BBox,
    /// How sure, `0.0..=1.0`.
    pub score: f32,
    /// Five points, where the detector gives them.
    pub points: Option<Points>,
}

/// How a detector's outputs are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// One output with a column or row per candidate: box, score, and points; see [`yolo`].
    Yolo,
    /// Twelve outputs, four for each stride; see [`yunet`].
    YuNet,
    /// Two outputs, scores and corners; see [`ultraface`].
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

/// One output of a detector: name, shape, values.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// Name in the model.
    pub name: &'a str,
    /// Sides, outermost first.
    pub shape: &'a [i64],
    /// Values, innermost side fastest.
    pub values: &'a [f32],
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

/// The output called `name`.
pub(crate) fn output<'a, 'o>(
    outputs: &'o [Output<'a>],
    name: &str,
) -> Result<&'o Output<'a>, String> {
    outputs.iter().find(|o| o.name == name).ok_or_else(|| {
        let names: Vec<_> = outputs.iter().map(|o| o.name).collect();
        format!("an output called {name}, found {}", names.join(", "))
    })
}
