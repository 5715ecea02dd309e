//! Frames in flight: frames per second with one, two and three, in alternating rounds over the same frames. Once with the shipped
//! networks on the processor, and once with stand-ins that take their time without using the processor, as a device does. Run with
//! `cargo bench --bench flight`; nothing is asserted.

use std::path::Path;
use std::time::{Duration, Instant};

use srfusion::Detector;
use srfusion::Encoding;
use srfusion::Generator;
use srfusion::testing::FixedFaces;
use srfusion::{
    Canceller, Config, Detection, Flight, Frame, FrameInfo, FrameMut, Parameters, Provider, Result,
    Reuse, SCALE, Size, Upscaler,
};
use srfusion::{Source, Target};

const SIZE: Size = Size::new(640, 360);
const DEPTHS: [usize; 3] = [1, 2, 3];
/// Time of a device for a whole frame, by the share of the pixels, and for a detection.
const DEVICE: Duration = Duration::from_millis(12);
const DETECTION: Duration = Duration::from_millis(4);

struct Owned(Size, Vec<u8>);

impl Source for Owned {
    fn frame(&self) -> Result<Frame<'_>> {
        Frame::new(&self.1, self.0, 3 * self.0.width)
    }
}

impl Target for Owned {
    fn frame_mut(&mut self) -> Result<FrameMut<'_>> {
        FrameMut::new(&mut self.1, self.0, 3 * self.0.width)
    }
}

/// Sleeps, and gives what was there before.
#[derive(Default)]
struct Device(Vec<f32>);

impl Generator for Device {
    fn name(&self) -> &str {
        "device"
    }
    fn radius(&self) -> usize {
        10
    }
    fn encoding(&self) -> Encoding {
        Encoding::default()
    }
    fn run(
        &mut self,
        _input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        let (pixels, start) = (count * size.area(), Instant::now());
        std::thread::sleep(DEVICE.mul_f64(pixels as f64 / SIZE.area() as f64));
        let length = 3 * pixels * SCALE * SCALE;
        if self.0.len() < length {
            self.0 = (0..length).map(|i| (i % 997) as f32 / 997.0).collect();
        }
        let took = start.elapsed();
        take(&self.0[..length]).map(|()| took)
    }
}

struct DeviceDetector(FixedFaces);

impl Detector for DeviceDetector {
    fn name(&self) -> &str {
        "device"
    }
    fn input(&self) -> srfusion::InputSpec {
        self.0.input()
    }
    fn run(
        &mut self,
        _input: &[f32],
        _size: Size,
        _floor: f32,
        _found: &mut Vec<Detection>,
    ) -> Result<()> {
        std::thread::sleep(DETECTION);
        Ok(())
    }
}

/// Frame `index` of a stream of which the left quarter moves.
fn picture(index: usize) -> Vec<u8> {
    let moves = SIZE.width / 4;
    let value = |x: usize, y: usize| {
        let x = if x < moves { x + 5 * index } else { x };
        ((x * 7) ^ (y * 3)) as u8
    };
    let row = |y| (0..SIZE.width).flat_map(move |x| [value(x, y), value(x, y + 9), value(y, x)]);
    (0..SIZE.height).flat_map(row).collect()
}

type Pair = (Owned, Owned);

/// `frames` frames at `depth`; pairs of frames go round.
fn pass(
    flight: &mut Flight<Owned, Owned>,
    depth: usize,
    frames: usize,
    pictures: &[Vec<u8>],
    spare: &mut Vec<Pair>,
) -> Result<Duration> {
    flight.set_depth(depth)?;
    flight.reset();
    let start = Instant::now();
    for index in 0..frames {
        let out = SIZE.scaled(SCALE);
        let (mut input, output) = spare.pop().unwrap_or_else(|| {
            let output = Owned(out, vec![0; 3 * out.area()]);
            (Owned(SIZE, vec![0; 3 * SIZE.area()]), output)
        });
        input.1.copy_from_slice(&pictures[index % pictures.len()]);
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * index as u32),
            ..FrameInfo::default()
        };
        flight.submit(input, &info, output)?;
        while flight.in_flight() >= depth {
            let Some(finished) = flight.next() else { break };
            let finished = finished?;
            spare.push((finished.input, finished.output));
        }
    }
    while let Some(finished) = flight.next() {
        let finished = finished?;
        spare.push((finished.input, finished.output));
    }
    Ok(start.elapsed())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(name: &str, upscaler: Upscaler, rounds: usize, frames: usize) -> Result<()> {
    let pictures: Vec<_> = (0..8).map(picture).collect();
    let mut flight = Flight::new(upscaler);
    let mut spare = Vec::new();
    let mut rates: [Vec<f64>; DEPTHS.len()] = Default::default();
    let mut ratios: [Vec<f64>; DEPTHS.len()] = Default::default();
    for round in 0..=rounds {
        let mut times = [0.0; DEPTHS.len()];
        // Each round begins with another depth.
        for turn in 0..DEPTHS.len() {
            let which = (turn + round) % DEPTHS.len();
            let time = pass(&mut flight, DEPTHS[which], frames, &pictures, &mut spare)?;
            times[which] = time.as_secs_f64();
        }
        // The first round warms up.
        if round > 0 {
            for (which, time) in times.iter().enumerate() {
                rates[which].push(frames as f64 / time);
                ratios[which].push(times[0] / time);
            }
        }
    }
    for ((depth, rates), ratios) in DEPTHS.iter().zip(rates).zip(ratios) {
        let (rate, ratio) = (median(rates), median(ratios.clone()));
        let (low, high) = ratios
            .iter()
            .fold((f64::MAX, 0f64), |(l, h), r| (l.min(*r), h.max(*r)));
        println!(
            "{name}, {depth} in flight: {rate:.2} frames per second, {ratio:.3} of one ({low:.3} to {high:.3})"
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    for reuse in Reuse::ALL {
        let parameters = Parameters {
            reuse,
            ..Parameters::default()
        };
        let generator = || Box::new(Device::default());
        let detector = Box::new(DeviceDetector(FixedFaces::default()));
        let mut device =
            Upscaler::with_networks(generator(), Some(generator()), Some(detector), 0, None)?;
        device.set_parameters(parameters.clone())?;
        measure(&format!("device, {}", reuse.name()), device, 5, 24)?;
        let config = Config {
            models_dir: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("models")),
            provider: Provider::Cpu,
            ..Config::default()
        };
        let mut shipped = Upscaler::open(&config, &Canceller::new(), &mut |_| ())?;
        shipped.set_parameters(parameters)?;
        let frames = if reuse == Reuse::None { 5 } else { 8 };
        measure(&format!("processor, {}", reuse.name()), shipped, 3, frames)?;
    }
    Ok(())
}
