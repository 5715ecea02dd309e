//! How much of the natural look a generator has, as it is asked for from one thread and heard by others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Steps from none to all: files are mixed for each.
const STEPS: u32 = 1000;

/// A share in steps of a thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Detail(u32);

impl Detail {
    /// None.
    pub(crate) const NONE: Self = Self(0);

    /// The nearest to `share`, 0 to 1.
    pub(crate) fn of(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * f64::from(STEPS)).round() as u32)
    }

    /// As a number from 0 to 1.
    pub(crate) fn share(self) -> f64 {
        f64::from(self.0) / f64::from(STEPS)
    }

    /// Whether nothing of the other is left.
    pub(crate) fn is_all(self) -> bool {
        self.0 >= STEPS
    }
}

/// What is asked for now, for all generators of a stream.
#[derive(Debug, Clone)]
pub(crate) struct DetailKnob(Arc<AtomicU32>);

impl DetailKnob {
    /// One that stands at `detail`.
    pub(crate) fn new(detail: Detail) -> Self {
        Self(Arc::new(AtomicU32::new(detail.0)))
    }

    /// Turns it.
    pub(crate) fn set(&self, detail: Detail) {
        self.0.store(detail.0, Ordering::Relaxed);
    }

    /// Where it stands.
    pub(crate) fn get(&self) -> Detail {
        Detail(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_thousandths() {
        for (share, steps) in [
            (0.0, 0),
            (0.0004, 0),
            (0.0006, 1),
            (0.5, 500),
            (1.0, 1000),
            (7.0, 1000),
        ] {
            assert_eq!(Detail::of(share), Detail(steps), "{share}");
        }
        assert_eq!(Detail::of(0.25).share(), 0.25);
        assert!(Detail::of(0.9996).is_all() && !Detail::of(0.999).is_all());
    }
}
