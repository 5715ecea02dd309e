//! Sizes and rectangles of whole pixels. Pure integer geometry.

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// A size of `width` by `height` pixels.
    pub const fn new(width: usize, height: usize) -> Self {
        Self { width, height }
    }

    /// Number of pixels.
    pub const fn area(self) -> usize {
        self.width * self.height
    }

    /// Both sides times `factor`.
    pub const fn scaled(self, factor: usize) -> Self {
        Self::new(self.width * factor, self.height * factor)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A rectangle of whole pixels inside a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rect {
    /// Left column.
    pub x: usize,
    /// Top row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Rect {
    /// Twice the place of its middle.
    pub fn middle(self) -> (usize, usize) {
        (self.x + self.right(), self.y + self.bottom())
    }

    /// How far its middle is from another, as [`Rect::middle`] gives it, squared.
    pub fn distance_squared(self, (x, y): (usize, usize)) -> usize {
        let (own_x, own_y) = self.middle();
        own_x.abs_diff(x).pow(2) + own_y.abs_diff(y).pow(2)
    }

    /// The whole of a frame.
    pub const fn whole(size: Size) -> Self {
        Self {
            x: 0,
            y: 0,
            width: size.width,
            height: size.height,
        }
    }

    /// Width and height.
    pub const fn size(self) -> Size {
        Size::new(self.width, self.height)
    }

    /// First column to the right.
    pub const fn right(self) -> usize {
        self.x + self.width
    }

    /// First row below.
    pub const fn bottom(self) -> usize {
        self.y + self.height
    }

    /// Whether no pixel is inside.
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Whether every pixel of `other` is inside.
    pub const fn contains(self, other: Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }

    /// Whether the two share a pixel.
    pub const fn overlaps(self, other: Self) -> bool {
        self.x < other.right()
            && other.x < self.right()
            && self.y < other.bottom()
            && other.y < self.bottom()
    }

    /// The pixels in both, if any.
    pub fn intersection(self, other: Self) -> Option<Self> {
        self.overlaps(other).then(|| {
            let (x, y) = (self.x.max(other.x), self.y.max(other.y));
            Self {
                x,
                y,
                width: self.right().min(other.right()) - x,
                height: self.bottom().min(other.bottom()) - y,
            }
        })
    }

    /// The smallest rectangle around both.
    pub fn union(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self {
            x,
            y,
            width: self.right().max(other.right()) - x,
            height: self.bottom().max(other.bottom()) - y,
        }
    }

    /// Every coordinate times `factor`.
    pub const fn scaled(self, factor: usize) -> Self {
        Self {
            x: self.x * factor,
            y: self.y * factor,
            width: self.width * factor,
            height: self.height * factor,
        }
    }

    /// This with `context` pixels more on every side that is not an edge of a frame of `frame` pixels.
    pub fn grown(self, context: usize, frame: Size) -> Self {
        let (x, y) = (
            self.x.saturating_sub(context),
            self.y.saturating_sub(context),
        );
        Self {
            x,
            y,
            width: (self.right() + context).min(frame.width) - x,
            height: (self.bottom() + context).min(frame.height) - y,
        }
    }
}

/// Joins rectangles that overlap into the smallest rectangles around them, until none overlap; order stable.
pub fn merge_overlapping(rects: &mut Vec<Rect>) {
    let mut i = 0;
    while i < rects.len() {
        match (i + 1..rects.len()).find(|&j| rects[i].overlaps(rects[j])) {
            Some(j) => {
                let other = rects.remove(j);
                rects[i] = rects[i].union(other);
                // The grown rectangle may now reach one that was passed already.
                i = 0;
            }
            None => i += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn merged_rectangles_are_disjoint_and_cover_the_same() {
        let mut random = Random(77);
        for _ in 0..500 {
            let rects: Vec<Rect> = (0..random.below(9))
                .map(|_| Rect {
                    x: random.below(80),
                    y: random.below(80),
                    width: 1 + random.below(30),
                    height: 1 + random.below(30),
                })
                .collect();
            let mut merged = rects.clone();
            merge_overlapping(&mut merged);
            for (i, a) in merged.iter().enumerate() {
                assert!(merged[i + 1..].iter().all(|b| !a.overlaps(*b)));
            }
            for r in rects {
                assert!(merged.iter().any(|m| m.intersection(r) == Some(r)));
            }
        }
    }
}
