//! `--identity-guard` on a real clip, with a face network that gives the negative of every face.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

mod support;
use support::media::{make, ready};
use support::python::python;
use support::{Folder, assert_fails, run, tiny, upscale};

/// The folder of real material, or `None` after saying that it is not there.
fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("SRFUSION_DATA").map(PathBuf::from);
    let dir =
        dir.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("skipped: no data in {}; set SRFUSION_DATA", dir.display());
    None
}

/// What `scripts/read-marks` finds in a file.
#[track_caller]
fn marks(python: &Path, path: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/read-marks");
    let ran = Command::new(python).arg(script).arg(path).output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// The weights of the drawn faces in each key frame, in thousandths.
fn weights(found: &Value) -> Vec<Vec<u64>> {
    let of = |mark: &Value| {
        let faces = mark["says"]["faces"].as_array().unwrap().iter();
        faces.map(|face| face[5].as_u64().unwrap()).collect()
    };
    found["marks"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_face_network_that_draws_others_is_taken_out_and_the_file_says_so() {
    let Some((python, data)) = python(&["json"]).filter(|_| ready()).zip(data()) else {
        return;
    };
    let folder = Folder::new("guard");
    let input = folder.file("in.mp4");
    make(
        &input,
        &format!(
            "-i {} -vf scale=320:240:flags=area,fps=25,crop=160:160:80:0 -frames:v 30 -an -c:v libx264 -crf 10 -pix_fmt yuv420p",
            data.join("dev/video/static-indoor-signer-1.mkv").display()
        ),
    );
    let (models, negative) = (tiny().join(".."), tiny().join("inverted-x4.onnx"));
    let embedding = data.join("dev/models/mobilefacenet-embedding.onnx");
    let options = [
        "--models-dir",
        models.to_str().unwrap(),
        "--general-model",
        "general-x4-fast",
        "--face-model",
        negative.to_str().unwrap(),
        "--encoder-args",
        "key-int-max=6",
    ];
    let guard = [
        "--identity-guard",
        "0.5",
        "--identity-model",
        embedding.to_str().unwrap(),
    ];
    // A second segment begins where the first has ended: with the face taken out.
    let segments = ["--segment-time", "0.8s"];
    let output = folder.file("guarded.mp4");
    upscale(&input, &output, &[&options[..], &guard, &segments].concat());
    let found = weights(&marks(&python, &output));
    assert!(found.len() >= 5, "{found:?}");
    assert_eq!(found[0], [1000], "it begins with all of it");
    // The third key frame is the thirteenth: so much was taken out that what is left is alike.
    for (number, faces) in found.iter().enumerate().skip(2) {
        assert!(
            faces.iter().all(|weight| *weight < 500),
            "{number}: {found:?}"
        );
    }
    let unguarded = folder.file("unguarded.mp4");
    upscale(&input, &unguarded, &[&options[..], &segments].concat());
    let found = weights(&marks(&python, &unguarded));
    assert!(found.iter().all(|faces| faces == &[1000]), "{found:?}");
    // A picture is over after one frame: it is the settled one that is written.
    let still = folder.file("still.png");
    make(&still, &format!("-i {} -frames:v 1", input.display()));
    let output = folder.file("still-x4.png");
    let options = &options[..6];
    upscale(&still, &output, &[options, &guard].concat());
    let drawn = marks(&python, &output)["xmp"]["srfusion:Faces"][0].clone();
    let weight: f32 = drawn
        .as_str()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(weight < 0.5, "{drawn}");
    upscale(&still, &output, options);
    let drawn = marks(&python, &output)["xmp"]["srfusion:Faces"][0].clone();
    assert!(drawn.as_str().unwrap().ends_with(" 1.000"), "{drawn}");
    // Nothing to compare by.
    let arguments = [
        "upscale",
        still.to_str().unwrap(),
        output.to_str().unwrap(),
        "--identity-guard",
        "0.5",
    ];
    assert_fails(&run(&arguments), 2, &["identity-model", "embedding"]);
}
