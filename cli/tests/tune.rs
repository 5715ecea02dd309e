//! `srfusion tune`: what it measures, writes and recommends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

mod support;
use support::{Folder, assert_fails, last_line, runtime};

/// The networks that ship, of which there are several pairs.
fn models() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn tune(arguments: &[&str], folder: &Folder) -> Output {
    Command::new(env!("CARGO_BIN_EXE_srfusion"))
        .arg("tune")
        .args(arguments)
        .arg("--cache-dir")
        .arg(folder.file("cache"))
        .env("SRFUSION_MODELS", models())
        .current_dir(folder.file(""))
        .output()
        .unwrap()
}

fn clip(path: &Path) -> bool {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i"])
        .args(["testsrc2=s=96x64:r=10:d=5", "-c:v", "libx264", "-g", "10"])
        .args(["-pix_fmt", "yuv420p"])
        .arg(path)
        .output();
    let made = made.is_ok_and(|result| result.status.success());
    if !made {
        eprintln!("skipped: no ffmpeg");
    }
    made
}

#[test]
fn a_video_is_measured_and_shown() {
    let folder = Folder::new("tune");
    let input = folder.file("in.mp4");
    if !runtime() || !clip(&input) {
        return;
    }
    let name = input.to_str().unwrap();
    let result = tune(&[name, "--seconds", "30", "--json"], &folder);
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    let report = last_line(&result);
    assert_eq!(
        (&report["frames"], &report["share"]),
        (&50.into(), &1.0.into())
    );
    let rows = report["rows"].as_array().unwrap();
    let measured = |row: &&serde_json::Value| row["frames_per_second"].is_number();
    let rate = |row: &serde_json::Value| row["frames_per_second"].as_f64().unwrap();
    let names: Vec<_> = rows
        .iter()
        .filter(measured)
        .map(|row| row["general-model"].as_str().unwrap())
        .collect();
    for pair in ["general-x4", "general-x4-fast", "general-x4-camera"] {
        assert!(names.contains(&pair), "{names:?}");
    }
    // What is recommended is of the networks that were asked for, and none of those was faster by more than the mood of a machine.
    let best = &report["best"];
    assert_eq!(best["general-model"], "general-x4");
    let fastest = rows
        .iter()
        .filter(measured)
        .filter(|row| row["general-model"] == "general-x4")
        .map(rate)
        .fold(0.0, f64::max);
    assert!(report["frames_per_second"].as_f64().unwrap() >= fastest / 1.04);
    let command = report["command"].as_str().unwrap();
    let provider = best["provider"].as_str().unwrap();
    assert!(
        command.starts_with("srfusion upscale ")
            && command.contains(&format!("--provider {provider}")),
        "{command}"
    );

    let sheet = image::open(folder.file("in-tune.png")).unwrap().to_rgb8();
    // Bicubic and the pairs that there was time for; three places.
    let pairs = names
        .iter()
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    let columns = u32::try_from(1 + pairs).unwrap();
    assert_eq!(sheet.dimensions(), (columns * 480, 32 + 3 * 360));
    let cell = |column: u32, row: u32| {
        image::imageops::crop_imm(&sheet, column * 480, 32 + row * 360, 480, 320).to_image()
    };
    assert!(cell(0, 0) != cell(1, 0) && cell(1, 0) != cell(2, 0) && cell(1, 0) != cell(1, 2));

    let kept = report["kept"].as_str().unwrap();
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
    assert_eq!((&file["format"], &file["best"]), (&1.into(), best));
    let catalogue = std::fs::read_to_string(models().join("models.toml")).unwrap();
    for role in ["general", "face", "detector"] {
        assert!(catalogue.contains(file["models"][role].as_str().unwrap()));
    }
    assert!(Path::new(kept).starts_with(folder.file("cache/tuned")));
}

#[test]
fn a_picture_will_do_and_what_is_given_is_not_measured() {
    let folder = Folder::new("tune-picture");
    if !runtime() {
        return;
    }
    let input = folder.file("in.png");
    let picture = image::RgbImage::from_fn(50, 40, |x, y| image::Rgb([x as u8, y as u8, 99]));
    picture.save(&input).unwrap();
    let given = [
        "--provider",
        "cpu",
        "--threads",
        "1",
        "--general-model",
        "general-x4-fast",
        "--face-model",
        "none",
    ];
    let typed = [&[input.to_str().unwrap(), "--sheet", "s.png"], &given[..]].concat();
    let result = tune(&typed, &folder);
    let text = String::from_utf8_lossy(&result.stdout).into_owned();
    assert!(result.status.success(), "{result:?}");
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("provider") && lines[1].starts_with("cpu"),
        "{text}"
    );
    assert!(!lines[2].starts_with("cpu"), "{text}");
    let last = lines.last().unwrap();
    assert!(
        last.ends_with("in.png OUT --provider cpu --threads 1 --general-model general-x4-fast --face-model none"),
        "{last}"
    );
    let sheet = image::open(folder.file("s.png")).unwrap();
    assert_eq!(sheet.width(), 2 * 480);

    for (arguments, status, word) in [
        (&["none.mp4"][..], 1, "none.mp4"),
        (&[typed[0], "--sheet", "s.jpg"][..], 2, "s.jpg"),
        (&[typed[0], "--seconds", "600"][..], 2, "10..=120"),
        (&[typed[0], "--general-model", "no-such"][..], 1, "no-such"),
    ] {
        assert_fails(&tune(arguments, &folder), status, &[word]);
    }
    // Nothing half made is left.
    let names = folder.names();
    assert_eq!(names, ["cache", "in.png", "s.png"]);
}
