//! The property `detail`: networks between two, mixed when the models are opened and while frames come.

use std::path::Path;
use std::time::{Duration, Instant};

use gst::prelude::*;
use serde_json::Value;

use crate::common::{Messages, PATIENCE, element, frame, harness};

const SIZE: (u32, u32) = (24, 16);

/// A frame in which neighbours differ, the same but for its time.
fn textured(number: u64) -> gst::Buffer {
    let mut buffer = frame(SIZE.0, SIZE.1, [0; 3], number);
    {
        let made = buffer.get_mut().unwrap();
        let mut map = made.map_writable().unwrap();
        for (i, byte) in map.iter_mut().enumerate() {
            *byte = ((i * i * 31 + i * 7) % 120 + 60) as u8;
        }
    }
    buffer
}

/// The element with `general` alone.
fn alone(general: &str, cache: &Path) -> gst::Element {
    let element = element();
    element.set_property("general-model", general);
    element.set_property("face-model", "none");
    element.set_property("detector-model", "none");
    element.set_property("cache-dir", cache.to_str().unwrap());
    element
}

fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

/// What the element makes of the first frame, and what it says.
fn drawn(element: &gst::Element) -> (Vec<u8>, Messages) {
    let (mut harness, bus) = harness(element, SIZE.0, SIZE.1);
    let output = harness.push_and_pull(textured(0)).unwrap();
    drop(harness);
    (bytes(&output), Messages::now(&bus))
}

fn warnings(messages: &Messages) -> Vec<String> {
    let texts = messages
        .0
        .iter()
        .filter_map(|message| match message.view() {
            gst::MessageView::Warning(warning) => Some(warning.error().to_string()),
            _ => None,
        });
    texts.collect()
}

#[test]
fn each_end_is_one_of_the_files_and_between_is_what_numpy_mixed() {
    let cache = tempfile::tempdir().unwrap();
    let of = |general: &str| drawn(&alone(general, cache.path())).0;
    let [plain, between, crisp] = ["plain-x4", "between-x4", "crisp-x4"].map(of);
    assert!(plain != between && between != crisp);
    for (detail, expected) in [(0.0, plain), (0.5, between), (1.0, crisp)] {
        let element = alone("plain-x4", cache.path());
        element.set_property("detail", detail);
        let record = cache.path().join(format!("record-{detail}"));
        element.set_property("audit", record.to_str().unwrap());
        let (found, messages) = drawn(&element);
        assert!(found == expected, "at detail {detail}");
        assert_eq!(warnings(&messages), [""; 0]);
        element.set_state(gst::State::Null).unwrap();
        // What ran is on record, and lies where it was opened.
        let text = std::fs::read_to_string(&record).unwrap();
        let header: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let model = &header["models"][0];
        let name = match detail {
            0.0 => "plain-x4".to_owned(),
            detail => format!("plain-x4 at detail {detail}"),
        };
        assert_eq!(model["name"], name);
        let folder = match detail {
            0.5 => cache.path().join("mixed"),
            _ => crate::common::tiny(),
        };
        let file = std::fs::read(folder.join(model["file"].as_str().unwrap())).unwrap();
        let sum = gst::glib::compute_checksum_for_data(gst::glib::ChecksumType::Sha256, &file);
        assert_eq!(model["sha256"].as_str(), sum.as_deref());
        assert_eq!(header["settings"]["detail"], detail.to_string());
    }
}

#[test]
fn it_changes_while_playing_at_a_frame_s_border() {
    let cache = tempfile::tempdir().unwrap();
    let of = |general: &str| drawn(&alone(general, cache.path())).0;
    let [plain, between, crisp] = ["plain-x4", "between-x4", "crisp-x4"].map(of);
    let element = alone("plain-x4", cache.path());
    let record = cache.path().join("record");
    element.set_property("audit", record.to_str().unwrap());
    let (mut harness, bus) = harness(&element, SIZE.0, SIZE.1);
    let mut number = 0;
    let mut next = || {
        number += 1;
        bytes(&harness.push_and_pull(textured(number)).unwrap())
    };
    let mut before = &plain;
    for (detail, after) in [(0.5, &between), (1.0, &crisp), (0.0, &plain)] {
        assert!(next() == *before);
        element.set_property("detail", detail);
        let start = Instant::now();
        // A frame is of the one or of the other network, whole: nothing that was kept stays.
        loop {
            let found = next();
            if found == *after {
                break;
            }
            assert!(found == *before, "at detail {detail}");
            assert!(start.elapsed() < PATIENCE, "still not at detail {detail}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(next() == *after);
        before = after;
    }
    drop(harness);
    assert_eq!(warnings(&Messages::now(&bus)), [""; 0]);
    element.set_state(gst::State::Null).unwrap();
    // The record says from which frame on another network drew.
    let text = std::fs::read_to_string(&record).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let names: Vec<String> = lines
        .filter(|line: &Value| line["models"].is_array())
        .map(|line| line["models"][0]["name"].as_str().unwrap().to_owned())
        .collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.dedup();
    let expected = [
        "plain-x4",
        "plain-x4 at detail 0.5",
        "plain-x4 at detail 1",
        "plain-x4",
    ];
    assert_eq!(names, expected);
}

#[test]
fn without_a_partner_it_is_told_once_and_nothing_changes() {
    let cache = tempfile::tempdir().unwrap();
    let (plain, _) = drawn(&alone("bicubic-x4", cache.path()));
    // When the models are opened, and later.
    for early in [true, false] {
        let element = alone("bicubic-x4", cache.path());
        if early {
            element.set_property("detail", 0.5);
        }
        let (mut harness, bus) = harness(&element, SIZE.0, SIZE.1);
        for number in 0..6 {
            if number == 2 {
                element.set_property("detail", 0.75);
            }
            let output = harness.push_and_pull(textured(number)).unwrap();
            assert!(bytes(&output) == plain, "frame {number}");
        }
        drop(harness);
        let told = warnings(&Messages::now(&bus));
        let [told] = told.as_slice() else {
            panic!("{told:?}");
        };
        let said = match early {
            true => "detail 0.5 has no effect on bicubic-x4: expected natural",
            false => "detail 0.75 has no effect on bicubic-x4: expected natural",
        };
        assert!(told.contains(said), "{told}");
    }
}
