//! `srfusion bench`: every row is there, counts are right, and fused pictures equal a fusion of whole frames. No time is tested.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use image::{Rgb, RgbImage};
use serde_json::Value;

mod support;
use support::{BICUBIC, FACES, Folder, assert_fails, has, play, run, runtime};

#[track_caller]
fn bench(options: &[&[&str]]) -> Value {
    let arguments = [
        &["bench", "--json", "--rounds", "2"],
        options.concat().as_slice(),
    ]
    .concat();
    let result = run(&arguments);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&result.stdout).unwrap()
}

/// The report's row `name`, which must have a rate.
#[track_caller]
fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(row["all"].as_array().unwrap().len(), 2, "{row}");
    assert!(row["frames_per_second"].as_f64().unwrap() > 0.0, "{row}");
    row
}

#[test]
fn every_row_is_measured() {
    if !runtime() || !has(&["appsrc", "fakesink"]) {
        return;
    }
    let stream = ["--synthetic", "noise", "--size", "62x40", "--frames", "4"];
    let report = bench(&[&stream, FACES, &["--check"]]);
    assert_eq!(report["stream"]["frames"], 4);
    for name in ["engine", "element", "bare", "general", "whole"] {
        row(&report, name);
    }
    let engine = &row(&report, "engine")["engine"];
    assert_eq!(engine["frames_with_faces"], 1.0, "{engine}");
    assert!(engine["face_pixels"].as_f64().unwrap() > 0.0, "{engine}");
    assert_eq!(row(&report, "general")["engine"]["face_pixels"], 0.0);
    let quality = &row(&report, "engine")["quality"];
    assert!(
        quality["largest_difference"].as_u64().unwrap() <= 1,
        "{quality}"
    );
    let reuse = [
        "--rows",
        "none,exact,tolerant,element",
        "--check",
        "--no-peak",
    ];
    let still = ["--synthetic", "static", "--size", "62x40", "--frames", "4"];
    let reused = bench(&[&still, BICUBIC, &reuse]);
    assert_eq!(row(&reused, "none")["engine"]["tiles_run"], 1.0);
    // The element forgets at the beginning of a round as the engine does: else its first frame would cost nothing.
    let element = &row(&reused, "element")["engine"];
    assert_eq!(element["tiles_run"], 0.25, "{element}");
    for name in ["exact", "tolerant"] {
        let row = row(&reused, name);
        // One frame of four is drawn, in every round anew.
        assert_eq!(row["engine"]["tiles_run"], 0.25, "{row}");
        assert_eq!(row["engine"]["tiles_reused"], 0.75, "{row}");
        assert_eq!(row["quality"]["largest_difference"], 0, "{row}");
    }
    assert!(report["peak_gflops"].as_f64().unwrap() > 0.1, "{report}");
    if cfg!(target_os = "linux") {
        assert!(
            report["peak_memory"].as_u64().unwrap() > 1 << 20,
            "{report}"
        );
    }
}

#[test]
fn frames_in_flight_all_come_out() {
    if !runtime() || !has(&["appsrc", "fakesink"]) {
        return;
    }
    let stream = ["--synthetic", "noise", "--size", "62x40", "--frames", "4"];
    let rows = ["--rows", "element", "--frames-in-flight", "3"];
    row(&bench(&[&stream, &rows, BICUBIC]), "element");
}

#[test]
fn clips_and_faces_are_read() {
    if !runtime() || !has(&["videotestsrc", "pngenc", "avimux", "jpegenc"]) {
        return;
    }
    let folder = Folder::new("bench");
    let clip = folder.file("clip.avi");
    play(
        "videotestsrc num-buffers=7 ! video/x-raw,format=I420,width=48,height=32,framerate=25/1 ! jpegenc ! avimux \
         ! filesink name=out",
        |pipeline| {
            use gst::prelude::*;
            pipeline
                .by_name("out")
                .unwrap()
                .set_property("location", &clip);
        },
    );
    let rows = ["--no-peak", "--rows", "bare,engine"];
    let report = bench(&[
        &[clip.to_str().unwrap(), "--frames", "5", "--skip", "3"],
        BICUBIC,
        &rows,
    ]);
    assert_eq!(report["stream"]["frames"], 4);
    assert_eq!(report["stream"]["width"], 48);
    assert_eq!(report["rows"][0]["name"], "bare");
    assert_eq!(report["peak_gflops"], Value::Null);

    let portrait = folder.file("portrait.png");
    RgbImage::from_pixel(60, 60, Rgb([90, 120, 200]))
        .save(&portrait)
        .unwrap();
    let portrait = portrait.to_str().unwrap();
    let faces = [
        "--synthetic",
        "faces",
        "--portrait",
        portrait,
        "--faces",
        "2",
        "--face-height",
        "12",
    ];
    let report = bench(&[&faces, &["--size", "64x48", "--frames", "2"], FACES, &rows]);
    assert_eq!(report["stream"]["name"], "2 faces 12 px high");
}

/// What runs otherwise than was asked for is told by every command that runs a network, whichever way it runs it.
#[test]
fn what_runs_otherwise_than_asked_for_is_told() {
    if !runtime() || !has(&["appsrc", "fakesink"]) {
        return;
    }
    let folder = Folder::new("otherwise");
    let pictures = folder.file("pictures");
    std::fs::create_dir_all(&pictures).unwrap();
    let picture = pictures.join("a.png");
    RgbImage::from_pixel(48, 40, Rgb([90, 120, 150]))
        .save(&picture)
        .unwrap();
    let drawn = folder.file("out.png");
    let (pictures, picture, drawn) = (
        pictures.to_str().unwrap(),
        picture.to_str().unwrap(),
        drawn.to_str().unwrap(),
    );
    let stream = ["bench", "--synthetic", "static", "--size", "48x40"];
    let short = ["--frames", "1", "--rounds", "1", "--no-peak"];
    for (command, row) in [
        (["bench", "engine"], Some("engine")),
        (["bench", "element"], Some("element")),
        (["eval", pictures], None),
        (["upscale", picture], None),
    ] {
        let mut arguments = match row {
            Some(row) => [&stream[..], &short, &["--rows", row]].concat(),
            None => command.to_vec(),
        };
        if command[0] == "upscale" {
            arguments.push(drawn);
        }
        arguments.extend([BICUBIC, &["--precision", "int8"]].concat());
        let result = run(&arguments);
        let errors = String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{command:?}: {errors}");
        assert!(
            errors.contains("bicubic-x4 does not run in eight-bit numbers"),
            "{command:?}: {errors}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    if !runtime() {
        return;
    }
    let whole = ["--rows", "whole", "--size", "32x32"];
    for (arguments, models, words) in [
        (&["--synthetic", "faces"][..], FACES, &["--portrait"][..]),
        (&["--size", "640"], BICUBIC, &["640x360"]),
        (&["--share", "1.5"], BICUBIC, &["0 to 1"]),
        (&whole, BICUBIC, &["whole"]),
        (&["clip.mp4", "--size", "32x32"], BICUBIC, &["--size"]),
    ] {
        assert_fails(&run(&[&["bench"], arguments, models].concat()), 2, words);
    }
    let missing = run(&[&["bench", "/nowhere.mp4"], BICUBIC].concat());
    assert_fails(&missing, 1, &["/nowhere.mp4"]);
}
