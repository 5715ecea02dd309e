//! What outputs say of how they were made, read by `scripts/read-marks`, which takes NAL units, SEI and CBOR apart by itself, and by
//! ffprobe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

mod support;
use support::media::{make, probe, ready};
use support::python::python;
use support::{BICUBIC, FACES, Folder, runtime, tiny, upscale};

const TYPES: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/";

/// What the script finds in a file; `None` where it finds nothing.
#[track_caller]
fn read(python: &Path, path: &Path) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/read-marks");
    let ran = Command::new(python).arg(script).arg(path).output().unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(errors.is_empty(), "{}: {errors}", path.display());
    let found = serde_json::from_slice(&ran.stdout).unwrap();
    match ran.status.code() {
        Some(0) => Some(found),
        Some(1) => None,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// sha256 of a tiny network's file, by the system's own program.
fn sha256(name: &str) -> String {
    let ran = Command::new("sha256sum")
        .arg(tiny().join(name))
        .output()
        .unwrap();
    String::from_utf8(ran.stdout).unwrap()[..64].to_owned()
}

/// Two seconds of grey, in which the tiny detector finds a face in the middle.
fn film(folder: &Folder) -> PathBuf {
    let input = folder.file("in.mp4");
    make(
        &input,
        "-f lavfi -i color=0x909090:s=64x64:r=25:d=2 -c:v libx264 -pix_fmt yuv420p -metadata comment=mine",
    );
    input
}

/// Times of the key frames of a video, as ffprobe says.
fn keys(path: &Path) -> Vec<String> {
    let text = probe(
        path,
        "-select_streams v:0 -show_entries packet=pts_time,flags -of csv=p=0",
    );
    let keys = text.lines().filter(|line| line.contains('K'));
    keys.map(|line| line.split(',').next().unwrap().to_owned())
        .collect()
}

#[test]
fn key_frames_say_what_drew_which_faces() {
    let Some(python) = python(&["json"]).filter(|_| ready()) else {
        return;
    };
    let folder = Folder::new("marks");
    let input = film(&folder);
    for (kind, codec) in [
        ("mp4", "h264"),
        ("mov", "h264"),
        ("mkv", "h264"),
        ("mp4", "h265"),
        ("mkv", "h265"),
    ] {
        let output = folder.file(&format!("{codec}.{kind}"));
        let options = ["--codec", codec, "--segment-time", "0.8s"];
        let summary = upscale(&input, &output, &[FACES, &options].concat());
        assert_eq!(summary["warnings"], serde_json::json!([]));
        let transport = folder.file(&format!("{codec}-{kind}.ts"));
        let ts = format!("-i {} -c copy -f mpegts", output.display());
        make(&transport, &ts);
        for path in [&output, &transport] {
            let name = path.display();
            let found = read(&python, path).expect("marks");
            let marks = found["marks"].as_array().unwrap();
            let keys = keys(path);
            assert!(keys.len() >= 3, "{name}: {keys:?}");
            let times: Vec<_> = marks
                .iter()
                .map(|mark| mark["time"].as_str().unwrap())
                .collect();
            assert_eq!(times, keys, "{name}");
            for mark in marks {
                let says = &mark["says"];
                assert_eq!((&says["v"], &says["view"]), (&1.into(), &"fused".into()));
                assert_eq!(says["size"], serde_json::json!([256, 256]));
                let nets = serde_json::json!({
                    "general": sha256("bicubic-x4.onnx"),
                    "face": sha256("inverted-x4.onnx"),
                    "detector": sha256("centre-face.onnx"),
                });
                assert_eq!(says["nets"], nets, "{name}");
                let faces = says["faces"].as_array().unwrap();
                assert_eq!(faces.len(), 1, "{name}");
                let face: Vec<_> = faces[0]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_u64().unwrap())
                    .collect();
                // Where the tiny detector says, in output pixels, and wholly the face network's.
                assert_eq!(face[1..], [96, 80, 64, 96, 1000], "{name}");
            }
            // The player's view: user data, of key frames alone.
            let data = probe(
                path,
                "-select_streams v:0 -show_frames -show_entries frame=key_frame:side_data=side_data_type -of compact",
            );
            let user = "User Data Unregistered SEI message";
            let with: Vec<_> = data.lines().filter(|line| line.contains(user)).collect();
            assert!(with.len() >= keys.len(), "{name}: {data}");
        }
        // In the container: the input's own comment, and beside it what this is.
        let tags = probe(&output, "-show_entries format_tags -of json");
        let tags: Value = serde_json::from_str(&tags).unwrap();
        let tags = tags["format"]["tags"].as_object().unwrap();
        let has = |part: &str| {
            tags.values()
                .any(|text| text.as_str().unwrap().contains(part))
        };
        assert!(has("mine"), "{kind}: {tags:?}");
        let says = "faces in 50 of 50 frames by the network inverted-x4";
        // QuickTime's muxer knows one tag for it, which is taken.
        assert_eq!(has(says), kind != "mov", "{kind}: {tags:?}");
        let source = format!("{TYPES}compositeWithTrainedAlgorithmicMedia");
        match kind {
            "mkv" => assert_eq!(tags["DIGITAL_SOURCE_TYPE"], source),
            _ => {
                let found = read(&python, &output).unwrap();
                assert_eq!(found["xmp"]["Iptc4xmpExt:DigitalSourceType"], source);
                let statement = found["xmp"]["srfusion:Statement"].as_str().unwrap();
                assert!(statement.contains(says), "{kind}: {statement}");
                // ffmpeg knows the box too.
                let tags = probe(
                    &output,
                    "-export_xmp 1 -show_entries format_tags=xmp -of json",
                );
                assert!(
                    tags.contains("compositeWithTrainedAlgorithmicMedia"),
                    "{kind}: {tags}"
                );
            }
        }
    }
}

#[test]
fn files_without_sei_have_tags() {
    let Some(python) = python(&["json"]).filter(|_| ready()) else {
        return;
    };
    let folder = Folder::new("tags");
    let input = film(&folder);
    for (kind, options, source) in [
        ("webm", BICUBIC, Some("algorithmicallyEnhanced")),
        ("mkv", FACES, Some("compositeWithTrainedAlgorithmicMedia")),
        ("webm", &[FACES, &["--view", "bicubic"]].concat(), None),
    ] {
        let output = folder.file(&format!("out.{kind}"));
        let codec: &[&str] = if kind == "mkv" {
            &["--codec", "ffv1"]
        } else {
            &[]
        };
        upscale(&input, &output, &[options, codec].concat());
        let found = read(&python, &output).expect("tags");
        let source = source.map_or(Value::Null, |source| format!("{TYPES}{source}").into());
        assert_eq!(found["tags"]["DIGITAL_SOURCE_TYPE"], source);
        assert!(
            found["tags"]["SRFUSION"]
                .as_str()
                .unwrap()
                .starts_with("Enlarged four times by")
        );
    }
}

/// Sums of the decoded frames of a video.
fn decoded(path: &Path) -> String {
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn without_marks_the_picture_is_the_same() {
    let Some(python) = python(&["json"]).filter(|_| ready()) else {
        return;
    };
    let folder = Folder::new("no-marks");
    let input = film(&folder);
    for codec in ["h264", "h265"] {
        let (with, without) = (folder.file("with.mp4"), folder.file("without.mp4"));
        let options = [FACES, &["--codec", codec]].concat();
        upscale(&input, &with, &options);
        upscale(&input, &without, &[&options[..], &["--no-marks"]].concat());
        assert!(read(&python, &with).is_some());
        assert_eq!(read(&python, &without), None, "{codec}");
        assert_eq!(decoded(&with), decoded(&without), "{codec}");
    }
}

#[test]
fn pictures_say_it_in_xmp() {
    let Some(python) = python(&["json"]).filter(|_| runtime()) else {
        return;
    };
    let folder = Folder::new("picture-marks");
    let input = folder.file("in.png");
    let grey = image::RgbImage::from_pixel(64, 64, image::Rgb([144; 3]));
    grey.save(&input).unwrap();
    for kind in ["png", "jpg", "webp", "tiff", "bmp"] {
        let (with, without) = (
            folder.file(&format!("with.{kind}")),
            folder.file(&format!("without.{kind}")),
        );
        let summary = upscale(&input, &with, FACES);
        upscale(&input, &without, &[FACES, &["--no-marks"]].concat());
        assert_eq!(read(&python, &without), None, "{kind}");
        assert_eq!(image::open(&with).unwrap(), image::open(&without).unwrap());
        if kind == "bmp" {
            let warnings = summary["warnings"].to_string();
            assert!(warnings.contains("--no-marks"), "{warnings}");
            continue;
        }
        let found = read(&python, &with).expect("XMP");
        let source = format!("{TYPES}compositeWithTrainedAlgorithmicMedia");
        assert_eq!(
            found["xmp"]["Iptc4xmpExt:DigitalSourceType"], source,
            "{kind}"
        );
        assert_eq!(
            found["xmp"]["srfusion:Faces"],
            serde_json::json!(["96 80 64 96 1.000"])
        );
        let face = format!("inverted-x4 sha256:{}", sha256("inverted-x4.onnx"));
        assert_eq!(found["xmp"]["srfusion:FaceNetwork"], face);
    }
}
