//! The identity guard with real networks on real faces: a face network that was spoilt on purpose is taken out, the good one is left alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use srfusion::models::{Resolved, resolve_all};
use srfusion::open::{OnnxDetector, OnnxEmbedder, generator};
use srfusion::runtime::Network;
use srfusion::testing::{Altered, Bicubic, FixedFaces};
use srfusion::{
    BBox, Canceller, Config, Detection, Embedder, Face, FaceCrops, Flight, FrameInfo, Generator,
    Parameters, Provider, Result, SCALE, Size, Stats, Upscaler, cosine,
};

mod support;
use support::{Owned, Picture, Random, data, models, runtime};

/// The limit in these tests.
const LIMIT: f64 = 0.5;

/// What is done to the face network's picture.
#[derive(Clone, Copy, PartialEq)]
enum Spoilt {
    /// Nothing.
    Not,
    /// Bent: eyes, nose and mouth come to lie elsewhere.
    Bent,
    /// The same from a frame on, which it is told by how often it has run.
    BentFrom(usize),
}

/// A picture of so many planes of `size` with its pixels moved in waves, as far as an eye is wide.
fn bend(values: &[f32], planes: usize, size: Size) -> Vec<f32> {
    let (width, height) = (size.width, size.height);
    let (far, long) = (height as f32 / 9.0, height as f32 / 2.5);
    let mut out = vec![0.0; values.len()];
    let moved =
        |at: usize, by: f32, end: usize| (at as f32 + by).clamp(0.0, (end - 1) as f32) as usize;
    for y in 0..height {
        for x in 0..width {
            let wave = |v: usize| (v as f32 / long * std::f32::consts::TAU).sin() * far;
            let (from_x, from_y) = (moved(x, wave(y), width), moved(y, wave(x), height));
            for plane in 0..planes {
                let start = plane * size.area();
                out[start + y * width + x] = values[start + from_y * width + from_x];
            }
        }
    }
    out
}

/// `inner`, spoilt on purpose.
fn spoilt(inner: Box<dyn Generator>, how: Spoilt) -> Box<Altered> {
    let mut runs = 0;
    Altered::new("spoilt", inner, move |inner, input, count, size, take| {
        runs += 1;
        let bent = match how {
            Spoilt::Not => false,
            Spoilt::Bent => true,
            Spoilt::BentFrom(run) => runs > run,
        };
        let planes = inner.encoding().channels.count();
        let large = size.scaled(SCALE);
        inner.run(input, count, size, &mut |values| {
            if !bent {
                return take(values);
            }
            let each = values.chunks_exact(planes * large.area());
            let all: Vec<f32> = each.flat_map(|one| bend(one, planes, large)).collect();
            take(&all)
        })
    })
}

/// An upscaler with the shipped networks, the face network's picture spoilt, and the guard's network.
fn upscaler(data: &Path, how: Spoilt) -> Upscaler {
    let config = Config {
        models_dir: Some(models()),
        provider: Provider::Cpu,
        general_model: "general-x4-fast".into(),
        identity_model: Some(data.join("dev/models/mobilefacenet-embedding.onnx")),
        ..Config::default()
    };
    let found = resolve_all(&config).unwrap();
    let cancel = Canceller::new();
    let open = |found: &Resolved| -> Box<dyn Generator> {
        Box::new(generator(found, &config, &cancel, &mut |_| ()).unwrap().0)
    };
    let network = |found: &Resolved| {
        let (path, name, sum) = (&found.path, &found.name, &found.sha256);
        Network::open(path, name, sum, &config, &cancel).unwrap()
    };
    let detector = found.detector.unwrap();
    let input = |family| detector.input(family);
    let detector = OnnxDetector::new(network(&detector), detector.family, input).unwrap();
    let embedder = OnnxEmbedder::new(network(&found.identity.unwrap())).unwrap();
    let face = spoilt(open(&found.face.unwrap()), how);
    Upscaler::with_guard(
        open(&found.general),
        face,
        Box::new(detector),
        Box::new(embedder),
    )
    .unwrap()
}

/// A clip of data/dev made smaller: its file, ffmpeg's filters and the size that comes out.
#[derive(Clone, Copy)]
struct Clip(&'static str, &'static str, Size);

const SIGNER: Clip = Clip(
    "static-indoor-signer-1.mkv",
    "scale=320:240:flags=area,fps=25,crop=160:160:80:0",
    Size::new(160, 160),
);
const OTHER_SIGNER: Clip = Clip(
    "static-indoor-signer-2.mkv",
    "scale=320:240:flags=area,fps=25,crop=160:160:80:0",
    Size::new(160, 160),
);
const PORTRAIT: Clip = Clip(
    "portrait-moving.mp4",
    "scale=320:180:flags=area,fps=25",
    Size::new(320, 180),
);

/// How like the input's face the largest face of an output is, as the guard's network sees it: reckoned here, from what came out.
struct Judge {
    embedder: OnnxEmbedder,
    crops: FaceCrops,
}

impl Judge {
    fn new(data: &Path) -> Self {
        let path = data.join("dev/models/mobilefacenet-embedding.onnx");
        let sum = srfusion::models::sha256("judge", &path).unwrap();
        let config = Config {
            provider: Provider::Cpu,
            ..Config::default()
        };
        let network = Network::open(&path, "judge", &sum, &config, &Canceller::new()).unwrap();
        Self {
            embedder: OnnxEmbedder::new(network).unwrap(),
            crops: FaceCrops::default(),
        }
    }

    fn likeness(&mut self, input: &Picture, output: &Picture, faces: &[Face]) -> f32 {
        let area = |face: &&Face| face.bbox.area();
        let Some(face) = faces.iter().max_by(|a, b| area(a).total_cmp(&area(b))) else {
            return 1.0;
        };
        let mut embed = |picture: &Picture, scale| {
            let (mut crop, mut embedding) = (Vec::new(), Vec::new());
            let frame = picture.frame();
            assert!(
                self.crops
                    .take(&frame, (0, 0), scale, face, &mut crop)
                    .unwrap()
            );
            self.embedder.embed(&crop, &mut embedding).unwrap();
            embedding
        };
        cosine(&embed(input, 1), &embed(output, SCALE))
    }
}

/// Runs at most `frames` frames of a clip; the weights of the faces in each, and what was counted. `None` without ffmpeg.
fn run(
    data: &Path,
    clip: Clip,
    frames: usize,
    upscaler: &mut Upscaler,
    mut each: impl FnMut(&Picture, &Picture, &[Face]),
) -> Option<(Vec<Vec<f32>>, Stats)> {
    let Clip(file, filter, size) = clip;
    let path: PathBuf = data.join("dev/video").join(file);
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-vf", filter, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| eprintln!("skipped: ffmpeg cannot be run: {e}"))
        .ok()?;
    let mut stream = child.stdout.take().unwrap();
    let mut picture = Picture {
        size,
        data: vec![0; size.area() * 3],
    };
    let mut output = picture.enlarged();
    let mut weights = Vec::new();
    while weights.len() < frames && stream.read_exact(&mut picture.data).is_ok() {
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * weights.len() as u32),
            ..FrameInfo::default()
        };
        upscaler
            .process(picture.frame(), &info, &mut output.frame_mut())
            .unwrap();
        weights.push(upscaler.faces().iter().map(|face| face.weight).collect());
        each(&picture, &output, upscaler.faces());
    }
    // It may have more to say than is wanted.
    let _ = child.kill();
    child.wait().unwrap();
    Some((weights, *upscaler.stats()))
}

fn guarded(limit: f64) -> Parameters {
    Parameters {
        identity_guard: limit,
        ..Parameters::default()
    }
}

/// Asserts that after half a second the spoilt network is out, or what is shown is alike, and that nothing jumped on the way.
#[track_caller]
fn assert_taken_out(name: &str, weights: &[Vec<f32>], likenesses: &[f32], spoilt_from: usize) {
    let largest: Vec<f32> = weights
        .iter()
        .map(|faces| faces.iter().copied().fold(0.0, f32::max))
        .collect();
    println!(
        "{name}, spoilt from {spoilt_from}: weights {largest:.2?} likenesses {likenesses:.2?}"
    );
    for frame in spoilt_from + 12..weights.len() {
        // Between two comparisons a face may turn a little.
        assert!(
            largest[frame] < 0.1 || likenesses[frame] > LIMIT as f32 - 0.05,
            "{name}: frame {frame}: {} {}",
            largest[frame],
            likenesses[frame]
        );
    }
    let rest = spoilt_from + 12..weights.len();
    let alike = |frame: &usize| largest[*frame] < 0.1 || likenesses[*frame] >= LIMIT as f32;
    let count = rest.clone().filter(alike).count();
    assert!(
        count * 10 >= rest.len() * 9,
        "{name}: {count} of {}",
        rest.len()
    );
    for pair in largest.windows(2).skip(spoilt_from) {
        assert!(pair[0] - pair[1] < 0.2, "{name}: it jumps: {pair:?}");
    }
}

#[test]
fn a_spoilt_face_network_is_taken_out_within_twelve_frames() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let mut judge = Judge::new(&data);
    for clip in [SIGNER, OTHER_SIGNER, PORTRAIT] {
        let mut upscaler = upscaler(&data, Spoilt::Bent);
        upscaler.set_parameters(guarded(LIMIT)).unwrap();
        let mut likenesses = Vec::new();
        let judged = |input: &Picture, output: &Picture, faces: &[Face]| {
            likenesses.push(judge.likeness(input, output, faces));
        };
        let Some((weights, stats)) = run(&data, clip, 30, &mut upscaler, judged) else {
            return;
        };
        let first = weights.iter().position(|faces| !faces.is_empty());
        let first = first.expect("a face is found");
        // It is spoilt indeed.
        assert!(likenesses[first] < LIMIT as f32, "{}", likenesses[first]);
        assert_taken_out(clip.0, &weights, &likenesses, first);
        assert!(stats.faces_lowered >= 15);
        // Not every frame is compared.
        assert!(stats.embeddings < 3 * weights.len() as u64 / 2, "{stats:?}");
    }
}

#[test]
fn one_that_is_spoilt_later_is_taken_out_too() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let (mut judge, mut likenesses) = (Judge::new(&data), Vec::new());
    let mut upscaler = upscaler(&data, Spoilt::BentFrom(20));
    let parameters = Parameters {
        // A run for every frame, to know which it is.
        reuse: srfusion::Reuse::None,
        ..guarded(LIMIT)
    };
    upscaler.set_parameters(parameters).unwrap();
    let judged = |input: &Picture, output: &Picture, faces: &[Face]| {
        likenesses.push(judge.likeness(input, output, faces));
    };
    let Some((weights, _)) = run(&data, SIGNER, 40, &mut upscaler, judged) else {
        return;
    };
    assert!(weights[..20].iter().flatten().all(|weight| *weight > 0.95));
    assert!(
        likenesses[..20]
            .iter()
            .all(|likeness| *likeness > LIMIT as f32)
    );
    assert_taken_out("later", &weights, &likenesses, 20);
}

#[test]
fn the_good_one_is_left_alone() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let (mut all, mut full) = (0, 0);
    for clip in [SIGNER, OTHER_SIGNER, PORTRAIT] {
        let mut upscaler = upscaler(&data, Spoilt::Not);
        upscaler.set_parameters(guarded(LIMIT)).unwrap();
        let Some((weights, stats)) = run(&data, clip, 100, &mut upscaler, |_, _, _| ()) else {
            return;
        };
        // New faces fade in at the tracker's pace; the guard is what this is about.
        let frames = weights.len() as u64;
        let lowered = stats.faces_lowered;
        println!(
            "{}, good: {lowered} faces lowered in {frames} frames: {stats:?}",
            clip.0
        );
        all += frames;
        full += frames.saturating_sub(lowered);
        assert!(stats.embeddings > 0);
        // The network's runs for one face: two in four frames.
        let faces = weights.iter().flatten().count() as u64;
        assert!(
            stats.embeddings <= faces / 2 + 8,
            "{} of {faces}",
            stats.embeddings
        );
    }
    assert!(full as f64 >= 0.99 * all as f64, "{full} of {all}");
}

#[test]
fn without_a_limit_nothing_changes_by_a_bit() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let config = Config {
        models_dir: Some(models()),
        provider: Provider::Cpu,
        general_model: "general-x4-fast".into(),
        deterministic: true,
        ..Config::default()
    };
    let with = Config {
        identity_model: Some(data.join("dev/models/mobilefacenet-embedding.onnx")),
        ..config.clone()
    };
    let mut pictures = [const { Vec::new() }; 2];
    for (config, pictures) in [config, with].iter().zip(&mut pictures) {
        let mut upscaler = Upscaler::open(config, &Canceller::new(), &mut |_| ()).unwrap();
        let keep = |_: &Picture, output: &Picture, _: &[Face]| pictures.push(output.data.clone());
        let Some((_, stats)) = run(&data, SIGNER, 12, &mut upscaler, keep) else {
            return;
        };
        assert_eq!((stats.embeddings, stats.faces_lowered), (0, 0));
    }
    assert_eq!(pictures[0].len(), 12);
    assert!(pictures[0] == pictures[1]);
}

#[test]
fn a_guard_without_its_network_is_refused() {
    if !runtime() {
        return;
    }
    let config = Config {
        models_dir: Some(models()),
        provider: Provider::Cpu,
        ..Config::default()
    };
    let mut upscaler = Upscaler::open(&config, &Canceller::new(), &mut |_| ()).unwrap();
    let error = upscaler
        .set_parameters(guarded(0.4))
        .unwrap_err()
        .to_string();
    for part in ["identity-model", "embedding", "identity-guard is 0.4"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // A network that is none of faces.
    let config = Config {
        identity_model: Some(models().join("general-x4-fast.onnx")),
        ..config
    };
    let opened = Upscaler::open(&config, &Canceller::new(), &mut |_| ());
    let error = opened.err().expect("refused").to_string();
    assert!(error.contains("a face embedding network"), "{error}");
    let config = Config {
        identity_model: Some("no-such.onnx".into()),
        ..config
    };
    let error = Upscaler::check(&config).unwrap_err().to_string();
    assert!(
        error.contains("identity model") && error.contains("no-such.onnx"),
        "{error}"
    );
}

/// Tells pictures apart by how bright they are.
struct Brightness;

impl Embedder for Brightness {
    fn name(&self) -> &str {
        "brightness"
    }

    fn embed(&mut self, face: &[f32], embedding: &mut Vec<f32>) -> Result<()> {
        let mean = face.iter().sum::<f32>() / face.len() as f32;
        *embedding = vec![mean.cos(), mean.sin()];
        Ok(())
    }
}

/// A face network that draws too bright, and takes now longer, now shorter.
fn bright(offset: f32, seed: u64) -> Box<Altered> {
    let (inner, mut random) = (Box::new(Bicubic::new(offset)), Random(seed));
    Altered::new("bright", inner, move |inner, input, count, size, take| {
        std::thread::sleep(Duration::from_micros(random.below(4000) as u64));
        inner.run(input, count, size, take)
    })
}

const SMALL: Size = Size {
    width: 48,
    height: 40,
};

/// The weights of the face of forty frames, so many under way at a time, and the last picture.
fn weights_in_flight(depth: usize, offset: f32, seed: u64, still: bool) -> (Vec<f32>, Vec<u8>) {
    let face = Detection {
        bbox: BBox {
            x0: 14.0,
            y0: 10.0,
            x1: 34.0,
            y1: 30.0,
        },
        score: 0.9,
        points: None,
        mask: None,
    };
    let upscaler = Upscaler::with_guard(
        Box::new(Bicubic::new(0.0)),
        bright(offset, seed),
        Box::new(FixedFaces(vec![face])),
        Box::new(Brightness),
    )
    .unwrap();
    let mut flight: Flight<Owned, Owned> = Flight::new(upscaler);
    flight.set_depth(depth).unwrap();
    flight.set_parameters(guarded(0.9)).unwrap();
    flight.skip_repeats();
    let (mut weights, mut last) = (Vec::new(), Vec::new());
    let mut take = |flight: &mut Flight<Owned, Owned>| {
        let finished = flight.next().unwrap().unwrap();
        weights.push(finished.faces[0].weight);
        last = finished.output.data;
    };
    for number in 0..40 {
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * number),
            ..FrameInfo::default()
        };
        let input = Owned::texture(SMALL, if still { 0 } else { number as usize });
        let output = Owned::black(SMALL.scaled(SCALE));
        flight.submit(input, &info, output).unwrap();
        while flight.in_flight() >= flight.depth() {
            take(&mut flight);
        }
    }
    while flight.in_flight() > 0 {
        take(&mut flight);
    }
    (weights, last)
}

#[test]
fn frames_in_flight_are_guarded_alike_every_time() {
    for depth in [1, 2, 4] {
        let first = weights_in_flight(depth, 0.3, 1, false);
        println!("{depth} under way: {:.2?}", first.0);
        assert_eq!(first.0.len(), 40);
        // It begins with all of it, and each frame under way is one more that the guard knows nothing of.
        assert_eq!(first.0[0], 1.0);
        let out = first.0.iter().position(|weight| *weight < 0.5).unwrap();
        assert!(out <= 6 + 2 * depth, "{out}");
        for seed in 2..5 {
            assert!(
                weights_in_flight(depth, 0.3, seed, false) == first,
                "depth {depth}"
            );
        }
        let (weights, _) = weights_in_flight(depth, 0.02, 9, false);
        assert!(weights.iter().all(|weight| *weight == 1.0), "{weights:?}");
    }
}

#[test]
fn a_picture_that_stands_still_is_guarded_too() {
    // Every frame repeats the one before, and none would have to be drawn.
    let (weights, _) = weights_in_flight(1, 0.3, 1, true);
    println!("standing still: {weights:.2?}");
    assert!(
        weights[12..].iter().all(|weight| *weight < 0.5),
        "{weights:?}"
    );
    let (weights, _) = weights_in_flight(1, 0.02, 1, true);
    assert!(weights.iter().all(|weight| *weight == 1.0), "{weights:?}");
}
