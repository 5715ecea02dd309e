//! Shipped and public models in ONNX Runtime: tiling, face regions, detectors, probing, and what is said of wrong files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use srfusion::models::{self, Catalogue, Role};
use srfusion::{
    BBox, Canceller, Config, Detection, Error, FrameInfo, NO_MODEL, Parameters, Provider, Size,
    Upscaler, View,
};

mod support;
use support::{Picture, data, models, runtime};

fn config(general: &str, face: &str) -> Config {
    Config {
        general_model: general.to_owned(),
        face_model: face.to_owned(),
        detector_model: NO_MODEL.to_owned(),
        models_dir: Some(models()),
        provider: Provider::Cpu,
        ..Config::default()
    }
}

fn open(config: &Config) -> Upscaler {
    Upscaler::open(config, &Canceller::new(), &mut |_| ()).unwrap()
}

fn upscale(upscaler: &mut Upscaler, picture: &Picture, view: View, faces: &[Detection]) -> Picture {
    upscaler.reset();
    upscaler
        .set_parameters(Parameters {
            view,
            min_face_size: 1.0,
            ..Parameters::default()
        })
        .unwrap();
    let mut output = picture.enlarged();
    let info = FrameInfo {
        pts: None,
        faces: Some(faces),
        ..FrameInfo::default()
    };
    upscaler
        .process(picture.frame(), &info, &mut output.frame_mut())
        .unwrap();
    output
}

/// A real picture of odd size with detail up to its edges.
fn picture(data: &Path) -> Picture {
    Picture::open(&data.join("dev/general/Set14/HR/014.png")).crop(40, 30, 151, 117)
}

fn faces() -> Vec<Detection> {
    [(20.0, 30.0, 52.0, 70.0), (100.0, -8.0, 130.0, 28.0)]
        .map(|(x0, y0, x1, y1)| Detection {
            bbox: BBox { x0, y0, x1, y1 },
            score: 0.9,
            points: None,
            mask: None,
        })
        .to_vec()
}

/// Tiled equals untiled, and the face network by regions equals the face network over the frame.
#[track_caller]
fn tiles_do_not_show(general: &str, face: &str, tile_size: usize, data: &Path) {
    let picture = picture(data);
    let faces = faces();
    let mut whole = open(&Config {
        tile_size: 4096,
        ..config(general, face)
    });
    let mut tiled = open(&Config {
        tile_size,
        ..config(general, face)
    });
    for view in [View::General, View::Face, View::Fused] {
        let (a, b) = (
            upscale(&mut whole, &picture, view, &faces),
            upscale(&mut tiled, &picture, view, &faces),
        );
        let distance = a.distance(&b);
        println!(
            "{general} + {face}, {view:?}: tiles of {tile_size} differ from one tile by {distance} of 255"
        );
        assert!(distance <= 1);
    }
    assert!(
        tiled.stats().runs > 3 * whole.stats().runs / 2,
        "nothing was tiled"
    );

    // (1) from the three other views: w, I_face over the whole frame, I_general over the whole frame.
    let fused = upscale(&mut tiled, &picture, View::Fused, &faces);
    let [i_face, i_general] =
        [View::Face, View::General].map(|view| upscale(&mut whole, &picture, view, &faces));
    let mut mask = srfusion::testing::parts::Mask::default();
    let parameters = Parameters::default();
    let fully: Vec<_> = faces
        .iter()
        .map(|f| srfusion::Face {
            id: 0,
            bbox: f.bbox,
            score: 1.0,
            points: None,
            weight: 1.0,
            held: false,
            mask: None,
        })
        .collect();
    mask.fill(
        &fully,
        picture.size,
        parameters.mask_padding,
        parameters.mask_sigma,
    );
    let mut w = vec![0.0; fused.size.width];
    let mut worst = 0.0f32;
    for y in 0..fused.size.height {
        mask.row(0, y, &mut w);
        for (x, w) in w.iter().enumerate() {
            for c in 0..3 {
                let i = (y * fused.size.width + x) * 3 + c;
                let value =
                    w * f32::from(i_face.data[i]) + (1.0 - w) * f32::from(i_general.data[i]);
                worst = worst.max((value - f32::from(fused.data[i])).abs());
            }
        }
    }
    println!(
        "{general} + {face}: fused by regions differs from (1) over whole frames by {worst:.2} of 255"
    );
    // Both whole pictures were rounded to 255 levels before, which is half a level more.
    assert!(worst <= 1.5);
}

/// A ramp from dark to light in black and white dots, by ordered and by error-diffusion dithering.
fn halftones() -> [Picture; 2] {
    let size = Size::new(128, 96);
    let grey = |x: usize| 20.0 + 215.0 * x as f32 / 127.0;
    let bayer = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5];
    let ordered = (0..size.area()).flat_map(|i| {
        let (x, y) = (i % size.width, i / size.width);
        let threshold = (bayer[y % 4 * 4 + x % 4] as f32 + 0.5) * 16.0;
        [if grey(x) > threshold { 255 } else { 0 }; 3]
    });
    let mut left: Vec<f32> = (0..size.area()).map(|i| grey(i % size.width)).collect();
    let mut diffused = Vec::new();
    for y in 0..size.height {
        for x in 0..size.width {
            let wanted = left[y * size.width + x];
            let dot = if wanted > 127.5 { 255.0 } else { 0.0 };
            diffused.extend([dot as u8; 3]);
            // Floyd and Steinberg's shares of the error.
            for (dx, dy, share) in [(1, 0, 7.0), (-1, 1, 3.0), (0, 1, 5.0), (1, 1, 1.0)] {
                let (x, y) = (x as isize + dx, y + dy);
                if (0..size.width as isize).contains(&x) && y < size.height {
                    left[y * size.width + x as usize] += (wanted - dot) * share / 16.0;
                }
            }
        }
    }
    [ordered.collect(), diffused].map(|data| Picture { size, data })
}

/// Networks draw dots darker than they are by a quarter of the range; what comes out is as bright as what went in, and tiles do not show.
#[test]
fn halftones_keep_their_mean() {
    if !runtime() {
        return;
    }
    let mean = |picture: &Picture| {
        picture.data.iter().map(|v| f64::from(*v)).sum::<f64>() / picture.data.len() as f64
    };
    for model in [
        "general-x4",
        "general-x4-fast",
        "general-x4-camera",
        "general-x4-natural",
    ] {
        let mut whole = open(&config(model, NO_MODEL));
        let mut tiled = open(&Config {
            tile_size: 57,
            ..config(model, NO_MODEL)
        });
        for picture in halftones() {
            let drawn = upscale(&mut whole, &picture, View::Fused, &[]);
            let (before, after) = (mean(&picture), mean(&drawn));
            println!("{model}: mean {before:.1} before, {after:.1} after");
            assert!((before - after).abs() <= 4.0, "{model}: {before} {after}");
            let distance = drawn.distance(&upscale(&mut tiled, &picture, View::Fused, &[]));
            assert!(distance <= 1, "{model}: tiles differ by {distance}");
        }
    }
}

/// The pairs that ship with a partner for `detail`: halfway there lies between the two, and the reports say what runs.
#[test]
fn the_shipped_pairs_go_on_to_their_natural_partners() {
    if !runtime() {
        return;
    }
    let (size, faces) = (Size::new(72, 56), faces());
    let wave = |i: usize| {
        let (x, y) = ((i % size.width) as f32, (i / size.width) as f32);
        128.0 + 50.0 * (0.9 * x + 0.2 * y).sin() + 50.0 * (0.3 * x - 0.7 * y).cos()
    };
    let data = (0..size.area()).flat_map(|i| [wave(i) as u8; 3]).collect();
    let picture = Picture { size, data };
    // What is mixed goes there.
    let cache = tempfile::tempdir().unwrap();
    let away = |a: &Picture, b: &Picture| {
        let pairs = a.data.iter().zip(&b.data);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.data.len() as f64
    };
    for (general, face) in [
        ("general-x4", "face-x4"),
        ("general-x4-camera", "face-x4-camera"),
    ] {
        let draw = |detail: f64| {
            let mut upscaler = open(&Config {
                detail,
                cache_dir: Some(cache.path().to_owned()),
                ..config(general, face)
            });
            let names: Vec<_> = upscaler
                .models()
                .iter()
                .map(|model| model.name.clone())
                .collect();
            let drawn = [View::General, View::Face]
                .map(|view| upscale(&mut upscaler, &picture, view, &faces));
            (names, drawn)
        };
        let ([plain, half, natural], names) = {
            let all = [0.0, 0.5, 1.0].map(draw);
            let names = all.each_ref().map(|(names, _)| names.clone());
            (all.map(|(_, drawn)| drawn), names)
        };
        assert!(
            names[1].iter().all(|name| name.ends_with(" at detail 0.5")),
            "{names:?}"
        );
        for view in 0..2 {
            let (near, far) = (
                away(&plain[view], &half[view]),
                away(&plain[view], &natural[view]),
            );
            println!("{general}, {face}, view {view}: {near:.2} and {far:.2} levels away");
            assert!(
                0.1 < near && near < far && far < 20.0,
                "{general}, {face}: {near} {far}"
            );
        }
    }
}

#[test]
fn tiles_do_not_show_with_shipped_models() {
    if let (true, Some(data)) = (runtime(), data()) {
        tiles_do_not_show("general-x4", "face-x4", 57, &data);
    }
}

#[test]
fn tiles_do_not_show_with_the_public_generator() {
    if let (true, Some(data)) = (runtime(), data()) {
        // Not in the catalogue: its radius is measured.
        let path = data.join("dev/models/realesr-animevideov3-x4.onnx");
        let path = path.to_str().unwrap();
        tiles_do_not_show(path, path, 80, &data);
    }
}

#[test]
fn probe_measures_what_the_catalogue_says() {
    if !runtime() {
        return;
    }
    let config = Config {
        provider: Provider::Cpu,
        ..Config::default()
    };
    let catalogue = Catalogue::load(&models()).unwrap();
    for entry in catalogue.entries() {
        models::verify(catalogue.dir(), entry).unwrap();
        let probe =
            srfusion::open::probe::probe(&catalogue.dir().join(&entry.file), &config).unwrap();
        assert_eq!(probe.role, Some(entry.role), "{}", entry.name);
        match entry.role {
            Role::Generator => {
                assert_eq!(probe.scale, entry.scale, "{}", entry.name);
                let (measured, noted) = (
                    probe.receptive_radius.unwrap(),
                    entry.receptive_radius.unwrap(),
                );
                assert!(
                    measured <= noted && measured + 2 >= noted,
                    "{}: {measured} measured, {noted} noted",
                    entry.name
                );
            }
            Role::Detector => assert_eq!(probe.family, entry.family, "{}", entry.name),
        }
    }
    if let Some(data) = data() {
        let public = |name: &str| {
            srfusion::open::probe::probe(&data.join("dev/models").join(name), &config).unwrap()
        };
        let generator = public("realesr-animevideov3-x4.onnx");
        assert_eq!(
            (generator.scale, generator.receptive_radius),
            (Some(4), Some(18))
        );
        assert_eq!(
            public("yunet-dynamic.onnx").family,
            Some(srfusion::Family::YuNet)
        );
        assert_eq!(
            public("ultraface-rfb-640.onnx").family,
            Some(srfusion::Family::UltraFace)
        );
        assert!(public("mobilefacenet-embedding.onnx").unusable.is_some());
    }
}

/// Recall of the faces of 24 pixels and more that a person annotated, and false boxes per picture, at IoU 0.4.
fn measure(detector: &str, data: &Path) -> (f64, f64) {
    #[derive(serde::Deserialize)]
    struct Truth {
        file: String,
        boxes: Vec<[f32; 4]>,
        ignore: Vec<[f32; 4]>,
        truth: String,
    }
    let folder = data.join("dev/detect");
    let truths: Vec<Truth> =
        serde_json::from_slice(&std::fs::read(folder.join("boxes.json")).unwrap()).unwrap();
    let truths: Vec<Truth> = truths
        .into_iter()
        .filter(|truth| truth.truth == "annotated")
        .collect();
    // The mask view runs no generator: only the faces are wanted.
    let config = Config {
        detector_model: detector.to_owned(),
        ..config("general-x4", "face-x4")
    };
    let mut upscaler = open(&config);
    let parameters = Parameters {
        view: View::Mask,
        max_faces: 200,
        min_face_size: 8.0,
        ..Parameters::default()
    };
    upscaler.set_parameters(parameters).unwrap();
    let (mut hit, mut all, mut wrong) = (0u32, 0u32, 0u32);
    for truth in &truths {
        let picture = Picture::open(&folder.join(&truth.file));
        let mut output = picture.enlarged();
        upscaler.reset();
        upscaler
            .process(
                picture.frame(),
                &FrameInfo::default(),
                &mut output.frame_mut(),
            )
            .unwrap();
        let bbox = |b: &[f32; 4]| BBox {
            x0: b[0],
            y0: b[1],
            x1: b[2],
            y1: b[3],
        };
        let matches = |b: &[f32; 4]| {
            upscaler
                .faces()
                .iter()
                .any(|face| face.bbox.iou(bbox(b)) >= 0.4)
        };
        for b in truth
            .boxes
            .iter()
            .filter(|b| (b[3] - b[1]).min(b[2] - b[0]) >= 24.0)
        {
            all += 1;
            hit += u32::from(matches(b));
        }
        wrong += upscaler
            .faces()
            .iter()
            .filter(|face| {
                let known = truth.boxes.iter().chain(&truth.ignore);
                known.map(bbox).all(|b| face.bbox.iou(b) < 0.3)
            })
            .count() as u32;
    }
    (
        f64::from(hit) / f64::from(all),
        f64::from(wrong) / truths.len() as f64,
    )
}

#[test]
fn detectors_find_faces() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let public = |name: &str| {
        data.join("dev/models")
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    };
    for (detector, least) in [
        ("face-detector".to_owned(), 0.8),
        (public("yunet-dynamic.onnx"), 0.8),
        (public("yunet-640.onnx"), 0.8),
        (public("ultraface-rfb-320.onnx"), 0.5),
        (public("ultraface-rfb-640.onnx"), 0.6),
    ] {
        let (recall, wrong) = measure(&detector, &data);
        println!("{detector}: recall {recall:.3} at {wrong:.2} false boxes a picture");
        assert!(
            recall >= least,
            "{detector}: recall {recall}, expected {least}"
        );
        assert!(wrong <= 1.0, "{detector}: {wrong} false boxes a picture");
    }
}

#[test]
fn wrong_files_are_named() {
    if !runtime() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let message = |config: &Config| match Upscaler::open(config, &Canceller::new(), &mut |_| ()) {
        Ok(_) => panic!("opened"),
        Err(e) => e.to_string(),
    };

    let missing = message(&config(&path("missing.onnx"), NO_MODEL));
    assert!(
        missing.contains("general model") && missing.contains("missing.onnx"),
        "{missing}"
    );

    let unknown = message(&config("no-such-model", NO_MODEL));
    assert!(
        unknown.contains("no-such-model") && unknown.contains("general-x4"),
        "{unknown}"
    );

    std::fs::write(folder.join("noise.onnx"), [0x5a; 999]).unwrap();
    let noise = message(&config(&path("noise.onnx"), NO_MODEL));
    assert!(
        noise.contains("noise.onnx") && noise.contains("found a file that is damaged"),
        "{noise}"
    );

    let role = message(&config("face-detector", NO_MODEL));
    assert!(
        role.contains("expected a generator, found a detector"),
        "{role}"
    );

    // A catalogue whose file has one bit flipped.
    let mut bytes = std::fs::read(models().join("general-x4.onnx")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(folder.join("general-x4.onnx"), bytes).unwrap();
    std::fs::copy(models().join("models.toml"), folder.join("models.toml")).unwrap();
    let broken = Config {
        models_dir: Some(folder.to_owned()),
        ..config("general-x4", NO_MODEL)
    };
    assert!(matches!(
        Upscaler::check(&broken),
        Err(Error::Corrupt { .. })
    ));
    let flipped = message(&broken);
    assert!(
        flipped.contains("general-x4.onnx") && flipped.matches("sha256").count() == 2,
        "{flipped}"
    );

    // The wheel for CPUs has no CUDA, and a machine without a GPU cannot load it either.
    if !Path::new("/dev/nvidia0").exists() {
        let cuda = message(&Config {
            provider: Provider::Cuda,
            ..config("general-x4", NO_MODEL)
        });
        assert!(
            cuda.contains("general-x4")
                && cuda.contains("cuda: ")
                && cuda.contains("provider=auto"),
            "{cuda}"
        );
    }
}

#[test]
fn cancelled_while_opening_and_while_running() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let canceller = Canceller::new();
    let result = Upscaler::open(&config("general-x4", "face-x4"), &canceller, &mut |step| {
        if step.index == 1 {
            canceller.cancel();
        }
    });
    assert!(matches!(result, Err(Error::Cancelled)));

    canceller.reset();
    let path = data.join("dev/models/realesr-animevideov3-x4.onnx");
    let mut upscaler = Upscaler::open(
        &config(path.to_str().unwrap(), NO_MODEL),
        &canceller,
        &mut |_| (),
    )
    .unwrap();
    let picture = Picture::open(&data.join("dev/general/Set14/HR/014.png"));
    let mut output = picture.enlarged();
    let stop = canceller.clone();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        stop.cancel();
    });
    let result = upscaler.process(
        picture.frame(),
        &FrameInfo::default(),
        &mut output.frame_mut(),
    );
    stopper.join().unwrap();
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    canceller.reset();
    let small = picture.crop(0, 0, 40, 30);
    let mut output = small.enlarged();
    upscaler
        .process(
            small.frame(),
            &FrameInfo::default(),
            &mut output.frame_mut(),
        )
        .unwrap();
}

#[test]
fn the_default_threshold_is_the_shipped_detectors() {
    let catalogue = Catalogue::load(&models()).unwrap();
    let entry = catalogue
        .entries()
        .iter()
        .find(|e| e.name == srfusion::DEFAULT_DETECTOR_MODEL)
        .unwrap();
    assert_eq!(
        entry.min_confidence,
        Some(Parameters::default().min_confidence)
    );
}

/// Faces that are small once a large frame is shrunk are found where it is shrunk less.
#[test]
fn a_larger_detector_size_finds_smaller_faces() {
    let Some(data) = data() else { return };
    if !runtime() {
        return;
    }
    let found = |detector_size: usize| -> usize {
        let mut upscaler = open(&Config {
            detector_model: "face-detector".to_owned(),
            detector_size,
            ..config("general-x4-fast", "face-x4-fast")
        });
        // Nothing is drawn but the mask.
        let parameters = Parameters {
            view: View::Mask,
            ..Parameters::default()
        };
        upscaler.set_parameters(parameters).unwrap();
        let names = ["2008_001322", "2008_002079", "2008_002470", "2008_002506"];
        let count = |name: &str| {
            let path = data.join(format!("dev/detect/dlib-examples-faces-{name}.jpg"));
            let small = Picture::open(&path);
            // A part of a frame twice as wide as the detector takes by default.
            let mut large = Picture {
                size: Size::new(1920, 1080),
                data: vec![90; 1920 * 1080 * 3],
            };
            for y in 0..small.size.height.min(1080) {
                let row = small.frame().row(y);
                large.data[y * 1920 * 3..][..row.len()].copy_from_slice(row);
            }
            upscaler.reset();
            let mut output = large.enlarged();
            let info = FrameInfo::default();
            upscaler
                .process(large.frame(), &info, &mut output.frame_mut())
                .unwrap();
            upscaler.faces().len()
        };
        names.into_iter().map(count).sum()
    };
    let (farther, usual, closer) = (found(640), found(0), found(1920));
    assert!(
        closer >= farther + 3 && (farther..=closer).contains(&usual),
        "{farther}, {usual} and {closer} faces"
    );
}

/// What `srfusion tune` has measured to be the fastest is tried first, on this machine and with these networks alone; where it cannot be had, the others are.
#[test]
fn what_was_measured_to_be_the_fastest_is_tried_first() {
    use srfusion::open::tuned::{FORMAT, Machine, ModelSums, path};
    if !runtime() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let auto = Config {
        provider: Provider::Auto,
        cache_dir: Some(cache.path().to_owned()),
        ..config("general-x4-fast", NO_MODEL)
    };
    let version = srfusion::runtime::library::load(None).unwrap().version;
    let machine = Machine::here(version);
    let sums = ModelSums::of(&models::resolve_all(&auto).unwrap());
    let file = path(&auto, &machine, &sums).unwrap();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let tried = |format: u32, cores: usize, general: &str, provider: &str| {
        let text = serde_json::json!({
            "format": format,
            "machine": Machine { cores, ..machine.clone() },
            "models": ModelSums { general: general.to_owned(), ..sums.clone() },
            "best": { "provider": provider },
        });
        std::fs::write(&file, text.to_string()).unwrap();
        let mut upscaler = open(&auto);
        let notices = upscaler.take_notices();
        let mut told = notices.iter().map(ToString::to_string);
        let told = told.find(|notice| notice.contains("srfusion tune"));
        (told, upscaler.models()[0].clone())
    };
    let (cores, general) = (machine.cores, sums.general.as_str());
    let (told, model) = tried(FORMAT, cores, general, "cpu");
    assert!(told.is_some_and(|told| told.contains("cpu")));
    assert_eq!((model.provider, model.refused), (Provider::Cpu, Vec::new()));
    let (told, model) = tried(FORMAT, cores, general, "cuda");
    assert!(told.is_some_and(|told| told.contains("cuda")));
    if model.provider == Provider::Cpu {
        // Not here: why is told as ever, and first.
        assert_eq!(model.refused[0].0, Provider::Cuda);
    }
    for (format, cores, general, provider) in [
        (FORMAT + 1, cores, general, "cpu"),
        (FORMAT, cores + 1, general, "cpu"),
        (FORMAT, cores, "another", "cpu"),
        (FORMAT, cores, general, "no-such"),
        (FORMAT, cores, general, "auto"),
    ] {
        assert_eq!(tried(format, cores, general, provider).0, None);
    }
    std::fs::write(&file, "{").unwrap();
    assert!(
        open(&auto)
            .take_notices()
            .iter()
            .all(|n| !n.to_string().contains("tune"))
    );
}
