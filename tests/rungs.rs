//! Which network draws what where there is no time for the best: the general one, the fast one, or none. Time is simulated: networks say what
//! they would have taken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use srfusion::testing::{Altered, Bicubic};
use srfusion::{
    Format, FrameInfo, FrameMemory, Parameters, PixelFormat, Reuse, SCALE, Size, Upscaler,
};

/// Streams of one process share the time, and the tests know how much there is. nextest gives each a process, `cargo test` does not.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const SIZE: Size = Size::new(160, 96);
/// Side of a cell.
const CELL: usize = 8;
/// What a network adds to every value, in levels, so that it is known what drew a pixel.
const FULL: f32 = 40.0;
const FAST: f32 = 20.0;

/// A network that adds so many levels to every value, and would take so many nanoseconds for a pixel.
fn paced(levels: f32, nanoseconds: &Arc<AtomicU64>) -> Box<Altered> {
    let pace = nanoseconds.clone();
    let inner = Box::new(Bicubic::luma(levels / 255.0));
    Altered::new("paced", inner, move |inner, input, count, size, take| {
        inner.run(input, count, size, take)?;
        let pixels = (count * size.area()) as u64;
        Ok(Duration::from_nanos(pixels * pace.load(Ordering::Relaxed)))
    })
}

/// A grey stream whose general network takes five times as long as its fast one.
struct Stream {
    upscaler: Upscaler,
    general: Arc<AtomicU64>,
    fast: Arc<AtomicU64>,
    frames: u64,
}

/// Nanoseconds for a pixel of the general network: so slow that what is not simulated is nothing beside it.
const PACE: u64 = 2_000_000;

/// The time that the general network takes for `share` of the frame.
fn time(share: f64) -> Option<Duration> {
    Some(Duration::from_nanos(SIZE.area() as u64 * PACE).mul_f64(share))
}

impl Stream {
    fn new(reuse: Reuse, fast: bool) -> Self {
        let [general, quick] = [PACE, PACE / 5].map(|pace| Arc::new(AtomicU64::new(pace)));
        let upscaler = if fast {
            let fast = paced(FAST, &quick);
            Upscaler::with_fast_network(paced(FULL, &general), fast, None, None)
        } else {
            Upscaler::with_networks(paced(FULL, &general), None, None, 0, None)
        };
        let mut upscaler = upscaler.unwrap();
        upscaler
            .set_parameters(Parameters {
                reuse,
                ..Parameters::default()
            })
            .unwrap();
        Self {
            upscaler,
            general,
            fast: quick,
            frames: 1,
        }
    }

    /// A flat frame whose columns `moving` are of another grey each time, drawn; the levels that were added to each cell, as shares of the
    /// general network's: 1 where that drew it, 0.5 for the fast one, 0 for none.
    fn draw(&mut self, moving: std::ops::Range<usize>, budget: Option<Duration>) -> Vec<f32> {
        let format = Format::rgb(PixelFormat::Gray8);
        let grey = |x: usize, turn: u64| {
            if moving.contains(&x) {
                60 + (turn * 37 % 100) as u8
            } else {
                100
            }
        };
        let data: Vec<u8> = (0..SIZE.area())
            .map(|i| grey(i % SIZE.width, self.frames))
            .collect();
        let frame = srfusion::Frame::of(format, SIZE, &[(&data, SIZE.width)]).unwrap();
        let large = SIZE.scaled(SCALE);
        let mut output = FrameMemory::default();
        output.fit(&format, large);
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40 * self.frames)),
            faces: None,
            budget,
        };
        self.upscaler
            .process(frame, &info, &mut output.frame(format, large).unwrap())
            .unwrap();
        let output = output.frame(format, large).unwrap();
        let output = output.as_frame();
        let (columns, rows) = (SIZE.width / CELL, SIZE.height / CELL);
        let added = (0..columns * rows).map(|cell| {
            // Its middle: at the border of what moves interpolation overshoots.
            let x = cell % columns * CELL + CELL / 2;
            let y = cell / columns * CELL + CELL / 2;
            let shown = output.row(y * SCALE)[x * SCALE];
            (f32::from(shown) - f32::from(grey(x, self.frames))) / FULL
        });
        let added = added.collect();
        self.frames += 1;
        added
    }
}

/// Shares of the cells that the general network, the fast one and none drew.
fn shares(cells: &[f32]) -> [f64; 3] {
    let of = |level: f32| {
        let count = cells
            .iter()
            .filter(|cell| (**cell - level).abs() < 0.1)
            .count();
        count as f64 / cells.len() as f64
    };
    [of(1.0), of(0.5), of(0.0)]
}

/// What moves and does not fit is the fast network's, and interpolated only where not even that fits; once there is time again all of it is
/// the general network's.
#[test]
fn the_fast_network_draws_what_there_is_no_time_for() {
    let _alone = alone();
    for reuse in [Reuse::Exact, Reuse::Tolerant, Reuse::None] {
        let mut stream = Stream::new(reuse, true);
        // What both take is known from frames before.
        for _ in 0..3 {
            stream.draw(0..160, time(0.76));
        }
        for (share, wanted) in [(0.81, [0.15, 0.2, 0.0]), (0.14, [0.0, 0.2, 0.2])] {
            let mut found = Vec::new();
            for _ in 0..12 {
                found = stream.draw(0..160, time(share));
            }
            let shares = shares(&found);
            println!("{reuse:?} {share}: {shares:?}");
            assert!(
                shares.iter().sum::<f64>() > 0.98,
                "{reuse:?} {share}: {shares:?}"
            );
            for (found, least) in shares.iter().zip(wanted) {
                assert!(*found >= least, "{reuse:?} {share}: {shares:?}");
                assert!(
                    least > 0.0 || *found < 0.02,
                    "{reuse:?} {share}: {shares:?}"
                );
            }
        }
        // There is time again: within a few times the least distance between two changes.
        let mut found = Vec::new();
        for _ in 0..30 {
            found = stream.draw(0..160, time(3.0));
        }
        assert!(shares(&found)[0] > 0.99, "{reuse:?}: {:?}", shares(&found));
    }
}

/// However the load comes and goes, a cell that moves is raised no sooner than eight frames after it changed last.
#[test]
fn a_cell_is_raised_once_in_eight_frames() {
    let _alone = alone();
    let mut stream = Stream::new(Reuse::Exact, true);
    let mut changed = vec![0u64; SIZE.area() / CELL / CELL];
    let mut before: Vec<f32> = Vec::new();
    let (mut raised, mut lowered) = (0, 0);
    for frame in 0..160u64 {
        // A load that comes and goes faster than quality may.
        let pace = if frame / 3 % 2 == 0 { PACE } else { 2 * PACE };
        stream.general.store(pace, Ordering::Relaxed);
        stream.fast.store(pace / 5, Ordering::Relaxed);
        let now = stream.draw(0..160, time(0.8));
        for (cell, (was, is)) in before.iter().zip(&now).enumerate() {
            if (was - is).abs() < 0.1 {
                continue;
            }
            if is > was {
                raised += 1;
                assert!(
                    frame - changed[cell] >= 8 || changed[cell] == 0,
                    "{cell} in frame {frame}: {was} to {is}"
                );
            } else {
                lowered += 1;
            }
            changed[cell] = frame;
        }
        before = now;
    }
    println!(
        "{raised} raised, {lowered} lowered, of {} cells in 160 frames",
        before.len()
    );
    assert!(lowered > 0);
    // No more than a change up and one down in eight frames, and far fewer.
    assert!(raised < before.len() * 160 / 16, "{raised}");
}

/// What is owed is made good, and what shows then is, sample by sample, what shows without a deadline.
#[test]
fn what_is_owed_is_made_good() {
    let _alone = alone();
    let mut hurried = Stream::new(Reuse::Exact, true);
    let mut leisurely = Stream::new(Reuse::Exact, true);
    for _ in 0..2 {
        hurried.draw(0..160, time(0.7));
        leisurely.draw(0..160, None);
    }
    for _ in 0..40 {
        hurried.draw(0..0, time(0.4));
        leisurely.draw(0..0, None);
    }
    assert_eq!(hurried.draw(0..0, time(0.4)), leisurely.draw(0..0, None));
    let stats = hurried.upscaler.stats();
    assert!(stats.tiles_fast > 0 && stats.fast_pixels_run > 0);
    assert_eq!(leisurely.upscaler.stats().fast_pixels_run, 0);
}

/// What stands still and is only old is never drawn by less than before: it waits.
#[test]
fn what_is_old_waits_for_its_turn() {
    let _alone = alone();
    let mut stream = Stream::new(Reuse::Tolerant, true);
    stream
        .upscaler
        .set_parameters(Parameters {
            reuse: Reuse::Tolerant,
            refresh_time: Duration::from_millis(200),
            ..Parameters::default()
        })
        .unwrap();
    for _ in 0..20 {
        stream.draw(0..0, None);
    }
    // A part of it moves, which takes all the time that there is; the rest is old again and again.
    for frame in 0..30 {
        let found = stream.draw(0..32, time(0.05));
        let still: Vec<f32> = found
            .chunks(SIZE.width / CELL)
            .flat_map(|row| row[6..].to_vec())
            .collect();
        assert!(
            shares(&still)[0] > 0.999,
            "frame {frame}: {:?}",
            shares(&still)
        );
    }
}

/// What stands still goes over to what is better in two frames, half of the way in each; nothing of the way is kept.
#[test]
fn a_change_of_rung_takes_two_frames() {
    let _alone = alone();
    for fast in [true, false] {
        let mut stream = Stream::new(Reuse::Exact, fast);
        let mut before = stream.draw(0..160, time(0.3));
        let (mut half, mut largest) = (0, 0.0f32);
        for frame in 0..30 {
            let now = stream.draw(0..0, time(0.4));
            // Of the first frame, which moves, nothing stands still.
            for (was, is) in before.iter().zip(&now).filter(|_| frame > 0) {
                largest = largest.max((is - was).abs());
                assert!(*is >= was - 0.03, "frame {frame}: {was} to {is}");
                half += usize::from((is - 0.5).abs() < 0.1 || (is - 0.75).abs() < 0.1);
            }
            before = now;
        }
        assert!(shares(&before)[0] > 0.99, "{:?}", shares(&before));
        assert!(half > 0 && largest < 0.55, "{half} on the way, {largest}");
    }
}
