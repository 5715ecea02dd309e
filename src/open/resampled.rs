//! A network of another scale, whose result is resampled to [`SCALE`].

use std::time::{Duration, Instant};

use super::enlarger::{Enlarger, Take, TileRules};
use super::plane_scaler::PlaneScaler;
use crate::SCALE;
use crate::error::Result;
use crate::picture::{Encoding, Size};
use crate::runtime::Network;

/// How far resampling reads from a pixel of the input that it lies in, in pixels of the input: of three times as many pixels two on either
/// side, of more than four times as many, where it is widened against aliasing, half a pixel of the input.
const RESAMPLING_RADIUS: usize = 1;

/// A network of a scale of 3 or more.
pub(super) struct Resampled {
    inner: Box<dyn Enlarger>,
    scaler: PlaneScaler,
    result: Vec<f32>,
}

impl Resampled {
    /// `inner` is of a scale of 3 or more.
    pub(super) fn new(inner: Box<dyn Enlarger>) -> Self {
        Self {
            inner,
            scaler: PlaneScaler::default(),
            result: Vec::new(),
        }
    }
}

impl Enlarger for Resampled {
    fn scale(&self) -> usize {
        SCALE
    }

    fn encoding(&self) -> Encoding {
        self.inner.encoding()
    }

    fn rules(&self) -> TileRules {
        let inner = self.inner.rules();
        TileRules {
            radius: inner.radius + RESAMPLING_RADIUS,
            ..inner
        }
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: Take<'_, f32>,
    ) -> Result<Duration> {
        let (from, to) = (size.scaled(self.inner.scale()), size.scaled(SCALE));
        let (scaler, result, mut took) = (&mut self.scaler, &mut self.result, Duration::ZERO);
        let ran = self.inner.run(input, count, size, &mut |values| {
            let start = Instant::now();
            scaler.scale(values, from, to, result)?;
            took = start.elapsed();
            take(result)
        })?;
        Ok(ran + took)
    }

    fn network(&self) -> &Network {
        self.inner.network()
    }

    fn network_mut(&mut self) -> &mut Network {
        self.inner.network_mut()
    }
}
