//! The regions of experts' pictures that still hold. Pure.

use std::time::Duration;

use crate::picture::{Rect, Size};

/// A part of the mask's support, and the region of the expert's picture that it is taken from. A region has a place, in which
/// another may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Place of the expert's kind among the stream's.
    pub kind: usize,
    /// The part, in input pixels.
    pub support: Rect,
    /// Where the region is kept.
    pub place: usize,
    /// The region, in input pixels.
    pub rect: Rect,
    /// Whether the region must be drawn in this frame.
    pub fresh: bool,
}

/// A region that was drawn.
#[derive(Debug, Clone, Copy, Default)]
struct KeptRegion {
    /// Whose picture it is of.
    kind: usize,
    rect: Rect,
    /// On the stream's clock.
    drawn: Duration,
}

/// The regions that were drawn, for as long as they hold.
#[derive(Debug, Default)]
pub struct Regions(Vec<KeptRegion>);

/// Kept regions begin and end at multiples of this many input pixels: a box that trembles stays inside its region.
const REGION_GRID: usize = 4;

impl Regions {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The rectangles, in input pixels, of those that hold.
    pub fn kept(&self) -> impl Iterator<Item = Rect> {
        let rects = self.0.iter().map(|region| region.rect);
        rects.filter(|rect| !rect.is_empty())
    }

    /// Drops the regions of which `holds`, told where they are and when they were drawn, says that they no longer hold.
    pub fn retain(&mut self, holds: impl Fn(Rect, Duration) -> bool) {
        for region in &mut self.0 {
            if !region.rect.is_empty() && !holds(region.rect, region.drawn) {
                region.rect = Rect::default();
            }
        }
    }

    /// Decides where the pictures of a frame of `frame` pixels come from whose masks reach over `supports`, rectangles of input pixels, each
    /// with its kind and disjoint from the others of it, and puts that into `parts`, in the order of the supports. What must be drawn counts as
    /// drawn at `now`.
    pub fn take(
        &mut self,
        frame: Size,
        supports: &[(usize, Rect)],
        now: Duration,
        parts: &mut Vec<Part>,
    ) {
        let regions = &mut self.0;
        parts.clear();
        for &(kind, support) in supports {
            let found = regions
                .iter()
                .position(|region| region.kind == kind && region.rect.contains(support));
            parts.push(Part {
                kind,
                support,
                place: found.unwrap_or(usize::MAX),
                rect: found.map_or(Rect::default(), |place| regions[place].rect),
                fresh: found.is_none(),
            });
        }
        for index in 0..parts.len() {
            if !parts[index].fresh {
                continue;
            }
            let rect = snapped(parts[index].support, frame);
            let taken = |place| parts.iter().any(|part| part.place == place);
            let place = (0..regions.len())
                .find(|place| !taken(*place))
                .unwrap_or(regions.len());
            if place == regions.len() {
                regions.push(KeptRegion::default());
            }
            regions[place] = KeptRegion {
                kind: parts[index].kind,
                rect,
                drawn: now,
            };
            (parts[index].place, parts[index].rect) = (place, rect);
        }
        // A region that no support is in gives its memory back.
        for (place, region) in regions.iter_mut().enumerate() {
            if !parts.iter().any(|part| part.place == place) {
                region.rect = Rect::default();
            }
        }
    }
}

/// Parts that are all drawn anew and not kept.
pub fn fresh_parts(supports: &[(usize, Rect)], parts: &mut Vec<Part>) {
    parts.clear();
    let places = supports.iter().enumerate();
    parts.extend(places.map(|(place, &(kind, support))| Part {
        kind,
        support,
        place,
        rect: support,
        fresh: true,
    }));
}

/// `rect` with its sides moved out to the grid, inside the frame.
fn snapped(rect: Rect, frame: Size) -> Rect {
    let down = |v: usize| v / REGION_GRID * REGION_GRID;
    let up = |v: usize, end: usize| v.next_multiple_of(REGION_GRID).min(end);
    let (x, y) = (down(rect.x), down(rect.y));
    Rect {
        x,
        y,
        width: up(rect.right(), frame.width) - x,
        height: up(rect.bottom(), frame.height) - y,
    }
}
