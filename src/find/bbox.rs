//! A box in a frame.

/// Largest coordinate that is believed, in pixels: beyond any frame, and small enough for areas and distances to be numbers.
pub(super) const FURTHEST: f32 = 1e7;

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

    /// The box in pixels of which there are `scale` as many in x and y.
    pub(crate) fn scaled(self, (x, y): (f32, f32)) -> Self {
        Self {
            x0: self.x0 * x,
            y0: self.y0 * y,
            x1: self.x1 * x,
            y1: self.y1 * y,
        }
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

    /// Whether every coordinate is a number, near any frame, and the box has an inside.
    pub fn is_valid(self) -> bool {
        [self.x0, self.y0, self.x1, self.y1]
            .iter()
            .all(|v| v.abs() <= FURTHEST)
            && self.x1 > self.x0
            && self.y1 > self.y0
    }
}
