//! What something takes, learnt from measurements. Pure arithmetic.

/// What something takes, as measured again and again: a mean, and how far single times stray from it. The gains are those by which TCP
/// estimates how long an answer takes (RFC 6298): the mean follows in some eight measurements, the spread in four. By those alone more would
/// be reckoned with after a load has gone than while it lasted, as a sudden gain is a distance too; as in Linux's TCP such a one hardly counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    mean: f64,
    deviation: f64,
    /// The least that was measured, which larger measurements raise slowly.
    least: f64,
    known: bool,
}

/// What is left of an estimate after a frame in which nothing could be measured: half after a second of 25 frames.
const RELAXATION: f64 = 0.973;

/// Part of its distance by which the spread follows a time that is shorter than usual by more than the spread.
const GAINED: f64 = 1.0 / 32.0;

/// Part of a measurement's distance by which the least one follows it.
const FORGETTING: f64 = 1.0 / 128.0;

/// What is left of the least measurement after such a frame: what was only ever measured under a load is tried again after half a minute or so.
const LEAST_RELAXATION: f64 = 0.999;

/// Deviations above the mean that are reckoned with.
const SAFETY: f64 = 2.0;

impl Estimate {
    /// Takes one measurement.
    pub fn observe(&mut self, value: f64) {
        if !self.known {
            *self = Self {
                mean: value,
                deviation: value / 2.0,
                least: value,
                known: true,
            };
            return;
        }
        let error = value - self.mean;
        let gain = if -error > self.deviation {
            GAINED
        } else {
            1.0 / 4.0
        };
        self.deviation += (error.abs() - self.deviation) * gain;
        self.mean += error / 8.0;
        self.least = value.min(self.least + FORGETTING * (value - self.least));
    }

    /// Takes it that things may have become better, where nothing can be measured because too much was reckoned with: otherwise it would never
    /// be known. For a while no better than they ever were: nothing may have fitted for another reason, and what is then tried must be in time.
    pub fn relax(&mut self) {
        self.least *= LEAST_RELAXATION;
        self.mean = (self.mean * RELAXATION).max(self.least.min(self.mean));
        self.deviation *= RELAXATION;
    }

    /// What is reckoned with: rarely exceeded; `usual` where nothing was measured yet.
    pub fn safe(&self, usual: f64) -> f64 {
        if self.known {
            self.mean + SAFETY * self.deviation
        } else {
            usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reckoned_with_follows_what_is_measured() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.safe(7.0), 7.0);
        (0..60).for_each(|_| estimate.observe(1.0));
        assert!((estimate.safe(0.0) - 1.0).abs() < 0.01);
        // A load comes: after a few runs it is reckoned with, and after its end soon no more.
        (0..6).for_each(|_| estimate.observe(3.0));
        assert!(estimate.safe(0.0) >= 3.0, "{estimate:?}");
        (0..40).for_each(|_| estimate.observe(1.0));
        assert!(estimate.safe(0.0) < 1.2, "{estimate:?}");
        // What strays is kept room for.
        let mut stray = Estimate::default();
        (0..100).for_each(|i| stray.observe(1.0 + f64::from(i % 2)));
        assert!(stray.safe(0.0) > 2.0);
    }

    /// At 25 frames a second: after one of them a fifth more is reckoned with than without the load, and never more than under it.
    #[test]
    fn a_load_that_has_gone_is_soon_forgotten() {
        let mut estimate = Estimate::default();
        (0..250).for_each(|i| estimate.observe(2.0 + 0.1 * f64::from(i % 3)));
        let loaded = estimate.safe(0.0);
        for _ in 0..25 {
            estimate.observe(1.0);
            assert!(estimate.safe(0.0) <= loaded, "{estimate:?}");
        }
        assert!(estimate.safe(0.0) < 1.2, "{estimate:?}");
    }

    #[test]
    fn nothing_is_reckoned_with_that_never_was() {
        let mut estimate = Estimate::default();
        (0..60).for_each(|i| estimate.observe(1.0 + f64::from(i % 3)));
        (0..10).for_each(|_| estimate.observe(9.0));
        assert!(estimate.safe(0.0) > 5.0);
        // Back to about the best that was measured; seconds without a measurement do not make it less.
        (0..150).for_each(|_| estimate.relax());
        assert!((0.9..1.7).contains(&estimate.safe(0.0)), "{estimate:?}");
        // But all that was measured may have been measured under a load.
        (0..3000).for_each(|_| estimate.relax());
        assert!(estimate.safe(0.0) < 0.2, "{estimate:?}");
    }
}
