//! A face embedding network in ONNX Runtime.

use crate::draw::{Embedder, FACE_SIDE};
use crate::error::{Error, Result};
use crate::runtime::{Network, describe};

/// A face embedding network in ONNX Runtime.
pub struct OnnxEmbedder {
    network: Network,
}

/// The input, as it is run.
const INPUT: [usize; 4] = [1, 3, FACE_SIDE, FACE_SIDE];

impl OnnxEmbedder {
    /// Checks what the network takes and gives, and runs it once.
    ///
    /// # Errors
    /// [`Error::Contract`] with what was expected and found.
    pub fn new(network: Network) -> Result<Self> {
        let fits = match network.inputs() {
            [port] if port.is_f32 && port.shape.len() == INPUT.len() => port
                .shape
                .iter()
                .zip(INPUT)
                .all(|(side, wanted)| *side < 0 || *side == wanted as i64),
            _ => false,
        };
        if !fits {
            return Err(Error::Contract {
                model: network.name().to_owned(),
                expected: format!(
                    "a face embedding network with one input f32[1, 3, {FACE_SIDE}, {FACE_SIDE}]"
                ),
                found: describe(network.inputs()),
            });
        }
        let mut embedder = Self { network };
        embedder.embed(&[0.5; INPUT[1] * INPUT[2] * INPUT[3]], &mut Vec::new())?;
        Ok(embedder)
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

impl Embedder for OnnxEmbedder {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn adopt_better(&mut self) {
        self.network.adopt_better();
    }

    fn embed(&mut self, face: &[f32], embedding: &mut Vec<f32>) -> Result<()> {
        let name = self.network.name().to_owned();
        embedding.clear();
        self.network.run(INPUT, face, |outputs| {
            let values = outputs.first().map_or(&[][..], |output| output.values);
            let square: f64 = values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            let length = square.sqrt();
            let sides = outputs.first().map_or(&[][..], |output| output.shape);
            // A vector, however many sides of one value it has; a picture is none.
            let is_vector = sides.iter().filter(|side| **side != 1).count() == 1;
            if !(length > 0.0 && length.is_finite() && is_vector) {
                return Err(Error::Contract {
                    model: name,
                    expected:
                        "a face embedding network, whose first output is a vector that is not all zero"
                            .into(),
                    found: format!("{sides:?}, of length {length}"),
                });
            }
            embedding.extend(values.iter().map(|v| (f64::from(*v) / length) as f32));
            Ok(())
        })
    }
}
