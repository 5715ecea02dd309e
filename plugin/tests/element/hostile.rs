//! Caps and buffers that contradict themselves: sizes, strides and offsets of any kind. Each is taken or refused with one error; nothing
//! panics, and no byte outside of a buffer is read.

use gst::glib::translate::IntoGlib;
use gst::prelude::*;
use gst_check::Harness;
use proptest::prelude::*;

use crate::common::{Messages, element, harness, init};

#[path = "../../../tests/support/cases.rs"]
mod cases;
use cases::cases;

/// GStreamer itself complains loudly of some of this, which must not end the process.
fn quiet() {
    init();
    gst::glib::log_set_always_fatal(gst::glib::LogLevels::empty());
}

/// What a buffer says of the frame in it.
#[derive(Debug, Clone)]
struct Said {
    width: u32,
    height: u32,
    planes: u32,
    offsets: [usize; 4],
    strides: [i32; 4],
}

fn said() -> impl Strategy<Value = Said> {
    let offset = prop_oneof![4 => 0_usize..3000, 1 => any::<usize>()];
    let stride = prop_oneof![5 => 1_i32..200, 1 => any::<i32>(), 1 => Just(0)];
    let (offsets, strides) = (prop::array::uniform4(offset), prop::array::uniform4(stride));
    (0_u32..24, 0_u32..24, 0_u32..5, offsets, strides).prop_map(
        |(width, height, planes, offsets, strides)| Said {
            width,
            height,
            planes,
            offsets,
            strides,
        },
    )
}

/// Attaches what the bindings would refuse to attach.
fn attach(buffer: &mut gst::BufferRef, format: gst_video::VideoFormat, said: &Said) {
    // SAFETY: the arrays have four elements, as many as any format has planes, and the buffer is writable.
    let meta = unsafe {
        gst_video::ffi::gst_buffer_add_video_meta_full(
            buffer.as_mut_ptr(),
            0,
            format.into_glib(),
            said.width,
            said.height,
            said.planes.min(4),
            &raw const said.offsets,
            &raw const said.strides,
        )
    };
    assert!(!meta.is_null());
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn buffers_of_any_shape_are_taken_or_refused_with_one_error(
        name in prop::sample::select(vec!["RGB", "NV12", "I420", "GRAY8", "P010_10LE", "BGRA", "Y444", "GRAY16_LE"]),
        (width, height) in (1_u32..20, 1_u32..20),
        lengths in prop::collection::vec(0_usize..2500, 1..4),
        said in prop::option::of(said()),
        crop in prop::option::of((0_u32..30, 0_u32..30, 0_u32..30, 0_u32..30)),
        in_flight in 1_u32..3,
    ) {
        quiet();
        let element = element();
        element.set_property("frames-in-flight", in_flight);
        let (mut harness, bus) = harness(&element, width, height);
        let format: gst_video::VideoFormat = name.parse().unwrap();
        let info = gst_video::VideoInfo::builder(format, width, height).fps(gst::Fraction::new(25, 1)).build().unwrap();
        harness.set_src_caps(info.to_caps().unwrap());
        let mut buffer = gst::Buffer::new();
        {
            let buffer = buffer.get_mut().unwrap();
            for length in &lengths {
                buffer.append_memory(gst::Memory::from_mut_slice(vec![200_u8; *length]));
            }
            buffer.set_pts(gst::ClockTime::ZERO);
            if let Some(said) = &said {
                attach(buffer, format, said);
            }
            if let Some(crop) = crop {
                gst_video::VideoCropMeta::add(buffer, crop);
            }
        }
        let pushed = harness.push(buffer);
        let drained = harness.push_event(gst::event::Eos::new());
        let errors = Messages::now(&bus).errors(&element);
        let outputs = harness.buffers_in_queue();
        match pushed {
            // With more than one in flight the error comes on the way out.
            Ok(_) if in_flight == 1 => {
                prop_assert_eq!((outputs, errors.len()), (1, 0), "{:?}", errors);
                prop_assert!(drained);
            }
            Ok(_) => prop_assert_eq!(outputs as usize + errors.len(), 1, "{:?}", errors),
            Err(flow) => {
                prop_assert_eq!(flow, gst::FlowError::Error);
                prop_assert_eq!((outputs, errors.len()), (0, 1), "{:?}", errors);
            }
        }
        for error in &errors {
            prop_assert!(!error.to_lowercase().contains("panic"), "{}", error);
            prop_assert!(error.contains("expected") && error.contains("found"), "{}", error);
        }
    }

    #[test]
    fn caps_of_any_kind_are_taken_or_refused(
        name in prop::sample::select(vec!["RGB", "NV12", "I420", "GRAY8", "v210", "ENCODED", "DMA_DRM", "nonsense", ""]),
        sides in prop::array::uniform2(prop_oneof![6 => 1_i32..40, 1 => -2_i32..2, 1 => (1 << 24)..i32::MAX]),
        fields in prop::collection::vec(prop::sample::select(vec![
            "framerate=(fraction)0/1",
            "framerate=(fraction)2147483647/1",
            "framerate=(fraction)1/2147483647",
            "pixel-aspect-ratio=(fraction)0/1",
            "pixel-aspect-ratio=(fraction)2147483647/1",
            "pixel-aspect-ratio=(fraction)1/2147483647",
            "interlace-mode=interleaved",
            "interlace-mode=fields,field-order=top-field-first",
            "interlace-mode=nonsense",
            "colorimetry=nonsense",
            "colorimetry=bt2100-pq",
            "colorimetry=1:0:0:0",
            "chroma-site=nonsense",
            "multiview-mode=side-by-side",
            "multiview-mode=frame-by-frame,views=2",
            "views=2147483647",
            "mastering-display-info=nonsense",
            "width=(string)x",
        ]), 0..3),
    ) {
        quiet();
        let element = element();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.play();
        let fields: String = fields.iter().map(|field| format!(",{field}")).collect();
        let text = format!("video/x-raw,format=(string)\"{name}\",width={},height={}{fields}", sides[0], sides[1]);
        // What cannot even be written as caps cannot be sent.
        let Ok(caps) = text.parse::<gst::Caps>() else { return Ok(()) };
        prop_assume!(caps.is_fixed());
        harness.push_event(gst::event::StreamStart::new("hostile"));
        let taken = harness.push_event(gst::event::Caps::new(&caps));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        harness.push_event(gst::event::Segment::new(&segment));
        let pushed = harness.push(gst::Buffer::from_mut_slice(vec![90_u8; 64 * 64 * 8]));
        let errors = Messages::now(&bus).errors(&element);
        prop_assert!(errors.len() <= 1, "{}: {:?}", text, errors);
        prop_assert!(errors.iter().all(|error| !error.to_lowercase().contains("panic")), "{}: {:?}", text, errors);
        prop_assert!(taken || pushed.is_err(), "{}", text);
    }
}

/// What a file says of itself is no reason to take up all memory.
#[test]
fn frames_that_nobody_has_are_refused_when_their_caps_come() {
    init();
    let element = element();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    harness.play();
    harness.push_event(gst::event::StreamStart::new("large"));
    let text = "video/x-raw,format=GRAY8,width=16384,height=16385,framerate=1/1";
    harness.push_event(gst::event::Caps::new(&text.parse().unwrap()));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    harness.push_event(gst::event::Segment::new(&segment));
    assert!(harness.push(gst::Buffer::with_size(64).unwrap()).is_err());
    let errors = Messages::now(&bus).errors(&element);
    assert_eq!(errors.len(), 1, "{errors:?}");
    for part in ["4 GiB", "16384x16385"] {
        assert!(errors[0].contains(part), "{}", errors[0]);
    }
}
