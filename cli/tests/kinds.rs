//! Kinds of objects by `--objects`: drawn, on record and drawn again as recorded, named by what files say of themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use serde_json::Value;

#[path = "../../tests/support/logo.rs"]
mod logo;
mod support;
use logo::make_logo;
use support::media::{make, ready};
use support::{FACES, Folder, last_line, run, tiny, upscale};

/// A ball that moves over grey; what looks for objects finds one in the middle.
const BALL: &str = "-f lavfi -i color=c=0xb0b0b0:s=96x64:r=8:d=2 -f lavfi -i color=c=0x405060:s=8x8:r=8:d=2 \
                    -filter_complex overlay=x=1+n/2:y=50 -c:v libx264 -g 4 -keyint_min 4 -bf 1 -pix_fmt yuv420p";

/// Puts the tiny networks into `folder`, and two entries that are a kind of which no code knows.
fn models(folder: &Folder) -> String {
    let dir = folder.file("models");
    fs::create_dir(&dir).unwrap();
    make_logo(&tiny(), &dir, "");
    dir.to_str().unwrap().to_owned()
}

fn options<'a>(models: &'a str, objects: &'a str) -> Vec<&'a str> {
    [FACES, &["--models-dir", models, "--objects", objects]].concat()
}

#[test]
fn a_video_with_another_kind_is_drawn_again_as_recorded() {
    if !ready() {
        return;
    }
    let folder = Folder::new("kinds-film");
    let models = models(&folder);
    let [input, output, record] =
        ["in.mp4", "out.mkv", "record.jsonl"].map(|name| folder.file(name));
    make(&input, BALL);
    let paths = [&record, &input, &output].map(|path| path.to_str().unwrap());
    let own = ["--codec", "ffv1", "--segment-time", "1s", "--audit"];
    let own = [&own[..], &paths[..1], &options(&models, "logo")].concat();
    let summary = upscale(&input, &output, &own);
    let seen = &summary["objects"][0];
    assert_eq!(summary["objects"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&seen["kind"], &seen["frames"], &seen["most"]),
        (&"logo".into(), &16.into(), &1.into())
    );
    let lines = fs::read_to_string(&record).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["settings"]["objects"], "logo");
    let frames: Vec<_> = lines
        .iter()
        .filter(|line| line["line"] == "frame")
        .collect();
    assert_eq!(frames.len(), 16);
    for frame in &frames {
        assert_eq!(frame["objects"][0]["kind"], "logo");
        assert_eq!(frame["experts"][0]["kind"], "logo");
    }
    // Frames are numbered through all segments, in what is kept of another kind too.
    let from = |frame: &Value| frame["experts"][0]["parts"][0]["from"].as_u64();
    let kept: Vec<_> = frames[9..].iter().filter_map(|frame| from(frame)).collect();
    assert!(
        !kept.is_empty() && kept.iter().all(|from| *from >= 8),
        "{kept:?}"
    );
    let arguments = ["audit", "verify", "--json", paths[0], paths[1], paths[2]];
    let arguments = [&arguments[..], &["--frame", "3", "--frame", "11"]].concat();
    let dir = ["--models-dir", models.as_str()];
    let result = run(&[&arguments[..], &dir].concat());
    let report = last_line(&result);
    assert!(result.status.success(), "{report}");
    let again = report["again"].as_array().unwrap();
    assert_eq!(again.len(), 2);
    for again in again {
        let is_same = [&again["same"], &again["decided-the-same"]];
        assert_eq!(
            is_same,
            [&Value::Bool(true), &Value::Bool(true)],
            "{report}"
        );
    }
    let shown = last_line(&run(&["audit", "show", "--json", paths[0]]));
    assert_eq!(shown["objects"][0]["kind"], "logo");
    assert!(shown["pixels"]["drawn-by-others"].as_u64().unwrap() > 0);
    assert_eq!(shown["pixels"]["drawn-by-face"], 0);
}

#[test]
fn a_picture_says_which_kinds_drew_it() {
    if !support::runtime() {
        return;
    }
    let folder = Folder::new("kinds-picture");
    let models = models(&folder);
    let [input, output, plain, faces] =
        ["in.png", "out.png", "plain.png", "faces.png"].map(|name| folder.file(name));
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 180, 160]))
        .save(&input)
        .unwrap();
    let summary = upscale(&input, &output, &options(&models, "logo"));
    assert_eq!(summary["objects"][0]["most"], 1);
    // What people are told names the kind, and no faces, which nobody looked for.
    let second = folder.file("second.png");
    let paths = [&input, &second].map(|path| path.to_str().unwrap());
    let told = run(&[&["upscale"][..], &paths, &options(&models, "logo")].concat());
    let told = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert!(
        told.contains(", logo 1") && !told.contains("face,") && !told.contains(" faces"),
        "{told}"
    );
    let drawn = image::open(&output).unwrap().to_rgb8();
    assert_eq!(drawn.get_pixel(128, 128).0, [55, 75, 95]);
    assert_eq!(drawn.get_pixel(1, 1).0, [200, 180, 160]);
    let said = fs::read(&output).unwrap();
    let said = String::from_utf8_lossy(&said);
    for part in [
        "logo, where any was found, by the network logo-x4",
        "compositeWithTrained",
    ] {
        assert!(said.contains(part), "{part}");
    }
    // Faces are the default.
    upscale(&input, &faces, &options(&models, "face"));
    upscale(&input, &plain, &options(&models, "face")[..8]);
    assert_eq!(fs::read(&faces).unwrap(), fs::read(&plain).unwrap());
    for (objects, part) in [("face,face", "each once"), ("plate", "face, logo")] {
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let arguments = ["upscale", &text(&input), &text(&folder.file("no.png"))];
        let result = run(&[&arguments[..], &options(&models, objects)].concat());
        let said = String::from_utf8_lossy(&result.stderr);
        assert!(!result.status.success() && said.contains(part), "{said}");
    }
}
