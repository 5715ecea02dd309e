//! Detectors that give masks: tiny networks of both families, opened by what their outputs are or by their names in models.toml, and the weights that
//! come of what they find.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use srfusion::models::Role;
use srfusion::open::probe::probe;
use srfusion::{Canceller, Config, Family, FrameInfo, Parameters, Provider, Size, Upscaler, View};

mod support;
use support::{Picture, models, runtime};

const SIZE: Size = Size::new(128, 128);
/// The box that the tiny detectors find, in pixels: x and y.
const BOX: [(usize, usize); 2] = [(48, 80), (40, 88)];
/// Each file, its family, and the pixels by which what it says of edges may be off: prototypes have a quarter of the pixels, and Mask R-CNN's
/// pooling is half a pixel off.
const FILES: [(&str, Family, f32); 3] = [
    ("bright-seg", Family::YoloSeg, 0.3),
    ("bright-rcnn", Family::MaskRcnn, 0.5),
    ("bright-rcnn-whole", Family::MaskRcnn, 0.0),
];
const SIGMA: f64 = 0.04;

/// A dark picture in which the pixels of `columns` and `rows` are bright.
fn picture(columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> Picture {
    let is_bright = |x: usize, y: usize| columns.contains(&x) && rows.contains(&y);
    let value = |i: usize| match is_bright(i % SIZE.width, i / SIZE.width) {
        true => 230,
        false => 50,
    };
    let data = (0..SIZE.area()).flat_map(|i| [value(i); 3]).collect();
    Picture { size: SIZE, data }
}

fn config(detector: &str) -> Config {
    Config {
        general_model: "bicubic-x4".to_owned(),
        face_model: "inverted-x4".to_owned(),
        detector_model: detector.to_owned(),
        models_dir: Some(models().join("tiny")),
        provider: Provider::Cpu,
        ..Config::default()
    }
}

fn file(name: &str) -> String {
    let path = models().join("tiny").join(format!("{name}.onnx"));
    path.to_str().unwrap().to_owned()
}

fn open(config: &Config, view: View, padding: f64) -> Upscaler {
    let mut upscaler = Upscaler::open(config, &Canceller::new(), &mut |_| ()).unwrap();
    let parameters = Parameters {
        view,
        mask_padding: padding,
        mask_sigma: SIGMA,
        ..Parameters::default()
    };
    upscaler.set_parameters(parameters).unwrap();
    upscaler
}

fn show(upscaler: &mut Upscaler, picture: &Picture, number: u64) -> Picture {
    let mut output = picture.enlarged();
    let info = FrameInfo {
        pts: Some(Duration::from_millis(40 * number)),
        ..FrameInfo::default()
    };
    upscaler
        .process(picture.frame(), &info, &mut output.frame_mut())
        .unwrap();
    output
}

/// The sample in the middle of input pixel `x, y`, over its four output pixels.
fn at(picture: &Picture, x: usize, y: usize) -> f32 {
    let sample = |u: usize, v: usize| f32::from(picture.data[3 * (v * picture.size.width + u)]);
    let (x, y) = (4 * x + 1, 4 * y + 1);
    (sample(x, y) + sample(x + 1, y) + sample(x, y + 1) + sample(x + 1, y + 1)) / 4.0
}

#[test]
fn families_are_recognised_by_their_outputs() {
    if !runtime() {
        return;
    }
    for (name, family, _) in FILES {
        let path = file(name);
        let found = probe(Path::new(&path), &config("centre-face")).unwrap();
        let expected = (Some(Role::Detector), Some(family));
        assert_eq!((found.role, found.family), expected, "{name}: {found}");
        assert!(found.to_string().contains(family.name()), "{found}");
    }
}

#[test]
fn w_is_the_mask_and_not_the_box() {
    if !runtime() {
        return;
    }
    let normal = |t: f64| 0.5 * (1.0 + libm::erf(t / std::f64::consts::SQRT_2));
    for (name, _, pixels) in FILES {
        for padding in [0.0, 0.1] {
            let mut upscaler = open(&config(&file(name)), View::Mask, padding);
            // A bright rectangle in the box, well inside it above and below, over its left edge: what is beyond the box is not the object's.
            let input = picture(40..64, 52..76);
            let shown = show(&mut upscaler, &input, 0);
            assert_eq!(upscaler.faces().len(), 1, "{name}");
            assert!(upscaler.faces()[0].mask.is_some(), "{name}");
            let inside = at(&shown, 56, 64);
            assert!(inside > 252.0, "{name}: {inside} in the middle of the mask");
            for (x, y) in [(75, 64), (56, 40), (56, 87), (78, 42), (20, 64), (38, 64)] {
                let outside = at(&shown, x, y);
                assert!(outside < 3.0, "{name}: {outside} at {x},{y}");
            }
            // (2) of the rectangle that is bright and in the box, reckoned in f64. Edges of the mask are nowhere sharper than a pixel of the
            // detector's or a cell, so in the neighbourhood of an edge it may be off by as much as the steepest slope over so many pixels.
            let [(x0, x1), (y0, y1)] = BOX;
            let (width, height) = ((x1 - x0) as f64, (y1 - y0) as f64);
            let axis = |low: f64, high: f64, extent: f64, u: f64| {
                let (sigma, margin) = (SIGMA * extent, padding * extent);
                normal((u - low + margin) / sigma) - normal((u - high - margin) / sigma)
            };
            let slope = 0.4 / (SIGMA * width);
            let bound = f64::from(pixels) * slope + 0.02;
            let (mut worst, mut sum) = (0.0f64, 0.0);
            for y in 0..SIZE.height {
                for x in 0..SIZE.width {
                    let (u, v) = (x as f64 + 0.5, y as f64 + 0.5);
                    let expected = axis(48.0, 64.0, width, u) * axis(52.0, 76.0, height, v);
                    let off = (f64::from(at(&shown, x, y)) / 255.0 - expected).abs();
                    worst = worst.max(off);
                    sum += off;
                }
            }
            println!(
                "{name}, padding {padding}: w at most {worst:.3} off, bound {bound:.3}, in sum {sum:.1}"
            );
            assert!(worst < bound, "{name}: {worst}");
            // Soft at the edge.
            let edge: Vec<f32> = (58..72).map(|x| at(&shown, x, 64)).collect();
            let soft = edge.iter().filter(|w| (20.0..235.0).contains(*w)).count();
            assert!(
                soft >= 3 && edge.is_sorted_by(|a, b| a >= b),
                "{name}: {edge:?}"
            );
        }
    }
}

#[test]
fn the_expert_draws_under_the_mask_alone() {
    if !runtime() {
        return;
    }
    for (name, ..) in FILES {
        let mut upscaler = open(&config(&file(name)), View::Fused, 0.0);
        let input = picture(50..66, 52..76);
        let drawn = show(&mut upscaler, &input, 0);
        assert_eq!(
            at(&drawn, 58, 64),
            25.0,
            "{name}: its network turns it round"
        );
        for (x, y) in [(76, 64), (58, 44), (58, 84), (10, 10)] {
            assert_eq!(at(&drawn, x, y), 50.0, "{name}, {x},{y}");
        }
        // In a dark picture there is nothing at all.
        let dark = Picture {
            size: SIZE,
            data: vec![10; 3 * SIZE.area()],
        };
        let mut upscaler = open(&config(&file(name)), View::Fused, 0.0);
        let drawn = show(&mut upscaler, &dark, 0);
        assert!(upscaler.faces().is_empty() && drawn.data.iter().all(|v| *v == 10));
    }
}

/// The bright part goes from left to right in the box, and then stands still: the mask goes after it without a jump.
#[test]
fn a_mask_goes_with_what_it_shows() {
    if !runtime() {
        return;
    }
    for (name, ..) in FILES {
        let mut upscaler = open(&config(&file(name)), View::Mask, 0.0);
        let mut before = show(&mut upscaler, &picture(50..60, 50..78), 0);
        assert!(at(&before, 55, 64) > 240.0 && at(&before, 73, 64) < 3.0);
        let mut largest = 0.0f32;
        for number in 1..40 {
            let shift = (number as usize).min(18);
            let input = picture(50 + shift..60 + shift, 50..78);
            let now = show(&mut upscaler, &input, number);
            let steps = (46..82).map(|x| (at(&now, x, 64) - at(&before, x, 64)).abs());
            largest = steps.fold(largest, f32::max);
            before = now;
        }
        assert!(largest < 110.0, "{name}: a step of {largest} of 255");
        assert!(
            at(&before, 73, 64) > 240.0 && at(&before, 55, 64) < 3.0,
            "{name}"
        );
    }
}

/// Named in models.toml, for a kind of its own; and named wrong.
#[test]
fn families_can_be_named() {
    if !runtime() {
        return;
    }
    let tiny = models().join("tiny");
    let text = fs::read_to_string(tiny.join("models.toml")).unwrap();
    let entry = |name: &str| {
        let is_it = |block: &&str| block.contains(&format!("name = \"{name}\"\n"));
        text.split("[[model]]").find(is_it).unwrap().to_owned()
    };
    for (name, family, _) in FILES {
        let folder = tempfile::tempdir().unwrap();
        for file in ["bicubic-x4", "inverted-x4", name] {
            let file = format!("{file}.onnx");
            fs::copy(tiny.join(&file), folder.path().join(&file)).unwrap();
        }
        let sum = srfusion::models::sha256("model", &folder.path().join(format!("{name}.onnx")));
        let sum = sum.unwrap();
        let written = |family: &str| {
            let generator = entry("inverted-x4").replace("\"face\"", "\"blob\"");
            let mut toml = format!("[[model]]{}[[model]]{generator}", entry("bicubic-x4"));
            toml += &format!(
                "[[model]]\nname = \"{name}\"\nrole = \"detector\"\nsubject = \"blob\"\nfile = \"{name}.onnx\"\nsha256 = \"{sum}\"\n\
                 layout = \"nchw\"\nfamily = \"{family}\"\nrange = [0.0, 1.0]\nmask-padding = 0.0\nmask-sigma = 0.05\n\
                 licence = \"MIT\"\ntrained-on = \"nothing\"\n"
            );
            fs::write(folder.path().join("models.toml"), toml).unwrap();
        };
        let config = Config {
            objects: "blob".to_owned(),
            models_dir: Some(folder.path().to_owned()),
            ..config("none")
        };
        written(family.name());
        let mut upscaler = open(&config, View::Fused, 0.5);
        let drawn = show(&mut upscaler, &picture(50..66, 52..76), 0);
        assert_eq!(upscaler.objects()[0].len(), 1, "{name}");
        assert_eq!(
            (at(&drawn, 58, 64), at(&drawn, 76, 64)),
            (25.0, 50.0),
            "{name}"
        );
        // Of the classes that it tells apart, the one of what it finds; or another.
        for (classes, count) in [("[1]", 1), ("[0]", 0)] {
            written(&format!("{}\"\nclasses = {classes}\n# \"", family.name()));
            let mut upscaler = open(&config, View::Fused, 0.5);
            show(&mut upscaler, &picture(50..66, 52..76), 0);
            assert_eq!(upscaler.objects()[0].len(), count, "{name}, {classes}");
        }
        written("yunet");
        let error = Upscaler::open(&config, &Canceller::new(), &mut |_| ()).err();
        let error = error.unwrap().to_string();
        assert!(
            error.contains("a yunet detector") && error.contains(name),
            "{error}"
        );
        // A detector of boxes tells no classes.
        fs::copy(
            tiny.join("centre-face.onnx"),
            folder.path().join("centre-face.onnx"),
        )
        .unwrap();
        let boxes = entry("centre-face").replace("\"face\"", "\"blob\"");
        let boxes = boxes.replace("family = \"yolo\"", "classes = [0]");
        let generators = [
            entry("bicubic-x4"),
            entry("inverted-x4").replace("\"face\"", "\"blob\""),
        ];
        let toml = [&generators[..], &[boxes]].concat();
        let toml: String = toml
            .iter()
            .map(|block| format!("[[model]]{block}"))
            .collect();
        fs::write(folder.path().join("models.toml"), toml).unwrap();
        let error = Upscaler::open(&config, &Canceller::new(), &mut |_| ()).err();
        let error = error.unwrap().to_string();
        assert!(
            error.contains("tells classes apart") && error.contains("family yolo"),
            "{error}"
        );
        written("mask");
        let error = Upscaler::check(&config).unwrap_err().to_string();
        assert!(
            error.contains("yolo-seg") && error.contains("mask-rcnn"),
            "{error}"
        );
    }
}

/// Mask R-CNN as torchvision builds and exports it, with random weights (models/tiny/torchvision_mask_rcnn.py): known by its outputs, and what it finds
/// is what PyTorch found with it in the same picture.
#[test]
fn torchvisions_network_finds_what_pytorch_finds() {
    if !runtime() {
        return;
    }
    let shapes = models().join("tiny/shapes");
    let path = shapes.join("mask-rcnn.onnx");
    let path = path.to_str().unwrap();
    let found = probe(Path::new(path), &config("centre-face")).unwrap();
    let expected = (Some(Role::Detector), Some(Family::MaskRcnn));
    assert_eq!((found.role, found.family), expected, "{found}");
    let json = fs::read_to_string(shapes.join("mask-rcnn.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let size = Size::new(128, 96);
    let is_bright = |x: usize, y: usize| (40..80).contains(&x) && (24..72).contains(&y);
    let value = |i: usize| match is_bright(i % size.width, i / size.width) {
        true => 230,
        false => 50,
    };
    let data = (0..size.area()).flat_map(|i| [value(i); 3]).collect();
    let mut upscaler = open(&config(path), View::Mask, 0.0);
    show(&mut upscaler, &Picture { size, data }, 0);
    let boxes = report["found"].as_array().unwrap().iter().map(|found| {
        let sides = found["box"].as_array().unwrap();
        let sides: Vec<f32> = sides.iter().map(|v| v.as_f64().unwrap() as f32).collect();
        <[f32; 4]>::try_from(sides).unwrap()
    });
    // Below the least height nothing is followed.
    let wanted: Vec<_> = boxes.filter(|sides| sides[3] - sides[1] >= 12.0).collect();
    assert!(!wanted.is_empty());
    assert_eq!(upscaler.faces().len(), wanted.len());
    for face in upscaler.faces() {
        let b = face.bbox;
        let is_it = |sides: &&[f32; 4]| {
            let own = [b.x0, b.y0, b.x1, b.y1];
            sides.iter().zip(own).all(|(a, b)| (*a - b).abs() < 0.5)
        };
        assert!(
            wanted.iter().any(|sides| is_it(&sides)),
            "{face:?}, of {wanted:?}"
        );
        assert!(face.mask.is_some());
    }
}
