//! What has to be seen in a process of its own: the registry's scan, leaks, and how a process ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::tiny;

/// A folder for one test, with the plugin in it, gone when this is dropped.
struct Scene(PathBuf);

impl Scene {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("srfusion-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("plugins")).unwrap();
        // Cargo builds the plugin for these tests, and puts it beside them.
        let built = std::env::current_exe()
            .unwrap()
            .with_file_name("libgstsrfusion.so");
        assert!(built.is_file(), "{} is missing", built.display());
        std::fs::copy(&built, folder.join("plugins/libgstsrfusion.so")).unwrap();
        Self(folder)
    }

    /// A GStreamer tool that sees this scene's plugin and writes its own registry.
    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env("GST_PLUGIN_PATH", self.0.join("plugins"))
            .env("GST_REGISTRY_1_0", self.0.join("registry.bin"))
            .env("G_DEBUG", "fatal_warnings")
            .env("NO_COLOR", "1")
            .env("GST_DEBUG_NO_COLOR", "1")
            .env_remove("GST_DEBUG")
            .env_remove("SRFUSION_MODELS");
        command
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        text(&output)
    );
    text(&output)
}

fn tiny_element(models: &Path) -> String {
    format!(
        "srfusion models-dir={} general-model=bicubic-x4 face-model=inverted-x4 detector-model=centre-face provider=cpu",
        models.display()
    )
}

#[test]
fn scanned_without_the_runtime_it_is_not_blacklisted() {
    let scene = Scene::new("scan");
    // First without any runtime library, as on the day the plugin is installed ...
    let bare = |name: &str| {
        let mut command = scene.tool(name);
        command.env("ORT_DYLIB_PATH", "/nonexistent/libonnxruntime.so");
        command
    };
    let shown = succeed(bare("gst-inspect-1.0").arg("srfusion"));
    for part in [
        "GstSrFusion",
        "Filter/Effect/Converter/Video/Scaler",
        "general-model",
        "MIT/X11",
        "active-provider",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    let blacklist = succeed(bare("gst-inspect-1.0").arg("-b"));
    assert!(!blacklist.contains("libgstsrfusion"), "{blacklist}");
    let failed = bare("gst-launch-1.0")
        .args("-q videotestsrc num-buffers=1 ! video/x-raw,width=16,height=16 !".split(' '))
        .args(tiny_element(&tiny()).split(' '))
        .args(["!", "fakesink"])
        .output()
        .unwrap();
    let said = text(&failed);
    assert!(failed.status.code().is_some_and(|code| code != 0), "{said}");
    assert!(
        said.contains("ONNX Runtime") && said.contains("/nonexistent/libonnxruntime.so"),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");

    // ... then with it, and the same registry.
    let mut command = scene.tool("gst-launch-1.0");
    command.args("-q videotestsrc num-buffers=2 ! video/x-raw,width=16,height=16 !".split(' '));
    succeed(
        command
            .args(tiny_element(&tiny()).split(' '))
            .args(["!", "fakesink"]),
    );
}

#[test]
fn runtime_library_is_no_library() {
    // In a process where one is loaded already, that one stays.
    let scene = Scene::new("rubbish");
    let file = tiny().join("rubbish.onnx");
    let mut command = scene.tool("gst-launch-1.0");
    command.args("-q videotestsrc num-buffers=1 ! video/x-raw,width=16,height=16 !".split(' '));
    command
        .args(tiny_element(&tiny()).split(' '))
        .arg(format!("runtime-library={}", file.display()));
    let said = text(&command.args(["!", "fakesink"]).output().unwrap());
    assert!(
        said.contains("ONNX Runtime") && said.contains("rubbish.onnx"),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(said.matches("ERROR: from element").count(), 1, "{said}");
}

#[test]
fn nothing_leaks() {
    let scene = Scene::new("leaks");
    let launch = |properties: &str, rest: &str| {
        let mut command = scene.tool("gst-launch-1.0");
        command
            .env("GST_TRACERS", "leaks(check-refs=false)")
            .env("GST_DEBUG", "GST_TRACER:7");
        command.args(
            "-q videotestsrc num-buffers=20 ! video/x-raw,width=64,height=64,framerate=25/1 !"
                .split(' '),
        );
        command
            .args(tiny_element(&tiny()).split(' '))
            .args(properties.split_whitespace());
        command.args(rest.split_whitespace());
        text(&command.output().unwrap())
    };
    for (properties, rest) in [
        ("", "! fakesink"),
        ("use-roi-meta=true", "! fakesink"),
        ("deadline=40000000 reuse=tolerant", "! fakesink"),
        ("deadline=1 frames-in-flight=3", "! fakesink"),
        ("general-model=no-such", "! fakesink"),
    ] {
        let said = launch(properties, rest);
        // The tracer is there and says what its lines look like; after that each line is a leak.
        let about = said.lines().filter(|line| line.contains("object-alive"));
        let (formats, alive): (Vec<_>, Vec<_>) =
            about.partition(|line| line.contains("gst_tracer_record_build_format"));
        assert!(!formats.is_empty(), "{said}");
        assert!(alive.is_empty(), "{properties}: {alive:#?}");
    }
}

/// GStreamer's own measurement of how long the element holds frames works on it, at any depth.
#[test]
fn the_latency_tracer_sees_it() {
    let scene = Scene::new("latency");
    for properties in ["", "frames-in-flight=3", "deadline=40000000"] {
        let mut command = scene.tool("gst-launch-1.0");
        command
            .env("GST_TRACERS", "latency(flags=pipeline+element)")
            .env("GST_DEBUG", "GST_TRACER:7")
            .env("GST_DEBUG_NO_COLOR", "1");
        command.args(
            "-q videotestsrc num-buffers=20 ! video/x-raw,width=64,height=64,framerate=25/1 !"
                .split(' '),
        );
        command
            .args(tiny_element(&tiny()).split(' '))
            .args(properties.split_whitespace());
        let said = text(&command.args(["!", "fakesink"]).output().unwrap());
        let lines = said
            .lines()
            .filter(|line| line.contains("element-latency,") && line.contains("srfusion0"));
        // One for each frame but, with several under way, those that are in it when it ends.
        let count = lines.count();
        assert!(
            (15..=20).contains(&count),
            "{properties}: {count} lines in\n{said}"
        );
    }
}

#[test]
fn a_process_may_end_while_models_are_opened() {
    let scene = Scene::new("exit");
    for _ in 0..5 {
        // Without frames the end comes at once, when loading has hardly begun.
        let mut command = scene.tool("gst-launch-1.0");
        command.args("-q videotestsrc num-buffers=0 ! video/x-raw,width=16,height=16 !".split(' '));
        succeed(
            command
                .args(tiny_element(&tiny()).split(' '))
                .args(["!", "fakesink"]),
        );
    }
}

#[test]
fn gst_launch_ends_when_models_cannot_be_opened() {
    let scene = Scene::new("ends");
    let rubbish = tiny().join("rubbish.onnx");
    for _ in 0..5 {
        let mut command = scene.tool("timeout");
        command
            .args("20 gst-launch-1.0 -q videotestsrc ! video/x-raw,width=16,height=16 !".split(' '))
            .args(tiny_element(&tiny()).split(' '))
            .arg(format!("general-model={}", rubbish.display()));
        let output = command.args(["!", "fakesink"]).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.matches("ERROR: from element").count(), 1, "{said}");
    }
}
