//! The record of what was drawn by what, read as other programs read it: JSON, and hashes reckoned again by GLib from the frames themselves.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use gst::glib;
use gst::prelude::*;
use gst_video::video_meta::VideoRegionOfInterestMeta;
use serde_json::Value;
use srfusion::record::QUEUE;

use crate::common::{
    Line, Messages, collect, element, frame, harness, is_end, pipeline, play, srfusion, within,
};

/// The lines of a record.
#[track_caller]
fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["line"] == kind).collect()
}

/// sha256 of the samples of a frame of planes of bytes, without what lies between rows.
fn sum(buffer: &gst::BufferRef, caps: &gst::CapsRef) -> String {
    let info = gst_video::VideoInfo::from_caps(caps).unwrap();
    let map = buffer.map_readable().unwrap();
    let mut samples = Vec::new();
    for plane in 0..info.n_planes() as usize {
        // Of the formats here each plane holds one component, or all of RGB.
        let component = plane as u8;
        let width = if info.is_rgb() {
            3 * info.width()
        } else {
            info.comp_width(component)
        };
        for row in 0..info.comp_height(component) as usize {
            let at = info.offset()[plane] + row * info.stride()[plane] as usize;
            samples.extend_from_slice(&map[at..at + width as usize]);
        }
    }
    let sum = glib::compute_checksum_for_data(glib::ChecksumType::Sha256, &samples);
    sum.unwrap().to_string()
}

/// Sums of every frame that passes a pad.
fn sums(pipeline: &gst::Pipeline, pad: &str) -> Arc<Mutex<Vec<String>>> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let pad = srfusion(pipeline).static_pad(pad).unwrap();
    let sums = found.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let caps = pad.current_caps().unwrap();
        sums.lock()
            .unwrap()
            .push(sum(info.buffer().unwrap(), &caps));
        gst::PadProbeReturn::Ok
    });
    found
}

fn rects(value: &Value) -> Vec<[usize; 4]> {
    match value {
        Value::Null => Vec::new(),
        value => serde_json::from_value(value.clone()).unwrap(),
    }
}

/// Marks the pixels of `rects` in `picture`; none may be marked already.
#[track_caller]
fn mark(picture: &mut [u8], width: usize, rects: &[[usize; 4]], as_: u8, frame: &Value) {
    for [x, y, w, h] in rects {
        for y in *y..y + h {
            for pixel in &mut picture[y * width + x..y * width + x + w] {
                assert_eq!(*pixel, 0, "drawn twice at {x},{y} in {frame}");
                *pixel = as_;
            }
        }
    }
}

/// Every pixel of every frame comes from one place, what is kept was drawn in the frame that is named, and what is hidden is hidden by
/// the face network's picture. Returns how many rectangles were kept, and how many interpolated.
#[track_caller]
fn check_origins(lines: &[Value], width: usize, height: usize) -> (usize, usize) {
    // For each frame what was drawn, and what interpolated.
    let mut drawn: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut faces: BTreeMap<u64, Vec<[usize; 4]>> = BTreeMap::new();
    let (mut kept_count, mut late) = (0, 0);
    for frame in of(lines, "frame") {
        let number = frame["frame"].as_u64().unwrap();
        let mut picture = vec![0; width * height];
        let general = rects(&frame["general"]["rects"]);
        assert!(general.is_empty() || frame["general"]["sha256"].as_str().unwrap().len() == 64);
        mark(&mut picture, width, &general, 1, frame);
        let interpolated = rects(&frame["interpolated"]);
        mark(&mut picture, width, &interpolated, 2, frame);
        late += interpolated.len();
        let own = picture.clone();
        for (field, what) in [("kept", 1), ("owed", 2)] {
            for part in frame[field].as_array().into_iter().flatten() {
                let from = part["from"].as_u64().unwrap();
                assert!(from < number, "{frame}");
                for [x, y, w, h] in rects(&part["rects"]) {
                    kept_count += 1;
                    mark(&mut picture, width, &[[x, y, w, h]], 3, frame);
                    for y in y..y + h {
                        let then = &drawn[&from][y * width + x..][..w];
                        assert!(then.iter().all(|pixel| *pixel == what), "{field}: {frame}");
                    }
                }
            }
        }
        let covered = rects(&frame["covered"]);
        mark(&mut picture, width, &covered, 4, frame);
        assert!(picture.iter().all(|pixel| *pixel > 0), "{frame}");
        let parts = frame["face"]["parts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        faces.insert(number, rects(&frame["face"]["rects"]));
        for part in &parts {
            let from = part["from"].as_u64().unwrap_or(number);
            let of: [usize; 4] = serde_json::from_value(part["of"].clone()).unwrap();
            // Whole, in tiles of any number.
            let area: usize = faces[&from]
                .iter()
                .filter(|r| r[0] >= of[0] && r[1] >= of[1])
                .filter(|r| r[0] + r[2] <= of[0] + of[2] && r[1] + r[3] <= of[1] + of[3])
                .map(|r| r[2] * r[3])
                .sum();
            assert_eq!(area, of[2] * of[3], "{frame}");
        }
        for [x, y, w, h] in covered {
            let hides = |part: &Value| {
                let [px, py, pw, ph]: [usize; 4] =
                    serde_json::from_value(part["rect"].clone()).unwrap();
                px <= x && py <= y && x + w <= px + pw && y + h <= py + ph
            };
            assert!(parts.iter().any(hides), "{frame}");
        }
        drawn.insert(number, own);
    }
    (kept_count, late)
}

const BALL: &str = "videotestsrc pattern=ball background-color=0xff808080 num-buffers=40 ! \
                    video/x-raw,format=I420,width=90,height=62,framerate=25/1";

#[test]
fn every_frame_is_on_record_with_the_sums_of_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    for (name, depth, caps, properties) in [
        ("one", 1, "video/x-raw,format=I420", "reuse=exact"),
        ("three", 3, "video/x-raw,format=I420", "reuse=exact"),
        ("tolerant", 2, "video/x-raw,format=RGB", "reuse=tolerant"),
        ("none", 1, "video/x-raw,format=RGB", "reuse=none"),
    ] {
        let path = folder.path().join(name);
        let properties = format!(
            "audit={} frames-in-flight={depth} {properties} deterministic=true",
            path.display()
        );
        let pipeline = pipeline(BALL, &properties, &format!("{caps} ! fakesink"));
        let (inputs, outputs) = (sums(&pipeline, "sink"), sums(&pipeline, "src"));
        let frames = collect(&pipeline);
        play(&pipeline);
        let lines = read(&path);
        let header = &lines[0];
        assert_eq!(header["line"], "header");
        assert_eq!(
            (&header["record"], &header["made-by"]),
            (&1.into(), &"element".into())
        );
        assert_eq!(header["gstreamer"], gst::version_string().as_str());
        assert!(header["onnxruntime"].as_str().unwrap().starts_with("1."));
        let models = header["models"].as_array().unwrap();
        assert_eq!(models.len(), 3);
        for model in models {
            let file = crate::common::tiny().join(model["file"].as_str().unwrap());
            let data = std::fs::read(file).unwrap();
            let sum = glib::compute_checksum_for_data(glib::ChecksumType::Sha256, &data);
            assert_eq!(model["sha256"], sum.unwrap().as_str());
            assert_eq!(model["provider"], "cpu");
            assert!(model["licence"].is_string());
        }
        assert_eq!(header["settings"]["mask-padding"], "0.05");
        assert_eq!(header["settings"]["general-model"], "bicubic-x4");
        assert_eq!(header["formats"]["input"]["format"], "I420");
        assert_eq!(header["formats"]["output"]["width"], 360);
        let found = of(&lines, "frame");
        let (inputs, outputs) = (inputs.lock().unwrap(), outputs.lock().unwrap());
        assert_eq!((inputs.len(), outputs.len(), found.len()), (40, 40, 40));
        for (index, line) in found.iter().enumerate() {
            assert_eq!(line["frame"], index);
            let pts = frames.lock().unwrap()[index].pts().unwrap();
            assert_eq!(line["pts"], pts.nseconds());
            assert_eq!(line["input"], inputs[index], "{name} {index}");
            assert_eq!(line["output"]["sha256"], outputs[index], "{name} {index}");
        }
        let end = &lines[lines.len() - 1];
        assert_eq!(
            (&end["line"], &end["frames"], &end["lost"]),
            (&"end".into(), &40.into(), &0.into())
        );
        let (kept, late) = check_origins(&lines, 90, 62);
        assert_eq!((kept > 0, late), (name != "none", 0));
        let stats: gst::Structure = srfusion(&pipeline).property("stats");
        assert_eq!(stats.get::<u64>("audit-frames"), Ok(40));
        assert_eq!(stats.get::<u64>("audit-errors"), Ok(0));
    }
}

#[test]
fn a_frame_that_repeats_another_says_so_and_has_its_sum() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let pipeline = pipeline(
        "videotestsrc pattern=white num-buffers=12 ! video/x-raw,format=I420,width=48,height=48,framerate=25/1",
        &format!("audit={}", path.display()),
        "fakesink",
    );
    let outputs = sums(&pipeline, "src");
    play(&pipeline);
    let lines = read(&path);
    let frames = of(&lines, "frame");
    let outputs = outputs.lock().unwrap();
    let mut repeated = 0;
    for (line, sum) in frames.iter().zip(&*outputs) {
        assert_eq!(&line["output"]["sha256"], sum);
        // In the middle of a bright picture.
        let object = &line["objects"][0];
        assert!(object["track"].is_u64() && object["score"].as_f64().unwrap() > 0.5);
        if let Some(from) = line["repeats"].as_u64() {
            repeated += 1;
            assert_eq!(frames[from as usize]["output"], line["output"]);
            assert!(frames[from as usize]["repeats"].is_null());
            assert!(line["general"].is_null());
        }
    }
    assert!(repeated >= 5, "{repeated}");
    check_origins(&lines, 48, 48);
    let weight = |index: usize| frames[index]["objects"][0]["weight"].as_f64().unwrap();
    // In the first frame of a stream nothing fades in.
    assert!((0..12).all(|index| weight(index) == 1.0));
}

#[test]
fn what_there_was_no_time_for_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let pipeline = pipeline(
        BALL,
        &format!("audit={} deadline=1", path.display()),
        "fakesink",
    );
    play(&pipeline);
    let lines = read(&path);
    let (_, late) = check_origins(&lines, 90, 62);
    assert!(late > 0);
    let frames = of(&lines, "frame");
    assert!(frames.iter().all(|line| line["deadline"] == 1));
    assert!(frames.iter().any(|line| line["owed"].is_array()));
}

#[test]
fn objects_that_come_with_a_frame_are_on_record_as_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let element = element();
    element.set_property("use-roi-meta", true);
    element.set_property("audit", path.to_str().unwrap());
    let (mut harness, _bus) = harness(&element, 64, 64);
    for number in 0..2 {
        let mut input = frame(64, 64, [200; 3], number);
        let made = input.get_mut().unwrap();
        VideoRegionOfInterestMeta::add(made, "face", (4, 40, 16, 20)).add_param(
            gst::Structure::builder("srfusion/face")
                .field("score", 0.75f64)
                .build(),
        );
        harness.push_and_pull(input).unwrap();
    }
    // A seek: what comes next has nothing to do with what was.
    harness.push_event(gst::event::FlushStart::new());
    harness.push_event(gst::event::FlushStop::new(true));
    harness.push_event(gst::event::Segment::new(&gst::FormattedSegment::<
        gst::ClockTime,
    >::new()));
    harness.push_and_pull(frame(64, 64, [200; 3], 2)).unwrap();
    harness.set_src_caps(crate::common::caps(16, 24));
    harness.push_and_pull(frame(16, 24, [90; 3], 3)).unwrap();
    drop(harness);
    element.set_state(gst::State::Null).unwrap();
    let lines = read(&path);
    let frames = of(&lines, "frame");
    assert_eq!(frames.len(), 4);
    let change = of(&lines, "change")[0];
    assert_eq!(change["formats"]["output"]["height"], 96);
    let given = &frames[1]["given"][0];
    assert_eq!(given["box"], serde_json::json!([4.0, 40.0, 20.0, 60.0]));
    assert_eq!(given["score"], 0.75);
    assert_eq!(frames[1]["objects"].as_array().unwrap().len(), 1);
    assert_eq!(frames[2]["given"], serde_json::json!([]));
    let fresh: Vec<_> = frames.iter().map(|f| f["fresh"] == true).collect();
    assert_eq!(fresh, [true, false, true, true]);
    assert_eq!(lines[0]["models"].as_array().unwrap().len(), 2);
}

#[test]
fn what_changes_on_the_way_is_on_record_and_a_new_start_goes_on_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    // What a run that was killed has left.
    std::fs::write(&path, r#"{"line":"fra"#).unwrap();
    let source = "videotestsrc num-buffers=3 ! video/x-raw,width=32,height=32,framerate=25/1";
    let pipeline = pipeline(source, &format!("audit={}", path.display()), "fakesink");
    let element = srfusion(&pipeline);
    let weak = element.downgrade();
    let sink = element.static_pad("sink").unwrap();
    sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let second = info.buffer().unwrap().pts() == Some(40 * gst::ClockTime::MSECOND);
        weak.upgrade()
            .unwrap()
            .set_property("mask-sigma", if second { 0.3 } else { 0.2 });
        gst::PadProbeReturn::Ok
    });
    play(&pipeline);
    play(&pipeline);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| line["line"].as_str().unwrap())
        .collect();
    let run = [
        "header", "frame", "change", "frame", "change", "frame", "end",
    ];
    assert_eq!(kinds[..7], run);
    assert_eq!(lines[2]["settings"]["mask-sigma"], "0.3");
    assert_eq!(lines[4]["settings"]["mask-sigma"], "0.2");
    // And once more, behind an empty line.
    assert_eq!(kinds[7..], run);
}

/// What the bus says of a record.
fn warnings(messages: &Messages, of: &Line) -> Vec<String> {
    let element = srfusion(of);
    let from = |message: &&gst::Message| message.src() == Some(element.upcast_ref());
    let found = messages.0.iter().filter(from);
    found
        .filter_map(|message| match message.view() {
            gst::MessageView::Warning(warning) => Some(warning.error().message().to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_full_disk_is_one_warning_and_a_counter() {
    let source = "videotestsrc num-buffers=30 ! video/x-raw,width=16,height=16,framerate=25/1";
    for path in ["/dev/full", "/nonexistent/record"] {
        let pipeline = pipeline(source, &format!("audit={path}"), "fakesink");
        let frames = collect(&pipeline);
        // What is said may come after the last frame, at the latest with the end of the run.
        let bus = pipeline.bus().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut messages = Messages::until(&bus, is_end);
        pipeline.set_state(gst::State::Ready).unwrap();
        messages.0.extend(bus.iter());
        assert_eq!(frames.lock().unwrap().len(), 30);
        let warnings = warnings(&messages, &pipeline);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(path), "{warnings:?}");
        let stats: gst::Structure = srfusion(&pipeline).property("stats");
        assert_eq!(stats.get::<u64>("frames-out"), Ok(30));
        assert_eq!(stats.get::<u64>("audit-frames"), Ok(0));
        assert!(stats.get::<u64>("audit-errors").unwrap() >= 30);
    }
}

#[test]
fn a_reader_that_does_not_read_holds_no_frame_up_and_finds_the_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let count = QUEUE as u64 + 300;
    let source =
        format!("videotestsrc num-buffers={count} ! video/x-raw,width=8,height=8,framerate=25/1");
    let properties = format!("audit={} face-model=none", path.display());
    let pipeline = pipeline(&source, &properties, "fakesink");
    let frames = collect(&pipeline);
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    // Nobody has so much as opened the pipe.
    let messages = Messages::until(&bus, is_end);
    assert_eq!(messages.0.last().unwrap().type_(), gst::MessageType::Eos);
    assert_eq!(frames.lock().unwrap().len() as u64, count);
    let stats: gst::Structure = srfusion(&pipeline).property("stats");
    let lost = stats.get::<u64>("audit-lost").unwrap();
    assert_eq!(stats.get::<u64>("frames-out"), Ok(count));
    assert!((290..=300).contains(&lost), "{lost}");
    let reader = std::thread::spawn(move || {
        let file = BufReader::new(std::fs::File::open(path).unwrap());
        let lines = file
            .lines()
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        lines.collect::<Vec<Value>>()
    });
    pipeline.set_state(gst::State::Null).unwrap();
    let lines = reader.join().unwrap();
    let told: u64 = of(&lines, "lost")
        .iter()
        .map(|l| l["lost"].as_u64().unwrap())
        .sum();
    assert_eq!(told, lost);
    assert_eq!(of(&lines, "frame").len() as u64, count - lost);
    assert_eq!(lines.last().unwrap()["lost"], lost);
}

#[test]
fn a_stop_does_not_wait_for_a_reader_that_never_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let pipeline = pipeline(
        "videotestsrc is-live=true ! video/x-raw,width=16,height=16,framerate=100/1",
        &format!("audit={}", path.display()),
        "fakesink",
    );
    let frames = collect(&pipeline);
    pipeline.set_state(gst::State::Playing).unwrap();
    while frames.lock().unwrap().len() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    within(std::time::Duration::from_secs(20), || {
        pipeline.set_state(gst::State::Null).unwrap();
    });
    let stats: gst::Structure = srfusion(&pipeline).property("stats");
    // Four wait for their sums, and of a live stream none is held up.
    assert!(stats.get::<u64>("audit-lost").unwrap() >= 15);
    // The thread that waits for the reader is let go.
    let _ = std::fs::File::open(&path);
}
