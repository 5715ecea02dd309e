//! Several kinds of objects: each drawn by its own expert under a mask of its own, fused by the larger weight, and made of nothing but entries of
//! models.toml.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use srfusion::testing::parts::Mask;
use srfusion::testing::{Bicubic, FixedFaces};
use srfusion::{
    BBox, Canceller, Config, Detection, Expert, Face, Format, Frame, FrameInfo, FrameMemory,
    GivenDetection, KindRules, MAX_KINDS, ObjectKind, Parameters, PixelFormat, Provider, Reuse,
    Size, Upscaler, View,
};

mod support;
use support::{Picture, Random, models, runtime, texture};

const SIZE: Size = Size::new(48, 36);

fn at(x0: f32, y0: f32, x1: f32, y1: f32) -> Detection {
    Detection {
        bbox: BBox { x0, y0, x1, y1 },
        score: 0.9,
        points: None,
        mask: None,
    }
}

/// Rules under which everything that is given counts at once.
fn rules(mask_padding: f64, mask_sigma: f64) -> KindRules {
    KindRules {
        mask_padding,
        mask_sigma,
        min_size: 1.0,
        ..KindRules::default()
    }
}

fn parameters(view: View, reuse: Reuse) -> Parameters {
    Parameters {
        view,
        reuse,
        min_face_size: 1.0,
        ..Parameters::default()
    }
}

/// How much an expert's picture is brighter than the general one.
const BRIGHTER: [f32; 3] = [0.2, -0.2, 0.1];

/// The kinds of the tests: faces, and two more of which the masks are another.
fn kinds() -> [ObjectKind; 3] {
    let kind = |name: &str, rules| ObjectKind {
        rules: Some(rules),
        ..ObjectKind::new(name)
    };
    [
        ObjectKind::faces(),
        kind("text", rules(0.3, 0.05)),
        kind("plate", rules(0.0, 0.2)),
    ]
}

/// An upscaler of the first `count` of [`kinds`]; each finds what is in `found`, or nothing.
fn upscaler(count: usize, found: Option<&[Vec<Detection>]>) -> Upscaler {
    let experts = kinds().into_iter().zip(BRIGHTER).take(count).enumerate();
    let experts = experts
        .map(|(place, (kind, brighter))| Expert {
            kind,
            generator: Some(Box::new(Bicubic::new(brighter))),
            detector: found.map(|found| Box::new(FixedFaces(found[place].clone())) as Box<_>),
        })
        .collect();
    Upscaler::with_experts(Box::new(Bicubic::new(0.0)), experts).unwrap()
}

fn draw(
    upscaler: &mut Upscaler,
    input: &Frame<'_>,
    format: Format,
    number: u64,
    objects: Option<(&[Detection], &[GivenDetection])>,
) -> FrameMemory {
    let large = input.size().scaled(4);
    let mut output = FrameMemory::default();
    output.fit(&format, large);
    let info = FrameInfo {
        pts: Some(Duration::from_millis(40 * number)),
        faces: objects.map(|(faces, _)| faces),
        ..FrameInfo::default()
    };
    let others = objects.map(|(_, others)| others);
    let mut target = output.frame(format, large).unwrap();
    upscaler
        .process_with(*input, &info, others, &mut target)
        .unwrap();
    output
}

/// All samples of a frame, component by component.
fn samples(memory: &mut FrameMemory, format: Format, size: Size) -> Vec<Vec<f32>> {
    let frame = memory.frame(format, size).unwrap();
    let components = format.layout().components().iter().enumerate();
    components
        .map(|(index, c)| {
            let (width, height) = (c.width(size.width), c.height(size.height));
            let mut all = vec![0.0; width * height];
            for (y, row) in all.chunks_exact_mut(width).enumerate() {
                frame.as_frame().read(index, y, 0, row);
            }
            all
        })
        .collect()
}

/// `w` of one kind's objects at every output pixel.
fn weights(objects: &[Detection], kind: &ObjectKind) -> Vec<f32> {
    let rules = kind.parameters(&parameters(View::Fused, Reuse::None));
    let faces: Vec<_> = objects
        .iter()
        .map(|found| Face {
            id: 1,
            bbox: found.bbox,
            score: found.score,
            points: None,
            weight: 1.0,
            held: false,
            mask: None,
        })
        .collect();
    let mut mask = Mask::default();
    mask.fill(&faces, SIZE, rules.mask_padding, rules.mask_sigma);
    let large = SIZE.scaled(4);
    let mut all = vec![0.0; large.area()];
    for (y, row) in all.chunks_exact_mut(large.width).enumerate() {
        mask.row(0, y, row);
    }
    all
}

/// (1) with the largest of the kinds' weights, over whole pictures that each network drew alone, against what is fused.
#[test]
fn the_larger_weight_counts_where_kinds_overlap() {
    let cases: [[Vec<Detection>; 3]; 5] = [
        [
            vec![at(6.0, 5.0, 24.0, 28.0)],
            vec![at(15.0, 12.0, 40.0, 22.0)],
            vec![],
        ],
        // One inside of another, both wholly drawn by their experts there: what lies below need not have been drawn.
        [
            vec![at(4.0, 4.0, 44.0, 33.0)],
            vec![at(18.0, 14.0, 30.0, 22.0)],
            vec![],
        ],
        [
            vec![at(18.3, 14.1, 30.7, 22.9)],
            vec![at(3.9, 3.7, 44.2, 33.3)],
            vec![at(10.0, 8.0, 36.0, 30.0)],
        ],
        // Alike: the first is taken.
        [vec![], vec![], vec![at(9.0, 9.0, 30.0, 30.0)]],
        [
            vec![at(2.0, 2.0, 12.0, 14.0)],
            vec![at(30.0, 2.0, 46.0, 12.0)],
            vec![at(8.0, 20.0, 30.0, 34.0)],
        ],
    ];
    let data = texture(SIZE, 5);
    let input = Frame::new(&data, SIZE, 3 * SIZE.width).unwrap();
    let large = SIZE.scaled(4);
    let rgb = Format::RGB;
    let i420 = Format {
        pixels: PixelFormat::I420,
        ..Format::RGB
    };
    for (case, found) in cases.iter().enumerate() {
        for format in [rgb, i420] {
            let mut fused = upscaler(3, Some(found));
            fused
                .set_parameters(parameters(View::Fused, Reuse::None))
                .unwrap();
            let mut drawn = draw(&mut fused, &input, format, 0, None);
            let drawn = samples(&mut drawn, format, large);
            assert_eq!(
                fused.objects().iter().map(Vec::len).collect::<Vec<_>>(),
                found.iter().map(Vec::len).collect::<Vec<_>>()
            );
            let alone = |brighter: f32| {
                let network = Box::new(Bicubic::new(brighter));
                let mut alone = Upscaler::with_networks(network, None, None, 0, None).unwrap();
                let mut whole = draw(&mut alone, &input, format, 0, None);
                samples(&mut whole, format, large)
            };
            let general = alone(0.0);
            let experts = BRIGHTER.map(alone);
            let masks: Vec<_> = found
                .iter()
                .zip(kinds())
                .map(|(objects, kind)| weights(objects, &kind))
                .collect();
            for (index, c) in format.layout().components().iter().enumerate() {
                let (width, height) = (c.width(large.width), c.height(large.height));
                for y in 0..height {
                    for x in 0..width {
                        // Mean over the pixels that share the sample.
                        let weight = |mask: &Vec<f32>| {
                            let (rows, columns) = (1usize << c.y_shift, 1usize << c.x_shift);
                            let mut sum = 0.0;
                            for v in 0..rows {
                                for u in 0..columns {
                                    sum += mask[(y * rows + v) * large.width + x * columns + u];
                                }
                            }
                            sum / (rows * columns) as f32
                        };
                        let all: Vec<f32> = masks.iter().map(weight).collect();
                        let largest = all.iter().copied().fold(0.0, f32::max);
                        let place = y * width + x;
                        let expected = |kind: usize| {
                            let w = all[kind];
                            w * experts[kind][index][place] + (1.0 - w) * general[index][place]
                        };
                        let found = drawn[index][place];
                        // Where two are alike but for rounding, either.
                        let fits = (0..3)
                            .filter(|kind| all[*kind] >= largest - 2e-3)
                            .any(|kind| (expected(kind) - found).abs() <= 1.5);
                        assert!(
                            fits,
                            "case {case}, component {index}, {x},{y}: weights {all:?}, found {found}, expected {:?}",
                            [0, 1, 2].map(expected)
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_tie_goes_to_the_kind_that_comes_first() {
    let data = texture(SIZE, 6);
    let input = Frame::new(&data, SIZE, 3 * SIZE.width).unwrap();
    let same = at(10.0, 8.0, 34.0, 28.0);
    let expert = |kind, brighter| Expert {
        kind,
        generator: Some(Box::new(Bicubic::new(brighter))),
        detector: Some(Box::new(FixedFaces(vec![same.clone()]))),
    };
    let draws = |experts: Vec<Expert>| {
        let mut upscaler = Upscaler::with_experts(Box::new(Bicubic::new(0.0)), experts).unwrap();
        let mut drawn = draw(&mut upscaler, &input, Format::RGB, 0, None);
        samples(&mut drawn, Format::RGB, SIZE.scaled(4))
    };
    let text = || ObjectKind::new("text");
    let faces = ObjectKind::faces;
    let both = draws(vec![expert(faces(), 0.2), expert(text(), -0.2)]);
    assert!(both == draws(vec![expert(faces(), 0.2)]));
    assert!(both != draws(vec![expert(text(), -0.2)]));
}

/// What is kept of several experts' pictures is as good as what is drawn anew, whatever moves; and numbers of tracks are each one object's.
#[test]
fn what_is_kept_of_several_kinds_is_what_would_be_drawn() {
    let mut random = Random(0x0dd_c0ffee);
    let mut data = texture(SIZE, 7);
    let (mut keeps, mut anew) = (upscaler(3, None), upscaler(3, None));
    keeps
        .set_parameters(parameters(View::Fused, Reuse::Exact))
        .unwrap();
    anew.set_parameters(parameters(View::Fused, Reuse::None))
        .unwrap();
    let mut boxes = [
        at(6.0, 5.0, 24.0, 28.0),
        at(15.0, 12.0, 40.0, 22.0),
        at(20.0, 20.0, 44.0, 34.0),
    ];
    let mut ids: Vec<std::collections::BTreeSet<u64>> = vec![Default::default(); 3];
    for number in 0..40 {
        if random.below(3) == 0 {
            let place = random.below(data.len());
            data[place] = data[place].wrapping_add(40);
        }
        if random.below(2) == 0 {
            let moved = &mut boxes[random.below(3)].bbox;
            let by = random.below(5) as f32 - 2.0;
            (moved.x0, moved.x1) = (moved.x0 + by, moved.x1 + by);
        }
        let there: Vec<bool> = (0..3).map(|_| random.below(4) > 0).collect();
        let faces: Vec<_> = boxes[..1].iter().filter(|_| there[0]).cloned().collect();
        let others: Vec<GivenDetection> = (1..3)
            .filter(|kind| there[*kind])
            .map(|kind| (kind, boxes[kind].clone()))
            .collect();
        let input = Frame::new(&data, SIZE, 3 * SIZE.width).unwrap();
        let given = Some((faces.as_slice(), others.as_slice()));
        let draw = |upscaler: &mut Upscaler| {
            let mut drawn = draw(upscaler, &input, Format::RGB, number, given);
            samples(&mut drawn, Format::RGB, SIZE.scaled(4))
        };
        assert!(draw(&mut keeps) == draw(&mut anew), "frame {number}");
        for (ids, objects) in ids.iter_mut().zip(keeps.objects()) {
            ids.extend(objects.iter().map(|object| object.id));
        }
    }
    let (kept, drawn) = (keeps.stats(), anew.stats());
    for kind in 0..3 {
        assert!(kept.kinds[kind].pixels_run < drawn.kinds[kind].pixels_run);
        assert!(kept.kinds[kind].frames > 0 && kept.kinds[kind].pixels > 0);
    }
    assert_eq!(
        kept.objects,
        kept.kinds.iter().map(|k| k.frames).sum::<u64>()
    );
    assert_eq!(kept.face_pixels, kept.kinds[0].pixels);
    assert!(ids.iter().all(|ids| !ids.is_empty()));
    assert!(
        ids[0].is_disjoint(&ids[1]) && ids[1].is_disjoint(&ids[2]) && ids[0].is_disjoint(&ids[2])
    );
}

/// One kind alone goes the way that faces went before there were others.
#[test]
fn faces_alone_are_as_they_were() {
    let data = texture(SIZE, 8);
    let input = Frame::new(&data, SIZE, 3 * SIZE.width).unwrap();
    let found = [vec![at(6.0, 5.0, 24.0, 28.0), at(20.0, 9.0, 40.0, 30.0)]];
    for view in [
        View::Fused,
        View::Face,
        View::Mask,
        View::Split,
        View::General,
    ] {
        let mut listed = upscaler(1, Some(&found));
        let mut plain = Upscaler::with_networks(
            Box::new(Bicubic::new(0.0)),
            Some(Box::new(Bicubic::new(BRIGHTER[0]))),
            Some(Box::new(FixedFaces(found[0].clone()))),
            0,
            None,
        )
        .unwrap();
        for number in 0..3 {
            let [mut first, mut second] = [&mut listed, &mut plain].map(|upscaler| {
                upscaler
                    .set_parameters(parameters(view, Reuse::Exact))
                    .unwrap();
                draw(upscaler, &input, Format::RGB, number, None)
            });
            let large = SIZE.scaled(4);
            let first = samples(&mut first, Format::RGB, large);
            assert!(first == samples(&mut second, Format::RGB, large), "{view}");
        }
        assert_eq!(listed.faces(), plain.faces());
        let ids: Vec<_> = listed.faces().iter().map(|face| face.id).collect();
        assert_eq!(ids, [1, 2]);
    }
}

/// An object of each of three kinds, apart from one another.
fn apart() -> [Vec<Detection>; 3] {
    [
        vec![at(2.0, 2.0, 16.0, 16.0)],
        vec![at(26.0, 2.0, 44.0, 14.0)],
        vec![at(4.0, 20.0, 24.0, 34.0)],
    ]
}

#[test]
fn objects_of_every_kind_are_drawn_whatever_the_time() {
    let data = texture(SIZE, 11);
    let input = Frame::new(&data, SIZE, 3 * SIZE.width).unwrap();
    let found = apart();
    let mut upscaler = upscaler(3, Some(&found));
    let large = SIZE.scaled(4);
    let mut output = FrameMemory::default();
    output.fit(&Format::RGB, large);
    let info = FrameInfo {
        budget: Some(Duration::from_nanos(1)),
        ..FrameInfo::default()
    };
    let mut target = output.frame(Format::RGB, large).unwrap();
    upscaler.process(input, &info, &mut target).unwrap();
    let stats = upscaler.stats();
    assert!(stats.pixels_late > 0 && stats.pixels_run == 0);
    for kind in &stats.kinds[..3] {
        assert!(kind.pixels_run > 0 && kind.pixels > 0);
    }
    assert_eq!(stats.objects, 3);
}

#[test]
fn each_kind_has_a_colour_of_its_own_in_the_mask() {
    let data = texture(SIZE, 9);
    let input = Frame::new(&data, SIZE, 3 * SIZE.width).unwrap();
    let found = apart();
    let mut upscaler = upscaler(3, Some(&found));
    upscaler
        .set_parameters(parameters(View::Mask, Reuse::None))
        .unwrap();
    let mut drawn = draw(&mut upscaler, &input, Format::RGB, 0, None);
    let planes = samples(&mut drawn, Format::RGB, SIZE.scaled(4));
    let pixel = |x: usize, y: usize| [0, 1, 2].map(|c| planes[c][4 * y * 4 * SIZE.width + 4 * x]);
    assert_eq!(pixel(9, 9), [255.0; 3]);
    let (text, plate) = (pixel(35, 8), pixel(14, 27));
    assert!(text != plate && ![text, plate].contains(&[255.0; 3]));
    assert!(text != [0.0; 3] && plate != [0.0; 3]);
    assert_eq!(pixel(46, 34), [0.0; 3]);
}

#[test]
fn a_kind_without_a_network_covers_nothing() {
    let data = texture(SIZE, 10);
    let input = Frame::new(&data, SIZE, 3 * SIZE.width).unwrap();
    let object = at(10.0, 8.0, 34.0, 28.0);
    let expert = |kind, generator| Expert {
        kind,
        generator,
        detector: Some(Box::new(FixedFaces(vec![object.clone()]))),
    };
    let text: Box<dyn srfusion::Generator> = Box::new(Bicubic::new(0.2));
    let experts = vec![
        expert(ObjectKind::faces(), None),
        expert(ObjectKind::new("text"), Some(text)),
    ];
    let mut upscaler = Upscaler::with_experts(Box::new(Bicubic::new(0.0)), experts).unwrap();
    let mut drawn = draw(&mut upscaler, &input, Format::RGB, 0, None);
    let text: Box<dyn srfusion::Generator> = Box::new(Bicubic::new(0.2));
    let alone = vec![expert(ObjectKind::new("text"), Some(text))];
    let mut alone = Upscaler::with_experts(Box::new(Bicubic::new(0.0)), alone).unwrap();
    let mut expected = draw(&mut alone, &input, Format::RGB, 0, None);
    let large = SIZE.scaled(4);
    let found = samples(&mut drawn, Format::RGB, large);
    assert!(found == samples(&mut expected, Format::RGB, large));
    assert_eq!(upscaler.faces().len(), 1);
    assert_eq!(alone.faces().len(), 0);
}

#[test]
fn too_many_kinds_or_one_twice_are_refused() {
    let open = |names: &[&str]| {
        let experts = names.iter().map(|name| Expert {
            kind: ObjectKind::new(name),
            generator: None,
            detector: None,
        });
        Upscaler::with_experts(Box::new(Bicubic::new(0.0)), experts.collect())
    };
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    assert!(open(&names[..MAX_KINDS]).is_ok());
    for wrong in [&names[..], &["a", "b", "a"]] {
        let error = open(wrong).err().unwrap().to_string();
        assert!(
            error.contains("objects") && error.contains("each once"),
            "{error}"
        );
    }
}

/// A models folder with the tiny networks that tests run, and a kind that no code knows.
fn folder(own: &str) -> tempfile::TempDir {
    let tiny = models().join("tiny");
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(tiny.join("models.toml")).unwrap();
    let entry = |name: &str| {
        let is_it = |block: &&str| block.contains(&format!("name = \"{name}\"\n"));
        text.split("[[model]]").find(is_it).unwrap().to_owned()
    };
    let mut toml = String::new();
    for name in ["bicubic-x4", "inverted-x4", "centre-face"] {
        toml += &format!("[[model]]{}", entry(name));
        let file = format!("{name}.onnx");
        fs::copy(tiny.join(&file), folder.path().join(&file)).unwrap();
    }
    // Two files and two entries: the network of faces and their detector under other names, for another subject.
    for (name, of, own) in [
        ("logo-x4", "inverted-x4", ""),
        ("logo-detector", "centre-face", own),
    ] {
        let block = entry(of)
            .replace(&format!("\"{of}\""), &format!("\"{name}\""))
            .replace(&format!("{of}.onnx"), &format!("{name}.onnx"))
            .replace("subject = \"face\"", &format!("subject = \"logo\"\n{own}"));
        toml += &format!("[[model]]{block}");
        let (from, to) = (format!("{of}.onnx"), format!("{name}.onnx"));
        fs::copy(tiny.join(from), folder.path().join(to)).unwrap();
    }
    fs::write(folder.path().join("models.toml"), toml).unwrap();
    folder
}

fn config(folder: &Path, objects: &str) -> Config {
    Config {
        general_model: "bicubic-x4".to_owned(),
        face_model: "inverted-x4".to_owned(),
        detector_model: "centre-face".to_owned(),
        objects: objects.to_owned(),
        models_dir: Some(folder.to_owned()),
        provider: Provider::Cpu,
        ..Config::default()
    }
}

fn open(config: &Config) -> srfusion::Result<Upscaler> {
    Upscaler::open(config, &Canceller::new(), &mut |_| ())
}

fn shown(upscaler: &mut Upscaler) -> Picture {
    let size = Size::new(64, 64);
    let picture = Picture {
        size,
        data: vec![200; 3 * size.area()],
    };
    let mut output = picture.enlarged();
    let info = FrameInfo::default();
    upscaler
        .process(picture.frame(), &info, &mut output.frame_mut())
        .unwrap();
    output
}

#[test]
fn a_third_kind_takes_two_files_and_two_entries() {
    if !runtime() {
        return;
    }
    let own = "roi-type = \"brand\"\nmask-padding = 0.5\nmin-confidence = 0.3\nmin-size = 4.0\nmax-objects = 2\nhold-time = \"1s\"\nfade-time = \"0\"";
    let folder = folder(own);
    // Named, it is followed and drawn.
    let mut logos = open(&config(folder.path(), "logo")).unwrap();
    let [kind] = &**logos.kinds() else {
        panic!("{:?}", logos.kinds())
    };
    assert_eq!(
        (kind.subject.as_str(), kind.roi_type.as_str()),
        ("logo", "brand")
    );
    let expected = KindRules {
        mask_padding: 0.5,
        min_confidence: 0.3,
        min_size: 4.0,
        max_objects: 2,
        hold_time: Duration::from_secs(1),
        fade_time: Duration::ZERO,
        ..KindRules::default()
    };
    assert_eq!(kind.rules, Some(expected));
    let roles: Vec<_> = logos.models().iter().map(|model| model.role).collect();
    assert_eq!(
        roles,
        ["general model", "logo model", "logo detector model"]
    );
    let drawn = shown(&mut logos);
    let middle = 3 * (128 * drawn.size.width + 128);
    assert_eq!(drawn.data[middle], 55, "its network turns colours round");
    assert_eq!(drawn.data[3 * (drawn.size.width + 1)], 200);
    assert_eq!((logos.objects()[0].len(), logos.faces().len()), (1, 0));
    assert_eq!(logos.stats().kinds[0].objects, 1);
    // Not named, it is not there; and faces are what they are without a word of objects.
    let mut faces = open(&config(folder.path(), "face")).unwrap();
    let default = Config {
        objects: Config::default().objects,
        ..config(folder.path(), "face")
    };
    let mut plain = open(&default).unwrap();
    assert!(shown(&mut faces).data == shown(&mut plain).data);
    assert_eq!(faces.models().len(), 3);
    assert_eq!(faces.kinds().as_ref(), [ObjectKind::faces()]);
    // Both, and none.
    let both = open(&config(folder.path(), "logo,face")).unwrap();
    let subjects: Vec<_> = both.kinds().iter().map(|kind| &kind.subject[..]).collect();
    assert_eq!(subjects, ["face", "logo"]);
    let mut none = open(&config(folder.path(), "none")).unwrap();
    assert!(none.kinds().is_empty() && none.models().len() == 1);
    assert!(shown(&mut none).data.iter().all(|sample| *sample == 200));
    // Another generator than the first of that subject.
    let mut plain = open(&config(folder.path(), "logo=bicubic-x4")).unwrap();
    assert_eq!(shown(&mut plain).data[middle], 200);
    assert_eq!(plain.stats().kinds[0].objects, 1);
    // Where objects come with the frames no detector is opened.
    let given = Config {
        given_objects: true,
        ..config(folder.path(), "face,logo")
    };
    let given = open(&given).unwrap();
    let roles: Vec<_> = given.models().iter().map(|model| model.role).collect();
    assert_eq!(roles, ["general model", "face model", "logo model"]);
}

#[test]
fn what_is_said_wrong_of_a_kind_is_told() {
    let wrong = |own: &str, objects: &str| {
        let folder = folder(own);
        let error = Upscaler::check(&config(folder.path(), objects));
        error.unwrap_err().to_string()
    };
    for (own, objects, parts) in [
        (
            "",
            "face,plate",
            &["plate model", "subject = \"plate\"", "face, logo"][..],
        ),
        ("", "face,Logo", &["objects", "joined by commas"]),
        ("", "logo=no-such", &["logo model", "no-such"]),
        (
            "mask-sigma = 2.0",
            "logo",
            &["logo-detector", "mask-sigma 2", "from 0 to 1"],
        ),
        ("smoothing = 1.0", "logo", &["smoothing 1", "0.999"]),
        ("hold-time = \"soon\"", "logo", &["hold-time soon", "400ms"]),
        ("roi-type = \"\"", "logo", &["roi-type is empty"]),
        ("max-objects = 5000", "logo", &["max-objects 5000", "1024"]),
    ] {
        let error = wrong(own, objects);
        for part in parts {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
    // Of faces the settings say it.
    let folder = folder("");
    let path = folder.path().join("models.toml");
    let text = fs::read_to_string(&path).unwrap();
    for (line, part) in [
        (
            "subject = \"face\"\nmask-padding = 0.2",
            "of faces the properties",
        ),
        (
            "subject = \"general\"\nmask-padding = 0.2",
            "kinds of objects",
        ),
        ("subject = \"Face\"", "subject Face"),
        ("subject = \"none\"", "subject none"),
    ] {
        fs::write(&path, text.replacen("subject = \"face\"", line, 1)).unwrap();
        let error = Upscaler::check(&config(folder.path(), "face")).unwrap_err();
        assert!(
            error.to_string().contains(part),
            "{part} is not in: {error}"
        );
    }
}

#[test]
fn of_text_it_is_said_that_it_is_guessed() {
    let folder = folder("");
    let path = folder.path().join("models.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"logo\"", "\"text\"")).unwrap();
    let notices = |objects: &str| {
        let found = srfusion::models::resolve_all(&config(folder.path(), objects)).unwrap();
        found.notices
    };
    assert!(notices("face").is_empty());
    let [notice] = &notices("face,text")[..] else {
        panic!("expected one notice")
    };
    assert!(
        notice.text.contains("must not be read in the output"),
        "{notice}"
    );
}
