//! Tests of what is done on a GPU, on the CPU: bytes in and out, memory that is kept, and runs at fixed addresses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ort::session::Session;

use super::binding::Binding;
use super::memory::{BufferPlacement, IoLayout, MemoryPlace, ResultMemory};
use crate::SCALE;
use crate::cancel::{Canceller, Interrupt};
use crate::draw::{ByteLayout, Generator, Staging, Transfer};
use crate::error::{Error, Result};
use crate::find::{BBox, Detection};
use crate::flow::{FrameInfo, Upscaler};
use crate::open::{Form, OnnxGenerator};
use crate::picture::Rect;
use crate::picture::tensor::{self, Channels, Encoding};
use crate::picture::vector::pack_bytes;
use crate::picture::{Frame, FrameMut, Sample, Size};
use crate::runtime::control::RunControl;
use crate::runtime::purpose::Purpose;
use crate::runtime::session::Network;
use crate::runtime::tensor::{InputValues, OutputTensor};
use crate::runtime::{library, message, onnx};
use crate::settings::Provider;
use crate::settings::{Config, Parameters, Reuse};
use crate::testing::FixedFaces;

const BGR: Encoding = Encoding {
    black: -1.0,
    white: 1.0,
    channels: Channels::Bgr,
};

fn runtime() -> bool {
    library::load(None)
        .inspect_err(|e| eprintln!("skipped: {e}"))
        .is_ok()
}

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(name)
}

/// `key` keeps the sessions of one test to itself.
fn open(path: &Path, key: &str, purpose: Purpose) -> Result<Network> {
    let config = Config {
        provider: Provider::Cpu,
        ..Config::default()
    };
    Network::open_for(path, "network", key, purpose, &config, &Canceller::new())
}

fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; count];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// What the engine makes of the pictures in `input` by floats, one after the other.
fn by_floats(network: &mut Network, input: &[u8], size: Size, encoding: Encoding) -> Vec<u8> {
    let (one, large) = (3 * size.area(), size.scaled(SCALE));
    let gain = 255.0 / (encoding.white - encoding.black);
    let mut all = Vec::new();
    for picture in input.chunks_exact(one) {
        let frame = Frame::new(picture, size, 3 * size.width).unwrap();
        let mut values = vec![0.0; one];
        tensor::from_frame(
            &frame,
            Rect::whole(size),
            encoding,
            &mut values,
            &mut tensor::TensorRows::default(),
        );
        let shape = [1, 3, size.height, size.width];
        let pixels = network.run(shape, &values, |outputs| {
            let planes = encoding
                .planes()
                .map(|plane| &outputs[0].values[plane * large.area()..][..large.area()]);
            let mut pixels = vec![0u8; 3 * large.area()];
            assert!(pack_bytes(
                planes,
                gain,
                -encoding.black * gain,
                &mut pixels
            ));
            Ok(pixels)
        });
        all.extend(pixels.unwrap());
    }
    all
}

#[track_caller]
fn assert_close(found: &[u8], expected: &[u8], most: u8) {
    assert_eq!(found.len(), expected.len());
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(worst <= Some(most), "{worst:?} of 255");
}

fn by_bytes(network: &mut Network, count: usize, input: &[u8], size: Size) -> Result<Vec<u8>> {
    network.run_bytes(count, size, input, |bytes| Ok(bytes.to_vec()))
}

#[test]
fn bytes_equal_floats_whatever_the_size() {
    if !runtime() {
        return;
    }
    for (name, encoding, most) in [
        ("tiny/rgb-x4.onnx", Encoding::default(), 0),
        ("tiny/bicubic-x4.onnx", BGR, 0),
        ("tiny/half-x4.onnx", Encoding::default(), 1),
    ] {
        let purpose = Purpose::generator([2, 3, 24, 32], encoding).forced(false);
        let mut plain = open(&model(name), name, Purpose::default()).unwrap();
        let mut bytes = open(&model(name), name, purpose).unwrap();
        assert!(bytes.takes_bytes() && !plain.takes_bytes());
        let transfer = bytes.transfer();
        assert_eq!(
            (transfer.staging, transfer.graph),
            (Staging::Ordinary, false)
        );
        assert_eq!(transfer.to_string(), "bytes, ordinary staging");
        assert_eq!(plain.transfer().to_string(), "floats");
        for (i, (count, size)) in [(1, (32, 24)), (2, (9, 40)), (1, (32, 24)), (3, (16, 16))]
            .into_iter()
            .enumerate()
        {
            let size = Size::new(size.0, size.1);
            let input = noise(3 * count * size.area(), 99 + i as u64);
            let found = by_bytes(&mut bytes, count, &input, size).unwrap();
            assert_close(&found, &by_floats(&mut plain, &input, size, encoding), most);
            // And by floats through the network that takes bytes.
            assert_close(&found, &by_floats(&mut bytes, &input, size, encoding), most);
        }
        assert!(bytes.take_notices().is_empty());
        let short = by_bytes(&mut bytes, 1, &[0; 5], Size::new(2, 2));
        assert!(matches!(short, Err(Error::Inference { .. })));
    }
}

#[test]
fn on_the_cpu_a_generator_is_given_floats_in_the_session_that_it_always_had() {
    if !runtime() {
        return;
    }
    let path = model("tiny/bicubic-x4.onnx");
    let plain = open(&path, "as ever", Purpose::default()).unwrap();
    let purpose = Purpose::generator([4, 3, 256, 256], BGR);
    let mut network = open(&path, "as ever", purpose).unwrap();
    assert!(network.shares_session_with(&plain));
    assert_eq!(network.transfer(), Transfer::default());
    assert!(by_bytes(&mut network, 1, &[0; 48], Size::new(4, 4)).is_err());
}

#[test]
fn runs_at_fixed_addresses_are_filled_up_and_others_run_beside_them() {
    if !runtime() {
        return;
    }
    let path = model("tiny/rgb-x4.onnx");
    let purpose = Purpose::generator([3, 3, 24, 32], Encoding::default()).forced(true);
    let mut plain = open(&path, "fixed", Purpose::default()).unwrap();
    let mut fixed = open(&path, "fixed", purpose).unwrap();
    assert_eq!(fixed.fixed_shape(), Some([3, 3, 24, 32]));
    assert_eq!(
        fixed.transfer().to_string(),
        "bytes, ordinary staging, CUDA graph"
    );
    // Two of three are filled up; one, four, and other sides run otherwise.
    for (i, (count, height)) in [(3, 24), (1, 24), (2, 24), (1, 20), (4, 24), (3, 24)]
        .into_iter()
        .enumerate()
    {
        let size = Size::new(32, height);
        let input = noise(3 * count * size.area(), 7 + i as u64);
        let found = by_bytes(&mut fixed, count, &input, size).unwrap();
        let expected = by_floats(&mut plain, &input, size, Encoding::default());
        assert_close(&found, &expected, 0);
    }
    assert!(fixed.take_notices().is_empty() && fixed.fixed_shape().is_some());
}

#[test]
fn values_that_are_not_finite_are_seen_though_bytes_cannot_tell() {
    if !runtime() {
        return;
    }
    // The constant that bicubic-x4 adds, and both bounds to which it cuts, which swallow it.
    let mut file = std::fs::read(model("tiny/bicubic-x4.onnx")).unwrap();
    for name in [&b"B\x05shift"[..], b"B\x04high", b"B\x03low"] {
        let at = file.windows(name.len()).position(|w| w == name).unwrap() + name.len();
        // Tag, length, and the four bytes of a number.
        assert_eq!(file[at..at + 2], [0x4a, 4], "{name:?}");
        file[at + 2..at + 6].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nan.onnx");
    std::fs::write(&path, file).unwrap();
    let purpose = Purpose::generator([1, 3, 8, 8], Encoding::default()).forced(false);
    let mut network = open(&path, "nan", purpose).unwrap();
    let result = by_bytes(&mut network, 1, &[200; 3 * 64], Size::new(8, 8));
    let error = result.unwrap_err();
    assert!(
        matches!(&error, Error::Inference { message, .. } if message.contains("finite")),
        "{error}"
    );
}

#[test]
fn a_file_that_cannot_carry_bytes_is_given_floats_and_a_wrong_one_is_told_as_before() {
    if !runtime() {
        return;
    }
    let purpose = Purpose::generator([1, 3, 16, 16], Encoding::default()).forced(false);
    let wrong = "tiny/float64-x4.onnx";
    let refused = |purpose| {
        open(&model(wrong), wrong, purpose)
            .err()
            .unwrap()
            .to_string()
    };
    assert_eq!(refused(purpose), refused(Purpose::default()));
    // Of another scale: what comes out is not what was to be.
    let other = "tiny/nearest-x2.onnx";
    let mut network = open(&model(other), other, purpose).unwrap();
    assert!(!network.takes_bytes());
    assert_eq!(network.run_shapes()[0].1, [1, 3, 128, 128]);
    let notices = network.take_notices();
    assert!(
        matches!(notices.as_slice(), [one] if one.text.contains("given floats, not bytes")),
        "{notices:?}"
    );
}

#[test]
fn luma_goes_as_bytes_too() {
    if !runtime() {
        return;
    }
    let luma = Encoding {
        channels: Channels::Y,
        ..Encoding::default()
    };
    let path = model("tiny/luma-x4.onnx");
    for fixed in [false, true] {
        let purpose = Purpose::generator([2, 1, 24, 32], luma).forced(fixed);
        let mut plain = open(&path, "luma", Purpose::default()).unwrap();
        let network = open(&path, "luma", purpose).unwrap();
        let mut generator = OnnxGenerator::new(network, Form::plain(luma, 2));
        // Of one plane there is one order.
        assert_eq!(generator.byte_layout(), Some(ByteLayout::Planar));
        for (count, size) in [(2, Size::new(32, 24)), (1, Size::new(9, 40))] {
            let input = noise(count * size.area(), 3);
            let values: Vec<f32> = input.iter().map(|v| f32::from(*v) / 255.0).collect();
            let shape = [count, 1, size.height, size.width];
            let expected: Vec<u8> = plain
                .run(shape, &values, |outputs| {
                    let rounded = |v: &f32| (v * 255.0).round_ties_even() as u8;
                    Ok(outputs[0].values.iter().map(rounded).collect())
                })
                .unwrap();
            let mut found = Vec::new();
            generator
                .run_bytes(&input, count, size, &mut |bytes| {
                    found = bytes.to_vec();
                    Ok(())
                })
                .unwrap();
            assert_close(&found, &expected, 1);
            assert_eq!(found.len(), 16 * input.len());
        }
        assert!(generator.take_notices().is_empty());
    }
}

fn session(bytes: &[u8]) -> Session {
    let environment = library::environment(None).unwrap();
    let mut builder = Session::builder(&environment).unwrap();
    builder.commit_from_memory(bytes).unwrap()
}

#[test]
fn memory_is_kept_from_run_to_run_and_a_result_that_is_held_is_not_written_over() {
    if !runtime() {
        return;
    }
    let file = std::fs::read(model("tiny/bicubic-x4.onnx")).unwrap();
    let mut session = session(&onnx::byte_graph(&file, Encoding::default()).unwrap());
    let places = BufferPlacement::new(MemoryPlace::Ordinary, None);
    let mut binding = Binding::new(&session, IoLayout::Bytes, places, None).unwrap();
    let options = ort::session::RunOptions::new().unwrap();
    let mut run = |side: usize, level: u8| {
        let input = vec![level; 3 * side * side];
        let shape = [1, side, side, 3];
        let values = InputValues::Bytes(&input);
        binding.run(&mut session, shape, values, &options).unwrap()
    };
    let read = |tensors: &[OutputTensor]| {
        let (shape, bytes) = tensors[0].bytes().unwrap();
        assert_eq!(shape[1] as usize * shape[2] as usize * 3, bytes.len());
        (bytes.as_ptr() as usize, bytes[bytes.len() / 2])
    };
    let mut places = Vec::new();
    for side in [16, 24, 16, 24, 16, 24] {
        let (place, level) = read(&run(side, 90));
        assert_eq!(level, 90);
        places.push(place);
    }
    assert!(places[0] != places[1]);
    assert!(
        places.chunks(2).all(|pair| pair == &places[..2]),
        "{places:?}"
    );
    // Another stream runs while the first still looks at its result.
    let held = run(16, 10);
    let other = run(16, 250);
    assert_eq!((read(&held).1, read(&other).1), (10, 250));
    assert_ne!(read(&held).0, read(&other).0);
}

#[test]
fn results_in_the_runtimes_memory_are_the_same_and_their_own() {
    if !runtime() {
        return;
    }
    // As with page-locked memory, at fixed addresses and not.
    let file = std::fs::read(model("tiny/bicubic-x4.onnx")).unwrap();
    let options = ort::session::RunOptions::new().unwrap();
    let size = Size::new(16, 12);
    for device in [None, Some(MemoryPlace::Ordinary)] {
        let mut session = session(&onnx::byte_graph(&file, Encoding::default()).unwrap());
        let mut run = |results, count: usize, input: &[u8]| {
            let places = BufferPlacement {
                host: MemoryPlace::Ordinary,
                device,
                results,
            };
            let fixed = Some([2, size.height, size.width, 3]);
            let mut binding = Binding::new(&session, IoLayout::Bytes, places, fixed).unwrap();
            let shape = [count, size.height, size.width, 3];
            let mut once = |input: &[u8]| {
                binding
                    .run(&mut session, shape, InputValues::Bytes(input), &options)
                    .unwrap()
            };
            let first = once(input);
            // Another result while the first is looked at.
            let other = once(&vec![7; input.len()]);
            let (shape, bytes) = first[0].bytes().unwrap();
            assert_eq!(shape, [count as i64, 48, 64, 3]);
            assert!(other[0].bytes().unwrap().1.iter().all(|v| *v == 7));
            let mut converted = Vec::new();
            let (means, _) = first[1].read(&mut converted).unwrap();
            assert_eq!(means, [count as i64, 3, 48]);
            bytes.to_vec()
        };
        for count in [2, 1] {
            let input = noise(3 * count * size.area(), 31 + count as u64);
            let kept = run(ResultMemory::Kept, count, &input);
            assert!(kept == run(ResultMemory::Arena, count, &input));
            assert_eq!(kept.len(), 48 * count * size.area());
        }
    }
}

#[test]
fn page_locked_memory_that_cannot_be_had_is_an_error_and_no_panic() {
    if !runtime() {
        return;
    }
    let file = std::fs::read(model("tiny/bicubic-x4.onnx")).unwrap();
    let session = session(&onnx::byte_graph(&file, Encoding::default()).unwrap());
    let new = |host, device| {
        let places = BufferPlacement::new(host, device);
        Binding::new(&session, IoLayout::Bytes, places, Some([1, 8, 8, 3])).map(drop)
    };
    assert!(new(MemoryPlace::Ordinary, Some(MemoryPlace::Ordinary)).is_ok());
    for (host, device) in [
        (MemoryPlace::Pinned(0), None),
        (MemoryPlace::Pinned(u32::MAX), None),
        (MemoryPlace::Ordinary, Some(MemoryPlace::Device(0))),
    ] {
        let reason = new(host, device).unwrap_err();
        assert!(!reason.is_empty());
    }
}

#[test]
fn a_stopped_run_with_bytes_says_so() {
    if !runtime() {
        return;
    }
    let file = std::fs::read(model("tiny/bicubic-x4.onnx")).unwrap();
    let mut session = session(&onnx::byte_graph(&file, Encoding::default()).unwrap());
    let control = RunControl::new().unwrap();
    control.set_interrupted(true);
    let places = BufferPlacement::new(MemoryPlace::Ordinary, None);
    let mut binding = Binding::new(&session, IoLayout::Bytes, places, None).unwrap();
    let input = vec![0; 3 * 64];
    let result = binding.run(
        &mut session,
        [1, 8, 8, 3],
        InputValues::Bytes(&input),
        control.options().unwrap(),
    );
    let message = result.err().unwrap();
    assert!(
        matches!(message::error("m", message.clone()), Error::Cancelled),
        "{message}"
    );
}

/// How the generators of a stream are run.
#[derive(Clone, Copy)]
enum By {
    Floats,
    Bytes,
    /// Bytes, in runs of one shape.
    Fixed,
}

fn generator(name: &str, by: By) -> Box<dyn Generator> {
    let encoding = Encoding::default();
    let purpose = match by {
        By::Floats => Purpose::default(),
        By::Bytes => Purpose::generator([2, 3, 40, 40], encoding).forced(false),
        By::Fixed => Purpose::generator([2, 3, 40, 40], encoding).forced(true),
    };
    let network = open(&model(name), &format!("stream {name}"), purpose).unwrap();
    Box::new(OnnxGenerator::new(network, Form::plain(encoding, 10)))
}

/// A still picture in which a square moves, and faintly everything on the right.
fn clip<S: Sample>(size: Size, index: usize, sample: impl Fn(u8) -> S) -> Vec<S> {
    let still = noise(3 * size.area(), 5);
    let shake = noise(3 * size.area(), 1000 + index as u64);
    (0..3 * size.area())
        .map(|i| {
            let (x, y) = (i / 3 % size.width, i / 3 / size.width);
            let inside = x.abs_diff(20 + 4 * index) < 6 && y.abs_diff(24) < 6;
            // Smooth, so that tolerance has something to tolerate.
            let base = 60 + (still[i % 97] & 1) + (x + y) as u8 / 2;
            sample(if inside {
                230
            } else if index % 2 == 1 && x >= 64 {
                base + (shake[i] & 1)
            } else {
                base
            })
        })
        .collect()
}

fn stream<S: Sample>(by: By, reuse: Reuse, sample: impl Fn(u8) -> S) -> Vec<Vec<S>> {
    let size = Size::new(88, 72);
    let large = size.scaled(SCALE);
    let face = Detection {
        bbox: BBox {
            x0: 30.0,
            y0: 20.0,
            x1: 56.0,
            y1: 52.0,
        },
        score: 0.9,
        points: None,
        mask: None,
    };
    let tile_size = if matches!(by, By::Fixed) { 40 } else { 0 };
    let mut upscaler = Upscaler::with_networks(
        generator("tiny/rgb-x4.onnx", by),
        Some(generator("tiny/inverted-x4.onnx", by)),
        Some(Box::new(FixedFaces(vec![face]))),
        tile_size,
        None,
    )
    .unwrap();
    let parameters = Parameters {
        reuse,
        ..Parameters::default()
    };
    upscaler.set_parameters(parameters).unwrap();
    let mut pictures = Vec::new();
    for index in 0..5 {
        let data = clip(size, index, &sample);
        // Rows with padding, as a video's may have.
        let stride = 3 * size.width + 7;
        let mut padded = vec![sample(0); stride * size.height];
        for (row, to) in data
            .chunks_exact(3 * size.width)
            .zip(padded.chunks_exact_mut(stride))
        {
            to[..row.len()].copy_from_slice(row);
        }
        let mut output = vec![sample(0); 3 * large.area()];
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40 * index as u64)),
            faces: None,
            ..FrameInfo::default()
        };
        upscaler
            .process(
                Frame::new(&padded, size, stride).unwrap(),
                &info,
                &mut FrameMut::new(&mut output, large, 3 * large.width).unwrap(),
            )
            .unwrap();
        pictures.push(output);
    }
    let stats = upscaler.stats();
    assert!(stats.frames_with_faces == 5 && stats.face_pixels > 0);
    if reuse != Reuse::None {
        assert!(stats.tiles_reused > 0, "{reuse:?}");
    }
    assert!(upscaler.take_notices().is_empty());
    pictures
}

#[test]
fn a_stream_by_bytes_equals_one_by_floats() {
    if !runtime() {
        return;
    }
    for reuse in Reuse::ALL {
        let floats = stream(By::Floats, reuse, |v| v);
        for by in [By::Bytes, By::Fixed] {
            let bytes = stream(by, reuse, |v| v);
            for (found, expected) in bytes.iter().zip(&floats) {
                assert_close(found, expected, 1);
            }
        }
    }
    // Samples of 16 bits keep to floats.
    let wide = |v: u8| u16::from(v) * 257;
    let floats = stream(By::Floats, Reuse::Exact, wide);
    assert!(stream(By::Bytes, Reuse::Exact, wide) == floats);
}
