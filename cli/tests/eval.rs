//! `srfusion eval`: the numbers of the Python evaluation, and what is said about folders that do not fit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use serde_json::Value;

mod support;
use support::{BICUBIC, FACES, Folder, assert_fails, has, play, run, runtime};

/// The folder of development pictures, or `None` after saying so.
fn data() -> Option<PathBuf> {
    let near = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("SRFUSION_DATA").map_or_else(near, PathBuf::from);
    let folder = folder.join("dev");
    if folder.join("general/Set5/HR").is_dir() {
        Some(folder)
    } else {
        eprintln!(
            "skipped: no data in {}; set SRFUSION_DATA",
            folder.display()
        );
        None
    }
}

#[track_caller]
fn eval(folder: &Path, options: &[&str]) -> Value {
    let arguments = [&["eval", folder.to_str().unwrap(), "--json"], options].concat();
    let result = run(&arguments);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&result.stdout).unwrap()
}

/// Asserts PSNR to 0.001 dB and SSIM to 0.0001 of each picture.
#[track_caller]
fn assert_scores(report: &Value, expected: &[(&str, f64, f64)]) {
    let pictures = report["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), expected.len());
    for (picture, (name, psnr, ssim)) in pictures.iter().zip(expected) {
        assert_eq!(picture["name"], *name);
        let found = |key: &str| picture[key].as_f64().unwrap();
        assert!(
            (found("psnr") - psnr).abs() < 0.001,
            "{name} {psnr}: {picture}"
        );
        assert!(
            (found("ssim") - ssim).abs() < 0.0001,
            "{name} {ssim}: {picture}"
        );
    }
}

// The numbers expected below were printed by evaluate_generator.py of models/training for the same pictures and networks.

#[test]
fn set5_as_the_python_evaluation_has_it() {
    let Some(data) = data() else { return };
    let (truth, low) = (data.join("general/Set5/HR"), data.join("general/Set5/LRx4"));
    let low = low.to_str().unwrap();
    let given = eval(&truth, &["--view", "bicubic", "--lr", low]);
    assert_scores(
        &given,
        &[
            ("001", 31.78645, 0.857656),
            ("002", 30.18704, 0.873809),
            ("003", 22.10101, 0.737484),
            ("004", 31.61504, 0.754664),
            ("005", 26.46923, 0.832699),
        ],
    );
    assert!((given["mean"]["psnr"].as_f64().unwrap() - 28.43175).abs() < 0.001);
    assert_eq!(given["mean"]["psnr"], given["mean"]["bicubic"]["psnr"]);
    assert_scores(
        &eval(&truth, &["--view", "bicubic"]),
        &[
            ("001", 31.78674, 0.857680),
            ("002", 30.18624, 0.873827),
            ("003", 22.09976, 0.737444),
            ("004", 31.61733, 0.754783),
            ("005", 26.46696, 0.832610),
        ],
    );
}

#[test]
fn a_network_as_the_python_evaluation_has_it() {
    let Some(data) = data() else { return };
    if !runtime() {
        return;
    }
    let model = data.join("models/realesr-animevideov3-x4.onnx");
    let (truth, low) = (data.join("general/Set5/HR"), data.join("general/Set5/LRx4"));
    let options = [
        "--general-model",
        model.to_str().unwrap(),
        "--face-model",
        "none",
        "--detector-model",
        "none",
        "--lr",
        low.to_str().unwrap(),
    ];
    assert_scores(
        &eval(&truth, &options),
        &[
            ("001", 31.00329, 0.857084),
            ("002", 29.37919, 0.867797),
            ("003", 23.16762, 0.826361),
            ("004", 31.05563, 0.740386),
            ("005", 26.64576, 0.843685),
        ],
    );
}

#[test]
fn pictures_are_cut_and_paired() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("eval");
    let (truth, low) = (folder.file("hr"), folder.file("lr"));
    std::fs::create_dir_all(&truth).unwrap();
    std::fs::create_dir_all(&low).unwrap();
    let picture = RgbImage::from_fn(47, 41, |x, y| {
        Rgb([(x * 5) as u8, (y * 6) as u8, (x * y % 200) as u8])
    });
    picture.save(truth.join("a.png")).unwrap();
    std::fs::write(truth.join("notes.txt"), "no picture").unwrap();
    let report = eval(&truth, BICUBIC);
    let row = &report["pictures"][0];
    assert_eq!((&row["width"], &row["height"]), (&44.into(), &40.into()));
    assert_eq!(report["pictures"].as_array().unwrap().len(), 1);
    // The tiny network interpolates as the reference does, but for the edges and its rounding.
    let psnr = |value: &Value| value["psnr"].as_f64().unwrap();
    assert!((psnr(row) - psnr(&row["bicubic"])).abs() < 1.0, "{row}");

    // Two pictures of one name: neither is left out without a word.
    picture.save(truth.join("a.bmp")).unwrap();
    let both = run(&["eval", truth.to_str().unwrap(), "--view", "bicubic"]);
    assert_fails(&both, 1, &["a.png", "a.bmp", "rename"]);
    std::fs::remove_file(truth.join("a.bmp")).unwrap();

    let run_with = |low: &Path| {
        let (truth, low) = (truth.to_str().unwrap(), low.to_str().unwrap());
        run(&["eval", truth, "--lr", low, "--view", "bicubic"])
    };
    assert_fails(&run_with(&low), 1, &["lr", "no picture"]);
    picture.save(low.join("b.png")).unwrap();
    assert_fails(&run_with(&low), 1, &["lr", "named a"]);
    picture.save(low.join("ax4.png")).unwrap();
    assert_fails(&run_with(&low), 1, &["ax4.png", "quarter", "47x41"]);
    image::imageops::thumbnail(&picture, 11, 10)
        .save(low.join("ax4.png"))
        .unwrap();
    assert!(run_with(&low).status.success());

    let name = truth.to_str().unwrap();
    assert_fails(
        &run(&["eval", name, "--view", "mask"]),
        2,
        &["--view", "general"],
    );
    assert_fails(&run(&["eval", "/nowhere"]), 1, &["/nowhere"]);
    RgbImage::new(12, 12).save(truth.join("b.png")).unwrap();
    assert_fails(
        &run(&["eval", name, "--view", "bicubic"]),
        1,
        &["b.png", "11x11"],
    );
}

#[test]
fn pictures_have_a_perceptual_score_and_a_consistency() {
    let folder = Folder::new("eval-scores");
    let truth = folder.file("hr");
    std::fs::create_dir_all(&truth).unwrap();
    // Smooth: bicubic enlargement is right, and makes the same smaller picture again.
    let wave = |v: u32| (128.0 + 100.0 * (f64::from(v) / 20.0).sin()) as u8;
    let smooth = RgbImage::from_fn(160, 120, |x, y| Rgb([wave(x), wave(y), wave(x + y)]));
    smooth.save(truth.join("a.png")).unwrap();
    let report = eval(&truth, &["--view", "bicubic"]);
    let number = |key: &str| report["mean"][key].as_f64().unwrap();
    assert!(
        number("ssimulacra2") > 60.0 && number("ssimulacra2") <= 100.0,
        "{report}"
    );
    assert!(number("consistency") > 45.0, "{report}");
    assert_eq!(
        report["mean"]["ssimulacra2"],
        report["mean"]["bicubic"]["ssimulacra2"]
    );
}

#[test]
fn a_clip_is_made_smaller_and_judged() {
    if !runtime() || !has(&["x264enc", "h264parse", "matroskamux", "avdec_h264"]) {
        return;
    }
    let folder = Folder::new("eval-clip");
    let clip = folder.file("true.mkv");
    play(
        "videotestsrc num-buffers=6 pattern=ball background-color=4286611584 ! video/x-raw,format=I420,width=386,height=256,framerate=25/1 \
         ! x264enc pass=qual quantizer=6 ! h264parse ! matroskamux ! filesink name=out",
        |pipeline| {
            use gst::prelude::*;
            pipeline
                .by_name("out")
                .unwrap()
                .set_property("location", &clip);
        },
    );
    let report = eval(&clip, &[FACES, &["--samples", "2"]].concat());
    // Cut to a multiple of 4.
    assert_eq!(
        (&report["width"], &report["height"], &report["frames"]),
        (&384.into(), &256.into(), &6.into())
    );
    let summary = &report["summary"];
    for key in [
        "psnr",
        "ssim",
        "ssimulacra2",
        "consistency",
        "warping_error",
        "input_warping_error",
        "mask_change",
    ] {
        assert!(summary[key].is_number(), "{key}: {summary}");
    }
    assert_eq!(summary["samples"], 2);
    let bicubic = eval(&clip, &["--view", "bicubic"]);
    // Without the face network's inverted picture it is much nearer to the truth.
    let psnr = |report: &Value| report["summary"]["psnr"].as_f64().unwrap();
    assert!(psnr(&bicubic) > psnr(&report) + 3.0, "{bicubic} {report}");
    let name = clip.to_str().unwrap();
    assert_fails(&run(&["eval", name, "--lr", "/tmp"]), 2, &["--lr", "clip"]);
    std::fs::write(folder.file("notes.txt"), "no clip").unwrap();
    let notes = folder.file("notes.txt");
    assert_fails(
        &run(&["eval", notes.to_str().unwrap(), "--view", "bicubic"]),
        1,
        &["notes.txt"],
    );
}
