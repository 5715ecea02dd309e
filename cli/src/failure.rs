//! How a command fails: the message for the user and the exit status that goes with it.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::line;

/// Whether a failure was told.
static TOLD: AtomicBool = AtomicBool::new(false);

/// A command's outcome.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a command did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The arguments contradict each other or cannot be served; exit status 2.
    Usage(String),
    /// The work could not be done; exit status 1.
    Failed(String),
    /// The user stopped it; exit status 1.
    Interrupted,
    /// The same, with what is kept of the work; exit status 1.
    Stopped(String),
    /// The work was done and printed, and its result is a no; exit status 1 without a further message.
    Refused,
}

impl Failure {
    /// Prints the message on standard error, and with `json` as an object on standard output too.
    pub fn report(&self, json: bool) {
        let message = match self {
            Self::Usage(message) | Self::Failed(message) | Self::Stopped(message) => {
                message.as_str()
            }
            Self::Interrupted => "interrupted; nothing was written",
            Self::Refused => return,
        };
        // Two threads may have an end to tell; the first does.
        if TOLD.swap(true, Ordering::SeqCst) {
            return;
        }
        eprintln!("srfusion: {message}");
        if json {
            line::print(&serde_json::json!({ "event": "error", "error": message }));
        }
    }

    /// The exit status.
    pub fn status(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Interrupted | Self::Stopped(_) | Self::Refused => {
                ExitCode::from(1)
            }
        }
    }
}

impl From<srfusion::Error> for Failure {
    fn from(error: srfusion::Error) -> Self {
        match error {
            srfusion::Error::Cancelled => Self::Interrupted,
            // The settings are the user's, and nothing was tried yet.
            srfusion::Error::Setting { .. } => Self::Usage(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}
