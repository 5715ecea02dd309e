//! Noise that changes from frame to frame: what stands still gets better while it does, and what moves leaves no trail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use srfusion::testing::Bicubic;
use srfusion::{
    Canceller, Config, Format, Frame, FrameInfo, FrameMemory, NO_MODEL, Parameters, PixelFormat,
    Provider, Reuse, SCALE, Size, Upscaler,
};

mod support;
use support::{Picture, Random, data, models, runtime};

/// `value` with noise of about a normal distribution, of so many levels.
fn noisy(value: u8, deviation: f32, random: &mut Random) -> u8 {
    let sum: f32 = (0..12).map(|_| random.below(4096) as f32 / 4096.0).sum();
    (f32::from(value) + (sum - 6.0) * deviation)
        .round()
        .clamp(0.0, 255.0) as u8
}

/// Decibels of luma, of the pixels that count, for the pixels of two packed pictures of so many bytes a pixel.
fn psnr(a: &[u8], b: &[u8], bytes: (usize, usize), counts: impl Fn(usize) -> bool) -> f64 {
    let luma =
        |p: &[u8]| 0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2]);
    let (mut sum, mut n) = (0.0, 0.0f64);
    let pixels = a.chunks_exact(bytes.0).zip(b.chunks_exact(bytes.1));
    for (at, (a, b)) in pixels.enumerate() {
        if counts(at) {
            sum += (luma(a) - luma(b)).powi(2);
            n += 1.0;
        }
    }
    10.0 * (255.0f64.powi(2) * n.max(1.0) / sum.max(1e-9)).log10()
}

/// A still picture with noise of six levels is at least two decibels better after a second than in the first frame, with the networks that ship.
#[test]
fn a_still_picture_gets_better() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let config = Config {
        models_dir: Some(models()),
        face_model: NO_MODEL.to_owned(),
        provider: Provider::Cpu,
        ..Config::default()
    };
    let set = data.join("dev/general/Set5");
    for name in ["001.png", "002.png", "003.png", "004.png", "005.png"] {
        let find = |folder: &str| Picture::open(&set.join(folder).join(name));
        let (large, small) = (find("HR"), find("LRx4"));
        let mut upscaler = Upscaler::open(&config, &Canceller::new(), &mut |_| ()).unwrap();
        let parameters = |reuse| Parameters {
            reuse,
            ..Parameters::default()
        };
        upscaler
            .set_parameters(parameters(Reuse::Tolerant))
            .unwrap();
        let mut random = Random(0x1234_5678_9abc_def1);
        let (mut found, mut clean) = (Vec::new(), 0.0);
        let (mut truth, mut distance) = (Vec::new(), Vec::new());
        for frame in 0..=25u64 {
            let input = Picture {
                size: small.size,
                data: small
                    .data
                    .iter()
                    .map(|v| noisy(*v, 6.0, &mut random))
                    .collect(),
            };
            let mut output = small.enlarged();
            let info = FrameInfo {
                pts: Some(Duration::from_millis(40 * frame)),
                ..FrameInfo::default()
            };
            upscaler
                .process(input.frame(), &info, &mut output.frame_mut())
                .unwrap();
            let (width, rows) = (output.size.width, large.size.height.min(output.size.height));
            let cropped = large.crop(0, 0, width.min(large.size.width), rows);
            let same = output.crop(0, 0, cropped.size.width, rows);
            found.push(psnr(&same.data, &cropped.data, (3, 3), |_| true));
            if frame == 0 {
                // What the network draws of the picture without noise.
                let mut other = Upscaler::open(&config, &Canceller::new(), &mut |_| ()).unwrap();
                let mut drawn = small.enlarged();
                other
                    .process(small.frame(), &info, &mut drawn.frame_mut())
                    .unwrap();
                let same = drawn.crop(0, 0, cropped.size.width, rows);
                clean = psnr(&same.data, &cropped.data, (3, 3), |_| true);
                truth = drawn.data;
            }
            distance.push(psnr(&output.data, &truth, (3, 3), |_| true));
        }
        let stats = *upscaler.stats();
        let run = stats.tiles_run as f64 / stats.tiles_total as f64;
        println!(
            "{name}: {:.2} dB at first, {:.2} after 5 frames, {:.2} after 25 (without noise {clean:.2}); {:.0} % of the cells drawn",
            found[0],
            found[5],
            found[25],
            100.0 * run
        );
        println!(
            "    from what is drawn without noise: {:.2} and {:.2} dB",
            distance[0], distance[25]
        );
        assert!(distance[25] >= distance[0] + 2.0, "{name}: {distance:?}");
        // Of what noise has cost against the original, nearly all is made good.
        let made_good = (found[25] - found[0]) / (clean - found[0]);
        assert!(made_good > 0.8, "{name}: {made_good} of it, {found:?}");
    }
}

/// Frames of a clip, scaled by ffmpeg, as packed RGB.
fn clip(path: &Path, size: Size, count: usize) -> Option<Vec<Vec<u8>>> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args([
            "-vf",
            &format!("scale={}:{}", size.width, size.height),
            "-frames:v",
            &count.to_string(),
        ])
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| eprintln!("skipped: ffmpeg cannot be run: {error}"))
        .ok()?;
    let mut stream = child.stdout.take()?;
    let mut frames = Vec::new();
    let mut frame = vec![0; 3 * size.area()];
    while stream.read_exact(&mut frame).is_ok() {
        frames.push(frame.clone());
    }
    child.wait().unwrap();
    assert_eq!(frames.len(), count, "{}", path.display());
    Some(frames)
}

/// Draws frames one after the other. Packed red, green and blue is averaged where it stands still, the same beside bytes that stand for nothing is not,
/// nor is what is kept by none.
struct Stream {
    upscaler: Upscaler,
    format: PixelFormat,
    output: FrameMemory,
    frames: u64,
}

impl Stream {
    fn new(format: PixelFormat, reuse: Reuse) -> Self {
        let network = Box::new(Bicubic::new(0.0));
        let mut upscaler = Upscaler::with_networks(network, None, None, 0, None).unwrap();
        upscaler
            .set_parameters(Parameters {
                reuse,
                ..Parameters::default()
            })
            .unwrap();
        Self {
            upscaler,
            format,
            output: FrameMemory::default(),
            frames: 0,
        }
    }

    fn bytes(&self) -> usize {
        if self.format == PixelFormat::Rgb {
            3
        } else {
            4
        }
    }

    fn draw(&mut self, rgb: &[u8], size: Size) -> Vec<u8> {
        let bytes = self.bytes();
        let pixels = rgb.chunks_exact(3);
        let input: Vec<u8> = pixels
            .flat_map(|p| [p[0], p[1], p[2], 255].into_iter().take(bytes))
            .collect();
        let format = Format::rgb(self.format);
        let frame = Frame::of(format, size, &[(&input, bytes * size.width)]).unwrap();
        let large = size.scaled(SCALE);
        self.output.fit(&format, large);
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40 * self.frames)),
            ..FrameInfo::default()
        };
        self.frames += 1;
        let mut output = self.output.frame(format, large).unwrap();
        self.upscaler.process(frame, &info, &mut output).unwrap();
        (0..large.height)
            .flat_map(|y| output.as_frame().row(y).to_vec())
            .collect()
    }
}

const SIZE: Size = Size::new(320, 180);
const CELL: usize = 8;

/// Which cells move from one frame to the next: their pixels differ by more than a level and a half.
fn moving(now: &[u8], before: &[u8]) -> Vec<bool> {
    let columns = SIZE.width / CELL;
    let mut sums = vec![0u32; columns * SIZE.height.div_ceil(CELL)];
    for (at, (now, before)) in now.iter().zip(before).enumerate() {
        let (x, y) = (at / 3 % SIZE.width, at / 3 / SIZE.width);
        sums[y / CELL * columns + x / CELL] += u32::from(now.abs_diff(*before));
    }
    let cell = (3 * CELL * CELL) as u32;
    sums.iter().map(|sum| 2 * sum > 3 * cell).collect()
}

/// Whether an output pixel lies in a cell that is marked.
fn inside(cells: &[bool]) -> impl Fn(usize) -> bool {
    move |at| {
        let width = SIZE.width * SCALE;
        let (x, y) = (at % width / SCALE, at / width / SCALE);
        cells[y / CELL * (SIZE.width / CELL) + x / CELL]
    }
}

/// Where something moves, averaging shows in nothing: as they are, clips come out there as without it, and with the noise of a camera they are no further
/// from the clip without noise than they are without averaging.
#[test]
fn what_moves_leaves_no_trail() {
    let Some(data) = data() else { return };
    for name in ["portrait-moving.mp4", "stage-zoom-faces.mp4"] {
        let Some(frames) = clip(&data.join("dev/video").join(name), SIZE, 40) else {
            return;
        };
        for deviation in [0.0, 6.0] {
            let mut random = Random(0x0fed_cba9_8765_4321);
            let mut averaged = Stream::new(PixelFormat::Rgb, Reuse::Tolerant);
            let mut plain = Stream::new(PixelFormat::Rgbx, Reuse::Tolerant);
            let mut clean = Stream::new(PixelFormat::Rgb, Reuse::None);
            let (mut worst, mut lost, mut gained, mut share) = (f64::MAX, 0.0, 0.0, 0.0);
            for (number, frame) in frames.iter().enumerate() {
                let seen: Vec<u8> = frame
                    .iter()
                    .map(|v| noisy(*v, deviation, &mut random))
                    .collect();
                let (with, without) = (averaged.draw(&seen, SIZE), plain.draw(&seen, SIZE));
                if number < 16 || number % 4 > 0 {
                    continue;
                }
                let cells = moving(frame, &frames[number - 1]);
                let count = cells.iter().filter(|cell| **cell).count();
                if count < 20 {
                    continue;
                }
                share += count as f64 / cells.len() as f64 / 6.0;
                let moves = inside(&cells);
                if deviation == 0.0 {
                    worst = worst.min(psnr(&with, &without, (3, 4), &moves));
                } else {
                    let truth = clean.draw(frame, SIZE);
                    let [a, b] = [
                        psnr(&with, &truth, (3, 3), &moves),
                        psnr(&without, &truth, (4, 3), &moves),
                    ];
                    lost += (b - a) / 6.0;
                    gained += (psnr(&with, &truth, (3, 3), |at| !moves(at))
                        - psnr(&without, &truth, (4, 3), |at| !moves(at)))
                        / 6.0;
                }
            }
            if deviation == 0.0 {
                println!(
                    "{name}: {worst:.1} dB at least from drawing without averaging where it moves ({:.0} %)",
                    100.0 * share
                );
                assert!(worst >= 44.0, "{name}: {worst}");
            } else {
                println!(
                    "{name} with noise: {lost:.2} dB lost where it moves ({:.0} %), {gained:.2} dB gained where not",
                    100.0 * share
                );
                assert!(lost < 0.3, "{name}: {lost}");
            }
        }
    }
}

/// What is exact stays so: with noise, frame for frame, `exact` is what `none` is.
#[test]
fn exact_averages_nothing() {
    let mut random = Random(0x1357_9bdf_0246_8ace);
    let (mut none, mut exact) = (
        Stream::new(PixelFormat::Rgb, Reuse::None),
        Stream::new(PixelFormat::Rgb, Reuse::Exact),
    );
    let size = Size::new(96, 64);
    let still = support::texture(size, 3);
    for _ in 0..20 {
        let seen: Vec<u8> = still.iter().map(|v| noisy(*v, 6.0, &mut random)).collect();
        assert!(none.draw(&seen, size) == exact.draw(&seen, size));
    }
}
