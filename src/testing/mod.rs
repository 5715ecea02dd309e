//! Stand-ins for networks, for tests of the flow without ONNX Runtime: bicubic interpolation as a generator, fixed faces as a
//! detector.

mod altered;
mod changes;
#[cfg(test)]
pub(crate) mod hostile;

pub use altered::{Altered, TakeValues};
pub use changes::{ByteChange, changed};

use std::time::{Duration, Instant};

use crate::SCALE;
use crate::draw::Generator;
use crate::error::Result;
use crate::find::Detector;
use crate::find::{Detection, InputSpec};
use crate::memory;
use crate::picture::Size;
use crate::picture::{Channels, Encoding};

/// Inner parts that benchmarks measure by themselves. No promise is made of them.
pub mod parts {
    pub use crate::keep::cells::Cells;
    pub use crate::mask::Mask;
    pub use crate::plan::cost::{Profile, Shapes};
    pub use crate::plan::rectangles::rectangles;
    pub use crate::plan::runs::runs;
    pub use crate::plan::tiles::Limit;
}

/// Receptive radius of cubic convolution in input pixels.
const CUBIC_RADIUS: usize = 2;

/// Cubic convolution (Keys, a = -0.5) with zeros around the input, as a network pads, plus a constant.
#[derive(Debug, Clone, Default)]
pub struct Bicubic {
    /// Added to every value, to tell two generators apart.
    pub offset: f32,
    /// What it takes and gives.
    channels: Channels,
    output: Vec<f32>,
}

impl Bicubic {
    /// A generator that adds `offset` to every value.
    pub fn new(offset: f32) -> Self {
        Self {
            offset,
            ..Self::default()
        }
    }

    /// The same of luma.
    pub fn luma(offset: f32) -> Self {
        Self {
            offset,
            channels: Channels::Y,
            ..Self::default()
        }
    }
}

fn keys(t: f32) -> f32 {
    let t = t.abs();
    if t <= 1.0 {
        (1.5 * t - 2.5) * t * t + 1.0
    } else if t < 2.0 {
        ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    } else {
        0.0
    }
}

/// Four taps of output sample `i`: first input index and weights.
fn taps(i: usize) -> (isize, [f32; 4]) {
    let u = (i as f32 + 0.5) / SCALE as f32 - 0.5;
    let first = u.floor() as isize - 1;
    (
        first,
        std::array::from_fn(|k| keys(u - (first + k as isize) as f32)),
    )
}

impl Generator for Bicubic {
    fn name(&self) -> &str {
        "bicubic"
    }

    fn radius(&self) -> usize {
        CUBIC_RADIUS
    }

    fn encoding(&self) -> Encoding {
        Encoding {
            channels: self.channels,
            ..Encoding::default()
        }
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        let start = Instant::now();
        let out = size.scaled(SCALE);
        self.output.clear();
        let planes = count * self.channels.count();
        // As the runtime, which says so where memory is short.
        memory::resize(
            &mut self.output,
            planes * out.area(),
            0.0,
            "a bicubic picture",
        )?;
        for plane in 0..planes {
            let source = &input[plane * size.area()..][..size.area()];
            let target = &mut self.output[plane * out.area()..][..out.area()];
            for y in 0..out.height {
                let (top, wy) = taps(y);
                for x in 0..out.width {
                    let (left, wx) = taps(x);
                    let mut sum = self.offset;
                    for (j, wy) in wy.iter().enumerate() {
                        for (i, wx) in wx.iter().enumerate() {
                            let (sx, sy) = (left + i as isize, top + j as isize);
                            if (0..size.width as isize).contains(&sx)
                                && (0..size.height as isize).contains(&sy)
                            {
                                sum += wx * wy * source[sy as usize * size.width + sx as usize];
                            }
                        }
                    }
                    target[y * out.width + x] = sum;
                }
            }
        }
        let took = start.elapsed();
        take(&self.output).map(|()| took)
    }
}

/// Reports the same faces in every frame, in pixels of its input, which is never shrunk.
#[derive(Debug, Clone, Default)]
pub struct FixedFaces(pub Vec<Detection>);

impl Detector for FixedFaces {
    fn name(&self) -> &str {
        "fixed"
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            fixed: None,
            stride: 1,
            longest: usize::MAX,
            encoding: Encoding::default(),
        }
    }

    fn run(
        &mut self,
        _input: &[f32],
        _size: Size,
        floor: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        found.extend(self.0.iter().filter(|face| face.score >= floor).cloned());
        Ok(())
    }
}

/// A fixed sequence of pseudo-random numbers (xorshift), so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}
