//! A network that enlarges twice, run twice.

use std::time::Duration;

use super::enlarger::{Enlarger, Take, TileRules};
use crate::error::Result;
use crate::memory;
use crate::picture::{Encoding, Size};
use crate::runtime::Network;

/// A network behind itself.
pub(super) struct Twice {
    inner: Box<dyn Enlarger>,
    middle: Vec<f32>,
}

impl Twice {
    /// `inner`, and what it gives through it once more.
    pub(super) fn new(inner: Box<dyn Enlarger>) -> Self {
        Self {
            inner,
            middle: Vec::new(),
        }
    }
}

impl Enlarger for Twice {
    fn scale(&self) -> usize {
        self.inner.scale() * self.inner.scale()
    }

    fn encoding(&self) -> Encoding {
        self.inner.encoding()
    }

    fn rules(&self) -> TileRules {
        let (inner, scale) = (self.inner.rules(), self.inner.scale());
        TileRules {
            radius: inner.radius + inner.radius.div_ceil(scale),
            most: inner.most.map(|(size, batch)| {
                let side = |side: usize| (side / scale).max(1);
                (Size::new(side(size.width), side(size.height)), batch)
            }),
            load: inner.load * scale * scale,
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
        let Encoding { black, white, .. } = self.inner.encoding();
        // It was trained on pictures: what is blacker than black or whiter than white is none, nor is what is no number, which stays so.
        let (low, high) = (black.min(white), black.max(white));
        let middle = &mut self.middle;
        let first = self.inner.run(input, count, size, &mut |values| {
            middle.clear();
            memory::reserve(middle, values.len(), "a picture between two runs")?;
            middle.extend(values.iter().map(|value| value.clamp(low, high)));
            Ok(())
        })?;
        let large = size.scaled(self.inner.scale());
        Ok(first + self.inner.run(&self.middle, count, large, take)?)
    }

    fn network(&self) -> &Network {
        self.inner.network()
    }

    fn network_mut(&mut self) -> &mut Network {
        self.inner.network_mut()
    }
}
