//! Networks of every kind, named by their paths, through the engine's public interface: the file tells what it is, tiles do not show, and
//! frames of luma and of more than 8 bits come out as they should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use srfusion::{
    Canceller, Config, Format, Frame, FrameInfo, FrameMemory, FrameMut, NO_MODEL, PixelFormat,
    Precision, Provider, Reuse, SCALE, Size, Upscaler,
};

mod support;
use support::{Picture, models, runtime, texture};

fn config(model: &str, cache: &Path, tile_size: usize) -> Config {
    Config {
        general_model: model.to_owned(),
        face_model: NO_MODEL.to_owned(),
        detector_model: NO_MODEL.to_owned(),
        models_dir: Some(models()),
        cache_dir: Some(cache.to_owned()),
        provider: Provider::Cpu,
        tile_size,
        ..Config::default()
    }
}

fn open(config: &Config) -> Upscaler {
    let mut upscaler = Upscaler::open(config, &Canceller::new(), &mut |_| ())
        .unwrap_or_else(|error| panic!("{}: {error}", config.general_model));
    upscaler
        .set_parameters(srfusion::Parameters {
            reuse: Reuse::None,
            ..srfusion::Parameters::default()
        })
        .unwrap();
    upscaler
}

fn path(file: &str) -> String {
    models().join("tiny").join(file).display().to_string()
}

const SIZE: Size = Size {
    width: 101,
    height: 75,
};

#[test]
fn every_kind_runs_by_its_path_and_tiles_do_not_show() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let picture = Picture {
        size: SIZE,
        data: texture(SIZE, 5),
    };
    let upscale = |config: &Config| {
        let mut upscaler = open(config);
        let mut output = picture.enlarged();
        upscaler
            .process(
                picture.frame(),
                &FrameInfo::default(),
                &mut output.frame_mut(),
            )
            .unwrap_or_else(|error| panic!("{}: {error}", config.general_model));
        (output, upscaler)
    };
    for file in [
        "grey-x4.onnx",
        "nearest-x2.onnx",
        "nearest-x3.onnx",
        "nearest-x8.onnx",
        "shifted-x2.onnx",
        "sharpened.onnx",
        "levels-x4.onnx",
        "signed-x4.onnx",
        "last-x4.onnx",
        "window-x4.onnx",
        "fixed-x4.onnx",
        "eight-x4.onnx",
        "shapes/srcnn-shape.onnx",
        "shapes/vdsr-shape.onnx",
        "shapes/edsr-shape.onnx",
        "shapes/srgan-shape.onnx",
        "shapes/esrgan-shape.onnx",
        "shapes/span-shape.onnx",
    ] {
        let path = path(file);
        let (whole, mut upscaler) = upscale(&config(&path, cache.path(), 0));
        let told = upscaler.take_notices();
        assert!(
            told.iter()
                .any(|notice| notice.text.contains("no entry in models.toml")),
            "{file}: {told:?}"
        );
        // Equal tiles may share a run; that there are several is seen by the tests of the planner.
        let (tiled, _) = upscale(&config(&path, cache.path(), 67));
        let distance = whole.distance(&tiled);
        assert!(distance <= 1, "{file}: {distance} of 255");
        if ["nearest-x2.onnx", "signed-x4.onnx", "last-x4.onnx"].contains(&file) {
            for (i, value) in whole.data.iter().enumerate() {
                let (x, y) = (i / 3 % whole.size.width / 4, i / 3 / whole.size.width / 4);
                assert_eq!(*value, picture.data[3 * (y * SIZE.width + x) + i % 3]);
            }
        }
    }
}

/// `width` x `height` samples of luma, in 8 or 16 bits, four times as many of them.
fn grey(upscaler: &mut Upscaler, format: PixelFormat, samples: &[u16]) -> Vec<u16> {
    let format = Format::rgb(format);
    let large = SIZE.scaled(SCALE);
    let (mut input, mut output) = (FrameMemory::default(), FrameMemory::default());
    input.fit(&format, SIZE);
    output.fit(&format, large);
    let mut frame = input.frame(format, SIZE).unwrap();
    for y in 0..SIZE.height {
        let row = samples[y * SIZE.width..][..SIZE.width].iter();
        let row: Vec<f32> = row.map(|sample| f32::from(*sample)).collect();
        frame.write(0, y, 0, &row);
    }
    let mut result: FrameMut<'_> = output.frame(format, large).unwrap();
    upscaler
        .process(frame.as_frame(), &FrameInfo::default(), &mut result)
        .unwrap();
    let drawn: Frame<'_> = result.as_frame();
    let mut all = Vec::new();
    let mut row = vec![0.0; large.width];
    for y in 0..large.height {
        drawn.read(0, y, 0, &mut row);
        all.extend(row.iter().map(|value| *value as u16));
    }
    all
}

#[test]
fn luma_is_drawn_from_luma_to_the_bit() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let mut upscaler = open(&config(&path("grey-x4.onnx"), cache.path(), 40));
    for (format, most) in [(PixelFormat::Gray8, 255), (PixelFormat::Gray16Le, 65535)] {
        let samples: Vec<u16> = (0..SIZE.area())
            .map(|i| (i * 7919 % (most + 1)) as u16)
            .collect();
        let drawn = grey(&mut upscaler, format, &samples);
        for (i, value) in drawn.iter().enumerate() {
            let (x, y) = (i % (4 * SIZE.width) / 4, i / (4 * SIZE.width) / 4);
            assert_eq!(*value, samples[y * SIZE.width + x], "{format:?}, {x}, {y}");
        }
    }
}

/// What is computed in eight-bit numbers has 256 levels; of a picture of 16 bits many more must be left.
#[test]
fn deep_pictures_keep_their_depth_with_an_eight_bit_file_at_hand() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let eight = Config {
        precision: Precision::Int8,
        ..config("general-x4", cache.path(), 0)
    };
    let single = Config {
        precision: Precision::Fp32,
        ..eight.clone()
    };
    let ramp: Vec<u16> = (0..SIZE.area())
        .map(|i| (i % SIZE.width * 640 + i / SIZE.width) as u16)
        .collect();
    let [mut eight, mut single] = [&eight, &single].map(open);
    let deep = grey(&mut eight, PixelFormat::Gray16Le, &ramp);
    assert_eq!(deep, grey(&mut single, PixelFormat::Gray16Le, &ramp));
    let mut levels = deep.clone();
    levels.sort_unstable();
    levels.dedup();
    assert!(levels.len() > 10_000, "{}", levels.len());
    // Of 8 bits the other file draws, near by.
    let shallow: Vec<u16> = ramp.iter().map(|sample| sample >> 8).collect();
    let [a, b] = [&mut eight, &mut single].map(|u| grey(u, PixelFormat::Gray8, &shallow));
    let differ = a.iter().zip(&b).filter(|(a, b)| a != b).count();
    let worst = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(differ > 0 && worst <= Some(4), "{differ}, {worst:?}");
    assert!(
        eight.models()[0].path.ends_with("general-x4.int8.onnx"),
        "{:?}",
        eight.models()
    );
}
