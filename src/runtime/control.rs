//! Stops the runs of one network and of no other.

use std::sync::atomic::{AtomicBool, Ordering};

use ort::session::RunOptions;

use crate::cancel::Interrupt;
use crate::error::{Error, Result};

/// Stops the runs of one network and of no other.
pub(super) struct RunControl {
    /// `None` in tests without the library.
    options: Option<RunOptions>,
    interrupted: AtomicBool,
}

impl RunControl {
    pub(super) fn new() -> Result<Self> {
        let options = RunOptions::new().map_err(|e| Error::Runtime(e.to_string()))?;
        Ok(Self {
            options: Some(options),
            interrupted: AtomicBool::new(false),
        })
    }

    #[cfg(test)]
    pub(super) fn without_library() -> Self {
        Self {
            options: None,
            interrupted: AtomicBool::new(false),
        }
    }

    /// What the runtime runs with.
    pub(super) fn options(&self) -> Option<&RunOptions> {
        self.options.as_ref()
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Ends waiting for others, but lets the run under way come to its end.
    pub(super) fn stop_waiting(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }
}

impl Interrupt for RunControl {
    fn set_interrupted(&self, interrupted: bool) {
        self.interrupted.store(interrupted, Ordering::SeqCst);
        // Both calls only set a flag in the options; there is nothing to be done should the runtime refuse.
        let _ = self.options.as_ref().map(|options| {
            if interrupted {
                options.terminate()
            } else {
                options.unterminate()
            }
        });
    }
}
