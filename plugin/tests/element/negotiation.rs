//! Which caps go together.

use gst::prelude::*;

use crate::common::{Messages, caps, element, is_end, try_pipeline};

/// The caps on both sides once frames flow; `None` if they never do.
fn negotiated(before: &str, after: &str) -> Option<(gst::Caps, gst::Caps)> {
    let before = format!("videotestsrc num-buffers=1 {before}");
    let pipeline = try_pipeline(&before, "", &format!("{after} fakesink")).ok()?;
    let element = pipeline.by_name("srfusion").unwrap();
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let messages = Messages::until(&bus, is_end);
    let current = |pad: &str| element.static_pad(pad).unwrap().current_caps();
    let found = current("sink").zip(current("src"));
    let ended = messages.0.last().unwrap().type_() == gst::MessageType::Eos;
    pipeline.set_state(gst::State::Null).unwrap();
    // Caps are the upstream's to fix: the element itself has nothing to complain about.
    assert_eq!(messages.errors(&element), [""; 0]);
    found.filter(|_| ended)
}

fn sides(caps: &gst::Caps) -> (i32, i32) {
    let structure = caps.structure(0).unwrap();
    (
        structure.get("width").unwrap(),
        structure.get("height").unwrap(),
    )
}

#[test]
fn sizes() {
    let cases = [
        // upstream, downstream, input and output that come of it
        (
            "! video/x-raw,width=32,height=24",
            "",
            Some(((32, 24), (128, 96))),
        ),
        (
            "! video/x-raw,width=33,height=7",
            "",
            Some(((33, 7), (132, 28))),
        ),
        (
            "",
            "video/x-raw,width=128,height=72 !",
            Some(((32, 18), (128, 72))),
        ),
        (
            "! video/x-raw,width=16",
            "video/x-raw,height=64 !",
            Some(((16, 16), (64, 64))),
        ),
        (
            "! video/x-raw,width=32,height=24",
            "video/x-raw,width=128,height=96 !",
            Some(((32, 24), (128, 96))),
        ),
        (
            "! video/x-raw,width=32,height=24",
            "videoscale ! video/x-raw,width=50,height=50 !",
            Some(((32, 24), (128, 96))),
        ),
        (
            "! video/x-raw,width=[8,16],height=8",
            "video/x-raw,width=[60,70] !",
            Some(((16, 8), (64, 32))),
        ),
        ("", "video/x-raw,width=129,height=72 !", None),
        ("", "video/x-raw,width=128,height=73 !", None),
        (
            "! video/x-raw,width=32,height=24",
            "video/x-raw,width=64,height=48 !",
            None,
        ),
        ("! video/x-raw,width=32,height=24,format=v210", "", None),
    ];
    for (before, after, expected) in cases {
        let found =
            negotiated(before, after).map(|(input, output)| (sides(&input), sides(&output)));
        assert_eq!(found, expected, "{before} srfusion {after}");
    }
}

#[test]
fn all_but_the_size_stays() {
    let text = "video/x-raw,format=RGB,width=16,height=16,framerate=7/2,pixel-aspect-ratio=16/11,colorimetry=1:1:5:1,multiview-mode=mono";
    let (input, output) = negotiated(&format!("! {text}"), "").unwrap();
    let mut output = output.copy();
    for side in ["width", "height"] {
        output
            .get_mut()
            .unwrap()
            .structure_mut(0)
            .unwrap()
            .set(side, 16);
    }
    assert_eq!(input, output);
    assert_eq!(
        output.structure(0).unwrap().get::<&str>("colorimetry"),
        Ok("1:1:5:1")
    );
}

/// Interlaced video is refused with one message that names who can help.
#[test]
fn fields_are_refused_by_name() {
    for mode in ["interleaved", "mixed"] {
        let source = format!(
            "videotestsrc num-buffers=1 ! video/x-raw,format=I420,width=32,height=24 ! capssetter caps=video/x-raw,interlace-mode={mode}"
        );
        let pipeline = try_pipeline(&source, "", "fakesink").unwrap();
        let element = pipeline.by_name("srfusion").unwrap();
        let bus = pipeline.bus().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut messages = Messages::until(&bus, is_end);
        pipeline.set_state(gst::State::Null).unwrap();
        messages.0.extend(Messages::now(&bus).0);
        let errors = messages.errors(&element);
        assert_eq!(errors.len(), 1, "{errors:?}");
        for part in ["deinterlace", "progressive", mode] {
            assert!(errors[0].contains(part), "{part} is not in: {}", errors[0]);
        }
    }
}

#[test]
fn templates() {
    let element = element();
    let template = |pad: &str| element.static_pad(pad).unwrap().pad_template_caps();
    assert!(template("sink").can_intersect(&caps(1, 1)));
    assert!(template("src").can_intersect(&caps(4, 4)));
    assert!(!template("src").can_intersect(&caps(3, 3)));
    let factory = element.factory().unwrap();
    assert_eq!(
        factory.metadata("klass"),
        Some("Filter/Effect/Converter/Video/Scaler")
    );
    assert_eq!(factory.rank(), gst::Rank::NONE);
}

#[test]
fn queries_before_frames() {
    let element = element();
    let sink = element.static_pad("sink").unwrap();
    // Four times as wide is more than caps can hold.
    let mut wide = caps(4, 4);
    wide.get_mut()
        .unwrap()
        .structure_mut(0)
        .unwrap()
        .set("width", 1i32 << 30);
    assert!(sink.query_caps(Some(&wide)).is_empty());
    assert!(!sink.query_accept_caps(&wide));
    assert!(sink.query_accept_caps(&caps(320, 180)));
}
