//! A better provider that gets ready in the background while another works.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::control::RunControl;
use super::loader::{Loader, OpenResult};
use crate::error::{Error, Result};
use crate::settings::{Precision, Provider};

/// How often one that waits looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(20);

/// An attempt on its way. It belongs to the network, not to what the stream does meanwhile: a flush or a seek leaves it alone. If it
/// is dropped, the attempt waits for nobody any more, but still fills the provider's cache if it compiles already.
pub(super) struct Upgrade {
    pub(super) provider: Provider,
    outcome: Receiver<OpenResult>,
    control: Arc<RunControl>,
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        self.control.stop_waiting();
    }
}

impl Upgrade {
    /// Begins to open on `provider`.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub(super) fn start(
        loader: &Arc<Loader>,
        provider: Provider,
        precision: Precision,
    ) -> Result<Self> {
        let (sender, outcome) = channel();
        let control = Arc::new(loader.control()?);
        std::thread::Builder::new()
            .name("srfusion-build".into())
            .spawn({
                let (loader, control) = (loader.clone(), control.clone());
                move || {
                    // Nobody listens any more if the network was dropped.
                    let _ = sender.send(loader.attempt(provider, precision, |_| true, &control));
                }
            })
            .map_err(|error| Error::Thread {
                what: "building a network in the background".into(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            provider,
            outcome,
            control,
        })
    }

    /// The outcome, if it comes within `time`; [`Error::Cancelled`] once `interrupted`.
    pub(super) fn wait(
        &self,
        time: Duration,
        interrupted: impl Fn() -> bool,
    ) -> Result<Option<OpenResult>> {
        let end = Instant::now().checked_add(time);
        loop {
            let left = end.map_or(GLANCE, |end| end.saturating_duration_since(Instant::now()));
            match self.outcome.recv_timeout(left.min(GLANCE)) {
                Ok(outcome) => return Ok(Some(outcome)),
                // The thread panicked, which was told on standard error.
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Some(Ok(Err("building it was broken off".into()))));
                }
                Err(RecvTimeoutError::Timeout) if interrupted() => return Err(Error::Cancelled),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
