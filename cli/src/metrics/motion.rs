//! Motion from one frame to the next by block matching, and what is hidden by it. Pure and exact: the same numbers come out of
//! any implementation of these definitions.
//!
//! Luma is cut into blocks of 8x8 pixels. Each takes the displacement `d` within 16 pixels along each axis for which
//!
//! ```text
//! sum |a(p) - b(p + d)| + (d = 0 ? 0 : number of pixels)
//! ```
//!
//! is least, `p + d` inside the frame; among equals zero, then the first by rows. It is refined to a half and then to a quarter of a
//! pixel among the eight neighbours at that distance, `b` interpolated bilinearly and rounded. The addend keeps noise from looking like motion.

use srfusion::Size;

use super::luma::Luma;

/// Side of a block in pixels.
const BLOCK: usize = 8;
/// Longest displacement along an axis in pixels.
const REACH: isize = 16;
/// Steps of a displacement in a pixel.
pub const STEPS: isize = 4;

/// A displacement `(x, y)` in quarters of a pixel.
pub type Vector = (isize, isize);

/// A displacement for each block of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Motion {
    size: Size,
    columns: usize,
    vectors: Vec<Vector>,
}

/// A block: left, top, width, height in pixels.
#[derive(Clone, Copy)]
struct Block {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Block {
    fn area(self) -> u32 {
        (self.width * self.height) as u32
    }

    /// Whether the block displaced by `vector` lies inside a frame of `size`.
    fn fits(self, (dx, dy): Vector, size: Size) -> bool {
        let inside = |start: usize, length: usize, shift: isize, side: usize| {
            let first = start as isize * STEPS + shift;
            first >= 0 && first + (length as isize - 1) * STEPS <= (side as isize - 1) * STEPS
        };
        inside(self.x, self.width, dx, size.width) && inside(self.y, self.height, dy, size.height)
    }
}

/// Sum of absolute differences of a block of `a` and the block of `b` displaced by whole pixels, which lies inside; or some number of
/// at least `limit` where it is no less.
fn whole(a: &Luma, b: &Luma, block: Block, (dx, dy): Vector, limit: u32) -> u32 {
    let left = (block.x as isize + dx) as usize;
    let mut sum = 0;
    for y in block.y..block.y + block.height {
        let first = &a.row(y)[block.x..][..block.width];
        let second = &b.row((y as isize + dy) as usize)[left..][..block.width];
        sum += match (
            <&[u8; BLOCK]>::try_from(first),
            <&[u8; BLOCK]>::try_from(second),
        ) {
            (Ok(first), Ok(second)) => row_of_eight(first, second),
            _ => first
                .iter()
                .zip(second)
                .map(|(a, b)| u32::from(a.abs_diff(*b)))
                .sum(),
        };
        if sum >= limit {
            break;
        }
    }
    sum
}

/// Sum of absolute differences of eight samples; compilers know this shape.
fn row_of_eight(a: &[u8; BLOCK], b: &[u8; BLOCK]) -> u32 {
    let mut sum = 0;
    for i in 0..BLOCK {
        sum += u32::from(a[i].abs_diff(b[i]));
    }
    sum
}

/// The sample of `plane` at a place in quarters of a pixel, bilinear, rounded half up.
pub fn sample(plane: &Luma, x: usize, y: usize) -> u8 {
    let steps = STEPS as usize;
    let (left, top) = (x / steps, y / steps);
    let (u, v) = ((x % steps) as u32, (y % steps) as u32);
    // A neighbour of weight 0 may lie outside.
    let right = (left + 1).min(plane.size().width - 1);
    let bottom = (top + 1).min(plane.size().height - 1);
    let at = |x: usize, y: usize| u32::from(plane.samples()[y * plane.size().width + x]);
    let above = (4 - u) * at(left, top) + u * at(right, top);
    let below = (4 - u) * at(left, bottom) + u * at(right, bottom);
    (((4 - v) * above + v * below + 8) / 16) as u8
}

fn fractional(a: &Luma, b: &Luma, block: Block, (dx, dy): Vector, limit: u32) -> u32 {
    let mut sum = 0;
    for y in block.y..block.y + block.height {
        let from = (y as isize * STEPS + dy) as usize;
        for x in block.x..block.x + block.width {
            let found = sample(b, (x as isize * STEPS + dx) as usize, from);
            sum += u32::from(a.row(y)[x].abs_diff(found));
        }
        if sum >= limit {
            break;
        }
    }
    sum
}

fn search(a: &Luma, b: &Luma, block: Block) -> Vector {
    let addend = block.area();
    let mut best = (0, 0);
    let mut least = whole(a, b, block, best, u32::MAX);
    // Nothing that is displaced can cost less than its addend.
    if least <= addend {
        return best;
    }
    for dy in -REACH..=REACH {
        for dx in -REACH..=REACH {
            let vector = (dx * STEPS, dy * STEPS);
            if (dx, dy) == (0, 0) || !block.fits(vector, a.size()) {
                continue;
            }
            let cost = addend + whole(a, b, block, (dx, dy), least.saturating_sub(addend));
            if cost < least {
                (best, least) = (vector, cost);
            }
        }
    }
    for step in [STEPS / 2, STEPS / 4] {
        let centre = best;
        for (sy, sx) in [
            (-1, -1),
            (-1, 0),
            (-1, 1),
            (0, -1),
            (0, 1),
            (1, -1),
            (1, 0),
            (1, 1),
        ] {
            let vector = (centre.0 + sx * step, centre.1 + sy * step);
            if !block.fits(vector, a.size()) {
                continue;
            }
            let addend = if vector == (0, 0) { 0 } else { addend };
            let cost = addend + fractional(a, b, block, vector, least.saturating_sub(addend));
            if cost < least {
                (best, least) = (vector, cost);
            }
        }
    }
    best
}

impl Motion {
    /// The motion from `a` to `b`, which are of one size.
    pub fn between(a: &Luma, b: &Luma) -> Self {
        let Size { width, height } = a.size();
        let columns = width.div_ceil(BLOCK);
        let mut vectors = Vec::with_capacity(columns * height.div_ceil(BLOCK));
        for y in (0..height).step_by(BLOCK) {
            for x in (0..width).step_by(BLOCK) {
                let block = Block {
                    x,
                    y,
                    width: BLOCK.min(width - x),
                    height: BLOCK.min(height - y),
                };
                vectors.push(search(a, b, block));
            }
        }
        Self {
            size: a.size(),
            columns,
            vectors,
        }
    }

    /// Displacement of the pixel at `(x, y)`.
    pub fn at(&self, x: usize, y: usize) -> Vector {
        self.vectors[y / BLOCK * self.columns + x / BLOCK]
    }

    /// For every pixel whether it is hidden in the next frame, or its motion not to be trusted: the way there and the way back from where it
    /// lands, `back` being the motion from the next frame to this one, do not end where they began,
    ///
    /// ```text
    /// |f + b|^2 > 0.01 (|f|^2 + |b|^2) + 0.5        in pixels (Sundaram, Brox, Keutzer, ECCV 2010)
    /// ```
    pub fn occluded(&self, back: &Self) -> Vec<bool> {
        let Size { width, height } = self.size;
        let mut result = Vec::with_capacity(self.size.area());
        let square = |(x, y): Vector| (x * x + y * y) as f64 / (STEPS * STEPS) as f64;
        for y in 0..height {
            for x in 0..width {
                let forth = self.at(x, y);
                let land = |place: usize, shift: isize, side: usize| {
                    // The nearest pixel, half up.
                    let place = (place as isize * STEPS + shift + STEPS / 2).div_euclid(STEPS);
                    place.clamp(0, side as isize - 1) as usize
                };
                let home = back.at(land(x, forth.0, width), land(y, forth.1, height));
                let sum = square((forth.0 + home.0, forth.1 + home.1));
                result.push(sum > 0.01 * (square(forth) + square(home)) + 0.5);
            }
        }
        result
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// Structure that no displacement maps onto itself.
    fn texture(x: usize, y: usize) -> u8 {
        let mut z = (x as u64) << 32 | y as u64;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 56) as u8
    }

    fn plane(size: Size, value: impl Fn(usize, usize) -> u8) -> Luma {
        let values = (0..size.area()).map(|i| value(i % size.width, i / size.width));
        Luma::new(values.collect(), size).unwrap()
    }

    #[test]
    fn a_shift_is_found_and_its_edge_is_hidden() {
        let size = Size::new(61, 43);
        let a = plane(size, |x, y| texture(x + 40, y + 40));
        let b = plane(size, |x, y| texture(x + 43, y + 38));
        let forth = Motion::between(&a, &b);
        let back = Motion::between(&b, &a);
        // What was at x is at x - 3, y + 2.
        for (x, y) in [(8, 0), (30, 20), (55, 30)] {
            assert_eq!(forth.at(x, y), (-3 * STEPS, 2 * STEPS), "{x} {y}");
        }
        assert_eq!(back.at(16, 16), (3 * STEPS, -2 * STEPS));
        let hidden = forth.occluded(&back);
        assert!(!hidden[20 * 61 + 30]);
        // The blocks at the left and the bottom leave the frame; what they find instead does not lead back.
        assert!(hidden[20 * 61..][..8].iter().all(|hidden| *hidden));
        assert!(hidden[42 * 61 + 30]);
    }

    #[test]
    fn quarters_are_found() {
        let size = Size::new(48, 48);
        // Periods that fit into no displacement together.
        let waves = |v: f64| 30.0 * ((v * 0.7).sin() + (v * 0.31 + 1.0).sin());
        let smooth = |x: f64, y: f64| (128.0 + waves(x) + waves(y * 1.1)) as u8;
        let a = plane(size, |x, y| smooth(x as f64, y as f64));
        let b = plane(size, |x, y| smooth(x as f64 - 1.25, y as f64 + 0.5));
        assert_eq!(Motion::between(&a, &b).at(24, 24), (5, -2));
    }

    #[test]
    fn noise_does_not_move() {
        let size = Size::new(40, 24);
        let a = plane(size, |x, y| 100 + (x / 3 + y / 2) as u8 + texture(x, y) % 3);
        let b = plane(size, |x, y| {
            100 + (x / 3 + y / 2) as u8 + texture(y, x + 7) % 3
        });
        let motion = Motion::between(&a, &b);
        assert!(motion.vectors.iter().all(|vector| *vector == (0, 0)));
        assert!(!motion.occluded(&motion).contains(&true));
    }
}
