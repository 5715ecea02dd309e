//! What the tests of the examples and of the scripts share.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::path::{Path, PathBuf};

use gst::prelude::*;

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether everything is there that the examples need, apart from the plugin; says what is not.
pub fn ready() -> bool {
    if let Err(error) = srfusion::runtime::library::load(None) {
        eprintln!("skipped: {error}");
        return false;
    }
    gst::init().unwrap();
    let needed = [
        "videotestsrc",
        "x264enc",
        "h264parse",
        "mp4mux",
        "matroskamux",
        "avdec_h264",
        "avenc_aac",
        "parsebin",
    ];
    let missing: Vec<_> = needed
        .iter()
        .filter(|name| gst::ElementFactory::find(name).is_none())
        .collect();
    if !missing.is_empty() {
        eprintln!("skipped: GStreamer has no {missing:?}");
    }
    missing.is_empty()
}

pub fn finish(pipeline: &gst::Pipeline) {
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(
            gst::ClockTime::from_seconds(60),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        )
        .expect("the pipeline did not end");
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(matches!(end.view(), gst::MessageView::Eos(_)), "{end:?}");
}

/// Number of decoded frames of a file, and their size.
pub fn frames(path: &Path) -> (usize, i32, i32) {
    let pipeline = gst::parse::launch(
        "filesrc name=in ! decodebin ! video/x-raw ! fakesink name=out sync=false",
    )
    .unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    pipeline
        .by_name("in")
        .unwrap()
        .set_property("location", path);
    let seen = std::sync::Arc::new(std::sync::Mutex::new((0, 0, 0)));
    let pad = pipeline.by_name("out").unwrap().static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, {
        let seen = seen.clone();
        move |pad, _| {
            let caps = pad.current_caps().unwrap();
            let side = |name| caps.structure(0).unwrap().get::<i32>(name).unwrap();
            let mut seen = seen.lock().unwrap();
            *seen = (seen.0 + 1, side("width"), side("height"));
            gst::PadProbeReturn::Ok
        }
    });
    finish(&pipeline);
    *seen.lock().unwrap()
}

/// A catalogue of the tiny networks under the names of those that ship: the examples choose among these by name.
pub fn models(folder: &Path) -> PathBuf {
    let (tiny, models) = (repository().join("models/tiny"), folder.join("models"));
    std::fs::create_dir_all(&models).unwrap();
    let catalogue = std::fs::read_to_string(tiny.join("models.toml")).unwrap();
    let mut renamed = String::new();
    for (from, to) in [
        ("bicubic-x4", &["general-x4", "general-x4-camera"][..]),
        ("inverted-x4", &["face-x4", "face-x4-camera"]),
        ("centre-face", &["face-detector"]),
    ] {
        let name = format!("name = \"{from}\"");
        let entry = catalogue
            .split("[[model]]")
            .find(|entry| entry.contains(&name))
            .unwrap();
        for to in to {
            renamed += &format!(
                "[[model]]{}",
                entry.replace(&name, &format!("name = \"{to}\""))
            );
        }
        let file = format!("{from}.onnx");
        std::fs::copy(tiny.join(&file), models.join(&file)).unwrap();
    }
    std::fs::write(models.join("models.toml"), renamed).unwrap();
    models
}
