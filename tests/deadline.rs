//! A time for each frame: what is drawn in it, in which order, and that what is owed is made good. Time is simulated: networks say what they
//! would have taken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use srfusion::testing::{Altered, Bicubic, FixedFaces};
use srfusion::{
    BBox, Detection, Format, FrameInfo, FrameMemory, Parameters, PixelFormat, Reuse, Size, Upscaler,
};

/// Streams of one process share the time, and the tests know how much there is. nextest gives each a process, `cargo test` does not.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const SIZE: Size = Size::new(160, 96);

/// A network that would take so many nanoseconds for a pixel, and counts the pixels that it draws. It adds to every value, so that what it
/// draws is told from what is interpolated.
fn paced(offset: f32, nanoseconds: &Arc<AtomicU64>, pixels: &Arc<AtomicU64>) -> Box<Altered> {
    let (pace, drawn) = (nanoseconds.clone(), pixels.clone());
    let inner = Box::new(Bicubic::luma(offset));
    Altered::new("paced", inner, move |inner, input, count, size, take| {
        inner.run(input, count, size, take)?;
        let pixels = (count * size.area()) as u64;
        drawn.fetch_add(pixels, Ordering::Relaxed);
        Ok(Duration::from_nanos(pixels * pace.load(Ordering::Relaxed)))
    })
}

/// A stream with its networks' pace.
struct Stream {
    upscaler: Upscaler,
    nanoseconds: Arc<AtomicU64>,
    general: Arc<AtomicU64>,
    face: Arc<AtomicU64>,
    frames: u64,
}

const FACE: BBox = BBox {
    x0: 60.0,
    y0: 30.0,
    x1: 92.0,
    y1: 66.0,
};

impl Stream {
    fn new(reuse: Reuse, faces: bool) -> Self {
        let nanoseconds = Arc::new(AtomicU64::new(1000));
        let counters = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
        let found = faces.then_some(Detection {
            bbox: FACE,
            score: 0.9,
            points: None,
            mask: None,
        });
        let found = FixedFaces(found.into_iter().collect());
        let mut upscaler = Upscaler::with_networks(
            paced(0.05, &nanoseconds, &counters[0]),
            Some(paced(0.1, &nanoseconds, &counters[1])),
            Some(Box::new(found)),
            0,
            None,
        )
        .unwrap();
        upscaler
            .set_parameters(Parameters {
                reuse,
                fade_time: Duration::ZERO,
                detect_interval: 1,
                ..Parameters::default()
            })
            .unwrap();
        let [general, face] = counters;
        Self {
            upscaler,
            nanoseconds,
            general,
            face,
            frames: 1,
        }
    }

    /// A frame in which columns `moving` are of another pattern each time.
    fn draw(&mut self, moving: std::ops::Range<usize>, budget: Option<Duration>) -> Vec<u8> {
        let format = Format::rgb(PixelFormat::Gray8);
        let turn = self.frames as usize;
        let data: Vec<u8> = (0..SIZE.area())
            .map(|i| {
                let (x, y) = (i % SIZE.width, i / SIZE.width);
                let shift = if moving.contains(&x) { turn * 7 } else { 0 };
                ((x * 5 + y * 3 + shift) % 190 + 20) as u8
            })
            .collect();
        let frame = srfusion::Frame::of(format, SIZE, &[(&data, SIZE.width)]).unwrap();
        let large = SIZE.scaled(4);
        let mut output = FrameMemory::default();
        output.fit(&format, large);
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40 * self.frames)),
            faces: None,
            budget,
        };
        self.frames += 1;
        self.upscaler
            .process(frame, &info, &mut output.frame(format, large).unwrap())
            .unwrap();
        let output = output.frame(format, large).unwrap();
        (0..large.height)
            .flat_map(|y| output.as_frame().row(y).to_vec())
            .collect()
    }
}

/// In the time for a third of a frame a third is drawn, what moves first; once it stands still the rest is made good, a part in each frame, and
/// in the end every sample is as if there had been no hurry.
#[test]
fn what_is_owed_is_made_good() {
    let _alone = alone();
    for reuse in [Reuse::Exact, Reuse::Tolerant] {
        let mut hurried = Stream::new(reuse, false);
        let mut leisurely = Stream::new(reuse, false);
        let whole = Duration::from_nanos(SIZE.area() as u64 * 1000);
        // Slow enough for what is not simulated, comparing and writing, to be nothing.
        let pace = 2_000_000 / 1000;
        hurried.nanoseconds.store(1000 * pace, Ordering::Relaxed);
        let third = Some(whole * pace as u32 / 3);
        // What it takes is known from a frame before, of which nothing is left.
        hurried.draw(0..160, None);
        leisurely.draw(0..160, None);
        let mut seen = Vec::new();
        for _ in 0..24 {
            let before = hurried.general.load(Ordering::Relaxed);
            hurried.draw(0..0, third);
            leisurely.draw(0..0, None);
            seen.push(hurried.general.load(Ordering::Relaxed) - before);
        }
        let area = SIZE.area() as u64;
        assert!(seen.iter().all(|pixels| *pixels <= area / 3), "{seen:?}");
        // What was sharp while it moved is so again eight frames later at the soonest, and then as fast as there is time for.
        assert!(seen.iter().any(|pixels| *pixels > area / 7), "{seen:?}");
        assert_eq!(seen[23], 0, "{reuse:?} {seen:?}");
        assert!(
            hurried.draw(0..0, third) == leisurely.draw(0..0, None),
            "{reuse:?}"
        );
        let stats = *hurried.upscaler.stats();
        assert!(stats.tiles_late > 0 && stats.pixels_late > 0);
        assert_eq!(leisurely.upscaler.stats().tiles_late, 0);
    }
}

/// What moves is drawn before what is owed, and the same part of it in each frame: nothing changes from sharp to soft and back.
#[test]
fn what_moves_comes_first_and_stays_sharp() {
    let _alone = alone();
    let mut stream = Stream::new(Reuse::Exact, false);
    stream.nanoseconds.store(2_000_000, Ordering::Relaxed);
    let whole = Duration::from_nanos(SIZE.area() as u64 * 2_000_000);
    stream.draw(0..160, None);
    for _ in 0..24 {
        stream.draw(0..0, Some(whole / 3));
    }
    // A strip moves that there is time for: it is drawn by the network, which is brighter by 0.05.
    let mut reference = Stream::new(Reuse::None, false);
    // A stream that has shown no frame yet may have as little time, and would be left its share.
    reference.draw(0..0, None);
    reference.frames = stream.frames;
    for _ in 0..3 {
        assert!(stream.draw(40..56, Some(whole / 2)) == reference.draw(40..56, None));
    }
    // Everything moves: what is drawn by the network then is the same part in each frame.
    let mut parts = Vec::new();
    for _ in 0..6 {
        let found = stream.draw(0..160, Some(whole / 3));
        let sharp = reference.draw(0..160, None);
        let part: Vec<bool> = found.iter().zip(&sharp).map(|(a, b)| a == b).collect();
        parts.push(
            part.iter()
                .enumerate()
                .filter(|(_, sharp)| **sharp)
                .map(|(i, _)| i)
                .collect::<Vec<_>>(),
        );
    }
    let count = parts.last().unwrap().len();
    let area = SIZE.scaled(4).area();
    assert!(count > area / 7 && count < area / 2, "{count} of {area}");
    for pair in parts[2..].windows(2) {
        let same = pair[0]
            .iter()
            .filter(|i| pair[1].binary_search(i).is_ok())
            .count();
        assert!(
            same * 100 > pair[0].len() * 95,
            "{same} of {}",
            pair[0].len()
        );
    }
}

/// Faces are drawn whole, whatever the time; and a slower machine draws less of the rest, a faster one all of it again.
#[test]
fn faces_are_drawn_in_any_case() {
    let _alone = alone();
    let mut stream = Stream::new(Reuse::Exact, true);
    let mut reference = Stream::new(Reuse::None, true);
    stream.nanoseconds.store(100_000, Ordering::Relaxed);
    for _ in 0..4 {
        let found = stream.draw(0..160, Some(Duration::from_micros(100)));
        let expected = reference.draw(0..160, None);
        // The middle of the face, where the mask is 1.
        for y in 4 * 42..4 * 54 {
            let row = y * 4 * SIZE.width;
            assert!(
                found[row + 4 * 72..row + 4 * 80] == expected[row + 4 * 72..row + 4 * 80],
                "{y}"
            );
        }
    }
    assert!(stream.face.load(Ordering::Relaxed) > 0);
    // The load is gone.
    stream.nanoseconds.store(1, Ordering::Relaxed);
    for _ in 0..60 {
        stream.draw(0..160, Some(Duration::from_secs(5)));
        reference.frames += 1;
    }
    assert!(stream.draw(0..160, Some(Duration::from_secs(5))) == reference.draw(0..160, None));
}
