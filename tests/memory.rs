//! Memory that runs short, at every place in turn: each allocation of the size of a frame or a tile on a frame's way, Rust's and ONNX Runtime's,
//! is refused once, and in other runs all of one frame's from it on. Every frame comes out or is told of in one error, nothing hangs, and
//! the process goes on. Makes the table `memory` of docs/reliability.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::ffi::{c_int, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use srfusion::testing::{Bicubic, FixedFaces};
use srfusion::{
    BBox, Canceller, Config, Detection, Encoding, Error, Flight, FrameInfo, Generator, Parameters,
    Provider, Result, Reuse, SCALE, Size, Upscaler, View,
};

mod support;
#[path = "support/table.rs"]
mod table;
use support::{Owned, Random, models, runtime, texture};
use table::{Row, assert_table};

/// Allocations of so many bytes or more are refused: less than one colour of the input frame below takes as floats, or its packed samples; more than
/// rows, and the nodes of lists and channels, take.
const LARGE: usize = 16 << 10;
const SIZE: Size = Size {
    width: 96,
    height: 64,
};
const FRAMES: usize = 4;

/// Whether allocations count, how many have, which is refused (0: none), and whether those after it are too.
static ARMED: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);
static LASTING: AtomicBool = AtomicBool::new(false);
/// Those of them that the runtime asked for, and whether they alone count.
static RUNTIMES: AtomicUsize = AtomicUsize::new(0);
static RUNTIME_ALONE: AtomicBool = AtomicBool::new(false);

fn is_refused(size: usize, is_runtimes: bool) -> bool {
    if size < LARGE || !ARMED.load(Ordering::SeqCst) {
        return false;
    }
    if is_runtimes {
        RUNTIMES.fetch_add(1, Ordering::SeqCst);
    } else if RUNTIME_ALONE.load(Ordering::SeqCst) {
        return false;
    }
    let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    let refused = REFUSED.load(Ordering::SeqCst);
    number == refused || (LASTING.load(Ordering::SeqCst) && refused > 0 && number > refused)
}

struct Failing;

// SAFETY: hands every call on to the system's allocator unchanged, or says that there is no memory.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size(), false) {
            return std::ptr::null_mut();
        }
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size(), false) {
            return std::ptr::null_mut();
        }
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Nobody refuses to take memory back.
        if size > layout.size() && is_refused(size, false) {
            return std::ptr::null_mut();
        }
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

unsafe extern "C" {
    /// The C library's own.
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
}

/// What the runtime's allocators ask for memory, in the place of the C library's: a program's own functions go before those of its libraries.
#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    if is_refused(size, true) {
        return std::ptr::null_mut();
    }
    // SAFETY: of the caller's alignment, a power of two.
    unsafe { __libc_memalign(alignment, size) }
}

/// The same for those that ask in another way.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    const ENOMEM: c_int = 12;
    // SAFETY: as above.
    let memory = unsafe { aligned_alloc(alignment, size) };
    if memory.is_null() {
        return ENOMEM;
    }
    // SAFETY: the caller's place for it.
    unsafe { *to = memory };
    0
}

/// Which allocation of a stream is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Refusal {
    /// This one alone.
    Once(usize),
    /// This one and all that follow, until the frame is done.
    From(usize),
}

/// Makes a refusal of an allocation's number.
type HowRefused = fn(usize) -> Refusal;

fn arm(refusal: Option<Refusal>) {
    let (number, lasting) = match refusal {
        None => (0, false),
        Some(Refusal::Once(number)) => (number, false),
        Some(Refusal::From(number)) => (number, true),
    };
    COUNT.store(0, Ordering::SeqCst);
    RUNTIMES.store(0, Ordering::SeqCst);
    REFUSED.store(number, Ordering::SeqCst);
    LASTING.store(lasting, Ordering::SeqCst);
    ARMED.store(true, Ordering::SeqCst);
}

fn disarm() -> usize {
    ARMED.store(false, Ordering::SeqCst);
    COUNT.load(Ordering::SeqCst)
}

/// Cubic convolution that says that it sees far, as networks do: where they do, dots are looked for.
struct Wide(Bicubic);

impl Generator for Wide {
    fn name(&self) -> &str {
        "wide"
    }
    fn radius(&self) -> usize {
        10
    }
    fn encoding(&self) -> Encoding {
        self.0.encoding()
    }
    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        self.0.run(input, count, size, take)
    }
}

/// What a stream shows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shown {
    /// A part of the picture moves.
    Moving,
    /// Dots of one pixel, which are interpolated.
    Dots,
    /// Noise, which is averaged.
    Noisy,
}

fn frames(Case { shown, size, .. }: Case) -> Vec<Vec<u8>> {
    let mut random = Random(0x5eed);
    let still = texture(size, 3);
    (0..FRAMES)
        .map(|number| match shown {
            Shown::Moving => {
                let mut data = still.clone();
                let part = &mut data[3 * size.width * 8 * number..][..3 * size.width * 16];
                part.iter_mut().for_each(|v| *v = v.wrapping_mul(3) ^ 90);
                data
            }
            Shown::Dots => (0..size.area())
                .flat_map(|at| {
                    let (x, y) = (at % size.width, at / size.width);
                    [if x % 2 == 0 && y % 2 == number % 2 {
                        255
                    } else {
                        0
                    }; 3]
                })
                .collect(),
            Shown::Noisy => (0..3 * size.area())
                .map(|at| 90 + (at / 900) as u8 + random.below(16) as u8)
                .collect(),
        })
        .collect()
}

/// How a stream is played.
#[derive(Debug, Clone, Copy)]
struct Case {
    size: Size,
    shown: Shown,
    reuse: Reuse,
    view: View,
    depth: usize,
}

impl Case {
    fn of(shown: Shown, reuse: Reuse) -> Self {
        Self {
            size: SIZE,
            shown,
            reuse,
            view: View::Fused,
            depth: 1,
        }
    }
}

/// A flight of networks of tests.
fn stand_ins() -> Upscaler {
    let face = Detection {
        bbox: BBox {
            x0: 30.0,
            y0: 14.0,
            x1: 62.0,
            y1: 50.0,
        },
        score: 0.9,
        points: None,
        mask: None,
    };
    let (general, face_network) = (Wide(Bicubic::new(0.0)), Wide(Bicubic::new(0.2)));
    let detector = Box::new(FixedFaces(vec![face]));
    Upscaler::with_networks(
        Box::new(general),
        Some(Box::new(face_network)),
        Some(detector),
        0,
        None,
    )
    .unwrap()
}

fn config() -> Config {
    Config {
        models_dir: Some(models().join("tiny")),
        general_model: "bicubic-x4".into(),
        face_model: "inverted-x4".into(),
        detector_model: "centre-face".into(),
        provider: Provider::Cpu,
        threads: 1,
        deterministic: true,
        ..Config::default()
    }
}

fn open() -> Result<Upscaler> {
    Upscaler::open(&config(), &Canceller::new(), &mut |_| ())
}

/// Plays a stream; frames, errors in the places of those that were lost, and how many allocations counted.
fn play(
    mut upscaler: Upscaler,
    case: Case,
    refusal: Option<Refusal>,
) -> (Vec<Result<Owned>>, usize) {
    upscaler
        .set_parameters(Parameters {
            reuse: case.reuse,
            view: case.view,
            min_face_size: 1.0,
            fade_time: Duration::ZERO,
            detect_interval: 1,
            ..Parameters::default()
        })
        .unwrap();
    let mut flight = Flight::new(upscaler);
    flight.set_depth(case.depth).unwrap();
    let size = case.size;
    let given: Vec<(Owned, Owned)> = frames(case)
        .into_iter()
        .map(|data| (Owned { size, data }, Owned::black(size.scaled(SCALE))))
        .collect();
    let mut done: Vec<Result<Owned>> = Vec::with_capacity(2 * FRAMES);
    arm(refusal);
    for (number, (input, output)) in given.into_iter().enumerate() {
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * number as u32),
            ..FrameInfo::default()
        };
        while flight.in_flight() >= flight.depth() {
            done.extend(flight.next().map(|done| done.map(|done| done.output)));
        }
        if let Err(error) = flight.submit(input, &info, output) {
            done.push(Err(error));
        }
        if case.depth == 1 {
            done.extend(flight.next().map(|done| done.map(|done| done.output)));
        }
        if let Some(Refusal::From(first)) = refusal
            && COUNT.load(Ordering::SeqCst) >= first
        {
            // For this frame alone.
            disarm();
        }
    }
    done.extend(std::iter::from_fn(|| flight.next()).map(|done| done.map(|done| done.output)));
    (done, disarm())
}

/// The message with what differs from place to place left out: what the memory was for, and how much.
fn plain(error: &Error) -> String {
    match error {
        Error::Memory { what, bytes } => error
            .to_string()
            .replacen(what.as_str(), "WHAT", 1)
            .replacen(&bytes.to_string(), "N", 1),
        Error::OutOfMemory { message, model } => error
            .to_string()
            .replacen(message.as_str(), "REASON", 1)
            .replacen(model.as_str(), "NAME", 1),
        other => panic!("not told as memory that is short: {other}"),
    }
}

/// Plays the stream with each allocation refused in turn; what came of it, in words, and how many there were.
fn each_in_turn(
    case: Case,
    made: &dyn Fn() -> Upscaler,
    refusal: HowRefused,
    outcomes: &mut BTreeSet<String>,
) -> usize {
    let (expected, _) = play(made(), case, None);
    let expected: Vec<Owned> = expected.into_iter().map(Result::unwrap).collect();
    assert_eq!(expected.len(), FRAMES);
    for number in 1.. {
        let refusal = refusal(number);
        let (found, counted) = play(made(), case, Some(refusal));
        if counted < number {
            assert!(found.iter().all(Result::is_ok), "nothing was refused");
            return number - 1;
        }
        assert_eq!(
            found.len(),
            FRAMES,
            "{case:?} {refusal:?}: a frame was lost without a word"
        );
        let mut said = Vec::new();
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    said.push(plain(error));
                    continue;
                }
            };
            // Smaller tiles round otherwise. What is averaged begins anew after a frame that was lost.
            let pairs = found.data.iter().zip(&expected.data);
            let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            let may_differ = case.shown == Shown::Noisy;
            assert!(
                may_differ || most <= 1,
                "{case:?} {refusal:?}: frame {at} is {most} apart"
            );
        }
        let came = FRAMES - said.len();
        outcomes.insert(match said.as_slice() {
            [] => format!("{came} of {FRAMES} frames, no error"),
            [one] => format!("{came} of {FRAMES} frames, one error: `{one}`"),
            more => panic!("{case:?} {refusal:?}: {more:?}"),
        });
    }
    unreachable!("numbers do not end");
}

fn row(rows: &mut Vec<Row>, words: &str, outcomes: BTreeSet<String>) {
    let outcomes: Vec<String> = outcomes.into_iter().rev().collect();
    rows.push((words.to_owned(), outcomes.join("; or ")));
}

#[test]
fn memory_that_is_refused_anywhere_costs_at_most_its_frame_and_says_so() {
    if !runtime() {
        return;
    }
    let mut rows = Vec::new();
    let cases = [
        Case::of(Shown::Moving, Reuse::Exact),
        Case::of(Shown::Moving, Reuse::None),
        Case::of(Shown::Dots, Reuse::None),
        Case::of(Shown::Noisy, Reuse::Tolerant),
        Case {
            view: View::Face,
            ..Case::of(Shown::Moving, Reuse::None)
        },
        Case {
            view: View::Split,
            ..Case::of(Shown::Moving, Reuse::Exact)
        },
        // Not of the detector's sides, so that its picture is made in planes of their own first.
        Case {
            size: Size::new(90, 60),
            ..Case::of(Shown::Moving, Reuse::None)
        },
        // Large enough for smaller tiles.
        Case {
            size: Size::new(192, 160),
            ..Case::of(Shown::Moving, Reuse::Exact)
        },
    ];
    let kinds: [(&str, HowRefused); 2] = [
        (
            "one allocation of the engine's is refused, each in its turn",
            Refusal::Once,
        ),
        (
            "all allocations of the engine's for a frame are, from each in its turn on",
            Refusal::From,
        ),
    ];
    for (words, refusal) in kinds {
        let mut outcomes = BTreeSet::new();
        for case in cases {
            let counted = each_in_turn(case, &stand_ins, refusal, &mut outcomes);
            println!("{case:?}: {counted} allocations of {LARGE} bytes or more");
            // The frame to compare with, tiles, a detector's picture, what is drawn, what is kept; where faces alone are drawn, no more than half of them.
            let least = if case.view == View::Face { 3 } else { 5 };
            assert!(counted >= least, "{case:?}: {counted}");
        }
        row(&mut rows, words, outcomes);
    }
    // Where a thread draws, it may be refused in either.
    for case in [cases[0], cases[3]] {
        let counted = each_in_turn(
            Case { depth: 3, ..case },
            &stand_ins,
            Refusal::Once,
            &mut BTreeSet::new(),
        );
        assert!(counted >= 5, "{case:?}: {counted}");
    }

    let kinds: [(&str, HowRefused); 2] = [
        (
            "one allocation is refused, ONNX Runtime's or the engine's, each in its turn",
            Refusal::Once,
        ),
        (
            "all for a frame are, ONNX Runtime's too, from each in its turn on",
            Refusal::From,
        ),
    ];
    let case = Case::of(Shown::Moving, Reuse::Exact);
    for (words, refusal) in kinds {
        let mut outcomes = BTreeSet::new();
        let counted = each_in_turn(case, &|| open().unwrap(), refusal, &mut outcomes);
        let runtimes = RUNTIMES.load(Ordering::SeqCst);
        println!("with ONNX Runtime: {counted}, of which {runtimes} are the runtime's");
        assert!(runtimes > 0, "the runtime asks for memory in another way");
        row(&mut rows, words, outcomes);
    }
    // What reads models.toml asks for memory that cannot be refused.
    RUNTIME_ALONE.store(true, Ordering::SeqCst);
    let mut outcomes = BTreeSet::new();
    for refusal in [Refusal::Once as HowRefused, Refusal::From] {
        for number in 1.. {
            arm(Some(refusal(number)));
            let opened = open();
            let counted = disarm();
            let said = match &opened {
                Ok(_) => "they open",
                Err(_) => "one error",
            };
            drop(opened);
            // As good as new.
            REFUSED.store(0, Ordering::SeqCst);
            let (again, _) = play(open().unwrap(), case, None);
            assert!(again.iter().all(Result::is_ok), "{number}");
            if counted < number {
                println!("to open networks: {counted}");
                assert!(counted > 0, "the runtime asks for memory in another way");
                break;
            }
            outcomes.insert(format!("{said}, and open the next time"));
        }
    }
    row(
        &mut rows,
        "one of ONNX Runtime's, or all from it on, while networks are opened",
        outcomes,
    );
    assert_table(Path::new(env!("CARGO_MANIFEST_DIR")), "memory", &rows);
}
