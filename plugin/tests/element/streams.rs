//! Damaged H.264 and Motion JPEG through whole pipelines: no crash, no hang, bounded memory, no panic, at most one error of the element, and
//! every frame that the decoder gives comes out. `scripts/fuzz-streams` runs as many as one likes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;
use srfusion::testing::{Change, Random, changed};

use crate::common::{
    Messages, PATIENCE, element, frame, harness, init, pipeline, srfusion, within,
};

/// Streams unless `SRFUSION_FUZZ_STREAMS` says otherwise.
const STREAMS: usize = 40;
/// Most memory that all of them together may take beyond what the first ones did, in kB.
const GROWTH: u64 = 300_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Resident memory of this process in kB.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How a stream is made and read.
struct Kind {
    name: &'static str,
    encoder: &'static str,
    decoder: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "h264",
        encoder: "x264enc key-int-max=6 speed-preset=ultrafast threads=1 ! video/x-h264,stream-format=byte-stream",
        decoder: "h264parse ! avdec_h264 max-threads=1",
    },
    Kind {
        name: "mjpeg",
        encoder: "jpegenc quality=60",
        decoder: "jpegparse ! jpegdec",
    },
];

/// A small stream of `kind`.
fn original(kind: &Kind, folder: &Path) -> Vec<u8> {
    let file = folder.join("original");
    let text = format!(
        "videotestsrc num-buffers=14 pattern=ball ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 ! {} ! filesink location={}",
        kind.encoder,
        file.display()
    );
    let made = gst::parse::launch(&text).unwrap();
    made.set_state(gst::State::Playing).unwrap();
    let types = [gst::MessageType::Eos, gst::MessageType::Error];
    let limit = gst::ClockTime::from_seconds(PATIENCE.as_secs());
    let end = made.bus().unwrap().timed_pop_filtered(limit, &types);
    assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
    made.set_state(gst::State::Null).unwrap();
    std::fs::read(file).unwrap()
}

/// What became of a stream.
#[derive(Debug, PartialEq)]
struct Played {
    /// Whether it came to its end; else the decoder gave up.
    ended: bool,
    /// Frames out of the decoder and out of the element.
    into: u64,
    out: u64,
    /// The element's errors.
    errors: Vec<String>,
}

fn play(kind: &Kind, file: &Path, in_flight: usize) -> Played {
    // What says that it is large would take minutes for each frame, which is no hang.
    let before = format!(
        "filesrc location={} ! {} ! video/x-raw,width=[1,160],height=[1,160]",
        file.display(),
        kind.decoder
    );
    let pipeline = pipeline(
        &before,
        &format!("frames-in-flight={in_flight}"),
        "fakesink sync=false",
    );
    let element = srfusion(&pipeline);
    let count = |pad: &str| {
        let counted = Arc::new(AtomicU64::new(0));
        let counter = counted.clone();
        let pad = element.static_pad(pad).unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            counter.fetch_add(1, Ordering::SeqCst);
            gst::PadProbeReturn::Ok
        });
        counted
    };
    let (into, out) = (count("sink"), count("src"));
    let bus = pipeline.bus().unwrap();
    // A stream of which nothing is left fails at once.
    let _ = pipeline.set_state(gst::State::Playing);
    let mut messages = Messages::until(&bus, |message| {
        matches!(
            message.type_(),
            gst::MessageType::Eos | gst::MessageType::Error
        )
    });
    within(PATIENCE, || pipeline.set_state(gst::State::Null).unwrap());
    messages.0.extend(bus.iter());
    let is_error = |message: &gst::Message| message.type_() == gst::MessageType::Error;
    Played {
        ended: !messages.0.iter().any(is_error),
        into: into.load(Ordering::SeqCst),
        out: out.load(Ordering::SeqCst),
        errors: messages.errors(&element),
    }
}

#[test]
fn damaged_streams_end_or_go_on() {
    init();
    // Decoders complain of damaged streams in GLib's words too.
    gst::glib::log_set_always_fatal(gst::glib::LogLevels::empty());
    let lacking = ["avdec_h264", "x264enc", "jpegdec"]
        .into_iter()
        .find(|name| gst::ElementFactory::find(name).is_none());
    assert_eq!(lacking, None, "scripts/setup system installs it");
    let streams = variable("SRFUSION_FUZZ_STREAMS").map_or(STREAMS, |count| count as usize);
    let mut random = Random(variable("SRFUSION_FUZZ_SEED").unwrap_or(0x5eed_5eed_5eed));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("damaged");
    // Holds the networks open, so that each stream takes them as they are.
    let keeper = element();
    let (mut keeping, _bus) = harness(&keeper, 16, 16);
    keeping.push_and_pull(frame(16, 16, [90; 3], 0)).unwrap();
    let originals = KINDS.map(|kind| (original(&kind, folder.path()), kind));
    for (bytes, kind) in &originals {
        std::fs::write(&file, bytes).unwrap();
        let whole = Played {
            ended: true,
            into: 14,
            out: 14,
            errors: Vec::new(),
        };
        assert_eq!(play(kind, &file, 1), whole, "{} undamaged", kind.name);
    }
    let (mut first, mut faults, mut frames) = (0, 0, 0);
    for number in 0..streams {
        let (bytes, kind) = &originals[number % originals.len()];
        let mut any = || random.below(usize::MAX) as u64;
        let changes: Vec<Change> = (0..1 + any() % 12)
            .map(|_| (any() as u8, any() as u32, any() as u32, any()))
            .collect();
        std::fs::write(&file, changed(bytes, &changes)).unwrap();
        // Should this process die, the stream that it died of is there.
        if let Some(kept) = std::env::var_os("SRFUSION_FUZZ_KEEP") {
            std::fs::copy(&file, kept).unwrap();
        }
        let Played {
            ended,
            into,
            out,
            errors,
        } = play(kind, &file, 1 + number % 3);
        assert!(
            errors.len() <= 1,
            "{number} {} {changes:?}: {errors:?}",
            kind.name
        );
        assert!(
            !errors.iter().any(|error| error.contains("panic")),
            "{number} {}: {errors:?}",
            kind.name
        );
        // Where the decoder has given up, what is under way goes when the pipeline stops.
        if ended {
            assert_eq!(
                into, out,
                "{number} {} {changes:?}: frames were lost without a word",
                kind.name
            );
        }
        faults += errors.len();
        frames += out;
        if number == streams / 10 {
            first = resident();
        }
    }
    let last = resident();
    println!(
        "{streams} damaged streams, {frames} frames, {faults} errors of the element, memory from {first} to {last} kB"
    );
    assert!(last < first + GROWTH, "memory from {first} to {last} kB");
    assert!(
        frames > streams as u64,
        "hardly a stream could be decoded: {frames} frames"
    );
}
