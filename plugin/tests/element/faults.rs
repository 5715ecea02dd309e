//! Every fault is one message that says what is wrong, and over once its cause is.

use gst::prelude::*;

use crate::common::{Messages, PATIENCE, is_end, pipeline, play, srfusion, tiny_file, within};

/// When a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the element is READY.
    Check,
    /// When the models are opened.
    Open,
}

/// Sets `faulty` in a pipeline with tiny networks, looks for one error that holds all of `parts`, sets `right` and plays.
#[track_caller]
fn check(when: When, faulty: &[(&str, &str)], parts: &[&str], right: &[(&str, &str)]) {
    let pipeline = pipeline(
        "videotestsrc num-buffers=2 ! video/x-raw,width=16,height=16",
        "",
        "fakesink",
    );
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    for (name, value) in faulty {
        element.set_property_from_str(name, value);
    }
    let started = within(PATIENCE, || pipeline.set_state(gst::State::Playing));
    assert_eq!(started.is_err(), when == When::Check, "{faulty:?}");
    let mut messages = Messages::until(&bus, |message| match when {
        When::Check => message.type_() == gst::MessageType::Error,
        When::Open => {
            matches!(message.view(), gst::MessageView::Progress(p) if p.get().0 == gst::ProgressType::Error)
        }
    });
    // Time for others to complain as well, which they should not: it would bury what matters.
    std::thread::sleep(std::time::Duration::from_millis(50));
    messages.0.extend(bus.iter());
    within(PATIENCE, || pipeline.set_state(gst::State::Null).unwrap());
    messages.0.extend(bus.iter());
    let errors = messages.errors(&element);
    assert_eq!(errors.len(), 1, "{faulty:?}: {errors:?}");
    let all = messages
        .0
        .iter()
        .filter(|message| message.type_() == gst::MessageType::Error);
    assert_eq!(all.count(), 1, "{faulty:?}");
    for part in parts {
        assert!(
            errors[0].contains(part),
            "{faulty:?}: {part} is not in: {}",
            errors[0]
        );
    }
    println!("{faulty:?}\n    {}", errors[0]);
    let first = messages
        .0
        .iter()
        .find(|message| message.type_() == gst::MessageType::Error)
        .unwrap();
    assert_eq!(first.src(), Some(element.upcast_ref()), "{faulty:?}");
    let progress = messages.progress();
    if when == When::Open {
        assert_eq!(progress.first(), Some(&gst::ProgressType::Start));
        assert_eq!(progress.last(), Some(&gst::ProgressType::Error));
        let place = |type_| {
            messages
                .0
                .iter()
                .position(|message| message.type_() == type_)
        };
        let last_progress = messages
            .0
            .iter()
            .rposition(|message| message.type_() == gst::MessageType::Progress);
        assert!(
            place(gst::MessageType::Error) < last_progress,
            "the error comes before the end of progress"
        );
    } else {
        assert_eq!(progress, []);
    }

    for (name, value) in right {
        element.set_property_from_str(name, value);
    }
    play(&pipeline);
    assert_eq!(
        element
            .property::<gst::Structure>("stats")
            .get::<u64>("frames-out"),
        Ok(2),
        "after {faulty:?}"
    );
}

#[test]
fn runtime_library_is_missing() {
    let path = "/nonexistent/libonnxruntime.so.1";
    check(
        When::Check,
        &[("runtime-library", path)],
        &["ONNX Runtime", path],
        &[("runtime-library", "")],
    );
}

#[test]
fn model_is_missing() {
    let right = [("general-model", "bicubic-x4")];
    check(
        When::Check,
        &[("general-model", "/nonexistent/x4.onnx")],
        &["general model", "/nonexistent/x4.onnx"],
        &right,
    );
    check(
        When::Check,
        &[("general-model", "no-such")],
        &["general model", "no-such", "bicubic-x4", "models.toml"],
        &right,
    );
    let right = [("face-model", "inverted-x4")];
    check(
        When::Check,
        &[("face-model", "no-such")],
        &["face model", "no-such"],
        &right,
    );
    let right = [("detector-model", "centre-face")];
    check(
        When::Check,
        &[("detector-model", "no-such")],
        &["detector model", "no-such", "centre-face"],
        &right,
    );
}

#[test]
fn models_folder_is_missing() {
    let right = crate::common::tiny();
    let right = [("models-dir", right.to_str().unwrap())];
    check(
        When::Check,
        &[("models-dir", "/nonexistent")],
        &["models", "/nonexistent", "models-dir"],
        &right,
    );
}

#[test]
fn model_is_damaged() {
    let catalogue = std::fs::read_to_string(tiny_file("models.toml")).unwrap();
    let entry = catalogue
        .split("[[model]]")
        .find(|entry| entry.contains("\"damaged\""))
        .unwrap();
    let sha256 = entry
        .lines()
        .find_map(|line| line.strip_prefix("sha256 = "))
        .unwrap()
        .trim_matches('"')
        .to_owned();
    let right = [("general-model", "bicubic-x4")];
    check(
        When::Check,
        &[("general-model", "damaged")],
        &["damaged.onnx", "expected sha256", &sha256, "found sha256"],
        &right,
    );
}

#[test]
fn model_is_no_model() {
    let file = tiny_file("rubbish.onnx");
    check(
        When::Open,
        &[("general-model", &file)],
        &[&file],
        &[("general-model", "bicubic-x4")],
    );
    check(
        When::Open,
        &[("detector-model", &file)],
        &[&file],
        &[("detector-model", "centre-face")],
    );
}

#[test]
fn model_breaks_the_contract() {
    let right = [("general-model", "bicubic-x4")];
    // In the catalogue, and so known before it is opened.
    check(
        When::Check,
        &[("general-model", "centre-face")],
        &["centre-face", "generator", "detector"],
        &right,
    );
    // Outside of it.
    let file = tiny_file("uneven.onnx");
    check(
        When::Open,
        &[("general-model", &file)],
        &[&file, "expected", "found", "256"],
        &right,
    );
    let file = tiny_file("float64-x4.onnx");
    check(
        When::Open,
        &[("general-model", &file)],
        &[&file, "expected", "f64"],
        &right,
    );
    let right = [
        ("face-model", "inverted-x4"),
        ("detector-model", "centre-face"),
    ];
    check(
        When::Check,
        &[("detector-model", "bicubic-x4")],
        &["bicubic-x4", "detector", "generator"],
        &right,
    );
    // Not in the catalogue of another folder.
    let elsewhere = std::env::temp_dir().join(format!("srfusion-test-{}", std::process::id()));
    std::fs::create_dir_all(&elsewhere).unwrap();
    for (file, role, part) in [
        ("uneven.onnx", "general-model", "64"),
        ("bicubic-x4.onnx", "detector-model", "output"),
    ] {
        let copy = elsewhere.join(file);
        let mut content = std::fs::read(tiny_file(file)).unwrap();
        // Another producer: the same network with another checksum.
        let at = content
            .windows(13)
            .position(|bytes| bytes == b"srfusion-tiny")
            .unwrap();
        content[at..at + 13].copy_from_slice(b"srfusion-copy");
        std::fs::write(&copy, content).unwrap();
        let copy = copy.to_str().unwrap();
        let right = [
            ("general-model", "bicubic-x4"),
            ("detector-model", "centre-face"),
        ];
        check(
            When::Open,
            &[(role, copy)],
            &[copy, "expected", part],
            &right,
        );
    }
    std::fs::remove_dir_all(&elsewhere).unwrap();
}

#[test]
fn provider_does_not_work_here() {
    if std::path::Path::new("/dev/nvidiactl").exists() {
        println!("Skipped: this machine has an NVIDIA driver, so that cuda may work");
        return;
    }
    use srfusion::{Config, Provider, runtime::provider::check_named};
    for provider in [Provider::Cuda, Provider::TensorRt] {
        // A library that was built without it is told at once, one that has it only when it is tried.
        let named = check_named(&Config {
            provider,
            ..Config::default()
        });
        let provider = provider.name();
        check(
            if named.is_err() {
                When::Check
            } else {
                When::Open
            },
            &[("provider", provider)],
            &["bicubic-x4", provider],
            &[("provider", "cpu")],
        );
    }
}

#[test]
fn auto_provider_says_what_it_took() {
    let pipeline = pipeline(
        "videotestsrc num-buffers=2 ! video/x-raw,width=16,height=16",
        "",
        "fakesink",
    );
    let element = srfusion(&pipeline);
    element.set_property_from_str("provider", "auto");
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    Messages::until(&bus, is_end);
    let active: String = element.property("active-provider");
    assert!(
        ["tensorrt", "cuda", "openvino", "cpu"].contains(&active.as_str()),
        "{active}"
    );
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(element.property::<Option<String>>("active-provider"), None);
}
