//! Runs the scripts as a user would: the demo on small clips with the tiny networks, and the set-up with stand-ins for what it calls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gst::prelude::*;

mod support;
use support::{finish, frames, models, ready, repository};

/// A folder of its own, removed at the end of a test that succeeds.
fn folder(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("srfusion-scripts-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// --- the demo --------------------------------------------------------------------------------------------------------

/// Cargo's folder and the profile of this build, if plugin and command are there too; says so if not.
fn built() -> Option<(PathBuf, String)> {
    // target/PROFILE/deps/this-test
    let exe = std::env::current_exe().unwrap();
    let profile = exe.parent()?.parent()?;
    for name in ["libgstsrfusion.so", "srfusion"] {
        if !profile.join(name).is_file() {
            eprintln!(
                "skipped: no {name} in {}; run `cargo build` first",
                profile.display()
            );
            return None;
        }
    }
    let name = profile.file_name()?.to_str()?.to_owned();
    Some((profile.parent()?.to_owned(), name))
}

fn demo(arguments: &[&str], folder: &Path) -> Option<Output> {
    if !ready() {
        return None;
    }
    if gst::ElementFactory::find("deinterlace").is_none()
        || Command::new("gst-discoverer-1.0")
            .arg("--version")
            .output()
            .is_err()
    {
        eprintln!(
            "skipped: there is no element deinterlace or no gst-discoverer-1.0; run scripts/setup"
        );
        return None;
    }
    let (target, profile) = built()?;
    let output = Command::new(repository().join("scripts/demo"))
        .args(["--no-setup", "--no-build", &profile])
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env("SRFUSION_MODELS", models(folder))
        .env_remove("GST_PLUGIN_PATH")
        .output()
        .unwrap();
    Some(output)
}

/// Runs a pipeline whose element `out` writes `path`.
fn record(description: &str, path: &Path) {
    let pipeline = gst::parse::launch(description)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    pipeline
        .by_name("out")
        .unwrap()
        .set_property("location", path);
    finish(&pipeline);
}

/// The caps that the video of a file is decoded to.
fn decoded_caps(path: &Path) -> gst::Structure {
    let pipeline = gst::parse::launch(
        "filesrc name=in ! decodebin ! video/x-raw ! fakesink name=out sync=false",
    )
    .unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    pipeline
        .by_name("in")
        .unwrap()
        .set_property("location", path);
    pipeline.set_state(gst::State::Paused).unwrap();
    pipeline.state(gst::ClockTime::from_seconds(60)).0.unwrap();
    let pad = pipeline.by_name("out").unwrap().static_pad("sink").unwrap();
    let caps = pad.current_caps().unwrap().structure(0).unwrap().to_owned();
    pipeline.set_state(gst::State::Null).unwrap();
    caps
}

fn kinds_of_streams(path: &Path) -> String {
    let output = Command::new("gst-discoverer-1.0")
        .arg(path)
        .output()
        .unwrap();
    text(&output.stdout)
}

#[test]
fn demo_leaves_a_video_with_its_sound_and_a_comparison() {
    let folder = folder("demo");
    gst::init().unwrap();
    // A name that a shell and a pipeline description could stumble over.
    let input = folder.join("in \"1\" 'a\\b'.mp4");
    record(
        "videotestsrc num-buffers=8 ! video/x-raw,format=I420,width=64,height=48,framerate=10/1 ! x264enc bframes=0 ! h264parse ! queue ! mux. \
         audiotestsrc num-buffers=34 samplesperbuffer=1024 ! audio/x-raw,rate=44100,channels=1 ! avenc_aac ! aacparse ! queue ! mux. \
         mp4mux name=mux ! filesink name=out",
        &input,
    );
    let Some(result) = demo(&[input.to_str().unwrap(), "out.mkv"], &folder) else {
        return;
    };
    let (said, errors) = (text(&result.stdout), text(&result.stderr));
    assert!(result.status.success(), "{errors}");
    assert_eq!(frames(&folder.join("out.mkv")), (8, 256, 192));
    assert!(kinds_of_streams(&folder.join("out.mkv")).contains("audio"));
    // 3 columns of 640, the whole frame and the face, each 4:3.
    assert_eq!(
        image::image_dimensions(folder.join("out.mkv.compare.png")).unwrap(),
        (1920, 960)
    );
    let last = said.lines().last().unwrap();
    let parts: Vec<_> = last.split(", ").collect();
    assert_eq!((parts[0], parts[2]), ("8 frames", "provider cpu"), "{last}");
    assert!(parts[1].ends_with(" frames/s"), "{last}");
    assert_eq!(parts[3], "faces in 8 of 8 frames (100.0 %)");
    // Nothing half done is left.
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| text(entry.unwrap().file_name().as_encoded_bytes()))
        .collect();
    names.retain(|name| name.starts_with('.'));
    assert!(names.is_empty(), "{names:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn demo_keeps_high_dynamic_range_apart_and_takes_out_interlacing() {
    let folder = folder("demo-kinds");
    gst::init().unwrap();
    let input = folder.join("hdr.mkv");
    record(
        "videotestsrc num-buffers=4 ! video/x-raw,format=I420_10LE,width=64,height=48,framerate=10/1,colorimetry=bt2100-pq ! x264enc bframes=0 \
         ! h264parse ! matroskamux ! filesink name=out",
        &input,
    );
    let Some(result) = demo(&[input.to_str().unwrap(), "hdr-x4.mkv"], &folder) else {
        return;
    };
    assert!(result.status.success(), "{}", text(&result.stderr));
    let colorimetry: String = decoded_caps(&folder.join("hdr-x4.mkv"))
        .get("colorimetry")
        .unwrap();
    let colorimetry: gst_video::VideoColorimetry = colorimetry.parse().unwrap();
    assert_eq!(
        colorimetry.transfer(),
        gst_video::VideoTransferFunction::Smpte2084
    );
    assert_eq!(
        colorimetry.primaries(),
        gst_video::VideoColorPrimaries::Bt2020
    );

    let input = folder.join("interlaced.mkv");
    record(
        "videotestsrc num-buffers=6 pattern=ball ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 ! interlace field-pattern=1:1 \
         ! x264enc bframes=0 interlaced=true ! h264parse ! matroskamux ! filesink name=out",
        &input,
    );
    assert_ne!(
        decoded_caps(&input)
            .get::<String>("interlace-mode")
            .unwrap(),
        "progressive"
    );
    let result = demo(&[input.to_str().unwrap(), "progressive.mkv"], &folder).unwrap();
    assert!(result.status.success(), "{}", text(&result.stderr));
    let output = folder.join("progressive.mkv");
    assert_eq!(
        decoded_caps(&output)
            .get::<String>("interlace-mode")
            .unwrap(),
        "progressive"
    );
    assert_eq!(frames(&output).0, frames(&input).0);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn demo_says_what_is_wrong() {
    let folder = folder("demo-faults");
    let nonsense = folder.join("nonsense.mp4");
    std::fs::write(&nonsense, "this is no video").unwrap();
    let nonsense = nonsense.to_str().unwrap();
    for (arguments, status, words) in [
        (&["a", "b.mp4", "c"][..], 2, &["at most", "3 arguments"][..]),
        (&["--wrong"], 2, &["--wrong"]),
        (&[nonsense, "out.avi"], 2, &["OUTPUT", "out.avi"]),
        (&["nowhere.mp4"], 1, &["nowhere.mp4", "can be read"]),
        (&[nonsense, nonsense], 1, &["same file"]),
        (&[nonsense, "no/folder/out.mp4"], 1, &["no/folder", "mkdir"]),
        // GStreamer's own message, and a way on.
        (
            &[nonsense, "out.mp4"],
            1,
            &["ERROR", "the pipeline failed", "doctor"],
        ),
    ] {
        let Some(result) = demo(arguments, &folder) else {
            return;
        };
        let message = text(&result.stderr);
        assert_eq!(
            result.status.code(),
            Some(status),
            "{arguments:?}: {message}"
        );
        for word in words {
            assert!(
                message.contains(word),
                "{arguments:?}: no '{word}' in {message}"
            );
        }
    }
    assert!(!folder.join("out.mp4").exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

// --- the set-up ------------------------------------------------------------------------------------------------------

/// A program of the name that comes first in the PATH of [`setup`].
fn stand_in(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A Python that installs nothing, but writes down how pip was called and makes what setup looks for.
const PIP: &str = r#"
case "$*" in *"import pip"*) exit 0 ;; esac
printf '%s\n' "$*" >>"$LOG"
while [ $# -gt 0 ]; do [ "$1" != --target ] || target=$2; shift; done
mkdir -p "$target/onnxruntime/capi"
touch "$target/onnxruntime/capi/libonnxruntime.so.1.0.0""#;

fn setup(folder: &Path, arguments: &[&str]) -> Output {
    let path = std::env::join_paths(
        std::iter::once(folder.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    Command::new(repository().join("scripts/setup"))
        .args(arguments)
        .env("PATH", path.unwrap())
        .env("LOG", folder.join("log"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("CARGO_TARGET_DIR", folder)
        .env_remove("ORT_DYLIB_PATH")
        .output()
        .unwrap()
}

#[test]
fn setup_chooses_the_runtime_by_the_drivers_version() {
    for (driver, options, wheels, installed, reason) in [
        (
            None,
            &[][..],
            "onnxruntime-cpu.txt",
            "onnxruntime==",
            "no NVIDIA driver",
        ),
        (
            Some("580.65.06"),
            &[],
            "onnxruntime-cuda13.txt",
            "with CUDA 13 and cuDNN 9",
            "driver is 580",
        ),
        (
            Some("610.1"),
            &[],
            "nvidia-cuda13.txt",
            "with CUDA 13 and cuDNN 9",
            "driver is 610",
        ),
        (
            Some("535.183.01"),
            &[],
            "onnxruntime-cuda12.txt",
            "with CUDA 12 and cuDNN 9",
            "driver is 535",
        ),
        (
            Some("525.60"),
            &[],
            "nvidia-cuda12.txt",
            "with CUDA 12 and cuDNN 9",
            "driver is 525",
        ),
        (
            Some("470.256.02"),
            &[],
            "onnxruntime-cpu.txt",
            "onnxruntime==",
            "older than 525",
        ),
        (
            Some("580.65.06"),
            &["--runtime", "cpu"],
            "onnxruntime-cpu.txt",
            "onnxruntime==",
            "asked for",
        ),
        (
            None,
            &["--runtime=gpu"],
            "nvidia-cuda13.txt",
            "with CUDA 13 and cuDNN 9",
            "asked for",
        ),
        (
            Some("580.1"),
            &["--onnxruntime", "1.22.0"],
            "nvidia-cuda12.txt",
            "onnxruntime-gpu==1.22.0 with CUDA 12",
            "not checked by a hash",
        ),
    ] {
        let folder = folder("setup");
        stand_in(&folder, "python3", PIP);
        let smi = driver.map_or("exit 9".to_owned(), |driver| format!("echo {driver}"));
        stand_in(&folder, "nvidia-smi", &smi);
        // Rust is not needed to fetch the runtime.
        stand_in(&folder, "cargo", "exit 1");
        stand_in(&folder, "rustc", "exit 1");
        let result = setup(&folder, &[&["runtime"], options].concat());
        let (errors, log) = (
            text(&result.stderr),
            std::fs::read_to_string(folder.join("log")).unwrap(),
        );
        assert!(result.status.success(), "{driver:?}: {errors}");
        assert!(log.contains(wheels), "{driver:?}: {log}");
        assert_eq!(log.contains("nvidia-"), installed.contains("CUDA"), "{log}");
        assert!(errors.contains(reason), "{driver:?}: {errors}");
        let marker = folder.join("data/srfusion/runtime/installed");
        assert!(
            std::fs::read_to_string(&marker)
                .unwrap()
                .contains(installed),
            "{driver:?}"
        );
        // Everything is there: nothing is fetched again.
        assert!(
            setup(&folder, &[&["runtime"], options].concat())
                .status
                .success()
        );
        assert_eq!(
            std::fs::read_to_string(folder.join("log")).unwrap(),
            log,
            "{driver:?}"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn setup_fails_where_pip_does_and_is_only_excused_without_any_network() {
    let folder = folder("setup-network");
    let pip = format!(
        "case \"$*\" in *'import pip'*) exit 0 ;; esac\necho 'ERROR: Cannot connect to proxy, connection refused, no matching distribution'\nexit 1\n{PIP}"
    );
    stand_in(&folder, "python3", &pip);
    stand_in(&folder, "nvidia-smi", "exit 9");
    let online = Command::new("sh")
        .args(["-c", "grep -qv '^Iface' /proc/net/route"])
        .status()
        .unwrap()
        .success();
    let result = setup(&folder, &["runtime"]);
    let message = text(&result.stderr);
    assert!(
        message.contains("connection refused") && message.contains("ORT_DYLIB_PATH"),
        "{message}"
    );
    if online {
        assert_eq!(result.status.code(), Some(1), "{message}");
    }
    let offline = |script: &str| {
        Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c", script])
            .current_dir(repository())
            .env_remove("http_proxy")
            .env_remove("https_proxy")
            .env_remove("HTTP_PROXY")
            .env_remove("HTTPS_PROXY")
            .env_remove("all_proxy")
            .env_remove("ALL_PROXY")
            .env_remove("ORT_DYLIB_PATH")
            .env("XDG_DATA_HOME", folder.join("data"))
            .env("CARGO_TARGET_DIR", &folder)
            .output()
    };
    if !offline("true").is_ok_and(|output| output.status.success()) {
        eprintln!("skipped in part: unshare cannot make a network of its own here");
    } else {
        let run = format!("PATH={}:$PATH exec scripts/setup runtime", folder.display());
        let result = offline(&run).unwrap();
        assert_eq!(result.status.code(), Some(75), "{}", text(&result.stderr));
        assert!(
            text(&result.stderr).contains("no network"),
            "{}",
            text(&result.stderr)
        );
        // A proxy is a way out: what it refuses is a failure.
        let result =
            offline(&format!("http_proxy=http://proxy:3128 {run}").replace("exec ", "")).unwrap();
        assert_eq!(result.status.code(), Some(1), "{}", text(&result.stderr));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn setup_hands_the_proxy_through_sudo() {
    let folder = folder("setup-sudo");
    stand_in(&folder, "id", "echo 1000");
    stand_in(&folder, "dpkg-query", "exit 1");
    // As sudo does: nothing of the environment passes but what is named.
    stand_in(
        &folder,
        "sudo",
        "keep=(PATH=\"$PATH\" LOG=\"$LOG\")\n\
         while [[ $1 == -* ]]; do\n\
             case $1 in --preserve-env=*) for name in ${1#*=}; do :; done; IFS=, read -ra names <<<\"${1#*=}\"\n\
                 for name in \"${names[@]}\"; do [ -z \"${!name+x}\" ] || keep+=(\"$name=${!name}\"); done ;; esac\n\
             shift\n\
         done\n\
         exec env -i \"${keep[@]}\" \"$@\"",
    );
    stand_in(
        &folder,
        "apt-get",
        "echo \"$1 via ${http_proxy:-nothing} and ${https_proxy:-nothing}\" >>\"$LOG\"",
    );
    let script = repository().join("scripts/setup");
    let path = std::env::join_paths(
        std::iter::once(folder.clone())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let result = Command::new(script)
        .arg("system")
        .env("PATH", path.unwrap())
        .env("LOG", folder.join("log"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("http_proxy", "http://user:secret@proxy:3128")
        .env("https_proxy", "http://proxy:3129")
        .output()
        .unwrap();
    assert!(result.status.success(), "{}", text(&result.stderr));
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    let expected = "via http://user:secret@proxy:3128 and http://proxy:3129";
    assert_eq!(log, format!("update {expected}\ninstall {expected}\n"));
    assert!(!text(&result.stderr).contains("secret"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn setup_refuses_what_it_does_not_know() {
    let folder = folder("setup-usage");
    for (arguments, word) in [
        (&["everything"][..], "everything"),
        (&["--runtime", "tpu"], "tpu"),
        (&["--onnxruntime", "1.2.0"], "1.2.0"),
        (&["--runtime"], "needs a value"),
    ] {
        let result = setup(&folder, arguments);
        assert_eq!(result.status.code(), Some(2));
        assert!(
            text(&result.stderr).contains(word),
            "{}",
            text(&result.stderr)
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

// --- counting --------------------------------------------------------------------------------------------------------

#[test]
fn tests_are_counted_by_their_runners_report() {
    let folder = folder("count");
    let junit = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="a"><testcase name="works" classname="a"/>
<testcase name="talks" classname="a"><system-out>3 passed, 9 failed, and it skipped frames</system-out></testcase>
<testcase name="absent" classname="a"><system-err>skipped: no data in /nowhere</system-err></testcase>
<testcase name="broken" classname="a"><failure type="test failure"/><system-err>skipped: not this one</system-err></testcase>
<testcase name="slow" classname="a"><error type="timeout"/></testcase>
<testcase name="marked" classname="b.tests"><skipped message="needs cv2"/></testcase></testsuite></testsuites>"#;
    let libtest = "\nrunning 4 tests\ntest one ... ok\ntest two ... ignored, too slow\ntest three ... ok\ntest four ... FAILED\n\nsuccesses:\n\n\
                   ---- one stdout ----\nskipped: no ffmpeg\n\n---- three stdout ----\n7 passed; 1 failed\n\nsuccesses:\n    one\n    three\n\n\
                   test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out\n";
    for (report, counts, skipped) in [
        (
            junit,
            "2 2 2",
            "S\ta::absent\tno data in /nowhere\nS\tb.tests::marked\tneeds cv2\n",
        ),
        (libtest, "1 1 2", "S\ttwo\ttoo slow\nS\tone\tno ffmpeg\n"),
    ] {
        let (file, list) = (folder.join("report"), folder.join("skipped"));
        let _ = std::fs::remove_file(&list);
        std::fs::write(&file, report).unwrap();
        let result = Command::new("python3")
            .arg(repository().join("scripts/count_tests.py"))
            .args([&file, &list])
            .arg("S")
            .output()
            .unwrap();
        assert_eq!(
            text(&result.stdout).trim(),
            counts,
            "{}",
            text(&result.stderr)
        );
        assert_eq!(std::fs::read_to_string(&list).unwrap(), skipped);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
