//! How much of a difference between two frames is the camera's noise. Pure.

use super::compare::{Differences, Tolerance};

/// Root of the mean squared difference, in levels of 255, that all kept blocks of a frame may have together. Differences of the
/// input come out of the generators about as large, and most frames stay far below. Noise of a deviation s makes differences of 1.4 s,
/// so that above 1.4 levels a part of what stands still is drawn anew, until from 2 on [`super::steady`] averages it.
const KEPT_ERROR: f32 = 2.0;
/// Tolerance of the root of the mean squared difference in multiples of the noise. The noise of a video codec, which is estimated
/// from its quietest blocks, is several times as large where there is detail.
const NOISE_GAIN: f32 = 12.0;
/// Limits of the tolerance, in levels of 255.
const LEAST_TOLERANCE: f32 = 2.0;
const MOST_TOLERANCE: f32 = 12.0;
/// Tolerance of the mean difference, as a share of that of the root of the mean squared one.
const MEAN_SHARE: f32 = 0.5;
/// Most of it, in levels of 255: noise hardly moves the mean of a block, and where a wall is smooth a block that is kept although light or a shadow
/// has moved on is seen by its edges. Of what covers an area alone, see [`tolerate_specks`].
const MOST_MEAN: f32 = 2.5;

/// The camera's noise as the root of the mean squared difference of blocks that did not change, in levels of 255.
///
/// Every frame gives one figure: the lower quartile of the blocks that differ at all (those that are equal to the bit were
/// copied by a video codec and tell nothing, those that differ most have moved). Figures are averaged over some seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Noise {
    level: f32,
    frames: u32,
}

/// Differences above this are movement whatever the camera, in levels of 255.
const MOST_NOISE: f32 = 8.0;
/// Frames over which the noise is averaged.
const NOISE_FRAMES: u32 = 50;

impl Noise {
    /// Takes what one frame differs in from another.
    pub fn observe(&mut self, differences: &Differences) {
        const STEPS: usize = 64;
        let mut histogram = [0u32; STEPS];
        let mut count = 0;
        for value in &differences.rms {
            if *value > 0.0 && *value < MOST_NOISE {
                histogram[(value * (STEPS as f32 / MOST_NOISE)) as usize % STEPS] += 1;
                count += 1;
            }
        }
        // Too few to tell, as between copies of a frame.
        if count < 64.min(differences.rms.len() as u32 / 4) || count == 0 {
            return;
        }
        let mut seen = 0;
        let step = histogram
            .iter()
            .position(|n| {
                seen += n;
                4 * seen >= count
            })
            .unwrap_or(STEPS - 1);
        let figure = (step as f32 + 0.5) * (MOST_NOISE / STEPS as f32);
        self.frames = (self.frames + 1).min(NOISE_FRAMES);
        self.level += (figure - self.level) / self.frames as f32;
    }

    /// Root of the mean squared difference that noise alone makes, in levels of 255; 0 before anything was seen.
    #[cfg(test)]
    pub fn level(&self) -> f32 {
        self.level
    }

    /// What is taken for noise in a frame that differs by `differences` from what is remembered. `threshold` overrides the estimate
    /// where it is above 0.
    ///
    /// A multiple of the camera's noise, but never so much that the blocks which are then kept are further from the frame, all
    /// together, than [`KEPT_ERROR`].
    pub fn tolerance(&self, threshold: f32, differences: &Differences) -> Tolerance {
        let rms = if threshold > 0.0 {
            threshold
        } else {
            let most = (NOISE_GAIN * self.level).clamp(LEAST_TOLERANCE, MOST_TOLERANCE);
            differences.within(KEPT_ERROR, most).max(LEAST_TOLERANCE)
        };
        Tolerance {
            mean: (rms * MEAN_SHARE).min(MOST_MEAN),
            rms,
        }
    }
}

/// Has `differences` tolerate, besides `tolerance`, what differs by its mean and stands alone.
pub fn tolerate_specks(differences: &mut Differences, tolerance: Tolerance) {
    differences.tolerate_specks(tolerance, tolerance.rms * MEAN_SHARE);
}

/// What is tolerated where movement is watched for: light that changes brings no new object, so that the mean of a block may differ as far as noise lets it.
pub fn of_movement(tolerance: Tolerance) -> Tolerance {
    Tolerance {
        mean: tolerance.rms * MEAN_SHARE,
        ..tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::compare::Reference;
    use crate::keep::movement::Movement;
    use crate::picture::{Frame, Size};

    fn frame(size: Size, value: impl Fn(usize, usize, usize) -> u8) -> Vec<u8> {
        let mut data = Vec::new();
        for y in 0..size.height {
            for x in 0..size.width {
                data.extend((0..3).map(|c| value(x, y, c)));
            }
        }
        data
    }

    /// A shadow that creeps over a noisy wall: what it has darkened by three levels is not as it was, however much the camera's noise allows.
    #[test]
    fn a_shadow_is_no_noise() {
        let size = Size::new(160, 120);
        let mut state = 88172645463325252u64;
        let mut noisy = |darker: u8| {
            let mut data = frame(size, |x, _, _| if x < 80 { 180 - darker } else { 180 });
            data.iter_mut().for_each(|v| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *v = v.saturating_add((state % 7) as u8) - 3;
            });
            data
        };
        let (mut noise, mut found) = (Noise::default(), Differences::default());
        let compare = |a: &[u8], b: &[u8], found: &mut Differences| {
            let mut reference = Reference::default();
            reference.set(&Frame::new(a, size, 480).unwrap()).unwrap();
            assert!(reference.compare(&Frame::new(b, size, 480).unwrap(), found));
        };
        for _ in 0..20 {
            compare(&noisy(0), &noisy(0), &mut found);
            noise.observe(&found);
        }
        compare(&noisy(0), &noisy(4), &mut found);
        let changed: Vec<_> = found.changed(noise.tolerance(0.0, &found)).collect();
        let share = |columns: std::ops::Range<usize>| {
            let inside = changed
                .iter()
                .enumerate()
                .filter(|(i, _)| columns.contains(&(i % 40)));
            let (mut count, mut all) = (0.0, 0.0);
            for (_, changed) in inside {
                count += f32::from(u8::from(*changed));
                all += 1.0;
            }
            count / all
        };
        assert!(share(0..20) > 0.95, "{}", share(0..20));
        assert!(share(20..40) < 0.05, "{}", share(20..40));
    }

    /// A step of four levels over single blocks, as of a video codec, is kept; over an area it is light, to its very edge.
    #[test]
    fn a_step_of_light_counts_where_it_covers_an_area() {
        let size = Size::new(160, 120);
        // Block columns 10 to 12 and rows 5 to 7; and single ones, and two side by side.
        let area = |column: usize, row: usize| (10..13).contains(&column) && (5..8).contains(&row);
        let alone = |column: usize, row: usize| {
            [(20, 5), (30, 29), (0, 0), (25, 20), (26, 20)].contains(&(column, row))
        };
        let lit = |step: u8| {
            frame(size, |x, y, _| {
                let at = (x / 4, y / 4);
                100 + step * u8::from(area(at.0, at.1) || alone(at.0, at.1))
            })
        };
        let (before, mut found) = (lit(0), Differences::default());
        let mut reference = Reference::default();
        reference
            .set(&Frame::new(&before, size, 480).unwrap())
            .unwrap();
        let mut changed = |step: u8| {
            let after = lit(step);
            assert!(reference.compare(&Frame::new(&after, size, 480).unwrap(), &mut found));
            let tolerance = Noise::default().tolerance(10.0, &found);
            tolerate_specks(&mut found, tolerance);
            found.changed(tolerance).collect::<Vec<_>>()
        };
        for (index, changed) in changed(4).into_iter().enumerate() {
            assert_eq!(changed, area(index % 40, index / 40), "block {index}");
        }
        // Half of what is tolerated of the deviation is the limit of a single block as well.
        for (index, changed) in changed(6).into_iter().enumerate() {
            let (column, row) = (index % 40, index / 40);
            assert_eq!(
                changed,
                area(column, row) || alone(column, row),
                "block {index}"
            );
        }
    }

    /// The same steps of light over an area bring nothing that has to be looked for before they are past what noise may be.
    #[test]
    fn light_alone_is_no_movement() {
        let size = Size::new(80, 40);
        let lit = |step: u8| frame(size, |x, _, _| if x < 40 { 100 + step } else { 100 });
        let before = lit(0);
        let (mut reference, mut found) = (Reference::default(), Differences::default());
        reference
            .set(&Frame::new(&before, size, 240).unwrap())
            .unwrap();
        let mut movement = Movement::default();
        found.clear(size);
        movement.look(&found, |_| false);
        for (step, moved) in [(4, 0), (6, 100)] {
            let after = lit(step);
            assert!(reference.compare(&Frame::new(&after, size, 240).unwrap(), &mut found));
            let tolerance = Noise::default().tolerance(10.0, &found);
            assert_eq!(
                found.changed(tolerance).filter(|changed| *changed).count(),
                100
            );
            assert_eq!(movement.count(&found, of_movement(tolerance)), moved);
        }
    }

    #[test]
    fn noise_is_estimated_beside_movement() {
        let size = Size::new(160, 120);
        let mut state = 88172645463325252u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % 4) as i32 - 2 // uniform, standard deviation 1.12; of a difference of two: 1.58
        };
        let mut noisy = |shift: usize| {
            let mut data = frame(size, |x, y, _| {
                if x < 60 {
                    ((x + shift) * 40 % 255) as u8
                } else {
                    100 + (y % 3) as u8
                }
            });
            data.iter_mut()
                .for_each(|v| *v = (i32::from(*v) + random()).clamp(0, 255) as u8);
            data
        };
        let mut noise = Noise::default();
        let mut found = Differences::default();
        for i in 0..20 {
            let (a, b) = (noisy(i), noisy(i + 1));
            let mut reference = Reference::default();
            let before = Frame::new(&a, size, 480).unwrap();
            reference.set(&before).unwrap();
            assert!(reference.compare(&Frame::new(&b, size, 480).unwrap(), &mut found));
            noise.observe(&found);
        }
        assert!((1.3..1.7).contains(&noise.level()), "{}", noise.level());
        let tolerance = noise.tolerance(0.0, &found);
        let changed: Vec<_> = found.changed(tolerance).collect();
        let share = |columns: std::ops::Range<usize>| {
            let blocks = (0..30).flat_map(|r| columns.clone().map(move |c| r * 40 + c));
            let (mut n, mut all) = (0, 0);
            for i in blocks {
                n += usize::from(changed[i]);
                all += 1;
            }
            n as f32 / all as f32
        };
        assert_eq!(share(0..15), 1.0, "movement");
        assert_eq!(share(15..40), 0.0, "noise");
    }
}
