//! `srfusion report`: its page in a real browser, its numbers against an independent computation, and what it says about files that do not
//! go together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

mod support;
use support::browser::Browser;
use support::python::{compute, python};
use support::{FACES, Folder, assert_fails, command, has, play, run, runtime, upscale};

/// Whether everything is there that clips are made with and read by.
fn ready() -> bool {
    runtime()
        && has(&[
            "x264enc",
            "h264parse",
            "matroskamux",
            "avdec_h264",
            "videotestsrc",
            "videoconvert",
        ])
}

/// Makes a clip of a test picture.
fn clip(path: &Path, count: usize, pattern: &str, width: usize, height: usize) {
    let description = format!(
        "videotestsrc num-buffers={count} pattern={pattern} ! video/x-raw,format=I420,width={width},height={height},framerate=25/1 \
         ! x264enc pass=qual quantizer=6 ! h264parse ! matroskamux ! filesink name=out"
    );
    play(&description, |pipeline| {
        pipeline
            .by_name("out")
            .unwrap()
            .set_property("location", path);
    });
}

use gst::prelude::*;

fn report(page: &Path, input: &Path, output: &Path, options: &[&str]) -> Output {
    let files = [page, input, output].map(|path| path.to_str().unwrap());
    run(&[&["report", files[0], files[1], files[2]], options].concat())
}

#[track_caller]
fn report_json(page: &Path, input: &Path, output: &Path, options: &[&str]) -> Value {
    let result = report(page, input, output, &[&["--json"], options].concat());
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{errors}");
    serde_json::from_slice(&result.stdout).unwrap()
}

/// An input, what the tiny networks make of it, and a true clip; eight frames.
fn clips(folder: &Folder) -> [PathBuf; 3] {
    let names = ["in.mkv", "out.mkv", "true.mkv"].map(|name| folder.file(name));
    clip(&names[0], 8, "ball", 96, 64);
    clip(&names[2], 8, "ball", 384, 256);
    upscale(&names[0], &names[1], FACES);
    names
}

#[test]
fn the_page_in_a_browser() {
    if !ready() {
        return;
    }
    let folder = Folder::new("report-page");
    let [input, output, truth] = clips(&folder);
    // Names that mean something elsewhere.
    let page = folder.file("a page & <more>.html");
    let options = [
        FACES,
        &[
            "--reference",
            truth.to_str().unwrap(),
            "--title",
            "</script><b>ball</b>",
        ],
    ]
    .concat();
    let numbers = report_json(&page, &input, &output, &options);
    assert_eq!(numbers["frames"].as_array().unwrap().len(), 8);
    assert!(
        numbers["summary"]["consistency"].as_f64().unwrap() > 5.0,
        "{}",
        numbers["summary"]
    );
    assert!(numbers["summary"]["warping_error"].as_f64().unwrap() > 0.0);
    assert_eq!(numbers["tracks"].as_array().unwrap().len(), 1);

    let Some(browser) = Browser::open(1280, 900) else {
        return;
    };
    let address = format!(
        "file://{}",
        page.to_str()
            .unwrap()
            .replace(' ', "%20")
            .replace('&', "%26")
            .replace('<', "%3C")
            .replace('>', "%3E")
    );
    browser.requests();
    browser.go(&address);
    println!("first paint after {:.0} ms", browser.first_paint());
    browser.wait("return document.querySelector('#whole img').complete && document.querySelector('#whole img').naturalWidth > 0");
    assert_eq!(
        browser.run("return document.getElementById('title').textContent"),
        "</script><b>ball</b>"
    );
    assert_eq!(browser.run("return document.querySelectorAll('img').length > 6 && [...document.images].every(i => !i.src || i.naturalWidth > 0)"), true);
    browser.screenshot("report-1280.png", true);

    // The keyboard alone: another frame, the mask, the slider, the cursor.
    let pressed = "return [...document.querySelectorAll('#frames button')].findIndex(b => b.ariaPressed === 'true')";
    let before = browser.run(pressed);
    browser.press(&["n"]);
    assert_ne!(browser.run(pressed), before);
    browser.press(&["p"]);
    assert_eq!(browser.run(pressed), before);
    browser.press(&["m", "f"]);
    assert_eq!(
        browser.run(
            "return document.querySelectorAll('#whole [alt=\"face mask\"], #whole svg rect').length"
        ),
        2
    );
    browser.screenshot("report-mask.png", false);
    let focused = "const e = document.activeElement; return e.type === 'range' || e.id === 'timeline' ? (e.getAttribute('aria-valuetext')) : ''";
    let mut seen = Vec::new();
    for _ in 0..40 {
        browser.press(&["Tab"]);
        let first = browser.run(focused);
        if first != "" {
            browser.press(&["ArrowRight", "ArrowRight"]);
            assert_ne!(browser.run(focused), first);
            seen.push(
                browser
                    .run("return document.activeElement.getAttribute('aria-label')")
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    for name in ["Whole frame", "Detail", "Time"] {
        assert!(
            seen.iter().any(|seen| seen.starts_with(name)),
            "{name}: {seen:?}"
        );
    }
    // The true frame on the left.
    browser.run("document.querySelector('input[value=reference]').click(); return 0");
    assert_eq!(
        browser.run("return document.querySelector('#whole .from').textContent"),
        "true frame"
    );

    browser.resize(360, 740);
    browser.go(&address);
    browser.wait("return document.querySelector('#whole img')?.naturalWidth > 0");
    browser.screenshot("report-360.png", true);
    let (over, which) = browser.too_wide();
    assert!(over <= 0.0, "{over} px too wide: {which}");
    let small = "return [...document.querySelectorAll('main *')].filter(e => e.children.length === 0 && e.textContent.trim() && e.offsetParent && parseFloat(getComputedStyle(e).fontSize) < 10.5).map(e => e.outerHTML.slice(0, 100))";
    assert_eq!(browser.run(small), serde_json::json!([]));

    for request in browser.requests() {
        assert!(
            request.starts_with("file:///") || request.starts_with("data:"),
            "{request}"
        );
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_picture_is_a_clip_of_one_frame() {
    if !ready() || !has(&["pngdec"]) {
        return;
    }
    let folder = Folder::new("report-picture");
    let (small, large) = (folder.file("in.png"), folder.file("out.png"));
    let picture = |width, height| {
        image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 3) as u8, (y * 5) as u8, ((x + y) % 200) as u8])
        })
    };
    picture(48, 40).save(&small).unwrap();
    picture(192, 160).save(&large).unwrap();
    let page = folder.file("page.html");
    let numbers = report_json(
        &page,
        &small,
        &large,
        &[FACES, &["--reference", large.to_str().unwrap()]].concat(),
    );
    let summary = &numbers["summary"];
    // Equal pictures: infinite, which JSON has no word for.
    assert_eq!(
        (&summary["psnr"], &summary["ssim"]),
        (&Value::Null, &1.0.into())
    );
    assert_eq!(summary["warping_error"], Value::Null);
    let Some(browser) = Browser::open(1000, 800) else {
        return;
    };
    browser.go(&format!("file://{}", page.display()));
    browser.wait("return document.querySelector('#whole img')?.naturalWidth > 0");
    assert_eq!(
        browser.run("return document.getElementById('time').hidden"),
        true
    );
    assert!(
        browser
            .run("return document.getElementById('numbers').textContent")
            .as_str()
            .unwrap()
            .contains('∞')
    );
}

#[test]
fn files_that_do_not_go_together() {
    if !ready() {
        return;
    }
    let folder = Folder::new("report-faults");
    let [input, output, _] = clips(&folder);
    let page = folder.file("page.html");
    assert_fails(
        &report(&page, &input, &folder.file("none.mkv"), FACES),
        1,
        &["none.mkv"],
    );
    assert_fails(
        &report(&page, &output, &input, FACES),
        1,
        &["in.mkv", "1536x1024", "four times", "96x64"],
    );
    let short = folder.file("short.mkv");
    clip(&short, 5, "ball", 96, 64);
    assert_fails(
        &report(&page, &short, &output, FACES),
        1,
        &["short.mkv ends after 5 frames", "out.mkv goes on"],
    );
    let input_name = input.to_str().unwrap();
    assert_fails(
        &report(
            &page,
            &input,
            &output,
            &[FACES, &["--reference", input_name]].concat(),
        ),
        1,
        &["in.mkv", "384x256", "OUT"],
    );
    let notes = folder.file("notes.txt");
    std::fs::write(&notes, "no video").unwrap();
    assert_fails(&report(&page, &input, &notes, FACES), 1, &["notes.txt"]);
    let nowhere = folder.file("no/page.html");
    assert_fails(
        &report(&nowhere, &input, &output, FACES),
        1,
        &["no/page.html"],
    );
    assert_fails(
        &report(
            &page,
            &input,
            &output,
            &[FACES, &["--embedding", "/nowhere.onnx"]].concat(),
        ),
        1,
        &["/nowhere.onnx"],
    );
    assert!(
        !folder.names().iter().any(|name| name.contains(".html")),
        "{:?}",
        folder.names()
    );

    // Without models there is a report still, which says what it lacks.
    let files = [&page, &input, &output].map(|path| path.to_str().unwrap());
    let lame = command(&["report", files[0], files[1], files[2], "--json"])
        .env("SRFUSION_MODELS", folder.file("nothing"))
        .output()
        .unwrap();
    assert!(
        lame.status.success(),
        "{}",
        String::from_utf8_lossy(&lame.stderr)
    );
    let numbers: Value = serde_json::from_slice(&lame.stdout).unwrap();
    assert!(
        numbers["left_out"].to_string().contains("faces, mask"),
        "{}",
        numbers["left_out"]
    );
    assert!(numbers["summary"]["warping_error"].is_number() && page.is_file());
}

/// A stand-in for an ffmpeg with libvmaf: it looks at what it is asked, and writes the log that the filter writes.
const FFMPEG: &str = r#"#!/bin/sh
case "$*" in
    *-filters*) echo " ... libvmaf           VV->V      Calculate the VMAF between two video streams."; exit 0 ;;
    *out.mkv*true.mkv*libvmaf=log_fmt=json:log_path=vmaf.json*) ;;
    *) echo "unexpected: $*" >&2; exit 1 ;;
esac
[ -z "$FAIL" ] || { echo "first" >&2; echo "no model was found" >&2; exit 1; }
echo '{"version":"3.0.0","pooled_metrics":{"vmaf":{"min":1.0,"max":99.0,"mean":87.25,"harmonic_mean":80.0}}}' > vmaf.json
"#;

#[test]
fn vmaf_where_ffmpeg_has_it() {
    if !ready() {
        return;
    }
    let folder = Folder::new("report-vmaf");
    let [input, output, truth] = clips(&folder);
    let programs = folder.file("bin");
    std::fs::create_dir(&programs).unwrap();
    let ffmpeg = programs.join("ffmpeg");
    std::fs::write(&ffmpeg, FFMPEG).unwrap();
    std::fs::set_permissions(&ffmpeg, std::fs::Permissions::from_mode(0o755)).unwrap();
    let page = folder.file("page.html");
    let files = [&page, &input, &output, &truth].map(|path| path.to_str().unwrap());
    let with = |path: &str, fail: &str| {
        let arguments = [
            &[
                "report",
                files[0],
                files[1],
                files[2],
                "--reference",
                files[3],
                "--json",
            ],
            FACES,
        ]
        .concat();
        let result = command(&arguments)
            .env("PATH", path)
            .env("FAIL", fail)
            .output()
            .unwrap();
        assert!(
            result.status.success(),
            "{}",
            String::from_utf8_lossy(&result.stderr)
        );
        let numbers: Value = serde_json::from_slice(&result.stdout).unwrap();
        (
            numbers["summary"]["vmaf"].as_f64(),
            numbers["left_out"].to_string(),
        )
    };
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    assert_eq!(with(&path, "").0, Some(87.25));
    let (value, left_out) = with(&path, "yes");
    assert!(
        value.is_none() && left_out.contains("no model was found"),
        "{left_out}"
    );
    let (value, left_out) = with("/nowhere", "");
    assert!(
        value.is_none() && left_out.contains("VMAF: ffmpeg is not installed"),
        "{left_out}"
    );
}

/// The folder of development data, or `None` after saying so.
fn data() -> Option<PathBuf> {
    let near = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("SRFUSION_DATA")
        .map_or_else(near, PathBuf::from)
        .join("dev");
    if folder.join("video").is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: no data in {}; set SRFUSION_DATA",
        folder.display()
    );
    None
}

#[track_caller]
fn ffmpeg(arguments: &[&str]) {
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn numbers_as_computed_independently() {
    if !ready() {
        return;
    }
    let Some(data) = data() else { return };
    let Some(python) = python(&["numpy", "onnxruntime"]) else {
        return;
    };
    let embedding = data.join("models/mobilefacenet-embedding.onnx");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let folder = Folder::new("report-numbers");
    // A part of each clip, at a size that Python can go through: fixed camera and full range, zoom, a moving portrait.
    let clips = [
        (
            "static-indoor-signer-1.mkv",
            "1",
            "crop=480:480:80:0,scale=480:480",
        ),
        ("stage-zoom-faces.mp4", "3", "crop=480:352:80:0"),
        (
            "portrait-moving.mp4",
            "2",
            "crop=720:720:280:0,scale=512:512:flags=area",
        ),
    ];
    for (name, start, filter) in clips {
        let source = data.join("video").join(name);
        let [input, output, truth, json, page] =
            ["in.mkv", "out.mkv", "true.mkv", "report.json", "page.html"]
                .map(|name| folder.file(name));
        let [input_name, truth_name] = [&input, &truth].map(|path| path.to_str().unwrap());
        let code = [
            "-frames:v",
            "8",
            "-an",
            "-c:v",
            "libx264",
            "-crf",
            "8",
            "-preset",
            "veryfast",
        ];
        let cut = ["-ss", start, "-i", source.to_str().unwrap(), "-vf", filter];
        ffmpeg(&[&cut[..], &code, &[truth_name]].concat());
        ffmpeg(
            &[
                &["-i", truth_name, "-vf", "scale=iw/4:ih/4:flags=area"][..],
                &code,
                &[input_name],
            ]
            .concat(),
        );
        let networks = [
            "--general-model",
            "general-x4-fast",
            "--face-model",
            "face-x4-fast",
            "--min-face-size",
            "12",
            "--models-dir",
            models.to_str().unwrap(),
        ];
        upscale(&input, &output, &networks);
        let options = [
            &networks[..],
            &[
                "--reference",
                truth_name,
                "--embedding",
                embedding.to_str().unwrap(),
                "--samples",
                "3",
            ],
        ]
        .concat();
        let report = report_json(&page, &input, &output, &options);
        std::fs::write(&json, report.to_string()).unwrap();
        let computed = compute(
            &python,
            "clips.py",
            &[&json, &input, &output, &truth, &embedding],
        );
        let mut compared = 0;
        for (key, expected) in computed.as_object().unwrap() {
            let Some(expected) = expected.as_f64() else {
                println!("{name}: {key} has no independent computation here");
                continue;
            };
            let found = report["summary"][key]
                .as_f64()
                .unwrap_or_else(|| panic!("{name}: no {key} in {}", report["summary"]));
            println!(
                "{name}: {key} {found:.5}, independently {expected:.5} ({:+.3} %)",
                100.0 * (found / expected - 1.0)
            );
            assert!(
                (found / expected - 1.0).abs() < 0.01,
                "{name}: {key} {found}, independently {expected}"
            );
            compared += 1;
        }
        assert!(compared >= 4, "{computed}");
    }
}
