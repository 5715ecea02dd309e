//! `srfusion models` and `srfusion doctor`, and what every command does with wrong arguments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;

mod support;
use support::{Folder, assert_fails, command, run, runtime, tiny};

fn json(arguments: &[&str], status: i32) -> Value {
    let result = run(arguments);
    assert_eq!(
        result.status.code(),
        Some(status),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    serde_json::from_slice(&result.stdout).unwrap()
}

#[test]
fn wrong_usage_has_its_own_status() {
    for arguments in [
        &["upscale"][..],
        &["upscale", "a.png"],
        &["enlarge"],
        &["models"],
        &["doctor", "--provider", "abacus"],
        &["models", "prebuild", "--size", "640"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    for arguments in [
        &["--help"][..],
        &["upscale", "--help"],
        &["models", "--help"],
        &["eval", "--help"],
        &["bench", "--help"],
        &["doctor", "--help"],
        &["--version"],
    ] {
        let result = run(arguments);
        assert!(
            result.status.success() && !result.stdout.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn models_are_listed() {
    let list = json(&["models", "list", "--json"], 0);
    let bicubic = list["models"]
        .as_array()
        .unwrap()
        .iter()
        .find(|model| model["name"] == "bicubic-x4")
        .unwrap();
    assert_eq!(bicubic["role"], "generator");
    assert_eq!(
        bicubic["size"],
        std::fs::metadata(tiny().join("bicubic-x4.onnx"))
            .unwrap()
            .len()
    );
    let text = String::from_utf8(run(&["models", "list"]).stdout).unwrap();
    assert!(
        text.contains("bicubic-x4") && text.contains("LICENCE"),
        "{text}"
    );
    let result = run(&["models", "list", "--models-dir", "/nowhere"]);
    assert_fails(&result, 1, &["/nowhere", "models.toml"]);
}

#[test]
fn sums_are_compared() {
    // One of the tiny models is damaged on purpose.
    let verified = json(&["models", "verify", "--json"], 1);
    for model in verified["models"].as_array().unwrap() {
        assert_eq!(model["ok"], model["name"] != "damaged", "{model}");
    }
    let text = String::from_utf8(run(&["models", "verify"]).stdout).unwrap();
    assert!(
        text.contains("bicubic-x4: ok") && text.contains("expected sha256"),
        "{text}"
    );

    let folder = Folder::new("sums");
    let catalogue = std::fs::read_to_string(tiny().join("models.toml")).unwrap();
    let end = catalogue[1..].match_indices("[[model]]").nth(1).unwrap().0;
    std::fs::write(folder.file("models.toml"), &catalogue[..end]).unwrap();
    let missing = json(
        &[
            "models",
            "verify",
            "--json",
            "--models-dir",
            folder.file("").to_str().unwrap(),
        ],
        1,
    );
    assert!(
        missing["models"][0]["error"]
            .as_str()
            .unwrap()
            .contains("bicubic-x4"),
        "{missing}"
    );
}

#[test]
fn models_are_probed() {
    if !runtime() {
        return;
    }
    let file = |name: &str| tiny().join(name).to_str().unwrap().to_owned();
    let probe = json(&["models", "probe", &file("shifted-x4.onnx"), "--json"], 0);
    assert_eq!(
        (&probe["role"], &probe["scale"]),
        (&"generator".into(), &4.into())
    );
    assert_eq!(probe["receptive-radius"], 3);
    let probe = json(&["models", "probe", &file("centre-face.onnx"), "--json"], 0);
    assert_eq!(
        (&probe["role"], &probe["family"]),
        (&"detector".into(), &"yolo".into())
    );
    let probe = json(&["models", "probe", &file("nearest-x2.onnx"), "--json"], 0);
    assert_eq!(probe["scale"], 2);
    let probe = json(&["models", "probe", &file("window-x4.onnx"), "--json"], 0);
    assert_eq!(
        (&probe["stride"], &probe["channels"]),
        (&8.into(), &"rgb".into())
    );
    let probe = json(&["models", "probe", &file("uneven.onnx"), "--json"], 1);
    assert!(probe["unusable"].as_str().unwrap().contains("128"));
    assert_fails(
        &run(&["models", "probe", &file("rubbish.onnx")]),
        1,
        &["rubbish.onnx"],
    );
    assert_fails(
        &run(&["models", "probe", "/nowhere.onnx"]),
        1,
        &["/nowhere.onnx"],
    );
}

#[test]
fn the_doctor_says_what_is_there() {
    if !runtime() {
        return;
    }
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
    let result = command(&["doctor", "--json", "--models-dir", models])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&result.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let find = |name: &str| {
        checks
            .iter()
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {report}"))
    };
    assert_eq!(find("version")["status"], "ok");
    assert_eq!(find("cpu")["status"], "ok");
    assert!(
        checks.iter().any(|check| check["detail"]
            .as_str()
            .unwrap()
            .starts_with("taken, version 1.")),
        "{report}"
    );
    assert_eq!(find("general-x4")["status"], "ok");
    // Whether it gains here or not, it is said of the file in eight-bit numbers.
    assert!(
        checks.iter().any(|check| check["name"] == "general-x4"
            && check["detail"]
                .as_str()
                .unwrap()
                .contains("general-x4.int8.onnx")),
        "{report}"
    );
    let failed = checks.iter().any(|check| check["status"] == "failed");
    assert_eq!(result.status.code(), Some(i32::from(failed)));
    assert_eq!(report["ok"], !failed);

    // Without models or without a runtime the main job cannot run.
    let report = json(&["doctor", "--json", "--models-dir", "/nowhere"], 1);
    assert_eq!(report["ok"], false);
    let result = run(&["doctor", "--runtime-library", "/nowhere/libonnxruntime.so"]);
    assert_eq!(result.status.code(), Some(1));
    let text = String::from_utf8(result.stdout).unwrap();
    assert!(
        text.contains("/nowhere/libonnxruntime.so") && text.contains("FAILED"),
        "{text}"
    );
}

#[test]
fn models_are_built_before_they_are_needed() {
    if !runtime() {
        return;
    }
    let cache = Folder::new("cache");
    let cache = cache.file("").to_str().unwrap().to_owned();
    let models = [
        "--general-model",
        "bicubic-x4",
        "--face-model",
        "inverted-x4",
        "--detector-model",
        "centre-face",
        "--cache-dir",
        &cache,
    ];
    let on = |provider: &'static str, more: &[&'static str]| {
        let mut all = vec!["models", "prebuild", "--provider", provider];
        all.extend(more);
        all.extend(models);
        run(&all)
    };
    let result = on("cpu", &["--size", "32x24", "--size", "70x50", "--json"]);
    assert!(result.status.success(), "{result:?}");
    let done: Value = serde_json::from_slice(&result.stdout).unwrap();
    assert_eq!(done["cache_dir"], cache.as_str());
    let names: Vec<_> = done["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| {
            assert_eq!(
                (&model["provider"], &model["build"], &model["transfer"]),
                (&"cpu".into(), &"nothing".into(), &"floats".into())
            );
            model["name"].as_str().unwrap()
        })
        .collect();
    assert_eq!(names, ["bicubic-x4", "inverted-x4", "centre-face"]);
    let text = String::from_utf8(on("cpu", &[]).stdout).unwrap();
    assert!(
        text.contains("general model bicubic-x4 on cpu (floats): nothing to build"),
        "{text}"
    );
    if !std::path::Path::new("/dev/nvidia0").exists() {
        assert_fails(
            &on("cuda", &[]),
            1,
            &["bicubic-x4", "cuda: ", "provider=auto"],
        );
    }
}

#[test]
fn camera_hands_over_to_the_program_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("camera");
    let program = folder.file("srfusion");
    std::fs::copy(env!("CARGO_BIN_EXE_srfusion"), &program).unwrap();
    let hand_over = || {
        std::process::Command::new(&program)
            .args(["camera", "--help", "rtsp://10.0.0.2/", "-x"])
            .env("PATH", "/nowhere")
            .output()
            .unwrap()
    };
    assert_fails(
        &hand_over(),
        1,
        &["srfusion-camera", "libgstrtspserver-1.0-dev"],
    );
    let other = folder.file("srfusion-camera");
    std::fs::write(&other, "#!/bin/sh\necho \"$0: $*\"\nexit 7\n").unwrap();
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o755)).unwrap();
    let result = hand_over();
    assert_eq!(result.status.code(), Some(7), "{result:?}");
    let text = String::from_utf8(result.stdout).unwrap();
    assert_eq!(
        text,
        format!("{}: --help rtsp://10.0.0.2/ -x\n", other.display())
    );
}
