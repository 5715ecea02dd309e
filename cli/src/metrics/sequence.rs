//! The measures of a clip, frame by frame: each frame against its input, against the true one where there is one, and against the frame
//! before it. The pixels are worked through by several threads; frames that wait for them are bounded.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use srfusion::{Error, Result, SCALE};

use super::fidelity::{BORDER, Plane, ssim};
use super::luma::Luma;
use super::perceptual::perceptual;
use super::picture::Picture;
use super::resample::Shrinker;
use super::warping::Correspondence;

/// Levels of 8 bits.
const PEAK: f64 = 255.0;

/// One frame of a clip, as it came in and as it went out.
#[derive(Debug)]
pub struct JudgedFrame {
    /// Luma of the input.
    pub input: Luma,
    /// Luma of the output, four times as wide and high.
    pub output: Luma,
    /// Luma of the true frame, of the output's size.
    pub truth: Option<Luma>,
    /// Output and true frame in colour, where this frame is to have SSIM and a perceptual score too.
    pub pictures: Option<(Picture, Picture)>,
    /// Whether the frame before it has nothing to do with it: the first, and after a cut.
    pub fresh: bool,
}

/// What was measured of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Numbers {
    /// Mean squared difference in levels between the input and the output made four times smaller.
    pub consistency: f64,
    /// Mean squared difference in levels from the true frame.
    pub error: Option<f64>,
    /// SSIM against the true frame.
    pub ssim: Option<f64>,
    /// SSIMULACRA 2 against the true frame.
    pub perceptual: Option<f64>,
    /// Mean absolute difference in levels of the input from the one before; `None` for the first frame, but not after a cut.
    pub change: Option<f64>,
    /// E*warp from the frame before to this, of the output.
    pub warping: Option<f64>,
    /// The same of the input.
    pub input_warping: Option<f64>,
    /// Fraction of the pixels that E*warp leaves out.
    pub hidden: Option<f64>,
}

/// PSNR in dB of a mean squared difference in levels; infinite for 0.
pub fn decibels(error: f64) -> f64 {
    10.0 * (PEAK * PEAK / error).log10()
}

/// Mean of the values that are there.
pub fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values.flatten() {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

/// Which frames are to have what takes long: `samples` of them, spread evenly, or where their number is not known every tenth.
pub fn sampling(expected: Option<usize>, samples: u32) -> impl Fn(usize) -> bool {
    let step = expected
        .map_or(10, |count| count.div_ceil(samples as usize))
        .max(1);
    let first = if expected.is_some() { step / 2 } else { 0 };
    move |index| index % step == first
}

struct PairJob {
    index: usize,
    before: Option<Arc<JudgedFrame>>,
    frame: Arc<JudgedFrame>,
}

/// Takes frames in order.
#[derive(Debug)]
pub struct Feed {
    jobs: SyncSender<PairJob>,
    before: Option<Arc<JudgedFrame>>,
    count: usize,
}

impl Feed {
    /// Hands over the next frame.
    ///
    /// # Errors
    /// [`Error::Cancelled`] where a frame before it could not be measured; its error comes out of [`measure`].
    pub fn push(&mut self, frame: JudgedFrame) -> Result<()> {
        let frame = Arc::new(frame);
        let before = self.before.replace(frame.clone());
        let job = PairJob {
            index: self.count,
            before,
            frame,
        };
        self.count += 1;
        self.jobs.send(job).map_err(|_| Error::Cancelled)
    }
}

/// Measures the frames that `produce` pushes, on `threads` threads beside its own, and returns what it returned and the numbers in order.
///
/// # Errors
/// [`Error::Shape`] for frames whose sizes do not go together, and whatever `produce` returns.
pub fn measure<R, E: From<Error>>(
    threads: usize,
    produce: impl FnOnce(&mut Feed) -> std::result::Result<R, E>,
) -> std::result::Result<(R, Vec<Numbers>), E> {
    let threads = threads.max(1);
    let (jobs, queue) = sync_channel(threads);
    let queue = Mutex::new(Some(queue));
    let results = Mutex::new(Vec::new());
    let failure = Mutex::new(None);
    let produced = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut shrinker = None;
                while let Some(job) = next(&queue) {
                    match numbers(&job, &mut shrinker) {
                        Ok(numbers) => lock(&results).push((job.index, numbers)),
                        Err(error) => {
                            lock(&failure).get_or_insert(error);
                            // Nobody waits for a queue that nobody reads.
                            *lock(&queue) = None;
                        }
                    }
                }
            });
        }
        let mut feed = Feed {
            jobs,
            before: None,
            count: 0,
        };
        produce(&mut feed)
    });
    if let Some(error) = lock(&failure).take() {
        return Err(error.into());
    }
    let produced = produced?;
    let mut results = std::mem::take(&mut *lock(&results));
    results.sort_by_key(|(index, _)| *index);
    let numbers = results.into_iter().map(|(_, numbers)| numbers).collect();
    Ok((produced, numbers))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next(queue: &Mutex<Option<Receiver<PairJob>>>) -> Option<PairJob> {
    // One thread at a time waits; the others wait for it, which is the same.
    lock(queue).as_ref()?.recv().ok()
}

fn numbers(job: &PairJob, shrinker: &mut Option<Shrinker>) -> Result<Numbers> {
    let frame = &*job.frame;
    let (low, high) = (frame.input.size(), frame.output.size());
    if low.scaled(SCALE) != high {
        return Err(shape("output", low.scaled(SCALE), high));
    }
    if let Some(before) = &job.before
        && before.input.size() != low
    {
        return Err(shape("frame", before.input.size(), low));
    }
    let shrinker = shrinker.get_or_insert_with(|| Shrinker::new(high, SCALE));
    let small = shrinker.shrink(&frame.output)?;
    let mut numbers = Numbers {
        consistency: squares(&small, &frame.input, 0),
        ..Numbers::default()
    };
    if let Some(truth) = &frame.truth {
        if truth.size() != high {
            return Err(shape("true frame", high, truth.size()));
        }
        numbers.error = Some(squares(&frame.output, truth, BORDER));
        if let Some((output, picture)) = &frame.pictures {
            let inner = |luma| Plane::of(luma).inner(BORDER);
            numbers.ssim = Some(ssim(&inner(&frame.output)?, &inner(truth)?)?);
            numbers.perceptual = Some(perceptual(output, picture)?);
        }
    }
    if let Some(before) = &job.before {
        numbers.change = Some(frame.input.change(&before.input));
        if !frame.fresh {
            let way = Correspondence::between(&before.input, &frame.input)?;
            numbers.warping = way.output_error(&before.output, &frame.output)?;
            numbers.input_warping = way.input_error(&before.input, &frame.input)?;
            numbers.hidden = Some(way.hidden());
        }
    }
    Ok(numbers)
}

/// Mean squared difference, without `border` pixels on each side.
fn squares(a: &Luma, b: &Luma, border: usize) -> f64 {
    PEAK * PEAK / 10_f64.powf(a.psnr(b, border) / 10.0)
}

fn shape(what: &str, expected: srfusion::Size, found: srfusion::Size) -> Error {
    Error::Shape {
        what: what.into(),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use srfusion::Size;

    fn frame(size: Size, add: u8, flicker: u8, fresh: bool) -> JudgedFrame {
        let plane = |size: Size, of: &dyn Fn(usize, usize) -> u8| {
            let values = (0..size.area()).map(|i| of(i % size.width, i / size.width));
            Luma::new(values.collect(), size).unwrap()
        };
        let large = size.scaled(4);
        JudgedFrame {
            input: plane(size, &|x, y| (60 + x % 30 + y % 20) as u8 + add),
            output: plane(large, &|_, _| 100 + flicker),
            truth: Some(plane(large, &|_, _| 100)),
            pictures: fresh.then(|| {
                let picture = Picture {
                    size: large,
                    samples: vec![100 + flicker; large.area() * 3],
                };
                (picture.clone(), picture)
            }),
            fresh,
        }
    }

    #[test]
    fn frames_are_measured_in_order() {
        let size = Size::new(32, 16);
        let (count, numbers) = measure(3, |feed| -> Result<usize> {
            for index in 0..20 {
                feed.push(frame(
                    size,
                    index,
                    2 * (index % 2),
                    index == 0 || index == 10,
                ))?;
            }
            Ok(20)
        })
        .unwrap();
        assert_eq!((count, numbers.len()), (20, 20));
        let two = 1000.0 * (2.0_f64 / 255.0).powi(2);
        for (index, frame) in numbers.iter().enumerate() {
            let odd = index % 2 == 1;
            assert_eq!(frame.error.unwrap().round(), if odd { 4.0 } else { 0.0 });
            assert_eq!(frame.change, (index > 0).then_some(1.0));
            assert_eq!(frame.ssim, (index == 0 || index == 10).then_some(1.0));
            let expected = (index % 10 != 0).then_some(two);
            assert!(
                frame
                    .warping
                    .zip(expected)
                    .is_none_or(|(a, b)| (a - b).abs() < 1e-9)
                    && frame.warping.is_some() == expected.is_some(),
                "{index}: {frame:?}"
            );
        }
        assert!((numbers[0].perceptual.unwrap() - 100.0).abs() < 0.01);
    }

    #[test]
    fn frames_that_do_not_go_together_end_it() {
        let result = measure(2, |feed| -> Result<()> {
            for index in 0..50 {
                let width = if index == 3 { 40 } else { 32 };
                feed.push(frame(Size::new(width, 16), 0, 0, false))?;
            }
            Ok(())
        });
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("32x16") && message.contains("40x16"),
            "{message}"
        );
    }

    #[test]
    fn means_and_decibels() {
        assert_eq!(mean([None, Some(1.0), Some(3.0)].into_iter()), Some(2.0));
        assert_eq!(mean([None].into_iter()), None);
        assert!((decibels(65025.0 / 1000.0) - 30.0).abs() < 1e-9);
        assert!(decibels(0.0).is_infinite());
    }
}
