//! Covers areas of a frame with tiles, each with the context that a network needs. Pure integer geometry.
//!
//! A network of receptive radius `r` computes a pixel from the `2r + 1` by `2r + 1` pixels around it, and treats what lies
//! outside the frame in its own way (usually as zero). A tile therefore carries `r` pixels of context on each side that is not
//! an edge of the frame, and none on an edge: then its inner part equals the same part of an untiled pass.

use crate::picture::{Rect, Size};

/// One run of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Input pixels that the network sees.
    pub window: Rect,
    /// Input pixels, inside the window, whose output is kept.
    pub core: Rect,
}

/// How large a tile may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Neither side of a window longer than this.
    Side(usize),
    /// No window wider or higher than this.
    Sides(Size),
    /// A window of at most this many pixels, of whichever shape costs least context.
    Area(usize),
}

/// Tiles whose cores cover `area` exactly once, row by row; all windows have the same size.
///
/// `radius` is the context in input pixels. Windows stay inside a frame of `frame` pixels: at an edge they end with it, and a
/// last tile is moved back rather than padded. A limit too small for one pixel and its context is exceeded.
pub fn cover(frame: Size, area: Rect, radius: usize, limit: Limit) -> Vec<Tile> {
    if area.is_empty() {
        return Vec::new();
    }
    let (columns, rows) = match limit {
        Limit::Side(side) => (
            Axis::with_limit(frame.width, area.x, area.right(), radius, side),
            Axis::with_limit(frame.height, area.y, area.bottom(), radius, side),
        ),
        Limit::Sides(size) => (
            Axis::with_limit(frame.width, area.x, area.right(), radius, size.width),
            Axis::with_limit(frame.height, area.y, area.bottom(), radius, size.height),
        ),
        Limit::Area(pixels) => cheapest(frame, area, radius, pixels),
    };
    let mut tiles = Vec::with_capacity(columns.count * rows.count);
    for (top, height, core_top, core_bottom) in rows.spans() {
        for (left, width, core_left, core_right) in columns.spans() {
            tiles.push(Tile {
                window: Rect {
                    x: left,
                    y: top,
                    width,
                    height,
                },
                core: Rect {
                    x: core_left,
                    y: core_top,
                    width: core_right - core_left,
                    height: core_bottom - core_top,
                },
            });
        }
    }
    tiles
}

/// Number of tiles of at most `tile` that [`cover`] gives for `area`.
pub fn tile_count(frame: Size, area: Rect, radius: usize, tile: Size) -> usize {
    if area.is_empty() {
        return 0;
    }
    Axis::with_limit(frame.width, area.x, area.right(), radius, tile.width).count
        * Axis::with_limit(frame.height, area.y, area.bottom(), radius, tile.height).count
}

/// The one size of tiles that are meant to be of size `tile`: a smaller frame has smaller ones.
pub fn fixed_size(tile: Size, frame: Size) -> Size {
    Size::new(
        tile.width.min(frame.width).max(1),
        tile.height.min(frame.height).max(1),
    )
}

/// One side of the grid: `count` equal windows over `start..end` plus context, clipped to `0..length`.
#[derive(Debug, Clone, Copy)]
struct Axis {
    /// First and last pixel to cover, the last exclusive.
    start: usize,
    end: usize,
    /// First and last pixel that may be seen, the last exclusive.
    low: usize,
    high: usize,
    radius: usize,
    count: usize,
    window: usize,
}

impl Axis {
    /// At most `count` windows; fewer where equal windows already cover everything.
    fn with_count(length: usize, start: usize, end: usize, radius: usize, count: usize) -> Self {
        let (low, high) = (start.saturating_sub(radius), (end + radius).min(length));
        let span = high - low;
        // Each window but the last ends `2 * radius` after the next begins: span = count * step + 2 * radius.
        let inner = span.saturating_sub(2 * radius).max(1);
        let step = inner.div_ceil(count.clamp(1, inner));
        let window = (step + 2 * radius).min(span);
        Self {
            start,
            end,
            low,
            high,
            radius,
            count: inner.div_ceil(step),
            window,
        }
    }

    fn with_limit(length: usize, start: usize, end: usize, radius: usize, limit: usize) -> Self {
        let whole = Self::with_count(length, start, end, radius, 1);
        if whole.window <= limit {
            return whole;
        }
        let inner = whole.window.saturating_sub(2 * radius).max(1);
        let step = limit.saturating_sub(2 * radius).max(1);
        Self::with_count(length, start, end, radius, inner.div_ceil(step))
    }

    /// Window start, window length, core start, core end of each tile.
    fn spans(self) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        let step = self.window.saturating_sub(2 * self.radius).max(1);
        let position = move |i: usize| (self.low + i * step).min(self.high - self.window);
        (0..self.count).map(move |i| {
            let core_start = if i == 0 {
                self.start
            } else {
                position(i) + self.radius
            };
            let core_end = if i + 1 == self.count {
                self.end
            } else {
                position(i + 1) + self.radius
            };
            (position(i), self.window, core_start, core_end)
        })
    }
}

/// The grid whose windows hold at most `pixels` pixels and cost the fewest pixels together.
fn cheapest(frame: Size, area: Rect, radius: usize, pixels: usize) -> (Axis, Axis) {
    let mut best: Option<(usize, Axis, Axis)> = None;
    // Beyond this many columns a window would be mostly context.
    let most_columns = (area.width / (2 * radius + 1)).clamp(1, 64);
    for count in 1..=most_columns {
        let columns = Axis::with_count(frame.width, area.x, area.right(), radius, count);
        let limit = (pixels / columns.window).max(1);
        let rows = Axis::with_limit(frame.height, area.y, area.bottom(), radius, limit);
        let excess = (columns.window * rows.window).saturating_sub(pixels);
        // A grid over the limit is taken only where none is under it, and then the least over.
        let cost = (columns.count * rows.count * columns.window * rows.window)
            .saturating_add(excess.saturating_mul(1 << 20));
        if best.is_none_or(|(least, ..)| cost < least) {
            best = Some((cost, columns, rows));
        }
    }
    match best {
        Some((_, columns, rows)) => (columns, rows),
        None => (
            Axis::with_count(frame.width, area.x, area.right(), radius, 1),
            Axis::with_count(frame.height, area.y, area.bottom(), radius, 1),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[track_caller]
    fn check(frame: Size, area: Rect, radius: usize, limit: Limit) {
        let tiles = cover(frame, area, radius, limit);
        let what = format!("{frame} {area:?} radius {radius} {limit:?}: {tiles:?}");
        let mut written = vec![0u8; frame.area()];
        for tile in &tiles {
            let (w, c) = (tile.window, tile.core);
            assert!(
                w.right() <= frame.width && w.bottom() <= frame.height,
                "outside the frame: {what}"
            );
            assert_eq!(w.size(), tiles[0].window.size(), "unequal windows: {what}");
            // Context complete: each side of the window is an edge of the frame or a radius away from the core.
            assert!(
                w.x == 0 && c.x >= w.x || w.x + radius <= c.x,
                "left context: {what}"
            );
            assert!(
                w.y == 0 && c.y >= w.y || w.y + radius <= c.y,
                "top context: {what}"
            );
            assert!(
                w.right() == frame.width || c.right() + radius <= w.right(),
                "right context: {what}"
            );
            assert!(
                w.bottom() == frame.height || c.bottom() + radius <= w.bottom(),
                "bottom context: {what}"
            );
            for y in c.y..c.bottom() {
                for x in c.x..c.right() {
                    written[y * frame.width + x] += 1;
                }
            }
        }
        for y in 0..frame.height {
            for x in 0..frame.width {
                let inside =
                    (area.x..area.right()).contains(&x) && (area.y..area.bottom()).contains(&y);
                assert_eq!(
                    written[y * frame.width + x],
                    u8::from(inside),
                    "pixel {x},{y} of {what}"
                );
            }
        }
        let order: Vec<_> = tiles.iter().map(|t| (t.core.y, t.core.x)).collect();
        assert!(order.is_sorted(), "order: {what}");
    }

    #[test]
    fn covers_once_with_context() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for _ in 0..3000 {
            let frame = Size::new(1 + random.below(90), 1 + random.below(90));
            let (x, y) = (random.below(frame.width), random.below(frame.height));
            let area = Rect {
                x,
                y,
                width: 1 + random.below(frame.width - x),
                height: 1 + random.below(frame.height - y),
            };
            let radius = random.below(12);
            check(frame, area, radius, Limit::Side(1 + random.below(64)));
            check(frame, area, radius, Limit::Area(1 + random.below(3000)));
            check(
                frame,
                Rect::whole(frame),
                radius,
                Limit::Side(2 * radius + 1 + random.below(40)),
            );
        }
    }

    #[test]
    fn limits_hold_where_they_can() {
        for side in [64, 100, 256] {
            for tile in cover(
                Size::new(1000, 333),
                Rect::whole(Size::new(1000, 333)),
                18,
                Limit::Side(side),
            ) {
                assert!(tile.window.width <= side && tile.window.height <= side);
            }
        }
        for area in [5000, 60_000] {
            for tile in cover(
                Size::new(1000, 333),
                Rect::whole(Size::new(1000, 333)),
                18,
                Limit::Area(area),
            ) {
                assert!(tile.window.size().area() <= area);
            }
        }
        assert_eq!(
            cover(
                Size::new(320, 180),
                Rect::whole(Size::new(320, 180)),
                10,
                Limit::Area(320 * 180)
            )
            .len(),
            1
        );
        assert!(
            cover(
                Size::new(8, 8),
                Rect {
                    x: 3,
                    y: 3,
                    width: 0,
                    height: 2
                },
                1,
                Limit::Side(8)
            )
            .is_empty()
        );
    }
}
