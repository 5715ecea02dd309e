//! From rectangles to runs of equal tiles. Pure integer work.

use super::cost::{Profile, Shapes};
use super::tiles::{Limit, Tile, cover, fixed_size};
use crate::picture::{Rect, Size};

/// Pixels beyond which equal tiles are no longer run together on a processor: from there a batch leaves its caches.
///
/// Measured with the shipped generators on two cores: four tiles of 36x36 in one run take 0.92 of the time of four runs, four of
/// 64x64 take 1.16 of it.
const CACHED_BATCH: usize = 8 * 1024;

/// Tiles of one size that are run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Size of every tile's window.
    pub window: Size,
    /// The tiles, each with the index of the rectangle that it belongs to.
    pub tiles: Vec<(usize, Tile)>,
}

impl Run {
    /// Input pixels that the generator sees.
    pub fn pixels(&self) -> usize {
        self.window.area() * self.tiles.len()
    }
}

/// Tiles for `areas`, disjoint rectangles of a frame, put together into runs. Every pixel of the areas lies in the core of
/// exactly one tile, and every window lies inside the frame and carries the whole context.
///
/// With a stride, windows begin at multiples of it, and end at such or with the frame.
pub fn runs(frame: Size, areas: &[Rect], profile: &Profile) -> Vec<Run> {
    if profile.stride > 1 {
        return strided(frame, areas, profile);
    }
    match profile.shapes {
        Shapes::Free(limit) => {
            let mut runs: Vec<Run> = Vec::new();
            for (index, area) in areas.iter().enumerate() {
                for tile in cover(frame, *area, profile.context, limit) {
                    join(&mut runs, frame, profile, index, tile);
                }
            }
            runs
        }
        Shapes::Fixed { tile, batch } => {
            let size = fixed_size(tile, frame);
            let mut tiles = Vec::new();
            for (index, area) in areas.iter().enumerate() {
                let limit = Limit::Sides(size);
                tiles.extend(
                    cover(frame, *area, profile.context, limit)
                        .into_iter()
                        .map(|tile| (index, grown(tile, size, frame))),
                );
            }
            tiles
                .chunks(batch.max(1))
                .map(|tiles| Run {
                    window: tiles.first().map_or(size, |(_, tile)| tile.window.size()),
                    tiles: tiles.to_vec(),
                })
                .collect()
        }
    }
}

/// As [`runs`], planned in blocks of a stride's pixels, of which those at the frame's right and lower edge may be incomplete.
fn strided(frame: Size, areas: &[Rect], profile: &Profile) -> Vec<Run> {
    let stride = profile.stride;
    let up = |side: usize| side.div_ceil(stride);
    let down = |side: usize| (side / stride).max(1);
    // Tiles of one size are never exceeded, whatever context is left.
    let most = match profile.shapes {
        Shapes::Fixed { tile, .. } => (down(tile.width.min(tile.height)) - 1) / 2,
        Shapes::Free(_) => usize::MAX,
    };
    let blocks = Profile {
        context: up(profile.context).min(most),
        stride: 1,
        per_run: profile.per_run / (stride * stride),
        shapes: match profile.shapes {
            Shapes::Free(Limit::Side(side)) => Shapes::Free(Limit::Side(down(side))),
            Shapes::Free(Limit::Sides(size)) => {
                Shapes::Free(Limit::Sides(Size::new(down(size.width), down(size.height))))
            }
            Shapes::Free(Limit::Area(pixels)) => {
                Shapes::Free(Limit::Area((pixels / (stride * stride)).max(1)))
            }
            Shapes::Fixed { tile, batch } => Shapes::Fixed {
                tile: Size::new(down(tile.width), down(tile.height)),
                batch,
            },
        },
    };
    let touched = |area: &Rect| {
        let (x, y) = (area.x / stride, area.y / stride);
        Rect {
            x,
            y,
            width: up(area.right()) - x,
            height: up(area.bottom()) - y,
        }
    };
    let areas_in_blocks: Vec<Rect> = areas.iter().map(touched).collect();
    let size = Size::new(up(frame.width), up(frame.height));
    let whole = Rect::whole(frame);
    let mut result = Vec::new();
    for run in runs(size, &areas_in_blocks, &blocks) {
        // Windows that end with the frame may be smaller than the others.
        let first = result.len();
        for (index, tile) in run.tiles {
            let (Some(window), Some(core)) = (
                tile.window.scaled(stride).intersection(whole),
                tile.core.scaled(stride).intersection(areas[index]),
            ) else {
                continue;
            };
            let tile = Tile { window, core };
            let (_, new): (_, &mut [Run]) = result.split_at_mut(first);
            match new.iter_mut().find(|run| run.window == window.size()) {
                Some(run) => run.tiles.push((index, tile)),
                None => result.push(Run {
                    window: window.size(),
                    tiles: vec![(index, tile)],
                }),
            }
        }
    }
    result
}

/// `tile` with a window of at least `size`, moved back inside the frame.
fn grown(tile: Tile, size: Size, frame: Size) -> Tile {
    let window = tile.window;
    let (width, height) = (window.width.max(size.width), window.height.max(size.height));
    Tile {
        window: Rect {
            x: window.x.min(frame.width - width),
            y: window.y.min(frame.height - height),
            width,
            height,
        },
        ..tile
    }
}

/// Adds `tile` to the last run if that is cheaper than a run of its own, both windows grown to the larger sides.
fn join(runs: &mut Vec<Run>, frame: Size, profile: &Profile, index: usize, tile: Tile) {
    let own = tile.window.size();
    if let Some(last) = runs.last_mut() {
        let common = Size::new(
            last.window.width.max(own.width),
            last.window.height.max(own.height),
        );
        let together = common.area() * (last.tiles.len() + 1);
        if together <= CACHED_BATCH && together <= last.pixels() + own.area() + profile.per_run {
            last.window = common;
            last.tiles.push((index, tile));
            for (_, tile) in &mut last.tiles {
                *tile = grown(*tile, common, frame);
            }
            return;
        }
    }
    runs.push(Run {
        window: own,
        tiles: vec![(index, tile)],
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::cells::Cells;
    use crate::plan::rectangles::rectangles;
    use crate::testing::Random;

    fn profile(context: usize, per_run: usize, shapes: Shapes) -> Profile {
        Profile {
            context,
            stride: 1,
            per_run,
            shapes,
        }
    }

    fn random_cells(random: &mut Random) -> Cells {
        let frame = Size::new(1 + random.below(300), 1 + random.below(200));
        let mut cells = Cells::new(frame);
        let share = 1 + random.below(60);
        for marked in cells.marked_mut() {
            *marked = random.below(share) == 0;
        }
        cells
    }

    #[track_caller]
    fn check_runs(frame: Size, areas: &[Rect], profile: Profile) -> Vec<Run> {
        let runs = runs(frame, areas, &profile);
        let what = format!("{frame} {areas:?} {profile:?}");
        let mut written = vec![0u8; frame.area()];
        for run in &runs {
            for (index, tile) in &run.tiles {
                let (w, c, context) = (tile.window, tile.core, profile.context);
                assert_eq!(w.size(), run.window, "unequal tiles: {what}");
                assert!(
                    w.right() <= frame.width && w.bottom() <= frame.height,
                    "outside the frame: {what}"
                );
                assert_eq!(c.intersection(areas[*index]), Some(c), "area: {what}");
                let is_even = |side: usize| side.is_multiple_of(profile.stride);
                assert!(
                    is_even(w.x)
                        && is_even(w.y)
                        && (is_even(w.right()) || w.right() == frame.width)
                        && (is_even(w.bottom()) || w.bottom() == frame.height),
                    "place: {what}"
                );
                assert!(
                    w.x == 0 && c.x >= w.x || w.x + context <= c.x,
                    "left: {what}"
                );
                assert!(
                    w.y == 0 && c.y >= w.y || w.y + context <= c.y,
                    "top: {what}"
                );
                assert!(
                    w.right() == frame.width && c.right() <= frame.width
                        || c.right() + context <= w.right(),
                    "right: {what}"
                );
                assert!(
                    w.bottom() == frame.height && c.bottom() <= frame.height
                        || c.bottom() + context <= w.bottom(),
                    "bottom: {what}"
                );
                for y in c.y..c.bottom() {
                    for x in c.x..c.right() {
                        written[y * frame.width + x] += 1;
                    }
                }
            }
        }
        for y in 0..frame.height {
            for x in 0..frame.width {
                let wanted = areas
                    .iter()
                    .any(|a| (a.x..a.right()).contains(&x) && (a.y..a.bottom()).contains(&y));
                assert_eq!(written[y * frame.width + x], u8::from(wanted), "{what}");
            }
        }
        runs
    }

    #[test]
    fn runs_write_every_pixel_once_with_context() {
        let mut random = Random(42);
        for round in 0..800 {
            let cells = random_cells(&mut random);
            let (frame, context) = (cells.frame(), random.below(14));
            // Tiles that are hardly more than context too, which settings refuse but a small frame makes.
            let least = 2 * context + 1;
            let free = profile(
                context,
                random.below(3000),
                Shapes::Free(match round % 2 {
                    0 => Limit::Area(least * least + random.below(20_000)),
                    _ => Limit::Side(least + random.below(100)),
                }),
            );
            check_runs(frame, &rectangles(&cells, free), free);
            let tile = Size::new(least + random.below(90), least + random.below(90));
            let batch = 1 + random.below(5);
            let fixed = profile(context, random.below(3000), Shapes::Fixed { tile, batch });
            let runs = check_runs(frame, &rectangles(&cells, fixed), fixed);
            let size = Size::new(tile.width.min(frame.width), tile.height.min(frame.height));
            assert!(
                runs.iter().all(|run| run.window == size),
                "one static shape"
            );
            assert!(runs.iter().all(|run| run.tiles.len() <= batch));
            let stride = 2 + random.below(9);
            let strided = Profile { stride, ..free };
            check_runs(frame, &rectangles(&cells, strided), strided);
            let blocks = 2 * context.div_ceil(stride) + 1;
            let tile = Size::new(
                (blocks + random.below(9)) * stride,
                (blocks + random.below(9)) * stride,
            );
            let strided = Profile {
                shapes: Shapes::Fixed { tile, batch },
                ..strided
            };
            let runs = check_runs(frame, &rectangles(&cells, strided), strided);
            assert!(runs.iter().all(|run| run.tiles.len() <= batch
                && run.window.width <= tile.width
                && run.window.height <= tile.height));
        }
    }

    #[test]
    fn small_faces_share_a_run() {
        let frame = Size::new(640, 360);
        let profile = profile(10, 300, Shapes::Free(Limit::Area(200_000)));
        let face = |x, y, side| Rect {
            x,
            y,
            width: side,
            height: side,
        };
        let small = [face(100, 100, 20), face(300, 80, 21), face(500, 200, 19)];
        assert_eq!(check_runs(frame, &small, profile).len(), 1);
        let large = [face(20, 20, 120), face(300, 80, 130)];
        assert_eq!(check_runs(frame, &large, profile).len(), 2);
        // The one at the edge has less context to its left; together both windows are as wide as the wider.
        let edge = [face(0, 0, 20), face(300, 80, 22)];
        check_runs(frame, &edge, profile);
    }
}
