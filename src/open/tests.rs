//! Every kind of network: found out, drawn as references of their own say, and the same in tiles as in the whole.

use std::path::{Path, PathBuf};

use super::*;
use crate::SCALE;
use crate::cancel::Canceller;
use crate::detail::Detail;
use crate::draw::drawer::traits;
use crate::draw::{ByteLayout, Generator};
use crate::models::{Catalogue, InputKind, Layout, Resolved, at_detail, resolve_all, sha256};
use crate::notice::Notice;
use crate::picture::{Channels, Format, PixelFormat, Rect, Size};
use crate::plan::cost::{Profiler, TileSettings};
use crate::plan::runs::runs;
use crate::runtime::library;
use crate::settings::{Config, NO_MODEL, Precision, Provider, Reuse};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn runtime() -> bool {
    library::load(None)
        .inspect_err(|e| eprintln!("skipped: {e}"))
        .is_ok()
}

fn config(cache: &Path, precision: Precision) -> Config {
    Config {
        provider: Provider::Cpu,
        precision,
        cache_dir: Some(cache.to_owned()),
        ..Config::default()
    }
}

/// A file by its path, without an entry.
fn by_path(name: &str) -> Resolved {
    let path = models().join(name);
    let sum = sha256("model", &path).unwrap();
    Resolved::unknown(name.to_owned(), path, sum)
}

/// A model by its name in the models.toml of `folder`.
fn by_name(folder: &Path, name: &str) -> Resolved {
    let config = Config {
        general_model: name.to_owned(),
        face_model: NO_MODEL.to_owned(),
        models_dir: Some(folder.to_owned()),
        ..Config::default()
    };
    resolve_all(&config).unwrap().general
}

fn open(found: &Resolved, config: &Config) -> (OnnxGenerator, Vec<Notice>, Vec<String>) {
    let mut steps = Vec::new();
    let (generator, notices) = generator(found, config, &Canceller::new(), &mut |step| {
        steps.push(step.to_owned())
    })
    .unwrap();
    (generator, notices, steps)
}

/// A picture in planes, 8-bit samples.
struct Planes {
    size: Size,
    count: usize,
    samples: Vec<u8>,
}

impl Planes {
    fn noise(count: usize, width: usize, height: usize) -> Self {
        let size = Size::new(width, height);
        let mut samples = vec![0; count * size.area()];
        fastrand::Rng::with_seed(7).fill(&mut samples);
        Self {
            size,
            count,
            samples,
        }
    }

    /// Sample of a plane, 0 to 255, those beyond the edge repeated.
    fn at(&self, plane: usize, x: isize, y: isize) -> f64 {
        let clamp = |at: isize, side: usize| at.clamp(0, side as isize - 1) as usize;
        let (x, y) = (clamp(x, self.size.width), clamp(y, self.size.height));
        f64::from(self.samples[plane * self.size.area() + y * self.size.width + x])
    }
}

/// `picture` drawn by `generator` in tiles of at most `side`, as the engine plans them: by floats, 0 to 255, or by bytes.
fn drawn(generator: &mut OnnxGenerator, picture: &Planes, side: usize, bytes: bool) -> Vec<f64> {
    drawn_for(generator, picture, side, bytes, Reuse::None)
}

fn drawn_for(
    generator: &mut OnnxGenerator,
    picture: &Planes,
    side: usize,
    bytes: bool,
    reuse: Reuse,
) -> Vec<f64> {
    let settings = TileSettings {
        side,
        overlap: None,
    };
    let profile = Profiler::new(traits(generator), settings)
        .unwrap()
        .profile(&Format::rgb(PixelFormat::Rgb), reuse);
    let (size, planes) = (picture.size, picture.count);
    let encoding = generator.encoding();
    assert_eq!(encoding.channels.count(), planes);
    let span = encoding.white - encoding.black;
    let large = size.scaled(SCALE);
    let mut result = vec![f64::NAN; planes * large.area()];
    for run in runs(size, &[Rect::whole(size)], &profile) {
        let mut samples = Vec::new();
        for (_, tile) in &run.tiles {
            for plane in 0..planes {
                for y in tile.window.y..tile.window.bottom() {
                    let start = plane * size.area() + y * size.width + tile.window.x;
                    samples.extend_from_slice(&picture.samples[start..][..tile.window.width]);
                }
            }
        }
        let mut values: Vec<f64> = Vec::new();
        let count = run.tiles.len();
        if bytes {
            let mut take = |found: &[u8]| {
                values = found.iter().map(|v| f64::from(*v)).collect();
                Ok(())
            };
            generator
                .run_bytes(&samples, count, run.window, &mut take)
                .unwrap();
        } else {
            let input: Vec<f32> = samples
                .iter()
                .map(|v| encoding.black + span * f32::from(*v) / 255.0)
                .collect();
            let mut take = |found: &[f32]| {
                let level = |v: &f32| f64::from((v - encoding.black) / span) * 255.0;
                values = found.iter().map(level).collect();
                Ok(())
            };
            generator.run(&input, count, run.window, &mut take).unwrap();
        }
        let window = run.window.scaled(SCALE);
        assert_eq!(values.len(), count * planes * window.area());
        for (tile, values) in run.tiles.iter().zip(values.chunks(planes * window.area())) {
            let (left, top) = (tile.1.window.x * SCALE, tile.1.window.y * SCALE);
            let core = tile.1.core.scaled(SCALE);
            for plane in 0..planes {
                for y in core.y..core.bottom() {
                    let from = plane * window.area() + (y - top) * window.width + core.x - left;
                    let to = plane * large.area() + y * large.width + core.x;
                    result[to..][..core.width].copy_from_slice(&values[from..][..core.width]);
                }
            }
        }
    }
    result
}

/// Each pixel of the enlargement as `wanted` says from plane, x and y.
#[track_caller]
fn assert_drawn(
    found: &[f64],
    picture: &Planes,
    margin: usize,
    most: f64,
    wanted: impl Fn(usize, isize, isize) -> f64,
) {
    let large = picture.size.scaled(SCALE);
    for plane in 0..picture.count {
        for y in margin..large.height - margin {
            for x in margin..large.width - margin {
                let value = found[plane * large.area() + y * large.width + x];
                let expected = wanted(plane, x as isize, y as isize);
                assert!(
                    (value - expected).abs() <= most,
                    "{plane}, {x}, {y}: {value} found, {expected} expected"
                );
            }
        }
    }
}

#[track_caller]
fn assert_tiles_do_not_show(generator: &mut OnnxGenerator, side: usize, most: f64, bytes: bool) {
    let planes = generator.encoding().channels.count();
    let picture = Planes::noise(planes, 117, 93);
    let whole = drawn(generator, &picture, 4096, bytes);
    let tiled = drawn(generator, &picture, side, bytes);
    let differences = whole.iter().zip(&tiled).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f64::max);
    assert!(whole.iter().chain(&tiled).all(|v| v.is_finite()));
    assert!(worst <= most, "{}: {worst} of 255", generator.name());
}

/// Keys' kernel, a = -0.5.
fn keys(t: f64) -> f64 {
    let t = t.abs();
    if t <= 1.0 {
        (1.5 * t - 2.5) * t * t + 1.0
    } else if t < 2.0 {
        ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    } else {
        0.0
    }
}

/// Pixel `x`, `y` of a picture that is `from` times as large as what `at` gives pixel by pixel, resampled from that to `to` times.
fn resampled(at: impl Fn(isize, isize) -> f64, from: f64, to: f64, x: isize, y: isize) -> f64 {
    let ratio = from / to;
    let wide = ratio.max(1.0);
    let place = |i: isize| (i as f64 + 0.5) * ratio - 0.5;
    let (cx, cy) = (place(x), place(y));
    let reach = (2.0 * wide).ceil() as isize;
    let (mut sum, mut weights) = (0.0, 0.0);
    for j in cy.floor() as isize - reach..=cy.floor() as isize + reach + 1 {
        for i in cx.floor() as isize - reach..=cx.floor() as isize + reach + 1 {
            let weight = keys((i as f64 - cx) / wide) * keys((j as f64 - cy) / wide);
            sum += weight * at(i, j);
            weights += weight;
        }
    }
    sum / weights
}

struct NetworkKind {
    name: &'static str,
    layout: Layout,
    channels: Channels,
    input: InputKind,
    scale: usize,
    range: [f32; 2],
    stride: usize,
    fixed: Option<[usize; 2]>,
    own_radius: usize,
    radius: usize,
}

const RGB: NetworkKind = NetworkKind {
    name: "",
    layout: Layout::Nchw,
    channels: Channels::Rgb,
    input: InputKind::Picture,
    scale: 4,
    range: [0.0, 1.0],
    stride: 1,
    fixed: None,
    own_radius: 0,
    radius: 0,
};
const LUMA: NetworkKind = NetworkKind {
    channels: Channels::Y,
    ..RGB
};

/// What each tiny network is, its own radius, and that of what is made of it.
fn kinds() -> [NetworkKind; 15] {
    [
        NetworkKind {
            name: "grey-x4",
            ..LUMA
        },
        NetworkKind {
            name: "luma-x4",
            own_radius: 2,
            radius: 2,
            ..LUMA
        },
        NetworkKind {
            name: "nearest-x2",
            scale: 2,
            ..RGB
        },
        NetworkKind {
            name: "shifted-x2",
            scale: 2,
            own_radius: 3,
            radius: 5,
            ..RGB
        },
        NetworkKind {
            name: "nearest-x3",
            scale: 3,
            radius: 1,
            ..RGB
        },
        NetworkKind {
            name: "nearest-x8",
            scale: 8,
            radius: 1,
            ..RGB
        },
        NetworkKind {
            name: "sharpened",
            input: InputKind::Interpolated,
            own_radius: 1,
            radius: 3,
            ..LUMA
        },
        NetworkKind {
            name: "levels-x4",
            range: [0.0, 255.0],
            ..RGB
        },
        NetworkKind {
            name: "signed-x4",
            range: [-1.0, 1.0],
            ..RGB
        },
        NetworkKind {
            name: "last-x4",
            layout: Layout::Nhwc,
            ..RGB
        },
        NetworkKind {
            name: "window-x4",
            stride: 8,
            own_radius: 7,
            radius: 7,
            ..RGB
        },
        NetworkKind {
            name: "window-x2",
            scale: 2,
            stride: 8,
            own_radius: 7,
            radius: 11,
            ..RGB
        },
        NetworkKind {
            name: "window-fixed-x4",
            stride: 8,
            fixed: Some([48, 48]),
            own_radius: 7,
            radius: 7,
            ..RGB
        },
        NetworkKind {
            name: "faint-fixed-x4",
            fixed: Some([32, 32]),
            ..LUMA
        },
        NetworkKind {
            name: "fixed-x4",
            fixed: Some([32, 40]),
            own_radius: 2,
            radius: 2,
            ..LUMA
        },
    ]
}

#[test]
fn every_kind_is_found_out() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let config = config(cache.path(), Precision::Auto);
    for kind in kinds() {
        let path = models().join(format!("tiny/{}.onnx", kind.name));
        let probe = probe::probe(&path, &config).unwrap();
        assert_eq!(probe.unusable, None, "{probe}");
        assert_eq!(probe.layout, Some(kind.layout), "{probe}");
        assert_eq!(probe.channels, Some(kind.channels), "{probe}");
        assert_eq!(probe.input, Some(kind.input), "{probe}");
        assert_eq!(probe.scale, Some(kind.scale), "{probe}");
        assert_eq!(probe.range, Some(kind.range), "{probe}");
        assert_eq!(probe.range_is_found, Some(true), "{probe}");
        assert_eq!(probe.stride, Some(kind.stride), "{probe}");
        assert_eq!(probe.fixed_size, kind.fixed, "{probe}");
        assert_eq!(probe.receptive_radius, Some(kind.own_radius), "{probe}");
        let found = by_path(&format!("tiny/{}.onnx", kind.name));
        let (generator, notices, _) = open(&found, &config);
        assert_eq!(generator.radius(), kind.radius, "{}", kind.name);
        let load = match (kind.input, kind.scale) {
            (InputKind::Interpolated, _) => 16,
            (InputKind::Picture, 2) => 4,
            _ => 1,
        };
        assert_eq!(generator.load(), load, "{}", kind.name);
        let [first, rest @ ..] = notices.as_slice() else {
            panic!("{}: nothing is told", kind.name);
        };
        assert!(
            first.text.contains(kind.name) && first.text.contains("no entry in models.toml"),
            "{first}"
        );
        assert_eq!(
            first.text.contains("assumed: rgb"),
            kind.channels == Channels::Rgb,
            "{first}"
        );
        // What is done about another scale is said.
        assert_eq!(
            rest.len(),
            usize::from(kind.scale != 4 || kind.input == InputKind::Interpolated),
            "{rest:?}"
        );
        match kind.scale {
            2 => assert!(rest[0].text.contains("runs twice"), "{rest:?}"),
            3 => assert!(rest[0].text.contains("resampled"), "{rest:?}"),
            8 => assert!(rest[0].text.contains("antialiased"), "{rest:?}"),
            _ => {}
        }
    }
    let uneven = probe::probe(&models().join("tiny/uneven.onnx"), &config).unwrap();
    let reason = uneven.unusable.unwrap();
    assert!(
        reason.contains("128, 256") || reason.contains("256, 128"),
        "{reason}"
    );
}

#[test]
fn every_kind_is_drawn_as_its_reference() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let config = config(cache.path(), Precision::Auto);
    let draw = |name: &str, planes: usize| {
        let (mut generator, ..) = open(&by_path(&format!("tiny/{name}.onnx")), &config);
        let picture = Planes::noise(planes, 45, 38);
        let drawn = drawn(&mut generator, &picture, 4096, false);
        (drawn, picture)
    };
    let quarter = |at: isize| at.div_euclid(4);
    for (name, planes) in [
        ("grey-x4", 1),
        ("nearest-x2", 3),
        ("signed-x4", 3),
        ("last-x4", 3),
    ] {
        let (found, picture) = draw(name, planes);
        assert_drawn(&found, &picture, 0, 1e-3, |plane, x, y| {
            picture.at(plane, quarter(x), quarter(y))
        });
    }
    let (found, picture) = draw("levels-x4", 3);
    assert_drawn(&found, &picture, 0, 1e-3, |plane, x, y| {
        picture.at(plane, quarter(x), quarter(y)).max(16.0)
    });
    // The pixel three to the right, of pixels half as large once more.
    let (found, picture) = draw("shifted-x2", 3);
    assert_drawn(&found, &picture, 24, 1e-3, |plane, x, y| {
        let middle = x.div_euclid(2) + 3;
        picture.at(plane, middle.div_euclid(2) + 3, quarter(y))
    });
    for (name, scale) in [("nearest-x3", 3), ("nearest-x8", 8)] {
        let (found, picture) = draw(name, 3);
        assert_drawn(&found, &picture, 8, 1e-2, |plane, x, y| {
            let large =
                |x: isize, y: isize| picture.at(plane, x.div_euclid(scale), y.div_euclid(scale));
            resampled(large, scale as f64, 4.0, x, y)
        });
    }
    for (name, margin) in [("luma-x4", 12), ("fixed-x4", 12)] {
        let (found, picture) = draw(name, 1);
        assert_drawn(&found, &picture, margin, 1e-2, |plane, x, y| {
            let value = resampled(|x, y| picture.at(plane, x, y), 1.0, 4.0, x, y);
            value.clamp(0.0, 255.0)
        });
    }
    let (found, picture) = draw("sharpened", 1);
    assert_drawn(&found, &picture, 12, 1e-2, |plane, x, y| {
        let large = |x: isize, y: isize| resampled(|x, y| picture.at(plane, x, y), 1.0, 4.0, x, y);
        let around = (-1..=1).flat_map(|j| (-1..=1).map(move |i| (i, j)));
        let neighbours: f64 = around.map(|(i, j)| large(x + i, y + j)).sum();
        1.5 * large(x, y) - 0.5 * (neighbours - large(x, y)) / 8.0
    });
    // Windows of eight, the last of each row and column filled up by reflection.
    for name in ["window-x4", "window-fixed-x4"] {
        let (found, picture) = draw(name, 3);
        assert_windows(&found, &picture);
    }
}

/// Each pixel plus half of what it differs from the mean of its window by.
#[track_caller]
fn assert_windows(found: &[f64], picture: &Planes) {
    let quarter = |at: isize| at.div_euclid(4);
    let Size { width, height } = picture.size;
    let reflected = |at: isize, side: usize| {
        let last = side as isize - 1;
        if at > last { 2 * last - at } else { at }
    };
    assert_drawn(found, picture, 0, 1e-3, |plane, x, y| {
        let (x, y) = (quarter(x), quarter(y));
        let (left, top) = (x - x % 8, y - y % 8);
        let inside = (0..64).map(|i| {
            let (x, y) = (
                reflected(left + i % 8, width),
                reflected(top + i / 8, height),
            );
            picture.at(plane, x, y)
        });
        let mean = inside.sum::<f64>() / 64.0;
        let value = picture.at(plane, x, y);
        (value + 0.5 * (value - mean)).clamp(0.0, 255.0)
    });
}

#[test]
fn tiles_do_not_show_whatever_the_kind() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let config = config(cache.path(), Precision::Auto);
    for kind in kinds() {
        let (mut generator, ..) = open(&by_path(&format!("tiny/{}.onnx", kind.name)), &config);
        // Of the faint one half a level is allowed, which nobody sees.
        let most = if kind.name.starts_with("faint") {
            0.5
        } else {
            1e-2
        };
        assert_tiles_do_not_show(&mut generator, 41, most, false);
    }
}

#[test]
fn what_was_found_out_is_kept_and_told_again_without_its_place() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let config = config(cache.path(), Precision::Auto);
    let found = by_path("tiny/window-x4.onnx");
    let (first, told, steps) = open(&found, &config);
    assert!(
        steps.iter().any(|step| step.contains("multiples of 8"))
            && steps.iter().any(|step| step.contains("receptive radius")),
        "{steps:?}"
    );
    let kept = format!("{}.toml", found.sha256);
    assert!(told[0].text.contains(&kept), "{told:?}");
    let (second, told, steps) = open(&found, &config);
    assert!(steps.is_empty(), "{steps:?}");
    assert!(!told[0].text.contains(&kept), "{told:?}");
    assert!(told[0].text.contains("multiples of 8"), "{told:?}");
    assert_eq!(
        (first.radius(), first.stride()),
        (second.radius(), second.stride())
    );
}

#[test]
fn samples_of_eight_bits_go_in_and_come_out_as_they_are() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let config = config(cache.path(), Precision::Auto);
    let (mut generator, ..) = open(&by_path("tiny/eight-x4.onnx"), &config);
    assert_eq!(generator.byte_layout(), Some(ByteLayout::Planar));
    assert_eq!(generator.network().precision(), Precision::Int8);
    assert_eq!(generator.transfer().to_string(), "bytes");
    let picture = Planes::noise(3, 21, 30);
    for bytes in [true, false] {
        let found = drawn(&mut generator, &picture, 4096, bytes);
        assert_drawn(&found, &picture, 0, 1e-3, |plane, x, y| {
            255.0 - picture.at(plane, x.div_euclid(4), y.div_euclid(4))
        });
        assert_tiles_do_not_show(&mut generator, 30, 0.0, bytes);
    }
}

#[test]
fn the_precision_decides_which_file_of_a_pair_runs() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let picture = Planes::noise(3, 40, 33);
    let as_it_is =
        |plane: usize, x: isize, y: isize| picture.at(plane, x.div_euclid(4), y.div_euclid(4));
    let found = by_name(&models().join("tiny"), "paired-x4");
    let (mut single, told, _) = open(&found, &config(cache.path(), Precision::Fp32));
    assert!(
        single.byte_layout().is_none() && told.is_empty(),
        "{told:?}"
    );
    assert_drawn(
        &drawn(&mut single, &picture, 4096, false),
        &picture,
        0,
        1e-3,
        as_it_is,
    );
    let (mut eight, told, _) = open(&found, &config(cache.path(), Precision::Int8));
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(eight.byte_layout(), Some(ByteLayout::Planar));
    let negative = drawn(&mut eight, &picture, 4096, true);
    assert_drawn(&negative, &picture, 0, 0.0, |plane, x, y| {
        255.0 - as_it_is(plane, x, y)
    });
    // Floats, for more than 8 bits, are drawn by the file in floats.
    let floats = drawn(&mut eight, &picture, 4096, false);
    assert_drawn(&floats, &picture, 0, 1e-3, as_it_is);
    assert_eq!(eight.network().precision(), Precision::Int8);

    // Measured once, and then known.
    let auto = config(cache.path(), Precision::Auto);
    assert_eq!(eight_bits(&found, &auto), EightBits::NotMeasured);
    let (first, told, steps) = open(&found, &auto);
    assert!(steps.iter().any(|step| step.contains("gain")), "{steps:?}");
    let EightBits::Measured(gain) = eight_bits(&found, &auto) else {
        panic!("nothing was kept");
    };
    assert_eq!(first.byte_layout().is_some(), gain.is_worth());
    assert!(told[0].text.contains("eight-bit numbers"), "{told:?}");
    let (second, told, steps) = open(&found, &auto);
    assert!(
        !steps.iter().any(|step| step.contains("measuring")),
        "{steps:?}"
    );
    assert_eq!(first.byte_layout(), second.byte_layout());
    assert!(told.is_empty(), "{told:?}");
    // Of another number of threads nothing is known.
    let other = Config { threads: 3, ..auto };
    assert_eq!(eight_bits(&found, &other), EightBits::NotMeasured);
}

/// Whatever is kept decides, on a machine of any kind.
#[test]
fn what_was_measured_decides() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let auto = config(cache.path(), Precision::Auto);
    let found = by_name(&models().join("tiny"), "paired-x4");
    open(&found, &auto);
    let folder = std::fs::read_dir(cache.path().join("measured")).unwrap();
    let file = folder.map(|entry| entry.unwrap().path()).next().unwrap();
    let text = whole_file::read(&file).unwrap();
    let line = text.lines().find(|line| line.starts_with("ratio")).unwrap();
    for (ratio, eight) in [("0.5", true), ("0.95", false)] {
        whole_file::write(&file, &text.replace(line, &format!("ratio = {ratio}"))).unwrap();
        let (generator, told, _) = open(&found, &auto);
        assert_eq!(generator.byte_layout().is_some(), eight, "{told:?}");
        assert!(told.is_empty(), "{told:?}");
    }
    // What cannot be read is measured again.
    whole_file::write(&file, &text.replace(line, "ratio = -1")).unwrap();
    assert_eq!(eight_bits(&found, &auto), EightBits::NotMeasured);
    // Nor is what somebody else has written.
    std::fs::write(&file, text.replace(line, "ratio = 0.5")).unwrap();
    assert_eq!(eight_bits(&found, &auto), EightBits::NotMeasured);
}

#[test]
fn an_eight_bit_file_that_cannot_be_used_is_told_and_the_other_runs() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let tiny = models().join("tiny");
    let paired = by_name(&tiny, "paired-x4");
    let file = |name: &str| {
        let path = tiny.join(name);
        let sha256 = sha256("model", &path).unwrap();
        Some(Ok(crate::models::Int8File { path, sha256 }))
    };
    for (int8, part) in [
        (None, "names no int8-file"),
        (Some(Err("it is gone".to_owned())), "it is gone"),
        (file("rubbish.onnx"), "rubbish.onnx"),
        (file("inverted-x4.onnx"), "expected u8 planes"),
        (file("nearest-x2.onnx"), "scale 4"),
    ] {
        let mut found = paired.clone();
        found.int8 = int8;
        let (generator, told, _) = open(&found, &config(cache.path(), Precision::Int8));
        assert!(generator.byte_layout().is_none());
        let [notice] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!(notice.severity, crate::Severity::Worse);
        assert!(notice.text.contains(part), "{notice}");
    }
}

#[test]
fn the_shipped_eight_bit_files_are_exact_in_tiles_and_near_their_originals() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    for (name, detail) in [
        ("general-x4", 0.0),
        ("face-x4", 0.0),
        ("general-x4", 0.5),
        ("face-x4", 0.5),
    ] {
        let at = |precision| {
            let (found, config) = (by_name(&models(), name), config(cache.path(), precision));
            (
                at_detail(&found, Detail::of(detail), &config).unwrap(),
                config,
            )
        };
        let (found, int8) = at(Precision::Int8);
        let (mut eight, told, _) = open(&found, &int8);
        assert!(told.is_empty(), "{name} at {detail}: {told:?}");
        if detail > 0.0 {
            // By itself no mixture is drawn in eight bits.
            let (found, auto) = at(Precision::Auto);
            let (single, told, _) = open(&found, &auto);
            assert!(
                single.byte_layout().is_none() && told.is_empty(),
                "{told:?}"
            );
        }
        // Whole numbers: to the bit, wherever a tile lies.
        for side in [43, 52, 64] {
            assert_tiles_do_not_show(&mut eight, side, 0.0, true);
        }
        let (mut single, ..) = open(&found, &config(cache.path(), Precision::Fp32));
        // Of a smooth picture: noise is what no network was calibrated on.
        let mut picture = Planes::noise(eight.encoding().channels.count(), 64, 48);
        for (i, sample) in picture.samples.iter_mut().enumerate() {
            let (x, y) = (i % 64, i / 64 % 48);
            *sample = (128.0 + 60.0 * (x as f64 / 6.0).sin() + 50.0 * (y as f64 / 9.0).cos()) as u8;
        }
        let whole = drawn(&mut eight, &picture, 4096, true);
        let exact = drawn(&mut single, &picture, 4096, false);
        let differences = whole.iter().zip(&exact).map(|(a, b)| (a - b).abs());
        let worst = differences.clone().fold(0.0, f64::max);
        let mean = differences.sum::<f64>() / whole.len() as f64;
        println!("{name} at {detail}: {worst:.2} at most, {mean:.2} on average");
        // Each of fourteen layers rounds; what is mixed has room for the ranges of two.
        let allowed = if detail > 0.0 { 1.5 } else { 1.0 };
        assert!(worst <= 8.0 && mean <= allowed, "{name}: {worst}, {mean}");
        // And by floats the same as the original.
        let floats = drawn(&mut eight, &picture, 4096, false);
        assert_eq!(floats, exact);
    }
}

/// With tolerance tiles carry less context than a network sees. What it sees beyond changes little, in either arithmetic.
#[test]
fn what_lies_beyond_the_near_radius_changes_three_levels_at_most() {
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let mut count = 0;
    for entry in Catalogue::load(&models()).unwrap().entries() {
        let (Some(near), Some(radius)) = (entry.near_radius, entry.receptive_radius) else {
            continue;
        };
        count += 1;
        let found = by_name(&models(), &entry.name);
        // Edges, slopes and a fine pattern.
        let mut picture = Planes::noise(1, 120, 90);
        for (i, sample) in picture.samples.iter_mut().enumerate() {
            let (x, y) = (i % 120, i / 120);
            let edge = if (x / 17 + y / 13) % 2 == 0 { 90 } else { 0 };
            let fine = if x > 60 { (x * 7 + y * 3) % 11 * 4 } else { 0 };
            *sample = (30 + edge + fine + (x + y) / 4) as u8;
        }
        for precision in [Precision::Int8, Precision::Fp32] {
            let (mut generator, ..) = open(&found, &config(cache.path(), precision));
            assert_eq!(
                (generator.near_radius(), generator.radius()),
                (near, radius)
            );
            let bytes = precision == Precision::Int8;
            let whole = drawn(&mut generator, &picture, 4096, bytes);
            let parts = drawn_for(&mut generator, &picture, 48, bytes, Reuse::Tolerant);
            let differences = whole.iter().zip(&parts).map(|(a, b)| (a - b).abs());
            let worst = differences.fold(0.0, f64::max);
            println!("{}, {precision:?}: {worst:.2}", entry.name);
            assert!(worst > 0.0 && worst <= 3.5, "{}: {worst}", entry.name);
        }
    }
    assert!(count >= 4, "{count} have a near radius");
}

/// The shipped general generator with an operator of which it is not known what it reads.
fn unknown(folder: &Path) -> PathBuf {
    let mut file = std::fs::read(models().join("general-x4-fast.onnx")).unwrap();
    let at = file.windows(4).position(|bytes| bytes == b"Relu");
    let at = at.unwrap_or_else(|| panic!("no Relu"));
    // `Celu` with its usual alpha reads what `Relu` reads, and the graph walker has never heard of it.
    file[at..at + 4].copy_from_slice(b"Celu");
    let path = folder.join("unknown.onnx");
    std::fs::write(&path, file).unwrap();
    path
}

#[test]
fn a_measurement_is_made_once_with_progress_and_kept_by_the_file_s_sum() {
    if !runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = unknown(folder.path());
    let config = config(&folder.path().join("cache"), Precision::Auto);
    let known = by_name(&models(), "general-x4-fast");
    let find = |sha256: &str| {
        let mut found = Resolved::unknown("unknown".to_owned(), path.clone(), sha256.to_owned());
        // Only how far it sees is not said.
        (found.known_form, found.known_encoding) = (known.known_form, known.known_encoding);
        let (generator, notices, steps) = open(&found, &config);
        (generator.radius(), notices, steps)
    };
    let (radius, notices, steps) = find("13ae");
    let measured = |steps: &[String]| {
        let is_one = |step: &&String| step.contains("receptive radius on 33x33");
        steps.iter().filter(is_one).count()
    };
    // Of six pixels the smallest patch tells.
    assert_eq!((radius, measured(&steps)), (6, 3), "{steps:?}");
    let [notice] = notices.as_slice() else {
        panic!("{notices:?}");
    };
    assert!(
        notice.text.contains("6 input pixels") && notice.text.contains("13ae.toml"),
        "{notice}"
    );
    let (radius, notices, steps) = find("13ae");
    assert_eq!((radius, notices.len(), steps.len()), (6, 0, 0));
    // Another file is another matter, and so is a damaged note.
    assert_eq!(measured(&find("13af").2), 3);
    let kept = config.cache_dir.as_ref().unwrap().join("probed/13ae.toml");
    std::fs::write(&kept, "format = 1\nreceptive-radius = 6\n").unwrap();
    let (radius, _, steps) = find("13ae");
    assert_eq!((radius, measured(&steps)), (6, 3));
}

/// Networks of well-known shapes, with random weights, as PyTorch exports them.
#[test]
fn networks_of_well_known_shapes_run_by_name_and_by_path() {
    if !runtime() {
        return;
    }
    let folder = models().join("tiny/shapes");
    let cache = tempfile::tempdir().unwrap();
    let config = config(cache.path(), Precision::Auto);
    // Radius in pixels of the picture: sums of kernels, halved behind each enlargement.
    for (name, channels, range, radius) in [
        ("srcnn", Channels::Y, [0.0, 1.0], 2 + 2),
        ("vdsr", Channels::Y, [0.0, 1.0], 2 + 2),
        ("edsr", Channels::Rgb, [0.0, 255.0], 8),
        ("srgan", Channels::Rgb, [-1.0, 1.0], 12),
        ("esrgan", Channels::Rgb, [0.0, 1.0], 19),
        ("span", Channels::Rgb, [0.0, 1.0], 12),
    ] {
        let entry = by_name(&folder, &format!("{name}-shape"));
        let (mut known, told, steps) = open(&entry, &config);
        let encoding = known.encoding();
        assert_eq!(encoding.channels, channels, "{name}");
        assert_eq!([encoding.black, encoding.white], range, "{name}");
        println!("{name}: {}, {told:?} {steps:?}", known.radius());
        assert_eq!(known.radius(), radius, "{name}");
        assert_tiles_do_not_show(&mut known, 77, 0.05, false);
        let path = format!("tiny/shapes/{name}-shape.onnx");
        let (mut probed, told, _) = open(&by_path(&path), &config);
        let found = probed.encoding();
        println!("{name}: {told:?}");
        assert_eq!(found.channels, channels, "{name}");
        assert_eq!(probed.radius(), radius, "{name}");
        assert_tiles_do_not_show(&mut probed, 77, 0.05, false);
        if name == "srgan" || name == "edsr" {
            // They tell by their last operator, and by what they add to every picture.
            assert_eq!([found.black, found.white], range, "{name}");
        }

        // What comes out is what the runtime makes of it, with nothing around it.
        let Channels::Rgb = channels else { continue };
        let picture = Planes::noise(3, 31, 26);
        let drawn = drawn(&mut known, &picture, 4096, false);
        let span = encoding.white - encoding.black;
        let values: Vec<f32> = picture
            .samples
            .iter()
            .map(|v| encoding.black + span * f32::from(*v) / 255.0)
            .collect();
        let cancel = Canceller::new();
        let path = models().join(path);
        let mut network =
            crate::runtime::Network::open(&path, "alone", "", &config, &cancel).unwrap();
        let expected: Vec<f64> = network
            .run([1, 3, 26, 31], &values, |outputs| {
                let level = |v: &f32| f64::from((v - encoding.black) / span) * 255.0;
                Ok(outputs[0].values.iter().map(level).collect())
            })
            .unwrap();
        assert_eq!(drawn, expected, "{name}");
    }
}
