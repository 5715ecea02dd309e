//! What the tests of the command share: running it, making clips with GStreamer, and reading what came out.

#![allow(dead_code, reason = "each test program uses its own part")]

pub mod browser;
pub mod media;
pub mod python;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;

/// The tiny networks that stand in for real ones.
pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny")
}

/// The command with `arguments`, its models the tiny ones.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_srfusion"));
    command.args(arguments).env("SRFUSION_MODELS", tiny());
    command
}

/// Runs the command to its end.
pub fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Runs the command; ended by force after `limit`, it has no exit code.
pub fn run_within(arguments: &[&str], limit: Duration) -> Output {
    let mut child = command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Fails only where it has ended by itself.
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

/// Options for bicubic interpolation as the only network.
pub const BICUBIC: &[&str] = &["--general-model", "bicubic-x4", "--face-model", "none"];
/// Options of a job of one second for each segment and a second for each frame.
pub const SLOW: &[&str] = &[
    "--general-model",
    "slow-x4",
    "--face-model",
    "none",
    "--segment-time",
    "1s",
];
/// Options for the tiny networks in all three roles.
pub const FACES: &[&str] = &[
    "--general-model",
    "bicubic-x4",
    "--face-model",
    "inverted-x4",
    "--detector-model",
    "centre-face",
];

/// Runs `upscale` with JSON, which must succeed, and returns what it printed.
#[track_caller]
pub fn upscale(input: &Path, output: &Path, options: &[&str]) -> serde_json::Value {
    let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
    let arguments = [&["upscale", input, output, "--json"], options].concat();
    let result = run(&arguments);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{arguments:?}: {errors}");
    last_line(&result)
}

/// The objects that a run of the command has printed, a line each.
#[track_caller]
pub fn lines(result: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(&result.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The last of them: the summary or the error.
#[track_caller]
pub fn last_line(result: &Output) -> serde_json::Value {
    lines(result).pop().unwrap()
}

/// Asserts that a run of the command ended with `status` and that its message has every one of `words`.
#[track_caller]
pub fn assert_fails(result: &Output, status: i32, words: &[&str]) {
    let message = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(status), "{message}");
    for word in words {
        assert!(message.contains(word), "no '{word}' in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

/// Has `change` done to what a job has noted in the file at `path`, as if it had been noted so.
#[track_caller]
pub fn reseal(path: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    use sha2::{Digest, Sha256};
    let text = std::fs::read_to_string(path).unwrap();
    let mut value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    change(&mut value);
    let text = value.to_string();
    let sum: String = Sha256::digest(&text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    std::fs::write(path, format!("{text}\n{sum}\n")).unwrap();
}

/// Whether ONNX Runtime can be loaded; says so if not.
pub fn runtime() -> bool {
    match srfusion::runtime::library::load(None) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("skipped: {error}");
            false
        }
    }
}

/// Whether GStreamer has `elements`; says which it lacks.
pub fn has(elements: &[&str]) -> bool {
    gst::init().unwrap();
    let missing: Vec<_> = elements
        .iter()
        .filter(|name| gst::ElementFactory::find(name).is_none())
        .collect();
    if !missing.is_empty() {
        eprintln!("skipped: GStreamer has no {missing:?}");
    }
    missing.is_empty()
}

/// A folder of its own for a test, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("srfusion-cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names of the files in it, hidden ones too.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a pipeline to its end, after `prepare` had it.
#[track_caller]
pub fn play(description: &str, prepare: impl FnOnce(&gst::Pipeline)) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    prepare(&pipeline);
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(120),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    let end = end.expect("the pipeline did not end");
    pipeline.set_state(gst::State::Null).unwrap();
    if let gst::MessageView::Error(error) = end.view() {
        panic!("{description}: {} ({:?})", error.error(), error.debug());
    }
}

/// Has every buffer at `element`'s pad `pad` changed by `change`; marked as droppable if that returns false.
pub fn at(
    pipeline: &gst::Pipeline,
    element: &str,
    pad: &str,
    change: impl Fn(usize, &mut gst::BufferRef) -> bool + Send + Sync + 'static,
) {
    let pad = pipeline.by_name(element).unwrap().static_pad(pad).unwrap();
    let number = Mutex::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
            unreachable!()
        };
        let mut number = number.lock().unwrap();
        let buffer = buffer.make_mut();
        if !change(*number, buffer) {
            buffer.set_flags(gst::BufferFlags::DROPPABLE);
        }
        *number += 1;
        gst::PadProbeReturn::Ok
    });
}

/// A decoded frame: its running time in nanoseconds, the mean of each of R, G and B, and the caps it was decoded to.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub time: u64,
    pub mean: [f64; 3],
    pub width: i32,
    pub height: i32,
    pub colorimetry: String,
    pub aspect: gst::Fraction,
}

fn running(pad: &gst::Pad, time: Option<gst::ClockTime>) -> u64 {
    let segment = pad.sticky_event::<gst::event::Segment>(0).unwrap();
    let segment = segment.segment().downcast_ref::<gst::ClockTime>().unwrap();
    // Sound may lie outside its segment, to be decoded and not heard.
    segment
        .to_running_time(time)
        .map_or(u64::MAX, gst::ClockTime::nseconds)
}

/// Decodes the video of a file, through 16 bits: the direct way to RGB (GStreamer 1.22) is off by 1 to 3 of 255.
#[track_caller]
pub fn frames(path: &Path) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let decoded = Arc::new(Mutex::new(None::<gst::Caps>));
    play(
        "filesrc name=in ! decodebin ! identity name=raw ! videoconvert ! video/x-raw,format=AYUV64 \
         ! videoconvert ! video/x-raw,format=RGB \
         ! fakesink name=out sync=false",
        |pipeline| {
            pipeline
                .by_name("in")
                .unwrap()
                .set_property("location", path);
            let raw = pipeline.by_name("raw").unwrap().static_pad("src").unwrap();
            raw.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, {
                let decoded = decoded.clone();
                move |_, info| {
                    if let Some(event) = info.event()
                        && let gst::EventView::Caps(caps) = event.view()
                    {
                        *decoded.lock().unwrap() = Some(caps.caps_owned());
                    }
                    gst::PadProbeReturn::Ok
                }
            });
            let sink = pipeline.by_name("out").unwrap().static_pad("sink").unwrap();
            let seen = seen.clone();
            sink.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                let buffer = info.buffer().unwrap();
                let caps = pad.current_caps().unwrap();
                let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
                let map = buffer.map_readable().unwrap();
                let mut sums = [0_u64; 3];
                for row in map
                    .chunks(info.stride()[0] as usize)
                    .take(info.height() as usize)
                {
                    for pixel in row[..info.width() as usize * 3].chunks_exact(3) {
                        (0..3).for_each(|i| sums[i] += u64::from(pixel[i]));
                    }
                }
                let area = f64::from(info.width() * info.height());
                let decoded = decoded.lock().unwrap().clone().unwrap();
                let field = |name| {
                    decoded
                        .structure(0)
                        .unwrap()
                        .get::<String>(name)
                        .unwrap_or_default()
                };
                seen.lock().unwrap().push(Seen {
                    time: running(pad, buffer.pts()),
                    mean: sums.map(|sum| sum as f64 / area),
                    width: info.width() as i32,
                    height: info.height() as i32,
                    colorimetry: field("colorimetry"),
                    aspect: info.par(),
                });
                gst::PadProbeReturn::Ok
            });
        },
    );
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}

/// Sound packets of a file: running time in nanoseconds and content.
#[track_caller]
pub fn sound(path: &Path) -> Vec<(u64, Vec<u8>)> {
    let packets = Arc::new(Mutex::new(Vec::new()));
    play("filesrc name=in ! parsebin name=split", |pipeline| {
        pipeline
            .by_name("in")
            .unwrap()
            .set_property("location", path);
        let (packets, weak) = (packets.clone(), pipeline.downgrade());
        pipeline
            .by_name("split")
            .unwrap()
            .connect_pad_added(move |_, pad| {
                let pipeline = weak.upgrade().unwrap();
                let sink = gst::ElementFactory::make("fakesink")
                    .property("sync", false)
                    .property("async", false)
                    .build()
                    .unwrap();
                pipeline.add(&sink).unwrap();
                sink.sync_state_with_parent().unwrap();
                let target = sink.static_pad("sink").unwrap();
                pad.link(&target).unwrap();
                let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
                if caps.structure(0).unwrap().name().starts_with("audio/") {
                    let packets = packets.clone();
                    target.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                        let buffer = info.buffer().unwrap();
                        let data = buffer.map_readable().unwrap().to_vec();
                        packets
                            .lock()
                            .unwrap()
                            .push((running(pad, buffer.pts()), data));
                        gst::PadProbeReturn::Ok
                    });
                }
            });
    });
    Arc::into_inner(packets).unwrap().into_inner().unwrap()
}

/// Asserts that two clips have frames at the same times, to within `tolerance` nanoseconds.
#[track_caller]
pub fn assert_same_times(input: &[Seen], output: &[Seen], tolerance: u64) {
    assert!(!input.is_empty());
    let times = |seen: &[Seen]| seen.iter().map(|frame| frame.time).collect::<Vec<_>>();
    let (a, b) = (times(input), times(output));
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!(
            a.abs_diff(*b) <= tolerance,
            "frame {i}: {a} ns in, {b} ns out"
        );
    }
}
