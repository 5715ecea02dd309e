//! Pictures for trying networks, the same in every run, so that the same file always gives the same answer.

use crate::picture::{Encoding, Size};

/// Change of a value, of the span from black to white, that is half a step of 255: smaller ones are not seen.
pub(super) const UNSEEN: f32 = 0.5 / 255.0;

/// Source of noise.
pub(super) struct RandomPixels(fastrand::Rng);

impl RandomPixels {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// RandomPixels from black to white in planes of `size`.
    pub(super) fn picture(&mut self, size: Size, encoding: Encoding) -> Vec<f32> {
        let span = encoding.white - encoding.black;
        let count = encoding.channels.count() * size.area();
        (0..count)
            .map(|_| encoding.black + span * self.0.f32())
            .collect()
    }
}

/// A picture without sharp edges, black 0 and white 1, at `x` and `y` in pixels.
pub(super) fn smooth(x: f32, y: f32, plane: usize) -> f32 {
    let turn = plane as f32;
    0.5 + 0.25 * (x / 5.0 + turn).sin() + 0.2 * (y / 7.0 - turn).cos()
}

/// The part of planes of `from` that begins at `x`, `y`, of `to`.
pub(super) fn part(planes: &[f32], from: Size, x: usize, y: usize, to: Size) -> Vec<f32> {
    let rows = planes.chunks_exact(from.area()).flat_map(|plane| {
        plane
            .chunks_exact(from.width)
            .skip(y)
            .take(to.height)
            .flat_map(move |row| &row[x..x + to.width])
    });
    rows.copied().collect()
}
