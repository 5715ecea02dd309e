//! Compares what an expert has drawn of a face with the input's: for the identity guard. Decides nothing.

use super::identity::{Embedder, FaceCrops, cosine};
use crate::SCALE;
use crate::error::Result;
use crate::follow::guard::Likeness;
use crate::follow::track::Face;
use crate::picture::Frame;

/// Compares drawn faces with the input's.
pub struct Comparer {
    pub embedder: Box<dyn Embedder>,
    crops: FaceCrops,
    crop: Vec<f32>,
    /// Of the input's face, and of a drawn one.
    input: Vec<f32>,
    drawn: Vec<f32>,
}

impl Comparer {
    pub fn new(embedder: Box<dyn Embedder>) -> Self {
        Self {
            embedder,
            crops: FaceCrops::default(),
            crop: Vec::new(),
            input: Vec::new(),
            drawn: Vec::new(),
        }
    }

    /// How like that of `input` a face is that an expert has drawn into `region`, which begins at `origin` of the output, and, where that is
    /// not the same, in `shown`, the output itself. `None` if it lies outside of either. Counts the network's runs in `runs`.
    pub fn compare(
        &mut self,
        face: &Face,
        input: &Frame<'_>,
        (region, origin): (&Frame<'_>, (usize, usize)),
        shown: Option<&Frame<'_>>,
        runs: &mut u64,
    ) -> Result<Option<Likeness>> {
        let Self {
            embedder,
            crops,
            crop,
            input: wanted,
            drawn,
        } = self;
        if !crops.take(input, (0, 0), 1, face, crop)? {
            return Ok(None);
        }
        embedder.embed(crop, wanted)?;
        *runs += 1;
        let mut like = |frame: &Frame<'_>, origin| -> Result<Option<f32>> {
            if !crops.take(frame, origin, SCALE, face, crop)? {
                return Ok(None);
            }
            embedder.embed(crop, drawn)?;
            *runs += 1;
            Ok(Some(cosine(wanted, drawn)))
        };
        let Some(expert) = like(region, origin)? else {
            return Ok(None);
        };
        let shown = match shown {
            Some(shown) => like(shown, (0, 0))?.unwrap_or(expert),
            None => expert,
        };
        Ok(Some(Likeness {
            face: face.id,
            expert,
            shown,
        }))
    }
}
