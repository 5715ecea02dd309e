//! Generators and detectors as the flow sees them, and the pass of a generator over tiles.
//!
//! The traits are the seam at which [`crate::runtime::mock`] stands in for ONNX Runtime.

use std::any::TypeId;
use std::time::Instant;

use crate::SCALE;
use crate::cancel::Canceller;
use crate::detect::letterbox::InputSpec;
use crate::detect::{self, Detection, Family, Output};
use crate::error::{Error, Result};
use crate::frame::{Frame, Sample, Size};
use crate::plan::{self, Cost, Run, RunTimes, Shapes};
use crate::reuse::Part;
use crate::runtime::provider::Provider;
use crate::runtime::session::{Network, Transfer, describe};
use crate::tensor::{self, Encoding};
use crate::tile::{Limit, Rect, Tile};
use crate::vector::widest;

/// A network that enlarges [`SCALE`] times.
pub trait Generator: Send {
    /// What messages call it.
    fn name(&self) -> &str;
    /// Receptive radius in input pixels: how far from a pixel its output may depend on the input.
    fn radius(&self) -> usize;
    /// Values and channel order of input and output.
    fn encoding(&self) -> Encoding;
    /// The one tile size and batch that it was built for; `None` if it takes any.
    fn fixed_tile(&self) -> Option<(Size, usize)> {
        None
    }
    /// Changes over to a better provider that has become ready; called between frames. Returns the provider if it did.
    fn adopt_better(&mut self) -> Option<Provider> {
        None
    }
    /// What a user should be told since the last call.
    fn take_notices(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// Runs on `input`, f32[count, 3, size.height, size.width], and hands f32[count, 3, height * 4, width * 4] to `take`.
    ///
    /// # Errors
    /// The runtime's, and whatever `take` returns.
    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()>;
    /// Whether 8-bit pictures go in and come out as they are, by [`Generator::run_bytes`]. May change between two frames.
    fn takes_bytes(&self) -> bool {
        false
    }
    /// Runs on `input`, u8[count, size.height, size.width, 3], packed RGB, and hands u8[count, height * 4, width * 4, 3] to `take`.
    /// Values that are not finite numbers are an error.
    ///
    /// # Errors
    /// The runtime's, whatever `take` returns, and [`Error::Inference`] if it does not take bytes.
    fn run_bytes(
        &mut self,
        _input: &[u8],
        _count: usize,
        _size: Size,
        _take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        Err(Error::Inference {
            model: self.name().to_owned(),
            message: "it takes floats, not bytes".to_owned(),
        })
    }
    /// How pictures get to it and back.
    fn transfer(&self) -> Transfer {
        Transfer::default()
    }
}

/// A network that finds faces.
pub trait FaceDetector: Send {
    /// What messages call it.
    fn name(&self) -> &str;
    /// What it takes.
    fn input(&self) -> InputSpec;
    /// As [`Generator::adopt_better`].
    fn adopt_better(&mut self) -> Option<Provider> {
        None
    }
    /// As [`Generator::take_notices`].
    fn take_notices(&mut self) -> Vec<String> {
        Vec::new()
    }
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
    ) -> Result<()> {
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
            self.network.run_checked(shape, input, self.encoding, take)
        } else {
            // Whether values are finite is seen where they are written, which spares reading them once more.
            self.network.run(shape, input, take)
        }
    }

    fn takes_bytes(&self) -> bool {
        self.network.takes_bytes()
    }

    fn run_bytes(
        &mut self,
        input: &[u8],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.network.run_bytes(count, size, input, take)
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

    fn take_notices(&mut self) -> Vec<String> {
        self.network.take_notices()
    }
}

/// Tiles, `[count, 3, height, width]`, that providers compile for: large enough to pay little for context, small enough for
/// what moves in a picture.
pub const COMPILED_TILE: [usize; 4] = [4, 3, 256, 256];

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

    fn adopt_better(&mut self) -> Option<Provider> {
        self.network.adopt_better().then(|| self.network.provider())
    }

    fn take_notices(&mut self) -> Vec<String> {
        self.network.take_notices()
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

/// The pixels of a tile's window.
#[derive(Debug, Clone, Copy)]
pub enum Pixels<'a> {
    /// f32[3, window.height * 4, window.width * 4].
    Floats(&'a [f32]),
    /// u8[window.height * 4, window.width * 4, 3], packed RGB.
    Bytes(&'a [u8]),
}

/// A generator's result for one tile.
#[derive(Debug, Clone, Copy)]
pub struct Drawn<'a> {
    /// Where it lies.
    pub tile: Tile,
    /// What was drawn.
    pub pixels: Pixels<'a>,
    /// What floats mean.
    pub encoding: Encoding,
}

impl Drawn<'_> {
    /// Row `y` (output pixels of the frame) of colour `channel` (0 red, 1 green, 2 blue), the core's columns only. Empty for bytes.
    #[inline]
    pub fn core_row(&self, channel: usize, y: usize) -> &[f32] {
        let Pixels::Floats(values) = self.pixels else {
            return &[];
        };
        let (window, core) = (self.tile.window.scaled(SCALE), self.tile.core.scaled(SCALE));
        let plane = self.encoding.planes()[channel];
        let start =
            plane * window.size().area() + (y - window.y) * window.width + (core.x - window.x);
        &values[start..start + core.width]
    }

    /// Row `y` (output pixels of the frame), packed RGB, the core's columns only, if it is of bytes.
    #[inline]
    pub fn core_bytes(&self, y: usize) -> Option<&[u8]> {
        let Pixels::Bytes(bytes) = self.pixels else {
            return None;
        };
        let (window, core) = (self.tile.window.scaled(SCALE), self.tile.core.scaled(SCALE));
        let start = 3 * ((y - window.y) * window.width + (core.x - window.x));
        Some(&bytes[start..start + 3 * core.width])
    }
}

/// How large tiles may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileLimits {
    /// Longest side in input pixels, context included; 0 leaves it to `area`.
    pub side: usize,
    /// Most pixels of a tile, context included. Halved where memory did not suffice.
    pub area: usize,
}

/// Pixels below which a tile is not made smaller: a machine without the memory for these can do nothing.
const LEAST_AREA: usize = 64 * 64;

impl TileLimits {
    fn shapes(self, generator: &dyn Generator) -> Shapes {
        match (generator.fixed_tile(), self.side) {
            (Some((tile, batch)), 0) => Shapes::Fixed { tile, batch },
            (Some((_, batch)), side) => Shapes::Fixed {
                tile: Size::new(side, side),
                batch,
            },
            (None, 0) => Shapes::Free(Limit::Area(self.area)),
            (None, side) => Shapes::Free(Limit::Side(side)),
        }
    }

    /// Smaller tiles than `largest`, if there are any worth trying.
    fn smaller(self, largest: usize) -> Option<Self> {
        let area = largest.min(self.area) / 2;
        (area >= LEAST_AREA).then_some(Self { side: 0, area })
    }
}

/// What [`run_areas`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Runs of the generator.
    pub runs: u64,
    /// Input pixels that it saw, context included.
    pub pixels: u64,
}

/// What a generator's passes share: its limits, what its runs cost, and memory. One for each generator and stream.
#[derive(Debug)]
pub struct Pass {
    /// How large tiles may be.
    pub limits: TileLimits,
    /// Context around a tile in input pixels; `None` takes the generator's receptive radius.
    pub overlap: Option<usize>,
    times: RunTimes,
    /// Packed tiles on the way to a generator that takes bytes.
    bytes: Vec<u8>,
}

impl Pass {
    /// A pass of which nothing is known yet.
    pub fn new(limits: TileLimits, overlap: Option<usize>) -> Self {
        Self {
            limits,
            overlap,
            times: RunTimes::default(),
            bytes: Vec::new(),
        }
    }

    /// What a run of `generator` costs.
    pub fn cost(&self, generator: &dyn Generator) -> Cost {
        Cost {
            context: self.overlap.unwrap_or(generator.radius()),
            per_run: self.times.per_run(),
        }
    }
}

/// Runs `generator` over `areas`, disjoint rectangles of `frame` in input pixels, and hands the result of each tile, with the index of
/// its area, to `draw`, which returns whether the values were finite numbers. `scratch` is reused memory. Where memory does
/// not suffice, smaller tiles are tried, now and from then on; `draw` may then see a tile twice.
///
/// # Errors
/// [`Error::Cancelled`] between runs, the generator's, and [`Error::Inference`] for values that are no numbers.
pub fn run_areas<S: Sample>(
    generator: &mut dyn Generator,
    pass: &mut Pass,
    frame: &Frame<'_, S>,
    areas: &[Rect],
    scratch: &mut Vec<f32>,
    cancel: &Canceller,
    mut draw: impl FnMut(usize, &Drawn<'_>) -> bool,
) -> Result<Work> {
    loop {
        let shapes = pass.limits.shapes(generator);
        let runs = plan::runs(frame.size(), areas, pass.cost(generator), shapes);
        match run_all(generator, pass, frame, &runs, scratch, cancel, &mut draw) {
            Err(Error::OutOfMemory { model, message }) => {
                let largest = runs.iter().map(Run::pixels).max().unwrap_or(0);
                match pass.limits.smaller(largest) {
                    Some(limits) if generator.fixed_tile().is_none() => pass.limits = limits,
                    _ => return Err(Error::OutOfMemory { model, message }),
                }
            }
            Err(error) => return Err(error),
            Ok(()) => {
                return Ok(Work {
                    runs: runs.len() as u64,
                    pixels: runs.iter().map(|run| run.pixels() as u64).sum(),
                });
            }
        }
    }
}

fn run_all<S: Sample>(
    generator: &mut dyn Generator,
    pass: &mut Pass,
    frame: &Frame<'_, S>,
    runs: &[Run],
    scratch: &mut Vec<f32>,
    cancel: &Canceller,
    draw: &mut impl FnMut(usize, &Drawn<'_>) -> bool,
) -> Result<()> {
    let encoding = generator.encoding();
    let name = generator.name().to_owned();
    let not_finite = || Error::Inference {
        model: name.clone(),
        message: "its output has values that are not finite numbers".to_owned(),
    };
    let Pass { times, bytes, .. } = pass;
    for run in runs {
        cancel.check()?;
        let (length, count) = (3 * run.window.area(), run.tiles.len());
        let output = length * SCALE * SCALE;
        let mut draw_one = |&(area, tile): &(usize, Tile), pixels: Pixels<'_>| {
            draw(
                area,
                &Drawn {
                    tile,
                    pixels,
                    encoding,
                },
            )
        };
        if generator.takes_bytes()
            && let Some(first) = run.tiles.first()
            && as_bytes(frame.row(first.1.window.y)).is_some()
        {
            if bytes.len() < count * length {
                bytes.resize(count * length, 0);
            }
            for ((_, tile), packed) in run.tiles.iter().zip(bytes.chunks_exact_mut(length)) {
                pack(frame, tile.window, packed);
            }
            let start = Instant::now();
            let input = &bytes[..count * length];
            generator.run_bytes(input, count, run.window, &mut |drawn| {
                times.observe(run.pixels(), start.elapsed());
                for (place, bytes) in run.tiles.iter().zip(drawn.chunks_exact(output)) {
                    draw_one(place, Pixels::Bytes(bytes));
                }
                Ok(())
            })?;
            continue;
        }
        // Never shorter than before, so that nothing is filled with zeros only to be written over.
        if scratch.len() < count * length {
            scratch.resize(count * length, 0.0);
        }
        for ((_, tile), values) in run.tiles.iter().zip(scratch.chunks_exact_mut(length)) {
            tensor::from_frame(frame, tile.window, encoding, values);
        }
        let start = Instant::now();
        generator.run(
            &scratch[..count * length],
            count,
            run.window,
            &mut |values| {
                times.observe(run.pixels(), start.elapsed());
                let mut finite = true;
                for (place, values) in run.tiles.iter().zip(values.chunks_exact(output)) {
                    finite &= draw_one(place, Pixels::Floats(values));
                }
                if finite { Ok(()) } else { Err(not_finite()) }
            },
        )?;
    }
    Ok(())
}

/// 8-bit samples as they are; `None` for others.
fn as_bytes<S: Sample>(samples: &[S]) -> Option<&[u8]> {
    (TypeId::of::<S>() == TypeId::of::<u8>()).then(|| bytemuck::cast_slice(samples))
}

/// Bytes as samples of 8 bits; `None` where samples are others.
pub(crate) fn as_samples<S: Sample>(bytes: &[u8]) -> Option<&[S]> {
    (TypeId::of::<S>() == TypeId::of::<u8>()).then(|| bytemuck::cast_slice(bytes))
}

/// Copies `window` of a frame of 8-bit samples to `packed`, row after row.
fn pack<S: Sample>(frame: &Frame<'_, S>, window: Rect, packed: &mut [u8]) {
    for (y, target) in packed.chunks_exact_mut(3 * window.width).enumerate() {
        let row = &frame.row(window.y + y)[3 * window.x..3 * window.right()];
        if let Some(row) = as_bytes(row) {
            target.copy_from_slice(row);
        }
    }
}

/// A rectangle that the face generator drew.
#[derive(Debug, Default)]
struct Region {
    /// Input pixels.
    rect: Rect,
    /// f32[3, rect.height * 4, rect.width * 4], from black 0 to white 1.
    values: Vec<f32>,
}

/// What the face generator drew, as rectangles of values from black 0 to white 1. What of it holds in a later frame is decided
/// by [`crate::reuse::Regions`].
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
