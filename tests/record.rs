//! What is told of each frame against what is really in it: the stand-ins for networks write the number of the frame for which they run into
//! every pixel, so that the picture itself says which frame each of its parts is from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use srfusion::record::FrameRecord;
use srfusion::{
    BBox, Detection, Encoding, Error, Finished, Flight, Frame, FrameInfo, FrameMut, Generator,
    Parameters, Rect, Result, Reuse, SCALE, Size, Source, Target, Upscaler,
};

mod support;
use support::Random;

const SIZE: Size = Size::new(72, 56);
/// Added by the face network.
const FACE: usize = 100;
/// Frames that fail.
const FAIL: [usize; 3] = [5, 6, 17];

/// The number of the frame that is being drawn.
type Now = Arc<AtomicUsize>;

/// Writes the number of the frame and `offset` into each pixel.
struct Stamp {
    now: Now,
    offset: usize,
    fails: bool,
    output: Vec<f32>,
}

impl Generator for Stamp {
    fn name(&self) -> &str {
        "stamp"
    }
    fn radius(&self) -> usize {
        2
    }
    fn encoding(&self) -> Encoding {
        Encoding::default()
    }
    fn run(
        &mut self,
        input: &[f32],
        _count: usize,
        _size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        let now = self.now.load(Ordering::SeqCst);
        if self.fails && FAIL.contains(&now) {
            return Err(Error::Inference {
                model: "stamp".into(),
                message: format!("frame {now} fails"),
            });
        }
        self.output.clear();
        let value = (now + self.offset) as f32 / 255.0;
        self.output.resize(input.len() * SCALE * SCALE, value);
        take(&self.output)?;
        Ok(Duration::ZERO)
    }
}

struct Picture {
    number: usize,
    now: Now,
    data: Vec<u8>,
}

impl Source for Picture {
    fn frame(&self) -> Result<Frame<'_>> {
        // Asked for before it is drawn; the thread that decides asks too, and must not be taken for it.
        if std::thread::current().name() != Some("decides") {
            self.now.store(self.number, Ordering::SeqCst);
        }
        Frame::new(&self.data, SIZE, 3 * SIZE.width)
    }
}

struct Black(Vec<u8>);

impl Target for Black {
    fn frame_mut(&mut self) -> Result<FrameMut<'_>> {
        let size = SIZE.scaled(SCALE);
        FrameMut::new(&mut self.0, size, 3 * size.width)
    }
}

/// Checks the frame `number` of those handed in, the `record.number`th that came out; `order` has the others' numbers.
fn check(
    record: &FrameRecord,
    output: &[u8],
    number: usize,
    order: &[usize],
    counts: &mut [usize; 4],
) {
    let wide = SIZE.width * SCALE;
    let at = |x: usize, y: usize| usize::from(output[3 * (y * wide + x)]);
    // The face in its middle hides what is below; its edge is a mixture.
    let supports: Vec<Rect> = record.parts.iter().map(|part| part.support).collect();
    let blended = |x: usize, y: usize| {
        let inside = |r: &Rect| (r.x..r.right()).contains(&x) && (r.y..r.bottom()).contains(&y);
        supports.iter().any(inside)
    };
    let mut seen = vec![false; SIZE.area()];
    let mut stamped = |rects: &[Rect], expected: Option<usize>| {
        for rect in rects {
            for y in rect.y..rect.bottom() {
                for x in rect.x..rect.right() {
                    assert!(!std::mem::replace(&mut seen[y * SIZE.width + x], true));
                    let Some(expected) = expected.filter(|_| !blended(x, y)) else {
                        continue;
                    };
                    assert_eq!(
                        at(x * SCALE, y * SCALE),
                        expected,
                        "{x},{y} in frame {number}"
                    );
                    assert_eq!(at(x * SCALE + 3, y * SCALE + 3), expected);
                }
            }
        }
    };
    stamped(&record.general, Some(number));
    for (from, rects) in &record.kept {
        assert!(*from < record.number);
        counts[0] += 1;
        stamped(rects, Some(order[*from as usize]));
    }
    stamped(&record.interpolated, None);
    for (from, rects) in &record.owed {
        assert!(*from < record.number);
        stamped(rects, None);
    }
    stamped(&record.covered, None);
    counts[3] += record.covered.len();
    assert!(seen.iter().all(|seen| *seen), "frame {number}: {record:?}");
    counts[1] += record.interpolated.len() + record.owed.len();
    for part in &record.parts {
        let from = part.from.map_or(number, |from| order[from as usize]);
        counts[2] += usize::from(part.from.is_some());
        let middle = (
            SCALE * (part.support.x + part.support.width / 2),
            SCALE * (part.support.y + part.support.height / 2),
        );
        assert_eq!(
            at(middle.0, middle.1),
            FACE + from,
            "face in frame {number}"
        );
    }
}

#[test]
fn every_part_is_from_the_frame_that_is_named() {
    // The thread of a test is called as the test is.
    let run = |depth, fails, reuse, late| {
        let decides = move || play(depth, fails, reuse, late);
        let thread =
            std::thread::Builder::new().name(if depth > 1 { "decides" } else { "both" }.into());
        thread.spawn(decides).unwrap().join().unwrap()
    };
    for depth in [1, 2, 4] {
        for fails in [false, true] {
            let [kept, late, parts, covered] = run(depth, fails, Reuse::Exact, false);
            assert!(
                kept > 20 && parts > 5 && covered > 5 && late == 0,
                "{kept} {parts} {covered}"
            );
            let [kept, late, ..] = run(depth, fails, Reuse::Exact, true);
            assert!(kept > 0 && late > 0, "{kept} {late}");
            let [kept, _, parts, covered] = run(depth, fails, Reuse::None, false);
            assert!(kept == 0 && parts == 0, "{kept} {parts} {covered}");
        }
    }
}

/// Plays some frames of which parts change; gives how often what was kept, late, kept of faces and covered.
fn play(depth: usize, fails: bool, reuse: Reuse, late: bool) -> [usize; 4] {
    let now = Now::default();
    let stamp = |offset, fails| {
        Box::new(Stamp {
            now: now.clone(),
            offset,
            fails,
            output: Vec::new(),
        })
    };
    let mut upscaler =
        Upscaler::with_networks(stamp(0, fails), Some(stamp(FACE, false)), None, 0, None).unwrap();
    upscaler
        .set_parameters(Parameters {
            reuse,
            fade_time: Duration::ZERO,
            mask_padding: 0.3,
            ..Parameters::default()
        })
        .unwrap();
    let mut flight = Flight::new(upscaler);
    flight.keep_records();
    flight.set_depth(depth).unwrap();
    let mut random = Random(0x0dd_ba11);
    let mut data = vec![90_u8; 3 * SIZE.area()];
    let (mut order, mut counts) = (Vec::new(), [0; 4]);
    let mut failed = 0;
    let mut take = |finished: Result<Finished<Picture, Black>>| match finished {
        Ok(Finished {
            input,
            output,
            recorded,
            ..
        }) => {
            let record = recorded.unwrap().frame;
            assert_eq!(record.number as usize, order.len());
            check(&record, &output.0, input.number, &order, &mut counts);
            order.push(input.number);
        }
        Err(error) => {
            assert!(error.to_string().contains("fails"), "{error}");
            failed += 1;
        }
    };
    for number in 0..30 {
        if random.below(4) > 0 {
            let (x, y) = (random.below(SIZE.width), random.below(SIZE.height));
            data[3 * (y * SIZE.width + x)] ^= 64;
        }
        let bbox = BBox {
            x0: 20.0,
            y0: 16.0,
            x1: 44.0,
            y1: 40.0,
        };
        let face = [Detection {
            bbox,
            score: 0.9,
            points: None,
            mask: None,
        }];
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40 * number as u64)),
            // It goes and comes back.
            faces: Some(if (10..20).contains(&number) {
                &[]
            } else {
                &face
            }),
            budget: (late && number % 3 != 0).then_some(Duration::from_nanos(1)),
        };
        let input = Picture {
            number,
            now: now.clone(),
            data: data.clone(),
        };
        let output = Black(vec![0; 3 * SIZE.scaled(SCALE).area()]);
        flight.submit(input, &info, output).unwrap();
        while flight.in_flight() >= flight.depth() {
            take(flight.next().unwrap());
        }
    }
    while let Some(finished) = flight.next() {
        take(finished);
    }
    // Where nothing is to be drawn, nothing fails.
    assert!(failed <= FAIL.len() && (failed > 0) == fails);
    counts
}
