//! What happens to a frame: pixels, times, flags, metas, strides, events.

use gst::prelude::*;
use gst_video::video_meta::{VideoCropMeta, VideoMeta, VideoRegionOfInterestMeta};

use crate::common::{Messages, caps, element, frame, harness, pixel, tiny_file};

#[test]
fn pixels_are_the_network_s() {
    let element = element();
    element.set_property("face-model", "none");
    let (mut harness, _bus) = harness(&element, 18, 10);
    let output = harness
        .push_and_pull(frame(18, 10, [200, 100, 7], 0))
        .unwrap();
    assert_eq!(output.size(), 72 * 3 * 40);
    for (x, y) in [(0, 0), (71, 0), (35, 20), (0, 39), (71, 39)] {
        assert_eq!(pixel(&output, 72, x, y), [200, 100, 7], "at {x},{y}");
    }
}

#[test]
fn model_without_an_entry_is_probed() {
    let element = element();
    element.set_property("face-model", "none");
    element.set_property("general-model", tiny_file("shifted-x4.onnx"));
    // Several tiles, so that a radius that is too small would be seen.
    element.set_property("tile-size", 16i32);
    let (mut harness, _bus) = harness(&element, 48, 8);
    let mut input = frame(48, 8, [0; 3], 0);
    {
        let mut map = input.get_mut().unwrap().map_writable().unwrap();
        for row in map.chunks_mut(48 * 3) {
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = (x / 3 * 5) as u8;
            }
        }
    }
    let output = harness.push_and_pull(input).unwrap();
    for x in 0..192 {
        let from = (x / 4 + 3).min(47) as u8;
        assert_eq!(pixel(&output, 192, x, 16), [from * 5; 3], "column {x}");
    }
}

#[test]
fn times_and_flags_pass() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 8, 8);
    let mut input = frame(8, 8, [90; 3], 5);
    {
        let input = input.get_mut().unwrap();
        input.set_dts(gst::ClockTime::from_mseconds(190));
        input.set_offset(77);
        input.set_offset_end(78);
        input.set_flags(
            gst::BufferFlags::MARKER | gst::BufferFlags::DISCONT | gst::BufferFlags::NON_DROPPABLE,
        );
    }
    let output = harness.push_and_pull(input.clone()).unwrap();
    assert_eq!(output.pts(), input.pts());
    assert_eq!(output.dts(), input.dts());
    assert_eq!(output.duration(), input.duration());
    assert_eq!((output.offset(), output.offset_end()), (77, 78));
    for flag in [
        gst::BufferFlags::MARKER,
        gst::BufferFlags::DISCONT,
        gst::BufferFlags::NON_DROPPABLE,
    ] {
        assert!(output.flags().contains(flag), "{flag:?}");
    }

    // A frame without times is a frame too.
    let mut input = frame(8, 8, [90; 3], 6);
    {
        let input = input.get_mut().unwrap();
        input.set_pts(None);
        input.set_duration(None);
        input.set_flags(gst::BufferFlags::DISCONT);
    }
    let output = harness.push_and_pull(input).unwrap();
    assert_eq!((output.pts(), output.duration()), (None, None));
}

#[test]
fn metas_are_scaled_copied_or_left_behind() {
    let element = element();
    element.set_property("attach-roi-meta", false);
    let (mut harness, _bus) = harness(&element, 16, 8);
    gst::meta::CustomMeta::register("srfusion-test-plain", &[]);
    gst::meta::CustomMeta::register("srfusion-test-colour", &["video", "colorspace"]);
    gst::meta::CustomMeta::register("srfusion-test-sound", &["audio"]);

    let mut input = frame(16, 8, [90; 3], 0);
    {
        let input = input.get_mut().unwrap();
        let mut roi = VideoRegionOfInterestMeta::add(input, "person", (1, 2, 5, 4));
        roi.add_param(
            gst::Structure::builder("note")
                .field("text", "kept")
                .build(),
        );
        VideoCropMeta::add(input, (0, 0, 16, 8));
        for name in [
            "srfusion-test-plain",
            "srfusion-test-colour",
            "srfusion-test-sound",
        ] {
            gst::meta::CustomMeta::add(input, name).unwrap();
        }
        let reference = gst::Caps::new_empty_simple("timestamp/x-test");
        gst::ReferenceTimestampMeta::add(input, &reference, gst::ClockTime::SECOND, None);
    }
    let output = harness.push_and_pull(input).unwrap();

    let regions: Vec<_> = output.iter_meta::<VideoRegionOfInterestMeta>().collect();
    assert_eq!(regions.len(), 1);
    assert_eq!(
        (regions[0].roi_type(), regions[0].rect()),
        ("person", (4, 8, 20, 16))
    );
    assert_eq!(
        regions[0].param("note").unwrap().get::<&str>("text"),
        Ok("kept")
    );
    assert!(output.meta::<VideoCropMeta>().is_none());
    assert!(gst::meta::CustomMeta::from_buffer(&output, "srfusion-test-plain").is_ok());
    assert!(gst::meta::CustomMeta::from_buffer(&output, "srfusion-test-colour").is_ok());
    assert!(gst::meta::CustomMeta::from_buffer(&output, "srfusion-test-sound").is_err());
    assert!(output.meta::<gst::ReferenceTimestampMeta>().is_some());
}

#[test]
fn crop_meta_is_refused_with_a_reason() {
    let element = element();
    let (mut harness, bus) = harness(&element, 16, 8);
    let mut input = frame(16, 8, [90; 3], 0);
    VideoCropMeta::add(input.get_mut().unwrap(), (2, 2, 8, 4));
    assert_eq!(harness.push(input), Err(gst::FlowError::Error));
    let errors = Messages::now(&bus).errors(&element);
    assert_eq!(errors.len(), 1, "{errors:?}");
    for part in ["crop meta", "16x8, the size in the caps", "8x4 at 2,2"] {
        assert!(errors[0].contains(part), "{part} is not in: {}", errors[0]);
    }
}

#[test]
fn rows_may_be_apart() {
    let element = element();
    element.set_property("face-model", "none");
    let (mut harness, _bus) = harness(&element, 6, 4);
    let stride = 100;
    let mut data = vec![255u8; 10 + stride * 4];
    for row in 0..4 {
        data[10 + row * stride..][..18].fill(10 * (row as u8 + 1));
    }
    let mut input = gst::Buffer::from_mut_slice(data);
    {
        let input = input.get_mut().unwrap();
        input.set_pts(gst::ClockTime::ZERO);
        let none = gst_video::VideoFrameFlags::empty();
        VideoMeta::add_full(
            input,
            none,
            gst_video::VideoFormat::Rgb,
            6,
            4,
            &[10],
            &[stride as i32],
        )
        .unwrap();
    }
    let output = harness.push_and_pull(input).unwrap();
    // The rows' values rise evenly, so that what is between them does too.
    for (y, value) in [(6, 21), (8, 26), (9, 29)] {
        let found = pixel(&output, 24, 23, y);
        assert!(
            found.iter().all(|sample| sample.abs_diff(value) <= 1),
            "row {y}: {found:?}, expected about {value}"
        );
    }
}

#[test]
fn buffer_that_is_too_small_is_an_error_and_no_picture() {
    let element = element();
    let (mut harness, bus) = harness(&element, 16, 8);
    // Maps fail loudly in GStreamer too, which must not end this process.
    let fatal = gst::glib::log_set_always_fatal(gst::glib::LogLevels::empty());
    assert_eq!(
        harness.push(gst::Buffer::with_size(11).unwrap()),
        Err(gst::FlowError::Error)
    );
    gst::glib::log_set_always_fatal(fatal);
    assert!(harness.try_pull().is_none());
    let errors = Messages::now(&bus).errors(&element);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("input buffer"), "{}", errors[0]);
}

#[test]
fn pointer_positions_are_divided() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 16, 8);
    harness.push_and_pull(frame(16, 8, [90; 3], 0)).unwrap();
    while harness.try_pull_upstream_event().is_some() {}
    let sent = gst::event::Navigation::new(
        gst::Structure::builder("application/x-gst-navigation")
            .field("event", "mouse-move")
            .field("button", 0i32)
            .field("pointer_x", 42.0f64)
            .field("pointer_y", 10.0f64)
            .build(),
    );
    let number = sent.seqnum();
    assert!(harness.push_upstream_event(sent));
    let received = harness.pull_upstream_event().unwrap();
    let structure = received.structure().unwrap();
    assert_eq!(received.seqnum(), number);
    assert_eq!(structure.get::<&str>("event"), Ok("mouse-move"));
    assert_eq!(
        (
            structure.get::<f64>("pointer_x"),
            structure.get::<f64>("pointer_y")
        ),
        (Ok(10.5), Ok(2.5))
    );

    let key = gst::event::Navigation::new(
        gst::Structure::builder("application/x-gst-navigation")
            .field("event", "key-press")
            .field("key", "q")
            .build(),
    );
    assert!(harness.push_upstream_event(key));
    assert_eq!(
        harness
            .pull_upstream_event()
            .unwrap()
            .structure()
            .unwrap()
            .get::<&str>("key"),
        Ok("q")
    );
}

#[test]
fn caps_change_in_mid_stream() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 8, 8);
    for (number, (width, height)) in [(8, 8), (20, 10), (3, 30), (8, 8)].into_iter().enumerate() {
        harness.set_src_caps(caps(width, height));
        let output = harness
            .push_and_pull(frame(width, height, [90; 3], number as u64))
            .unwrap();
        assert_eq!(pixel(&output, 4 * width, 0, 0), [90; 3]);
        let info = element.static_pad("src").unwrap().current_caps().unwrap();
        assert_eq!(info, caps(4 * width, 4 * height));
    }
    assert_eq!(
        element
            .property::<gst::Structure>("stats")
            .get::<u64>("frames-out"),
        Ok(4)
    );
}

/// A still picture is drawn once: its memory goes out again under new times, flags and metas, until something changes.
#[test]
fn a_still_picture_is_not_even_copied() {
    for in_flight in [1u32, 3] {
        let element = element();
        element.set_property("frames-in-flight", in_flight);
        element.set_property_from_str("reuse", "exact");
        let (mut harness, _bus) = harness(&element, 64, 64);
        let mut outputs = Vec::new();
        for number in 0..40 {
            // Bright, so that the stand-in finds a face, which fades in first; a spot appears in frame 30.
            let mut input = frame(64, 64, [200; 3], number);
            if number >= 30 {
                let mut map = input.get_mut().unwrap().map_writable().unwrap();
                map[..30].fill(0);
            }
            harness.push(input).unwrap();
        }
        harness.push_event(gst::event::Eos::new());
        while let Some(output) = harness.try_pull() {
            outputs.push(output);
        }
        assert_eq!(outputs.len(), 40);
        let place = |buffer: &gst::Buffer| buffer.map_readable().unwrap().as_ptr() as usize;
        let same = |a: usize, b: usize| place(&outputs[a]) == place(&outputs[b]);
        assert!(same(28, 29) && same(38, 39) && !same(29, 30) && !same(0, 39));
        for (number, output) in outputs.iter().enumerate() {
            assert_eq!(
                output.pts(),
                Some(40 * number as u64 * gst::ClockTime::MSECOND)
            );
            assert_eq!(output.n_memory(), 1);
            assert!(
                output.meta::<VideoRegionOfInterestMeta>().is_some(),
                "{number}"
            );
        }
        let stats = element.property::<gst::Structure>("stats");
        let repeated = stats.get::<u64>("frames-repeated").unwrap();
        assert!((10..39).contains(&repeated), "{repeated}");
    }
}

/// What broadcasters put on frames: captions, time codes and aspect codes as they are, bars in output pixels.
#[test]
fn broadcast_metas_pass() {
    use gst_video::video_meta::{VideoAFDMeta, VideoBarMeta, VideoCaptionMeta};
    let element = element();
    let (mut harness, _bus) = harness(&element, 16, 8);
    let mut input = frame(16, 8, [90; 3], 0);
    {
        let input = input.get_mut().unwrap();
        VideoCaptionMeta::add(input, gst_video::VideoCaptionType::Cea608Raw, &[0x94, 0x20]);
        let fps = gst::Fraction::new(25, 1);
        let flags = gst_video::VideoTimeCodeFlags::empty();
        let code = gst_video::VideoTimeCode::new(fps, None, flags, 10, 11, 12, 13, 0);
        gst_video::VideoTimeCodeMeta::add(input, &code.try_into().unwrap());
        VideoAFDMeta::add(
            input,
            0,
            gst_video::VideoAFDSpec::AtscA53,
            gst_video::VideoAFDValue::_149TopAligned,
        );
        VideoBarMeta::add(input, 0, true, 1, 2);
    }
    let output = harness.push_and_pull(input).unwrap();
    let caption = output.meta::<VideoCaptionMeta>().unwrap();
    assert_eq!(caption.data(), [0x94, 0x20]);
    let code = output.meta::<gst_video::VideoTimeCodeMeta>().unwrap().tc();
    assert_eq!(
        (code.hours(), code.minutes(), code.seconds(), code.frames()),
        (10, 11, 12, 13)
    );
    let afd = output.meta::<VideoAFDMeta>().unwrap();
    assert_eq!(afd.afd(), gst_video::VideoAFDValue::_149TopAligned);
    let bars: Vec<_> = output.iter_meta::<VideoBarMeta>().collect();
    assert_eq!(bars.len(), 1);
    assert_eq!(
        (
            bars[0].is_letterbox(),
            bars[0].bar_data1(),
            bars[0].bar_data2()
        ),
        (true, 4, 8)
    );
}
