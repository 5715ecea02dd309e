//! A long run, shortened: faces that come and go, sizes that change, seeks, restarts. Memory, open files and threads must stay as they are.
//! `scripts/soak` runs it for hours.

use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_check::Harness;
use srfusion::testing::Random;

use crate::common::{Messages, caps, element, frame, harness, init};
use crate::streams::resident;

/// Frames unless `SRFUSION_SOAK_FRAMES` or `SRFUSION_SOAK_SECONDS` says otherwise.
const FRAMES: u64 = 1500;
/// Samples of what is taken up.
const SAMPLES: u64 = 100;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What the process takes up after so many frames: memory in kB, open files, threads.
#[derive(Debug, Clone, Copy)]
struct Sample {
    frames: f64,
    values: [f64; 3],
}

impl Sample {
    fn now(frames: u64) -> Self {
        let entries = |folder: &str| std::fs::read_dir(folder).unwrap().count() as f64;
        Self {
            frames: frames as f64,
            values: [
                resident() as f64,
                entries("/proc/self/fd"),
                entries("/proc/self/task"),
            ],
        }
    }
}

/// Rise of a value for each thousand frames, by least squares.
fn slope(samples: &[Sample], value: usize) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|s| s.frames), mean(&|s| s.values[value]));
    let product = |s: &Sample| (s.frames - x) * (s.values[value] - y);
    let square = |s: &Sample| (s.frames - x).powi(2);
    1000.0 * samples.iter().map(product).sum::<f64>()
        / samples.iter().map(square).sum::<f64>().max(1.0)
}

/// Ends a stream of `element`. What is said at its end would keep the element alive, as the element keeps its bus: a pipeline sees to that by
/// itself.
fn end(stream: Stream, element: &gst::Element) {
    drop(stream.harness);
    element.set_state(gst::State::Null).unwrap();
    stream.bus.set_flushing(true);
    element.set_bus(None);
}

/// An element that is set up in one of many ways.
fn any_element(random: &mut Random) -> gst::Element {
    let element = element();
    element.set_property("frames-in-flight", 1 + random.below(3) as u32);
    element.set_property_from_str("reuse", ["none", "exact", "tolerant"][random.below(3)]);
    if random.below(4) == 0 {
        element.set_property("general-model", "luma-x4");
    }
    element
}

/// A stream that has begun.
struct Stream {
    harness: Harness,
    bus: gst::Bus,
    size: (u32, u32),
    bright: bool,
}

fn begin(element: &gst::Element, size: (u32, u32)) -> Stream {
    let (harness, bus) = harness(element, size.0, size.1);
    Stream {
        harness,
        bus,
        size,
        bright: true,
    }
}

#[test]
fn nothing_grows() {
    init();
    let seconds = variable("SRFUSION_SOAK_SECONDS").map(Duration::from_secs);
    let frames = variable("SRFUSION_SOAK_FRAMES").unwrap_or(if seconds.is_some() {
        u64::MAX
    } else {
        FRAMES
    });
    let mut random = Random(0x50a4_50a4_50a4);
    let started = Instant::now();
    let any_size = |random: &mut Random| {
        (
            16 + 4 * random.below(8) as u32,
            12 + 4 * random.below(8) as u32,
        )
    };
    let mut element = any_element(&mut random);
    let mut stream = begin(&element, (32, 24));
    let (mut samples, mut every) = (Vec::new(), (frames / SAMPLES).clamp(10, 500));
    let (mut seeks, mut sizes, mut restarts, mut elements, mut out) = (0, 0, 0, 0, 0_u64);
    let mut number = 0;
    while number < frames && seconds.is_none_or(|limit| started.elapsed() < limit) {
        match random.below(1000) {
            // Faces come and go.
            0..=49 => stream.bright = !stream.bright,
            50..=69 => {
                stream.size = any_size(&mut random);
                stream
                    .harness
                    .set_src_caps(caps(stream.size.0, stream.size.1));
                sizes += 1;
            }
            70..=84 => {
                stream.harness.push_event(gst::event::FlushStart::new());
                stream.harness.push_event(gst::event::FlushStop::new(true));
                let segment = gst::FormattedSegment::<gst::ClockTime>::new();
                stream
                    .harness
                    .push_event(gst::event::Segment::new(&segment));
                seeks += 1;
            }
            85..=89 => {
                // As after a camera was lost: from the beginning, with another size.
                let size = any_size(&mut random);
                end(stream, &element);
                stream = begin(&element, size);
                restarts += 1;
            }
            90..=91 => {
                let size = any_size(&mut random);
                end(stream, &element);
                element = any_element(&mut random);
                stream = begin(&element, size);
                elements += 1;
            }
            _ => {}
        }
        let level = if stream.bright {
            150 + random.below(60) as u8
        } else {
            random.below(10) as u8
        };
        let (width, height) = stream.size;
        let pushed = stream.harness.push(frame(
            width,
            height,
            [level, level / 2, 255 - level],
            number,
        ));
        assert!(
            pushed.is_ok(),
            "frame {number}: {:?}",
            Messages::now(&stream.bus).errors(&element)
        );
        while let Some(buffer) = stream.harness.try_pull() {
            assert_eq!(buffer.size() % 3, 0);
            out += 1;
        }
        while stream.harness.try_pull_event().is_some()
            || stream.harness.try_pull_upstream_event().is_some()
        {}
        stream.bus.set_flushing(true);
        stream.bus.set_flushing(false);
        number += 1;
        if number.is_multiple_of(every) {
            samples.push(Sample::now(number));
        }
        if samples.len() as u64 > 2 * SAMPLES {
            // Of a run whose length is not known: half as many, twice as far apart.
            samples = samples.into_iter().skip(1).step_by(2).collect();
            every *= 2;
        }
    }
    // The first third fills pools, caches and the C library's heaps.
    let steady = &samples[samples.len() / 3..];
    let slopes = [0, 1, 2].map(|value| slope(steady, value));
    let (first, last) = (
        steady.first().unwrap().values,
        steady.last().unwrap().values,
    );
    println!(
        "soak: {number} frames in {:.0} s, {out} out, {sizes} sizes, {seeks} seeks, {restarts} restarts, {elements} elements\n\
         memory {} to {} kB, {:.2} kB for each thousand frames\nfiles {} to {}, {:.4} for each thousand frames\n\
         threads {} to {}, {:.4} for each thousand frames",
        started.elapsed().as_secs_f64(),
        first[0],
        last[0],
        slopes[0],
        first[1],
        last[1],
        slopes[1],
        first[2],
        last[2],
        slopes[2],
    );
    assert!(last[0] - first[0] < 24_000.0, "memory grows: {slopes:?}");
    assert!(
        (last[1] - first[1]).abs() <= 6.0,
        "open files grow: {slopes:?}"
    );
    assert!(
        (last[2] - first[2]).abs() <= 6.0,
        "threads grow: {slopes:?}"
    );
    if number >= 50_000 {
        assert!(slopes[0] < 40.0, "memory grows: {slopes:?}");
    }
}
