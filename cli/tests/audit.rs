//! The record of what was drawn by what: `upscale --audit`, `audit show`, `audit verify`. What a record says is reckoned again by a script that
//! shares nothing with the program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::video_meta::VideoRegionOfInterestMeta;
use serde_json::Value;

mod support;
use support::media::{H264, make, ready};
use support::python::{compute, python};
use support::{FACES, Folder, SLOW, assert_fails, command, last_line, run, runtime, upscale};

/// A moving ball, and a face in the middle, over grey: much of it is kept.
const BALL: &str = "-f lavfi -i color=c=0xb0b0b0:s=96x64:r=8:d=3 -f lavfi -i color=c=0x405060:s=8x8:r=8:d=3 \
                    -filter_complex overlay=x=2+3*n:y=50";
const GROUPS: &str = "-c:v libx264 -g 4 -keyint_min 4 -sc_threshold 0 -bf 1 -pix_fmt yuv420p";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The lines of a record; of the header what depends on the clock is left out.
#[track_caller]
fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines[0].as_object_mut().unwrap().remove("begun");
    lines
}

/// `audit verify` with JSON.
fn verify(arguments: &[&str]) -> (Output, Value) {
    let result = run(&[&["audit", "verify", "--json"], arguments].concat());
    let report = last_line(&result);
    (result, report)
}

/// A film, its upscaled self and the record.
struct Case {
    folder: Folder,
    input: PathBuf,
    output: PathBuf,
    record: PathBuf,
}

impl Case {
    fn new(name: &str, output: &str) -> Self {
        let folder = Folder::new(name);
        let [input, output, record] =
            ["in.mp4", output, "record.jsonl"].map(|name| folder.file(name));
        Self {
            folder,
            input,
            output,
            record,
        }
    }

    /// Upscales in segments of a second, with a record.
    #[track_caller]
    fn upscale(&self, more: &[&str]) -> Value {
        let options = [
            &["--segment-time", "1s", "--audit", text(&self.record)],
            FACES,
            more,
        ]
        .concat();
        upscale(&self.input, &self.output, &options)
    }

    /// Verifies the record.
    fn verify(&self, input: &Path, more: &[&str]) -> (Output, Value) {
        verify(&[&[text(&self.record), text(input)], more].concat())
    }
}

#[test]
fn what_is_on_record_is_what_another_program_finds() {
    let Some(python) = python(&["hashlib"]).filter(|_| ready()) else {
        return;
    };
    let case = Case::new("audit-film", "out.mkv");
    make(&case.input, &format!("{BALL} {GROUPS}"));
    case.upscale(&["--codec", "ffv1"]);
    let paths: [&Path; 3] = [&case.record, &case.input, &case.output];
    let found = compute(&python, "record.py", &paths);
    assert_eq!(found["frames"], 24);
    assert_eq!(found["segments"], serde_json::json!([0, 8, 16]));
    assert_eq!(found["objects"], 24);
    for count in ["drawn", "kept", "parts_kept"] {
        assert!(found[count].as_u64().unwrap() > 0, "{found}");
    }
    // Frames that keep parts of others too, each of another segment.
    let (result, report) = case.verify(
        &case.input,
        &[
            text(&case.output),
            "--frame",
            "0",
            "--frame",
            "13",
            "--frame",
            "23",
        ],
    );
    assert!(result.status.success(), "{report}");
    assert_eq!(
        (&report["input"]["same"], &report["output"]["same"]),
        (&24.into(), &24.into())
    );
    assert_eq!(report["same-file"], true);
    for again in report["again"].as_array().unwrap() {
        assert_eq!(
            (&again["same"], &again["decided-the-same"]),
            (&true.into(), &true.into())
        );
    }
    let shown = run(&["audit", "show", text(&case.record)]);
    let words = String::from_utf8_lossy(&shown.stdout).into_owned();
    for part in [
        "24 on record, 0 missing",
        "inverted-x4",
        "detector-model=centre-face",
    ] {
        assert!(words.contains(part), "no '{part}' in {words}");
    }
    let shown = last_line(&run(&["audit", "show", "--json", text(&case.record)]));
    assert_eq!(
        (&shown["whole"], &shown["frames"]),
        (&true.into(), &24.into())
    );
    // One row an object and segment: numbers of tracks begin anew.
    assert_eq!(shown["objects"].as_array().unwrap().len(), 3);
}

#[test]
fn a_coding_that_loses_is_told_plainly() {
    if !ready() {
        return;
    }
    let case = Case::new("audit-lossy", "out.mp4");
    make(&case.input, &format!("{BALL} {GROUPS}"));
    case.upscale(&[]);
    let (result, report) = case.verify(&case.input, &[text(&case.output)]);
    assert!(result.status.success(), "{report}");
    let why = report["output"]["not-compared"].as_str().unwrap();
    assert!(why.contains("h264 does not hold the samples"), "{why}");
    assert_eq!(report["output"]["same"], 0);
}

#[test]
fn whatever_was_changed_shows() {
    if !ready() {
        return;
    }
    let case = Case::new("audit-changed", "out.mkv");
    make(&case.input, &format!("{BALL} {GROUPS}"));
    case.upscale(&["--codec", "ffv1"]);
    // A level of one pixel of one frame, of the input and of the output.
    let changed = |from: &Path, name: &str, size: [usize; 2], pixels: &str, frame: usize| {
        let (path, raw) = (case.folder.file(name), case.folder.file("raw"));
        make(
            &raw,
            &format!("-i {} -f rawvideo -pix_fmt {pixels}", text(from)),
        );
        let mut data = std::fs::read(&raw).unwrap();
        data[frame + 7 * size[0] + 5] ^= 1;
        std::fs::write(&raw, data).unwrap();
        let [width, height] = size;
        let (from, coding) = (text(&raw), "-c:v ffv1");
        make(
            &path,
            &format!("-f rawvideo -pix_fmt {pixels} -s {width}x{height} -r 8 -i {from} {coding}"),
        );
        path
    };
    let input = changed(
        &case.input,
        "changed-in.mkv",
        [96, 64],
        "yuv420p",
        9 * 96 * 64 * 3 / 2,
    );
    let output = changed(
        &case.output,
        "changed-out.mkv",
        [384, 256],
        "yuv444p",
        9 * 384 * 256 * 3,
    );
    let (result, report) = case.verify(&input, &[text(&output), "--frame", "2", "--frame", "12"]);
    assert_eq!(result.status.code(), Some(1));
    assert_eq!(
        (&report["holds"], &report["same-file"]),
        (&false.into(), &false.into())
    );
    for side in ["input", "output"] {
        assert_eq!(
            report[side]["different"],
            serde_json::json!([9]),
            "{report}"
        );
        assert_eq!(report[side]["same"], 23);
    }
    // What does not depend on the changed frame is as it was; what may is not shown.
    assert_eq!(report["again"][0]["same"], true);
    assert_eq!(report["again"][1]["same"], Value::Null);
    // Another network, and other settings than those that are on record.
    let (result, report) =
        case.verify(&case.input, &["--frame", "3", "--face-model", "bicubic-x4"]);
    assert_eq!(result.status.code(), Some(1));
    let note = report["again"][0]["note"].as_str().unwrap();
    assert!(
        note.contains("inverted-x4") && note.contains("--face-model"),
        "{note}"
    );
    let forged = case.folder.file("forged.jsonl");
    let lines = std::fs::read_to_string(&case.record).unwrap();
    std::fs::write(
        &forged,
        lines.replace(r#""mask-sigma":"0.1""#, r#""mask-sigma":"0.2""#),
    )
    .unwrap();
    let (result, report) = verify(&[text(&forged), text(&case.input), "--frame", "3"]);
    assert_eq!(result.status.code(), Some(1));
    let again = &report["again"][0];
    assert_eq!(
        (&again["same"], &again["against"]),
        (&false.into(), &true.into()),
        "{again}"
    );
    assert!(again["means-differ-by"].as_f64().unwrap() > 0.0);
    // Lines that were taken away, and one that was broken.
    let cut: Vec<_> = lines.lines().collect();
    let text_of = |lines: &[&str]| lines.join("\n");
    std::fs::write(
        &forged,
        text_of(&[&cut[..5], &["{\"line\":\"fra"], &cut[8..]].concat()),
    )
    .unwrap();
    let (result, report) = verify(&[text(&forged), text(&case.input)]);
    assert_eq!(report["unreadable"], 1);
    assert_eq!(report["input"]["not-on-record"], 3);
    assert_eq!(report["faults"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(result.status.code(), Some(1));
    let none = run(&["audit", "show", text(&case.input)]);
    assert_fails(&none, 1, &["it is no record"]);
    let beyond = run(&[
        "audit",
        "verify",
        text(&case.record),
        text(&case.input),
        "--frame",
        "24",
    ]);
    assert_fails(&beyond, 2, &["--frame 24", "0 to 23"]);
}

#[test]
fn a_job_that_was_killed_has_one_whole_record() {
    if !ready() {
        return;
    }
    let film =
        format!("-f lavfi -i testsrc2=s=64x66:r=2:d=4 {H264} -g 2 -keyint_min 2 -sc_threshold 0");
    let whole = Case::new("audit-whole", "out.mp4");
    make(&whole.input, &film);
    let options = [SLOW, &["--audit", text(&whole.record)]].concat();
    upscale(&whole.input, &whole.output, &options);
    let wanted = read(&whole.record);
    let kinds = |lines: &[Value], kind: &str| lines.iter().filter(|l| l["line"] == kind).count();
    assert_eq!((kinds(&wanted, "frame"), kinds(&wanted, "segment")), (8, 4));

    let (output, record) = (
        whole.folder.file("killed.mp4"),
        whole.folder.file("killed.jsonl"),
    );
    let arguments = [
        &[
            "upscale",
            text(&whole.input),
            text(&output),
            "--audit",
            text(&record),
        ],
        SLOW,
    ]
    .concat();
    let mut child = command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let finished = || {
        let names = whole.folder.names();
        let work = names.iter().find(|name| name.starts_with(".srfusion-"));
        // Two are at work at a time.
        let there = |name| work.is_some_and(|work| whole.folder.file(work).join(name).exists());
        there("000000.json") && there("000001.json")
    };
    while !finished() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "no segment is finished"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!record.exists());
    // Without a record it would be another job.
    let other = run(&[&["upscale", text(&whole.input), text(&output)], SLOW].concat());
    assert_fails(&other, 1, &["--audit", "--start-over"]);
    let result = run(&[&arguments[..], &["--json"]].concat());
    let summary = last_line(&result);
    assert!(summary["frames_reused"].as_u64() >= Some(4), "{summary}");
    let mut found = read(&record);
    found[0]["input"]["name"] = wanted[0]["input"]["name"].clone();
    assert_eq!(found, wanted);
    assert_eq!(
        std::fs::read(&output).unwrap(),
        std::fs::read(&whole.output).unwrap()
    );
}

#[test]
fn segments_made_apart_have_the_same_record() {
    if !ready() {
        return;
    }
    let case = Case::new("audit-apart", "out.mp4");
    make(&case.input, &format!("{BALL} {GROUPS}"));
    case.upscale(&[]);
    let wanted = read(&case.record);
    let (output, record) = (
        case.folder.file("apart.mp4"),
        case.folder.file("apart.jsonl"),
    );
    let options = [
        &[
            "upscale",
            text(&case.input),
            text(&output),
            "--segment-time",
            "1s",
        ],
        &["--audit", text(&record)][..],
        FACES,
    ]
    .concat();
    let planned = last_line(&run(&[&options[..], &["--plan-segments"]].concat()));
    assert_eq!(planned["segments"].as_array().unwrap().len(), 3);
    for number in ["2", "0", "1"] {
        let made = run(&[&options[..], &["--segment", number]].concat());
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
    let joined = run(&options);
    assert!(
        joined.status.success(),
        "{}",
        String::from_utf8_lossy(&joined.stderr)
    );
    assert_eq!(read(&record), wanted);
}

#[test]
fn pictures_are_on_record_as_they_are_written() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("audit-pictures");
    let (input, record) = (folder.file("in.png"), folder.file("record.jsonl"));
    let picture = |level: u8| {
        image::RgbaImage::from_fn(50, 34, |x, y| {
            image::Rgba([
                level,
                190 + (x % 9) as u8,
                200 + (y % 5) as u8,
                255 - x as u8,
            ])
        })
    };
    for (name, kind) in [("rgba", 0), ("rgb", 1), ("grey", 2), ("deep", 3)] {
        let made = image::DynamicImage::from(picture(200));
        let made = match kind {
            0 => made,
            1 => made.to_rgb8().into(),
            2 => made.to_luma_alpha8().into(),
            _ => made.to_rgb16().into(),
        };
        made.save(&input).unwrap();
        for (extension, compared) in [
            ("png", true),
            ("tiff", true),
            ("webp", true),
            ("jpg", false),
        ] {
            let output = folder.file(&format!("{name}.{extension}"));
            let options = [&["--audit", text(&record)], FACES].concat();
            upscale(&input, &output, &options);
            let (result, report) =
                verify(&[text(&record), text(&input), text(&output), "--frame", "0"]);
            assert!(result.status.success(), "{name}.{extension}: {report}");
            assert_eq!(report["input"]["same"], 1, "{name}.{extension}: {report}");
            assert_eq!(
                report["output"]["same"],
                u64::from(compared),
                "{name}.{extension}: {report}"
            );
            assert_eq!(
                report["again"][0]["same"], true,
                "{name}.{extension}: {report}"
            );
        }
    }
    let lines = read(&record);
    assert_eq!((lines.len(), &lines[0]["made-by"]), (3, &"picture".into()));
    assert_eq!(lines[1]["objects"].as_array().unwrap().len(), 1);
    // One pixel of another picture.
    let mut other = picture(200);
    other.put_pixel(3, 4, image::Rgba([201, 193, 204, 252]));
    image::DynamicImage::from(other)
        .to_rgb16()
        .save(&input)
        .unwrap();
    let (result, report) = verify(&[text(&record), text(&input), "--frame", "0"]);
    assert_eq!(result.status.code(), Some(1));
    assert_eq!(
        (
            &report["input"]["different"][0],
            &report["again"][0]["against"]
        ),
        (&0.into(), &true.into())
    );
}

#[test]
fn a_record_has_a_file_of_its_own() {
    let folder = Folder::new("audit-refused");
    let input = folder.file("in.png");
    image::RgbImage::new(16, 16).save(&input).unwrap();
    let (input, output) = (text(&input).to_owned(), folder.file("out.png"));
    let same = run(&["upscale", &input, text(&output), "--audit", &input]);
    assert_fails(&same, 2, &["--audit", "in.png", "another name"]);
    for (path, status) in [("/dev/full", 2), ("/nonexistent/record", 1)] {
        let refused = run(&["upscale", &input, text(&output), "--audit", path]);
        assert_fails(&refused, status, &[path]);
        assert!(!output.exists());
    }
    let all = folder.file("");
    let folders = run(&[
        "upscale",
        text(&all),
        text(&folder.file("to")),
        "--audit",
        "record",
    ]);
    assert_fails(&folders, 2, &["--audit", "folder"]);
}

/// Plays `input` through the element with a record; objects come with the frames, and frame 5 is lost on the way there.
fn play_element(input: &Path, record: &Path, properties: &str) {
    // Once: registering the element again would pull its factory from under it.
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        gst::init().unwrap();
        gstsrfusion::plugin_register_static().unwrap();
    });
    // The models are found near a program; a test is none.
    let models = support::tiny();
    let text = format!(
        "filesrc location={} ! decodebin ! videoconvert ! video/x-raw,format=NV12 ! identity name=before \
         ! srfusion general-model=bicubic-x4 face-model=inverted-x4 use-roi-meta=true models-dir={} audit={} \
         deterministic=true {properties} ! fakesink",
        text(input),
        text(&models),
        text(record)
    );
    support::play(&text, |pipeline| {
        support::at(pipeline, "before", "sink", |number, buffer| {
            if number > 2 {
                let rect = (30 + number as u32, 12, 24, 30);
                VideoRegionOfInterestMeta::add(buffer, "face", rect).add_param(
                    gst::Structure::builder("srfusion/face")
                        .field("score", 0.7f64)
                        .build(),
                );
            }
            number != 5
        });
        let before = pipeline.by_name("before").unwrap();
        before.set_property("drop-buffer-flags", gst::BufferFlags::DROPPABLE);
    });
}

#[test]
fn what_the_element_drew_is_drawn_again() {
    if !ready() {
        return;
    }
    let folder = Folder::new("audit-element");
    let (input, record) = (folder.file("in.mp4"), folder.file("record"));
    make(&input, &format!("{BALL} {GROUPS}"));
    play_element(&input, &record, "frames-in-flight=3");
    let lines = read(&record);
    assert_eq!(lines[0]["formats"]["input"]["format"], "NV12");
    let given = lines
        .iter()
        .filter(|line| line["given"][0]["score"] == 0.7f32);
    assert_eq!(given.count(), 20);
    // Decoded to I420 here: the same samples in another order. Nor does it matter that a frame never came.
    let arguments = [text(&record), text(&input), "--frame", "4", "--frame", "22"];
    let (result, report) = verify(&arguments);
    assert!(result.status.success(), "{report}");
    assert_eq!(report["input"]["same"], 23);
    assert_eq!(report["input"]["not-on-record"], 1);
    for again in report["again"].as_array().unwrap() {
        assert_eq!(
            (&again["same"], &again["decided-the-same"]),
            (&true.into(), &true.into()),
            "{again}"
        );
    }
    // What depends on time does not repeat, and is not drawn again as if it did.
    std::fs::remove_file(&record).unwrap();
    play_element(&input, &record, "deadline=1");
    let (result, report) = verify(&arguments);
    assert_eq!(result.status.code(), Some(1));
    assert_eq!(
        (&report["holds"], &report["complete"]),
        (&true.into(), &false.into())
    );
    let note = report["again"][0]["note"].as_str().unwrap();
    assert!(note.contains("deadline"), "{note}");
}

/// Real clips with the networks that ship: every line is what the script finds.
#[test]
fn real_clips_are_on_record_line_by_line() {
    let near = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("SRFUSION_DATA").map_or_else(near, PathBuf::from);
    let clips = data.join("dev/video");
    if !clips.is_dir() {
        eprintln!("skipped: no data in {}; set SRFUSION_DATA", data.display());
        return;
    }
    let Some(python) = python(&["hashlib"]).filter(|_| ready()) else {
        return;
    };
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for (clip, reuse, frames) in [
        ("static-street.mp4", "tolerant", 8),
        ("stage-zoom-faces.mp4", "exact", 4),
    ] {
        let case = Case::new("audit-clip", "out.mkv");
        make(
            &case.input,
            &format!(
                "-i {} -frames:v {frames} -an -c:v libx264 -crf 12 -pix_fmt yuv420p",
                text(&clips.join(clip))
            ),
        );
        let options = [
            "--models-dir",
            text(&models),
            "--reuse",
            reuse,
            "--codec",
            "ffv1",
            "--audit",
            text(&case.record),
        ];
        upscale(&case.input, &case.output, &options);
        let paths: [&Path; 3] = [&case.record, &case.input, &case.output];
        let found = compute(&python, "record.py", &paths);
        assert_eq!(found["frames"], frames, "{clip}");
        let count = |name: &str| found[name].as_u64().unwrap();
        if reuse == "tolerant" {
            assert!(count("kept") > 0, "{clip}: {found}");
        } else {
            assert!(
                count("objects") > 0 && count("covered") > 0,
                "{clip}: {found}"
            );
        }
        let (result, report) = case.verify(
            &case.input,
            &["--frame", "3", "--models-dir", text(&models)],
        );
        assert!(result.status.success(), "{clip}: {report}");
        assert_eq!(report["again"][0]["same"], true, "{clip}: {report}");
    }
}
