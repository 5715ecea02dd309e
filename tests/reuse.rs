//! What is kept from frame to frame changes no picture (exact) or hardly any (tolerant), and spares work; faces are looked for when
//! something moves; memory that runs short is met with smaller tiles. With stand-ins for the networks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use srfusion::Detector;
use srfusion::testing::{Altered, Bicubic, FixedFaces};
use srfusion::{
    BBox, Detection, Error, Frame, FrameInfo, FrameMut, InstanceMask, Parameters, Result, Reuse,
    Size, Upscaler, View,
};

mod support;
use support::{Random, texture};

fn upscaler(parameters: &Parameters) -> Upscaler {
    let mut upscaler = Upscaler::with_networks(
        Box::new(Bicubic::new(0.0)),
        Some(Box::new(Bicubic::new(0.25))),
        None,
        0,
        None,
    )
    .unwrap();
    upscaler.set_parameters(parameters.clone()).unwrap();
    upscaler
}

fn process(
    upscaler: &mut Upscaler,
    data: &[u8],
    size: Size,
    time: u64,
    faces: &[Detection],
) -> Vec<u8> {
    let out = size.scaled(4);
    let mut output = vec![0u8; 3 * out.area()];
    let info = FrameInfo {
        pts: Some(Duration::from_millis(time)),
        faces: Some(faces),
        ..FrameInfo::default()
    };
    upscaler
        .process(
            Frame::new(data, size, size.width * 3).unwrap(),
            &info,
            &mut FrameMut::new(&mut output, out, out.width * 3).unwrap(),
        )
        .unwrap();
    output
}

fn face(x0: f32, y0: f32, x1: f32, y1: f32) -> Detection {
    Detection {
        bbox: BBox { x0, y0, x1, y1 },
        score: 0.9,
        points: None,
        mask: None,
    }
}

fn of(reuse: Reuse) -> Parameters {
    Parameters {
        reuse,
        min_face_size: 1.0,
        ..Parameters::default()
    }
}

#[test]
fn exact_is_what_none_is_to_the_bit() {
    let mut random = Random(0x1357_9bdf_2468_ace1);
    for round in 0..8 {
        let mut size = Size::new(30 + random.below(90), 24 + random.below(70));
        let mut data = texture(size, round);
        let (mut none, mut exact) = (upscaler(&of(Reuse::None)), upscaler(&of(Reuse::Exact)));
        for frame in 0..25u64 {
            match random.below(12) {
                0 => data = texture(size, frame as usize), // a cut, or nearly one
                1 => {
                    size = Size::new(30 + random.below(90), 24 + random.below(70));
                    data = texture(size, frame as usize);
                }
                2 | 3 => {} // stands still
                _ => {
                    let (w, h) = (1 + random.below(12), 1 + random.below(12));
                    let (x, y) = (
                        random.below(size.width - w.min(size.width - 1)),
                        random.below(size.height - h.min(size.height - 1)),
                    );
                    for y in y..(y + h).min(size.height) {
                        for x in x..(x + w).min(size.width) {
                            data[(y * size.width + x) * 3 + random.below(3)] ^=
                                1 + random.below(255) as u8;
                        }
                    }
                }
            }
            let view = match random.below(10) {
                0 => View::General,
                1 => View::Split,
                2 => View::Face,
                3 => View::Bicubic,
                _ => View::Fused,
            };
            for (upscaler, reuse) in [(&mut none, Reuse::None), (&mut exact, Reuse::Exact)] {
                upscaler
                    .set_parameters(Parameters { view, ..of(reuse) })
                    .unwrap();
            }
            let t = (frame as f32 * 0.7, frame as f32 * 0.3);
            let mut faces = vec![face(5.0 + t.0, 4.0 + t.1, 21.0 + t.0, 24.0 + t.1)];
            if frame % 7 < 3 {
                // So large that the general generator need not run in the middle of it.
                faces.push(face(-20.0, -20.0, 70.0, 60.0));
            }
            let (a, b) = (
                process(&mut none, &data, size, frame * 40, &faces),
                process(&mut exact, &data, size, frame * 40, &faces),
            );
            assert!(a == b, "round {round}, frame {frame}, {size}, {view:?}");
        }
        let (a, b) = (none.stats(), exact.stats());
        assert_eq!(a.tiles_reused, 0);
        assert!(b.pixels_run < a.pixels_run && b.tiles_reused > 0);
        assert_eq!(b.tiles_total, b.tiles_run + b.tiles_reused);
    }
}

/// A face of which a part of the box is known to be the face's.
fn part(
    of: &Detection,
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
) -> Detection {
    let is_in = |x: usize, y: usize| columns.contains(&x) && rows.contains(&y);
    Detection {
        mask: Some(Arc::new(InstanceMask::new(|x, y| {
            f32::from(u8::from(is_in(x, y)))
        }))),
        ..of.clone()
    }
}

/// Masks inside of boxes that change, glide and stand still, over pictures that do: what is kept is what would be drawn, to the bit.
#[test]
fn exact_is_what_none_is_under_masks_that_change() {
    let mut random = Random(0x600d_5eed_0bad_cafe);
    let (mut moved_by_masks, mut stood) = (0, 0);
    for round in 0..6 {
        let size = Size::new(60 + random.below(60), 50 + random.below(50));
        let mut data = texture(size, round);
        let (mut none, mut exact) = (upscaler(&of(Reuse::None)), upscaler(&of(Reuse::Exact)));
        let boxes = [
            face(6.0, 5.0, 34.0, 40.0),
            // So large that the general generator need not run in the middle of it, where the mask is all of it.
            face(-30.0, -25.0, 120.0, 110.0),
        ];
        let full = 0..InstanceMask::SIDE;
        let mut faces = boxes.clone().map(|face| part(&face, 4..20, 3..25)).to_vec();
        let mut before = Vec::new();
        for frame in 0..40u64 {
            let is_still = frame % 8 > 4;
            if !is_still && random.below(2) == 0 {
                let place = random.below(data.len());
                data[place] ^= 1 + random.below(255) as u8;
            }
            let pictures_stand = is_still;
            let turn = if frame % 8 == 6 {
                2 + random.below(2)
            } else {
                random.below(12)
            };
            match turn {
                0 | 2 => {
                    let (x, y) = (random.below(20), random.below(20));
                    faces[0] = part(&boxes[0], x..x + 8, y..y + 8);
                }
                1 => faces[1] = boxes[1].clone(),
                3 => faces[1] = part(&boxes[1], 3 + random.below(9)..25, full.clone()),
                4 if !is_still => faces[1] = part(&boxes[1], full.clone(), full.clone()),
                _ => {}
            }
            let (a, b) = (
                process(&mut none, &data, size, frame * 40, &faces),
                process(&mut exact, &data, size, frame * 40, &faces),
            );
            assert!(a == b, "round {round}, frame {frame}, {size}");
            if pictures_stand {
                let changes = usize::from(a != before);
                moved_by_masks += changes;
                stood += 1 - changes;
            }
            before = a;
        }
        let (a, b) = (none.stats(), exact.stats());
        assert!(b.pixels_run < a.pixels_run && b.tiles_reused > 0);
        assert!(b.face_pixels_run < a.face_pixels_run);
    }
    // Or nothing was tested.
    assert!(moved_by_masks > 20, "{moved_by_masks}, {stood}");
}

/// A mask that has arrived costs no more than a box: the frame is the one before it.
#[test]
fn a_still_mask_runs_no_network() {
    let size = Size::new(120, 90);
    let data = texture(size, 4);
    let mut upscaler = upscaler(&of(Reuse::Exact));
    let object = face(30.0, 20.0, 80.0, 70.0);
    process(
        &mut upscaler,
        &data,
        size,
        0,
        &[part(&object, 2..20, 5..22)],
    );
    let mut last = Vec::new();
    for frame in 1..60 {
        // Another mask from the second frame on, to which the first one glides.
        let faces = [part(&object, 8..26, 5..22)];
        let drawn = process(&mut upscaler, &data, size, 40 * frame, &faces);
        assert!(frame < 58 || drawn == last, "frame {frame}");
        last = drawn;
    }
    let before = *upscaler.stats();
    let still = [part(&object, 8..26, 5..22)];
    assert!(process(&mut upscaler, &data, size, 2400, &still) == last);
    assert_eq!(upscaler.stats().runs, before.runs);
}

#[test]
fn a_still_picture_runs_no_network() {
    let size = Size::new(160, 96);
    let data = texture(size, 3);
    let faces = [face(40.0, 20.0, 70.0, 60.0)];
    for reuse in [Reuse::Exact, Reuse::Tolerant] {
        let mut upscaler = upscaler(&of(reuse));
        // The box settles and the face fades in.
        for frame in 0..30 {
            process(&mut upscaler, &data, size, frame * 40, &faces);
        }
        let before = *upscaler.stats();
        for frame in 30..400 {
            process(&mut upscaler, &data, size, frame * 40, &faces);
        }
        let after = upscaler.stats();
        assert_eq!(after.pixels_run, before.pixels_run, "{reuse:?}");
        // A face is drawn anew when it is older than the refresh time, as its surroundings may have changed within tolerance.
        let refreshed = (after.runs - before.runs) as usize;
        assert!(
            refreshed <= usize::from(reuse == Reuse::Tolerant) * 2,
            "{reuse:?}: {refreshed}"
        );
        upscaler.reset();
        process(&mut upscaler, &data, size, 20_000, &faces);
        assert!(
            upscaler.stats().pixels_run > before.pixels_run,
            "kept over a seek"
        );
    }
}

fn worst(a: &[u8], b: &[u8]) -> u8 {
    a.iter()
        .zip(b)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap_or(0)
}

#[test]
fn slow_changes_do_not_drift_away() {
    let size = Size::new(96, 64);
    let flat = |level: f64| vec![(level) as u8; 3 * size.area()];
    let tolerance = 3.0;
    let parameters = Parameters {
        reuse_threshold: tolerance,
        refresh_time: Duration::ZERO,
        ..of(Reuse::Tolerant)
    };
    let (mut none, mut tolerant) = (upscaler(&of(Reuse::None)), upscaler(&parameters));
    let mut kept = 0;
    for frame in 0..200u64 {
        let data = flat(40.0 + frame as f64 * 0.5);
        let (a, b) = (
            process(&mut none, &data, size, frame * 40, &[]),
            process(&mut tolerant, &data, size, frame * 40, &[]),
        );
        let far = worst(&a, &b);
        assert!(
            f64::from(far) <= tolerance,
            "frame {frame}: {far} levels behind"
        );
        kept = tolerant.stats().tiles_reused;
    }
    assert!(kept > 0);
}

#[test]
fn what_is_not_exact_is_refreshed_and_not_all_at_once() {
    let size = Size::new(192, 128);
    let data = texture(size, 1);
    // One level brighter: within tolerance.
    let brighter: Vec<u8> = data.iter().map(|v| v + 1).collect();
    let parameters = Parameters {
        reuse_threshold: 2.5,
        refresh_time: Duration::from_secs(2),
        ..of(Reuse::Tolerant)
    };
    let mut tolerant = upscaler(&parameters);
    process(&mut tolerant, &data, size, 0, &[]);
    let first = tolerant.stats().tiles_run;
    let (mut before, mut most, mut last) = (first, 0, Vec::new());
    for frame in 1..=52u64 {
        last = process(&mut tolerant, &brighter, size, frame * 40, &[]);
        let run = tolerant.stats().tiles_run;
        most = most.max(run - before);
        before = run;
    }
    let fresh = process(&mut upscaler(&of(Reuse::None)), &brighter, size, 0, &[]);
    assert_eq!(worst(&last, &fresh), 0, "older than the refresh time");
    assert!(most < first / 2, "{most} of {first} cells in one frame");
}

/// Counts how often it looks.
struct Counting(Arc<AtomicUsize>, FixedFaces);

impl Detector for Counting {
    fn name(&self) -> &str {
        self.1.name()
    }
    fn input(&self) -> srfusion::InputSpec {
        self.1.input()
    }
    fn run(
        &mut self,
        input: &[f32],
        size: Size,
        floor: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1.run(input, size, floor, found)
    }
}

#[test]
fn faces_are_looked_for_when_something_moves() {
    let size = Size::new(160, 120);
    let looks = Arc::new(AtomicUsize::new(0));
    let mut upscaler = Upscaler::with_networks(
        Box::new(Bicubic::new(0.0)),
        Some(Box::new(Bicubic::new(0.25))),
        Some(Box::new(Counting(looks.clone(), FixedFaces::default()))),
        0,
        None,
    )
    .unwrap();
    upscaler.set_parameters(Parameters::default()).unwrap();
    let mut time = 0;
    let mut show = |upscaler: &mut Upscaler, data: &[u8]| {
        let out = size.scaled(4);
        let mut output = vec![0u8; 3 * out.area()];
        let info = FrameInfo {
            pts: Some(Duration::from_millis(time)),
            faces: None,
            ..FrameInfo::default()
        };
        time += 40;
        upscaler
            .process(
                Frame::new(data, size, size.width * 3).unwrap(),
                &info,
                &mut FrameMut::new(&mut output, out, out.width * 3).unwrap(),
            )
            .unwrap();
        looks.swap(0, Ordering::Relaxed)
    };
    let still = texture(size, 5);
    let seldom: usize = (0..100).map(|_| show(&mut upscaler, &still)).sum();
    assert!((4..=6).contains(&seldom), "{seldom} in four seconds");
    // Something the size of a small face appears.
    let mut other = still.clone();
    for y in 60..72 {
        for x in 100..112 {
            other[(y * 160 + x) * 3..][..3].fill(250);
        }
    }
    assert_eq!(show(&mut upscaler, &other), 1, "at once");
    assert_eq!(show(&mut upscaler, &other), 0, "nothing new");
    let moving: usize = (0..10)
        .map(|i| show(&mut upscaler, &texture(size, 100 + i)))
        .sum();
    assert_eq!(moving, 10, "every frame");
    // A number given by the user is kept to.
    upscaler
        .set_parameters(Parameters {
            detect_interval: 5,
            ..Parameters::default()
        })
        .unwrap();
    let regular: usize = (0..20)
        .map(|i| show(&mut upscaler, &texture(size, i)))
        .sum();
    assert_eq!(regular, 4);
}

/// Has memory for so many pixels only; gives no number once, if asked.
fn short_of_memory(most: usize, mut not_a_number: bool) -> Box<Altered> {
    let inner = Box::new(Bicubic::new(0.0));
    Altered::new("short", inner, move |inner, input, count, size, take| {
        if count * size.area() > most {
            return Err(Error::OutOfMemory {
                model: "short".into(),
                message: "Failed to allocate memory".into(),
            });
        }
        if std::mem::take(&mut not_a_number) {
            let values = vec![f32::NAN; count * 3 * size.scaled(4).area()];
            return take(&values).map(|()| Duration::ZERO);
        }
        inner.run(input, count, size, take)
    })
}

#[test]
fn short_memory_makes_tiles_smaller_and_the_same_picture() {
    let size = Size::new(200, 150);
    let data = texture(size, 9);
    let with = |most: usize, not_a_number: bool| {
        let general = short_of_memory(most, not_a_number);
        let mut upscaler = Upscaler::with_networks(general, None, None, 0, None).unwrap();
        upscaler.set_parameters(of(Reuse::None)).unwrap();
        upscaler
    };
    let expected = process(&mut with(usize::MAX, false), &data, size, 0, &[]);
    let mut short = with(9000, false);
    assert!(process(&mut short, &data, size, 0, &[]) == expected);
    assert!(short.stats().runs > 3);
    // It is said, once.
    let notices = short.take_notices();
    assert!(
        !notices.is_empty() && notices[0].text.contains("memory did not suffice"),
        "{notices:?}"
    );
    assert!(
        process(&mut short, &data, size, 40, &[]) == expected && short.take_notices().is_empty()
    );
    // Not over a size that the user has set.
    let mut set =
        Upscaler::with_networks(short_of_memory(9000, false), None, None, 200, None).unwrap();
    // Nothing can be done with hardly any memory, and the message says what did not suffice.
    let mut hopeless = with(100, false);
    let out = size.scaled(4);
    let mut output = vec![0u8; 3 * out.area()];
    let mut attempt = |upscaler: &mut Upscaler| {
        upscaler.process(
            Frame::new(&data, size, size.width * 3).unwrap(),
            &FrameInfo::default(),
            &mut FrameMut::new(&mut output, out, out.width * 3).unwrap(),
        )
    };
    assert!(matches!(
        attempt(&mut hopeless),
        Err(Error::OutOfMemory { .. })
    ));
    assert!(matches!(attempt(&mut set), Err(Error::OutOfMemory { .. })));
    // A result that is no number is one error, and does not stay.
    let mut spoilt = with(usize::MAX, true);
    spoilt.set_parameters(of(Reuse::Exact)).unwrap();
    assert!(matches!(attempt(&mut spoilt), Err(Error::Inference { .. })));
    assert!(process(&mut spoilt, &data, size, 40, &[]) == expected);
}
