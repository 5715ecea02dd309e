//! A generator in ONNX Runtime.

use std::time::Duration;

use crate::SCALE;
use crate::draw::{ByteLayout, Generator, Transfer};
use crate::error::{Error, Result};
use crate::find::decode::Output;
use crate::notice::Notice;
use crate::picture::{Encoding, Size};
use crate::runtime::{Network, describe};
use crate::settings::Provider;

/// A generator in ONNX Runtime.
pub struct OnnxGenerator {
    network: Network,
    radius: usize,
    encoding: Encoding,
}

impl OnnxGenerator {
    /// Checks that the network is a generator of [`SCALE`]: one f32 output of four sides, free height and width. One that takes
    /// bytes must take them in `encoding`.
    ///
    /// # Errors
    /// [`Error::Contract`] with what was expected and found.
    pub fn new(mut network: Network, radius: usize, encoding: Encoding) -> Result<Self> {
        network.release_floats();
        let wrong = |network: &Network, expected: String, found: String| {
            Err(Error::Contract {
                model: network.name().to_owned(),
                expected,
                found,
            })
        };
        let (inputs, outputs) = (describe(network.inputs()), describe(network.outputs()));
        if network.takes_bytes() {
            // Its file was looked at when it was rewritten, and its outputs were measured when it was opened.
            return match network.inputs() {
                [port] if matches!(port.shape.as_slice(), [_, -1, -1, 3]) => Ok(Self {
                    network,
                    radius,
                    encoding,
                }),
                _ => wrong(
                    &network,
                    "one input of free height and width".into(),
                    inputs,
                ),
            };
        }
        match network.inputs() {
            [port] if matches!(port.shape.as_slice(), [_, 3, -1, -1]) => {}
            _ => {
                return wrong(
                    &network,
                    "one input f32[n, 3, height, width] of free height and width".into(),
                    inputs,
                );
            }
        }
        match network.outputs() {
            [port] if port.is_f32 && matches!(port.shape.as_slice(), [_, 3 | -1, _, _]) => {}
            _ => {
                return wrong(
                    &network,
                    format!("one output f32[n, 3, height * {SCALE}, width * {SCALE}]"),
                    outputs,
                );
            }
        }
        let side = 32;
        let shape = network.run([1, 3, side, side], &vec![0.5; 3 * side * side], |o| {
            Ok(o[0].shape.to_vec())
        })?;
        let expected = [1, 3, (side * SCALE) as i64, (side * SCALE) as i64];
        if shape != expected {
            return wrong(
                &network,
                format!("an output of {expected:?} for an input of [1, 3, {side}, {side}]"),
                format!("{shape:?}"),
            );
        }
        Ok(Self {
            network,
            radius,
            encoding,
        })
    }

    /// The network, given back.
    pub fn into_network(self) -> Network {
        self.network
    }
}

impl Generator for OnnxGenerator {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn radius(&self) -> usize {
        self.radius
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        let name = self.network.name().to_owned();
        let shape = [count, 3, size.height, size.width];
        let take = |outputs: &[Output<'_>]| {
            let values = outputs.first().map_or(&[][..], |o| o.values);
            let expected = count * 3 * size.scaled(SCALE).area();
            if values.len() != expected {
                let found = format!("{} values", values.len());
                return Err(Error::Contract {
                    model: name,
                    expected: format!("{expected} values for {count} tiles of {size}"),
                    found,
                });
            }
            take(values)
        };
        if self.network.is_reduced() {
            self.network
                .run_checked(shape, input, self.encoding, take)?;
        } else {
            // Whether values are finite is seen where they are written, which spares reading them once more.
            self.network.run(shape, input, take)?;
        }
        Ok(self.network.run_time())
    }

    fn byte_layout(&self) -> Option<ByteLayout> {
        self.network.takes_bytes().then_some(ByteLayout::Packed)
    }

    fn run_bytes(
        &mut self,
        input: &[u8],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Duration> {
        self.network.run_bytes(count, size, input, take)?;
        Ok(self.network.run_time())
    }

    fn transfer(&self) -> Transfer {
        self.network.transfer()
    }

    fn fixed_tile(&self) -> Option<(Size, usize)> {
        if let Some([count, _, height, width]) = self.network.fixed_shape() {
            return Some((Size::new(width, height), count));
        }
        let [count, _, height, width] = COMPILED_TILE;
        (self.network.provider() == Provider::TensorRt).then_some((Size::new(width, height), count))
    }

    fn adopt_better(&mut self) -> Option<Provider> {
        self.network.adopt_better().then(|| self.network.provider())
    }

    fn refused(&self) -> &[(Provider, String)] {
        self.network.refused()
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        self.network.take_notices()
    }
}

/// Tiles, `[count, 3, height, width]`, that providers compile for: large enough to pay little for context, small enough for
/// what moves in a picture.
pub const COMPILED_TILE: [usize; 4] = [4, 3, 256, 256];
