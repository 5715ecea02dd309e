//! One flag by which the owner of an [`crate::Upscaler`] stops it from another thread, in the middle of a network too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::error::{Error, Result};

/// Something that can be told to stop while it works, such as a running network.
pub trait Interrupt: Send + Sync {
    /// Stops the work under way, or lets new work start again.
    fn set_interrupted(&self, interrupted: bool);
}

#[derive(Default)]
struct Inner {
    cancelled: AtomicBool,
    targets: Mutex<Vec<Weak<dyn Interrupt>>>,
}

/// Stops work from another thread. Clones share one flag.
#[derive(Clone, Default)]
pub struct Canceller(Arc<Inner>);

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Canceller")
            .field(&self.is_cancelled())
            .finish()
    }
}

impl Canceller {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag and interrupts every network that runs under it. The call under way, and each one after it, returns
    /// [`Error::Cancelled`] until [`Canceller::reset`].
    pub fn cancel(&self) {
        self.set(true);
    }

    /// Lowers the flag.
    pub fn reset(&self) {
        self.set(false);
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// [`Error::Cancelled`] if the flag is raised.
    ///
    /// # Errors
    /// Only that.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Has `target` interrupted together with this flag for as long as it lives.
    pub fn attach(&self, target: &Arc<dyn Interrupt>) {
        let mut targets = self.0.targets.lock();
        targets.retain(|known| known.strong_count() > 0);
        targets.push(Arc::downgrade(target));
        // Under the lock, so that a cancel between the two lines cannot be missed.
        target.set_interrupted(self.is_cancelled());
    }

    fn set(&self, cancelled: bool) {
        let targets = self.0.targets.lock();
        self.0.cancelled.store(cancelled, Ordering::SeqCst);
        for target in targets.iter().filter_map(Weak::upgrade) {
            target.set_interrupted(cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Switch(AtomicBool);

    impl Interrupt for Switch {
        fn set_interrupted(&self, interrupted: bool) {
            self.0.store(interrupted, Ordering::SeqCst);
        }
    }

    #[test]
    fn reaches_targets_attached_before_and_after() {
        let canceller = Canceller::new();
        let (early, late) = (Arc::new(Switch::default()), Arc::new(Switch::default()));
        canceller.attach(&(early.clone() as Arc<dyn Interrupt>));
        canceller.clone().cancel();
        canceller.attach(&(late.clone() as Arc<dyn Interrupt>));
        assert!(early.0.load(Ordering::SeqCst) && late.0.load(Ordering::SeqCst));
        assert!(matches!(canceller.check(), Err(Error::Cancelled)));
        canceller.reset();
        assert!(!early.0.load(Ordering::SeqCst) && !late.0.load(Ordering::SeqCst));
        assert!(canceller.check().is_ok());
    }
}
