//! Ctrl-C (and SIGTERM): runs what the work in hand has left to be told, once. What has not ended by itself within a second is
//! ended; a second signal ends the process at once.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use srfusion::Canceller;

use crate::failure::{Failure, Result};

/// How long the work in hand may take to end by itself.
const GRACE: Duration = Duration::from_millis(700);

type InterruptAction = Box<dyn Fn() + Send>;
type LastWords = Box<dyn Fn() -> String + Send>;

#[derive(Default)]
struct InterruptState {
    interrupted: bool,
    action: Option<InterruptAction>,
    deadline: Option<(bool, LastWords)>,
}

static STATE: LazyLock<Mutex<InterruptState>> = LazyLock::new(Mutex::default);

fn state() -> MutexGuard<'static, InterruptState> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Catches the signals from now on.
///
/// # Errors
/// If the system refuses; then Ctrl-C would leave temporary files, which is worth refusing to start for.
pub fn catch() -> Result<()> {
    ctrlc::set_handler(|| {
        let mut state = state();
        if state.interrupted {
            // The user has asked twice: what is left behind then is a hidden temporary file, never a half OUT.
            signal_hook::low_level::exit(130);
        }
        state.interrupted = true;
        if let Some(action) = &state.action {
            action();
        }
        let deadline = state.deadline.take();
        drop(state);
        if let Some((json, last_words)) = deadline {
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                Failure::Stopped(last_words()).report(json);
                // Without what the libraries do at an end: their threads are still at work.
                signal_hook::low_level::exit(1);
            });
        }
    })
    .map_err(|error| Failure::Failed(format!("Ctrl-C cannot be caught: {error}")))
}

/// Sets what an interruption does to the work in hand; runs it at once if the interruption has come already.
pub fn on_interrupt(action: impl Fn() + Send + 'static) {
    let mut state = state();
    if state.interrupted {
        action();
    }
    state.action = Some(Box::new(action));
}

/// What Ctrl-C cancels: one for all engines of the process, so that none takes another's place.
pub fn canceller() -> Canceller {
    static CANCELLER: LazyLock<Canceller> = LazyLock::new(Canceller::new);
    on_interrupt(|| CANCELLER.cancel());
    CANCELLER.clone()
}

/// Sets how the work in hand is given up where it does not end in time: cleans up, and says what is told to the user, as JSON too
/// with `json`.
pub fn on_deadline(json: bool, last_words: impl Fn() -> String + Send + 'static) {
    state().deadline = Some((json, Box::new(last_words)));
}

/// Takes back an interruption that has been dealt with, so that something may still be finished; the next one ends the process.
pub fn forget() {
    state().interrupted = false;
}

/// Whether the user has asked to stop.
pub fn interrupted() -> bool {
    state().interrupted
}
