//! What opens and runs a model, as two traits: ONNX Runtime is behind them, and tests stand in for it.

use super::cache::Reservation;
use super::control::RunControl;
use super::io_mode::IoMode;
use super::port::Port;
use super::session_key::SessionKey;
use super::tensor::{InputValues, OutputTensor};
use crate::draw::Staging;
use crate::error::Result;
use crate::settings::{Precision, Provider};

/// A model that is loaded.
pub(super) trait LoadedModel: Send {
    /// Declared inputs and outputs.
    fn ports(&self) -> (&[Port], &[Port]);

    /// Runs once; the error is the runtime's message.
    fn run(
        &mut self,
        shape: [usize; 4],
        values: InputValues<'_>,
        control: &RunControl,
    ) -> std::result::Result<Vec<OutputTensor>, String>;

    /// Where its pictures are staged.
    fn staging(&self) -> Staging {
        Staging::None
    }

    /// What should be told of the last run: memory that was to be kept and could not be had.
    fn take_remark(&mut self) -> Option<String> {
        None
    }
}

/// What loading gives: a loaded model, or the reason why the provider cannot have it.
pub(super) type LoadResult = Result<std::result::Result<Box<dyn LoadedModel>, String>>;

/// Opens one model on any provider.
pub(super) trait Backend: Send + Sync {
    /// What stops the runs of one network.
    fn control(&self) -> Result<RunControl>;

    /// How its pictures may get to it and back on `provider`: the best first, floats without a graph last.
    fn io_modes(&self, _provider: Provider) -> Vec<IoMode> {
        vec![IoMode::default()]
    }

    /// Loads it. `precision` is what to compute in and never `Auto`.
    fn open(&self, provider: Provider, precision: Precision, mode: &IoMode) -> LoadResult;

    /// Whether the model's own weights are of half precision.
    fn is_half(&self) -> bool;

    /// The key under which the session is shared, if it is.
    fn key(&self, provider: Provider, precision: Precision, mode: &IoMode) -> Option<SessionKey>;

    /// Whether opening may take minutes, because something must be compiled first.
    fn is_slow(&self, provider: Provider) -> bool;

    /// Waits for other processes that compile the same, then keeps others from doing so until the guard is done with; `None`
    /// where nothing is kept.
    fn reserve(
        &self,
        provider: Provider,
        precision: Precision,
        mode: &IoMode,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<Reservation>>;
}
