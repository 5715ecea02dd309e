//! What the face generator drew, kept from frame to frame.

use super::pass::{Drawn, Pixels};
use crate::SCALE;
use crate::keep::ledger::Part;
use crate::picture::tensor;
use crate::picture::vector::widest;
use crate::picture::{Encoding, Rect};

/// A rectangle that the face generator drew.
#[derive(Debug, Default)]
struct Region {
    /// Input pixels.
    rect: Rect,
    /// f32[3, rect.height * 4, rect.width * 4], from black 0 to white 1.
    values: Vec<f32>,
}

/// What the face generator drew, as rectangles of values from black 0 to white 1. What of it holds in a later frame is decided
/// by [`crate::keep::ledger::Regions`].
#[derive(Debug, Default)]
pub struct FaceLayer {
    regions: Vec<Region>,
    /// Region of each part of the mask's support in this frame.
    places: Vec<usize>,
    /// Regions to draw in this frame, in the order of their areas.
    fresh: Vec<usize>,
    areas: Vec<Rect>,
}

impl FaceLayer {
    /// Begins a frame whose mask reaches over `parts`, and returns the rectangles that must be drawn, in input pixels.
    pub fn begin(&mut self, parts: &[Part]) -> &[Rect] {
        self.places.clear();
        self.fresh.clear();
        self.areas.clear();
        for part in parts {
            self.places.push(part.place);
            if !part.fresh {
                continue;
            }
            if self.regions.len() <= part.place {
                self.regions.resize_with(part.place + 1, Region::default);
            }
            let region = &mut self.regions[part.place];
            region.rect = part.rect;
            region
                .values
                .resize(3 * part.rect.scaled(SCALE).size().area(), 0.0);
            self.fresh.push(part.place);
            self.areas.push(part.rect);
        }
        &self.areas
    }

    /// Copies the core of `drawn` into rectangle `area` of those that [`FaceLayer::begin`] returned. Returns whether every value
    /// was a finite number.
    pub fn draw(&mut self, area: usize, drawn: &Drawn<'_>) -> bool {
        let Some(region) = self
            .fresh
            .get(area)
            .and_then(|place| self.regions.get_mut(*place))
        else {
            return true;
        };
        let (rect, core) = (region.rect.scaled(SCALE), drawn.tile.core.scaled(SCALE));
        if let Pixels::Bytes(_) = drawn.pixels {
            for y in core.y..core.bottom() {
                let start = (y - rect.y) * rect.width + (core.x - rect.x);
                let pixels = drawn.core_bytes(y).unwrap_or_default();
                for channel in 0..3 {
                    let plane = &mut region.values[channel * rect.size().area()..];
                    let target = &mut plane[start..start + core.width];
                    for (target, pixel) in target.iter_mut().zip(pixels.chunks_exact(3)) {
                        *target = f32::from(pixel[channel]) * (1.0 / 255.0);
                    }
                }
            }
            return true;
        }
        let Encoding { black, white, .. } = drawn.encoding;
        let gain = 1.0 / (white - black);
        let mut finite = true;
        for channel in 0..3 {
            let plane = &mut region.values[channel * rect.size().area()..][..rect.size().area()];
            for y in core.y..core.bottom() {
                let target =
                    &mut plane[(y - rect.y) * rect.width + (core.x - rect.x)..][..core.width];
                let values = drawn.core_row(channel, y);
                finite &= widest(
                    #[inline(always)]
                    || {
                        for (target, value) in target.iter_mut().zip(values) {
                            *target = ((value - black) * gain).clamp(0.0, 1.0);
                        }
                        tensor::all_finite(values)
                    },
                );
            }
        }
        finite
    }

    /// Row `y` (output pixels) of colour `channel` (0 red, 1 green, 2 blue), over the columns of part `index` of the mask's support,
    /// which is `support` in input pixels. Empty if nothing was drawn there.
    pub fn row(&self, index: usize, support: Rect, channel: usize, y: usize) -> &[f32] {
        let region = self
            .places
            .get(index)
            .and_then(|place| self.regions.get(*place));
        match region {
            Some(Region { rect, values, .. }) if rect.contains(support) => {
                let (rect, support) = (rect.scaled(SCALE), support.scaled(SCALE));
                let start =
                    channel * rect.size().area() + (y - rect.y) * rect.width + (support.x - rect.x);
                &values[start..start + support.width]
            }
            _ => &[],
        }
    }
}
