//! Networks that fail on purpose: no frame is lost without a word, and those after it are as they would have been. Makes the table
//! `networks` of docs/reliability.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use srfusion::testing::{Altered, Bicubic, TakeValues};
use srfusion::{
    BBox, Detection, Detector, Encoding, Error, Flight, FrameInfo, InputSpec, Parameters, Result,
    Reuse, Size, Upscaler,
};

mod support;
#[path = "support/table.rs"]
mod table;
use support::Owned;
use table::{Row, assert_table};

/// What a network does in place of its work.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Error,
    /// Memory runs short in so many runs.
    Memory(usize),
    All(f32),
    Sparse(f32),
    TooFew,
    TooMany,
    Nothing,
    Twice,
    Panic,
}

/// What the networks of a stream are to do next, as the test says.
type Orders = Arc<Mutex<Option<Fault>>>;

/// A generator that does as it is ordered.
fn faulty(offset: f32, orders: Orders) -> Box<Altered> {
    let inner = Box::new(Bicubic::new(offset));
    Altered::new("faulty", inner, move |inner, input, count, size, take| {
        let order = *orders.lock().unwrap();
        let values = count * 3 * size.scaled(4).area();
        let give = |values: &[f32], take: TakeValues<'_>| take(values).map(|()| Duration::ZERO);
        match order {
            None | Some(Fault::Memory(0)) => {
                inner.run(input, count, size, take).map(|_| Duration::ZERO)
            }
            Some(Fault::Error) => Err(Error::Inference {
                model: "faulty".into(),
                message: "on purpose".into(),
            }),
            Some(Fault::Memory(left)) => {
                *orders.lock().unwrap() = Some(Fault::Memory(left - 1));
                Err(Error::OutOfMemory {
                    model: "faulty".into(),
                    message: "on purpose".into(),
                })
            }
            Some(Fault::All(value)) => give(&vec![value; values], take),
            Some(Fault::Sparse(value)) => inner
                .run(input, count, size, &mut |values| {
                    // What lies in a tile's margin is not drawn, and may be anything.
                    let mut values = values.to_vec();
                    values.iter_mut().step_by(17).for_each(|one| *one = value);
                    take(&values)
                })
                .map(|_| Duration::ZERO),
            Some(Fault::TooFew) => give(&vec![0.5; values - 1], take),
            Some(Fault::TooMany) => give(&vec![0.5; values + 48], take),
            Some(Fault::Nothing) => Ok(Duration::ZERO),
            Some(Fault::Twice) => {
                inner.run(input, count, size, take)?;
                inner.run(input, count, size, take).map(|_| Duration::ZERO)
            }
            Some(Fault::Panic) => panic!("on purpose"),
        }
    })
}

/// A detector that does the same; a face in the middle otherwise.
struct FaultyDetector(Orders);

impl Detector for FaultyDetector {
    fn name(&self) -> &str {
        "faulty"
    }
    fn input(&self) -> InputSpec {
        InputSpec {
            fixed: None,
            stride: 1,
            longest: usize::MAX,
            encoding: Encoding::default(),
        }
    }
    fn run(&mut self, _: &[f32], size: Size, _: f32, found: &mut Vec<Detection>) -> Result<()> {
        let (width, height) = (size.width as f32, size.height as f32);
        let face = |x0, y0, x1, y1, score| Detection {
            bbox: BBox { x0, y0, x1, y1 },
            score,
            points: None,
            mask: None,
        };
        found.push(face(
            width * 0.3,
            height * 0.3,
            width * 0.7,
            height * 0.7,
            0.9,
        ));
        match *self.0.lock().unwrap() {
            Some(Fault::Error) => Err(Error::Inference {
                model: "faulty".into(),
                message: "on purpose".into(),
            }),
            Some(Fault::All(value)) => {
                found.clear();
                found.extend((0..2000).map(|_| face(value, value, value, value, value)));
                Ok(())
            }
            Some(Fault::TooMany) => {
                found.extend(
                    (0..200_000).map(|at| face(at as f32, 0.0, at as f32 + 1.0, 1.0, 0.95)),
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

const FRAMES: usize = 8;
/// The frame in which the fault shows.
const FAULTY: usize = 4;

/// Frames of a stream in which `fault` shows in one of the networks, `depth` of them in flight; errors in the places of those that were lost.
fn stream(fault: Option<Fault>, size: Size, place: &str, depth: usize) -> Vec<Result<Owned>> {
    let none = Orders::default();
    let orders = Orders::default();
    let of = |name: &str| {
        if name == place {
            orders.clone()
        } else {
            none.clone()
        }
    };
    let (general, face) = (faulty(0.0, of("general")), faulty(0.2, of("face")));
    let detector = FaultyDetector(of("detector"));
    let mut upscaler =
        Upscaler::with_networks(general, Some(face), Some(Box::new(detector)), 0, None).unwrap();
    upscaler
        .set_parameters(Parameters {
            reuse: Reuse::None,
            min_face_size: 1.0,
            fade_time: Duration::ZERO,
            detect_interval: 1,
            ..Parameters::default()
        })
        .unwrap();
    let mut flight = Flight::new(upscaler);
    flight.set_depth(depth).unwrap();
    let mut done: Vec<Result<Owned>> = Vec::new();
    for number in 0..FRAMES {
        if number == FAULTY || number == FAULTY + 1 {
            // The fault is to be this frame's alone.
            done.extend(
                std::iter::from_fn(|| flight.next()).map(|done| done.map(|done| done.output)),
            );
            *orders.lock().unwrap() = fault.filter(|_| number == FAULTY);
        }
        let data = (0..3 * size.area())
            .map(|at| (at * 7 + number * 13) as u8)
            .collect();
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * number as u32),
            ..FrameInfo::default()
        };
        let large = size.scaled(4);
        let output = Owned::black(large);
        while flight.in_flight() >= flight.depth() {
            done.extend(flight.next().map(|done| done.map(|done| done.output)));
        }
        if let Err(error) = flight.submit(Owned { size, data }, &info, output) {
            done.push(Err(error));
        }
    }
    done.extend(std::iter::from_fn(|| flight.next()).map(|done| done.map(|done| done.output)));
    done
}

/// A message with `N` in the place of each number: tiles of the two networks have other sizes.
fn plain(message: &str) -> String {
    let mut plain = String::new();
    for sign in message.chars() {
        match sign {
            '0'..='9' if plain.ends_with('N') => {}
            '0'..='9' => plain.push('N'),
            _ => plain.push(sign),
        }
    }
    plain
}

/// In words: how many frames came, whether they are those of a stream without the fault, and what was said of the others.
fn outcome(fault: Fault, place: &str, depth: usize) -> String {
    // Large enough to be drawn in smaller tiles where memory runs short.
    let size = match fault {
        Fault::Memory(_) => Size::new(192, 160),
        _ => Size::new(40, 32),
    };
    let (found, expected) = (
        stream(Some(fault), size, place, depth),
        stream(None, size, place, depth),
    );
    assert_eq!(
        found.len(),
        FRAMES,
        "{fault:?}: a frame was lost without a word"
    );
    let (mut came, mut said) = (0, Vec::new());
    for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                let most = found
                    .data
                    .iter()
                    .zip(&expected.data)
                    .map(|(a, b)| a.abs_diff(*b))
                    .max();
                // Tiles of another size round otherwise. A detector's fault may leave a face out, and numbers are drawn.
                let is_drawn = matches!(fault, Fault::Sparse(value) if value.is_finite());
                let may_differ =
                    (place == "detector" && number >= FAULTY) || (is_drawn && number == FAULTY);
                assert!(
                    may_differ || most.unwrap() <= 1,
                    "{fault:?} {place} {depth}: frame {number}"
                );
                came += 1;
            }
            (Err(error), _) => {
                assert_eq!(number, FAULTY, "{fault:?} {place} {depth}: {error}");
                said.push(plain(&error.to_string()));
            }
            (_, Err(error)) => panic!("without a fault: {error}"),
        }
    }
    match said.as_slice() {
        [] => format!("{came} of {FRAMES} frames, no error"),
        [one] => format!("{came} of {FRAMES} frames, one error: `{one}`"),
        more => panic!("{fault:?}: {more:?}"),
    }
}

#[test]
fn a_network_that_fails_costs_at_most_its_frame_and_says_so() {
    let mut rows: Vec<Row> = Vec::new();
    let generators = [
        ("a network's run fails", Fault::Error),
        ("memory runs short in one run", Fault::Memory(1)),
        ("memory runs short in two runs", Fault::Memory(2)),
        (
            "memory runs short however small the tiles are",
            Fault::Memory(usize::MAX),
        ),
        ("a network gives nothing but NaN", Fault::All(f32::NAN)),
        (
            "a network gives NaN here and there",
            Fault::Sparse(f32::NAN),
        ),
        (
            "a network gives an infinity here and there",
            Fault::Sparse(f32::NEG_INFINITY),
        ),
        (
            "a network gives huge numbers here and there",
            Fault::Sparse(3e38),
        ),
        ("a network gives too few values", Fault::TooFew),
        ("a network gives too many values", Fault::TooMany),
        (
            "a network gives nothing and says it is well",
            Fault::Nothing,
        ),
        ("a network gives its values twice", Fault::Twice),
        ("a network panics", Fault::Panic),
    ];
    // Panics are part of it, but no others.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("on purpose") {
            tell(panic);
        }
    }));
    for (words, fault) in generators {
        let mut seen: Vec<String> = Vec::new();
        for place in ["general", "face"] {
            for depth in [1, 3] {
                // With one frame at a time it is the caller's thread that panics.
                if fault == Fault::Panic && depth == 1 {
                    continue;
                }
                seen.push(outcome(fault, place, depth));
            }
        }
        seen.dedup();
        let outcome = seen.join("; ");
        assert_eq!(seen.len(), 1, "{words}: {outcome}");
        rows.push((words.to_owned(), outcome));
    }
    for (words, fault) in [
        ("the detector's run fails", Fault::Error),
        (
            "the detector finds 2000 faces that are no numbers",
            Fault::All(f32::NAN),
        ),
        ("the detector finds 200 000 faces", Fault::TooMany),
    ] {
        let seen = [1, 3].map(|depth| outcome(fault, "detector", depth));
        assert_eq!(seen[0], seen[1], "{words}");
        rows.push((words.to_owned(), seen[0].clone()));
    }
    assert_table(Path::new(env!("CARGO_MANIFEST_DIR")), "networks", &rows);
}
