//! Whether a face stays the same person: pictures of it, aligned and embedded as `identity-guard` does it ([`FaceCrops`]), and how far
//! embeddings are apart.

use std::collections::HashMap;
use std::path::Path;

use srfusion::open::OnnxEmbedder;
use srfusion::runtime::Network;
use srfusion::{Canceller, Config, Embedder, Face, FaceCrops, Result, SCALE, cosine};

use super::picture::Picture;

/// Distance of two embeddings of length 1: one less their cosine, `0.0..=2.0`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    1.0 - f64::from(cosine(a, b))
}

/// How far a face's embedding is from that of the frame before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// In the output.
    pub output: f64,
    /// In the input.
    pub input: f64,
}

/// A face's embeddings in one frame: of the output, and of the input.
type Pair = (Vec<f32>, Vec<f32>);

/// Follows the embeddings of faces.
pub struct Identities {
    embedder: OnnxEmbedder,
    crops: FaceCrops,
    before: HashMap<u64, Pair>,
}

impl Identities {
    /// Opens the embedding network in `path`.
    ///
    /// # Errors
    /// The engine's.
    pub fn open(path: &Path, config: &Config) -> Result<Self> {
        let sum = srfusion::models::sha256("face embedding", path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let network = Network::open(path, &name, &sum, config, &Canceller::new())?;
        Ok(Self {
            embedder: OnnxEmbedder::new(network)?,
            crops: FaceCrops::default(),
            before: HashMap::new(),
        })
    }

    /// Embeds the faces of the next frame; a step for each that the frame before had too. Faces that are held without being found are left out.
    ///
    /// # Errors
    /// The engine's.
    pub fn step(
        &mut self,
        faces: &[Face],
        input: &Picture,
        output: &Picture,
    ) -> Result<Vec<Option<Step>>> {
        let mut now = HashMap::new();
        let mut steps = Vec::new();
        for face in faces {
            if face.held {
                steps.push(None);
                continue;
            }
            let large = self.embed(output, face, SCALE)?;
            let small = self.embed(input, face, 1)?;
            let (Some(large), Some(small)) = (large, small) else {
                steps.push(None);
                continue;
            };
            steps.push(self.before.get(&face.id).map(|before| Step {
                output: distance(&before.0, &large),
                input: distance(&before.1, &small),
            }));
            now.insert(face.id, (large, small));
        }
        self.before = now;
        Ok(steps)
    }

    /// The embedding of `face` in a picture `scale` times as large as that in which it was found; `None` if it lies outside.
    fn embed(&mut self, picture: &Picture, face: &Face, scale: usize) -> Result<Option<Vec<f32>>> {
        let (mut crop, mut embedding) = (Vec::new(), Vec::new());
        if !self
            .crops
            .take(&picture.frame()?, (0, 0), scale, face, &mut crop)?
        {
            return Ok(None);
        }
        self.embedder.embed(&crop, &mut embedding)?;
        Ok(Some(embedding))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_known_vectors() {
        assert_eq!(distance(&[1.0, 0.0], &[1.0, 0.0]), 0.0);
        assert_eq!(distance(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        assert_eq!(distance(&[1.0, 0.0], &[-1.0, 0.0]), 2.0);
    }
}
