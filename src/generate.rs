//! Generators and detectors as the flow sees them, and the pass of a generator over tiles.
//!
//! The traits are the seam at which [`crate::runtime::mock`] stands in for ONNX Runtime.

use crate::SCALE;
use crate::cancel::Canceller;
use crate::detect::letterbox::InputSpec;
use crate::detect::{self, Detection, Family};
use crate::error::{Error, Result};
use crate::frame::{Frame, Sample, Size};
use crate::runtime::session::{Network, describe};
use crate::tensor::{self, Encoding};
use crate::tile::{Rect, Tile};

/// A network that enlarges [`SCALE`] times.
pub trait Generator: Send {
    /// What messages call it.
    fn name(&self) -> &str;
    /// Receptive radius in input pixels: how far from a pixel its output may depend on the input.
    fn radius(&self) -> usize;
    /// Values and channel order of input and output.
    fn encoding(&self) -> Encoding;
    /// Runs on `input`, f32[1, 3, size.height, size.width], and hands f32[1, 3, height * 4, width * 4] to `take`.
    ///
    /// # Errors
    /// The runtime's, and whatever `take` returns.
    fn run(
        &mut self,
        input: &[f32],
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()>;
}

/// A network that finds faces.
pub trait FaceDetector: Send {
    /// What messages call it.
    fn name(&self) -> &str;
    /// What it takes.
    fn input(&self) -> InputSpec;
    /// Runs on `input`, f32[1, 3, size.height, size.width], and appends candidates of score `floor` or more in its pixels, before
    /// suppression.
    ///
    /// # Errors
    /// The runtime's.
    fn run(
        &mut self,
        input: &[f32],
        size: Size,
        floor: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()>;
}

/// A generator in ONNX Runtime.
pub struct OnnxGenerator {
    network: Network,
    radius: usize,
    encoding: Encoding,
}

impl OnnxGenerator {
    /// Checks that the network is a generator of [`SCALE`]: one f32 output of four sides, free height and width.
    ///
    /// # Errors
    /// [`Error::Contract`] with what was expected and found.
    pub fn new(mut network: Network, radius: usize, encoding: Encoding) -> Result<Self> {
        let wrong = |network: &Network, expected: String, found: String| {
            Err(Error::Contract {
                model: network.name().to_owned(),
                expected,
                found,
            })
        };
        let (inputs, outputs) = (describe(network.inputs()), describe(network.outputs()));
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
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let name = self.network.name().to_owned();
        self.network
            .run([1, 3, size.height, size.width], input, |outputs| {
                let values = outputs.first().map_or(&[][..], |o| o.values);
                let expected = 3 * size.scaled(SCALE).area();
                if values.len() != expected {
                    let found = format!("{} values", values.len());
                    return Err(Error::Contract {
                        model: name,
                        expected: format!("{expected} values for a tile of {size}"),
                        found,
                    });
                }
                if !tensor::all_finite(values) {
                    let message =
                        "its output has values that are not finite numbers; try precision=fp32"
                            .to_owned();
                    return Err(Error::Inference {
                        model: name,
                        message,
                    });
                }
                take(values)
            })
    }
}

/// A face detector in ONNX Runtime.
pub struct OnnxDetector {
    network: Network,
    family: Family,
    input: InputSpec,
}

impl OnnxDetector {
    /// Checks the network's outputs against `family`, or recognises the family from them.
    ///
    /// # Errors
    /// [`Error::Contract`] with what was expected and found.
    pub fn new(
        network: Network,
        family: Option<Family>,
        input: impl FnOnce(Family) -> InputSpec,
    ) -> Result<Self> {
        let family = match (family, Family::recognise(network.run_shapes())) {
            (Some(named), Some(found)) if named == found => named,
            (None, Some(found)) => found,
            (named, _) => {
                let expected = match named {
                    Some(family) => format!("the outputs of a {} face detector", family.name()),
                    None => "the outputs of a yolo, yunet or ultraface face detector".to_owned(),
                };
                let found = describe(network.outputs());
                return Err(Error::Contract {
                    model: network.name().to_owned(),
                    expected,
                    found,
                });
            }
        };
        let mut input = input(family);
        if let [port] = network.inputs()
            && let [_, _, height, width] = *port.shape.as_slice()
            && let (Ok(height), Ok(width)) = (usize::try_from(height), usize::try_from(width))
        {
            input.fixed = Some(Size::new(width, height));
        }
        Ok(Self {
            network,
            family,
            input,
        })
    }

    /// How its outputs are read.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

impl FaceDetector for OnnxDetector {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn input(&self) -> InputSpec {
        self.input
    }

    fn run(
        &mut self,
        input: &[f32],
        size: Size,
        floor: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        let (name, family) = (self.network.name().to_owned(), self.family);
        self.network
            .run([1, 3, size.height, size.width], input, |outputs| {
                detect::decode(family, outputs, size.width, size.height, floor, found).map_err(
                    |message| Error::Contract {
                        model: name,
                        expected: format!("for a {} face detector", family.name()),
                        found: message,
                    },
                )
            })
    }
}

/// A generator's result for one tile.
#[derive(Debug, Clone, Copy)]
pub struct Drawn<'a> {
    /// Where it lies.
    pub tile: Tile,
    /// f32[3, window.height * 4, window.width * 4].
    pub values: &'a [f32],
    /// What the values mean.
    pub encoding: Encoding,
}

impl Drawn<'_> {
    /// Row `y` (output pixels of the frame) of colour `channel` (0 red, 1 green, 2 blue), the core's columns only.
    #[inline]
    pub fn core_row(&self, channel: usize, y: usize) -> &[f32] {
        let (window, core) = (self.tile.window.scaled(SCALE), self.tile.core.scaled(SCALE));
        let plane = self.encoding.planes()[channel];
        let start =
            plane * window.size().area() + (y - window.y) * window.width + (core.x - window.x);
        &self.values[start..start + core.width]
    }
}

/// Runs `generator` over `tiles` of `frame` one after the other and hands each result to `draw`. `scratch` is reused memory.
///
/// # Errors
/// [`Error::Cancelled`] between tiles, the generator's, and whatever `draw` returns.
pub fn run_tiles<S: Sample>(
    generator: &mut dyn Generator,
    frame: &Frame<'_, S>,
    tiles: &[Tile],
    scratch: &mut Vec<f32>,
    cancel: &Canceller,
    mut draw: impl FnMut(&Drawn<'_>) -> Result<()>,
) -> Result<()> {
    let encoding = generator.encoding();
    for &tile in tiles {
        cancel.check()?;
        let size = tile.window.size();
        scratch.resize(3 * size.area(), 0.0);
        tensor::from_frame(frame, tile.window, encoding, scratch);
        generator.run(scratch, size, &mut |values| {
            draw(&Drawn {
                tile,
                values,
                encoding,
            })
        })?;
    }
    Ok(())
}

/// What the face generator drew in one frame: disjoint rectangles of values from black 0 to white 1. Keeps its memory from
/// frame to frame.
#[derive(Debug, Default)]
pub struct FaceLayer {
    regions: Vec<(Rect, Vec<f32>)>,
    count: usize,
}

impl FaceLayer {
    /// Forgets the last frame's rectangles.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Output pixels that are drawn.
    pub fn area(&self) -> usize {
        self.regions[..self.count]
            .iter()
            .map(|(rect, _)| rect.size().area())
            .sum()
    }

    /// Begins the rectangle `rect`, in input pixels.
    pub fn begin(&mut self, rect: Rect) {
        let rect = rect.scaled(SCALE);
        if self.count == self.regions.len() {
            self.regions.push((rect, Vec::new()));
        }
        let region = &mut self.regions[self.count];
        region.0 = rect;
        region.1.resize(3 * rect.size().area(), 0.0);
        self.count += 1;
    }

    /// Copies the core of `drawn` into the rectangle begun last, which must contain it.
    pub fn draw(&mut self, drawn: &Drawn<'_>) {
        let Some((rect, values)) = self
            .count
            .checked_sub(1)
            .and_then(|last| self.regions.get_mut(last))
        else {
            return;
        };
        let core = drawn.tile.core.scaled(SCALE);
        let Encoding { black, white, .. } = drawn.encoding;
        let gain = 1.0 / (white - black);
        for channel in 0..3 {
            let plane = &mut values[channel * rect.size().area()..][..rect.size().area()];
            for y in core.y..core.bottom() {
                let target =
                    &mut plane[(y - rect.y) * rect.width + (core.x - rect.x)..][..core.width];
                for (target, value) in target.iter_mut().zip(drawn.core_row(channel, y)) {
                    *target = ((value - black) * gain).clamp(0.0, 1.0);
                }
            }
        }
    }

    /// The stretches of output row `y` within `x..x + width` that are drawn: first column and the values of colour `channel`.
    pub fn row(
        &self,
        channel: usize,
        x: usize,
        width: usize,
        y: usize,
    ) -> impl Iterator<Item = (usize, &[f32])> {
        let line = Rect {
            x,
            y,
            width,
            height: 1,
        };
        self.regions[..self.count]
            .iter()
            .filter_map(move |(rect, values)| {
                let part = rect.intersection(line)?;
                let start =
                    channel * rect.size().area() + (y - rect.y) * rect.width + (part.x - rect.x);
                Some((part.x, &values[start..start + part.width]))
            })
    }
}
