//! A network that sharpens an enlargement: it is given the bicubic one, as SRCNN and VDSR are, and gives a picture of that size.

use std::time::{Duration, Instant};

use super::enlarger::{Enlarger, Take, TileRules};
use super::plane_scaler::PlaneScaler;
use crate::SCALE;
use crate::error::Result;
use crate::picture::{Encoding, Size};
use crate::runtime::Network;

/// How far cubic convolution reads, in pixels of what it enlarges.
const CUBIC_RADIUS: usize = 2;

/// A network of scale 1 behind bicubic interpolation.
pub(super) struct Interpolated {
    inner: Box<dyn Enlarger>,
    scaler: PlaneScaler,
    enlarged: Vec<f32>,
}

impl Interpolated {
    /// `inner` is of scale 1.
    pub(super) fn new(inner: Box<dyn Enlarger>) -> Self {
        Self {
            inner,
            scaler: PlaneScaler::default(),
            enlarged: Vec::new(),
        }
    }
}

/// The greatest number that divides both.
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

impl Enlarger for Interpolated {
    fn scale(&self) -> usize {
        SCALE
    }

    fn encoding(&self) -> Encoding {
        self.inner.encoding()
    }

    fn rules(&self) -> TileRules {
        let inner = self.inner.rules();
        TileRules {
            radius: inner.radius.div_ceil(SCALE) + CUBIC_RADIUS,
            stride: inner.stride / common(inner.stride, SCALE),
            most: inner.most.map(|(size, batch)| {
                let side = |side: usize| (side / SCALE).max(1);
                (Size::new(side(size.width), side(size.height)), batch)
            }),
            load: inner.load * SCALE * SCALE,
        }
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: Take<'_, f32>,
    ) -> Result<Duration> {
        let (start, large) = (Instant::now(), size.scaled(SCALE));
        self.scaler.scale(input, size, large, &mut self.enlarged)?;
        let took = start.elapsed();
        Ok(took + self.inner.run(&self.enlarged, count, large, take)?)
    }

    fn network(&self) -> &Network {
        self.inner.network()
    }

    fn network_mut(&mut self) -> &mut Network {
        self.inner.network_mut()
    }
}
