//! Ctrl-C (and SIGTERM): runs what the work in hand has left to be told, once. A second one ends the process at once.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::failure::{Failure, Result};

type Action = Box<dyn Fn() + Send>;

#[derive(Default)]
struct State {
    interrupted: bool,
    action: Option<Action>,
}

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);

fn state() -> MutexGuard<'static, State> {
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
            std::process::exit(130);
        }
        state.interrupted = true;
        if let Some(action) = &state.action {
            action();
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

/// Whether the user has asked to stop.
pub fn interrupted() -> bool {
    state().interrupted
}
