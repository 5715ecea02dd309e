//! Kinds of objects: turned on by `objects`, out and in as regions of their own types, counted and recorded as what they are.

use std::fs;
use std::path::Path;

use gst::prelude::*;
use gst_video::video_meta::VideoRegionOfInterestMeta;

use crate::common::{Messages, element, frame, harness, pixel, tiny};
use crate::logo::make_logo;

const BRIGHT: [u8; 3] = [200, 180, 160];
const NEGATIVE: [u8; 3] = [55, 75, 95];

/// A folder with the tiny networks, and a kind made of two of them whose regions are of type `brand`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    make_logo(&tiny(), folder.path(), "roi-type = \"brand\"");
    folder
}

fn element_of(folder: &Path, objects: &str) -> gst::Element {
    let element = element();
    element.set_property("models-dir", folder.to_str().unwrap());
    element.set_property("objects", objects);
    element
}

fn regions(buffer: &gst::Buffer) -> Vec<(String, String)> {
    let regions = buffer.iter_meta::<VideoRegionOfInterestMeta>();
    let mut found: Vec<_> = regions
        .map(|roi| {
            let params = roi.params().next().map(|params| params.name().to_string());
            (roi.roi_type().to_owned(), params.unwrap_or_default())
        })
        .collect();
    found.sort();
    found
}

fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

#[test]
fn faces_are_the_default_to_the_byte() {
    let outputs = |set: Option<&str>| {
        let element = element();
        if let Some(objects) = set {
            element.set_property("objects", objects);
        }
        let (mut harness, _bus) = harness(&element, 64, 64);
        let outputs: Vec<_> = (0..4u8)
            .map(|number| {
                let colour = BRIGHT.map(|value| value - number);
                let output = harness
                    .push_and_pull(frame(64, 64, colour, number.into()))
                    .unwrap();
                (bytes(&output), regions(&output))
            })
            .collect();
        let stats = element.property::<gst::Structure>("stats");
        let told: Vec<_> = stats.fields().map(ToString::to_string).collect();
        (outputs, told)
    };
    let plain = outputs(None);
    assert!(plain == outputs(Some("face")));
    assert!(plain.1.iter().all(|field| !field.starts_with("kind-")));
    let region = ("face".to_owned(), "srfusion/face".to_owned());
    assert_eq!(plain.0[0].1, [region]);
}

#[test]
fn another_kind_is_found_drawn_attached_and_counted() {
    let folder = folder();
    let element = element_of(folder.path(), "logo");
    let record = folder.path().join("record");
    element.set_property("audit", record.to_str().unwrap());
    let (mut harness, _bus) = harness(&element, 64, 64);
    let mut output = None;
    for number in 0..2 {
        output = harness.push_and_pull(frame(64, 64, BRIGHT, number)).ok();
    }
    let output = output.unwrap();
    assert_eq!(pixel(&output, 256, 128, 128), NEGATIVE);
    assert_eq!(pixel(&output, 256, 1, 1), BRIGHT);
    let region = ("brand".to_owned(), "srfusion/logo".to_owned());
    assert_eq!(regions(&output), [region]);
    let stats = element.property::<gst::Structure>("stats");
    for (field, expected) in [
        ("faces", 0),
        ("kind-logo-objects", 1),
        ("kind-logo-frames", 2),
        ("objects-at-full-quality", 2),
        ("face-pixels", 0),
    ] {
        assert_eq!(stats.get::<u64>(field), Ok(expected), "{field}");
    }
    assert!(stats.get::<u64>("kind-logo-detections").unwrap() > 0);
    assert!(stats.get::<u64>("kind-logo-pixels").unwrap() > 64 * 96);
    assert!(stats.get::<f64>("kind-logo-ms").is_ok());
    drop(harness);
    element.set_state(gst::State::Null).unwrap();
    let lines = fs::read_to_string(record).unwrap();
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let roles: Vec<_> = lines[0]["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles,
        ["general model", "logo model", "logo detector model"]
    );
    assert_eq!(lines[0]["settings"]["objects"], "logo");
    let first = &lines[1];
    assert_eq!(first["objects"][0]["kind"], "logo");
    assert!(first["face"].is_null());
    let drawn = &first["experts"][0];
    assert_eq!(drawn["kind"], "logo");
    assert_eq!(drawn["sha256"], lines[0]["models"][1]["sha256"]);
    assert!(!drawn["rects"].as_array().unwrap().is_empty());
    // The second frame is the first: it takes what is kept.
    assert_eq!(lines[2]["experts"][0]["parts"][0]["from"], 0);
}

/// A face at 4,4 and a logo at 36,36 are drawn by their experts, and what is beside them is not.
fn both_are_drawn(output: &gst::Buffer) {
    assert_eq!(pixel(output, 256, 48, 56), NEGATIVE);
    assert_eq!(pixel(output, 256, 184, 176), NEGATIVE);
    assert_eq!(pixel(output, 256, 32, 192), BRIGHT);
}

/// What was told of regions that are of no kind; there must be no warning.
fn told_of_strangers(bus: &gst::Bus) -> Vec<String> {
    let messages = Messages::now(bus);
    let texts = messages
        .0
        .iter()
        .filter_map(|message| match message.view() {
            gst::MessageView::Info(info) => Some(info.error().message().to_owned()),
            gst::MessageView::Warning(warning) => panic!("{warning:?}"),
            _ => None,
        });
    texts
        .filter(|text| text.contains("regions of type"))
        .collect()
}

#[test]
fn regions_of_the_input_are_of_the_kinds_that_their_types_say() {
    let folder = folder();
    let element = element_of(folder.path(), "face,logo");
    element.set_property("use-roi-meta", true);
    // Not needed, so not missed.
    fs::remove_file(folder.path().join("logo-detector.onnx")).unwrap();
    let record = folder.path().join("record");
    element.set_property("audit", record.to_str().unwrap());
    let (mut harness, bus) = harness(&element, 64, 64);
    let mut output = None;
    for number in 0..3 {
        let mut input = frame(64, 64, BRIGHT, number);
        let made = input.get_mut().unwrap();
        VideoRegionOfInterestMeta::add(made, "face", (4, 4, 16, 20));
        VideoRegionOfInterestMeta::add(made, "brand", (36, 36, 20, 16));
        VideoRegionOfInterestMeta::add(made, "person", (0, 0, 32, 64));
        VideoRegionOfInterestMeta::add(made, "logo", (0, 40, 16, 16));
        output = harness.push_and_pull(input).ok();
    }
    let output = output.unwrap();
    let region = |kind: &str, params: &str| (kind.to_owned(), params.to_owned());
    assert_eq!(
        regions(&output),
        [
            region("brand", "srfusion/logo"),
            region("face", "srfusion/face"),
            // As they came, four times as large.
            region("logo", ""),
            region("person", ""),
        ]
    );
    both_are_drawn(&output);
    // What is of no kind is told once, and is no warning.
    let told = told_of_strangers(&bus);
    assert_eq!(told.len(), 1, "{told:?}");
    for part in ["person", "face, brand"] {
        assert!(told[0].contains(part), "{told:?}");
    }
    drop(harness);
    element.set_state(gst::State::Null).unwrap();
    let lines = fs::read_to_string(record).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    let given = first["given"].as_array().unwrap();
    assert_eq!(given.len(), 2);
    assert!(given[0]["kind"].is_null());
    assert_eq!(
        (&given[1]["kind"], &given[1]["type"]),
        (&"logo".into(), &"brand".into())
    );
}

/// Objects that come as detections of GstAnalytics are what regions of the same type are, and go on with their positions multiplied.
#[cfg(feature = "analytics")]
#[test]
fn detections_of_other_elements_are_of_the_kinds_that_their_types_say() {
    use gst_analytics::prelude::*;
    use gst_analytics::{AnalyticsODMtd, AnalyticsRelationMeta};

    let folder = folder();
    let element = element_of(folder.path(), "face,logo");
    element.set_property("use-roi-meta", true);
    let (mut harness, bus) = harness(&element, 64, 64);
    let mut output = None;
    for number in 0..3 {
        let mut input = frame(64, 64, BRIGHT, number);
        let made = input.get_mut().unwrap();
        // The same object twice, as some elements write it, is one.
        VideoRegionOfInterestMeta::add(made, "face", (4, 4, 16, 20));
        let mut meta = AnalyticsRelationMeta::add(made);
        for (name, x, y, w, h) in [
            ("face", 4, 4, 16, 20),
            ("brand", 36, 36, 20, 16),
            ("person", -8, 0, 32, 64),
            ("brand", 100, 100, 8, 8),
            ("brand", 4, 40, 0, 16),
            ("brand", i32::MAX, i32::MIN, i32::MAX, i32::MAX),
        ] {
            let name = gst::glib::Quark::from_str(name);
            meta.add_od_mtd(name, x, y, w, h, 0.75).unwrap();
        }
        output = harness.push_and_pull(input).ok();
    }
    let output = output.unwrap();
    let region = |kind: &str, params: &str| (kind.to_owned(), params.to_owned());
    assert_eq!(
        regions(&output),
        [
            region("brand", "srfusion/logo"),
            region("face", "srfusion/face"),
        ]
    );
    let roi = output
        .iter_meta::<VideoRegionOfInterestMeta>()
        .find(|roi| roi.roi_type() == "brand")
        .unwrap();
    let params = roi.param("srfusion/logo").unwrap();
    assert_eq!(params.get::<f64>("score"), Ok(0.75));
    both_are_drawn(&output);
    let meta = output.meta::<AnalyticsRelationMeta>().unwrap();
    let places: Vec<_> = meta
        .iter::<AnalyticsODMtd>()
        .map(|found| found.location().unwrap())
        .map(|place| (place.x, place.y, place.w, place.h))
        .collect();
    assert_eq!(
        places[..3],
        [(16, 16, 64, 80), (144, 144, 80, 64), (-32, 0, 128, 256)]
    );
    let told = told_of_strangers(&bus);
    assert!(told.len() == 1 && told[0].contains("person"), "{told:?}");
}

#[test]
fn a_kind_that_models_toml_has_not_is_an_error_that_says_what_there_is() {
    let folder = folder();
    for (objects, parts) in [
        ("face,plate", ["plate", "face, logo"]),
        ("face,logo=no-such", ["logo model", "no-such"]),
    ] {
        let element = element_of(folder.path(), objects);
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        assert!(element.set_state(gst::State::Ready).is_err());
        let errors = Messages::now(&bus).errors(&element);
        assert_eq!(errors.len(), 1);
        for part in parts {
            assert!(errors[0].contains(part), "{part} is not in {errors:?}");
        }
        element.set_state(gst::State::Null).unwrap();
    }
    // What is no list of kinds is not taken.
    let element = element();
    element.set_property("objects", "face,face");
    assert_eq!(element.property::<String>("objects"), "face");
}
