//! How far the engine's pictures are from those of a slower way to the same end.

use serde::Serialize;
use srfusion::{
    Canceller, Config, Frame, FrameInfo, FrameMut, Parameters, Reuse, SCALE, Size, Upscaler, View,
};

use super::runner::EngineRunner;
use super::stream::BenchStream;
use crate::failure::Result;
use crate::metrics::Difference;

/// How far pictures are apart, over all frames and channels.
#[derive(Debug, Serialize)]
pub struct Quality {
    /// What they are compared with.
    pub reference: &'static str,
    /// dB; null where no sample differs.
    pub psnr: f64,
    /// The least of any frame.
    pub worst_psnr: f64,
    /// Most levels of 255 that a sample is apart.
    pub largest_difference: u8,
}

/// Sums over frames.
struct Sums {
    all: Difference,
    worst: f64,
}

impl Sums {
    fn new() -> Self {
        Self {
            all: Difference::default(),
            worst: f64::INFINITY,
        }
    }

    fn add(&mut self, found: &Frame<'_>, reference: &Frame<'_>) -> Result<()> {
        let mut frame = Difference::default();
        frame.add(found, reference)?;
        self.all.add(found, reference)?;
        self.worst = self.worst.min(frame.psnr());
        Ok(())
    }

    fn quality(&self, reference: &'static str) -> Quality {
        Quality {
            reference,
            psnr: self.all.psnr(),
            worst_psnr: self.worst,
            largest_difference: self.all.largest(),
        }
    }
}

/// Equation (1) on whole frames: the general, the face and the mask picture of three engines, 16 bits each, fused in 64-bit
/// floats and rounded once.
struct WholeFusion {
    general: View16,
    face: View16,
    mask: View16,
    input: Vec<u16>,
    fused: Vec<u8>,
}

/// An engine that shows one view, in 16 bits.
struct View16 {
    upscaler: Upscaler,
    output: Vec<u16>,
}

impl View16 {
    fn open(config: &Config, parameters: &Parameters, view: View) -> Result<Self> {
        let mut upscaler = Upscaler::open(config, &Canceller::new(), &mut |_| ())?;
        upscaler.set_parameters(Parameters {
            view,
            reuse: Reuse::None,
            ..parameters.clone()
        })?;
        Ok(Self {
            upscaler,
            output: Vec::new(),
        })
    }

    fn run(&mut self, input: &Frame<'_>, info: &FrameInfo<'_>) -> Result<()> {
        let size = input.size().scaled(SCALE);
        self.output.resize(size.area() * 3, 0);
        let mut output = FrameMut::new(&mut self.output, size, size.width * 3)?;
        self.upscaler.process(*input, info, &mut output)?;
        Ok(())
    }
}

impl WholeFusion {
    fn open(config: &Config, parameters: &Parameters) -> Result<Self> {
        let open = |view| View16::open(config, parameters, view);
        Ok(Self {
            general: open(View::General)?,
            face: open(View::Face)?,
            mask: open(View::Mask)?,
            input: Vec::new(),
            fused: Vec::new(),
        })
    }

    /// The fused picture of frame `index`.
    fn frame(
        &mut self,
        stream: &BenchStream,
        index: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<&[u8]> {
        let time = stream.read(index, scratch);
        self.input.clear();
        // White is 255 of 8 bits and 65535 = 257 * 255 of 16.
        self.input
            .extend(scratch.iter().map(|sample| u16::from(*sample) * 257));
        let input = Frame::new(&self.input, stream.size, stream.size.width * 3)?;
        let info = FrameInfo {
            pts: Some(time),
            ..FrameInfo::default()
        };
        for view in [&mut self.general, &mut self.face, &mut self.mask] {
            view.run(&input, &info)?;
        }
        let faces = self.face.output.iter().zip(&self.mask.output);
        let samples = self.general.output.iter().zip(faces);
        self.fused.clear();
        self.fused.extend(samples.map(|(general, (face, w))| {
            let w = f64::from(*w) / 65535.0;
            let fused = w * f64::from(*face) + (1.0 - w) * f64::from(*general);
            (fused / 257.0).round() as u8
        }));
        Ok(&self.fused)
    }
}

/// The engine's fused frames against equation (1) on whole frames.
///
/// # Errors
/// The engine's.
pub fn against_whole(
    config: &Config,
    parameters: &Parameters,
    stream: &BenchStream,
) -> Result<Quality> {
    let mut engine = EngineRunner::open(config, parameters)?;
    let mut whole = WholeFusion::open(config, parameters)?;
    let mut sums = Sums::new();
    let mut scratch = Vec::new();
    let size: Size = stream.size.scaled(SCALE);
    for index in 0..stream.frames {
        engine.frame(stream, index)?;
        let reference = whole.frame(stream, index, &mut scratch)?;
        let reference = Frame::new(reference, size, size.width * 3)?;
        sums.add(&engine.output(size)?, &reference)?;
    }
    Ok(sums.quality("whole"))
}

/// The engine's frames against those of other parameters, which reuse nothing.
///
/// # Errors
/// The engine's.
pub fn against_none(
    config: &Config,
    parameters: &Parameters,
    none: &Parameters,
    stream: &BenchStream,
) -> Result<Quality> {
    let mut engine = EngineRunner::open(config, parameters)?;
    let mut reference = EngineRunner::open(config, none)?;
    let mut sums = Sums::new();
    let size = stream.size.scaled(SCALE);
    for index in 0..stream.frames {
        engine.frame(stream, index)?;
        reference.frame(stream, index)?;
        sums.add(&engine.output(size)?, &reference.output(size)?)?;
    }
    Ok(sums.quality("none"))
}
